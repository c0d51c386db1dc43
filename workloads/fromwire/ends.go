package fromwire

import (
	"cmp"
	"maps"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Timestamps of a ListOffsets request that ask for no time.
const latest = -1

// known is a partition as one client knows it.
type known struct {
	client    string
	partition kafka.TopicPartition
}

// hears records the leader epoch that a client has heard of a partition, where a client is
// a process: then its later requests name that epoch, unless the client names none.
func (c *Connection) hears(tp kafka.TopicPartition, leader int32) {
	at := known{c.client, tp}
	if before, heard := c.o.leaders[at]; c.o.ClientsAreProcesses && leader >= 0 && (!heard || leader > before) {
		c.o.leaders[at] = leader
	}
}

// hearsMetadata takes leader epochs from an answer to Metadata.
func (c *Connection) hearsMetadata(m *kmsg.MetadataResponse) {
	for i := range m.Topics {
		t := &m.Topics[i]
		if topic, known := c.o.topic(named(t.Topic), t.TopicID); known {
			for _, p := range t.Partitions {
				c.hears(kafka.TopicPartition{Topic: topic, Partition: p.Partition}, p.LeaderEpoch)
			}
		}
	}
}

func named(topic *string) string {
	if topic == nil {
		return ""
	}
	return *topic
}

// listOffsets records where an answer says that logs end, an operation for each request.
//
// A leader that was replaced and does not know it tells an old end, and may (KIP-207 binds
// only the new one). To a client that names the newest leader epoch that it has heard of no
// such leader answers (KIP-320); what is answered to a request without one, or with an older
// one, proves nothing and is left out, and so is all where connections of several processes
// have one name. Where a log begins is left out as well: a new leader may not have heard yet
// what the one before had deleted.
func (c *Connection) listOffsets(r *request, req *kmsg.ListOffsetsRequest) {
	if req.ReplicaID >= 0 || !c.o.ClientsAreProcesses {
		return
	}
	kind := history.MopEnd
	if req.IsolationLevel == readCommitted {
		kind = history.MopStable
	}
	e := history.Event{Client: c.client, F: history.ListOffsets, Time: c.o.now()}
	asked := map[kafka.TopicPartition]bool{}
	for i := range req.Topics {
		t := &req.Topics[i]
		for _, p := range t.Partitions {
			tp := kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			before, heard := c.o.leaders[known{c.client, tp}]
			if p.Timestamp != latest || p.CurrentLeaderEpoch < 0 || heard && p.CurrentLeaderEpoch < before || internal(t.Topic) {
				continue
			}
			c.hears(tp, p.CurrentLeaderEpoch)
			asked[tp] = true
			e.Mops = append(e.Mops, history.Mop{Kind: kind, Key: c.o.key(tp)})
		}
	}
	if len(e.Mops) == 0 {
		return
	}
	// One that is not answered has no end; so it has a process of its own.
	e.Process = c.o.newProcess()
	c.o.recorder.Invoke(e)
	r.answered = func(resp kmsg.Response) {
		e.Time, e.Type, e.Mops = c.o.now(), history.OK, nil
		answer := resp.(*kmsg.ListOffsetsResponse)
		for i := range answer.Topics {
			t := &answer.Topics[i]
			for _, p := range t.Partitions {
				tp := kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}
				if asked[tp] && p.ErrorCode == 0 && p.Offset >= 0 {
					e.Mops = append(e.Mops, history.Mop{Kind: kind, Key: c.o.key(tp), Offset: history.At(p.Offset)})
				}
			}
		}
		if len(e.Mops) == 0 {
			e.Type = history.Failed
		}
		c.o.recorder.Complete(e)
	}
}

// reached is how far consumers have come in a partition: stretches of offsets of which the
// wire showed all records that a consumer was given, in order, none next to another.
type reached []stretch

// stretch begins at an offset and ends before another.
type stretch struct{ from, to kafka.Offset }

// add takes in that a consumer that stood at one offset stands at another.
func (all *reached) add(from, to kafka.Offset) {
	if last := len(*all) - 1; last >= 0 && (*all)[last].to == from { // as most do
		(*all)[last].to = to
		return
	}
	i, _ := slices.BinarySearchFunc(*all, from, func(s stretch, at kafka.Offset) int { return cmp.Compare(s.to, at) })
	j := i
	for ; j < len(*all) && (*all)[j].from <= to; j++ {
		from, to = min(from, (*all)[j].from), max(to, (*all)[j].to)
	}
	*all = slices.Replace(*all, i, j, stretch{from, to})
}

// reaches takes in how far a consumer of a partition has come.
func (o *Observer) reaches(tp kafka.TopicPartition, from, to kafka.Offset) {
	all := o.reached[tp]
	if all == nil {
		all = &reached{}
		o.reached[tp] = all
	}
	all.add(from, to)
}

// after is how far consumers have come that began at an offset or below.
func (all *reached) after(at kafka.Offset) kafka.Offset {
	if all == nil {
		return at
	}
	for _, s := range *all {
		if s.from <= at && at <= s.to {
			return s.to
		}
	}
	return at
}

// NotePositions records, when all is over, how far consumers have come in each partition
// in which a record was acknowledged: what lies above no consumer has missed. It is for an
// observer of clients that need not have read all.
func (o *Observer) NotePositions() {
	e := history.Event{Type: history.OK, Actor: "wire", F: history.Log, Time: o.now()}
	for _, tp := range slices.SortedFunc(maps.Keys(o.lowest), kafka.TopicPartition.Compare) {
		at := o.reached[tp].after(o.lowest[tp])
		e.Mops = append(e.Mops, history.Mop{Kind: history.MopPosition, Key: o.key(tp), Offset: history.At(int64(at))})
		o.Counts.Ahead += max(0, int64(o.highest[tp]-at+1))
	}
	if len(e.Mops) > 0 {
		o.recorder.Note(e)
	}
}

// acknowledged takes in that a record is at an offset.
func (o *Observer) acknowledged(tp kafka.TopicPartition, at kafka.Offset) {
	if lowest, some := o.lowest[tp]; !some || at < lowest {
		o.lowest[tp] = at
	}
	o.highest[tp] = max(o.highest[tp], at)
}
