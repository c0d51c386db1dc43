package detect

import "github.com/ktrial/ktrial/checkers/history"

// readCycles: what was read had been written. Information does not flow
// in a circle among transactions (G1c), nor out of the future (G1c-realtime).
//
// Only operations that both send and poll can lie on a circle of reads; the
// others matter by their times alone. So the graph has nodes for those only,
// and edges from writer to reader. Time enters as a bound: an operation took
// effect no earlier than the latest beginning among all that it read from,
// directly or not, and so must not have ended before that.
func (l *Log) readCycles(emit Emit) int64 {
	if !l.mixed && !l.early {
		return 0 // every send had begun when its records were read
	}
	c := l.readGraph(emit)
	c.findCycles(G1c, emit)
	c.findPast(G1cRealtime, emit)
	return c.reads
}

// cycles is a dependency graph with the bounds of time.
type cycles struct {
	log   *Log
	reads int64
	rows  []int // by node
	g     *graph
	of    []uint32 // component by node
	sizes []uint32

	begin    []int64 // by node: it took effect after this event
	beginRow []int   // whose event that is
	end      []int64 // it took effect before this event
	endRow   []int
	told     map[int]bool // rows of operations that read from the future directly
}

const noEnd = int64(1) << 40

// readGraph builds the graph of reads. Reads from the future that need no
// graph, the reader over before the writer began, it emits at once.
func (l *Log) readGraph(emit Emit) *cycles {
	c := &cycles{log: l, told: map[int]bool{}}
	var node []uint32 // by row: its node+1; empty if there are none
	l.H.EachOf(history.HasPolls, func(op *history.Op) bool {
		if len(op.Polled) > 0 && len(op.Sends) > 0 {
			if node == nil {
				node = make([]uint32, l.H.Len())
			}
			c.add(op.Row)
			node[op.Row] = uint32(len(c.rows))
		}
		return true
	})
	var edges []edge
	l.H.EachOf(history.HasPolls, func(op *history.Op) bool {
		if len(op.Polled) == 0 {
			return true
		}
		mixed := len(op.Sends) > 0
		last := -1
		for _, p := range op.Polled {
			w := int(l.writer[p.Rec]) - 1
			if w < 0 || w == op.Row || w == last || l.anothers(p) || l.flags[p.Rec]&resent != 0 && !l.jepsen {
				continue
			}
			c.reads++
			last = w
			from := l.H.Brief(w)
			future := from.Type != history.Failed && op.Type == history.OK && op.Completed < int64(from.Invoked)
			if future && l.flags[p.Rec]&(several|claimedThere) == 0 && l.parts[l.H.KeyOf(p.Rec)].oldest != unacked && l.older(l.H.KeyOf(p.Rec), p.Offset) {
				continue // of an older record of the same value
			}
			if future {
				f := about(G1cRealtime, l.H.KeyOf(p.Rec))
				f.Direct, f.Record, f.Reader = true, Sight{p.Rec, p.Offset, w}, op.Row
				c.told[op.Row] = true
				emit(f)
			}
			if node == nil {
				continue
			}
			switch writer := node[w]; {
			case mixed && writer != 0:
				edges = append(edges, edge{writer - 1, node[op.Row] - 1})
			case future: // told already
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
	b := c.log.H.Brief(row)
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
func (c *cycles) findCycles(anomaly Anomaly, emit Emit) {
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
func (c *cycles) findPast(anomaly Anomaly, emit Emit) {
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
			if !c.told[c.rows[v]] {
				emit(c.pastStory(anomaly, from[v], v))
			}
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
func (c *cycles) pastStory(anomaly Anomaly, from, to uint32) Finding {
	path := []uint32{to}
	if from != to {
		path = c.g.path(from, to, func(w uint32) bool { return c.sizes[c.of[w]] == 1 })
	}
	f := c.story(anomaly, path)
	if r := c.beginRow[from]; r != c.rows[from] {
		f.Path = append([]int{r}, f.Path...)
	}
	if r := c.endRow[to]; r != c.rows[to] {
		f.Path = append(f.Path, r)
	}
	c.handOn(&f)
	return f
}

// story lists the operations of a path, and the records that were handed on.
func (c *cycles) story(anomaly Anomaly, path []uint32) Finding {
	f := about(anomaly, -1)
	for _, v := range path {
		f.Path = append(f.Path, c.rows[v])
	}
	c.handOn(&f)
	return f
}

// handOn names, for each two neighbours on the path, a record that the first
// wrote and the second read.
func (c *cycles) handOn(f *Finding) {
	f.Recs = nil
	var op history.Op
	for i := 1; i < len(f.Path); i++ {
		c.log.H.Read(f.Path[i], &op)
		for _, p := range op.Polled {
			if c.log.Writer(p.Rec) == f.Path[i-1] {
				f.Recs = append(f.Recs, p.Rec)
				break
			}
		}
	}
	if len(f.Recs) > 0 {
		f.Key = c.log.H.KeyOf(f.Recs[0])
	}
}
