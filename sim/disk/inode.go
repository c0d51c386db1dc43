package disk

import "time"

// inode is a file, whatever its name.
type inode struct {
	path  string // the name it was opened by last, for messages and rules
	cache content
	ops   []op   // on the cache and not yet durable, in order
	first uint64 // number of the first of ops, counted over the file's life
	links int    // names it has
	// inMemory says of each chunk how much had been brought into the page cache when it
	// was last; only with Costs.
	inMemory []int64

	// media are ranges where the disk holds something else than the cache:
	// seen once the cache is gone.
	media []patch
	// damage are ranges where the cache holds something else than was written.
	// Each keeps what should be there.
	damage []patch
	lied   int // of ops: so many were reported durable and are not
	listed bool
	// interrupted: the power goes in the middle of the last of ops.
	interrupted bool
}

// op is one change of a file, with what it takes to undo it.
type op struct {
	truncate bool
	off, n   int64 // of a write; a truncate has the new size in off
	size     int64 // before
	at       time.Duration
	lost     *lost // nil: nothing, as with every append
}

// lost is what an operation took away.
type lost struct {
	over []byte // what a write wrote over, as far as there was anything
	cut  tail   // what a truncate cut off
}

// patch is a piece of content for a range of a file.
type patch struct {
	off  int64
	data []byte
	why  Flaw
	at   time.Duration
}

// limit is how many operations are kept; the operating system starts to write
// back on its own accord when there is much to write.
const limit = 4096

func (f *inode) write(p []byte, off int64, now time.Duration) {
	o := op{off: off, n: int64(len(p)), size: f.cache.size, at: now}
	if over := min(off+o.n, f.cache.size) - off; over > 0 {
		o.lost = &lost{over: f.cache.bytes(off, over)}
	}
	f.cache.write(p, off)
	f.ops = append(f.ops, o)
	f.mended(off, o.n)
}

func (f *inode) truncate(size int64, now time.Duration) {
	o := op{truncate: true, off: size, size: f.cache.size, at: now}
	o.lost = &lost{cut: f.cache.truncate(size)}
	f.ops = append(f.ops, o)
	f.damage = beyond(f.damage, size)
}

// mended drops damage that has been written over.
func (f *inode) mended(off, n int64) {
	if len(f.damage) > 0 {
		f.damage = subtract(f.damage, off, n)
	}
}

// subtract removes the range from all patches.
func subtract(patches []patch, off, n int64) []patch {
	var left []patch
	for _, p := range patches {
		end := p.off + int64(len(p.data))
		if off+n <= p.off || end <= off {
			left = append(left, p)
			continue
		}
		if p.off < off {
			left = append(left, patch{p.off, p.data[:off-p.off], p.why, p.at})
		}
		if off+n < end {
			left = append(left, patch{off + n, p.data[off+n-p.off:], p.why, p.at})
		}
	}
	return left
}

// beyond removes what lies at or after size.
func beyond(patches []patch, size int64) []patch {
	return subtract(patches, size, 1<<62-size)
}

// undo takes an operation back and returns what would do it again.
func (c *content) undo(o op) (redo []byte) {
	if o.truncate {
		if o.size < o.off {
			c.truncate(o.size)
			return nil
		}
		c.graft(o.lost.cut, o.off, o.size)
		return nil
	}
	redo = c.bytes(o.off, o.n)
	c.truncate(o.size)
	if o.lost != nil {
		c.write(o.lost.over, o.off)
	}
	c.size = o.size
	return redo
}

func (c *content) redo(o op, data []byte) {
	if o.truncate {
		c.truncate(o.off)
		return
	}
	c.write(data, o.off)
}

// unwind takes the operations back, last first, and returns what would do each
// of them again. What is left is what is durable.
func (c *content) unwind(ops []op) (redo [][]byte) {
	redo = make([][]byte, len(ops))
	for i := len(ops) - 1; i >= 0; i-- {
		redo[i] = c.undo(ops[i])
	}
	return redo
}

// onDisk shows look what is durable, without the operations that are not.
func (f *inode) onDisk(look func(*content)) {
	redo := f.cache.unwind(f.ops)
	look(&f.cache)
	for i, o := range f.ops {
		f.cache.redo(o, redo[i])
	}
}

// commit makes the first n operations durable.
func (f *inode) commit(n int) {
	for _, o := range f.ops[:n] {
		if len(f.media) == 0 {
			break
		}
		if o.truncate {
			f.media = beyond(f.media, o.off)
		} else {
			f.media = subtract(f.media, o.off, o.n)
		}
	}
	left := copy(f.ops, f.ops[n:])
	clear(f.ops[left:])
	f.ops = f.ops[:left]
	f.first += uint64(n)
	f.lied = max(0, f.lied-n)
}

// expired counts the operations that are older than the given time.
func (f *inode) expired(before time.Duration) int {
	n := 0
	for n < len(f.ops) && f.ops[n].at < before {
		n++
	}
	return n
}
