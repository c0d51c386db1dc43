package laws

import "fmt"

// The laws that are asked here.
var (
	ContiguousBatches = declare(61, OfPartition, "the sequences of a producer follow each other in a log without a gap or a repetition, from 0 in each producer epoch",
		"each append of a batch of an idempotent producer", "KIP-98; ProducerAppendInfo")
	ProducersKnown = declare(62, OfPartition, "what a replica knows of its producers is what its log says, and what the other replicas know",
		"the end of a run, when all is healed", "KIP-98; ProducerStateManager")
)

// sent is a batch of an idempotent producer as a log has it.
type sent struct {
	producer int64
	epoch    int16
	last     int32 // sequence; noSequence: none since a marker
	end      int64 // offset
}

// noSequence is the last sequence of a producer that has sent nothing in its epoch: a
// marker took the epoch before.
const noSequence = -1

// known is what a replica knows by it: of a marker nothing but the epoch.
func (s sent) known() Known {
	if s.last == noSequence {
		return Known{Producer: s.producer, Epoch: s.epoch, Last: noSequence}
	}
	return Known{s.producer, s.epoch, s.last, s.end}
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

// Known is what a replica knows of a producer: the last batch, which ends at offset
// End.
type Known struct {
	Producer int64
	Epoch    int16
	Last     int32 // sequence
	End      int64
}

// Producers: the node knows this of its producers. Law 62: it is what its log says,
// and what the others know, which came to it by another way. Of a producer all of
// whose batches lie before the log's start, or before an offset at which the
// log was begun anew, a replica need not know.
func (r *Replication) Producers(node Node, known []Known) {
	r.events++
	p := r.of(node)
	p.known = append(p.known[:0], known...)
	for i := len(p.producers) - 1; i >= 0; i-- {
		s := p.producers[i]
		if last, _ := p.producers.last(s.producer); last != s {
			continue
		}
		if k, ok := p.knows(s.producer); ok && k != s.known() || !ok && s.end > p.oldest() {
			r.failOf(&s.producer, ProducersKnown, node, "%v knows of producer %d %v; its log has sequence %d in epoch %d, up to offset %d", node, s.producer, k, s.last, s.epoch, s.end)
			return
		}
	}
	for _, other := range r.replicas {
		if other == p || other.known == nil {
			continue
		}
		if id, differ := p.differs(other); differ {
			a, _ := p.knows(id)
			b, _ := other.knows(id)
			r.failOf(&id, ProducersKnown, node, "%v knows of producer %d %v, %v %v", node, id, a, other.node, b)
			return
		}
	}
}

func (k Known) String() string {
	if k == (Known{}) {
		return "nothing"
	}
	return fmt.Sprintf("sequence %d in epoch %d, up to offset %d", k.Last, k.Epoch, k.End)
}

func (p *replica) knows(producer int64) (Known, bool) {
	for _, k := range p.known {
		if k.Producer == producer {
			return k, true
		}
	}
	return Known{}, false
}

// oldest is the offset of the first record that the replica must know of.
func (p *replica) oldest() int64 { return max(p.start, p.begun) }

// differs is a producer of which both must know the same, and do not.
func (p *replica) differs(q *replica) (producer int64, differ bool) {
	oldest := max(p.oldest(), q.oldest())
	for _, pair := range [2][2]*replica{{p, q}, {q, p}} {
		for _, k := range pair[0].known {
			if other, ok := pair[1].knows(k.Producer); ok && other != k || !ok && k.End > oldest {
				return k.Producer, true
			}
		}
	}
	return 0, false
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
	case !p.leads && before.end <= r.compacted: // what lay between may be gone at its leader
	case b.Epoch > before.epoch && b.First != 0:
		r.fail(ContiguousBatches, node, "%v appended sequence %d of producer %d as the first in epoch %d", node, b.First, b.Producer, b.Epoch)
	case b.Epoch == before.epoch && b.First != next(before.last):
		r.fail(ContiguousBatches, node, "%v appended sequence %d of producer %d in epoch %d behind sequence %d", node, b.First, b.Producer, b.Epoch, before.last)
	}
	p.producers.add(sent{b.Producer, b.Epoch, b.Last, end})
}
