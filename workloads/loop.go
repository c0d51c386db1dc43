package workloads

import (
	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// Loop consumes, transforms and produces, so that each record counts exactly once: what
// one poll returns, what is made of it, and the offsets behind it are one transaction.
//
// Its rules, each of which others have got wrong:
//   - The group's metadata are those of the poll, and go with the offsets: a member that
//     was replaced is refused (KIP-447).
//   - No poll comes between the first send and the end of the transaction, so partitions
//     are only taken away, and the listener only called, when none is open.
//   - After every transaction that is not known to be committed, each partition that is
//     owned goes back to what the group has committed, and where there is nothing to the
//     beginning: not only those that were in the transaction (KAFKA-9079). It asks for
//     stable offsets, so a transaction in doubt is decided first.
//   - A producer that must be closed is replaced by another with the same transactional.id,
//     which has the transaction before decided.
type Loop struct {
	h          env.Host
	member     *Member
	transactor *Transactor
	transform  func(*client.ConsumerRecord) []Outgoing
	// Draw, if set, sets how a transaction is held open or aborted.
	Draw func(*Transaction)

	rewind bool // positions may be ahead of what is committed
	// reached is the end of what was processed, by partition, as far as this loop knows.
	reached map[kafka.TopicPartition]kafka.Offset
}

// NewLoop makes a loop; transform makes of one record what is sent.
func NewLoop(h env.Host, m *Member, t *Transactor, transform func(*client.ConsumerRecord) []Outgoing) *Loop {
	return &Loop{h: h, member: m, transactor: t, transform: transform, reached: map[kafka.TopicPartition]kafka.Offset{}}
}

// Turn processes what one poll returns, if anything. It reports whether it committed.
func (l *Loop) Turn() bool {
	if l.rewind && !l.member.GoBack() {
		return false
	}
	l.rewind = false
	records := l.member.PollForTransaction()
	if len(records) == 0 {
		return false
	}
	x := &Transaction{Polled: records, Offsets: ends(records), Member: l.member}
	for i := range records {
		x.Sends = append(x.Sends, l.transform(&records[i])...)
	}
	if l.Draw != nil {
		l.Draw(x)
	}
	switch l.transactor.Run(x) {
	case history.OK:
		for tp, at := range x.Offsets { //det:allow each has its own
			l.reached[tp] = max(l.reached[tp], at.Offset)
		}
		return true
	case history.Unknown:
		l.member.goOnAsAnother()
	}
	l.rewind = true
	return false
}
