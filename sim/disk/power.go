package disk

import (
	"fmt"
	"slices"
)

// Loss is what a power cut took from one file or name.
type Loss struct {
	Path string
	Text string
}

func (l Loss) String() string { return l.Path + ": " + l.Text }

// PowerCut takes away a part of what was not durable, drawn from the seed, and
// drops the cache. It returns what was lost.
func (d *Disk) PowerCut() []Loss {
	losses := d.cutNames()
	for _, f := range d.dirty {
		if l := d.cut(f); l != "" {
			losses = append(losses, Loss{f.path, l})
		}
		f.ops, f.lied, f.listed, f.interrupted = nil, 0, false, false
	}
	d.dirty = nil
	d.DropCache()
	d.recount()
	d.free = 0
	return losses
}

// recount finds out anew which files there are and what they take.
func (d *Disk) recount() {
	d.used = 0
	d.walk(func(p string, f *inode) {
		f.path, f.links = p, 1
		d.used += f.cache.size
	})
}

// fate is what becomes of a list of operations that are not durable.
type fate uint8

const (
	allLost fate = iota
	allKept
	prefixKept // the rest is lost: the order of writing was kept
	someKept   // any of them: it was not
)

func (d *Disk) fate() fate {
	switch x := d.rng.Uint64N(100); {
	case x < 25:
		return allLost
	case x < 40:
		return allKept
	case x < 80:
		return prefixKept
	}
	return someKept
}

// keeps says for each of n operations whether it reached the disk. The first
// old ones did: they were written back long ago.
func (d *Disk) keeps(n, old int) []bool {
	keep := make([]bool, n)
	fate := d.fate()
	upTo := n
	switch fate {
	case allLost, someKept:
		upTo = old
	case prefixKept:
		upTo = old + d.rng.IntN(n-old+1)
	}
	for i := range keep {
		keep[i] = i < upTo || fate == someKept && d.rng.Uint64N(2) == 0
	}
	return keep
}

// cut decides what a file holds after a power cut, and says what it lost.
func (d *Disk) cut(f *inode) string {
	n := len(f.ops)
	if n == 0 {
		return ""
	}
	d.decides("power cut", f.path)
	keep := d.keeps(n, f.expired(d.k.Now()-d.cfg.WriteBack))
	if f.interrupted { // it was writing back in order, and got as far as the last
		for i := range keep {
			keep[i] = i < n-1
		}
	}
	redo := f.cache.unwind(f.ops)
	f.damage = beyond(f.damage, f.cache.size)
	lost, torn := 0, false
	var lied []patch
	for i, o := range f.ops {
		switch {
		case keep[i]:
			f.cache.redo(o, redo[i])
			f.mended(o.off, o.n)
		case !torn && (f.interrupted || d.tears(o, keep[i:])):
			torn = true
			part := d.tear(o)
			f.cache.redo(op{off: o.off}, redo[i][:part])
			f.mended(o.off, part)
			fallthrough
		default:
			lost++
			if i < f.lied && !o.truncate {
				lied = append(lied, patch{o.off, redo[i], Lie, d.k.Now()})
			}
		}
	}
	f.damage = append(f.damage, lied...)
	for _, p := range lied {
		d.tell(f, p)
	}
	if lost == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d unsynced operations lost", lost, n)
	if torn {
		text += ", one write torn"
	}
	return text
}

// tears decides whether a write that is lost is lost only in part. That
// happens to the one that was being written when the power went: none is kept
// after it.
func (d *Disk) tears(o op, later []bool) bool {
	return !o.truncate && o.n > 1 && !slices.Contains(later, true) && d.rng.Uint64N(2) == 0
}

// toSectorEnd is how many bytes there are from an offset to the end of its sector.
func toSectorEnd(off int64) int64 { return Sector - off%Sector }

// tear is how many bytes of a write got there: whole sectors.
func (d *Disk) tear(o op) int64 {
	firstEnd := toSectorEnd(o.off)
	if o.n <= firstEnd {
		return 0
	}
	sectors := (o.n - firstEnd + Sector - 1) / Sector
	return firstEnd + d.rng.Int64N(sectors)*Sector
}

// cutNames does to names what cut does to bytes. An entry's changes keep their
// order: one that is kept takes with it those that it rests upon.
func (d *Disk) cutNames() []Loss {
	n := len(d.names)
	if n == 0 {
		return nil
	}
	old := 0
	for old < n && d.names[old].at < d.k.Now()-d.cfg.WriteBack {
		old++
	}
	d.decides("power cut", "names")
	keep := d.keeps(n, old)
	needed := map[entry]bool{}
	for i, o := range slices.Backward(d.names) {
		if keep[i] || o.touches(needed) {
			keep[i] = true
			o.addTo(needed)
		}
	}
	return d.rename(keep)
}

// rename takes all names back and then does again those to be kept.
func (d *Disk) rename(keep []bool) []Loss {
	for _, o := range slices.Backward(d.names) {
		for _, c := range slices.Backward(o.changes) {
			c.set(c.old)
		}
	}
	var losses []Loss
	for i, o := range d.names {
		for _, c := range o.changes {
			if keep[i] {
				c.set(c.now)
			} else if c.now == nil {
				losses = append(losses, Loss{c.path, "its removal or renaming was lost"})
			} else {
				losses = append(losses, Loss{c.path, "its name was lost"})
			}
		}
	}
	d.names = nil
	return losses
}
