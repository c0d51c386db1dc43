package coordinator

import (
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// checker folds what a shard has appended a second time, as far as it is committed, and
// compares: the state that clients are answered from is the fold of the committed log
// and nothing else. Only Hashers can be compared. A nil checker does nothing.
type checker struct {
	shadow  Machine
	line    *timeline.Timeline
	decoder record.Decoder
	batches []record.Batch // appended, and not committed
}

// newChecker begins with what the shard was loaded from.
func newChecker(s *shard, f *folding) *checker {
	if _, ok := s.machine.(Hasher); !ok {
		return nil
	}
	c := &checker{line: timeline.New()}
	c.shadow = s.r.make(&shardEnv{s: s, line: c.line, timers: map[string]*timer{}, closed: true, mute: true})
	for _, bytes := range f.kept {
		c.appended(bytes)
	}
	return c
}

// appended tells what the shard has appended.
func (c *checker) appended(bytes []byte) {
	if c == nil {
		return
	}
	_ = eachBatch(bytes, func(b record.Batch) { c.batches = append(c.batches, b) })
}

// fold folds what is committed below hw.
func (c *checker) fold(hw kafka.Offset) {
	for len(c.batches) > 0 && c.batches[0].NextOffset() <= hw {
		b := c.batches[0]
		c.batches = c.batches[1:]
		if b.Check() == nil {
			_ = foldBatch(&c.decoder, b, c.line, c.shadow, func(kafka.Offset, error) {})
		}
	}
	c.line.Commit(hw)
}

// hash is the fingerprint of a machine at a cut; 0: none is made.
func (c *checker) hash(m Machine, cut timeline.Cut) uint64 {
	if c == nil {
		return 0
	}
	return m.(Hasher).Hash(cut)
}

// checkCommitted compares the shard with the fold of its log, as both are committed.
func (s *shard) checkCommitted() {
	c := s.check
	var state uint64
	if c != nil {
		c.fold(s.hw)
		state = c.hash(s.machine, timeline.Committed)
		if log := c.hash(c.shadow, timeline.Written); log != state {
			s.r.host.Tell(&witness.ShardDiverged{Shard: s.self, At: s.hw, Holds: state, Log: log})
		}
	}
	s.r.host.Tell(&witness.ShardCommitted{Shard: s.self, Epoch: s.epoch, To: s.hw, State: state})
}
