package workloads

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
)

// What clients do, as the ledger has it while it is kept whole. The history has
// the same for the checkers.
type (
	// Invoked: a client begins an operation.
	Invoked struct {
		Operation
		Sends []SentRecord `json:"sends,omitempty"` // what is sent
	}
	// Completed: a client learns how its operation ended.
	Completed struct {
		Operation
		Outcome string       `json:"outcome"` // ok, failed, unknown
		Error   string       `json:"error,omitempty"`
		Sends   []SentRecord `json:"sends,omitempty"`  // what was sent, with offset and leader epoch if it was acknowledged
		Polled  []PolledRun  `json:"polled,omitempty"` // runs of records with consecutive offsets of one leader epoch, in the order of delivery
		Marks   []Mark       `json:"marks,omitempty"`  // offsets that were asked for: start and end of a log, committed ones
	}
)

// Operation says whose operation it is, and where the history has it.
type Operation struct {
	Index    int64  `json:"op"`      // of the event in the history
	Process  int64  `json:"process"` // of the history: a logically single-threaded actor
	Client   string `json:"client"`  // the host that it runs on
	Function string `json:"f"`       // send, poll, ...
}

// SentRecord is a record that was sent. Offset and leader epoch are -1 unless it was
// acknowledged with them.
type SentRecord struct {
	Partition Text  `json:"partition"`
	Value     Text  `json:"value"`
	Offset    int64 `json:"offset"`
	Epoch     int32 `json:"epoch"`
}

// PolledRun is a run of records with consecutive offsets that a poll returned of
// one partition and leader epoch; -1: the epoch is not known.
type PolledRun struct {
	Partition Text  `json:"partition"`
	First     int64 `json:"first"`
	Last      int64 `json:"last"`
	Epoch     int32 `json:"epoch"`
}

// Mark is an offset that was asked for: where a log starts or ends, or what was
// committed.
type Mark struct {
	Kind      string `json:"kind"`
	Partition Text   `json:"partition"`
	Offset    int64  `json:"offset"`
}

// Text is a value of the history. It becomes text only when it is written.
type Text struct {
	value history.Value
	in    history.Value // the partition, of a record's value
}

// String is the value as the history names it; empty: there is none.
func (t Text) String() string {
	if t == (Text{}) {
		return ""
	}
	if t.in == (history.Value{}) {
		return t.value.String()
	}
	return t.value.In(t.in)
}

// MarshalText is String.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (t *Text) UnmarshalText(text []byte) error {
	*t = Text{}
	if len(text) > 0 {
		t.value = history.Text(string(text))
	}
	return nil
}

// Pack is for ledger.Packed.
func (e *Invoked) Pack(p *ledger.Pack) {
	e.Operation.pack(p)
	ledger.List(p, &e.Sends, (*SentRecord).pack)
}

// Pack is for ledger.Packed.
func (e *Completed) Pack(p *ledger.Pack) {
	e.Operation.pack(p)
	ledger.Text(p, &e.Outcome)
	ledger.Text(p, &e.Error)
	ledger.List(p, &e.Sends, (*SentRecord).pack)
	ledger.List(p, &e.Polled, (*PolledRun).pack)
	ledger.List(p, &e.Marks, (*Mark).pack)
}

func (o *Operation) pack(p *ledger.Pack) {
	ledger.Int(p, &o.Index)
	ledger.Int(p, &o.Process)
	ledger.Text(p, &o.Client)
	ledger.Text(p, &o.Function)
}

func (s *SentRecord) pack(p *ledger.Pack) {
	s.Partition.pack(p)
	s.Value.pack(p)
	ledger.Int(p, &s.Offset)
	ledger.Int(p, &s.Epoch)
}

func (r *PolledRun) pack(p *ledger.Pack) {
	r.Partition.pack(p)
	ledger.Int(p, &r.First)
	ledger.Int(p, &r.Last)
	ledger.Int(p, &r.Epoch)
}

func (m *Mark) pack(p *ledger.Pack) {
	ledger.Text(p, &m.Kind)
	m.Partition.pack(p)
	ledger.Int(p, &m.Offset)
}

func (t *Text) pack(p *ledger.Pack) {
	t.value.Pack(p)
	t.in.Pack(p)
}

// unknown stands for an offset or an epoch that is not known.
const unknown = -1

var (
	invoked   = ledger.Declare[Invoked]("operation-invoked", "a client begins an operation", ledger.Traffic)
	completed = ledger.Declare[Completed]("operation-completed", "a client learns how its operation ended", ledger.Traffic)
)

func (e *Invoked) Kind() *ledger.Kind   { return invoked }
func (e *Completed) Kind() *ledger.Kind { return completed }

// Subject is the partition that the operation is about, if it is about one.
func (e *Invoked) Subject() string   { return subject(e.Sends, nil) }
func (e *Completed) Subject() string { return subject(e.Sends, e.Polled) }

func subject(sends []SentRecord, polled []PolledRun) string {
	var all []Text
	for _, s := range sends {
		all = append(all, s.Partition)
	}
	for _, p := range polled {
		all = append(all, p.Partition)
	}
	if len(all) == 0 || slices.ContainsFunc(all, func(t Text) bool { return t != all[0] }) {
		return ""
	}
	return all[0].String()
}

// toldOfMany is how many elements of a list a sentence tells; the event has them all.
const toldOfMany = 3

// few are the first of n elements in words, and how many more there are.
func few(n int, element func(int) string) (parts []string) {
	for i := range min(n, toldOfMany) {
		parts = append(parts, element(i))
	}
	if more := n - toldOfMany; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return parts
}

// Sentence is such as: sends "p1-0-17@orders/0" to orders/0.
func (e *Invoked) Sentence() string {
	if len(e.Sends) == 0 {
		return "asks for " + e.Function
	}
	return "sends " + strings.Join(few(len(e.Sends), func(i int) string {
		return fmt.Sprintf("%q to %v", e.Sends[i].Value.String(), e.Sends[i].Partition)
	}), ", ")
}

// Sentence is such as: send ok: "p1-0-17@orders/0" is orders/0@17.
func (e *Completed) Sentence() string {
	sent := slices.DeleteFunc(slices.Clone(e.Sends), func(s SentRecord) bool { return s.Offset == unknown })
	parts := few(len(sent), func(i int) string {
		return fmt.Sprintf("%q is %v@%d", sent[i].Value.String(), sent[i].Partition, sent[i].Offset)
	})
	parts = append(parts, few(len(e.Polled), func(i int) string {
		return fmt.Sprintf("%v@%d..%d", e.Polled[i].Partition, e.Polled[i].First, e.Polled[i].Last)
	})...)
	parts = append(parts, few(len(e.Marks), func(i int) string {
		return fmt.Sprintf("%s of %v is %d", e.Marks[i].Kind, e.Marks[i].Partition, e.Marks[i].Offset)
	})...)
	if e.Error != "" {
		parts = append(parts, e.Error)
	}
	if len(parts) == 0 {
		return e.Function + " " + e.Outcome
	}
	return e.Function + " " + e.Outcome + ": " + strings.Join(parts, ", ")
}

// EpochAt says in which leader epoch the record at an offset of a partition was
// appended, and before which offset that epoch ends; known: whether it is.
type EpochAt func(partition history.Value, offset int64) (epoch int32, end int64, known bool)

// Operations makes the ledger's events of those of a history, in memory that it uses
// again for the next.
type Operations struct {
	EpochAt EpochAt // nil: no epoch is known

	invoked   Invoked
	completed Completed
}

// EventOf is the ledger's event of an event of the history; nil: it is not a
// client's.
func (o *Operations) EventOf(e *history.Event, index int64) ledger.Event {
	if e.Process == history.NoProcess {
		return nil
	}
	op := Operation{Index: index, Process: e.Process, Client: e.Client, Function: e.F.String()}
	if e.F == history.Other {
		op.Function = e.Name
	}
	if e.Type == history.Invoke {
		o.invoked = Invoked{Operation: op, Sends: o.sends(o.invoked.Sends[:0], e)}
		return &o.invoked
	}
	out := &o.completed
	*out = Completed{
		Operation: op, Outcome: outcomes[e.Type], Error: e.Error,
		Sends: o.sends(out.Sends[:0], e), Polled: out.Polled[:0], Marks: out.Marks[:0],
	}
	for i := range e.Mops {
		switch m := &e.Mops[i]; m.Kind {
		case history.MopSend:
		case history.MopPoll:
			out.Polled = o.poll(out.Polled, m.Records)
		default:
			out.Marks = append(out.Marks, Mark{m.Kind.String(), Text{value: m.Key}, m.Offset.Or(unknown)})
		}
	}
	return out
}

var outcomes = [...]string{history.OK: "ok", history.Failed: "failed", history.Unknown: "unknown"}

func (o *Operations) sends(out []SentRecord, e *history.Event) []SentRecord {
	for i := range e.Mops {
		m := &e.Mops[i]
		if m.Kind != history.MopSend {
			continue
		}
		s := SentRecord{Partition: Text{value: m.Key}, Value: Text{m.Value, m.Key}, Offset: unknown, Epoch: unknown}
		if offset, told := m.Offset.Told(); e.Type == history.OK && told {
			s.Offset = offset
			s.Epoch, _ = o.epochAt(m.Key, offset)
		}
		out = append(out, s)
	}
	return out
}

// poll adds records to the runs of those before.
func (o *Operations) poll(out []PolledRun, records []history.Record) []PolledRun {
	epoch, end := int32(unknown), int64(unknown) // of the last record
	for i := range records {
		r := &records[i]
		partition, offset := Text{value: r.Key}, r.Offset.Or(unknown)
		last := len(out) - 1
		goesOn := last >= 0 && out[last].Partition == partition && out[last].Last+1 == offset
		if !goesOn || offset >= end {
			epoch, end = o.epochAt(r.Key, offset)
		}
		if goesOn && epoch == out[last].Epoch {
			out[last].Last = offset
			continue
		}
		out = append(out, PolledRun{partition, offset, offset, epoch})
	}
	return out
}

// epochAt is the epoch of a record, and the offset up to which it is that of the
// records behind it, too.
func (o *Operations) epochAt(partition history.Value, offset int64) (epoch int32, end int64) {
	if o.EpochAt != nil {
		if epoch, end, known := o.EpochAt(partition, offset); known {
			return epoch, end
		}
	}
	return unknown, offset + 1
}
