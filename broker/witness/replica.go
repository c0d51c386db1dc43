package witness

import (
	"fmt"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/ledger"
)

// What a replica of a partition does.
type (
	// Opened: the replica's log was recovered, or is new.
	Opened struct {
		*Replica
		Start kafka.Offset `json:"start"`
		End   kafka.Offset `json:"end"`
		HW    kafka.Offset `json:"hw"` // as read from the checkpoint
		// Clean: the process before had closed the log directory in order.
		Clean bool `json:"clean"`
	}
	// Stopped: the replica was closed; the process ends.
	Stopped struct {
		*Replica
		Epoch kafka.LeaderEpoch `json:"epoch"`
	}
	// Deleted: this broker no longer has the replica.
	Deleted struct{ *Replica }

	// Appending: an append begins at the log end. Appended follows, unless it
	// fails. A process that dies in between may find it in its log, or not.
	Appending struct {
		*Replica
		Epoch kafka.LeaderEpoch `json:"epoch"`
		At    kafka.Offset      `json:"at"`
		// AcksAll: it is a leader's, and its producer wants all replicas in sync to
		// have it (acks=all).
		AcksAll bool `json:"acks_all,omitempty"`
	}
	// Appended: a batch was written.
	Appended struct {
		*Replica
		Batch
	}
	// Truncating: the log is about to be cut; Truncated follows.
	Truncating struct {
		*Replica
		To kafka.Offset `json:"to"`
	}
	// Truncated: the end of the log was cut off, as the leader's differs there.
	Truncated struct {
		*Replica
		From   kafka.Offset      `json:"from"`
		To     kafka.Offset      `json:"to"`
		Epoch  kafka.LeaderEpoch `json:"epoch"`
		Leader kafka.NodeID      `json:"leader"`
		HW     kafka.Offset      `json:"hw"`
	}
	// Restarting: the log is about to be dropped; Restarted follows.
	Restarting struct {
		*Replica
		Start kafka.Offset `json:"start"` // as it was
		End   kafka.Offset `json:"end"`
		At    kafka.Offset `json:"at"` // as it will be
	}
	// Restarted: the log was dropped and begins anew, empty.
	Restarted struct {
		*Replica
		At     kafka.Offset      `json:"at"`
		Epoch  kafka.LeaderEpoch `json:"epoch"`
		Leader kafka.NodeID      `json:"leader"`
	}
	// EpochsCached: what the replica's log knows of leader epochs, after something
	// has changed that is no append: the log was opened or cut, or an epoch of
	// leadership began. Epochs[i] begins at Starts[i].
	EpochsCached struct {
		*Replica
		Epochs []kafka.LeaderEpoch `json:"epochs"` // leader epochs, as they follow each other
		Starts []kafka.Offset      `json:"starts"` // offset at which each begins
	}
	// LogStartMoved: what is before Start is gone from the log.
	LogStartMoved struct {
		*Replica
		Start kafka.Offset      `json:"start"`
		Epoch kafka.LeaderEpoch `json:"epoch"`
	}
	// HighWatermarkMoved: all below To is committed, as far as the replica knows.
	HighWatermarkMoved struct {
		*Replica
		To    kafka.Offset      `json:"to"`
		Epoch kafka.LeaderEpoch `json:"epoch"`
	}

	// BecameLeader: the replica leads from now on, in Epoch.
	BecameLeader struct {
		*Replica
		Epoch kafka.LeaderEpoch `json:"epoch"`
		End   kafka.Offset      `json:"end"`
		HW    kafka.Offset      `json:"hw"`
		ISR   []kafka.NodeID    `json:"isr"`
	}
	// BecameFollower: in Epoch the replica follows Leader, or none (-1).
	BecameFollower struct {
		*Replica
		Epoch  kafka.LeaderEpoch `json:"epoch"`
		Leader kafka.NodeID      `json:"leader"`
		End    kafka.Offset      `json:"end"`
		HW     kafka.Offset      `json:"hw"`
	}

	// MaximalISR: the leader now counts Nodes for the high watermark: the ISR and
	// the replica that it has proposed for it (KIP-497).
	MaximalISR struct {
		*Replica
		Epoch kafka.LeaderEpoch `json:"epoch"`
		Nodes []kafka.NodeID    `json:"nodes"`
	}
	// ShrinkProposed: the leader asks the controller to take Late out of the ISR,
	// which is ISR.
	ShrinkProposed struct {
		*Replica
		Epoch kafka.LeaderEpoch `json:"epoch"`
		ISR   []kafka.NodeID    `json:"isr"`
		Late  []kafka.NodeID    `json:"late"`
		End   kafka.Offset      `json:"end"`
		HW    kafka.Offset      `json:"hw"`
	}
	// LagsChecked: the leader looked for replicas of the ISR that have been behind for too
	// long; Kept lack some of its log, and stay.
	LagsChecked struct {
		*Replica
		Epoch kafka.LeaderEpoch `json:"epoch"`
		Kept  []kafka.NodeID    `json:"kept"` // they stay in the ISR
	}
	// ExpandProposed: the leader asks the controller to take Joins into the ISR,
	// which is ISR.
	ExpandProposed struct {
		*Replica
		Epoch kafka.LeaderEpoch `json:"epoch"`
		ISR   []kafka.NodeID    `json:"isr"`
		Joins kafka.NodeID      `json:"joins"`
		End   kafka.Offset      `json:"end"`
		HW    kafka.Offset      `json:"hw"`
	}
	// ISRChanged: the controller has committed what the leader had proposed.
	ISRChanged struct {
		*Replica
		From           []kafka.NodeID       `json:"isr_before"`
		To             []kafka.NodeID       `json:"isr"`
		PartitionEpoch kafka.PartitionEpoch `json:"partition_epoch"`
		Expands        bool                 `json:"expands"`
	}
	// ISRRefused: the controller has refused what the leader had proposed.
	ISRRefused struct {
		*Replica
		Proposed []kafka.NodeID `json:"proposed"`
		// Certain: no controller will make this change any more. Otherwise the
		// proposal goes on to count.
		Certain bool `json:"certain"`
		Error
	}

	// FollowerFetched: a follower has asked the leader for what is at From, and
	// counts as having all below.
	FollowerFetched struct {
		*Replica
		Follower kafka.NodeID      `json:"follower"`
		From     kafka.Offset      `json:"from"`
		Epoch    kafka.LeaderEpoch `json:"epoch"` // that the follower named in its request
		HW       kafka.Offset      `json:"hw"`
	}
	// ProduceAcked: an append with acks=all is answered with success.
	ProduceAcked struct {
		*Replica
		From  kafka.Offset      `json:"from"`
		End   kafka.Offset      `json:"end"`
		Epoch kafka.LeaderEpoch `json:"epoch"`
		HW    kafka.Offset      `json:"hw"`
	}
	// ReadServed: a consumer is given a batch.
	ReadServed struct {
		*Replica
		Batch
		// Committed: the consumer asks for what is committed only (read_committed).
		Committed bool `json:"read_committed,omitempty"`
	}
	// EndServed: a client is answered that the log ends at End.
	EndServed struct {
		*Replica
		End   kafka.Offset      `json:"end"`
		Epoch kafka.LeaderEpoch `json:"epoch"`
		HW    kafka.Offset      `json:"hw"`
	}
	// EpochRefused: a request was made for another leader epoch than the
	// replica's (KIP-320).
	EpochRefused struct {
		*Replica
		Asked kafka.LeaderEpoch `json:"asked"`
		Epoch kafka.LeaderEpoch `json:"epoch"`
		Error
	}

	// EpochImpossible: the follower has records of a later epoch than its leader's.
	EpochImpossible struct {
		*Replica
		Latest kafka.LeaderEpoch `json:"latest"`
		Leader kafka.NodeID      `json:"leader"`
		Epoch  kafka.LeaderEpoch `json:"epoch"`
	}
	// NotAppended: the follower cannot append what its leader sent.
	NotAppended struct {
		*Replica
		At     kafka.Offset `json:"at"`
		Leader kafka.NodeID `json:"leader"`
		Error
	}
	// LogDirFailed: the broker halts as its log directory failed, at this
	// replica's log or (nil) elsewhere.
	LogDirFailed struct{ *Replica }
	// ConfigIgnored: the broker leaves out a configuration that it cannot read.
	ConfigIgnored struct {
		Topic string `json:"topic,omitempty"` // empty: it is one of the broker
		Error
	}
)

var (
	opened             = ledger.Declare[Opened]("replica-opened", "a replica's log was recovered, or is new", ledger.Detail)
	stopped            = ledger.Declare[Stopped]("replica-stopped", "a replica was closed in order", ledger.Detail)
	deleted            = ledger.Declare[Deleted]("replica-deleted", "a broker no longer has a replica", ledger.Notable)
	appending          = ledger.Declare[Appending]("appending", "an append to a replica's log begins", ledger.Detail)
	appended           = ledger.Declare[Appended]("appended", "a batch was written to a replica's log", ledger.Detail)
	truncating         = ledger.Declare[Truncating]("truncating", "a replica's log is about to be cut", ledger.Detail)
	truncated          = ledger.Declare[Truncated]("truncated", "a replica cut off the end of its log", ledger.Notable)
	restarting         = ledger.Declare[Restarting]("log-restarting", "a replica is about to drop its log", ledger.Notable)
	restarted          = ledger.Declare[Restarted]("log-restarted", "a replica's log was dropped and begins anew", ledger.Detail)
	epochsCached       = ledger.Declare[EpochsCached]("epochs-cached", "what a replica's log knows of leader epochs, after it was opened, cut, or begins to lead (KIP-101)", ledger.Detail)
	logStartMoved      = ledger.Declare[LogStartMoved]("log-start-moved", "the oldest records of a replica's log are gone", ledger.Detail)
	highWatermarkMoved = ledger.Declare[HighWatermarkMoved]("high-watermark-moved", "a replica knows of more committed records", ledger.Detail)
	becameLeader       = ledger.Declare[BecameLeader]("became-leader", "a replica leads its partition from now on", ledger.Notable)
	becameFollower     = ledger.Declare[BecameFollower]("became-follower", "a replica follows from now on", ledger.Notable)
	maximalISR         = ledger.Declare[MaximalISR]("isr-counted", "which replicas a leader now counts for its high watermark (KIP-497)", ledger.Detail)
	shrinkProposed     = ledger.Declare[ShrinkProposed]("isr-shrink-proposed", "a leader asks to take replicas that are behind out of the ISR", ledger.Notable)
	lagsChecked        = ledger.Declare[LagsChecked]("isr-lags-checked", "a leader keeps replicas in the ISR that are behind, but not for long", ledger.Detail)
	expandProposed     = ledger.Declare[ExpandProposed]("isr-expand-proposed", "a leader asks to take a replica into the ISR", ledger.Detail)
	isrChanged         = ledger.Declare[ISRChanged]("isr-changed", "a leader learns that the change it proposed is committed", ledger.Notable)
	isrRefused         = ledger.Declare[ISRRefused]("isr-refused", "a leader learns that the change it proposed is refused", ledger.Detail)
	followerFetched    = ledger.Declare[FollowerFetched]("follower-fetched", "a leader counts what a follower has", ledger.Detail)
	produceAcked       = ledger.Declare[ProduceAcked]("produce-acked", "an append with acks=all is answered with success", ledger.Detail)
	readServed         = ledger.Declare[ReadServed]("read-served", "a consumer is given a batch", ledger.Detail)
	endServed          = ledger.Declare[EndServed]("end-served", "a client is told where a log ends", ledger.Detail)
	epochRefused       = ledger.Declare[EpochRefused]("epoch-refused", "a request for another leader epoch is refused (KIP-320)", ledger.Detail)
	epochImpossible    = ledger.Declare[EpochImpossible]("epoch-impossible", "a follower has records of a later epoch than its leader's", ledger.Notable)
	notAppended        = ledger.Declare[NotAppended]("not-appended", "a follower cannot append what its leader sent", ledger.Notable)
	logDirFailed       = ledger.Declare[LogDirFailed]("log-dir-failed", "a broker halts as its log directory failed", ledger.Notable)
	configIgnored      = ledger.Declare[ConfigIgnored]("config-ignored", "a broker leaves out a configuration that it cannot read", ledger.Notable)
)

func (e *Opened) Kind() *ledger.Kind             { return opened }
func (e *Stopped) Kind() *ledger.Kind            { return stopped }
func (e *Deleted) Kind() *ledger.Kind            { return deleted }
func (e *Appending) Kind() *ledger.Kind          { return appending }
func (e *Appended) Kind() *ledger.Kind           { return appended }
func (e *Truncating) Kind() *ledger.Kind         { return truncating }
func (e *Truncated) Kind() *ledger.Kind          { return truncated }
func (e *Restarting) Kind() *ledger.Kind         { return restarting }
func (e *Restarted) Kind() *ledger.Kind          { return restarted }
func (e *EpochsCached) Kind() *ledger.Kind       { return epochsCached }
func (e *LogStartMoved) Kind() *ledger.Kind      { return logStartMoved }
func (e *HighWatermarkMoved) Kind() *ledger.Kind { return highWatermarkMoved }
func (e *BecameLeader) Kind() *ledger.Kind       { return becameLeader }
func (e *BecameFollower) Kind() *ledger.Kind     { return becameFollower }
func (e *MaximalISR) Kind() *ledger.Kind         { return maximalISR }
func (e *ShrinkProposed) Kind() *ledger.Kind     { return shrinkProposed }
func (e *LagsChecked) Kind() *ledger.Kind        { return lagsChecked }
func (e *ExpandProposed) Kind() *ledger.Kind     { return expandProposed }
func (e *ISRChanged) Kind() *ledger.Kind         { return isrChanged }
func (e *ISRRefused) Kind() *ledger.Kind         { return isrRefused }
func (e *FollowerFetched) Kind() *ledger.Kind    { return followerFetched }
func (e *ProduceAcked) Kind() *ledger.Kind       { return produceAcked }
func (e *ReadServed) Kind() *ledger.Kind         { return readServed }
func (e *EndServed) Kind() *ledger.Kind          { return endServed }
func (e *EpochRefused) Kind() *ledger.Kind       { return epochRefused }
func (e *EpochImpossible) Kind() *ledger.Kind    { return epochImpossible }
func (e *NotAppended) Kind() *ledger.Kind        { return notAppended }
func (e *LogDirFailed) Kind() *ledger.Kind       { return logDirFailed }
func (e *ConfigIgnored) Kind() *ledger.Kind      { return configIgnored }

func (e *Opened) Sentence() string {
	how := "after an unclean end"
	if e.Clean {
		how = "after a clean shutdown"
	}
	return fmt.Sprintf("opens %s %s: [%d, %d), high watermark %d", e.Subject(), how, e.Start, e.End, e.HW)
}

func (e *Stopped) Sentence() string { return "closes its replica of " + e.Subject() }
func (e *Deleted) Sentence() string { return "deletes its replica of " + e.Subject() }
func (e *Appending) Sentence() string {
	return fmt.Sprintf("begins to append to %s at %d", e.Subject(), e.At)
}
func (e *Appended) Sentence() string {
	return fmt.Sprintf("appends [%d, %d) of epoch %d to %s", e.From, e.End, e.Batch.Epoch, e.Subject())
}

func (e *Truncating) Sentence() string {
	return fmt.Sprintf("begins to truncate %s to %d", e.Subject(), e.To)
}

func (e *Truncated) Sentence() string {
	return fmt.Sprintf("truncates %s from %d to %d, epoch %d, leader %d", e.Subject(), e.From, e.To, e.Epoch, e.Leader)
}

func (e *Restarting) Sentence() string {
	return fmt.Sprintf("drops %s [%d, %d) to begin anew at %d", e.Subject(), e.Start, e.End, e.At)
}

func (e *Restarted) Sentence() string { return fmt.Sprintf("begins %s anew at %d", e.Subject(), e.At) }
func (e *EpochsCached) Sentence() string {
	var b strings.Builder
	for i, epoch := range e.Epochs {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d from %d", epoch, e.Starts[i])
	}
	return fmt.Sprintf("knows the leader epochs of %s: [%s]", e.Subject(), b.String())
}

func (e *LogStartMoved) Sentence() string {
	return fmt.Sprintf("has %s start at %d", e.Subject(), e.Start)
}

func (e *HighWatermarkMoved) Sentence() string {
	return fmt.Sprintf("has high watermark %d of %s, epoch %d", e.To, e.Subject(), e.Epoch)
}

func (e *BecameLeader) Sentence() string {
	return fmt.Sprintf("becomes leader of %s, epoch %d, log end offset %d, high watermark %d, isr %v", e.Subject(), e.Epoch, e.End, e.HW, e.ISR)
}

func (e *BecameFollower) Sentence() string {
	return fmt.Sprintf("becomes follower of %s, epoch %d, leader %d, log end offset %d, high watermark %d", e.Subject(), e.Epoch, e.Leader, e.End, e.HW)
}

func (e *MaximalISR) Sentence() string {
	return fmt.Sprintf("counts %v for the high watermark of %s", e.Nodes, e.Subject())
}

func (e *ShrinkProposed) Sentence() string {
	return fmt.Sprintf("shrinks the isr of %s from %v: %v behind, log end offset %d, high watermark %d", e.Subject(), e.ISR, e.Late, e.End, e.HW)
}

func (e *LagsChecked) Sentence() string {
	return fmt.Sprintf("keeps %v in the isr of %s: behind, but not for long", e.Kept, e.Subject())
}

func (e *ExpandProposed) Sentence() string {
	return fmt.Sprintf("expands the isr of %s from %v: %d has caught up, log end offset %d, high watermark %d", e.Subject(), e.ISR, e.Joins, e.End, e.HW)
}

func (e *ISRChanged) Sentence() string {
	return fmt.Sprintf("has the isr of %s changed from %v to %v, partition epoch %d", e.Subject(), e.From, e.To, e.PartitionEpoch)
}

func (e *ISRRefused) Sentence() string {
	return fmt.Sprintf("is refused isr %v of %s: %s", e.Proposed, e.Subject(), e.Text)
}

func (e *FollowerFetched) Sentence() string {
	return fmt.Sprintf("counts %d as having %s up to %d", e.Follower, e.Subject(), e.From)
}

func (e *ProduceAcked) Sentence() string {
	return fmt.Sprintf("acknowledges [%d, %d) of %s", e.From, e.End, e.Subject())
}

func (e *ReadServed) Sentence() string {
	return fmt.Sprintf("gives a consumer [%d, %d) of %s", e.From, e.End, e.Subject())
}

func (e *EndServed) Sentence() string {
	return fmt.Sprintf("tells a client that %s ends at %d", e.Subject(), e.End)
}

func (e *EpochRefused) Sentence() string {
	return fmt.Sprintf("refuses a request for epoch %d of %s, which is in epoch %d: %s", e.Asked, e.Subject(), e.Epoch, e.Text)
}

func (e *EpochImpossible) Sentence() string {
	return fmt.Sprintf("has records of epoch %d in %s, which broker %d leads in epoch %d", e.Latest, e.Subject(), e.Leader, e.Epoch)
}

func (e *NotAppended) Sentence() string {
	return fmt.Sprintf("cannot append to %s at %d what broker %d sent: %s", e.Subject(), e.At, e.Leader, e.Text)
}

func (e *LogDirFailed) Sentence() string {
	if e.Replica == nil {
		return "halts: log directory failed"
	}
	return "halts: log directory failed at " + e.Subject()
}

func (e *ConfigIgnored) Sentence() string {
	if e.Topic == "" {
		return "ignores a configuration of the broker: " + e.Text
	}
	return fmt.Sprintf("ignores a configuration of topic %s: %s", e.Topic, e.Text)
}
