package workloads

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/internal/nearest"
)

// ProduceConsume has producers that send at a steady pace and consumers that
// read all partitions by assignment. When all is over an auditor reads every
// partition once more from its beginning.
//
// Clients ask: append this record; give me what comes next. Servers owe: an
// acknowledged record stays where it was acknowledged, once, in its producer's
// order, and everybody reads the same.
type ProduceConsume struct {
	Topic     string
	Producers int
	Rate      int // records a second and producer; 0: 50
	Size      int // bytes of a record's value, at least
	Consumers int
	Duration  time.Duration // 0: 60s

	Acks       client.Acks
	Idempotent bool
	// Client is further configuration of the clients, by Kafka's names.
	Client map[string]string
}

// About is one line for `ktrial list`.
func (w ProduceConsume) About() string {
	return "producers send at a steady pace, consumers read by assignment, an auditor reads all again at the end"
}

// Lasts is how long the producers send.
func (w ProduceConsume) Lasts() time.Duration {
	if w.Duration == 0 {
		return time.Minute
	}
	return w.Duration
}

// parameters are what `--set` changes, beside Kafka's own names.
var parameters = []string{"producers", "rate", "size", "consumers", "duration"}

// Set changes a parameter, or a client configuration by Kafka's name.
func (w ProduceConsume) Set(name, value string) (Workload, error) {
	var err error
	switch name {
	case "producers":
		w.Producers, err = number(value, 0)
	case "rate":
		w.Rate, err = number(value, 1)
	case "size":
		w.Size, err = number(value, 0)
	case "consumers":
		w.Consumers, err = number(value, 0)
	case "duration":
		w.Duration, err = duration(value)
	case "acks":
		if w.Acks.Set(value) != nil {
			err = errors.New("all, 1 or 0")
		}
	case "enable.idempotence":
		if w.Idempotent, err = strconv.ParseBool(value); err != nil {
			err = errors.New("true or false")
		}
	default:
		return w.setClient(name, value)
	}
	if err != nil {
		return nil, fmt.Errorf("parameter %s: found %q, expected %w", name, value, err)
	}
	return w, nil
}

// number reads a parameter that is at least so much; its error says what was
// expected.
func number(value string, least int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least {
		return 0, fmt.Errorf("a whole number, %d or more", least)
	}
	return n, nil
}

func duration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return 0, errors.New("a duration above 0, such as 30s")
	}
	return d, nil
}

// Check refuses what the clients would refuse.
func (w ProduceConsume) Check() error {
	cfg := w.producerConfig()
	return cfg.Check()
}

func (w ProduceConsume) setClient(name, value string) (Workload, error) {
	producer, consumer := client.ProducerDefaults(), client.ConsumerDefaults()
	if !config.Has(&producer, name) && !config.Has(&consumer, name) {
		return nil, nearest.Unknown("parameter", name, w.Names())
	}
	for _, cfg := range []any{&producer, &consumer} {
		if config.Has(cfg, name) {
			if err := config.Set(cfg, name, value); err != nil {
				return nil, err
			}
		}
	}
	changed := map[string]string{name: value}
	for k, v := range w.Client {
		if k != name {
			changed[k] = v
		}
	}
	w.Client = changed
	return w, nil
}

// Names are all that Set knows.
func (w ProduceConsume) Names() []string {
	names := append([]string{}, parameters...)
	producer, consumer := client.ProducerDefaults(), client.ConsumerDefaults()
	for _, e := range append(config.Entries(&producer), config.Entries(&consumer)...) {
		names = append(names, e.Name)
	}
	return names
}

// Config says what was configured, by Kafka's names.
func (w ProduceConsume) Config() map[string]string {
	out := map[string]string{
		"acks":               w.Acks.String(),
		"enable.idempotence": strconv.FormatBool(w.Idempotent),
	}
	for name, value := range w.Client {
		out[name] = value
	}
	return out
}

// Clients are the producers, the consumers, one that asks for the ends of the
// logs, and the auditor.
func (w ProduceConsume) Clients(s *Stage) []Client {
	var out []Client
	for i := range w.Producers {
		p := &producing{w: w, s: s, name: fmt.Sprintf("p%d", i+1)}
		out = append(out, Client{Host: fmt.Sprintf("producer-%d", i+1), Role: Writer, Main: p.main})
	}
	for i := range w.Consumers {
		c := &consuming{w: w, s: s}
		out = append(out, Client{Host: fmt.Sprintf("consumer-%d", i+1), Role: Reader, Main: c.main})
	}
	ask := &asking{w: w, s: s}
	audit := &auditing{w: w, s: s}
	return append(out, Client{Host: "asker", Main: ask.main}, Client{Host: "auditor", Role: Reader, Main: audit.main})
}

// producerConfig is the client configuration that the fields stand for.
func (w ProduceConsume) producerConfig() client.ProducerConfig {
	cfg := client.ProducerDefaults()
	w.configure(&cfg)
	cfg.Acks = w.Acks
	cfg.Idempotence = w.Idempotent
	return cfg
}

func (w ProduceConsume) consumerConfig() client.ConsumerConfig {
	cfg := client.ConsumerDefaults()
	cfg.AutoOffsetReset = client.Earliest
	w.configure(&cfg)
	return cfg
}

// configure sets what cfg knows of the configuration; Set has checked it.
func (w ProduceConsume) configure(cfg any) {
	known := map[string]string{}
	for name, value := range w.Client {
		if config.Has(cfg, name) {
			known[name] = value
		}
	}
	if err := config.SetAll(cfg, known); err != nil {
		panic("workloads: client configuration: " + err.Error())
	}
}
