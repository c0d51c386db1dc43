package sessions

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// randomGroup plays steps drawn from a seed on one group, of either protocol,
// until something differs.
func randomGroup(s *session, steps int) {
	t := s.makeKnown("rg", 5)
	w := &wanderer{r: s.rng, topic: t, parts: 5}
	w.group = s.group(pick(s.rng, "g", "g h", "G\u00fc"))
	step := w.classicStep
	if s.rng.IntN(2) == 0 {
		step = w.modernStep
	}
	w.parked = map[string]*pending{}
	w.owned = map[*side]map[string]*kmsg.ConsumerGroupHeartbeatResponseAssignment{s.kafka: {}, s.ours: {}}
	w.exists()
	for range steps {
		if s.over {
			return
		}
		s.drawVersions(groupKeys())
		if s.rng.IntN(4) == 0 {
			w.anyStep()
		} else {
			step()
		}
		w.collect()
	}
	// What waits still is answered when all have left.
	for _, letter := range w.inside {
		w.ask("random end", "", w.leave(leaver{letter: letter}))
		w.collect()
	}
}

// wanderer is a random session of a group. The coordinators choose a leader
// among those that are left by the order of a hash map, so the leader of more
// than two does not leave.
type wanderer struct {
	*group
	r     *rand.Rand
	topic string
	parts int

	inside []string            // letters of classic members, the leader first
	parked map[string]*pending // requests that wait, by letter
	// owned is what a side assigned last to a member of KIP-848.
	owned map[*side]map[string]*kmsg.ConsumerGroupHeartbeatResponseAssignment
}

func (w *wanderer) ask(step, letter string, make maker) (kafka, ours kmsg.Response) {
	return w.group.ask(step, letter, make)
}

// collect reads the answers that have come meanwhile to requests that waited.
func (w *wanderer) collect() {
	for _, letter := range []string{"A", "B", "C"} {
		if p := w.parked[letter]; p != nil && !w.s.waits(p, 60*time.Millisecond) {
			delete(w.parked, letter)
			w.heard(letter, p)
		}
	}
}

// heard reads the answer to a request of a member.
func (w *wanderer) heard(letter string, p *pending) {
	k, o := w.group.end(letter, p)
	r, ok := theirs[*kmsg.JoinGroupResponse](k, o)
	if !ok {
		return
	}
	w.inside = slices.DeleteFunc(w.inside, func(l string) bool { return l == letter })
	switch {
	case r.ErrorCode != 0:
	case r.LeaderID == r.MemberID:
		w.inside = slices.Insert(w.inside, 0, letter)
	default:
		w.inside = append(w.inside, letter)
	}
}

// send sends a member's request, unless it has one that waits.
func (w *wanderer) send(step, letter string, make maker) {
	if w.parked[letter] != nil {
		return
	}
	p := w.group.begin(step, letter, make)
	if w.s.waits(p, 120*time.Millisecond) {
		w.parked[letter] = p
		return
	}
	w.heard(letter, p)
}

func (w *wanderer) classicStep() {
	r := w.r
	letter := pick(r, "A", "A", "B", "B", "C")
	static := func(set func(string)) {
		if letter == "C" {
			set("ic")
		}
	}
	switch r.IntN(10) {
	case 0, 1, 2, 3:
		sub, more := subscription(w.topic), subscription(w.topic, w.topic+"2")
		both := []protocol{{"range", sub}, {"roundrobin", sub}}
		protocols := pick(r, []protocol{{"range", sub}}, both, both, both, both, both, []protocol{{"roundrobin", more}, {"range", more}},
			[]protocol{{"roundrobin", more}, {"range", more}}, []protocol{{"range", more}}, []protocol{{"sticky", sub}, {"range", sub}})
		if r.IntN(25) == 0 {
			protocols = pick(r, nil, []protocol{{"sticky", sub}})
		}
		typ := pick(r, "consumer", "consumer", "consumer", "consumer", "consumer", "consumer", "consumer", "connect")
		// Versions below 4 join without an id: in which order those of several
		// become known is the order of a hash map. Version 4 knows no instances,
		// and with an instance Kafka cannot use an id that was given without one.
		w.s.pin[11] = max(w.s.pin[11], 5)
		w.send("random join", letter, w.join(letter, protocols, func(r *kmsg.JoinGroupRequest) {
			r.ProtocolType = typ
			static(func(i string) { r.InstanceID = kmsg.StringPtr(i) })
		}))
	case 4, 5:
		given := map[string]string{}
		if len(w.inside) > 0 && w.inside[0] == letter || r.IntN(5) == 0 {
			for _, l := range []string{"A", "B", "C"} {
				given[l] = pick(r, "", l, l+l)
			}
		}
		name := pick(r, "range", "range", "range", "range", "roundrobin", "sticky")
		off := pick(r, int32(0), 0, 0, 0, 0, 0, 1, -1)
		w.send("random sync", letter, w.sync(letter, given, func(r *kmsg.SyncGroupRequest) {
			r.Generation += off
			r.Protocol = kmsg.StringPtr(name)
			static(func(i string) { r.InstanceID = kmsg.StringPtr(i) })
		}))
	case 6, 7:
		off := pick(r, int32(0), 0, 0, 0, 1, -1)
		w.ask("random heartbeat", "", w.heartbeat(letter, func(r *kmsg.HeartbeatRequest) {
			r.Generation += off
			static(func(i string) { r.InstanceID = kmsg.StringPtr(i) })
		}))
	case 8:
		leads := len(w.inside) > 2 && w.inside[0] == letter
		if leads || w.parked[letter] != nil {
			return
		}
		l := leaver{letter: letter}
		static(func(i string) { l.instance = i })
		w.ask("random leave", "", w.leave(l))
		w.inside = slices.DeleteFunc(w.inside, func(x string) bool { return x == letter })
		if r.IntN(2) == 0 {
			w.forget(letter)
		}
	case 9:
		if w.parked[letter] == nil {
			w.forget(letter)
		}
	}
}

func (w *wanderer) modernStep() {
	r := w.r
	letter := pick(r, "A", "A", "B", "B", "C", "D")
	w.s.pin[68] = 1 // in version 0 a member that joins is given an id
	var edits []beatEdit
	if letter == "D" {
		edits = append(edits, instance("id"))
	}
	beat := func(step string, more ...beatEdit) {
		k, o := w.ask(step, letter, w.beat(letter, append(edits, more...)...))
		w.keep(w.s.kafka, letter, k)
		w.keep(w.s.ours, letter, o)
	}
	names := func() []string {
		return pick(r, []string{w.topic}, []string{w.topic}, []string{w.topic}, []string{}, []string{w.topic, w.topic + "-nope"})
	}
	switch r.IntN(10) {
	case 0, 1:
		edits = append([]beatEdit{w.first(letter, names()...)}, edits...)
		if r.IntN(4) == 0 {
			assignor := pick(r, "range", "uniform", "nope")
			edits = append(edits, with(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.ServerAssignor = kmsg.StringPtr(assignor) }))
		}
		beat("random join by heartbeat")
	case 2, 3:
		beat("random heartbeat of KIP-848")
	case 4, 5, 6:
		beat("random acknowledgement", func(sd *side, r *kmsg.ConsumerGroupHeartbeatRequest) {
			r.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
			if a := w.owned[sd][letter]; a != nil {
				for _, t := range a.Topics {
					x := kmsg.NewConsumerGroupHeartbeatRequestTopic()
					x.TopicID, x.Partitions = t.TopicID, t.Partitions
					r.Topics = append(r.Topics, x)
				}
			}
		})
	case 7:
		off := pick(r, int32(1), -1, -1, -2)
		beat("random epoch", func(_ *side, r *kmsg.ConsumerGroupHeartbeatRequest) { r.MemberEpoch = max(0, r.MemberEpoch+off) })
	case 8:
		topics := names()
		beat("random subscription", with(func(r *kmsg.ConsumerGroupHeartbeatRequest) { r.SubscribedTopicNames = topics }))
	case 9:
		beat("random leave by heartbeat", epoch(pick(r, int32(-1), -1, -2)))
	}
}

// keep remembers what a side assigned.
func (w *wanderer) keep(sd *side, letter string, resp kmsg.Response) {
	if r, ok := resp.(*kmsg.ConsumerGroupHeartbeatResponse); ok && r.Assignment != nil {
		w.owned[sd][letter] = r.Assignment
	}
}

// anyStep is about offsets or about the group as others see it.
func (w *wanderer) anyStep() {
	r := w.r
	letter := pick(r, "", "A", "B", "C", "=stranger")
	part := pick(r, int32(0), 1, 2, 4, 9, -1)
	topic := pick(r, w.topic, w.topic, w.topic, w.topic+"-nope")
	switch r.IntN(9) {
	case 0, 1, 2, 3:
		off := pick(r, int32(0), 0, 0, 1, -1)
		offset := int64(r.IntN(100)) - 2
		metadata := pick(r, "", "m", "\u00e9")
		w.ask("random commit", "", w.commit(letter, []committed{{topic, part, offset, metadata}, {w.topic, 3, offset, ""}}, func(r *kmsg.OffsetCommitRequest) { r.Generation += off }))
	case 4, 5:
		topics := pick(r, nil, []asked{{topic, []int32{0, part}}}, []asked{{w.topic, []int32{0, 1, 2, 3, 4}}})
		at := pick(r, int32(-2), -1, 0, 2, 3)
		stable := r.IntN(3) == 0
		w.ask("random offset fetch", "", func(sd *side) kmsg.Request {
			q := w.offsets(topics)(sd).(*kmsg.OffsetFetchRequest)
			q.RequireStable = stable
			if at > -2 && letter != "" { // a null id is an error of Kafka's own
				w.fetchAs(sd, letter, at)(q)
			}
			return q
		})
	case 6:
		if w.allKnown() {
			w.ask("random describe", "", describeGroups(r.IntN(2) == 0, w.name))
			w.ask("random describe as of KIP-848", "", describeConsumerGroups(r.IntN(2) == 0, w.name))
		}
	case 7:
		w.ask("random list", "", listGroups(pick(r, nil, []string{"Stable"}, []string{"empty", "PreparingRebalance"}), pick(r, nil, []string{"classic"})))
	case 8:
		if r.IntN(3) == 0 {
			w.ask("random delete group", "", deleteGroups(w.name))
			w.exists()
		} else {
			w.ask("random offset delete", "", w.deleteOffsets(asked{topic, []int32{part, 3}}))
		}
	}
}

// exists makes the group by a commit, if it is not there. A pending id alone
// makes a group, too, but no record, so that it is seen at the next record of any
// other group.
func (w *wanderer) exists() {
	w.ask("random group", "", w.commit("", []committed{{w.topic, 0, 1, ""}}))
}

// allKnown reports whether each member that waits has an id that was seen: of
// several that were not, a side tells in the order of a hash map.
func (w *wanderer) allKnown() bool {
	for letter := range w.parked { //det:allow all must be known
		known := true
		w.s.both(func(sd *side) { known = known && w.id(sd, letter) != "" })
		if !known {
			return false
		}
	}
	return true
}
