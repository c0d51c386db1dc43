package laws

// sent is a batch of an idempotent producer as a log has it.
type sent struct {
	producer int64
	epoch    int16
	last     int32 // sequence
	end      int64 // offset
}

// producers is what a log says of its producers: their batches, oldest first, as
// far back as a log may be cut.
type producers []sent

// most batches that are kept.
const producerWindow = 1 << 12

// last is the latest batch of a producer.
func (p producers) last(producer int64) (s sent, ok bool) {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i].producer == producer {
			return p[i], true
		}
	}
	return sent{}, false
}

func (p *producers) add(s sent) {
	if len(*p) == producerWindow {
		*p = append((*p)[:0], (*p)[producerWindow/2:]...)
	}
	*p = append(*p, s)
}

// cut: the log ends at to now.
func (p *producers) cut(to int64) {
	n := len(*p)
	for n > 0 && (*p)[n-1].end > to {
		n--
	}
	*p = (*p)[:n]
}

// Batch is what a batch says of its producer.
type Batch struct {
	Producer    int64
	Epoch       int16
	First, Last int32 // sequences
}

// next is the sequence after this one: they begin again after the highest.
func next(sequence int32) int32 {
	if sequence == 1<<31-1 {
		return 0
	}
	return sequence + 1
}

// Produced: the batch that ends at offset end, which the node has just appended,
// is of an idempotent producer. A log that knows nothing of the producer, for it
// begins too late, takes any.
func (r *Replication) Produced(node Node, end int64, b Batch) {
	r.events++
	p := r.of(node)
	switch before, known := p.producers.last(b.Producer); {
	case !known:
	case b.Epoch < before.epoch:
		r.fail(ContiguousBatches, node, "%v appended a batch of producer %d in epoch %d, after one in epoch %d", node, b.Producer, b.Epoch, before.epoch)
	case b.Epoch > before.epoch && b.First != 0:
		r.fail(ContiguousBatches, node, "%v appended sequence %d of producer %d as the first in epoch %d", node, b.First, b.Producer, b.Epoch)
	case b.Epoch == before.epoch && b.First != next(before.last):
		r.fail(ContiguousBatches, node, "%v appended sequence %d of producer %d in epoch %d behind sequence %d", node, b.First, b.Producer, b.Epoch, before.last)
	}
	p.producers.add(sent{b.Producer, b.Epoch, b.Last, end})
}
