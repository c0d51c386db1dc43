// Package serve puts the cluster of the scenarios on the wall clock, with TCP
// in front and a directory behind, for real clients.
package serve

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/scenarios/cluster"
	"github.com/ktrial/ktrial/sim/live"
)

// Config is what a served cluster is made from.
type Config struct {
	// Brokers and Controllers are how many there are; 0: as many as the
	// directory has, three in a new one.
	Brokers, Controllers int
	// Listen is "host:port" of the first broker; the others have the ports that
	// follow. Port 0: any that are free.
	Listen string
	// Dir keeps the files of each node in a directory of the node's name.
	Dir string
	// Set is configuration by Kafka's names.
	Set map[string]string
	// Read is called with each event as it happens; nil: it is not.
	Read func(*ledger.Entry)
	// Plan is what is to strike, counted from when all brokers serve; and Topics are how
	// many partitions the topics have that it names.
	Plan   faults.Plan
	Topics map[string]int32
	// Recorded, if set, is called at the end with what clients did and saw.
	Recorded func(Recording)
	// Ready is called when all brokers serve; may be nil.
	Ready func(Cluster)
	// Notice is called, from any goroutine, with what was found damaged, was cut, set
	// aside or lost, and what is refused; may be nil.
	Notice func(string)
}

// Cluster is what clients need to know.
type Cluster struct {
	ID      string
	Brokers []string // "host:port" of each, as advertised
}

// UsageError is a mistake in the configuration: an option, or a directory or a
// port that cannot be used.
type UsageError struct{ error }

func (e UsageError) Unwrap() error { return e.error }

const (
	defaultNodes = 3
	// maxConns is how many clients may be connected to one broker.
	maxConns = 2000
	// grace is how long the shutdown of all nodes may take.
	grace = 30 * time.Second
)

// realTime is configuration that the wall clock asks for.
var realTime = map[string]string{
	// Work takes its own time.
	"ktrial.cpu.request.us":  "0",
	"ktrial.cpu.kilobyte.us": "0",
	// A user that has pressed Ctrl-C does not wait for minutes.
	"ktrial.controlled.shutdown.timeout.ms": "10000",
	// Nor does one that starts a killed cluster again: until a broker's session
	// is over, no other process may be that broker. All nodes share one thread,
	// so that a machine that stalls ends no session.
	"broker.heartbeat.interval.ms":          "500",
	"broker.session.timeout.ms":             "2000",
	"controller.quorum.election.timeout.ms": "300",
}

// Run serves until ctx ends, then shuts all nodes down in order. Other errors
// than UsageError say which node has ended and why.
func Run(ctx context.Context, cfg Config) error {
	settings := broker.DefaultSettings()
	set := maps.Clone(realTime)
	maps.Copy(set, cfg.Set)
	if err := settings.SetAll(set); err != nil {
		return UsageError{err}
	}
	if _, err := openDir(cfg.Dir, cfg.Brokers, cfg.Controllers); err != nil {
		return UsageError{err} // before there is even a lock in it
	}
	var w *live.World
	record := newRecording(func() time.Duration { return w.Now() })
	w, err := live.New(liveConfig(cfg, record))
	if err != nil {
		return UsageError{err}
	}
	defer w.Close()
	d, err := openDir(cfg.Dir, cfg.Brokers, cfg.Controllers)
	if err != nil {
		return UsageError{err}
	}
	if err := fitFew(&settings, d.brokers, cfg.Set); err != nil {
		return UsageError{err}
	}
	c := newServed(w, d, settings, cfg.Ready)
	c.addTopics(cfg.Topics)
	if len(cfg.Plan) > 0 {
		if err := c.checkPlan(cfg.Plan); err != nil {
			return UsageError{err}
		}
		c.plan = cfg.Plan
	}
	// The doors come before anything is written: a port in use is the most
	// frequent of errors.
	if err := c.openDoors(cfg.Listen); err != nil {
		return UsageError{err}
	}
	if err := d.claim(c.names()); err != nil {
		return UsageError{err}
	}
	c.start()
	if err := w.Run(ctx, c.shutdown); err != nil {
		c.fail(err)
	}
	if cfg.Recorded != nil {
		cfg.Recorded(record.finish(w.Now()))
	}
	return c.failed
}

// fitFew gives the topics of coordinators as many replicas as there are brokers, if those are
// fewer than Kafka's default of three, as the server.properties that comes with Kafka
// does: with the default they could not be created, and there would be no groups and no transactions.
func fitFew(settings *broker.Settings, brokers int, given map[string]string) error {
	if brokers >= 3 {
		return nil
	}
	for name, value := range map[string]int{
		"offsets.topic.replication.factor":         brokers,
		"transaction.state.log.replication.factor": brokers,
		"transaction.state.log.min.isr":            1,
	} {
		if _, set := given[name]; set {
			continue
		}
		if err := settings.Set(name, strconv.Itoa(value)); err != nil {
			return err
		}
	}
	return nil
}

func liveConfig(cfg Config, record *recording) live.Config {
	out := live.Config{Dir: cfg.Dir, Seed: rand.Uint64(), Read: cfg.Read, MaxConns: maxConns, Grace: grace}
	if cfg.Recorded != nil {
		out.Connected = record.connected
	}
	if cfg.Notice != nil {
		n := &notices{print: cfg.Notice}
		out.Refused = n.refused
		out.Read = func(e *ledger.Entry) {
			n.read(e)
			readFaults(e, cfg.Notice)
			if cfg.Read != nil {
				cfg.Read(e)
			}
		}
	}
	return out
}

// openDoors takes a TCP port for each broker and has it advertised.
func (c *served) openDoors(listen string) error {
	host, digits, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("listen at %q: expected HOST:PORT", listen)
	}
	first, err := strconv.ParseUint(digits, 10, 16)
	if last := 1<<16 - len(c.brokers); err != nil || int(first) > last {
		return fmt.Errorf("listen at %q: expected a port from 0 to %d for %d brokers", listen, last, len(c.brokers))
	}
	known, err := advertisedHost(host)
	if err != nil {
		return err
	}
	for i, n := range c.brokers {
		port := int(first)
		if port != 0 {
			port += i
		}
		bound, err := c.w.Expose(n.Name(), cluster.BrokerPort, net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name(), err)
		}
		_, digits, _ := net.SplitHostPort(bound)
		n.Config.Advertised = net.JoinHostPort(known, digits)
		// Brokers find each other by what is in the metadata, too: there a
		// host has no brackets.
		c.w.Network().Alias(known+":"+digits, n.Name(), cluster.BrokerPort)
	}
	return nil
}

// advertisedHost is what clients are answered for a host to listen at. To listen
// at all interfaces is nothing they could connect to: they are told the
// machine's name, as Kafka does.
func advertisedHost(host string) (string, error) {
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return host, nil
	}
	return os.Hostname()
}

// realLuck is luck that no earlier process has had, for an id that must never
// be drawn twice.
type realLuck struct{}

func (realLuck) Uint64() uint64 { return rand.Uint64() }
