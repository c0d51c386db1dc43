package sessions

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// txn is a transactional id of a session. Its producers are named by letters: one
// that initialises the id when another has done so fences it.
type txn struct {
	s  *session
	id string
}

// producer is what a side last told a producer of a transactional id.
type producer struct {
	id    int64
	epoch int16
}

func (s *session) txn(name string) *txn {
	x := &txn{s, s.prefix + name}
	s.both(func(sd *side) { sd.txnCoordinator(x.id) })
	return x
}

// txnCoordinator is the broker that coordinates a transactional id, and has loaded
// it; 1 if none says so.
func (sd *side) txnCoordinator(id string) int {
	return sd.coordinatorOf(1, id, func(broker int) bool {
		state, known := sd.describedTxn(broker, id)
		return known && (state.ErrorCode == 0 || state.ErrorCode == transactionalIDNotFound)
	})
}

const transactionalIDNotFound = 105

func (sd *side) describedTxn(broker int, id string) (state kmsg.DescribeTransactionsResponseTransactionState, ok bool) {
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{id}
	resp, ok := quiet[*kmsg.DescribeTransactionsResponse](sd, broker, req)
	if !ok || len(resp.TransactionStates) != 1 {
		return state, false
	}
	return resp.TransactionStates[0], true
}

// over is the connection of a producer to its coordinator.
func (x *txn) over(letter string) func(*side) line {
	return func(sd *side) line { return line{sd.txnCoordinator(x.id), x.id + "/" + letter} }
}

func (x *txn) of(sd *side, letter string) producer {
	if p, ok := sd.producers[x.id+"/"+letter]; ok {
		return p
	}
	return producer{-1, -1}
}

// ask sends a producer's request and waits for the answer, from which its id and
// epoch are learned.
func (x *txn) ask(step, letter string, make maker) (kafka, ours kmsg.Response) {
	kafka, ours = x.s.ask(step, x.over(letter), make)
	x.learn(x.s.kafka, letter, kafka)
	x.learn(x.s.ours, letter, ours)
	return kafka, ours
}

func (x *txn) learn(sd *side, letter string, resp kmsg.Response) {
	var p producer
	code := int16(-1)
	switch r := resp.(type) {
	case *kmsg.InitProducerIDResponse:
		p, code = producer{r.ProducerID, r.ProducerEpoch}, r.ErrorCode
	case *kmsg.EndTxnResponse: // from version 5 on each transaction has an epoch of its own (KIP-890)
		if r.Version >= 5 {
			p, code = producer{r.ProducerID, r.ProducerEpoch}, r.ErrorCode
		}
	}
	if sd != nil && code == 0 {
		sd.producers[x.id+"/"+letter] = p
	}
}

// settle waits until the markers of the last transaction are written: meanwhile a
// coordinator answers CONCURRENT_TRANSACTIONS.
func (x *txn) settle() {
	if x.s.over {
		return
	}
	x.s.both(func(sd *side) {
		eventually(sd.net, func() bool {
			state, ok := sd.describedTxn(sd.txnCoordinator(x.id), x.id)
			return ok && (state.ErrorCode != 0 || state.State != "PrepareCommit" && state.State != "PrepareAbort" && state.State != "PrepareEpochFence")
		})
	})
}

// claims are what a request says of the producer that sends it.
type claims struct {
	txnID string
	producer
}

// lie changes what a request says.
type lie = func(*claims)

// later says an epoch that is so much higher; one below 0 is an older one.
func later(by int16) lie { return func(c *claims) { c.epoch += by } }

func as(id string) lie { return func(c *claims) { c.txnID = id } }

// unknownProducer says a producer id that no producer was given.
func unknownProducer(c *claims) { c.id = 1<<40 + 77 }

// claims are those of a producer on a side, and its lies.
func (x *txn) claims(sd *side, letter string, lies []lie) claims {
	c := claims{x.id, x.of(sd, letter)}
	for _, l := range lies {
		l(&c)
	}
	return c
}

// begin initialises the transactional id.
func (x *txn) begin(letter string, edits ...func(*side, *kmsg.InitProducerIDRequest)) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrInitProducerIDRequest())
		r.TransactionalID, r.TransactionTimeoutMillis, r.ProducerID, r.ProducerEpoch = kmsg.StringPtr(x.id), 60000, -1, -1
		for _, edit := range edits {
			edit(sd, r)
		}
		return r
	}
}

// known has a producer say its id and epoch when it initialises (KIP-360).
func (x *txn) known(letter string, by int16) func(*side, *kmsg.InitProducerIDRequest) {
	return func(sd *side, r *kmsg.InitProducerIDRequest) {
		p := x.of(sd, letter)
		r.ProducerID, r.ProducerEpoch = p.id, p.epoch+by
	}
}

func timeout(ms int32) func(*side, *kmsg.InitProducerIDRequest) {
	return func(_ *side, r *kmsg.InitProducerIDRequest) { r.TransactionTimeoutMillis = ms }
}

// spot is a partition.
type spot struct {
	topic string
	part  int32
}

// add adds partitions to the transaction: to version 3 as clients do, from 4 on as
// brokers do.
func (x *txn) add(letter string, spots []spot, lies ...lie) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrAddPartitionsToTxnRequest())
		c := x.claims(sd, letter, lies)
		r.TransactionalID, r.ProducerID, r.ProducerEpoch = c.txnID, c.id, c.epoch
		t := kmsg.NewAddPartitionsToTxnRequestTransaction()
		t.TransactionalID, t.ProducerID, t.ProducerEpoch = r.TransactionalID, r.ProducerID, r.ProducerEpoch
		for _, at := range spots { // those of one topic follow each other
			if n := len(t.Topics); n == 0 || t.Topics[n-1].Topic != at.topic {
				a, b := kmsg.NewAddPartitionsToTxnRequestTopic(), kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
				a.Topic, b.Topic = at.topic, at.topic
				r.Topics, t.Topics = append(r.Topics, a), append(t.Topics, b)
			}
			last := len(t.Topics) - 1
			r.Topics[last].Partitions = append(r.Topics[last].Partitions, at.part)
			t.Topics[last].Partitions = append(t.Topics[last].Partitions, at.part)
		}
		r.Transactions = append(r.Transactions, t)
		return r
	}
}

// verify asks as a broker does whether partitions are in the transaction.
func (x *txn) verify(letter string, spots []spot, lies ...lie) maker {
	return func(sd *side) kmsg.Request {
		r := x.add(letter, spots, lies...)(sd).(*kmsg.AddPartitionsToTxnRequest)
		r.Transactions[0].VerifyOnly = true
		r.SetVersion(max(4, x.s.v(24)))
		return r
	}
}

func (x *txn) addOffsets(letter, group string, lies ...lie) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrAddOffsetsToTxnRequest())
		c := x.claims(sd, letter, lies)
		r.TransactionalID, r.ProducerID, r.ProducerEpoch, r.Group = c.txnID, c.id, c.epoch, group
		return r
	}
}

func (x *txn) end(letter string, commit bool, lies ...lie) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrEndTxnRequest())
		c := x.claims(sd, letter, lies)
		r.TransactionalID, r.ProducerID, r.ProducerEpoch, r.Commit = c.txnID, c.id, c.epoch, commit
		return r
	}
}

// commit commits offsets of a group within the transaction, as the member of the
// group that another letter names, or as none with "".
func (x *txn) commit(letter string, g *group, member string, what []committed, lies ...lie) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrTxnOffsetCommitRequest())
		c := x.claims(sd, letter, lies)
		r.TransactionalID, r.ProducerID, r.ProducerEpoch, r.Group = c.txnID, c.id, c.epoch, g.name
		r.Generation, r.MemberID = -1, ""
		if member != "" {
			r.Generation, r.MemberID = g.generation(sd, member), g.id(sd, member)
		}
		for _, c := range what {
			t := kmsg.NewTxnOffsetCommitRequestTopic()
			t.Topic, t.TopicID = c.topic, sd.id(c.topic)
			q := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			q.Partition, q.Offset, q.LeaderEpoch, q.Metadata = c.part, c.offset, -1, kmsg.StringPtr(c.metadata)
			t.Partitions = append(t.Partitions, q)
			r.Topics = append(r.Topics, t)
		}
		return r
	}
}

// produce appends a batch of the transaction.
func (x *txn) produce(letter string, at spot, b rb, lies ...lie) maker {
	return func(sd *side) kmsg.Request {
		c := x.claims(sd, letter, lies)
		b := b
		b.pid, b.epoch, b.txn = c.id, c.epoch, true
		r := x.s.produce(at.topic, at.part, -1, build(b))(sd).(*kmsg.ProduceRequest)
		r.TransactionID = kmsg.StringPtr(c.txnID)
		return r
	}
}

// marker writes a marker at the leader of a partition, as a coordinator does.
func (x *txn) marker(letter string, at spot, commit bool, coordinatorEpoch int32, version int8, lies ...lie) maker {
	return func(sd *side) kmsg.Request {
		r := auto(kmsg.NewPtrWriteTxnMarkersRequest())
		c := x.claims(sd, letter, lies)
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch, m.Committed, m.CoordinatorEpoch, m.TransactionVersion = c.id, c.epoch, commit, coordinatorEpoch, version
		t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
		t.Topic, t.Partitions = at.topic, []int32{at.part}
		m.Topics = append(m.Topics, t)
		r.Markers = append(r.Markers, m)
		return r
	}
}

// describe describes transactional ids as their coordinator sees them.
func describeTxns(ids ...string) maker {
	return func(*side) kmsg.Request {
		r := auto(kmsg.NewPtrDescribeTransactionsRequest())
		r.TransactionalIDs = ids
		return r
	}
}

// listTxns lists what a coordinator has.
func listTxns(edits ...func(*kmsg.ListTransactionsRequest)) maker {
	return func(*side) kmsg.Request {
		r := auto(kmsg.NewPtrListTransactionsRequest())
		r.DurationFilterMillis = -1
		for _, edit := range edits {
			edit(r)
		}
		return r
	}
}

// producersOf describes the producers of a partition.
func producersOf(at spot) maker {
	return func(*side) kmsg.Request {
		r := auto(kmsg.NewPtrDescribeProducersRequest())
		t := kmsg.NewDescribeProducersRequestTopic()
		t.Topic, t.Partitions = at.topic, []int32{at.part}
		r.Topics = append(r.Topics, t)
		return r
	}
}

// seen asks for everything that others see of a partition: its ends, its records at
// both isolation levels, and its producers.
func (s *session) seen(step string, at spot) {
	leader := int(at.part)%3 + 1
	s.do(step+": end", leader, s.list(at.topic, at.part, -1, 0, -1))
	s.do(step+": last stable offset", leader, s.list(at.topic, at.part, -1, 1, -1))
	s.do(step+": all", leader, s.fetch(fetchOpt{}, fetchPart{topic: at.topic, part: at.part, epoch: -1}))
	s.do(step+": committed", leader, s.fetch(fetchOpt{iso: 1}, fetchPart{topic: at.topic, part: at.part, epoch: -1}))
	s.do(step+": producers", leader, producersOf(at))
}
