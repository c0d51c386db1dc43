// sarama does with IBM/sarama what services do: `produce` sends numbered records, `group` reads
// as a member of a consumer group and commits, `transact` reads, writes what it has read to
// another topic, and commits both in one transaction. It finds its cluster in the environment
// and ends in order on SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/IBM/sarama"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("sarama: expected produce, group or transact")
	}
	topics := strings.Split(os.Getenv("TOPICS"), ",")
	flags := flag.NewFlagSet("sarama", flag.ExitOnError)
	s := service{brokers: strings.Split(os.Getenv("KAFKA"), ",")}
	flags.IntVar(&s.rate, "rate", 50, "records a second")
	flags.IntVar(&s.acks, "acks", -1, "acks: -1, 0, 1")
	flags.BoolVar(&s.plain, "plain", false, "without idempotence, as sarama is by default")
	flags.StringVar(&s.group, "group", "clerks", "group.id")
	flags.BoolVar(&s.sticky, "sticky", false, "the sticky assignor, instead of range")
	flags.StringVar(&s.topic, "topic", topics[0], "the topic that is written or read")
	flags.StringVar(&s.output, "output", topics[len(topics)-1], "the topic that transact writes to")
	flags.Parse(os.Args[2:])
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	roles := map[string]func(context.Context) error{"produce": s.produce, "group": s.consume, "transact": s.transact}
	role := roles[os.Args[1]]
	if role == nil {
		log.Fatalf("sarama: found %q, expected produce, group or transact", os.Args[1])
	}
	if err := role(ctx); err != nil {
		log.Fatal("sarama: ", err)
	}
}

type service struct {
	brokers              []string
	rate, acks           int
	plain, sticky        bool
	group, topic, output string
}

func (s service) config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.ClientID = os.Getenv("HOSTNAME")
	c.Producer.RequiredAcks = sarama.RequiredAcks(s.acks)
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.Retry.Max = 50
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	if s.sticky {
		c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	}
	return c
}

// idempotent is for producers alone: sarama wants one request at a time of them, and a
// member whose heartbeats wait for its fetches loses its session with the connection.
func (s service) idempotent() *sarama.Config {
	c := s.config()
	if !s.plain {
		c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1
	}
	return c
}

func (s service) produce(ctx context.Context) error {
	p, err := sarama.NewAsyncProducer(s.brokers, s.idempotent())
	if err != nil {
		return err
	}
	sent, done, failed := 0, 0, 0
	tick := time.NewTicker(time.Second / time.Duration(s.rate))
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			sent++
			p.Input() <- &sarama.ProducerMessage{
				Topic: s.topic, Key: sarama.StringEncoder(fmt.Sprintf("k%d", sent%17)),
				Value: sarama.StringEncoder(fmt.Sprintf("%s-%d at %d", os.Getenv("HOSTNAME"), sent, time.Now().UnixNano())),
			}
		case <-p.Successes():
			done++
		case err := <-p.Errors():
			failed++
			log.Print(err)
		}
	}
	p.AsyncClose()
	for range p.Successes() {
		done++
	}
	for range p.Errors() {
		failed++
	}
	fmt.Printf("sent %d records, %d acknowledged, %d failed\n", sent, done, failed)
	return nil
}

// member is what sarama calls with the partitions that it has.
type member struct {
	each func(sarama.ConsumerGroupSession, *sarama.ConsumerMessage) error
}

func (member) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (member) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (m member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for r := range claim.Messages() {
		if err := m.each(session, r); err != nil {
			return err
		}
	}
	return nil
}

func (s service) read(ctx context.Context, c *sarama.Config, m member) error {
	g, err := sarama.NewConsumerGroup(s.brokers, s.group, c)
	if err != nil {
		return err
	}
	defer g.Close()
	for ctx.Err() == nil {
		if err := g.Consume(ctx, []string{s.topic}, m); err != nil {
			if errors.Is(err, sarama.ErrClosedConsumerGroup) {
				return nil
			}
			log.Print("consume: ", err)
			time.Sleep(time.Second)
		}
	}
	return nil
}

func (s service) consume(ctx context.Context) error {
	read := 0
	err := s.read(ctx, s.config(), member{func(session sarama.ConsumerGroupSession, r *sarama.ConsumerMessage) error {
		read++
		session.MarkMessage(r, "")
		session.Commit()
		return nil
	}})
	fmt.Printf("read %d records\n", read)
	return err
}

func (s service) transact(ctx context.Context) error {
	c := s.idempotent()
	c.Producer.Transaction.ID = "t-" + os.Getenv("HOSTNAME")
	c.Producer.Transaction.Timeout = 20 * time.Second
	p, err := sarama.NewSyncProducer(s.brokers, c)
	if err != nil {
		return err
	}
	defer p.Close()
	committed, aborted := 0, 0
	err = s.read(ctx, s.config(), member{func(session sarama.ConsumerGroupSession, r *sarama.ConsumerMessage) error {
		err := s.once(p, r)
		if err == nil {
			committed++
			return nil
		}
		log.Print("transaction: ", err)
		aborted++
		if p.TxnStatus()&sarama.ProducerTxnFlagFatalError != 0 {
			log.Fatal("sarama: the producer cannot go on: ", err)
		}
		if err := p.AbortTxn(); err != nil {
			log.Fatal("sarama: abort: ", err)
		}
		session.ResetOffset(r.Topic, r.Partition, r.Offset, "")
		return err // the claim ends, and begins at what is committed
	}})
	fmt.Printf("%d transactions committed, %d aborted\n", committed, aborted)
	return err
}

// once is a transaction of one record.
func (s service) once(p sarama.SyncProducer, r *sarama.ConsumerMessage) error {
	if err := p.BeginTxn(); err != nil {
		return err
	}
	if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: s.output, Key: sarama.ByteEncoder(r.Key), Value: sarama.ByteEncoder(r.Value)}); err != nil {
		return err
	}
	if err := p.AddMessageToTxn(r, s.group, nil); err != nil {
		return err
	}
	return p.CommitTxn()
}
