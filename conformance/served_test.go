package conformance_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/internal/ports"
)

// served is a ktrial serve with three brokers that is killed and started again
// under its clients.
type served struct {
	t    *testing.T
	port int
	dir  string
	addr string
	args []string
	*process
}

func newServed(t *testing.T, settings ...string) *served {
	t.Helper()
	c := &served{t: t, port: ports.Free(t, 3), dir: t.TempDir(), args: withSettings([]string{"--brokers", "3"}, settings)}
	c.addr = fmt.Sprintf("127.0.0.1:%d", c.port)
	c.process = serve(t, c.port, filepath.Join(c.dir, "data"), c.args...)
	return c
}

// killAll kills all nodes at once, with -9, and starts them again.
func (c *served) killAll(args ...string) {
	c.t.Helper()
	c.process.end(syscall.SIGKILL)
	c.process = serve(c.t, c.port, filepath.Join(c.dir, "data"), append(slices.Clone(c.args), args...)...)
}

// brokersKilled is how often a broker of the rolling plan was killed.
func (c *served) brokersKilled() int { return strings.Count(c.out.String(), "fault: kill broker-") }

const rollingKills = 3

// rolling is a plan that kills one broker after the other. Clients are connected to all
// of them, and each coordinates and leads something.
func rolling(t *testing.T) []string {
	t.Helper()
	plan := filepath.Join(t.TempDir(), "plan.txt")
	require.NoError(t, os.WriteFile(plan, []byte("at 2s for 2s: kill broker-1\nat 7s for 2s: kill broker-2\nat 12s for 2s: kill broker-3\n"), 0o644))
	return []string{"--plan", plan}
}

// untilKilled waits until the plan is over and the last broker is back.
func (c *served) untilKilled() {
	c.t.Helper()
	c.until("each broker was killed once", func() bool { return c.brokersKilled() == rollingKills })
	time.Sleep(4 * time.Second)
}

// createTopic makes a topic with three replicas, and fails the test if it cannot.
func createTopic(t *testing.T, c *kgo.Client, name string, partitions int32, replicas int16) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 30_000
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, replicas
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, c)
	require.NoError(t, err)
	require.Zero(t, resp.Topics[0].ErrorCode, "topic %s", name)
}

// isolation levels of ListOffsets.
const (
	readUncommitted = 0
	readCommitted   = 1
)

// ends are the offsets at which the partitions of a topic end, at an isolation level.
func ends(ctx context.Context, c *kgo.Client, topic string, partitions int32, isolation int8) (map[int32]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, isolation
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for p := range partitions {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p, -1, -1
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, c)
	if err != nil {
		return nil, err
	}
	out := map[int32]int64{}
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			if rp.ErrorCode != 0 {
				return nil, fmt.Errorf("ListOffsets of %s/%d: error %d", topic, rp.Partition, rp.ErrorCode)
			}
			out[rp.Partition] = rp.Offset
		}
	}
	if len(out) != int(partitions) {
		return nil, fmt.Errorf("ListOffsets of %s: %d partitions answered, expected %d", topic, len(out), partitions)
	}
	return out, nil
}

// committedRecords reads a topic from its start to its end at read_committed, each partition in
// its order. It waits until no transaction is open there: one that stays open for a minute is an error.
func committedRecords(addr, topic string, partitions int32) ([]*kgo.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	end, err := stableEnds(ctx, c, topic, partitions)
	if err != nil {
		return nil, err
	}
	left := 0
	for _, o := range end {
		if o > 0 {
			left++
		}
	}
	var records []*kgo.Record
	for left > 0 {
		fetches := c.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("reading %s to its ends %v: %d records, then %w", topic, end, len(records), err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset >= end[r.Partition] {
				return
			}
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
			if r.Offset == end[r.Partition]-1 {
				left--
			}
		})
	}
	return records, nil
}

// stableEnds waits until the last stable offset of each partition is its high watermark.
func stableEnds(ctx context.Context, c *kgo.Client, topic string, partitions int32) (map[int32]int64, error) {
	deadline := time.Now().Add(time.Minute)
	for {
		high, err := ends(ctx, c, topic, partitions, readUncommitted)
		if err == nil {
			var stable map[int32]int64
			if stable, err = ends(ctx, c, topic, partitions, readCommitted); err == nil {
				same := true
				for p := range high {
					same = same && high[p] == stable[p]
				}
				if same {
					return stable, nil
				}
				err = fmt.Errorf("%s: last stable offsets %v, high watermarks %v: a transaction stays open", topic, stable, high)
			}
		}
		if time.Now().After(deadline) {
			return nil, err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// program is a client's program and what it said.
type program struct {
	cmd  *exec.Cmd
	over chan struct{}

	mu    sync.Mutex
	rest  string // of a line
	lines []string
	read  func(line string) (taken bool) // with mu held; what it does not take is kept
}

// launch starts a program in a process group of its own. read is called with each line that it
// says; nil: all are kept.
func launch(t *testing.T, read func(string) bool, args ...string) (*program, error) {
	p := &program{over: make(chan struct{}), read: read, cmd: exec.Command(args[0], args[1:]...)}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		close(p.over)
		return p, err
	}
	go func() {
		p.cmd.Wait()
		close(p.over)
	}()
	t.Cleanup(p.kill)
	return p, nil
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := strings.Split(p.rest+string(b), "\n")
	p.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		if p.read == nil || !p.read(line) {
			p.lines = append(p.lines, line)
		}
	}
	return len(b), nil
}

func (p *program) tail() string {
	if p == nil {
		return "(it was not started)"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return tail(strings.Join(p.lines, "\n"))
}

func (p *program) signal(s syscall.Signal) {
	if p.cmd.Process != nil {
		_ = syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

func (p *program) kill() {
	p.signal(syscall.SIGKILL)
	<-p.over
}

func (p *program) ended() bool {
	select {
	case <-p.over:
		return true
	default:
		return false
	}
}

// attempt is what a client has come to in a test of many: its step, and why it failed.
type attempt struct {
	name, step, failed string
}

func (a *attempt) self() *attempt { return a }

// until waits for a condition.
func (a *attempt) until(what string, holds func() bool) {
	for deadline := time.Now().Add(90 * time.Second); a.failed == "" && !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			a.failed = fmt.Sprintf("%s: %s: not within 90 seconds", a.step, what)
		}
	}
}

// each does a step for all that have not failed, side by side.
func each[T interface{ self() *attempt }](t *testing.T, step string, all []T, do func(T)) {
	began := time.Now()
	var wg sync.WaitGroup
	for _, x := range all {
		if x.self().failed != "" {
			continue
		}
		wg.Go(func() {
			x.self().step = step
			do(x)
		})
	}
	wg.Wait()
	t.Logf("%s: %v", step, time.Since(began).Round(100*time.Millisecond))
}

// programsHere are the clients' programs by the client's name, and why others are not here.
var programsHere = sync.OnceValues(func() (here map[string][]string, missing map[string]string) {
	here, missing = map[string][]string{}, map[string]string{}
	out, err := exec.Command("./clients/get").Output()
	if err != nil {
		missing["clients/get"] = err.Error()
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		words := strings.Fields(line)
		if len(words) > 2 && words[1] == "skipped:" {
			missing[words[0]] = strings.Join(words[2:], " ")
		} else if len(words) > 1 {
			here[words[0]] = words[1:]
		}
	}
	return here, missing
})

// javaPrograms is the directory of the compiled classes of clients/java, or why there is none.
var javaPrograms = sync.OnceValues(func() (dir, why string) {
	if why := bring(); why != "" {
		return "", why
	}
	if _, err := exec.LookPath("javac"); err != nil {
		return "", "javac is not installed, which compiles the programs of clients/java"
	}
	lib, err := exec.Command("./get").Output()
	if err != nil {
		return "", "Apache Kafka cannot be brought here: " + err.Error()
	}
	dir, err = programDir()
	if err != nil {
		return "", err.Error()
	}
	sources, err := filepath.Glob("clients/java/*.java")
	if err != nil {
		return "", err.Error()
	}
	args := append([]string{"-proc:none", "-cp", strings.TrimSpace(string(lib)) + "/*", "-d", dir}, sources...)
	if out, err := exec.Command("javac", args...).CombinedOutput(); err != nil {
		return "", fmt.Sprintf("javac does not compile the programs of clients/java: %v: %s", err, tail(string(out)))
	}
	return dir, ""
})

// javaProgram is the command that runs a class of clients/java.
func javaProgram(class string, args ...string) []string {
	dir, _ := javaPrograms()
	return append([]string{"env", "KAFKA_CP=" + dir, "KAFKA_LOG=ERROR", "./tool", "ktrial." + class}, args...)
}
