package assignor

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
)

// rangeAssignor gives each subscriber of a topic one run of its partitions, so
// that topics with the same partitions and subscribers are divided alike. Where
// members and replicas have racks, it first gives out what is in a member's own
// rack (KIP-881), as long as that leaves the numbers as they are.
type rangeAssignor struct{}

func (rangeAssignor) Name() string                                  { return Range }
func (rangeAssignor) Protocols() []Protocol                         { return []Protocol{Eager} }
func (rangeAssignor) UserData([]kafka.TopicPartition, int32) []byte { return nil }

func (rangeAssignor) Assign(topics Topics, members []Member) Shares {
	shares := emptyShares(members)
	ranges := rangesOf(topics, members)
	if slices.ContainsFunc(ranges, func(r *topicRange) bool { return r.rackAware }) {
		assignMatchingRacks(ranges, shares)
	}
	for _, r := range ranges {
		r.assign(shares, func(*Member, int32) bool { return true })
	}
	return shares.sorted()
}

// topicRange is one topic while it is divided.
type topicRange struct {
	topic       string
	partitions  []Racks
	subscribers []*Member // in the order of compareMembers
	rackAware   bool
	taken       []bool // by partition
	assigned    []int  // by subscriber
	each        int    // partitions for every subscriber
	extra       int    // subscribers that may still get one more
	free        int    // partitions that are not taken
	first       int    // no partition before it is free
}

// rangesOf are the topics that have partitions and subscribers, by name.
func rangesOf(topics Topics, members []Member) (ranges []*topicRange) {
	subscribers := map[string][]*Member{}
	for _, m := range inOrder(members) {
		for _, topic := range m.Topics {
			if of := subscribers[topic]; len(of) == 0 || of[len(of)-1] != m {
				subscribers[topic] = append(of, m)
			}
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		n, of := len(topics[topic]), subscribers[topic]
		if n == 0 || len(of) == 0 {
			continue
		}
		ranges = append(ranges, &topicRange{
			topic: topic, partitions: topics[topic], subscribers: of, rackAware: needsRacks(topics[topic], of),
			taken: make([]bool, n), assigned: make([]int, len(of)), each: n / len(of), extra: n % len(of), free: n,
		})
	}
	return ranges
}

// room is how many more partitions a subscriber may get.
func (r *topicRange) room(subscriber int) int {
	quota := r.each
	if r.extra > 0 {
		quota++
	}
	return max(0, quota-r.assigned[subscriber])
}

func (r *topicRange) take(subscriber int, partition int32, shares Shares) {
	id := r.subscribers[subscriber].ID
	shares[id] = append(shares[id], kafka.TopicPartition{Topic: r.topic, Partition: partition})
	r.taken[partition] = true
	r.free--
	r.assigned[subscriber]++
	if r.assigned[subscriber] == r.each+1 {
		r.extra--
	}
}

// assign gives each subscriber in turn the first free partitions that suit it.
func (r *topicRange) assign(shares Shares, suits func(*Member, int32) bool) {
	for i, m := range r.subscribers {
		room := r.room(i)
		for p := r.firstFree(); p < len(r.taken) && room > 0; p++ {
			if !r.taken[p] && suits(m, int32(p)) {
				r.take(i, int32(p), shares)
				room--
			}
		}
	}
}

func (r *topicRange) firstFree() int {
	for r.first < len(r.taken) && r.taken[r.first] {
		r.first++
	}
	return r.first
}

// matches: a member without a rack is content with any replica.
func (r *topicRange) matches(m *Member, partition int32) bool {
	return m.Rack == "" || slices.Contains(r.partitions[partition], m.Rack)
}

// assignMatchingRacks gives out partitions with a replica in a member's rack.
// Topics with the same subscribers and as many partitions are kept together:
// partition p of all of them goes to one member, for the sake of joins.
func assignMatchingRacks(ranges []*topicRange, shares Shares) {
	for len(ranges) > 0 {
		first := ranges[0]
		var alike, others []*topicRange
		for _, r := range ranges {
			if len(r.partitions) == len(first.partitions) && slices.Equal(r.subscribers, first.subscribers) {
				alike = append(alike, r)
			} else {
				others = append(others, r)
			}
		}
		if len(alike) > 1 {
			assignTogether(alike, shares)
		} else if first.rackAware {
			first.assign(shares, first.matches)
		}
		ranges = others
	}
}

// assignTogether gives partition p of topics that are divided alike to the
// first member that has a replica of each in its rack, and room for it.
func assignTogether(ranges []*topicRange, shares Shares) {
	for p := range ranges[0].partitions {
		for i, m := range ranges[0].subscribers {
			if slices.ContainsFunc(ranges, func(r *topicRange) bool { return r.room(i) == 0 || !r.matches(m, int32(p)) }) {
				continue
			}
			for _, r := range ranges {
				r.take(i, int32(p), shares)
			}
			break
		}
	}
}

// needsRacks reports whether racks can make a difference for a topic: some
// replica is in the rack of a subscriber, and not all partitions are in the
// same racks.
func needsRacks(partitions []Racks, subscribers []*Member) bool {
	wanted, all := map[string]bool{}, map[string]bool{}
	for _, m := range subscribers {
		if m.Rack != "" {
			wanted[m.Rack] = true
		}
	}
	if len(wanted) == 0 {
		return false
	}
	near := false
	for _, racks := range partitions {
		for _, rack := range racks {
			all[rack] = true
			near = near || wanted[rack]
		}
	}
	return near && slices.ContainsFunc(partitions, func(racks Racks) bool {
		return len(distinct(racks)) != len(all)
	})
}

func distinct(racks Racks) []string {
	return slices.Compact(slices.Sorted(slices.Values(racks)))
}

// compareMembers orders static members first, by instance id, then the others
// by member id: a static member that comes back with a new id keeps its turn.
func compareMembers(a, b *Member) int {
	if a.Instance != "" && b.Instance != "" {
		return strings.Compare(a.Instance, b.Instance)
	}
	return cmp.Or(cmp.Compare(b2i(a.Instance == ""), b2i(b.Instance == "")), strings.Compare(a.ID, b.ID))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// inOrder are the members in the order of compareMembers.
func inOrder(members []Member) []*Member {
	sorted := pointers(members)
	slices.SortStableFunc(sorted, compareMembers)
	return sorted
}

// byID are the members in the order of their ids.
func byID(members []Member) []*Member {
	sorted := pointers(members)
	slices.SortFunc(sorted, func(a, b *Member) int { return strings.Compare(a.ID, b.ID) })
	return sorted
}

func pointers(members []Member) []*Member {
	all := make([]*Member, len(members))
	for i := range members {
		all[i] = &members[i]
	}
	return all
}

func emptyShares(members []Member) Shares {
	shares := Shares{}
	for _, m := range members {
		shares[m.ID] = nil
	}
	return shares
}

// sorted sorts the partitions of each member by topic and number.
func (s Shares) sorted() Shares {
	for _, id := range slices.Sorted(maps.Keys(s)) {
		slices.SortFunc(s[id], kafka.TopicPartition.Compare)
	}
	return s
}
