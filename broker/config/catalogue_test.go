package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// differences are what the catalogue says otherwise than Kafka's own definitions,
// and why: which column, of which settings.
var differences = []struct {
	why    string
	column string
	of     []string // kind and name
}{
	{"a simulator may roll segments in a short run, so the floor is lower", "valid",
		[]string{"topic segment.bytes", "broker log.segment.bytes", "broker metadata.log.segment.bytes"}},
	{"Kafka refuses an empty list, and its validator does not print that", "valid",
		[]string{"broker advertised.listeners", "broker controller.listener.names", "broker group.consumer.assignors",
			"broker group.coordinator.rebalance.protocols", "broker group.share.assignors", "broker group.streams.assignors",
			"broker listeners", "broker log.dir", "broker log.dirs", "broker process.roles",
			"producer bootstrap.servers", "consumer bootstrap.servers"}},
	{"Kafka compares it without regard to case, and its validator does not print that", "valid",
		[]string{"consumer share.acquire.mode"}},
	{"Kafka has no default: the dump leaves it blank, as it does an empty one", "default",
		[]string{"broker controller.listener.names", "broker node.id", "broker process.roles",
			"producer bootstrap.servers", "producer key.serializer", "producer value.serializer",
			"consumer bootstrap.servers", "consumer key.deserializer", "consumer value.deserializer"}},
}

// ours are the settings that Kafka does not have.
var ours = map[string]string{
	"eligible.leader.replicas.version":      "a level that kafka-storage format --feature takes",
	"group.version":                         "a level that kafka-storage format --feature takes",
	"transaction.version":                   "a level that kafka-storage format --feature takes",
	"ktrial.controlled.shutdown.timeout.ms": "a constant in Kafka's code",
	"ktrial.coordinator.check":              "a check of ours, which costs as much as the state is large",
	"ktrial.coordinator.load.delay.ms":      "a simulated disk reads in no time",
	"ktrial.transaction.version":            "old clients are other programs",
	"ktrial.transaction.first.epoch":        "32,767 transactions take long to get there",
	"ktrial.cpu.kilobyte.us":                "what the work of a simulated broker costs",
	"ktrial.cpu.request.us":                 "what the work of a simulated broker costs",
}

// kafka-configs.tsv is what the running classes of Apache Kafka 4.4 define.
func TestTheCatalogueIsKafkas(t *testing.T) {
	kafkas := map[string]bool{}
	differ := map[string]bool{}
	for _, x := range differences {
		for _, of := range x.of {
			differ[x.column+" of "+of] = true
		}
	}
	for _, row := range rows(t, "testdata/kafka-configs.tsv") {
		row = append(row, "", "", "")
		kind, name := row[0], row[1]
		kafkas[kind+" "+name] = true
		d := Find(kindNamed(t, kind), name)
		if !assert.NotNil(t, d, "%s %s is missing", kind, name) {
			continue
		}
		value := d.Default
		switch {
		case d.Null:
			value = "-"
		case d.Required:
			value = "required"
		}
		for column, have := range map[string]string{
			"type": d.Type.String(), "default": value, "valid": d.Valid, "importance": d.Importance,
			"update": d.Update, "internal": map[bool]string{true: "int"}[d.Internal],
		} {
			kafka := strings.TrimSpace(row[map[string]int{"type": 2, "default": 3, "valid": 4, "importance": 5, "update": 6, "internal": 7}[column]])
			kafka = strings.ReplaceAll(kafka, "class org.", "org.") // a class prints so, and is shown without
			place := fmt.Sprintf("%s of %s %s", column, kind, name)
			if differ[place] {
				assert.NotEqual(t, kafka, have, "this is no difference: %s", place)
				delete(differ, place)
				continue
			}
			assert.Equal(t, kafka, have, place)
		}
	}
	assert.Empty(t, differ, "not among Kafka's definitions")
	assert.Len(t, kafkas, 779)
	for kind := range kinds {
		for _, d := range All(Kind(kind)) {
			known := kafkas[kinds[kind]+" "+d.Name]
			_, isOurs := ours[d.Name]
			assert.True(t, known != isOurs, "%s %s is neither Kafka's nor explained", d.Kind, d.Name)
			assert.Equal(t, !known, d.Ours(), d.Name)
		}
	}
}

// A topic's setting and the broker's that it comes from have the same type, unless
// the broker counts in another unit, and the same bounds or wider ones.
func TestTopicsHaveTheirDefaultsFromBrokers(t *testing.T) {
	without := []string{}
	for _, d := range All(Topic) {
		if len(d.BrokerNames) == 0 {
			without = append(without, d.Name)
		}
		for i, name := range d.BrokerNames {
			b := Find(Broker, name)
			require.NotNil(t, b, name)
			assert.Equal(t, d, DefaultOf(name))
			assert.Equal(t, i == 0, d.Dynamic(name))
			assert.Equal(t, i == 0, b.Update == ClusterWide, "%s is changed under its first name", name)
			if unit(name) == unit(d.Name) {
				assert.Equal(t, d.Type, b.Type, name)
			}
		}
		if value, from := d.Effective(FileLayer(nil)); !d.Null {
			assert.Equal(t, d.Default, value, d.Name)
			assert.Equal(t, FromDefault, from)
		}
	}
	assert.Equal(t, []string{"errors.deadletterqueue.group.enable", "follower.replication.throttled.replicas", "internal.segment.bytes",
		"leader.replication.throttled.replicas", "remote.log.copy.disable", "remote.log.delete.on.disable", "remote.storage.enable"}, without)
}

func TestEffective(t *testing.T) {
	for _, x := range []struct {
		name, topic, one, all, file string // what is set where
		want                        string
		from                        Source
	}{
		{"retention.ms", "", "", "", "", "604800000", FromDefault},
		{"retention.ms", "", "", "", "log.retention.hours=2", "7200000", FromFile},
		{"retention.ms", "", "", "", "log.retention.hours=2 log.retention.minutes=1", "60000", FromFile},
		{"retention.ms", "", "", "", "log.retention.hours=2 log.retention.ms=5", "5", FromFile},
		{"retention.ms", "", "", "log.retention.ms=7", "log.retention.ms=5", "7", FromAllBrokers},
		{"retention.ms", "", "log.retention.ms=9", "log.retention.ms=7", "", "9", FromBroker},
		{"retention.ms", "", "log.retention.ms=-2", "", "", "-1", FromBroker},
		{"retention.ms", "", "", "log.retention.hours=1", "", "604800000", FromDefault}, // not under that name
		{"retention.ms", "retention.ms= 11 ", "log.retention.ms=9", "", "", "11", FromTopic},
		{"preallocate", "preallocate=TRUE", "", "", "", "true", FromTopic},
		{"flush.ms", "", "", "", "log.flush.scheduler.interval.ms=3", "3", FromFile},
		{"segment.jitter.ms", "", "", "", "log.roll.jitter.hours=1", "3600000", FromFile},
		{"min.cleanable.dirty.ratio", "min.cleanable.dirty.ratio=1", "", "", "", "1.0", FromTopic},
	} {
		layer := func(from Source, set string) Layer {
			given := map[string]string{}
			for name, value := range pairs(set) {
				given[name] = value
			}
			l := FileLayer(given)
			l.Source = from
			return l
		}
		value, from := Find(Topic, x.name).Effective(layer(FromTopic, x.topic), layer(FromBroker, x.one), layer(FromAllBrokers, x.all), layer(FromFile, x.file))
		assert.Equal(t, x.want, value, "%+v", x)
		assert.Equal(t, x.from, from, "%+v", x)
	}
}

// pairs are "a=1 b=2"; one pair alone may have spaces in its value.
func pairs(set string) map[string]string {
	out := map[string]string{}
	all := strings.Split(set, " log.")
	for i, pair := range all {
		if i > 0 {
			pair = "log." + pair
		}
		if name, value, ok := strings.Cut(pair, "="); ok {
			out[name] = value
		}
	}
	return out
}

// What a running broker takes of its configuration (KIP-226).
func TestCheckUpdate(t *testing.T) {
	one, all := true, false
	for _, x := range []struct {
		update     map[string]string
		perBroker  bool
		below, top map[string]string
		says       string
	}{
		{update: map[string]string{"log.retention.ms": "5", "plugin.s": "x"}},
		{update: map[string]string{"num.partitions": "3", "broker.heartbeat.interval.ms": "5"},
			says: "Cannot update these configs dynamically: [broker.heartbeat.interval.ms, num.partitions]"},
		{update: map[string]string{"log.retention.hours": "3"}, says: "Cannot update these configs dynamically: [log.retention.hours]"},
		{update: map[string]string{"ssl.keystore.location": "/x"}, perBroker: one,
			says: "These security configs can be dynamically updated only per-listener using the listener prefix: [ssl.keystore.location]"},
		{update: map[string]string{"listener.name.plaintext.ssl.keystore.location": "/x"}, perBroker: one},
		{update: map[string]string{"listener.name.plaintext.ssl.keystore.location": "/x"}, perBroker: all,
			says: "Cannot update these configs at default cluster level, broker id must be specified: [listener.name.plaintext.ssl.keystore.location]"},
		{update: map[string]string{"message.max.bytes": "-1"}, says: "Invalid value -1 for configuration message.max.bytes: Value must be at least 0"},
		{update: map[string]string{"log.roll.ms": "0"}, says: "requirement failed: log.roll.ms must be greater than or equal to 1"},
		// A change in one unit takes the place of what was given in another.
		{update: map[string]string{"log.retention.ms": "5"}, below: map[string]string{"log.retention.minutes": "1"}},
		{update: map[string]string{"log.cleaner.threads": "100"}, below: map[string]string{"log.cleaner.dedupe.buffer.size": "2000000"},
			says: "requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread."},
		// What one broker has set holds against what is set for all.
		{update: map[string]string{"log.cleaner.threads": "100"}, top: map[string]string{"log.cleaner.threads": "1"}},
	} {
		err := CheckUpdate(x.update, x.perBroker, x.below, x.top)
		if x.says == "" {
			assert.NoError(t, err, "%v", x.update)
			continue
		}
		assert.EqualError(t, err, x.says)
	}
}

// A pool of threads changes by the factor of two at once.
func TestCheckRunning_Threads(t *testing.T) {
	for _, x := range []struct {
		now, next map[string]string
		says      string
	}{
		{nil, map[string]string{"num.io.threads": "16"}, ""},
		{nil, map[string]string{"num.io.threads": "4"}, ""},
		{nil, map[string]string{"num.io.threads": "17"}, "num.io.threads=17, value should not be greater than double the current value 8"},
		{nil, map[string]string{"num.io.threads": "3"}, "num.io.threads=3, value should be at least half the current value 8"},
		{map[string]string{"num.io.threads": "16"}, map[string]string{"num.io.threads": "32"}, ""},
		{map[string]string{"num.io.threads": "20"}, nil, "num.io.threads=8, value should be at least half the current value 20"},
	} {
		err := CheckRunning(x.now, x.next)
		if x.says == "" {
			assert.NoError(t, err, "%v", x)
			continue
		}
		assert.ErrorContains(t, err, "ConfigException: Dynamic thread count update validation failed for "+x.says+" for configuration")
	}
	for set, ok := range map[string]bool{"0": true, " 5 ": true, "-1": false, "x": false} {
		assert.Equal(t, ok, CheckUpdate(map[string]string{"leader.replication.throttled.rate": set}, true, nil, nil) == nil, set)
	}
}

// What parts of a running broker do not take, in the words of Apache Kafka 4.4 (odd-dynamic-configs of
// conformance/diff has some hundred more).
func TestCheckRunning(t *testing.T) {
	const two, map2 = "PLAINTEXT://h:1,X://h:2", "PLAINTEXT:PLAINTEXT,X:PLAINTEXT"
	for _, x := range []struct{ now, next, says string }{
		{"", "max.connections=0", "Invalid max.connections 0"},
		{"", "max.connection.creation.rate=0", "Invalid max.connection.creation.rate 0"},
		{"max.connections=0", "max.connections=0 log.retention.ms=5", ""}, // so it began
		{"listener.name.plaintext.max.connections=5", "listener.name.plaintext.max.connections=5 max.connections=0", ""},
		{"", "listener.name.other.max.connections=0", ""},
		{"", "listener.name.plaintext.max.connections=0", "Invalid max.connections 0"},
		{"", "listener.name.plaintext.num.network.threads=7", "Dynamic thread count update validation failed for num.network.threads=7, value should not be greater than double the current value 3"},
		{"", "metric.reporters=", ""},
		{"", "metric.reporters=org.apache.kafka.common.metrics.JmxReporter", ""},
		{"", "metric.reporters=x", "Validation of dynamic config update of Set(metric.reporters) failed with class class kafka.server.DynamicMetricsReporters"},
		{"log.retention.ms=5", "metric.reporters=x log.preallocate=true", "Validation of dynamic config update of Set(log.preallocate, metric.reporters) failed with class class kafka.server.DynamicMetricsReporters"},
		{"", "log.cleaner.threads=2", ""},
		{"", "log.cleaner.threads=3", "Log cleaner threads cannot be increased to more than double the current value 1"},
		{"log.cleaner.threads=4", "log.cleaner.threads=1", "Log cleaner threads cannot be reduced to less than half the current value 4"},
		{"", "remote.log.reader.threads=4", "Dynamic thread count update validation failed for remote.log.reader.threads=4, value should be at least half the current value 10"},
		{"", "log.local.retention.ms=604800000", ""},
		{"", "log.local.retention.ms=604800001", "Invalid value 604800001 for configuration log.local.retention.ms: Value must not be more than log.retention.ms property value: 604800000"},
		{"", "log.local.retention.ms=-1", "Invalid value -1 for configuration log.local.retention.ms: Value must not be -1 as log.retention.ms value is set as 604800000."},
		{"", "log.retention.ms=-1 log.local.retention.ms=-1", ""},
		{"log.retention.bytes=9", "log.retention.bytes=9 log.local.retention.bytes=10", "Invalid value 10 for configuration log.local.retention.bytes: Value must not be more than log.retention.bytes property value: 9"},
		{"log.local.retention.ms=5 log.retention.ms=1", "log.local.retention.ms=5 log.retention.ms=1 log.preallocate=true", ""}, // so it began
		{"", "listener.security.protocol.map=PLAINTEXT:SSL", "Security protocol cannot be updated for existing listener ListenerName(PLAINTEXT)"},
		{"", "listeners=" + two + " listener.security.protocol.map=" + map2, ""},
		{"", "listener.name.plaintext.foo=5", ""},
		{"", "listeners=PLAINTEXT://h:1 listener.name.plaintext.foo=5",
			"Configs cannot be updated dynamically for existing listener ListenerName(PLAINTEXT), restart broker or create a new listener for update"},
		{"", "listeners=PLAINTEXT://h:1 listener.name.plaintext.ssl.key.password=5", ""},
	} {
		set := func(all string) map[string]string {
			out := map[string]string{}
			for pair := range strings.FieldsSeq(all) {
				name, value, _ := strings.Cut(pair, "=")
				out[name] = value
			}
			return out
		}
		err := CheckRunning(set(x.now), set(x.next))
		if x.says == "" {
			assert.NoError(t, err, "%v", x)
			continue
		}
		assert.EqualError(t, err, "Invalid value org.apache.kafka.common.config.ConfigException: "+x.says+" for configuration Invalid dynamic configuration", "%v", x)
	}
}

// A list that is set while a broker runs names nothing twice; in a file the second is passed over (KIP-1161).
func TestCheckUpdate_Lists(t *testing.T) {
	for set, says := range map[string]string{
		"log.cleanup.policy=compact,compact":               "Configuration 'log.cleanup.policy' values must not be duplicated.",
		"log.cleanup.policy=,":                             "Configuration 'log.cleanup.policy' values must not be duplicated.",
		"metric.reporters=x,":                              "Configuration 'metric.reporters' values must not be empty.",
		"config.providers=a,a":                             "",
		"max.connections.per.ip.overrides=x":               "Error parsing configuration property 'max.connections.per.ip.overrides': begin 0, end -1, length 1",
		"max.connections.per.ip.overrides=a/b:5,c d:6,e:7": "max.connections.per.ip.overrides contains invalid addresses : a/b,c d",
	} {
		name, value, _ := strings.Cut(set, "=")
		err := CheckUpdate(map[string]string{name: value}, true, nil, nil)
		if says == "" {
			assert.NoError(t, err, set)
			continue
		}
		assert.EqualError(t, err, says, set)
	}
}

// What a node listens to must fit to what it is, and to what it advertises.
func TestListeners(t *testing.T) {
	const plain = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,X:SSL"
	for _, x := range []struct{ roles, listeners, protocols, says string }{
		{"broker", "PLAINTEXT://:1", plain, ""},
		{"broker", "plaintext://[::1]:0,X://h:0", plain, ""},
		{"broker", "PLAINTEXT://1.2.3.4:1,X://[::1]:1", plain, ""},
		{"broker,controller", "PLAINTEXT://:1,CONTROLLER://:2", plain, ""},
		{"broker", "PLAINTEXT://:1,CONTROLLER://:2", plain, "must not contain a value appearing in the 'listeners'"},
		{"broker,controller", "PLAINTEXT://:1", plain, "must contain at least one value appearing in the 'listeners'"},
		{"broker", "PLAINTEXT://:1", "PLAINTEXT:PLAINTEXT", "Controller listener with name CONTROLLER defined in controller.listener.names not found"},
		{"broker", "X://:1", plain, "Found PLAINTEXT. The valid options based on the current configuration are X"},
		{"broker", "X://:1", "X:SSL,CONTROLLER:PLAINTEXT", "Error creating broker listeners from '[PLAINTEXT://h:1]': No security protocol defined for listener PLAINTEXT"},
		{"broker", "Y://:1", plain, "No security protocol defined for listener Y"},
		{"broker", "PLAINTEXT://h/:1", plain, "Unable to parse PLAINTEXT://h/:1 to a broker endpoint"},
		{"broker", "PLAINTEXT://h:99999999999", plain, `For input string: "99999999999"`},
		{"broker", "://h:1", plain, "The provided listener name is null or empty string"},
		{"broker", "PLAINTEXT://h:1", ":SSL", "The provided listener name is null or empty string"},
		{"broker", "PLAINTEXT://h:1", "PLAINTEXT:TLS", "Invalid security protocol `TLS` defined in listener.security.protocol.map"},
		{"broker", "PLAINTEXT://h:1,X://h:1", plain, "Each listener must have a different port, listeners: [PLAINTEXT://h:1, X://h:1]"},
		{"broker", "PLAINTEXT://1.2.3.4:1,X://h:1", plain, "unless exactly one listener has an IPv4 address and the other IPv6 address, listeners: [PLAINTEXT://1.2.3.4:1, X://h:1], port: 1"},
		{"broker", "PLAINTEXT://1.2.3.4:1,X://5.6.7.8:1", plain, "one needs to be IPv4 and the other IPv6, listeners: [PLAINTEXT://1.2.3.4:1, X://5.6.7.8:1], port: 1"},
	} {
		err := Check(Broker, map[string]string{"process.roles": x.roles, "listeners": x.listeners, "listener.security.protocol.map": x.protocols,
			"controller.listener.names": "CONTROLLER", "advertised.listeners": "PLAINTEXT://h:1"})
		if x.says == "" {
			assert.NoError(t, err, "%v", x)
			continue
		}
		assert.ErrorContains(t, err, x.says, "%v", x)
	}
}

// Java reads the digits of every script.
func TestDigitsOfOtherScripts(t *testing.T) {
	for given, want := range map[string]string{"\u0663": "3", "\uff11\uff12": "12", "-\u0967": "-1", "+\u06f5": "5"} {
		v, err := Long.parse("retention.ms", given)
		assert.NoError(t, err, given)
		assert.Equal(t, want, v.text, given)
	}
	for _, given := range []string{"\u00b2", "\u2163", "1_0", "0x1", "\u0663\u00b2", "\U0001d7ce"} { // a power, a Roman four
		_, err := Long.parse("retention.ms", given)
		assert.Error(t, err, given)
	}
}

func TestAlterList(t *testing.T) {
	assert.Equal(t, "delete,compact", AlterList("delete", "compact", true))
	assert.Equal(t, "delete", AlterList("delete", "delete", true))
	assert.Equal(t, "delete,", AlterList("delete", "", true))
	assert.Equal(t, "delete,compact", AlterList("delete", "compact,,", true))
	assert.Equal(t, "delete", AlterList("delete", ",", true))
	assert.Equal(t, "delete", AlterList("delete", "", false))
	assert.Equal(t, "", AlterList("delete,compact", "compact,delete", false))
	assert.Equal(t, "a", AlterList("", "a", true))
}

// A line of the table that is wrong is told with its number.
func TestReadRefusesABadLine(t *testing.T) {
	for line, says := range map[string]string{
		"broker\ta\tnumber":                  `found type "number"`,
		"server\ta\tint\t1":                  `found kind "server"`,
		"broker\ta\tint\tone":                "Not a number of type INT",
		"broker\ta\tint\t1\t[2,...]":         "Value must be at least 2",
		"broker\ta\tint\t1\tlarge":           `what is valid is unclear: "large"`,
		"broker,broker\ta\tint\t1":           "broker a is defined twice",
		"broker\ta\tint\t1\t[x,...]":         "bounds",
		"broker\ta\tint\t1\t[1,...,2] or -1": "",
	} {
		read := func() { read(columns + "\n" + line + "\n") }
		if says == "" {
			assert.NotPanics(t, read, line)
			continue
		}
		func() {
			defer func() {
				said := fmt.Sprint(recover())
				assert.Contains(t, said, "catalogue.tsv:2: ", line)
				assert.Contains(t, said, says, line)
			}()
			read()
		}()
	}
	assert.Panics(t, func() { read("name\n") })
}

func TestKindsAndNames(t *testing.T) {
	assert.Equal(t, []Kind{Broker, Producer, Consumer, Admin}, Kinds("request.timeout.ms"))
	assert.Equal(t, []Kind{Broker, Topic, Producer}, Kinds("compression.type"))
	assert.Empty(t, Kinds("acks.all"))
	assert.True(t, slices.IsSorted(Names(Broker)))
	assert.EqualError(t, Unknown("ack", Producer), `config "ack" is unknown; did you mean acks?`)
	shown := slices.DeleteFunc(slices.Clone(All(Broker)), func(d *Definition) bool { return d.Internal })
	assert.Len(t, shown, 350)
	assert.Len(t, slices.DeleteFunc(slices.Clone(All(Topic)), func(d *Definition) bool { return d.Internal }), 37)
}
