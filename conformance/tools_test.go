package conformance_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/internal/ports"
)

// toolStep is one use of a tool.
type toolStep struct {
	what  string
	args  string // of the tool, after which comes --bootstrap-server
	stdin string
	want  []string // parts of what it says, or patterns
}

// useTools uses Kafka's tools one after another.
func useTools(t *testing.T, bootstrap string, steps []toolStep) {
	for _, step := range steps {
		t.Run(step.what, func(t *testing.T) {
			words := strings.Fields(step.args)
			at := len(words)
			if words[0] == "metadata-quorum" || words[0] == "features" || words[0] == "transactions" {
				at = 1 // before the subcommand
			}
			args := append(append(append([]string{}, words[:at]...), "--bootstrap-server", bootstrap), words[at:]...)
			out := tool(t, step.stdin, args...)
			for _, want := range step.want {
				assert.Regexp(t, want, out)
			}
			for _, bad := range []string{"ERROR", "Exception"} {
				assert.NotContains(t, out, bad)
			}
		})
	}
}

// TestTools uses Kafka's command-line tools on ktrial serve, as if it were
// Kafka.
func TestTools(t *testing.T) {
	kafka(t)
	dir := t.TempDir()
	port := ports.Free(t, 3)
	server := serve(t, port, dir, "--brokers", "3")
	bootstrap := fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d", port, port+1)
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		return path
	}
	hundred := ""
	for i := range 100 {
		hundred += fmt.Sprintf("line %d\n", i)
	}
	reassignment := file("reassignment.json", `{"version":1,"partitions":[{"topic":"orders","partition":0,"replicas":[2,1]}]}`)
	deletion := file("deletion.json", `{"version":1,"partitions":[{"topic":"orders","partition":0,"offset":40}]}`)

	useTools(t, bootstrap, []toolStep{
		{"topics: create", "topics --create --topic orders --partitions 1 --replication-factor 3 --config retention.ms=86400000", "", []string{`Created topic orders\.`}},
		{"topics: list", "topics --list", "", []string{`(?m)^orders$`}},
		{"topics: describe", "topics --describe --topic orders", "", []string{`PartitionCount: 1`, `ReplicationFactor: 3`, `retention.ms=86400000`, `Isr: \d,\d,\d`, `Elr:`}},
		{"topics: create again", "topics --create --topic orders --partitions 1 --replication-factor 3 --if-not-exists", "", nil},
		{"console producer", "console-producer --topic orders", hundred, nil},
		{"get-offsets", "get-offsets --topic orders", "", []string{`orders:0:100`}},
		{"console consumer by partition", "console-consumer --topic orders --partition 0 --offset earliest --max-messages 100", "", []string{`line 0\n`, `line 99\n`, `Processed a total of 100 messages`}},
		{"topics: more partitions", "topics --alter --topic orders --partitions 3", "", nil},
		{"configs: alter a topic", "configs --alter --entity-type topics --entity-name orders --add-config max.message.bytes=2000000", "", []string{`Completed updating config for topic orders`}},
		{"configs: describe a topic", "configs --describe --entity-type topics --entity-name orders", "", []string{`max.message.bytes=2000000`, `retention.ms=86400000`}},
		{"configs: alter a broker", "configs --alter --entity-type brokers --entity-name 1 --add-config log.retention.ms=123456789", "", []string{`Completed updating config for broker 1`}},
		{"configs: describe a broker", "configs --describe --entity-type brokers --entity-name 1", "", []string{`log.retention.ms=123456789`}},
		{"metadata-quorum: status", "metadata-quorum describe --status", "", []string{`LeaderId:\s+300[123]`, `MaxFollowerLag:\s+\d+`, `CurrentVoters:.*3001.*3002.*3003`, `CurrentObservers:.*1.*2.*3`}},
		{"metadata-quorum: replication", "metadata-quorum describe --replication", "", []string{`Leader\s`, `Follower\s`, `Observer\s`}},
		{"log-dirs", "log-dirs --describe --topic-list orders", "", []string{`"partition":"orders-0"`, `"logDir":"` + dir, `"error":null`}},
		{"reassign-partitions: execute", "reassign-partitions --reassignment-json-file " + reassignment + " --execute", "", []string{`Successfully started partition reassignment for orders-0`}},
		{"reassign-partitions: verify", "reassign-partitions --reassignment-json-file " + reassignment + " --verify", "", []string{`Reassignment of partition orders-0 is (completed|still in progress)`}},
		{"leader-election", "leader-election --election-type preferred --all-topic-partitions", "", nil},
		{"delete-records", "delete-records --offset-json-file " + deletion, "", []string{`partition: orders-0\s+low_watermark: 40`}},
		{"get-offsets: earliest", "get-offsets --topic orders --time earliest", "", []string{`orders:0:40`}},
		{"features", "features describe", "", []string{`metadata.version\s.*FinalizedVersionLevel: 4.1-IV1`, `eligible.leader.replicas.version`}},
		{"broker-api-versions", "broker-api-versions", "", []string{`Produce\(0\): 0 to 13`, `Fetch\(1\): 4 to 18`}},
		{"cluster: id", "cluster cluster-id", "", []string{`Cluster ID: [\w-]{22}`}},
		{"topics: delete", "topics --delete --topic orders", "", nil},
	})

	t.Run("dump-log: records", func(t *testing.T) {
		tool(t, "", "topics", "--create", "--topic", "dump", "--partitions", "1", "--replication-factor", "3", "--bootstrap-server", bootstrap)
		tool(t, hundred, "console-producer", "--topic", "dump", "--bootstrap-server", bootstrap)
		server.end(15)
		segment := filepath.Join(dir, "broker-1", "dump-0", strings.Repeat("0", 20))
		out := tool(t, "", "dump-log", "--files", segment+".log,"+segment+".index,"+segment+".timeindex", "--print-data-log")
		assert.Contains(t, out, "payload: line 99")
		assert.Contains(t, out, "isvalid: true")
		assert.NotContains(t, out, "isvalid: false")
		assert.NotContains(t, out, "mismatch")
	})
	t.Run("dump-log: metadata", func(t *testing.T) {
		out := tool(t, "", "dump-log", "--cluster-metadata-decoder", "--files", filepath.Join(dir, "controller-1", "__cluster_metadata-0", strings.Repeat("0", 20)+".log"))
		assert.Contains(t, out, `"type":"TOPIC_RECORD","version":0,"data":{"name":"dump"`)
		assert.Contains(t, out, `"type":"REGISTER_BROKER_RECORD"`)
		assert.NotContains(t, out, "Could not decode")
	})
}
