package laws

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// rest plays a story of messages on two hosts, c and s, in a cluster that is calm from
// its first line on. Times are in milliseconds.
func rest(t *testing.T, events string) *tally {
	calm, turns := &Calm{}, map[string]uint64{}
	w := NewTraffic(TrafficConfig{Calm: calm, FetchWait: time.Second, Turns: func(host string) uint64 { return turns[host] }})
	calm.Undisturbed(0)
	w.Begin()
	word := func(w *words) string {
		s := w.rest[0]
		w.rest = w.rest[1:]
		return s
	}
	server := "s"
	request := func(w *words) Request { return Request{"c", int32(w.num())} }
	play(t, events, func(verb string, l *words) {
		switch verb {
		case "server": // that the requests from now on are to
			server = word(l)
		case "at":
			calm.Now = time.Duration(l.num()) * time.Millisecond
		case "send": // api number
			w.Sent("c", word(l), request(l))
		case "answer": // api number code
			api, r := word(l), request(l)
			w.Answered("c", server, r, api, int16(l.num()))
		case "give-up": // api number
			api, r := word(l), request(l)
			w.GaveUp("c", server, r, api, "timed out")
		case "dial":
			w.NotConnected("c", server, "refused")
		case "asks": // api times
			api := word(l)
			for range l.num() {
				w.Arrived("s", "c", api)
			}
		case "append": // times
			for range l.num() {
				w.Appended("s")
			}
		case "open": // logs
			for range l.num() {
				w.Opened("s")
			}
		case "wake": // host times
			turns[word(l)] += uint64(l.num())
		case "start": // a new process on host, that was woken so often
			turns[word(l)] = uint64(l.num())
		case "trouble":
			calm.Disturbed()
			w.End()
		case "calm":
			calm.Undisturbed(calm.Now)
			w.Begin()
		default:
			t.Fatal("unknown:", verb)
		}
	})
	return &w.tally
}

// often repeats a line.
func often(n int, line string) (all string) {
	for range n {
		all += line + "\n"
	}
	return all
}

var rests = []tale{
	{"requests are answered in time", 0, `
		send Metadata 1
		at 1900
		answer Metadata 1 0
		send Fetch 2
		at 4800
		answer Fetch 2 0`},
	{"an answer is late", 94, `
		send Metadata 1
		at 2100
		answer Metadata 1 0`},
	{"a fetch waits longer than it may", 94, `
		send Fetch 1
		at 3100
		answer Fetch 1 0`},
	{"an answer never comes, and others do", 94, `
		send Produce 1
		at 10
		send Fetch 2
		at 900
		answer Fetch 2 0
		send Fetch 3
		at 3000
		send Fetch 4`},
	{"what waits for other clients may wait", 0, `
		send JoinGroup 1
		at 60000
		answer JoinGroup 1 0
		send SyncGroup 2
		at 90000
		answer SyncGroup 2 0`},
	{"a fault makes an answer late", 0, `
		send Metadata 1
		at 1000
		trouble
		at 5000
		answer Metadata 1 0
		at 70000
		calm
		answer Metadata 1 0
		at 71000
		send Metadata 2`},
	{"some requests fail, as they do when a group forms", 0, often(10, "answer JoinGroup 1 79")},
	{"requests fail again and again", 91, often(11, "answer Metadata 1 3")},
	{"requests fail now and then", 0, often(10, "answer Metadata 1 3") + `
		at 10001
		` + often(10, "answer Metadata 1 3")},
	{"a client closes that has asked many servers", 0, often(6, "give-up Fetch 1") + `
		server s2
		` + often(6, "give-up Fetch 1")},
	{"requests are given up, and servers not reached", 91, often(5, "give-up Produce 1") + often(6, "dial")},
	{"a broker beats ten times in a second", 0, `
		asks BrokerHeartbeat 10
		at 1000
		asks BrokerHeartbeat 10
		at 2000
		append 0`},
	{"a broker beats as if there were no interval", 92, `
		asks BrokerHeartbeat 11
		at 1000
		asks BrokerHeartbeat 1`},
	{"fetches follow appends", 0, `
		append 100
		asks Fetch 60
		at 1000
		asks Fetch 110
		at 2000
		asks Fetch 5`},
	{"fetches do not wait for appends", 92, `
		append 100
		at 1000
		asks Fetch 111
		at 2000
		append 1`},
	{"a host is woken by what it does", 0, `
		append 100
		wake s 500
		at 1000
		append 1
		wake s 104
		at 2000
		append 1`},
	{"a host makes the logs of a topic", 0, `
		open 100
		wake s 500
		at 1000
		append 1`},
	{"a host is woken for nothing", 93, `
		append 100
		wake s 501
		at 1000
		append 1`},
	{"a process was started meanwhile", 0, `
		wake s 900
		append 1
		at 500
		start s 300
		at 1000
		append 1`},
}

func TestRest(t *testing.T) { tell(t, rests, rest) }

// A leader whose change of the ISR was committed has no reason to ask for it again.
var joins = []tale{
	{"a leader asks a replica into the ISR once", 0, replicated + `
		state 1 0 [1 2]
		counts 1 [1 2]
		calm 5
		at 6
		asks 1 3 0`},
	{"a leader asks again and again", 90, replicated + `
		state 1 0 [1 2]
		counts 1 [1 2]
		calm 5
		at 6
		asks 1 3 0
		at 8
		asks 1 3 0`},
	{"a leader asks for one that it counts", 90, replicated + `
		asks 1 3 0`},
	{"a leader asks again after a fault", 0, replicated + `
		state 1 0 [1 2]
		counts 1 [1 2]
		calm 5
		at 6
		asks 1 3 0
		trouble
		asks 1 3 0
		calm 70
		at 71
		asks 1 3 0`},
	{"a leader asks again in its next epoch", 0, replicated + `
		state 1 0 [1 2]
		counts 1 [1 2]
		calm 5
		at 6
		asks 1 3 0
		state 1 1 [1 2]
		leads 1 1 4 [1 2]
		asks 1 3 0`},
}

func TestJoins(t *testing.T) { tell(t, joins, replicate) }

// Where something is to happen often, it may.
func TestWhatIsConfiguredToHappenOftenMay(t *testing.T) {
	calm := &Calm{}
	w := NewTraffic(TrafficConfig{Calm: calm, Hasty: true, Turns: func(string) uint64 { return uint64(calm.Now) }})
	calm.Undisturbed(0)
	w.Begin()
	for range 50 {
		w.Arrived("s", "c", "Fetch")
	}
	calm.Now = 2 * time.Second
	w.Appended("s")
	assert.Empty(t, w.Failures)
}

// What is told while something disturbs the cluster is not even counted.
func TestTrafficIsCountedWhileNothingDisturbs(t *testing.T) {
	w := NewTraffic(TrafficConfig{Calm: &Calm{}})
	w.Appended("s")
	w.Sent("c", "Fetch", Request{"c", 1})
	assert.False(t, w.Begun())
	assert.Zero(t, w.Events())
	w.Begin()
	w.Appended("s")
	assert.EqualValues(t, 1, w.Events())
}
