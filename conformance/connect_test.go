package conformance_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/internal/ports"
)

// TestConnect has a standalone worker of Kafka Connect read the lines of a file into a topic and
// write them from there into another file, while the cluster is killed and then one broker after the
// other. The connectors promise that no line is lost, and keep their order.
func TestConnect(t *testing.T) {
	atLength(t)
	kafka(t)
	plugins, err := exec.Command("./get", "connect-file").Output()
	if err != nil {
		t.Skip("mvn cannot bring connect-file, the file connectors of Kafka Connect")
	}
	c := newServed(t)
	createTopic(t, client(t, c.addr), "lines", 1, 3)
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	properties := func(name string, lines ...string) string {
		require.NoError(t, os.WriteFile(path(name), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
		return path(name)
	}
	const text = "org.apache.kafka.connect.storage.StringConverter"
	args := []string{"./tool", "connect-standalone",
		properties("worker.properties", "bootstrap.servers="+c.addr, "plugin.path="+strings.TrimSpace(string(plugins)), "offset.storage.file.filename="+path("offsets"),
			"offset.flush.interval.ms=500", "key.converter="+text, "value.converter="+text, fmt.Sprintf("listeners=http://127.0.0.1:%d", ports.Free(t, 1)),
			"metadata.max.age.ms=2000", "consumer.metadata.max.age.ms=2000", "consumer.session.timeout.ms=6000", "consumer.heartbeat.interval.ms=500"),
		properties("source.properties", "name=source", "connector.class=org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max=1", "file="+path("in"), "topic=lines"),
		properties("sink.properties", "name=sink", "connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector", "tasks.max=1", "file="+path("out"), "topics=lines"),
	}
	written := 0
	more := func(n int) {
		f, err := os.OpenFile(path("in"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		require.NoError(t, err)
		for range n {
			fmt.Fprintf(f, "line %d\n", written)
			written++
		}
		require.NoError(t, f.Close())
	}
	more(500)
	worker, err := launch(t, nil, args...)
	require.NoError(t, err)
	arrive := func(when string) {
		ok := assert.Eventually(t, func() bool { return worker.ended() || distinct(path("out")) == written }, 90*time.Second, 100*time.Millisecond)
		if !ok || worker.ended() {
			t.Fatalf("%s: %d of %d lines arrived; the worker said:\n%s", when, distinct(path("out")), written, worker.tail())
		}
	}
	arrive("at first")
	c.killAll(rolling(t)...)
	more(500)
	arrive("after the cluster was killed")
	for c.brokersKilled() < rollingKills {
		more(50)
		time.Sleep(500 * time.Millisecond)
	}
	arrive("after each broker was killed")
	if *whole {
		worker.kill()
		more(500)
		worker, err = launch(t, nil, args...)
		require.NoError(t, err)
		arrive("after the worker was killed")
	}
	worker.signal(syscall.SIGTERM)
	assert.Eventually(t, worker.ended, time.Minute, 50*time.Millisecond, "the worker ends")
	lines := readLines(path("out"))
	next := 0
	for _, line := range lines {
		if line == fmt.Sprint("line ", next) {
			next++
		}
	}
	assert.Equal(t, written, next, "the lines arrived in their order")
	t.Logf("%d lines, %d of them again", written, len(lines)-written)
}

func readLines(path string) (lines []string) {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

// distinct counts the different lines of a file.
func distinct(path string) int {
	seen := map[string]bool{}
	for _, line := range readLines(path) {
		seen[line] = true
	}
	return len(seen)
}
