package client

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

func consumer(t testing.TB, c *Client, set ...string) *Consumer {
	return consumerWith(t, c, nil, set...)
}

func consumerWith(t testing.TB, c *Client, bugs *planted.Set, set ...string) *Consumer {
	cfg := ConsumerDefaults()
	cfg.Bugs = bugs
	cfg.AutoOffsetReset = Earliest
	for _, s := range set {
		name, value, _ := strings.Cut(s, "=")
		require.NoError(t, config.Set(&cfg, name, value))
	}
	got, err := c.NewConsumer(cfg)
	require.NoError(t, err)
	return got
}

// pollUntil polls until n records have come, at most a minute.
func pollUntil(t testing.TB, h env.Host, c *Consumer, n int) (all []ConsumerRecord) {
	deadline := h.Uptime() + time.Minute
	for len(all) < n {
		require.Less(t, h.Uptime(), deadline, "%d records after a minute, expected %d", len(all), n)
		records, err := c.Poll(time.Second)
		require.NoError(t, err)
		all = append(all, records...)
	}
	return all
}

// filled is a fake with so many records in each of the partitions of orders.
func filled(t testing.TB, seed uint64, brokers, partitions int32, records int) *fake {
	f := newFake(t, seed, brokers, map[string]int32{"orders": partitions})
	for p := range partitions {
		for i := range records {
			f.parts[orders(p)].put(plain(fmt.Sprintf("%d-%d", p, i)))
		}
	}
	return f
}

func TestConsumer_ReadsAllInOrder(t *testing.T) {
	f := filled(t, 1, 3, 4, 100)
	f.run(func(h env.Host, c *Client) {
		consumer := consumer(t, c, "max.poll.records=7", "max.partition.fetch.bytes=700")
		consumer.Assign([]kafka.TopicPartition{orders(0), orders(1), orders(2), orders(3)})
		next := map[kafka.TopicPartition]kafka.Offset{}
		for seen := 0; seen < 400; {
			records, err := consumer.Poll(time.Second)
			require.NoError(t, err)
			require.NotEmpty(t, records)
			assert.LessOrEqual(t, len(records), 7)
			for _, r := range records {
				assert.Equal(t, next[r.Partition], r.Offset)
				assert.Equal(t, fmt.Sprintf("%d-%d", r.Partition.Partition, r.Offset), string(r.Value))
				assert.Equal(t, kafka.LeaderEpoch(1), r.LeaderEpoch)
				next[r.Partition]++
				seen++
			}
		}
		pos, err := consumer.Position(orders(2))
		assert.NoError(t, err)
		assert.Equal(t, Position{100, 1}, pos)
		began := h.Uptime()
		records, err := consumer.Poll(300 * time.Millisecond)
		assert.Empty(t, records)
		assert.NoError(t, err)
		assert.Equal(t, 300*time.Millisecond, (h.Uptime() - began).Round(time.Millisecond))
		consumer.Close()
		_, err = consumer.Poll(time.Second)
		assert.ErrorIs(t, err, env.ErrClosed)
	})
}

func TestConsumer_SeeksAndResets(t *testing.T) {
	f := filled(t, 2, 1, 1, 10)
	f.run(func(h env.Host, c *Client) {
		consumer := consumer(t, c, "auto.offset.reset=latest")
		assert.Error(t, consumer.Seek(orders(0), 3), "it is not assigned")
		consumer.Assign([]kafka.TopicPartition{orders(0)})
		pos, err := consumer.Position(orders(0))
		require.NoError(t, err)
		assert.Equal(t, kafka.Offset(10), pos.Offset)

		require.NoError(t, consumer.Seek(orders(0), 7))
		assert.Equal(t, []string{"0-7", "0-8", "0-9"}, valuesOf(pollUntil(t, h, consumer, 3)))
		require.NoError(t, consumer.SeekToBeginning())
		assert.Len(t, pollUntil(t, h, consumer, 10), 10)
		require.NoError(t, consumer.Seek(orders(0), 2))
		consumer.Pause(orders(0))
		records, err := consumer.Poll(2 * time.Second)
		assert.Empty(t, records)
		assert.NoError(t, err)
		consumer.Resume(orders(0))
		assert.Len(t, pollUntil(t, h, consumer, 8), 8)

		consumer.Assign(nil)
		consumer.Assign([]kafka.TopicPartition{orders(0)})
		require.NoError(t, consumer.SeekToEnd())
		f.parts[orders(0)].put(plain("new"))
		records, err = consumer.Poll(2 * time.Second)
		assert.Empty(t, records, "the end is looked up when it is polled: %v", valuesOf(records))
		assert.NoError(t, err)
	})
}

func TestConsumer_OutOfRange(t *testing.T) {
	f := filled(t, 3, 1, 1, 10)
	f.parts[orders(0)].start = 4
	f.run(func(h env.Host, c *Client) {
		strict := consumer(t, c, "auto.offset.reset=none")
		strict.Assign([]kafka.TopicPartition{orders(0)})
		for range 2 {
			_, err := strict.Poll(time.Second)
			assert.ErrorContains(t, err, "no position")
		}
		require.NoError(t, strict.Seek(orders(0), 50))
		_, err := strict.Poll(time.Second)
		assert.ErrorIs(t, err, kerr.OffsetOutOfRange)
		require.NoError(t, strict.Seek(orders(0), 8))
		assert.Equal(t, []string{"0-8", "0-9"}, valuesOf(pollUntil(t, h, strict, 2)))

		lenient := consumer(t, c)
		lenient.Assign([]kafka.TopicPartition{orders(0)})
		require.NoError(t, lenient.Seek(orders(0), 50))
		got := pollUntil(t, h, lenient, 6)
		assert.Equal(t, kafka.Offset(4), got[0].Offset)
	})
}

// Leaders move all the time; each record is returned once. (Z73: a validated
// position goes on where it was.)
func TestConsumer_FollowsLeadersWithoutRewinding(t *testing.T) {
	for seed := range uint64(20) {
		f := filled(t, seed, 3, 2, 0)
		for i := range 300 {
			at := time.Duration(i) * 7 * time.Millisecond
			f.w.At(at, "append", func() {
				f.parts[orders(0)].put(plain(fmt.Sprint(i)))
				f.parts[orders(1)].put(plain(fmt.Sprint(i)))
			})
			if i%9 == 0 {
				f.w.At(at, "move", func() { f.move(orders(int32(i%2)), int32(i)%3) })
			}
		}
		f.run(func(h env.Host, c *Client) {
			consumer := consumer(t, c, "metadata.max.age.ms=50")
			consumer.Assign([]kafka.TopicPartition{orders(0), orders(1)})
			next := map[kafka.TopicPartition]kafka.Offset{}
			for _, r := range pollUntil(t, h, consumer, 600) {
				require.Equal(t, next[r.Partition], r.Offset)
				next[r.Partition]++
			}
		})
		assert.Contains(t, strings.Join(f.requests, "\n"), "OffsetForLeaderEpoch")
	}
}

func TestConsumer_FindsTruncation(t *testing.T) {
	for _, policy := range []string{"none", "earliest"} {
		f := filled(t, 4, 2, 1, 10)
		f.run(func(h env.Host, c *Client) {
			consumer := consumer(t, c, "auto.offset.reset="+policy, "metadata.max.age.ms=100")
			consumer.Assign([]kafka.TopicPartition{orders(0)})
			require.NoError(t, consumer.Seek(orders(0), 0))
			pollUntil(t, h, consumer, 10)

			// An unclean election: the new leader has only the first six.
			p := f.parts[orders(0)]
			p.log = p.log[:6]
			p.epochEnds = map[int32]int64{1: 6}
			f.move(orders(0), 1)
			p.put(plain("another 6"))
			if policy == "none" {
				_, err := consumer.Poll(5 * time.Second)
				var truncated *LogTruncationError
				require.ErrorAs(t, err, &truncated)
				assert.Equal(t, Position{10, 1}, truncated.Position)
				assert.Equal(t, Position{6, 1}, truncated.Diverged)
				require.NoError(t, consumer.Seek(orders(0), 6))
			}
			got := pollUntil(t, h, consumer, 1)
			assert.Equal(t, []string{"another 6"}, valuesOf(got))
			assert.Equal(t, kafka.LeaderEpoch(2), got[0].LeaderEpoch)
		})
	}
}

func transactional(id kafka.ProducerID, values ...string) record.Batch {
	b := record.NewBuilder(record.Options{Idempotent: true, Transactional: true, ProducerID: id})
	for _, v := range values {
		b.Append(1, nil, []byte(v))
	}
	return b.Build()
}

// Z66: the list of aborted transactions may come unsorted, and a marker ends
// its producer's transaction even if that holds nothing here.
func TestConsumer_ReadCommittedHidesTheAborted(t *testing.T) {
	f := newFake(t, 5, 1, map[string]int32{"orders": 1})
	p := f.parts[orders(0)]
	end := func(id kafka.ProducerID, t record.ControlType) kafka.Offset {
		return p.put(record.NewEndTxnMarker(t, 1, id, 0, 0))
	}
	p.put(transactional(1, "committed of 1"))
	end(1, record.Commit)
	aborted2 := p.put(transactional(2, "aborted of 2"))
	aborted1 := p.put(transactional(1, "aborted of 1"))
	p.put(plain("plain"))
	end(1, record.Abort)
	p.put(transactional(1, "committed of 1, later"))
	end(2, record.Abort)
	end(1, record.Commit)
	empty3 := end(3, record.Abort)
	p.put(transactional(3, "committed of 3"))
	end(3, record.Commit)
	for _, a := range []struct {
		id    int64
		first kafka.Offset
	}{{3, empty3}, {1, aborted1}, {2, aborted2}} {
		at := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
		at.ProducerID, at.FirstOffset = a.id, int64(a.first)
		p.aborted = append(p.aborted, at)
	}
	f.run(func(h env.Host, c *Client) {
		for level, want := range map[string][]string{
			"read_committed":   {"committed of 1", "plain", "committed of 1, later", "committed of 3"},
			"read_uncommitted": {"committed of 1", "aborted of 2", "aborted of 1", "plain", "committed of 1, later", "committed of 3"},
		} {
			consumer := consumer(t, c, "isolation.level="+level)
			consumer.Assign([]kafka.TopicPartition{orders(0)})
			assert.Equal(t, want, valuesOf(pollUntil(t, h, consumer, len(want))), level)
			records, err := consumer.Poll(time.Second)
			assert.Empty(t, records)
			assert.NoError(t, err)
			pos, _ := consumer.Position(orders(0))
			assert.Equal(t, p.end(), pos.Offset, "past the last marker")
		}
	})
}

func TestConsumer_ReportsACorruptBatch(t *testing.T) {
	f := filled(t, 6, 1, 1, 5)
	f.parts[orders(0)].log[3][70] ^= 1
	f.run(func(h env.Host, c *Client) {
		consumer := consumer(t, c)
		consumer.Assign([]kafka.TopicPartition{orders(0)})
		assert.Len(t, pollUntil(t, h, consumer, 3), 3)
		for range 2 {
			_, err := consumer.Poll(time.Second)
			assert.ErrorIs(t, err, kerr.CorruptMessage)
		}
		require.NoError(t, consumer.Seek(orders(0), 4))
		assert.Equal(t, []string{"0-4"}, valuesOf(pollUntil(t, h, consumer, 1)))
	})
}

// A session is begun once, says only what changes, and is begun again when the
// broker has forgotten it.
func TestConsumer_FetchSessions(t *testing.T) {
	f := filled(t, 7, 1, 3, 1)
	var fetches []string
	forget := false
	f.onRequest = func(_ int32, req kmsg.Request) kmsg.Response {
		fetch, ok := req.(*kmsg.FetchRequest)
		if !ok {
			return nil
		}
		n, m := 0, 0
		for _, rt := range fetch.Topics {
			n += len(rt.Partitions)
		}
		for _, rt := range fetch.ForgottenTopics {
			m += len(rt.Partitions)
		}
		fetches = append(fetches, fmt.Sprintf("new %v, partitions %d, forgotten %d", fetch.SessionEpoch == 0, n, m))
		if forget {
			forget = false
			clear(f.sessions)
		}
		return nil
	}
	f.run(func(h env.Host, c *Client) {
		consumer := consumer(t, c)
		consumer.Assign([]kafka.TopicPartition{orders(0), orders(1), orders(2)})
		pollUntil(t, h, consumer, 3)
		f.parts[orders(1)].put(plain("more"))
		pollUntil(t, h, consumer, 1)
		consumer.Assign([]kafka.TopicPartition{orders(0), orders(1)})
		f.parts[orders(1)].put(plain("more"))
		pollUntil(t, h, consumer, 1)
		f.parts[orders(0)].put(plain("more"))
		pollUntil(t, h, consumer, 1)
		forget = true
		f.parts[orders(1)].put(plain("more"))
		pollUntil(t, h, consumer, 1)
	})
	assert.Equal(t, "new true, partitions 3, forgotten 0", fetches[0])
	assert.Equal(t, "new false, partitions 3, forgotten 0", fetches[1])
	assert.Equal(t, []string{
		"new false, partitions 1, forgotten 0", // one has moved on, and is asked for before Poll returns
		"new false, partitions 1, forgotten 1", // one is no longer assigned
		"new false, partitions 1, forgotten 0", // FETCH_SESSION_ID_NOT_FOUND
		"new true, partitions 2, forgotten 0",
	}, fetches[2:6])
}

func TestConsumer_SurvivesBrokersThatComeAndGo(t *testing.T) {
	f := filled(t, 8, 3, 3, 50)
	for i := range 20 {
		f.w.At(time.Duration(i)*100*time.Millisecond, "trouble", func() {
			f.w.Network().Reset("client", f.host(int32(i%3)))
			for p := range int32(3) {
				f.parts[orders(p)].put(plain("more"))
			}
		})
	}
	f.run(func(h env.Host, c *Client) {
		consumer := consumer(t, c, "max.poll.records=3", "max.partition.fetch.bytes=200")
		consumer.Assign([]kafka.TopicPartition{orders(0), orders(1), orders(2)})
		next := map[kafka.TopicPartition]kafka.Offset{}
		for _, r := range pollUntil(t, h, consumer, 210) {
			require.Equal(t, next[r.Partition], r.Offset)
			next[r.Partition]++
		}
	})
}

func TestConsumer_TopicMadeAnew(t *testing.T) {
	f := filled(t, 9, 1, 1, 10)
	f.parts[orders(0)].epoch = 9
	f.run(func(h env.Host, c *Client) {
		consumer := consumer(t, c, "metadata.max.age.ms=100")
		consumer.Assign([]kafka.TopicPartition{orders(0)})
		pollUntil(t, h, consumer, 10)
		f.ids["orders"] = kafka.NewUUID(f.w.Rand("another id"))
		f.parts[orders(0)] = &fakePartition{epoch: 0, epochEnds: map[int32]int64{1: -1}}
		f.parts[orders(0)].put(plain("of the new topic"))
		assert.Equal(t, []string{"of the new topic"}, valuesOf(pollUntil(t, h, consumer, 1)))
	})
}
