package client

import (
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/wire"
)

// fakeTransactions are the transactional ids of a fake cluster. Its coordinator, the
// one of groups, obeys the rules of Kafka's that matter to producers, and ends a
// transaction in every partition before it answers.
type fakeTransactions struct {
	version int16 // transaction.version; 0: not finalized
	epoch   int64 // of the finalized features
	ids     map[string]*fakeTransaction
}

type fakeTransaction struct {
	id      kafka.ProducerID
	epoch   kafka.ProducerEpoch
	state   string // Empty, Ongoing, CompleteCommit, CompleteAbort
	members map[kafka.TopicPartition]bool
	groups  map[string]bool
	offsets map[string]map[kafka.TopicPartition]kmsg.TxnOffsetCommitRequestTopicPartition
}

func (f *fake) finalize(transactionVersion int16) {
	f.txns.version = transactionVersion
	f.txns.epoch++
}

func (f *fake) features(resp *kmsg.ApiVersionsResponse) {
	if f.txns.version == 0 {
		return
	}
	level := kmsg.NewApiVersionsResponseFinalizedFeature()
	level.Name, level.MinVersionLevel, level.MaxVersionLevel = "transaction.version", f.txns.version, f.txns.version
	resp.FinalizedFeatures, resp.FinalizedFeaturesEpoch = append(resp.FinalizedFeatures, level), f.txns.epoch
}

// txnAnswer answers a request about transactions; false: it is none.
func (f *fake) txnAnswer(ctx *wire.Context, node int32, req kmsg.Request, resp kmsg.Response) bool {
	notHere := int16(0)
	if node != f.groups.coordinator || f.groups.notThere {
		notHere = kerr.NotCoordinator.Code
	}
	switch r := req.(type) {
	case *kmsg.InitProducerIDRequest:
		if r.TransactionalID == nil {
			return false
		}
		a := resp.(*kmsg.InitProducerIDResponse)
		a.ProducerID, a.ProducerEpoch = -1, -1
		if a.ErrorCode = notHere; notHere == 0 {
			f.initTransactional(r, a)
		}
	case *kmsg.AddPartitionsToTxnRequest:
		f.addPartitions(notHere, r, resp.(*kmsg.AddPartitionsToTxnResponse))
	case *kmsg.AddOffsetsToTxnRequest:
		a := resp.(*kmsg.AddOffsetsToTxnResponse)
		x, code := f.ongoing(r.TransactionalID, r.ProducerID, r.ProducerEpoch)
		if a.ErrorCode = max(notHere, code); a.ErrorCode == 0 {
			x.groups[r.Group] = true
		}
	case *kmsg.TxnOffsetCommitRequest:
		f.txnOffsetCommit(notHere, r, resp.(*kmsg.TxnOffsetCommitResponse))
	case *kmsg.EndTxnRequest:
		a := resp.(*kmsg.EndTxnResponse)
		a.ProducerID, a.ProducerEpoch = -1, -1
		if a.ErrorCode = notHere; notHere == 0 {
			f.endTxn(ctx.Host.Now().Millis(), r, a)
		}
	case *kmsg.DescribeClusterRequest:
		for node := range f.brokers {
			b := kmsg.NewDescribeClusterResponseBroker()
			b.NodeID, b.Host, b.Port = node, f.host(node), 9092
			resp.(*kmsg.DescribeClusterResponse).Brokers = append(resp.(*kmsg.DescribeClusterResponse).Brokers, b)
		}
	case *kmsg.ListTransactionsRequest:
		for _, name := range slices.Sorted(maps.Keys(f.txns.ids)) {
			x := f.txns.ids[name]
			if len(r.ProducerIDFilters) == 0 || slices.Contains(r.ProducerIDFilters, int64(x.id)) {
				s := kmsg.NewListTransactionsResponseTransactionState()
				s.TransactionalID, s.ProducerID, s.TransactionState = name, int64(x.id), x.state
				if notHere == 0 {
					resp.(*kmsg.ListTransactionsResponse).TransactionStates = append(resp.(*kmsg.ListTransactionsResponse).TransactionStates, s)
				}
			}
		}
	case *kmsg.DescribeTransactionsRequest:
		f.describeTransactions(notHere, r, resp.(*kmsg.DescribeTransactionsResponse))
	case *kmsg.DescribeProducersRequest:
		f.describeProducers(node, r, resp.(*kmsg.DescribeProducersResponse))
	case *kmsg.WriteTxnMarkersRequest:
		f.writeMarkers(ctx.Host.Now().Millis(), r, resp.(*kmsg.WriteTxnMarkersResponse))
	default:
		return false
	}
	return true
}

func (f *fake) describeTransactions(notHere int16, req *kmsg.DescribeTransactionsRequest, resp *kmsg.DescribeTransactionsResponse) {
	for _, name := range req.TransactionalIDs {
		s := kmsg.NewDescribeTransactionsResponseTransactionState()
		s.TransactionalID, s.ErrorCode = name, notHere
		x := f.txns.ids[name]
		switch {
		case notHere != 0:
		case x == nil:
			s.ErrorCode = kerr.TransactionalIDNotFound.Code
		default:
			s.State, s.ProducerID, s.ProducerEpoch, s.TimeoutMillis = x.state, int64(x.id), int16(x.epoch), 60000
			for _, tp := range slices.SortedFunc(maps.Keys(x.members), kafka.TopicPartition.Compare) {
				t := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
				t.Topic, t.Partitions = tp.Topic, []int32{tp.Partition}
				s.Topics = append(s.Topics, t)
			}
		}
		resp.TransactionStates = append(resp.TransactionStates, s)
	}
}

func (f *fake) describeProducers(node int32, req *kmsg.DescribeProducersRequest, resp *kmsg.DescribeProducersResponse) {
	for _, rt := range req.Topics {
		t := kmsg.NewDescribeProducersResponseTopic()
		t.Topic = rt.Topic
		for _, n := range rt.Partitions {
			p := f.parts[kafka.TopicPartition{Topic: rt.Topic, Partition: n}]
			rp := kmsg.NewDescribeProducersResponseTopicPartition()
			rp.Partition = n
			if p.leader != node {
				rp.ErrorCode = kerr.NotLeaderForPartition.Code
			}
			for _, id := range slices.Sorted(maps.Keys(p.producers)) {
				s := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
				s.ProducerID, s.ProducerEpoch, s.LastSequence, s.CoordinatorEpoch, s.CurrentTxnStartOffset = int64(id), int32(p.producers[id].epoch), int32(p.producers[id].last), 1, -1
				if at, open := p.opened[id]; open {
					s.CurrentTxnStartOffset = int64(at)
				}
				rp.ActiveProducers = append(rp.ActiveProducers, s)
			}
			t.Partitions = append(t.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, t)
	}
}

func (f *fake) writeMarkers(now int64, req *kmsg.WriteTxnMarkersRequest, resp *kmsg.WriteTxnMarkersResponse) {
	for _, m := range req.Markers {
		a := kmsg.NewWriteTxnMarkersResponseMarker()
		a.ProducerID = m.ProducerID
		for _, mt := range m.Topics {
			t := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			t.Topic = mt.Topic
			x := &fakeTransaction{id: kafka.ProducerID(m.ProducerID), epoch: kafka.ProducerEpoch(m.ProducerEpoch)}
			x.reset("Ongoing")
			for _, n := range mt.Partitions {
				x.members[kafka.TopicPartition{Topic: mt.Topic, Partition: n}] = true
				rp := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
				rp.Partition = n
				t.Partitions = append(t.Partitions, rp)
			}
			f.complete(now, x, m.Committed)
			a.Topics = append(a.Topics, t)
		}
		resp.Markers = append(resp.Markers, a)
	}
}

func (f *fake) initTransactional(req *kmsg.InitProducerIDRequest, resp *kmsg.InitProducerIDResponse) {
	x := f.txns.ids[*req.TransactionalID]
	switch {
	case x == nil:
		f.nextID++
		x = &fakeTransaction{id: f.nextID, epoch: -1}
		if f.txns.ids == nil {
			f.txns.ids = map[string]*fakeTransaction{}
		}
		f.txns.ids[*req.TransactionalID] = x
	case req.ProducerID >= 0 && (req.ProducerID != int64(x.id) || req.ProducerEpoch != int16(x.epoch)):
		resp.ErrorCode = kerr.ProducerFenced.Code
		return
	case x.state == "Ongoing":
		x.epoch++
		f.complete(0, x, false)
		resp.ErrorCode = kerr.ConcurrentTransactions.Code
		return
	}
	x.epoch++
	x.reset("Empty")
	resp.ProducerID, resp.ProducerEpoch = int64(x.id), int16(x.epoch)
}

func (x *fakeTransaction) reset(state string) {
	x.state, x.members, x.groups = state, map[kafka.TopicPartition]bool{}, map[string]bool{}
	x.offsets = map[string]map[kafka.TopicPartition]kmsg.TxnOffsetCommitRequestTopicPartition{}
}

// ongoing is the transaction of a producer, which begins now if it has not.
func (f *fake) ongoing(name string, id int64, epoch int16) (*fakeTransaction, int16) {
	x := f.txns.ids[name]
	switch {
	case x == nil || int64(x.id) != id:
		return nil, kerr.InvalidProducerIDMapping.Code
	case int16(x.epoch) != epoch:
		return nil, kerr.ProducerFenced.Code
	case x.state != "Ongoing":
		x.reset("Ongoing")
	}
	return x, 0
}

func (f *fake) addPartitions(notHere int16, req *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse) {
	code := notHere
	var x *fakeTransaction
	if code == 0 {
		x, code = f.ongoing(req.TransactionalID, req.ProducerID, req.ProducerEpoch)
	}
	for _, rt := range req.Topics {
		t := kmsg.NewAddPartitionsToTxnResponseTopic()
		t.Topic = rt.Topic
		for _, p := range rt.Partitions {
			rp := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p, code
			if code == 0 {
				x.members[kafka.TopicPartition{Topic: rt.Topic, Partition: p}] = true
			}
			t.Partitions = append(t.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, t)
	}
}

// verify is the error of a transactional batch before it is appended (KIP-890).
func (f *fake) verify(req *kmsg.ProduceRequest, tp kafka.TopicPartition, b record.Batch) error {
	if !b.IsTransactional() {
		return nil
	}
	x := f.txns.ids[*req.TransactionID]
	switch {
	case x == nil || x.id != b.ProducerID():
		return kerr.InvalidProducerIDMapping
	case x.epoch != b.ProducerEpoch():
		return kerr.InvalidProducerEpoch
	case req.Version >= 12:
		x, _ = f.ongoing(*req.TransactionID, int64(b.ProducerID()), int16(b.ProducerEpoch()))
		x.members[tp] = true
	case x.state != "Ongoing" || !x.members[tp]:
		return kerr.TransactionAbortable
	}
	return nil
}

func (f *fake) txnOffsetCommit(notHere int16, req *kmsg.TxnOffsetCommitRequest, resp *kmsg.TxnOffsetCommitResponse) {
	code := notHere
	x := f.txns.ids[req.TransactionalID]
	switch {
	case code != 0:
	case req.Version >= 5:
		if x, code = f.ongoing(req.TransactionalID, req.ProducerID, req.ProducerEpoch); code == 0 {
			x.groups[req.Group] = true
		}
	case x == nil || x.state != "Ongoing" || !x.groups[req.Group]:
		code = kerr.TransactionAbortable.Code
	case int16(x.epoch) != req.ProducerEpoch:
		code = kerr.InvalidProducerEpoch.Code
	}
	g := f.group(req.Group)
	if code == 0 && req.Generation >= 0 && g.modern.members == nil && (g.members[req.MemberID] == nil || g.generation != req.Generation) {
		code = kerr.IllegalGeneration.Code
	}
	for _, rt := range req.Topics {
		t := kmsg.NewTxnOffsetCommitResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			p := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = rp.Partition, code
			if code == 0 {
				tp := kafka.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}
				if x.offsets[req.Group] == nil {
					x.offsets[req.Group] = map[kafka.TopicPartition]kmsg.TxnOffsetCommitRequestTopicPartition{}
				}
				x.offsets[req.Group][tp] = rp
				g.unstable[tp] = true
			}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
}

// endTxn obeys the tables of both generations.
func (f *fake) endTxn(now int64, req *kmsg.EndTxnRequest, resp *kmsg.EndTxnResponse) {
	x := f.txns.ids[req.TransactionalID]
	done := map[bool]string{true: "CompleteCommit", false: "CompleteAbort"}[req.Commit]
	v2 := req.Version >= 5
	switch {
	case x == nil || int64(x.id) != req.ProducerID:
		resp.ErrorCode = kerr.InvalidProducerIDMapping.Code
		return
	case v2 && req.ProducerEpoch == int16(x.epoch)-1 && x.state == done:
		resp.ProducerID, resp.ProducerEpoch = int64(x.id), int16(x.epoch)
		return
	case v2 && req.ProducerEpoch == int16(x.epoch)-1 && strings.HasPrefix(x.state, "Complete"):
		resp.ErrorCode = kerr.InvalidTxnState.Code
		return
	case req.ProducerEpoch != int16(x.epoch):
		resp.ErrorCode = kerr.ProducerFenced.Code
		return
	case !v2 && x.state == done:
		return
	case x.state != "Ongoing" && (req.Commit || !v2):
		resp.ErrorCode = kerr.InvalidTxnState.Code
		return
	}
	if v2 {
		x.epoch++
	}
	f.complete(now, x, req.Commit)
	if v2 {
		resp.ProducerID, resp.ProducerEpoch = int64(x.id), int16(x.epoch)
	}
}

// complete writes the markers.
func (f *fake) complete(now int64, x *fakeTransaction, commit bool) {
	as, state := record.Abort, "CompleteAbort"
	if commit {
		as, state = record.Commit, "CompleteCommit"
	}
	for _, tp := range slices.SortedFunc(maps.Keys(x.members), kafka.TopicPartition.Compare) {
		p := f.parts[tp]
		if at, ok := p.opened[x.id]; ok && !commit {
			p.aborted = append(p.aborted, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: int64(x.id), FirstOffset: int64(at)})
		}
		delete(p.opened, x.id)
		p.put(record.NewEndTxnMarker(as, now, x.id, x.epoch, 1))
		if s := p.producers[x.id]; s != nil && s.epoch < x.epoch {
			s.epoch, s.batches, s.last = x.epoch, nil, -1
		}
	}
	for _, group := range slices.Sorted(maps.Keys(x.offsets)) {
		g := f.group(group)
		for tp, o := range x.offsets[group] {
			delete(g.unstable, tp)
			if commit {
				g.offsets[tp] = kmsg.OffsetCommitRequestTopicPartition{Partition: o.Partition, Offset: o.Offset, LeaderEpoch: o.LeaderEpoch, Metadata: o.Metadata}
			}
		}
	}
	x.reset(state)
}

// stable is the last stable offset.
func (p *fakePartition) stable() kafka.Offset {
	end := p.end()
	for _, at := range p.opened {
		end = min(end, at)
	}
	return end
}

// refuse writes an error into the answer to a request about transactions; false: it is
// none.
func refuse(req kmsg.Request, resp kmsg.Response, code int16) bool {
	switch a := resp.(type) {
	case *kmsg.InitProducerIDResponse:
		a.ErrorCode, a.ProducerID, a.ProducerEpoch = code, -1, -1
	case *kmsg.AddPartitionsToTxnResponse:
		for _, rt := range req.(*kmsg.AddPartitionsToTxnRequest).Topics {
			t := kmsg.NewAddPartitionsToTxnResponseTopic()
			t.Topic = rt.Topic
			for _, p := range rt.Partitions {
				rp := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p, code
				t.Partitions = append(t.Partitions, rp)
			}
			a.Topics = append(a.Topics, t)
		}
	case *kmsg.AddOffsetsToTxnResponse:
		a.ErrorCode = code
	case *kmsg.TxnOffsetCommitResponse:
		for _, rt := range req.(*kmsg.TxnOffsetCommitRequest).Topics {
			t := kmsg.NewTxnOffsetCommitResponseTopic()
			t.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				p := kmsg.NewTxnOffsetCommitResponseTopicPartition()
				p.Partition, p.ErrorCode = rp.Partition, code
				t.Partitions = append(t.Partitions, p)
			}
			a.Topics = append(a.Topics, t)
		}
	case *kmsg.EndTxnResponse:
		a.ErrorCode, a.ProducerID, a.ProducerEpoch = code, -1, -1
	default:
		return false
	}
	return true
}
