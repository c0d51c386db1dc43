package detect

import "github.com/ktrial/ktrial/checkers/history"

// dependencyCycles adds the order of writes to that of reads: of two
// neighbours in a log, the first was written before the second. Kafka does not
// promise that transactions do not write around each other (offsets are given
// at append, before the commit), so this is looked for on demand only.
//
// Of operations that lie on several kinds of circle only the most basic is
// named: G0, then G1c; and what is against time only where no plain circle is.
func (l *Log) dependencyCycles(emit Emit) int64 {
	writes, all := &cycles{log: l, told: map[int]bool{}}, &cycles{log: l, told: map[int]bool{}}
	node := make([]uint32, l.H.Len())
	l.H.Each(func(op *history.Op) bool {
		if len(op.Sends)+len(op.Polled) > 0 {
			writes.add(op.Row)
			all.add(op.Row)
			node[op.Row] = uint32(len(all.rows))
		}
		return true
	})
	ww := l.writeEdges(node)
	edges := append(ww[:len(ww):len(ww)], l.readEdges(node)...)
	for _, c := range []struct {
		*cycles
		edges []edge
	}{{writes, ww}, {all, edges}} {
		c.reads = int64(len(c.edges))
		c.g = newGraph(len(c.rows), c.edges)
		c.of, c.sizes = c.g.components()
	}
	basic := map[uint32]bool{} // components of all that are named already
	name := func(f Finding) {
		comp := all.of[node[f.Path[0]]-1]
		if !basic[comp] {
			emit(f)
		}
	}
	mark := func(anomaly Anomaly, c *cycles) {
		var found []Finding
		c.findCycles(anomaly, func(f Finding) { found = append(found, f) })
		for _, f := range found {
			name(f)
		}
		for _, f := range found {
			basic[all.of[node[f.Path[0]]-1]] = true
		}
	}
	mark(G0, writes)
	mark(G1c, all)
	against := map[int]bool{}
	writes.findPast(G0Realtime, func(f Finding) {
		against[f.Path[len(f.Path)-1]] = true
		name(f)
	})
	all.findPast(G1cRealtime, func(f Finding) {
		if !against[f.Path[len(f.Path)-1]] {
			name(f)
		}
	})
	return all.reads
}

func (l *Log) writeEdges(node []uint32) (edges []edge) {
	for k := range l.parts {
		before := -1
		l.parts[k].each(false, func(offset int64, _ history.Rec) {
			rec := l.kept(spot{history.Key(k), offset})
			w := int(l.writer[rec]) - 1
			if before >= 0 && w >= 0 && before != w {
				edges = append(edges, edge{node[before] - 1, node[w] - 1})
			}
			before = w
		})
	}
	return edges
}

func (l *Log) readEdges(node []uint32) (edges []edge) {
	l.H.Each(func(op *history.Op) bool {
		last := -1
		for _, p := range op.Polled {
			if w := int(l.writer[p.Rec]) - 1; w >= 0 && w != op.Row && w != last {
				edges = append(edges, edge{node[w] - 1, node[op.Row] - 1})
				last = w
			}
		}
		return true
	})
	return edges
}
