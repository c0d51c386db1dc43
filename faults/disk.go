package faults

import (
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
)

// rule puts a rule on the disks of a target; the cure takes it away.
func rule(c Cluster, t Target, luck *rand.Rand, r disk.Rule) (heal func()) {
	return each(c, t, luck, func(h *sim.Host) func() {
		own := r
		h.Disk().Add(&own)
		return func() { h.Disk().Remove(&own) }
	})
}

// SlowFsync makes every sync take longer, By on average.
type SlowFsync struct {
	Host Target
	By   time.Duration
}

func (f SlowFsync) String() string { return sentence(f) }

func (f SlowFsync) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return rule(c, f.Host, luck, disk.Rule{Op: disk.OpSync, Delay: f.By})
}

// FailFsync makes every sync return an error. What it should have written may
// be lost even if a later sync succeeds.
type FailFsync struct{ Host Target }

func (f FailFsync) String() string { return sentence(f) }

func (f FailFsync) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return restarting(c, f.Host, luck, disk.Rule{Op: disk.OpSync, Err: env.ErrIO})
}

// LyingFsync makes syncs report success and write nothing: it shows at the
// next loss of power.
type LyingFsync struct{ Host Target }

func (f LyingFsync) String() string { return sentence(f) }

func (f LyingFsync) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return rule(c, f.Host, luck, disk.Rule{Op: disk.OpSync, Flaw: disk.Lie})
}

// DiskFull leaves no space. A broker that cannot write stops itself; the cure
// makes room and starts it again.
type DiskFull struct{ Host Target }

func (f DiskFull) String() string { return sentence(f) }

func (f DiskFull) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return restarting(c, f.Host, luck, disk.Rule{Op: disk.OpWrite, Err: env.ErrNoSpace})
}

// DiskError makes reads and writes fail. A broker whose only log directory is
// bad stops itself; the cure mends the disk and starts it again.
type DiskError struct{ Host Target }

func (f DiskError) String() string { return sentence(f) }

func (f DiskError) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	heals := []func(){
		restarting(c, f.Host, luck, disk.Rule{Op: disk.OpRead, Err: env.ErrIO}),
		restarting(c, f.Host, luck, disk.Rule{Op: disk.OpWrite, Err: env.ErrIO}),
	}
	return all(heals)
}

// restarting is rule with a cure that also starts a process that gave up.
func restarting(c Cluster, t Target, luck *rand.Rand, r disk.Rule) (heal func()) {
	mend := rule(c, t, luck, r)
	hosts, _ := t.hosts(c, luck)
	return func() {
		mend()
		for _, name := range hosts {
			c.Start(name)
		}
	}
}

// LostWrite lets one write be synced and acknowledged without reaching the disk.
type LostWrite struct{ Host Target }

func (f LostWrite) String() string { return sentence(f) }

func (f LostWrite) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return rule(c, f.Host, luck, disk.Rule{Op: disk.OpSync, Flaw: disk.Lose, Count: 1})
}

// MisdirectedWrite lets one write land at another place of its file.
type MisdirectedWrite struct{ Host Target }

func (f MisdirectedWrite) String() string { return sentence(f) }

func (f MisdirectedWrite) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return rule(c, f.Host, luck, disk.Rule{Op: disk.OpSync, Flaw: disk.Misdirect, Count: 1})
}

// Rot flips bits, one in each of so many bytes, in the segments of logs. What
// a running process reads from then on may be damaged; one that is down finds
// out when it recovers.
type Rot struct {
	Bytes int
	Host  Target
}

func (f Rot) String() string { return sentence(f) }

func (f Rot) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		segments := c.Segments(h.Name())
		for range f.Bytes {
			if len(segments) > 0 {
				h.Disk().Rot(segments[luck.IntN(len(segments))], 1) // an empty segment has nothing to rot
			}
		}
		return nil
	})
}

// Wipe takes the power and the disk's contents: the host comes back empty, as
// after a replacement of its hardware.
type Wipe struct{ Host Target }

func (f Wipe) String() string { return sentence(f) }

func (f Wipe) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return down(c, f.Host, luck, func(h *sim.Host) {
		h.PowerOff()
		h.Disk().Wipe()
	})
}
