package fromwire

import (
	"maps"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// transaction is one that is open, as far as was seen. It begins with its first record
// or offset, and ends with the answer to EndTxn. What it is made of is told with its end.
type transaction struct {
	process int64
	event   history.Event
	mops    []history.Mop
}

// transactionOf is the open transaction of a producer; it begins one with first, unless
// one is open. The index is that of the step within it.
func (c *Connection) transactionOf(id kafka.ProducerID, epoch kafka.ProducerEpoch, first history.Mop) (t *transaction, index int) {
	o := c.o
	t = o.open[id]
	if t == nil {
		t = &transaction{process: o.process()}
		t.event = history.Event{
			Process: t.process, Client: c.client, F: history.Txn, Time: o.now(), Transaction: o.names[id],
			Producer: int64(id), ProducerEpoch: int64(epoch),
		}
		o.open[id] = t
		t.mops = []history.Mop{first}
		t.event.Mops = t.mops
		o.recorder.Invoke(t.event)
		return t, 0
	}
	t.mops = append(t.mops, first)
	return t, len(t.mops) - 1
}

// ends records how a transaction ended.
func (o *Observer) ends(id kafka.ProducerID, as history.Type, why string) {
	t := o.open[id]
	if t == nil {
		return // nothing was seen in it
	}
	delete(o.open, id)
	t.event.Type, t.event.Time, t.event.Mops, t.event.Error = as, o.now(), t.mops, why
	o.recorder.Complete(t.event)
	if as != history.Unknown {
		o.free = append(o.free, t.process)
	}
}

// Transactions reports whether any are open. What is read meanwhile may be of them,
// though the history does not have it yet.
func (o *Observer) Transactions() bool { return len(o.open) > 0 }

// Finish records, when all is over, what open transactions are made of: whether they
// were committed is not known.
func (o *Observer) Finish() {
	for _, id := range slices.Sorted(maps.Keys(o.open)) {
		o.ends(id, history.Unknown, "its end was not seen")
	}
}

// initProducer records that a producer is granted its id and epoch.
func (c *Connection) initProducer(r *request, req *kmsg.InitProducerIDRequest) {
	if req.TransactionalID == nil {
		return
	}
	o := c.o
	e := history.Event{Process: o.newProcess(), Client: c.client, F: history.InitProducer, Time: o.now(), Transaction: *req.TransactionalID}
	o.recorder.Invoke(e)
	r.answered = func(resp kmsg.Response) {
		got := resp.(*kmsg.InitProducerIDResponse)
		e.Time, e.Type = o.now(), history.Unknown
		if got.ErrorCode == 0 {
			e.Type, e.Producer, e.ProducerEpoch = history.OK, got.ProducerID, int64(got.ProducerEpoch)
			o.names[kafka.ProducerID(got.ProducerID)] = e.Transaction
		} else {
			e.Error = kerr.ErrorForCode(got.ErrorCode).Error()
		}
		o.recorder.Complete(e)
	}
}

// endTxn ends a transaction with the answer, if that is certain. Most clients ask again
// after another one.
func (c *Connection) endTxn(r *request, req *kmsg.EndTxnRequest) {
	id := kafka.ProducerID(req.ProducerID)
	r.answered = func(resp kmsg.Response) {
		switch code := resp.(*kmsg.EndTxnResponse).ErrorCode; {
		case code == 0 && req.Commit:
			c.o.ends(id, history.OK, "")
		case code == 0:
			c.o.ends(id, history.Failed, "aborted")
		case code == kerr.ProducerFenced.Code || code == kerr.InvalidProducerEpoch.Code || code == kerr.InvalidTxnState.Code:
			c.o.ends(id, history.Unknown, kerr.ErrorForCode(code).Error())
		}
	}
}

// txnOffsets are the offsets that a transaction commits.
func (c *Connection) txnOffsets(r *request, req *kmsg.TxnOffsetCommitRequest) {
	c.o.inTransactions[req.Group] = true
	var mops []history.Mop
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			tp := kafka.TopicPartition{Topic: t.Topic, Partition: t.Partitions[j].Partition}
			mops = append(mops, history.Mop{Kind: history.MopCommit, Key: c.o.key(tp), Offset: history.At(t.Partitions[j].Offset)})
		}
	}
	r.answered = func(resp kmsg.Response) {
		if !taken(resp.(*kmsg.TxnOffsetCommitResponse)) {
			return // asked again, or aborted
		}
		for _, m := range mops {
			t, _ := c.transactionOf(kafka.ProducerID(req.ProducerID), kafka.ProducerEpoch(req.ProducerEpoch), m)
			t.event.Group, t.event.Generation, t.event.Member = req.Group, max(0, int64(req.Generation)), req.MemberID
		}
	}
}

func taken(resp *kmsg.TxnOffsetCommitResponse) bool {
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if resp.Topics[i].Partitions[j].ErrorCode != 0 {
				return false
			}
		}
	}
	return true
}
