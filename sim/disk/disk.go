// Package disk is a host's file system in memory, with everything that a real
// one may do to its user. Writes go to a page cache; Sync makes a file durable
// and SyncDir the names in a directory; a power cut takes any part of the rest,
// each file and each name on its own.
//
// Damage that a fault does is kept apart from what was written, so that a
// checker can ask for the pristine bytes and distinguish injected damage from damage
// that the software did.
package disk

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/kernel"
)

// Sector is what a disk writes in one step: a write may be torn between two.
const Sector = 512

// Config is how a disk behaves when nothing is wrong with it.
type Config struct {
	// Sync is the least that a sync takes, SyncJitter the mean of what comes on
	// top (exponential), and one in TailIn takes Tail longer on average.
	Sync, SyncJitter time.Duration
	TailIn           uint64
	Tail             time.Duration
	// Bandwidth in bytes per second of what a sync writes; 0: no limit.
	Bandwidth int64
	// WriteBack is after how long the operating system writes by itself what was
	// not synced.
	WriteBack time.Duration
	// Capacity in bytes; 0: no limit.
	Capacity int64
	// Devices, if set, are those of a machine that is modelled in detail. Sync,
	// SyncJitter, Tail and Bandwidth have no meaning then.
	Devices *Devices
	// Packing, if set, keeps what was written in little memory where it is mostly zeros.
	Packing *Packing
}

// SSD is a solid state disk.
func SSD() Config {
	return Config{
		Sync: 300 * time.Microsecond, SyncJitter: 300 * time.Microsecond,
		TailIn: 300, Tail: 15 * time.Millisecond,
		Bandwidth: 400 << 20,
		WriteBack: 30 * time.Second,
	}
}

// Disk is one host's disk.
type Disk struct {
	k    *kernel.Kernel
	host string
	cfg  Config
	luck kernel.Source
	rng  *rand.Rand // draws from luck

	root   *node
	names  []nameOp // not yet durable, in order
	dirty  []*inode // with operations that are not durable, since longest first
	flawed []*inode // whose media differ from the cache, or whose bytes are damaged
	used   int64
	free   time.Duration // when the device has done what it was asked
	costed *Devices      // nil: without Costs
	rules  []*Rule
	stats  Stats
	// Tell, if set, is called with each event of the disk.
	Tell func(ledger.Event)
}

// Stats counts what the disk did.
type Stats struct {
	Syncs    int64
	Injected int64 // faults that struck
}

// New makes an empty disk.
func New(k *kernel.Kernel, host string, seed uint64, cfg Config) *Disk {
	d := &Disk{k: k, host: host, cfg: cfg, luck: k.Source(seed, "disk "+host), root: newDir(), costed: cfg.Devices}
	d.rng = rand.New(&d.luck)
	return d
}

// decides names what is drawn next: of such an operation, of the file of that path.
func (d *Disk) decides(of, path string) {
	if d.luck.Kept() {
		d.luck.Under(of + " " + path)
	}
}

// Stats returns what the disk did so far.
func (d *Disk) Stats() Stats { return d.stats }

// Wipe replaces the disk by an empty one.
func (d *Disk) Wipe() {
	d.root = newDir()
	d.names, d.dirty, d.flawed, d.used = nil, nil, nil, 0
}

// SetCapacity changes how many bytes fit; 0: no limit.
func (d *Disk) SetCapacity(n int64) { d.cfg.Capacity = n }

// Used is how many bytes the files take.
func (d *Disk) Used() int64 { return d.used }

// View is the disk as one process sees it. When the process is dead nothing it
// does here has any effect.
func (d *Disk) View(p *kernel.Process) env.Disk { return &view{d, p} }

// wait blocks the running task for as long as the device takes.
func (d *Disk) wait(doing, path string, cost time.Duration) {
	if cost <= 0 {
		return
	}
	d.free = max(d.free, d.k.Now()) + cost
	d.k.Block(doing, path, nil, d.free)
}

// waitSync blocks for as long as it takes to make so many bytes of a file durable, or
// the names in a directory. newest is when the last of them was written.
func (d *Disk) waitSync(path, file string, bytes int64, newest time.Duration) {
	if d.costed != nil {
		d.costed.sync(d, file, bytes, newest)
		return
	}
	d.wait("sync", path, d.syncCost(path, bytes))
}

// syncCost draws how long it takes to make so many bytes of a file durable.
func (d *Disk) syncCost(path string, bytes int64) time.Duration {
	d.decides("sync", path)
	cost := d.cfg.Sync + kernel.Exponential(d.rng, d.cfg.SyncJitter)
	if kernel.Chance(d.rng, d.cfg.TailIn) {
		cost += kernel.Exponential(d.rng, d.cfg.Tail)
	}
	if d.cfg.Bandwidth > 0 {
		cost += time.Duration(bytes * 1000 / d.cfg.Bandwidth * int64(time.Millisecond))
	}
	return cost
}

// unlimited is the size that a disk without a capacity is said to have.
const unlimited = 1 << 40

// Space is the size of the disk, and how much of it may be used yet, in bytes.
func (v *view) Space() (total, usable int64, err error) {
	total = v.d.cfg.Capacity
	if total == 0 {
		total = unlimited
	}
	return total, max(0, total-v.d.used), nil
}

// room checks that so many more bytes fit.
func (d *Disk) room(more int64) error {
	if more > 0 && d.cfg.Capacity > 0 && d.used+more > d.cfg.Capacity {
		return env.ErrNoSpace
	}
	return nil
}

func wrap(doing, path string, err error) error {
	return fmt.Errorf("disk: %s %s: %w", doing, path, err)
}
