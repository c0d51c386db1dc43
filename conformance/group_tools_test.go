package conformance_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/internal/ports"
)

// servesGroups reports whether a cluster has the group APIs.
func servesGroups(t *testing.T, c *kgo.Client) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	versions, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, c)
	require.NoError(t, err)
	return slices.ContainsFunc(versions.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool { return k.ApiKey == int16(kmsg.JoinGroup) })
}

// needsGroups skips a test as long as a cluster serves no groups.
func needsGroups(t *testing.T, c *kgo.Client) {
	t.Helper()
	if !servesGroups(t, c) {
		t.Skip("ktrial serve does not serve groups yet")
	}
}

// TestGroupTools uses Kafka's tools of consumer groups: consumers of both
// protocols, each form of a reset, and the dump of committed offsets.
func TestGroupTools(t *testing.T) {
	kafka(t)
	dir := t.TempDir()
	bootstrap := *against
	var server *process
	if bootstrap == "" {
		port := ports.Free(t, 3)
		server = serve(t, port, dir, withSettings([]string{"--brokers", "3"}, append(slices.Clone(quickGroups), "offsets.topic.num.partitions=1"))...)
		bootstrap = fmt.Sprintf("127.0.0.1:%d", port)
	}
	needsGroups(t, client(t, bootstrap))
	hundred := ""
	for i := range 100 {
		hundred += fmt.Sprintf("line %d\n", i)
	}
	plan := filepath.Join(dir, "plan.csv")
	id := time.Now().Unix()
	topic, classic, consumer := fmt.Sprint("orders-", id), fmt.Sprint("classic-", id), fmt.Sprint("kip848-", id)
	require.NoError(t, os.WriteFile(plan, []byte(topic+",0,42\n"), 0o644))
	names := strings.NewReplacer("TOPIC", topic, "CLASSIC", classic, "CONSUMER", consumer, "PLAN", plan)
	steps := func(steps ...toolStep) {
		for i := range steps {
			steps[i].args = names.Replace(steps[i].args)
			for j := range steps[i].want {
				steps[i].want[j] = names.Replace(steps[i].want[j])
			}
		}
		useTools(t, bootstrap, steps)
	}
	reset := func(form, args, offset string) toolStep {
		return toolStep{"reset: " + form, "consumer-groups --reset-offsets --group CLASSIC --topic TOPIC --execute " + args, "", []string{`CLASSIC\s+TOPIC\s+0\s+` + offset + `\s`}}
	}
	at := func(what, group, offset, lag string) toolStep {
		return toolStep{what, "consumer-groups --describe --group " + group, "", []string{group + `\s+TOPIC\s+0\s+` + offset + `\s+100\s+` + lag + `\s`}}
	}
	steps(
		toolStep{"topic", "topics --create --topic TOPIC --partitions 1 --replication-factor 3", "", []string{`Created topic`}},
		toolStep{"records", "console-producer --topic TOPIC", hundred, nil},
		toolStep{"console consumer, classic", "console-consumer --topic TOPIC --group CLASSIC --from-beginning --max-messages 100 --timeout-ms 30000", "", []string{`line 0\n`, `line 99\n`, `Processed a total of 100 messages`}},
		toolStep{"console consumer, KIP-848", "console-consumer --topic TOPIC --group CONSUMER --from-beginning --max-messages 100 --timeout-ms 30000 --command-property group.protocol=consumer", "", []string{`line 0\n`, `line 99\n`, `Processed a total of 100 messages`}},
		toolStep{"list", "consumer-groups --list --state --type", "", []string{`CLASSIC\s+Classic\s+Empty`, `CONSUMER\s+Consumer\s+Empty`}},
		toolStep{"list by type", "consumer-groups --list --type consumer", "", []string{`CONSUMER`}},
		toolStep{"groups", "groups --list", "", []string{`CLASSIC\s+Classic\s+consumer`, `CONSUMER\s+Consumer\s+consumer`}},
		toolStep{"describe, state", "consumer-groups --describe --state --group CONSUMER", "", []string{`CONSUMER\s+\S+:\d+\s+\(\d\)\s+uniform\s+Empty\s+0`}},
		toolStep{"describe, members", "consumer-groups --describe --members --verbose --group CLASSIC", "", []string{`has no active members`}},
		at("describe, classic", "CLASSIC", "100", "0"),
		at("describe, KIP-848", "CONSUMER", "100", "0"),
		reset("to-earliest", "--to-earliest", "0"),
		reset("to-latest", "--to-latest", "100"),
		reset("to-offset", "--to-offset 7", "7"),
		reset("to-offset, beyond the end", "--to-offset 700", "100"),
		reset("shift-by", "--shift-by -12", "88"),
		reset("to-current", "--to-current", "88"),
		reset("by-duration", "--by-duration PT1H", "0"),
		reset("to-datetime", "--to-datetime 2040-01-01T00:00:00.000", "100"),
		toolStep{"reset: dry run", "consumer-groups --reset-offsets --group CLASSIC --topic TOPIC:0 --to-offset 5 --dry-run", "", []string{`CLASSIC\s+TOPIC\s+0\s+5\s`}},
		at("a dry run changes nothing", "CLASSIC", "100", "0"),
		toolStep{"reset: export", "consumer-groups --reset-offsets --group CLASSIC --all-topics --to-offset 9 --export --dry-run", "", []string{`TOPIC,0,9`}},
		toolStep{"reset: from-file", "consumer-groups --reset-offsets --group CONSUMER --from-file PLAN --execute", "", []string{`CONSUMER\s+TOPIC\s+0\s+42\s`}},
		at("after the file", "CONSUMER", "42", "58"),
		toolStep{"consumer from there", "console-consumer --topic TOPIC --group CONSUMER --max-messages 58 --timeout-ms 30000 --command-property group.protocol=consumer", "", []string{`line 42\n`, `line 99\n`, `Processed a total of 58 messages`}},
		toolStep{"consumer-perf-test", "consumer-perf-test --topic TOPIC --group perf-CLASSIC --num-records 100 --timeout 30000", "", []string{`, 100, `}},
		toolStep{"configs of a group", "configs --alter --entity-type groups --entity-name CONSUMER --add-config consumer.session.timeout.ms=7000", "", []string{`Completed updating config for group CONSUMER`}},
		toolStep{"configs of a group, seen", "configs --describe --entity-type groups --entity-name CONSUMER", "", []string{`consumer.session.timeout.ms=7000`}},
	)
	for _, protocol := range []string{"classic", "consumer"} {
		t.Run("with a member, "+protocol, func(t *testing.T) { withMember(t, bootstrap, topic, "live-"+protocol+fmt.Sprint(id), protocol) })
	}
	steps(
		toolStep{"delete offsets", "consumer-groups --delete-offsets --group CLASSIC --topic TOPIC:0", "", []string{`Request succeeded for deleting offsets from group CLASSIC`, `TOPIC\s+0\s+Successful`}},
		toolStep{"delete a group", "consumer-groups --delete --group CLASSIC", "", []string{`Deletion of requested consumer groups \('CLASSIC'\) was successful`}},
	)
	if server == nil {
		return
	}
	t.Run("dump-log: offsets", func(t *testing.T) {
		server.end(syscall.SIGTERM)
		segment := filepath.Join(dir, "broker-1", "__consumer_offsets-0", strings.Repeat("0", 20)+".log")
		out := tool(t, "", "dump-log", "--offsets-decoder", "--files", segment)
		for _, want := range []string{
			`"type":"1","data":\{"group":"` + classic + `","topic":"` + topic + `","partition":0\}\} payload: \{"version":"4","data":\{"offset":100,"leaderEpoch":\d+,"metadata":"","commitTimestamp":\d+`,
			`"type":"1","data":\{"group":"` + classic + `","topic":"` + topic + `","partition":0\}\} payload: <DELETE>`,
			`"type":"2","data":\{"group":"` + classic + `"\}\} payload: \{"version":"3","data":\{"protocolType":"consumer","generation":\d+,"protocol":"range"`,
			`"type":"3","data":\{"groupId":"` + consumer + `"\}\} payload: \{"version":"0","data":\{"epoch":2`,
			`"type":"5","data":\{"groupId":"` + consumer + `"`, `"type":"6","data":\{"groupId":"` + consumer + `"`,
			`"type":"7","data":\{"groupId":"` + consumer + `"`, `"type":"8","data":\{"groupId":"` + consumer + `"`,
		} {
			assert.Regexp(t, want, out)
		}
		assert.NotContains(t, out, "isvalid: false")
		assert.NotContains(t, out, "Could not decode")
	})
}

// withMember looks at a group that has a member, whose offsets may not be reset.
func withMember(t *testing.T, bootstrap, topic, group, protocol string) {
	member := start(t, "verifiable-consumer", "./tool", "verifiable-consumer", "--bootstrap-server", bootstrap, "--topic", topic, "--group-id", group, "--group-protocol", protocol, "--reset-policy", "earliest")
	member.until("it is given all records", func() bool { return strings.Contains(member.out.String(), `"maxOffset":99`) })
	out := tool(t, "", "consumer-groups", "--bootstrap-server", bootstrap, "--describe", "--members", "--verbose", "--group", group)
	assert.Regexp(t, group+`\s+\S+\s+/127\.0\.0\.1\s+\S+\s+1\s.*`+topic, out)
	out = tool(t, "", "consumer-groups", "--bootstrap-server", bootstrap, "--describe", "--state", "--group", group)
	assert.Regexp(t, `Stable\s+1`, out)
	refused, err := exec.Command("./tool", "consumer-groups", "--bootstrap-server", bootstrap, "--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--execute").CombinedOutput()
	assert.Contains(t, string(refused), "Assignments can only be reset if the group '"+group+"' is inactive, but the current state is Stable", "%v", err)
	refused, _ = exec.Command("./tool", "consumer-groups", "--bootstrap-server", bootstrap, "--delete", "--group", group).CombinedOutput()
	assert.Contains(t, string(refused), "The group is not empty")
	member.end(syscall.SIGTERM)
}
