package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
)

// Check refuses a configuration that Kafka would refuse: each value, and then
// what contradicts itself. given has what is set; everything else has its
// default. Names that no setting of the kind has are passed over, as in Kafka.
func Check(kind Kind, given map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		d := Find(kind, name)
		if d == nil {
			continue
		}
		if _, err := d.Parse(given[name]); err != nil {
			return err
		}
	}
	v := Values{kind, given}
	for _, r := range rules[kind] {
		if says := r(v); says != "" {
			return &Invalid{Message: says}
		}
	}
	return nil
}

// CheckTopic refuses what Kafka would refuse of a topic: given is what is set on
// it, defaults what it has of its broker. A name that is unknown is refused.
func CheckTopic(given map[string]string, defaults Layer) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if Find(Topic, name) == nil {
			return &Invalid{name, "Unknown topic config name: " + name}
		}
	}
	all := maps.Clone(given)
	if all == nil {
		all = map[string]string{}
	}
	for _, d := range All(Topic) {
		if _, set := all[d.Name]; set {
			continue
		}
		if v, from := d.Effective(defaults); from != FromDefault {
			all[d.Name] = v
		}
	}
	return Check(Topic, all)
}

// Values are a configuration: what is given, and defaults.
type Values struct {
	Kind  Kind
	Given map[string]string
}

// Has reports whether the setting is given.
func (v Values) Has(name string) bool { _, ok := v.Given[name]; return ok }

// Text is a setting's value; "" if it is null.
func (v Values) Text(name string) string {
	d := Find(v.Kind, name)
	if d == nil {
		panic(fmt.Sprintf("config: catalogue.tsv has no %s setting %s", v.Kind, name))
	}
	if given, ok := v.Given[name]; ok {
		return d.Shown(given)
	}
	return d.Default
}

// Int is the value of a whole number.
func (v Values) Int(name string) int64 {
	n, err := strconv.ParseInt(v.Text(name), 10, 64)
	if err != nil {
		panic(fmt.Sprintf("config: %s was checked: %v", name, err))
	}
	return n
}

// Bool is the value of a boolean.
func (v Values) Bool(name string) bool { return v.Text(name) == "true" }

// ofTopics is what topics have by default of a broker's values, in milliseconds
// where it is a time.
func (v Values) ofTopics(name string) int64 {
	value, _ := Find(Topic, name).Effective(FileLayer(v.Given))
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("config: %s was checked: %v", name, err))
	}
	return n
}

// rule is one thing that several settings must agree on. It returns what Kafka
// says if they do not, in Kafka's words, or "".
type rule func(Values) string

// rules are in the order in which Kafka looks, for the first one that is broken
// is told.
var rules = map[Kind][]rule{
	Broker: slices.Concat([]rule{consumerAssignors, offsetsCodec}, groupRules, []rule{
		listenersParse,
		requirement("log.roll.ms must be greater than or equal to 1",
			func(v Values) bool { return v.ofTopics("segment.ms") >= 1 }),
		requirement("log.roll.jitter.ms must be greater than or equal to 0",
			func(v Values) bool { return v.ofTopics("segment.jitter.ms") >= 0 }),
		requirement("log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
			func(v Values) bool { return v.ofTopics("retention.ms") != 0 }),
		cleanerThreads,
		requirement("replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent unnecessary socket timeouts",
			func(v Values) bool { return v.Int("replica.fetch.wait.max.ms") <= v.Int("replica.socket.timeout.ms") }),
		requirement("replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent frequent changes in ISR",
			func(v Values) bool { return v.Int("replica.fetch.wait.max.ms") <= v.Int("replica.lag.time.max.ms") }),
		listenersFit,
		cordoned,
		requirement("queued.max.request.bytes must be larger or equal to socket.request.max.bytes",
			func(v Values) bool {
				queued := v.Int("queued.max.request.bytes")
				return queued <= 0 || queued >= v.Int("socket.request.max.bytes")
			}),
		requirement("max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.",
			func(v Values) bool {
				return v.Int("max.connections.per.ip") != 0 || v.Text("max.connections.per.ip.overrides") != ""
			}),
		overridesPerIP,
		idleConnections,
		principals,
	}),
	Topic:    {compactionLag, tiered},
	Producer: {idempotentRetries, idempotentAcks, idempotentInFlight, transactional, twoPhase, deliveryTimeout},
	Consumer: {groupInstance, autoCommit, remoteAssignor, modernGroup, emptyGroup, heartbeat},
	Admin:    {apiTimeout},
}

// requirement is one that Kafka states with Scala's require.
func requirement(says string, holds func(Values) bool) rule {
	return func(v Values) string {
		if holds(v) {
			return ""
		}
		return "requirement failed: " + says
	}
}

func cleanerThreads(v Values) string {
	threads := v.Int("log.cleaner.threads")
	switch {
	case threads == 0:
		return "/ by zero" // as Kafka says
	case v.Int("log.cleaner.dedupe.buffer.size")/threads <= 1<<20:
		return "requirement failed: log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread."
	}
	return ""
}

func idleConnections(v Values) string {
	delay, idle := v.Int("connection.failed.authentication.delay.ms"), v.Int("connections.max.idle.ms")
	if idle < 0 || delay < idle {
		return ""
	}
	return fmt.Sprintf("requirement failed: connection.failed.authentication.delay.ms=%d should always be less than connections.max.idle.ms=%d to prevent failed authentication responses from timing out", delay, idle)
}

func cordoned(v Values) string {
	if all := items(v.Text("cordoned.log.dirs")); len(all) > 1 && slices.Contains(all, "*") {
		return "requirement failed: When cordoned.log.dirs is set to *, it must not contain other values"
	}
	dirs := items(v.Text("log.dirs"))
	if !v.Has("log.dirs") {
		dirs = items(v.Text("log.dir"))
	}
	missing := slices.DeleteFunc(items(v.Text("cordoned.log.dirs")), func(dir string) bool {
		return dir == "*" || slices.Contains(dirs, dir)
	})
	if len(missing) == 0 {
		return ""
	}
	return "requirement failed: All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing entries : " + strings.Join(missing, ", ")
}

// principals are built by a class that can also write them down, of which there is one here.
func principals(v Values) string {
	if v.Text("principal.builder.class") == "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder" {
		return ""
	}
	return "requirement failed: principal.builder.class must implement KafkaPrincipalSerde"
}

// consumerAssignors: names of classes are those of guests in Kafka, and none here.
func consumerAssignors(v Values) string {
	const name = "group.consumer.assignors"
	for _, item := range items(v.Text(name)) {
		if item != "uniform" && item != "range" {
			return fmt.Sprintf("Invalid value %s for configuration %s: Class cannot be found", item, name)
		}
	}
	return ""
}

func offsetsCodec(v Values) string {
	if codec := v.Int("offsets.topic.compression.codec"); codec < 0 || codec > 4 {
		return fmt.Sprintf("Unknown compression type id: %d", codec)
	}
	return ""
}

// groupRules are those of the group coordinators: first the bounds, then what
// must lie between them.
var groupRules = []rule{
	atLeast("group.consumer.max.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms"),
	atLeast("group.consumer.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms"),
	atMost("group.consumer.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"),
	atLeast("group.consumer.max.session.timeout.ms", "group.consumer.min.session.timeout.ms"),
	atLeast("group.consumer.session.timeout.ms", "group.consumer.min.session.timeout.ms"),
	atMost("group.consumer.session.timeout.ms", "group.consumer.max.session.timeout.ms"),
	below("group.consumer.heartbeat.interval.ms", "group.consumer.session.timeout.ms"),
	atLeast("group.consumer.max.assignment.interval.ms", "group.consumer.min.assignment.interval.ms"),
	atLeast("group.consumer.assignment.interval.ms", "group.consumer.min.assignment.interval.ms"),
	atMost("group.consumer.assignment.interval.ms", "group.consumer.max.assignment.interval.ms"),
	atLeast("group.share.max.heartbeat.interval.ms", "group.share.min.heartbeat.interval.ms"),
	atLeast("group.share.heartbeat.interval.ms", "group.share.min.heartbeat.interval.ms"),
	atMost("group.share.heartbeat.interval.ms", "group.share.max.heartbeat.interval.ms"),
	atLeast("group.share.max.session.timeout.ms", "group.share.min.session.timeout.ms"),
	atLeast("group.share.session.timeout.ms", "group.share.min.session.timeout.ms"),
	atMost("group.share.session.timeout.ms", "group.share.max.session.timeout.ms"),
	below("group.share.heartbeat.interval.ms", "group.share.session.timeout.ms"),
	atLeast("group.share.max.assignment.interval.ms", "group.share.min.assignment.interval.ms"),
	atLeast("group.share.assignment.interval.ms", "group.share.min.assignment.interval.ms"),
	atMost("group.share.assignment.interval.ms", "group.share.max.assignment.interval.ms"),
	atLeast("group.share.record.lock.duration.ms", "group.share.min.record.lock.duration.ms"),
	atLeast("group.share.max.record.lock.duration.ms", "group.share.record.lock.duration.ms"),
	atLeast("group.share.partition.max.record.locks", "group.share.min.partition.max.record.locks"),
	atLeast("group.share.max.partition.max.record.locks", "group.share.partition.max.record.locks"),
	atLeast("group.share.delivery.count.limit", "group.share.min.delivery.count.limit"),
	atLeast("group.share.max.delivery.count.limit", "group.share.delivery.count.limit"),
	atLeast("group.share.max.share.sessions", "group.share.max.size"),
	atLeast("group.streams.max.heartbeat.interval.ms", "group.streams.min.heartbeat.interval.ms"),
	atLeast("group.streams.heartbeat.interval.ms", "group.streams.min.heartbeat.interval.ms"),
	atMost("group.streams.heartbeat.interval.ms", "group.streams.max.heartbeat.interval.ms"),
	atLeast("group.streams.max.session.timeout.ms", "group.streams.min.session.timeout.ms"),
	atLeast("group.streams.session.timeout.ms", "group.streams.min.session.timeout.ms"),
	atMost("group.streams.session.timeout.ms", "group.streams.max.session.timeout.ms"),
	below("group.streams.heartbeat.interval.ms", "group.streams.session.timeout.ms"),
	atLeast("group.streams.max.assignment.interval.ms", "group.streams.min.assignment.interval.ms"),
	atLeast("group.streams.assignment.interval.ms", "group.streams.min.assignment.interval.ms"),
	atMost("group.streams.assignment.interval.ms", "group.streams.max.assignment.interval.ms"),
	atMost("group.streams.num.standby.replicas", "group.streams.max.standby.replicas"),
	atMost("group.streams.num.warmup.replicas", "group.streams.max.warmup.replicas"),
	atLeast("group.streams.task.offset.interval.ms", "group.streams.min.task.offset.interval.ms"),
	func(v Values) string {
		if protocols := v.Text("group.coordinator.rebalance.protocols"); !slices.Contains(items(protocols), "classic") {
			return "Disabling the 'classic' protocol is not supported."
		}
		return ""
	},
}

func atLeast(name, least string) rule {
	return func(v Values) string {
		if v.Int(name) >= v.Int(least) {
			return ""
		}
		return name + " must be greater than or equal to " + least
	}
}

func atMost(name, most string) rule {
	return func(v Values) string {
		if v.Int(name) <= v.Int(most) {
			return ""
		}
		return name + " must be less than or equal to " + most
	}
}

func below(name, bound string) rule {
	return func(v Values) string {
		if v.Int(name) < v.Int(bound) {
			return ""
		}
		return name + " must be less than " + bound
	}
}

func compactionLag(v Values) string {
	least, most := v.Int("min.compaction.lag.ms"), v.Int("max.compaction.lag.ms")
	if least <= most {
		return ""
	}
	return fmt.Sprintf("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)", least, most)
}

// tiered storage is not there, as in a Kafka where it is not configured.
func tiered(v Values) string {
	if !v.Bool("remote.storage.enable") {
		return ""
	}
	return "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
}

// Idempotence that is not given gives way to what excludes it; see
// Idempotent.

func idempotentRetries(v Values) string {
	if v.Bool("enable.idempotence") && v.Has("enable.idempotence") && v.Int("retries") == 0 {
		return "Must set retries to non-zero when using the idempotent producer."
	}
	return ""
}

func idempotentAcks(v Values) string {
	if v.Bool("enable.idempotence") && v.Has("enable.idempotence") && !acksAll(v) {
		return "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence."
	}
	return ""
}

func idempotentInFlight(v Values) string {
	if n := v.Int("max.in.flight.requests.per.connection"); v.Bool("enable.idempotence") && n > 5 {
		return fmt.Sprintf("To use the idempotent producer, max.in.flight.requests.per.connection must be set to at most 5. Current value is %d.", n)
	}
	return ""
}

func transactional(v Values) string {
	if v.Has("transactional.id") && !v.Idempotent() {
		return "Cannot set a transactional.id without also enabling idempotence."
	}
	return ""
}

func twoPhase(v Values) string {
	if v.Bool("transaction.two.phase.commit.enable") && v.Has("transaction.timeout.ms") {
		return "Cannot set transaction.timeout.ms when transaction.two.phase.commit.enable is set to true. Transactions will not expire with two-phase commit enabled."
	}
	return ""
}

func acksAll(v Values) bool { acks := v.Text("acks"); return acks == "all" || acks == "-1" }

// Idempotent reports whether a producer of this configuration is: with acks
// other than all, or without retries, one that was not told to be is not.
func (v Values) Idempotent() bool {
	return v.Bool("enable.idempotence") && acksAll(v) && v.Int("retries") != 0
}

// delivery.timeout.ms that is not given is as long as it must be; see DeliveryTimeout.
func deliveryTimeout(v Values) string {
	if v.Has("delivery.timeout.ms") && v.Int("delivery.timeout.ms") < v.attempt() {
		return "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms"
	}
	return ""
}

// attempt is how long one attempt to send a record may take, in milliseconds.
func (v Values) attempt() int64 {
	const most = 1<<31 - 1
	return min(min(v.Int("linger.ms"), most)+v.Int("request.timeout.ms"), most)
}

// DeliveryTimeout is delivery.timeout.ms of a producer, in milliseconds.
func (v Values) DeliveryTimeout() int64 {
	if v.Has("delivery.timeout.ms") {
		return v.Int("delivery.timeout.ms")
	}
	return max(v.Int("delivery.timeout.ms"), v.attempt())
}

func groupInstance(v Values) string {
	says := kafka.TopicNameError(v.Text("group.instance.id")) // an instance is named as a topic is
	if !v.Has("group.instance.id") || says == "" {
		return ""
	}
	return strings.Replace(says, "Topic name is invalid", "Group instance id is invalid", 1)
}

func autoCommit(v Values) string {
	if v.Has("enable.auto.commit") && v.Bool("enable.auto.commit") && !v.Has("group.id") {
		return "enable.auto.commit cannot be set to true when default group id (null) is used."
	}
	return ""
}

func remoteAssignor(v Values) string {
	if strings.EqualFold(v.Text("group.protocol"), "classic") && v.Text("group.remote.assignor") != "" {
		return "group.remote.assignor cannot be set when group.protocol=CLASSIC"
	}
	return ""
}

// modernGroup refuses what the group coordinator decides (KIP-848).
func modernGroup(v Values) string {
	if !strings.EqualFold(v.Text("group.protocol"), "consumer") {
		return ""
	}
	var set []string
	for _, name := range []string{"partition.assignment.strategy", "heartbeat.interval.ms", "session.timeout.ms"} {
		if v.Has(name) {
			set = append(set, name)
		}
	}
	if set == nil {
		return ""
	}
	return strings.Join(set, ", ") + " cannot be set when group.protocol=CONSUMER"
}

func emptyGroup(v Values) string {
	if v.Has("group.id") && v.Text("group.id") == "" {
		return "The configured group.id should not be an empty string or whitespace."
	}
	return ""
}

func heartbeat(v Values) string {
	if v.Has("group.id") && v.Int("heartbeat.interval.ms") >= v.Int("session.timeout.ms") && strings.EqualFold(v.Text("group.protocol"), "classic") {
		return "Heartbeat must be set lower than the session timeout"
	}
	return ""
}

func apiTimeout(v Values) string {
	if v.Has("default.api.timeout.ms") && v.Int("default.api.timeout.ms") < v.Int("request.timeout.ms") {
		return "The specified value of default.api.timeout.ms must be no smaller than the value of request.timeout.ms."
	}
	return ""
}
