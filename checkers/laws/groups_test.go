package laws

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// group tells a story of group g, on coordinators of hosts a and b.
func gather(t *testing.T, events string) *tally {
	g := NewCoordination(nil)
	calm := &Calm{}
	g.Calm = calm
	play(t, events, func(verb string, w *words) {
		switch verb {
		case "load": // host node epoch end [state]
			g.Loaded(w.host(), w.node(), "__consumer_offsets/0", w.epoch(), w.num(), w.hash())
		case "answer": // node epoch to [state]
			g.Answers(w.node(), "__consumer_offsets/0", w.epoch(), w.num(), w.hash())
		case "compare": // node offset, what it holds, what its log says
			g.Compared(w.node(), "__consumer_offsets/0", w.num(), uint64(w.num()), w.hash())
		case "new":
			g.State(w.host(), "g", "", "Empty")
		case "state": // host to
			g.State(w.host(), "g", "Stable", w.text())
		case "complete": // host generation protocol member..., those in brackets are absent
			host, number, protocol := w.host(), int32(w.num()), w.text()
			var members, absent []string
			for _, m := range w.texts() {
				name := strings.Trim(m, "()")
				if members = append(members, name); name != m {
					absent = append(absent, name)
				}
			}
			g.Completed(host, "g", number, protocol, members, absent)
		case "assign": // host member generation partition...
			g.Assigned(w.host(), "g", w.text(), int32(w.num()), true, w.texts())
		case "heartbeat": // the same by the consumer protocol
			g.Assigned(w.host(), "g", w.text(), int32(w.num()), false, w.texts())
		case "calm": // since when
			calm.Undisturbed(time.Duration(w.num()) * time.Second)
		case "trouble":
			calm.Disturbed()
		case "at":
			calm.Now = time.Duration(w.num()) * time.Second
		case "quiet":
			g.Quiet()
		case "join": // host member [instance]
			g.Joined(w.host(), "g", w.text(), strings.Join(w.texts(), ""))
		case "hold": // state epoch target epoch, then members: m/epoch/state/has/gives/target, and what is taken
			g.Holds("g", w.held())
		case "heard": // host member
			g.Heard(w.host(), "g", w.text())
		case "reports": // host member and what it owns
			g.Reports(w.host(), "g", w.text(), w.texts())
		case "expel": // host member, after so many seconds; with rebalance: because it missed one. It is decided
			host, member, seconds := w.host(), w.text(), w.num()
			g.TimedOut(host, "g", member, time.Duration(seconds)*time.Second, len(w.texts()) > 0)
		case "left": // host member
			g.Left(w.host(), "g", w.text())
		case "away": // host member and what it keeps
			g.Away(w.host(), "g", w.text(), w.texts())
		case "replace": // host member by
			g.Replaced(w.host(), "g", w.text(), w.text())
		case "commit": // member generation at [partition]
			member, generation, at := w.text(), int32(w.num()), w.num()
			g.Committed("g", member, strings.Join(w.texts(), ""), generation, at)
		case "own": // member instance partition...
			g.Owns("g", w.text(), strings.Trim(w.text(), "-"), w.texts())
		case "give": // member partition...
			g.GaveUp("g", w.text(), w.texts())
		case "end": // member
			g.Ended("g", w.text())
		default:
			t.Fatalf("unknown event %q", verb)
		}
	})
	return &g.tally
}

// held reads "Stable 7 7 m/7/stable/x0,x1//x0,x1 taken x0,x1".
func (w *words) held() Held {
	h := Held{State: w.text(), Epoch: int32(w.num()), Target: int32(w.num())}
	list := func(text string) (all []string) {
		if text != "" {
			all = strings.Split(text, ",")
		}
		return all
	}
	for len(w.rest) > 0 {
		text := w.text()
		if text == "taken" {
			h.Taken = list(w.text())
			continue
		}
		field := strings.Split(text, "/")
		require.Len(w.t, field, 6, w.line)
		epoch, err := strconv.Atoi(field[1])
		require.NoError(w.t, err, w.line)
		h.Members = append(h.Members, HeldBy{field[0], int32(epoch), field[2] == "stable", list(field[3]), list(field[4]), list(field[5])})
	}
	return h
}

// host is a letter, and the number of its process.
func (w *words) host() Coordinator {
	name := w.text()
	return Coordinator{name[:1], len(name)}
}

func (w *words) text() string {
	require.NotEmpty(w.t, w.rest, w.line)
	text := w.rest[0]
	w.rest = w.rest[1:]
	return text
}

// texts are the words that are left.
func (w *words) texts() []string {
	all := w.rest
	w.rest = nil
	return all
}

func TestGroups(t *testing.T) { tell(t, gatherings, gather) }

var gatherings = []tale{
	{"members share the partitions", 0, `
		complete a 1 range m n
		assign a m 1 x/0
		assign a n 1 x/1
		assign a m 1 x/0`},
	{"one partition is given to two", 45, `
		complete a 1 range m n
		assign a m 1 x/0 x/1
		assign a n 1 x/1`},
	{"after a fail-over, too", 45, `
		complete a 1 range m n
		assign a m 1 x/0 x/1
		assign b n 1 x/1`},
	{"a member is given something else than before", 45, `
		complete a 1 range m n
		assign a m 1 x/0
		assign a m 1 x/1`},
	{"members move partitions from one generation to the next", 0, `
		complete a 1 range m n
		assign a m 1 x/0 x/1
		complete a 2 range m n
		assign a m 2 x/0
		assign a n 2 x/1`},
	{"an assignor of the application may do as it pleases", 0, `
		complete a 1 broadcast m n
		assign a m 1 x/0
		assign a n 1 x/0`},
	{"a static member comes back and is given what it had", 0, `
		complete a 1 range m n
		assign a m 1 x/0
		assign a m2 1 x/0`},
	{"in one epoch of members, by KIP-848", 45, `
		assign a m 7 x/0
		assign a n 7 x/0`},
	{"a member takes its time to give something up", 0, `
		assign a m 6 x/0 x/1
		assign a m 6 x/0
		assign a n 7 x/1`},
	{"a static member is replaced, by KIP-848", 0, `
		assign a m 6 x/0
		left a m
		join a m2 till
		assign a m2 6 x/0`},

	{"generations grow", 0, `
		complete a 1 range m
		complete a 2 range m`},
	{"a generation comes twice", 46, `
		complete a 1 range m
		complete a 2 range m
		complete a 2 range m`},
	{"what another coordinator had not written may come again", 0, `
		complete a 1 range m
		complete a 2 range m
		complete b 2 range m`},
	{"and what the same one had not, when it has loaded anew", 0, `
		complete a 2 range m
		load a 1 5 3
		complete a 2 range m`},
	{"a group that is made again begins anew", 0, `
		complete a 4 range m
		commit m 4 10
		state a Dead
		new a
		complete a 1 range m
		commit m 1 12`},

	{"commits of growing generations", 0, `
		complete a 1 range m n
		commit m 1 10
		commit n 1 11
		complete a 2 range m n
		commit n 2 12`},
	{"a commit of a generation that is over", 47, `
		complete a 1 range m n
		commit m 1 10
		complete a 2 range m n
		commit n 2 12
		commit m 1 13`},
	{"answered late, it was in time", 0, `
		complete a 1 range m n
		complete a 2 range m n
		commit n 2 12
		commit m 1 11`},
	{"answered late, it was not", 47, `
		complete a 1 range m n
		commit m 1 13
		complete a 2 range m n
		commit n 2 12`},
	{"a classic group is converted, and some of its members have its generation still", 0, `
		complete a 1 range m n
		commit m 1 10
		new a
		commit o 2 11
		commit n 1 12`},
	{"members of their own epochs", 0, `
		commit m 7 10
		commit n 5 11
		commit m 7 12`},
	{"an old epoch of a member", 47, `
		commit m 7 10
		commit n 5 11
		commit m 6 12`},
	{"an old epoch, for a partition that the member has had since (KIP-1251)", 0, `
		assign a m 5 x/0
		assign a m 6 x/0 x/1
		commit m 6 10 x/0
		commit m 5 11 x/0
		assign a m 6
		commit m 5 12 x/0`},
	{"an epoch from before it got the partition", 47, `
		assign a m 5 x/0
		assign a m 6 x/0 x/1
		commit m 6 10 x/1
		commit m 5 11 x/1`},
	{"which it gave up meanwhile", 47, `
		assign a m 5 x/0
		assign a m 6
		assign a m 7 x/0
		commit m 7 10 x/0
		commit m 5 11 x/0`},
	{"and another has now", 47, `
		assign a m 5 x/0
		commit m 5 10 x/0
		assign a m 6
		commit m 6 11 x/0
		assign a n 6 x/0
		commit m 5 12 x/0`},
	{"having joined anew", 47, `
		assign a m 5 x/0
		left a m
		join a m
		commit m 7 10 x/0
		commit m 5 11 x/0`},
	{"a static member commits until it is replaced", 0, `
		complete a 1 range m
		commit m 1 10
		replace a m n
		commit n 1 11`},
	{"and no longer", 54, `
		complete a 1 range m
		replace a m n
		commit n 1 10
		commit m 1 11`},
	{"an administrator commits for a group without members", 0, `
		complete a 1 range m
		commit m 1 10
		commit - -1 11
		complete a 2 range m
		commit m 2 12`},
	{"an administrator commits for a group with members", 47, `
		complete a 1 range m
		commit m 1 10
		commit - -1 11
		commit m 1 12`},
	{"which is told last", 47, `
		commit m 1 10
		commit m 1 12
		commit - -1 11`},

	{"the next coordinator has all that was answered", 0, `
		load a 1 5 3
		answer 1 5 7 99
		load b 2 6 7 99
		answer 2 6 8 98`},
	{"the next coordinator has less", 48, `
		load a 1 5 3
		answer 1 5 7
		load b 2 6 6`},
	{"the next coordinator holds something else", 48, `
		load a 1 5 3 50
		answer 1 5 7 99
		load b 2 6 7 97`},
	{"a coordinator of an old epoch may come late", 0, `
		load b 2 6 7
		answer 2 6 9
		load a 1 5 7`},
	{"a coordinator answers from something else", 48, `
		answer 1 5 7 99
		answer 2 6 7 97`},

	{"a partition is given up before another owns it", 0, `
		own m - x/0
		give m x/0
		own n - x/0`},
	{"two members own a partition", 49, `
		own m - x/0
		own n - x/0`},
	{"a member that was removed does not know it", 0, `
		join a m
		own m - x/0
		left a m
		own n - x/0`},
	{"a member that was removed learns late what it had been given", 0, `
		join a m
		left a m
		own n - x/0
		own m - x/0`},
	{"a member that came back after it was removed", 49, `
		left a m
		join a m
		own m - x/0
		own n - x/0`},
	{"a static member comes back", 0, `
		own m till x/0
		own m2 till x/0`},
	{"a static member knows nothing of a rebalance without it", 0, `
		own m - x/0
		complete a 2 range (m) n
		own n - x/0`},
	{"nor of what it is told late", 0, `
		complete a 2 range (m) n
		own n - x/0
		own m - x/0`},
	{"until it joins again", 49, `
		complete a 2 range (m) n
		assign a m 2 x/0
		own m - x/0
		own n - x/0`},
	{"a consumer leaves", 0, `
		own m - x/0
		end m
		own n - x/0`},

	{"a member's epoch grows", 0, `
		assign a m 6 x/0
		assign a m 7 x/0`},
	{"a member's epoch falls", 53, `
		assign a m 7 x/0
		assign a m 6 x/0`},
	{"a member that joins again begins anew", 0, `
		assign a m 7 x/0
		left a m
		join a m
		assign a m 1 x/0`},
	{"two members of one instance", 54, `
		join a m till
		join a n till`},
	{"a static member is replaced", 0, `
		join a m till
		left a m
		join a n till`},
	{"another coordinator does not know of one that only had joined", 0, `
		join a m till
		join b n till`},

	{"a partition moves once its member was told", 0, `
		join a m
		join a n
		heartbeat a m 6 x/0 x/1
		heartbeat a m 6 x/0
		heartbeat a n 7 x/1`},
	{"a partition moves before its member was told", 50, `
		join a m
		join a n
		heartbeat a m 6 x/0 x/1
		heartbeat a n 7 x/1`},
	{"or says that it does not own it: the answer that gave it was lost", 0, `
		join a m
		join a n
		heartbeat a m 6 x/0 x/1
		reports a m x/0
		heartbeat a n 7 x/1`},
	{"or has left for a while", 0, `
		join a m
		join a n
		heartbeat a m 6 x/0 x/1
		away a m x/0
		heartbeat a n 7 x/1`},
	{"when it keeps the rest", 50, `
		join a m
		join a n
		heartbeat a m 6 x/0 x/1
		away a m x/0
		heartbeat a n 7 x/0`},
	{"but not while it says that it does", 50, `
		join a m
		join a n
		heartbeat a m 6 x/0 x/1
		reports a m x/0 x/1
		heartbeat a n 7 x/1`},
	{"or is gone", 0, `
		join a m
		heartbeat a m 6 x/0
		left a m
		heartbeat a n 7 x/0`},
	{"and is answered after that what it asked before", 0, `
		join a m
		left a m
		join a n
		heartbeat a m 6 x/0
		heartbeat a n 7 x/0`},
	{"a member of the classic protocol gives up all that it has when it joins again", 0, `
		assign a m 6 x/0 x/1
		heartbeat a n 7 x/1`},
	{"a coordinator has written that a member is gone, and leads again after one that had not", 0, `
		join a m
		heartbeat a m 6 x0
		left a m
		load b 2 6 7
		heartbeat b m 6 x0
		load a 1 7 8
		hold Reconciling 7 7 n/7/stable/x0//x0 taken x0
		heartbeat a n 7 x0`},
	{"but not one that has not written it", 50, `
		join a m
		heartbeat a m 6 x0
		load b 2 6 7
		heartbeat b m 6 x0
		load a 1 7 8
		hold Reconciling 7 7 n/7/stable/x0//x0 taken x0
		heartbeat a n 7 x0`},
	{"also after a fail-over", 50, `
		heartbeat a m 6 x/0
		load b 2 6 7
		heartbeat b n 7 x/0`},

	{"a stable group", 0, `
		calm 0
		complete a 1 range m n
		assign a m 1 x/0
		own m - x/0
		assign a n 1 x/1
		own n - x/1
		state a Stable
		at 20
		give m x/0`},
	{"a member does not know what it was given", 59, `
		calm 0
		complete a 1 range m n
		assign a m 1 x/0
		own m - x/0
		assign a n 1 x/1
		state a Stable
		at 20
		give m x/0`},
	{"it had no time to learn it", 0, `
		calm 0
		complete a 1 range m n
		assign a m 1 x/0
		own m - x/0
		assign a n 1 x/1
		state a Stable
		at 9
		give m x/0`},
	{"or was disturbed", 0, `
		complete a 1 range m n
		assign a m 1 x/0
		own m - x/0
		assign a n 1 x/1
		state a Stable
		at 20
		calm 15
		give m x/0`},
	{"a partition is left out", 59, `
		calm 0
		complete a 1 range m n
		assign a m 1 x/0
		own m - x/0
		assign a n 1 x/1
		own n - x/1
		complete a 2 range m n
		assign a m 2 x/0
		assign a n 2
		give n x/1
		state a Stable
		at 20
		state a PreparingRebalance`},
	{"all of a topic is", 0, `
		calm 0
		complete a 1 range m n
		assign a m 1 x/0
		own m - x/0
		assign a n 1 y/1
		own n - y/1
		complete a 2 range m n
		assign a m 2 x/0
		assign a n 2
		give n y/1
		state a Stable
		at 20
		state a PreparingRebalance`},
	{"all members have left, and the group is empty", 0, `
		join a m
		assign a m 1 x/0
		left a m
		state a Empty
		quiet`},
	{"all members have left, and the group waits for them", 81, `
		join a m
		assign a m 1 x/0
		state a PreparingRebalance
		left a m
		quiet`},
	{"a member has not left", 0, `
		join a m
		join a n
		assign a m 1 x/0
		state a PreparingRebalance
		left a m
		quiet`},
	{"the coordinator before took them for gone, and could not write it", 0, `
		join a m
		assign a m 1 x/0
		left a m
		state b PreparingRebalance
		quiet`},
	{"they joined the next one, and left it", 81, `
		join a m
		assign a m 1 x/0
		left a m
		state b Empty
		join b n
		left b n
		state b PreparingRebalance
		quiet`},
	{"another coordinator has loaded the group, and tells no state", 0, `
		join a m
		assign a m 1 x/0
		state a PreparingRebalance
		left a m
		load b 1 6 7
		quiet`},

	{"a KIP-848 group on its way", 0, `
		hold Reconciling 7 7 m/6/waits/x0/x1/x0 n/7/waits///x1 taken x0,x1`},
	{"and when it is there", 0, `
		hold Stable 7 7 m/7/stable/x0//x0 n/7/stable/x1//x1 taken x0,x1`},
	{"it is called stable, and a member is in an old epoch", 51, `
		hold Stable 7 7 m/6/stable/x0//x0 n/7/stable/x1//x1 taken x0,x1`},
	{"the target is of an old epoch", 51, `
		hold Stable 7 6 m/7/stable/x0//x0 taken x0`},
	{"a member has something to give up", 51, `
		hold Stable 7 7 m/7/waits/x0/x1/x0 taken x0,x1`},
	{"a member has less than its target", 51, `
		hold Stable 7 7 m/7/stable/x0//x0 n/7/stable///x1 taken x0`},
	{"the target gives a partition to two", 52, `
		hold Reconciling 7 7 m/7/stable/x0//x0 n/6/waits///x0 taken x0`},
	{"a partition that is not given up looks free", 52, `
		hold Reconciling 7 7 m/6/waits/x0/x1/x0 n/7/waits///x1 taken x0`},
	{"a partition is taken for ever", 52, `
		hold Reconciling 7 7 m/7/stable/x0//x0 taken x0,x1`},
	{"two members have a partition", 52, `
		hold Reconciling 7 7 m/6/waits/x0/x1/x0 n/7/stable/x1//x1 taken x0,x1`},

	{"a member is silent for its session", 0, `
		join a m
		at 5
		heard a m
		at 11
		expel a m 6`},
	{"a member joins again before it is in the log that it is removed", 0, `
		join a m
		at 6
		expel a m 6
		heard a m
		at 7
		left a m
		join a m`},
	{"a member's session begins when it is heard of, not when its join is in the log", 0, `
		heard a m
		at 16
		join a m
		expel a m 6`},
	{"which goes on while another coordinator tells of the group", 0, `
		heard a m
		at 8
		load b 2 6 7
		state b Stable
		at 16
		join a m
		expel a m 6`},
	{"a member is removed though it was heard of", 55, `
		join a m
		at 5
		heard a m
		at 7
		expel a m 6`},
	{"the clock of its coordinator is fast", 0, `
		join a m
		at 100
		heard a m
		at 157
		expel a m 60`},
	{"the session begins anew with the next coordinator", 55, `
		join a m
		heard a m
		at 8
		load b 2 6 7
		at 9
		expel b m 6`},
	{"which has loaded another shard since", 0, `
		load b 2 6 7
		at 4
		load b 2 7 7
		at 6
		expel b m 6`},
	{"and ends there", 0, `
		join a m
		heard a m
		at 8
		load b 2 6 7
		at 14
		expel b m 6`},
	{"a member misses a rebalance", 0, `
		join a m
		at 20
		heard a m
		state a PreparingRebalance
		at 35
		heard a m
		expel a m 15 rebalance`},
	{"which had only begun", 55, `
		join a m
		at 20
		state a PreparingRebalance
		at 24
		expel a m 15 rebalance`},
	{"a member does not sync", 55, `
		at 10
		complete a 2 range m n
		at 12
		expel a m 15 rebalance`},

	{"a coordinator holds what its log says", 0, `
		compare 1 5 77 77
		compare 2 9 78 78`},
	{"a coordinator holds what was never committed", 84, `
		compare 1 5 77 77
		compare 1 6 79 78`},
	{"a broker coordinates in each epoch", 0, `
		load a 1 5 3
		load b 2 6 3`},
	{"two brokers coordinate in one epoch", 56, `
		load a 1 5 3
		load b 2 5 3`},
}
