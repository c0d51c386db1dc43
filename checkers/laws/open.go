package laws

// The laws that are asked here.
var (
	StableRead = declare(67, OfPartition, "the last stable offset is where the first transaction begins that is open, or whose end is above the high watermark, and never falls; what a read_committed consumer is given lies below it",
		"each move of the last stable offset, and each batch that a read_committed consumer is given", "KIP-98; UnifiedLog.lastStableOffset")
	CleanerBounds = declare(82, OfPartition, "what the cleaner replaces lies below the high watermark and the first open transaction",
		"each time that segments of a log are replaced", "LogCleanerManager.cleanableOffsets")
)

// span is a transaction as a log has it: from its first record to its marker.
type span struct {
	producer int64
	epoch    int16
	first    int64 // offset
	end      int64 // one past the marker; open: there is none
}

// open stands for the end of a transaction that has none.
const open = -1

// spans are the transactions of a log, oldest first, as far back as a log may be cut.
type spans []span

// opened is the transaction that a producer has open; nil: none.
func (s spans) opened(producer int64) *span {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].producer == producer && s[i].end == open {
			return &s[i]
		}
	}
	return nil
}

// below is an open transaction that begins below an offset; nil: there is none. All that
// lies above its beginning is not stable.
func (s spans) below(offset int64) *span {
	for i := range s {
		if s[i].end == open && s[i].first < offset {
			return &s[i]
		}
	}
	return nil
}

// add makes room by forgetting old transactions that have ended.
func (s *spans) add(x span) {
	if len(*s) >= producerWindow {
		kept := (*s)[:0]
		for i, old := range *s {
			if old.end == open || i >= producerWindow/2 {
				kept = append(kept, old)
			}
		}
		*s = kept
	}
	*s = append(*s, x)
}

// cut: the log ends at to now. A transaction whose marker is cut off is open again.
func (s *spans) cut(to int64) {
	kept := (*s)[:0]
	for _, x := range *s {
		if x.first >= to {
			continue
		}
		if x.end > to {
			x.end = open
		}
		kept = append(kept, x)
	}
	*s = kept
}

// InTransaction: the batch from first on, which the node has just appended, is one of a
// transaction.
func (r *Replication) InTransaction(node Node, first int64, producer int64, epoch int16) {
	r.events++
	p := r.of(node)
	if p.open.opened(producer) == nil {
		p.open.add(span{producer, epoch, first, open})
	}
}

// Marked: the node has just appended a marker, which ends at offset end, for a producer. Its
// epoch is one that the producer has, or, with transactions that have epochs of their
// own, the next: then its sequences begin anew (KIP-890).
func (r *Replication) Marked(node Node, end int64, producer int64, epoch int16) {
	r.events++
	p := r.of(node)
	before, known := p.producers.last(producer)
	if known && epoch < before.epoch {
		r.fail(ContiguousBatches, node, "%v appended a marker of producer %d in epoch %d, after a batch in epoch %d", node, producer, epoch, before.epoch)
	}
	if !known || epoch > before.epoch {
		p.producers.add(sent{producer, epoch, noSequence, end})
	}
	if x := p.open.opened(producer); x != nil {
		x.end = end
	}
}

// ReadCommitted: the node gives a read_committed consumer what lies below end. Law 67.
func (r *Replication) ReadCommitted(node Node, end int64) {
	r.events++
	if x := r.of(node).open.below(end); x != nil {
		r.fail(StableRead, node, "%v gave a read_committed consumer what lies up to %d; producer %d has a transaction open there since %d", node, end, x.producer, x.first)
	}
}

// stable is the last stable offset that a log has by its transactions: the beginning of the first one that is
// open, or whose marker is not below the high watermark; else the high watermark. What
// lies below the start of the log is gone.
func (p *replica) stable(start int64) int64 {
	stable := p.hw
	for _, x := range p.open {
		if x.end == open || x.end > p.hw {
			stable = min(stable, x.first)
		}
	}
	return max(stable, min(p.hw, start))
}

// StableOffset: the node's last stable offset is at to now, in this epoch, and its log starts at
// start. Law 67.
func (r *Replication) StableOffset(node Node, to, start int64, epoch Epoch) {
	r.events++
	p := r.of(node)
	if want := p.stable(start); to != want {
		r.fail(StableRead, node, "%v has last stable offset %d, expected %d by its transactions and its high watermark %d", node, to, want, p.hw)
	}
	if p.leads && p.stableIn == epoch && to < p.stableAt {
		r.fail(StableRead, node, "leader %v moved its last stable offset from %d back to %d in epoch %d", node, p.stableAt, to, epoch)
	}
	p.stableAt, p.stableIn = to, epoch
}

// Cleaned: the node's cleaner has replaced what lies below to. Law 82.
func (r *Replication) Cleaned(node Node, to int64) {
	r.events++
	p := r.of(node)
	if !p.up {
		return // it finishes what a process before it had begun
	}
	if to > p.hw {
		r.fail(CleanerBounds, node, "%v has cleaned its log up to %d; its high watermark is %d", node, to, p.hw)
	} else if x := p.open.below(to); x != nil {
		r.fail(CleanerBounds, node, "%v has cleaned its log up to %d; producer %d has a transaction open since %d", node, to, x.producer, x.first)
	}
}

// OpenTransactions calls fn for each transaction that a node's log has open.
func (r *Replication) OpenTransactions(node Node, fn func(producer int64, epoch int16, first int64)) {
	for _, x := range r.of(node).open {
		if x.end == open {
			fn(x.producer, x.epoch, x.first)
		}
	}
}

// Leader is the node that leads the partition, as the controllers committed last.
func (r *Replication) Leader() Node { return r.leader }
