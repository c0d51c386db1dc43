// kafka-go does with segmentio/kafka-go what services do: `produce` sends numbered records,
// `group` reads as a member of a consumer group and commits. It finds its cluster in the
// environment and ends in order on SIGTERM. kafka-go has neither idempotence nor transactions.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("kafka-go: expected produce or group")
	}
	topics := strings.Split(os.Getenv("TOPICS"), ",")
	flags := flag.NewFlagSet("kafka-go", flag.ExitOnError)
	s := service{brokers: strings.Split(os.Getenv("KAFKA"), ",")}
	flags.IntVar(&s.rate, "rate", 50, "records a second")
	flags.IntVar(&s.acks, "acks", -1, "acks: -1, 0, 1")
	flags.IntVar(&s.attempts, "attempts", 10, "how often a write is tried (the default of kafka-go is 10)")
	flags.StringVar(&s.group, "group", "clerks", "group.id")
	flags.StringVar(&s.topic, "topic", topics[0], "the topic that is written or read")
	flags.Parse(os.Args[2:])
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	roles := map[string]func(context.Context) error{"produce": s.produce, "group": s.consume}
	role := roles[os.Args[1]]
	if role == nil {
		log.Fatalf("kafka-go: found %q, expected produce or group", os.Args[1])
	}
	if err := role(ctx); err != nil {
		log.Fatal("kafka-go: ", err)
	}
}

type service struct {
	brokers              []string
	rate, acks, attempts int
	group, topic         string
}

func (s service) produce(ctx context.Context) error {
	w := &kafka.Writer{
		Addr: kafka.TCP(s.brokers...), Topic: s.topic, Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequiredAcks(s.acks),
		BatchTimeout: 10 * time.Millisecond, MaxAttempts: s.attempts, Async: true,
	}
	done, failed := 0, 0
	w.Completion = func(records []kafka.Message, err error) {
		if err != nil {
			failed += len(records)
			log.Print(err)
			return
		}
		done += len(records)
	}
	sent := 0
	for tick := time.NewTicker(time.Second / time.Duration(s.rate)); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-tick.C:
			sent++
			w.WriteMessages(context.Background(), kafka.Message{
				Key: fmt.Appendf(nil, "k%d", sent%17), Value: fmt.Appendf(nil, "%s-%d at %d", os.Getenv("HOSTNAME"), sent, time.Now().UnixNano()),
			})
		}
	}
	err := w.Close()
	fmt.Printf("sent %d records, %d acknowledged, %d failed\n", sent, done, failed)
	return err
}

func (s service) consume(ctx context.Context) error {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: s.brokers, GroupID: s.group, Topic: s.topic, StartOffset: kafka.FirstOffset,
		SessionTimeout: 10 * time.Second, HeartbeatInterval: time.Second, MaxWait: 500 * time.Millisecond, IsolationLevel: kafka.ReadCommitted,
	})
	defer r.Close()
	read := 0
	for ctx.Err() == nil {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			if ctx.Err() == nil {
				log.Print("fetch: ", err)
				time.Sleep(time.Second)
			}
			continue
		}
		read++
		if err := r.CommitMessages(ctx, m); err != nil && ctx.Err() == nil {
			log.Print("commit: ", err)
		}
	}
	fmt.Printf("read %d records\n", read)
	return nil
}
