package log

import (
	"cmp"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
)

// cleanedTxns follows the transactions along the batches of a compaction, across
// all of its segments (Kafka's CleanedTransactionMetadata). What was aborted may go;
// a marker may go once no batch of its transaction is left.
type cleanedTxns struct {
	// aborted are those that begin further on, in the order of their first offsets.
	aborted []AbortedTxn
	// Transactions that the walk is inside of, by producer.
	openAborted   map[kafka.ProducerID]*openAborted
	openCommitted map[kafka.ProducerID]bool
	// keep takes the aborted transactions of which a batch was seen: the index of
	// the new segment must still have them. Nil: the
	// caller only wants to know what may go.
	keep func(AbortedTxn)
}

// openAborted is an aborted transaction before its marker.
type openAborted struct {
	AbortedTxn
	seen bool // a batch of it was there
}

func newCleanedTxns() *cleanedTxns {
	return &cleanedTxns{openAborted: map[kafka.ProducerID]*openAborted{}, openCommitted: map[kafka.ProducerID]bool{}}
}

// add says which transactions were aborted in what comes next. One may be added
// again with each segment that it reaches into.
func (c *cleanedTxns) add(txns []AbortedTxn) {
	c.aborted = append(c.aborted, txns...)
	slices.SortStableFunc(c.aborted, func(a, b AbortedTxn) int { return cmp.Compare(a.First, b.First) })
}

// discards takes account of the next batch, and reports whether it may go: the
// data of an aborted transaction, or a marker whose transaction has left no batch.
func (c *cleanedTxns) discards(b record.Batch) bool {
	c.open(b.LastOffset())
	id := b.ProducerID()
	if b.IsControl() {
		return c.discardsMarker(b)
	}
	if !b.IsTransactional() {
		return false
	}
	if txn := c.openAborted[id]; txn != nil {
		txn.seen = true
		return true
	}
	c.openCommitted[id] = true
	return false
}

func (c *cleanedTxns) discardsMarker(b record.Batch) bool {
	if b.Count() == 0 {
		return true // it was emptied: its transaction was gone then
	}
	id := b.ProducerID()
	marker, _, ok := b.EndTxnMarker()
	switch {
	case !ok:
		return false // LEADER_CHANGE and the like
	case marker == record.Commit:
		seen := c.openCommitted[id]
		delete(c.openCommitted, id)
		return !seen
	}
	txn := c.openAborted[id]
	delete(c.openAborted, id)
	if txn == nil || !txn.seen {
		return true
	}
	if c.keep != nil {
		c.keep(txn.AbortedTxn)
	}
	return false
}

// open begins the aborted transactions that have a record up to o.
func (c *cleanedTxns) open(o kafka.Offset) {
	n := 0
	for n < len(c.aborted) && c.aborted[n].First <= o {
		if txn := c.aborted[n]; c.openAborted[txn.ProducerID] == nil {
			c.openAborted[txn.ProducerID] = &openAborted{AbortedTxn: txn}
		}
		n++
	}
	c.aborted = c.aborted[n:]
}
