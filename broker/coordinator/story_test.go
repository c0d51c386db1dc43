package coordinator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/internal/golden"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
)

// TestStories plays testdata/stories/*.txt: coordinators of counters. A line at the
// margin is a command or a comment; indented below it is what happened until a
// millisecond later: events of the ledger, calls of the machine, and answers.
func TestStories(t *testing.T) {
	golden.Stories(t, "testdata/stories/*.txt", tell)
}

type teller struct {
	*stage
	lines []string
}

// tell runs the commands of a story. It begins with "brokers N", and settings may follow
// on the same line: "linger 5ms", "planted BUG".
func tell(t *testing.T, text string) string {
	lines := slices.DeleteFunc(strings.Split(strings.TrimRight(text, "\n"), "\n"), func(line string) bool { return strings.HasPrefix(line, "  ") })
	first := slices.IndexFunc(lines, isCommand)
	require.GreaterOrEqual(t, first, 0, "a story begins with: brokers N")
	head := strings.Fields(lines[first])
	var bugs *planted.Set
	linger := time.Duration(-1)
	for i := 2; i+1 < len(head); i += 2 {
		switch head[i] {
		case "planted":
			bugs = planted.Plant(planted.Bug(head[i+1]))
		case "linger":
			linger = duration(t, head[i+1])
		}
	}
	s := newStage(t, sim.Config{Seed: 1, Steady: true, InOrder: true, Lucky: true}, bugs)
	s.cfg.Linger = linger
	x := &teller{stage: s}
	s.happened = func(text string) { x.lines = append(x.lines, text) }
	s.entry = func(e *ledger.Entry) {
		if strings.HasPrefix(e.Host, "broker") && strings.HasPrefix(e.Event.Kind().Name, "shard-") || e.Event.Kind().Name == "record-set-aside" {
			x.lines = append(x.lines, e.Host+" "+e.Event.Sentence())
		}
	}
	var out strings.Builder
	out.WriteString(strings.Join(lines[:first+1], "\n") + "\n")
	s.play(func() {
		n, err := strconv.Atoi(head[1])
		require.NoError(t, err)
		for id := range n {
			s.start(kafka.NodeID(id + 1))
		}
		for _, line := range lines[first+1:] {
			if isCommand(line) {
				x.do(strings.Fields(line))
				s.h.Sleep(time.Millisecond)
			}
			out.WriteString(line + "\n")
			for _, happened := range x.lines {
				out.WriteString("  " + happened + "\n")
			}
			x.lines = nil
		}
	})
	return out.String()
}

func isCommand(line string) bool { return line != "" && !strings.HasPrefix(line, "#") }

func duration(t testing.TB, text string) time.Duration {
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	return d
}

func (x *teller) number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(x.t, err, text)
	return n
}

func (x *teller) do(words []string) {
	arg := func(i int) string {
		require.Greater(x.t, len(words), i, "%v", words)
		return words[i]
	}
	switch words[0] {
	case "lead": // BROKER
		x.lead(kafka.NodeID(x.number(arg(1))))
	case "tell": // BROKER leads|follows EPOCH: what the broker hears, true or not
		x.runtimes[kafka.NodeID(x.number(arg(1)))].RoleChanged(shard0, kafka.LeaderEpoch(x.number(arg(3))), arg(2) == "leads")
	case "add": // NAME N [NAME N ...]: each is an event of its own, all at once
		for i := 1; i+1 < len(words); i += 2 {
			x.add(words[i], x.number(words[i+1]))
		}
	case "see": // NAME: an event that writes nothing
		x.see(arg(1))
	case "get": // NAME: what is committed
		x.get(arg(1))
	case "many": // N [divisible]: one event of so many records
		x.many(int(x.number(arg(1))), len(words) > 2)
	case "park":
		x.park()
	case "timer": // NAME AFTER [RETRY]: adds 1
		x.timer(words)
	case "txn": // PRODUCER NAME N
		x.txn(Producer{kafka.ProducerID(x.number(arg(1))), 0}, arg(2), x.number(arg(3)))
	case "end": // PRODUCER commit|abort
		x.end(Producer{kafka.ProducerID(x.number(arg(1))), 0}, arg(2) == "commit")
	case "hw": // OFFSET
		x.p.commit(kafka.Offset(x.number(arg(1))))
	case "refuse": // ERROR: of the next append
		x.p.refuse = kafkaError(x.t, arg(1))
	case "foreign": // another record comes before the next append
		x.p.foreign = true
	case "slow": // DURATION: of appends and reads
		x.p.slow = duration(x.t, arg(1))
	case "append": // NAME N: a record of another's comes into the log
		x.p.append(numbers(1, number(arg(1), x.number(arg(2)))))
	case "log": // VALUE: appends what a decision never would
		x.p.append(numbers(1, Record{[]byte("a"), []byte(arg(1))}, number("b", 7)))
	case "truncate": // OFFSET
		x.p.truncate(kafka.Offset(x.number(arg(1))))
	case "image":
		x.leader().ImageChanged(&metadata.Changes{})
	case "close": // BROKER
		x.runtimes[kafka.NodeID(x.number(arg(1)))].Close()
	case "wait":
		x.h.Sleep(duration(x.t, arg(1)))
	default:
		require.Fail(x.t, "unknown command", "%v", words)
	}
}

func kafkaError(t testing.TB, name string) error {
	for code := range int16(140) {
		if err := kerr.TypedErrorForCode(code); err != nil && err.Message == name {
			return err
		}
	}
	require.Fail(t, "no such error", name)
	return nil
}

// answers says how an event ended.
func (x *teller) answers(format string, args ...any) func(error) {
	what := fmt.Sprintf(format, args...)
	return func(err error) { x.happened(what + ": " + words(err)) }
}

func (x *teller) add(name string, n int64) {
	var sum int64
	x.leader().Start(0, "add", 5*time.Second, func(m Machine) (d Decision, err error) {
		d, sum = m.(*counter).add(name, n)
		return d, nil
	}, func(err error) { x.answers("add %s %d is %d", name, n, sum)(err) })
}

func (x *teller) see(name string) {
	var value int64
	x.leader().Start(0, "see", 5*time.Second, func(m Machine) (Decision, error) {
		value = m.(*counter).value(timeline.Written, name)
		return Decision{}, nil
	}, func(err error) { x.answers("see %s is %d", name, value)(err) })
}

func (x *teller) get(name string) {
	x.onLeader(func(r *Runtime) {
		var value int64
		err := r.Read(0, func(m Machine) error {
			value = m.(*counter).value(timeline.Committed, name)
			return nil
		})
		x.answers("get %s is %d", name, value)(err)
	})
}

func (x *teller) many(n int, divisible bool) {
	x.leader().Start(0, "many", 5*time.Second, func(Machine) (Decision, error) {
		d := Decision{Divisible: divisible, Appended: x.answers("many %d are appended", n)}
		for i := range n {
			d.Records = append(d.Records, number(fmt.Sprint("m", i), 1))
		}
		return d, nil
	}, x.answers("many %d", n))
}

func (x *teller) park() {
	x.leader().Start(0, "park", 5*time.Second, func(m Machine) (Decision, error) {
		m.(*counter).parked = append(m.(*counter).parked, x.answers("what was parked"))
		return Decision{}, nil
	}, x.answers("park"))
}

func (x *teller) timer(words []string) {
	name, after, retry := words[1], duration(x.t, words[2]), time.Duration(0)
	if len(words) > 3 {
		retry = duration(x.t, words[3])
	}
	x.leader().Start(0, "timer", 5*time.Second, func(m Machine) (Decision, error) {
		c := m.(*counter)
		c.env.Timer(name, after, retry, func() Decision {
			d, sum := c.add(name, 1)
			d.Done = func(err error) { x.answers("timer %s is %d", name, sum)(err) }
			return d
		})
		return Decision{}, nil
	}, func(error) {})
}

func (x *teller) txn(by Producer, name string, n int64) {
	x.onLeader(func(r *Runtime) {
		err := r.WriteTxn(0, "txn", by, 0, 5*time.Second, func(m Machine) (Decision, error) {
			return Decision{Records: []Record{number(name, n)}}, nil
		})
		x.answers("txn %d %s %d", by.ID, name, n)(err)
	})
}

func (x *teller) end(by Producer, commit bool) {
	x.onLeader(func(r *Runtime) {
		x.answers("end %d", by.ID)(r.EndTxn(0, Marker{By: by, Commit: commit}, 5*time.Second))
	})
}
