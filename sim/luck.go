package sim

import (
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/sim/kernel"
)

// luck decides at the sites where code asks for trouble. Each site is on or
// off for a whole run, so that runs differ in kind and not only in detail.
type luck struct {
	seed   uint64
	on     bool
	rare   map[string]*site
	yields map[string]*site
}

// site is one location in the code; it has a stream of its own, so that a new
// site shifts none of the others.
type site struct {
	in   uint64 // strikes one in so many times; 0: off
	nap  time.Duration
	luck *rand.Rand
}

func newLuck(seed uint64, on bool) luck {
	return luck{seed: seed, on: on, rare: map[string]*site{}, yields: map[string]*site{}}
}

// unlucky reports whether the named site takes its rare path now.
func (l *luck) unlucky(name string) bool {
	if !l.on {
		return false
	}
	s := l.rare[name]
	if s == nil {
		s = &site{luck: kernel.Stream(l.seed, "unlucky "+name)}
		if s.luck.Uint64N(4) == 0 {
			s.in = 4 << (2 * s.luck.Uint64N(4)) // 4, 16, 64, 256
		}
		l.rare[name] = s
	}
	return kernel.Chance(s.luck, s.in)
}

// yield lets others run at the named site, in some runs for a while.
func (l *luck) yield(k *kernel.Kernel, name string) {
	if !l.on {
		return
	}
	s := l.yields[name]
	if s == nil {
		s = &site{luck: kernel.Stream(l.seed, "yield "+name)}
		switch s.luck.Uint64N(4) {
		case 0, 1:
			s.in = 1 << (2 * s.luck.Uint64N(4)) // 1, 4, 16, 64
		case 2:
			s.in = 1 << (2 * s.luck.Uint64N(4))
			s.nap = 20 * time.Microsecond << (2 * s.luck.Uint64N(6)) // up to 20 ms
		}
		l.yields[name] = s
	}
	if !kernel.Chance(s.luck, s.in) {
		return
	}
	if s.nap > 0 {
		k.Sleep(k.Now() + kernel.Exponential(s.luck, s.nap))
		return
	}
	k.Pass(name)
}
