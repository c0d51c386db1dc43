package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Record j of transaction n goes to partition (n+j) mod 6.
const (
	partitions     = 6
	perTransaction = 3
)

// transactional is a client's producer. Its methods are called one after another.
type transactional interface {
	// transact writes transaction n and ends it as asked; it says how it ended.
	transact(n int, commit bool) string
	close()
}

// transactions writes transactions from the number on that m.instance is, until ctx ends.
// Every third is aborted.
func transactions(ctx context.Context, m member, newProducer func(context.Context, member) (transactional, error)) error {
	first, err := strconv.Atoi(m.instance)
	if err != nil {
		return err
	}
	p, err := newProducer(ctx, m)
	if err != nil {
		return err
	}
	defer p.close()
	for n := first; ctx.Err() == nil; n++ {
		fmt.Println("begin", n)
		fmt.Println(p.transact(n, n%3 != 2), n)
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

func value(n, j int) string { return fmt.Sprintf("t%d.%d", n, j) }

// franzProducer is franz-go's transactional producer.
type franzProducer struct {
	ctx context.Context
	m   member
	*kgo.Client
}

func newFranzProducer(ctx context.Context, m member) (transactional, error) {
	p := &franzProducer{ctx: ctx, m: m}
	return p, p.renew()
}

func (p *franzProducer) renew() (err error) {
	p.Client, err = kgo.NewClient(kgo.SeedBrokers(p.m.brokers...), kgo.TransactionalID(p.m.group), kgo.TransactionTimeout(10*time.Second),
		kgo.DefaultProduceTopic(p.m.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(time.Second))
	return err
}

func (p *franzProducer) close() { p.Client.Close() }

func (p *franzProducer) transact(n int, commit bool) string {
	// Its documentation asks that EndTransaction be given the time it takes.
	ctx := context.Background()
	if err := p.BeginTransaction(); err != nil {
		return p.another("aborted", err)
	}
	var records []*kgo.Record
	for j := range perTransaction {
		records = append(records, &kgo.Record{Partition: int32((n + j) % partitions), Value: []byte(value(n, j))})
	}
	if err := p.ProduceSync(ctx, records...).FirstErr(); err != nil {
		fmt.Println("error", err)
		commit = false
	}
	if !commit {
		return p.abort("aborted")
	}
	if err := p.EndTransaction(ctx, kgo.TryCommit); err != nil {
		fmt.Println("error", err)
		if errors.Is(err, kerr.OperationNotAttempted) {
			return p.abort("aborted")
		}
		return p.abort("unknown")
	}
	return "committed"
}

func (p *franzProducer) abort(outcome string) string {
	if err := p.AbortBufferedRecords(context.Background()); err != nil {
		return p.another(outcome, err)
	}
	if err := p.EndTransaction(context.Background(), kgo.TryAbort); err != nil {
		return p.another(outcome, err)
	}
	return outcome
}

// another goes on with a new producer, which fences the one before and ends what it left open.
func (p *franzProducer) another(outcome string, why error) string {
	fmt.Println("error", why)
	p.Client.Close()
	if err := p.renew(); err != nil {
		panic(err) // the same options were right before
	}
	return outcome
}

// franzPipeline copies the topic in transactions, as a member of a group, and prints what it has
// copied when that is committed. A session whose transaction could not be ended is replaced.
func franzPipeline(ctx context.Context, m member) error {
	for ctx.Err() == nil {
		s, err := kgo.NewGroupTransactSession(
			kgo.SeedBrokers(m.brokers...), kgo.TransactionalID(m.group+"-"+m.instance), kgo.TransactionTimeout(10*time.Second),
			kgo.ConsumerGroup(m.group), kgo.ConsumeTopics(m.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(), kgo.Balancers(kgo.CooperativeStickyBalancer()),
			kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond), kgo.MetadataMinAge(time.Second), kgo.MetadataMaxAge(2*time.Second),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(m.topic+"-"+m.group), kgo.AlwaysRetryEOF(),
		)
		if err != nil {
			return err
		}
		for ctx.Err() == nil && err == nil {
			err = franzCopy(ctx, s)
		}
		if err != nil {
			fmt.Println("error", err)
		}
		s.Close()
	}
	return nil
}

// franzCopy copies what a poll brings.
func franzCopy(ctx context.Context, s *kgo.GroupTransactSession) error {
	fetches := s.PollFetches(ctx)
	if fetches.NumRecords() == 0 {
		fetches.EachError(func(t string, p int32, err error) { fmt.Println("error", t, p, err) })
		return nil
	}
	if err := s.Begin(); err != nil {
		return err
	}
	fetches.EachRecord(func(r *kgo.Record) {
		s.Produce(context.Background(), &kgo.Record{Partition: r.Partition, Value: r.Value}, func(_ *kgo.Record, err error) {
			if err != nil {
				fmt.Println("error", err)
			}
		})
	})
	committed, err := s.End(context.Background(), kgo.TryCommit)
	if committed {
		fetches.EachRecord(func(r *kgo.Record) { record(r.Partition, r.Offset, r.Value) })
	}
	return err
}

// saramaProducer is sarama's transactional producer.
type saramaProducer struct {
	ctx context.Context
	m   member
	sarama.SyncProducer
}

func newSaramaProducer(ctx context.Context, m member) (transactional, error) {
	p := &saramaProducer{ctx: ctx, m: m}
	return p, p.renew()
}

// renew makes the producer; until ctx ends it tries again.
func (p *saramaProducer) renew() error {
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Retry.Max, c.Producer.Retry.Backoff = 100, 100*time.Millisecond
	c.Producer.Transaction.ID = p.m.group
	c.Producer.Transaction.Timeout = 10 * time.Second
	c.Producer.Transaction.Retry.Max, c.Producer.Transaction.Retry.Backoff = 100, 100*time.Millisecond
	c.Net.MaxOpenRequests = 1
	c.Metadata.RefreshFrequency = 2 * time.Second
	for {
		var err error
		if p.SyncProducer, err = sarama.NewSyncProducer(p.m.brokers, c); err == nil {
			return nil
		}
		fmt.Println("error", err)
		if !pause(p.ctx) {
			return err
		}
	}
}

func (p *saramaProducer) close() {
	if p.SyncProducer != nil {
		p.SyncProducer.Close()
	}
}

func (p *saramaProducer) transact(n int, commit bool) string {
	if err := p.BeginTxn(); err != nil {
		return p.end(err, "aborted")
	}
	var messages []*sarama.ProducerMessage
	for j := range perTransaction {
		messages = append(messages, &sarama.ProducerMessage{Topic: p.m.topic, Partition: int32((n + j) % partitions), Value: sarama.StringEncoder(value(n, j))})
	}
	if err := p.SendMessages(messages); err != nil {
		return p.end(err, "aborted")
	}
	if !commit {
		if err := p.AbortTxn(); err != nil {
			return p.end(err, "aborted")
		}
		return "aborted"
	}
	if err := p.CommitTxn(); err != nil {
		return p.end(err, "unknown")
	}
	return "committed"
}

// end aborts what went wrong. A producer with a fatal error is replaced by another.
func (p *saramaProducer) end(why error, outcome string) string {
	for {
		fmt.Println("error", why)
		status := p.TxnStatus()
		switch {
		case status&sarama.ProducerTxnFlagReady != 0:
			return "unknown"
		case status&sarama.ProducerTxnFlagFatalError != 0:
			return p.another(outcome)
		case status&sarama.ProducerTxnFlagAbortableError != 0:
			if why = p.AbortTxn(); why == nil {
				return outcome
			}
		case outcome == "unknown":
			if why = p.CommitTxn(); why == nil {
				return "committed"
			}
		default:
			if why = p.AbortTxn(); why == nil {
				return outcome
			}
		}
		if !pause(p.ctx) {
			return "unknown"
		}
	}
}

// another goes on with a new producer, which fences the one before and ends what it left open.
func (p *saramaProducer) another(outcome string) string {
	p.SyncProducer.Close()
	if err := p.renew(); err != nil {
		p.SyncProducer = nil
	}
	return outcome
}
