package workloads

import (
	"bytes"
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// Seasons is the work of a group whose topic is deleted and made again under it. In the first season
// producers send, and the members process and commit; then the topic goes. When there is another one
// of its name, the second season begins.
//
// Clients ask: forget the first topic. Servers owe: what was committed of it is not committed of the
// second, which is read from its start.
//
// The history is that of the second season: it begins when the first topic is gone. What is in it of
// the first is a bug.
type Seasons struct {
	GroupConsume
	// First is how long the producers send in the first season.
	First time.Duration
}

// Name is how `ktrial list` names it.
func (w Seasons) Name() string { return "seasons" }

// About is one line for `ktrial list`.
func (w Seasons) About() string {
	return "a group processes a topic that is deleted and made again; the history is that of the second one"
}

// Set changes a parameter, or a client configuration by Kafka's name.
func (w Seasons) Set(name, value string) (Workload, error) {
	changed, err := w.GroupConsume.Set(name, value)
	if err != nil {
		return nil, err
	}
	w.GroupConsume = changed.(GroupConsume)
	return w, nil
}

// ofFirst begins what is sent in the first season.
const ofFirst = "first-"

// Clients are those of the group. Ends and committed offsets are asked for in the second season only.
func (w Seasons) Clients(s *Stage) []Client {
	x := &seasons{w: w, s: s, g: w.group(s)}
	x.g.stage, x.g.before = x.stage, x.turn
	out := x.g.clients()
	for i := range out {
		switch out[i].Host {
		case "asker", "group-auditor":
			out[i].Main = x.second(out[i].Main)
		}
	}
	for i := range w.Input.Producers {
		p := &producing{w: w.Input, s: s, name: fmt.Sprintf("p%d", i+1)}
		out[i].Main = x.producer(p)
	}
	return out
}

type seasons struct {
	w     Seasons
	s     *Stage
	g     *group
	first *Stage // where the first season is recorded; it is not judged
	begun time.Duration
}

// stage is where the season of now is recorded.
func (x *seasons) stage() *Stage {
	if x.s.IsGone(x.w.Input.Topic) {
		return x.s
	}
	if x.first == nil {
		first := *x.s
		first.Recorder = history.NewRecorder()
		x.first, x.begun = &first, x.s.Now()
	}
	return x.first
}

// turn has a member go on in the second season. How far the group was in the first is forgotten, and
// what it still has of it is not processed.
func (x *seasons) turn(p *processing) {
	m := p.member
	if m.s == x.stage() {
		return
	}
	clear(x.g.reached)
	clear(m.next)
	//text:allow a value that this workload has sent
	m.s, m.forgets = x.s, func(r *client.ConsumerRecord) bool { return bytes.HasPrefix(r.Value, []byte(ofFirst)) }
	m.goOnAsAnother()
}

// producer sends in the first season, and again from when the second topic is there.
func (x *seasons) producer(p *producing) func(env.Host) {
	return func(h env.Host) {
		p.s.AwaitWork(h)
		if s := x.stage(); s != x.s {
			x.sendFirst(h, s, p)
		}
		for !x.s.WasMade(p.w.Topic) {
			h.Sleep(pollTimeout)
		}
		p.until = x.begun + p.w.Lasts()
		p.main(h)
	}
}

func (x *seasons) sendFirst(h env.Host, s *Stage, p *producing) {
	w, err := s.NewWriter(h, p.name, p.w.producerConfig())
	if err != nil {
		panic("workloads: producer: " + err.Error())
	}
	pace := p.pace()
	for seq := int64(0); s.Now() < x.begun+x.w.First; seq++ {
		to := kafka.TopicPartition{Topic: p.w.Topic, Partition: int32(h.Rand().IntN(int(s.Topics[p.w.Topic])))}
		w.Send(to, Numbered{to, ofFirst + p.name, 0, seq}.String(), p.w.Size, nil)
		h.Sleep(pace/2 + time.Duration(h.Rand().Int64N(int64(pace))))
	}
	w.Close()
}

// second is a client that begins with the second season.
func (x *seasons) second(main func(env.Host)) func(env.Host) {
	return func(h env.Host) {
		x.s.AwaitWork(h)
		for !x.s.WasMade(x.w.Input.Topic) {
			h.Sleep(pollTimeout)
		}
		main(h)
	}
}
