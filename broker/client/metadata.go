package client

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// metadata is a client's copy of what the cluster says of itself. It is always
// a little old: a task refreshes it when it has aged, or when there is a sign that
// it is wrong.
type metadata struct {
	// onlyLooks: to ask about a topic must not create it. An admin's does: it
	// would bring back what it has just deleted.
	onlyLooks bool
	// all: every topic of the cluster is asked for, and kept.
	all bool

	net     *network
	version int // counts the answers

	brokers    []node // by id
	clusterID  string
	controller kafka.NodeID

	// topics holds every topic that was ever wanted, found or not. A topic that
	// the cluster does not know for a moment (a broker just restarted may answer
	// so) keeps its partitions' epochs.
	topics map[string]*topic

	wanted      bool          // an update was requested
	hurry       bool          // for a topic that the last one did not ask for
	booted      bool          // a broker has answered since the last bootstrap
	allowedAt   time.Duration // not before: the backoff of the last one
	lastSuccess time.Duration
	failures    int
	idle        int           // updates in a row that changed nothing
	maxIdle     time.Duration // a topic unused for so long is not asked for; 0: no limit

	task    env.Signal // nil: it does not run
	updated env.Signal // broadcast after each answer
}

type node struct {
	id   kafka.NodeID
	addr string
	rack string
}

// topic is one topic as the cluster last described it.
type topic struct {
	name     string
	id       kafka.UUID
	err      error // why it cannot be used now
	parts    []partition
	lastUsed time.Duration
	unused   bool // is not asked for
	asked    bool // the cluster has answered for it
	internal bool
}

// partition is one partition's leadership.
type partition struct {
	leader kafka.NodeID // NoNode: none is known
	// epoch only grows while the topic's id stays: an answer with a smaller one
	// comes from a broker that is behind (KIP-320).
	epoch    kafka.LeaderEpoch
	replicas []int32
	isr      []int32
	offline  []int32
}

func (m *metadata) init(n *network) {
	m.net = n
	m.topics = map[string]*topic{}
	m.controller = kafka.NoNode
	m.updated = n.host.NewSignal("metadata update")
	m.rebootstrap()
}

// rebootstrap forgets all brokers and begins again where the client began.
func (m *metadata) rebootstrap() {
	m.brokers = m.brokers[:0]
	for i, addr := range m.net.bootstrap {
		m.brokers = append(m.brokers, node{id: bootstrapNode(i), addr: addr})
	}
	m.booted = false
	m.lastSuccess = m.net.host.Uptime()
}

func (m *metadata) nodes() []node { return m.brokers }

func (m *metadata) addr(id kafka.NodeID) (string, bool) {
	if id < 0 { // bootstrap servers are in no order
		for i := range m.brokers {
			if m.brokers[i].id == id {
				return m.brokers[i].addr, true
			}
		}
		return "", false
	}
	at, found := m.find(id)
	if !found {
		return "", false
	}
	return m.brokers[at].addr, true
}

// find is the index of a broker among them.
func (m *metadata) find(id kafka.NodeID) (at int, found bool) {
	return slices.BinarySearchFunc(m.brokers, id, func(n node, id kafka.NodeID) int { return cmp.Compare(n.id, id) })
}

// want has name asked for from now on, and reports what is known of it: nil if
// the cluster has not announced yet.
func (m *metadata) want(name string) *topic {
	t := m.topics[name]
	now := m.net.host.Uptime()
	switch {
	case t == nil:
		t = &topic{name: name, err: kerr.UnknownTopicOrPartition}
		m.topics[name] = t
		m.requestAtOnce()
	case t.unused:
		t.unused = false
		m.requestAtOnce()
	}
	t.lastUsed = now
	if t.err != nil {
		return nil
	}
	return t
}

// unwant has name no longer asked for.
func (m *metadata) unwant(name string) {
	if t := m.topics[name]; t != nil {
		t.unused = true
	}
}

// topic is what is known of name, or nil.
func (m *metadata) topic(name string) *topic {
	if t := m.topics[name]; t != nil && t.err == nil {
		return t
	}
	return nil
}

// nameOf is the name of the topic with an id; empty: it is not known.
func (m *metadata) nameOf(id kafka.UUID) string {
	for _, name := range slices.Sorted(maps.Keys(m.topics)) {
		if t := m.topics[name]; t.id == id && !id.IsZero() {
			return name
		}
	}
	return ""
}

// leader is the leader of tp, or NoNode, and the epoch it leads in.
func (m *metadata) leader(tp kafka.TopicPartition) (kafka.NodeID, kafka.LeaderEpoch) {
	t := m.topic(tp.Topic)
	if t == nil || int(tp.Partition) >= len(t.parts) {
		return kafka.NoNode, kafka.NoEpoch
	}
	p := &t.parts[tp.Partition]
	return p.leader, p.epoch
}

// requestUpdate has the metadata refreshed as soon as the backoff allows.
func (m *metadata) requestUpdate() {
	if m.wanted || m.net.closed {
		return
	}
	m.wanted = true
	if m.task == nil {
		m.task = m.net.host.NewSignal("metadata refresh")
		m.net.host.Go("metadata", m.run)
		return
	}
	m.task.Notify()
}

func (m *metadata) requestAtOnce() {
	m.hurry, m.allowedAt = true, 0
	m.wanted = false
	m.requestUpdate()
}

// run is the task that refreshes.
func (m *metadata) run() {
	for !m.net.closed {
		if wait := m.timeToUpdate(); wait > 0 {
			m.task.Wait(wait)
			continue
		}
		m.update()
	}
}

func (m *metadata) close() {
	if m.task != nil {
		m.task.Notify()
	}
	m.updated.Broadcast()
}

// timeToUpdate is 0 if it is time.
func (m *metadata) timeToUpdate() time.Duration {
	now := m.net.host.Uptime()
	due := m.lastSuccess + m.net.cfg.MetadataMaxAge
	if m.wanted {
		due = now
	}
	return max(0, max(due, m.allowedAt)-now)
}

// update asks once.
func (m *metadata) update() {
	n := m.net
	now := n.host.Uptime()
	if n.cfg.Recovery == Rebootstrap && m.booted && now-m.lastSuccess > n.cfg.RebootstrapTrigger {
		m.rebootstrap()
	}
	l, wait := n.leastLoaded()
	if l == nil {
		if n.cfg.Recovery == Rebootstrap && m.booted {
			m.rebootstrap()
			return
		}
		m.task.Wait(wait)
		return
	}
	m.wanted, m.hurry = false, false
	req := m.request()
	resp, err := l.call(req, n.cfg.RequestTimeout)
	switch {
	case n.closed:
		return
	case errors.Is(err, errNotSent):
		m.wanted = true // of another broker, at once
		return
	case err != nil:
		m.failures++
		m.wanted = true
	default:
		m.answered(resp.(*kmsg.MetadataResponse))
	}
	if !m.hurry {
		m.allowedAt = n.host.Uptime() + n.retryBackoff(max(1, m.failures, m.idle))
	}
}

func (m *metadata) request() *kmsg.MetadataRequest {
	now := m.net.host.Uptime()
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = !m.onlyLooks
	if m.all {
		return req // no list: all
	}
	req.Topics = []kmsg.MetadataRequestTopic{} // none, where nil would be all
	for _, name := range slices.Sorted(maps.Keys(m.topics)) {
		t := m.topics[name]
		if m.maxIdle > 0 && now-t.lastUsed > m.maxIdle {
			t.unused = true
		}
		if !t.unused {
			rt := kmsg.NewMetadataRequestTopic()
			rt.Topic = kmsg.StringPtr(t.name)
			req.Topics = append(req.Topics, rt)
		}
	}
	return req
}

// answered takes an answer in.
func (m *metadata) answered(resp *kmsg.MetadataResponse) {
	if resp.ErrorCode == kerr.RebootstrapRequired.Code {
		m.wanted = true
		m.rebootstrap()
		return
	}
	if len(resp.Brokers) == 0 {
		// A broker that has not heard of the cluster yet: not worth believing.
		m.failures++
		m.wanted = true
		return
	}
	m.failures = 0
	m.lastSuccess = m.net.host.Uptime()
	m.booted = true
	m.controller = kafka.NodeID(resp.ControllerID)
	if resp.ClusterID != nil {
		m.clusterID = *resp.ClusterID
	}
	changed := m.takeBrokers(resp.Brokers)
	m.version++
	if m.all {
		m.dropOthers(resp.Topics)
	}
	for i := range resp.Topics {
		rt := &resp.Topics[i]
		if rt.Topic == nil {
			continue
		}
		t := m.topics[*rt.Topic]
		if t == nil && m.all {
			t = &topic{name: *rt.Topic, lastUsed: m.lastSuccess}
			m.topics[t.name] = t
		}
		if t == nil {
			continue // it is not wanted any more
		}
		t.asked, t.internal = true, rt.IsInternal
		if m.take(t, rt) {
			changed = true
		}
	}
	if changed {
		m.idle = 0
	} else {
		m.idle++
	}
	m.updated.Broadcast()
	m.net.changed()
}

// dropOthers takes in that the cluster has no topics but these.
func (m *metadata) dropOthers(topics []kmsg.MetadataResponseTopic) {
	for _, name := range slices.Sorted(maps.Keys(m.topics)) {
		t := m.topics[name]
		if !slices.ContainsFunc(topics, func(rt kmsg.MetadataResponseTopic) bool { return rt.Topic != nil && *rt.Topic == name }) {
			t.asked, t.err = true, kerr.UnknownTopicOrPartition
		}
	}
}

func (m *metadata) takeBrokers(brokers []kmsg.MetadataResponseBroker) (changed bool) {
	nodes := make([]node, 0, len(brokers))
	for i := range brokers {
		b := &brokers[i]
		n := node{id: kafka.NodeID(b.NodeID), addr: joinAddr(b.Host, b.Port)}
		if b.Rack != nil {
			n.rack = *b.Rack
		}
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b node) int { return cmp.Compare(a.id, b.id) })
	if slices.Equal(nodes, m.brokers) {
		return false
	}
	m.brokers = nodes
	return true
}

// take takes in what a response says of t.
func (m *metadata) take(t *topic, rt *kmsg.MetadataResponseTopic) (changed bool) {
	if err := kerr.ErrorForCode(rt.ErrorCode); err != nil {
		changed = t.err != err
		t.err = err
		if kerr.IsRetriable(err) {
			m.wanted = true
		}
		return changed
	}
	id := kafka.UUID(rt.TopicID)
	if t.id != id && !id.IsZero() {
		// Another topic of the same name: its epochs begin anew.
		t.id, t.parts, changed = id, nil, true
	}
	changed = changed || t.err != nil
	t.err = nil
	for i := range rt.Partitions {
		rp := &rt.Partitions[i]
		for int(rp.Partition) >= len(t.parts) {
			t.parts = append(t.parts, partition{leader: kafka.NoNode, epoch: kafka.NoEpoch})
			changed = true
		}
		if m.takePartition(&t.parts[rp.Partition], rp) {
			changed = true
		}
	}
	return changed
}

func (m *metadata) takePartition(p *partition, rp *kmsg.MetadataResponseTopicPartition) (changed bool) {
	epoch := kafka.LeaderEpoch(rp.LeaderEpoch)
	if epoch < p.epoch && epoch != kafka.NoEpoch {
		m.net.host.Reached(ProbeKeptEpoch)
		m.wanted = true
		return false
	}
	leader := kafka.NodeID(rp.Leader)
	if leader < 0 || rp.ErrorCode == kerr.LeaderNotAvailable.Code {
		leader = kafka.NoNode
		m.wanted = true
	}
	changed = p.leader != leader || p.epoch != epoch
	p.leader, p.epoch = leader, max(p.epoch, epoch)
	p.replicas, p.isr, p.offline = rp.Replicas, rp.ISR, rp.OfflineReplicas
	return changed
}

// hint is the leader as a broker that is not the leader knows it (KIP-951).
type hint struct {
	leader kafka.NodeID
	epoch  kafka.LeaderEpoch
}

// follow takes a hint. It reports whether it was news.
func (m *metadata) follow(tp kafka.TopicPartition, h hint) bool {
	t := m.topic(tp.Topic)
	if h.leader < 0 || h.epoch < 0 || t == nil || int(tp.Partition) >= len(t.parts) {
		return false
	}
	p := &t.parts[tp.Partition]
	if h.epoch <= p.epoch {
		return false
	}
	if _, known := m.addr(h.leader); !known {
		return false
	}
	p.leader, p.epoch = h.leader, h.epoch
	return true
}

// heard takes in that there is a leader epoch, without its leader: a committed offset
// names one. A leader of an older epoch is not to be asked any more, for it may know
// nothing of what was committed (KIP-320; Metadata.updateLastSeenEpochIfNewer).
func (m *metadata) heard(tp kafka.TopicPartition, epoch kafka.LeaderEpoch) {
	t := m.topic(tp.Topic)
	if t == nil || int(tp.Partition) >= len(t.parts) || epoch <= t.parts[tp.Partition].epoch {
		return
	}
	p := &t.parts[tp.Partition]
	p.leader, p.epoch = kafka.NoNode, epoch
	m.requestUpdate()
}

// meet adds a broker that came with a hint.
func (m *metadata) meet(id kafka.NodeID, host string, port int32, rack *string) {
	addr := joinAddr(host, port)
	if known, ok := m.addr(id); ok && known == addr {
		return
	}
	n := node{id: id, addr: addr}
	if rack != nil {
		n.rack = *rack
	}
	at, found := m.find(id)
	if found {
		m.brokers[at] = n
		return
	}
	m.brokers = slices.Insert(m.brokers, at, n)
}

// waitFor blocks until name is known and ok says yes to it, at most timeout.
func (m *metadata) waitFor(name string, timeout time.Duration, ok func(*topic) bool) (*topic, error) {
	deadline := m.net.host.Uptime() + timeout
	for {
		t := m.want(name)
		if t != nil && ok(t) {
			return t, nil
		}
		err := m.topics[name].err
		if err == kerr.InvalidTopicException || err == kerr.TopicAuthorizationFailed {
			return nil, fmt.Errorf("client: topic %s: %w", name, err)
		}
		m.requestUpdate()
		left := deadline - m.net.host.Uptime()
		if m.net.closed {
			return nil, fmt.Errorf("client: topic %s: metadata: %w", name, env.ErrClosed)
		}
		if left <= 0 || !m.updated.Wait(left) {
			return nil, fmt.Errorf("client: topic %s: not in the metadata after %v: %w", name, timeout, kerr.RequestTimedOut)
		}
	}
}
