package fromwire

import (
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// committed records what a client is answered that a group has committed, an operation for
// each group.
//
// A transaction is over when its end is decided, and its offsets are committed only when the
// marker has come to the coordinator: until then only a request for stable offsets is
// sent away (KIP-447), and another one is answered the offset before, which is legal and
// left out. So is a group whose offsets were deleted or are about to be.
func (c *Connection) committed(r *request, req *kmsg.OffsetFetchRequest) {
	asked := map[string]*history.Event{}
	ask := func(group string) {
		if c.o.unsure[group] || c.o.inTransactions[group] && !req.RequireStable {
			return
		}
		e := &history.Event{Process: c.o.newProcess(), Client: c.client, F: history.Committed, Time: c.o.now(), Group: group}
		asked[group] = e
		c.o.recorder.Invoke(*e)
	}
	if req.Version < 8 {
		ask(req.Group)
	}
	for i := range req.Groups {
		if g := req.Groups[i].Group; asked[g] == nil {
			ask(g)
		}
	}
	r.answered = func(resp kmsg.Response) { c.answeredCommitted(asked, resp.(*kmsg.OffsetFetchResponse), req) }
}

func (c *Connection) answeredCommitted(asked map[string]*history.Event, resp *kmsg.OffsetFetchResponse, req *kmsg.OffsetFetchRequest) {
	add := func(e *history.Event, topic string, id [16]byte, partition int32, offset int64, code int16) {
		if name, known := c.o.topic(topic, id); known && code == 0 {
			tp := kafka.TopicPartition{Topic: name, Partition: partition}
			e.Mops = append(e.Mops, history.Mop{Kind: history.MopCommitted, Key: c.o.key(tp), Offset: history.At(max(history.NoOffset, offset))})
		}
	}
	if e := asked[req.Group]; req.Version < 8 && e != nil {
		for i := range resp.Topics {
			for _, p := range resp.Topics[i].Partitions {
				add(e, resp.Topics[i].Topic, [16]byte{}, p.Partition, p.Offset, p.ErrorCode)
			}
		}
		c.tellCommitted(e, resp.ErrorCode)
	}
	for i := range resp.Groups {
		g := &resp.Groups[i]
		e := asked[g.Group]
		if e == nil {
			continue
		}
		delete(asked, g.Group)
		for j := range g.Topics {
			for _, p := range g.Topics[j].Partitions {
				add(e, g.Topics[j].Topic, g.Topics[j].TopicID, p.Partition, p.Offset, p.ErrorCode)
			}
		}
		c.tellCommitted(e, g.ErrorCode)
	}
}

// tellCommitted completes the operation. One that was refused, or lost meanwhile what
// makes it sure, says nothing.
func (c *Connection) tellCommitted(e *history.Event, code int16) {
	e.Time, e.Type = c.o.now(), history.OK
	if code != 0 || len(e.Mops) == 0 || c.o.unsure[e.Group] {
		e.Type, e.Mops = history.Failed, nil
	}
	c.o.recorder.Complete(*e)
}
