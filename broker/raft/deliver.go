package raft

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// deliverBytes is how much of the log is read at once to be delivered.
const deliverBytes = 1 << 20

// deliver gives the listener what is committed: from memory if it came in
// lately, else from the log.
func (n *Node) deliver() {
	hw := n.core.HighWatermark()
	if hw != n.committedHW || n.core.Role() != n.committedRole {
		if hw != n.committedHW {
			n.host.Tell(&witness.QuorumCommitted{Replica: n.self, HW: hw, Epoch: n.core.State().Epoch})
		}
		n.committedHW, n.committedRole = hw, n.core.Role()
		n.committed.Broadcast()
	}
	for n.delivered < hw {
		if len(n.tail) > 0 && n.tail[0].batch.BaseOffset <= n.delivered {
			n.hand(n.tail[0])
			n.tail[0] = held{}
			n.tail = n.tail[1:]
			continue
		}
		n.deliverFromLog(hw)
	}
	if len(n.tail) == 0 {
		n.tail = nil
	}
}

// hand gives one batch to the listener.
func (n *Node) hand(h held) {
	if h.batch.BaseOffset != n.delivered {
		panic(fmt.Sprintf("raft: node %d: deliver batch at %d, %d is next", n.cfg.ID, h.batch.BaseOffset, n.delivered))
	}
	n.delivered = h.batch.LastOffset + 1
	n.snapshots.bytesSince += h.size
	n.listener.Committed(h.batch)
}

func (n *Node) deliverFromLog(hw kafka.Offset) {
	upTo := hw
	if len(n.tail) > 0 {
		upTo = min(upTo, n.tail[0].batch.BaseOffset)
	}
	bytes, err := n.log.Read(n.delivered, upTo, deliverBytes, true)
	n.must(err)
	batches, _, err := n.cfg.Decoder.decode(bytes)
	n.must(err)
	if len(batches) == 0 {
		panic(fmt.Sprintf("raft: node %d: nothing to read at %d, %d is committed", n.cfg.ID, n.delivered, hw))
	}
	for _, h := range batches {
		n.hand(h)
	}
}

// dropTail forgets what a truncation to end takes away.
func (n *Node) dropTail(end kafka.Offset) {
	for len(n.tail) > 0 && n.tail[len(n.tail)-1].batch.LastOffset >= end {
		n.tail = n.tail[:len(n.tail)-1]
	}
}

// announceLeader announces to the listener which node leads. Itself it names only when all
// that was before its epoch has been delivered, the record that begins it
// included.
func (n *Node) announceLeader() {
	leader, epoch := n.core.Leader()
	if n.core.Role() == Leader {
		if start, _ := n.core.EpochStart(); n.delivered <= start {
			return
		}
	}
	if leader == n.namedLeader && epoch == n.namedEpoch {
		return
	}
	n.namedLeader, n.namedEpoch = leader, epoch
	n.committed.Broadcast()
	n.listener.LeaderChanged(leader, epoch)
}

// tellBatches tells of each batch that was appended.
func (n *Node) tellBatches(bytes []byte) {
	for len(bytes) > 0 {
		b, rest, err := record.Next(bytes)
		if err != nil {
			return
		}
		n.host.Tell(&witness.QuorumAppended{Replica: n.self, Batch: witness.BatchOf(b)})
		bytes = rest
	}
}
