package conformance_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/internal/ports"
)

// cluster is one broker and one controller whose files both Apache Kafka and
// ktrial serve run on in turn, never at once.
type cluster struct {
	t          *testing.T
	dir        string
	port       int // of the broker; the controller's follows
	controller *process
	broker     *process
	written    []string // all records that were acknowledged, in order
	consumed   [2]int   // how many of them each of the groups was given
}

func (c *cluster) addr() string { return fmt.Sprintf("127.0.0.1:%d", c.port) }

// properties writes the configuration of a node of Kafka.
func (c *cluster) properties(role string, id int, listeners string) string {
	file := filepath.Join(c.dir, "..", role+".properties")
	text := fmt.Sprintf(`process.roles=%s
node.id=%d
controller.quorum.voters=3001@127.0.0.1:%d
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
listeners=%s
log.dirs=%s
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=4194304
`, role, id, c.port+1, listeners, filepath.Join(c.dir, role+"-1"))
	require.NoError(c.t, os.WriteFile(file, []byte(text), 0o644))
	return file
}

func (c *cluster) controllerProperties() string {
	return c.properties("controller", 3001, fmt.Sprintf("CONTROLLER://127.0.0.1:%d", c.port+1))
}

func (c *cluster) brokerProperties() string {
	return c.properties("broker", 1, fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", c.port))
}

// startKafka starts both nodes as Apache Kafka.
func (c *cluster) startKafka() {
	c.t.Helper()
	c.controller = start(c.t, "controller of Apache Kafka", "./tool", "kafka.Kafka", c.controllerProperties())
	c.broker = start(c.t, "broker of Apache Kafka", "./tool", "kafka.Kafka", c.brokerProperties())
	c.answers()
}

// startOurs starts both nodes as ktrial serve.
func (c *cluster) startOurs() {
	c.t.Helper()
	c.controller = nil
	c.broker = serve(c.t, c.port, c.dir, "--set", "group.initial.rebalance.delay.ms=0")
	c.answers()
}

// answers waits until the broker serves.
func (c *cluster) answers() {
	c.t.Helper()
	c.broker.until("serves", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.addr()))
		require.NoError(c.t, err)
		defer cl.Close()
		resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
		return err == nil && len(resp.Brokers) == 1
	})
}

// stop ends both, the broker first.
func (c *cluster) stop(signal syscall.Signal) {
	c.t.Helper()
	c.broker.end(signal)
	if c.controller != nil {
		c.controller.end(signal)
	}
}

// create makes a topic, and returns its id.
func (c *cluster) create(name string) [16]byte {
	c.t.Helper()
	cl := client(c.t, c.addr())
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 10000
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(context.Background(), cl)
	require.NoError(c.t, err)
	require.NoError(c.t, kerr.ErrorForCode(resp.Topics[0].ErrorCode))
	return resp.Topics[0].TopicID
}

// write appends n records, with acknowledgements.
func (c *cluster) write(n int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cl := client(c.t, c.addr(), kgo.DefaultProduceTopic("orders"), kgo.ProducerBatchCompression(kgo.GzipCompression()))
	var records []*kgo.Record
	for range n {
		value := "order " + strconv.Itoa(len(c.written))
		c.written = append(c.written, value)
		records = append(records, &kgo.Record{Value: []byte(value)})
	}
	require.NoError(c.t, cl.ProduceSync(ctx, records...).FirstErr())
	cl.Close()
}

// read expects all that was ever written.
func (c *cluster) read(when string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cl := client(c.t, c.addr(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"orders": {0: kgo.NewOffset().AtStart()}}))
	var got []string
	for len(got) < len(c.written) {
		fetches := cl.PollFetches(ctx)
		require.NoError(c.t, fetches.Err0(), "%s: %d of %d records read", when, len(got), len(c.written))
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	assert.Equal(c.t, c.written, got, when)
	cl.Close()
}

// consume has a group of each protocol go on where it left off, under whichever
// software that was, and commit what it is given.
func (c *cluster) consume(when string) {
	c.t.Helper()
	if !servesGroups(c.t, client(c.t, c.addr())) {
		return
	}
	for i, group := range []string{"classic", "kip848"} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		opts := []kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
		if group == "kip848" {
			opts = append(opts, kgo.WithContext(context.WithValue(context.Background(), "opt_in_kafka_next_gen_balancer_beta", true)))
		}
		cl := client(c.t, c.addr(), opts...)
		var got []string
		for c.consumed[i]+len(got) < len(c.written) {
			fetches := cl.PollFetches(ctx)
			require.NoError(c.t, fetches.Err0(), "%s, group %s: %d of %d records", when, group, len(got), len(c.written)-c.consumed[i])
			fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
		}
		assert.Equal(c.t, c.written[c.consumed[i]:], got, "%s, group %s", when, group)
		require.NoError(c.t, cl.CommitUncommittedOffsets(ctx), "%s, group %s", when, group)
		c.consumed[i] = len(c.written)
		cl.Close()
		cancel()
	}
}

func newCluster(t *testing.T) *cluster {
	kafka(t)
	return &cluster{t: t, dir: filepath.Join(t.TempDir(), "data"), port: ports.Free(t, 2)}
}

// pass has both run on the directory in turn, and write, after an orderly stop
// and after kill -9.
func (c *cluster) pass(first, second func()) {
	const orderly, kill = syscall.SIGTERM, syscall.SIGKILL
	starts := []func(){second, first}
	for i, signal := range []syscall.Signal{orderly, orderly, kill, kill} {
		c.write(500)
		c.consume(fmt.Sprintf("before change %d", i+1))
		c.write(10)
		c.stop(signal)
		starts[i%2]()
		c.read(fmt.Sprintf("change %d, after %v", i+1, signal))
	}
	c.write(100)
	c.read("in the end")
	c.consume("in the end")
	c.stop(orderly)
}

// A directory that ktrial serve has made starts under Apache Kafka, and goes
// back, with every record.
func TestDirectories_OursFirst(t *testing.T) {
	c := newCluster(t)
	c.makeOurs()
	c.create("orders")
	c.pass(c.startOurs, c.startKafka)
}

// And the other way round.
func TestDirectories_KafkaFirst(t *testing.T) {
	c := newCluster(t)
	c.makeKafka()
	c.create("orders")
	c.pass(c.startKafka, c.startOurs)
}

// makeOurs makes the directory with ktrial serve, which runs on.
func (c *cluster) makeOurs() {
	c.broker = serve(c.t, c.port, c.dir, "--brokers", "1", "--controllers", "1", "--set", "offsets.topic.num.partitions=3", "--set", "transaction.state.log.num.partitions=3")
}

// makeKafka makes the directory with Apache Kafka, which runs on.
func (c *cluster) makeKafka() {
	t := c.t
	require.NoError(t, os.MkdirAll(c.dir, 0o755))
	id := make([]byte, 16)
	rand.Read(id)
	clusterID := base64.RawURLEncoding.EncodeToString(id)
	for _, properties := range []string{c.controllerProperties(), c.brokerProperties()} {
		// Our software is of Kafka 4.1, and knows no newer metadata.
		tool(t, "", "storage", "format", "-t", clusterID, "-c", properties, "--release-version", "4.1")
	}
	ours := fmt.Sprintf("brokers=1\ncluster.id=%s\ncontrollers=1\nformatted=true\nversion=1\n", clusterID)
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, "ktrial.properties"), []byte(ours), 0o644))
	c.startKafka()
}
