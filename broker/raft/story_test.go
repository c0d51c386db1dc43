package raft

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/internal/golden"
)

// TestStories plays each story in testdata/stories. A story is blocks of a
// command, "----", and what came of it: a line for each message, each write of
// the quorum state, each change of a role, a log's end or a high watermark.
//
// A message reads "1->2 Vote epoch 3, log 5@2": the log ends at offset 5, its
// last record is of epoch 2.
func TestStories(t *testing.T) {
	golden.Stories(t, "testdata/stories/*.txt", play)
}

// play runs the commands of a story and fills in what comes of them.
func play(t *testing.T, text string) string {
	var out strings.Builder
	s := &story{t: t}
	for i, block := range strings.Split(strings.TrimRight(text, "\n"), "\n\n") {
		if i > 0 {
			out.WriteString("\n")
		}
		head, _, isCommand := strings.Cut(block, "\n----")
		out.WriteString(head + "\n")
		if !isCommand {
			continue
		}
		s.lines = nil
		for _, line := range strings.Split(head, "\n") {
			if !strings.HasPrefix(line, "#") {
				s.run(strings.Fields(line))
			}
		}
		out.WriteString("----\n")
		for _, line := range s.lines {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

// story is a quorum without hosts.
type story struct {
	t       *testing.T
	now     time.Duration
	members []*actor
	voters  []kafka.NodeID
	cut     map[[2]kafka.NodeID]bool
	lines   []string
}

// actor is a member with what is durable of it.
type actor struct {
	id    kafka.NodeID
	core  *Core
	bugs  *planted.Set
	saved QuorumState
	down  bool
	seen  string // its state as last shown
	asked string // its last fetch and the answer
}

// noLuck draws the shortest timeouts and the first of all choices.
type noLuck struct{}

func (noLuck) Int64N(int64) int64 { return 0 }

func (s *story) say(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

// run plays one command.
func (s *story) run(words []string) {
	arg := func(i int) *actor { return s.member(words[i]) }
	number := func(i int) int64 {
		n, err := strconv.ParseInt(words[i], 10, 64)
		require.NoError(s.t, err)
		return n
	}
	switch words[0] {
	case "quorum": // quorum 3 [observers 2] [leader 1]
		s.quorum(words[1:])
	case "plant": // plant 1 raft.restart_as_leader
		arg(1).bugs = planted.Plant(planted.Bug(words[2]))
	case "timeout": // timeout 2: the timer of 2 passes
		m := arg(1)
		s.now = max(s.now, m.core.Deadline())
		m.core.Tick(s.now)
		s.settle(m)
	case "tick": // tick 1: 1 looks at its timers
		m := arg(1)
		m.core.Tick(s.now)
		s.settle(m)
	case "sleep": // sleep 1500: time passes, and no timer is looked at
		s.now += time.Duration(number(1)) * time.Millisecond
	case "ask": // ask 1 2: 1 says to 2 what it has to say
		s.message(arg(1), arg(2).id)
	case "fetch": // fetch 2: 2 fetches once
		s.fetch(arg(1))
	case "stabilize": // until no member has anything to send
		s.stabilize()
	case "append": // append 1 3 [unflushed]: leader 1 appends three records
		m := arg(1)
		m.core.Appended(m.core.Log().End + kafka.Offset(number(2)))
		if len(words) == 3 {
			m.core.Flushed()
		}
		s.settle(m)
	case "flush":
		arg(1).core.Flushed()
		s.settle(arg(1))
	case "cut": // cut 1 2: nothing passes between them; cut 1: nor to any other
		s.setCut(words[1:], true)
	case "heal":
		s.cut = map[[2]kafka.NodeID]bool{}
	case "kill":
		arg(1).down = true
	case "poweroff": // poweroff 1 3: it loses its log from offset 3 on
		m := arg(1)
		m.down = true
		m.core.Log().Truncate(kafka.Offset(number(2)))
	case "restart":
		m := arg(1)
		m.down = false
		s.begin(m, m.saved, *m.core.Log())
	case "resign":
		arg(1).core.Resign(s.now)
		s.settle(arg(1))
	case "leave": // leave 1: it is about to end
		arg(1).core.Leave(s.now)
		s.settle(arg(1))
	case "vote": // vote 2 from 3 epoch 5 log 4@3 [pre]: a request out of the blue
		s.vote(words)
	case "begin": // begin 2 epoch 5 leader 3: a request out of the blue
		m := arg(1)
		reply := m.core.BeginQuorumEpoch(s.now, BeginQuorumEpoch{Epoch: kafka.LeaderEpoch(number(3)), Leader: kafka.NodeID(number(5)), Voter: m.id})
		s.settle(m)
		s.say("%d answers %s", m.id, epochReplyText(reply))
	case "end": // end 2 epoch 5 leader 3
		m := arg(1)
		reply := m.core.EndQuorumEpoch(s.now, EndQuorumEpoch{Epoch: kafka.LeaderEpoch(number(3)), Leader: kafka.NodeID(number(5))})
		s.settle(m)
		s.say("%d answers %s", m.id, epochReplyText(reply))
	case "snapshot": // snapshot 1 5@1 [drop]: 1 stores a snapshot; and drops older ones
		log := arg(1).core.Log()
		log.AddSnapshot(parseEnd(s.t, words[2]))
		for len(words) > 3 && len(log.Snapshots) > 1 {
			log.DropOldestSnapshot()
		}
	case "install": // install 3: 3 has received the snapshot it is fetching
		m := arg(1)
		m.core.SnapshotInstalled(m.core.Fetching())
		s.settle(m)
	case "show":
		for _, m := range s.members {
			m.seen = ""
			s.settle(m)
		}
	default:
		s.t.Fatalf("command %q is unknown", words[0])
	}
}

func (s *story) quorum(words []string) {
	s.cut = map[[2]kafka.NodeID]bool{}
	said := map[string]int{"voters": 0, "observers": 0, "leader": 0}
	for i, what := 0, "voters"; i < len(words); i++ {
		if n, err := strconv.Atoi(words[i]); err == nil {
			said[what] = n
		} else {
			what = words[i]
		}
	}
	for id := range said["voters"] + said["observers"] {
		s.members = append(s.members, &actor{id: kafka.NodeID(id + 1), saved: NoQuorumState})
		if id < said["voters"] {
			s.voters = append(s.voters, kafka.NodeID(id+1))
		}
	}
	for _, m := range s.members {
		s.begin(m, NoQuorumState, Shape{})
	}
	if leader := said["leader"]; leader > 0 { // elected offstage
		s.run([]string{"timeout", fmt.Sprint(leader)})
		s.run([]string{"stabilize"})
		s.lines = nil
		s.run([]string{"show"})
	}
}

// begin starts a member.
func (s *story) begin(m *actor, state QuorumState, log Shape) {
	var settings Settings
	config.Default(&settings)
	m.core = NewCore(s.now, Member{ID: m.id, Voters: s.voters, Settings: settings, Luck: noLuck{}, Bugs: m.bugs}, state, log)
	m.seen, m.asked = "", ""
	s.settle(m)
}

func (s *story) member(word string) *actor {
	id, err := strconv.Atoi(word)
	require.NoError(s.t, err)
	return s.members[id-1]
}

func parseEnd(t *testing.T, word string) SnapshotID {
	var id SnapshotID
	_, err := fmt.Sscanf(word, "%d@%d", &id.End, &id.Epoch)
	require.NoError(t, err)
	return id
}

func (s *story) setCut(words []string, cut bool) {
	a := s.member(words[0]).id
	for _, m := range s.members {
		if len(words) == 1 || slices.Contains(words[1:], fmt.Sprint(m.id)) {
			s.cut[[2]kafka.NodeID{a, m.id}] = cut
			s.cut[[2]kafka.NodeID{m.id, a}] = cut
		}
	}
}

func (s *story) reaches(m *actor, to kafka.NodeID) bool {
	return !m.down && !s.members[to-1].down && !s.cut[[2]kafka.NodeID{m.id, to}]
}

// settle does what a host would: it saves, appends, flushes, and shows what is new.
func (s *story) settle(m *actor) {
	if state := m.core.State(); state != m.saved {
		m.saved = state
		s.say("%d saves epoch %d%s%s", m.id, state.Epoch, named(" leader", state.Leader), named(" voted", state.Voted))
	}
	switch e := m.core.TakeEffect(); {
	case e.Truncate != kafka.NoOffset:
		s.say("%d truncates to %d", m.id, e.Truncate)
	case m.core.Role() != Leader:
		m.core.Flushed()
	}
	if err := m.core.Fault(); err != nil {
		s.say("%d FAULT %v", m.id, err)
	}
	log := m.core.Log()
	unflushed := ""
	if log.Flushed < log.End {
		unflushed = fmt.Sprintf(" flushed %d", log.Flushed)
	}
	seen := fmt.Sprintf("%d %v epoch %d log %d@%d%s hw %d", m.id, m.core.Role(), m.core.State().Epoch, log.End, log.LastEpoch(), unflushed, m.core.HighWatermark())
	if seen != m.seen {
		s.say("%s", seen)
	}
	m.seen = seen
	if m.core.Role() == Leader {
		if start, _ := m.core.EpochStart(); start == log.End {
			m.core.Appended(start + 1) // the LeaderChange record
			m.core.Flushed()
			s.settle(m)
		}
	}
}

func named(what string, id kafka.NodeID) string {
	if id == kafka.NoNode {
		return ""
	}
	return fmt.Sprintf("%s %d", what, id)
}

func (s *story) stabilize() {
	for range 100 {
		quiet := true
		for _, m := range s.members {
			for _, to := range s.voters {
				if to != m.id && m.core.IsVoter() && s.reaches(m, to) && s.message(m, to) {
					quiet = false
				}
			}
		}
		for _, m := range s.members {
			if !m.down && s.fetch(m) {
				quiet = false
			}
		}
		if quiet {
			return
		}
	}
	s.t.Fatalf("no end to it:\n%s", strings.Join(s.lines[len(s.lines)-20:], "\n"))
}

// message lets m say one thing to another voter, and hear the answer.
func (s *story) message(m *actor, to kafka.NodeID) bool {
	msg, ok := m.core.Next(s.now, to)
	if !ok {
		return false
	}
	peer := s.members[to-1]
	switch {
	case msg.Vote != nil:
		s.say("%d->%d %s", m.id, to, voteText(*msg.Vote))
		if s.reaches(m, to) {
			reply := peer.core.Vote(s.now, *msg.Vote)
			s.settle(peer)
			s.say("%d->%d %s", to, m.id, voteReplyText(reply))
			m.core.VoteReplied(s.now, to, *msg.Vote, reply)
		}
	case msg.Begin != nil:
		s.say("%d->%d BeginQuorumEpoch %d", m.id, to, msg.Begin.Epoch)
		if s.reaches(m, to) {
			reply := peer.core.BeginQuorumEpoch(s.now, *msg.Begin)
			s.settle(peer)
			m.core.EpochReplied(s.now, to, msg.Begin.Epoch, reply)
		}
	default:
		s.say("%d->%d EndQuorumEpoch %d, successors %v", m.id, to, msg.End.Epoch, msg.End.Successors)
		if s.reaches(m, to) {
			reply := peer.core.EndQuorumEpoch(s.now, *msg.End)
			s.settle(peer)
			m.core.EpochReplied(s.now, to, msg.End.Epoch, reply)
		}
	}
	s.settle(m)
	return true
}

func (s *story) vote(words []string) {
	m := s.member(words[1])
	end := parseEnd(s.t, words[7])
	epoch, _ := strconv.Atoi(words[5])
	from := s.member(words[3]).id
	req := VoteRequest{
		Epoch: kafka.LeaderEpoch(epoch), Candidate: from, Voter: m.id, LastEpoch: end.Epoch, LastOffset: end.End, Pre: len(words) > 8,
	}
	reply := m.core.Vote(s.now, req)
	s.settle(m)
	s.say("%d->%d %s", m.id, from, voteReplyText(reply))
}

// fetch lets m fetch once. It reports whether that led anywhere.
func (s *story) fetch(m *actor) bool {
	if !m.core.Fetching().IsZero() {
		return false
	}
	to, req, ok := m.core.NextFetch()
	if !ok {
		return false
	}
	if !s.reaches(m, to) {
		m.core.FetchFailed(to)
		return false
	}
	peer := s.members[to-1]
	reply := peer.core.Fetch(s.now, req)
	ask := fmt.Sprintf("%d->%d Fetch epoch %d, log %d@%d, hw %d", m.id, to, req.Epoch, req.Offset, req.LastEpoch, req.HW)
	answer := fmt.Sprintf("%d->%d %s", to, m.id, fetchReplyText(req, reply))
	if again := ask + answer; again == m.asked && (reply.Wait || reply.Err != nil) {
		return false
	}
	m.asked = ask + answer
	s.say("%s", ask)
	s.settle(peer)
	s.say("%s", answer)
	m.core.FetchReplied(s.now, to, req, reply, []byte{}, spansOf(peer.core.Log(), req.Offset, reply))
	s.settle(m)
	return true
}

// spansOf is what the log holds from an offset up to where the reply shows it.
func spansOf(log *Shape, from kafka.Offset, reply FetchReply) (spans []Span) {
	for o := from; reply.Validity == Valid && reply.Err == nil && o < reply.To; {
		epoch := log.EpochOf(o)
		_, end := log.EndOffsetFor(epoch)
		spans = append(spans, Span{Epoch: epoch, Base: o, Next: min(end, reply.To)})
		o = spans[len(spans)-1].Next
	}
	return spans
}

func voteText(v VoteRequest) string {
	name := "Vote"
	if v.Pre {
		name = "PreVote"
	}
	return fmt.Sprintf("%s epoch %d, log %d@%d", name, v.Epoch, v.LastOffset, v.LastEpoch)
}

func voteReplyText(r VoteReply) string {
	verdict := "rejected"
	if r.Granted {
		verdict = "granted"
	}
	if r.Err != nil {
		verdict = r.Err.Message
	}
	return fmt.Sprintf("%s, epoch %d%s", verdict, r.Epoch, named(" leader", r.Leader))
}

func epochReplyText(r EpochReply) string {
	verdict := "well"
	if r.Err != nil {
		verdict = r.Err.Message
	}
	return fmt.Sprintf("%s, epoch %d%s", verdict, r.Epoch, named(" leader", r.Leader))
}

func fetchReplyText(req FetchRequest, r FetchReply) string {
	switch {
	case r.Err != nil:
		return fmt.Sprintf("%s, epoch %d%s", r.Err.Message, r.Epoch, named(" leader", r.Leader))
	case r.Validity == Diverging:
		return fmt.Sprintf("diverging: epoch %d ends at %d", r.Diverging.Epoch, r.Diverging.Next)
	case r.Validity == Snapshotted:
		return fmt.Sprintf("fetch snapshot %d@%d", r.Snapshot.End, r.Snapshot.Epoch)
	case r.To > req.Offset:
		return fmt.Sprintf("records [%d, %d), hw %d", req.Offset, r.To, r.HW)
	case r.Wait:
		return fmt.Sprintf("waits, hw %d", r.HW)
	default:
		return fmt.Sprintf("nothing new, hw %d", r.HW)
	}
}
