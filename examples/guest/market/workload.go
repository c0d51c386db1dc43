package market

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/workloads"
)

// Market is shops that place orders, and a clerk that invoices them.
type Market struct {
	Shops  int
	Orders int           // of each shop
	Pace   time.Duration // between two orders of a shop
	// Forgetful plants a mistake: the clerk does not look which orders it has
	// invoiced before it was started again.
	Forgetful bool
}

// Name is how `list` names it.
func (m Market) Name() string { return "market" }

// About is one line for `list`.
func (m Market) About() string { return "shops place orders, a clerk writes an invoice for each" }

// Lasts is the length of the safety phase.
func (m Market) Lasts() time.Duration { return time.Duration(m.Orders)*m.Pace + 2*time.Second }

// UsesTopics are what the scenario must have.
func (m Market) UsesTopics() []string { return []string{"orders", "invoices"} }

// Set, Check, Names and Config make the mistake a parameter: --set clerk=forgetful.
func (m Market) Set(name, value string) (workloads.Workload, error) {
	if name != "clerk" {
		return workloads.Set(nil, name, value) // says that it is unknown
	}
	switch value {
	case "careful":
		m.Forgetful = false
	case "forgetful":
		m.Forgetful = true
	default:
		return nil, fmt.Errorf("clerk: found %q, expected careful or forgetful", value)
	}
	return m, nil
}

func (m Market) Check() error              { return nil }
func (m Market) Names() []string           { return []string{"clerk"} }
func (m Market) Config() map[string]string { return nil }

// Clients are the shops, the clerk, and an auditor that reads both topics once
// more when all is over.
func (m Market) Clients(s *workloads.Stage) []workloads.Client {
	var clients []workloads.Client
	for i := range m.Shops {
		shop := &shop{m: m, s: s, number: i + 1}
		clients = append(clients, workloads.Client{Host: fmt.Sprintf("shop-%d", i+1), Role: workloads.Writes, Main: shop.main})
	}
	clerk := &clerk{m: m, s: s}
	audit := func(h env.Host) {
		for !s.Draining() {
			h.Sleep(time.Second)
		}
		r := must(s.NewReader(h, consumer(), "orders", "invoices"))
		r.ReadUntil(func() bool { return r.Reached(s.Ends()) })
		r.Close()
	}
	return append(clients,
		workloads.Client{Host: "clerk", Role: workloads.Writes, Main: clerk.main},
		workloads.Client{Host: "auditor", Role: workloads.Reads, Main: audit})
}

// shop places its orders, one after another, and says when there are no more.
type shop struct {
	m      Market
	s      *workloads.Stage
	number int
}

func (p *shop) main(h env.Host) {
	p.s.AwaitWork(h)
	w := must(p.s.NewWriter(h, h.Name(), producer()))
	for i := range p.m.Orders {
		w.Send(p.partition("orders", i), fmt.Sprintf("order %d-%d", p.number, i), 0, nil)
		h.Sleep(p.m.Pace)
	}
	w.Close()
}

func (p *shop) partition(topic string, i int) kafka.TopicPartition {
	return kafka.TopicPartition{Topic: topic, Partition: int32(i) % p.s.Topics[topic]}
}

// clerk writes an invoice for each order, over all lives of its process. Only
// lives is kept from one to the next, to distinguish the invoices.
type clerk struct {
	m     Market
	s     *workloads.Stage
	lives int
}

func (c *clerk) main(h env.Host) {
	c.s.AwaitWork(h)
	c.lives++
	w := must(c.s.NewWriter(h, fmt.Sprintf("clerk-%d", c.lives), producer()))
	invoiced := map[string]bool{}
	if !c.m.Forgetful {
		invoiced = c.remember(h)
	}
	earlier := len(invoiced)
	r := must(c.s.NewReader(h, consumer(), "orders"))
	for dealt := map[string]bool{}; len(dealt) < c.m.Shops*c.m.Orders; {
		for _, record := range r.Poll() {
			order := strings.TrimPrefix(string(workloads.ValueOf(&record)), "order ")
			dealt[order] = true
			if invoiced[order] {
				if earlier > 0 {
					h.Reached(Remembered)
				}
				continue
			}
			invoiced[order] = true
			to := kafka.TopicPartition{Topic: "invoices", Partition: record.Partition.Partition}
			w.Send(to, invoice(order, c.lives), 0, nil)
		}
	}
	w.Close()
	r.Close()
}

// remember reads which orders have been invoiced. Invoices of an earlier life may
// still be on their way, so it first waits longer than a request can take; then
// it reads to where the log ends at that moment.
func (c *clerk) remember(h env.Host) map[string]bool {
	if c.lives > 1 {
		h.Sleep(settle)
	}
	ends := c.ends(h)
	invoiced := map[string]bool{}
	r := must(c.s.NewReader(h, consumer(), "invoices"))
	for !r.Reached(ends) {
		for _, record := range r.Poll() {
			order, _, _ := strings.Cut(strings.TrimPrefix(string(workloads.ValueOf(&record)), "invoice for "), " by life ")
			invoiced[order] = true
		}
	}
	r.Close()
	return invoiced
}

// settle is longer than what a client sent before it died can take to be
// appended.
const settle = 10 * time.Second

// ends asks where the log of invoices ends, until it is answered for every partition.
func (c *clerk) ends(h env.Host) map[kafka.TopicPartition]kafka.Offset {
	admin := client.New(h, c.s.Bootstrap, h.Name()).NewAdmin(client.AdminDefaults())
	defer admin.Close()
	ask := map[kafka.TopicPartition]client.OffsetSpec{}
	for p := range c.s.Topics["invoices"] {
		ask[kafka.TopicPartition{Topic: "invoices", Partition: p}] = client.EndOfLog
	}
	ends := map[kafka.TopicPartition]kafka.Offset{}
	for len(ends) < len(ask) {
		answers, err := admin.ListOffsets(client.ReadUncommitted, ask)
		for tp, answer := range answers {
			if err == nil && answer.Err == nil {
				ends[tp] = answer.Offset
			}
		}
		h.Sleep(time.Second)
	}
	return ends
}

func invoice(order string, life int) string {
	return "invoice for " + order + " by life " + strconv.Itoa(life)
}

func producer() client.ProducerConfig {
	cfg := client.ProducerDefaults()
	cfg.Acks, cfg.Idempotence = client.AcksAll, true
	return cfg
}

func consumer() client.ConsumerConfig {
	cfg := client.ConsumerDefaults()
	cfg.AutoOffsetReset = client.Earliest
	return cfg
}

func must[T any](v T, err error) T {
	if err != nil {
		panic("market: " + err.Error()) // the configuration is ours
	}
	return v
}
