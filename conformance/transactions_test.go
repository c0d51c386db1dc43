package conformance_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// writersOf are the clients with a transactional producer.
var writersOf = []string{"aiokafka", "confluent-kafka", "franz-go", "java", "kafkajs", "sarama"}

// perTransaction is how many records a transaction has: record j of transaction n goes to
// partition (n+j) mod partitions.
const perTransaction = 3

// TestTransactions has the transactional producer of each client write transactions of three
// records, every third of which it aborts. The producer is killed inside of one and another goes on
// with its transactional id; then the whole cluster is killed, then one broker after the other. What
// is read at read_committed is held against what the producers were answered.
func TestTransactions(t *testing.T) {
	if !*long {
		t.Skip("takes a minute and clients of Kafka: use conformance/run")
	}
	t.Parallel()
	c := newServed(t, quickGroups...)
	writers := newWriters(c)
	if len(writers) == 0 {
		t.Skip("none of the clients can be brought here")
	}
	goesOn := func(w *writer) {
		n := w.count(committed)
		w.until("it commits five more", func() bool { return w.count(committed) >= n+5 })
	}
	each(t, "first lives", writers, (*writer).live)
	each(t, "they commit and abort", writers, func(w *writer) {
		w.until("five are committed and one is aborted", func() bool { return w.count(committed) >= 5 && w.count(aborted) >= 1 })
	})
	each(t, "kill -9 of the producers", writers, func(w *writer) { w.program.kill() })
	each(t, "second lives", writers, (*writer).live)
	each(t, "second lives go on", writers, goesOn)
	c.killAll(rolling(t)...)
	each(t, "they go on after the cluster was killed", writers, goesOn)
	c.untilKilled()
	each(t, "they go on after each broker was killed", writers, goesOn)
	if *whole {
		time.Sleep(time.Minute)
		each(t, "they go on for a minute", writers, goesOn)
	}
	each(t, "they end", writers, func(w *writer) {
		w.program.signal(syscall.SIGTERM)
		w.until("it ends", w.program.ended)
	})
	each(t, "what is read is what was committed", writers, func(w *writer) { w.judge(c.addr) })
	for _, w := range writers {
		t.Run(w.name, func(t *testing.T) {
			t.Logf("%d committed, %d aborted, %d in doubt", w.count(committed), w.count(aborted), w.count(begun))
			if w.failed != "" {
				t.Errorf("%s\nit said:\n%s", w.failed, w.program.tail())
			}
		})
	}
}

// outcome is what a producer last said of a transaction.
type outcome string

const (
	begun     outcome = "begin" // or its end is unknown
	committed outcome = "committed"
	aborted   outcome = "aborted"
	unknown   outcome = "unknown"
)

// writer is a client that writes transactions.
type writer struct {
	attempt
	c        *served
	topic    string
	client   string
	args     []string
	program  *program
	outcomes map[int]outcome // under the program's lock
}

// epochless are clients that take no new epoch after OUT_OF_ORDER_SEQUENCE_NUMBER (KIP-360): when a
// request was lost with its broker they may be refused for ever.
var epochless = []string{"aiokafka", "kafkajs"}

func newWriters(c *served) (all []*writer) {
	here, missing := programsHere()
	admin := client(c.t, c.addr)
	for _, name := range writersOf {
		if *only != "" && *only != "all" && !strings.Contains(name, *only) {
			continue
		}
		if slices.Contains(epochless, name) && *only == "" && !*whole {
			continue
		}
		why := missing[name]
		args := here[name]
		if name == "java" {
			_, why = javaPrograms()
			args = javaProgram("Transactions")
		}
		if why != "" {
			c.t.Run(name, func(t *testing.T) { t.Skip(why) })
			continue
		}
		w := &writer{attempt: attempt{name: name}, c: c, client: name, topic: "transactions-" + name, args: args, outcomes: map[int]outcome{}}
		createTopic(c.t, admin, w.topic, partitions, 3)
		all = append(all, w)
	}
	return all
}

// live starts a producer that goes on behind the last transaction that was begun.
func (w *writer) live() {
	next := 0
	for n := range w.outcomes {
		next = max(next, n+1)
	}
	args := append(slices.Clone(w.args), w.c.addr, w.topic, "id-"+w.client, "transactions", strconv.Itoa(next))
	var err error
	if w.program, err = launch(w.c.t, w.take, args...); err != nil {
		w.failed = err.Error()
	}
}

// take takes a line: "begin N", "committed N", "aborted N" or "unknown N".
func (w *writer) take(line string) bool {
	words := strings.Fields(line)
	if len(words) != 2 {
		return false
	}
	n, err := strconv.Atoi(words[1])
	o := outcome(words[0])
	if err != nil || o != begun && o != committed && o != aborted && o != unknown {
		return false
	}
	if o == unknown {
		o = begun
	}
	w.outcomes[n] = o
	return true
}

func (w *writer) count(o outcome) (n int) {
	w.program.mu.Lock()
	defer w.program.mu.Unlock()
	for _, is := range w.outcomes {
		if is == o {
			n++
		}
	}
	return n
}

func (w *writer) judge(addr string) {
	records, err := committedRecords(addr, w.topic, partitions)
	if err != nil {
		w.failed = err.Error()
		return
	}
	var seen []written
	for _, r := range records {
		var x written
		if _, err := fmt.Sscanf(string(r.Value), "t%d.%d", &x.n, &x.j); err != nil {
			w.failed = fmt.Sprintf("%s/%d@%d: found %q, expected tN.J", w.topic, r.Partition, r.Offset, r.Value)
			return
		}
		x.partition = r.Partition
		seen = append(seen, x)
	}
	w.failed = strings.Join(judgeTransactions(w.outcomes, seen), "\n")
}

// written is record j of transaction n, as it was read.
type written struct {
	n, j      int
	partition int32
}

// judgeTransactions holds what was read at read_committed, each partition in its order, against
// what a producer said of its transactions: what was committed is there once, what was
// aborted is not, what is in doubt is there as a whole or not at all; and in a partition the transactions
// stand in the order in which the producer wrote them.
func judgeTransactions(outcomes map[int]outcome, seen []written) (wrong []string) {
	times := map[int]*[perTransaction]int{}
	last := map[int32]int{}
	for _, r := range seen {
		if times[r.n] == nil {
			times[r.n] = &[perTransaction]int{}
		}
		if _, begun := outcomes[r.n]; !begun || r.j < 0 || r.j >= perTransaction {
			wrong = append(wrong, fmt.Sprintf("record t%d.%d was never written", r.n, r.j))
			continue
		}
		times[r.n][r.j]++
		if r.n < last[r.partition] {
			wrong = append(wrong, fmt.Sprintf("record t%d.%d of partition %d comes after one of t%d", r.n, r.j, r.partition, last[r.partition]))
		}
		last[r.partition] = max(last[r.partition], r.n)
	}
	for _, n := range slices.Sorted(maps.Keys(outcomes)) {
		found := [perTransaction]int{}
		if times[n] != nil {
			found = *times[n]
		}
		whole, none := [perTransaction]int{1, 1, 1}, [perTransaction]int{}
		o := outcomes[n]
		if o == committed && found != whole || o == aborted && found != none || o == begun && found != whole && found != none {
			wrong = append(wrong, fmt.Sprintf("transaction %d (%s): its records were read %v times", n, o, found))
		}
	}
	return wrong
}

func TestJudgeTransactions(t *testing.T) {
	all := func(n int) []written {
		return []written{{n, 0, int32(n)}, {n, 1, int32(n + 1)}, {n, 2, int32(n + 2)}}
	}
	for _, x := range []struct {
		what     string
		outcomes map[int]outcome
		seen     []written
		wrong    string // part of what is wrong; empty: nothing
	}{
		{"committed, and read once", map[int]outcome{0: committed, 1: committed}, append(all(0), all(1)...), ""},
		{"aborted, and not read", map[int]outcome{0: aborted}, nil, ""},
		{"in doubt, and committed", map[int]outcome{0: begun}, all(0), ""},
		{"in doubt, and aborted", map[int]outcome{0: begun}, nil, ""},
		{"committed, and lost", map[int]outcome{0: committed}, nil, "transaction 0 (committed): its records were read [0 0 0] times"},
		{"committed, and read twice", map[int]outcome{0: committed}, append(all(0), all(0)...), "read [2 2 2] times"},
		{"committed, and torn", map[int]outcome{0: committed}, all(0)[1:], "read [0 1 1] times"},
		{"aborted, and read", map[int]outcome{0: aborted}, all(0), "transaction 0 (aborted)"},
		{"in doubt, and torn", map[int]outcome{0: begun}, all(0)[:2], "transaction 0 (begin): its records were read [1 1 0] times"},
		{"never written", map[int]outcome{}, all(7)[:1], "t7.0 was never written"},
		{"out of order", map[int]outcome{1: committed, 2: committed}, append(all(2), all(1)...), "comes after one of t2"},
	} {
		wrong := strings.Join(judgeTransactions(x.outcomes, x.seen), "\n")
		if x.wrong == "" {
			assert.Empty(t, wrong, x.what)
		} else {
			assert.Contains(t, wrong, x.wrong, x.what)
		}
	}
}

// TestTransactionalPerf has Kafka's own transactional producer write numbers while the cluster is
// killed and then one broker after the other: at read_committed each number is there once.
func TestTransactionalPerf(t *testing.T) {
	atLength(t)
	kafka(t)
	records, rate := 24_000, 1000
	if *whole {
		records, rate = 500_000, 10_000
	}
	c := newServed(t)
	createTopic(t, client(t, c.addr), "perf", partitions, 3)
	p, err := launch(t, nil, "./tool", "producer-perf-test", "--bootstrap-server", c.addr, "--topic", "perf", "--num-records", fmt.Sprint(records), "--payload-monotonic",
		"--throughput", fmt.Sprint(rate), "--transactional-id", "perf", "--transaction-duration-ms", "100", "--reporting-interval", "1000")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.ended() || strings.Contains(p.tail(), "records sent") }, time.Minute, 50*time.Millisecond, "it sends records")
	c.killAll(rolling(t)...)
	require.Eventually(t, p.ended, 5*time.Minute, 50*time.Millisecond, "it ends")
	if !*whole {
		assert.Positive(t, c.brokersKilled(), "a broker was killed while it wrote")
	}
	require.Regexp(t, fmt.Sprintf(`%d records sent`, records), p.tail())
	require.True(t, p.cmd.ProcessState.Success(), "it said:\n%s", p.tail())
	read, err := committedRecords(c.addr, "perf", partitions)
	require.NoError(t, err)
	numbers := map[string]int{}
	for _, r := range read {
		numbers[string(r.Value)]++
	}
	assert.Len(t, read, records, "records at read_committed")
	for n := range records {
		if numbers[fmt.Sprint(n)] != 1 {
			t.Fatalf("record %d is there %d times at read_committed, expected once", n, numbers[fmt.Sprint(n)])
		}
	}
	out := tool(t, "", "console-consumer", "--bootstrap-server", c.addr, "--topic", "perf", "--from-beginning", "--isolation-level", "read_committed", "--max-messages", fmt.Sprint(records), "--timeout-ms", "30000")
	assert.Contains(t, out, fmt.Sprintf("Processed a total of %d messages", records))
}

// TestTransactionTools uses kafka-transactions on an open transaction, on one that hangs, and on
// those that are decided.
func TestTransactionTools(t *testing.T) {
	kafka(t)
	// Without verification an old producer can leave a transaction hanging, as before KIP-890.
	c := newServed(t, "transaction.partition.verification.enable=false")
	admin := client(t, c.addr)
	for _, topic := range []string{"open", "hanging", "decided"} {
		createTopic(t, admin, topic, 1, 3)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	owner := client(t, c.addr, kgo.TransactionalID("owner"), kgo.TransactionTimeout(10*time.Minute), kgo.DefaultProduceTopic("open"))
	require.NoError(t, owner.BeginTransaction())
	require.NoError(t, owner.ProduceSync(ctx, kgo.StringRecord("undecided")).FirstErr())
	hanging := leaveHanging(t, c.addr, "hanging")

	steps := func(steps ...toolStep) { useTools(t, c.addr, steps) }
	steps(
		toolStep{"producer-perf-test", "producer-perf-test --topic decided --num-records 100 --record-size 10 --throughput -1 --transactional-id decided --transaction-duration-ms 1000", "", []string{`100 records sent`}},
		toolStep{"list", "transactions list", "", []string{`owner\s+\d\s+\d+\s+Ongoing`, `decided\s+\d\s+\d+\s+CompleteCommit`}},
		toolStep{"describe, ongoing", "transactions describe --transactional-id owner", "", []string{`\d\s+owner\s+\d+\s+\d+\s+Ongoing\s+600000\s+\d{13}\s+\d+\s+open-0`}},
		toolStep{"describe, decided", "transactions describe --transactional-id decided", "", []string{`\d\s+decided\s+\d+\s+\d+\s+CompleteCommit\s+60000\s+\d{13}\s+\d+`}},
		toolStep{"describe-producers", "transactions describe-producers --topic open --partition 0", "", []string{`\d+\s+\d+\s+-1\s+0\s+\d{13}\s+0\s`}},
		toolStep{"describe-producers, decided", "transactions describe-producers --topic decided --partition 0", "", []string{`\d+\s+\d+\s+0\s+-?\d+\s+\d{13}\s+None`}},
		toolStep{"describe-producers of a follower", "transactions describe-producers --topic open --partition 0 --broker-id 2", "", []string{`\d+\s+\d+\s+-1\s+0\s+\d{13}\s+0\s`}},
		toolStep{"find-hanging", "transactions find-hanging --topic hanging", "", []string{fmt.Sprintf(`hanging\s+0\s+%d\s+%d\s+-1\s+0\s+\d{13}\s+6\d\s`, hanging.id, hanging.epoch)}},
		toolStep{"abort", "transactions abort --topic hanging --partition 0 --start-offset 0", "", nil},
		toolStep{"describe-producers, after the abort", "transactions describe-producers --topic hanging --partition 0", "", []string{fmt.Sprintf(`%d\s+%d\s+0\s+\d+\s+\d{13}\s+None`, hanging.id, hanging.epoch)}},
		toolStep{"forceTerminateTransaction", "transactions forceTerminateTransaction --transactionalId owner", "", nil},
	)
	t.Run("list, filtered", func(t *testing.T) {
		args := []string{"transactions", "--bootstrap-server", c.addr, "list"}
		out := tool(t, "", append(args, "--transactional-id-pattern", "dec.*")...)
		assert.Contains(t, out, "decided")
		assert.NotContains(t, out, "owner")
		out = tool(t, "", append(args, "--duration-filter", "3600000")...)
		assert.NotContains(t, out, "decided", "it began less than an hour ago")
		assert.Contains(t, out, "hanging", "an id without a transaction counts as begun before all time, as in Kafka")
	})
	t.Run("find-hanging, after the abort", func(t *testing.T) {
		out := tool(t, "", "transactions", "--bootstrap-server", c.addr, "find-hanging", "--topic", "hanging")
		assert.NotContains(t, out, fmt.Sprint(hanging.id))
	})
	t.Run("a terminated transaction", func(t *testing.T) {
		steps(toolStep{"describe, terminated", "transactions describe --transactional-id owner", "", []string{`\d\s+owner\s+\d+\s+\d+\s+(CompleteAbort|Empty)\s`}})
		assert.Error(t, owner.EndTransaction(ctx, kgo.TryCommit), "its producer is fenced")
	})
	for _, topic := range []string{"open", "hanging"} {
		read, err := committedRecords(c.addr, topic, 1)
		require.NoError(t, err)
		assert.Empty(t, read, "%s at read_committed", topic)
	}
}

// hung is a producer whose transaction no coordinator knows of.
type hung struct {
	id    int64
	epoch int16
}

// leaveHanging writes a record in a transaction to which its partition was never added, as a producer
// of before KIP-890 could, an hour ago.
func leaveHanging(t *testing.T, addr, topic string) hung {
	t.Helper()
	old := client(t, addr, kgo.MaxVersions(kversion.V3_5_0()))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis, init.ProducerID, init.ProducerEpoch = kmsg.StringPtr("hanging"), 60_000, -1, -1
	given, err := init.RequestWith(ctx, old)
	require.NoError(t, err)
	require.Zero(t, given.ErrorCode)

	record := kmsg.NewRecord()
	record.Value = []byte("hangs")
	body := record.AppendTo(nil)[1:] // its length was 0, one byte
	ago := time.Now().Add(-time.Hour - 10*time.Second).UnixMilli()
	batch := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, Attributes: 1 << 4, FirstTimestamp: ago, MaxTimestamp: ago, NumRecords: 1,
		ProducerID: given.ProducerID, ProducerEpoch: given.ProducerEpoch, Records: append(binary.AppendVarint(nil, int64(len(body))), body...),
	}
	raw := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))

	metadata := kmsg.NewPtrMetadataRequest()
	metadata.Topics = append(metadata.Topics, kmsg.MetadataRequestTopic{Topic: &topic})
	known, err := metadata.RequestWith(ctx, old)
	require.NoError(t, err)
	leader := known.Topics[0].Partitions[0].Leader

	produce := kmsg.NewPtrProduceRequest()
	produce.TransactionID, produce.Acks, produce.TimeoutMillis = kmsg.StringPtr("hanging"), -1, 30_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = raw
	rt.Partitions = append(rt.Partitions, rp)
	produce.Topics = append(produce.Topics, rt)
	resp, err := produce.RequestWith(ctx, old.Broker(int(leader)))
	require.NoError(t, err)
	require.Zero(t, resp.Topics[0].Partitions[0].ErrorCode)
	return hung{given.ProducerID, given.ProducerEpoch}
}
