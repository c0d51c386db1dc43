package laws

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func conspire(t *testing.T, events string) *tally {
	brokers, calm := NewBrokers(), &Calm{}
	q := NewQuorum(QuorumConfig{Subject: "quorum", Voters: []Node{1, 2, 3}, Brokers: brokers, Calm: calm})
	play(t, events, func(verb string, w *words) {
		switch verb {
		case "vote":
			q.Voted(w.node(), w.epoch(), w.node())
		case "prevote": // voter epoch candidate leader
			q.PreVoted(w.node(), w.epoch(), w.node(), w.node())
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
			n, end, epoch, start := w.node(), w.num(), w.epoch(), int64(0) // unless the line ends in another
			if len(w.rest) > 0 {
				start = w.num()
			}
			q.Recovered(n, start, end, epoch)
		case "restart":
			q.Restarted(w.node(), w.num())
		case "answer":
			q.Answered(w.node(), w.num())
		case "has-applied": // a broker, as it says itself
			brokers.Applied(w.node(), w.num())
		case "unfenced": // broker epoch
			q.Unfenced(w.node(), w.num())
		case "changed": // broker at [fenced] [leaving]
			node, at := w.node(), w.num()
			brokers.Changed(at, node, at, slices.Contains(w.rest, "fenced"), slices.Contains(w.rest, "leaving"))
			w.rest = nil
		case "going":
			brokers.Going(w.node(), true)
		case "lives": // broker and state, with dashes
			broker := w.node()
			q.Lives(broker, strings.ReplaceAll(w.text(), "-", " "))
		case "may-end":
			q.ShutdownGranted(w.node())
		case "expired": // broker [silent timeout], in seconds
			broker, silent, timeout := w.node(), time.Second, time.Second
			if len(w.rest) > 0 {
				silent, timeout = time.Duration(w.num())*time.Second, time.Duration(w.num())*time.Second
			}
			q.SessionExpired(broker, silent, timeout)
		case "calm":
			calm.Undisturbed(time.Duration(w.num()) * time.Second)
		case "at":
			calm.Now = time.Duration(w.num()) * time.Second
		case "wipe":
			q.Wiped(w.node())
		case "snapshot":
			q.Snapshot(w.node(), w.num(), w.epoch(), w.hash())
		case "active":
			q.ControllerActive(w.node(), w.epoch())
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
	return &q.tally
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

func TestQuorum(t *testing.T) { tell(t, quorums, conspire) }

var quorums = []tale{
	{"an election, records, commits, an active controller", 0, elected + `
		active 1 1
		applied 1 2 5
		applied 2 2 5
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
		vote 3 3 3
		vote 1 3 3
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
	{"a pre-vote in the epoch that there is, then an election in the next", 0, elected + `
		prevote 2 1 3 -1
		append 3 0 3 1
		vote 3 2 3
		vote 2 2 3`},
	{"a pre-vote that arrives late", 0, elected + `
		append 3 0 3 1
		vote 3 2 3
		prevote 2 1 3 -1`},
	{"a voter that lost its disk had asked before", 0, elected + `
		append 3 0 3 1
		flush 3 3
		vote 3 2 3
		wipe 3
		prevote 2 2 3 -1`},

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
		append 3 0 3 1
		vote 3 2 3
		vote 2 2 3
		recover 2 3 2
		vote 2 2 1`},
	{"an epoch falls in a crash", 33, elected + `
		recover 2 3 0`},
	{"a vote for a shorter log", 34, elected + `
		append 3 0 2 1
		vote 3 2 3
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
		applied 1 2 5
		applied 2 2 6`},
	{"a snapshot is of another image than was applied", 37, elected + `
		applied 1 2 5
		snapshot 2 3 1 6`},
	{"an observer applies what is not committed yet", 25, elected + `
		append 1 3 5 1
		append 9 0 3 1
		append 9 3 5 1
		commit 9 3
		applied 9 2 5
		applied 9 4 6`},
	{"a broker applies another record than is committed", 25, `
		vote 1 1 1
		vote 2 1 1
		leads 1 1 0
		append 1 0 2 1
		append 1 2 3 1
		flush 1 3
		append 2 0 2 1
		append 2 2 3 1
		flush 2 3
		append 9 0 2 0
		append 9 2 3 0 7
		commit 1 3
		applied 9 2 5`},
	{"a broker behind applies what it has", 0, elected + `
		append 9 0 3 1
		applied 9 0 5
		applied 9 1 5
		applied 9 2 5`},
	{"a follower of a younger leader loses what an older one committed", 38, elected + `
		follows 2 2 3
		truncate 2 2`},
	{"an outvoted leader loses its own record where a leader died that wrote another", 0, elected + `
		begin 1
		recover 1 4 1
		vote 2 2 2
		vote 3 2 2
		leads 2 2 3
		append 2 3 4 2
		vote 1 3 1
		vote 3 3 1
		leads 1 3 4
		append 1 4 5 3
		flush 1 5
		follows 3 3 1
		append 3 3 4 1
		append 3 4 5 3
		flush 3 5
		commit 1 5
		follows 2 3 1
		truncate 2 3`},
	{"committed records are truncated", 38, elected + `
		follows 2 2 3
		truncate 2 2`},
	{"synced records are gone after a crash", 24, elected + `
		recover 2 2 1`},
	{"a follower in touch with its leader would depose it", 40, elected + `
		prevote 2 1 3 1`},
	{"a pre-vote in an epoch that its candidate has not begun", 40, elected + `
		prevote 2 2 3 -1`},
	{"a pre-vote that is taken for a vote", 40, elected + `
		append 3 0 3 1
		vote 2 2 3`},
	{"a vote for one that voted for another", 40, elected + `
		append 3 0 3 1
		vote 2 2 2
		vote 3 2 2
		vote 1 2 3`},
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
	{"there is no leader in the end", 44, elected + `
		follows 1 2 -1
		quiet`},

	{"a deposed leader drops a longer log, of which nothing is committed", 0, elected + `
		append 1 3 6 1
		vote 3 2 3
		append 3 0 3 1
		flush 3 3
		vote 2 2 3
		leads 3 2 3
		append 3 3 4 2 8
		append 2 3 4 2 8
		flush 3 4
		flush 2 4
		commit 3 4
		snapshot 3 4 2
		follows 1 2 3
		restart 1 4
		snapshot 1 4 2
		applied 1 3 1`},
	{"a process dies when the snapshot is stored and the log not yet dropped", 0, elected + `
		append 3 0 2 1
		snapshot 1 3 1
		recover 3 3 1 3
		append 3 3 4 1`},
	{"a leader drops its log", 36, elected + `
		restart 1 3`},
	{"a log begins behind what is committed", 41, elected + `
		restart 3 4`},
	{"a controller answers what is committed", 0, elected + `
		answer 1 2`},
	{"a controller answers before the commit", 42, elected + `
		answer 1 3`},
	{"a broker is unfenced that has applied its registration", 0, elected + `
		has-applied 7 20
		unfenced 7 20`},
	{"a broker is unfenced that has not applied its registration", 77, elected + `
		has-applied 7 19
		unfenced 7 20`},
	{"a broker lives", 0, elected + `
		lives 7 starting
		lives 7 in-recovery
		lives 7 running
		lives 7 pending-controlled-shutdown
		lives 7 shutting-down
		lives 7 starting
		lives 7 shutting-down`},
	{"a broker that runs ends at once", 101, elected + `
		lives 7 starting
		lives 7 in-recovery
		lives 7 running
		lives 7 shutting-down`},
	{"a broker runs without recovery", 101, elected + `
		lives 7 starting
		lives 7 running`},
	{"a broker is killed", 0, elected + `
		lives 7 running
		lives 7 starting`},
	{"a broker may end before another one has applied that it leaves", 100, elected + `
		changed 7 20
		changed 8 21
		changed 9 22
		changed 7 30 leaving
		has-applied 8 30
		has-applied 9 29
		may-end 7`},
	{"it may when all have applied that, but one that is fenced and one that leaves, too", 0, elected + `
		changed 7 20
		changed 8 21
		changed 9 22
		changed 6 23
		changed 7 30 leaving
		changed 9 31 fenced
		changed 6 32 leaving
		has-applied 8 30
		may-end 7`},
	{"or one that the controller is about to fence, or to let leave", 0, elected + `
		changed 7 20
		changed 8 21
		changed 7 30 leaving
		going 8
		may-end 7`},
	{"a session expires, and nothing is wrong", 78, elected + `
		calm 5
		at 6
		expired 7`},
	{"another leader is elected, and nothing is wrong", 78, elected + `
		append 3 0 3 1
		calm 5
		at 6
		leads 3 2 3`},
	{"a session expires when it is over", 0, elected + `
		expired 7 9 9`},
	{"a session expires before it is over", 98, elected + `
		expired 7 8 9`},
	{"a session expires when something was wrong", 0, elected + `
		calm 5
		at 4
		expired 7`},
}
