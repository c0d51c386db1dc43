package laws

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func replicate(t *testing.T, events string) *tally {
	brokers, calm := NewBrokers(), &Calm{}
	r := NewReplication(ReplicationConfig{Subject: "orders/0", MinISR: 2, HWNeedsMinISR: true, Brokers: brokers, Calm: calm})
	pe := int32(0)
	play(t, events, func(verb string, w *words) {
		switch verb {
		case "state": // leader epoch isr [elr] [unclean]
			s := PartitionState{At: 10 + int64(pe), Leader: w.node(), LeaderEpoch: w.epoch(), Replicas: []Node{1, 2, 3}, ISR: w.list()}
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
		case "txn": // node first producer epoch: the append before is one of a transaction
			r.InTransaction(w.node(), w.num(), w.num(), int16(w.num()))
		case "mark": // node end producer epoch: the append before is a marker
			r.Marked(w.node(), w.num(), w.num(), int16(w.num()))
		case "read-committed": // node end
			r.ReadCommitted(w.node(), w.num())
		case "stable": // node to epoch [start]
			n, to, epoch, start := w.node(), w.num(), w.epoch(), int64(0)
			if len(w.rest) > 0 {
				start = w.num()
			}
			r.StableOffset(n, to, start, epoch)
		case "cleaned": // node to
			r.Cleaned(w.node(), w.num())
		case "cutting":
			r.Truncating(w.node(), w.num())
		case "truncate": // node to [high watermark]
			node, to, hw := w.node(), w.num(), int64(0)
			if len(w.rest) > 0 {
				hw = w.num()
			}
			r.Truncated(node, to, hw)
		case "compact": // up to
			r.Compacted(w.num())
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
		case "cache": // node, then epochs and where each begins
			n, epochs, starts := w.node(), []Epoch{}, []int64{}
			for len(w.rest) > 0 {
				epochs, starts = append(epochs, w.epoch()), append(starts, w.num())
			}
			r.EpochCache(n, epochs, starts)
		case "knows": // node, then of each producer: id epoch last-sequence end
			n, known := w.node(), []Known{}
			for len(w.rest) > 0 {
				known = append(known, Known{w.num(), int16(w.num()), int32(w.num()), w.num()})
			}
			r.Producers(n, known)
		case "broker": // at node epoch, and what it is
			brokers.Changed(w.num(), w.node(), w.num(), w.is("fenced"), w.is("leaving"))
		case "applied":
			brokers.Applied(w.node(), w.num())
		case "asks": // leader joins committed
			r.Proposed(w.node(), w.node(), w.num())
		case "fenced":
			r.Fenced(w.node())
		case "unfenced": // node epoch
			r.Unfenced(w.node(), w.num(), w.is("clean"))
		case "clean":
			r.Clean(w.node())
		case "close":
			r.Closed(w.node())
		case "calm": // since when
			calm.Undisturbed(time.Duration(w.num()) * time.Second)
		case "trouble":
			calm.Disturbed()
		case "at":
			calm.Now = time.Duration(w.num()) * time.Second
		case "lag": // replica.lag.time.max.ms, in seconds
			r.cfg.LagTimeMax = time.Duration(w.num()) * time.Second
		case "shrink":
			r.ShrinkProposed(w.node(), w.list())
		case "keep":
			r.LagsChecked(w.node(), w.epoch(), w.list())
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
	return &r.tally
}

// transacted: of four committed records, the last two are of a transaction that is open.
const transacted = replicated + `
	hw 1 4 0
	txn 1 2 7 0`

var openTransactions = []tale{
	{"a read_committed consumer is given what lies below an open transaction", 0, transacted + `
		read-committed 1 2`},
	{"a read_committed consumer is given a record of one", 67, transacted + `
		read-committed 1 3`},
	{"once it has its marker", 0, transacted + `
		append 1 4 5 0
		mark 1 5 7 1
		read-committed 1 4`},
	{"its marker is cut off", 67, transacted + `
		append 1 4 5 0
		mark 1 5 7 1
		stop 1
		truncate 1 4
		read-committed 1 4`},
	{"the last stable offset is where an open transaction begins", 0, transacted + `
		stable 1 2 0`},
	{"it is the high watermark, though one is open", 67, transacted + `
		stable 1 4 0`},
	{"the marker is not below the high watermark", 0, transacted + `
		append 1 4 5 0
		mark 1 5 7 1
		stable 1 2 0`},
	{"but it counts", 67, transacted + `
		append 1 4 5 0
		mark 1 5 7 1
		stable 1 4 0`},
	{"the log starts within the transaction", 0, transacted + `
		stable 1 3 0 3`},
	{"it falls, for a transaction begins below it", 67, replicated + `
		hw 1 4 0
		stable 1 4 0
		txn 1 2 7 0
		stable 1 2 0`},
	{"the cleaner replaces what lies below an open transaction", 0, transacted + `
		cleaned 1 2`},
	{"the cleaner replaces some of it", 82, transacted + `
		cleaned 1 3`},
	{"the cleaner replaces what is not committed", 82, replicated + `
		append 1 4 5 0
		cleaned 1 5`},
	{"a marker takes the next epoch, and sequences begin anew", 0, replicated + `
		append 1 4 5 0
		batch 1 5 7 0 0 3
		append 1 5 6 0
		mark 1 6 7 1
		append 1 6 7 0
		batch 1 7 7 1 0 0`},
	{"an append of the epoch before a marker", 61, replicated + `
		append 1 4 5 0
		batch 1 5 7 0 0 3
		append 1 5 6 0
		mark 1 6 7 1
		append 1 6 7 0
		batch 1 7 7 0 4 4`},
	{"a marker of an epoch that was over", 61, replicated + `
		append 1 4 5 0
		batch 1 5 7 3 0 3
		append 1 5 6 0
		mark 1 6 7 2`},
	{"a replica knows the epoch of a marker", 0, replicated + `
		append 1 4 5 0
		batch 1 5 7 0 0 3
		append 1 5 6 0
		mark 1 6 7 1
		knows 1 7 1 -1 0`},
	{"a replica knows the epoch before it", 62, replicated + `
		append 1 4 5 0
		batch 1 5 7 0 0 3
		append 1 5 6 0
		mark 1 6 7 1
		knows 1 7 0 3 5`},
}

func TestOpenTransactions(t *testing.T) { tell(t, openTransactions, replicate) }

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

func TestReplication(t *testing.T) { tell(t, replications, replicate) }

var replications = []tale{
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
	{"a replica that is killed while it cuts its log finds it cut or not", 0, replicated + `
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
	{"what rot leaves of a log is not known", 0, replicated + `
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
		state 1 1 [1 2 3]`},
	{"a replica in no ISR may have what it likes", 0, `
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
	{"a high watermark stays above the end of a log that was cut", 22, replicated + `
		append 3 4 6 1
		truncate 3 4 6`},
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
	{"what was compacted is given to consumers and to a follower in other batches", 0, replicated + `
		compact 3
		read 1 0 3 0 99
		restart 3 0
		append 3 1 3 0 99
		append 3 3 4 0
		hw 3 4 0`},
	{"what was not compacted is not", 20, replicated + `
		compact 3
		read 1 3 4 0 99`},
	{"a follower's batches are missing where its leader has compacted", 0, replicated + `
		compact 4
		restart 3 0
		append 3 0 2 0
		batch 3 2 7 0 0 1
		append 3 3 5 0
		batch 3 5 7 0 6 7`},
	{"a follower's batches are missing behind that", 61, replicated + `
		compact 1
		append 3 4 6 0
		batch 3 4 7 0 0 1
		batch 3 6 7 0 6 7`},
	{"a leader's batch is missing, whatever was compacted", 61, replicated + `
		compact 4
		batch 1 4 7 0 0 1
		append 1 4 6 0
		batch 1 6 7 0 6 7`},
	{"a leader asks a replica out that has been behind for long", 0, replicated + `
		lag 30
		at 31
		append 1 4 5 0
		shrink 1 [3]`},
	{"a leader asks a replica out that had all just now", 97, replicated + `
		lag 30
		at 31
		fetch 1 3 4 0
		at 38
		shrink 1 [2 3]`},
	{"or that was in sync when its epoch began", 97, replicated + `
		lag 30
		at 31
		state 1 1 [1 2 3]
		leads 1 1 4 [1 2 3]
		append 1 4 5 1
		shrink 1 [3]`},
	{"one that asks for less than there is has not all", 0, replicated + `
		lag 30
		at 31
		append 1 4 5 0
		fetch 1 3 4 0
		shrink 1 [3]`},
	{"a leader keeps a replica that has been behind for too long", 99, replicated + `
		lag 5
		at 31
		fetch 1 3 4 0
		append 1 4 5 0
		at 40
		append 1 5 6 0
		at 52
		fetch 1 3 4 0
		keep 1 0 [3]`},
	{"one that falls behind further and further, though it fetches", 99, replicated + `
		lag 5
		at 31
		fetch 1 3 4 0
		append 1 4 6 0
		at 35
		append 1 6 9 0
		append 3 4 6 0
		at 45
		fetch 1 3 6 0
		append 1 9 12 0
		append 3 6 9 0
		at 66
		fetch 1 3 9 0
		keep 1 0 [3]`},
	{"one that never has all, and is not far behind, stays", 0, replicated + `
		lag 5
		at 31
		fetch 1 3 4 0
		append 1 4 6 0
		at 45
		append 1 6 9 0
		append 3 4 6 0
		fetch 1 3 6 0
		at 60
		append 1 9 12 0
		keep 1 0 [3]`},
	{"so does one that was in sync when the epoch began a short time ago", 0, replicated + `
		lag 5
		at 31
		append 1 4 5 0
		at 60
		state 1 1 [1 2 3]
		leads 1 1 5 [1 2 3]
		append 1 5 6 1
		keep 1 1 [3]`},
	{"and is out when it has not fetched since for too long", 99, replicated + `
		lag 5
		at 31
		state 1 1 [1 2 3]
		leads 1 1 4 [1 2 3]
		append 1 4 5 1
		at 52
		keep 1 1 [3]`},
	{"a leader looks once more before it tells that it leads anew", 0, replicated + `
		lag 5
		at 31
		append 1 4 5 0
		state 2 1 [1 2 3]
		follows 1 1 2 5
		at 60
		state 1 2 [1 2 3]
		keep 1 2 [3]`},
	{"replicas differ when all is quiet", 27, replicated + `
		append 1 4 5 0
		quiet`},

	{"an append for acks=all with too few replicas in sync", 21, replicated + `
		state 1 0 [1]
		counts 1 [1]
		begin 1 acks-all`},
	{"an append that asks for less may be made with fewer", 0, replicated + `
		state 1 0 [1]
		counts 1 [1]
		begin 1`},
	{"an epoch that was cut off is still in the cache", 15, replicated + `
		cache 2 0 0 1 3`},
	{"an epoch of the log is not in the cache", 15, replicated + `
		append 2 4 6 1
		cache 2 0 0`},
	{"an epoch in the cache begins behind the log", 15, replicated + `
		cache 2 0 0 1 5`},
	{"an epoch in which a leader has not appended yet is at the log's end", 0, replicated + `
		cache 2 0 0 1 4`},
	{"two epochs of which one has no record", 0, replicated + `
		append 2 4 6 2
		cache 2 0 0 2 4 3 6`},
	{"the epoch cache begins with the log", 0, replicated + `
		start 2 2
		cache 2 0 2`},

	{"a replica forgets a producer", 62, replicated + `
		batch 1 4 7 0 0 3
		knows 1`},
	{"a replica knows another sequence than its log says", 62, replicated + `
		batch 1 4 7 0 0 3
		knows 1 7 0 2 4`},
	{"two replicas differ in what they know", 62, replicated + `
		knows 1 7 0 3 4
		knows 2 7 0 2 4`},
	{"a replica knows what its log says, and the others the same", 0, replicated + `
		batch 1 4 7 0 0 3
		knows 1 7 0 3 4
		knows 2 7 0 3 4`},
	{"retention took the batches of a producer", 0, replicated + `
		batch 1 4 7 0 0 3
		append 1 4 6 0
		start 1 4
		knows 1
		knows 2 7 0 3 4`},
	{"a follower that began anew at the leader's log start knows no producers from before", 0, replicated + `
		batch 1 4 7 0 0 3
		append 1 4 6 0
		batch 1 6 8 0 0 1
		restart 3 4
		append 3 4 6 0
		batch 3 6 8 0 0 1
		knows 1 7 0 3 4 8 0 1 6
		knows 3 8 0 1 6`},
	{"but of those since", 62, replicated + `
		append 1 4 6 0
		restart 3 4
		append 3 4 6 0
		knows 1 8 0 1 6
		knows 3`},

	{"a fenced broker joins the ISR", 76, replicated + `
		state 1 0 [1 2]
		counts 1 [1 2]
		broker 12 3 5 fenced
		counts 1 [1 2 3]
		state 1 0 [1 2 3]`},
	{"a broker in controlled shutdown is elected", 76, replicated + `
		broker 11 2 5 leaving
		state 2 1 [1 2 3]`},
	{"a broker that was fenced and is no more joins", 0, replicated + `
		state 1 0 [1 2]
		counts 1 [1 2]
		broker 5 3 5 fenced
		broker 6 3 5
		counts 1 [1 2 3]
		state 1 0 [1 2 3]`},
	{"a leader asks a fenced broker in", 76, replicated + `
		state 1 0 [1 2]
		counts 1 [1 2]
		broker 12 3 5 fenced
		applied 1 13
		asks 1 3 14`},
	{"a leader that has not heard that a broker shuts down asks it in", 0, replicated + `
		state 1 0 [1 2]
		counts 1 [1 2]
		broker 11 3 5
		broker 13 3 5 leaving
		applied 1 12
		asks 1 3 14`},
	{"a leader that is about to tell that it has applied that a broker is unfenced asks it in", 0, replicated + `
		state 1 0 [1 2]
		counts 1 [1 2]
		broker 11 3 5 fenced
		broker 13 3 5
		applied 1 12
		asks 1 3 14`},
	{"a fenced broker stays in the ISR", 76, replicated + `
		fenced 3`},
	{"before KIP-966 the last member of an ISR stayed in it", 0, replicated + `
		state -1 1 [3]
		fenced 3`},
	{"a replica stays in the ELR through an unclean shutdown", 18, replicated + `
		state 1 0 [1] [3]
		counts 1 [1]
		stop 3
		recover 3 0 4 4
		unfenced 3 20`},
	{"a replica stays in the ELR through a clean shutdown", 0, replicated + `
		state 1 0 [1] [3]
		counts 1 [1]
		stop 3
		recover 3 0 4 4
		unfenced 3 20 clean`},
	{"a replica joined the ISR after its unclean shutdown, and is unfenced anew", 0, replicated + `
		state 1 0 [1 2]
		counts 1 [1 2]
		stop 3
		recover 3 0 4 4
		fetch 1 3 4 0
		counts 1 [1 2 3]
		state 1 0 [1 2 3]
		unfenced 3 11`},
	{"an ELR member lacks a committed record", 7, replicated + `
		follows 3 0 1 4
		restart 3 1
		state 1 0 [1] [3]`},

	{"a leader begins with a lower high watermark than it had", 80, replicated + `
		recover 2 0 4 4
		state 2 1 [2 3]
		leads 2 1 4 [2 3] 0`},
	{"a log is opened with a high watermark that it never had", 80, replicated + `
		recover 2 0 4 4
		append 2 4 6 0
		flush 2 6
		stop 2
		recover 2 0 6 5`},
	{"a clean restart forgets the high watermark", 80, replicated + `
		recover 2 0 4 4
		close 2
		clean 2
		recover 2 0 4 3`},
	{"a process that is killed while it closes its logs leaves no mark, and the next one may pass one on", 0, replicated + `
		recover 2 0 4 4
		close 2
		stop 2
		stop 2
		clean 2
		recover 2 0 4 3`},
	{"a process that has closed them does", 80, replicated + `
		recover 2 0 4 4
		close 2
		stop 2
		clean 2
		recover 2 0 4 3`},
	{"a kill may lose some of the high watermark", 0, replicated + `
		recover 2 0 4 4
		close 2
		recover 2 0 4 3`},
	{"a process that closed in order what it had not opened says nothing of the high watermark", 0, replicated + `
		recover 2 0 4 4
		stop 2
		clean 2
		recover 2 0 4 3`},

	{"a replica leaves the ISR, and nothing is wrong", 78, replicated + `
		calm 5
		at 6
		shrink 1 [3]`},
	{"a replica leaves the ISR before the cluster has settled", 0, replicated + `
		calm 5
		at 4
		shrink 1 [3]`},
	{"an append is committed late, and nothing is wrong", 79, replicated + `
		calm 5
		at 6
		append 1 4 5 0
		at 9
		append 1 5 6 0`},
	{"an append is not committed, and nothing else is appended", 79, replicated + `
			calm 5
			at 6
			append 1 4 5 0
			append 2 4 5 0
			at 9
			fetch 1 2 5 0`},
	{"an append is committed in time", 0, replicated + `
		calm 5
		at 6
		append 1 4 5 0
		append 2 4 5 0
		append 3 4 5 0
		fetch 1 2 5 0
		fetch 1 3 5 0
		hw 1 5 0
		at 9
		append 1 5 6 0`},
	{"an append is committed late because of a fault", 0, replicated + `
		calm 5
		at 6
		append 1 4 5 0
		trouble
		at 9
		append 1 5 6 0
		calm 20
		at 15
		append 1 6 7 0`},
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
