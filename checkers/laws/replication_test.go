package laws

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func replicate(t *testing.T, events string) *watch {
	r := NewReplication(ReplicationConfig{Subject: "orders/0", MinISR: 2, HWNeedsMinISR: true})
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
			n, epoch, end, isr := w.node(), w.epoch(), w.num(), w.list()
			hw := r.of(n).hw // unless the line ends in another
			if len(w.rest) > 0 {
				hw = w.num()
			}
			r.BecameLeader(n, epoch, end, hw, isr)
		case "follows":
			r.BecameFollower(w.node(), w.epoch(), w.node(), w.num())
		case "begin":
			n := w.node()
			r.Appending(n, w.is("acks-all"))
		case "append":
			r.Appended(w.node(), w.num(), w.num(), w.epoch(), w.hash())
		case "batch": // node end producer epoch first last: of the append before
			r.Produced(w.node(), w.num(), Batch{w.num(), int16(w.num()), int32(w.num()), int32(w.num())})
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
		{"a member of the counted ISR has another record than the leader shows", 2, `
			state 1 0 [1 2 3]
			leads 1 0 0 [1 2 3]
			append 1 0 3 0
			append 1 3 4 0
			append 2 0 3 0
			append 2 3 4 0
			append 3 0 3 0 99
			append 3 3 4 0
			fetch 1 2 4 0
			fetch 1 3 4 0
			hw 1 4 0`},
		{"the leader counts a replica that has another record", 2, `
			state 1 0 [1 2]
			leads 1 0 0 [1 2]
			append 1 0 3 0
			append 1 3 4 0
			append 2 0 3 0
			append 2 3 4 0
			append 3 0 3 0 99
			append 3 3 4 0
			fetch 1 2 4 0
			hw 1 4 0
			fetch 1 3 4 0
			counts 1 [1 2 3]`},
		{"a member of the controller's ISR that is down has another record than the leader shows", 3, `
			leads 1 0 0 [1 2]
			append 1 0 3 0
			append 1 3 4 0
			append 2 0 3 0
			append 2 3 4 0
			append 3 0 3 0 99
			append 3 3 4 0
			fetch 1 2 4 0
			hw 1 4 0
			stop 3
			state 1 0 [1 2 3]`},
		{"whoever is in no ISR may have what it likes", 0, `
			state 1 0 [1 2]
			leads 1 0 0 [1 2]
			append 1 0 4 0
			append 2 0 4 0
			append 3 0 4 0 99
			fetch 1 2 4 0
			hw 1 4 0
			hw 2 4 0`},
		{"beyond the high watermark a member may differ", 0, replicated + `
			append 1 4 6 0
			append 3 4 6 0 99
			append 2 4 5 0
			fetch 1 2 5 0
			counts 1 [1 2 3]`},
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
		{"a producer's batches, a new epoch of it, and another producer's", 0, replicated + `
			batch 1 1 7 0 0 1
			batch 1 2 8 0 5 5
			batch 1 3 7 0 2 2
			batch 1 4 7 1 0 3
			append 1 4 6 0
			batch 1 6 7 1 4 5`},
		{"what was cut off may come again", 0, replicated + `
			append 1 4 6 0
			batch 1 4 7 0 0 3
			batch 1 6 7 0 4 5
			state 2 1 [2 3]
			follows 1 1 2 6
			truncate 1 4
			append 2 4 6 1 7
			append 1 4 6 1 7
			batch 1 6 7 0 4 5`},
		{"what a loss of power took may come again", 0, replicated + `
			batch 2 2 7 0 0 1
			batch 2 4 7 0 2 3
			stop 2
			recover 2 0 2 2
			append 2 2 4 0
			batch 2 4 7 0 2 3`},
		{"a log that begins late knows nothing of its producers", 0, replicated + `
			batch 3 4 7 0 0 3
			restart 3 9
			append 3 9 10 0
			batch 3 10 7 0 9 9`},
		{"sequences begin again after the highest", 0, replicated + `
			batch 1 3 7 0 2147483640 2147483647
			batch 1 4 7 0 0 0`},
		{"a batch is written twice", 61, replicated + `
			batch 1 2 7 0 0 1
			batch 1 4 7 0 0 1`},
		{"a batch of another producer does not hide that", 61, replicated + `
			batch 1 2 7 0 0 1
			batch 1 3 8 0 0 0
			batch 1 4 7 0 1 1`},
		{"a batch is missing", 61, replicated + `
			batch 1 2 7 0 0 1
			batch 1 4 7 0 3 4`},
		{"a new producer epoch does not begin at 0", 61, replicated + `
			batch 1 2 7 0 0 1
			batch 1 4 7 1 2 3`},
		{"a batch of a fenced epoch is appended", 61, replicated + `
			batch 1 2 7 1 0 1
			batch 1 4 7 0 2 3`},
		{"a batch is missing behind a cut", 61, replicated + `
			append 1 4 6 0
			batch 1 4 7 0 0 3
			batch 1 6 7 0 4 5
			state 2 1 [2 3]
			follows 1 1 2 6
			truncate 1 4
			append 2 4 6 1 7
			append 1 4 6 1 7
			batch 1 6 7 0 6 7`},
		{"replicas differ when all is quiet", 27, replicated + `
			append 1 4 5 0
			quiet`},
	}, replicate)
}

func TestEventsDoNotAllocate(t *testing.T) {
	r := NewReplication(ReplicationConfig{Subject: "orders/0", MinISR: 2})
	nodes := []Node{1, 2, 3}
	r.ControllerState(PartitionState{Leader: 1, Replicas: nodes, ISR: nodes})
	r.BecameLeader(1, 0, 0, 0, nodes)
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
	r := NewReplication(ReplicationConfig{Subject: "orders/0", MinISR: 2})
	nodes := []Node{1, 2, 3}
	r.ControllerState(PartitionState{Leader: 1, Replicas: nodes, ISR: nodes})
	r.BecameLeader(1, 0, 0, 0, nodes)
	step := produceOnce(r)
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}
