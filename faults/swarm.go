package faults

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ktrial/ktrial/sim/kernel"
)

// Family is a kind of trouble that a swarm switches on or off as a whole.
type Family string

// The families.
const (
	Crashes     Family = "crashes"    // kill -9
	PowerCuts   Family = "power cuts" // unsynced writes are lost or torn
	Pauses      Family = "pauses"     // of servers
	Clients     Family = "clients"    // killed, paused, cut off
	Restarts    Family = "restarts"   // controlled shutdowns
	Partitions  Family = "partitions" // isolate, split, bridge, swizzle
	OneWayCuts  Family = "one-way cuts"
	Controllers Family = "controllers"   // brokers cut from them, fail-over
	SlowNet     Family = "slow network"  // and lossy
	LateBytes   Family = "late delivery" // stalls, resets, half-open connections
	SlowDisks   Family = "slow disks"
	BrokenDisks Family = "broken disks" // full, failing: the process gives up
	Clocks      Family = "clocks"
	Leadership  Family = "leadership" // moves without deaths

	// Outages: the power goes after a controlled shutdown.
	Outages Family = "cold stops"

	// Of consumer groups, if the swarm has one.
	GroupMembers Family = "group members" // killed, paused, stopped, cut off
	Coordinators Family = "coordinators"  // moved, killed, isolated, cut off

	// Growth: a topic is given more partitions, if the swarm says that it grows.
	Growth Family = "growth"

	// Transactions: of a transactional id, if the swarm has one: its coordinator is moved,
	// killed, isolated, cut off; it hears of what clients sent long ago.
	Transactions Family = "transactions"
)

// EveryFamily lists them all. Disks that lie, rot, lose or come back empty are
// in none: they take more than a configuration promises to survive, so a
// scenario that wants them says so. Outages are for scenarios that name them, too:
// one family more would draw other plans for every seed there is.
var EveryFamily = []Family{
	Crashes, PowerCuts, Pauses, Clients, Restarts, Partitions, OneWayCuts,
	Controllers, SlowNet, LateBytes, SlowDisks, BrokenDisks, Clocks, Leadership,
}

// Swarm draws a plan from the seed: for each run which families are on, how
// often they strike, how long they last. Few families at a time find more than
// all at once, because one kind of trouble hides another.
//
// Each family draws from a stream of its own, so that a new family, or a new
// fault in another one, does not shift what it does.
type Swarm struct {
	// Topic is where leaders are aimed at, with this many partitions.
	Topic      string
	Partitions int32
	// Group is the consumer group whose members and coordinator are struck too;
	// empty: none.
	Group string
	// TransactionalID is one whose coordinator is struck too; empty: none.
	TransactionalID string
	// Grows: the topic is given partitions, too.
	Grows bool
	// Families that may be on; nil: EveryFamily, those of groups if there is one, Growth if
	// the topic grows, and Transactions if there is a transactional id.
	Families []Family
}

const (
	// quiet is how long a run is left in peace at its start.
	quiet = 2 * time.Second
	// shortest is the least that a fault lasts.
	shortest = 200 * time.Millisecond
)

// Draw draws a plan for a safety phase of that length, in which everything is
// healed.
func (s Swarm) Draw(luck *rand.Rand, c Cluster, safety time.Duration) Plan {
	seed := luck.Uint64()
	var p Plan
	for _, family := range s.choose(seed) {
		p = append(p, s.strikes(family, kernel.Stream(seed, "strikes of "+string(family)), c, safety)...)
	}
	slices.SortStableFunc(p, func(a, b Timed) int { return cmp.Compare(a.At, b.At) })
	return p
}

// choose picks two to four families: each draws a lot, and the lowest are on.
func (s Swarm) choose(seed uint64) []Family {
	families := slices.Clone(s.Families)
	if families == nil {
		families = slices.Clone(EveryFamily)
		if s.Group != "" {
			families = append(families, GroupMembers, Coordinators)
		}
		if s.TransactionalID != "" {
			families = append(families, Transactions)
		}
		if s.Grows {
			families = append(families, Growth)
		}
	}
	lot := func(f Family) uint64 { return kernel.Stream(seed, "lot of "+string(f)).Uint64() }
	slices.SortFunc(families, func(a, b Family) int { return cmp.Compare(lot(a), lot(b)) })
	return families[:min(len(families), 2+kernel.Stream(seed, "families").IntN(3))]
}

// strikes draws when one family strikes, how, and for how long.
func (s Swarm) strikes(family Family, luck *rand.Rand, c Cluster, safety time.Duration) Plan {
	gap := min(2*time.Second+upTo(luck, 13*time.Second), safety/4)
	length := 500*time.Millisecond + upTo(luck, 10*time.Second)
	var p Plan
	for at := quiet + upTo(luck, gap); at+shortest <= safety; at += around(luck, gap) {
		t := Timed{At: at, For: max(shortest, around(luck, length))}
		t.Fault = s.draw(family, luck, c)
		p = append(p, t.within(safety))
	}
	return p
}

// within shortens what would last longer than the safety phase.
func (t Timed) within(safety time.Duration) Timed {
	left := safety - t.At
	t.For = min(t.For, left)
	if f, ok := t.Fault.(Shortened); ok {
		t.Fault = f.Within(left)
	}
	if IsMomentary(t.Fault) {
		t.For = 0
	}
	return t
}

// upTo draws a duration below d, in whole milliseconds.
func upTo(luck *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(luck.Int64N(max(1, int64(d)))).Truncate(time.Millisecond)
}

// around draws a duration between a tenth and twice of d, in whole milliseconds.
func around(luck *rand.Rand, d time.Duration) time.Duration {
	return max(time.Millisecond, (d/10 + upTo(luck, 2*d)).Truncate(time.Millisecond))
}

// draw draws one fault of a family.
func (s Swarm) draw(family Family, luck *rand.Rand, c Cluster) Fault {
	leader := Leader(s.Topic, luck.Int32N(max(1, s.Partitions)))
	victim := one(luck, leader, AnyBroker, AnyBroker, ActiveController, AnyController)
	broker := one(luck, leader, AnyBroker)
	// Mostly one goes down, at times several at once.
	fallen := one(luck, victim, victim, victim, victim, victim, Brokers(2), AllControllers, s.manyBrokers(luck, c))
	switch family {
	case Crashes:
		return Kill{fallen}
	case PowerCuts:
		return one[Fault](luck, PowerOff{fallen}, PowerOff{fallen}, TornWrite{victim})
	case Pauses:
		return Pause{victim}
	case Clients:
		return one[Fault](luck, Kill{AnyClient}, Pause{AnyClient}, Isolate{AnyClient}, CutOneWay{broker, AnyClient}, Reset{AnyClient})
	case Restarts:
		return one[Fault](luck, Stop{broker}, RollingRestart{AllBrokers, time.Second})
	case Partitions:
		return one[Fault](luck, Isolate{victim}, Isolate{leader}, Split{Brokers(1)}, Split{Brokers(2)}, Bridge{AnyBroker}, Swizzle{AllBrokers}, Swizzle{AllControllers})
	case OneWayCuts:
		return one[Fault](luck, CutOneWay{broker, AllBrokers}, CutOneWay{AllBrokers, broker}, CutOneWay{AnyController, AllControllers}, CutOneWay{AllControllers, AnyController})
	case Controllers:
		return one[Fault](luck, CutFromControllers{broker}, CutFromControllers{leader}, ResignController{}, Kill{ActiveController}, Isolate{ActiveController})
	case SlowNet:
		by := time.Duration(1+luck.Int64N(300)) * time.Millisecond
		return one[Fault](luck, SlowLink{AllBrokers, broker, by}, SlowLink{broker, AllBrokers, by}, SlowLink{broker, AllControllers, by}, LossyLink{1 + luck.IntN(200), broker})
	case LateBytes:
		by := time.Duration(1+luck.Int64N(40)) * time.Second
		return one[Fault](luck, LateDelivery{AllBrokers, AllControllers, by}, LateDelivery{AllClients, broker, by}, LateDelivery{AllControllers, AllBrokers, by}, LateDelivery{broker, AllClients, by}, Reset{victim}, HalfOpen{victim})
	case SlowDisks:
		return SlowFsync{victim, time.Duration(1+luck.Int64N(2000)) * time.Millisecond}
	case BrokenDisks:
		return one[Fault](luck, DiskFull{victim}, DiskError{victim}, FailFsync{victim})
	case Clocks:
		return one[Fault](luck, StepClock{victim, time.Duration(luck.Int64N(int64(4*time.Hour)) - int64(2*time.Hour)).Truncate(time.Second)}, DriftClock{victim, luck.Int64N(100_000) - 50_000})
	case Leadership:
		p := luck.Int32N(max(1, s.Partitions))
		return one[Fault](luck, MoveLeader{s.Topic, p}, PingPong{s.Topic, p, time.Duration(50+luck.Int64N(1000)) * time.Millisecond}, ElectPreferred{}, ResignController{})
	case Outages:
		return StopAndPowerOff{victim}
	case GroupMembers:
		return s.drawOfMembers(luck)
	case Coordinators:
		return s.drawOfCoordinator(luck)
	case Transactions:
		return s.drawOfTransactions(luck)
	case Growth:
		return AddPartitions{1 + luck.Int32N(2), s.Topic}
	}
	panic("faults: family " + string(family) + " draws nothing")
}

// manyBrokers is a rack, where there are racks, or every broker.
func (s Swarm) manyBrokers(luck *rand.Rand, c Cluster) Target {
	if c != nil {
		brokers := c.Brokers()
		if rack := c.Rack(brokers[luck.IntN(len(brokers))]); rack != "" {
			return Rack(rack)
		}
	}
	return AllBrokers
}

// one picks one of several.
func one[T any](luck *rand.Rand, of ...T) T { return of[luck.IntN(len(of))] }

// drawOfMembers draws what happens to members of the group. A pause may be longer
// than the session, and then the member wakes up as a zombie.
func (s Swarm) drawOfMembers(luck *rand.Rand) Fault {
	member, all := Member(s.Group), Members(s.Group)
	return one[Fault](luck, Kill{member}, Kill{member}, Pause{member}, Pause{member}, Stop{member}, Stop{member},
		Isolate{member}, Reset{member}, Kill{all}, RollingRestart{all, time.Duration(luck.Int64N(int64(5 * time.Second))).Truncate(time.Millisecond)})
}

// drawOfCoordinator draws what happens to the coordinator of the group.
func (s Swarm) drawOfCoordinator(luck *rand.Rand) Fault {
	coordinator := Coordinator(s.Group)
	return one[Fault](luck, MoveCoordinator{s.Group}, MoveCoordinator{s.Group},
		PingPongCoordinator{s.Group, time.Duration(50+luck.Int64N(1000)) * time.Millisecond},
		Kill{coordinator}, Isolate{coordinator}, CutOneWay{coordinator, AllClients}, CutOneWay{Members(s.Group), coordinator},
		Pause{coordinator}, CutFromControllers{coordinator}, LateDelivery{Members(s.Group), coordinator, time.Duration(1+luck.Int64N(40)) * time.Second},
		SlowFsync{coordinator, time.Duration(1+luck.Int64N(2000)) * time.Millisecond})
}

// drawOfTransactions draws what happens to the coordinator of the transactional id. What
// clients ask of it may arrive when they have given up: an EndTxn that is late.
func (s Swarm) drawOfTransactions(luck *rand.Rand) Fault {
	coordinator := TransactionCoordinator(s.TransactionalID)
	return one[Fault](luck, MoveTransactionCoordinator{s.TransactionalID}, MoveTransactionCoordinator{s.TransactionalID},
		PingPongTransactionCoordinator{s.TransactionalID, time.Duration(50+luck.Int64N(1000)) * time.Millisecond},
		Kill{coordinator}, Isolate{coordinator}, CutOneWay{coordinator, AllClients}, CutOneWay{coordinator, AllBrokers},
		Pause{coordinator}, CutFromControllers{coordinator},
		LateDelivery{AllClients, coordinator, time.Duration(1+luck.Int64N(40)) * time.Second},
		SlowFsync{coordinator, time.Duration(1+luck.Int64N(2000)) * time.Millisecond})
}
