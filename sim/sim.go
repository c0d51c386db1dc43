// Package sim is a world in one thread: hosts with clocks, disks and a network
// between them, on which processes run that see nothing but env.Host. A seed
// decides everything that luck decides outside.
//
//	w := sim.NewWorld(sim.Config{Seed: 1})
//	defer w.Close()
//	w.Host("broker-1").Start(func(h env.Host) { ... })
//	w.At(5*time.Second, "cut", func() { w.Network().Link("broker-1", "broker-2").Cut() })
//	err := w.Run(30 * time.Second)
//
// The same seed gives the same run, event for event, on any machine; Hash says
// whether two runs were the same. Worlds share nothing, so several may run in
// parallel, each on a goroutine of its own.
package sim

import (
	"time"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/kernel"
	"github.com/ktrial/ktrial/sim/network"
)

// Config is what a world is made from. Only the seed need be given.
type Config struct {
	Seed uint64

	// Network and Disk are how things behave while nothing is wrong with them;
	// zero: network.LAN and disk.SSD.
	Network network.Config
	Disk    disk.Config

	// Birth is the wall clock time at which the world begins; zero: the start
	// of 2026.
	Birth env.Time
	// Steady keeps clocks of all hosts equal: no offset and no drift at first.
	Steady bool

	// InOrder runs tasks in the order in which they were woken. Otherwise the
	// seed picks.
	InOrder bool
	// Lucky switches Unlucky and Yield sites off.
	Lucky bool
	// Unhashed leaves the bytes that hosts send out of the trace hash, which is then of no use:
	// for a world on the wall clock.
	Unhashed bool

	// MaxEvents ends a run that goes on for too long with a livelock; 0: never.
	MaxEvents uint64
	// MaxPerInstant ends a run with a livelock that takes so many steps without
	// time passing; 0: 2,000,000.
	MaxPerInstant uint64
	// Watchdog is how long, in real time, one task may keep the thread; 0: for
	// ever. It is the net below the limits above, which are the same for the
	// same seed: it has no say in how a run is judged.
	Watchdog time.Duration
	// Stuck is called by the watchdog, on another goroutine, once; nil: the
	// watchdog prints to standard error and ends the program with exit code 70.
	Stuck func(Stuck)

	// Read is called with each event as it happens, with those of weight Traffic only if
	// all are kept; nil: it is not.
	Read func(*ledger.Entry)
	// Keep says which events are kept for World.Ledger.
	Keep ledger.Keep

	// Hardware is the machine that a host is, or is on. Nil, for all or for one:
	// work is free there.
	Hardware func(host string) *Hardware

	// FileSystem replaces the simulated disk of a process; nil: it does not.
	FileSystem func(host string, h env.Host) env.Disk

	// Record keeps what luck decides, by name; Follow decides as that run did, where it was
	// asked by the same name. See World.Decisions.
	Record bool
	Follow *Recorded

	// Tracing records the run for Difference; nil: only the hash is kept.
	Tracing *Tracing
}

// Failures of a run, as Run returns them.
type (
	PanicError    = kernel.PanicError
	DeadlockError = kernel.DeadlockError
	LivelockError = kernel.LivelockError
)
