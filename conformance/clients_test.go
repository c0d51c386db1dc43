package conformance_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
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
	"java":            {"consumer", "eager", "cooperative", "static"},
	"franz-go":        {"cooperative", "eager", "static", "consumer"},
	"confluent-kafka": {"consumer", "eager", "cooperative", "static"},
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

	c.each("first member", members, func(m *trial) { m.a = m.start("a") })
	c.each("all partitions have a record", members, func(m *trial) { m.sees("the first member", m.a, 0) })
	c.each("second member", members, func(m *trial) { m.b = m.start("b") })
	c.each("both have records", members, func(m *trial) {
		m.until("the second member is given a record", func() bool { return m.b.records() > 0 })
		n := m.a.records()
		m.until("the first member goes on", func() bool { return m.a.records() > n })
	})
	c.each("kill -9 of the first member", members, func(m *trial) { m.a.kill() })
	now := c.produced.Load()
	c.each("the second has all partitions", members, func(m *trial) { m.sees("the second member", m.b, now) })
	if c.restart() {
		now = c.produced.Load()
		c.each("it goes on after the cluster was killed", members, func(m *trial) { m.sees("the second member", m.b, now) })
	}
	time.Sleep(*lasting)
	c.stop()
	c.each("everything was seen and is committed", members, func(m *trial) {
		m.until("every record is seen", func() bool { return m.missing() == 0 })
		m.b.signal(syscall.SIGTERM)
		m.until("the member ends", func() bool { return m.b.ended() })
		m.until("all is committed", func() bool { return m.committed() })
	})
	c.judged()
	for _, m := range members {
		t.Run(m.name, func(t *testing.T) {
			if m.failed != "" {
				t.Errorf("%s\nthe first member said:\n%s\nthe second:\n%s", m.failed, m.a.tail(), m.b.tail())
			}
		})
	}
}

// stage is a cluster with a topic, in which records are produced.
type stage struct {
	t        *testing.T
	port     int
	dir      string
	server   *process
	tap      *process // nil: clients are connected directly
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
		c.dir, c.port = t.TempDir(), freePorts(t, 3)
		c.addr = fmt.Sprintf("127.0.0.1:%d", c.port)
		c.serve()
	}
	if *tapped {
		c.tapIn()
	}
	c.client = client(t, c.addr, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordDeliveryTimeout(time.Minute))
	needsGroups(t, c.client)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 30_000
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = c.topic(), partitions, 3
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, c.client)
	require.NoError(t, err)
	require.Zero(t, resp.Topics[0].ErrorCode)
	return c
}

// tapIn puts a tap in front of the cluster.
func (c *stage) tapIn() {
	program, err := ktrial()
	require.NoError(c.t, err)
	upstream, _, _ := strings.Cut(c.addr, ",")
	c.addr = fmt.Sprintf("127.0.0.1:%d", freePorts(c.t, 4))
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

func (c *stage) serve() {
	c.server = serve(c.t, c.port, filepath.Join(c.dir, "data"), withSettings([]string{"--brokers", "3"}, quickGroups)...)
}

// restart kills the cluster and starts it again, if it is the test's own.
func (c *stage) restart() bool {
	if c.server == nil {
		return false
	}
	c.server.end(syscall.SIGKILL)
	c.serve()
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

// members are the clients that are here, in each of their modes.
func (c *stage) members() (all []*trial) {
	programs := map[string][]string{}
	out, err := exec.Command("./clients/get").Output()
	require.NoError(c.t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		words := strings.Fields(line)
		if len(words) > 2 && words[1] == "skipped:" {
			c.t.Run(words[0], func(t *testing.T) { t.Skip(strings.Join(words[2:], " ")) })
			continue
		}
		programs[words[0]] = words[1:]
	}
	if why := bring(); why == "" {
		programs["java"] = nil
	} else {
		c.t.Run("java", func(t *testing.T) { t.Skip(why) })
	}
	for name := range modes {
		program, here := programs[name]
		for i, mode := range modes[name] {
			full := name + " " + mode
			wanted := *only != "" && strings.Contains(full, *only) || *only == "" && i == 0 || *only == "all"
			if here && wanted {
				all = append(all, &trial{stage: c, name: full, client: name, mode: mode, program: program, group: fmt.Sprint(strings.ReplaceAll(full, " ", "-"), "-", c.began)})
			}
		}
	}
	slices.SortFunc(all, func(a, b *trial) int { return strings.Compare(a.name, b.name) })
	return all
}

// each does a step for all members that have not failed, side by side.
func (c *stage) each(step string, members []*trial, do func(*trial)) {
	began := time.Now()
	var wg sync.WaitGroup
	for _, m := range members {
		if m.failed != "" {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			m.step = step
			do(m)
		}()
	}
	wg.Wait()
	c.t.Logf("%s: %v", step, time.Since(began).Round(100*time.Millisecond))
}

// trial is a client in one of its modes: a group with two members.
type trial struct {
	*stage
	name, client, mode, group string
	program                   []string
	step, failed              string
	a, b                      *consumer
}

// start starts a member. Java's is Kafka's verifiable consumer.
func (m *trial) start(letter string) *consumer {
	args := append(slices.Clone(m.program), m.addr, m.topic(), m.group, m.mode)
	if m.mode == "static" {
		args = append(args, letter)
	}
	if m.client == "java" {
		args = []string{"./tool", "verifiable-consumer", "--bootstrap-server", m.addr, "--topic", m.topic(), "--group-id", m.group, "--verbose", "--reset-policy", "earliest"}
		switch m.mode {
		case "consumer":
			args = append(args, "--group-protocol", "consumer")
		case "cooperative":
			args = append(args, "--assignment-strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor")
		case "static":
			args = append(args, "--group-instance-id", letter)
		}
		if m.mode != "consumer" {
			args = append(args, "--session-timeout", "6000")
		}
	}
	c := &consumer{seen: map[int64]int32{}, latest: map[int32]int64{}, over: make(chan struct{})}
	c.cmd = exec.Command(args[0], args[1:]...)
	c.cmd.Stdout, c.cmd.Stderr = c, c
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		m.failed = err.Error()
		close(c.over)
		return c
	}
	go func() {
		c.cmd.Wait()
		close(c.over)
	}()
	m.t.Cleanup(c.kill)
	return c
}

// until waits for a condition.
func (m *trial) until(what string, holds func() bool) {
	for deadline := time.Now().Add(90 * time.Second); m.failed == "" && !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.failed = fmt.Sprintf("%s: %s: not within 90 seconds", m.step, what)
		}
	}
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

// missing counts the records that neither member was given.
func (m *trial) missing() (n int) {
	for v := range m.produced.Load() {
		if !m.a.saw(v) && !m.b.saw(v) {
			n++
		}
	}
	return n
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

// consumer is a member's program and what it said.
type consumer struct {
	cmd  *exec.Cmd
	over chan struct{}

	mu     sync.Mutex
	rest   string // of a line
	lines  []string
	seen   map[int64]int32 // numbers of records, and their partitions
	latest map[int32]int64 // the highest number of each partition
}

func (c *consumer) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := strings.Split(c.rest+string(b), "\n")
	c.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		c.read(line)
	}
	return len(b), nil
}

// read takes a line: "record PARTITION OFFSET vNUMBER", or JSON of the
// verifiable consumer.
func (c *consumer) read(line string) {
	words := strings.Fields(line)
	var told struct {
		Name, Value string
		Partition   int32
	}
	if json.Unmarshal([]byte(line), &told) == nil && told.Name == "record_data" {
		words = []string{"record", fmt.Sprint(told.Partition), "", told.Value}
	}
	if len(words) != 4 || words[0] != "record" || !strings.HasPrefix(words[3], "v") {
		c.lines = append(c.lines, line)
		return
	}
	n, err := strconv.ParseInt(words[3][1:], 10, 64)
	p, _ := strconv.ParseInt(words[1], 10, 32)
	if err != nil || n%partitions != p {
		c.lines = append(c.lines, "a record that was not sent: "+line)
		return
	}
	c.seen[n] = int32(p)
	c.latest[int32(p)] = max(c.latest[int32(p)], n)
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

func (c *consumer) tail() string {
	if c == nil {
		return "(it was not started)"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("(%d records) %s", len(c.seen), tail(strings.Join(c.lines, "\n")))
}

func (c *consumer) signal(s syscall.Signal) {
	if c.cmd.Process != nil {
		_ = syscall.Kill(-c.cmd.Process.Pid, s)
	}
}

func (c *consumer) kill() {
	c.signal(syscall.SIGKILL)
	<-c.over
}

func (c *consumer) ended() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}
