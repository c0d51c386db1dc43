package invariants

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A story is a list of events in words, and the law that breaks at its last
// line; 0: none does.
type tale struct {
	name   string
	law    int
	events string
}

// words reads "3 [1 2] 7" as numbers and lists.
type words struct {
	t    *testing.T
	line string
	rest []string
}

func (w *words) num() int64 {
	require.NotEmpty(w.t, w.rest, w.line)
	n, err := strconv.ParseInt(w.rest[0], 10, 64)
	require.NoError(w.t, err, w.line)
	w.rest = w.rest[1:]
	return n
}

func (w *words) node() Node   { return Node(w.num()) }
func (w *words) epoch() Epoch { return Epoch(w.num()) }

func (w *words) list() (nodes []Node) {
	require.NotEmpty(w.t, w.rest, w.line)
	require.True(w.t, strings.HasPrefix(w.rest[0], "["), w.line)
	for {
		word := w.rest[0]
		w.rest = w.rest[1:]
		if text := strings.Trim(word, "[]"); text != "" {
			n, err := strconv.Atoi(text)
			require.NoError(w.t, err, w.line)
			nodes = append(nodes, Node(n))
		}
		if strings.HasSuffix(word, "]") {
			return nodes
		}
	}
}

// hash of a batch: the word at the end of the line, or 1.
func (w *words) hash() uint64 {
	if len(w.rest) == 0 {
		return 1
	}
	return uint64(w.num())
}

func play(t *testing.T, events string, do func(verb string, w *words)) {
	for _, line := range strings.Split(events, "\n") {
		if fields := strings.Fields(line); len(fields) > 0 {
			w := &words{t, line, fields[1:]}
			do(fields[0], w)
			assert.Empty(t, w.rest, line)
		}
	}
}

func tell(t *testing.T, tales []tale, run func(*testing.T, string) *watch) {
	for _, s := range tales {
		t.Run(fmt.Sprintf("%d %s", s.law, s.name), func(t *testing.T) {
			w := run(t, s.events)
			if s.law == 0 {
				assert.Empty(t, w.Failures)
				return
			}
			require.NotEmpty(t, w.Failures, "nothing broke")
			f := w.Failures[0]
			assert.Equal(t, s.law, f.Law.Number, f.String())
			assert.Equal(t, w.Events(), f.Event, "it broke before the last line: %v", f)
		})
	}
}

func replicate(t *testing.T, events string) *watch {
	r := NewReplication(ReplicationConfig{Name: "orders/0", MinISR: 2, HWNeedsMinISR: true})
	pe := int32(0)
	play(t, events, func(verb string, w *words) {
		switch verb {
		case "state": // leader epoch isr [elr] [unclean]
			s := PartitionState{Leader: w.node(), LeaderEpoch: w.epoch(), Replicas: []Node{1, 2, 3}, ISR: w.list()}
			if len(w.rest) > 0 && strings.HasPrefix(w.rest[0], "[") {
				s.ELR = w.list()
			}
			s.PartitionEpoch = pe
			pe++
			for ; len(w.rest) > 0; w.rest = w.rest[1:] {
				switch w.rest[0] {
				case "unclean":
					s.Unclean = true
				case "jump":
					s.PartitionEpoch++
				}
			}
			r.ControllerState(s)
		case "leads":
			r.BecameLeader(w.node(), w.epoch(), w.num(), w.list())
		case "follows":
			r.BecameFollower(w.node(), w.epoch(), w.node(), w.num())
		case "begin":
			r.Appending(w.node())
		case "append":
			r.Appended(w.node(), w.num(), w.num(), w.epoch(), w.hash())
		case "cutting":
			r.Truncating(w.node(), w.num())
		case "truncate":
			r.Truncated(w.node(), w.num())
		case "restart":
			r.Restarted(w.node(), w.num())
		case "start":
			r.LogStartMoved(w.node(), w.num())
		case "hw":
			r.HighWatermark(w.node(), w.num(), w.epoch())
		case "counts":
			r.MaximalISR(w.node(), w.list())
		case "fetch": // leader follower offset epoch
			r.FollowerFetched(w.node(), w.node(), w.num(), w.epoch())
		case "ack":
			r.Acked(w.node(), w.num(), w.num())
		case "flush":
			r.Flushed(w.node(), w.num())
		case "stop":
			r.Stopped(w.node())
		case "wipe":
			r.Wiped(w.node())
		case "recover":
			r.Recovered(w.node(), w.num(), w.num(), w.num())
		case "cached":
			r.EpochAt(w.node(), w.num(), w.epoch())
		case "kept":
			r.Kept(w.node())
		case "damage":
			r.Damaged(w.node())
		case "end":
			r.EndServed(w.node(), w.num())
		case "read":
			r.Read(w.node(), w.num(), w.num(), w.epoch(), w.hash())
		case "lost-too-much":
			r.LostTooMuch()
		case "quiet":
			r.Quiet()
		default:
			t.Fatalf("unknown event %q", verb)
		}
	})
	return &r.watch
}

// replicated: node 1 leads epoch 0 and four records are committed on three.
const replicated = `
	state 1 0 [1 2 3]
	leads 1 0 0 [1 2 3]
	follows 2 0 1 0
	follows 3 0 1 0
	append 1 0 4 0
	append 2 0 4 0
	append 3 0 4 0
	fetch 1 2 4 0
	fetch 1 3 4 0
	hw 1 4 0
	ack 1 0 4
	hw 2 4 0
	hw 3 4 0
`

func TestReplication(t *testing.T) {
	tell(t, []tale{
		{"records are written, replicated and acknowledged", 0, replicated},
		{"an orderly change of leader", 0, replicated + `
			append 1 4 6 0
			state 2 1 [2 3]
			leads 2 1 4 [2 3]
			follows 3 1 2 4
			follows 1 1 2 6
			truncate 1 4
			append 2 4 5 1 7
			append 3 4 5 1 7
			append 1 4 5 1 7
			fetch 2 3 5 1
			fetch 2 1 5 1
			hw 2 5 1
			counts 2 [1 2 3]
			state 2 1 [1 2 3]
			quiet`},
		{"a follower falls out of sync and comes back", 0, replicated + `
			counts 1 [1 2 3]
			state 1 0 [1 2]
			counts 1 [1 2]
			append 1 4 5 0
			append 2 4 5 0
			fetch 1 2 5 0
			hw 1 5 0
			append 3 4 5 0
			fetch 1 3 5 0
			counts 1 [1 2 3]
			state 1 0 [1 2 3]`},
		{"a killed replica keeps its log", 0, replicated + `
			stop 3
			recover 3 0 4 4`},
		{"who is killed while it cuts its log finds it cut or not", 0, replicated + `
			append 1 4 6 0
			flush 1 6
			cutting 1 4
			stop 1
			kept 1
			recover 1 0 4 4`},
		{"but not cut further", 24, replicated + `
			append 1 4 6 0
			flush 1 6
			cutting 1 5
			stop 1
			kept 1
			recover 1 0 4 4`},
		{"what a kill left may be lost with the power", 0, replicated + `
			stop 3
			kept 3
			recover 3 0 4 4
			stop 3
			recover 3 0 2 2`},
		{"a replica loses unsynced records and is left out until it caught up", 0, replicated + `
			stop 3
			recover 3 0 2 2
			state 1 0 [1 2]
			counts 1 [1 2]
			append 3 2 4 0
			fetch 1 3 4 0
			counts 1 [1 2 3]
			state 1 0 [1 2 3]`},
		{"a fetch arrives at a leader that was replaced, after its sender has cut its log", 0, replicated + `
			append 1 4 6 0
			append 3 4 6 0
			state 2 1 [2 3]
			leads 2 1 4 [2 3]
			follows 3 1 2 6
			truncate 3 4
			append 2 4 6 1 7
			append 3 4 6 1 7
			fetch 1 3 6 0`},
		{"a process dies in an append and finds it all the same", 0, replicated + `
			begin 2
			stop 2
			kept 2
			recover 2 0 6 4`},
		{"a fetch from before the loss arrives after it", 0, replicated + `
			append 1 4 6 0
			append 2 4 6 0
			append 3 4 6 0
			wipe 3
			fetch 1 3 6 0
			fetch 1 2 6 0
			hw 1 6 0`},
		{"a deposed leader truncates what was never committed", 0, replicated + `
			append 1 4 9 0
			state 2 1 [2 3]
			follows 1 1 2 9
			truncate 1 4`},
		{"what rot leaves of a log is anybody's guess", 0, replicated + `
			flush 3 4
			stop 3
			damage 3
			recover 3 0 32772 4
			truncate 3 2
			append 3 2 4 0`},
		{"an unclean election makes a new truth", 0, replicated + `
			stop 1
			stop 2
			stop 3
			recover 3 0 2 2
			state 3 1 [3] unclean
			leads 3 1 2 [3]`},
		{"too many lossy crashes excuse the loss", 0, replicated + `
			recover 1 0 2 2
			recover 2 0 2 2
			recover 3 0 4 4`},
		{"a consumer reads what is committed", 0, replicated + `
			read 2 0 4 0`},
		{"retention moves the start", 0, replicated + `
			start 1 2`},

		{"the elected leader is not in the ISR", 1, replicated + `
			state 3 1 [1 2]`},
		{"a follower has another record below its high watermark", 4, `
			state 1 0 [1 2 3]
			leads 1 0 0 [1 2 3]
			append 1 0 4 0
			append 2 0 4 0
			append 3 0 4 0 99
			fetch 1 2 4 0
			state 1 0 [1 2]
			counts 1 [1 2]
			hw 1 4 0
			hw 3 4 0`},
		{"the leader counts a follower whose log has diverged", 5, replicated + `
			append 1 4 6 0
			append 3 4 6 0 99
			fetch 1 3 6 0`},
		{"the leader counts more than the follower has", 5, replicated + `
			fetch 1 2 5 0`},
		{"a leader lacks a committed record", 6, replicated + `
			truncate 3 4
			restart 3 2
			leads 3 1 2 [3]`},
		{"a leader has another record than is committed", 6, `
			state 1 0 [1 2 3]
			leads 1 0 0 [1 2 3]
			append 1 0 4 0
			append 2 0 4 0
			append 3 0 4 0 99
			fetch 1 2 4 0
			state 1 0 [1 2]
			counts 1 [1 2]
			hw 1 4 0
			leads 3 1 4 [3]`},
		{"a member of the ISR lacks a committed record", 7, `
			state 1 0 [1 2]
			leads 1 0 0 [1 2]
			append 3 0 2 0
			append 1 0 4 0
			append 2 0 4 0
			fetch 1 2 4 0
			hw 1 4 0
			follows 2 0 1 4
			restart 2 1
			state 1 0 [1 2]`},
		{"the leader stops counting a member of the controller's ISR", 8, replicated + `
			counts 1 [1 2]`},
		{"the high watermark passes a member of the ISR", 9, `
			state 1 0 [1 2 3]
			leads 1 0 0 [1 2 3]
			append 1 0 4 0
			append 2 0 4 0
			fetch 1 2 4 0
			append 3 0 2 0
			fetch 1 3 2 0
			hw 1 4 0`},
		{"a fetch from before the loss counts after the replica rejoined", 9, replicated + `
			append 1 4 6 0
			append 2 4 6 0
			append 3 4 6 0
			fetch 1 3 6 0
			fetch 1 2 6 0
			stop 3
			recover 3 0 4 4
			state 1 0 [1 2]
			counts 1 [1 2 3]
			state 1 0 [1 2 3]
			hw 1 6 0`},
		{"the high watermark advances below min.insync.replicas", 9, `
			state 1 0 [1]
			leads 1 0 0 [1]
			append 1 0 4 0
			hw 1 4 0`},
		{"the high watermark relies on a fetch of an earlier epoch", 9, `
			state 1 0 [1 2]
			leads 1 0 0 [1 2]
			append 1 0 4 0
			append 2 0 4 0
			fetch 1 2 4 0
			state 1 1 [1 2]
			leads 1 1 4 [1 2]
			hw 1 4 1`},
		{"a leader's high watermark goes back", 10, replicated + `
			hw 1 3 0`},
		{"a leader tells its end before its epoch is committed", 11, replicated + `
			append 2 4 6 0
			state 2 1 [2 3]
			leads 2 1 6 [2 3]
			end 2 4`},
		{"a replica joins the ISR behind the high watermark", 12, `
			state 1 0 [1 2]
			leads 1 0 0 [1 2]
			append 1 0 4 0
			append 2 0 4 0
			fetch 1 2 4 0
			hw 1 4 0
			append 3 0 3 0
			fetch 1 3 3 0
			state 1 0 [1 2 3]`},
		{"the leader asks a replica in before the start of the epoch", 12, `
			state 1 0 [1 2]
			leads 1 0 0 [1 2]
			append 1 0 4 0
			state 1 1 [1 2]
			leads 1 1 4 [1 2]
			append 3 0 3 0
			fetch 1 3 3 1
			counts 1 [1 2 3]`},
		{"the leader asks a replica in that has not fetched in the epoch", 12, replicated + `
			state 1 1 [1 2]
			leads 1 1 4 [1 2]
			counts 1 [1 2 3]`},
		{"a replica joins the ISR before the start of the epoch", 12, `
			state 1 0 [1 2]
			leads 1 0 0 [1 2]
			append 1 0 4 0
			state 1 1 [1 2]
			leads 1 1 4 [1 2]
			append 3 0 3 0
			fetch 1 3 3 1
			state 1 1 [1 2 3]`},
		{"a fetch of another epoch is served", 13, replicated + `
			fetch 1 2 4 1`},
		{"two leaders of one epoch", 14, replicated + `
			leads 2 0 4 [1 2 3]`},
		{"the leader changes and its epoch does not", 14, replicated + `
			state 2 0 [1 2 3]`},
		{"a log goes back to an earlier epoch", 15, replicated + `
			append 2 4 5 1
			append 2 5 6 0`},
		{"an epoch cache that departs from the log", 15, replicated + `
			cached 2 3 1`},
		{"the partition epoch skips one", 16, replicated + `
			state 1 0 [1 2] jump`},
		{"an ELR beside a full ISR", 17, replicated + `
			state 1 0 [1 2] [3]`},
		{"a replica that lost data is elected", 18, replicated + `
			stop 3
			recover 3 0 2 2
			state 3 1 [3]`},
		{"no replica holds the acknowledged records", 19, replicated + `
			recover 1 0 2 2
			recover 2 0 2 2
			recover 3 0 2 2`},
		{"a consumer reads what is not committed there", 20, replicated + `
			read 1 2 3 0 99`},
		{"acknowledged above the high watermark", 21, replicated + `
			append 1 4 5 0
			ack 1 4 5`},
		{"acknowledged with too few replicas in sync", 21, replicated + `
			state 1 0 [1]
			counts 1 [1]
			ack 1 3 4`},
		{"an append leaves a gap", 22, replicated + `
			append 1 5 6 0`},
		{"the log start passes the high watermark", 22, replicated + `
			append 1 4 6 0
			start 1 5`},
		{"a follower truncates committed records", 23, replicated + `
			follows 2 1 3 4
			truncate 2 3`},
		{"synced records are gone after a crash", 24, replicated + `
			flush 2 4
			stop 2
			recover 2 0 3 3`},
		{"a killed process left less than it wrote", 24, replicated + `
			stop 2
			kept 2
			recover 2 0 3 3`},
		{"a log grew while its process was dead", 24, replicated + `
			stop 2
			recover 2 0 5 4`},
		{"a replica joins the ISR that the leader did not ask for", 26, replicated + `
			state 1 0 [1 2]
			counts 1 [1 2]
			state 1 0 [1 2 3]`},
		{"replicas differ when all is quiet", 27, replicated + `
			append 1 4 5 0
			quiet`},
	}, replicate)
}

func conspire(t *testing.T, events string) *watch {
	q := NewQuorum("quorum", []Node{1, 2, 3})
	play(t, events, func(verb string, w *words) {
		switch verb {
		case "vote":
			q.Voted(w.node(), w.epoch(), w.node())
		case "leads":
			q.BecameLeader(w.node(), w.epoch(), w.num())
		case "follows":
			q.BecameFollower(w.node(), w.epoch(), w.node())
		case "begin":
			q.Appending(w.node())
		case "append":
			q.Appended(w.node(), w.num(), w.num(), w.epoch(), w.hash())
		case "flush":
			q.Flushed(w.node(), w.num())
		case "truncate":
			q.Truncated(w.node(), w.num())
		case "commit":
			q.Committed(w.node(), w.num())
		case "recover":
			q.Recovered(w.node(), w.num(), w.epoch())
		case "wipe":
			q.Wiped(w.node())
		case "snapshot":
			q.Snapshot(w.node(), w.num(), w.epoch())
		case "active":
			q.ControllerActive(w.node(), w.epoch())
		case "resigned":
			q.ControllerResigned(w.node())
		case "applied":
			q.Applied(w.node(), w.num(), w.hash())
		case "broker":
			q.BrokerRegistered(w.node(), w.num())
		case "quiet":
			q.Quiet()
		default:
			t.Fatalf("unknown event %q", verb)
		}
	})
	return &q.watch
}

// elected: node 1 leads epoch 1; its first three records are committed.
const elected = `
	vote 1 1 1
	vote 2 1 1
	leads 1 1 0
	follows 2 1 1
	follows 3 1 1
	append 1 0 3 1
	flush 1 3
	append 2 0 3 1
	flush 2 3
	commit 1 3
	commit 2 3
`

func TestQuorum(t *testing.T) {
	tell(t, []tale{
		{"an election, records, commits, an active controller", 0, elected + `
			active 1 1
			applied 1 3 5
			applied 2 3 5
			broker 7 3
			append 3 0 3 1
			flush 3 3
			commit 3 3
			quiet`},
		{"a second election; the old leader truncates what was not committed", 0, elected + `
			append 1 3 5 1
			vote 3 2 3
			append 3 0 3 1
			flush 3 3
			vote 2 2 3
			leads 3 2 3
			append 3 3 4 2 8
			follows 2 2 3
			follows 1 2 3
			truncate 1 3
			append 1 3 4 2 8
			append 2 3 4 2 8
			flush 3 4
			flush 2 4
			commit 3 4
			resigned 1
			active 3 2`},
		{"an observer is told by a deposed leader to cut what the next has committed", 0, elected + `
			append 3 0 3 1
			append 3 3 4 1
			append 9 0 3 1
			append 9 3 4 1
			leads 2 2 3
			follows 9 2 2
			flush 3 4
			leads 3 3 4
			append 3 4 5 3 7
			append 1 3 4 1
			append 1 4 5 3 7
			flush 3 5
			flush 1 5
			commit 3 5
			truncate 9 3`},
		{"a leader that was elected before the last hears of it after it", 0, elected + `
			append 3 0 3 1
			flush 3 3
			vote 1 3 3
			vote 3 3 3
			leads 3 3 3
			append 3 3 5 3
			append 1 3 5 3
			flush 3 5
			flush 1 5
			commit 3 5
			leads 2 2 3`},
		{"a voter dies in an append and finds it all the same", 0, elected + `
			begin 2
			recover 2 6 1`},
		{"a voter loses what it had not synced", 0, elected + `
			append 2 3 5 1
			recover 2 3 1`},
		{"a snapshot of what is committed, loaded by another", 0, elected + `
			snapshot 1 3 1
			snapshot 3 3 1
			append 3 3 4 1`},
		{"a broker registers again", 0, `
			broker 1 10
			broker 2 11
			broker 1 12`},
		{"voting again for the same", 0, elected + `
			vote 2 1 1`},

		{"two leaders of one epoch", 28, elected + `
			leads 2 1 3`},
		{"a follower of another leader in the epoch", 28, elected + `
			follows 3 1 2`},
		{"one epoch and offset, two records", 29, elected + `
			append 3 0 3 1 99`},
		{"an older epoch behind a younger", 29, elected + `
			append 1 3 4 2
			append 1 4 5 1`},
		{"a leader that was outvoted before it is heard of owes nothing to younger epochs", 0, elected + `
			append 3 0 3 1
			flush 3 3
			vote 3 2 3
			leads 2 3 3
			append 2 3 4 3
			flush 2 4
			append 1 3 4 3
			flush 1 4
			commit 2 4
			leads 3 2 3`},
		{"an observer that has not heard of the epoch that commits follows an older one", 0, elected + `
			append 1 3 4 1
			append 7 0 3 1
			append 7 3 4 1
			append 3 0 3 1
			leads 3 2 3
			leads 1 3 4
			append 1 4 5 3
			flush 1 5
			append 2 3 4 1
			append 2 4 5 3
			flush 2 5
			commit 1 5
			follows 7 2 3
			truncate 7 3`},
		{"it owes what was committed before its own", 30, elected + `
			append 3 0 2 1
			flush 3 2
			leads 2 3 3
			append 2 3 4 3
			leads 3 2 2`},
		{"a leader without the committed records", 30, elected + `
			append 3 0 2 1
			leads 3 2 2`},
		{"committed records on a minority only", 31, elected + `
			wipe 1`},
		{"an observer votes", 32, `
			vote 9 1 9`},
		{"an observer leads", 32, `
			leads 9 1 0`},
		{"two votes in an epoch", 33, elected + `
			vote 2 1 3`},
		{"two votes, with a crash in between", 33, elected + `
			vote 2 2 3
			recover 2 3 2
			vote 2 2 1`},
		{"an epoch falls in a crash", 33, elected + `
			recover 2 3 0`},
		{"a vote for a shorter log", 34, elected + `
			append 3 0 2 1
			vote 2 2 3`},
		{"a record of an earlier epoch is committed by itself", 35, elected + `
			append 1 3 5 1
			flush 1 5
			append 2 3 5 1
			flush 2 5
			leads 1 2 5
			commit 1 5`},
		{"committed before a majority has synced", 35, elected + `
			append 1 3 5 1
			append 2 3 5 1
			flush 1 5
			commit 1 5`},
		{"a leader truncates its log", 36, elected + `
			append 1 3 5 1
			truncate 1 4`},
		{"a leader overwrites its log", 36, elected + `
			append 1 2 3 1 9`},
		{"two images at one offset", 37, elected + `
			applied 1 3 5
			applied 2 3 6`},
		{"a follower of a younger leader loses what an older one committed", 38, elected + `
			follows 2 2 3
			truncate 2 2`},
		{"committed records are truncated", 38, elected + `
			follows 2 2 3
			truncate 2 2`},
		{"synced records are gone after a crash", 24, elected + `
			recover 2 2 1`},
		{"a snapshot of what is not committed", 41, elected + `
			append 1 3 5 1
			snapshot 1 5 1`},
		{"a controller acts that does not lead", 42, elected + `
			active 2 1`},
		{"a controller acts before its epoch is committed", 42, elected + `
			append 2 3 4 1
			leads 2 2 4
			append 2 4 5 2
			active 2 2`},
		{"a broker epoch falls", 43, `
			broker 1 10
			broker 1 9`},
		{"two brokers with one epoch", 43, `
			broker 1 10
			broker 2 10`},
		{"nobody leads in the end", 44, elected + `
			follows 1 2 -1
			quiet`},
	}, conspire)
}

func TestEventsDoNotAllocate(t *testing.T) {
	r := NewReplication(ReplicationConfig{Name: "orders/0", MinISR: 2})
	nodes := []Node{1, 2, 3}
	r.ControllerState(PartitionState{Leader: 1, Replicas: nodes, ISR: nodes})
	r.BecameLeader(1, 0, 0, nodes)
	step := produceOnce(r)
	for range 5000 {
		step()
	}
	assert.Less(t, testing.AllocsPerRun(1000, step), 0.1, "only what logs grow by")
	assert.Empty(t, r.Failures)
}

// produceOnce is one record from append to acknowledgement.
func produceOnce(r *Replication) func() {
	o := int64(0)
	return func() {
		for n := Node(1); n <= 3; n++ {
			r.Appended(n, o, o+1, 0, uint64(o))
		}
		o++
		r.FollowerFetched(1, 2, o, 0)
		r.FollowerFetched(1, 3, o, 0)
		r.HighWatermark(1, o, 0)
		r.HighWatermark(2, o, 0)
		r.HighWatermark(3, o, 0)
		r.Acked(1, o-1, o)
	}
}

func BenchmarkReplication(b *testing.B) {
	r := NewReplication(ReplicationConfig{Name: "orders/0", MinISR: 2})
	nodes := []Node{1, 2, 3}
	r.ControllerState(PartitionState{Leader: 1, Replicas: nodes, ISR: nodes})
	r.BecameLeader(1, 0, 0, nodes)
	step := produceOnce(r)
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}
