package conformance_test

import (
	"context"
	"fmt"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// tills writes transactions into payments/0 of a cluster whose software changes under them.
type tills struct {
	*cluster
	topic    [16]byte  // id of payments
	payments []payment // in the order of their offsets
}

// payment is a record of a transaction.
type payment struct{ value, id string }

// begun is a transaction that a client has open.
func (x *tills) begun(ctx context.Context, id string) *kgo.Client {
	x.t.Helper()
	cl := client(x.t, x.addr(), kgo.TransactionalID(id), kgo.DefaultProduceTopic("payments"), kgo.TransactionTimeout(10*time.Minute))
	require.NoError(x.t, cl.BeginTransaction(), id)
	for range 2 {
		value := fmt.Sprintf("payment %d of %s", len(x.payments), id)
		x.payments = append(x.payments, payment{value, id})
		require.NoError(x.t, cl.ProduceSync(ctx, &kgo.Record{Value: []byte(value)}).FirstErr(), id)
	}
	return cl
}

// ended is a transaction that was ended before the software changed.
func (x *tills) ended(ctx context.Context, id string, as kgo.TransactionEndTry) {
	x.t.Helper()
	cl := x.begun(ctx, id)
	require.NoError(x.t, cl.EndTransaction(ctx, as), id)
	cl.Close()
}

// stage makes an offset of a group a part of the open transaction.
func (x *tills) stage(ctx context.Context, cl *kgo.Client, id, group string, offset int64) {
	x.t.Helper()
	producer, epoch, err := cl.ProducerID(ctx)
	require.NoError(x.t, err)
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group, req.Generation = id, producer, epoch, group, -1
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic, topic.TopicID = "payments", x.topic
	partition := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	partition.Offset = offset
	topic.Partitions = append(topic.Partitions, partition)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, cl)
	require.NoError(x.t, err)
	require.NoError(x.t, kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))
}

// offset is what a group has committed; pending: a transaction may change it.
func (x *tills) offset(ctx context.Context, group string) (offset int64, pending bool) {
	x.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	of := kmsg.NewOffsetFetchRequestGroup()
	of.Group = group
	topic := kmsg.NewOffsetFetchRequestGroupTopic()
	topic.Topic, topic.TopicID, topic.Partitions = "payments", x.topic, []int32{0}
	of.Topics = append(of.Topics, topic)
	req.Groups = append(req.Groups, of)
	cl := client(x.t, x.addr())
	defer cl.Close()
	resp, err := req.RequestWith(ctx, cl)
	require.NoError(x.t, err)
	require.Len(x.t, resp.Groups, 1)
	require.NoError(x.t, kerr.ErrorForCode(resp.Groups[0].ErrorCode))
	p := resp.Groups[0].Topics[0].Partitions[0]
	if p.ErrorCode == kerr.UnstableOffsetCommit.Code {
		return -1, true
	}
	require.NoError(x.t, kerr.ErrorForCode(p.ErrorCode))
	return p.Offset, false
}

// read expects the payments of the committed transactions, as far as none that is open lies before them, and nothing else.
func (x *tills) read(ctx context.Context, when string, committed, open map[string]bool) {
	x.t.Helper()
	var want, got []string
	for _, p := range x.payments {
		if open[p.id] {
			break
		}
		if committed[p.id] {
			want = append(want, p.value)
		}
	}
	cl := client(x.t, x.addr(), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"payments": {0: kgo.NewOffset().AtStart()}}))
	defer cl.Close()
	for len(got) < len(want) && ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	more, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	cl.PollFetches(more).EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	assert.Equal(x.t, want, got, when)
}

// listed expects Kafka's tool to list a transactional id in a state.
func (x *tills) listed(when, id, state string) {
	x.t.Helper()
	out := tool(x.t, "", "transactions", "--bootstrap-server", x.addr(), "list")
	assert.Regexp(x.t, regexp.MustCompile(`(?m)^`+id+`\s+1\s+\d+\s+`+state), out, when)
}

// pass has both run on the directory in turn, after an orderly stop and after kill -9, each time with two transactions
// open: one is committed under the other software, by the client that began it, and one aborted by another client that has
// its transactional id.
func (x *tills) pass(first, second func()) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	const orderly, kill = syscall.SIGTERM, syscall.SIGKILL
	committed, open := map[string]bool{}, map[string]bool{}
	starts := []func(){second, first}
	for i, signal := range []syscall.Signal{orderly, orderly, kill, kill} {
		when := fmt.Sprintf("change %d, after %v", i+1, signal)
		name := func(what string) string { return fmt.Sprintf("%s-%d", what, i+1) }
		x.ended(ctx, name("paid"), kgo.TryCommit)
		x.ended(ctx, name("refused"), kgo.TryAbort)
		committed[name("paid")] = true
		slow := x.begun(ctx, name("slow"))
		x.stage(ctx, slow, name("slow"), "billing", int64(10*(i+1)))
		x.begun(ctx, name("lost")).Close() // and what would abort it cannot
		open[name("slow")], open[name("lost")] = true, true
		x.stop(signal)
		starts[i%2]()

		x.listed(when, name("slow"), "Ongoing")
		x.read(ctx, when, committed, open)
		_, pending := x.offset(ctx, "billing")
		assert.True(x.t, pending, when)
		require.NoError(x.t, slow.EndTransaction(ctx, kgo.TryCommit), when)
		slow.Close()
		delete(open, name("slow"))
		committed[name("slow")] = true
		x.ended(ctx, name("lost"), kgo.TryAbort) // the one before is aborted first
		delete(open, name("lost"))
		x.read(ctx, when+", all ended", committed, open)
		at, _ := x.offset(ctx, "billing")
		assert.EqualValues(x.t, 10*(i+1), at, when)
	}
	x.listed("in the end", "slow-4", "CompleteCommit")
	x.listed("in the end", "lost-4", "CompleteAbort")
	x.stop(orderly)
}

// Transactions that are open, or over, survive a change of software, from ktrial serve to Apache Kafka and back.
func TestDirectories_TransactionsOursFirst(t *testing.T) {
	x := tills{cluster: newCluster(t)}
	x.makeOurs()
	x.topic = x.create("payments")
	x.pass(x.startOurs, x.startKafka)
}

// And the other way round.
func TestDirectories_TransactionsKafkaFirst(t *testing.T) {
	x := tills{cluster: newCluster(t)}
	x.makeKafka()
	x.topic = x.create("payments")
	x.pass(x.startKafka, x.startOurs)
}
