package workloads

import (
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

// consuming reads all partitions, over all lives of its process.
type consuming struct {
	w ProduceConsume
	s *Stage
}

// main is one life of the consumer's process. It reads from the beginning: a
// consumer without a group remembers nothing.
func (c *consuming) main(h env.Host) {
	c.s.AwaitWork(h)
	r := c.w.reader(c.s, h)
	r.ReadUntil(func() bool { return c.s.Draining() && r.Reached(c.s.Ends()) })
	r.Close()
}

// auditing reads everything once more when nothing is written any longer.
type auditing struct {
	w      ProduceConsume
	s      *Stage
	topics []string // nil: that of w
}

func (a *auditing) main(h env.Host) {
	for !a.s.Draining() {
		h.Sleep(time.Second)
	}
	topics := a.topics
	if topics == nil {
		topics = a.w.UsesTopics()
	}
	r := a.w.readerOf(a.s, h, topics)
	r.ReadUntil(func() bool { return r.Reached(a.s.Ends()) })
	r.noteReached(a.s.Ends())
	r.Close()
}

func (w ProduceConsume) reader(s *Stage, h env.Host) *Reader { return w.readerOf(s, h, w.UsesTopics()) }

func (w ProduceConsume) readerOf(s *Stage, h env.Host, topics []string) *Reader {
	r, err := s.NewReader(h, w.consumerConfig(), topics...)
	if err != nil {
		panic("workloads: consumer: " + err.Error())
	}
	return r
}
