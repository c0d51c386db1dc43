package sessions

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// oddValues are what a person, or a program in another language, writes for a topic's
// settings: units, signs, spaces, digits of other scripts, lists with holes.
var oddValues = []string{
	"retention.ms= 60000 ", "retention.ms=\t60000\n", "retention.ms=\u00a060000", "retention.ms=+60000", "retention.ms=60000L", "retention.ms=60_000",
	"retention.ms=0x10", "retention.ms=1e3", "retention.ms=60000.0", "retention.ms=6 0", "retention.ms=60s", "retention.ms=1 minute", "retention.ms=-1",
	"retention.ms=-0", "retention.ms=0", "retention.ms=\uff11\uff12", "retention.ms=\u0663", "retention.ms=9223372036854775807", "retention.ms=9223372036854775808",
	"retention.ms=-9223372036854775808", "retention.ms=null", "retention.ms= ", "retention.ms=--1", "retention.ms=+-1", "retention.ms=007",
	"retention.bytes=-5", "retention.bytes=-9223372036854775808", "max.message.bytes=2147483647", "max.message.bytes=2147483648", "max.message.bytes=0",
	"unclean.leader.election.enable=TRUE", "unclean.leader.election.enable= true", "unclean.leader.election.enable=1", "unclean.leader.election.enable=yes",
	"unclean.leader.election.enable=", "preallocate=t", "preallocate=False",
	"cleanup.policy= delete", "cleanup.policy=delete ,compact", "cleanup.policy=DELETE", "cleanup.policy=delete;compact", "cleanup.policy=[delete]",
	"cleanup.policy=,delete", "cleanup.policy=compact,compact,delete", "cleanup.policy=none", "cleanup.policy= ", "cleanup.policy=delete,,",
	"min.cleanable.dirty.ratio=.5", "min.cleanable.dirty.ratio=5e-1", "min.cleanable.dirty.ratio=0.5f", "min.cleanable.dirty.ratio=0,5", "min.cleanable.dirty.ratio=50%",
	"min.cleanable.dirty.ratio=1.0000000000000001", "min.cleanable.dirty.ratio=-0.0", "min.cleanable.dirty.ratio=+0.5", "min.cleanable.dirty.ratio=0.5df", "min.cleanable.dirty.ratio=1.", "min.cleanable.dirty.ratio=.",
	"compression.type=GZIP", "compression.type= gzip", "compression.type=Producer", "compression.gzip.level=-1", "compression.gzip.level=10", "compression.lz4.level=0", "compression.lz4.level=18",
	"compression.zstd.level=-131073", "compression.zstd.level=0", "message.timestamp.type=createtime", "message.timestamp.type=LogAppendTime ",
	"message.timestamp.before.max.ms=-1", "message.timestamp.after.max.ms=0", "message.timestamp.difference.max.ms=5",
	"segment.jitter.ms=-1", "segment.jitter.ms=99999999999", "segment.ms=-1", "segment.bytes=2147483648", "segment.index.bytes=0", "file.delete.delay.ms=-1",
	"delete.retention.ms=-1", "min.compaction.lag.ms=-1", "max.compaction.lag.ms=0", "flush.messages=0", "flush.messages=-1", "flush.ms=9223372036854775807",
	"min.insync.replicas=2147483647", "min.insync.replicas=-1", "index.interval.bytes=-5", "max.decompressed.message.bytes=0",
	"follower.replication.throttled.replicas=0:1,", "follower.replication.throttled.replicas= *", "follower.replication.throttled.replicas=0:-1", "follower.replication.throttled.replicas=a:b",
	"leader.replication.throttled.replicas=1:1 , 2:2", "leader.replication.throttled.replicas=0:1;1:2", "leader.replication.throttled.replicas=**",
	"local.retention.ms=-3", "local.retention.ms=5", "local.retention.bytes=-3", "remote.storage.enable=true", "remote.log.copy.disable=true", "remote.log.delete.on.disable=true",
	"Retention.ms=5", " retention.ms=5", "retention.ms =5", "log.retention.ms=5", "internal.segment.bytes=50", "message.format.version=3.0", "=5",
	"errors.deadletterqueue.group.enable=maybe", "errors.deadletterqueue.group.enable=true",
}

// oddBrokerValues are the same of a broker that runs. They are only validated: what is
// taken would change what other sessions see.
var oddBrokerValues = []string{
	"log.retention.ms=0", "log.retention.ms=-2", "log.retention.ms= 5 ", "log.retention.minutes=5", "log.retention.hours=5", "log.retention.bytes=-5",
	"num.io.threads=0", "num.io.threads=1000", "num.network.threads=1000", "num.replica.fetchers=1000", "background.threads=1000", "log.cleaner.threads=1000",
	"log.cleaner.dedupe.buffer.size=1", "log.cleaner.io.buffer.load.factor=NaN", "log.cleaner.backoff.ms=-1", "log.cleanup.policy=burn", "log.cleanup.policy=",
	"message.max.bytes=-1", "log.segment.bytes=1", "log.roll.ms=0", "log.roll.jitter.ms=-1", "log.flush.interval.ms=-1", "log.index.size.max.bytes=1",
	"min.insync.replicas=0", "min.insync.replicas=9", "unclean.leader.election.enable=x", "compression.type=x", "compression.zstd.level=99",
	"max.connections=-1", "max.connections.per.ip=-1", "max.connections.per.ip.overrides=x", "max.connections.per.ip.overrides=127.0.0.1:5", "max.connection.creation.rate=0",
	"leader.replication.throttled.rate=-1", "leader.replication.throttled.rate=0", "follower.replication.throttled.rate=x", "replica.alter.log.dirs.io.max.bytes.per.second=-1",
	"producer.id.expiration.ms=0", "transaction.partition.verification.enable=maybe", "remote.log.manager.copier.thread.pool.size=0", "log.local.retention.ms=-5",
	"listeners=PLAINTEXT://:1", "advertised.listeners=PLAINTEXT://x:1", "listener.security.protocol.map=A:B", "metric.reporters=no.such.Class", "principal.builder.class=x",
	"listener.name.plaintext.max.connections=5", "listener.name.plaintext.ssl.keystore.location=/x", "ssl.keystore.location=/x", "group.initial.rebalance.delay.ms=5",
	"broker.id=7", "process.roles=broker", "log.dirs=/x", "default.replication.factor=9", "auto.create.topics.enable=false", "cordoned.log.dirs=*", "cordoned.log.dirs=/no/such",
	"controller.quorum.voters=1@h:1", "", "=", "a b=c", "log.message.timestamp.type=x", "log.message.timestamp.before.max.ms=-1",
}

// dynamicValues are those that parts of a running broker look at before they take them
// (DynamicBrokerConfig's reconfigurables): listeners, limits of connections, pools of threads, the
// cleaner, reporters of metrics, what is tiered, coordinators.
var dynamicValues = []string{
	"listeners=", "listeners= ", "listeners=x", "listeners=PLAINTEXT", "listeners=PLAINTEXT://", "listeners=PLAINTEXT://:x", "listeners=PLAINTEXT://h:99999", "listeners=PLAINTEXT://h:-1",
	"listeners=plaintext://h:1", "listeners=PLAINTEXT://h:1,PLAINTEXT://h:2", "listeners=PLAINTEXT://h:1,", "listeners=,PLAINTEXT://h:1", "listeners=EXTERNAL://h:1",
	"listeners=PLAINTEXT://h:1,EXTERNAL://h:2", "listeners=PLAINTEXT://h:1,SSL://h:2", "listeners=SSL://h:2", "listeners=PLAINTEXT://h:1,SSL://h:1", "listeners=PLAINTEXT://h:1,CONTROLLER://h:2",
	"listeners=CONTROLLER://h:2", "listeners=PLAINTEXT://h:1,SSL://h:2,SSL://h:3", "listeners=PLAINTEXT://[::1]:1", "listeners=PLAINTEXT://h:0",
	"listener.security.protocol.map=", "listener.security.protocol.map= ", "listener.security.protocol.map=A", "listener.security.protocol.map=PLAINTEXT:NONE", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT",
	"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", "listener.security.protocol.map=PLAINTEXT:SSL,CONTROLLER:PLAINTEXT", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:SSL",
	"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,EXTERNAL:SSL", "listener.security.protocol.map=plaintext:plaintext,controller:plaintext",
	"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PLAINTEXT:SSL,CONTROLLER:PLAINTEXT", "listener.security.protocol.map=CONTROLLER:PLAINTEXT", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT:PLAINTEXT",
	"listener.security.protocol.map=:PLAINTEXT", "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,",
	"metric.reporters=", "metric.reporters= ", "metric.reporters=,", "metric.reporters=no.such.Class", "metric.reporters=java.lang.String", "metric.reporters=org.apache.kafka.common.metrics.JmxReporter",
	"metric.reporters=org.apache.kafka.common.metrics.JmxReporter,org.apache.kafka.common.metrics.JmxReporter", "metric.reporters=org.apache.kafka.common.metrics.JmxReporter,no.such.Class",
	"max.connections=0", "max.connections=5", "max.connections=x", "max.connection.creation.rate=0", "max.connection.creation.rate=-1", "max.connection.creation.rate=1", "max.connection.creation.rate=x",
	"max.connections.per.ip=0", "max.connections.per.ip=5", "max.connections.per.ip.overrides=", "max.connections.per.ip.overrides=x", "max.connections.per.ip.overrides=x:", "max.connections.per.ip.overrides=:5",
	"max.connections.per.ip.overrides=127.0.0.1:x", "max.connections.per.ip.overrides=127.0.0.1:-1", "max.connections.per.ip.overrides=127.0.0.1:0", "max.connections.per.ip.overrides=127.0.0.1:5,127.0.0.1:6",
	"max.connections.per.ip.overrides=127.0.0.1:5,", "max.connections.per.ip.overrides=127.0.0.1", "max.connections.per.ip.overrides=127.0.0.1:5:6", "max.connections.per.ip.overrides=no.such.host.invalid:5",
	"max.connections.per.ip.overrides=999.0.0.1:5", "max.connections.per.ip.overrides=::1:5", "max.connections.per.ip.overrides= 127.0.0.1 : 5 ",
	"listener.name.plaintext.max.connections=-1", "listener.name.plaintext.max.connections=0", "listener.name.plaintext.max.connections=x", "listener.name.plaintext.max.connection.creation.rate=0",
	"listener.name.plaintext.max.connection.creation.rate=-1", "listener.name.plaintext.num.network.threads=0", "listener.name.plaintext.num.network.threads=2", "listener.name.plaintext.num.network.threads=1000",
	"listener.name.other.max.connections=5", "listener.name.other.num.network.threads=1000", "listener.name.other.max.connection.creation.rate=0", "listener.name.PLAINTEXT.max.connections=5",
	"listener.name.plaintext.max.connections.per.ip=5", "listener.name.plaintext.foo=5", "listener.name.plaintext.sasl.enabled.mechanisms=PLAIN", "listener.name.plaintext.ssl.client.auth=required",
	"listener.name.plaintext.ssl.client.auth=x", "listener.name.other.ssl.client.auth=required", "listener.name.plaintext.ssl.truststore.password=x", "listener.name.plaintext.principal.builder.class=x",
	"listener.name.plaintext.connections.max.reauth.ms=5", "listener.name.plaintext.plain.sasl.jaas.config=x", "listener.name.plaintext.log.retention.ms=5", "listener.name.plaintext.num.io.threads=5",
	"listener.name.plaintext=5", "listener.name.=5", "listener.name..max.connections=5", "listener.name.plaintext.=5",
	"principal.builder.class=", "principal.builder.class=java.lang.String", "principal.builder.class=org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
	"sasl.enabled.mechanisms=", "sasl.enabled.mechanisms=PLAIN", "sasl.enabled.mechanisms=NONE", "sasl.jaas.config=x", "sasl.kerberos.service.name=x", "sasl.kerberos.ticket.renew.jitter=5", "sasl.login.refresh.window.factor=5",
	"sasl.login.refresh.buffer.seconds=-1", "sasl.mechanism.inter.broker.protocol=x", "sasl.kerberos.principal.to.local.rules=x",
	"ssl.client.auth=x", "ssl.client.auth=required", "ssl.protocol=x", "ssl.enabled.protocols=", "ssl.enabled.protocols=x", "ssl.cipher.suites=x", "ssl.endpoint.identification.algorithm=", "ssl.engine.factory.class=x", "ssl.provider=x",
	"ssl.truststore.type=x", "ssl.key.password=x",
	"num.io.threads=-1", "num.io.threads=x", "num.network.threads=0", "num.replica.fetchers=0", "num.replica.fetchers=2", "num.replica.fetchers=3", "background.threads=4", "background.threads=5", "background.threads=20", "background.threads=21",
	"background.threads=0", "num.recovery.threads.per.data.dir=0", "num.recovery.threads.per.data.dir=5", "num.recovery.threads.per.data.dir=1",
	"log.cleaner.threads=0", "log.cleaner.threads=1", "log.cleaner.threads=2", "log.cleaner.threads=3", "log.cleaner.threads=-1", "log.cleaner.io.buffer.size=0", "log.cleaner.io.buffer.size=-1",
	"log.cleaner.io.buffer.load.factor=0", "log.cleaner.io.buffer.load.factor=2", "log.cleaner.io.max.bytes.per.second=0", "log.cleaner.io.max.bytes.per.second=-1", "log.cleaner.dedupe.buffer.size=1048576",
	"log.cleaner.dedupe.buffer.size=1048577", "log.cleaner.dedupe.buffer.size=0", "log.cleaner.delete.retention.ms=-1", "log.cleaner.min.cleanable.ratio=2", "log.cleaner.min.compaction.lag.ms=-1", "log.cleaner.max.compaction.lag.ms=0",
	"log.local.retention.ms=-1", "log.local.retention.ms=-2", "log.local.retention.ms=-3", "log.local.retention.ms=604800000", "log.local.retention.ms=604800001", "log.local.retention.bytes=-1", "log.local.retention.bytes=5",
	"log.local.retention.bytes=-3", "log.remote.copy.lag.ms=-2", "log.remote.copy.lag.ms=5", "log.remote.copy.lag.bytes=-2", "log.retention.bytes=5", "log.retention.ms=-1",
	"remote.log.index.file.cache.total.size.bytes=0", "remote.log.index.file.cache.total.size.bytes=1", "remote.fetch.max.wait.ms=0", "remote.log.manager.copy.max.bytes.per.second=0", "remote.log.manager.fetch.max.bytes.per.second=-1",
	"remote.log.manager.copier.thread.pool.size=-1", "remote.log.manager.copier.thread.pool.size=4", "remote.log.manager.copier.thread.pool.size=5", "remote.log.manager.copier.thread.pool.size=21",
	"remote.log.manager.expiration.thread.pool.size=4", "remote.log.manager.expiration.thread.pool.size=21", "remote.log.manager.follower.thread.pool.size=1", "remote.log.manager.follower.thread.pool.size=5",
	"remote.log.reader.threads=4", "remote.log.reader.threads=20", "remote.log.reader.threads=21", "remote.list.offsets.request.timeout.ms=0", "follower.fetch.last.tiered.offset.enable=x", "follower.fetch.last.tiered.offset.enable=true",
	"config.providers=x", "config.providers=", "config.providers.x.class=y", "log.retention.ms=${x:y}", "log.retention.ms=${x:y:z}",
	"group.coordinator.cached.buffer.max.bytes=5", "group.coordinator.cached.buffer.max.bytes=524288", "share.coordinator.cached.buffer.max.bytes=5", "group.consumer.assignment.interval.ms=-1", "group.consumer.assignment.interval.ms=5",
	"group.consumer.assignment.interval.ms=99999999", "group.share.assignment.interval.ms=99999999", "group.streams.assignment.interval.ms=99999999", "errors.deadletterqueue.topic.name.prefix=", "errors.deadletterqueue.topic.name.prefix=a/b",
	"errors.deadletterqueue.auto.create.topics.enable=x", "group.consumer.assignor.offload.enable=x",
	"producer.id.expiration.ms=-1", "producer.id.expiration.ms=5", "cordoned.log.dirs=", "cordoned.log.dirs=*,x", "cordoned.log.dirs=x,x", "unknown.plugin.setting=5", "client.quota.callback.class=x", "max.decompressed.message.bytes=0",
	"log.message.timestamp.after.max.ms=-1", "log.flush.interval.messages=0", "log.index.interval.bytes=-1", "log.segment.delete.delay.ms=-1", "log.preallocate=x", "log.flush.interval.ms=x", "message.max.bytes=0", "log.segment.bytes=1048576",
	"listeners=PLAINTEXT://h:1,PLAINTEXT://h:1", "listeners=PLAINTEXT://h:99999999999", "listeners=://h:1", "listeners=PLAINTEXT://h h:1", "listeners=PLAINTEXT://h:1/x", "max.connections.per.ip.overrides=a/b:5", "max.connections.per.ip.overrides=a/b:5,c d:6,e:7",
	"max.connections.per.ip.overrides=x:99999999999", "max.connections.per.ip.overrides=,x:5", "max.connections.per.ip.overrides=x:5,,y:6", "max.connections.per.ip.overrides=,", "listener.security.protocol.map=,",
	"log.cleanup.policy=compact,compact", "log.cleanup.policy=delete,", "log.cleanup.policy=,", "ssl.cipher.suites=a,a", "ssl.cipher.suites=a,", "sasl.enabled.mechanisms=A,A", "sasl.enabled.mechanisms=,A", "config.providers=a,a",
	"sasl.kerberos.principal.to.local.rules=x,x", "ssl.enabled.protocols=TLSv1.2,TLSv1.2", "metric.reporters=,x", "listener.name.plaintext.ssl.cipher.suites=a,a", "group.consumer.assignors=uniform,uniform",
	"quota.window.num=5", "connections.max.idle.ms=5", "replica.lag.time.max.ms=5", "log.roll.hours=5", "log.retention.check.interval.ms=5", "node.id=1", "broker.rack=x",
}

// dynamicTogether are changes of which one is right or wrong only because of another.
var dynamicTogether = []string{
	"listeners=PLAINTEXT://h:1,EXTERNAL://h:2 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT",
	"listeners=PLAINTEXT://h:1,EXTERNAL://h:1 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT",
	"listeners=PLAINTEXT://1.2.3.4:1,EXTERNAL://[::1]:1 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT",
	"listeners=PLAINTEXT://1.2.3.4:1,EXTERNAL://5.6.7.8:1 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT",
	"listeners=PLAINTEXT://1.2.3.4:1,EXTERNAL://h:1 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT",
	"listeners=PLAINTEXT://1.2.3.4:1,EXTERNAL://[::1]:1,C://h:1 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT,C:PLAINTEXT",
	"listeners=EXTERNAL://h:2 listener.security.protocol.map=CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT",
	"listeners=PLAINTEXT://h:2 listener.name.plaintext.foo=5", "max.connections=0 listener.name.plaintext.max.connections=5", "max.connections=0 listener.name.other.max.connections=5",
	"num.network.threads=1000 listener.name.plaintext.num.network.threads=3", "max.connections.per.ip=0 max.connections.per.ip.overrides=h:5", "metric.reporters=no.such.Class max.connections=0",
	"max.connections=0 num.io.threads=1", "num.io.threads=1 log.local.retention.ms=-1", "log.cleaner.threads=3 log.local.retention.ms=-1", "log.cleaner.threads=3 max.connections=0", "log.local.retention.ms=-1 max.connections=0",
	"log.retention.ms=100 log.local.retention.ms=100", "log.retention.ms=100 log.local.retention.ms=101", "log.retention.bytes=100 log.local.retention.bytes=101", "log.retention.bytes=100 log.local.retention.bytes=-1",
	"log.retention.ms=-1 log.local.retention.ms=-1", "remote.log.reader.threads=4 log.cleaner.threads=3", "remote.log.reader.threads=4 max.connections=0", "remote.log.reader.threads=4 num.io.threads=1",
	"max.connections=0 max.connection.creation.rate=0", "max.connections.per.ip=0 max.connections.per.ip.overrides=x", "listeners=x listener.security.protocol.map=x", "listeners=x max.connections.per.ip.overrides=x",
	"cordoned.log.dirs=x max.connections.per.ip=0", "principal.builder.class=java.lang.String cordoned.log.dirs=x", "principal.builder.class=java.lang.String max.connections.per.ip.overrides=x", "log.roll.ms=0 listeners=x", "log.cleaner.threads=0 listeners=x",
}

func changeOf(text string) change {
	name, value, _ := strings.Cut(text, "=")
	return change{name: name, value: value}
}

// oddHands are sessions of requests that no careful client sends.
var oddHands = []Hand{
	{"odd-topic-configs", 44, func(s *session) {
		t := s.make("oc", 1)
		for _, v := range oddValues {
			s.do("alter "+v, 1, s.alter(false, 2, t, changeOf(v)))
		}
		for _, cs := range [][]change{
			{{name: "retention.ms", value: "100"}, {name: "local.retention.ms", value: "200"}},
			{{name: "min.compaction.lag.ms", value: "9"}, {name: "max.compaction.lag.ms", value: "8"}},
			{{name: "retention.ms", value: "5"}, {name: "retention.ms", op: 1, null: true}},
			{{name: "cleanup.policy", op: 2, value: "compact"}, {name: "cleanup.policy", op: 3, value: "delete"}},
			{{name: "cleanup.policy", op: 2, null: true}},
			{{name: "cleanup.policy", op: 2, value: ""}},
			{{name: "cleanup.policy", op: 3, value: ""}},
			{{name: "cleanup.policy", op: 2, value: " compact , delete "}},
			{{name: "cleanup.policy", op: -1, value: "compact"}},
			{{name: "", op: 1, null: true}},
			{{name: "retention.ms", op: 3, value: "5"}},
			{{name: "leader.replication.throttled.replicas", op: 2, value: "0:1"}},
			{{name: "leader.replication.throttled.replicas", op: 2, value: "x"}},
			{{name: "leader.replication.throttled.replicas", op: 3, value: "0:1,9:9"}},
		} {
			s.do("alter several", 1, s.alter(false, 2, t, cs...))
		}
		s.configure(t, "file.delete.delay.ms", "12345")
		s.do("see", 1, s.describeConfigs(2, t, false, false))
		for _, name := range []string{t + " ", " " + t, ".", "..", "__cluster_metadata", strings.Repeat("n", 250), "ä"} {
			s.do("alter topic "+strings.ReplaceAll(name, t, "~oc"), 1, s.alter(true, 2, name, change{name: "retention.ms", value: "5"}))
		}
	}, false},
	{"odd-broker-configs", 44, func(s *session) {
		for _, v := range oddBrokerValues {
			s.do("one "+v, 1, s.alter(true, 4, "1", changeOf(v)))
			s.do("all "+v, 1, s.alter(true, 4, "", changeOf(v)))
		}
		for _, name := range []string{"01", "+1", " 1", "1 ", "1.0", "-1", "2147483648", "<default>", "null"} {
			s.do("broker "+name, 1, s.alter(true, 4, name, change{name: "log.retention.ms", value: "5"}))
		}
		for _, typ := range []int8{0, 1, 3, 5, 8, 9, 16, 33, 64, -1} {
			s.do("type", 1, s.alter(true, typ, "1", change{name: "log.retention.ms", value: "5"}))
		}
		for _, level := range []string{"INFO", "info", "LOUD", ""} {
			s.do("logger "+level, 1, s.alter(true, 8, "1", change{name: "no.such.Logger", value: level}))
		}
		s.do("logger of another", 1, s.alter(true, 8, "2", change{name: "root", value: "INFO"}))
		s.do("logger of none", 1, s.alter(true, 8, "", change{name: "root", value: "INFO"}))
	}, false},
	{"odd-dynamic-configs", 44, func(s *session) {
		for _, v := range dynamicValues {
			s.do("one "+v, 1, s.alter(true, 4, "1", changeOf(v)))
			s.do("all "+v, 1, s.alter(true, 4, "", changeOf(v)))
		}
		for _, several := range dynamicTogether {
			var cs []change
			for v := range strings.FieldsSeq(several) {
				cs = append(cs, changeOf(v))
			}
			s.do("one "+several, 1, s.alter(true, 4, "1", cs...))
			s.do("all "+several, 1, s.alter(true, 4, "", cs...))
		}
		for _, v := range []string{"metric.reporters=no.such.Class", "max.connections=0", "log.cleaner.threads=3", "log.local.retention.ms=-1", "listeners=", "num.io.threads=1", "log.retention.ms=5", "x=y"} {
			s.do("whole one "+v, 1, s.replaceConfigs(true, 4, "1", changeOf(v)))
			s.do("whole all "+v, 1, s.replaceConfigs(true, 4, "", changeOf(v)))
		}
	}, false},
	{"odd-topics", 19, func(s *session) {
		n := s.topic
		mk := func(step string, change func(*kmsg.CreateTopicsRequest), ts ...newTopic) {
			s.do(step, 1, func(sd *side) kmsg.Request {
				r := s.create(false, ts...)(sd).(*kmsg.CreateTopicsRequest)
				if change != nil {
					change(r)
				}
				return r
			})
			for _, t := range ts {
				if strings.Contains(t.name, s.prefix) { // the others' are not to be deleted when all is over, above all that of offsets
					s.tops = append(s.tops, t.name)
				}
			}
		}
		mk("as long as may be", nil, newTopic{name: s.prefix + strings.Repeat("l", 249-len(s.prefix)), parts: 1, rf: 1})
		mk("no time", func(r *kmsg.CreateTopicsRequest) { r.TimeoutMillis = 0 }, newTopic{name: n("t0"), parts: 1, rf: 7})
		mk("negative broker", nil, newTopic{name: n("a"), parts: -1, rf: -1, assign: [][]int32{{-1}}})
		mk("negative partition", nil, newTopic{name: n("a"), parts: -1, rf: -1, assign: [][]int32{{1}}, first: -1})
		mk("partition twice", func(r *kmsg.CreateTopicsRequest) {
			r.Topics[0].ReplicaAssignment[1].Partition = 0
		}, newTopic{name: n("a"), parts: -1, rf: -1, assign: [][]int32{{1}, {2}}})
		mk("more replicas than brokers", nil, newTopic{name: n("a"), parts: -1, rf: -1, assign: [][]int32{{1, 2, 3, 4}}})
		mk("replication 32767", nil, newTopic{name: n("a"), parts: 1, rf: 32767})
		mk("partitions 2147483647", nil, newTopic{name: n("a"), parts: 2147483647, rf: 1})
		mk("config without a name", nil, newTopic{name: n("a"), parts: 1, rf: 1, configs: [][2]string{{"", "5"}}})
		mk("two bad ones", nil, newTopic{name: n("a"), parts: 0, rf: 0, configs: [][2]string{{"x", "5"}}})
		mk("bad name and bad count", nil, newTopic{name: "a/b", parts: 0, rf: 9})
		mk("spaced name", nil, newTopic{name: " " + n("a"), parts: 1, rf: 1})
		mk("tab in a name", nil, newTopic{name: n("a") + "\t", parts: 1, rf: 1})
		mk("nul in a name", nil, newTopic{name: n("a") + "\x00", parts: 1, rf: 1})
		mk("one good, one bad", nil, newTopic{name: n("good"), parts: 1, rf: 1}, newTopic{name: n("bad"), parts: 1, rf: 9})
		mk("the good one again", nil, newTopic{name: n("good"), parts: 1, rf: 1})
		mk("offsets", nil, newTopic{name: "__consumer_offsets", parts: 1, rf: 1, configs: [][2]string{{"x", "y"}}})
	}, false},
	{"odd-fetch", 1, func(s *session) {
		t := s.make("of", 3)
		s.do("fill", 1, s.produce(t, 0, -1, build(plain(5))))
		as := func(step string, replica int32, epoch int64, p fetchPart) {
			s.do(step, 1, func(sd *side) kmsg.Request {
				r := s.fetch(fetchOpt{}, p)(sd).(*kmsg.FetchRequest)
				if r.ReplicaID = replica; s.v(1) >= 15 { // before, there is no such tag
					r.ReplicaState.ID, r.ReplicaState.Epoch = replica, epoch
				}
				return r
			})
		}
		whole := fetchPart{topic: t, epoch: -1}
		as("as an unknown replica", 9, -1, whole)
		as("as an unknown replica, epoch", 9, -1, fetchPart{topic: t, epoch: 0})
		as("as a debugger", -2, -1, whole)
		as("as -3", -3, -1, whole)
		f := func(step string, o fetchOpt, ps ...fetchPart) { s.do(step, 1, s.fetch(o, ps...)) }
		f("as far as offsets go", fetchOpt{}, fetchPart{topic: t, offset: 1<<63 - 1, epoch: -1})
		f("as low as offsets go", fetchOpt{}, fetchPart{topic: t, offset: -1 << 63, epoch: -1})
		f("an epoch as large as any", fetchOpt{}, fetchPart{topic: t, epoch: 1<<31 - 1})
		f("a partition as large as any", fetchOpt{}, fetchPart{topic: t, part: 1<<31 - 1, epoch: -1})
		f("a negative partition", fetchOpt{}, fetchPart{topic: t, part: -1, epoch: -1})
		f("negative wait", fetchOpt{wait: -5, minB: 1 << 20}, whole)
		f("negative minimum", fetchOpt{minB: -5}, whole)
		f("a minimum above the maximum", fetchOpt{wait: 50, minB: 1 << 30, maxB: 10}, whole)
		f("isolation -1", fetchOpt{iso: 1}, fetchPart{topic: t, offset: 5, epoch: -1})
		f("an empty topic", fetchOpt{}, fetchPart{topic: "", epoch: -1})
		f("a bad topic", fetchOpt{}, fetchPart{topic: "a/b", epoch: -1})
		if s.v(1) >= 7 {
			f("session epoch -2", fetchOpt{epoch: -2}, whole)
			f("session epoch as large as any", fetchOpt{epoch: 1<<31 - 1}, whole)
			f("forgets without a session", fetchOpt{epoch: -1, forget: []fetchPart{{topic: t}}}, whole)
			f("forgets what it fetches", fetchOpt{epoch: 0, forget: []fetchPart{{topic: t}}}, whole)
		}
	}, false},
	{"odd-offsets", 2, func(s *session) {
		t := s.make("oo", 3)
		s.do("fill", 1, s.produce(t, 0, -1, build(plain(5))))
		for _, ts := range []int64{-8, -100, 1<<63 - 1, -1 << 63, base + 1<<40} {
			s.do("time", 1, s.list(t, 0, ts, 0, -1))
		}
		s.do("negative partition", 1, s.list(t, -1, -1, 0, -1))
		s.do("largest epoch", 1, s.list(t, 0, -1, 0, 1<<31-1))
		s.do("isolation -1", 1, s.list(t, 0, -2, 1, -1))
		s.do("empty topic", 1, s.list("", 0, -1, 0, -1))
		s.do("bad topic", 1, s.list("a/b", 0, -1, 0, -1))
		s.do("nothing", 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrListOffsetsRequest())
			r.ReplicaID = -1
			return r
		})
		s.do("as an unknown replica", 1, func(sd *side) kmsg.Request {
			r := s.list(t, 0, -1, 0, -1)(sd).(*kmsg.ListOffsetsRequest)
			r.ReplicaID = 9
			return r
		})
		s.do("negative time to wait", 1, func(sd *side) kmsg.Request {
			r := s.list(t, 0, -1, 0, -1)(sd).(*kmsg.ListOffsetsRequest)
			r.TimeoutMillis = -5
			return r
		})
	}, false},
	{"odd-deletions", 21, func(s *session) {
		t := s.make("od", 3)
		s.do("fill", 1, s.produce(t, 0, -1, build(plain(5))))
		for _, at := range []offsetAt{{t, 0, -3}, {t, 0, 1<<63 - 1}, {t, 0, -1 << 63}, {t, -1, 0}, {t, 1<<31 - 1, 0}, {"", 0, 0}, {"a/b", 0, 0}, {"__cluster_metadata", 0, 0}} {
			s.do("delete", 1, s.deleteRecords(at))
		}
		s.do("partition twice", 1, func(sd *side) kmsg.Request {
			r := s.deleteRecords(offsetAt{t, 0, 1})(sd).(*kmsg.DeleteRecordsRequest)
			p := r.Topics[0].Partitions[0]
			p.Offset = 2
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, p)
			return r
		})
		s.do("topic twice", 1, s.deleteRecords(offsetAt{t, 0, 3}, offsetAt{t, 0, 2}))
		s.do("no time", 1, func(sd *side) kmsg.Request {
			r := s.deleteRecords(offsetAt{t, 0, 4})(sd).(*kmsg.DeleteRecordsRequest)
			r.TimeoutMillis = 0
			return r
		})
		s.do("start", 1, s.list(t, 0, -2, 0, -1))
		s.do("produce", 1, s.produce(t, 0, -1, build(plain(1))))
		s.do("fetch", 1, s.fetch(fetchOpt{}, fetchPart{topic: t, offset: 4, epoch: -1}))
	}, false},
	{"odd-reassignments", 45, func(s *session) {
		t := s.make("or", 2)
		ask := func(step string, change func(*kmsg.AlterPartitionAssignmentsRequest), part int32, replicas ...[]int32) {
			s.do(step, 1, func(*side) kmsg.Request {
				r := auto(kmsg.NewPtrAlterPartitionAssignmentsRequest())
				r.TimeoutMillis = 10000
				x := kmsg.NewAlterPartitionAssignmentsRequestTopic()
				x.Topic = t
				for _, re := range replicas {
					p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
					p.Partition, p.Replicas = part, re
					x.Partitions = append(x.Partitions, p)
				}
				r.Topics = append(r.Topics, x)
				if change != nil {
					change(r)
				}
				return r
			})
		}
		ask("no partitions", nil, 0)
		ask("negative partition", nil, -1, []int32{1, 2, 3})
		ask("partition twice", nil, 0, []int32{1, 2, 3}, []int32{1, 2, 3})
		ask("partition twice, cancelled", nil, 0, nil, nil)
		ask("empty topic", func(r *kmsg.AlterPartitionAssignmentsRequest) { r.Topics[0].Topic = "" }, 0, []int32{1, 2, 3})
		ask("bad topic", func(r *kmsg.AlterPartitionAssignmentsRequest) { r.Topics[0].Topic = "a/b" }, 0, []int32{1, 2, 3})
		ask("the quorum's", func(r *kmsg.AlterPartitionAssignmentsRequest) { r.Topics[0].Topic = "__cluster_metadata" }, 0, []int32{1, 2, 3})
		ask("one good, one bad", func(r *kmsg.AlterPartitionAssignmentsRequest) {
			p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
			p.Partition, p.Replicas = 7, []int32{1}
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, p)
		}, 0, []int32{1, 2, 3})
		if s.v(45) >= 1 {
			ask("another count, which is not allowed", func(r *kmsg.AlterPartitionAssignmentsRequest) { r.AllowReplicationFactorChange = false }, 0, []int32{1, 2})
			ask("the same count", func(r *kmsg.AlterPartitionAssignmentsRequest) { r.AllowReplicationFactorChange = false }, 0, []int32{1, 2, 3})
		}
		s.do("list none", 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrListPartitionReassignmentsRequest())
			r.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{}
			return r
		})
		s.do("list unknown", 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrListPartitionReassignmentsRequest())
			x := kmsg.NewListPartitionReassignmentsRequestTopic()
			x.Topic, x.Partitions = t+"-nope", []int32{0, -1}
			r.Topics = append(r.Topics, x)
			return r
		})
	}, false},
	{"odd-administration", 43, func(s *session) {
		t := s.make("oe", 2)
		elect := func(step string, typ int8, topic string, parts ...int32) {
			s.do(step, 1, func(*side) kmsg.Request {
				r := auto(kmsg.NewPtrElectLeadersRequest())
				x := kmsg.NewElectLeadersRequestTopic()
				x.Topic, x.Partitions = topic, parts
				r.ElectionType, r.TimeoutMillis, r.Topics = typ, 5000, append(r.Topics, x)
				return r
			})
		}
		elect("negative partition", 0, t, -1)
		elect("partition twice", 0, t, 0, 0)
		elect("no partitions", 0, t)
		elect("empty topic", 0, "", 0)
		elect("bad topic", 1, "a/b", 0)
		elect("type -1", -1, t, 0)
		for _, g := range []grow{{t, 1<<31 - 1, nil}, {t, -1 << 31, nil}, {"", 3, nil}, {"a/b", 3, nil}, {"__cluster_metadata", 3, nil}, {t, 3, [][]int32{{-1, 1, 2}}}, {t, 3, [][]int32{{1, 2, 3, 4}}}} {
			s.do("grow", 1, s.partitions(true, g))
		}
		for _, id := range []int32{-1, 1<<31 - 1} {
			s.do("unregister", 1, func(*side) kmsg.Request {
				r := auto(kmsg.NewPtrUnregisterBrokerRequest())
				r.BrokerID = id
				return r
			})
		}
		features := func(step string, change func(*kmsg.UpdateFeaturesRequest), names ...string) {
			s.do(step, 1, func(*side) kmsg.Request {
				r := auto(kmsg.NewPtrUpdateFeaturesRequest())
				r.TimeoutMillis, r.ValidateOnly = 10000, true
				for _, name := range names {
					x := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
					x.Feature, x.MaxVersionLevel, x.UpgradeType = name, 1, 1
					r.FeatureUpdates = append(r.FeatureUpdates, x)
				}
				if change != nil {
					change(r)
				}
				return r
			})
		}
		features("feature twice", nil, "transaction.version", "transaction.version")
		features("a good one and a bad one", nil, "group.version", "no.such")
		features("type 9", func(r *kmsg.UpdateFeaturesRequest) { r.FeatureUpdates[0].UpgradeType = 9 }, "group.version")
		features("level 32767", func(r *kmsg.UpdateFeaturesRequest) { r.FeatureUpdates[0].MaxVersionLevel = 32767 }, "group.version")
		dirs := func(step string, topic string, parts ...int32) {
			s.do(step, 1, func(*side) kmsg.Request {
				r := auto(kmsg.NewPtrDescribeLogDirsRequest())
				x := kmsg.NewDescribeLogDirsRequestTopic()
				x.Topic, x.Partitions = topic, parts
				r.Topics = append(r.Topics, x)
				return r
			})
		}
		dirs("log dirs of a partition twice", t, 0, 0)
		dirs("log dirs of no partitions", t)
		dirs("log dirs of a negative partition", t, -1)
		dirs("log dirs of a bad topic", "a/b", 0)
		s.do("leader epoch of a partition twice", 1, func(sd *side) kmsg.Request {
			r := s.leaderEpoch(t, 0, -1, 0)(sd).(*kmsg.OffsetForLeaderEpochRequest)
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, r.Topics[0].Partitions[0])
			return r
		})
		s.do("leader epoch, the largest", 1, s.leaderEpoch(t, 0, -1, 1<<31-1))
		s.do("leader epoch of a negative partition", 1, s.leaderEpoch(t, -1, -1, 0))
		s.do("describe nothing", 1, func(*side) kmsg.Request { return auto(kmsg.NewPtrDescribeConfigsRequest()) })
		for _, name := range []string{"01", "+1", " 1", "-1", "2147483648"} {
			s.do("describe broker "+name, 1, s.describeConfigs(4, name, false, false, "log.retention.ms"))
		}
		for _, typ := range []int8{1, 5, 9, 33, 64, -1} {
			s.do("describe type", 1, s.describeConfigs(typ, "1", false, false))
		}
		s.do("describe a key twice", 1, s.describeConfigs(2, t, false, false, "retention.ms", "retention.ms"))
	}, false},
}
