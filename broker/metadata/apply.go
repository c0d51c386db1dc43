package metadata

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
)

// Apply folds rec in. It is the only writer. A record that cannot follow what
// was before (a change of a partition that is not there) is an error and
// changes nothing: the log is damaged, or its writer is.
func (im *Image) Apply(rec Record) error {
	switch r := rec.(type) {
	case *BeginTransactionRecord:
		if im.inTransaction {
			return fmt.Errorf("metadata: apply %T: a transaction is open already", rec)
		}
		im.inTransaction = true
		return nil
	case *EndTransactionRecord:
		return im.endTransaction()
	case *AbortTransactionRecord:
		im.inTransaction, im.pending = false, nil
		return nil
	default:
		if im.inTransaction {
			im.pending = append(im.pending, r)
			return nil
		}
		return im.apply(rec)
	}
}

func (im *Image) endTransaction() error {
	records := im.pending
	im.inTransaction, im.pending = false, nil
	for _, rec := range records {
		if err := im.apply(rec); err != nil {
			return err
		}
	}
	return nil
}

func (im *Image) apply(rec Record) error {
	switch r := rec.(type) {
	case *RegisterBrokerRecord:
		im.putBroker(r.broker.of(nil, func() *Broker { return im.sealBroker(brokerOf(r)) }))
		return nil
	case *UnregisterBrokerRecord:
		return im.unregisterBroker(r)
	case *BrokerRegistrationChangeRecord:
		return im.changeBroker(r, r.BrokerID, r.BrokerEpoch, &r.broker, func(b *Broker) { b.merge(r) })
	case *FenceBrokerRecord:
		return im.changeBroker(r, r.ID, r.Epoch, &outcome[Broker]{}, func(b *Broker) { b.Fenced = true })
	case *UnfenceBrokerRecord:
		return im.changeBroker(r, r.ID, r.Epoch, &outcome[Broker]{}, func(b *Broker) { b.Fenced = false })
	case *TopicRecord:
		return im.createTopic(r)
	case *PartitionRecord:
		return im.createPartition(r)
	case *PartitionChangeRecord:
		return im.changePartition(r)
	case *RemoveTopicRecord:
		return im.removeTopic(r)
	case *ConfigRecord:
		im.setConfig(r)
		return nil
	case *FeatureLevelRecord:
		im.setFeature(r)
		return nil
	case *ProducerIdsRecord:
		return im.setProducerIDs(r)
	case *ClearElrRecord:
		im.clearELR(r)
		return nil
	case *NoOpRecord:
		return nil
	default:
		im.applyKept(rec)
		return nil
	}
}

// Brokers.

func brokerOf(r *RegisterBrokerRecord) *Broker {
	return &Broker{
		ID: r.BrokerID, IncarnationID: r.IncarnationID, Epoch: r.BrokerEpoch,
		EndPoints: r.EndPoints, Features: r.Features, Rack: r.Rack,
		Fenced: r.Fenced, InControlledShutdown: r.InControlledShutdown, LogDirs: r.LogDirs,
	}
}

func (b *Broker) record() *RegisterBrokerRecord {
	return &RegisterBrokerRecord{
		BrokerID: b.ID, IncarnationID: b.IncarnationID, BrokerEpoch: b.Epoch,
		EndPoints: b.EndPoints, Features: b.Features, Rack: b.Rack,
		Fenced: b.Fenced, InControlledShutdown: b.InControlledShutdown, LogDirs: b.LogDirs,
	}
}

func (b *Broker) merge(r *BrokerRegistrationChangeRecord) {
	if r.Fenced != 0 {
		b.Fenced = r.Fenced == Fence
	}
	if r.InControlledShutdown == EnterControlledShutdown {
		b.InControlledShutdown = true
	}
	if len(r.LogDirs) > 0 {
		b.LogDirs = r.LogDirs
	}
}

// sealBroker ends the making of b, which does not change any more.
func (im *Image) sealBroker(b *Broker) *Broker {
	b.hash = im.hashOf(b.record())
	return b
}

func (im *Image) putBroker(b *Broker) {
	im.hash += b.hash
	if i, ok := im.findBroker(b.ID); ok {
		im.hash -= im.brokers[i].hash
		im.brokers[i] = b
	} else {
		im.brokers = slices.Insert(im.brokers, i, b)
	}
	im.changes.broker(b.ID)
}

// liveBroker finds the broker that a record speaks of, in its epoch.
func (im *Image) liveBroker(rec Record, id kafka.NodeID, epoch kafka.BrokerEpoch) (int, error) {
	i, ok := im.findBroker(id)
	if !ok {
		return 0, fmt.Errorf("metadata: apply %T: broker %d is not registered", rec, id)
	}
	if have := im.brokers[i].Epoch; have != epoch {
		return 0, fmt.Errorf("metadata: apply %T: broker %d has epoch %d, the record %d", rec, id, have, epoch)
	}
	return i, nil
}

func (im *Image) unregisterBroker(r *UnregisterBrokerRecord) error {
	i, err := im.liveBroker(r, r.BrokerID, r.BrokerEpoch)
	if err != nil {
		return err
	}
	im.hash -= im.brokers[i].hash
	im.brokers = slices.Delete(im.brokers, i, i+1)
	im.changes.broker(r.BrokerID)
	return nil
}

func (im *Image) changeBroker(rec Record, id kafka.NodeID, epoch kafka.BrokerEpoch, known *outcome[Broker], change func(*Broker)) error {
	i, err := im.liveBroker(rec, id, epoch)
	if err != nil {
		return err
	}
	old := im.brokers[i]
	im.putBroker(known.of(old, func() *Broker {
		b := *old
		change(&b)
		return im.sealBroker(&b)
	}))
	return nil
}

// Topics and partitions.

func (im *Image) createTopic(r *TopicRecord) error {
	i, exists := im.findTopic(r.Name)
	if exists {
		return fmt.Errorf("metadata: apply %T: topic %s exists with id %v, the record has %v", r, r.Name, im.topics[i].ID, r.TopicID)
	}
	if old := im.byID[r.TopicID]; old != nil {
		return fmt.Errorf("metadata: apply %T: id %v of topic %s is that of topic %s", r, r.TopicID, r.Name, old.Name)
	}
	t := &Topic{Name: r.Name, ID: r.TopicID, hash: im.hashOf(r)}
	im.hash += t.hash
	im.topics = slices.Insert(im.topics, i, t)
	im.byID[t.ID] = t
	im.changes.createdTopic(t.Name)
	return nil
}

func (im *Image) removeTopic(r *RemoveTopicRecord) error {
	t := im.byID[r.TopicID]
	if t == nil {
		return fmt.Errorf("metadata: apply %T: topic id %v is unknown", r, r.TopicID)
	}
	im.hash -= t.hash
	for _, p := range t.Partitions {
		im.hash -= p.hash
	}
	i, _ := im.findTopic(t.Name)
	im.topics = slices.Delete(im.topics, i, i+1)
	delete(im.byID, t.ID)
	im.removeConfigs(Resource{TopicResource, t.Name})
	im.changes.deletedTopic(t)
	return nil
}

func (im *Image) createPartition(r *PartitionRecord) error {
	t := im.byID[r.TopicID]
	if t == nil {
		return fmt.Errorf("metadata: apply %T: topic id %v is unknown", r, r.TopicID)
	}
	if int(r.PartitionID) != len(t.Partitions) {
		return fmt.Errorf("metadata: apply %T: partition %s/%d found, %d expected", r, t.Name, r.PartitionID, len(t.Partitions))
	}
	p := r.partition
	if p == nil || p.Topic != t.Name {
		p = im.sealPartition(partitionOf(r, t))
		r.partition = p
	}
	t.Partitions = append(t.Partitions, nil)
	im.putPartition(t, p)
	return nil
}

func partitionOf(r *PartitionRecord, t *Topic) *Partition {
	return &Partition{
		Topic: t.Name, TopicID: t.ID, ID: r.PartitionID,
		Replicas: r.Replicas, ISR: r.ISR, ELR: r.ELR, LastKnownELR: r.LastKnownELR,
		AddingReplicas: r.AddingReplicas, RemovingReplicas: r.RemovingReplicas, Directories: r.Directories,
		Leader: r.Leader, LeaderEpoch: r.LeaderEpoch, PartitionEpoch: r.PartitionEpoch, Recovery: r.Recovery,
	}
}

func (p *Partition) record() *PartitionRecord {
	return &PartitionRecord{
		TopicID: p.TopicID, PartitionID: p.ID,
		Replicas: p.Replicas, ISR: p.ISR, ELR: p.ELR, LastKnownELR: p.LastKnownELR,
		AddingReplicas: p.AddingReplicas, RemovingReplicas: p.RemovingReplicas, Directories: p.Directories,
		Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch, Recovery: p.Recovery,
	}
}

func (im *Image) changePartition(r *PartitionChangeRecord) error {
	t := im.byID[r.TopicID]
	old := t.Partition(r.PartitionID)
	if old == nil {
		return fmt.Errorf("metadata: apply %T: partition %d of topic id %v is unknown", r, r.PartitionID, r.TopicID)
	}
	im.putPartition(t, r.partition.of(old, func() *Partition { return im.sealPartition(old.Merge(r)) }))
	return nil
}

// clearELR changes the partitions that have an ELR, or had one last, as
// ReplicationControlManager does.
func (im *Image) clearELR(r *ClearElrRecord) {
	none := NewPartitionChange(kafka.UUID{}, 0)
	none.ELR, none.LastKnownELR = []kafka.NodeID{}, []kafka.NodeID{}
	for _, t := range im.topics {
		if r.TopicName != "" && t.Name != r.TopicName {
			continue
		}
		for _, p := range t.Partitions {
			if p != nil && len(p.ELR)+len(p.LastKnownELR) > 0 {
				im.putPartition(t, im.sealPartition(p.Merge(none)))
			}
		}
	}
}

// Merge is the partition as r leaves it. A record that names a leader begins a
// new leader epoch, even if it is the same leader; any change begins a new
// partition epoch.
func (p *Partition) Merge(r *PartitionChangeRecord) *Partition {
	next := *p
	next.PartitionEpoch++
	if r.Leader != NoLeaderChange {
		next.Leader = r.Leader
		next.LeaderEpoch++
	}
	if r.Recovery != NoRecoveryChange {
		next.Recovery = r.Recovery
	}
	setIf(&next.ISR, r.ISR)
	setIf(&next.ELR, r.ELR)
	setIf(&next.LastKnownELR, r.LastKnownELR)
	setIf(&next.Replicas, r.Replicas)
	setIf(&next.AddingReplicas, r.AddingReplicas)
	setIf(&next.RemovingReplicas, r.RemovingReplicas)
	setIf(&next.Directories, r.Directories)
	return &next
}

// setIf replaces *v unless the change is nil. Empty becomes nil, as in a
// partition that was never given any.
func setIf[T any](v *[]T, change []T) {
	switch {
	case change == nil:
	case len(change) == 0:
		*v = nil
	default:
		*v = change
	}
}

// sealPartition ends the making of p, which does not change any more.
func (im *Image) sealPartition(p *Partition) *Partition {
	p.hash = im.hashOf(p.record())
	return p
}

func (im *Image) putPartition(t *Topic, p *Partition) {
	if old := t.Partitions[p.ID]; old != nil {
		im.hash -= old.hash
	}
	im.hash += p.hash
	t.Partitions[p.ID] = p
	im.changes.partition(p.TP())
}

// Configurations, features, producer ids.

func (im *Image) setConfig(r *ConfigRecord) {
	im.changes.config(r.resource())
	i, ok := im.findConfig(r.resource(), r.Name)
	if ok {
		im.hash -= im.hashOf(&im.configs[i])
	}
	switch {
	case r.Value == nil && ok:
		im.configs = slices.Delete(im.configs, i, i+1)
	case r.Value == nil:
	case ok:
		im.configs[i] = *r
		im.hash += im.hashOf(r)
	default:
		im.configs = slices.Insert(im.configs, i, *r)
		im.hash += im.hashOf(r)
	}
}

func (im *Image) removeConfigs(r Resource) {
	from, _ := im.findConfig(r, "")
	to := from
	for to < len(im.configs) && im.configs[to].resource() == r {
		im.hash -= im.hashOf(&im.configs[to])
		to++
	}
	if to > from {
		im.configs = slices.Delete(im.configs, from, to)
		im.changes.config(r)
	}
}

func (im *Image) setFeature(r *FeatureLevelRecord) {
	if im.changes != nil {
		im.changes.Features = true
	}
	i, ok := im.findFeature(r.Name)
	if ok {
		im.hash -= im.hashOf(&im.features[i])
	}
	switch {
	case r.Level == 0 && ok:
		im.features = slices.Delete(im.features, i, i+1)
	case r.Level == 0:
	case ok:
		im.features[i] = *r
		im.hash += im.hashOf(r)
	default:
		im.features = slices.Insert(im.features, i, *r)
		im.hash += im.hashOf(r)
	}
}

func (im *Image) setProducerIDs(r *ProducerIdsRecord) error {
	old := im.producerIDs
	if r.NextProducerID <= old.NextProducerID {
		return fmt.Errorf("metadata: apply %T: next producer id %d found, more than %d expected", r, r.NextProducerID, old.NextProducerID)
	}
	if old.NextProducerID > 0 {
		im.hash -= im.hashOf(&old)
	}
	im.producerIDs = *r
	im.hash += im.hashOf(r)
	if im.changes != nil {
		im.changes.ProducerIDs = true
	}
	return nil
}

// What is only kept.

// keptRecord is a record that nothing here acts on, under the key of what it
// is about.
type keptRecord struct {
	key string
	rec Record
}

func (im *Image) applyKept(rec Record) {
	if im.changes != nil {
		im.changes.Kept = true
	}
	key, removes := keptKey(rec)
	i, ok := slices.BinarySearchFunc(im.kept, key, func(k keptRecord, key string) int {
		return strings.Compare(k.key, key)
	})
	if ok {
		im.hash -= im.hashOf(im.kept[i].rec)
	}
	switch {
	case removes && ok:
		im.kept = slices.Delete(im.kept, i, i+1)
	case removes:
	case ok:
		im.kept[i].rec = rec
		im.hash += im.hashOf(rec)
	default:
		im.kept = slices.Insert(im.kept, i, keptRecord{key, rec})
		im.hash += im.hashOf(rec)
	}
}

// keptKey names what rec is about, and reports whether it takes it away.
func keptKey(rec Record) (key string, removes bool) {
	switch r := rec.(type) {
	case *ClientQuotaRecord:
		key = "quota"
		for _, e := range r.Entity {
			key += "/" + strconv.Quote(e.Type)
			if e.Name != nil {
				key += "=" + strconv.Quote(*e.Name)
			}
		}
		return key + "/" + strconv.Quote(r.Key), r.Remove
	case *DelegationTokenRecord:
		return "token/" + r.TokenID, false
	case *RemoveDelegationTokenRecord:
		return "token/" + r.TokenID, true
	case *UserScramCredentialRecord:
		return fmt.Sprintf("scram/%d/%s", r.Mechanism, r.Name), false
	case *RemoveUserScramCredentialRecord:
		return fmt.Sprintf("scram/%d/%s", r.Mechanism, r.Name), true
	case *AccessControlEntryRecord:
		return "acl/" + r.ID.String(), false
	case *RemoveAccessControlEntryRecord:
		return "acl/" + r.ID.String(), true
	case *RegisterControllerRecord:
		return fmt.Sprintf("controller/%d", r.ControllerID), false
	case *ZkMigrationStateRecord:
		return "zk", false
	}
	panic(fmt.Sprintf("metadata: apply %T: no rule for it", rec))
}
