package disk

import (
	"math/rand/v2"
	"strings"
	"time"
)

// Costs are what files take of a machine: of several devices with a queue each, and of
// a page cache that is written back.
type Costs struct {
	// Disks is how many there are. Directories are spread over them in turn.
	Disks int
	// Sync is how long a sync of little data takes a device that has nothing else to do.
	Sync Distribution
	// Write and Read are what one device moves, in bytes per second.
	Write, Read int64
	// Seek is what a read waits for its first byte that is not in the page cache.
	Seek time.Duration
	// Cache is the page cache. Hosts of one machine share it.
	Cache *Cache
}

// Distribution is a distribution of times by its quantiles, straight between them.
type Distribution []Quantile

// Quantile says that a share of Millionths of all times is at most At.
type Quantile struct {
	Millionths int64
	At         time.Duration
}

// draw draws a time. It computes in integers, as all luck does.
func (d Distribution) draw(r *rand.Rand) time.Duration {
	if len(d) == 0 {
		return 0
	}
	u := r.Int64N(1_000_000)
	for i := 1; i < len(d); i++ {
		if a, b := d[i-1], d[i]; u < b.Millionths {
			return a.At + (b.At-a.At)*time.Duration(max(0, u-a.Millionths))/time.Duration(b.Millionths-a.Millionths)
		}
	}
	return d[len(d)-1].At
}

// Cache is a page cache: what was written and is not on the disks yet, and what is
// still in memory.
type Cache struct {
	// Size is how many bytes of files it holds; 0: all.
	Size int64
	// Background is from how many dirty bytes on they are written back, Limit at how many
	// writes are held up. The operating system begins to slow writers halfway between
	// them, so that they come to the pace of the disks.
	Background, Limit int64
	// Rate is at which all devices together write back, in bytes per second.
	Rate int64

	dirty   int64
	since   time.Duration
	filled  int64 // bytes ever brought in
	written int64 // back, by itself
	waited  time.Duration
}

// Dirty is how many bytes are not on the disks.
func (c *Cache) Dirty() int64 { return c.dirty }

// burst is what a steady cache takes in before writers come to the pace of the disks.
const burst = 16 << 20

// Steady makes the cache what it is after a long time of the same load: as dirty as it
// gets before it is written back, and with little room for more. A cache of gigabytes
// takes minutes to get there.
func (c *Cache) Steady() { c.dirty, c.Limit = c.Background, c.Background+2*burst }

// Written is how many bytes were written back without a sync, and for how long writes
// were held up meanwhile.
func (c *Cache) Written() (bytes int64, waited time.Duration) { return c.written, c.waited }

func (c *Cache) slowFrom() int64 { return (c.Background + c.Limit) / 2 }

// drain lets pass what was written back since it was last looked at.
func (c *Cache) drain(now time.Duration) {
	passed := now - c.since
	c.since = now
	if c.dirty <= c.Background || c.Rate <= 0 {
		return
	}
	n := min(int64(passed/time.Microsecond)*(c.Rate/1000)/1000, c.dirty-c.Background)
	c.dirty -= n
	c.written += n
}

// write brings n bytes in, and returns for how long the writer is held up.
func (c *Cache) write(n int64, now time.Duration) time.Duration {
	c.drain(now)
	c.filled += n
	c.dirty += n
	over := c.dirty - c.slowFrom()
	if c.Rate <= 0 || c.Limit <= 0 || over <= 0 {
		return 0
	}
	wait := time.Duration(over * 1000 / (c.Rate / 1000) * int64(time.Microsecond))
	c.waited += wait
	return wait
}

// synced takes out n bytes that a sync wrote.
func (c *Cache) synced(n int64) { c.dirty = max(0, c.dirty-n) }

// Devices are the disks of a machine with Costs. The hosts on it share them.
type Devices struct {
	Costs
	devices []device
	of      map[string]int           // by host and directory
	began   map[string]time.Duration // of the last sync in a directory of a host
}

type device struct {
	free  time.Duration
	busy  time.Duration
	bytes int64
}

// NewDevices makes the disks of a machine.
func NewDevices(c Costs) *Devices {
	cache := *c.Cache
	c.Cache = &cache
	return &Devices{Costs: c, devices: make([]device, max(1, c.Disks)), of: map[string]int{}, began: map[string]time.Duration{}}
}

// device is the one that holds the directory of a file of a host.
func (c *Devices) device(host, path string) (d *device, dir string) {
	dir = host + path
	if i := strings.LastIndexByte(dir, '/'); i >= 0 {
		dir = dir[:i]
	}
	i, known := c.of[dir]
	if !known {
		i = len(c.of) % len(c.devices)
		c.of[dir] = i
	}
	return &c.devices[i], dir
}

// take reserves the device and returns when it is done.
func (v *device) take(now, cost time.Duration, bytes int64) time.Duration {
	v.free = max(v.free, now) + cost
	v.busy += cost
	v.bytes += bytes
	return v.free
}

func perSecond(bytes, rate int64) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(bytes*1000/rate*int64(time.Millisecond) + bytes*1000%rate*int64(time.Millisecond)/rate)
}

// Used says for how long each disk was busy with syncs and reads, and how many bytes
// it moved for them.
func (c *Devices) Used() (busy []time.Duration, bytes []int64) {
	for _, v := range c.devices {
		busy, bytes = append(busy, v.busy), append(bytes, v.bytes)
	}
	return busy, bytes
}

// sync blocks until the device of a file has written so many bytes, the last of which
// were written to the page cache at a time. A sync commits the journal of the file system:
// of a file beside it that was written before, only the bytes are left to write, and they do
// not wait for a turn of their own. So the indexes of a segment go with its log, as the
// figure disk.fsync has it, which is of an append.
func (c *Devices) sync(d *Disk, path string, bytes int64, newest time.Duration) {
	on, dir := c.device(d.host, path)
	now, cost := d.k.Now(), perSecond(bytes, c.Write)
	began, ok := c.began[dir]
	commits := !ok || newest > began || bytes == 0
	if commits {
		cost += c.Sync.draw(d.rng)
		c.began[dir] = now
	}
	at := on.take(now, cost, bytes)
	if !commits {
		at = now + cost
	}
	d.k.Block("sync", path, nil, at)
	c.Cache.synced(bytes)
}

// chunk is the size in which the page cache remembers what is in memory, and in which
// it reads ahead.
const chunk = 1 << 20

// wrote brings what a file was written into the cache, and holds the writer up while too
// much is dirty.
func (c *Devices) wrote(d *Disk, f *inode, off, n int64) {
	wait := c.Cache.write(n, d.k.Now())
	f.seen(off+n-1, c.Cache.filled)
	if wait > 0 && d.k.Current() != nil {
		d.k.Block("write back", f.path, nil, d.k.Now()+wait)
	}
}

// read blocks until what is not in memory was read from the device.
func (c *Devices) read(d *Disk, f *inode, off, n int64) {
	if c.Cache.Size <= 0 || d.k.Current() == nil {
		return
	}
	for at := off / chunk; at <= (off+n-1)/chunk && at < int64(len(f.inMemory)); at++ {
		if c.Cache.filled-f.inMemory[at] < c.Cache.Size {
			continue
		}
		rate := c.Read
		if rate <= 0 {
			rate = c.Write
		}
		on, _ := c.device(d.host, f.path)
		done := on.take(d.k.Now(), c.Seek+perSecond(chunk, rate), chunk)
		c.Cache.filled += chunk
		f.inMemory[at] = c.Cache.filled
		d.k.Block("read", f.path, nil, done)
	}
}

// seen records that the chunk of an offset is in memory.
func (f *inode) seen(off, filled int64) {
	at := int(off / chunk)
	for len(f.inMemory) <= at {
		f.inMemory = append(f.inMemory, filled)
	}
	f.inMemory[at] = filled
}
