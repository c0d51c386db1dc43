package detect

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

// members are the nodes of the components that have several.
func members(of, sizes []uint32) map[uint32][]uint32 {
	all := map[uint32][]uint32{}
	for v, c := range of {
		if sizes[c] > 1 {
			all[c] = append(all[c], uint32(v))
		}
	}
	return all
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

// cycleSteps is how many nodes are looked at for a shorter cycle.
const cycleSteps = 1 << 20

// shortestCycle is a shortest cycle within a component of these members, as far
// as cycleSteps lead: that there is a cycle is certain, that none is shorter need
// not be.
func (g *graph) shortestCycle(of, members []uint32) []uint32 {
	var best []uint32
	steps := 0
	for _, v := range members {
		cycle := g.path(v, v, func(w uint32) bool {
			steps++
			return of[w] == of[v]
		})
		if best == nil || len(cycle) < len(best) {
			best = cycle
		}
		if steps > cycleSteps || len(best) == 3 {
			break
		}
	}
	return best
}
