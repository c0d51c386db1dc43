package workloads

import (
	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// groupAudit asks again and again what a group has committed, and at last when all is
// read.
type groupAudit struct {
	s      *Stage
	group  string
	topics []string
	done   func() bool
}

func (g *groupAudit) main(h env.Host) {
	g.s.AwaitWork(h)
	cfg := checked(client.ReadConsumer(map[string]string{
		"group.id": g.group, "enable.auto.commit": "false", "default.api.timeout.ms": "5000",
	}))
	consumer, err := client.New(h, g.s.Bootstrap, h.Name()).NewConsumer(cfg)
	if err != nil {
		panic("workloads: group auditor: " + err.Error())
	}
	process := g.s.NewProcess()
	for last := false; !last; h.Sleep(askEvery) {
		last = g.done()
		if !g.ask(h, consumer, process) {
			process, last = g.s.NewProcess(), false
		}
	}
	consumer.Close()
}

// ask asks once; false if nothing was learned.
func (g *groupAudit) ask(h env.Host, consumer *client.Consumer, process int64) bool {
	var partitions []kafka.TopicPartition
	e := history.Event{Process: process, Client: h.Name(), F: history.Committed, Group: g.group, Time: g.s.Now()}
	for _, topic := range g.topics {
		for p := range g.s.Topics[topic] {
			tp := kafka.TopicPartition{Topic: topic, Partition: p}
			partitions = append(partitions, tp)
			e.Mops = append(e.Mops, history.Mop{Kind: history.MopCommitted, Key: g.s.Key(tp)})
		}
	}
	g.s.Recorder.Invoke(e)
	committed, err := consumer.Committed(partitions...)
	e.Time, e.Type = g.s.Now(), history.OK
	if err != nil {
		e.Type, e.Error = history.Failed, err.Error()
		g.s.CountFailure(history.Committed, err)
	}
	e.Mops = nil
	for _, tp := range partitions {
		if err != nil {
			break
		}
		m := history.Mop{Kind: history.MopCommitted, Key: g.s.Key(tp), Offset: history.At(history.NoOffset)}
		if at, ok := committed[tp]; ok {
			m.Offset = history.At(int64(at.Offset))
		}
		e.Mops = append(e.Mops, m)
	}
	g.s.Recorder.Complete(e)
	return err == nil
}
