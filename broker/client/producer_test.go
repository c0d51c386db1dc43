package client

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// quick is a producer that gives up soon.
func quick(set ...string) ProducerConfig {
	cfg := ProducerDefaults()
	cfg.RequestTimeout, cfg.DeliveryTimeout, cfg.MaxBlock = 500*time.Millisecond, 3*time.Second, 2*time.Second
	for _, s := range set {
		name, value, _ := strings.Cut(s, "=")
		if err := config.Set(&cfg, name, value); err != nil {
			panic(err)
		}
	}
	return cfg
}

func to(p int32, value string) ProducerRecord {
	return ProducerRecord{Topic: "orders", Partition: To(p), Value: []byte(value)}
}

func producer(t testing.TB, c *Client, cfg ProducerConfig) *Producer {
	p, err := c.NewProducer(cfg)
	require.NoError(t, err)
	return p
}

func TestProducer_SendsAndIsAcknowledged(t *testing.T) {
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		f := newFake(t, 1, 3, map[string]int32{"orders": 3})
		f.run(func(h env.Host, c *Client) {
			p := producer(t, c, quick("compression.type="+codec))
			for i := range 9 {
				d := p.SendSync(to(int32(i%3), fmt.Sprint("v", i)))
				require.NoError(t, d.Err)
				assert.Equal(t, Acknowledged, d.Outcome)
				assert.Equal(t, orders(int32(i%3)), d.Partition)
				assert.Equal(t, kafka.Offset(i/3), d.Offset)
				assert.Equal(t, kafka.Sequence(i/3), d.Sequence)
				assert.Equal(t, kafka.ProducerID(1001), d.ProducerID)
			}
			p.Close(env.Forever)
			assert.ErrorIs(t, p.Send(to(0, "late"), nil), env.ErrClosed)
		})
		assert.Equal(t, []string{"v0", "v3", "v6"}, f.parts[orders(0)].values(t))
	}
}

func TestProducer_BatchesWhatLingers(t *testing.T) {
	f := newFake(t, 1, 1, map[string]int32{"orders": 1})
	var sizes []int32
	f.onProduce = func(_ kafka.TopicPartition, b record.Batch) act {
		sizes = append(sizes, b.Count())
		return act{}
	}
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick("linger.ms=50", "batch.size=400"))
		p.SendSync(to(0, "the first goes alone"))
		began := h.Uptime()
		for i := range 10 {
			require.NoError(t, p.Send(to(0, fmt.Sprint(i)), nil))
		}
		p.SendSync(to(0, "last"))
		assert.GreaterOrEqual(t, h.Uptime()-began, 50*time.Millisecond)
		for i := range 100 {
			require.NoError(t, p.Send(to(0, fmt.Sprint("of a hundred ", i)), nil))
		}
		p.Flush()
		p.Close(0)
	})
	assert.Equal(t, int32(1), sizes[0])
	assert.Equal(t, int32(11), sizes[1])
	assert.Greater(t, len(sizes), 5, "full batches go at once")
	assert.Len(t, f.parts[orders(0)].values(t), 112)
}

// A partition gets batches that are as full as they can be, or were sent because their time
// was over: none is left with a record or two because the partitioner moved on
// (KAFKA-14156). Clients before 3.3 moved on with each batch.
func TestProducer_BatchesAreFullAtFullSpeed(t *testing.T) {
	for _, sticky := range []bool{false, true} {
		f := newFake(t, 1, 1, map[string]int32{"orders": 4})
		type sent struct{ partition, records int32 }
		var all []sent
		f.onProduce = func(tp kafka.TopicPartition, b record.Batch) act {
			all = append(all, sent{tp.Partition, b.Count()})
			return act{}
		}
		f.run(func(h env.Host, c *Client) {
			cfg := quick("linger.ms=1000", "batch.size=1000")
			cfg.StickyForABatch = sticky
			p := producer(t, c, cfg)
			for range 90 { // nine of them fit into a batch
				require.NoError(t, p.Send(ProducerRecord{Topic: "orders", Value: make([]byte, 90)}, nil))
			}
			p.Flush()
			p.Close(0)
		})
		require.Len(t, all, 10)
		for _, s := range all {
			assert.Equal(t, int32(9), s.records, "%v", all)
		}
	}
}

// A leader that does not know the producer takes any batch for its first. If the first is refused, the second must not be on
// its way (KAFKA-14359, KAFKA-15591).
func TestProducer_TheFirstBatchGoesAlone(t *testing.T) {
	write := func(bugs *planted.Set) []string {
		f := newFake(t, 1, 1, map[string]int32{"orders": 1})
		seen := 0
		f.onProduce = func(kafka.TopicPartition, record.Batch) act {
			if seen++; seen == 1 { // it has yet to hear that it leads
				return act{err: kerr.NotLeaderForPartition}
			}
			return act{}
		}
		f.run(func(h env.Host, c *Client) {
			cfg := quick("batch.size=1")
			cfg.Bugs = bugs
			p := producer(t, c, cfg)
			for _, value := range []string{"first", "second", "third"} {
				require.NoError(t, p.Send(to(0, value), func(d Delivery) { assert.NoError(t, d.Err) }))
			}
			p.Close(env.Forever)
		})
		return f.parts[orders(0)].values(t)
	}
	assert.Equal(t, []string{"first", "second", "third"}, write(nil))
	together := planted.Plant(planted.FirstTogether)
	assert.Equal(t, []string{"second", "third", "first"}, write(together))
	assert.Positive(t, together.Count(planted.FirstTogether).Infected)
}

func TestProducer_ConflictingConfigurationIsRefused(t *testing.T) {
	for _, conflict := range []string{"acks=1", "acks=0", "retries=0", "max.in.flight.requests.per.connection=6", "delivery.timeout.ms=100"} {
		_, err := New(nil, nil, "").NewProducer(quick(conflict))
		assert.ErrorIs(t, err, kerr.InvalidConfig, conflict)
		if !strings.HasPrefix(conflict, "delivery") {
			cfg := quick(conflict, "enable.idempotence=false")
			assert.NoError(t, cfg.Check(), conflict)
		}
	}
}

// What a producer tells of a batch after one error and then, if it tries
// again, success.
func TestProducer_Errors(t *testing.T) {
	for _, test := range []struct {
		name    string
		first   act
		outcome Outcome
		copies  int
	}{
		{"the leader has moved", act{err: kerr.NotLeaderForPartition}, Acknowledged, 1},
		{"too few replicas", act{err: kerr.NotEnoughReplicas}, Acknowledged, 1},
		{"appended, then too few replicas", act{err: kerr.NotEnoughReplicasAfterAppend, append: true}, Acknowledged, 1},
		{"appended, then timed out", act{err: kerr.RequestTimedOut, append: true}, Acknowledged, 1},
		{"appended, answer lost", act{drop: true, append: true}, Acknowledged, 1},
		{"request lost", act{drop: true}, Acknowledged, 1},
		{"answered too late", act{delay: 2 * time.Second}, Acknowledged, 1},
		{"already written", act{err: kerr.DuplicateSequenceNumber, append: true}, Acknowledged, 1},
		{"invalid", act{err: kerr.InvalidRecord}, Failed, 0},
		{"too large", act{err: kerr.MessageTooLarge}, Failed, 0},
		{"server error after append", act{err: kerr.UnknownServerError, append: true}, Unknown, 1},
		{"server error", act{err: kerr.UnknownServerError}, Unknown, 0},
		{"out of order, though first in line", act{err: kerr.OutOfOrderSequenceNumber}, Acknowledged, 1},
		{"producer unknown", act{err: kerr.UnknownProducerID}, Acknowledged, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake(t, 7, 1, map[string]int32{"orders": 1})
			seen := 0
			f.onProduce = func(kafka.TopicPartition, record.Batch) act {
				if seen++; seen == 2 {
					return test.first
				}
				return act{}
			}
			f.run(func(h env.Host, c *Client) {
				p := producer(t, c, quick())
				require.NoError(t, p.SendSync(to(0, "before")).Err)
				d := p.SendSync(to(0, "value"))
				assert.Equal(t, test.outcome, d.Outcome)
				assert.Equal(t, test.outcome == Acknowledged, d.Err == nil)
				if test.first.err != nil && d.Err != nil {
					assert.ErrorIs(t, d.Err, test.first.err)
				}
				after := p.SendSync(to(0, "after"))
				assert.NoError(t, after.Err)
				assert.Equal(t, test.outcome != Acknowledged, after.Epoch > 0 && after.Sequence == 0,
					"a number that was used up in vain costs an epoch: %+v", after)
			})
			assert.Equal(t, test.copies, strings.Count(strings.Join(f.parts[orders(0)].values(t), " "), "value"))
		})
	}
}

// KAFKA-14034: a batch in doubt is settled under its old number before another
// batch's failure makes the partition begin anew.
func TestProducer_SettlesDoubtsBeforeItBumpsTheEpoch(t *testing.T) {
	f := newFake(t, 3, 1, map[string]int32{"orders": 1})
	f.onProduce = tries(func(value string, try int) act {
		switch {
		case value == "one" && try == 1:
			return act{append: true, err: kerr.RequestTimedOut}
		case value == "two":
			return act{err: kerr.InvalidRecord}
		}
		return act{}
	})
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick("batch.size=1"))
		require.NoError(t, p.SendSync(to(0, "zero")).Err)
		var got []string
		for _, v := range []string{"one", "two", "three", "four"} {
			require.NoError(t, p.Send(to(0, v), func(d Delivery) {
				got = append(got, fmt.Sprintf("%s %v epoch %d sequence %d", v, d.Outcome, d.Epoch, d.Sequence))
			}))
		}
		p.Flush()
		assert.Equal(t, []string{
			"one ok epoch 0 sequence 1",
			"two failed epoch 0 sequence 2",
			"three ok epoch 1 sequence 0",
			"four ok epoch 1 sequence 1",
		}, got)
	})
	assert.Equal(t, []string{"zero", "one", "three", "four"}, f.parts[orders(0)].values(t))
}

// Z10: a topic that is missing from the metadata for a moment keeps its
// sequence numbers.
func TestProducer_KeepsSequencesWhenATopicFlickers(t *testing.T) {
	f := newFake(t, 4, 1, map[string]int32{"orders": 1})
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick("metadata.max.age.ms=200"))
		require.NoError(t, p.SendSync(to(0, "a")).Err)
		require.NoError(t, p.SendSync(to(0, "b")).Err)
		f.hidden["orders"] = true
		h.Sleep(time.Second)
		require.Nil(t, p.net.metadata.topic("orders"))
		h.After(500*time.Millisecond, "the topic is back", func() { f.hidden["orders"] = false })
		d := p.SendSync(to(0, "c"))
		require.NoError(t, d.Err)
		assert.Equal(t, kafka.Sequence(2), d.Sequence)
		assert.Equal(t, kafka.Offset(2), d.Offset)
	})
	assert.Equal(t, []string{"a", "b", "c"}, f.parts[orders(0)].values(t))
}

func TestProducer_FollowsTheLeader(t *testing.T) {
	f := newFake(t, 5, 3, map[string]int32{"orders": 1})
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick())
		for i := range 12 {
			began := h.Uptime()
			require.NoError(t, p.SendSync(to(0, fmt.Sprint(i))).Err)
			assert.Less(t, h.Uptime()-began, 90*time.Millisecond, "the old leader names the new one: no backoff (KIP-951)")
			f.move(orders(0), int32(i+1)%3)
		}
	})
	assert.Len(t, f.parts[orders(0)].values(t), 12)
}

func TestProducer_SplitsWhatIsTooLarge(t *testing.T) {
	f := newFake(t, 6, 1, map[string]int32{"orders": 1})
	f.onProduce = func(_ kafka.TopicPartition, b record.Batch) act {
		if b.Count() > 3 {
			return act{err: kerr.MessageTooLarge}
		}
		return act{}
	}
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick())
		require.NoError(t, p.SendSync(to(0, "0")).Err)
		var offsets []kafka.Offset
		for i := 1; i < 20; i++ {
			require.NoError(t, p.Send(to(0, fmt.Sprint(i)), func(d Delivery) {
				assert.NoError(t, d.Err)
				offsets = append(offsets, d.Offset)
				assert.Equal(t, kafka.Sequence(d.Offset), d.Sequence)
			}))
		}
		p.Flush()
		assert.Len(t, offsets, 19)
		for i, o := range offsets {
			assert.Equal(t, kafka.Offset(i+1), o)
		}
	})
}

func TestProducer_SequencesWrap(t *testing.T) {
	f := newFake(t, 8, 1, map[string]int32{"orders": 1})
	f.run(func(h env.Host, c *Client) {
		cfg := quick("batch.size=1")
		cfg.FirstSequence = 1<<31 - 4
		p := producer(t, c, cfg)
		for i := range 10 {
			require.NoError(t, p.Send(to(0, fmt.Sprint(i)), func(d Delivery) {
				assert.NoError(t, d.Err)
				assert.Equal(t, cfg.FirstSequence.Add(int32(i)), d.Sequence)
			}))
		}
		p.Flush()
	})
	assert.Len(t, f.parts[orders(0)].values(t), 10)
}

func TestProducer_TakesAnotherIDWhenItsEpochsAreUsedUp(t *testing.T) {
	f := newFake(t, 9, 1, map[string]int32{"orders": 1})
	f.nextEpoch = 1<<15 - 1
	f.onProduce = func(_ kafka.TopicPartition, b record.Batch) act {
		if b.ProducerID() == 1001 && b.BaseSequence() == 1 {
			return act{err: kerr.InvalidRecord}
		}
		return act{}
	}
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick())
		assert.Equal(t, Acknowledged, p.SendSync(to(0, "a")).Outcome)
		assert.Equal(t, Failed, p.SendSync(to(0, "b")).Outcome)
		d := p.SendSync(to(0, "c"))
		require.NoError(t, d.Err)
		assert.Equal(t, kafka.ProducerID(1002), d.ProducerID)
	})
}

func TestProducer_BlocksWhileTheBufferIsFull(t *testing.T) {
	f := newFake(t, 10, 1, map[string]int32{"orders": 1})
	f.onProduce = func(kafka.TopicPartition, record.Batch) act { return act{delay: 100 * time.Millisecond} }
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick("buffer.memory=2000", "batch.size=1000", "linger.ms=1000", "max.block.ms=150"))
		began := h.Uptime()
		for i := range 3 {
			require.NoError(t, p.Send(to(0, strings.Repeat("x", 900)+fmt.Sprint(i)), nil))
		}
		assert.GreaterOrEqual(t, h.Uptime()-began, 100*time.Millisecond)
		f.onProduce = func(kafka.TopicPartition, record.Batch) act { return act{delay: 300 * time.Millisecond} }
		p.Flush()
		var err error
		for err == nil {
			err = p.Send(to(0, strings.Repeat("y", 900)), nil)
		}
		assert.ErrorIs(t, err, kerr.RequestTimedOut)
		p.Flush()
		assert.Equal(t, int64(2000), p.memory)
	})
}

func TestProducer_ExpiresWhatCannotBeSent(t *testing.T) {
	f := newFake(t, 11, 1, map[string]int32{"orders": 1})
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick())
		require.NoError(t, p.SendSync(to(0, "a")).Err)
		f.w.Host("broker-0").Kill()
		h.Sleep(time.Second)
		d := p.SendSync(to(0, "b"))
		assert.ErrorIs(t, d.Err, kerr.RequestTimedOut)
		assert.Equal(t, Failed, d.Outcome, "no byte of it was ever sent")
		p.Close(env.Forever)
	})
}

func TestProducer_UnknownTopicIsRefusedAfterMaxBlock(t *testing.T) {
	f := newFake(t, 12, 1, map[string]int32{"orders": 1})
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick())
		began := h.Uptime()
		err := p.Send(ProducerRecord{Topic: "nowhere", Value: []byte("x")}, nil)
		assert.ErrorIs(t, err, kerr.RequestTimedOut)
		assert.InDelta(t, 2.0, (h.Uptime() - began).Seconds(), 0.01)
		assert.Error(t, p.Send(to(1, "no such partition"), nil))
		n, err := p.PartitionsFor("orders")
		assert.NoError(t, err)
		assert.Equal(t, int32(1), n)
	})
}

func TestProducer_CloseSettlesEverything(t *testing.T) {
	f := newFake(t, 13, 1, map[string]int32{"orders": 1})
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick("batch.size=1"))
		require.NoError(t, p.SendSync(to(0, "a")).Err)
		f.onProduce = func(kafka.TopicPartition, record.Batch) act { return act{delay: time.Hour} }
		outcomes := map[Outcome]int{}
		for range 8 {
			require.NoError(t, p.Send(to(0, "x"), func(d Delivery) {
				outcomes[d.Outcome]++
				assert.True(t, errors.Is(d.Err, env.ErrClosed))
			}))
		}
		p.Close(200 * time.Millisecond)
		assert.Equal(t, map[Outcome]int{Unknown: 5, Failed: 3}, outcomes)
	})
}

func TestProducer_AcksNone(t *testing.T) {
	f := newFake(t, 14, 1, map[string]int32{"orders": 1})
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick("acks=0", "enable.idempotence=false"))
		d := p.SendSync(to(0, "a"))
		assert.NoError(t, d.Err)
		assert.Equal(t, kafka.NoOffset, d.Offset)
		assert.Equal(t, kafka.NoProducer, d.ProducerID)
		h.Sleep(time.Second)
	})
	assert.Equal(t, []string{"a"}, f.parts[orders(0)].values(t))
}

// D5: without idempotence a lost answer makes a duplicate.
func TestProducer_WithoutIdempotenceDuplicates(t *testing.T) {
	f := newFake(t, 15, 1, map[string]int32{"orders": 1})
	seen := 0
	f.onProduce = func(kafka.TopicPartition, record.Batch) act {
		seen++
		return act{append: true, drop: seen == 1}
	}
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick("enable.idempotence=false"))
		require.NoError(t, p.SendSync(to(0, "a")).Err)
	})
	assert.Equal(t, []string{"a", "a"}, f.parts[orders(0)].values(t))
}

// tries scripts a broker by the first value of a batch and how often it came.
func tries(script func(value string, try int) act) func(kafka.TopicPartition, record.Batch) act {
	came := map[string]int{}
	return func(_ kafka.TopicPartition, b record.Batch) act {
		var first string
		b.Records(func(r record.Record) error { first = string(r.Value); return nil })
		came[first]++
		return script(first, came[first])
	}
}

// sendAll sends the values one to a batch, some time apart, and lists what
// their callbacks were told.
func sendAll(t *testing.T, h env.Host, p *Producer, apart time.Duration, values ...string) (got []string) {
	for _, v := range values {
		require.NoError(t, p.Send(to(0, v), func(d Delivery) {
			got = append(got, fmt.Sprintf("%s %v", v, d.Outcome))
		}))
		h.Sleep(apart)
	}
	p.Flush()
	return got
}

// A broker knows five batches of a producer. While one in doubt is tried again
// and again, so many others must not pass it that it is forgotten.
func TestProducer_StaysWithinWhatTheBrokerRemembers(t *testing.T) {
	f := newFake(t, 16, 1, map[string]int32{"orders": 1})
	f.onProduce = tries(func(value string, try int) act {
		switch {
		case value == "b" && try == 1:
			return act{append: true, drop: true}
		case value == "b" && try < 4:
			return act{err: kerr.NotLeaderForPartition, delay: 50 * time.Millisecond}
		}
		return act{}
	})
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick("batch.size=1"))
		got := sendAll(t, h, p, 10*time.Millisecond, strings.Split("a b c d e f g h i j k l m", " ")...)
		for _, g := range got {
			assert.Contains(t, g, " ok")
		}
	})
	assert.Equal(t, "a b c d e f g h i j k l m", strings.Join(f.parts[orders(0)].values(t), " "))
}

// A partition begins anew only when nothing is in flight: a batch whose answer
// is late must get its new number together with those before it.
func TestProducer_BeginsAnewWithNothingInFlight(t *testing.T) {
	f := newFake(t, 17, 1, map[string]int32{"orders": 1})
	f.onProduce = tries(func(value string, try int) act {
		switch {
		case value == "two":
			return act{err: kerr.UnknownServerError}
		case value == "four" && try == 1:
			return act{delay: 50 * time.Millisecond}
		}
		return act{}
	})
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick("batch.size=1"))
		require.NoError(t, p.SendSync(to(0, "one")).Err)
		assert.Equal(t, []string{"two unknown", "three ok", "four ok", "five ok"},
			sendAll(t, h, p, 0, "two", "three", "four", "five"))
	})
	assert.Equal(t, []string{"one", "three", "four", "five"}, f.parts[orders(0)].values(t))
}
