package conformance_test

import (
	"context"
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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestStreams has two instances of a Kafka Streams application count words, one of which is killed;
// then the whole cluster is killed, then one broker after the other. At exactly_once_v2 the counts
// of a word are 1, 2, 3 ... to as many as were sent; at at_least_once none is missing at the end.
func TestStreams(t *testing.T) {
	atLength(t)
	kafka(t)
	if _, why := javaPrograms(); why != "" {
		t.Skip(why)
	}
	t.Run("exactly_once_v2", func(t *testing.T) { countWords(t, "exactly_once_v2") })
	if *whole {
		t.Run("at_least_once", func(t *testing.T) { countWords(t, "at_least_once") })
	}
}

func countWords(t *testing.T, guarantee string) {
	t.Parallel()
	c := newServed(t)
	admin := client(t, c.addr)
	createTopic(t, admin, "words", partitions, 3)
	createTopic(t, admin, "counts", partitions, 3)
	w := &words{addr: c.addr, sent: map[string]int{}, counted: map[string][]int{}, done: make(chan struct{})}
	t.Cleanup(w.stop)
	w.running.Go(func() { w.produce(t) })
	reader := client(t, c.addr, kgo.ConsumeTopics("counts"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	reading, end := context.WithCancel(context.Background())
	defer end()
	go w.read(reading, reader)

	var a, b *program
	instance := func(letter string) *program {
		p, err := launch(t, nil, javaProgram("Count", c.addr, "words", "counts", "count", guarantee, t.TempDir())...)
		require.NoError(t, err, letter)
		return p
	}
	goesOn := func(what string) {
		n := w.results()
		ok := assert.Eventually(t, func() bool { return w.results() > n+50 }, 90*time.Second, 50*time.Millisecond, "%s: fifty more are counted", what)
		if !ok {
			t.Fatalf("the first instance said:\n%s\nthe second:\n%s", a.tail(), b.tail())
		}
	}
	a = instance("a")
	goesOn("the first instance")
	b = instance("b")
	require.Eventually(t, func() bool { return strings.Contains(b.tail(), "state RUNNING") }, 90*time.Second, 50*time.Millisecond, "the second instance runs")
	goesOn("both instances")
	a.kill()
	goesOn("one instance was killed")
	a = instance("a again")
	c.killAll(rolling(t)...)
	goesOn("the cluster was killed")
	c.untilKilled()
	goesOn("each broker was killed")
	w.stop()
	if !assert.Eventually(t, w.allCounted, 90*time.Second, 100*time.Millisecond, "all words are counted") {
		t.Fatalf("%s\nthe first instance said:\n%s\nthe second:\n%s", w, a.tail(), b.tail())
	}
	if guarantee == "exactly_once_v2" {
		// A count too many would come after the last one that is right.
		time.Sleep(2 * time.Second)
	}
	for _, p := range []*program{a, b} {
		p.signal(syscall.SIGTERM)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	again := 0
	for _, word := range slices.Sorted(maps.Keys(w.sent)) {
		wrong, repeated := judgeCounts(w.counted[word], w.sent[word], guarantee == "exactly_once_v2")
		again += repeated
		assert.Empty(t, wrong, word)
	}
	t.Logf("%d words, %d results, %d of them repeated or over", sum(w.sent), w.results(), again)
}

func sum(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// judgeCounts judges the counts of a word, in order, of which sent were to be counted. repeated is
// how many counts are not one more than the one before.
func judgeCounts(counted []int, sent int, exactly bool) (wrong string, repeated int) {
	last := 0
	for i, n := range counted {
		if n != last+1 {
			repeated++
			if exactly && wrong == "" {
				wrong = fmt.Sprintf("count %d comes after count %d, expected %d (result %d)", n, last, last+1, i)
			}
		}
		last = n
	}
	if wrong == "" && (last < sent || exactly && last != sent) {
		wrong = fmt.Sprintf("counted %d times, sent %d times", last, sent)
	}
	return wrong, repeated
}

func TestJudgeCounts(t *testing.T) {
	for _, x := range []struct {
		counted []int
		sent    int
		exactly bool
		wrong   string
	}{
		{[]int{1, 2, 3}, 3, true, ""},
		{[]int{1, 2, 2, 3}, 3, false, ""},
		{[]int{1, 2, 3, 4}, 3, false, ""},
		{[]int{1, 2, 2, 3}, 3, true, "count 2 comes after count 2"},
		{[]int{1, 3}, 3, true, "count 3 comes after count 1"},
		{[]int{1, 2}, 3, true, "counted 2 times, sent 3 times"},
		{[]int{1, 2, 3, 4}, 3, true, "counted 4 times, sent 3 times"},
		{[]int{1, 2}, 3, false, "counted 2 times, sent 3 times"},
		{nil, 1, true, "counted 0 times"},
	} {
		wrong, _ := judgeCounts(x.counted, x.sent, x.exactly)
		if x.wrong == "" {
			assert.Empty(t, wrong, "%+v", x)
		} else {
			assert.Contains(t, wrong, x.wrong, "%+v", x)
		}
	}
}

// words are sent and their counts read.
type words struct {
	addr    string
	once    sync.Once
	done    chan struct{}
	running sync.WaitGroup
	n       atomic.Int64 // results

	mu      sync.Mutex
	sent    map[string]int
	counted map[string][]int
}

// produce sends fifty words a second, of twenty, until stop.
func (w *words) produce(t *testing.T) {
	c, err := kgo.NewClient(kgo.SeedBrokers(w.addr), kgo.RecordDeliveryTimeout(time.Minute))
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	for n := 0; ; n++ {
		word := fmt.Sprint("word-", n*n%41%20)
		if err := c.ProduceSync(context.Background(), &kgo.Record{Topic: "words", Value: []byte(word)}).FirstErr(); err != nil {
			t.Errorf("producing word %d: %v", n, err)
			return
		}
		w.mu.Lock()
		w.sent[word]++
		w.mu.Unlock()
		select {
		case <-w.done:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (w *words) stop() {
	w.once.Do(func() { close(w.done) })
	w.running.Wait()
}

func (w *words) read(ctx context.Context, c *kgo.Client) {
	for ctx.Err() == nil {
		fetches := c.PollFetches(ctx)
		w.mu.Lock()
		fetches.EachRecord(func(r *kgo.Record) {
			n, _ := strconv.Atoi(string(r.Value))
			w.counted[string(r.Key)] = append(w.counted[string(r.Key)], n)
			w.n.Add(1)
		})
		w.mu.Unlock()
	}
}

func (w *words) results() int { return int(w.n.Load()) }

// allCounted reports whether the last count of each word is at least what was sent.
func (w *words) allCounted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for word, n := range w.sent {
		counted := w.counted[word]
		if len(counted) == 0 || counted[len(counted)-1] < n {
			return false
		}
	}
	return true
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, word := range slices.Sorted(maps.Keys(w.sent)) {
		last := 0
		if n := len(w.counted[word]); n > 0 {
			last = w.counted[word][n-1]
		}
		fmt.Fprintf(&b, "%s: sent %d, last count %d\n", word, w.sent[word], last)
	}
	return b.String()
}
