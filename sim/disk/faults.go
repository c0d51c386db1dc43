package disk

import (
	"path"
	"slices"
	"time"

	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/kernel"
)

// Op is an operation on a disk. The zero value stands for all of them.
type Op uint8

// The operations.
const (
	OpAny Op = iota
	OpOpen
	OpCreate
	OpRemove
	OpRename
	OpMkdir
	OpList
	OpStat
	OpRead
	OpWrite
	OpTruncate
	OpSync
	OpSyncDir
)

var opNames = [...]string{"any", "open", "create", "remove", "rename", "mkdir", "list", "stat",
	"read", "write", "truncate", "sync", "syncdir"}

func (o Op) String() string { return opNames[o] }

// Flaw is a way in which a disk deceives its user.
type Flaw uint8

// The flaws. All but Rot and Tear strike at a sync and show when the cache is
// gone.
const (
	None      Flaw = iota
	Lie            // the sync does nothing and reports success
	Lose           // one of the synced writes never reaches the disk
	Misdirect      // one of the synced writes goes to another position of the file
	Rot            // bits flip
	Failed         // what a sync that reported an error has left unwritten
	Tear           // the power goes in the middle of a write
)

var flawNames = [...]string{"none", "lying sync", "lost write", "misdirected write", "bit rot", "failed sync", "torn write"}

func (f Flaw) String() string { return flawNames[f] }

// Rule is a fault that waits for an operation to strike. Zero fields do not
// restrict or do nothing.
type Rule struct {
	Op    Op
	Path  string // a pattern of path.Match over the whole path, or over its last part
	In    uint64 // strikes one in so many times; 0 and 1: each time
	Count int    // strikes at most so often; 0: no limit

	Delay time.Duration // the operation takes longer by so much on average
	Err   error         // it fails with this
	Flaw  Flaw          // of a sync; Tear: of a write
	// Then is called when a write is being torn, by the task that writes: it
	// takes the power. Whatever the file held before the write is kept.
	Then func()

	struck int
}

// Struck is how often the rule has struck.
func (r *Rule) Struck() int { return r.struck }

// Add adds a fault.
func (d *Disk) Add(r *Rule) { d.rules = append(d.rules, r) }

// Remove takes a fault away.
func (d *Disk) Remove(r *Rule) {
	d.rules = slices.DeleteFunc(d.rules, func(x *Rule) bool { return x == r })
}

// Mend takes all faults away. Damage that they did stays.
func (d *Disk) Mend() { d.rules = nil }

func (r *Rule) matches(d *Disk, op Op, p string) bool {
	if r.Op != OpAny && r.Op != op || r.Count > 0 && r.struck >= r.Count {
		return false
	}
	if r.Path != "" {
		whole, _ := path.Match(r.Path, p)
		last, _ := path.Match(r.Path, path.Base(p))
		if !whole && !last {
			return false
		}
	}
	d.decides(op.String(), p)
	if r.In > 1 && !kernel.Chance(d.rng, r.In) {
		return false
	}
	r.struck++
	d.stats.Injected++
	return true
}

// strike lets the faults that delay or fail an operation do so. Whether one fails is
// decided when it ends: a fault that was taken away while the operation waited does
// not fail it.
func (d *Disk) strike(op Op, p string) error {
	p = clean(p)
	var failing []*Rule
	for _, r := range slices.Clone(d.rules) {
		if !slices.Contains(d.rules, r) || r.Flaw != None || !r.matches(d, op, p) {
			continue
		}
		if r.Delay > 0 {
			d.decides(op.String(), p)
			d.wait(op.String(), p, kernel.Exponential(d.rng, r.Delay))
		}
		if r.Err != nil {
			failing = append(failing, r)
		}
	}
	for _, r := range failing {
		if slices.Contains(d.rules, r) {
			return r.Err
		}
	}
	return nil
}

// flaw is the deception that a sync meets.
func (d *Disk) flaw(op Op, p string) Flaw {
	for _, r := range d.rules {
		if r.Flaw != None && r.Flaw != Tear && r.matches(d, op, p) {
			return r.Flaw
		}
	}
	return None
}

// interrupt lets the power go in the middle of the last operation of f, if a fault
// waits for that and the write spans sectors.
func (d *Disk) interrupt(f *inode) {
	o := f.ops[len(f.ops)-1]
	if o.n <= toSectorEnd(o.off) {
		return
	}
	for _, r := range d.rules {
		if r.Flaw == Tear && r.matches(d, OpWrite, f.path) {
			f.interrupted = true
			r.Then()
			return
		}
	}
}

// finishSync makes the first n operations durable, as far as the disk is honest.
func (d *Disk) finishSync(f *inode, n int) {
	flaw := None
	if len(d.rules) > 0 {
		flaw = d.flaw(OpSync, f.path)
	}
	switch flaw {
	case Lie:
		f.lied = max(f.lied, n)
		return
	case Lose, Misdirect:
		d.miss(f, n, flaw)
	default:
		f.commit(n)
	}
	d.settle(f)
}

// failSync is what happens to the first n operations when a sync reports an
// error: some are written, none is tried again. The operating system marks the
// pages clean, so that the next sync succeeds without them.
func (d *Disk) failSync(f *inode, n int) {
	if n == 0 {
		return
	}
	d.decides("failed sync", f.path)
	var missing []patch
	f.onDisk(func(durable *content) {
		for _, o := range f.ops[:n] {
			if !o.truncate && d.rng.Uint64N(2) == 0 {
				missing = append(missing, patch{o.off, durable.bytes(o.off, o.n), Failed, d.k.Now()})
			}
		}
	})
	f.commit(n)
	d.mark(f, missing)
	d.settle(f)
}

// miss loses or misdirects one of the first n operations, and commits them all.
func (d *Disk) miss(f *inode, n int, flaw Flaw) {
	var writes []op
	for _, o := range f.ops[:n] {
		if !o.truncate {
			writes = append(writes, o)
		}
	}
	if len(writes) == 0 {
		f.commit(n)
		return
	}
	d.decides(flaw.String(), f.path)
	o := writes[d.rng.IntN(len(writes))]
	now := d.k.Now()
	patches := []patch{{o.off, nil, flaw, now}}
	f.onDisk(func(durable *content) { patches[0].data = durable.bytes(o.off, o.n) })
	if sectors := f.cache.size / Sector; flaw == Misdirect && sectors > 0 {
		wrong := d.rng.Int64N(sectors)*Sector + o.off%Sector
		if room := f.cache.size - wrong; wrong != o.off && room > 0 {
			patches = append(patches, patch{wrong, f.cache.bytes(o.off, min(o.n, room)), flaw, now})
		}
	}
	f.commit(n)
	d.mark(f, patches)
}

// mark records where the disk differs from the cache.
func (d *Disk) mark(f *inode, patches []patch) {
	if len(patches) == 0 {
		return
	}
	f.media = append(f.media, patches...)
	d.flaws(f)
	for _, p := range patches {
		d.tell(f, p)
	}
}

// tell says which bytes of a file a fault has damaged.
func (d *Disk) tell(f *inode, p patch) {
	if d.Tell != nil {
		d.Tell(&Damaged{f.path, p.off, int64(len(p.data)), p.why.String()})
	}
}

func (d *Disk) flaws(f *inode) {
	if !slices.Contains(d.flawed, f) {
		d.flawed = append(d.flawed, f)
	}
}

// settle takes f off the list when all of it is durable.
func (d *Disk) settle(f *inode) {
	if len(f.ops) > 0 || !f.listed {
		return
	}
	f.listed = false
	i := slices.Index(d.dirty, f)
	d.dirty = slices.Delete(d.dirty, i, i+1)
}

// DropCache makes the process see what the disk really holds. A power cut does
// that too.
func (d *Disk) DropCache() {
	for _, f := range d.flawed {
		f.reveal()
	}
}

// reveal puts what the media hold into the cache, and keeps what should be there.
func (f *inode) reveal() {
	for _, p := range f.media {
		n := min(int64(len(p.data)), f.cache.size-p.off)
		if n > 0 {
			f.hurt(p.off, p.data[:n], p.why, p.at)
		}
	}
	f.media = nil
}

// hurt overwrites bytes without the software knowing.
func (f *inode) hurt(off int64, data []byte, why Flaw, at time.Duration) {
	f.damage = append(f.damage, patch{off, f.cache.bytes(off, int64(len(data))), why, at})
	f.cache.write(data, off)
}

// Rot flips so many bits of a file, at random positions.
func (d *Disk) Rot(p string, bits int) error {
	n := d.find(p)
	if n == nil || n.dir() || n.file.cache.size == 0 {
		return wrap("rot", p, env.ErrNotExist)
	}
	f := n.file
	d.decides("rot", p)
	for range bits {
		off := d.rng.Int64N(f.cache.size)
		b := f.cache.bytes(off, 1)
		b[0] ^= 1 << d.rng.Uint64N(8)
		f.hurt(off, b, Rot, d.k.Now())
		d.tell(f, patch{off, b, Rot, d.k.Now()})
	}
	d.stats.Injected++
	d.flaws(f)
	return nil
}

// Damage is a range of a file whose bytes are not those that were written.
type Damage struct {
	Path   string
	Off, N int64
	Why    Flaw
	At     time.Duration
}

// Damage lists the damage that faults have done and that was not written over.
func (d *Disk) Damage() []Damage {
	var all []Damage
	d.walk(func(p string, f *inode) {
		for _, x := range f.damage {
			all = append(all, Damage{p, x.off, int64(len(x.data)), x.why, x.at})
		}
	})
	return all
}

// Contents returns what a process would read from a file.
func (d *Disk) Contents(p string) ([]byte, error) {
	n := d.find(p)
	if n == nil || n.dir() {
		return nil, wrap("read", p, env.ErrNotExist)
	}
	return n.file.cache.bytes(0, n.file.cache.size), nil
}

// Pristine returns what the file would hold if no fault had damaged it.
func (d *Disk) Pristine(p string) ([]byte, error) {
	n := d.find(p)
	if n == nil || n.dir() {
		return nil, wrap("read", p, env.ErrNotExist)
	}
	whole := n.file.cache.clone()
	for _, x := range slices.Backward(n.file.damage) {
		whole.write(x.data, x.off)
	}
	return whole.bytes(0, whole.size), nil
}

// Files lists the paths of all files.
func (d *Disk) Files() []string {
	var all []string
	d.walk(func(p string, _ *inode) { all = append(all, p) })
	return all
}
