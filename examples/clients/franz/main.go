// franz does with franz-go what services do: `produce` sends numbered records, `group` reads
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

	"github.com/ktrial/ktrial/app/kgohook"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("franz: expected produce, group or transact")
	}
	flags := flag.NewFlagSet("franz", flag.ExitOnError)
	topics := strings.Split(os.Getenv("TOPICS"), ",")
	s := service{}
	flags.IntVar(&s.rate, "rate", 50, "records a second")
	flags.IntVar(&s.acks, "acks", -1, "acks: -1, 0, 1")
	flags.BoolVar(&s.plain, "plain", false, "without idempotence")
	flags.StringVar(&s.group, "group", "clerks", "group.id")
	flags.BoolVar(&s.modern, "modern", false, "the group protocol of KIP-848")
	flags.BoolVar(&s.eager, "eager", false, "the range assignor, instead of cooperative-sticky")
	flags.BoolVar(&s.early, "early", false, "commit before the records are processed")
	flags.DurationVar(&s.work, "work", 0, "how long a record is processed")
	flags.BoolVar(&s.tell, "tell", false, "tell what becomes of records, and which are processed")
	flags.StringVar(&s.topic, "topic", topics[0], "the topic that is written or read")
	flags.StringVar(&s.output, "output", topics[len(topics)-1], "the topic that transact writes to")
	flags.Parse(os.Args[2:])
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	roles := map[string]func(context.Context) error{"produce": s.produce, "group": s.consume, "transact": s.transact}
	role := roles[os.Args[1]]
	if role == nil {
		log.Fatalf("franz: found %q, expected produce, group or transact", os.Args[1])
	}
	if err := role(ctx); err != nil {
		log.Fatal("franz: ", err)
	}
}

type service struct {
	rate, acks                  int
	plain, modern, eager, early bool
	tell                        bool
	work                        time.Duration
	topic, group, output        string
}

func (s service) options(more ...kgo.Opt) []kgo.Opt {
	if s.tell {
		more = append(more, kgo.WithHooks(kgohook.New(os.Stdout)))
	}
	return append([]kgo.Opt{kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA"), ",")...), kgo.DefaultProduceTopic(s.topic)}, more...)
}

func (s service) produce(ctx context.Context) error {
	acks := map[int]kgo.Acks{-1: kgo.AllISRAcks(), 0: kgo.NoAck(), 1: kgo.LeaderAck()}
	options := s.options(kgo.RequiredAcks(acks[s.acks]))
	if s.plain || s.acks != -1 {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	sent, failed := 0, 0
	tick := time.NewTicker(time.Second / time.Duration(s.rate))
	for {
		select {
		case <-ctx.Done():
			err := client.Flush(context.Background())
			fmt.Printf("sent %d records, %d failed\n", sent, failed)
			return err
		case <-tick.C:
		}
		sent++
		r := &kgo.Record{Key: fmt.Appendf(nil, "k%d", sent%17), Value: fmt.Appendf(nil, "%s-%d at %d", os.Getenv("HOSTNAME"), sent, time.Now().UnixNano())}
		client.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed++
			}
		})
	}
}

func (s service) member() []kgo.Opt {
	options := []kgo.Opt{
		kgo.ConsumerGroup(s.group), kgo.ConsumeTopics(s.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.SessionTimeout(10 * time.Second), kgo.HeartbeatInterval(time.Second),
	}
	if s.modern {
		options = append(options, kgo.ServerSideBalancer())
	}
	if s.eager {
		options = append(options, kgo.Balancers(kgo.RangeBalancer()))
	}
	return options
}

func (s service) consume(ctx context.Context) error {
	client, err := kgo.NewClient(s.options(append(s.member(), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll())...)...)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	read := 0
	for ctx.Err() == nil {
		fetched := client.PollFetches(ctx)
		if s.early {
			s.commit(ctx, client)
		}
		fetched.EachRecord(func(r *kgo.Record) {
			s.process(r)
			read++
		})
		if !s.early {
			s.commit(ctx, client)
		}
		client.AllowRebalance()
	}
	fmt.Printf("read %d records\n", read)
	return nil
}

// process is what is done for a record.
func (s service) process(r *kgo.Record) {
	tell := func(as string) {
		if s.tell {
			fmt.Printf("ktrial {\"type\":%q,\"process\":0,\"f\":\"process\",\"group\":%q,\"value\":[[\"processed\",\"%s/%d\",%d]]}\n", as, s.group, r.Topic, r.Partition, r.Offset)
		}
	}
	tell("invoke")
	time.Sleep(s.work)
	tell("ok")
}

func (s service) commit(ctx context.Context, client *kgo.Client) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := client.CommitUncommittedOffsets(ctx); err != nil && !errors.Is(err, context.Canceled) {
		log.Print("commit: ", err)
	}
}

func (s service) transact(ctx context.Context) error {
	session, err := kgo.NewGroupTransactSession(s.options(append(s.member(),
		kgo.TransactionalID("t-"+os.Getenv("HOSTNAME")), kgo.TransactionTimeout(20*time.Second), kgo.RequireStableFetchOffsets())...)...)
	if err != nil {
		return err
	}
	defer session.Close()
	committed, aborted := 0, 0
	for ctx.Err() == nil {
		fetched := session.PollFetches(ctx)
		if fetched.NumRecords() == 0 {
			continue
		}
		if err := session.Begin(); err != nil {
			return err
		}
		fetched.EachRecord(func(r *kgo.Record) {
			session.Produce(context.Background(), &kgo.Record{Topic: s.output, Key: r.Key, Value: r.Value}, nil)
		})
		done, err := session.End(context.Background(), kgo.TryCommit)
		switch {
		case err != nil:
			log.Print("transaction: ", err)
			return err
		case done:
			committed++
		default:
			aborted++
		}
	}
	fmt.Printf("%d transactions committed, %d aborted\n", committed, aborted)
	return nil
}
