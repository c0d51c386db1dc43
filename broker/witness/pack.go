package witness

import "github.com/ktrial/ktrial/ledger"

// How the events that are told all the time are kept (ledger.Packed).

func (b *Batch) pack(p *ledger.Pack) {
	ledger.Int(p, &b.From)
	ledger.Int(p, &b.End)
	ledger.Int(p, &b.Epoch)
	ledger.Bits(p, &b.Digest)
	ledger.Int(p, &b.Records)
	ledger.Int(p, &b.Bytes)
	ledger.Bool(p, &b.Control)
	ledger.Bool(p, &b.Transactional)
	ledger.Int(p, &b.ProducerID)
	ledger.Int(p, &b.ProducerEpoch)
	ledger.Int(p, &b.FirstSequence)
	ledger.Int(p, &b.LastSequence)
}

// Pack is for ledger.Packed, as are those below.
func (e *Appended) Pack(p *ledger.Pack) {
	ledger.Pointer(p, &e.Replica)
	e.Batch.pack(p)
}

func (e *ReadServed) Pack(p *ledger.Pack) {
	ledger.Pointer(p, &e.Replica)
	e.Batch.pack(p)
	ledger.Bool(p, &e.Committed)
}

func (e *Appending) Pack(p *ledger.Pack) {
	ledger.Pointer(p, &e.Replica)
	ledger.Int(p, &e.Epoch)
	ledger.Int(p, &e.At)
	ledger.Bool(p, &e.AcksAll)
}

func (e *HighWatermarkMoved) Pack(p *ledger.Pack) {
	ledger.Pointer(p, &e.Replica)
	ledger.Int(p, &e.To)
	ledger.Int(p, &e.Epoch)
}

func (e *FollowerFetched) Pack(p *ledger.Pack) {
	ledger.Pointer(p, &e.Replica)
	ledger.Int(p, &e.Follower)
	ledger.Int(p, &e.From)
	ledger.Int(p, &e.Epoch)
	ledger.Int(p, &e.HW)
}

func (e *ProduceAcked) Pack(p *ledger.Pack) {
	ledger.Pointer(p, &e.Replica)
	ledger.Int(p, &e.From)
	ledger.Int(p, &e.End)
	ledger.Int(p, &e.Epoch)
	ledger.Int(p, &e.HW)
}

func (m *Message) pack(p *ledger.Pack, bytes *int32) {
	ledger.Pointer(p, &m.Connection)
	ledger.Text(p, &m.API)
	ledger.Text(p, &m.ClientID)
	ledger.Int(p, &m.CorrelationID)
	ledger.Int(p, &m.Version)
	ledger.Int(p, bytes)
}

func (e *RequestSent) Pack(p *ledger.Pack)    { e.Message.pack(p, &e.Bytes) }
func (e *RequestArrived) Pack(p *ledger.Pack) { e.Message.pack(p, &e.Bytes) }

func (e *AnswerSent) Pack(p *ledger.Pack) {
	e.Message.pack(p, &e.Bytes)
	ledger.Int(p, &e.Code)
}

func (e *AnswerArrived) Pack(p *ledger.Pack) {
	e.Message.pack(p, &e.Bytes)
	ledger.Int(p, &e.Code)
}
