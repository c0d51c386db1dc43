package log

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
)

// window is how many batches of a producer are remembered, to know them again:
// no more than max.in.flight.requests.per.connection of an idempotent producer.
const window = 5

// batchMeta is what is remembered of a batch.
type batchMeta struct {
	lastSequence kafka.Sequence
	lastOffset   kafka.Offset
	offsetDelta  int32
	timestamp    int64
	recalled     bool // from the log, as the snapshot did not hold it
}

func (m *batchMeta) firstSequence() kafka.Sequence { return m.lastSequence.Add(-m.offsetDelta) }
func (m *batchMeta) firstOffset() kafka.Offset {
	return m.lastOffset - kafka.Offset(m.offsetDelta)
}

// producer is what the log knows of an idempotent producer (KIP-98).
type producer struct {
	id               kafka.ProducerID
	epoch            kafka.ProducerEpoch
	coordinatorEpoch int32
	timestamp        int64
	// txnStart is the first offset of the open transaction, or NoOffset.
	txnStart kafka.Offset
	// batches are the last of this epoch, oldest first; count of them are used.
	batches [window]batchMeta
	count   int8
}

func newProducer(id kafka.ProducerID) producer {
	return producer{id: id, epoch: kafka.NoEpoch, coordinatorEpoch: kafka.NoEpoch,
		timestamp: record.NoTimestamp, txnStart: kafka.NoOffset}
}

// last is the batch that came last, or nil.
func (p *producer) last() *batchMeta {
	if p.count == 0 {
		return nil
	}
	return &p.batches[p.count-1]
}

func (p *producer) lastSequence() kafka.Sequence {
	if m := p.last(); m != nil {
		return m.lastSequence
	}
	return record.NoSequence
}

func (p *producer) setEpoch(e kafka.ProducerEpoch) {
	if p.epoch != e {
		p.epoch, p.count = e, 0
	}
}

func (p *producer) remember(m batchMeta) {
	if p.count == window {
		copy(p.batches[:], p.batches[1:])
		p.count--
	}
	p.batches[p.count] = m
	p.count++
}

// duplicate finds the batch that b repeats.
func (p *producer) duplicate(b record.Batch) (batchMeta, bool) {
	if p.epoch == b.ProducerEpoch() {
		for i := range p.batches[:p.count] {
			m := &p.batches[i]
			if m.firstSequence() == b.BaseSequence() && m.lastSequence == b.LastSequence() {
				return *m, true
			}
		}
	}
	return batchMeta{}, false
}

// check says whether b may be appended after what p has. Only clients'
// batches have sequences to check: those of the coordinators have none.
func (p *producer) check(b record.Batch, how Append, v *verification, bugs *planted.Set) error {
	if b.ProducerEpoch() < p.epoch {
		return fmt.Errorf("%w: producer %d has epoch %d, expected at least %d",
			kerr.InvalidProducerEpoch, p.id, b.ProducerEpoch(), p.epoch)
	}
	if _, coordinatorEpoch, ok := b.EndTxnMarker(); ok {
		if p.isLateMarker(b, how.TxnVersion, bugs) {
			return fmt.Errorf("%w: marker of producer %d has epoch %d, in which a transaction is open since offset %d",
				kerr.InvalidProducerEpoch, p.id, b.ProducerEpoch(), p.txnStart)
		}
		if coordinatorEpoch < p.coordinatorEpoch {
			return fmt.Errorf("%w: marker of producer %d has coordinator epoch %d, expected at least %d",
				kerr.TransactionCoordinatorFenced, p.id, coordinatorEpoch, p.coordinatorEpoch)
		}
		return nil
	}
	if how.Origin == Client {
		if err := p.checkSequence(b, v); err != nil {
			return err
		}
	}
	if p.txnStart != kafka.NoOffset && !b.IsTransactional() {
		return fmt.Errorf("%w: batch of producer %d is not transactional, but its transaction is open since offset %d",
			kerr.InvalidTxnState, p.id, p.txnStart)
	}
	return nil
}

// isLateMarker: with transaction.version 2 each transaction has an epoch of its own,
// and its marker the next one. So a marker of the epoch of an open transaction is
// that of the one before, come late; it would end the wrong one (KIP-1228,
// KAFKA-19446). When none is open it was written before, and is again (KAFKA-19999);
// the last epoch of all ends more than one.
func (p *producer) isLateMarker(b record.Batch, version int8, bugs *planted.Set) bool {
	if version < 2 || b.ProducerEpoch() != p.epoch || b.ProducerEpoch() == math.MaxInt16 {
		return false
	}
	late := p.txnStart != kafka.NoOffset
	switch {
	case bugs.On(planted.TxnMarkerEpochGE):
		bugs.Infected(planted.TxnMarkerEpochGE, late)
		return false
	case bugs.On(planted.TxnMarkerStrictNoRetry):
		bugs.Infected(planted.TxnMarkerStrictNoRetry, !late)
		return true
	}
	return late
}

// checkSequence: a new epoch begins at sequence 0, and the next batch where the
// last one ended. Of a producer that is not known any sequence will do: its
// state may have expired. But while its transaction is being verified it may not
// begin behind a batch that was refused, nor, if it gives each transaction an epoch
// of its own, anywhere but at 0.
func (p *producer) checkSequence(b record.Batch, v *verification) error {
	switch {
	case v == nil:
	case v.bumpsEpoch && b.BaseSequence() != 0 && p.count == 0:
		return fmt.Errorf("%w: producer %d epoch %d has sequence %d, expected 0 as nothing is known of it",
			kerr.OutOfOrderSequenceNumber, p.id, b.ProducerEpoch(), b.BaseSequence())
	case b.BaseSequence() > v.lowest:
		return fmt.Errorf("%w: producer %d epoch %d has sequence %d, expected at most %d, which came before",
			kerr.OutOfOrderSequenceNumber, p.id, b.ProducerEpoch(), b.BaseSequence(), v.lowest)
	}
	want := kafka.Sequence(0)
	switch {
	case p.epoch == kafka.NoEpoch:
		return nil
	case b.ProducerEpoch() == p.epoch && p.count > 0:
		want = p.lastSequence().Add(1)
	}
	if b.BaseSequence() != want {
		return fmt.Errorf("%w: producer %d epoch %d has sequence %d, expected %d",
			kerr.OutOfOrderSequenceNumber, p.id, b.ProducerEpoch(), b.BaseSequence(), want)
	}
	return nil
}

// apply takes account of a batch that is in the log. It is the only code
// where a producer's state changes. A marker that ended a transaction says so.
func (p *producer) apply(b record.Batch) (ended bool, aborted bool) {
	if !b.IsControl() {
		p.setEpoch(b.ProducerEpoch())
		p.remember(metaOf(b))
		p.timestamp = b.MaxTimestamp()
		if b.IsTransactional() && p.txnStart == kafka.NoOffset {
			p.txnStart = b.BaseOffset()
		}
		return false, false
	}
	if b.Count() == 0 {
		// Compaction emptied a marker, and kept it for the epoch. (When Kafka rebuilds
		// the state from the log it passes over such a batch, and forgets the epoch.)
		p.setEpoch(b.ProducerEpoch())
		p.timestamp = b.MaxTimestamp()
		return false, false
	}
	marker, coordinatorEpoch, ok := b.EndTxnMarker()
	if !ok {
		return false, false
	}
	p.setEpoch(b.ProducerEpoch())
	p.coordinatorEpoch, p.timestamp = coordinatorEpoch, b.MaxTimestamp()
	ended = p.txnStart != kafka.NoOffset
	p.txnStart = kafka.NoOffset
	return ended, ended && marker == record.Abort
}

// transaction is one that is open, or whose end may be above the high watermark.
type transaction struct {
	id    kafka.ProducerID
	first kafka.Offset
	last  kafka.Offset // its marker, or NoOffset: it is open
	// frozen: it is aborted, but the index of aborted transactions does not say
	// so yet. Until then its records must not be shown as committed.
	frozen bool
}

// producers is the state of all producers: what folding the log's batches below
// end gives. Nothing changes it but fold, and the loss of what expired.
type producers struct {
	byID map[kafka.ProducerID]*producer
	// txns are in the order of their first offsets.
	txns []transaction
	end  kafka.Offset
}

func newProducers(end kafka.Offset) producers {
	return producers{byID: map[kafka.ProducerID]*producer{}, end: end}
}

// fold takes account of a batch in the log. When it is a marker that aborted a
// transaction, it returns that: it belongs in the index, then unfreeze is due.
func (ps *producers) fold(b record.Batch) (aborted AbortedTxn, ok bool) {
	ps.end = b.NextOffset()
	if !b.HasProducer() {
		return AbortedTxn{}, false
	}
	p := ps.byID[b.ProducerID()]
	if p == nil {
		fresh := newProducer(b.ProducerID())
		p = &fresh
		ps.byID[p.id] = p
	}
	start := p.txnStart
	ended, abort := p.apply(b)
	switch {
	case ended:
		return ps.endTxn(p.id, start, b.BaseOffset(), abort), abort
	case p.txnStart != start:
		ps.txns = append(ps.txns, transaction{id: p.id, first: p.txnStart, last: kafka.NoOffset})
	}
	return AbortedTxn{}, false
}

func (ps *producers) endTxn(id kafka.ProducerID, first, last kafka.Offset, abort bool) AbortedTxn {
	stable := last + 1
	found := false
	for i := range ps.txns {
		t := &ps.txns[i]
		switch {
		case t.id == id && t.first == first:
			t.last, t.frozen = last, abort
			found = true
		case t.last == kafka.NoOffset && stable == last+1:
			stable = t.first
		}
	}
	if !found {
		panic(fmt.Sprintf("log: transaction of producer %d ends at offset %d, expected it open since %d", id, last, first))
	}
	return AbortedTxn{ProducerID: id, First: first, Last: last, LastStable: stable}
}

// unfreeze: the index has all aborted transactions.
func (ps *producers) unfreeze() {
	for i := range ps.txns {
		ps.txns[i].frozen = false
	}
}

// lastStable is the first offset of the oldest transaction that is open or
// ends at or after hw; hw if there is none.
func (ps *producers) lastStable(hw kafka.Offset) kafka.Offset {
	stable := hw
	for _, t := range ps.txns {
		if t.last == kafka.NoOffset || t.last >= hw || t.frozen {
			stable = min(stable, t.first)
		}
	}
	return stable
}

// forget drops the transactions that ended below hw.
func (ps *producers) forget(hw kafka.Offset) {
	ps.txns = slices.DeleteFunc(ps.txns, func(t transaction) bool {
		return t.last != kafka.NoOffset && t.last < hw && !t.frozen
	})
}

// expired: nothing was heard of the producer for too long. One with an open
// transaction never is.
func (p *producer) expired(now, after int64) bool {
	return p.txnStart == kafka.NoOffset && now-p.timestamp >= after
}

func (ps *producers) expire(now, after int64) {
	for id, p := range ps.byID {
		if p.expired(now, after) {
			delete(ps.byID, id)
		}
	}
}

func (ps *producers) sorted() []*producer {
	return slices.SortedFunc(maps.Values(ps.byID), func(a, b *producer) int { return cmp.Compare(a.id, b.id) })
}

func sortTxns(txns []transaction) {
	slices.SortFunc(txns, func(a, b transaction) int { return cmp.Compare(a.first, b.first) })
}

// duplicate finds what a client's batch repeats, if it does. The answer is then
// the old offset rather than an error, so that a retry whose first reply was
// lost looks like a success to the producer.
func (ps *producers) duplicate(b record.Batch, bugs *planted.Set) (m batchMeta, found bool, err error) {
	p := ps.byID[b.ProducerID()]
	if p == nil {
		return batchMeta{}, false, nil
	}
	m, found = p.duplicate(b)
	if bugs.On(planted.NoDuplicateWindow) {
		bugs.Infected(planted.NoDuplicateWindow, found)
		if found {
			return batchMeta{}, false, fmt.Errorf("%w: producer %d repeats sequence %d",
				kerr.OutOfOrderSequenceNumber, p.id, b.BaseSequence())
		}
	}
	return m, found, nil
}

// validate says whether the batches may be appended, one after the other. It
// changes nothing: the state follows the log, not what was meant for it
// (KAFKA-6683).
func (ps *producers) validate(batches []byte, how Append, vs verifications, bugs *planted.Set) error {
	var staged [2]producer // more than one producer in one append is rare
	known := staged[:0]
	for rest := batches; len(rest) > 0; {
		b, next, err := record.Next(rest)
		if err != nil {
			return err
		}
		rest = next
		if !b.HasProducer() {
			continue
		}
		i := slices.IndexFunc(known, func(p producer) bool { return p.id == b.ProducerID() })
		if i < 0 {
			i = len(known)
			known = append(known, ps.copyOf(b.ProducerID()))
		}
		if err := known[i].check(b, how, vs[b.ProducerID()], bugs); err != nil {
			return err
		}
		known[i].apply(b)
	}
	return nil
}

func (ps *producers) copyOf(id kafka.ProducerID) producer {
	if p := ps.byID[id]; p != nil {
		return *p
	}
	return newProducer(id)
}

// RememberRefused is what the planted bug does (KAFKA-6683): batches that were not appended
// count as their producers' last. Those of transactions are left out. It reports whether there was
// one.
func (l *Log) RememberRefused(batches []byte) (any bool) {
	next := l.end
	for rest := batches; len(rest) > 0; {
		b, tail, err := record.Next(rest)
		if err != nil {
			break
		}
		rest = tail
		if !b.HasProducer() || b.IsTransactional() {
			continue
		}
		p := l.producers.byID[b.ProducerID()]
		if p == nil {
			fresh := newProducer(b.ProducerID())
			p = &fresh
			l.producers.byID[p.id] = p
		}
		if p.epoch > b.ProducerEpoch() {
			continue
		}
		any = true
		p.setEpoch(b.ProducerEpoch())
		m := metaOf(b)
		m.lastOffset = next + kafka.Offset(m.offsetDelta)
		p.remember(m)
		next = m.lastOffset + 1
	}
	return any
}
