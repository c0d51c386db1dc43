//go:build unix

package cmd

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/tap"
)

// tapped is a cluster with a proxy in front.
func tapped(t *testing.T, cfg tap.Config) (*serving, *tap.Tap) {
	t.Helper()
	s := startServing(t, "", "--brokers", "3", "--controllers", "1")
	s.createTopic("orders")
	cfg.Upstream, cfg.Listen = s.addrs[0], "127.0.0.1:0"
	p, err := tap.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(p.Stop)
	return s, p
}

// produceThrough sends n records, each of its own value, and counts the promises that
// failed.
func produceThrough(t *testing.T, p *tap.Tap, n int, opts ...kgo.Opt) (failed int64) {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(p.Addr()), kgo.DefaultProduceTopic("orders"), kgo.ProducerLinger(2 * time.Millisecond), kgo.RetryTimeout(time.Minute),
		kgo.AlwaysRetryEOF(), // a connection that is broken before its first answer is no port of TLS
	}, opts...)...)
	require.NoError(t, err)
	defer client.Close()
	var refused atomic.Int64
	for i := range n {
		client.Produce(context.Background(), kgo.StringRecord(fmt.Sprintf("order-%d", i)), func(_ *kgo.Record, err error) {
			if err != nil {
				refused.Add(1)
				t.Log(err)
			}
		})
		if i%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	require.NoError(t, client.Flush(context.Background()))
	return refused.Load()
}

// consumeThrough reads n different records from the beginning.
func consumeThrough(t *testing.T, p *tap.Tap, n int, opts ...kgo.Opt) {
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(p.Addr()), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, opts...)...)
	require.NoError(t, err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for got := map[string]bool{}; len(got) < n; {
		fetches := client.PollFetches(ctx)
		require.NoError(t, ctx.Err(), "after %d records", len(got))
		fetches.EachRecord(func(r *kgo.Record) { got[string(r.Value)] = true })
	}
}

func verdictOf(t *testing.T, p *tap.Tap, given ...string) *checkers.Judgement {
	t.Helper()
	p.Stop()
	expect, err := checkers.ParseConfig(given...)
	require.NoError(t, err)
	return p.Judge(false, expect).Judgement
}

func TestTap_AnHonestClusterHolds(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	_, p := tapped(t, tap.Config{})
	require.Zero(t, produceThrough(t, p, 3000))
	consumeThrough(t, p, 3000)
	consumeThrough(t, p, 3000, kgo.ConsumerGroup("g"))
	p.Stop()
	r := p.Judge(false, checkers.Expectations{})
	assert.Equal(t, checkers.Holds, r.Judgement.Verdict, "%v", r.Judgement)
	assert.EqualValues(t, 3000, r.Counts.Records)
	assert.Zero(t, r.Counts.Unread, r.Counts.LastUnread)
	assert.GreaterOrEqual(t, r.Judgement.Examined.Polled, int64(6000))
}

// batchesWritten counts what a producer of franz-go has got through.
type batchesWritten struct{ batches atomic.Int64 }

func (w *batchesWritten) OnProduceBatchWritten(kgo.BrokerMetadata, string, int32, kgo.ProduceBatchMetrics) {
	w.batches.Add(1)
}

// Connections that break with their answers make a producer send again: with idempotence
// nothing is seen twice, without it duplicates are, and are what was to be expected.
func TestTap_DroppedConnections(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	for _, x := range []struct {
		name    string
		opts    []kgo.Opt
		verdict []checkers.Verdict
	}{
		{"idempotent", nil, []checkers.Verdict{checkers.Holds}},
		{"without idempotence", []kgo.Opt{kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1)}, []checkers.Verdict{checkers.Holds, checkers.Allowed}},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, p := tapped(t, tap.Config{})
			over := make(chan struct{})
			written := &batchesWritten{}
			go func() {
				last := int64(0)
				tick := time.NewTicker(150 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-over:
						return
					case <-tick.C:
						if n := written.batches.Load(); n > last { // or a slow machine gets nowhere
							last = n
							p.DropConnections()
						}
					}
				}
			}()
			require.Zero(t, produceThrough(t, p, 10_000, append(x.opts, kgo.WithHooks(written))...))
			close(over)
			consumeThrough(t, p, 10_000)
			j := verdictOf(t, p)
			assert.True(t, slices.Contains(x.verdict, j.Verdict), "%v", j)
			for _, a := range j.Anomalies {
				assert.Equal(t, "duplicate", string(a.Anomaly), "%v", j)
			}
		})
	}
}

// A tap decodes and records what passes, and costs less than half of a direct connection's
// throughput: both are measured in turn, so that what else the machine does is the same to both.
func TestTap_CostsLessThanHalfOfTheThroughput(t *testing.T) {
	if !*long {
		t.Skip("throughput is measured with -long")
	}
	s, p := tapped(t, tap.Config{})
	const records = 60_000
	through := func(addr string, topic string) time.Duration {
		s.createTopic(topic)
		client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MaxBufferedRecords(records))
		require.NoError(t, err)
		defer client.Close()
		begun := time.Now()
		for i := range records {
			client.Produce(context.Background(), kgo.StringRecord(fmt.Sprintf("%s-%d-%090d", topic, i, i)), nil)
		}
		require.NoError(t, client.Flush(context.Background()))
		for read := 0; read < records; {
			read += client.PollFetches(context.Background()).NumRecords()
		}
		return time.Since(begun)
	}
	through(s.addrs[0], "warm-direct")
	through(p.Addr(), "warm-tapped")
	var ratios []float64
	for i := range 5 {
		direct := through(s.addrs[0], fmt.Sprint("direct-", i))
		tapped := through(p.Addr(), fmt.Sprint("tapped-", i))
		ratios = append(ratios, direct.Seconds()/tapped.Seconds())
	}
	slices.Sort(ratios)
	t.Logf("of a direct connection's throughput: %.2f", ratios)
	assert.GreaterOrEqual(t, ratios[len(ratios)/2], 0.5)
}

func TestTap_SaysWhatIsWrongWithItsArguments(t *testing.T) {
	for _, x := range []struct {
		args []string
		says string
	}{
		{[]string{"tap"}, "found no --upstream"},
		{[]string{"tap", "--upstream", "127.0.0.1:1"}, "--upstream 127.0.0.1:1: dial tcp"},
		{[]string{"tap", "--upstream", "127.0.0.1:1", "--tls-cert", "x"}, "expected both"},
		{[]string{"tap", "--upstream", "127.0.0.1:1", "--config", "acks=7"}, "acks"},
		{[]string{"tap", "--upstream", "127.0.0.1:1", "--drop-every", "-1s"}, "expected a time above 0"},
	} {
		says := typed(t, x.args...)
		assert.Equal(t, exitUsage, says.code)
		assert.Contains(t, says.err, x.says)
	}
}
