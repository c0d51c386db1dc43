package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/wire"
	clusters "github.com/ktrial/ktrial/scenarios/cluster"
)

// generation is which versions of requests a transactional client uses: those of before
// KIP-890, or those of after it.
type generation struct {
	produce, end, commit int16
}

var (
	tv1 = generation{produce: 11, end: 4, commit: 4}
	tv2 = generation{produce: 13, end: 5, commit: 5}
)

// producer is a transactional client that speaks by hand.
type producer struct {
	*user
	id       string
	g        generation
	pid      int64
	epoch    int16
	sequence map[int32]int32 // of orders, the next one by partition
	timeout  int32
}

// txnCluster is three nodes with a topic orders of two partitions.
func txnCluster(t *testing.T, config map[string]string, body func(u *user)) {
	txnClusterWith(t, nil, config, body)
}

func txnClusterWith(t *testing.T, bugs *planted.Set, config map[string]string, body func(u *user)) {
	all := map[string]string{
		"ktrial.coordinator.check":             "true",
		"transaction.state.log.num.partitions": "3",
		"offsets.topic.num.partitions":         "3",
	}
	for name, value := range config {
		all[name] = value
	}
	c := newClusterWith(t, 1, bugs, clusters.Shape{Combined: 3, Config: all})
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 2, 3, "min.insync.replicas", "2")
		u.eventually(30*time.Second, "leaders", func() bool {
			a, _ := u.leader(1, "orders", 0)
			b, _ := u.leader(1, "orders", 1)
			return a != kafka.NoNode && b != kafka.NoNode
		})
		body(u)
		assert.Zero(t, c.told["shard-diverged"], "the state was not the fold of the log")
	})
}

func (u *user) producer(id string, g generation) *producer {
	return &producer{user: u, id: id, g: g, pid: -1, epoch: -1, sequence: map[int32]int32{}, timeout: 60_000}
}

// txnCoordinator waits until a transactional id has a coordinator, and is its id.
func (u *user) txnCoordinator(id string) (at kafka.NodeID) {
	req := findCoordinator(id)
	req.CoordinatorType = 1
	u.eventually(60*time.Second, "a coordinator of "+id, func() bool {
		for _, node := range u.c.brokers() {
			resp, err := u.ask(node, req)
			if err != nil {
				continue
			}
			c := resp.(*kmsg.FindCoordinatorResponse).Coordinators[0]
			if at = kafka.NodeID(c.NodeID); c.ErrorCode == 0 {
				return true
			}
		}
		return false
	})
	return at
}

// askAs sends a request in that version.
func (u *user) askAs(to kafka.NodeID, version int16, req kmsg.Request) (kmsg.Response, error) {
	req.SetVersion(version)
	conn, err := wire.Dial(u.h, fmt.Sprintf("%s:%d", u.c.HostOf(to), clientPort), "user", time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.Call(req, 3*time.Second)
}

// coordinated asks the coordinator of the transactional id, wherever it is, until the answer is one
// of the transaction.
func coordinated[R kmsg.Response](p *producer, version int16, req kmsg.Request, code func(R) int16) (answer R) {
	p.eventually(time.Minute, "an answer of the coordinator of "+p.id, func() bool {
		resp, err := p.askAs(p.txnCoordinator(p.id), version, req)
		if err != nil {
			return false
		}
		answer = resp.(R)
		switch kerr.ErrorForCode(code(answer)) {
		case kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress:
			return false
		}
		return true
	})
	return answer
}

// settled asks again while the transaction before is not over.
func settled(p *producer, ask func() error) (err error) {
	p.eventually(2*time.Minute, "the end of the transaction before", func() bool {
		err = ask()
		return err != kerr.ConcurrentTransactions
	})
	return err
}

// init takes the transactional id.
func (p *producer) init() error { return settled(p, func() error { return p.tryInit(-1, -1) }) }

func (p *producer) tryInit(pid int64, epoch int16) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &p.id, p.timeout
	req.ProducerID, req.ProducerEpoch = pid, epoch
	resp := coordinated(p, 5, req, func(r *kmsg.InitProducerIDResponse) int16 { return r.ErrorCode })
	if resp.ErrorCode != 0 {
		return kerr.ErrorForCode(resp.ErrorCode)
	}
	p.pid, p.epoch, p.sequence = resp.ProducerID, resp.ProducerEpoch, map[int32]int32{}
	return nil
}

// add adds partitions of orders to the transaction.
func (p *producer) add(partitions ...int32) error {
	return settled(p, func() error { return p.tryAdd(partitions...) })
}

func (p *producer) tryAdd(partitions ...int32) error {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.id, p.pid, p.epoch
	t := kmsg.NewAddPartitionsToTxnRequestTopic()
	t.Topic, t.Partitions = "orders", partitions
	req.Topics = append(req.Topics, t)
	resp := coordinated(p, 3, req, func(r *kmsg.AddPartitionsToTxnResponse) int16 { return r.Topics[0].Partitions[0].ErrorCode })
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}

// send writes a record of the transaction, to the leader.
func (p *producer) send(partition int32, value string) error {
	return settled(p, func() error {
		_, err := p.trySend(partition, p.sequence[partition], value)
		if err == nil {
			p.sequence[partition]++
		}
		return err
	})
}

func (p *producer) trySend(partition, sequence int32, value string) (at int64, err error) {
	to, topic := p.anyLeader("orders", partition)
	if to == kafka.NoNode {
		return -1, kerr.NotLeaderForPartition
	}
	b := record.NewBuilder(record.Options{
		Idempotent: true, Transactional: true, ProducerID: kafka.ProducerID(p.pid), ProducerEpoch: kafka.ProducerEpoch(p.epoch), BaseSequence: kafka.Sequence(sequence),
	})
	b.Append(p.h.Now().Millis(), nil, []byte(value))
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis, req.TransactionID = -1, 10_000, &p.id
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = "orders", topic
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = partition, b.Build()
	t.Partitions = append(t.Partitions, part)
	req.Topics = append(req.Topics, t)
	resp, err := p.askAs(to, p.g.produce, req)
	if err != nil {
		return -1, err
	}
	out := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	return out.BaseOffset, kerr.ErrorForCode(out.ErrorCode)
}

// end commits or aborts.
func (p *producer) finish(commit bool) error {
	return settled(p, func() error {
		pid, epoch, err := p.tryEnd(p.pid, p.epoch, commit)
		if err == nil && p.g.end >= 5 {
			p.pid, p.epoch, p.sequence = pid, epoch, map[int32]int32{}
		}
		return err
	})
}

func (p *producer) tryEnd(pid int64, epoch int16, commit bool) (int64, int16, error) {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = p.id, pid, epoch, commit
	resp := coordinated(p, p.g.end, req, func(r *kmsg.EndTxnResponse) int16 { return r.ErrorCode })
	return resp.ProducerID, resp.ProducerEpoch, kerr.ErrorForCode(resp.ErrorCode)
}

// anyLeader is the leader of a partition, by the first broker that says one.
func (u *user) anyLeader(topic string, partition int32) (to kafka.NodeID, id kafka.UUID) {
	for _, at := range u.c.brokers() {
		if to, id = u.leader(at, topic, partition); to != kafka.NoNode {
			break
		}
	}
	return to, id
}

// fetched is a partition of orders as a reader gets it.
type fetched struct {
	values  []string // at read_committed, without what is aborted
	stable  int64
	end     int64
	aborted int
}

// committed reads a partition of orders at read_committed.
func (u *user) committed(partition int32) (f fetched) {
	to, id := u.anyLeader("orders", partition)
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch, req.IsolationLevel = 100, 1, 10<<20, -1, 1
	t := kmsg.NewFetchRequestTopic()
	t.TopicID = id
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.PartitionMaxBytes = partition, 10<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, err := u.ask(to, req)
	require.NoError(u.t, err)
	out := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0]
	require.NoError(u.t, kerr.ErrorForCode(out.ErrorCode))
	f.stable, f.end, f.aborted = out.LastStableOffset, out.HighWatermark, len(out.AbortedTransactions)
	open := map[int64]bool{}
	for rest := out.RecordBatches; len(rest) > 0; {
		var batch record.Batch
		batch, rest, err = record.Next(rest)
		require.NoError(u.t, err)
		pid := int64(batch.ProducerID())
		for _, a := range out.AbortedTransactions {
			if a.ProducerID == pid && a.FirstOffset == int64(batch.BaseOffset()) {
				open[pid] = true
			}
		}
		if batch.IsControl() {
			delete(open, pid)
			continue
		}
		if open[pid] {
			continue
		}
		require.NoError(u.t, batch.Records(func(r record.Record) error {
			f.values = append(f.values, string(r.Value))
			return nil
		}))
	}
	return f
}

// stable waits until no transaction is open in a partition of orders, and reads it.
func (u *user) stable(partition int32) (f fetched) {
	u.eventually(time.Minute, "no open transaction", func() bool {
		f = u.committed(partition)
		return f.stable == f.end
	})
	return f
}

// What a transaction wrote is seen when it is committed, and never when it is aborted, in
// both generations of the protocol.
func TestTransactions_CommitAndAbort(t *testing.T) {
	for name, g := range map[string]generation{"TV1": tv1, "TV2": tv2} {
		t.Run(name, func(t *testing.T) {
			txnCluster(t, nil, func(u *user) {
				p := u.producer("payments", g)
				require.NoError(t, p.init())
				for i, commit := range []bool{true, false, true} {
					if g == tv1 {
						require.NoError(t, p.add(0, 1))
					}
					for part := range int32(2) {
						require.NoError(t, p.send(part, fmt.Sprintf("%d.%d", i, part)))
					}
					f := u.committed(0)
					assert.Less(t, f.stable, f.end, "the transaction is open")
					require.NoError(t, p.finish(commit))
				}
				assert.Equal(t, []string{"0.0", "2.0"}, u.stable(0).values)
				assert.Equal(t, []string{"0.1", "2.1"}, u.stable(1).values)
				assert.Equal(t, 1, u.stable(0).aborted)
				assert.EqualValues(t, 6, u.stable(0).end, "three records and three markers")
			})
		})
	}
}

// stage commits an offset of orders/0 within the transaction.
func (p *producer) stage(group string, at int64) error {
	return settled(p, func() error {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = p.id, group, p.pid, p.epoch
		t := kmsg.NewTxnOffsetCommitRequestTopic()
		t.Topic = "orders"
		part := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		part.Offset, part.Metadata = at, ptr("")
		t.Partitions = append(t.Partitions, part)
		req.Topics = append(req.Topics, t)
		resp, err := p.askAs(p.coordinator(group), p.g.commit, req)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)
	})
}

// addOffsets adds the group's partition to the transaction.
func (p *producer) addOffsets(group string) error {
	return settled(p, func() error {
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = p.id, group, p.pid, p.epoch
		resp := coordinated(p, 4, req, func(r *kmsg.AddOffsetsToTxnResponse) int16 { return r.ErrorCode })
		return kerr.ErrorForCode(resp.ErrorCode)
	})
}

// offset is what a group has committed of orders/0, and the error.
func (u *user) offset(group string, stable bool) (int64, error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = stable
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = "orders", []int32{0}
	g.Topics = append(g.Topics, t)
	req.Groups = append(req.Groups, g)
	resp, err := u.askAs(u.coordinator(group), 9, req)
	require.NoError(u.t, err)
	p := resp.(*kmsg.OffsetFetchResponse).Groups[0].Topics[0].Partitions[0]
	return p.Offset, kerr.ErrorForCode(p.ErrorCode)
}

// Offsets that are sent to a transaction count when it is committed, and make the group's
// offset unstable until then.
func TestTransactions_Offsets(t *testing.T) {
	for name, g := range map[string]generation{"TV1": tv1, "TV2": tv2} {
		t.Run(name, func(t *testing.T) {
			txnCluster(t, nil, func(u *user) {
				p := u.producer("pipeline", g)
				require.NoError(t, p.init())
				refused := map[generation]error{tv1: kerr.TransactionAbortable, tv2: nil}[g]
				assert.Equal(t, refused, p.stage("billing", 5), "the partition of the group is added by the leader with transaction.version 2 only")
				require.NoError(t, p.addOffsets("billing"))
				require.NoError(t, p.stage("billing", 10))
				_, err := u.offset("billing", true)
				assert.Equal(t, kerr.UnstableOffsetCommit, err)
				at, err := u.offset("billing", false)
				assert.NoError(t, err)
				assert.EqualValues(t, -1, at)
				require.NoError(t, p.finish(true))
				u.eventually(time.Minute, "the offset counts", func() bool {
					at, err := u.offset("billing", true)
					return err == nil && at == 10
				})

				require.NoError(t, p.addOffsets("billing"))
				require.NoError(t, p.stage("billing", 20))
				require.NoError(t, p.finish(false))
				u.eventually(time.Minute, "the offset before", func() bool {
					at, err := u.offset("billing", true)
					return err == nil && at == 10
				})
			})
		})
	}
}

// describe is what a coordinator says of a transactional id.
func (p *producer) describe() kmsg.DescribeTransactionsResponseTransactionState {
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{p.id}
	return coordinated(p, 0, req, func(r *kmsg.DescribeTransactionsResponse) int16 { return r.TransactionStates[0].ErrorCode }).TransactionStates[0]
}

// list are the transactional ids that all brokers coordinate, that pass a filter.
func (u *user) list(edit func(*kmsg.ListTransactionsRequest)) (ids []string) {
	for _, at := range u.c.brokers() {
		req := kmsg.NewPtrListTransactionsRequest()
		req.DurationFilterMillis = -1
		edit(req)
		resp, err := u.ask(at, req)
		require.NoError(u.t, err)
		r := resp.(*kmsg.ListTransactionsResponse)
		require.Zero(u.t, r.ErrorCode)
		for _, s := range r.TransactionStates {
			ids = append(ids, s.TransactionalID)
		}
	}
	return ids
}

// Transactions can be listed and described, and one that hangs is ended by an
// administrator that writes the marker.
func TestTransactions_Admin(t *testing.T) {
	txnCluster(t, nil, func(u *user) {
		p, idle := u.producer("payments", tv2), u.producer("idle", tv2)
		require.NoError(t, p.init())
		require.NoError(t, idle.init())
		require.NoError(t, p.send(0, "a"))
		d := p.describe()
		assert.Equal(t, "Ongoing", d.State)
		assert.Equal(t, []kmsg.DescribeTransactionsResponseTransactionStateTopic{{Topic: "orders", Partitions: []int32{0}}}, d.Topics)
		assert.Equal(t, "Empty", idle.describe().State)
		assert.Equal(t, kerr.TransactionalIDNotFound.Code, u.producer("nobody", tv2).describe().ErrorCode)
		assert.Equal(t, kerr.InvalidRequest.Code, u.producer("", tv2).describe().ErrorCode)

		all := func(*kmsg.ListTransactionsRequest) {}
		assert.ElementsMatch(t, []string{"payments", "idle"}, u.list(all))
		assert.Equal(t, []string{"payments"}, u.list(func(r *kmsg.ListTransactionsRequest) { r.StateFilters = []string{"Ongoing"} }))
		assert.Empty(t, u.list(func(r *kmsg.ListTransactionsRequest) { r.StateFilters = []string{"Confused"} }))
		assert.Equal(t, []string{"idle"}, u.list(func(r *kmsg.ListTransactionsRequest) { r.ProducerIDFilters = []int64{idle.pid} }))
		assert.Equal(t, []string{"payments"}, u.list(func(r *kmsg.ListTransactionsRequest) { r.TransactionalIDPattern = ptr("pay.*") }))
		assert.Empty(t, u.list(func(r *kmsg.ListTransactionsRequest) { r.TransactionalIDPattern = ptr("pay") }))
		assert.Equal(t, []string{"idle"}, u.list(func(r *kmsg.ListTransactionsRequest) { r.DurationFilterMillis = 3_600_000 }), "of one that has not begun any duration will do, as in Kafka")

		to, _ := u.leader(1, "orders", 0)
		mark := func(epoch int16, coordinatorEpoch int32, partition int32) *kerr.Error {
			req := kmsg.NewPtrWriteTxnMarkersRequest()
			m := kmsg.NewWriteTxnMarkersRequestMarker()
			m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch = p.pid, epoch, coordinatorEpoch
			m.Topics = []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: "orders", Partitions: []int32{partition}}}
			req.Markers = append(req.Markers, m)
			resp, err := u.ask(to, req)
			require.NoError(t, err)
			code := resp.(*kmsg.WriteTxnMarkersResponse).Markers[0].Topics[0].Partitions[0].ErrorCode
			return kerr.TypedErrorForCode(code)
		}
		assert.Nil(t, mark(p.epoch, 5, 0))
		assert.Equal(t, kerr.TransactionCoordinatorFenced, mark(p.epoch, 4, 0))
		assert.Nil(t, mark(p.epoch+3, 5, 0))
		assert.Equal(t, kerr.InvalidProducerEpoch, mark(p.epoch+2, 5, 0))
		assert.Equal(t, kerr.UnknownTopicOrPartition, mark(p.epoch, 5, 9))
		f := u.committed(0)
		assert.Equal(t, f.end, f.stable)
		assert.Empty(t, f.values)
	})
}

// __transaction_state is made when the first transactional id is looked for, as Kafka
// makes it.
func TestTransactions_TheInternalTopic(t *testing.T) {
	txnCluster(t, nil, func(u *user) {
		req := findCoordinator("payments")
		req.CoordinatorType = 1
		resp, err := u.ask(1, req)
		require.NoError(t, err)
		assert.Equal(t, kerr.CoordinatorNotAvailable.Code, resp.(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode)
		u.txnCoordinator("payments")

		metadata, err := u.ask(1, kmsg.NewPtrMetadataRequest())
		require.NoError(t, err)
		for _, topic := range metadata.(*kmsg.MetadataResponse).Topics {
			if *topic.Topic == "__transaction_state" {
				assert.True(t, topic.IsInternal)
				assert.Len(t, topic.Partitions, 3)
				assert.Len(t, topic.Partitions[0].Replicas, 3)
			}
		}
		configs := kmsg.NewPtrDescribeConfigsRequest()
		asked := kmsg.NewDescribeConfigsRequestResource()
		asked.ResourceType, asked.ResourceName = kmsg.ConfigResourceTypeTopic, "__transaction_state"
		asked.ConfigNames = []string{"cleanup.policy", "compression.type", "segment.bytes", "min.insync.replicas", "unclean.leader.election.enable"}
		configs.Resources = append(configs.Resources, asked)
		described, err := u.ask(1, configs)
		require.NoError(t, err)
		var set []string
		for _, c := range described.(*kmsg.DescribeConfigsResponse).Resources[0].Configs {
			set = append(set, c.Name+"="+*c.Value)
		}
		assert.ElementsMatch(t, []string{
			"cleanup.policy=compact", "compression.type=uncompressed", "segment.bytes=104857600", "min.insync.replicas=2", "unclean.leader.election.enable=false",
		}, set)
	})
}

// transaction.partition.verification.enable may be changed while brokers run (KIP-890).
func TestTransactions_VerificationIsDynamic(t *testing.T) {
	txnCluster(t, nil, func(u *user) {
		late := func(id string) error {
			p := u.producer(id, tv1)
			require.NoError(t, p.init())
			_, err := p.trySend(0, 0, "never added")
			return err
		}
		assert.Equal(t, kerr.TransactionAbortable, late("a"))
		require.NoError(t, u.alter(1, ofBroker, "", "transaction.partition.verification.enable", "false"))
		n := 0
		u.eventually(10*time.Second, "a leader that asks nobody", func() bool {
			n++
			return late(fmt.Sprintf("b%d", n)) == nil
		})
		require.NoError(t, u.alter(1, ofBroker, "", "transaction.partition.verification.enable", "true"))
		u.eventually(10*time.Second, "a leader that asks again", func() bool {
			n++
			return late(fmt.Sprintf("b%d", n)) == kerr.TransactionAbortable
		})
	})
}
