package workloads

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// producing is one producer over all lives of its process.
type producing struct {
	w       ProduceConsume
	s       *Stage
	name    string
	session int           // of the next life
	until   time.Duration // of the world's time; set when the work begins
}

// main is one life of the producer's process. What the life before had under
// way stays open in the history.
func (p *producing) main(h env.Host) {
	p.live(h, func(w *Writer, session int, seq int64) {
		to := p.draw(h)
		w.Send(to, Numbered{to, p.name, session, seq}.String(), p.w.Size, nil)
	})
}

// draw is one of the partitions that there are now, for each record: nothing is made of them.
func (p *producing) draw(h env.Host) kafka.TopicPartition {
	n := p.s.Topics[p.w.Topic]
	for _, topic := range p.w.Also {
		n += p.s.Topics[topic]
	}
	to := kafka.TopicPartition{Topic: p.w.Topic, Partition: int32(h.Rand().IntN(int(n)))}
	for _, next := range p.w.Also {
		if to.Partition < p.s.Topics[to.Topic] {
			break
		}
		to.Partition -= p.s.Topics[to.Topic]
		to.Topic = next
	}
	return to
}

// live sends at a steady pace until the work is over; send sends one record.
func (p *producing) live(h env.Host, send func(w *Writer, session int, seq int64)) {
	p.s.AwaitWork(h)
	if p.until == 0 {
		p.until = p.s.Now() + p.w.Lasts()
	}
	session := p.session
	p.session++
	w, err := p.s.NewWriter(h, fmt.Sprintf("%s-%d", p.name, session), p.w.producerConfig())
	if err != nil {
		panic("workloads: producer: " + err.Error())
	}
	pace := p.pace()
	for seq := int64(0); p.s.Now() < p.until; seq++ {
		send(w, session, seq)
		h.Sleep(pace/2 + time.Duration(h.Rand().Int64N(int64(pace))))
	}
	w.Close()
}

func (p *producing) pace() time.Duration {
	if p.w.Rate == 0 {
		return time.Second / 50
	}
	return time.Second / time.Duration(p.w.Rate)
}
