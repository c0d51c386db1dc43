package checkers

// graph is a directed graph of operations, packed: the successors of node n
// are to[start[n]:start[n+1]].
type graph struct {
	start []uint32
	to    []uint32
}

type edge struct{ from, to uint32 }

func newGraph(nodes int, edges []edge) *graph {
	g := &graph{start: make([]uint32, nodes+1), to: make([]uint32, len(edges))}
	for _, e := range edges {
		g.start[e.from+1]++
	}
	for i := 0; i < nodes; i++ {
		g.start[i+1] += g.start[i]
	}
	fill := append([]uint32(nil), g.start...)
	for _, e := range edges {
		g.to[fill[e.from]] = e.to
		fill[e.from]++
	}
	return g
}

func (g *graph) nodes() int             { return len(g.start) - 1 }
func (g *graph) next(n uint32) []uint32 { return g.to[g.start[n]:g.start[n+1]] }

// components numbers the strongly connected components (Tarjan), so that an
// edge never leads to a higher number: descending numbers are a topological
// order. Linear, and without recursion.
func (g *graph) components() (of []uint32, sizes []uint32) {
	const none = ^uint32(0)
	n := g.nodes()
	of = make([]uint32, n)
	order, low := make([]uint32, n), make([]uint32, n)
	for i := range of {
		of[i], order[i] = none, none
	}
	type frame struct{ node, edge uint32 }
	var calls []frame
	var stack []uint32
	count := uint32(0)
	for root := range uint32(n) {
		if order[root] != none {
			continue
		}
		calls = append(calls, frame{root, g.start[root]})
		for len(calls) > 0 {
			f := &calls[len(calls)-1]
			v := f.node
			if f.edge == g.start[v] && order[v] == none {
				order[v], low[v] = count, count
				count++
				stack = append(stack, v)
			}
			if f.edge < g.start[v+1] {
				w := g.to[f.edge]
				f.edge++
				if order[w] == none {
					calls = append(calls, frame{w, g.start[w]})
				} else if of[w] == none {
					low[v] = min(low[v], order[w])
				}
				continue
			}
			calls = calls[:len(calls)-1]
			if len(calls) > 0 {
				up := calls[len(calls)-1].node
				low[up] = min(low[up], low[v])
			}
			if low[v] != order[v] {
				continue
			}
			size := uint32(0)
			for {
				w := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				of[w] = uint32(len(sizes))
				size++
				if w == v {
					break
				}
			}
			sizes = append(sizes, size)
		}
	}
	return of, sizes
}

// path is a shortest path from one node to another through nodes that allow
// permits, both ends included; nil if there is none. From a node to itself it
// is a shortest cycle.
func (g *graph) path(from, to uint32, allow func(uint32) bool) []uint32 {
	before := map[uint32]uint32{}
	queue := []uint32{from}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		for _, w := range g.next(v) {
			if w == to {
				path := []uint32{w, v}
				for v != from {
					v = before[v]
					path = append(path, v)
				}
				for i, j := 0, len(path)-1; i < j; i, j = i+1, j-1 {
					path[i], path[j] = path[j], path[i]
				}
				return path
			}
			if _, seen := before[w]; !seen && w != from && allow(w) {
				before[w] = v
				queue = append(queue, w)
			}
		}
	}
	return nil
}

// shortestCycle is a shortest cycle within component c. It looks from at most
// a thousand of its nodes: that there is a cycle is certain, that none is
// shorter need not be.
func (g *graph) shortestCycle(of []uint32, c uint32) []uint32 {
	var best []uint32
	tried := 0
	for v := range uint32(g.nodes()) {
		if of[v] != c {
			continue
		}
		cycle := g.path(v, v, func(w uint32) bool { return of[w] == c })
		if best == nil || len(cycle) < len(best) {
			best = cycle
		}
		if tried++; tried == 1000 || len(best) == 3 {
			break
		}
	}
	return best
}
