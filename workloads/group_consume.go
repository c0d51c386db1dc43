package workloads

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/sim/env"
)

// GroupConsume has the members of a consumer group process what producers send.
//
// Clients ask: give each of us a part, and of each part what comes after what was
// committed. Servers owe: a partition has one owner in a generation, what was
// committed is where the next owner begins, and below it nothing was left out.
type GroupConsume struct {
	// Input is what is sent, and which clients read it beside the group.
	Input ProduceConsume
	Group string
	// Members are there from the beginning; Late more join at a third of the work.
	Members, Late int
	// Static members have a group.instance.id (KIP-345).
	Static bool
	// Classic are further settings of members in the classic protocol; in the other the
	// brokers have what is like them (group.consumer.session.timeout.ms).
	Classic map[string]string
	// Own are further settings of members in either protocol.
	Own map[string]string
	// Commit says when offsets are committed; empty: after processing.
	Commit CommitWhen
	// Work is how long a record takes to be processed.
	Work time.Duration
	// SlowMember, if set, is how long a record takes the first member.
	SlowMember time.Duration
}

// CommitWhen says when a member commits what it was given.
type CommitWhen string

// The times.
const (
	// Auto: the client does, every auto.commit.interval.ms.
	Auto CommitWhen = "auto"
	// AfterProcessing: when all that one poll returned is processed: at least once.
	AfterProcessing CommitWhen = "after-processing"
	// BeforeProcessing: at most once.
	BeforeProcessing CommitWhen = "before-processing"
	// PerRecord: after each record.
	PerRecord CommitWhen = "per-record"
)

var commitTimes = []string{string(Auto), string(AfterProcessing), string(BeforeProcessing), string(PerRecord)}

// Name is how `ktrial list` names it.
func (w GroupConsume) Name() string { return "group-consume" }

// About is one line for `ktrial list`.
func (w GroupConsume) About() string {
	return "the members of a consumer group process what producers send, and commit how far they are"
}

// Lasts is how long the producers send.
func (w GroupConsume) Lasts() time.Duration { return w.Input.Lasts() }

// UsesTopics are those of the input.
func (w GroupConsume) UsesTopics() []string { return w.Input.UsesTopics() }

var groupParameters = []string{"members", "late", "static", "commit", "work"}

// Set changes a parameter, or a client configuration by Kafka's name.
func (w GroupConsume) Set(name, value string) (Workload, error) {
	var err error
	switch name {
	case "members":
		w.Members, err = number(value, 1)
	case "late":
		w.Late, err = number(value, 0)
	case "static":
		if w.Static, err = strconv.ParseBool(value); err != nil {
			err = fmt.Errorf("true or false")
		}
	case "commit":
		if !slices.Contains(commitTimes, value) {
			return nil, nearest.Unknown("commit", value, commitTimes)
		}
		w.Commit = CommitWhen(value)
	case "work":
		w.Work, err = duration(value)
	default:
		var err error
		if w.Input, err = setWithin(w.Input, name, value, w.Names()); err != nil {
			return nil, err
		}
		return w, nil
	}
	if err != nil {
		return nil, fmt.Errorf("parameter %s: found %q, expected %w", name, value, err)
	}
	return w, nil
}

// Names are all that Set knows.
func (w GroupConsume) Names() []string { return slices.Concat(groupParameters, w.Input.Names()) }

// Check refuses what the clients would refuse, in Kafka's words.
func (w GroupConsume) Check() error {
	if err := w.Input.Check(); err != nil {
		return err
	}
	_, err := client.ReadConsumer(w.given(1))
	return err
}

// given is the configuration of a member, by Kafka's names.
func (w GroupConsume) given(number int) map[string]string {
	out := w.Input.given(config.Consumer)
	out["group.id"] = w.Group
	out["enable.auto.commit"] = strconv.FormatBool(w.Commit == Auto)
	if !strings.EqualFold(out["group.protocol"], "consumer") {
		for name, value := range w.Classic { //det:allow each has its own name
			if _, set := out[name]; !set {
				out[name] = value
			}
		}
	}
	for name, value := range w.Own { //det:allow each has its own name
		if _, set := w.Input.Client[name]; !set {
			out[name] = value
		}
	}
	if w.Static {
		out["group.instance.id"] = fmt.Sprintf("member-%d", number)
	}
	return out
}

// Config says what was configured, by Kafka's names.
func (w GroupConsume) Config() map[string]string {
	out := w.Input.Config()
	for name, value := range w.Own { //det:allow each has its own name
		if _, set := out[name]; !set {
			out[name] = value
		}
	}
	out["subscribe"] = "true"
	out["enable.auto.commit"] = strconv.FormatBool(w.Commit == Auto)
	out["commit"] = string(w.when())
	out["processing"] = "at-least-once"
	if w.when() == BeforeProcessing {
		out["processing"] = "at-most-once"
	}
	return out
}

func (w GroupConsume) when() CommitWhen {
	if w.Commit == "" {
		return AfterProcessing
	}
	return w.Commit
}

// Clients are those of the input, the members, and one that asks what the group has
// committed when all is over.
func (w GroupConsume) Clients(s *Stage) []Client { return w.group(s).clients() }

func (g *group) clients() []Client {
	w := g.w
	out := w.Input.Clients(g.s)
	audit := &groupAudit{s: g.s, group: w.Group, topics: g.topics, done: g.done}
	for i := range w.Members + w.Late {
		m := &processing{g: g, number: i + 1, late: i >= w.Members}
		out = append(out, Client{Host: fmt.Sprintf("member-%d", i+1), Role: Reads, Group: w.Group, Stops: true, Main: m.main})
	}
	return append(out, Client{Host: "group-auditor", Role: Reads, Watches: w.Group, Main: audit.main})
}

// group is one that all clients of the workload know, for a stage.
func (w GroupConsume) group(s *Stage) *group {
	return &group{w: w, s: s, topics: w.UsesTopics(), reached: map[kafka.TopicPartition]kafka.Offset{}}
}

// group is what all members know of each other. No real member does: it is how the
// trial knows that all is read.
type group struct {
	w      GroupConsume
	s      *Stage
	topics []string // that it reads
	// before, if set, is called before each poll of a member.
	before func(*processing)
	// stage, if set, is where a new member is recorded.
	stage func() *Stage
	// life, if set, is the work as the next life of a member has it.
	life    func(number int) GroupConsume
	reached map[kafka.TopicPartition]kafka.Offset // the end of what was given to members
}

// done reports whether everything was given to a member.
func (g *group) done() bool {
	if !g.s.Draining() {
		return false
	}
	for tp, end := range g.s.Ends() { //det:allow all must be reached
		if g.reached[tp] < end {
			return false
		}
	}
	return true
}

// processing is one member over all lives of its process.
type processing struct {
	g      *group
	number int
	late   bool
	member *Member
}

// main is one life of the member's process.
func (p *processing) main(h env.Host) {
	g := p.g
	g.s.AwaitWork(h)
	if p.late {
		h.Sleep(g.w.Lasts() / 3)
	}
	for wait := restartAfter; ; wait = min(2*wait, restartAtMost) {
		begun := g.s.Now()
		p.live(h, func() bool { return p.member.Fenced() })
		if !p.member.Fenced() || g.done() || g.s.Stopping(h.Name()) {
			return
		}
		h.Reached(ProbeRefusedForGood)
		if g.s.Now() > begun+restartAtMost {
			wait = restartAfter // it has worked meanwhile
		}
		h.Sleep(wait)
	}
}

// A service whose consumer is refused for good ends, and what supervises it starts it again: after
// a second, and after twice as long each time that this comes to nothing. FENCED_INSTANCE_ID and
// UNRELEASED_INSTANCE_ID are such refusals. A static KIP-848 member that was killed is told the second
// until the session of its life before has ended (ConsumerGroupHeartbeat with epoch 0, KIP-848).
const (
	restartAfter  = time.Second
	restartAtMost = 10 * time.Second
)

// live is the member from when it joins until all is read, it is asked to stop, or ends
// says so.
func (p *processing) live(h env.Host, ends func() bool) {
	g := p.g
	w := g.w
	if g.life != nil {
		w = g.life(p.number)
	}
	s := g.s
	if g.stage != nil {
		s = g.stage()
	}
	m, err := s.NewMember(h, checked(client.ReadConsumer(w.given(p.number))), g.topics...)
	if err != nil {
		panic("workloads: member: " + err.Error())
	}
	p.member = m
	for !ends() && !g.done() && !g.s.Stopping(h.Name()) {
		begun := g.s.Now()
		if g.before != nil {
			g.before(p)
		}
		records := m.Poll()
		p.process(h, records)
		switch {
		case g.s.Now() > begun:
		case len(records) > 0:
			h.Sleep(handing) // what was fetched is handed out at once
		default:
			h.Sleep(pollTimeout) // a poll that fails at once
		}
		p.countReached()
	}
	m.Close(closing)
}

// handing is how long an application takes at least for what a poll gives it.
const handing = time.Millisecond

// closing is how long a member may take to leave.
const closing = 10 * time.Second

// process processes records, and commits them when it is time.
func (p *processing) process(h env.Host, records []client.ConsumerRecord) {
	if len(records) == 0 {
		return
	}
	when, m := p.g.w.when(), p.member
	if when == BeforeProcessing {
		m.Commit(ends(records))
	}
	if work := p.work(); work == 0 && when != PerRecord {
		m.Process(records, func() {})
	} else {
		for i := range records {
			one := records[i : i+1]
			m.Process(one, func() { h.Sleep(work) })
			if when == PerRecord {
				m.Commit(ends(one))
			}
		}
	}
	if when == AfterProcessing {
		m.Commit(ends(records))
	}
}

// work is how long a record takes.
func (p *processing) work() time.Duration {
	if p.number == 1 && p.g.w.SlowMember > 0 {
		return p.g.w.SlowMember
	}
	return p.g.w.Work
}

// ends is the offset behind the last record of each partition.
func ends(records []client.ConsumerRecord) map[kafka.TopicPartition]client.Position {
	out := map[kafka.TopicPartition]client.Position{}
	for i := range records {
		out[records[i].Partition] = client.Position{Offset: records[i].Offset + 1, Epoch: records[i].LeaderEpoch}
	}
	return out
}

// countReached has the others know how far this member is. Its own position counts
// too: there may be nothing to read just below an end.
func (p *processing) countReached() {
	g := p.g
	for tp, next := range p.member.Next() { //det:allow the largest of each
		g.reached[tp] = max(g.reached[tp], next)
	}
	if !g.s.Draining() {
		return
	}
	for _, tp := range slices.Clone(p.member.Owned()) {
		if g.reached[tp] < g.s.Ends()[tp] {
			if at, err := p.member.consumer.Position(tp); err == nil {
				g.reached[tp] = max(g.reached[tp], at.Offset)
			}
		}
	}
}
