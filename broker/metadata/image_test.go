package metadata

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
)

// drawNext draws a record that can follow im.
func drawNext(t *rapid.T, im *Image) Record {
	id := kafka.NodeID(rapid.IntRange(1, 4).Draw(t, "broker"))
	switch rapid.SampledFrom([]string{"register", "broker", "topic", "partition", "change", "remove", "config", "feature", "ids", "quota"}).Draw(t, "kind") {
	case "broker":
		if b := im.Broker(id); b != nil {
			if rapid.Bool().Draw(t, "gone") {
				return &UnregisterBrokerRecord{BrokerID: id, BrokerEpoch: b.Epoch}
			}
			fence := rapid.Int8Range(-1, 1).Draw(t, "fence")
			return &BrokerRegistrationChangeRecord{BrokerID: id, BrokerEpoch: b.Epoch, Fenced: fence, InControlledShutdown: rapid.Int8Range(0, 1).Draw(t, "shutdown")}
		}
	case "topic":
		n := byte(rapid.IntRange(1, 5).Draw(t, "topic"))
		name := fmt.Sprintf("t%d", n)
		if im.Topic(name) == nil {
			return &TopicRecord{Name: name, TopicID: kafka.NewUUID(drawn{t})}
		}
	case "partition":
		if topic := drawTopic(t, im); topic != nil {
			return &PartitionRecord{TopicID: topic.ID, PartitionID: int32(len(topic.Partitions)), Replicas: nodes(t), ISR: nodes(t), Leader: id}
		}
	case "change":
		if topic := drawTopic(t, im); topic != nil && len(topic.Partitions) > 0 {
			change := NewPartitionChange(topic.ID, int32(rapid.IntRange(0, len(topic.Partitions)-1).Draw(t, "partition")))
			fillChange(t, change)
			return change
		}
	case "remove":
		if topic := drawTopic(t, im); topic != nil {
			return &RemoveTopicRecord{TopicID: topic.ID}
		}
	case "config":
		rec := &ConfigRecord{ResourceType: TopicResource, ResourceName: fmt.Sprintf("t%d", id), Name: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")}
		if rapid.Bool().Draw(t, "set") {
			value := rapid.SampledFrom([]string{"1", "2"}).Draw(t, "value")
			rec.Value = &value
		}
		return rec
	case "feature":
		return &FeatureLevelRecord{Name: rapid.SampledFrom([]string{"a", metadataVersion}).Draw(t, "name"), Level: rapid.Int16Range(0, 3).Draw(t, "level")}
	case "ids":
		return &ProducerIdsRecord{BrokerID: id, NextProducerID: im.NextProducerID() + 1000}
	case "quota":
		return &ClientQuotaRecord{Key: "k", Value: 1, Remove: rapid.Bool().Draw(t, "remove")}
	}
	return &RegisterBrokerRecord{BrokerID: id, BrokerEpoch: kafka.BrokerEpoch(im.Offset), Fenced: true}
}

type drawn struct{ t *rapid.T }

func (d drawn) Uint64() uint64 { return rapid.Uint64().Draw(d.t, "uuid") }

func drawTopic(t *rapid.T, im *Image) *Topic {
	if len(im.Topics()) == 0 {
		return nil
	}
	return rapid.SampledFrom(im.Topics()).Draw(t, "topic")
}

func nodes(t *rapid.T) []kafka.NodeID {
	return rapid.SliceOfN(rapid.Map(rapid.Int32Range(1, 4), func(id int32) kafka.NodeID { return kafka.NodeID(id) }), 1, 3).Draw(t, "nodes")
}

func fillChange(t *rapid.T, change *PartitionChangeRecord) {
	if rapid.Bool().Draw(t, "isr") {
		change.ISR = nodes(t)
	}
	if rapid.Bool().Draw(t, "leader") {
		change.Leader = kafka.NodeID(rapid.IntRange(-1, 4).Draw(t, "leader"))
	}
	if rapid.Bool().Draw(t, "elr") {
		change.ELR = []kafka.NodeID{}
	}
}

// fold draws a history and folds it.
func fold(t *rapid.T) *Image {
	im := NewImage()
	for range rapid.IntRange(0, 40).Draw(t, "records") {
		require.NoError(t, im.Apply(drawNext(t, im)))
		im.Offset++
	}
	return im
}

func rebuild(t require.TestingT, im *Image) *Image {
	again := NewImage()
	for _, rec := range im.ToRecords() {
		decoded, err := Decode(Encode(rec))
		require.NoError(t, err)
		require.NoError(t, again.Apply(decoded))
	}
	return again
}

// TestKIP630_SnapshotIsTheFold: the records of a snapshot add up to what the
// log below it adds up to, and the hash kept along the way is that of a
// fresh start.
func TestKIP630_SnapshotIsTheFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		im := fold(t)
		again := rebuild(t, im)
		require.Equal(t, im.ToRecords(), again.ToRecords())
		require.Equal(t, im.Hash(), again.Hash())
	})
}

func TestChangesSayWhatDiffers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		im := fold(t)
		before := im.Clone()
		require.Equal(t, im.Hash(), before.Hash())
		var noted Changes
		im.Track(&noted)
		for range rapid.IntRange(0, 10).Draw(t, "more") {
			require.NoError(t, im.Apply(drawNext(t, im)))
		}
		// What was done and undone is noted but does not differ.
		diff := Diff(before, im)
		require.Subset(t, noted.Brokers, diff.Brokers)
		require.Subset(t, noted.Partitions, diff.Partitions)
		require.Subset(t, noted.Configs, diff.Configs)
		for _, gone := range diff.DeletedTopics {
			require.True(t, slices.ContainsFunc(noted.DeletedTopics, func(d DeletedTopic) bool { return d.ID == gone.ID }))
		}
		require.Subset(t, noted.CreatedTopics, diff.CreatedTopics)
		if !diff.Empty() {
			require.NotEqual(t, before.Hash(), im.Hash())
		} else {
			require.Equal(t, before.Hash(), im.Hash())
		}
	})
}

// Images that apply the same records share what these make; one that applies
// copies of some of them, or joins late, is in the same state all the same.
func TestSharedRecordsMakeTheSameState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second, other := NewImage(), NewImage(), NewImage()
		for range rapid.IntRange(0, 40).Draw(t, "records") {
			rec := drawNext(t, first)
			copied, err := Decode(Encode(rec))
			require.NoError(t, err)
			require.NoError(t, first.Apply(rec))
			require.NoError(t, second.Apply(rec))
			if rapid.Bool().Draw(t, "shared") {
				copied = rec
			}
			require.NoError(t, other.Apply(copied))
		}
		require.Equal(t, first.Hash(), second.Hash())
		require.Equal(t, first.Hash(), other.Hash())
		want := dump(first.ToRecords())
		require.Equal(t, want, dump(second.ToRecords()))
		require.Equal(t, want, dump(other.ToRecords()))
		for _, b := range first.Brokers() {
			require.Same(t, b, second.Broker(b.ID))
		}
		for _, topic := range first.Topics() {
			for _, p := range topic.Partitions {
				require.Same(t, p, second.Partition(p.TP()))
			}
		}
	})
}

// What a record made of one state is no answer for another.
func TestSharedRecordsLookAtTheState(t *testing.T) {
	one, two := NewImage(), NewImage()
	id := kafka.UUID{1}
	for _, im := range []*Image{one, two} {
		require.NoError(t, im.Apply(&RegisterBrokerRecord{BrokerID: 1, BrokerEpoch: 7, Fenced: im == one}))
	}
	require.NoError(t, one.Apply(&TopicRecord{Name: "orders", TopicID: id}))
	require.NoError(t, two.Apply(&TopicRecord{Name: "bills", TopicID: id}))
	created := &PartitionRecord{TopicID: id, Leader: 1}
	changed := NewPartitionChange(id, 0)
	changed.Leader = 2
	leaving := &BrokerRegistrationChangeRecord{BrokerID: 1, BrokerEpoch: 7, InControlledShutdown: EnterControlledShutdown}
	for _, rec := range []Record{created, changed, leaving} {
		require.NoError(t, one.Apply(rec))
		require.NoError(t, two.Apply(rec))
	}
	assert.Equal(t, "orders", one.TopicByID(id).Partition(0).Topic)
	assert.Equal(t, "bills", two.TopicByID(id).Partition(0).Topic)
	assert.True(t, one.Broker(1).Fenced)
	assert.False(t, two.Broker(1).Fenced)
	assert.True(t, two.Broker(1).InControlledShutdown)
}

func TestCloneIsNotReached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		im := fold(t)
		clone, records := im.Clone(), slices.Clone(im.ToRecords())
		want := fmt.Sprintf("%+v", dump(records))
		for range 10 {
			require.NoError(t, im.Apply(drawNext(t, im)))
		}
		require.Equal(t, want, fmt.Sprintf("%+v", dump(clone.ToRecords())))
	})
}

func dump(records []Record) (lines []string) {
	for _, rec := range records {
		lines = append(lines, fmt.Sprintf("%x", Encode(rec)))
	}
	return lines
}

func TestRecordsThatCannotFollowChangeNothing(t *testing.T) {
	im := NewImage()
	id := kafka.UUID{1}
	require.NoError(t, im.Apply(&RegisterBrokerRecord{BrokerID: 1, BrokerEpoch: 7}))
	require.NoError(t, im.Apply(&TopicRecord{Name: "orders", TopicID: id}))
	hash := im.Hash()
	for _, c := range []struct {
		rec  Record
		want string
	}{
		{&UnregisterBrokerRecord{BrokerID: 2}, "broker 2 is not registered"},
		{&FenceBrokerRecord{ID: 1, Epoch: 6}, "broker 1 has epoch 7, the record 6"},
		{&TopicRecord{Name: "orders", TopicID: kafka.UUID{2}}, "topic orders exists"},
		{&TopicRecord{Name: "other", TopicID: id}, "is that of topic orders"},
		{&PartitionRecord{TopicID: kafka.UUID{9}}, "is unknown"},
		{&PartitionRecord{TopicID: id, PartitionID: 1}, "orders/1 found, 0 expected"},
		{NewPartitionChange(id, 0), "partition 0 of topic id"},
		{&RemoveTopicRecord{TopicID: kafka.UUID{9}}, "is unknown"},
		{&ProducerIdsRecord{}, "next producer id 0 found, more than 0 expected"},
	} {
		assert.ErrorContains(t, im.Apply(c.rec), c.want)
		assert.Equal(t, hash, im.Hash(), "%T", c.rec)
	}
}

func TestLeaderEpochGrowsWithEachNamedLeader(t *testing.T) {
	p := &Partition{ISR: []kafka.NodeID{1, 2}, Leader: 1, LeaderEpoch: 4, PartitionEpoch: 9}
	shrink := NewPartitionChange(kafka.UUID{}, 0)
	shrink.ISR = []kafka.NodeID{1}
	p = p.Merge(shrink)
	assert.Equal(t, []any{kafka.NodeID(1), kafka.LeaderEpoch(4), kafka.PartitionEpoch(10)}, []any{p.Leader, p.LeaderEpoch, p.PartitionEpoch})
	same := NewPartitionChange(kafka.UUID{}, 0)
	same.Leader = 1
	p = p.Merge(same)
	assert.Equal(t, []any{kafka.NodeID(1), kafka.LeaderEpoch(5), kafka.PartitionEpoch(11)}, []any{p.Leader, p.LeaderEpoch, p.PartitionEpoch})
}

// TestKIP868_TransactionsCountWhole: what a metadata transaction holds is seen
// when it ends, or never.
func TestKIP868_TransactionsCountWhole(t *testing.T) {
	topic := &TopicRecord{Name: "orders", TopicID: kafka.UUID{1}}
	for end, want := range map[Record]int{&EndTransactionRecord{}: 1, &AbortTransactionRecord{}: 0} {
		im := NewImage()
		require.NoError(t, im.Apply(&BeginTransactionRecord{}))
		require.NoError(t, im.Apply(topic))
		assert.Empty(t, im.Topics())
		assert.True(t, im.InTransaction())
		require.NoError(t, im.Apply(end))
		assert.Len(t, im.Topics(), want)
		assert.False(t, im.InTransaction())
	}
}

// A change of min.insync.replicas clears the ELR of one topic or of all. A partition that
// has none stays as it is.
func TestKIP966_ClearElr(t *testing.T) {
	partition := func(im *Image, topic byte, elr ...kafka.NodeID) {
		name := string('a' + rune(topic))
		require.NoError(t, im.Apply(&TopicRecord{Name: name, TopicID: kafka.UUID{topic}}))
		require.NoError(t, im.Apply(&PartitionRecord{TopicID: kafka.UUID{topic}, Replicas: []kafka.NodeID{1, 2}, ISR: []kafka.NodeID{1}, ELR: elr}))
	}
	for name, want := range map[string][3]kafka.PartitionEpoch{"b": {0, 1, 0}, "": {0, 1, 1}} {
		im := NewImage()
		partition(im, 0)
		partition(im, 1, 2)
		partition(im, 2, 2)
		require.NoError(t, im.Apply(&ClearElrRecord{name}))
		for i, topic := range im.Topics() {
			p := topic.Partition(0)
			assert.Equal(t, want[i], p.PartitionEpoch, "%s after a record for %q", topic.Name, name)
			assert.Equal(t, p.PartitionEpoch == 0 && i > 0, len(p.ELR) > 0, topic.Name)
		}
	}
}

func TestRemovedTopicTakesItsConfigAlong(t *testing.T) {
	im, value := NewImage(), "1"
	require.NoError(t, im.Apply(&TopicRecord{Name: "orders", TopicID: kafka.UUID{1}}))
	empty := im.Hash()
	resource := Resource{TopicResource, "orders"}
	require.NoError(t, im.Apply(&ConfigRecord{ResourceType: TopicResource, ResourceName: "orders", Name: "a", Value: &value}))
	assert.Equal(t, []ConfigEntry{{"a", "1"}}, im.Config(resource))
	var changes Changes
	im.Track(&changes)
	require.NoError(t, im.Apply(&RemoveTopicRecord{TopicID: kafka.UUID{1}}))
	assert.Empty(t, im.Config(resource))
	assert.Equal(t, []Resource{resource}, changes.Configs)
	require.NoError(t, im.Apply(&TopicRecord{Name: "orders", TopicID: kafka.UUID{1}}))
	assert.Equal(t, empty, im.Hash())
}

func BenchmarkApply(b *testing.B) {
	im := NewImage()
	_ = im.Apply(&TopicRecord{Name: "orders", TopicID: kafka.UUID{1}})
	for i := range int32(50) {
		_ = im.Apply(&PartitionRecord{TopicID: kafka.UUID{1}, PartitionID: i, Replicas: []kafka.NodeID{1, 2, 3}, ISR: []kafka.NodeID{1, 2, 3}})
	}
	change := NewPartitionChange(kafka.UUID{1}, 20)
	change.ISR = []kafka.NodeID{1, 2}
	b.ReportAllocs()
	for b.Loop() {
		_ = im.Apply(change)
	}
}
