package broker_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/wire"
	clusters "github.com/ktrial/ktrial/scenarios/cluster"
)

// What a client knows of a transaction of its own.
type outcome string

const (
	wasCommitted outcome = "committed"
	wasAborted   outcome = "aborted" // or never asked to be committed
	isUnknown    outcome = "unknown"
)

// transactor runs transactions over both partitions of orders, with a staged offset, until it is
// told to stop.
type transactor struct {
	*producer
	luck     *rand.Rand
	ended    map[string]outcome // by the value that it wrote
	attempts int
}

// passes is an error after which the same request may be sent again.
func passes(err error) bool {
	for _, e := range []error{
		kerr.NotLeaderForPartition, kerr.UnknownTopicOrPartition, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend,
		kerr.RequestTimedOut, kerr.ConcurrentTransactions, kerr.KafkaStorageError, kerr.UnknownTopicID, kerr.NetworkException,
		kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	var answered *kerr.Error
	return err != nil && !errors.As(err, &answered)
}

// insist asks again until there is an answer that says something, or it has taken too long.
func (x *transactor) insist(ask func() error) (err error) {
	for end := x.h.Uptime() + time.Minute; x.h.Uptime() < end; x.h.Sleep(50 * time.Millisecond) {
		if err = ask(); !passes(err) {
			return err
		}
	}
	return err
}

func (x *transactor) work(over *bool) {
	ready := false
	for n := 0; !*over; n++ {
		if !ready {
			ready = x.insist(func() error { return x.tryInit(-1, -1) }) == nil
			continue
		}
		value := fmt.Sprintf("%s-%d", x.id, n)
		x.attempts++
		x.ended[value] = wasAborted
		if x.body(value) != nil {
			ready = false
			continue
		}
		ready = x.close(value)
	}
}

// body is a transaction but for its end.
func (x *transactor) body(value string) error {
	if x.g == tv1 {
		if err := x.insist(func() error { return x.tryAdd(0, 1) }); err != nil {
			return err
		}
		if err := x.insist(func() error { return x.addOffsets("billing") }); err != nil {
			return err
		}
	}
	for partition := range int32(2) {
		if err := x.insist(func() error { _, err := x.trySend(partition, x.sequence[partition], value); return err }); err != nil {
			return err
		}
		x.sequence[partition]++
		if x.luck.IntN(20) == 0 {
			x.h.Sleep(time.Duration(x.luck.Int64N(int64(12 * time.Second)))) // perhaps too long
		}
	}
	return x.insist(func() error { return x.stage("billing", int64(x.attempts)) })
}

// close ends the transaction, and reports whether the client may go on.
func (x *transactor) close(value string) bool {
	commit := x.luck.IntN(3) > 0
	if commit {
		x.ended[value] = isUnknown
	}
	err := x.insist(func() error {
		pid, epoch, err := x.tryEnd(x.pid, x.epoch, commit)
		if err == nil && x.g == tv2 {
			x.pid, x.epoch, x.sequence = pid, epoch, map[int32]int32{}
		}
		return err
	})
	if err == nil && commit {
		x.ended[value] = wasCommitted
	}
	return err == nil
}

// surviveInTransactions is a run, and what was wrong in it.
func surviveInTransactions(t *testing.T, seed uint64, g generation, bugs *planted.Set, config map[string]string) (c *cluster, wrong []string, attempts int) {
	all := map[string]string{
		"ktrial.coordinator.check": "true", "min.insync.replicas": "2", "transaction.state.log.num.partitions": "3", "offsets.topic.num.partitions": "2",
		"transaction.state.log.load.buffer.size": "1000", "transaction.abort.timed.out.transaction.cleanup.interval.ms": "2000",
		"transaction.state.log.segment.bytes": "6000", "log.cleaner.backoff.ms": "500", "log.cleaner.min.cleanable.ratio": "0.01",
		"transaction.version": map[generation]string{tv1: "1", tv2: "2"}[g],
	}
	for name, value := range config {
		all[name] = value
	}
	c = newClusterWith(t, seed, bugs, clusters.Shape{Controllers: 3, Brokers: 3, Config: all})
	report := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	c.client(func(u *user) {
		u.running(c.brokers()...)
		u.createTopic(c.brokers()[0], "orders", 2, 3)
		u.coordinator("billing")
		luck := c.w.Rand("trouble")
		var clients []*transactor
		over, left := false, 0
		for i := range 4 {
			x := &transactor{luck: c.w.Rand(fmt.Sprint("client-", i)), ended: map[string]outcome{}}
			clients = append(clients, x)
			left++
			u.h.Go("transactor", func() {
				x.producer = (&user{c: c, t: t, h: u.h, conns: map[string]*wire.Conn{}}).producer(fmt.Sprint("txn-", i), g)
				x.timeout = 8000
				x.work(&over)
				left--
			})
		}
		for range 6 {
			u.h.Sleep(time.Duration(luck.Int64N(int64(5 * time.Second))))
			c.strike(u, luck)
		}
		u.running(c.brokers()...)
		over = true
		u.eventually(5*time.Minute, "the end of the clients", func() bool { return left == 0 })
		judgeTransactions(u, clients, report)
		for _, x := range clients {
			attempts += x.attempts
		}
	})
	for _, kind := range []string{"shard-diverged", "shard-not-loaded", "record-set-aside", "marker-refused"} {
		if n := c.told[kind]; n > 0 && kind != "marker-refused" {
			report("%s: %d times", kind, n)
		}
	}
	return c, wrong, attempts
}

// judgeTransactions: each transaction is seen in both partitions or in none, once, and as its
// client was told; and none is open for ever.
func judgeTransactions(u *user, clients []*transactor, report func(string, ...any)) {
	var seen [2]map[string]int
	for partition := range seen {
		seen[partition] = map[string]int{}
		var f fetched
		for range 600 {
			if f = u.committed(int32(partition)); f.stable == f.end {
				break
			}
			u.h.Sleep(100 * time.Millisecond)
		}
		if f.stable != f.end {
			report("orders/%d: last stable offset %d, high watermark %d: a transaction hangs", partition, f.stable, f.end)
		}
		for _, v := range f.values {
			seen[partition][v]++
		}
	}
	for _, x := range clients {
		for n := range x.attempts * 2 {
			value := fmt.Sprintf("%s-%d", x.id, n)
			is, tried := x.ended[value]
			a, b := seen[0][value], seen[1][value]
			switch {
			case !tried:
			case a != b || a > 1:
				report("%s, %s: seen %d times in orders/0 and %d times in orders/1", value, is, a, b)
			case is == wasCommitted && a == 0:
				report("%s was committed, and is not there", value)
			case is == wasAborted && a > 0:
				report("%s was aborted, and is there", value)
			}
		}
	}
}

// Transactions are all or nothing while brokers are killed, paused and cut off, one at a
// time, and clients are slower than their time-out; and none hangs when it is over.
func TestTransactions_SurviveTrouble(t *testing.T) {
	skipIfShort(t)
	seeds := []uint64{0, 1}
	if *long {
		for seed := range uint64(300) {
			seeds = append(seeds, seed)
		}
	}
	for name, g := range map[string]generation{"TV1": tv1, "TV2": tv2} {
		for _, seed := range seeds {
			t.Run(fmt.Sprint(name, " seed ", seed), func(t *testing.T) {
				_, wrong, attempts := surviveInTransactions(t, seed, g, nil, nil)
				assert.Empty(t, wrong)
				assert.Greater(t, attempts, 30)
			})
		}
	}
}

// The bugs of transactions that show themselves to these clients.
func TestTransactions_PlantedBugsShowInTrouble(t *testing.T) {
	skipIfShort(t)
	exhausted := map[string]string{"ktrial.transaction.first.epoch": "32763"}
	for _, plant := range []struct {
		bug    planted.Bug
		g      generation
		seed   uint64 // that shows it, not to search each time
		config map[string]string
	}{
		{planted.TxnVolatile, tv2, 2, nil},
		{planted.TxnCompleteTwice, tv2, 0, nil},
		{planted.TxnNoPersistPrevNext, tv2, 0, exhausted},
		{planted.UnloadIgnoresEpoch, tv2, 3, nil},
		{planted.AckBeforeCommit, tv2, 30, nil},
	} {
		t.Run(string(plant.bug), func(t *testing.T) {
			for seed := plant.seed; seed < plant.seed+10; seed++ {
				bugs := planted.Plant(plant.bug)
				_, wrong, _ := surviveInTransactions(t, seed, plant.g, bugs, plant.config)
				if len(wrong) > 0 {
					t.Logf("seed %d: %s; %+v", seed, wrong[0], bugs.Count(plant.bug))
					return
				}
				t.Logf("seed %d: %+v", seed, bugs.Count(plant.bug))
			}
			assert.Fail(t, "not found")
		})
	}
}

// The epochs of producer ids are used up again and again.
func TestTransactions_SurviveExhaustion(t *testing.T) {
	_, wrong, attempts := surviveInTransactions(t, 3, tv2, nil, map[string]string{"ktrial.transaction.first.epoch": "32763"})
	assert.Empty(t, wrong)
	assert.Greater(t, attempts, 30)
}

func TestTransactions_TroubleIsTheSameAgain(t *testing.T) {
	skipIfShort(t)
	a, _, _ := surviveInTransactions(t, 7, tv2, nil, nil)
	b, _, _ := surviveInTransactions(t, 7, tv2, nil, nil)
	require.Equal(t, a.w.Hash(), b.w.Hash())
}
