package checkers

import "github.com/ktrial/ktrial/checkers/history"

// findDependencyCycles adds the order of writes to that of reads: of two
// neighbours in a log, the first was written before the second. Kafka does not
// promise that transactions do not write around each other (offsets are given
// at append, before the commit), so this is looked for on demand only.
//
// Of operations that lie on several kinds of circle only the most basic is
// named: G0, then G1c; and what is against time only where no plain circle is.
func findDependencyCycles(a *analysis, emit emit) int64 {
	writes, all := &cycles{a: a}, &cycles{a: a}
	node := make([]uint32, a.h.Len())
	a.h.Each(func(op *history.Op) bool {
		if len(op.Sends)+len(op.Polled) > 0 {
			writes.add(op.Row)
			all.add(op.Row)
			node[op.Row] = uint32(len(all.rows))
		}
		return true
	})
	ww := a.writeEdges(node)
	edges := append(ww[:len(ww):len(ww)], a.readEdges(node)...)
	for _, c := range []struct {
		*cycles
		edges []edge
	}{{writes, ww}, {all, edges}} {
		c.reads = int64(len(c.edges))
		c.g = newGraph(len(c.rows), c.edges)
		c.of, c.sizes = c.g.components()
	}
	basic := map[uint32]bool{} // components of all that are named already
	name := func(f finding) {
		comp := all.of[node[f.rows[0]]-1]
		if !basic[comp] {
			emit(f)
		}
	}
	mark := func(anomaly Anomaly, c *cycles) {
		var found []finding
		c.findCycles(anomaly, func(f finding) { found = append(found, f) })
		for _, f := range found {
			name(f)
		}
		for _, f := range found {
			basic[all.of[node[f.rows[0]]-1]] = true
		}
	}
	mark(G0, writes)
	mark(G1c, all)
	against := map[int]bool{}
	writes.findPast(G0Realtime, func(f finding) {
		against[f.rows[len(f.rows)-1]] = true
		name(f)
	})
	all.findPast(G1cRealtime, func(f finding) {
		if !against[f.rows[len(f.rows)-1]] {
			name(f)
		}
	})
	return all.reads
}

func (a *analysis) writeEdges(node []uint32) (edges []edge) {
	for k := range a.logs {
		before := -1
		a.logs[k].each(false, func(offset int64, _ history.Rec) {
			rec := a.kept(spot{history.Key(k), offset})
			w := int(a.writer[rec]) - 1
			if before >= 0 && w >= 0 && before != w {
				edges = append(edges, edge{node[before] - 1, node[w] - 1})
			}
			before = w
		})
	}
	return edges
}

func (a *analysis) readEdges(node []uint32) (edges []edge) {
	a.h.Each(func(op *history.Op) bool {
		last := -1
		for _, p := range op.Polled {
			if w := int(a.writer[p.Rec]) - 1; w >= 0 && w != op.Row && w != last {
				edges = append(edges, edge{node[w] - 1, node[op.Row] - 1})
				last = w
			}
		}
		return true
	})
	return edges
}
