package broker_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// altersOtherwise are the requests of kafka-alters.tsv that are answered otherwise
// here, and why: resource, changes, what we say.
var altersOtherwise = []struct {
	why  string
	rows [][3]string
}{
	{"Kafka answers UNKNOWN_SERVER_ERROR", [][3]string{
		{"topic t1", "bad:retention.ms=5", "42 Unknown operations type 9"},
	}},
	{"a simulator may roll segments in a short run, so the floor is lower than Kafka's", [][3]string{
		{"topic t1", "set:segment.bytes=-5", "40 Invalid value -5 for configuration segment.bytes: Value must be at least 100"},
		{"broker 1", "set:log.segment.bytes=5", "42 Invalid value 5 for configuration log.segment.bytes: Value must be at least 100"},
	}},
	{"Kafka lists them in the order of a hash table", [][3]string{
		{"broker 1", "set:broker.heartbeat.interval.ms=5|set:num.partitions=3", "42 Cannot update these configs dynamically: [broker.heartbeat.interval.ms, num.partitions]"},
	}},
	{"Kafka's node was started with num.io.threads=4", [][3]string{
		{"broker 1", "set:num.io.threads=100", "42 Invalid value org.apache.kafka.common.config.ConfigException: Dynamic thread count update validation failed for num.io.threads=100, value should not be greater than double the current value 8 for configuration Invalid dynamic configuration"},
	}},
	{"the topics' defaults are what the controllers were started with; Kafka's node was a broker too, and knew flush.ms=-1 of it", [][3]string{
		{"topic nosuch", "retention.ms=6", "3 The topic 'nosuch' does not exist."},
	}},
}

// A change of configuration is answered as Kafka answered it: the code and the
// words.
func TestAlterConfigs_SayWhatKafkaSays(t *testing.T) {
	text, err := os.ReadFile("testdata/kafka-alters.tsv")
	require.NoError(t, err)
	otherwise := map[string]string{}
	for _, x := range altersOtherwise {
		for _, row := range x.rows {
			otherwise[row[0]+" "+row[1]] = row[2]
		}
	}
	c := combined(t, 1, 1)
	c.client(func(u *user) {
		u.running(1)
		u.createTopic(1, "t1", 1, 1)
		for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[2:] {
			f := strings.Split(line+"\t", "\t")
			want := f[4] + " " + f[5]
			if ours, ok := otherwise[f[1]+" "+f[2]+" "+f[3]]; ok {
				assert.NotEqual(t, want, ours, "this is no difference: %s", line)
				want = ours
				delete(otherwise, f[1]+" "+f[2]+" "+f[3])
			}
			assert.Equal(t, want, u.altered(f[0], f[1], f[2], f[3]), line)
			u.h.Sleep(100 * time.Millisecond) // the broker follows the metadata log
		}
	})
	assert.Empty(t, otherwise, "not in kafka-alters.tsv")
}

var resourceTypes = map[string]kmsg.ConfigResourceType{"topic": 2, "broker": 4, "logger": 8, "group": 32, "77": 77, "0": 0}

// altered is the answer to one request of the table: its code and message.
func (u *user) altered(request, resource, name, changes string) string {
	if request == "legacy" {
		return u.alteredWhole(resourceTypes[resource], name, changes)
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = request == "validate"
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = resourceTypes[resource], name
	for change := range strings.SplitSeq(changes, "|") {
		op, rest, _ := strings.Cut(change, ":")
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Op = map[string]kmsg.IncrementalAlterConfigOp{"set": 0, "del": 1, "app": 2, "sub": 3, "bad": 9}[op]
		c.Name, c.Value = nameAndValue(rest)
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	resp, err := u.ask(kafka.NodeID(1), req)
	require.NoError(u.t, err)
	answer := resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0]
	return codeAndMessage(answer.ErrorCode, answer.ErrorMessage)
}

func (u *user) alteredWhole(resource kmsg.ConfigResourceType, name, changes string) string {
	req := kmsg.NewPtrAlterConfigsRequest()
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = resource, name
	for change := range strings.SplitSeq(changes, "|") {
		if change == "" {
			continue
		}
		c := kmsg.NewAlterConfigsRequestResourceConfig()
		c.Name, c.Value = nameAndValue(change)
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	resp, err := u.ask(kafka.NodeID(1), req)
	require.NoError(u.t, err)
	answer := resp.(*kmsg.AlterConfigsResponse).Resources[0]
	return codeAndMessage(answer.ErrorCode, answer.ErrorMessage)
}

func nameAndValue(s string) (name string, value *string) {
	name, v, ok := strings.Cut(s, "=")
	if ok {
		value = &v
	}
	return name, value
}

func codeAndMessage(code int16, message *string) string {
	if message == nil {
		message = new(string)
	}
	return fmt.Sprintf("%d %s", code, strings.TrimSpace(*message))
}
