package config

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// kafka-says.tsv has what Apache Kafka itself answers to some hundred
// configurations: the catalogue answers the same, word for word, but for these.
var saysOtherwise = []struct {
	why  string
	rows [][3]string // kind, settings, what we say
}{
	{"a broker reads it for itself, and here the shape of the cluster gives it; --set refuses the name", [][3]string{
		{"broker", "broker.id=7", "OK"},
		{"broker", "inter.broker.listener.name=foo", "OK"},
		{"broker", "advertised.listeners=PLAINTEXT://0.0.0.0:9092", "OK"},
		{"broker", "controller.quorum.voters=x", "OK"},
		{"broker", "controller.quorum.voters=", "OK"},
		{"broker", "controller.quorum.voters=1@h:1", "OK"},
	}},
	{"Kafka looks into the class, which is not here", [][3]string{
		{"producer", "partitioner.class=java.lang.String", "OK"},
		{"producer", "interceptor.classes=x", "OK"},
		{"consumer", "partition.assignment.strategy=x; group.id=g", "OK"},
		{"producer", "key.serializer=java.lang.String", "OK"},
	}},
	{"it has no effect here, and what Kafka says is Java's own message", [][3]string{
		{"producer", "security.protocol=SASL_PLAINTEXT", "OK"},
		{"producer", "bootstrap.servers=x", "OK"},
		{"admin", "bootstrap.controllers=a:1", "OK"},
	}},
	{"a simulator may roll segments in a short run, so the floor is lower than Kafka's", [][3]string{
		{"broker", "log.segment.bytes=20", "Invalid value 20 for configuration log.segment.bytes: Value must be at least 100"},
		{"broker", "log.segment.bytes=-5", "Invalid value -5 for configuration log.segment.bytes: Value must be at least 100"},
		{"broker", "metadata.log.segment.bytes=10", "Invalid value 10 for configuration metadata.log.segment.bytes: Value must be at least 1000"},
		{"topic", "segment.bytes=-5", "Invalid value -5 for configuration segment.bytes: Value must be at least 100"},
		{"topic", "segment.bytes=1048575", "OK"},
	}},
	{"LogConfig.validate was asked without a broker, whose configuration says that tiered storage is off; a broker says what we say", [][3]string{
		{"topic", "remote.storage.enable=true", "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."},
	}},
	{"Kafka has a validator of its own for this one, and it has no effect here", [][3]string{
		{"consumer", "share.acquire.mode=x", "Invalid value x for configuration share.acquire.mode: String must be one of (case insensitive): BATCH_OPTIMIZED, RECORD_LIMIT"},
	}},
}

func TestTheCatalogueSaysWhatKafkaSays(t *testing.T) {
	otherwise := map[string]string{}
	for _, x := range saysOtherwise {
		for _, row := range x.rows {
			otherwise[row[0]+" "+row[1]] = row[2]
		}
	}
	for _, row := range rows(t, "testdata/kafka-says.tsv") {
		kind, settings, says := row[0], row[1], row[2]
		given := map[string]string{}
		for pair := range strings.SplitSeq(settings, "; ") {
			name, value, _ := strings.Cut(pair, "=")
			given[name] = value
		}
		if ours, ok := otherwise[kind+" "+settings]; ok {
			assert.NotEqual(t, says, ours, "this is no difference: %s %s", kind, settings)
			says = ours
			delete(otherwise, kind+" "+settings)
		}
		assert.Equal(t, says, said(kindNamed(t, kind), given), "%s %s", kind, settings)
	}
	assert.Empty(t, otherwise, "not in kafka-says.tsv")
}

func said(kind Kind, given map[string]string) string {
	err := Check(kind, given)
	if kind == Topic {
		err = CheckTopic(given, FileLayer(nil))
	}
	if err != nil {
		return err.Error()
	}
	return "OK"
}

func kindNamed(t *testing.T, name string) Kind {
	for i, k := range kinds {
		if k == name {
			return Kind(i)
		}
	}
	require.Fail(t, "no kind "+name)
	return 0
}

// rows are the lines of a table, without the comment and the names of columns.
func rows(t *testing.T, file string) (out [][]string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if i >= 2 {
			out = append(out, strings.Split(line, "\t"))
		}
	}
	require.NotEmpty(t, out)
	return out
}
