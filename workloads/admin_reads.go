package workloads

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
)

// read reads the topic from its start and compares it with what was acknowledged. It returns
// what keeps it from being read to its end within a while; what it reads wrongly it tells.
func (a *acting) read(t *ownTopic, within time.Duration) string {
	cfg := a.w.consumerConfig()
	cfg.AutoOffsetReset, cfg.FetchMinBytes = client.Earliest, 1
	c, err := client.New(a.h, a.s.Bootstrap, a.h.Name()).NewConsumer(cfg)
	if err != nil {
		panic("workloads: consumer of an administrator: " + err.Error())
	}
	defer c.Close()
	got := map[kafka.TopicPartition][]client.ConsumerRecord{}
	var all []kafka.TopicPartition
	for p := range t.partitions.settled {
		all = append(all, kafka.TopicPartition{Topic: t.name, Partition: p})
	}
	c.Assign(all)
	unread := func() string {
		for _, tp := range all {
			next, l := kafka.Offset(0), t.log(tp.Partition)
			if n := len(got[tp]); n > 0 {
				next = got[tp][n-1].Offset + 1
			}
			if next < l.end && l.trimmed < l.end {
				return fmt.Sprintf("%v: read up to %d of %d", tp, next, l.end)
			}
		}
		return ""
	}
	for deadline := a.s.Now() + within; unread() != ""; {
		if a.s.Now() > deadline {
			return unread()
		}
		records, _ := c.Poll(pollTimeout)
		for _, r := range records {
			r.Value = slices.Clone(r.Value) // a poll uses its memory again
			got[r.Partition] = append(got[r.Partition], r)
		}
	}
	for _, tp := range all {
		a.found("the records of "+tp.String(), t.log(tp.Partition).compare(got[tp]))
		a.compareTimes(tp, t.log(tp.Partition), got[tp])
	}
	return ""
}

// compare is what is wrong with the records that were read from the start of a log.
func (l *ownLog) compare(got []client.ConsumerRecord) string {
	at := map[kafka.Offset]string{}
	for i := range got {
		if i > 0 && got[i].Offset <= got[i-1].Offset {
			return fmt.Sprintf("read %d after %d", got[i].Offset, got[i-1].Offset)
		}
		at[got[i].Offset] = string(got[i].Value)
	}
	for _, offset := range slices.Sorted(maps.Keys(l.sent)) {
		value, read := at[offset]
		switch {
		case read && value != l.sent[offset]:
			return fmt.Sprintf("read %q at %d, was told that %q is there", value, offset, l.sent[offset])
		case !read && offset >= l.trimmed:
			return fmt.Sprintf("%q was acknowledged at %d and is not there; the log was trimmed at most to %d", l.sent[offset], offset, l.trimmed)
		}
	}
	return ""
}

// compareTimes looks up the time of a record that was read: what is found must be the first
// that is no older.
func (a *acting) compareTimes(tp kafka.TopicPartition, l *ownLog, got []client.ConsumerRecord) {
	if len(got) == 0 || l.unsure || l.trimmed > got[0].Offset {
		return // the log may start elsewhere when it is asked
	}
	asked := got[a.h.Rand().IntN(len(got))].Timestamp
	first := slices.IndexFunc(got, func(r client.ConsumerRecord) bool { return r.Timestamp >= asked })
	listed, err := a.admin.ListOffsets(client.ReadUncommitted, map[kafka.TopicPartition]client.OffsetSpec{tp: client.OffsetSpec(asked)})
	if err != nil || listed[tp].Err != nil {
		return
	}
	wrong := ""
	if listed[tp].Offset != got[first].Offset || listed[tp].Timestamp != got[first].Timestamp {
		wrong = fmt.Sprintf("asked for the first record of time %d or later: was told %d with time %d, and read %d with time %d",
			asked, listed[tp].Offset, listed[tp].Timestamp, got[first].Offset, got[first].Timestamp)
	}
	a.found("a time in "+tp.String(), wrong)
}
