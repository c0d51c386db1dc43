package replica

import (
	"slices"
	"strconv"
	"time"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// Apply brings the replicas to the state of im, of which ch changed since the
// last call. im is kept until the next call. It blocks, as logs are made.
func (m *Manager) Apply(im *metadata.Image, ch *metadata.Changes) {
	if m.im == nil {
		m.ApplyImage(im)
		return
	}
	m.im = im
	clear(m.configs)
	for _, t := range ch.DeletedTopics {
		for i := range t.Partitions {
			m.retire(kafka.TopicPartition{Topic: t.Name, Partition: i}, t.ID)
		}
	}
	regs := make([]*metadata.Partition, 0, len(ch.Partitions))
	for _, tp := range ch.Partitions {
		if reg := im.Partition(tp); reg != nil {
			regs = append(regs, reg)
		}
	}
	m.applyAll(regs)
	m.reconfigure(ch.Configs)
	if len(ch.Brokers) > 0 {
		m.brokersChanged()
	}
}

// ApplyImage brings the replicas to the state of im, whatever was before: at
// the start, or after a snapshot was loaded. Logs that no partition of im
// belongs to are deleted, at the start set aside. It blocks, at first until the broker is registered.
func (m *Manager) ApplyImage(im *metadata.Image) {
	first := m.im == nil
	if first && !m.isRegistered(im) {
		return
	}
	m.im = im
	clear(m.configs)
	for _, tp := range m.dir.Partitions() {
		id := m.dir.TopicID(tp)
		switch {
		case m.assigned(im.Partition(tp), id):
		case first:
			// As in Kafka, what a broker finds when it starts is not deleted: the
			// metadata may be what was lost.
			if err := m.dir.SetAside(tp); err != nil {
				m.host.Exit(err)
			}
		default:
			m.retire(tp, id)
		}
	}
	var regs []*metadata.Partition
	for _, t := range im.Topics() {
		regs = append(regs, t.Partitions...)
	}
	m.applyAll(regs)
	for _, p := range m.Partitions() {
		p.setConfig(m.configOf(p.tp.Topic))
	}
	m.setProducerExpiry()
	m.setVerification()
	m.brokersChanged()
	if first {
		m.startUpkeep()
	}
}

// isRegistered waits for the broker epoch, and reports whether im has the
// registration of this process. An image from before still says what the last
// process did: it may name this broker the leader of an epoch in which it had
// records that it has lost since.
func (m *Manager) isRegistered(im *metadata.Image) bool {
	for m.brokerEpoch == kafka.NoEpoch && !m.closing {
		m.registered.Wait(env.Forever)
	}
	b := im.Broker(m.cfg.NodeID)
	if m.closing || b == nil || b.Epoch < m.brokerEpoch {
		m.host.Reached(ProbeOldMetadata)
		return false
	}
	return true
}

// assigned reports whether this broker has a replica of reg, of that topic.
func (m *Manager) assigned(reg *metadata.Partition, topic kafka.UUID) bool {
	return reg != nil && reg.TopicID == topic && slices.Contains(reg.Replicas, m.cfg.NodeID)
}

// applyAll brings partitions to what is registered of them: removed ones first,
// then leaders, because clients wait for them, then followers.
func (m *Manager) applyAll(regs []*metadata.Partition) {
	var followers []*metadata.Partition
	for _, reg := range regs {
		switch {
		case !slices.Contains(reg.Replicas, m.cfg.NodeID):
			m.retire(reg.TP(), reg.TopicID)
		case reg.Leader == m.cfg.NodeID:
			m.replicaOf(reg).becomeLeader(reg)
		default:
			followers = append(followers, reg)
		}
	}
	for _, reg := range followers {
		p := m.replicaOf(reg)
		p.becomeFollower(reg)
		if p.role == Follower && p.fetching == nil && !p.stopped && !m.closing {
			m.follow(p)
		}
	}
}

// replicaOf is the replica of reg, which is made if it is not there: with the log
// that was found on disk, or a new one. A log of another topic of the same
// name goes: that topic was deleted while this broker was away.
func (m *Manager) replicaOf(reg *metadata.Partition) *Partition {
	tp := reg.TP()
	if p := m.byName[tp]; p != nil && p.topic == reg.TopicID {
		return p
	}
	l := m.dir.Get(tp)
	if l != nil && m.dir.TopicID(tp) != reg.TopicID {
		m.retire(tp, m.dir.TopicID(tp))
		l = nil
	}
	cfg := m.configOf(tp.Topic)
	if l == nil {
		var err error
		if l, err = m.dir.Create(tp, reg.TopicID, cfg); err != nil {
			m.host.Exit(err)
		}
	}
	p := newPartition(m, tp, reg.TopicID, l)
	p.setConfig(cfg)
	m.byName[tp] = p
	m.byID[partKey{p.topic, tp.Partition}] = p
	at, _ := slices.BinarySearchFunc(m.sorted, tp, func(p *Partition, tp kafka.TopicPartition) int { return p.tp.Compare(tp) })
	m.sorted = slices.Insert(m.sorted, at, p)
	return p
}

// retire deletes the replica of tp, if it is one of that topic.
func (m *Manager) retire(tp kafka.TopicPartition, topic kafka.UUID) {
	if p := m.byName[tp]; p != nil && p.topic == topic {
		p.stop(true)
		delete(m.byName, tp)
		delete(m.byID, partKey{topic, tp.Partition})
		m.sorted = slices.DeleteFunc(m.sorted, func(x *Partition) bool { return x == p })
		m.host.Tell(&witness.Deleted{Replica: p.self})
	}
	if m.dir.Get(tp) != nil && m.dir.TopicID(tp) == topic {
		if err := m.dir.Delete(tp); err != nil {
			m.host.Exit(err)
		}
	}
}

// brokersChanged looks again at what depends on the state of other brokers:
// a broker that is fenced no longer holds back a high watermark that it does
// not count for.
func (m *Manager) brokersChanged() {
	for _, p := range m.Partitions() {
		p.advance()
		p.trimmed.check()
	}
}

// reconfigure takes over changed configurations of topics and brokers.
func (m *Manager) reconfigure(changed []metadata.Resource) {
	if len(changed) == 0 {
		return
	}
	m.setProducerExpiry()
	m.setVerification()
	for _, p := range m.Partitions() {
		concerns := func(r metadata.Resource) bool {
			return r.Type == metadata.BrokerResource || r.Type == metadata.TopicResource && r.Name == p.tp.Topic
		}
		if slices.ContainsFunc(changed, concerns) {
			p.setConfig(m.configOf(p.tp.Topic))
			p.advance() // min.insync.replicas may have fallen
		}
	}
}

func (p *Partition) setConfig(cfg log.Config) {
	p.cfg = cfg
	p.log.SetConfig(cfg)
	if cfg.CleanupPolicy.Compact {
		p.m.startCleaners()
	}
}

// configOf is the configuration of a topic in the image: all its partitions
// share one.
func (m *Manager) configOf(topic string) log.Config {
	cfg, known := m.configs[topic]
	if !known {
		cfg = m.findConfig(topic)
		m.configs[topic] = cfg
	}
	return cfg
}

// findConfig finds what is set on a topic, else on this broker, else on all
// brokers, else in the broker's own file.
func (m *Manager) findConfig(topic string) log.Config {
	var cfg log.Config
	if m.cfg.TopicDefaults != nil {
		cfg = *m.cfg.TopicDefaults
	} else {
		config.Default(&cfg)
	}
	for _, r := range []metadata.Resource{
		{Type: metadata.BrokerResource}, metadata.BrokerConfig(m.cfg.NodeID), {Type: metadata.TopicResource, Name: topic},
	} {
		for _, e := range m.im.Config(r) {
			name := e.Name
			if r.Type == metadata.BrokerResource {
				d := config.DefaultOf(name)
				if d == nil || !d.Dynamic(name) {
					continue // another part's
				}
				name, e.Value = d.Name, d.OfBroker(name, e.Value)
			}
			if !config.Has(&cfg, name) {
				continue // it has no effect here
			}
			if err := config.Put(&cfg, name, e.Value); err != nil {
				m.host.Tell(&witness.ConfigIgnored{Topic: topic, Error: witness.ErrorOf(err)})
			}
		}
	}
	return cfg
}

// setProducerExpiry has the logs forget idle producers when they now must.
func (m *Manager) setProducerExpiry() {
	var after time.Duration
	m.eachSet("producer.id.expiration.ms", func(v string) error {
		n, err := strconv.ParseInt(v, 10, 32)
		if err == nil {
			after = time.Duration(n) * time.Millisecond
		}
		return err
	})
	m.dir.SetProducerExpiry(after)
}

// setVerification has the logs refuse unverified transactions of clients of transaction.version 1,
// if they now must (KIP-890).
func (m *Manager) setVerification() {
	var on *bool
	m.eachSet("transaction.partition.verification.enable", func(v string) error {
		b, err := strconv.ParseBool(v)
		if err == nil {
			on = &b
		}
		return err
	})
	m.dir.SetVerifyTransactions(on)
}

// VerifiesTransactions reports whether leaders take only transactions that were verified.
func (m *Manager) VerifiesTransactions() bool { return m.dir.VerifiesTransactions() }

// eachSet calls take with what is set dynamically of a broker's setting: for all brokers, then for this
// one, which counts. What it refuses is ignored.
func (m *Manager) eachSet(name string, take func(value string) error) {
	for _, r := range []metadata.Resource{{Type: metadata.BrokerResource}, metadata.BrokerConfig(m.cfg.NodeID)} {
		if v, ok := m.im.ConfigValue(r, name); ok {
			if err := take(config.Find(config.Broker, name).Shown(v)); err != nil {
				m.host.Tell(&witness.ConfigIgnored{Error: witness.ErrorOf(err)})
			}
		}
	}
}
