package page

import (
	"reflect"
	"strings"
	"time"

	"github.com/ktrial/ktrial/ledger"
)

// operations are those of the clients, each with its beginning and its end, in
// columns. Polls that gave nothing are counted and left out.
type operations struct {
	Op      column // events of the history: where it began, as a difference to the one before,
	Done    column // and where it ended, from there; -1: it did not
	Process column // of the history
	Client  column // among the hosts
	From    column // nanoseconds, as a difference to the one before
	Took    column // nanoseconds; -1: it did not end
	F       column // among the texts, as all below
	Outcome column
	Error   column
	// Sends, polled and marks of all operations, and how many each has.
	Sends  columns
	Polled columns
	Marks  columns
	// EmptyPolls is how many are left out.
	EmptyPolls int

	far     int                  // how many were left out far from the story,
	sampled int                  // of so many there
	open    map[int64]*operation // by process
	order   []int64              // processes, as their open operations began
	element map[reflect.Type]*fields
	lastOp  int64
	last    time.Duration
}

// columns are lists of which each operation has some elements.
type columns struct {
	N      column
	Fields map[string]*column
	// Values are texts that occur once.
	Values []string
}

// operation is one that is under way.
type operation struct {
	op, process int64
	client, f   string
	from        time.Duration
	sends       reflect.Value
}

func newOperations() *operations {
	of := func() columns { return columns{Fields: map[string]*column{}} }
	return &operations{open: map[int64]*operation{}, element: map[reflect.Type]*fields{}, Sends: of(), Polled: of(), Marks: of()}
}

func (o *operations) invoked(k *packer, f *fields, e *ledger.Entry) {
	v := f.of(e.Event)
	process := f.int(v, "process")
	o.open[process] = &operation{
		op: f.int(v, "op"), process: process, client: f.text(v, "client"), f: f.text(v, "f"), from: e.At, sends: f.list(v, "sends"),
	}
	o.order = append(o.order, process)
}

func (o *operations) completed(k *packer, f *fields, e *ledger.Entry) {
	v := f.of(e.Event)
	process := f.int(v, "process")
	op := o.open[process]
	delete(o.open, process)
	if op == nil { // it began before the trace
		op = &operation{op: f.int(v, "op"), process: process, client: f.text(v, "client"), f: f.text(v, "f"), from: e.At}
	}
	polled, marks := f.list(v, "polled"), f.list(v, "marks")
	outcome := f.text(v, "outcome")
	if op.f == "poll" && outcome == "ok" && !polled.IsValid() {
		o.EmptyPolls++
		return
	}
	if sends := f.list(v, "sends"); sends.IsValid() {
		op.sends = sends
	}
	if k.leavesOut(op, e.At) {
		return
	}
	o.row(k, op, f.int(v, "op")-op.op, int64(e.At-op.from), outcome, f.text(v, "error"))
	o.elements(k, &o.Sends, op.sends, "partition", "offset", "epoch")
	o.elements(k, &o.Polled, polled, "partition", "first", "last", "epoch")
	o.elements(k, &o.Marks, marks, "kind", "partition", "offset")
}

// sample is of how many operations far from the story one is packed, by thrift.
var sample = [thriftiest + 1]int{1, 1, 8, 32, 128}

// leavesOut reports whether an operation that ended at a time is left out: far from the
// story there is a sample.
func (k *packer) leavesOut(op *operation, at time.Duration) bool {
	n := sample[k.thrift]
	if n == 1 || k.story.around(op.from) || k.story.around(at) {
		return false
	}
	o := k.out.Operations
	if o.sampled++; o.sampled%n == 0 {
		return false
	}
	o.far++
	return true
}

// finish adds the operations that did not end.
func (o *operations) finish(k *packer) {
	for _, process := range o.order {
		op := o.open[process]
		if op == nil {
			continue
		}
		delete(o.open, process)
		o.row(k, op, -1, -1, "open", "")
		o.elements(k, &o.Sends, op.sends, "partition", "offset", "epoch")
		o.elements(k, &o.Polled, reflect.Value{}, "partition")
		o.elements(k, &o.Marks, reflect.Value{}, "partition")
	}
}

// write writes the columns.
func (o *operations) write(w *writer) {
	for _, c := range []struct {
		name string
		of   *column
	}{{"op", &o.Op}, {"done", &o.Done}, {"process", &o.Process}, {"client", &o.Client}, {"from", &o.From}, {"took", &o.Took}, {"f", &o.F}, {"outcome", &o.Outcome}, {"error", &o.Error}} {
		w.column(c.name, c.of)
	}
	for _, l := range []struct {
		name string
		of   *columns
	}{{"sends", &o.Sends}, {"polled", &o.Polled}, {"marks", &o.Marks}} {
		w.object(l.name, func() {
			w.column("n", &l.of.N)
			w.columns("fields", l.of.Fields)
			if len(l.of.Values) > 0 {
				w.value("values", l.of.Values)
			}
		})
	}
	w.value("empty_polls", o.EmptyPolls)
}

func (o *operations) row(k *packer, op *operation, done, took int64, outcome, failed string) {
	o.Op.add(op.op - o.lastOp)
	o.Done.add(done)
	o.Process.add(op.process)
	o.Client.add(int64(k.hosts.of(op.client)))
	o.From.add(int64(op.from - o.last))
	o.Took.add(took)
	o.F.add(int64(k.texts.of(op.f)))
	o.Outcome.add(int64(k.texts.of(outcome)))
	o.Error.add(int64(k.texts.of(failed)))
	o.lastOp, o.last = op.op, op.from
}

// elements adds the elements of a list, of which names are packed; of sends also what
// was sent, without the name of the partition that it ends with.
func (o *operations) elements(k *packer, to *columns, list reflect.Value, names ...string) {
	n := 0
	if list.IsValid() {
		n = list.Len()
	}
	to.N.add(int64(n))
	for i := range n {
		v := list.Index(i)
		f := o.element[v.Type()]
		if f == nil {
			if f = fieldsOf(v.Interface(), names); f == nil {
				f = &fields{} // nothing is known of it
			}
			o.element[v.Type()] = f
		}
		for _, name := range names {
			if to.Fields[name] == nil {
				to.Fields[name] = &column{}
			}
			to.Fields[name].add(o.number(k, f, v, name))
		}
		if to == &o.Sends {
			partition, value := f.text(v, "partition"), f.text(v, "value")
			delete(f.texts, f.field(v, "value").Interface()) // it occurs once
			//text:allow the value is a client's
			to.Values = append(to.Values, strings.TrimSuffix(value, "@"+partition))
		}
	}
}

// number is a field that is a number, or the number of its text.
func (o *operations) number(k *packer, f *fields, v reflect.Value, name string) int64 {
	field := f.field(v, name)
	if field.CanInt() {
		return field.Int()
	}
	return int64(k.texts.of(f.text(v, name)))
}
