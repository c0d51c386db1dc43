package sim

import (
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/sim/kernel"
)

// luck decides at the sites where code asks for trouble. Each site is on or
// off for a whole run, so that runs differ in kind and not only in detail.
type luck struct {
	k      *kernel.Kernel
	seed   uint64
	on     bool
	rare   map[string]*site
	yields map[string]*site
}

// site is one location in the code; it has a stream of its own, so that a new
// site shifts none of the others.
type site struct {
	in     uint64 // strikes one in so many times; 0: off
	nap    time.Duration
	source kernel.Source
	luck   *rand.Rand // draws from source
}

func newLuck(k *kernel.Kernel, seed uint64, on bool) luck {
	return luck{k: k, seed: seed, on: on, rare: map[string]*site{}, yields: map[string]*site{}}
}

// newSite is a site that is not decided yet.
func (l *luck) newSite(name string) *site {
	s := &site{source: l.k.Source(l.seed, name)}
	s.luck = rand.New(&s.source)
	return s
}

// unlucky reports whether the named site takes its rare path now on a host.
func (l *luck) unlucky(host, name string) bool {
	if !l.on {
		return false
	}
	s := l.rare[name]
	if s == nil {
		s = l.newSite("unlucky " + name)
		if s.luck.Uint64N(4) == 0 {
			s.in = 4 << (2 * s.luck.Uint64N(4)) // 4, 16, 64, 256
		}
		l.rare[name] = s
	}
	s.source.Under(host)
	return kernel.Chance(s.luck, s.in)
}

// yield lets others on a host run at the named site, in some runs for a while.
func (l *luck) yield(host, name string) {
	if !l.on {
		return
	}
	s := l.yields[name]
	if s == nil {
		s = l.newSite("yield " + name)
		switch s.luck.Uint64N(4) {
		case 0, 1:
			s.in = 1 << (2 * s.luck.Uint64N(4)) // 1, 4, 16, 64
		case 2:
			s.in = 1 << (2 * s.luck.Uint64N(4))
			s.nap = 20 * time.Microsecond << (2 * s.luck.Uint64N(6)) // up to 20 ms
		}
		l.yields[name] = s
	}
	s.source.Under(host)
	if !kernel.Chance(s.luck, s.in) {
		return
	}
	k := l.k
	if s.nap > 0 {
		k.Sleep(k.Now() + kernel.Exponential(s.luck, s.nap))
		return
	}
	k.Pass(name)
}
