package faults

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/network"
)

// everyone is every host of the cluster and its clients.
func everyone(c Cluster) []string {
	out := slices.Clone(c.Brokers())
	for _, name := range slices.Concat(c.Controllers(), c.Clients()) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// others are the names that are not in some.
func others(names, some []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(some, n) })
}

// cut stops what from sends to to.
func cut(c Cluster, from, to []string) (heal func()) {
	var heals []func()
	for _, a := range from {
		for _, b := range to {
			if a != b {
				l := c.World().Network().Link(a, b)
				l.Cut()
				heals = append(heals, l.Mend)
			}
		}
	}
	return all(heals)
}

func cutBothWays(c Cluster, a, b []string) (heal func()) {
	return all([]func(){cut(c, a, b), cut(c, b, a)})
}

// Isolate cuts a host off from every other, in both directions.
type Isolate struct{ Host Target }

func (f Isolate) String() string { return sentence(f) }

func (f Isolate) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	hosts, _ := f.Host.hosts(c, luck)
	var heals []func()
	for _, h := range hosts {
		heals = append(heals, cutBothWays(c, []string{h}, others(everyone(c), []string{h})))
	}
	return all(heals)
}

// Split is a network partition: the hosts of one side see each other and
// nobody else.
type Split struct{ Side Target }

func (f Split) String() string { return sentence(f) }

func (f Split) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	side, _ := f.Side.hosts(c, luck)
	return cutBothWays(c, side, others(everyone(c), side))
}

// Bridge splits the servers in two halves by luck; one host sees both, and so
// do the clients.
type Bridge struct{ Bridge Target }

func (f Bridge) String() string { return sentence(f) }

func (f Bridge) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	bridge, _ := f.Bridge.hosts(c, luck)
	rest := others(others(everyone(c), c.Clients()), bridge)
	left := pick(rest, len(rest)/2, luck)
	return cutBothWays(c, left, others(rest, left))
}

// CutFromControllers leaves a broker its peers and its clients, but no
// controller: it is fenced and does not know.
type CutFromControllers struct{ Host Target }

func (f CutFromControllers) String() string { return sentence(f) }

func (f CutFromControllers) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	hosts, _ := f.Host.hosts(c, luck)
	return cutBothWays(c, hosts, others(c.Controllers(), hosts))
}

// CutOneWay stops what one sends to the other. The way back works.
type CutOneWay struct{ From, To Target }

func (f CutOneWay) String() string { return sentence(f) }

func (f CutOneWay) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	from, _ := f.From.hosts(c, luck)
	to, _ := f.To.hosts(c, luck)
	return cut(c, from, to)
}

// SlowLink makes everything from one to the other take longer.
type SlowLink struct {
	From, To Target
	By       time.Duration
}

func (f SlowLink) String() string { return sentence(f) }

func (f SlowLink) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	from, _ := f.From.hosts(c, luck)
	to, _ := f.To.hosts(c, luck)
	var heals []func()
	for _, a := range from {
		for _, b := range others(to, []string{a}) {
			l := c.World().Network().Link(a, b)
			l.Profile.Latency += f.By
			heals = append(heals, func() { l.Profile.Latency -= f.By })
		}
	}
	return all(heals)
}

// LossyLink loses packets to and from a host. A stream shows loss as delay,
// and a sender that waits too long gives up: now and then one of its
// connections is reset.
type LossyLink struct {
	PerMille int
	Host     Target
}

func (f LossyLink) String() string { return sentence(f) }

func (f LossyLink) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	hosts, _ := f.Host.hosts(c, luck)
	lossIn := uint64(max(1, 1000/max(1, f.PerMille)))
	var heals []func()
	for _, h := range hosts {
		for _, peer := range others(everyone(c), []string{h}) {
			for _, l := range []*network.Link{c.World().Network().Link(h, peer), c.World().Network().Link(peer, h)} {
				before := l.Profile.LossIn
				l.Profile.LossIn = lossIn
				heals = append(heals, func() { l.Profile.LossIn = before })
			}
		}
		heals = append(heals, resetNowAndThen(c, h, luck))
	}
	return all(heals)
}

// resetNowAndThen breaks the connections of a host with one peer every few
// seconds.
func resetNowAndThen(c Cluster, host string, luck *rand.Rand) (heal func()) {
	healed := false
	var again func()
	again = func() {
		c.World().After(time.Second+time.Duration(luck.Int64N(int64(4*time.Second))), "fault", func() {
			if healed {
				return
			}
			peers := others(everyone(c), []string{host})
			c.World().Network().Reset(host, peers[luck.IntN(len(peers))])
			again()
		})
	}
	again()
	return func() { healed = true }
}

// Swizzle clogs hosts one after another and unclogs them in another order:
// FoundationDB's finders of bugs swear by it. It lasts as long as it is left.
type Swizzle struct{ Hosts Target }

func (f Swizzle) String() string { return sentence(f) }

// swizzleStep is how long after one host the next is clogged.
const swizzleStep = 700 * time.Millisecond

func (f Swizzle) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	hosts, _ := f.Hosts.hosts(c, luck)
	luck.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	healed := false
	heals := make([]func(), len(hosts))
	for i, h := range hosts {
		c.World().After(time.Duration(i)*swizzleStep, "fault", func() {
			if !healed {
				heals[i] = cutBothWays(c, []string{h}, others(everyone(c), []string{h}))
			}
		})
	}
	order := luck.Perm(len(hosts))
	return func() {
		healed = true
		for step, i := range order {
			if heals[i] != nil {
				c.World().After(time.Duration(step)*swizzleStep, "fault", heals[i])
			}
		}
	}
}

// LateDelivery stalls the connections that there are now. Clients give up and
// open new ones; what was sent on the old ones arrives in the end, and is
// executed, after younger requests.
type LateDelivery struct {
	From, To Target
	By       time.Duration
}

func (f LateDelivery) String() string { return sentence(f) }

func (f LateDelivery) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	from, _ := f.From.hosts(c, luck)
	to, _ := f.To.hosts(c, luck)
	for _, a := range from {
		for _, b := range others(to, []string{a}) {
			c.World().Network().Stall(a, b, f.By)
		}
	}
	return func() {} // what is late arrives; nothing is left to heal
}

// Reset breaks every connection of a host; both ends are told.
type Reset struct{ Host Target }

func (f Reset) String() string { return sentence(f) }

func (f Reset) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		for _, peer := range others(everyone(c), []string{h.Name()}) {
			c.World().Network().Reset(h.Name(), peer)
		}
		return nil
	})
}

// HalfOpen makes a host's end of every connection vanish without a word: the
// peer believes in it until it writes.
type HalfOpen struct{ Host Target }

func (f HalfOpen) String() string { return sentence(f) }

func (f HalfOpen) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		for _, peer := range others(everyone(c), []string{h.Name()}) {
			c.World().Network().HalfOpen(h.Name(), peer)
		}
		return nil
	})
}
