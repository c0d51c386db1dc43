package inspector

import (
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/ledger"
)

// readQuorum: a member of the quorum tells.
func (in *Inspector) readQuorum(id kafka.NodeID, event ledger.Event) {
	q, node := in.Quorum, laws.Node(id)
	switch e := event.(type) {
	case *witness.QuorumOpened:
		q.Recovered(node, int64(e.Start), int64(e.End), laws.Epoch(e.Epoch))
	case *witness.QuorumVoted:
		q.Voted(node, laws.Epoch(e.Epoch), laws.Node(e.Candidate))
	case *witness.QuorumPreVoted:
		q.PreVoted(node, laws.Epoch(e.Epoch), laws.Node(e.Candidate), laws.Node(e.Leader))
	case *witness.QuorumElected:
		q.BecameLeader(node, laws.Epoch(e.Epoch), int64(e.End))
	case *witness.QuorumFollows:
		q.BecameFollower(node, laws.Epoch(e.Epoch), laws.Node(e.Leader))
	case *witness.QuorumAppending:
		q.Appending(node)
	case *witness.QuorumTruncating:
		q.Truncating(node, int64(e.To))
	case *witness.QuorumAppended:
		q.Appended(node, int64(e.From), int64(e.End), laws.Epoch(e.Epoch), e.Digest)
	case *witness.QuorumFlushed:
		q.Flushed(node, int64(e.End))
	case *witness.QuorumTruncated:
		q.Truncated(node, int64(e.To))
	case *witness.QuorumCommitted:
		q.Committed(node, int64(e.HW))
	case *witness.QuorumRestarted:
		q.Restarted(node, int64(e.At))
	case *witness.SnapshotWritten:
		q.Snapshot(node, int64(e.End), laws.Epoch(e.Epoch), e.Hash)
	case *witness.SnapshotLoaded:
		q.Snapshot(node, int64(e.End), laws.Epoch(e.Epoch), e.Hash)
	}
}
