package log

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/ktrial/ktrial/broker/kafka"
)

// A snapshot of the producers' state is named by the offset it goes up to.
// Of each producer it has the last batch only. Kafka's ProducerSnapshot v1:
// version, CRC32C of what follows it, count, entries.
const (
	snapshotVersion = 1
	snapshotHeader  = 2 + 4
	snapshotEntry   = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (ps *producers) encode() []byte {
	all := ps.sorted()
	b := make([]byte, 0, snapshotHeader+4+len(all)*snapshotEntry)
	b = binary.BigEndian.AppendUint16(b, snapshotVersion)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(all)))
	for _, p := range all {
		last := batchMeta{lastSequence: -1, lastOffset: kafka.NoOffset}
		if m := p.last(); m != nil {
			last = *m
		}
		b = binary.BigEndian.AppendUint64(b, uint64(p.id))
		b = binary.BigEndian.AppendUint16(b, uint16(p.epoch))
		b = binary.BigEndian.AppendUint32(b, uint32(last.lastSequence))
		b = binary.BigEndian.AppendUint64(b, uint64(last.lastOffset))
		b = binary.BigEndian.AppendUint32(b, uint32(last.offsetDelta))
		b = binary.BigEndian.AppendUint64(b, uint64(p.timestamp))
		b = binary.BigEndian.AppendUint32(b, uint32(p.coordinatorEpoch))
		b = binary.BigEndian.AppendUint64(b, uint64(p.txnStart))
	}
	binary.BigEndian.PutUint32(b[2:], crc32.Checksum(b[snapshotHeader:], castagnoli))
	return b
}

// decodeProducers reads a snapshot that goes up to end.
func decodeProducers(b []byte, end kafka.Offset) (producers, error) {
	ps := newProducers(end)
	if len(b) < snapshotHeader+4 {
		return ps, fmt.Errorf("%w: %d bytes, expected at least %d", errDamaged, len(b), snapshotHeader+4)
	}
	if v := binary.BigEndian.Uint16(b); v != snapshotVersion {
		return ps, fmt.Errorf("%w: version %d, expected %d", errDamaged, v, snapshotVersion)
	}
	recorded, computed := binary.BigEndian.Uint32(b[2:]), crc32.Checksum(b[snapshotHeader:], castagnoli)
	if recorded != computed {
		return ps, fmt.Errorf("%w: crc %08x recorded, %08x computed", errDamaged, recorded, computed)
	}
	count := binary.BigEndian.Uint32(b[snapshotHeader:])
	b = b[snapshotHeader+4:]
	if uint64(len(b)) != uint64(count)*snapshotEntry {
		return ps, fmt.Errorf("%w: %d bytes, expected %d entries of %d", errDamaged, len(b), count, snapshotEntry)
	}
	for ; len(b) > 0; b = b[snapshotEntry:] {
		p := decodeProducer(b)
		ps.byID[p.id] = &p
	}
	ps.openTxns()
	return ps, nil
}

func decodeProducer(b []byte) producer {
	p := newProducer(kafka.ProducerID(binary.BigEndian.Uint64(b)))
	p.epoch = kafka.ProducerEpoch(binary.BigEndian.Uint16(b[8:]))
	last := batchMeta{
		lastSequence: kafka.Sequence(binary.BigEndian.Uint32(b[10:])),
		lastOffset:   kafka.Offset(binary.BigEndian.Uint64(b[14:])),
		offsetDelta:  int32(binary.BigEndian.Uint32(b[22:])),
		timestamp:    int64(binary.BigEndian.Uint64(b[26:])),
	}
	p.timestamp = last.timestamp
	p.coordinatorEpoch = int32(binary.BigEndian.Uint32(b[34:]))
	if txn := kafka.Offset(binary.BigEndian.Uint64(b[38:])); txn >= 0 {
		p.txnStart = txn
	}
	if last.lastOffset >= 0 {
		p.remember(last)
	}
	return p
}

// openTxns lists the open transactions of a state that was read.
func (ps *producers) openTxns() {
	for _, p := range ps.sorted() {
		if p.txnStart != kafka.NoOffset {
			ps.txns = append(ps.txns, transaction{id: p.id, first: p.txnStart, last: kafka.NoOffset})
		}
	}
	sortTxns(ps.txns)
}
