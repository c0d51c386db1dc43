package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Target says which hosts a fault strikes. It is resolved to hosts at that
// moment. The zero value is no target.
type Target struct {
	kind      targetKind
	names     []string
	topic     string
	partition int32
	count     int
	group     string
	id        string // transactional
}

type targetKind uint8

const (
	named targetKind = iota
	leader
	follower
	followers
	activeController
	anyBroker
	anyController
	anyClient
	allBrokers
	allControllers
	allClients
	someBrokers
	rack
	coordinator
	anyMember
	allMembers
	transactionCoordinator
)

// Host names hosts: Host("broker-1", "broker-2").
func Host(names ...string) Target { return Target{kind: named, names: names} }

// Leader is the host that leads the partition when the fault strikes.
func Leader(topic string, partition int32) Target {
	return Target{kind: leader, topic: topic, partition: partition}
}

// Follower is one replica that does not lead, picked by luck.
func Follower(topic string, partition int32) Target {
	return Target{kind: follower, topic: topic, partition: partition}
}

// Followers are all replicas that do not lead.
func Followers(topic string, partition int32) Target {
	return Target{kind: followers, topic: topic, partition: partition}
}

// Brokers are n different brokers, picked by luck.
func Brokers(n int) Target { return Target{kind: someBrokers, count: n} }

// Rack is every broker of a rack.
func Rack(name string) Target { return Target{kind: rack, names: []string{name}} }

// Coordinator is the host that leads the partition of __consumer_offsets in which
// a group is kept.
func Coordinator(group string) Target { return Target{kind: coordinator, group: group} }

// TransactionCoordinator is the host that leads the partition of __transaction_state in
// which a transactional id is kept.
func TransactionCoordinator(id string) Target { return Target{kind: transactionCoordinator, id: id} }

// Member is one member of a group, picked by luck. Members are all of them, those
// that are down included.
func Member(group string) Target  { return Target{kind: anyMember, group: group} }
func Members(group string) Target { return Target{kind: allMembers, group: group} }

// Targets without parameters.
var (
	ActiveController = Target{kind: activeController}
	AnyBroker        = Target{kind: anyBroker}
	AnyController    = Target{kind: anyController}
	AnyClient        = Target{kind: anyClient}
	AllBrokers       = Target{kind: allBrokers}
	AllControllers   = Target{kind: allControllers}
	AllClients       = Target{kind: allClients}
)

// Targets says how a target may be written.
const Targets = "a host (broker-1), several (broker-1+broker-2), leader of TOPIC/N, a follower of TOPIC/N, followers of TOPIC/N, " +
	"N brokers, rack NAME, coordinator of GROUP, transaction coordinator of ID, a member of GROUP, members of GROUP, active controller, any broker, any controller, any client, all brokers, all controllers, all clients"

// phrases are the targets that are fixed words.
var phrases = map[targetKind]string{
	activeController: "active controller",
	anyBroker:        "any broker",
	anyController:    "any controller",
	anyClient:        "any client",
	allBrokers:       "all brokers",
	allControllers:   "all controllers",
	allClients:       "all clients",
}

// String is how plans and reports name it; parseTarget reads it back.
func (t Target) String() string {
	at := t.topic + "/" + strconv.Itoa(int(t.partition))
	switch t.kind {
	case leader:
		return "leader of " + at
	case follower:
		return "a follower of " + at
	case followers:
		return "followers of " + at
	case someBrokers:
		return strconv.Itoa(t.count) + " brokers"
	case rack:
		return "rack " + t.names[0]
	case coordinator:
		return "coordinator of " + t.group
	case transactionCoordinator:
		return "transaction coordinator of " + t.id
	case anyMember:
		return "a member of " + t.group
	case allMembers:
		return "members of " + t.group
	case named:
		return strings.Join(t.names, "+")
	}
	return phrases[t.kind]
}

func parseTarget(s string) (Target, error) {
	for kind, phrase := range phrases { //det:allow at most one phrase matches
		if s == phrase {
			return Target{kind: kind}, nil
		}
	}
	for prefix, kind := range map[string]targetKind{"leader of ": leader, "a follower of ": follower, "followers of ": followers} { //det:allow at most one prefix matches
		if at, ok := strings.CutPrefix(s, prefix); ok {
			topic, number, _ := strings.Cut(at, "/")
			n, err := strconv.ParseInt(number, 10, 32)
			if err != nil || topic == "" {
				return Target{}, fmt.Errorf("target %q: found %q, expected topic/partition", s, at)
			}
			return Target{kind: kind, topic: topic, partition: int32(n)}, nil
		}
	}
	for prefix, kind := range map[string]targetKind{"coordinator of ": coordinator, "a member of ": anyMember, "members of ": allMembers} { //det:allow at most one prefix matches
		if group, ok := strings.CutPrefix(s, prefix); ok && group != "" {
			return Target{kind: kind, group: group}, nil
		}
	}
	if id, ok := strings.CutPrefix(s, "transaction coordinator of "); ok && id != "" {
		return TransactionCoordinator(id), nil
	}
	if name, ok := strings.CutPrefix(s, "rack "); ok {
		return Rack(name), nil
	}
	if count, ok := strings.CutSuffix(s, " brokers"); ok {
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return Target{}, fmt.Errorf("target %q: found %q, expected a number of brokers", s, count)
		}
		return Brokers(n), nil
	}
	if s == "" || strings.ContainsAny(s, " ,") {
		return Target{}, fmt.Errorf("target %q: expected "+Targets, s)
	}
	return Host(strings.Split(s, "+")...), nil
}

// hosts resolves t.
func (t Target) hosts(c Cluster, luck *rand.Rand) ([]string, error) {
	found := t.find(c, luck)
	if err := t.exists(c); err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(name string) bool { return name == "" })
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no %v now", t)
	}
	return found, nil
}

func (t Target) find(c Cluster, luck *rand.Rand) []string {
	switch t.kind {
	case named:
		return slices.Clone(t.names)
	case leader:
		return []string{c.Leader(t.topic, t.partition)}
	case follower:
		return pick(c.Followers(t.topic, t.partition), 1, luck)
	case followers:
		return slices.Clone(c.Followers(t.topic, t.partition))
	case activeController:
		return []string{c.ActiveController()}
	case anyBroker:
		return pick(c.Brokers(), 1, luck)
	case anyController:
		return pick(c.Controllers(), 1, luck)
	case anyClient:
		return pick(c.Clients(), 1, luck)
	case allBrokers:
		return slices.Clone(c.Brokers())
	case allControllers:
		return slices.Clone(c.Controllers())
	case allClients:
		return slices.Clone(c.Clients())
	case someBrokers:
		return pick(c.Brokers(), t.count, luck)
	case coordinator:
		topic, partition := c.OffsetsPartition(t.group)
		return []string{c.Leader(topic, partition)}
	case transactionCoordinator:
		topic, partition := c.TransactionsPartition(t.id)
		return []string{c.Leader(topic, partition)}
	case anyMember:
		return pick(c.Members(t.group), 1, luck)
	case allMembers:
		return slices.Clone(c.Members(t.group))
	case rack:
		return slices.DeleteFunc(slices.Clone(c.Brokers()), func(h string) bool { return c.Rack(h) != t.names[0] })
	}
	panic("faults: target kind " + strconv.Itoa(int(t.kind)) + " is not known")
}

// pick draws n of the names, in their order.
func pick(names []string, n int, luck *rand.Rand) []string {
	left := slices.Clone(names)
	for len(left) > n {
		i := luck.IntN(len(left))
		left = slices.Delete(left, i, i+1)
	}
	return left
}

// Hosts are the names of a resolved target.
func (t Target) Hosts() []string { return t.names }
