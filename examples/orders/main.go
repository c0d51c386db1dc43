// orders takes orders and writes each to a topic. It is an ordinary service: it knows
// nothing of ktrial, finds its cluster in the environment, and ends in order on SIGTERM.
//
// Run with -fast it does what many a service was once told to do for its throughput,
// and has two mistakes for it: the leader alone acknowledges an order, and a batch
// whose answer was lost is written again, for the brokers to take twice.
//
// Two more mistakes are those of the service, not of its client, and are seen only if the
// service says what it promises its customers (-tell, a line for each order): with -hasty a
// customer is thanked before the order is written, and nobody looks at the error; with
// -again an order that is not acknowledged within two seconds is written once more.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	var s service
	rate := flag.Int("rate", 50, "orders a second")
	fast := flag.Bool("fast", false, "acks=1, without idempotence")
	flag.BoolVar(&s.hasty, "hasty", false, "thank the customer at once, and give an order up that is not written within three seconds")
	flag.BoolVar(&s.again, "again", false, "write an order once more that is not acknowledged within two seconds")
	flag.BoolVar(&s.tell, "tell", false, "say what customers are promised, as docs/your-own-program.md has it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := s.run(ctx, *rate, *fast); err != nil {
		log.Fatal(err)
	}
}

type service struct {
	hasty, again, tell bool

	client  *kgo.Client
	name    string // of this start
	taken   int
	waiting sync.WaitGroup // for orders that are on their way

	mu     sync.Mutex
	failed int
}

func (s *service) run(ctx context.Context, rate int, fast bool) error {
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA"), ",")...),
		kgo.DefaultProduceTopic("orders"),
	}
	if fast {
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	if s.hasty {
		options = append(options, kgo.RecordDeliveryTimeout(3*time.Second))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	s.client, s.name = client, fmt.Sprintf("%s.%d", os.Getenv("HOSTNAME"), time.Now().UnixMilli())
	for tick := time.NewTicker(time.Second / time.Duration(rate)); ; {
		select {
		case <-ctx.Done():
			s.waiting.Wait()
			fmt.Printf("took %d orders, %d failed\n", s.taken, s.failed)
			return nil
		case <-tick.C:
		}
		s.taken++
		s.take(s.taken)
	}
}

// take takes an order.
func (s *service) take(n int) {
	s.promise(n, "invoke", nil)
	if s.hasty {
		s.promise(n, "ok", nil)
	}
	s.waiting.Add(1)
	written := make(chan error, 2)
	s.write(n, written)
	go func() {
		defer s.waiting.Done()
		var patience <-chan time.Time
		if s.again {
			patience = time.After(2 * time.Second)
		}
		select {
		case err := <-written:
			s.written(n, err)
		case <-patience:
			s.write(n, written)
			s.written(n, <-written)
		}
	}()
}

// write writes an order, and says on the channel how that ended.
func (s *service) write(n int, written chan<- error) {
	order := &kgo.Record{
		Key:   fmt.Appendf(nil, "customer-%d", n%17),
		Value: fmt.Appendf(nil, "%s order %d at %d", os.Getenv("HOSTNAME"), n, time.Now().UnixMilli()),
	}
	if s.tell {
		order.Headers = []kgo.RecordHeader{{Key: "ktrial", Value: []byte(s.number(n))}}
	}
	s.client.Produce(context.Background(), order, func(_ *kgo.Record, err error) { written <- err })
}

func (s *service) written(n int, err error) {
	if err != nil {
		s.mu.Lock()
		s.failed++
		s.mu.Unlock()
		log.Print("order failed: ", err)
	}
	if !s.hasty {
		s.promise(n, "ok", err)
	}
}

// number is an order's: no other has it, of whatever start.
func (s *service) number(n int) string { return fmt.Sprintf("order %s.%d", s.name, n) }

// promise says what is promised to the customer of an order. After an error the order may
// have been written.
func (s *service) promise(n int, what string, err error) {
	if err != nil {
		what = "info"
	}
	if s.tell {
		fmt.Printf("ktrial {\"type\":%q,\"process\":%d,\"f\":\"send\",\"value\":[[\"send\",\"orders\",%q]]}\n", what, n, s.number(n))
	}
}
