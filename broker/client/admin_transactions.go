package client

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// TransactionListing is a transactional id as ListTransactions has it.
type TransactionListing struct {
	TransactionalID string
	ProducerID      kafka.ProducerID
	State           string // by Kafka's names, such as Ongoing
}

// TransactionFilter says which transactional ids are wanted; the zero value: all.
type TransactionFilter struct {
	States      []string
	ProducerIDs []int64
	Running     time.Duration // at least for so long (KIP-994)
	Pattern     string        // of the id, as RE2 has it (KIP-1152)
}

// TransactionDescription is what the coordinator says of a transactional id.
type TransactionDescription struct {
	Coordinator kafka.NodeID
	State       string
	Timeout     time.Duration
	Start       int64 // in milliseconds; -1: no transaction is open
	ProducerID  kafka.ProducerID
	Epoch       kafka.ProducerEpoch
	// Partitions are those that are in the transaction and have no marker yet.
	Partitions []kafka.TopicPartition
}

// ProducerState is what a partition's leader remembers of a producer.
type ProducerState struct {
	ProducerID       kafka.ProducerID
	Epoch            kafka.ProducerEpoch
	LastSequence     kafka.Sequence // -1: none in this epoch
	LastTimestamp    int64          // in milliseconds
	CoordinatorEpoch int32          // of the last marker; -1: there was none
	TransactionStart kafka.Offset   // NoOffset: none is open
}

// ListTransactions lists the transactional ids of all coordinators.
func (a *Admin) ListTransactions(filter TransactionFilter) ([]TransactionListing, error) {
	cluster, err := a.DescribeCluster()
	if err != nil {
		return nil, err
	}
	var all []TransactionListing
	for _, node := range cluster.Nodes {
		req := kmsg.NewPtrListTransactionsRequest()
		req.StateFilters, req.ProducerIDFilters, req.DurationFilterMillis = filter.States, filter.ProducerIDs, -1
		if filter.Running > 0 {
			req.DurationFilterMillis = filter.Running.Milliseconds()
		}
		if filter.Pattern != "" {
			req.TransactionalIDPattern = &filter.Pattern
		}
		resp, err := atBroker(a, "list transactions", node.ID, req, func(r *kmsg.ListTransactionsResponse) error {
			return kerr.ErrorForCode(r.ErrorCode)
		})
		if err != nil {
			return nil, err
		}
		for _, x := range resp.TransactionStates {
			all = append(all, TransactionListing{x.TransactionalID, kafka.ProducerID(x.ProducerID), x.TransactionState})
		}
	}
	slices.SortFunc(all, func(x, y TransactionListing) int { return cmp.Compare(x.TransactionalID, y.TransactionalID) })
	return all, nil
}

// DescribeTransaction asks the coordinator of a transactional id about it.
func (a *Admin) DescribeTransaction(transactionalID string) (TransactionDescription, error) {
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{transactionalID}
	resp, at, err := atCoordinatorOf(a, transactionCoordinator, "describe transaction", transactionalID, req, func(r *kmsg.DescribeTransactionsResponse) error {
		if len(r.TransactionStates) == 0 {
			return errUnanswered
		}
		return kerr.ErrorForCode(r.TransactionStates[0].ErrorCode)
	})
	if err != nil {
		return TransactionDescription{}, err
	}
	x := &resp.TransactionStates[0]
	d := TransactionDescription{
		Coordinator: at, State: x.State, Timeout: time.Duration(x.TimeoutMillis) * time.Millisecond, Start: x.StartTimestamp,
		ProducerID: kafka.ProducerID(x.ProducerID), Epoch: kafka.ProducerEpoch(x.ProducerEpoch),
	}
	for _, t := range x.Topics {
		for _, p := range t.Partitions {
			d.Partitions = append(d.Partitions, kafka.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	slices.SortFunc(d.Partitions, kafka.TopicPartition.Compare)
	return d, nil
}

// DescribeProducers asks the leaders of partitions which producers they remember.
func (a *Admin) DescribeProducers(partitions ...kafka.TopicPartition) (map[kafka.TopicPartition][]ProducerState, error) {
	all := map[kafka.TopicPartition][]ProducerState{}
	err := a.atLeaders("describe producers", partitions, func(l *link, parts []kafka.TopicPartition, timeout time.Duration) (left []kafka.TopicPartition, err error) {
		req := kmsg.NewPtrDescribeProducersRequest()
		for _, tp := range parts {
			if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.Topic {
				rt := kmsg.NewDescribeProducersRequestTopic()
				rt.Topic = tp.Topic
				req.Topics = append(req.Topics, rt)
			}
			last := &req.Topics[len(req.Topics)-1]
			last.Partitions = append(last.Partitions, tp.Partition)
		}
		resp, err := l.call(req, timeout)
		if err != nil {
			return parts, err
		}
		for _, rt := range resp.(*kmsg.DescribeProducersResponse).Topics {
			for i := range rt.Partitions {
				rp := &rt.Partitions[i]
				tp := kafka.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}
				if failed := code(rp.ErrorCode, rp.ErrorMessage); failed != nil {
					left, err = append(left, tp), fmt.Errorf("%v: %w", tp, failed)
					continue
				}
				all[tp] = producerStates(rp.ActiveProducers)
			}
		}
		return left, err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func producerStates(active []kmsg.DescribeProducersResponseTopicPartitionActiveProducer) (out []ProducerState) {
	for _, x := range active {
		out = append(out, ProducerState{
			ProducerID: kafka.ProducerID(x.ProducerID), Epoch: kafka.ProducerEpoch(x.ProducerEpoch), LastSequence: kafka.Sequence(x.LastSequence),
			LastTimestamp: x.LastTimestamp, CoordinatorEpoch: x.CoordinatorEpoch, TransactionStart: kafka.Offset(x.CurrentTxnStartOffset),
		})
	}
	slices.SortFunc(out, func(x, y ProducerState) int { return cmp.Compare(x.ProducerID, y.ProducerID) })
	return out
}

// HangingTransaction is open in a partition, and no coordinator knows that the
// partition is in it (KIP-664): nothing will ever end it but AbortHanging.
type HangingTransaction struct {
	Partition kafka.TopicPartition
	Producer  ProducerState
	// TransactionalID has the producer id; empty: none does.
	TransactionalID string
}

// FindHanging looks in partitions for transactions that hang: open for longer than
// atLeast, which should be transaction.max.timeout.ms of the brokers and some more.
func (a *Admin) FindHanging(atLeast time.Duration, partitions ...kafka.TopicPartition) ([]HangingTransaction, error) {
	producers, err := a.DescribeProducers(partitions...)
	if err != nil {
		return nil, err
	}
	before := a.net.host.Now().Millis() - atLeast.Milliseconds()
	var old []HangingTransaction
	var ids []int64
	for _, tp := range keys(producers) {
		for _, s := range producers[tp] {
			if s.TransactionStart >= 0 && s.LastTimestamp <= before {
				old = append(old, HangingTransaction{Partition: tp, Producer: s})
				ids = append(ids, int64(s.ProducerID))
			}
		}
	}
	if len(old) == 0 {
		return nil, nil
	}
	listed, err := a.ListTransactions(TransactionFilter{ProducerIDs: ids})
	if err != nil {
		return nil, err
	}
	var hanging []HangingTransaction
	for _, h := range old {
		known, err := a.coordinated(&h, listed)
		if err != nil {
			return nil, err
		}
		if !known {
			hanging = append(hanging, h)
		}
	}
	return hanging, nil
}

// coordinated reports whether a coordinator will end the transaction.
func (a *Admin) coordinated(h *HangingTransaction, listed []TransactionListing) (bool, error) {
	at := slices.IndexFunc(listed, func(x TransactionListing) bool { return x.ProducerID == h.Producer.ProducerID })
	if at < 0 {
		return false, nil
	}
	h.TransactionalID = listed[at].TransactionalID
	d, err := a.DescribeTransaction(h.TransactionalID)
	if err != nil {
		return false, err
	}
	return slices.Contains(d.Partitions, h.Partition), nil
}

// AbortHanging writes the marker that ends a hanging transaction into its partition. The
// coordinator is not asked: of one that does not hang that would leave a part in
// doubt.
func (a *Admin) AbortHanging(h HangingTransaction) error {
	tp := h.Partition
	return a.atLeaders(fmt.Sprintf("abort the transaction of producer id %d in %v", h.Producer.ProducerID, tp), []kafka.TopicPartition{tp},
		func(l *link, parts []kafka.TopicPartition, timeout time.Duration) ([]kafka.TopicPartition, error) {
			rt := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
			rt.Topic, rt.Partitions = tp.Topic, []int32{tp.Partition}
			marker := kmsg.NewWriteTxnMarkersRequestMarker()
			marker.ProducerID, marker.ProducerEpoch = int64(h.Producer.ProducerID), int16(h.Producer.Epoch)
			marker.CoordinatorEpoch, marker.Topics = h.Producer.CoordinatorEpoch, append(marker.Topics, rt)
			req := kmsg.NewPtrWriteTxnMarkersRequest()
			req.Markers = append(req.Markers, marker)
			resp, err := l.call(req, timeout)
			if err != nil {
				return parts, err
			}
			for _, m := range resp.(*kmsg.WriteTxnMarkersResponse).Markers {
				for _, rt := range m.Topics {
					for _, rp := range rt.Partitions {
						if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
							return parts, err
						}
					}
				}
			}
			return nil, nil
		})
}

// atBroker sends a request to one broker.
func atBroker[R kmsg.Response](a *Admin, doing string, node kafka.NodeID, req kmsg.Request, check func(R) error) (answer R, err error) {
	err = a.retry(fmt.Sprintf("%s of broker %d", doing, node), func(timeout time.Duration) error {
		l := a.net.link(node)
		if l == nil {
			_, err := a.net.ask(kmsg.NewPtrMetadataRequest(), timeout)
			return cmp.Or(err, error(kerr.BrokerNotAvailable))
		}
		resp, err := l.call(req, timeout)
		if err != nil {
			return err
		}
		answer = resp.(R)
		return check(answer)
	})
	return answer, err
}
