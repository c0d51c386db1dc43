package fromwire

import (
	"cmp"
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
	offsets []*offsets
}

// offsets are what a request commits in a transaction. Until they are refused they may
// have been taken: the client may have been killed before it was answered.
type offsets struct {
	mops    []history.Mop
	refused bool
}

// epoch is one of a producer: a transaction belongs to it alone.
type epoch struct {
	id    kafka.ProducerID
	epoch kafka.ProducerEpoch
}

func (e epoch) compare(other epoch) int {
	return cmp.Or(cmp.Compare(e.id, other.id), cmp.Compare(e.epoch, other.epoch))
}

// transactionOf is the open transaction of a producer; it begins one with first, unless
// one is open.
func (c *Connection) transactionOf(of epoch, first []history.Mop) *transaction {
	o := c.o
	t := o.open[of]
	if t == nil {
		t = &transaction{process: o.process(c.client)}
		t.event = history.Event{
			Process: t.process, Client: c.client, F: history.Txn, Time: o.now(), Transaction: o.names[of.id],
			Producer: int64(of.id), ProducerEpoch: int64(of.epoch), Mops: first,
		}
		o.open[of] = t
		o.recorder.Invoke(t.event)
	}
	return t
}

// sends adds the sending of a record. The index is that of the step.
func (t *transaction) sends(m history.Mop) (index int) {
	t.mops = append(t.mops, m)
	return len(t.mops) - 1
}

// ends records how a transaction ended.
func (o *Observer) ends(of epoch, as history.Type, why string) {
	t := o.open[of]
	if t == nil {
		return // nothing was seen in it
	}
	delete(o.open, of)
	for _, taken := range t.offsets {
		if !taken.refused {
			t.mops = append(t.mops, taken.mops...)
		}
	}
	t.event.Type, t.event.Time, t.event.Mops, t.event.Error = as, o.now(), t.mops, why
	o.recorder.Complete(t.event)
	if as != history.Unknown {
		o.free[t.event.Client] = append(o.free[t.event.Client], t.process)
	}
}

// Transactions reports whether any are open. What is read meanwhile may be of them,
// though the history does not have it yet.
func (o *Observer) Transactions() bool { return len(o.open) > 0 }

// Finish records, when all is over, what open transactions are made of: whether they
// were committed is not known. And what programs counted on that they never sent is
// nowhere.
func (o *Observer) Finish() {
	o.endThose(func(epoch) bool { return true }, "its end was not seen")
	o.noteNeverSent()
}

// endThose ends open transactions of which it is not known how they ended.
func (o *Observer) endThose(which func(epoch) bool, why string) {
	for _, of := range slices.SortedFunc(maps.Keys(o.open), epoch.compare) {
		if which(of) {
			o.ends(of, history.Unknown, why)
		}
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
			id := kafka.ProducerID(got.ProducerID)
			o.names[id] = e.Transaction
			// What the life before left open the coordinator has ended: which way is not seen.
			o.endThose(func(of epoch) bool { return of.id == id && int16(of.epoch) < got.ProducerEpoch }, "its producer began anew")
		} else {
			e.Error = kerr.ErrorForCode(got.ErrorCode).Error()
		}
		o.recorder.Complete(e)
	}
}

// endTxn ends a transaction with the answer, if that is certain. Most clients ask again
// after another one.
func (c *Connection) endTxn(r *request, req *kmsg.EndTxnRequest) {
	id := epoch{kafka.ProducerID(req.ProducerID), kafka.ProducerEpoch(req.ProducerEpoch)}
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
		topic, known := c.o.topic(t.Topic, t.TopicID)
		if !known {
			c.o.unsure[req.Group] = true
			continue
		}
		for j := range t.Partitions {
			tp := kafka.TopicPartition{Topic: topic, Partition: t.Partitions[j].Partition}
			mops = append(mops, history.Mop{Kind: history.MopCommit, Key: c.o.key(tp), Offset: history.At(t.Partitions[j].Offset)})
		}
	}
	if len(mops) == 0 {
		return
	}
	t := c.transactionOf(epoch{kafka.ProducerID(req.ProducerID), kafka.ProducerEpoch(req.ProducerEpoch)}, mops)
	t.event.Group, t.event.Generation, t.event.Member = req.Group, max(0, int64(req.Generation)), req.MemberID
	asked := &offsets{mops: mops}
	t.offsets = append(t.offsets, asked)
	r.answered = func(resp kmsg.Response) {
		asked.refused = !taken(resp.(*kmsg.TxnOffsetCommitResponse)) // asked again, or aborted
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
