package sessions

import (
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Hand is a session written by hand, played in the versions of a key.
type Hand struct {
	Name string
	Key  int16
	play func(*session)
	// Unrecorded: the answers are long, and the configuration's own tests hold
	// them.
	Unrecorded bool
}

var hands = []Hand{
	{"api-versions", 18, func(s *session) {
		for _, sw := range [][2]string{{"diff", "1.0"}, {"", ""}, {"bad name!", "1"}, {"ok.name-x", "!!"}} {
			s.do("software "+sw[0]+"/"+sw[1], 1, func(*side) kmsg.Request {
				r := auto(kmsg.NewPtrApiVersionsRequest())
				r.ClientSoftwareName, r.ClientSoftwareVersion = sw[0], sw[1]
				return r
			})
		}
	}, false},
	{"metadata", 3, func(s *session) {
		t := s.make("m", 3)
		s.do("known", 1, s.metadata(false, false, t))
		s.do("known, ops", 2, s.metadata(false, true, t))
		s.do("unknown", 3, s.metadata(false, false, t+"-nope"))
		if s.v(3) < 4 { // each side makes it now, in its own time and on replicas of its own choice: v4 is the first that may say no
			s.settle(t+"-nope", 1)
			s.vanish(t + "-nope")
		}
		s.do("none", 1, s.metadata(false, false, []string{}...))
		s.do("no topics", 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrMetadataRequest())
			r.Topics = []kmsg.MetadataRequestTopic{}
			return r
		})
		s.do("twice", 1, s.metadata(false, false, t, t))
		s.do("bad name", 1, s.metadata(false, false, "a/b"))
		s.do("bad name, auto", 1, s.metadata(true, false, "a/b"))
		s.do("empty name", 1, s.metadata(false, false, ""))
		s.do("long name", 1, s.metadata(false, false, strings.Repeat("n", 250)))
		if s.v(3) >= 10 {
			s.do("by id", 1, s.metadataID(func(sd *side) [16]byte { return sd.id(t) }))
			s.do("by unknown id", 1, s.metadataID(func(sd *side) [16]byte { return sd.id("?") }))
			s.do("by zero id", 1, s.metadataID(func(sd *side) [16]byte { return [16]byte{} }))
			s.do("by id and unknown id", 1, s.metadataID(func(sd *side) [16]byte { return sd.id(t) }, func(sd *side) [16]byte { return sd.id("?") }))
			s.do("name and id", 1, func(sd *side) kmsg.Request {
				r := auto(kmsg.NewPtrMetadataRequest())
				x := kmsg.NewMetadataRequestTopic()
				x.Topic, x.TopicID = kmsg.StringPtr(t), sd.id(t)
				r.Topics = append(r.Topics, x)
				return r
			})
			s.do("all", 1, s.metadata(false, false))
		}
	}, false},
	{"create-topics", 19, func(s *session) {
		n := s.topic
		mk := func(step string, validate bool, ts ...newTopic) {
			s.do(step, 1, s.create(validate, ts...))
			for _, t := range ts {
				s.tops = append(s.tops, t.name)
			}
		}
		mk("counts", false, newTopic{name: n("a"), parts: 2, rf: 3})
		s.settle(n("a"), 2)
		mk("again", false, newTopic{name: n("a"), parts: 2, rf: 3})
		mk("again, validate", true, newTopic{name: n("a"), parts: 2, rf: 3})
		mk("defaults", false, newTopic{name: n("b"), parts: -1, rf: -1})
		mk("assigned", false, newTopic{name: n("c"), parts: -1, rf: -1, assign: [][]int32{{1, 2, 3}, {2, 3, 1}}})
		mk("configs", false, newTopic{name: n("d"), parts: 1, rf: 2, configs: [][2]string{{"retention.ms", "1000"}, {"cleanup.policy", "compact"}}})
		mk("configs, list", false, newTopic{name: n("d2"), parts: 1, rf: 2, configs: [][2]string{{"cleanup.policy", "compact,delete"}, {"min.insync.replicas", "2"}}})
		mk("validate", true, newTopic{name: n("e"), parts: 1, rf: 1})
		mk("rf 0", false, newTopic{name: n("f"), parts: 1, rf: 0})
		mk("rf -2", false, newTopic{name: n("f"), parts: 1, rf: -2})
		mk("rf 4", false, newTopic{name: n("f"), parts: 1, rf: 4})
		mk("rf 4, validate", true, newTopic{name: n("f"), parts: 1, rf: 4})
		mk("partitions 0", false, newTopic{name: n("f"), parts: 0, rf: 1})
		mk("partitions -2", false, newTopic{name: n("f"), parts: -2, rf: 1})
		mk("partitions 20000", false, newTopic{name: n("f"), parts: 20000, rf: 1})
		mk("both", false, newTopic{name: n("f"), parts: 1, rf: 1, assign: [][]int32{{1}}})
		mk("both, rf only", false, newTopic{name: n("f"), parts: -1, rf: 1, assign: [][]int32{{1}}})
		mk("gap in assignment", false, newTopic{name: n("f"), parts: -1, rf: -1, assign: [][]int32{{1}, {2}}, first: 1})
		mk("twice in assignment", false, newTopic{name: n("f"), parts: -1, rf: -1, assign: [][]int32{{1, 1}}})
		mk("uneven", false, newTopic{name: n("f"), parts: -1, rf: -1, assign: [][]int32{{1, 2}, {1}}})
		mk("unknown broker", false, newTopic{name: n("f"), parts: -1, rf: -1, assign: [][]int32{{9}}})
		mk("half unknown", false, newTopic{name: n("f"), parts: -1, rf: -1, assign: [][]int32{{1, 9}}})
		mk("empty replicas", false, newTopic{name: n("f"), parts: -1, rf: -1, assign: [][]int32{{}}})
		for _, bad := range []string{"", ".", "..", "a/b", "a b", strings.Repeat("x", 250), "ä"} {
			mk("name "+bad, false, newTopic{name: bad, parts: 1, rf: 1})
		}
		mk("collide 1", false, newTopic{name: n("x.y"), parts: 1, rf: 1})
		mk("collide 2", false, newTopic{name: n("x_y"), parts: 1, rf: 1})
		mk("collide within", false, newTopic{name: n("p.q"), parts: 1, rf: 1}, newTopic{name: n("p_q"), parts: 1, rf: 1})
		mk("unknown config", false, newTopic{name: n("g1"), parts: 1, rf: 1, configs: [][2]string{{"no.such", "1"}}})
		mk("bad config", false, newTopic{name: n("g2"), parts: 1, rf: 1, configs: [][2]string{{"retention.ms", "abc"}}})
		mk("out of range", false, newTopic{name: n("g3"), parts: 1, rf: 1, configs: [][2]string{{"segment.bytes", "1"}}})
		mk("bad choice", false, newTopic{name: n("g4"), parts: 1, rf: 1, configs: [][2]string{{"compression.type", "brotli"}}})
		mk("bad list", false, newTopic{name: n("g5"), parts: 1, rf: 1, configs: [][2]string{{"cleanup.policy", "burn"}}})
		mk("min isr 9", false, newTopic{name: n("g9"), parts: 1, rf: 1, configs: [][2]string{{"min.insync.replicas", "9"}}})
		mk("min isr 0", false, newTopic{name: n("g6"), parts: 1, rf: 1, configs: [][2]string{{"min.insync.replicas", "0"}}})
		mk("null config", false, newTopic{name: n("g7"), parts: 1, rf: 1, nullConfig: "retention.ms"})
		mk("config twice", false, newTopic{name: n("h"), parts: 1, rf: 1, configs: [][2]string{{"retention.ms", "1"}, {"retention.ms", "2"}}})
		mk("empty config", false, newTopic{name: n("h2"), parts: 1, rf: 1, configs: [][2]string{{"retention.ms", ""}}})
		mk("cleanup empty", false, newTopic{name: n("h3"), parts: 1, rf: 1, configs: [][2]string{{"cleanup.policy", ""}}})
		mk("same twice", false, newTopic{name: n("i"), parts: 1, rf: 1}, newTopic{name: n("i"), parts: 1, rf: 1})
		mk("same twice and one", false, newTopic{name: n("i"), parts: 1, rf: 1}, newTopic{name: n("i"), parts: 2, rf: 1}, newTopic{name: n("j"), parts: 1, rf: 1})
		mk("none", false)
		mk("internal", false, newTopic{name: "__cluster_metadata", parts: 1, rf: 1})
	}, false},
	{"create-partitions", 37, func(s *session) {
		t := s.make("cp", 2)
		s.do("down", 1, s.partitions(false, grow{t, 1, nil}))
		s.do("same", 1, s.partitions(false, grow{t, 2, nil}))
		s.do("zero", 1, s.partitions(false, grow{t, 0, nil}))
		s.do("negative", 1, s.partitions(false, grow{t, -1, nil}))
		s.do("validate", 1, s.partitions(true, grow{t, 3, nil}))
		s.do("assigned", 1, s.partitions(false, grow{t, 3, [][]int32{{3, 1, 2}}}))
		s.settle(t, 3)
		s.do("too few assigned", 1, s.partitions(false, grow{t, 5, [][]int32{{3, 1, 2}}}))
		s.do("too many assigned", 1, s.partitions(false, grow{t, 4, [][]int32{{3, 1, 2}, {1, 2, 3}}}))
		s.do("unknown broker", 1, s.partitions(false, grow{t, 4, [][]int32{{9, 1, 2}}}))
		s.do("uneven", 1, s.partitions(false, grow{t, 4, [][]int32{{1}}}))
		s.do("twice", 1, s.partitions(false, grow{t, 4, [][]int32{{1, 1, 2}}}))
		s.do("empty", 1, s.partitions(false, grow{t, 4, [][]int32{{}}}))
		s.do("unknown topic", 1, s.partitions(false, grow{t + "-nope", 4, nil}))
		s.do("topic twice", 1, s.partitions(false, grow{t, 4, nil}, grow{t, 5, nil}))
		s.do("huge", 1, s.partitions(false, grow{t, 20000, nil}))
		s.do("none", 1, s.partitions(false))
		s.do("up", 2, s.partitions(false, grow{t, 4, nil}))
		s.settle(t, 4)
	}, false},
	{"delete-topics", 20, func(s *session) {
		a, b, c := s.make("da", 1), s.make("db", 2), s.make("dc", 1)
		s.do("unknown", 1, s.remove(a+"-nope"))
		s.do("name", 1, s.remove(a))
		s.do("again", 1, s.remove(a))
		s.do("twice", 1, s.remove(b, b))
		s.do("none", 1, s.remove())
		s.do("bad name", 1, s.remove("a/b"))
		s.do("empty name", 1, s.remove(""))
		if s.v(20) >= 6 {
			s.do("unknown id", 1, s.remove("id:nope"))
			s.do("id", 1, s.remove("id:"+c))
			s.do("id again", 1, s.remove("id:"+c))
			s.do("name and id", 1, func(sd *side) kmsg.Request {
				r := auto(kmsg.NewPtrDeleteTopicsRequest())
				r.TimeoutMillis = 5000
				x := kmsg.NewDeleteTopicsRequestTopic()
				x.Topic, x.TopicID = kmsg.StringPtr(b), sd.id(b)
				r.Topics = append(r.Topics, x)
				return r
			})
			s.do("neither", 1, func(sd *side) kmsg.Request {
				r := auto(kmsg.NewPtrDeleteTopicsRequest())
				r.TimeoutMillis = 5000
				r.Topics = append(r.Topics, kmsg.NewDeleteTopicsRequestTopic())
				return r
			})
			d := s.make("dd", 1)
			s.do("by name and by id", 1, s.remove(d, "id:"+d))
		}
		s.heard(0)
		s.do("produce to deleted", 1, s.produce(a, 0, -1, build(plain(1))))
		s.do("metadata of deleted", 1, s.metadata(false, false, a))
	}, false},
	{"produce", 0, func(s *session) {
		t := s.make("p", 3)
		p := func(step string, part int32, acks int16, b []byte) { s.do(step, 1, s.produce(t, part, acks, b)) }
		p("good", 0, -1, build(plain(3)))
		p("acks 1", 0, 1, build(plain(2)))
		p("gzip", 0, -1, build(rb{n: 5, pid: -1, epoch: -1, seq: -1, gzip: true}))
		p("acks 2", 0, 2, build(plain(1)))
		p("acks -2", 0, -2, build(plain(1)))
		p("not leader", 1, -1, build(plain(1)))
		p("no partition", 9, -1, build(plain(1)))
		p("negative partition", -1, -1, build(plain(1)))
		s.do("unknown topic", 1, s.produce(t+"-nope", 0, -1, build(plain(1))))
		bad := plain(2)
		bad.badCRC = true
		p("bad crc", 0, -1, build(bad))
		for _, m := range []int8{1, 2, 4} {
			old := plain(1)
			old.magic = m
			p("magic", 0, -1, build(old))
		}
		p("null records", 0, -1, nil)
		p("empty records", 0, -1, []byte{})
		p("short", 0, -1, build(plain(1))[:30])
		p("cut", 0, -1, build(plain(3))[:80])
		p("two batches", 0, -1, append(build(plain(1)), build(plain(1))...))
		p("trailing bytes", 0, -1, append(build(plain(1)), 0, 0, 0))
		o := plain(3)
		o.count = 2
		p("count too small", 0, -1, build(o))
		o = plain(3)
		o.count = 4
		p("count too large", 0, -1, build(o))
		o = plain(3)
		o.lastOff = 5
		p("last offset delta", 0, -1, build(o))
		o = plain(3)
		o.offGap = 1
		apart := s.make("gap", 1) // what Kafka takes here moves its log end
		s.do("gap in offsets", 1, s.produce(apart, 0, -1, build(o)))
		o.gzip = true
		s.do("gap in offsets, gzip", 1, s.produce(apart, 0, -1, build(o)))
		o = plain(3)
		o.first = 77
		p("base offset 77", 0, -1, build(o))
		o = plain(3)
		o.trailing = 4
		p("trailing in records", 0, -1, build(o))
		o = plain(2)
		o.noKey = true
		p("no key", 0, -1, build(o))
		o = plain(2)
		o.nullVal = true
		p("null values", 0, -1, build(o))
		o = plain(2)
		o.maxTS = base + 5
		p("wrong max timestamp", 0, -1, build(o))
		o = plain(3)
		o.tsStep = -10
		p("timestamps go back", 0, -1, build(o))
		o = plain(1)
		o.ts = -1
		o.maxTS = -1
		p("no timestamp", 0, -1, build(o))
		o = plain(1)
		o.ts = -5
		p("negative timestamp", 0, -1, build(o))
		o = plain(1)
		o.ts = s.net.Now().Millis() + (3 * time.Hour).Milliseconds()
		p("three hours on", 0, -1, build(o))
		o = plain(1)
		o.control = true
		p("control batch", 0, -1, build(o))
		o = plain(1)
		o.txn = true
		p("transactional, no id", 0, -1, build(o))
		o = plain(1)
		o.attrs = 8
		p("log append time bit", 0, -1, build(o))
		o = plain(1)
		o.attrs = 7
		p("codec 7", 0, -1, build(o))
		o = plain(1)
		o.attrs = 5
		p("codec 5", 0, -1, build(o))
		o = plain(3)
		o.attrs = 1
		p("gzip bit, not gzip", 0, -1, build(o))
		o = plain(1)
		o.attrs = 1 << 8
		p("unused bits", 0, -1, build(o))
		o = plain(1)
		o.size = 1100000
		p("too large", 0, -1, build(o))
		o = plain(0)
		p("no records", 0, -1, build(o))
		o = plain(1)
		o.length = 5
		p("length too long", 0, -1, build(o))
		o = plain(1)
		o.length = -5
		p("length too short", 0, -1, build(o))
		s.do("two partitions", 1, func(sd *side) kmsg.Request {
			r := s.produce(t, 0, -1, build(plain(1)))(sd).(*kmsg.ProduceRequest)
			x := kmsg.NewProduceRequestTopicPartition()
			x.Partition, x.Records = 1, build(plain(1))
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, x)
			return r
		})
		s.do("partition twice", 1, func(sd *side) kmsg.Request {
			r := s.produce(t, 0, -1, build(plain(1)))(sd).(*kmsg.ProduceRequest)
			x := kmsg.NewProduceRequestTopicPartition()
			x.Partition, x.Records = 0, build(plain(2))
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, x)
			return r
		})
		s.do("nothing", 1, func(sd *side) kmsg.Request {
			r := auto(kmsg.NewPtrProduceRequest())
			r.Acks, r.TimeoutMillis = -1, 1000
			return r
		})
		s.do("transactional id", 1, func(sd *side) kmsg.Request {
			r := s.produce(t, 0, -1, build(plain(1)))(sd).(*kmsg.ProduceRequest)
			r.TransactionID = kmsg.StringPtr("tx")
			return r
		})
		s.send(1, s.produce(t, 0, 0, build(plain(1))))
		s.do("alive after acks 0", 1, s.list(t, 0, -2, 0, -1))
		s.send(1, s.produce(t, 9, 0, build(plain(1))))
		s.do("alive after bad acks 0", 1, s.list(t, 0, -2, 0, -1))
		s.net.Sleep(200 * time.Millisecond)
		s.do("end", 1, s.list(t, 0, -1, 0, -1))
		s.do("fetch all", 1, s.fetch(fetchOpt{}, fetchPart{topic: t, epoch: -1}))
	}, false},
	{"produce-topic-configs", 0, func(s *session) {
		t := s.make("lat", 1, "message.timestamp.type", "LogAppendTime")
		s.do("append time", 1, s.produce(t, 0, -1, build(plain(3))))
		s.do("append time gzip", 1, s.produce(t, 0, -1, build(rb{n: 3, pid: -1, epoch: -1, seq: -1, gzip: true})))
		s.do("fetch", 1, s.fetch(fetchOpt{}, fetchPart{topic: t, epoch: -1}))
		s.do("list max", 1, s.list(t, 0, -3, 0, -1))
		c := s.make("cmp", 1, "cleanup.policy", "compact")
		o := plain(2)
		o.noKey = true
		s.do("compacted, no key", 1, s.produce(c, 0, -1, build(o)))
		o.gzip = true
		s.do("compacted, no key, gzip", 1, s.produce(c, 0, -1, build(o)))
		s.do("compacted, key", 1, s.produce(c, 0, -1, build(plain(2))))
		m := s.make("max", 1, "max.message.bytes", "200")
		o = plain(1)
		o.size = 100
		s.do("under", 1, s.produce(m, 0, -1, build(o)))
		o.size = 200
		s.do("over", 1, s.produce(m, 0, -1, build(o)))
		o.size = 120
		s.do("each under, both over", 1, s.produce(m, 0, -1, append(build(o), build(o)...)))
		g := s.make("seg", 1, "segment.bytes", "1048576")
		_ = g
		ts := s.make("ts", 1, "message.timestamp.before.max.ms", "1000", "message.timestamp.after.max.ms", "1000")
		s.do("too old", 1, s.produce(ts, 0, -1, build(plain(2))))
		o = plain(2)
		o.ts = s.net.Now().Millis() + time.Hour.Milliseconds()
		s.do("too new", 1, s.produce(ts, 0, -1, build(o)))
		o = plain(2)
		o.gzip = true
		s.do("too old, gzip", 1, s.produce(ts, 0, -1, build(o)))
		o = plain(2)
		o.ts = s.net.Now().Millis() - 100
		o.tsStep = -3600_000
		o.maxTS = o.ts
		s.do("second too old", 1, s.produce(ts, 0, -1, build(o)))
		i := s.make("isr", 1, "min.insync.replicas", "4")
		s.do("min isr 4, acks all", 1, s.produce(i, 0, -1, build(plain(1))))
		s.do("min isr 4, acks 1", 1, s.produce(i, 0, 1, build(plain(1))))
		z := s.make("zip", 1, "compression.type", "gzip")
		s.do("recompressed", 1, s.produce(z, 0, -1, build(plain(3))))
		u := s.make("unzip", 1, "compression.type", "uncompressed")
		s.do("decompressed", 1, s.produce(u, 0, -1, build(rb{n: 3, pid: -1, epoch: -1, seq: -1, gzip: true})))
		s.do("fetch decompressed", 1, s.fetch(fetchOpt{}, fetchPart{topic: u, epoch: -1}))
		s.do("two batches decompressed", 1, s.produce(u, 0, -1, append(build(rb{n: 3, pid: -1, epoch: -1, seq: -1, gzip: true}), build(plain(1))...)))
	}, false},
	{"idempotence", 0, func(s *session) {
		t := s.make("i", 2)
		s.newPID()
		b := func(seq int32, n int) rb { return rb{n: n, seq: seq} }
		p := func(step string, r rb) { s.do(step, 1, s.idem(t, 0, -1, s.lastPID(), r)) }
		p("first", b(0, 3))
		p("duplicate", b(0, 3))
		p("next", b(3, 2))
		p("duplicate of older", b(0, 3))
		p("gap", b(9, 1))
		p("overlap", b(2, 4))
		p("part of older", b(0, 2))
		for i := range 6 {
			p("fill", b(int32(5+i), 1))
		}
		p("older than window", b(0, 3))
		p("just in window", b(6, 1))
		p("just out of window", b(5, 1))
		p("wrong epoch", rb{n: 1, seq: 11, epoch: 1})
		p("new epoch from 0", rb{n: 1, seq: 0, epoch: 1})
		p("old epoch", rb{n: 1, seq: 11, epoch: 0})
		p("new epoch next", rb{n: 1, seq: 1, epoch: 1})
		p("negative epoch", rb{n: 1, seq: 2, epoch: -1})
		p("no sequence", rb{n: 1, seq: -1, epoch: 1})
		p("two batches", rb{n: 1, seq: 2, epoch: 1})
		s.do("two idempotent batches at once", 1, func(sd *side) kmsg.Request {
			pid := sd.pidOf[0]
			return s.produce(t, 0, -1, append(build(rb{n: 1, pid: pid, epoch: 1, seq: 3}), build(rb{n: 1, pid: pid, epoch: 1, seq: 4})...))(sd)
		})
		s.do("unknown producer, seq 0", 1, s.idem(t, 0, -1, -1, b(0, 1)))
		s.do("unknown producer 2, seq 5", 1, func(sd *side) kmsg.Request {
			return s.produce(t, 0, -1, build(rb{n: 1, pid: 1<<40 + 9, epoch: 3, seq: 5}))(sd)
		})
		s.do("sequence wraps", 1, func(sd *side) kmsg.Request {
			return s.produce(t, 0, -1, build(rb{n: 1, pid: 1<<40 + 10, epoch: 0, seq: 1<<31 - 1}))(sd)
		})
		s.do("sequence wrapped", 1, func(sd *side) kmsg.Request {
			return s.produce(t, 0, -1, build(rb{n: 1, pid: 1<<40 + 10, epoch: 0, seq: 0}))(sd)
		})
		s.do("transactional data, no id", 1, func(sd *side) kmsg.Request {
			return s.produce(t, 0, -1, build(rb{n: 1, pid: sd.pidOf[0], epoch: 1, seq: 5, txn: true}))(sd)
		})
		s.do("fetch", 1, s.fetch(fetchOpt{}, fetchPart{topic: t, epoch: -1}))
		s.do("describe producers", 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrDescribeProducersRequest())
			x := kmsg.NewDescribeProducersRequestTopic()
			x.Topic, x.Partitions = t, []int32{0, 1, 7}
			y := kmsg.NewDescribeProducersRequestTopic()
			y.Topic, y.Partitions = t+"-nope", []int32{0}
			z := y
			z.Topic = "a/b"
			r.Topics = append(r.Topics, x, y, z)
			return r
		})
		s.do("describe producers twice", 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrDescribeProducersRequest())
			x := kmsg.NewDescribeProducersRequestTopic()
			x.Topic, x.Partitions = t, []int32{1, 1}
			r.Topics = append(r.Topics, x)
			return r
		})
		d := s.make("del", 1)
		s.do("before the deletion", 1, s.idem(d, 0, -1, 0, b(0, 5)))
		s.do("delete records", 1, s.deleteRecords(offsetAt{d, 0, 5}))
		s.do("duplicate after deletion", 1, s.idem(d, 0, -1, 0, b(0, 5)))
		s.do("next after deletion", 1, s.idem(d, 0, -1, 0, b(5, 1)))
	}, false},
	{"init-producer-id", 22, func(s *session) {
		s.newPID()
		s.do("none", 2, s.initPID(nil, -1, -1))
		s.do("empty transactional id", 1, s.initPID(kmsg.StringPtr(""), -1, -1))
		s.do("own id", 1, s.initPID(nil, -2, 0))
		s.do("own id, epoch -1", 1, s.initPID(nil, -2, -1))
		s.do("id -1, epoch 3", 1, s.initPID(nil, -1, 3))
		s.do("id 0, epoch 0", 1, s.initPID(nil, 0, 0))
		s.do("id -5, epoch -5", 1, s.initPID(nil, -5, -5))
	}, false},
	{"fetch", 1, func(s *session) {
		t := s.make("f", 3)
		for range 4 {
			s.do("fill", 1, s.produce(t, 0, -1, build(plain(5))))
		}
		f := func(step string, o fetchOpt, ps ...fetchPart) { s.do(step, 1, s.fetch(o, ps...)) }
		f("all", fetchOpt{}, fetchPart{topic: t, epoch: -1})
		f("middle of a batch", fetchOpt{}, fetchPart{topic: t, offset: 7, epoch: -1})
		f("end", fetchOpt{}, fetchPart{topic: t, offset: 20, epoch: -1})
		f("end, waits", fetchOpt{wait: 200, minB: 1}, fetchPart{topic: t, offset: 20, epoch: -1})
		f("past the end", fetchOpt{}, fetchPart{topic: t, offset: 21, epoch: -1})
		f("negative", fetchOpt{}, fetchPart{topic: t, offset: -1, epoch: -1})
		f("partition max 1", fetchOpt{}, fetchPart{topic: t, epoch: -1, max: 1})
		f("partition max 150", fetchOpt{}, fetchPart{topic: t, epoch: -1, max: 150})
		f("max bytes 1", fetchOpt{maxB: 1}, fetchPart{topic: t, epoch: -1})
		f("max bytes 150", fetchOpt{maxB: 150}, fetchPart{topic: t, epoch: -1})
		f("negative maxes", fetchOpt{maxB: -1}, fetchPart{topic: t, epoch: -1, max: -1})
		f("not leader", fetchOpt{}, fetchPart{topic: t, part: 1, epoch: -1})
		f("no partition", fetchOpt{}, fetchPart{topic: t, part: 9, epoch: -1})
		f("unknown topic", fetchOpt{}, fetchPart{topic: t + "-nope", epoch: -1})
		f("right epoch", fetchOpt{}, fetchPart{topic: t, epoch: 0})
		f("old epoch", fetchOpt{}, fetchPart{topic: t, epoch: -2})
		f("epoch to come", fetchOpt{}, fetchPart{topic: t, epoch: 5})
		f("committed", fetchOpt{iso: 1}, fetchPart{topic: t, epoch: -1})
		f("isolation 2", fetchOpt{iso: 2}, fetchPart{topic: t, epoch: -1})
		f("rack", fetchOpt{rack: "r"}, fetchPart{topic: t, epoch: -1})
		f("min bytes 1e6", fetchOpt{wait: 100, minB: 1 << 20}, fetchPart{topic: t, epoch: -1})
		f("three partitions", fetchOpt{}, fetchPart{topic: t, epoch: -1}, fetchPart{topic: t, part: 1, epoch: -1}, fetchPart{topic: t, part: 2, epoch: -1})
		f("twice", fetchOpt{}, fetchPart{topic: t, epoch: -1}, fetchPart{topic: t, offset: 10, epoch: -1})
		f("nothing", fetchOpt{})
		f("last fetched epoch", fetchOpt{}, fetchPart{topic: t, epoch: -1})
		if s.v(1) >= 12 {
			for _, e := range []int32{0, 1, 9, -2} {
				s.do("last fetched epoch", 1, func(sd *side) kmsg.Request {
					r := s.fetch(fetchOpt{}, fetchPart{topic: t, offset: 10, epoch: -1})(sd).(*kmsg.FetchRequest)
					r.Topics[0].Partitions[0].LastFetchedEpoch = e
					return r
				})
			}
		}
		s.do("from the start that moved", 1, s.deleteRecords(offsetAt{t, 0, 8}))
		f("before the start", fetchOpt{}, fetchPart{topic: t, offset: 3, epoch: -1})
		f("at the start", fetchOpt{}, fetchPart{topic: t, offset: 8, epoch: -1})
		f("as a consumer of a follower", fetchOpt{}, fetchPart{topic: t, offset: 8, epoch: -1})
		s.do("at a follower", 2, s.fetch(fetchOpt{}, fetchPart{topic: t, offset: 8, epoch: -1}))
		s.do("at a follower, epoch", 2, s.fetch(fetchOpt{}, fetchPart{topic: t, offset: 8, epoch: 0}))
	}, false},
	{"fetch-sessions", 1, func(s *session) {
		if s.v(1) < 7 {
			return
		}
		t, u := s.make("fs", 2), s.make("fu", 1)
		s.do("fill", 1, s.produce(t, 0, -1, build(plain(5))))
		s.do("fill", 1, s.produce(u, 0, -1, build(plain(2))))
		f := func(step string, o fetchOpt, ps ...fetchPart) { s.keep(s.do(step, 1, s.fetch(o, ps...))) }
		f("no session", fetchOpt{session: 0, epoch: -1}, fetchPart{topic: t, epoch: -1})
		f("full", fetchOpt{session: 0, epoch: 0}, fetchPart{topic: t, epoch: -1}, fetchPart{topic: u, epoch: -1})
		f("incremental, nothing changed", fetchOpt{session: -1, epoch: 1})
		f("incremental, one moved", fetchOpt{session: -1, epoch: 2}, fetchPart{topic: t, offset: 5, epoch: -1})
		f("again", fetchOpt{session: -1, epoch: 3}, fetchPart{topic: u, offset: 2, epoch: -1})
		f("quiet", fetchOpt{session: -1, epoch: 4, wait: 100, minB: 1})
		s.do("more", 1, s.produce(t, 0, -1, build(plain(1))))
		f("after more", fetchOpt{session: -1, epoch: 5})
		f("same epoch again", fetchOpt{session: -1, epoch: 5})
		f("epoch too far", fetchOpt{session: -1, epoch: 9})
		f("next", fetchOpt{session: -1, epoch: 6})
		f("forget", fetchOpt{session: -1, epoch: 7, forget: []fetchPart{{topic: t}}})
		f("after forgetting", fetchOpt{session: -1, epoch: 8})
		f("forget what is not there", fetchOpt{session: -1, epoch: 9, forget: []fetchPart{{topic: t, part: 5}}})
		f("add unknown partition", fetchOpt{session: -1, epoch: 10}, fetchPart{topic: t, part: 9, epoch: -1})
		f("and again", fetchOpt{session: -1, epoch: 11})
		f("add unknown topic", fetchOpt{session: -1, epoch: 12}, fetchPart{topic: t + "-nope", epoch: -1})
		f("and again", fetchOpt{session: -1, epoch: 13})
		f("forget and add", fetchOpt{session: -1, epoch: 14, forget: []fetchPart{{topic: u}}}, fetchPart{topic: u, offset: 0, epoch: -1})
		f("unknown session", fetchOpt{session: 12345, epoch: 1})
		f("negative session", fetchOpt{session: -7, epoch: 1})
		f("unknown session, epoch 0", fetchOpt{session: 12345, epoch: 0}, fetchPart{topic: t, epoch: -1})
		f("session, epoch 0", fetchOpt{session: -1, epoch: 0}, fetchPart{topic: t, epoch: -1})
		f("the new one", fetchOpt{session: -1, epoch: 1})
		f("close", fetchOpt{session: -1, epoch: -1}, fetchPart{topic: t, epoch: -1})
		f("after closing", fetchOpt{session: -1, epoch: 2})
		f("full with an error", fetchOpt{session: 0, epoch: 0}, fetchPart{topic: t, part: 1, epoch: -1}, fetchPart{topic: t, offset: 100, epoch: -1})
		f("then", fetchOpt{session: -1, epoch: 1})
		f("full and empty", fetchOpt{session: 0, epoch: 0})
		f("deleted topic", fetchOpt{session: 0, epoch: 0}, fetchPart{topic: u, epoch: -1})
		s.do("delete", 1, s.remove(u))
		s.heard(400 * time.Millisecond)
		f("after deletion", fetchOpt{session: -1, epoch: 1})
	}, false},
	{"list-offsets", 2, func(s *session) {
		t := s.make("lo", 3)
		l := func(step string, ts int64, iso int8) { s.do(step, 1, s.list(t, 0, ts, iso, -1)) }
		for _, ts := range []int64{-1, -2, -3, -4, -5, -6, -7, -99, 0, base} {
			l("empty log", ts, 0)
		}
		for i := range 5 {
			o := plain(3)
			o.ts, o.tsStep = base+int64(i)*1000, 10
			s.do("fill", 1, s.produce(t, 0, -1, build(o)))
		}
		o := plain(3)
		o.ts, o.tsStep = base+900, 5000
		o.gzip = true
		s.do("fill, late middle", 1, s.produce(t, 0, -1, build(o)))
		s.do("fill, gone back", 1, s.produce(t, 0, -1, build(plain(1))))
		for _, ts := range []int64{-1, -2, -3, -4, -5, -6, -7, -99, 0, 1, base - 1, base, base + 1, base + 10, base + 20, base + 999, base + 1001, base + 4020, base + 4021, base + 5900, base + 10900, base + 10901, base + 99999, 1 << 62} {
			l("filled", ts, 0)
			l("filled, committed", ts, 1)
		}
		l("isolation 2", -1, 2)
		same := s.make("los", 1)
		for range 3 {
			s.do("fill, all of one time", 1, s.produce(same, 0, -1, build(plain(3))))
		}
		s.do("max timestamp, all of one time", 1, s.list(same, 0, -3, 0, -1))
		s.do("that time", 1, s.list(same, 0, base, 0, -1))
		s.do("not leader", 1, s.list(t, 1, -1, 0, -1))
		s.do("no partition", 1, s.list(t, 9, -1, 0, -1))
		s.do("unknown topic", 1, s.list(t+"-nope", 0, -1, 0, -1))
		s.do("epoch", 1, s.list(t, 0, -1, 0, 0))
		s.do("old epoch", 1, s.list(t, 0, -1, 0, -2))
		s.do("epoch to come", 1, s.list(t, 0, -1, 0, 3))
		s.do("at a follower", 2, s.list(t, 0, -1, 0, -1))
		s.do("delete records", 1, s.deleteRecords(offsetAt{t, 0, 4}))
		for _, ts := range []int64{-1, -2, -3, -4, base, base + 1000} {
			l("after deletion", ts, 0)
		}
		s.do("partition twice", 1, func(sd *side) kmsg.Request {
			r := s.list(t, 0, -1, 0, -1)(sd).(*kmsg.ListOffsetsRequest)
			r.Topics[0].Partitions = append(r.Topics[0].Partitions, r.Topics[0].Partitions[0])
			return r
		})
		s.do("as a replica", 1, func(sd *side) kmsg.Request {
			r := s.list(t, 0, -1, 0, -1)(sd).(*kmsg.ListOffsetsRequest)
			r.ReplicaID = 2
			return r
		})
		s.do("as a debugger", 1, func(sd *side) kmsg.Request {
			r := s.list(t, 0, -1, 0, -1)(sd).(*kmsg.ListOffsetsRequest)
			r.ReplicaID = -2
			return r
		})
	}, false},
	{"leader-epoch", 23, func(s *session) {
		t := s.make("le", 3)
		e := func(step string, part, cur, ep int32) { s.do(step, 1, s.leaderEpoch(t, part, cur, ep)) }
		e("empty", 0, -1, 0)
		s.do("fill", 1, s.produce(t, 0, -1, build(plain(3))))
		for _, x := range []int32{0, 1, 5, -1, -2} {
			e("epoch", 0, -1, x)
			e("epoch, current 0", 0, 0, x)
		}
		e("current to come", 0, 4, 0)
		e("current old", 0, -2, 0)
		e("not leader", 1, -1, 0)
		e("no partition", 9, -1, 0)
		s.do("unknown topic", 1, s.leaderEpoch(t+"-nope", 0, -1, 0))
		s.do("as a replica", 1, func(sd *side) kmsg.Request {
			r := s.leaderEpoch(t, 0, -1, 0)(sd).(*kmsg.OffsetForLeaderEpochRequest)
			r.ReplicaID = 2
			return r
		})
	}, false},
	{"delete-records", 21, func(s *session) {
		t := s.make("dr", 3)
		s.do("fill", 1, s.produce(t, 0, -1, build(plain(5))))
		s.do("fill", 1, s.produce(t, 0, -1, build(plain(5))))
		d := func(step string, part int32, off int64) { s.do(step, 1, s.deleteRecords(offsetAt{t, part, off})) }
		d("to 3", 0, 3)
		d("to 2", 0, 2)
		d("to 3 again", 0, 3)
		d("past the end", 0, 11)
		d("-2", 0, -2)
		d("not leader", 1, 0)
		d("no partition", 9, 0)
		s.do("unknown topic", 1, s.deleteRecords(offsetAt{t + "-nope", 0, 0}))
		d("all", 0, -1)
		s.do("earliest", 1, s.list(t, 0, -2, 0, -1))
		s.do("fetch at the start", 1, s.fetch(fetchOpt{}, fetchPart{topic: t, offset: 10, epoch: -1}))
		s.do("fetch before", 1, s.fetch(fetchOpt{}, fetchPart{topic: t, offset: 0, epoch: -1}))
		s.do("produce after", 1, s.produce(t, 0, -1, build(plain(1))))
		s.do("nothing", 1, s.deleteRecords())
		c := s.make("drc", 1, "cleanup.policy", "compact")
		s.do("fill compacted", 1, s.produce(c, 0, -1, build(plain(5))))
		s.do("compacted", 1, s.deleteRecords(offsetAt{c, 0, 2}))
		n := s.make("drn", 1, "cleanup.policy", "")
		s.do("fill", 1, s.produce(n, 0, -1, build(plain(5))))
		s.do("no policy", 1, s.deleteRecords(offsetAt{n, 0, 2}))
		b := s.make("drb", 1, "cleanup.policy", "compact,delete")
		s.do("fill", 1, s.produce(b, 0, -1, build(plain(5))))
		s.do("both policies", 1, s.deleteRecords(offsetAt{b, 0, 2}))
	}, false},
	{"describe-configs", 32, func(s *session) {
		t := s.make("dc", 1, "retention.ms", "1000", "cleanup.policy", "compact")
		s.do("all", 1, s.describeConfigs(2, t, false, false))
		s.do("synonyms", 1, s.describeConfigs(2, t, true, false))
		s.do("documentation", 1, s.describeConfigs(2, t, false, true, "retention.ms", "segment.bytes"))
		s.do("some", 1, s.describeConfigs(2, t, true, false, "retention.ms", "no.such"))
		s.do("no keys", 1, s.describeConfigs(2, t, true, false, []string{}...))
		s.do("unknown topic", 1, s.describeConfigs(2, t+"-nope", true, false))
		s.do("bad topic", 1, s.describeConfigs(2, "a/b", true, false))
		s.do("empty topic", 1, s.describeConfigs(2, "", true, false))
		s.do("broker", 1, s.describeConfigs(4, "1", true, false, "log.retention.ms", "min.insync.replicas", "num.io.threads", "node.id", "no.such", "log.cleaner.threads"))
		s.do("broker, default", 1, s.describeConfigs(4, "", true, false))
		s.do("other broker", 1, s.describeConfigs(4, "2", true, false, "log.retention.ms"))
		s.do("unknown broker", 1, s.describeConfigs(4, "9", true, false))
		s.do("bad broker", 1, s.describeConfigs(4, "abc", true, false))
		s.do("loggers", 1, s.describeConfigs(8, "1", true, false, "no.such"))
		s.do("group", 1, s.describeConfigs(groupResource, "g", true, false))
		s.do("client metrics", 1, s.describeConfigs(16, "m", true, false))
		s.do("type 0", 1, s.describeConfigs(0, "m", true, false))
		s.do("topic twice", 1, func(sd *side) kmsg.Request {
			r := s.describeConfigs(2, t, false, false, "retention.ms")(sd).(*kmsg.DescribeConfigsRequest)
			r.Resources = append(r.Resources, r.Resources[0])
			return r
		})
		s.do("type 3", 1, s.describeConfigs(3, "m", true, false))
	}, false},
	{"broker-configs", 32, func(s *session) {
		s.do("broker all", 1, s.describeConfigs(4, "1", false, false))
	}, true},
	{"alter-configs", 44, func(s *session) {
		t := s.make("ac", 1)
		a := func(step string, cs ...change) { s.do(step, 1, s.alter(false, 2, t, cs...)) }
		a("set", change{name: "retention.ms", value: "1234"})
		a("set two", change{name: "retention.ms", value: "1235"}, change{name: "max.message.bytes", value: "5000"})
		a("unknown", change{name: "no.such", value: "1"})
		a("bad", change{name: "retention.ms", value: "abc"})
		a("range", change{name: "segment.bytes", value: "1"})
		a("null", change{name: "retention.ms", null: true})
		a("empty", change{name: "retention.ms", value: ""})
		a("append", change{name: "cleanup.policy", op: 2, value: "compact"})
		a("append again", change{name: "cleanup.policy", op: 2, value: "compact"})
		a("subtract", change{name: "cleanup.policy", op: 3, value: "delete"})
		a("subtract the last", change{name: "cleanup.policy", op: 3, value: "compact"})
		a("subtract what is not there", change{name: "cleanup.policy", op: 3, value: "delete"})
		a("append to no list", change{name: "retention.ms", op: 2, value: "1"})
		a("append bad", change{name: "cleanup.policy", op: 2, value: "burn"})
		a("delete", change{name: "retention.ms", op: 1, null: true})
		a("delete again", change{name: "retention.ms", op: 1, null: true})
		a("delete with value", change{name: "max.message.bytes", op: 1, value: "5"})
		a("delete unknown", change{name: "no.such", op: 1, null: true})
		a("op 7", change{name: "retention.ms", op: 7, value: "1"})
		a("twice", change{name: "retention.ms", value: "1"}, change{name: "retention.ms", value: "2"})
		a("none")
		s.do("validate", 1, s.alter(true, 2, t, change{name: "retention.ms", value: "99"}))
		s.do("unknown topic", 1, s.alter(false, 2, t+"-nope", change{name: "retention.ms", value: "99"}))
		s.do("bad topic", 1, s.alter(false, 2, "a/b", change{name: "retention.ms", value: "99"}))
		s.do("broker static", 1, s.alter(false, 4, "1", change{name: "node.id", value: "9"}))
		s.do("broker read-only", 1, s.alter(false, 4, "1", change{name: "num.partitions", value: "9"}))
		s.do("broker dynamic", 1, s.alter(false, 4, "1", change{name: "log.retention.ms", value: "777000000"}))
		s.do("broker bad", 1, s.alter(false, 4, "1", change{name: "log.retention.ms", value: "abc"}))
		s.do("broker unknown key", 1, s.alter(false, 4, "1", change{name: "no.such", value: "1"}))
		s.do("broker unknown key back", 1, s.alter(false, 4, "1", change{name: "no.such", op: 1, null: true}))
		s.do("broker unknown", 1, s.alter(true, 4, "9", change{name: "log.retention.ms", value: "1"}))
		s.do("broker bad name", 1, s.alter(false, 4, "abc", change{name: "log.retention.ms", value: "1"}))
		s.do("broker default", 1, s.alter(false, 4, "", change{name: "log.retention.ms", value: "666000000"}))
		s.heard(0)
		s.do("topic sees it", 1, s.describeConfigs(2, t, true, false, "retention.ms", "cleanup.policy", "max.message.bytes"))
		s.do("broker sees it", 1, s.describeConfigs(4, "1", true, false, "log.retention.ms"))
		s.do("default sees it", 1, s.describeConfigs(4, "", true, false))
		s.do("broker back", 1, s.alter(false, 4, "1", change{name: "log.retention.ms", op: 1, null: true}))
		s.do("default back", 1, s.alter(false, 4, "", change{name: "log.retention.ms", op: 1, null: true}))
		s.do("type 0", 1, s.alter(false, 0, "x", change{name: "retention.ms", value: "99"}))
		s.do("group", 1, s.alter(true, groupResource, "g", change{name: "consumer.session.timeout.ms", value: "50000"}))
		s.do("resource twice", 1, func(sd *side) kmsg.Request {
			r := s.alter(false, 2, t, change{name: "retention.ms", value: "5"})(sd).(*kmsg.IncrementalAlterConfigsRequest)
			r.Resources = append(r.Resources, r.Resources[0])
			return r
		})
	}, false},
	{"legacy-alter-configs", 33, func(s *session) {
		t := s.make("lac", 1)
		a := func(step string, validate bool, typ int8, name string, kv ...string) {
			var cs []change
			for i := 0; i+1 < len(kv); i += 2 {
				cs = append(cs, change{name: kv[i], value: kv[i+1]})
			}
			s.do(step, 1, s.replaceConfigs(validate, typ, name, cs...))
		}
		a("set", false, 2, t, "retention.ms", "5")
		a("replace", false, 2, t, "segment.ms", "5000")
		a("bad", false, 2, t, "segment.ms", "x")
		a("unknown", false, 2, t, "no.such", "x")
		a("unknown topic", false, 2, t+"-nope", "segment.ms", "5")
		a("validate", true, 2, t, "segment.ms", "5")
		s.heard(0)
		s.do("see", 1, s.describeConfigs(2, t, true, false, "retention.ms", "segment.ms"))
	}, false},
	{"describe-cluster", 60, func(s *session) {
		for _, ops := range []bool{false, true} {
			for _, e := range []int8{1, 2, 3} {
				s.do("endpoint type", 1, func(*side) kmsg.Request {
					r := auto(kmsg.NewPtrDescribeClusterRequest())
					r.IncludeClusterAuthorizedOperations = ops
					r.EndpointType = e
					return r
				})
			}
		}
		s.do("fenced", 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrDescribeClusterRequest())
			r.IncludeFencedBrokers = true
			return r
		})
	}, false},
	{"describe-log-dirs", 35, func(s *session) {
		t := s.make("dl", 2)
		s.do("fill", 1, s.produce(t, 0, -1, build(plain(5))))
		ask := func(step string, b int, topics ...kmsg.DescribeLogDirsRequestTopic) {
			s.do(step, b, func(*side) kmsg.Request {
				r := auto(kmsg.NewPtrDescribeLogDirsRequest())
				r.Topics = topics
				return r
			})
		}
		x := kmsg.NewDescribeLogDirsRequestTopic()
		x.Topic, x.Partitions = t, []int32{0, 1}
		y := x
		y.Partitions = []int32{7}
		z := x
		z.Topic = t + "-nope"
		ask("one", 1, x)
		ask("follower", 2, x)
		ask("no partition", 1, y)
		ask("unknown", 1, z)
		s.do("empty", 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrDescribeLogDirsRequest())
			r.Topics = []kmsg.DescribeLogDirsRequestTopic{}
			return r
		})
	}, false},
	{"elect-leaders", 43, func(s *session) {
		t := s.make("el", 2)
		ask := func(step string, typ int8, tops []kmsg.ElectLeadersRequestTopic) {
			s.do(step, 1, func(*side) kmsg.Request {
				r := auto(kmsg.NewPtrElectLeadersRequest())
				r.ElectionType, r.Topics, r.TimeoutMillis = typ, tops, 5000
				return r
			})
		}
		x := kmsg.NewElectLeadersRequestTopic()
		x.Topic, x.Partitions = t, []int32{0, 1}
		y := x
		y.Partitions = []int32{9}
		z := x
		z.Topic = t + "-nope"
		one := func(t kmsg.ElectLeadersRequestTopic) []kmsg.ElectLeadersRequestTopic {
			return []kmsg.ElectLeadersRequestTopic{t}
		}
		ask("preferred", 0, one(x))
		ask("unclean", 1, one(x))
		ask("no partition", 0, one(y))
		ask("unknown", 0, one(z))
		ask("type 5", 5, one(x))
		ask("empty", 0, []kmsg.ElectLeadersRequestTopic{})
	}, false},
	{"describe-topic-partitions", 75, func(s *session) {
		t, u := s.make("tp", 3), s.make("tq", 2)
		ask := func(step string, limit int32, cur *kmsg.DescribeTopicPartitionsRequestCursor, names ...string) {
			s.do(step, 1, func(*side) kmsg.Request {
				r := auto(kmsg.NewPtrDescribeTopicPartitionsRequest())
				r.ResponsePartitionLimit = limit
				r.Cursor = cur
				for _, n := range names {
					x := kmsg.NewDescribeTopicPartitionsRequestTopic()
					x.Topic = n
					r.Topics = append(r.Topics, x)
				}
				return r
			})
		}
		cur := func(t string, p int32) *kmsg.DescribeTopicPartitionsRequestCursor {
			c := kmsg.NewDescribeTopicPartitionsRequestCursor()
			c.Topic, c.Partition = t, p
			return &c
		}
		ask("both", 2000, nil, u, t)
		ask("limit 2", 2, nil, t, u)
		ask("limit 3", 3, nil, t, u)
		ask("limit 1", 1, nil, t, u)
		ask("limit 0", 0, nil, t, u)
		ask("limit -1", -1, nil, t, u)
		ask("cursor", 2000, cur(t, 2), t, u)
		ask("cursor second", 2000, cur(u, 1), t, u)
		ask("cursor past", 2000, cur(t, 9), t, u)
		ask("cursor negative", 2000, cur(t, -1), t, u)
		ask("cursor unknown", 2000, cur(t+"-z", 0), t, u)
		ask("unknown", 2000, nil, t+"-nope")
		ask("unknown and one", 2000, nil, t+"-nope", t)
		ask("twice", 2000, nil, t, t)
		ask("bad", 2000, nil, "a/b")
	}, false},
	{"describe-quorum", 55, func(s *session) {
		ask := func(step, topic string, parts ...int32) {
			s.do(step, 1, func(*side) kmsg.Request {
				r := auto(kmsg.NewPtrDescribeQuorumRequest())
				x := kmsg.NewDescribeQuorumRequestTopic()
				x.Topic = topic
				for _, p := range parts {
					y := kmsg.NewDescribeQuorumRequestTopicPartition()
					y.Partition = p
					x.Partitions = append(x.Partitions, y)
				}
				r.Topics = append(r.Topics, x)
				return r
			})
		}
		ask("right", "__cluster_metadata", 0)
		ask("wrong partition", "__cluster_metadata", 1)
		ask("wrong topic", "nope", 0)
		ask("two", "__cluster_metadata", 0, 1)
		ask("none", "__cluster_metadata")
	}, false},
	{"reassign", 45, func(s *session) {
		t := s.make("ra", 2)
		type re struct {
			topic string
			part  int32
			reps  []int32
		}
		ask := func(step string, rs ...re) {
			s.do(step, 1, func(*side) kmsg.Request {
				r := auto(kmsg.NewPtrAlterPartitionAssignmentsRequest())
				r.TimeoutMillis = 10000
				for _, e := range rs {
					x := kmsg.NewAlterPartitionAssignmentsRequestTopic()
					x.Topic = e.topic
					p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
					p.Partition, p.Replicas = e.part, e.reps
					x.Partitions = append(x.Partitions, p)
					r.Topics = append(r.Topics, x)
				}
				return r
			})
		}
		ask("cancel nothing", re{t, 0, nil})
		ask("empty", re{t, 0, []int32{}})
		ask("twice", re{t, 0, []int32{1, 1}})
		ask("unknown broker", re{t, 0, []int32{9}})
		ask("negative broker", re{t, 0, []int32{-1}})
		ask("no partition", re{t, 9, []int32{1}})
		ask("unknown topic", re{t + "-nope", 0, []int32{1}})
		ask("same", re{t, 0, []int32{1, 2, 3}})
		ask("fewer", re{t, 0, []int32{2, 1}})
		ask("none")
		s.heard(0)
		s.settle(t, 2)
		s.do("see", 1, s.metadata(false, false, t))
		s.do("list", 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrListPartitionReassignmentsRequest())
			r.TimeoutMillis = 5000
			return r
		})
		s.do("list one", 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrListPartitionReassignmentsRequest())
			r.TimeoutMillis = 5000
			x := kmsg.NewListPartitionReassignmentsRequestTopic()
			x.Topic, x.Partitions = t, []int32{0, 9}
			r.Topics = append(r.Topics, x)
			return r
		})
	}, false},
	{"update-features", 57, func(s *session) {
		ask := func(step string, validate bool, feature string, level int16, typ int8) {
			s.do(step, 1, func(*side) kmsg.Request {
				r := auto(kmsg.NewPtrUpdateFeaturesRequest())
				r.TimeoutMillis, r.ValidateOnly = 10000, validate
				x := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
				x.Feature, x.MaxVersionLevel, x.UpgradeType = feature, level, typ
				r.FeatureUpdates = append(r.FeatureUpdates, x)
				return r
			})
		}
		ask("unknown", true, "no.such", 1, 1)
		ask("too high", true, "metadata.version", 99, 1)
		ask("too low", true, "metadata.version", 1, 2)
		ask("down as up", true, "metadata.version", 20, 1)
		ask("down", true, "metadata.version", 20, 2)
		ask("delete", true, "metadata.version", 0, 2)
		ask("type 0", true, "metadata.version", 20, 0)
		ask("empty", true, "", 1, 1)
		ask("negative", true, "metadata.version", -1, 1)
		ask("unknown, for real", false, "no.such", 1, 1)
		s.do("none", 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrUpdateFeaturesRequest())
			r.TimeoutMillis = 1000
			return r
		})
	}, false},
	{"unregister-broker", 64, func(s *session) {
		s.do("unknown", 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrUnregisterBrokerRequest())
			r.BrokerID = 99
			return r
		})
	}, false},
}
