// Package replica holds a broker's copies of partitions: the log of each, its
// role as leader or follower, and the tasks that keep copies alike. A leader
// decides what is committed (the high watermark) and asks the controller which
// replicas may count for it (the ISR); which replica leads is decided
// elsewhere.
//
// The rules are arithmetic without a host (rules.go). Partition applies them to
// one replica: leader.go, follow.go, isr.go. Manager has all replicas of the
// broker, serves the requests for them (produce.go, fetch.go, offsets.go,
// deleterecords.go) and runs the tasks: a fetcher to each leader broker, the
// alterer that talks to the controller, checkpoints and the like (upkeep.go).
package replica

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/env"
)

// Controller asks the active controller, wherever it is. It blocks. An error
// means that no answer came within timeout.
type Controller interface {
	Call(req kmsg.Request, timeout time.Duration) (kmsg.Response, error)
}

// Manager has all replicas of one broker.
type Manager struct {
	host env.Host
	cfg  Config
	dir  *log.Dir
	ctl  Controller
	bugs *planted.Set

	// im is the cluster as the server last said, nil until this process is
	// registered in it.
	im          *metadata.Image
	configs     map[string]log.Config // of topics, as far as they were asked for in im
	brokerEpoch kafka.BrokerEpoch
	registered  env.Signal
	clientID    string
	byName      map[kafka.TopicPartition]*Partition
	byID        map[partKey]*Partition
	sorted      []*Partition // by name
	onRole      []func(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, leads bool)

	fetchers  map[fetcherKey]*fetcher
	cleaners  int // tasks of the log cleaner
	alter     alterer
	sessions  fetchSessions
	purgatory purgatory

	// Memory to be used again.
	fetches  []*fetch
	pendings []*pendings
	told     told

	closing bool
	stop    env.Signal
}

// NewManager takes over the logs in dir. Nothing leads or follows until
// ApplyImage. It does not block.
func NewManager(host env.Host, cfg Config, dir *log.Dir, ctl Controller, bugs *planted.Set) *Manager {
	m := &Manager{
		host: host, cfg: cfg, dir: dir, ctl: ctl, bugs: bugs,
		brokerEpoch: kafka.NoEpoch,
		clientID:    "broker-" + strconv.Itoa(int(cfg.NodeID)) + "-fetcher",
		configs:     map[string]log.Config{},
		byName:      map[kafka.TopicPartition]*Partition{},
		byID:        map[partKey]*Partition{},
		fetchers:    map[fetcherKey]*fetcher{},
		sessions:    fetchSessions{host: host, slots: int(cfg.FetchSessionSlots)},
		purgatory:   purgatory{host: host},
		stop:        host.NewSignal("replicas stop"),
		registered:  host.NewSignal("broker epoch"),
	}
	m.alter = alterer{m: m, wake: host.NewSignal("isr changes")}
	return m
}

// SetBrokerEpoch says under which epoch the broker is registered. Nothing
// leads or follows before that.
func (m *Manager) SetBrokerEpoch(e kafka.BrokerEpoch) {
	m.brokerEpoch = e
	m.registered.Broadcast()
}

// OnRole has f called whenever this broker begins or ends to lead a partition,
// before anything can be appended in the new epoch. f must not block.
func (m *Manager) OnRole(f func(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, leads bool)) {
	m.onRole = append(m.onRole, f)
}

func (m *Manager) roleChanged(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, leads bool) {
	for _, f := range m.onRole {
		f(tp, epoch, leads)
	}
}

// Partition is the replica of tp on this broker, or nil.
func (m *Manager) Partition(tp kafka.TopicPartition) *Partition { return m.byName[tp] }

// Partitions lists the replicas of this broker in the order of their names.
func (m *Manager) Partitions() []*Partition { return slices.Clone(m.sorted) }

// Shutdown stops the tasks and closes the logs with the mark of a clean
// shutdown. It blocks.
func (m *Manager) Shutdown() error {
	m.closing, m.alter.closed = true, true
	m.stop.Broadcast()
	m.registered.Broadcast()
	m.alter.wake.Broadcast()
	parts := m.Partitions()
	for _, p := range parts {
		p.stop(false)
	}
	hws := make(map[kafka.TopicPartition]kafka.Offset, len(parts))
	for _, p := range parts {
		hws[p.tp] = p.hw
	}
	return m.dir.CloseClean(m.lastEpoch(), hws)
}

// lastEpoch is the broker epoch that the mark of a clean shutdown names. A
// process that was never registered has changed nothing, so what the one before
// it closed cleanly still is. Kafka names no epoch then, and the controllers
// take two clean restarts in a row for an unclean one (KIP-966).
func (m *Manager) lastEpoch() kafka.BrokerEpoch {
	if epoch, clean := m.dir.CleanShutdown(); clean && m.brokerEpoch == kafka.NoEpoch {
		m.host.Reached(ProbeMarkPassedOn)
		return epoch
	}
	return m.brokerEpoch
}

// broker is the registration of id, or nil.
func (m *Manager) broker(id kafka.NodeID) *metadata.Broker {
	if m.im == nil {
		return nil
	}
	return m.im.Broker(id)
}

// address is where the broker id listens.
func (m *Manager) address(id kafka.NodeID) (string, error) {
	b := m.broker(id)
	if b == nil || len(b.EndPoints) == 0 {
		return "", fmt.Errorf("replica: address of broker %d: not registered", id)
	}
	e := b.EndPoints[0]
	return e.Host + ":" + strconv.Itoa(int(e.Port)), nil
}

// lookup is the replica that a fetch session names by key.
func (m *Manager) lookup(key sessionKey) (*Partition, error) {
	if key.name != "" {
		return m.lookupName(kafka.TopicPartition{Topic: key.name, Partition: key.id})
	}
	if p := m.byID[partKey{key.topic, key.id}]; p != nil {
		return p, nil
	}
	if m.im == nil || m.im.TopicByID(key.topic) == nil {
		return nil, kerr.UnknownTopicID
	}
	return nil, m.absent(kafka.TopicPartition{Topic: m.im.TopicByID(key.topic).Name, Partition: key.id})
}

// topicName is the name of the topic that a fetch means by key, or "".
func (m *Manager) topicName(key sessionKey) string {
	if key.name != "" || m.im == nil {
		return key.name
	}
	if t := m.im.TopicByID(key.topic); t != nil {
		return t.Name
	}
	return ""
}

// knows reports whether there is a topic of that name.
func (m *Manager) knows(topic string) bool {
	return topic != "" && m.im != nil && m.im.Topic(topic) != nil
}

func (m *Manager) lookupName(tp kafka.TopicPartition) (*Partition, error) {
	if p := m.byName[tp]; p != nil {
		return p, nil
	}
	return nil, m.absent(tp)
}

// absent is why a partition that is not here is not.
func (m *Manager) absent(tp kafka.TopicPartition) error {
	if m.im == nil || m.im.Partition(tp) == nil {
		return kerr.UnknownTopicOrPartition
	}
	return kerr.NotLeaderForPartition
}

// mustWork ends the process if the disk failed: a broker with one log
// directory has nothing left to serve, and what is on disk is unknown.
func (m *Manager) mustWork(p *Partition, err error) {
	if err != nil {
		m.host.Tell(&witness.LogDirFailed{Replica: p.self})
		m.host.Exit(fmt.Errorf("replica: log of %v: %w", p.tp, err))
	}
}

// told is the memory of what replicas tell all the time.
type told struct {
	appending       ledger.Slot[witness.Appending]
	appended        ledger.Slot[witness.Appended]
	readServed      ledger.Slot[witness.ReadServed]
	followerFetched ledger.Slot[witness.FollowerFetched]
	hwMoved         ledger.Slot[witness.HighWatermarkMoved]
	produceAcked    ledger.Slot[witness.ProduceAcked]
}
