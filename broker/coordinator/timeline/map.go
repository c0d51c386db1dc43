package timeline

import "slices"

// Map is a map on a timeline. What it holds is replaced by Set, never changed in
// place, unless it is made of Maps and Values itself.
type Map[K comparable, V any] struct {
	t       *Timeline
	compare func(a, b K) int
	cells   map[K]*cell[K, V]
	sizes   [2]int // by cut

	// sorted are the cells in the order of their keys, and perhaps some that are
	// gone; unsorted are those that came since.
	sorted, unsorted []*cell[K, V]
}

// cell is what a Map has of one key.
type cell[K comparable, V any] struct {
	m       *Map[K, V]
	key     K
	now     entry[V]
	earlier []entry[V] // before each change that is not committed, oldest first
	gone    bool       // no longer in the map
}

type entry[V any] struct {
	value   V
	present bool
}

// NewMap makes an empty map. compare orders its keys.
func NewMap[K comparable, V any](t *Timeline, compare func(a, b K) int) *Map[K, V] {
	return &Map[K, V]{t: t, compare: compare, cells: map[K]*cell[K, V]{}}
}

// Get is the value of a key as written.
func (m *Map[K, V]) Get(key K) (V, bool) { return m.GetAt(Written, key) }

// GetCommitted is the value of a key as committed.
func (m *Map[K, V]) GetCommitted(key K) (V, bool) { return m.GetAt(Committed, key) }

// GetAt is the value of a key at a cut.
func (m *Map[K, V]) GetAt(cut Cut, key K) (V, bool) {
	c := m.cells[key]
	if c == nil {
		var none V
		return none, false
	}
	e := c.at(cut)
	return e.value, e.present
}

// Has reports whether there is such a key as written.
func (m *Map[K, V]) Has(key K) bool {
	_, ok := m.Get(key)
	return ok
}

// Len is how many keys there are as written.
func (m *Map[K, V]) Len() int { return m.sizes[Written] }

// LenAt is how many keys there are at a cut.
func (m *Map[K, V]) LenAt(cut Cut) int { return m.sizes[cut] }

// Set adds or replaces a key.
func (m *Map[K, V]) Set(key K, value V) { m.change(key, entry[V]{value, true}) }

// Delete removes a key, if it is there.
func (m *Map[K, V]) Delete(key K) {
	if m.Has(key) {
		m.change(key, entry[V]{})
	}
}

func (m *Map[K, V]) change(key K, to entry[V]) {
	c := m.cells[key]
	if c == nil {
		c = &cell[K, V]{m: m, key: key}
		m.cells[key] = c
		m.unsorted = append(m.unsorted, c)
	}
	m.sizes[Written] += count(to) - count(c.now)
	if m.t.record(c) {
		c.earlier = append(c.earlier, c.now)
	} else {
		m.sizes[Committed] += count(to) - count(c.now)
	}
	c.now = to
	c.forget()
}

func count[V any](e entry[V]) int {
	if e.present {
		return 1
	}
	return 0
}

func (c *cell[K, V]) at(cut Cut) *entry[V] {
	if cut == Committed && len(c.earlier) > 0 {
		return &c.earlier[0]
	}
	return &c.now
}

func (c *cell[K, V]) commitOldest() {
	was := count(c.earlier[0])
	c.earlier = dropFirst(c.earlier)
	c.m.sizes[Committed] += count(*c.at(Committed)) - was
	c.forget()
}

func (c *cell[K, V]) revertNewest() {
	last := len(c.earlier) - 1
	c.m.sizes[Written] += count(c.earlier[last]) - count(c.now)
	c.now = c.earlier[last]
	c.earlier[last] = entry[V]{}
	c.earlier = c.earlier[:last]
	c.forget()
}

// forget removes a cell that is empty at both cuts.
func (c *cell[K, V]) forget() {
	if !c.now.present && len(c.earlier) == 0 {
		delete(c.m.cells, c.key)
		c.gone = true
	}
}

// All are the keys and values as written, in the order of the keys. The map may
// be changed meanwhile: keys that are added are not seen, and those removed neither.
func (m *Map[K, V]) All() func(yield func(K, V) bool) { return m.AllAt(Written) }

// AllCommitted are those that are committed.
func (m *Map[K, V]) AllCommitted() func(yield func(K, V) bool) { return m.AllAt(Committed) }

// AllAt are those at a cut.
func (m *Map[K, V]) AllAt(cut Cut) func(yield func(K, V) bool) {
	return func(yield func(K, V) bool) {
		m.sort()
		for _, c := range m.sorted {
			if e := c.at(cut); e.present && !c.gone && !yield(c.key, e.value) {
				return
			}
		}
	}
}

// sort brings sorted up to date. It makes a new list, as an iteration may be over the old one.
func (m *Map[K, V]) sort() {
	if len(m.unsorted) == 0 && len(m.sorted) <= 2*len(m.cells)+8 {
		return
	}
	byKey := func(a, b *cell[K, V]) int { return m.compare(a.key, b.key) }
	slices.SortStableFunc(m.unsorted, byKey)
	merged := make([]*cell[K, V], 0, len(m.cells))
	old, added := m.sorted, m.unsorted
	for len(old)+len(added) > 0 {
		var next *cell[K, V]
		if len(added) == 0 || len(old) > 0 && byKey(old[0], added[0]) <= 0 {
			next, old = old[0], old[1:]
		} else {
			next, added = added[0], added[1:]
		}
		if !next.gone {
			merged = append(merged, next)
		}
	}
	m.sorted, m.unsorted = merged, nil
}
