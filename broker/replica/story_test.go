package replica

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/internal/golden"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	simnet "github.com/ktrial/ktrial/sim/network"
)

// TestStories plays testdata/stories/*.txt. A line at the margin is a command or a
// comment; indented below it is what the replicas of orders/0 did until it was over,
// in the words of the ledger, and the laws that broke.
func TestStories(t *testing.T) {
	golden.Stories(t, "testdata/stories/*.txt", tell)
}

// player plays a story line by line, in a network that takes exactly a millisecond.
type player struct {
	*stage
	began time.Duration
	lines []string // what has happened since the last command
}

// tell runs the commands of a story and fills in what comes of them. It begins with
// "brokers N", and "planted BUG" may follow on the same line.
func tell(t *testing.T, text string) string {
	lines := slices.DeleteFunc(strings.Split(strings.TrimRight(text, "\n"), "\n"), func(line string) bool { return strings.HasPrefix(line, "  ") })
	first := slices.IndexFunc(lines, isCommand)
	require.GreaterOrEqual(t, first, 0, "a story begins with: brokers N [planted BUG]")
	head := strings.Fields(lines[first])
	brokers, err := strconv.Atoi(head[1])
	require.NoError(t, err)
	var bugs *planted.Set
	if len(head) > 2 {
		bugs = planted.Plant(planted.Bug(head[3]))
	}
	lan := simnet.LAN()
	lan.Default = simnet.Profile{Latency: time.Millisecond}
	var out strings.Builder
	out.WriteString(strings.Join(lines[:first+1], "\n") + "\n")
	playIn(t, sim.Config{Seed: 1, Network: lan, Steady: true, InOrder: true, Lucky: true}, brokers, bugs, func(s *stage) {
		x := &player{stage: s, began: s.h.Uptime()}
		s.entry = x.happened
		for _, line := range lines[first+1:] {
			if isCommand(line) {
				x.do(strings.Fields(line))
			}
			out.WriteString(line + "\n")
			for _, l := range x.lines {
				out.WriteString("  " + l + "\n")
			}
			x.lines = nil
		}
		s.entry = nil
	})
	return out.String()
}

func isCommand(line string) bool { return line != "" && line[0] != '#' }

// happened takes down what a reader of a story wants to know. That a law broke stands
// below the event that broke it.
func (x *player) happened(e *ledger.Entry) {
	broken := x.broken
	x.broken = nil
	switch e.Event.(type) {
	case *witness.Appended, *witness.HighWatermarkMoved, *witness.ExpandProposed, *witness.ISRRefused, *witness.EpochRefused, *witness.Restarted:
	default:
		if e.Event.Kind().Weight != ledger.Notable {
			return
		}
	}
	x.say("%-9s %s", e.Host, e.Event.Sentence())
	for _, f := range broken {
		x.say("%-9s law %d, %s: %s", "", f.Law.Number, f.Law.About, f.Text())
	}
}

func (x *player) say(format string, args ...any) {
	x.lines = append(x.lines, fmt.Sprintf("%6d ms  ", (x.h.Uptime()-x.began).Milliseconds())+fmt.Sprintf(format, args...))
}

// numbers reads the numbers of brokers; other words between them are for the reader.
func (x *player) numbers(words []string) (ids []kafka.NodeID) {
	for _, w := range words {
		if n, err := strconv.Atoi(w); err == nil {
			ids = append(ids, kafka.NodeID(n))
		}
	}
	return ids
}

// do runs one command.
func (x *player) do(words []string) {
	ids := x.numbers(words[1:])
	one := func() kafka.NodeID {
		require.NotEmpty(x.t, ids, "%v: a broker is missing", words)
		return ids[0]
	}
	switch words[0] {
	case "topic": // topic 2 replicas 1 2 3: min.insync.replicas, and where it is; the first leads
		x.topic(int(one()), ids[1:]...)
	case "produce": // produce 1 all a b: one batch, by acks=all or acks=1, and the answer
		acks := int16(1)
		if words[2] == "all" {
			acks = acksAll
		}
		offset, err := x.produce(one(), acks, words[3:]...)
		if err != nil {
			x.say("%-9s %v", "answer", err)
		} else {
			x.say("%-9s offset %d", "answer", offset)
		}
	case "elect": // elect 2 isr 2 1
		x.elect(one(), ids[1:]...)
	case "isr": // isr 1 2: as the controller may set it
		x.setISR(ids...)
	case "fence":
		x.fence(one(), true)
	case "unfence":
		x.fence(one(), false)
	case "cut": // cut 1 2: nothing flows between them, until they are mended
		x.cut(one(), ids[1])
	case "mend":
		x.mend(one(), ids[1])
	case "mute": // mute 1: the controllers and it do not hear of each other's answers
		x.mute[one()] = true
	case "unmute":
		x.unmute(one())
	case "kill":
		x.kill(one())
	case "power-off": // it loses what it has not synced
		x.nodes[one()].host.PowerOff()
	case "start":
		x.start(one())
	case "wait": // wait 500: milliseconds
		x.wait(time.Duration(one()) * time.Millisecond)
	case "in-sync": // in-sync 1 2: until these are the ISR and hold the same
		x.inSync(ids...)
	case "logs": // what each broker that runs has
		for _, id := range x.ids {
			if x.nodes[id].host.IsRunning() {
				p := x.replica(id)
				x.say("%-9s has [%s], high watermark %d", name(id), strings.Join(x.values(id), " "), p.hw)
			}
		}
	default:
		require.Fail(x.t, "a story has no such command", "%v", words)
	}
}
