package witness

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/ledger"
)

// What a member of the KRaft quorum does.
type (
	// QuorumOpened: the member's log was recovered, and its epoch.
	QuorumOpened struct {
		*Replica
		Start kafka.Offset      `json:"start"`
		End   kafka.Offset      `json:"end"`
		HW    kafka.Offset      `json:"hw"`
		Epoch kafka.LeaderEpoch `json:"epoch"`
	}
	// QuorumVoted: the member gave its vote of Epoch, which is durable already.
	QuorumVoted struct {
		*Replica
		Epoch     kafka.LeaderEpoch `json:"epoch"`
		Candidate kafka.NodeID      `json:"candidate"`
	}
	// QuorumPreVoted: the member would vote for Candidate, which asked in Epoch
	// (KIP-996).
	QuorumPreVoted struct {
		*Replica
		Epoch     kafka.LeaderEpoch `json:"epoch"`
		Candidate kafka.NodeID      `json:"candidate"`
		// Leader is the one of which the member has heard within its fetch timeout, or -1.
		Leader kafka.NodeID `json:"leader"`
	}
	// QuorumElected: the member leads from now on, in Epoch.
	QuorumElected struct {
		*Replica
		Epoch kafka.LeaderEpoch `json:"epoch"`
		End   kafka.Offset      `json:"end"`
		Votes []kafka.NodeID    `json:"votes"`
	}
	// QuorumDeposed: the member leads no more.
	QuorumDeposed struct {
		*Replica
		Epoch kafka.LeaderEpoch `json:"epoch"` // in which it led
	}
	// QuorumFollows: in Epoch the member does not lead. Leader does, or none
	// that it knows (-1).
	QuorumFollows struct {
		*Replica
		Epoch  kafka.LeaderEpoch `json:"epoch"`
		Leader kafka.NodeID      `json:"leader"`
	}

	// QuorumAppending is as Appending.
	QuorumAppending struct{ *Replica }
	// QuorumAppended: a batch was written to the member's log.
	QuorumAppended struct {
		*Replica
		Batch
	}
	// QuorumFlushed: the member's log is durable below End.
	QuorumFlushed struct {
		*Replica
		End kafka.Offset `json:"end"`
	}
	// QuorumTruncating: the log is about to be cut, as the leader's differs;
	// QuorumTruncated follows.
	QuorumTruncating struct {
		*Replica
		From  kafka.Offset      `json:"from"`
		To    kafka.Offset      `json:"to"`
		Epoch kafka.LeaderEpoch `json:"epoch"`
	}
	// QuorumTruncated: the log was cut.
	QuorumTruncated struct {
		*Replica
		To    kafka.Offset      `json:"to"`
		Epoch kafka.LeaderEpoch `json:"epoch"`
	}
	// QuorumCommitted: all below HW is committed, as far as the member knows.
	QuorumCommitted struct {
		*Replica
		HW    kafka.Offset      `json:"hw"`
		Epoch kafka.LeaderEpoch `json:"epoch"`
	}
	// QuorumRestarted: the log was dropped and begins anew behind a snapshot.
	QuorumRestarted struct {
		*Replica
		At    kafka.Offset      `json:"at"`
		Epoch kafka.LeaderEpoch `json:"epoch"`
	}

	// SnapshotWritten: the member has a snapshot of all below End.
	SnapshotWritten struct {
		*Replica
		End   kafka.Offset      `json:"end"`
		Epoch kafka.LeaderEpoch `json:"epoch"` // of the last record in it
		Hash  uint64            `json:"hash,string"`
	}
	// SnapshotLoaded: the member's state is that of a snapshot, from its disk or
	// from the leader.
	SnapshotLoaded struct {
		*Replica
		End   kafka.Offset      `json:"end"`
		Epoch kafka.LeaderEpoch `json:"epoch"` // of the last record in it
		Hash  uint64            `json:"hash,string"`
	}

	// QuorumFetchFailed: the answer to a fetch cannot be read.
	QuorumFetchFailed struct {
		*Replica
		From kafka.NodeID `json:"from"`
		Error
	}
	// SnapshotFailed: a snapshot that was fetched is of no use.
	SnapshotFailed struct {
		*Replica
		Snapshot string       `json:"snapshot"`
		From     kafka.NodeID `json:"from"`
		Error
	}
	// SnapshotUnreadable: a member cannot read its newest snapshot. It begins with nothing else,
	// and ends.
	SnapshotUnreadable struct {
		*Replica
		End   kafka.Offset      `json:"end"`
		Epoch kafka.LeaderEpoch `json:"epoch"` // of the last record in it
		Path  string            `json:"path"`
		Error
	}
)

var (
	quorumOpened      = ledger.Declare[QuorumOpened]("quorum-opened", "a member of the quorum has recovered its log", ledger.Detail)
	quorumVoted       = ledger.Declare[QuorumVoted]("quorum-voted", "a voter gives its vote of an epoch", ledger.Detail)
	quorumPreVoted    = ledger.Declare[QuorumPreVoted]("quorum-pre-voted", "a voter would vote for a candidate (KIP-996)", ledger.Detail)
	quorumElected     = ledger.Declare[QuorumElected]("quorum-elected", "a voter leads the quorum from now on", ledger.Notable)
	quorumDeposed     = ledger.Declare[QuorumDeposed]("quorum-deposed", "a voter leads the quorum no more", ledger.Notable)
	quorumFollows     = ledger.Declare[QuorumFollows]("quorum-follows", "a member of the quorum is in an epoch that it does not lead", ledger.Detail)
	quorumAppending   = ledger.Declare[QuorumAppending]("quorum-appending", "an append to the metadata log begins", ledger.Detail)
	quorumAppended    = ledger.Declare[QuorumAppended]("quorum-appended", "a batch was written to a member's metadata log", ledger.Detail)
	quorumFlushed     = ledger.Declare[QuorumFlushed]("quorum-flushed", "a member's metadata log is durable", ledger.Detail)
	quorumTruncating  = ledger.Declare[QuorumTruncating]("quorum-truncating", "a member cuts off the end of its metadata log", ledger.Notable)
	quorumTruncated   = ledger.Declare[QuorumTruncated]("quorum-truncated", "the end of a member's metadata log is cut off", ledger.Detail)
	quorumCommitted   = ledger.Declare[QuorumCommitted]("quorum-committed", "a member knows of more committed metadata", ledger.Detail)
	quorumRestarted   = ledger.Declare[QuorumRestarted]("quorum-restarted", "a member's metadata log begins anew behind a snapshot", ledger.Detail)
	snapshotWritten   = ledger.Declare[SnapshotWritten]("snapshot-written", "a member has a new snapshot of the metadata (KIP-630)", ledger.Detail)
	snapshotLoaded    = ledger.Declare[SnapshotLoaded]("snapshot-loaded", "a member's state is that of a snapshot (KIP-630)", ledger.Detail)
	quorumFetchFailed = ledger.Declare[QuorumFetchFailed]("quorum-fetch-failed", "the answer to a fetch of metadata cannot be read", ledger.Notable)
	snapshotFailed    = ledger.Declare[SnapshotFailed]("snapshot-failed", "a snapshot that was fetched is of no use", ledger.Notable)
	snapshotUnread    = ledger.Declare[SnapshotUnreadable]("snapshot-unreadable", "a member cannot read its newest snapshot, and ends", ledger.Notable)
)

func (e *QuorumOpened) Kind() *ledger.Kind       { return quorumOpened }
func (e *QuorumVoted) Kind() *ledger.Kind        { return quorumVoted }
func (e *QuorumPreVoted) Kind() *ledger.Kind     { return quorumPreVoted }
func (e *QuorumElected) Kind() *ledger.Kind      { return quorumElected }
func (e *QuorumDeposed) Kind() *ledger.Kind      { return quorumDeposed }
func (e *QuorumFollows) Kind() *ledger.Kind      { return quorumFollows }
func (e *QuorumAppending) Kind() *ledger.Kind    { return quorumAppending }
func (e *QuorumAppended) Kind() *ledger.Kind     { return quorumAppended }
func (e *QuorumFlushed) Kind() *ledger.Kind      { return quorumFlushed }
func (e *QuorumTruncating) Kind() *ledger.Kind   { return quorumTruncating }
func (e *QuorumTruncated) Kind() *ledger.Kind    { return quorumTruncated }
func (e *QuorumCommitted) Kind() *ledger.Kind    { return quorumCommitted }
func (e *QuorumRestarted) Kind() *ledger.Kind    { return quorumRestarted }
func (e *SnapshotWritten) Kind() *ledger.Kind    { return snapshotWritten }
func (e *SnapshotLoaded) Kind() *ledger.Kind     { return snapshotLoaded }
func (e *QuorumFetchFailed) Kind() *ledger.Kind  { return quorumFetchFailed }
func (e *SnapshotFailed) Kind() *ledger.Kind     { return snapshotFailed }
func (e *SnapshotUnreadable) Kind() *ledger.Kind { return snapshotUnread }

func (e *QuorumOpened) Sentence() string {
	return fmt.Sprintf("opens its quorum log: [%d, %d), epoch %d", e.Start, e.End, e.Epoch)
}

func (e *QuorumVoted) Sentence() string {
	return fmt.Sprintf("votes for %d in quorum epoch %d", e.Candidate, e.Epoch)
}

func (e *QuorumPreVoted) Sentence() string {
	return fmt.Sprintf("would vote for %d in quorum epoch %d", e.Candidate, e.Epoch)
}

func (e *QuorumElected) Sentence() string {
	return fmt.Sprintf("quorum leader, epoch %d, log end offset %d", e.Epoch, e.End)
}

func (e *QuorumDeposed) Sentence() string {
	return fmt.Sprintf("quorum leader no more, epoch %d", e.Epoch)
}

func (e *QuorumFollows) Sentence() string {
	return fmt.Sprintf("follows %d in quorum epoch %d", e.Leader, e.Epoch)
}

func (e *QuorumAppending) Sentence() string { return "begins to append to its quorum log" }

func (e *QuorumAppended) Sentence() string {
	return fmt.Sprintf("appends [%d, %d) of epoch %d to its quorum log", e.From, e.End, e.Batch.Epoch)
}

func (e *QuorumFlushed) Sentence() string {
	return fmt.Sprintf("has its quorum log durable up to %d", e.End)
}

func (e *QuorumTruncating) Sentence() string {
	return fmt.Sprintf("quorum log truncated from %d to %d, epoch %d", e.From, e.To, e.Epoch)
}

func (e *QuorumTruncated) Sentence() string {
	return fmt.Sprintf("has truncated its quorum log to %d", e.To)
}

func (e *QuorumCommitted) Sentence() string {
	return fmt.Sprintf("has quorum high watermark %d, epoch %d", e.HW, e.Epoch)
}

func (e *QuorumRestarted) Sentence() string {
	return fmt.Sprintf("begins its quorum log anew at %d", e.At)
}

func (e *SnapshotWritten) Sentence() string {
	return fmt.Sprintf("has written a snapshot up to %d, epoch %d", e.End, e.Epoch)
}

func (e *SnapshotLoaded) Sentence() string {
	return fmt.Sprintf("has loaded a snapshot up to %d, epoch %d", e.End, e.Epoch)
}

func (e *QuorumFetchFailed) Sentence() string {
	return fmt.Sprintf("fetch from %d: %s", e.From, e.Text)
}

func (e *SnapshotFailed) Sentence() string {
	return fmt.Sprintf("snapshot %s from %d: %s", e.Snapshot, e.From, e.Text)
}

func (e *SnapshotUnreadable) Sentence() string {
	return fmt.Sprintf("cannot read the snapshot up to %d, epoch %d: %s", e.End, e.Epoch, e.Text)
}
