package workloads

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/internal/nearest"
)

// ProduceConsume has producers that send at a steady pace and consumers that
// read all partitions by assignment. When all is over an auditor reads every
// partition once more from its beginning.
//
// Clients ask: append this record; give me what comes next. Servers owe: an
// acknowledged record stays where it was acknowledged, once, in its producer's
// order, and all consumers read the same.
type ProduceConsume struct {
	Topic string
	// Also are further topics, which are used as the first is.
	Also      []string
	Producers int
	Rate      int // records a second and producer; 0: 50
	Size      int // bytes of a record's value, at least
	Consumers int
	// Restless consumers seek, pause, are assigned other partitions, commit and go on from there.
	Restless int
	// Admins make topics of their own, grow, configure, trim, move and delete them.
	Admins   int
	Duration time.Duration // 0: 60s

	Acks       client.Acks
	Idempotent bool
	// Client is further configuration of the clients, by Kafka's names.
	Client map[string]string
}

// Name is how `ktrial list` names it.
func (w ProduceConsume) Name() string { return "produce-consume" }

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

// UsesTopics are the topic and the further ones.
func (w ProduceConsume) UsesTopics() []string { return append([]string{w.Topic}, w.Also...) }

// parameters are what `--set` changes, beside Kafka's own names.
var parameters = []string{"producers", "rate", "size", "consumers", "restless", "admins", "duration"}

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
	case "restless":
		w.Restless, err = number(value, 0)
	case "admins":
		w.Admins, err = number(value, 0)
	case "duration":
		w.Duration, err = duration(value)
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

// Check refuses what the clients would refuse, in Kafka's words.
func (w ProduceConsume) Check() error {
	for _, name := range slices.Sorted(maps.Keys(w.Client)) {
		if config.Find(config.Producer, name) == nil && config.Find(config.Consumer, name) == nil {
			return nearest.Unknown("config", name, w.Names())
		}
	}
	if _, err := client.ReadProducer(w.given(config.Producer)); err != nil {
		return err
	}
	cfg, err := client.ReadConsumer(w.given(config.Consumer))
	if err == nil && cfg.AutoOffsetReset == client.NoReset {
		return errors.New("auto.offset.reset=none: the consumers have no group, so that there is no position for them to begin at, and every poll would fail")
	}
	return err
}

// setClient sets a configuration of producers, of consumers, or of both.
func (w ProduceConsume) setClient(name, value string) (Workload, error) {
	kinds := []config.Kind{config.Producer, config.Consumer}
	known := false
	for _, kind := range kinds {
		d := config.Find(kind, name)
		if d == nil {
			continue
		}
		known = true
		if _, err := d.Parse(value); err != nil {
			return nil, err
		}
	}
	if !known {
		return nil, nearest.Unknown("parameter", name, w.Names())
	}
	w.Client = maps.Clone(w.Client)
	if w.Client == nil {
		w.Client = map[string]string{}
	}
	switch name {
	case "acks":
		delete(w.Client, name)
		if err := w.Acks.Set(strings.TrimSpace(value)); err != nil {
			return nil, err
		}
	case "enable.idempotence":
		delete(w.Client, name)
		w.Idempotent = strings.EqualFold(strings.TrimSpace(value), "true")
	default:
		w.Client[name] = value
	}
	return w, nil
}

// given is the configuration of the producers or of the consumers, by Kafka's
// names.
func (w ProduceConsume) given(kind config.Kind) map[string]string {
	out := map[string]string{}
	if kind == config.Producer {
		out["acks"], out["enable.idempotence"] = w.Acks.String(), strconv.FormatBool(w.Idempotent)
	} else {
		out["auto.offset.reset"] = client.Earliest.String()
	}
	for name, value := range w.Client {
		if config.Find(kind, name) != nil {
			out[name] = value
		}
	}
	return out
}

// Names are all that Set knows.
func (w ProduceConsume) Names() []string {
	return slices.Concat(parameters, config.Names(config.Producer), config.Names(config.Consumer))
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
		out = append(out, Client{Host: fmt.Sprintf("producer-%d", i+1), Role: Writes, Main: p.main})
	}
	for i := range w.Consumers {
		c := &consuming{w: w, s: s}
		out = append(out, Client{Host: fmt.Sprintf("consumer-%d", i+1), Role: Reads, Main: c.main})
	}
	for i := range w.Restless {
		c := &restless{w: w, s: s, group: fmt.Sprintf("restless-%d", i+1), committed: map[kafka.TopicPartition]*register[kafka.Offset]{}}
		out = append(out, Client{Host: c.group, Compares: true, Main: c.main})
	}
	for i := range w.Admins {
		a := &administering{w: w, s: s, name: fmt.Sprintf("a%d", i+1)}
		out = append(out, Client{Host: fmt.Sprintf("admin-%d", i+1), Compares: true, Main: a.main})
	}
	ask := &asking{w: w, s: s, stable: w.Client["isolation.level"] == client.ReadCommitted.String()}
	audit := &auditing{w: w, s: s}
	return append(out, Client{Host: "asker", Main: ask.main}, Client{Host: "auditor", Role: Reads, Main: audit.main})
}

// producerConfig is the producers' configuration; Check has seen it.
func (w ProduceConsume) producerConfig() client.ProducerConfig {
	return checked(client.ReadProducer(w.given(config.Producer)))
}

func (w ProduceConsume) consumerConfig() client.ConsumerConfig {
	return checked(client.ReadConsumer(w.given(config.Consumer)))
}

func checked[C any](cfg C, err error) C {
	if err != nil {
		panic("workloads: client configuration: " + err.Error())
	}
	return cfg
}
