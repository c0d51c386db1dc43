package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
)

// rules puts rules on the disks of a target; the cure takes them away.
func rules(c Cluster, t Target, luck *rand.Rand, rs ...disk.Rule) (heal func()) {
	return each(c, t, luck, func(h *sim.Host) func() { return afflict(h, rs) })
}

// fatal is rules that a process may give up on; the cure also starts it again.
func fatal(c Cluster, t Target, luck *rand.Rand, rs ...disk.Rule) (heal func()) {
	return each(c, t, luck, func(h *sim.Host) func() {
		mend := afflict(h, rs)
		return func() {
			mend()
			revive(c, h)
		}
	})
}

func afflict(h *sim.Host, rs []disk.Rule) (mend func()) {
	own := slices.Clone(rs)
	for i := range own {
		h.Disk().Add(&own[i])
	}
	return func() {
		for i := range own {
			h.Disk().Remove(&own[i])
		}
	}
}

// SlowFsync makes every sync take longer, By on average.
type SlowFsync struct {
	Host Target
	By   time.Duration
}

func (f SlowFsync) String() string { return sentence(f) }

func (f SlowFsync) Check() error { return atLeast("delay", f.By, 0) }

func (f SlowFsync) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return rules(c, f.Host, luck, disk.Rule{Op: disk.OpSync, Delay: f.By})
}

// FailFsync makes every sync return an error. What it should have written may
// be lost even if a later sync succeeds.
type FailFsync struct{ Host Target }

func (f FailFsync) String() string { return sentence(f) }

func (f FailFsync) Deceives() Target { return f.Host }

func (f FailFsync) Crashes() (Target, bool) { return f.Host, false }

func (f FailFsync) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return fatal(c, f.Host, luck, disk.Rule{Op: disk.OpSync, Err: env.ErrIO})
}

// LyingFsync makes syncs report success and write nothing: it shows at the
// next loss of power.
type LyingFsync struct{ Host Target }

func (f LyingFsync) String() string { return sentence(f) }

func (f LyingFsync) Deceives() Target { return f.Host }

func (f LyingFsync) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return rules(c, f.Host, luck, disk.Rule{Op: disk.OpSync, Flaw: disk.Lie})
}

// DiskFull leaves no space. A broker that cannot write stops itself; the cure
// makes room and starts it again.
type DiskFull struct{ Host Target }

func (f DiskFull) String() string { return sentence(f) }

func (f DiskFull) Crashes() (Target, bool) { return f.Host, false }

func (f DiskFull) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return fatal(c, f.Host, luck, disk.Rule{Op: disk.OpWrite, Err: env.ErrNoSpace}, disk.Rule{Op: disk.OpCreate, Err: env.ErrNoSpace})
}

// DiskError makes reads, writes and syncs fail. A broker whose only log directory is
// bad stops itself; the cure mends the disk and starts it again.
type DiskError struct{ Host Target }

func (f DiskError) String() string { return sentence(f) }

func (f DiskError) Crashes() (Target, bool) { return f.Host, false }

func (f DiskError) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return fatal(c, f.Host, luck, disk.Rule{Op: disk.OpRead, Err: env.ErrIO}, disk.Rule{Op: disk.OpWrite, Err: env.ErrIO}, disk.Rule{Op: disk.OpSync, Err: env.ErrIO})
}

// LostWrite lets one write be synced and acknowledged without reaching the disk.
type LostWrite struct{ Host Target }

func (f LostWrite) String() string { return sentence(f) }

func (f LostWrite) Deceives() Target { return f.Host }

func (f LostWrite) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return rules(c, f.Host, luck, disk.Rule{Op: disk.OpSync, Flaw: disk.Lose, Count: 1})
}

// MisdirectedWrite lets one write land at another position of its file.
type MisdirectedWrite struct{ Host Target }

func (f MisdirectedWrite) String() string { return sentence(f) }

func (f MisdirectedWrite) Deceives() Target { return f.Host }

func (f MisdirectedWrite) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return rules(c, f.Host, luck, disk.Rule{Op: disk.OpSync, Flaw: disk.Misdirect, Count: 1})
}

// TornWrite takes the power in the middle of a write, the next that spans two
// sectors and is not synced: its file ends up with what was written before and
// with a part of this. If nothing of that kind is written within a second the
// power goes all the same. The cure switches on and starts the process again.
type TornWrite struct{ Host Target }

func (f TornWrite) String() string { return sentence(f) }

func (f TornWrite) Crashes() (Target, bool) { return f.Host, true }

// patience is how long the power waits for a write to tear.
const patience = time.Second

func (f TornWrite) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		h.Hold()
		over := false
		rule := &disk.Rule{Op: disk.OpWrite, Flaw: disk.Tear, Count: 1}
		rule.Then = func() {
			if !over {
				over = true
				h.Disk().Remove(rule)
				h.PowerOff()
			}
		}
		h.Disk().Add(rule)
		c.World().After(patience, "fault", rule.Then)
		return func() {
			over = true
			h.Disk().Remove(rule)
			release(c, h)
		}
	})
}

// Rot flips bits, one in each of so many bytes, in the segments of logs. What
// a running process reads from then on may be damaged; one that is down finds
// out when it recovers.
type Rot struct {
	Bytes int
	Host  Target
}

func (f Rot) String() string { return sentence(f) }

func (f Rot) Momentary() {}

func (f Rot) Damages() Target { return f.Host }

func (f Rot) Check() error {
	if f.Bytes < 1 || f.Bytes > 1_000_000 {
		return fmt.Errorf("found %d bytes, expected between 1 and 1000000", f.Bytes)
	}
	return nil
}

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

func (f Wipe) Wipes() Target { return f.Host }

func (f Wipe) Crashes() (Target, bool) { return f.Host, true }

func (f Wipe) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return down(c, f.Host, luck, func(h *sim.Host) {
		h.PowerOff()
		h.Disk().Wipe()
	})
}
