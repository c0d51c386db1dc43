package workloads

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// producing is one producer over all lives of its process.
type producing struct {
	w       ProduceConsume
	s       *Stage
	name    string
	session int
	until   time.Duration // of the world's time; set when the work begins

	// free are the processes of the history that have nothing under way. Sends
	// overlap, but a process does one thing at a time, so each send takes one.
	// A process whose send ended unknown is not used again.
	free []int64
	mop  [1]history.Mop // of the event being recorded
	life string         // the session's name in the history
}

// main is one life of the producer's process.
func (p *producing) main(h env.Host) {
	p.s.AwaitWork(h)
	if p.until == 0 {
		p.until = p.s.Now() + p.w.Lasts()
	}
	session := p.session
	p.session++
	p.life = fmt.Sprintf("%s-%d", p.name, session)
	p.free = nil // what the last life had under way stays open in the history
	producer, err := client.New(h, p.s.Bootstrap, h.Name()).NewProducer(p.w.producerConfig())
	if err != nil {
		panic("workloads: producer: " + err.Error())
	}
	pace := p.pace()
	for seq := int64(0); p.s.Now() < p.until; seq++ {
		to := int32(h.Rand().IntN(int(p.s.Topics[p.w.Topic])))
		p.send(h, producer, Value{kafka.TopicPartition{Topic: p.w.Topic, Partition: to}, p.name, session, seq})
		h.Sleep(pace/2 + time.Duration(h.Rand().Int64N(int64(pace))))
	}
	producer.Flush()
	producer.Close(env.Forever)
}

func (p *producing) pace() time.Duration {
	if p.w.Rate == 0 {
		return time.Second / 50
	}
	return time.Second / time.Duration(p.w.Rate)
}

// sent is a record on its way.
type sent struct {
	p       *producing
	session string
	process int64
	client  string
	key     history.Value
	value   history.Value
}

// send sends one record and records what becomes of it.
func (p *producing) send(h env.Host, producer *client.Producer, v Value) {
	text := v.String()
	r := &sent{p, p.life, p.takeProcess(), h.Name(), p.s.Key(v.Partition), history.Text(text)}
	p.s.Recorder.Invoke(r.event(history.Invoke, kafka.NoOffset))
	body := make([]byte, max(len(text), p.w.Size))
	for i := copy(body, text); i < len(body); i++ {
		body[i] = '.'
	}
	record := client.ProducerRecord{Topic: v.Partition.Topic, Partition: client.To(v.Partition.Partition), Value: body}
	if err := producer.Send(record, r.delivered); err != nil {
		r.delivered(client.Delivery{Outcome: client.Failed, Err: err, Offset: kafka.NoOffset})
	}
}

func (r *sent) event(as history.Type, offset kafka.Offset) history.Event {
	r.p.mop[0] = history.Mop{Kind: history.MopSend, Key: r.key, Value: r.value, Offset: int64(offset)}
	return history.Event{Type: as, Process: r.process, Client: r.client, Session: r.session, F: history.Send, Time: r.p.s.Now(), Mops: r.p.mop[:]}
}

// delivered records the end of a send.
func (r *sent) delivered(d client.Delivery) {
	as, offset := history.Failed, kafka.NoOffset
	switch d.Outcome {
	case client.Acknowledged:
		as, offset = history.OK, d.Offset
	case client.Unknown:
		as = history.Unknown
	}
	e := r.event(as, offset)
	if d.Err != nil {
		e.Error = d.Err.Error()
	}
	r.p.s.Recorder.Complete(e)
	if as != history.Unknown {
		r.p.free = append(r.p.free, r.process)
	}
}

func (p *producing) takeProcess() int64 {
	if n := len(p.free); n > 0 {
		process := p.free[n-1]
		p.free = p.free[:n-1]
		return process
	}
	return p.s.NewProcess()
}
