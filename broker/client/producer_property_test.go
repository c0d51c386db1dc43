package client

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// whims are what brokers may do to a batch. Those that say that a batch is not
// written do not write it: the brokers are honest.
var whims = []act{
	{}, {}, {}, {}, {},
	{delay: 20 * time.Millisecond},
	{delay: 700 * time.Millisecond},
	{drop: true},
	{drop: true, append: true},
	{err: kerr.NotLeaderForPartition},
	{err: kerr.NotLeaderForPartition, append: true},
	{err: kerr.NotEnoughReplicas},
	{err: kerr.NotEnoughReplicasAfterAppend, append: true},
	{err: kerr.RequestTimedOut, append: true},
	{err: kerr.UnknownServerError},
	{err: kerr.UnknownServerError, append: true},
	{err: kerr.InvalidRecord},
	{err: kerr.MessageTooLarge},
	{err: kerr.KafkaStorageError},
}

// told is what a producer said of one record.
type told struct {
	value string
	times int
	Delivery
}

// Whatever brokers and network do, each record's callback runs once and in
// order, and the log holds what the outcomes say: acknowledged records at their
// offsets, failed ones not at all, none twice, and all in the order of the sends.
func TestProducer_IdempotenceHolds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFake(t, rapid.Uint64().Draw(rt, "seed"), 3, map[string]int32{"orders": 2})
		script := rapid.SliceOfN(rapid.SampledFrom(whims), 0, 40).Draw(rt, "whims")
		arrivals := 0
		f.onProduce = func(kafka.TopicPartition, record.Batch) act {
			arrivals++
			if arrivals <= len(script) {
				return script[arrivals-1]
			}
			return act{}
		}
		for i := range rapid.IntRange(0, 4).Draw(rt, "stalls") {
			at := rapid.IntRange(0, 3000).Draw(rt, "stall at")
			broker := f.host(int32(rapid.IntRange(0, 2).Draw(rt, "stalled broker")))
			d := rapid.IntRange(1, 2000).Draw(rt, "stall for")
			f.w.At(time.Duration(at)*time.Millisecond, "stall", func() {
				if i%2 == 0 {
					f.w.Network().Stall("client", broker, time.Duration(d)*time.Millisecond)
				} else {
					f.w.Network().Reset("client", broker)
				}
			})
		}
		for range rapid.IntRange(0, 4).Draw(rt, "moves") {
			at := rapid.IntRange(0, 3000).Draw(rt, "move at")
			tp, leader := orders(int32(rapid.IntRange(0, 1).Draw(rt, "moved"))), int32(rapid.IntRange(0, 2).Draw(rt, "leader"))
			f.w.At(time.Duration(at)*time.Millisecond, "move", func() { f.move(tp, leader) })
		}
		sends := rapid.IntRange(1, 40).Draw(rt, "sends")
		pause := time.Duration(rapid.IntRange(0, 60).Draw(rt, "pause")) * time.Millisecond
		cfg := quick("batch.size=" + rapid.SampledFrom([]string{"1", "100", "300"}).Draw(rt, "batch.size"))
		cfg.RequestTimeout = 300 * time.Millisecond
		cfg.DeliveryTimeout = time.Duration(rapid.SampledFrom([]int{600, 2000, 20000}).Draw(rt, "delivery.timeout.ms")) * time.Millisecond
		cfg.FirstSequence = rapid.SampledFrom([]kafka.Sequence{0, 1<<31 - 5}).Draw(rt, "first sequence")

		all := map[int32][]*told{}
		settled := map[int32]int{}
		f.run(func(h env.Host, c *Client) {
			p := producer(t, c, cfg)
			for i := range sends {
				part := int32(i % 2)
				r := &told{value: fmt.Sprint("v", i)}
				at := len(all[part])
				err := p.Send(to(part, r.value), func(d Delivery) {
					r.times++
					r.Delivery = d
					if settled[part] != at {
						rt.Fatalf("callback %d of partition %d ran as number %d", at, part, settled[part])
					}
					settled[part]++
				})
				if err == nil {
					all[part] = append(all[part], r)
				}
				h.Sleep(pause)
			}
			p.Flush()
			h.Sleep(10 * time.Second) // what was late arrives
			p.Close(env.Forever)
		})
		for part := range int32(2) {
			compare(rt, all[part], f.parts[orders(part)].values(t))
		}
	})
}

func compare(t *rapid.T, all []*told, log []string) {
	order := map[string]int{}
	for i, r := range all {
		order[r.value] = i
		at := slices.Index(log, r.value)
		switch {
		case r.times != 1:
			t.Fatalf("%s: callback ran %d times", r.value, r.times)
		case r.Outcome == Failed && at >= 0:
			t.Fatalf("%s failed (%v), and is in the log at %d", r.value, r.Err, at)
		case r.Outcome == Acknowledged && at < 0:
			t.Fatalf("%s was acknowledged and is not in the log", r.value)
		case r.Outcome == Acknowledged && r.Offset >= 0 && kafka.Offset(at) != r.Offset:
			t.Fatalf("%s was acknowledged at %d and is in the log at %d", r.value, r.Offset, at)
		case (r.Err == nil) != (r.Outcome == Acknowledged):
			t.Fatalf("%s: outcome %v with error %v", r.value, r.Outcome, r.Err)
		}
	}
	for i := 1; i < len(log); i++ {
		if order[log[i]] <= order[log[i-1]] {
			t.Fatalf("log has %s after %s: %s", log[i], log[i-1], strings.Join(log, " "))
		}
	}
}

// The same world twice gives the same run.
func TestProducer_IsDeterministic(t *testing.T) {
	run := func() uint64 {
		f := newFake(t, 99, 3, map[string]int32{"orders": 3})
		n := 0
		f.onProduce = func(kafka.TopicPartition, record.Batch) act {
			n++
			return whims[n%len(whims)]
		}
		f.run(func(h env.Host, c *Client) {
			p := producer(t, c, quick())
			for i := range 200 {
				require.NoError(t, p.Send(ProducerRecord{Topic: "orders", Value: []byte(fmt.Sprint(i))}, nil))
				h.Sleep(time.Millisecond)
			}
			p.Close(env.Forever)
		})
		return f.w.Hash()
	}
	require.Equal(t, run(), run())
}
