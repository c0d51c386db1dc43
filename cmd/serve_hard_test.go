//go:build unix

package cmd

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/internal/ports"
)

// startWithDescriptors starts a served cluster that may have so many files and
// connections open.
func startWithDescriptors(t *testing.T, limit int, dir string) *serving {
	t.Helper()
	cmd := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, limit),
		os.Args[0], "serve", "--listen", "127.0.0.1:0", "--data", dir)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return startServingAs(t, cmd)
}

// Files are opened when they are needed and closed when they are not, so that
// neither partitions nor connections can use up the descriptors.
func TestServe_LivesWithFewDescriptors(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	dir := t.TempDir()
	s := startWithDescriptors(t, 200, dir)
	ctx := deadline(t)
	client := s.franz()

	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "wide", 150, 3
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics, create.TimeoutMillis = append(create.Topics, topic), 30000
	resp, err := create.RequestWith(ctx, client)
	require.NoError(t, err)
	require.NoError(t, kerr.ErrorForCode(resp.Topics[0].ErrorCode))

	many := kmsg.NewPtrMetadataRequest()
	many.AllowAutoTopicCreation = true
	for i := range 200 {
		name := kmsg.NewMetadataRequestTopic()
		name.Topic = kmsg.StringPtr("auto-" + strconv.Itoa(i))
		many.Topics = append(many.Topics, name)
	}
	_, err = many.RequestWith(ctx, client)
	require.NoError(t, err)

	var idle []net.Conn
	for range 300 {
		c, err := net.Dial("tcp", s.addrs[0])
		require.NoError(t, err)
		idle = append(idle, c)
	}
	assert.Eventually(t, func() bool { return strings.Contains(s.errors.String(), "closes new connections") }, time.Minute, 100*time.Millisecond)
	for _, c := range idle {
		c.Close()
	}
	// The server lets go of them one after the other: until it has, a new connection is closed, too.
	require.Eventually(t, func() bool { return s.franz().Ping(ctx) == nil }, time.Minute, 100*time.Millisecond)

	lines := goSource(t)[:5000]
	s.createTopic("lines")
	s.produce("lines", lines)
	s.kill()

	s = startWithDescriptors(t, 200, dir)
	n := 0
	for _, records := range s.read("lines") {
		n += len(records)
	}
	assert.Equal(t, len(lines), n, "records after kill -9")
	s.stop()
}

// A producer with the defaults of franz-go notices of restarts only that it
// takes a while: no acknowledged record is lost, none is there twice, and no
// promise is given an error. Each restart is after kill -9.
func TestServe_KilledAgainAndAgainUnderAProducer(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	kills := 1
	if *long {
		kills = 30
	}
	dir := t.TempDir()
	listen := fmt.Sprintf("127.0.0.1:%d", ports.Free(t, 3))
	start := func() *serving { return startServingAs(t, program("serve", "--listen", listen, "--data", dir)) }
	s := start()
	s.createTopic("orders")

	client, err := kgo.NewClient(kgo.SeedBrokers(s.addrs...), kgo.DefaultProduceTopic("orders"))
	require.NoError(t, err)
	defer client.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var mu sync.Mutex
	sent, acked := 0, map[string]bool{}
	var failed []string
	over, quiet := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(quiet)
		for {
			select {
			case <-over:
				return
			case <-time.After(2 * time.Millisecond):
			}
			value := strconv.Itoa(sent)
			sent++
			client.Produce(ctx, &kgo.Record{Value: []byte(value)}, func(_ *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = append(failed, fmt.Sprintf("%s: %v", value, err))
				} else {
					acked[value] = true
				}
			})
		}
	}()
	for i := range kills {
		time.Sleep(time.Duration(300+i*50) * time.Millisecond)
		s.kill()
		s = start()
	}
	time.Sleep(500 * time.Millisecond)
	close(over)
	<-quiet
	flush, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	require.NoError(t, client.Flush(flush))
	mu.Lock()
	defer mu.Unlock()
	assert.Empty(t, failed, "promises with errors, of %d", sent)
	assert.Len(t, acked, sent)

	times := map[string]int{}
	for _, records := range s.read("orders") {
		for _, r := range records {
			times[string(r.Value)]++
		}
	}
	for value := range acked {
		if times[value] != 1 {
			t.Errorf("record %s was acknowledged and is there %d times", value, times[value])
		}
	}
	s.stop()
}

// What recovery finds damaged, and what it makes of that, is said.
func TestServe_SaysWhatIsDamaged(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	dir := t.TempDir()
	s := startServing(t, dir)
	s.createTopic("lines")
	s.produce("lines", goSource(t)[:3000])
	s.kill()
	segment := filepath.Join(dir, "broker-1", "lines-0", strings.Repeat("0", 20)+".log")
	flipByte(t, segment, -100)

	s = startServing(t, dir)
	s.stop()
	assert.Regexp(t, `ktrial: broker-1: log of lines/0: segment 0 cut at byte \d+ of \d+, offset \d+`, s.errors.String())

	// One byte of the topic's id makes it another topic's: the log is set aside.
	metadata := filepath.Join(dir, "broker-2", "lines-1", "partition.metadata")
	text, err := os.ReadFile(metadata)
	require.NoError(t, err)
	at := strings.Index(string(text), "topic_id: ") + len("topic_id: ")
	if text[at] == 'B' {
		text[at] = 'C'
	} else {
		text[at] = 'B'
	}
	require.NoError(t, os.WriteFile(metadata, text, 0o644))
	s = startServing(t, dir)
	assert.Eventually(t, func() bool {
		return strings.Contains(s.errors.String(), "ktrial: broker-2: log of lines/1 is stray: it is kept as ")
	}, 10*time.Second, 10*time.Millisecond)
	s.stop()
}

// flipByte changes a byte of a file, counted from its end if at is below 0.
func flipByte(t *testing.T, name string, at int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	if at < 0 {
		info, err := f.Stat()
		require.NoError(t, err)
		at += info.Size()
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
}

// A cluster that was told to forget its brokers serves no client, and says so.
func TestServe_SaysThatBrokersAreUnregistered(t *testing.T) {
	t.Parallel()
	s := startServing(t, t.TempDir())
	client := s.franz()
	for id := range int32(3) {
		req := kmsg.NewPtrUnregisterBrokerRequest()
		req.BrokerID = id + 1
		resp, err := req.RequestWith(deadline(t), client)
		require.NoError(t, err)
		require.NoError(t, kerr.ErrorForCode(resp.ErrorCode))
	}
	assert.Eventually(t, func() bool { return strings.Count(s.errors.String(), "is refused a heartbeat") >= 3 }, 10*time.Second, 10*time.Millisecond)
	s.kill()
}

// A broker that has been killed says nothing at all until it knows the cluster:
// never that there are no brokers, or that a topic does not exist.
func TestServe_AnswersOnlyOnceItKnowsTheCluster(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	dir := t.TempDir()
	listen := fmt.Sprintf("127.0.0.1:%d", ports.Free(t, 3))
	s := startServingAs(t, program("serve", "--listen", listen, "--data", dir))
	s.createTopic("orders")
	s.kill()
	over := make(chan struct{})
	var answers, wrong []string
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, addr := range s.addrs {
		asking.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(5 * time.Millisecond):
				}
				what := knownAt(addr)
				if what == "" {
					continue
				}
				mu.Lock()
				answers = append(answers, what)
				if what != "orders is known" {
					wrong = append(wrong, what)
				}
				mu.Unlock()
			}
		})
	}
	s = startServingAs(t, program("serve", "--listen", listen, "--data", dir))
	time.Sleep(500 * time.Millisecond)
	close(over)
	asking.Wait()
	assert.NotEmpty(t, answers)
	assert.Empty(t, wrong)
	s.stop()
}

// knownAt is what a broker says of the topic orders; empty: it does not answer.
func knownAt(addr string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RequestRetries(0))
	if err != nil {
		return err.Error()
	}
	defer client.Close()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr("orders")
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, client)
	switch {
	case err != nil:
		return ""
	case len(resp.Brokers) == 0:
		return "there are no brokers"
	case resp.Topics[0].ErrorCode != 0:
		return kerr.ErrorForCode(resp.Topics[0].ErrorCode).Error()
	}
	return "orders is known"
}
