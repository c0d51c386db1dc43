package workloads

import (
	"strings"
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
}

// main is one life of the producer's process.
func (p *producing) main(h env.Host) {
	p.s.waitBegin(h)
	if p.until == 0 {
		p.until = p.s.Now() + p.w.Lasts()
	}
	session := p.session
	p.session++
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
	p.s.finished(h.Name())
}

func (p *producing) pace() time.Duration {
	if p.w.Rate == 0 {
		return time.Second / 50
	}
	return time.Second / time.Duration(p.w.Rate)
}

// send sends one record and records what becomes of it.
func (p *producing) send(h env.Host, producer *client.Producer, v Value) {
	text := v.String()
	process := p.takeProcess()
	e := history.Event{
		Process: process, Client: h.Name(), F: history.Send, Time: p.s.Now(),
		Mops: []history.Mop{{
			Kind: history.MopSend, Key: history.Partition(v.Partition.Topic, v.Partition.Partition),
			Value: history.Text(text), Offset: history.NoOffset,
		}},
	}
	p.s.Recorder.Invoke(e)
	body := text
	if short := p.w.Size - len(text); short > 0 {
		body += strings.Repeat(".", short)
	}
	err := producer.Send(client.ProducerRecord{
		Topic: v.Partition.Topic, Partition: client.To(v.Partition.Partition), Value: []byte(body),
	}, func(d client.Delivery) { p.delivered(e, d) })
	if err != nil {
		p.delivered(e, client.Delivery{Outcome: client.Failed, Err: err, Offset: kafka.NoOffset})
	}
}

// delivered records the end of a send.
func (p *producing) delivered(e history.Event, d client.Delivery) {
	e.Time = p.s.Now()
	e.Mops = []history.Mop{e.Mops[0]}
	switch d.Outcome {
	case client.Acknowledged:
		e.Type = history.OK
		e.Mops[0].Offset = int64(d.Offset)
	case client.Failed:
		e.Type = history.Failed
	case client.Unknown:
		e.Type = history.Unknown
	}
	if d.Err != nil {
		e.Error = d.Err.Error()
	}
	p.s.Recorder.Complete(e)
	if e.Type != history.Unknown {
		p.free = append(p.free, e.Process)
	}
}

func (p *producing) takeProcess() int64 {
	if n := len(p.free); n > 0 {
		process := p.free[n-1]
		p.free = p.free[:n-1]
		return process
	}
	return p.s.newProcess()
}
