package conformance_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/ktrial/ktrial/internal/ports"
)

// What ktrial serve may cost beside kfake, which keeps all in memory.
const (
	produceRatio = 1.4
	consumeRatio = 2.0
	memoryRatio  = 0.1
)

// load is what a server cost: the processor time of its process, and its memory.
type load struct {
	produce, consume time.Duration // user and system time of the server
	resident         int64         // bytes at most
}

// TestBesideKfake produces incompressible records of 1 kB to one broker and consumes them in a group,
// at franz-go's kfake and at ktrial serve in turn, and compares what the two processes cost.
func TestBesideKfake(t *testing.T) {
	atLength(t)
	kfake, err := buildKfake()
	if err != nil {
		t.Skipf("go build of kfake: %v", err)
	}
	t.Parallel()
	records, rounds := 100_000, 1
	if *whole {
		records, rounds = 500_000, 3
	}
	var theirs, ours []load
	for range rounds {
		port := ports.Free(t, 1)
		p := start(t, "kfake", kfake, fmt.Sprint(port))
		p.until("ready", func() bool { return strings.Contains(p.out.String(), "ready") })
		theirs = append(theirs, measure(t, p, port, records))

		port = ports.Free(t, 1)
		p = serve(t, port, filepath.Join(t.TempDir(), "data"), "--brokers", "1", "--controllers", "1", "--set", "group.initial.rebalance.delay.ms=0")
		ours = append(ours, measure(t, p, port, records))
	}
	k, o := median(theirs), median(ours)
	per := func(d time.Duration) string {
		return fmt.Sprintf("%.2f us", float64(d.Nanoseconds())/1000/float64(records))
	}
	ratio := func(a, b time.Duration) float64 { return float64(a) / float64(b) }
	t.Logf("%d records of 1 kB, %d rounds, medians", records, rounds)
	t.Logf("%-30s %12s %12s %6s", "", "kfake", "ktrial serve", "ratio")
	t.Logf("%-30s %12s %12s %6.2f", "processor per record produced", per(k.produce), per(o.produce), ratio(o.produce, k.produce))
	t.Logf("%-30s %12s %12s %6.2f", "processor per record consumed", per(k.consume), per(o.consume), ratio(o.consume, k.consume))
	t.Logf("%-30s %9d MB %9d MB %6.2f", "resident memory", k.resident>>20, o.resident>>20, float64(o.resident)/float64(k.resident))
	assert.LessOrEqual(t, ratio(o.produce, k.produce), produceRatio, "processor per record produced")
	assert.LessOrEqual(t, ratio(o.consume, k.consume), consumeRatio, "processor per record consumed in a group")
	if *whole { // of few records kfake keeps little
		assert.LessOrEqual(t, float64(o.resident)/float64(k.resident), memoryRatio, "resident memory")
	}
}

func buildKfake() (string, error) {
	dir, err := programDir()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "kfake")
	cmd := exec.Command("go", "build", "-o", file, ".")
	cmd.Dir = "clients/kfake"
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, lastLine(out))
	}
	return file, nil
}

// median takes the median of each figure.
func median(all []load) load {
	middle := func(of func(load) int64) int64 {
		var xs []int64
		for _, l := range all {
			xs = append(xs, of(l))
		}
		slices.Sort(xs)
		return xs[len(xs)/2]
	}
	return load{
		produce:  time.Duration(middle(func(l load) int64 { return int64(l.produce) })),
		consume:  time.Duration(middle(func(l load) int64 { return int64(l.consume) })),
		resident: middle(func(l load) int64 { return l.resident }),
	}
}

const recordSize = 1000

// measure produces and consumes at a server that nothing else uses, then ends it.
func measure(t *testing.T, p *process, port, records int) load {
	t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	if !*whole { // of few records the first ones are a large part, for which internal topics are made
		measureTopic(t, p, addr, "warm", records/5)
	}
	l := measureTopic(t, p, addr, "load", records)
	p.end(syscall.SIGTERM)
	return l
}

func measureTopic(t *testing.T, p *process, addr, topic string, records int) (l load) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	producer := client(t, addr, kgo.DefaultProduceTopic(topic))
	createTopic(t, producer, topic, partitions, 1)
	noise := make([]byte, 16<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)

	before := cpu(t, p)
	for range records {
		at := rand.IntN(len(noise) - recordSize)
		producer.Produce(ctx, &kgo.Record{Value: noise[at : at+recordSize]}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	require.NoError(t, producer.Flush(ctx))
	l.produce = cpu(t, p) - before
	producer.Close()

	before = cpu(t, p)
	member := client(t, addr, kgo.ConsumerGroup("group-"+topic), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for read := 0; read < records; {
		fetches := member.PollFetches(ctx)
		require.NoError(t, ctx.Err(), "%d of %d records were consumed", read, records)
		read += fetches.NumRecords()
	}
	require.NoError(t, member.CommitUncommittedOffsets(ctx))
	member.Close()
	l.consume = cpu(t, p) - before
	l.resident = resident(t, p)
	return l
}

// cpu is the user and system time that a process has taken.
func cpu(t *testing.T, p *process) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("there is no /proc, from which the processor time of a process is read: %v", err)
	}
	// The name, in parentheses, may have blanks; user and system time are the 12th and 13th field behind it.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ticks := int64(0)
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // a tick is 10 ms, see proc(5)
}

// resident is how much memory a process had at most.
func resident(t *testing.T, p *process) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.Fields(kb)[0], 10, 64)
			require.NoError(t, err)
			return n << 10
		}
	}
	require.Fail(t, "there is no VmHWM")
	return 0
}
