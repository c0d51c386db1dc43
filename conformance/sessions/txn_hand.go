package sessions

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// txnHands are the sessions by hand of transactions.
var txnHands = []Hand{
	{"txn-init", 22, txnInit, false},
	{"txn-init-open", 22, txnInitOpen, false},
	{"txn-add-partitions", 24, txnAddPartitions, false},
	{"txn-add-offsets", 25, txnAddOffsets, false},
	{"txn-end", 26, txnEnd, false},
	{"txn-offsets", 28, txnOffsets, false},
	{"txn-offsets-members", 28, txnOffsetsOfMembers, false},
	{"txn-produce", 0, txnProduce, false},
	{"txn-read", 1, txnRead, false},
	{"txn-markers", 27, txnMarkers, false},
	{"txn-describe", 65, txnDescribe, false},
	{"txn-list", 66, txnList, false},
	{"txn-topic-deleted", 26, txnTopicDeleted, false},
	{"txn-configs-version-1", 26, txnVersion1, false},
}

func (x *txn) describe(step string) { x.ask(step, "", describeTxns(x.id)) }

// started has a producer that has been given its id.
func (s *session) started(name string) *txn {
	x := s.txn(name)
	x.ask("init", "A", x.begin("A"))
	return x
}

func txnInit(s *session) {
	x := s.txn("i")
	i := func(step, letter string, edits ...func(*side, *kmsg.InitProducerIDRequest)) {
		x.ask(step, letter, x.begin(letter, edits...))
		x.describe(step + ", described")
	}
	i("timeout 0", "Z", timeout(0))
	i("timeout -1", "Z", timeout(-1))
	i("timeout too long", "Z", timeout(900_001))
	i("id and no epoch", "Z", func(_ *side, r *kmsg.InitProducerIDRequest) { r.ProducerID = 1<<40 + 5 })
	i("epoch and no id", "Z", func(_ *side, r *kmsg.InitProducerIDRequest) { r.ProducerEpoch = 5 })
	i("first, of a producer that knows another id", "Z", func(_ *side, r *kmsg.InitProducerIDRequest) { r.ProducerID, r.ProducerEpoch = 1<<40+5, 3 })
	y := s.txn("j")
	y.ask("first", "A", y.begin("A"))
	y.describe("first, described")
	x = y
	i("longest timeout", "A", timeout(900_000))
	i("again", "A")
	i("by another", "B")
	i("with what it knows, of the one that was replaced", "A", x.known("A", 0))
	i("with what it knows", "B", x.known("B", 0))
	i("with what it knew before", "B", x.known("B", -1))
	i("with what it knew long before", "B", x.known("B", -2))
	i("with an epoch to come", "B", x.known("B", 1))
	i("with an id of no producer", "B", func(sd *side, r *kmsg.InitProducerIDRequest) {
		r.ProducerID, r.ProducerEpoch = 1<<40+5, x.of(sd, "B").epoch
	})
	i("empty id", "", func(_ *side, r *kmsg.InitProducerIDRequest) { r.TransactionalID = kmsg.StringPtr("") })
	long := strings.Repeat("x", 300)
	i("long id", "L", func(_ *side, r *kmsg.InitProducerIDRequest) { r.TransactionalID = kmsg.StringPtr(x.id + long) })
}

func txnInitOpen(s *session) {
	t := s.make("io", 2)
	at := []spot{{t, 0}}
	x := s.started("o")
	i := func(step, letter string, edits ...func(*side, *kmsg.InitProducerIDRequest)) {
		x.ask(step, letter, x.begin(letter, edits...))
		x.settle()
		x.describe(step + ", described")
	}
	open := func(letter string) {
		x.ask("add", letter, x.add(letter, at))
		x.ask("verify", letter, x.verify(letter, at))
	}
	open("A")
	x.describe("open, described")
	i("open: by itself", "A")
	i("then again", "A")
	open("A")
	i("open: with what it knows", "A", x.known("A", 0))
	i("then with what it knows", "A", x.known("A", 0))
	open("A")
	i("open: by another", "B")
	i("then by another again", "B")
	x.ask("add of the one that was replaced", "A", x.add("A", at))
	x.ask("end of the one that was replaced", "A", x.end("A", true))
	i("with what it knows, of the one that was replaced", "A", x.known("A", 0))
	open("B")
	i("open: with an epoch to come", "B", x.known("B", 1))
	i("open: timeout too long", "B", timeout(900_001))
	x.ask("end", "B", x.end("B", true))
	x.settle()
	i("decided: with what it knows", "B", x.known("B", 0))
	s.seen("after all", spot{t, 0})
}

func txnAddPartitions(s *session) {
	t, u := s.make("ap", 3), s.make("aq", 1)
	x := s.txn("a")
	one, two := []spot{{t, 0}}, []spot{{t, 0}, {t, 1}}
	x.ask("before it is initialised", "A", x.add("A", one))
	x.ask("init", "A", x.begin("A"))
	a := func(step string, spots []spot, lies ...lie) {
		x.ask(step, "A", x.add("A", spots, lies...))
	}
	v := func(step string, spots []spot, lies ...lie) {
		x.ask(step, "A", x.verify("A", spots, lies...))
	}
	v("verify: nothing is open", one)
	a("older epoch", one, later(-1))
	a("epoch to come", one, later(1))
	a("another producer", one, unknownProducer)
	a("another transactional id", one, as(s.prefix+"another"))
	a("empty transactional id", one, as(""))
	a("no partition", nil)
	a("one", one)
	x.describe("one, described")
	a("again", one)
	a("two", two)
	a("partition twice", []spot{{t, 2}, {t, 2}})
	a("of two topics", []spot{{t, 0}, {u, 0}})
	a("unknown partition", []spot{{t, 9}})
	a("negative partition", []spot{{t, -1}})
	a("unknown topic", []spot{{t + "-nope", 0}})
	a("known and unknown", []spot{{t, 0}, {t + "-nope", 0}})
	a("internal topic", []spot{{"__transaction_state", 0}})
	x.describe("all, described")
	v("verify: there", two)
	v("verify: not there", []spot{{u, 7}})
	v("verify: one there, one not", []spot{{t, 0}, {u, 7}})
	v("verify: older epoch", one, later(-1))
	v("verify: epoch to come", one, later(1))
	v("verify: another producer", one, unknownProducer)
	v("verify: another transactional id", one, as(s.prefix+"another"))
	x.ask("end", "A", x.end("A", false))
	x.settle()
	v("verify: ended", one)
	a("after the end", one)
	x.ask("end again", "A", x.end("A", true))
	x.settle()
	x.describe("after all")
}

func txnAddOffsets(s *session) {
	g := s.group("g")
	x := s.txn("ao")
	x.ask("before it is initialised", "A", x.addOffsets("A", g.name))
	x.ask("init", "A", x.begin("A"))
	a := func(step, group string, lies ...lie) { x.ask(step, "A", x.addOffsets("A", group, lies...)) }
	a("older epoch", g.name, later(-1))
	a("epoch to come", g.name, later(1))
	a("another producer", g.name, unknownProducer)
	a("another transactional id", g.name, as(s.prefix+"another"))
	a("empty transactional id", g.name, as(""))
	a("empty group", "")
	x.describe("empty group, described")
	a("first", g.name)
	a("again", g.name)
	a("another group", s.prefix+"h")
	x.describe("described")
	x.ask("end", "A", x.end("A", true))
	x.settle()
	x.describe("ended")
	a("after the end", g.name)
	x.ask("end again", "A", x.end("A", false))
	x.settle()
}

func txnEnd(s *session) {
	t := s.make("e", 1)
	at := []spot{{t, 0}}
	x := s.txn("e")
	x.ask("before it is initialised", "A", x.end("A", true))
	x.ask("init", "A", x.begin("A"))
	e := func(step string, commit bool, lies ...lie) {
		x.ask(step, "A", x.end("A", commit, lies...))
		x.settle()
		x.describe(step + ", described")
	}
	open := func() { x.ask("add", "A", x.add("A", at)) }
	e("commit, nothing begun", true)
	e("abort, nothing begun", false)
	open()
	e("older epoch", true, later(-1))
	e("epoch to come", true, later(1))
	e("another producer", true, unknownProducer)
	e("another transactional id", true, as(s.prefix+"another"))
	e("empty transactional id", true, as(""))
	e("commit", true)
	e("commit, once more", true)
	e("commit, of the epoch before", true, later(-1))
	e("abort of what is committed", false)
	e("abort of what is committed, of the epoch before", false, later(-1))
	open()
	e("abort", false)
	e("abort, once more", false)
	e("abort, of the epoch before", false, later(-1))
	e("commit of what is aborted", true)
	e("commit of what is aborted, of the epoch before", true, later(-1))
	open()
	e("commit of another one", true)
	s.seen("after all", spot{t, 0})
}

func txnOffsets(s *session) {
	t := s.make("to", 2)
	g := s.group("g")
	x := s.started("to")
	see := func(step string) {
		g.ask(step, "", g.offsets([]asked{{t, []int32{0, 1}}}))
		g.ask(step+", stable", "", func(sd *side) kmsg.Request {
			r := g.offsets([]asked{{t, []int32{0, 1}}})(sd).(*kmsg.OffsetFetchRequest)
			r.RequireStable = true
			return r
		})
	}
	c := func(step string, what []committed, lies ...lie) {
		g.ask(step, "", x.commit("A", g, "", what, lies...))
	}
	one := []committed{{t, 0, 5, "m"}}
	if s.v(28) < 5 { // from then on the group's coordinator adds it itself (KIP-890)
		c("before it is added", one)
		see("nothing yet")
		x.ask("add offsets", "A", x.addOffsets("A", g.name))
	}
	c("first", one)
	see("pending")
	x.describe("open")
	c("older epoch", one, later(-1))
	c("epoch to come", one, later(1))
	c("another producer", one, unknownProducer)
	c("another transactional id", one, as(s.prefix+"another"))
	c("empty transactional id", one, as(""))
	c("again, and another", []committed{{t, 0, 6, ""}, {t, 1, 7, "n"}})
	c("a partition twice", []committed{{t, 0, 8, ""}, {t, 0, 9, ""}})
	c("unknown partition", []committed{{t, 9, 1, ""}})
	c("unknown topic", []committed{{t + "-nope", 0, 1, ""}})
	c("long metadata", []committed{{t, 0, 10, strings.Repeat("m", 5000)}})
	c("negative offset", []committed{{t, 1, -1, ""}})
	c("nothing", nil)
	g.ask("commit beside it", "", g.commit("", []committed{{t, 1, 70, ""}}))
	see("still pending")
	g.ask("delete offsets while pending", "", g.deleteOffsets(asked{t, []int32{0}}))
	x.ask("end", "A", x.end("A", true))
	x.settle()
	see("committed")
	if s.v(28) < 5 {
		x.ask("add offsets", "A", x.addOffsets("A", g.name))
	}
	c("another", []committed{{t, 0, 20, ""}})
	x.ask("end", "A", x.end("A", false))
	x.settle()
	see("aborted")
	g.ask("delete the group", "", deleteGroups(g.name))
}

func txnOffsetsOfMembers(s *session) {
	t := s.make("tm", 2)
	g := s.group("g")
	x := s.started("tm")
	one := []committed{{t, 0, 5, "m"}}
	if s.v(28) < 5 {
		x.ask("add offsets", "A", x.addOffsets("A", g.name))
	}
	c := func(step, member string, edits ...func(*kmsg.TxnOffsetCommitRequest)) {
		g.ask(step, "", func(sd *side) kmsg.Request {
			r := x.commit("A", g, member, one)(sd).(*kmsg.TxnOffsetCommitRequest)
			for _, edit := range edits {
				edit(r)
			}
			return r
		})
	}
	c("a member of no group", "=stranger")
	c("a generation of no group", "", func(r *kmsg.TxnOffsetCommitRequest) { r.Generation = 3 })
	c("none", "")
	g.joined("A joins", "A", ranged(t))
	g.ask("A is assigned", "A", g.sync("A", map[string]string{"A": "a"}))
	c("the member", "A")
	c("none, of a group that has members", "")
	c("a stranger", "=stranger")
	c("older generation", "A", func(r *kmsg.TxnOffsetCommitRequest) { r.Generation-- })
	c("generation to come", "A", func(r *kmsg.TxnOffsetCommitRequest) { r.Generation++ })
	c("generation -1 of a member", "A", func(r *kmsg.TxnOffsetCommitRequest) { r.Generation = -1 })
	c("no member, but its generation", "A", func(r *kmsg.TxnOffsetCommitRequest) { r.MemberID = "" })
	c("an instance that is not there", "A", func(r *kmsg.TxnOffsetCommitRequest) { r.InstanceID = kmsg.StringPtr("i") })
	x.ask("end", "A", x.end("A", true))
	x.settle()
	g.ask("committed", "", g.offsets([]asked{{t, []int32{0, 1}}}))
	m := s.group("m")
	m.beatAs("B joins a group of KIP-848", "B", m.first("B", t))
	if s.v(28) < 5 {
		x.ask("add offsets", "A", x.addOffsets("A", m.name))
	}
	k := func(step, member string, edits ...func(*kmsg.TxnOffsetCommitRequest)) {
		m.ask(step, "", func(sd *side) kmsg.Request {
			r := x.commit("A", m, member, one)(sd).(*kmsg.TxnOffsetCommitRequest)
			for _, edit := range edits {
				edit(r)
			}
			return r
		})
	}
	k("KIP-848: the member", "B")
	k("KIP-848: none", "")
	k("KIP-848: a stranger", "=stranger")
	k("KIP-848: epoch to come", "B", func(r *kmsg.TxnOffsetCommitRequest) { r.Generation++ })
	k("KIP-848: epoch before", "B", func(r *kmsg.TxnOffsetCommitRequest) { r.Generation-- })
	x.ask("end of the second", "A", x.end("A", true))
	x.settle()
	m.ask("KIP-848: committed", "", m.offsets([]asked{{t, []int32{0, 1}}}))
}

func txnProduce(s *session) {
	t := s.make("tp", 3)
	x := s.txn("p")
	first, second := spot{t, 0}, spot{t, 1}
	p := func(step string, at spot, b rb, lies ...lie) {
		s.do(step, int(at.part)%3+1, x.produce("A", at, b, lies...))
	}
	p("of no producer", first, rb{n: 1})
	x.ask("init", "A", x.begin("A"))
	byLeader := s.v(0) >= 12 // the leader adds the partition itself (KIP-890)
	if !byLeader {
		p("before it is added", first, rb{n: 1})
		x.ask("add", "A", x.add("A", []spot{first, second}))
	}
	p("first", first, rb{n: 2})
	p("again", first, rb{n: 2})
	p("next", first, rb{n: 1, seq: 2})
	p("gap", first, rb{n: 1, seq: 9})
	p("older epoch", first, rb{n: 1, seq: 3}, later(-1))
	p("epoch to come", first, rb{n: 1, seq: 0}, later(1))
	p("another producer", first, rb{n: 1, seq: 0}, unknownProducer)
	p("another transactional id", first, rb{n: 1, seq: 3}, as(s.prefix+"another"))
	p("empty transactional id", first, rb{n: 1, seq: 3}, as(""))
	s.do("no transactional id", 1, func(sd *side) kmsg.Request {
		r := x.produce("A", first, rb{n: 1, seq: 3})(sd).(*kmsg.ProduceRequest)
		r.TransactionID = nil
		return r
	})
	s.do("not transactional, within it", 1, func(sd *side) kmsg.Request {
		q := x.of(sd, "A")
		r := s.produce(t, 0, -1, build(rb{n: 1, pid: q.id, epoch: q.epoch, seq: 3}))(sd).(*kmsg.ProduceRequest)
		return r
	})
	p("control batch", first, rb{n: 1, seq: 3, control: true})
	p("acks 1", first, rb{n: 1, seq: 3})
	s.do("acks 1", 1, func(sd *side) kmsg.Request {
		r := x.produce("A", first, rb{n: 1, seq: 4})(sd).(*kmsg.ProduceRequest)
		r.Acks = 1
		return r
	})
	p("another partition", second, rb{n: 3})
	p("another partition, at a follower", spot{t, 2}, rb{n: 1})
	s.do("not the leader", 3, x.produce("A", second, rb{n: 1, seq: 3}))
	x.describe("open")
	s.seen("open, first", first)
	x.ask("commit", "A", x.end("A", true))
	x.settle()
	s.reach(t, 0, 1, 6)
	s.seen("committed, first", first)
	s.seen("committed, second", second)
	p("after the end, old epoch", first, rb{n: 1, seq: 5}, later(-1))
	if !byLeader {
		p("after the end, not added", first, rb{n: 1, seq: 5})
		x.ask("add", "A", x.add("A", []spot{first}))
	}
	p("after the end, from 0", first, rb{n: 1, seq: 0})
	p("after the end, going on", first, rb{n: 1, seq: 5})
	x.describe("open again")
	x.ask("abort", "A", x.end("A", false))
	x.settle()
	s.seen("aborted, first", first)
}

func txnRead(s *session) {
	t := s.make("tr", 1)
	at := spot{t, 0}
	x, y := s.started("x"), s.started("y")
	put := func(step string, x *txn, b rb) {
		x.ask(step+": add", "A", x.add("A", []spot{at}))
		s.do(step, 1, x.produce("A", at, b))
	}
	f := func(step string, o fetchOpt, offset int64) {
		s.do(step, 1, s.fetch(o, fetchPart{topic: t, part: 0, offset: offset, epoch: -1}))
	}
	seq := int32(0) // with EndTxn below version 5 the epoch stays, and the sequence goes on
	done := func(x *txn, commit bool) {
		x.ask("end", "A", x.end("A", commit))
		x.settle()
	}
	s.do("plain", 1, s.produce(t, 0, -1, build(plain(2))))
	put("x writes", x, rb{n: 2})
	put("y writes", y, rb{n: 1})
	s.do("plain between", 1, s.produce(t, 0, -1, build(plain(1))))
	s.seen("two open", at)
	done(y, true)
	s.seen("y committed, x open", at)
	done(x, false)
	s.seen("x aborted", at)
	if s.v(26) < 5 {
		seq = 2
	}
	put("x writes again", x, rb{n: 1, seq: seq})
	done(x, true)
	s.seen("x committed", at)
	for _, offset := range []int64{0, 2, 3, 4, 5, 6, 7, 8, 9} {
		f("from each offset", fetchOpt{iso: 1}, offset)
	}
	f("a small answer", fetchOpt{iso: 1, maxB: 100}, 0)
	s.do("by time, committed", 1, s.list(t, 0, base, 1, -1))
	s.do("largest time, committed", 1, s.list(t, 0, -3, 1, -1))
	s.do("earliest, committed", 1, s.list(t, 0, -2, 1, -1))
	put("x leaves one open", x, rb{n: 1, seq: seq + 1 - min(seq, 0)})
	s.do("by time, committed, one open", 1, s.list(t, 0, base, 1, -1))
	s.do("largest time, committed, one open", 1, s.list(t, 0, -3, 1, -1))
	s.do("delete records above the last stable offset", 1, s.deleteRecords(offsetAt{t, 0, -1}))
	s.seen("after deletion", at)
	done(x, true)
	s.seen("after all", at)
}

func txnMarkers(s *session) {
	t := s.make("tk", 3)
	at := spot{t, 0}
	x := s.started("k")
	x.ask("init again", "A", x.begin("A")) // that there is an older epoch
	m := func(step string, broker int, at spot, commit bool, coordinator int32, version int8, lies ...lie) {
		s.do(step, broker, x.marker("A", at, commit, coordinator, version, lies...))
	}
	m("of no producer", 1, at, true, 0, 0, unknownProducer)
	m("without records", 1, at, false, 0, 0)
	s.seen("after two markers", at)
	x.ask("add", "A", x.add("A", []spot{at}))
	s.do("write", 1, x.produce("A", at, rb{n: 1}))
	m("older epoch", 1, at, true, 0, 0, later(-1))
	m("at a follower", 2, at, true, 0, 0)
	m("unknown partition", 1, spot{t, 9}, true, 0, 0)
	m("unknown topic", 1, spot{t + "-nope", 0}, true, 0, 0)
	s.seen("still open", at)
	m("abort", 1, at, false, 5, 0)
	s.seen("aborted", at)
	m("older coordinator", 1, at, false, 4, 0)
	m("again", 1, at, false, 5, 0)
	s.do("no marker", 1, func(*side) kmsg.Request { return auto(kmsg.NewPtrWriteTxnMarkersRequest()) })
	s.do("two markers", 1, func(sd *side) kmsg.Request {
		r := x.marker("A", at, true, 6, 0)(sd).(*kmsg.WriteTxnMarkersRequest)
		other := x.marker("A", spot{t, 9}, true, 6, 0, unknownProducer)(sd).(*kmsg.WriteTxnMarkersRequest)
		r.Markers = append(r.Markers, other.Markers...)
		return r
	})
	if s.v(27) >= 2 {
		y := s.started("l")
		y.ask("add", "A", y.add("A", []spot{{t, 1}}))
		s.do("write of another", 2, y.produce("A", spot{t, 1}, rb{n: 1}))
		s.do("version 2, same epoch", 2, y.marker("A", spot{t, 1}, true, 0, 2))
		s.do("version 2, next epoch", 2, y.marker("A", spot{t, 1}, true, 0, 2, later(1)))
		s.do("version 2, next epoch again", 2, y.marker("A", spot{t, 1}, true, 0, 2, later(1)))
		s.seen("version 2", spot{t, 1})
		s.do("version 9", 2, y.marker("A", spot{t, 1}, true, 0, 9, later(1)))
	}
}

func txnDescribe(s *session) {
	t := s.make("td", 2)
	x := s.started("d")
	x.describe("empty")
	x.ask("unknown", "", describeTxns(s.prefix+"another"))
	x.ask("none", "", describeTxns([]string{}...))
	x.ask("twice", "", describeTxns(x.id, x.id))
	x.ask("empty id", "", describeTxns(""))
	x.ask("known and unknown", "", describeTxns(x.id, s.prefix+"another"))
	x.ask("add", "A", x.add("A", []spot{{t, 0}, {t, 1}}))
	x.describe("open")
	x.ask("commit", "A", x.end("A", true))
	x.settle()
	x.describe("committed")
	x.ask("add again", "A", x.add("A", []spot{{t, 1}}))
	x.ask("abort", "A", x.end("A", false))
	x.settle()
	x.describe("aborted")
}

func txnList(s *session) {
	t := s.make("tl", 2)
	x, y, z := s.started("lx"), s.started("ly"), s.started("lz")
	x.ask("add", "A", x.add("A", []spot{{t, 0}}))
	y.ask("add", "A", y.add("A", []spot{{t, 0}}))
	y.ask("commit", "A", y.end("A", true))
	y.settle()
	l := func(step string, edits ...func(*kmsg.ListTransactionsRequest)) { x.ask(step, "", listTxns(edits...)) }
	states := func(names ...string) func(*kmsg.ListTransactionsRequest) {
		return func(r *kmsg.ListTransactionsRequest) { r.StateFilters = names }
	}
	l("all")
	l("ongoing", states("Ongoing"))
	l("ended or empty", states("CompleteCommit", "Empty"))
	l("unknown state", states("Nope"))
	l("known and unknown state", states("Ongoing", "Nope"))
	l("lower case", states("ongoing"))
	l("of a producer", func(r *kmsg.ListTransactionsRequest) { r.ProducerIDFilters = []int64{1<<40 + 3} })
	l("longer than an hour", func(r *kmsg.ListTransactionsRequest) { r.DurationFilterMillis = 3600_000 })
	l("longer than nothing", func(r *kmsg.ListTransactionsRequest) { r.DurationFilterMillis = 0 })
	pattern := func(p string) func(*kmsg.ListTransactionsRequest) {
		return func(r *kmsg.ListTransactionsRequest) { r.TransactionalIDPattern = kmsg.StringPtr(p) }
	}
	l("pattern", pattern(s.prefix+"l[xz]"))
	l("pattern of a part", pattern("l[xz]"))
	l("empty pattern", pattern(""))
	l("bad pattern", pattern("("))
	x.ask("abort", "A", x.end("A", false))
	x.settle()
	z.describe("the third")
}

func txnTopicDeleted(s *session) {
	t, u := s.make("tx", 1), s.make("ty", 1)
	x := s.started("del")
	x.ask("add", "A", x.add("A", []spot{{t, 0}, {u, 0}}))
	s.do("write", 1, x.produce("A", spot{t, 0}, rb{n: 1}))
	s.do("write to the other", 1, x.produce("A", spot{u, 0}, rb{n: 1}))
	s.vanish(t)
	x.describe("topic deleted")
	x.ask("commit", "A", x.end("A", true))
	x.settle()
	x.describe("committed")
	s.seen("the other", spot{u, 0})
}

// txnVersion1 plays a transaction as brokers without KIP-890 have it.
func txnVersion1(s *session) {
	feature := func(step string, level int16) {
		s.do(step, 1, func(*side) kmsg.Request {
			r := auto(kmsg.NewPtrUpdateFeaturesRequest())
			r.TimeoutMillis = 10000
			f := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
			f.Feature, f.MaxVersionLevel, f.AllowDowngrade, f.UpgradeType = "transaction.version", level, true, 2
			if level == 2 {
				f.UpgradeType, f.AllowDowngrade = 1, false
			}
			r.FeatureUpdates = append(r.FeatureUpdates, f)
			return r
		})
		s.both(func(sd *side) {
			eventually(sd.net, func() bool {
				for b := 1; b <= len(sd.addrs); b++ {
					req := kmsg.NewPtrApiVersionsRequest()
					req.SetVersion(3)
					req.ClientSoftwareName, req.ClientSoftwareVersion = "diff", "1"
					resp, ok := quiet[*kmsg.ApiVersionsResponse](sd, b, req)
					found := false
					for _, f := range resp.FinalizedFeatures {
						found = found || f.Name == "transaction.version" && f.MaxVersionLevel == level
					}
					if !ok || !found {
						return false
					}
				}
				return true
			})
		})
	}
	t := s.make("t1", 2)
	at := spot{t, 0}
	feature("down to 1", 1)
	x := s.started("v1")
	x.ask("end, nothing begun", "A", x.end("A", true))
	s.do("write, not added", 1, x.produce("A", at, rb{n: 1}))
	x.ask("add", "A", x.add("A", []spot{at}))
	s.do("write", 1, x.produce("A", at, rb{n: 1}))
	x.ask("commit", "A", x.end("A", true))
	x.settle()
	x.describe("committed")
	x.ask("commit again", "A", x.end("A", true))
	x.ask("abort of what is committed", "A", x.end("A", false))
	x.settle()
	s.seen("committed", at)
	x.ask("add", "A", x.add("A", []spot{at}))
	s.do("write, going on", 1, x.produce("A", at, rb{n: 1, seq: 1}))
	feature("up to 2", 2)
	x.ask("abort", "A", x.end("A", false))
	x.settle()
	x.describe("aborted")
	s.seen("aborted", at)
	x.ask("add after", "A", x.add("A", []spot{at}))
	s.do("write after", 1, x.produce("A", at, rb{n: 1, seq: 2}))
	x.ask("commit after", "A", x.end("A", true))
	x.settle()
	x.describe("after all")
	s.seen("after all", at)
}
