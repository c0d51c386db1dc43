package conformance_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/internal/ports"
)

var (
	only    = flag.String("clients", "", "only clients whose name and mode have this in them, such as sarama or java cooperative")
	against = flag.String("against", "", "bootstrap servers of a cluster that runs, instead of a ktrial serve of the test's own; it is not restarted")

	tapped    = flag.Bool("tap", false, "clients pass through a ktrial tap, which must accuse none of them")
	dropEvery = flag.Duration("drop-every", 0, "with -tap: all connections are broken so often")
	lasting   = flag.Duration("for", 0, "how long the clients work on before the end")
)

// modes are what each client is tried in: the first of them is its smoke.
var modes = map[string][]string{
	"java":            {"consumer", "eager", "cooperative", "static", "consumer-static", "pipeline"},
	"franz-go":        {"cooperative", "eager", "static", "consumer", "consumer-static", "pipeline"},
	"confluent-kafka": {"consumer", "eager", "cooperative", "static", "consumer-static", "pipeline"},
	"kcat":            {"eager", "cooperative", "static"},
	"sarama":          {"eager", "sticky", "static"},
	"kafka-go":        {"eager"},
	"kafkajs":         {"eager"},
	"aiokafka":        {"eager", "sticky", "static"},
}

// quickGroups are settings with which a member that was killed is missed soon.
var quickGroups = []string{
	"group.initial.rebalance.delay.ms=0",
	"group.consumer.min.session.timeout.ms=1000", "group.consumer.session.timeout.ms=6000",
	"group.consumer.min.heartbeat.interval.ms=500", "group.consumer.heartbeat.interval.ms=500",
}

func withSettings(args []string, settings []string) []string {
	for _, s := range settings {
		args = append(args, "--set", s)
	}
	return args
}

// TestClients has two members of a group consume a topic, with each client and
// in each of its modes: one of them is killed, then the whole cluster is, and in
// the end every record was seen and all offsets are committed.
func TestClients(t *testing.T) {
	if !*long {
		t.Skip("takes minutes and clients of Kafka: use conformance/run")
	}
	t.Parallel()
	c := newStage(t)
	members := c.members()
	if len(members) == 0 {
		t.Skip("none of the clients can be brought here")
	}
	c.produce()

	each(t, "first member", members, func(m *trial) { m.a = m.start("a") })
	each(t, "all partitions have a record", members, func(m *trial) { m.sees("the first member", m.a, 0) })
	each(t, "second member", members, func(m *trial) { m.b = m.start("b") })
	each(t, "both have records", members, func(m *trial) {
		m.until("the second member is given a record", func() bool { return m.b.records() > 0 })
		n := m.a.records()
		m.until("the first member goes on", func() bool { return m.a.records() > n })
	})
	each(t, "the groups are of the protocols", members, func(m *trial) {
		m.until("the group is listed with the type of its protocol", m.ofItsType)
	})
	each(t, "kill -9 of the first member", members, func(m *trial) { m.a.kill() })
	now := c.produced.Load()
	each(t, "the second has all partitions", members, func(m *trial) { m.sees("the second member", m.b, now) })
	if c.restart() {
		now = c.produced.Load()
		each(t, "it goes on after the cluster was killed", members, func(m *trial) { m.sees("the second member", m.b, now) })
	}
	if *whole && c.cluster != nil {
		c.cluster.untilKilled()
		now = c.produced.Load()
		each(t, "it goes on after each broker was killed", members, func(m *trial) { m.sees("the second member", m.b, now) })
	}
	time.Sleep(*lasting)
	c.stop()
	each(t, "everything was seen and is committed", members, func(m *trial) {
		m.until("every record is seen", func() bool { return m.missing() == 0 })
		m.b.signal(syscall.SIGTERM)
		m.until("the member ends", func() bool { return m.b.ended() })
		m.until("all is committed", func() bool { return m.committed() })
	})
	c.judged()
	for _, m := range members {
		t.Run(m.name, func(t *testing.T) {
			if m.failed != "" {
				t.Errorf("%s\nthe first member said:\n%s\nthe second:\n%s", m.failed, m.a.said(), m.b.said())
			}
		})
	}
}

// stage is a cluster with a topic, in which records are produced.
type stage struct {
	t        *testing.T
	tap      *process // nil: clients are connected directly
	cluster  *served  // nil: it is another's
	addr     string
	client   *kgo.Client
	produced atomic.Int64
	began    int64
	done     chan struct{}
	stopped  sync.WaitGroup
}

const partitions = 6

func newStage(t *testing.T) *stage {
	c := &stage{t: t, done: make(chan struct{}), addr: *against, began: time.Now().Unix()}
	if c.addr == "" {
		c.cluster = newServed(t, quickGroups...)
		c.addr = c.cluster.addr
	}
	if *tapped {
		c.tapIn()
	}
	c.client = client(t, c.addr, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordDeliveryTimeout(time.Minute))
	needsGroups(t, c.client)
	createTopic(t, c.client, c.topic(), partitions, 3)
	return c
}

// tapIn puts a tap in front of the cluster.
func (c *stage) tapIn() {
	program, err := ktrial()
	require.NoError(c.t, err)
	upstream, _, _ := strings.Cut(c.addr, ",")
	c.addr = fmt.Sprintf("127.0.0.1:%d", ports.Free(c.t, 4))
	c.tap = start(c.t, "ktrial tap", program, "tap", "--upstream", upstream, "--listen", c.addr, "--drop-every", fmt.Sprint(*dropEvery))
	c.tap.until("ready", func() bool { return strings.Contains(c.tap.out.String(), "judging what passes") })
}

// judged stops the tap: what passed through it holds, or is allowed.
func (c *stage) judged() {
	if c.tap == nil {
		return
	}
	c.tap.end(syscall.SIGINT)
	c.t.Logf("the tap says:\n%s", c.tap.out.String())
	require.Zero(c.t, c.tap.cmd.ProcessState.ExitCode())
}

// topic is one of its own, for a cluster may have been used before.
func (c *stage) topic() string { return fmt.Sprint("orders-", c.began) }

// restart kills the cluster and starts it again, if it is the test's own.
func (c *stage) restart() bool {
	if c.cluster == nil {
		return false
	}
	if *whole {
		c.cluster.killAll(rolling(c.t)...)
	} else {
		c.cluster.killAll()
	}
	return true
}

// produce writes fifty records a second, each with its number, until stop.
func (c *stage) produce() {
	c.stopped.Add(1)
	go func() {
		defer c.stopped.Done()
		for n := int64(0); ; n++ {
			r := &kgo.Record{Topic: c.topic(), Partition: int32(n % partitions), Value: []byte(fmt.Sprint("v", n))}
			if err := c.client.ProduceSync(context.Background(), r).FirstErr(); err != nil {
				c.t.Errorf("producing record %d: %v", n, err)
				return
			}
			c.produced.Store(n + 1)
			select {
			case <-c.done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	c.t.Cleanup(c.stop)
}

func (c *stage) stop() {
	select {
	case <-c.done:
	default:
		close(c.done)
	}
	c.stopped.Wait()
}

// members are the clients that are here, in each of their modes that is wanted.
func (c *stage) members() (all []*trial) {
	here, missing := programsHere()
	here = maps.Clone(here)
	if why := bring(); why == "" {
		here["java"] = nil
	} else {
		missing = maps.Clone(missing)
		missing["java"] = why
	}
	for name := range missing {
		c.t.Run(name, func(t *testing.T) { t.Skip(missing[name]) })
	}
	for name := range modes {
		program, found := here[name]
		for i, mode := range modes[name] {
			full := name + " " + mode
			wanted := *only != "" && strings.Contains(full, *only) || *only == "" && (i == 0 || *whole) || *only == "all"
			if found && wanted {
				all = append(all, &trial{attempt: attempt{name: full}, stage: c, client: name, mode: mode, program: program,
					group: fmt.Sprint(strings.ReplaceAll(full, " ", "-"), "-", c.began)})
			}
		}
	}
	slices.SortFunc(all, func(a, b *trial) int { return strings.Compare(a.name, b.name) })
	for _, m := range all {
		if m.mode == "pipeline" {
			createTopic(c.t, c.client, m.output(), partitions, 3)
		}
	}
	return all
}

// trial is a client in one of its modes: a group with two members.
type trial struct {
	attempt
	*stage
	client, mode, group string
	program             []string
	a, b                *consumer
}

// output is the topic into which a pipeline writes what it reads.
func (m *trial) output() string { return m.topic() + "-" + m.group }

// start starts a member.
func (m *trial) start(letter string) *consumer {
	args := append(slices.Clone(m.program), m.addr, m.topic(), m.group, m.mode)
	if m.mode == "pipeline" || strings.HasSuffix(m.mode, "static") {
		args = append(args, letter)
	}
	if m.client == "java" {
		args = m.java(letter)
	}
	c := &consumer{seen: map[int64]int32{}, latest: map[int32]int64{}}
	var err error
	if c.program, err = launch(m.t, c.take, args...); err != nil {
		m.failed = err.Error()
	}
	return c
}

// java is Kafka's verifiable consumer, or a pipeline of clients/java.
func (m *trial) java(letter string) []string {
	if m.mode == "pipeline" {
		if _, why := javaPrograms(); why != "" {
			m.failed = why
		}
		return javaProgram("Transactions", m.addr, m.topic(), m.group, m.mode, letter)
	}
	args := []string{"./tool", "verifiable-consumer", "--bootstrap-server", m.addr, "--topic", m.topic(), "--group-id", m.group, "--verbose", "--reset-policy", "earliest"}
	if strings.HasPrefix(m.mode, "consumer") {
		args = append(args, "--group-protocol", "consumer")
	} else {
		args = append(args, "--session-timeout", "6000")
	}
	if m.mode == "cooperative" {
		args = append(args, "--assignment-strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor")
	}
	if strings.HasSuffix(m.mode, "static") {
		args = append(args, "--group-instance-id", letter)
	}
	return args
}

// sees waits until a member is given a record of each partition that was
// produced after the first n.
func (m *trial) sees(which string, c *consumer, n int64) {
	m.until(which+" is given a record of each partition", func() bool {
		for p := range int32(partitions) {
			if last, ok := c.last(p); !ok || last < n {
				return false
			}
		}
		return true
	})
}

// missing counts the records that neither member was given; of a pipeline those that it has
// not written. What a pipeline has written twice fails it.
func (m *trial) missing() (n int) {
	if m.mode == "pipeline" {
		return m.notPiped()
	}
	for v := range m.produced.Load() {
		if !m.a.saw(v) && !m.b.saw(v) {
			n++
		}
	}
	return n
}

func (m *trial) notPiped() int {
	records, err := committedRecords(m.addr, m.output(), partitions)
	if err != nil {
		m.failed = err.Error()
		return 0
	}
	times := map[string]int{}
	for _, r := range records {
		if times[string(r.Value)]++; times[string(r.Value)] > 1 {
			m.failed = fmt.Sprintf("%s: record %s is in the output %d times at read_committed, expected once", m.step, r.Value, times[string(r.Value)])
		}
	}
	return int(m.produced.Load()) - len(times)
}

// committed reports whether all that was produced is committed.
func (m *trial) committed() bool {
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = m.group
	req.Groups = append(req.Groups, g)
	req.Group = m.group
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	resp, err := req.RequestWith(ctx, m.stage.client)
	if err != nil || len(resp.Groups) != 1 {
		return false
	}
	sum := int64(0)
	for _, t := range resp.Groups[0].Topics {
		for _, p := range t.Partitions {
			sum += p.Offset
		}
	}
	return sum == m.produced.Load()
}

// ofItsType reports whether the group is of the protocol that the mode names.
func (m *trial) ofItsType() bool {
	want := "classic"
	if strings.HasPrefix(m.mode, "consumer") {
		want = "consumer"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	resp, err := kmsg.NewPtrListGroupsRequest().RequestWith(ctx, m.stage.client)
	return err == nil && slices.ContainsFunc(resp.Groups, func(g kmsg.ListGroupsResponseGroup) bool {
		return g.Group == m.group && strings.EqualFold(g.GroupType, want)
	})
}

// consumer is a member's program and what it was given.
type consumer struct {
	*program
	seen   map[int64]int32 // numbers of records, and their partitions
	latest map[int32]int64 // the highest number of each partition
}

// take takes a line: "record PARTITION OFFSET vNUMBER", or JSON of the
// verifiable consumer.
func (c *consumer) take(line string) bool {
	words := strings.Fields(line)
	var told struct {
		Name, Value string
		Partition   int32
	}
	if json.Unmarshal([]byte(line), &told) == nil && told.Name == "record_data" {
		words = []string{"record", fmt.Sprint(told.Partition), "", told.Value}
	}
	if len(words) != 4 || words[0] != "record" || !strings.HasPrefix(words[3], "v") {
		return false
	}
	n, err := strconv.ParseInt(words[3][1:], 10, 64)
	p, _ := strconv.ParseInt(words[1], 10, 32)
	if err != nil || n%partitions != p {
		return false // it was not sent so, and is kept to be read
	}
	c.seen[n] = int32(p)
	c.latest[int32(p)] = max(c.latest[int32(p)], n)
	return true
}

func (c *consumer) records() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

func (c *consumer) saw(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.seen[n]
	return ok
}

func (c *consumer) last(p int32) (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.latest[p]
	return n, ok
}

func (c *consumer) said() string {
	if c == nil {
		return "(it was not started)"
	}
	return fmt.Sprintf("(%d records) %s", c.records(), c.tail())
}
