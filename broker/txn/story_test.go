package txn

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/internal/golden"
)

// TestStories plays testdata/stories/*.txt. A line at the margin is a command or a
// comment; indented below it is what was written (+), answered (>), told (.), and which
// markers are on their way (!).
//
// A client is named by its transactional id. It uses the producer id and epoch that it was given
// last, unless p= and e= say otherwise, and acts by transaction.version 2, unless v=1
// does.
func TestStories(t *testing.T) {
	golden.Stories(t, "testdata/stories/*.txt", func(_ *testing.T, text string) string { return play(text) })
}

func play(text string) string {
	st := newStory(nil)
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cmd := parse(line)
		if cmd.name == "shard" {
			st = newStory(nil)
			if bug, ok := cmd.opts["plant"]; ok {
				st = newStory(planted.Plant(planted.Bug(bug)))
			}
			continue
		}
		st.play(cmd)
		for _, s := range st.takeSaid() {
			fmt.Fprintf(&out, "  %s\n", s)
		}
	}
	return out.String()
}

// command is a line of a story: a name, words, and options.
type command struct {
	name  string
	words []string
	opts  map[string]string
}

func parse(line string) command {
	fields := strings.Fields(line)
	c := command{name: fields[0], opts: map[string]string{}}
	for _, f := range fields[1:] {
		if key, value, ok := strings.Cut(f, "="); ok {
			c.opts[key] = value
			continue
		}
		c.words = append(c.words, f)
	}
	return c
}

func (c *command) number(name string, otherwise int64) int64 {
	text, ok := c.opts[name]
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	must(err)
	return n
}

// partitions are the words after the first, as t/0.
func (c *command) partitions() (out []kafka.TopicPartition) {
	for _, w := range c.words[1:] {
		topic, n, _ := strings.Cut(w, "/")
		partition, err := strconv.Atoi(n)
		must(err)
		out = append(out, kafka.TopicPartition{Topic: topic, Partition: int32(partition)})
	}
	return out
}

// story is a shard, and the clients of a story.
type story struct {
	*shard
	has    map[string]coordinator.Producer // what each client was given last
	seen   int                             // records of the log that were told
	events int
	said   []string
	sent   []string // the markers on their way when they were told last
}

func newStory(bugs *planted.Set) *story {
	s := newShard()
	s.bugs = bugs
	return &story{shard: s, has: map[string]coordinator.Producer{}}
}

func (st *story) say(format string, args ...any) {
	st.said = append(st.said, fmt.Sprintf(format, args...))
}

// by is what a client uses, that of a request.
func (st *story) by(c command) coordinator.Producer {
	has, ok := st.has[c.words[0]]
	if !ok {
		has = coordinator.NoProducer
	}
	return coordinator.Producer{ID: kafka.ProducerID(c.number("p", int64(has.ID))), Epoch: kafka.ProducerEpoch(c.number("e", int64(has.Epoch)))}
}

func (st *story) play(c command) {
	switch c.name {
	case "init":
		st.init(c)
	case "add":
		d, err := st.m.AddPartitions(c.words[0], st.by(c), c.partitions(), st.clientVersion(c))
		st.answer(d, err, func(err error) { st.say("> %s: %s", c.words[0], code(err)) })
	case "verify":
		st.verify(c)
	case "commit", "abort":
		st.end(c)
	case "marked": // all partitions of a client have their marker
		i := slices.IndexFunc(st.markers, func(x sending) bool { return x.ID == c.words[0] })
		st.written(i)
		st.after(0)
	case "describe":
		d := st.m.Describe(c.words[0])
		var topics []string
		for _, t := range d.Topics {
			topics = append(topics, fmt.Sprintf("%s%v", t.Topic, t.Partitions))
		}
		st.say("> %s", strings.TrimSpace(fmt.Sprintf("%s: %s %s %s", c.words[0], code(kerr.ErrorForCode(d.ErrorCode)), d.State, strings.Join(topics, " "))))
	case "list":
		for _, x := range st.m.List(Filter{MinDuration: -1}) {
			st.say("> %s: %s", x.TransactionalID, x.TransactionState)
		}
	default:
		st.world(c)
	}
}

// world plays what clients have no part in.
func (st *story) world(c command) {
	switch c.name {
	case "hold":
		st.held = true
	case "release":
		st.held = false
		st.shard.commit()
		st.after(0)
	case "refuse":
		st.fail = errorNamed(c.words[0])
	case "reload":
		st.load()
	case "lose": // the next coordinator does not have what was not committed
		st.log = st.log[:st.hw]
		st.seen = min(st.seen, len(st.log))
		st.load()
	case "after":
		d, err := time.ParseDuration(c.words[0])
		must(err)
		st.after(d)
	case "version":
		level, err := strconv.Atoi(c.words[0])
		must(err)
		st.setVersion(int16(level))
	case "no-producer-ids":
		st.next = -1
	case "at": // the client's id is at an epoch from now on
		st.jump(c)
	default:
		panic("no such command: " + c.name)
	}
}

func (st *story) clientVersion(c command) int16 {
	if c.number("v", 2) < 2 {
		return 0
	}
	return 2
}

func (st *story) init(c command) {
	expected := coordinator.Producer{ID: kafka.ProducerID(c.number("p", -1)), Epoch: kafka.ProducerEpoch(c.number("e", -1))}
	if expected.ID == kafka.NoProducer && expected.Epoch != kafka.NoEpoch {
		expected.ID = st.has[c.words[0]].ID
	}
	d, by, err := st.m.InitProducerID(c.words[0], int32(c.number("timeout", 60_000)), expected)
	st.answer(d, err, func(err error) {
		if err == nil && by == coordinator.NoProducer {
			err = kerr.ConcurrentTransactions
		}
		if err == nil {
			st.has[c.words[0]] = by
			st.say("> %s: producer %d, epoch %d", c.words[0], by.ID, by.Epoch)
			return
		}
		st.say("> %s: %s", c.words[0], code(err))
	})
}

func (st *story) verify(c command) {
	errs, err := st.m.Verify(c.words[0], st.by(c), c.partitions())
	if err != nil {
		st.say("> %s: %s", c.words[0], code(err))
		return
	}
	for _, tp := range c.partitions() {
		st.say("> %s: %v %s", c.words[0], tp, code(errs[tp]))
	}
}

func (st *story) end(c command) {
	d, by, err := st.m.EndTxn(c.words[0], st.by(c), c.name == "commit", st.clientVersion(c))
	st.answer(d, err, func(err error) {
		if err == nil && st.clientVersion(c) >= 2 {
			st.has[c.words[0]] = by
			st.say("> %s: producer %d, epoch %d", c.words[0], by.ID, by.Epoch)
			return
		}
		st.say("> %s: %s", c.words[0], code(err))
	})
	st.after(0)
}

// jump writes a record of the client's id with another epoch, as many transactions would.
func (st *story) jump(c command) {
	t, _ := st.m.find(c.words[0])
	to := t.Transaction
	to.Epoch = kafka.ProducerEpoch(c.number("e", 0))
	d, err := st.m.transition(c.words[0], to, kafka.NoEpoch)
	must(err)
	st.run(d)
	st.has[c.words[0]] = to.producer()
}

func errorNamed(name string) *kerr.Error {
	for n := int16(1); n < 140; n++ {
		if e := kerr.TypedErrorForCode(n); e != nil && e.Message == name {
			return e
		}
	}
	panic("no such error: " + name)
}

func code(err error) string {
	if err == nil {
		return "NONE"
	}
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Message
	}
	return err.Error()
}

// takeSaid is what was written, answered and told by the last command, and the markers that
// are on their way if they are others than before.
func (st *story) takeSaid() []string {
	var out []string
	for ; st.seen < len(st.log); st.seen++ {
		out = append(out, "+ "+describe(st.log[st.seen]))
	}
	st.seen = len(st.log)
	out = append(out, st.said...)
	st.said = nil
	for _, e := range st.told[st.events:] {
		switch e.(type) {
		case *witness.MarkerQueued, *witness.TxnState:
		default:
			out = append(out, ". "+e.Sentence())
		}
	}
	st.events = len(st.told)
	var sent []string
	for _, x := range st.markers {
		sent = append(sent, fmt.Sprintf("! %s: %s to %v, producer %d, epoch %d, coordinator epoch %d, version %d",
			x.ID, map[bool]string{true: "commit", false: "abort"}[x.Commit], x.partitions, x.By.ID, x.By.Epoch, x.CoordinatorEpoch, x.Version))
	}
	if !slices.Equal(sent, st.sent) {
		out = append(out, sent...)
	}
	st.sent = sent
	return out
}

// describe is a record in words.
func describe(rec coordinator.Record) string {
	id, t, err := decode(rec)
	must(err)
	if t == nil {
		return *id + " is forgotten"
	}
	s := fmt.Sprintf("%s is %v, producer %d, epoch %d", *id, t.State, t.ProducerID, t.Epoch)
	if t.Previous != t.ProducerID {
		s += fmt.Sprintf(", before %d", t.Previous)
	}
	if t.Next >= 0 {
		s += fmt.Sprintf(", next %d", t.Next)
	}
	if len(t.Partitions) > 0 {
		s += fmt.Sprintf(", %v", t.Partitions)
	}
	return s
}
