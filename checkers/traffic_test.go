package checkers

import (
	"io"
	"strconv"
)

// traffic writes a legal history of JSON lines while it is read: a busy cluster
// whose clients send, poll and commit transactions, whose outcomes are at times
// unknown, and whose records carry texts. Every record is read twice.
type traffic struct {
	rounds, round int64
	line          []byte
	left          []byte // of line, not yet read
	index         int64
	next          [partitions]int64  // offset by partition
	polled        [partitions][]byte // what this round appended, as a poll has it
}

const (
	partitions = 8
	senders    = 14
	txns       = 2 // of two records each
	pollers    = 4 // each reads every other partition
	perRound   = senders + txns + pollers
)

// newTraffic is a history of this many operations: some multiple of a round's.
func newTraffic(ops int) io.Reader { return &traffic{rounds: int64(ops) / perRound} }

// Read gives what there is, a round of operations at a time.
func (s *traffic) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		if s.round == s.rounds {
			return 0, io.EOF
		}
		s.line = s.line[:0]
		s.play()
		s.left = s.line
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

// play is one round: all begin, then all learn how it ended.
func (s *traffic) play() {
	for c := range senders + txns {
		s.sender(c, true)
	}
	for c := range senders + txns {
		s.sender(c*5%(senders+txns), false)
	}
	for c := range pollers {
		s.poller(c)
	}
	for k := range s.polled {
		s.polled[k] = s.polled[k][:0]
	}
	s.round++
}

func (s *traffic) text(t string)  { s.line = append(s.line, t...) }
func (s *traffic) number(n int64) { s.line = strconv.AppendInt(s.line, n, 10) }

func (s *traffic) head(typ string, process int, f string) {
	s.text(`{"index":`)
	s.number(s.index)
	s.text(`,"type":"`)
	s.text(typ)
	s.text(`","process":`)
	s.number(int64(process))
	s.text(`,"f":"`)
	s.text(f)
	s.text(`","value":[`)
	s.index++
}

func (s *traffic) tail() {
	s.text(`],"time":`)
	s.number(s.index * 1000)
	s.text("}\n")
}

// sender begins or ends what a producer sends: two records of a transaction, or
// one. One in a hundred never learns its outcome.
func (s *traffic) sender(c int, begin bool) {
	f, records, typ := "send", 1, "ok"
	if c >= senders {
		f, records = "txn", 2
	}
	switch {
	case begin:
		typ = "invoke"
	case (s.round*perRound+int64(c))%100 == 0:
		typ = "info"
	}
	s.head(typ, c, f)
	for i := range records {
		if i > 0 {
			s.text(",")
		}
		s.send(c, i, begin, typ == "ok")
	}
	s.tail()
}

func (s *traffic) send(c, i int, begin, told bool) {
	k := (int(s.round%partitions) + 3*c + 5*i) % partitions
	s.text(`["send","orders/`)
	s.number(int64(k))
	s.text(`",`)
	from := len(s.line)
	if !begin {
		s.text("[")
		s.number(s.next[k])
		s.text(",")
		s.value(c, i)
		s.text("]")
		s.append(k, s.line[from:])
	}
	if !told {
		s.line = s.line[:from]
		s.value(c, i)
	}
	s.text("]")
}

// append puts a record into a log, and into what pollers of it are given.
func (s *traffic) append(k int, record []byte) {
	s.next[k]++
	if len(s.polled[k]) > 0 {
		s.polled[k] = append(s.polled[k], ',')
	}
	s.polled[k] = append(s.polled[k], record...)
}

func (s *traffic) value(c, i int) {
	s.text(`"p`)
	s.number(int64(c))
	s.text("-")
	s.number(2*s.round + int64(i))
	s.text(`"`)
}

func (s *traffic) poller(c int) {
	s.head("invoke", senders+txns+c, "poll")
	s.text(`["poll"]`)
	s.tail()
	s.head("ok", senders+txns+c, "poll")
	s.text(`["poll",{`)
	some := false
	for k := c % 2; k < partitions; k += 2 {
		if len(s.polled[k]) == 0 {
			continue
		}
		if some {
			s.text(",")
		}
		some = true
		s.text(`"orders/`)
		s.number(int64(k))
		s.text(`":[`)
		s.line = append(s.line, s.polled[k]...)
		s.text("]")
	}
	s.text("}]")
	s.tail()
}
