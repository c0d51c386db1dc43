//go:build unix

package cmd

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const partitions = 3

// text is the first lines of Go's own source, in the order of its files.
var text = sync.OnceValues(func() ([]string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	want := 100_000
	if *long {
		want = 1_000_000
	}
	var lines []string
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
		if len(lines) >= want {
			return fs.SkipAll
		}
		return err
	})
	return lines, err
})

func goSource(t testing.TB) []string {
	lines, err := text()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(lines), 100_000)
	return lines
}

// franz makes a franz-go client. It waits for a topic that was made as long as it is
// given time: each broker learns of it when it follows the metadata log, on a busy machine
// later than the four tries that are the default.
func (s *serving) franz(opts ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(s.addrs...),
		kgo.UnknownTopicRetries(-1),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}, opts...)...)
	require.NoError(s.t, err)
	s.t.Cleanup(client.Close)
	return client
}

// createTopic makes a topic of three partitions on up to three brokers.
func (s *serving) createTopic(name string) {
	s.t.Helper()
	resp, err := s.tryCreateTopic(name)
	require.NoError(s.t, err)
	require.NoError(s.t, kerr.ErrorForCode(resp.Topics[0].ErrorCode))
}

func (s *serving) tryCreateTopic(name string) (*kmsg.CreateTopicsResponse, error) {
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, int16(len(s.addrs))
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics = append(req.Topics, topic)
	return req.RequestWith(deadline(s.t), s.franz())
}

// deadline bounds what a test waits for.
func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// where is the partition of line i.
func where(i int) int32 { return int32(i / 100 % partitions) }

// produce sends lines, and waits for the acknowledgements.
func (s *serving) produce(topic string, lines []string, opts ...kgo.Opt) {
	s.t.Helper()
	client := s.franz(append(opts, kgo.RequiredAcks(kgo.AllISRAcks()))...)
	var failed error
	ctx := deadline(s.t)
	for i, line := range lines {
		client.Produce(ctx, &kgo.Record{Topic: topic, Partition: where(i), Value: []byte(line)}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err
			}
		})
	}
	require.NoError(s.t, client.Flush(ctx))
	require.NoError(s.t, failed)
	client.Close()
}

// read returns what each partition holds up to its end.
func (s *serving) read(topic string) map[int32][]*kgo.Record {
	s.t.Helper()
	from := map[int32]kgo.Offset{}
	ends := s.ends(topic)
	left := int64(0)
	for p := range int32(partitions) {
		from[p] = kgo.NewOffset().AtStart()
		left += ends[p]
	}
	client := s.franz(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	got := map[int32][]*kgo.Record{}
	for ctx := deadline(s.t); left > 0; {
		fetches := client.PollFetches(ctx)
		require.NoError(s.t, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			require.EqualValues(s.t, len(got[r.Partition]), r.Offset, "offset in partition %d", r.Partition)
			got[r.Partition] = append(got[r.Partition], r)
			left--
		})
	}
	return got
}

// ends are the end offsets of a topic's partitions, once all have leaders.
func (s *serving) ends(topic string) map[int32]int64 {
	s.t.Helper()
	client := s.franz()
	ends := map[int32]int64{}
	require.EventuallyWithT(s.t, func(t *assert.CollectT) {
		req := kmsg.NewPtrListOffsetsRequest()
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = topic
		for p := range int32(partitions) {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp = p, -1
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
		resp, err := req.RequestWith(deadline(s.t), client)
		require.NoError(t, err)
		require.Len(t, resp.Topics, 1)
		for _, p := range resp.Topics[0].Partitions {
			require.NoError(t, kerr.ErrorForCode(p.ErrorCode))
			ends[p.Partition] = p.Offset
		}
	}, time.Minute, 50*time.Millisecond)
	return ends
}

// values are what a partition is to hold when lines were produced in rounds.
func values(rounds ...[]string) map[int32][]string {
	want := map[int32][]string{}
	for _, lines := range rounds {
		for i, line := range lines {
			want[where(i)] = append(want[where(i)], line)
		}
	}
	return want
}

func requireSame(t testing.TB, want map[int32][]string, got map[int32][]*kgo.Record) {
	t.Helper()
	for p := range int32(partitions) {
		require.Equal(t, len(want[p]), len(got[p]), "records in partition %d", p)
		for i, r := range got[p] {
			if want[p][i] != string(r.Value) {
				require.Equal(t, want[p][i], string(r.Value), "partition %d, offset %d", p, i)
			}
		}
	}
}

// A real text goes through three partitions on three brokers, in all codecs,
// and comes back complete and in order, by the same process and by the next.
func TestServe_KeepsARealText(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	lines := goSource(t)
	dir := t.TempDir()
	s := startServing(t, dir)
	s.createTopic("source")
	rounds := [][]string{lines}
	s.produce("source", lines, kgo.ProducerBatchCompression(kgo.NoCompression()))
	for i, codec := range []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		part := lines[i*5000 : (i+1)*5000]
		s.produce("source", part, kgo.ProducerBatchCompression(codec))
		rounds = append(rounds, part)
	}
	want := values(rounds...)
	requireSame(t, want, s.read("source"))
	s.stop()

	s = startServing(t, dir)
	requireSame(t, want, s.read("source"))
	s.produce("source", lines[:1000])
	s.stop()

	s = startServing(t, dir)
	requireSame(t, values(append(rounds, lines[:1000])...), s.read("source"))
	s.stop()
}

// What was acknowledged is there after kill -9: it was in the page cache of the
// operating system before the acknowledgement left.
func TestServe_LosesNothingToAKill(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	dir := t.TempDir()
	acked := acknowledged{0: {}, 1: {}, 2: {}}
	kills := 1
	if *long {
		kills = 20
	}
	s := startServing(t, dir)
	s.createTopic("source")
	for range kills {
		s.killWhileProducing("source", acked)
		s = startServing(t, dir)
		requireKept(t, acked, s.read("source"))
	}
	s.stop()
}

// acknowledged are values by partition and offset.
type acknowledged map[int32]map[int64]string

func requireKept(t testing.TB, acked acknowledged, got map[int32][]*kgo.Record) {
	t.Helper()
	for p, records := range acked {
		for offset, value := range records {
			require.Less(t, offset, int64(len(got[p])), "partition %d has lost its end", p)
			require.Equal(t, value, string(got[p][offset].Value), "partition %d, offset %d", p, offset)
		}
	}
}

// killWhileProducing kills it when 10,000 more records are acknowledged and
// others are under way.
func (s *serving) killWhileProducing(topic string, acked acknowledged) {
	lines := goSource(s.t)
	ctx, cancel := context.WithCancel(deadline(s.t))
	defer cancel()
	client := s.franz(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(time.Millisecond), kgo.MaxBufferedRecords(1000))
	count := 0
	for i := 0; ctx.Err() == nil; i++ {
		client.Produce(ctx, &kgo.Record{Topic: topic, Partition: where(i), Value: []byte(lines[i%len(lines)])}, func(r *kgo.Record, err error) {
			if err != nil {
				return
			}
			// Callbacks come one after the other.
			acked[r.Partition][r.Offset] = string(r.Value)
			if count++; count == 10_000 {
				s.kill()
				cancel()
			}
		})
	}
	client.Close()
	require.GreaterOrEqual(s.t, count, 10_000)
}

// kcat is librdkafka: another implementation of the protocol.
func TestServe_Kcat(t *testing.T) {
	skipIfShort(t)
	kcat := tool(t, "kcat")
	t.Parallel()
	lines := goSource(t)
	s := startServing(t, t.TempDir())
	s.createTopic("source")
	var all bytes.Buffer
	for _, line := range lines {
		all.WriteString(line + "\n")
	}
	for p, codec := range []string{"none", "gzip", "zstd"} {
		flags := []string{"-b", s.addrs[0], "-t", "source", "-p", fmt.Sprint(p)}
		in := exec.Command(kcat, append(flags, "-P", "-X", "acks=all", "-X", "enable.idempotence=true", "-z", codec)...)
		in.Stdin = bytes.NewReader(all.Bytes())
		out, err := in.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Empty(t, string(out))

		end := exec.CommandContext(deadline(t), kcat, append(flags, "-C", "-e", "-q", "-X", "check.crcs=true")...)
		var said bytes.Buffer
		end.Stderr = &said
		got, err := end.Output()
		require.NoError(t, err, "%s", &said)
		require.Empty(t, said.String())
		// kcat drops empty lines.
		require.True(t, bytes.Equal(withoutEmpty(all.Bytes()), withoutEmpty(got)), "%s: %d bytes went in, %d came out", codec, all.Len(), len(got))
	}
	s.stop()
}

func withoutEmpty(text []byte) []byte {
	var out []byte
	for line := range bytes.Lines(text) {
		if len(line) > 1 {
			out = append(out, line...)
		}
	}
	return out
}

// kafkajs speaks old versions of the protocol, none of them flexible.
func TestServe_Kafkajs(t *testing.T) {
	skipIfShort(t)
	node, npm := tool(t, "node"), tool(t, "npm")
	t.Parallel()
	modules := t.TempDir()
	install := exec.CommandContext(deadline(t), npm, "install", "kafkajs@2.2.4", "--prefix", modules, "--no-audit", "--no-fund", "--ignore-scripts")
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("npm cannot install kafkajs here: %v\n%s", err, out)
	}
	s := startServing(t, t.TempDir())
	s.createTopic("numbers")
	const count = 6000
	script := exec.CommandContext(deadline(t), node, filepath.Join("testdata", "produce.js"), strings.Join(s.addrs, ","), "numbers", fmt.Sprint(count))
	script.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(modules, "node_modules"), "KAFKAJS_NO_PARTITIONER_WARNING=1")
	out, err := script.CombinedOutput()
	require.NoError(t, err, "%s", out)

	got := s.read("numbers")
	for p := range int32(partitions) {
		require.Len(t, got[p], count/partitions)
		for i, r := range got[p] {
			n := i*partitions + int(p)
			require.Equal(t, fmt.Sprint("key ", n), string(r.Key))
			require.Equal(t, fmt.Sprint("value ", n), string(r.Value))
			require.Equal(t, []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, n)}}, r.Headers)
		}
	}
	s.stop()
}

// tool finds a program, or skips the test.
func tool(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed here", name)
	}
	return path
}
