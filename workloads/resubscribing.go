package workloads

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// Resubscribing is the work of a group of which every other member changes its subscription again and
// again: it reads one topic, then both, then one. The rest read both.
//
// Clients ask: give me a part of what I am subscribed to. Servers owe: nothing of another topic, and
// of each topic that some member is subscribed to everything to one of those.
type Resubscribing struct {
	GroupConsume
	// Also is the topic that some members read at times.
	Also string
	// Every is how long a member keeps its subscription.
	Every time.Duration
}

// Name is how `ktrial list` names it.
func (w Resubscribing) Name() string { return "resubscribing" }

// About is one line for `ktrial list`.
func (w Resubscribing) About() string {
	return "every other member of a group changes again and again which topics it is subscribed to"
}

// UsesTopics are both.
func (w Resubscribing) UsesTopics() []string { return append(w.GroupConsume.UsesTopics(), w.Also) }

// Set changes a parameter, or a client configuration by Kafka's name.
func (w Resubscribing) Set(name, value string) (Workload, error) {
	changed, err := w.GroupConsume.Set(name, value)
	if err != nil {
		return nil, err
	}
	w.GroupConsume = changed.(GroupConsume)
	return w, nil
}

// Clients are those of the group, with producers that send to both topics and an auditor that reads
// both.
func (w Resubscribing) Clients(s *Stage) []Client {
	g := w.group(s)
	g.topics, g.before = w.UsesTopics(), w.resubscribe
	out := slices.DeleteFunc(g.clients(), func(c Client) bool { return c.Role == Writes || c.Host == "auditor" })
	for i := range w.Input.Producers {
		p := &producing{w: w.Input, s: s, name: fmt.Sprintf("p%d", i+1)}
		out = append(out, Client{Host: fmt.Sprintf("producer-%d", i+1), Role: Writes, Main: w.producer(p)})
	}
	audit := &auditing{w: w.Input, s: s, topics: w.UsesTopics()}
	return append(out, Client{Host: "auditor", Role: Reads, Main: audit.main})
}

// producer sends to both topics in turn.
func (w Resubscribing) producer(p *producing) func(env.Host) {
	topics := w.UsesTopics()
	return func(h env.Host) {
		p.live(h, func(writer *Writer, session int, seq int64) {
			to := kafka.TopicPartition{Topic: topics[seq%int64(len(topics))]}
			to.Partition = int32(h.Rand().IntN(int(p.s.Topics[to.Topic])))
			writer.Send(to, Numbered{to, p.name, session, seq}.String(), p.w.Size, nil)
		})
	}
}

// resubscribe has a member change its subscription when it is time. When nothing more is sent all read
// both topics.
func (w Resubscribing) resubscribe(p *processing) {
	s := p.g.s
	topics := w.UsesTopics()
	if turn := int64(s.Now()/w.Every) + int64(p.number/2); p.number%2 == 1 && turn%2 == 1 && !s.Draining() {
		topics = w.GroupConsume.UsesTopics()
	}
	if err := p.member.SubscribeTo(topics...); err != nil {
		s.CountFailure(history.Subscribe, err)
	}
}
