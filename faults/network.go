package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/network"
)

// allHosts is every host of the cluster and its clients.
func allHosts(c Cluster) []string {
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

// isolate cuts one host off.
func isolate(c Cluster, host string) (heal func()) {
	return cutBothWays(c, []string{host}, others(allHosts(c), []string{host}))
}

// Isolate cuts a host off from every other, in both directions.
type Isolate struct{ Host Target }

func (f Isolate) String() string { return sentence(f) }

func (f Isolate) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	hosts, _ := f.Host.hosts(c, luck)
	var heals []func()
	for _, h := range hosts {
		heals = append(heals, isolate(c, h))
	}
	return all(heals)
}

// Split is a network partition: the hosts of one side see only each other.
type Split struct{ Side Target }

func (f Split) String() string { return sentence(f) }

func (f Split) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	side, _ := f.Side.hosts(c, luck)
	return cutBothWays(c, side, others(allHosts(c), side))
}

// Bridge splits the servers in two halves by luck; one host sees both, and so
// do the clients.
type Bridge struct{ Bridge Target }

func (f Bridge) String() string { return sentence(f) }

func (f Bridge) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	bridge, _ := f.Bridge.hosts(c, luck)
	rest := others(others(allHosts(c), c.Clients()), bridge)
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

func (f SlowLink) Check() error { return atLeast("delay", f.By, 0) }

func (f SlowLink) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	from, _ := f.From.hosts(c, luck)
	to, _ := f.To.hosts(c, luck)
	var heals []func()
	for _, a := range from {
		for _, b := range others(to, []string{a}) {
			heals = append(heals, trouble(c, a, b, network.Trouble{Delay: f.By}))
		}
	}
	return all(heals)
}

// trouble is put on the link from one host to another.
func trouble(c Cluster, from, to string, t network.Trouble) (heal func()) {
	l := c.World().Network().Link(from, to)
	l.Add(&t)
	return func() { l.Remove(&t) }
}

// LossyLink loses packets to and from a host. A stream shows loss as delay,
// and a sender that waits too long gives up: now and then one of its
// connections is reset.
type LossyLink struct {
	PerMille int
	Host     Target
}

func (f LossyLink) String() string { return sentence(f) }

func (f LossyLink) Check() error {
	if f.PerMille < 1 || f.PerMille > 1000 {
		return fmt.Errorf("found a loss of %d in 1000 packets, expected between 1 and 1000", f.PerMille)
	}
	return nil
}

func (f LossyLink) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	hosts, _ := f.Host.hosts(c, luck)
	loss := network.Trouble{Loss: f.PerMille}
	var heals []func()
	for _, h := range hosts {
		for _, peer := range others(allHosts(c), []string{h}) {
			heals = append(heals, trouble(c, h, peer, loss), trouble(c, peer, h, loss))
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
			if peers := others(allHosts(c), []string{host}); len(peers) > 0 {
				c.World().Network().Reset(host, peers[luck.IntN(len(peers))])
			}
			again()
		})
	}
	again()
	return func() { healed = true }
}

// Swizzle clogs hosts one after another until all are cut off, and unclogs them
// in another order, over and over: FoundationDB's finders of bugs swear by it.
// The cure unclogs every host that is clogged.
type Swizzle struct{ Hosts Target }

func (f Swizzle) String() string { return sentence(f) }

// swizzleStep is how long after one host the next has its turn.
const swizzleStep = 700 * time.Millisecond

func (f Swizzle) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	hosts, _ := f.Hosts.hosts(c, luck)
	clogs := make([]func(), len(hosts)) // the cures of those that are clogged
	healed := false
	var turn func(order []int)
	turn = func(order []int) {
		if healed || len(hosts) == 0 {
			return
		}
		if len(order) == 0 {
			order = luck.Perm(len(hosts))
		}
		if i := order[0]; clogs[i] == nil {
			clogs[i] = isolate(c, hosts[i])
		} else {
			clogs[i]()
			clogs[i] = nil
		}
		c.World().After(swizzleStep, "fault", func() { turn(order[1:]) })
	}
	turn(nil)
	return func() {
		healed = true
		all(clogs)()
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

func (f LateDelivery) Momentary() {}

func (f LateDelivery) Within(most time.Duration) Fault {
	f.By = min(f.By, most)
	return f
}

func (f LateDelivery) Check() error { return atLeast("delay", f.By, 0) }

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

// Reset breaks every connection of a host; both ends hear of it.
type Reset struct{ Host Target }

func (f Reset) String() string { return sentence(f) }

func (f Reset) Momentary() {}

func (f Reset) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		for _, peer := range others(allHosts(c), []string{h.Name()}) {
			c.World().Network().Reset(h.Name(), peer)
		}
		return nil
	})
}

// HalfOpen makes a host's end of every connection vanish without a word: the
// peer believes in it until it writes.
type HalfOpen struct{ Host Target }

func (f HalfOpen) String() string { return sentence(f) }

func (f HalfOpen) Momentary() {}

func (f HalfOpen) Inject(c Cluster, luck *rand.Rand) (heal func()) {
	return each(c, f.Host, luck, func(h *sim.Host) func() {
		for _, peer := range others(allHosts(c), []string{h.Name()}) {
			c.World().Network().HalfOpen(h.Name(), peer)
		}
		return nil
	})
}
