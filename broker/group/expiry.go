package group

import (
	"maps"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
)

const timerExpiry = "expire offsets"

func (m *Machine) scheduleExpiry() {
	every := m.cfg.OffsetsRetentionCheckInterval
	m.env.Timer(timerExpiry, every, every, func() coordinator.Decision {
		m.scheduleExpiry()
		return m.expire()
	})
}

// expire removes offsets that were kept for offsets.retention.minutes, and groups
// that have neither members nor offsets.
func (m *Machine) expire() coordinator.Decision {
	d := coordinator.Decision{Divisible: true}
	var told []*witness.OffsetsExpired
	for id := range m.groups.All() {
		g := m.group(id, timeline.Written)
		gone, all := m.expired(id, g)
		for _, tp := range gone {
			d.Records = append(d.Records, offsetTombstone(id, tp))
		}
		if len(gone) > 0 {
			told = append(told, &witness.OffsetsExpired{Group: id, Partitions: gone, Reason: "their retention is over"})
		}
		if all && g.empty() {
			d.Records = append(d.Records, g.tombstones()...)
		}
	}
	m.forgetOffsets()
	d.Done = m.tellExpired(told)
	return d
}

// tellExpired tells of offsets that are gone, once it is committed.
func (m *Machine) tellExpired(told []*witness.OffsetsExpired) func(error) {
	return func(err error) {
		for _, e := range told {
			if err == nil {
				m.env.Tell(e)
			}
		}
	}
}

// expired are the partitions of a group whose offsets are to be removed; all: no
// offset is left, nor a transaction that may bring one.
func (m *Machine) expired(id string, g group) (gone []kafka.TopicPartition, all bool) {
	gone, all = m.judgeExpired(id, g)
	if bugs := m.env.Bugs(); bugs.On(planted.ExpireAnyState) {
		aged := m.aged(id)
		bugs.Infected(planted.ExpireAnyState, !slices.Equal(gone, aged))
		return aged, all && len(gone) == len(aged)
	}
	return gone, all
}

// aged are the partitions whose commits are old, whatever the group does: what the
// planted bug takes for expired.
func (m *Machine) aged(id string) (old []kafka.TopicPartition) {
	if m.offsets[id] == nil {
		return nil
	}
	now := m.env.NowMillis()
	for tp, c := range m.offsets[id].committed.All() {
		if c.retained(func(o *offset) int64 { return o.committed }, m.cfg.OffsetsRetention) <= now {
			old = append(old, tp)
		}
	}
	return old
}

func (m *Machine) judgeExpired(id string, g group) (gone []kafka.TopicPartition, all bool) {
	o := m.offsets[id]
	if o == nil || o.committed.Len() == 0 {
		return nil, !o.open()
	}
	base, ok := g.expiryBase()
	if !ok {
		return nil, false
	}
	all = !o.open()
	now := m.env.NowMillis()
	for tp, c := range o.committed.All() {
		if !g.subscribedTo(tp.Topic) && c.retained(base, m.cfg.OffsetsRetention) <= now && !o.unstable(tp) {
			gone = append(gone, tp)
		} else {
			all = false
		}
	}
	return gone, all
}

// retained is the time until which an offset is kept, in ms.
func (o *offset) retained(base func(*offset) int64, retention time.Duration) int64 {
	if o.expires >= 0 {
		return o.expires // as old clients asked for (before KIP-211)
	}
	return base(o) + retention.Milliseconds()
}

// forgetOffsets drops what is empty, unless a failed append might bring it back.
func (m *Machine) forgetOffsets() {
	if m.env.Timeline().Pending() > 0 {
		return
	}
	maps.DeleteFunc(m.offsets, func(_ string, o *groupOffsets) bool {
		return o.committed.Len() == 0 && (o.pending == nil || o.pending.Len() == 0)
	})
}

const (
	timerDeleted = "remove the offsets of deleted topics"
	retryDeleted = 500 * time.Millisecond
)

// MetadataChanged has the offsets of deleted topics removed, as an event of its own.
func (m *Machine) MetadataChanged(im *metadata.Image, ch *metadata.Changes) {
	m.consumersMetadataChanged(im, ch)
	if len(ch.DeletedTopics) == 0 {
		return
	}
	m.deleted = append(m.deleted, ch.DeletedTopics...)
	m.env.Timer(timerDeleted, 0, retryDeleted, m.removeDeleted)
}

// removeDeleted removes the offsets of topics that are gone. One that was committed
// for another topic of that name, made since, stays.
func (m *Machine) removeDeleted() coordinator.Decision {
	topics := slices.Clone(m.deleted)
	d := coordinator.Decision{Divisible: true}
	var told []*witness.OffsetsExpired
	for _, id := range slices.Sorted(maps.Keys(m.offsets)) {
		var gone []kafka.TopicPartition
		for _, tp := range m.offsets[id].partitions() {
			if slices.ContainsFunc(topics, func(t metadata.DeletedTopic) bool { return m.offsets[id].isOf(tp, t) }) {
				gone = append(gone, tp)
				d.Records = append(d.Records, offsetTombstone(id, tp))
			}
		}
		if len(gone) > 0 {
			told = append(told, &witness.OffsetsExpired{Group: id, Partitions: gone, Reason: "their topic is deleted"})
		}
	}
	tell := m.tellExpired(told)
	d.Done = func(err error) {
		tell(err)
		if err == nil {
			// Another removal may have ended before this one, and more topics may be gone since.
			m.deleted = slices.DeleteFunc(m.deleted, func(t metadata.DeletedTopic) bool { return slices.Contains(topics, t) })
		}
	}
	return d
}

// isOf reports whether any offset of tp, committed or pending, may be of a topic.
func (o *groupOffsets) isOf(tp kafka.TopicPartition, t metadata.DeletedTopic) bool {
	if tp.Topic != t.Name {
		return false
	}
	of := func(c *offset, ok bool) bool { return ok && (c.topicID.IsZero() || c.topicID == t.ID) }
	if of(o.committed.Get(tp)) {
		return true
	}
	for _, pending := range o.transactions() {
		if of(pending.Get(tp)) {
			return true
		}
	}
	return false
}
