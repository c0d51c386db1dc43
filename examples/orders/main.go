// orders takes orders and writes each to a topic. It is an ordinary service: it knows
// nothing of ktrial, finds its cluster in the environment, and ends in order on SIGTERM.
//
// Run with -fast it does what many a service was once told to do for its throughput,
// and has two mistakes for it: the leader alone acknowledges an order, and a batch
// whose answer was lost is written again, for the brokers to take twice.
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

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	rate := flag.Int("rate", 50, "orders a second")
	fast := flag.Bool("fast", false, "acks=1, without idempotence")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *rate, *fast); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, rate int, fast bool) error {
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA"), ",")...),
		kgo.DefaultProduceTopic("orders"),
	}
	if fast {
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	taken, failed := 0, 0
	for tick := time.NewTicker(time.Second / time.Duration(rate)); ; {
		select {
		case <-ctx.Done():
			err := client.Flush(context.Background())
			fmt.Printf("took %d orders, %d failed\n", taken, failed)
			return err
		case <-tick.C:
		}
		taken++
		order := &kgo.Record{
			Key:   fmt.Appendf(nil, "customer-%d", taken%17),
			Value: fmt.Appendf(nil, "%s order %d at %d", os.Getenv("HOSTNAME"), taken, time.Now().UnixMilli()),
		}
		client.Produce(context.Background(), order, func(_ *kgo.Record, err error) {
			if err != nil {
				failed++
				log.Print("order failed: ", err)
			}
		})
	}
}
