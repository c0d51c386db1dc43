package replica

import (
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// judge keeps its own account of the truth from what replicas tell of
// themselves, and compares: the invariants of replication, in small.
type judge struct {
	s          *stage
	replicas   map[kafka.NodeID]*replicaLog
	trueHW     kafka.Offset // the largest that any leader ever showed
	committed  []slot       // by offset, as first shown
	acked      kafka.Offset
	violations []string
	// watch is the story's own eye; may be nil.
	watch func(e *witness.Event)
}

// slot is what a log holds at one offset.
type slot struct {
	epoch kafka.LeaderEpoch
	sum   uint32 // of the batch
}

type replicaLog struct {
	start   kafka.Offset
	slots   []slot // from start
	hw      kafka.Offset
	maximal []kafka.NodeID // if it leads
	epoch   kafka.LeaderEpoch
}

func (r *replicaLog) end() kafka.Offset { return r.start + kafka.Offset(len(r.slots)) }

func (r *replicaLog) cut(end kafka.Offset) {
	if end < r.start {
		r.start, r.slots = end, nil
	}
	if end < r.end() {
		r.slots = r.slots[:end-r.start]
	}
}

func (r *replicaLog) has(o kafka.Offset, want slot) bool {
	return o < r.start || o < r.end() && r.slots[o-r.start] == want
}

func (j *judge) violated(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(j.violations, text) {
		j.s.t.Log("    violated: " + text)
		j.violations = append(j.violations, text)
	}
}

func (j *judge) see(e *witness.Event) {
	r := j.replicas[e.Node]
	if r == nil {
		r = &replicaLog{}
		j.replicas[e.Node] = r
	}
	switch e.Kind {
	case witness.Opened:
		r.cut(e.End)
		r.hw, r.maximal = e.HW, nil
	case witness.Appended:
		if e.Offset != r.end() {
			j.violated("broker %d appended at %d to a log that ends at %d", e.Node, e.Offset, r.end())
		}
		for range e.End - e.Offset {
			r.slots = append(r.slots, slot{e.Epoch, crc32.ChecksumIEEE(record.Batch(e.Batch)[21:])})
		}
	case witness.Truncated:
		for o := max(e.Offset, r.start); o < min(j.trueHW, r.end()); o++ {
			if r.has(o, j.committed[o]) {
				j.violated("broker %d truncated what was committed at %d", e.Node, o)
			}
		}
		r.cut(e.Offset)
		r.hw = min(r.hw, e.Offset)
	case witness.Restarted:
		r.start, r.slots, r.hw = e.Offset, nil, e.Offset
	case witness.HighWatermarkMoved:
		j.moved(e, r)
	case witness.BecameLeader:
		r.epoch, r.hw = e.Epoch, e.HW
		if r.end() < j.trueHW {
			j.violated("broker %d became leader with a log that ends at %d, below the true high watermark", e.Node, r.end())
		}
	case witness.BecameFollower:
		r.maximal = nil
	case witness.MaximalISR:
		r.maximal = e.Nodes
	case witness.ProduceAcked:
		if e.End > j.trueHW {
			j.violated("broker %d acknowledged up to %d, above the true high watermark", e.Node, e.End)
		}
		j.acked = max(j.acked, e.End)
	}
	j.look()
	if j.watch != nil {
		j.watch(e)
	}
}

func (j *judge) moved(e *witness.Event, r *replicaLog) {
	if e.Offset < r.hw {
		j.violated("broker %d moved its high watermark back from %d", e.Node, r.hw)
	}
	if e.Offset > r.end() {
		j.violated("broker %d moved its high watermark to %d, past its log end", e.Node, e.Offset)
		return
	}
	r.hw = e.Offset
	for o := max(r.start, 0); o < e.Offset; o++ {
		if o < kafka.Offset(len(j.committed)) {
			if !r.has(o, j.committed[o]) {
				j.violated("broker %d shows another record at %d than was committed", e.Node, o)
			}
		} else {
			j.committed = append(j.committed, r.slots[o-r.start])
		}
	}
	if r.maximal == nil {
		return
	}
	// Even a leader that has been replaced without knowing it: whom it counts
	// had what it shows before they learned of the new one.
	j.trueHW = max(j.trueHW, e.Offset)
	p := j.s.partition()
	if r.epoch != p.LeaderEpoch {
		return
	}
	// What counts is what the leader knows of the ISR: who left it a moment ago
	// still had to have the records.
	leader := j.s.replica(e.Node)
	if known := leader.isr.committed; len(known) < leader.minISR() {
		j.violated("broker %d moved its high watermark with an isr of %v", e.Node, known)
	}
	for _, id := range p.ISR {
		if !slices.Contains(r.maximal, id) {
			j.violated("broker %d moved its high watermark without counting %d of the isr", e.Node, id)
		}
	}
}

// look checks what must hold at any time: every member of the controller's ISR
// has all that was ever shown as committed.
func (j *judge) look() {
	p := j.s.partition()
	if p == nil {
		return
	}
	for _, id := range p.ISR {
		r := j.replicas[id]
		if r == nil || !j.s.nodes[id].host.IsRunning() {
			continue
		}
		for o := r.start; o < kafka.Offset(len(j.committed)) && o < j.trueHW; o++ {
			if !r.has(o, j.committed[o]) {
				j.violated("broker %d of the isr lacks what was committed at %d", id, o)
				break
			}
		}
	}
}

// forget begins a new account: the topic is deleted.
func (j *judge) forget() {
	j.replicas, j.committed, j.trueHW, j.acked = map[kafka.NodeID]*replicaLog{}, nil, 0, 0
}
