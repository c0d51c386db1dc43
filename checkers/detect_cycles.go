package checkers

import "github.com/ktrial/ktrial/checkers/history"

// findReadCycles: what was read had been written. Information does not flow
// in a circle among transactions (G1c), nor out of the future (G1c-realtime).
//
// Only operations that both send and poll can lie on a circle of reads; the
// others matter by their times alone. So the graph has nodes for those only,
// and edges from writer to reader. Time enters as a bound: an operation took
// effect no earlier than the latest beginning among all that it read from,
// directly or not, and so must not have ended before that.
func findReadCycles(a *analysis, emit emit) int64 {
	c := readGraph(a, emit)
	c.findCycles(G1c, emit)
	c.findPast(G1cRealtime, emit)
	return c.reads
}

// cycles is a dependency graph with the bounds of time.
type cycles struct {
	a     *analysis
	reads int64
	rows  []int // by node
	g     *graph
	of    []uint32 // component by node
	sizes []uint32

	begin    []int64 // by node: it took effect after this event
	beginRow []int   // whose event that is
	end      []int64 // it took effect before this event
	endRow   []int
}

const noEnd = int64(1) << 40

// readGraph builds the graph of reads. Reads from the future that need no
// graph, the reader over before the writer began, it emits at once.
func readGraph(a *analysis, emit emit) *cycles {
	c := &cycles{a: a}
	var node []uint32 // by row: its node+1; empty if there are none
	a.h.EachOf(history.HasPolls, func(op *history.Op) bool {
		if len(op.Polled) > 0 && len(op.Sends) > 0 {
			if node == nil {
				node = make([]uint32, a.h.Len())
			}
			c.add(op.Row)
			node[op.Row] = uint32(len(c.rows))
		}
		return true
	})
	var edges []edge
	a.h.EachOf(history.HasPolls, func(op *history.Op) bool {
		if len(op.Polled) == 0 {
			return true
		}
		mixed := len(op.Sends) > 0
		last := -1
		for _, p := range op.Polled {
			w := int(a.writer[p.Rec]) - 1
			if w < 0 || w == op.Row || w == last || a.flags[p.Rec]&resent != 0 && !a.jepsen {
				continue
			}
			c.reads++
			last = w
			from := a.h.Brief(w)
			if from.Type != history.Failed && op.Type == history.OK && op.Completed < int64(from.Invoked) {
				emit(finding{anomaly: G1cRealtime, direct: true, key: a.h.KeyOf(p.Rec), recs: []history.Rec{p.Rec},
					offsets: []int64{p.Offset}, rows: []int{op.Row, w}})
				continue
			}
			if node == nil {
				continue
			}
			switch writer := node[w]; {
			case mixed && writer != 0:
				edges = append(edges, edge{writer - 1, node[op.Row] - 1})
			case mixed && from.Type != history.Failed:
				c.after(node[op.Row]-1, int64(from.Invoked), w)
			case writer != 0 && op.Type == history.OK:
				c.before(writer-1, op.Completed, op.Row)
			}
		}
		return true
	})
	c.g = newGraph(len(c.rows), edges)
	c.of, c.sizes = c.g.components()
	return c
}

// add makes a node of an operation. A failed one takes no part in time, and
// one whose outcome is unknown never ends.
func (c *cycles) add(row int) {
	b := c.a.h.Brief(row)
	begin, end := int64(b.Invoked), noEnd
	switch b.Type {
	case history.OK:
		end = int64(b.Completed)
	case history.Failed:
		begin = -1
	}
	c.rows = append(c.rows, row)
	c.begin, c.beginRow = append(c.begin, begin), append(c.beginRow, row)
	c.end, c.endRow = append(c.end, end), append(c.endRow, row)
}

func (c *cycles) after(node uint32, event int64, row int) {
	if event > c.begin[node] {
		c.begin[node], c.beginRow[node] = event, row
	}
}

func (c *cycles) before(node uint32, event int64, row int) {
	if event < c.end[node] {
		c.end[node], c.endRow[node] = event, row
	}
}

// findCycles emits a shortest cycle for each component that has one.
func (c *cycles) findCycles(anomaly Anomaly, emit emit) {
	all := members(c.of, c.sizes)
	for comp := range uint32(len(c.sizes)) {
		if nodes := all[comp]; nodes != nil {
			emit(c.story(anomaly, c.g.shortestCycle(c.of, nodes)))
		}
	}
}

// findPast emits a chain of reads for each operation that was over before one
// began from which, directly or not, it read. Cycles of reads alone are told
// already, and left out.
func (c *cycles) findPast(anomaly Anomaly, emit emit) {
	n := c.g.nodes()
	byComponent := make([]uint32, len(c.sizes))
	for v := range uint32(n) {
		byComponent[c.of[v]] = v
	}
	latest := append([]int64(nil), c.begin...)
	from := make([]uint32, n)
	for v := range from {
		from[v] = uint32(v)
	}
	for comp := len(c.sizes) - 1; comp >= 0; comp-- {
		if c.sizes[comp] > 1 {
			continue
		}
		v := byComponent[comp]
		if latest[v] > c.end[v] {
			f := c.pastStory(anomaly, from[v], v)
			emit(f)
			latest[v] = -1 // what follows from it is the same fault
			continue
		}
		for _, w := range c.g.next(v) {
			if latest[v] > latest[w] && c.sizes[c.of[w]] == 1 {
				latest[w], from[w] = latest[v], from[v]
			}
		}
	}
}

// pastStory is the chain that leads from the operation that began too late to
// the one that was over by then.
func (c *cycles) pastStory(anomaly Anomaly, from, to uint32) finding {
	path := []uint32{to}
	if from != to {
		path = c.g.path(from, to, func(w uint32) bool { return c.sizes[c.of[w]] == 1 })
	}
	f := c.story(anomaly, path)
	if r := c.beginRow[from]; r != c.rows[from] {
		f.rows = append([]int{r}, f.rows...)
	}
	if r := c.endRow[to]; r != c.rows[to] {
		f.rows = append(f.rows, r)
	}
	f.recs = c.a.handed(f.rows)
	if len(f.recs) > 0 {
		f.key = c.a.h.KeyOf(f.recs[0])
	}
	return f
}

// story lists the operations of a path, and the records that were handed on.
func (c *cycles) story(anomaly Anomaly, path []uint32) finding {
	f := finding{anomaly: anomaly}
	for _, v := range path {
		f.rows = append(f.rows, c.rows[v])
	}
	f.recs = c.a.handed(f.rows)
	if len(f.recs) > 0 {
		f.key = c.a.h.KeyOf(f.recs[0])
	}
	return f
}

// handed names, for each neighbours in rows, a record that the first wrote
// and the second read.
func (a *analysis) handed(rows []int) []history.Rec {
	var recs []history.Rec
	var op history.Op
	for i := 1; i < len(rows); i++ {
		a.h.Read(rows[i], &op)
		for _, p := range op.Polled {
			if int(a.writer[p.Rec])-1 == rows[i-1] {
				recs = append(recs, p.Rec)
				break
			}
		}
	}
	return recs
}
