package fromwire

import (
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// readCommitted is the isolation level on the wire.
const readCommitted int8 = 1

// fetched is a partition of a connection's fetch session (KIP-227): what a request
// does not name goes on where it was.
type fetched struct {
	asked     kafka.Offset // by the last request that named the partition
	next      kafka.Offset // behind what was read
	process   int64        // of the polls that continue each other; -1: none yet
	committed bool         // the isolation level
	drained   bool         // it is recorded that there was nothing at next
}

// fetch follows what a request asks for.
func (c *Connection) fetch(r *request, req *kmsg.FetchRequest) {
	if req.ReplicaID >= 0 || req.ReplicaState.ID > 0 {
		return // a follower
	}
	if len(req.Topics) > 0 && req.IsolationLevel != readCommitted {
		c.o.Claims.ReadUncommitted = true
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		topic, known := c.o.topic(t.Topic, t.TopicID)
		if !known || internal(topic) {
			continue
		}
		for j := range t.Partitions {
			p := &t.Partitions[j]
			tp := kafka.TopicPartition{Topic: topic, Partition: p.Partition}
			f := c.fetching[tp]
			if f == nil {
				f = &fetched{process: -1}
				c.fetching[tp] = f
			}
			f.asked, f.committed = kafka.Offset(p.FetchOffset), req.IsolationLevel == readCommitted
		}
	}
	r.answered = func(resp kmsg.Response) { c.fetchedRecords(resp.(*kmsg.FetchResponse)) }
}

// fetchedRecords records a poll for each partition that brought records.
func (c *Connection) fetchedRecords(resp *kmsg.FetchResponse) {
	for i := range resp.Topics {
		t := &resp.Topics[i]
		topic, known := c.o.topic(t.Topic, t.TopicID)
		if !known {
			continue
		}
		for j := range t.Partitions {
			tp := kafka.TopicPartition{Topic: topic, Partition: t.Partitions[j].Partition}
			c.hears(tp, t.Partitions[j].CurrentLeader.LeaderEpoch) // KIP-951
			if f := c.fetching[tp]; f != nil && t.Partitions[j].ErrorCode == 0 {
				c.poll(tp, f, &t.Partitions[j])
			}
		}
	}
}

// poll records what was read of a partition. A position that does not continue the last
// one begins another process: a consumer that was assigned anew, or has sought.
func (c *Connection) poll(tp kafka.TopicPartition, f *fetched, p *kmsg.FetchResponseTopicPartition) {
	records, next := c.read(tp, f, p)
	c.o.reaches(tp, f.asked, next)
	if next == f.asked && !c.atEnd(f, p) {
		return
	}
	o := c.o
	key := o.key(tp)
	e := history.Event{Client: c.client, Time: o.now()}
	if f.process < 0 || f.asked != f.next {
		f.process = o.newProcess()
		e.Process, e.F, e.Keys = f.process, history.Assign, []history.Value{key}
		o.recorder.Invoke(e)
		e.Type = history.OK
		o.recorder.Complete(e)
	}
	if next == f.asked && f.drained && f.next == next {
		return // that there is nothing more is said once
	}
	f.drained = next == f.asked
	f.next = next
	if len(records) == 0 && !f.drained {
		return // markers, or what was aborted
	}
	e = history.Event{Process: f.process, Client: c.client, F: history.Poll, Time: o.now(), Mops: []history.Mop{{Kind: history.MopPoll}}}
	o.recorder.Invoke(e)
	e.Type, e.Mops[0].Records = history.OK, records
	o.recorder.Complete(e)
}

// atEnd reports whether an answer without records says that there are none.
func (c *Connection) atEnd(f *fetched, p *kmsg.FetchResponseTopicPartition) bool {
	end := p.HighWatermark
	if f.committed {
		end = p.LastStableOffset
	}
	return len(p.RecordBatches) == 0 && kafka.Offset(end) == f.asked
}

// read is what a consumer makes of an answer: the records at and above the position,
// without those of aborted transactions (KIP-98), and the position behind them.
func (c *Connection) read(tp kafka.TopicPartition, f *fetched, p *kmsg.FetchResponseTopicPartition) (out []history.Record, next kafka.Offset) {
	next = f.asked
	aborted := newAborted(f.committed, p.AbortedTransactions)
	for rest := p.RecordBatches; len(rest) > 0; {
		b, after, err := record.Next(rest)
		if err != nil {
			return out, next // the last batch may be cut
		}
		if b.CheckBytes() != nil {
			c.o.Counts.Unread++
			return out, next
		}
		rest = after
		if !aborted.hides(b) && !b.IsControl() {
			whole := c.records(tp, b, func(r *record.Record, id identity) {
				if r.Offset >= f.asked {
					out = append(out, c.seen(r, id, b))
				}
			})
			if !whole {
				c.o.Counts.Unread++
				return out, next
			}
		}
		next = max(next, b.NextOffset())
	}
	return out, next
}

func (c *Connection) seen(r *record.Record, id identity, b record.Batch) history.Record {
	seen := history.Record{
		Key: c.o.key(id.partition), Offset: history.At(int64(r.Offset)), Value: c.o.name(r, id),
		Attributes: history.Attributes{LeaderEpoch: history.At(int64(b.LeaderEpoch()))},
	}
	if r.Key != nil {
		seen.RecordKey = history.TextOf(r.Key)
	}
	return seen
}

// aborted are the transactions whose records a read_committed consumer skips.
type aborted struct {
	coming []kmsg.FetchResponseTopicPartitionAbortedTransaction // by first offset
	open   map[kafka.ProducerID]bool
}

func newAborted(committed bool, list []kmsg.FetchResponseTopicPartitionAbortedTransaction) *aborted {
	if !committed {
		return &aborted{}
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return int(a.FirstOffset - b.FirstOffset)
	})
	return &aborted{list, map[kafka.ProducerID]bool{}}
}

// hides reports whether a batch is skipped. Batches come in the order of offsets.
func (a *aborted) hides(b record.Batch) bool {
	for len(a.coming) > 0 && kafka.Offset(a.coming[0].FirstOffset) <= b.LastOffset() {
		a.open[kafka.ProducerID(a.coming[0].ProducerID)] = true
		a.coming = a.coming[1:]
	}
	if b.IsControl() {
		if kind, _, marker := b.EndTxnMarker(); marker && kind == record.Abort {
			delete(a.open, b.ProducerID())
		}
		return false
	}
	return b.IsTransactional() && a.open[b.ProducerID()]
}
