package fromwire

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/checkers/history"
)

// NameHeader is the header of a record that carries the name by which its program tells of
// it. The value of a record alone is no name: clients change it (a serializer, a
// timestamp), and two orders may be equal.
const NameHeader = "ktrial"

// toldPrefix begins a line in which a program tells an operation.
const toldPrefix = "ktrial "

// Tells reports whether a line of a program's standard output is an operation that it
// tells: the word ktrial, and one event as a history file has it.
func Tells(line string) bool { return strings.HasPrefix(line, toldPrefix+"{") }

// told is the send of a record of which the program tells itself. The wire still says when
// it was sent, where to, and what was answered; the program says when it begins to count
// on the record, and by what name.
type told struct {
	name, topic  string
	client, life string
	send         *send // nil: no record of that name was seen
	// end is how the program said that it ended; nil: it has not.
	end  *toldEnd
	over bool // the history has it
}

type toldEnd struct {
	as     history.Type
	offset history.Number
	why    string
}

// teller is one process of a history as a program numbers them: it does one thing at a
// time.
type teller struct {
	process int64         // of the history; -1: none yet
	doing   history.F     // history.Other: nothing
	send    *told         // that it tells of
	event   history.Event // of another operation
}

// tellerID names a teller.
type tellerID struct {
	life   string
	number int64
}

// Tell takes a line of a program that Tells. A program may tell its sends, by the name
// that the record carries in NameHeader, and what its application processes; all else the
// wire shows. The error says what was not understood, or contradicts what was told before.
func (o *Observer) Tell(client, life, line string) error {
	op, h, err := readTold(strings.TrimPrefix(line, toldPrefix))
	if err != nil {
		o.Counts.Refused++
		return err
	}
	at := tellerID{life, op.Process}
	t := o.tellers[at]
	if t == nil {
		t = &teller{process: -1}
		o.tellers[at] = t
	}
	began := op.Completed == history.Never
	switch {
	case op.F != history.Send && op.F != history.Process:
		err = fmt.Errorf("found f %q, expected send or process: what else a program does is seen on its connections", cmp.Or(op.F.String(), op.Name))
	case began && t.doing != history.Other:
		err = fmt.Errorf("process %d invokes %v while its %v is under way, expected how that ended: use a process for each that is under way", op.Process, op.F, t.doing)
	case !began && t.doing != op.F:
		err = fmt.Errorf("process %d ends %v, which it has not invoked", op.Process, op.F)
	case op.F == history.Send && began:
		err = o.beginTold(t, client, life, &op, h)
	case op.F == history.Send:
		err = o.completeTold(at, &op)
	case began:
		err = o.beginProcessing(t, client, &op, h)
	default:
		o.completeProcessing(t, &op)
	}
	if err != nil {
		o.Counts.Refused++
	}
	return err
}

// readTold reads one event. Of what it names the history knows more.
func readTold(text string) (op history.Op, h *history.History, err error) {
	h = history.New()
	if err := h.ReadFrom("the line", strings.NewReader(text), nil); err != nil {
		return op, h, err
	}
	if h.Len() != 1 {
		return op, h, fmt.Errorf("found %d operations, expected one event of a process", h.Len())
	}
	h.Read(0, &op)
	return op, h, nil
}

func (o *Observer) beginTold(by *teller, client, life string, op *history.Op, h *history.History) error {
	if len(op.Sends) != 1 {
		return fmt.Errorf("found a send of %d records, expected one: a name belongs to a record", len(op.Sends))
	}
	rec := op.Sends[0].Rec
	name := h.ValueOf(rec).String()
	if before := o.told[name]; before != nil {
		return fmt.Errorf("found a second send of %q, expected a name of its own for each record", name)
	}
	topic, _, _ := strings.Cut(h.Keys()[h.KeyOf(rec)].String(), "/")
	t := &told{name: name, topic: topic, client: client, life: life}
	o.told[name] = t
	by.doing, by.send = history.Send, t
	return nil
}

func (o *Observer) completeTold(at tellerID, op *history.Op) error {
	t := o.tellers[at].send
	delete(o.tellers, at) // the send has a process of its own
	if t.over {
		return nil // its life was over
	}
	t.end = &toldEnd{as: op.Type, why: op.Error}
	if len(op.Sends) == 1 && op.Sends[0].Offset >= 0 {
		t.end.offset = history.At(op.Sends[0].Offset)
	}
	if t.end.as == history.OK {
		o.Counts.Told++
	}
	if t.send != nil {
		o.endTold(t)
	}
	return nil
}

// endTold records how a send ended that both the program and the wire have shown.
func (o *Observer) endTold(t *told) {
	s := t.send
	if s.in != nil {
		return // its transaction's end is that of the record, too
	}
	t.over = true
	s.event.Type, s.event.Time, s.event.Error = t.end.as, o.now(), t.end.why
	if t.end.as == history.OK {
		if !s.acked {
			o.Counts.Unproven++
		}
		if _, known := t.end.offset.Told(); known {
			s.mop[0].Offset = t.end.offset
		}
		o.free[s.event.Client] = append(o.free[s.event.Client], s.process)
	}
	o.recorder.Complete(s.event)
}

// endLife records what is known of the sends that a life of a program told of, when that
// is over. Of one whose end it did not tell, an answer tells it; one that it counts on and
// that was never sent is acknowledged, and no reader will find it.
func (o *Observer) endLife(life string) {
	for _, name := range slices.Sorted(maps.Keys(o.told)) {
		t := o.told[name]
		if t.life != life || t.over {
			continue
		}
		switch {
		case t.send == nil && t.end != nil && t.end.as == history.OK:
			o.neverSent(t)
		case t.send != nil && t.send.in == nil && t.send.acked:
			t.end = &toldEnd{as: history.OK}
			o.endTold(t)
		}
		t.over = true
	}
	maps.DeleteFunc(o.tellers, func(at tellerID, _ *teller) bool { return at.life == life })
}

// neverSent records a record that a program took for written and that never came to the
// wire: in which partition it would have been is not known.
func (o *Observer) neverSent(t *told) {
	key := history.Text(t.topic + "/?")
	e := history.Event{Process: o.newProcess(), Client: t.client, F: history.Send, Time: o.now(), Mops: []history.Mop{{Kind: history.MopSend, Key: key, Value: history.Text(t.name)}}}
	o.recorder.Invoke(e)
	e.Type = history.OK
	o.recorder.Complete(e)
	o.Counts.Unproven++
	o.unsent[t.topic] = true
}

// noteNeverSent says of partitions that are not known that nothing is in them.
func (o *Observer) noteNeverSent() {
	for _, topic := range slices.Sorted(maps.Keys(o.unsent)) {
		o.recorder.Note(history.Event{
			Type: history.OK, Actor: "cluster", F: history.Log, Time: o.now(),
			Mops: []history.Mop{{Kind: history.MopEnd, Key: history.Text(topic + "/?"), Offset: history.At(0)}},
		})
	}
}

// toldOf is what a program tells of a record; nil: nothing.
func (o *Observer) toldOf(r *record.Record) *told {
	if len(o.told) == 0 {
		return nil
	}
	for _, header := range r.Headers {
		if header.Key == NameHeader {
			return o.told[string(header.Value)]
		}
	}
	return nil
}

// join connects a send that is seen for the first time with what its program tells of it,
// if it does.
func (o *Observer) join(t *told, s *send) {
	if t == nil || t.send != nil {
		return
	}
	s.told, t.send = t, s
	if t.end != nil && !t.over {
		o.endTold(t)
	}
}

// sentAgain is the send that a record is part of which carries a name that was sent
// before: the application has sent it again by itself. nil: it is the first.
func (o *Observer) sentAgain(t *told, tp kafka.TopicPartition) *send {
	if t == nil || t.send == nil || t.send.mop[0].Key != o.key(tp) {
		return nil
	}
	return t.send
}

func (o *Observer) beginProcessing(t *teller, client string, op *history.Op, h *history.History) error {
	if op.Group == "" {
		return fmt.Errorf("found a process without a group, expected the group.id of the member that was given the records")
	}
	if t.process < 0 {
		t.process = o.newProcess()
	}
	t.doing = history.Process
	t.event = history.Event{Process: t.process, Client: client, F: history.Process, Time: o.now(), Group: op.Group, Generation: op.Generation, Member: op.Member}
	for _, m := range op.Offsets {
		if m.Kind == history.MopProcessed {
			t.event.Mops = append(t.event.Mops, history.Mop{Kind: history.MopProcessed, Key: h.Keys()[m.Key], Offset: history.At(m.Offset)})
		}
	}
	o.recorder.Invoke(t.event)
	return nil
}

func (o *Observer) completeProcessing(t *teller, op *history.Op) {
	t.event.Type, t.event.Time, t.event.Error = op.Type, o.now(), op.Error
	o.recorder.Complete(t.event)
	if op.Type == history.Unknown {
		t.process = -1 // it may still be done
	}
	t.doing = history.Other
}
