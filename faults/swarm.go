package faults

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Family is a kind of trouble that a swarm switches on or off as a whole.
type Family string

// The families.
const (
	Crashes     Family = "crashes"    // kill -9
	PowerCuts   Family = "power cuts" // unsynced writes are lost
	Pauses      Family = "pauses"     // of servers
	Clients     Family = "clients"    // killed, paused, cut off
	Restarts    Family = "restarts"   // controlled shutdowns
	Partitions  Family = "partitions" // isolate, split, bridge, swizzle
	OneWayCuts  Family = "one-way cuts"
	Controllers Family = "controllers" // brokers cut from them, fail-over
	SlowNet     Family = "slow network"
	LateBytes   Family = "late delivery" // stalls, resets, half-open connections
	SlowDisks   Family = "slow disks"
	Clocks      Family = "clocks"
	Leadership  Family = "leadership" // moves without deaths
)

// EveryFamily lists them all.
var EveryFamily = []Family{
	Crashes, PowerCuts, Pauses, Clients, Restarts, Partitions, OneWayCuts,
	Controllers, SlowNet, LateBytes, SlowDisks, Clocks, Leadership,
}

// Swarm draws a plan from the seed: for each run which families are on, how
// often they strike, how long they last. Few families at a time find more than
// all at once, because one kind of trouble hides another.
type Swarm struct {
	// Topic is where leaders are aimed at, with this many partitions.
	Topic      string
	Partitions int32
	// Families that may be on; nil: EveryFamily.
	Families []Family
}

// quiet is how long a run is left in peace at its start.
const quiet = 2 * time.Second

// Draw draws a plan for a safety phase of that length.
func (s Swarm) Draw(luck *rand.Rand, c Cluster, safety time.Duration) Plan {
	families := s.choose(luck)
	gap := time.Second + time.Duration(luck.Int64N(int64(5*time.Second)))
	length := 500*time.Millisecond + time.Duration(luck.Int64N(int64(10*time.Second)))
	var p Plan
	for at := quiet + around(luck, gap); at < safety; at += around(luck, gap) {
		family := families[luck.IntN(len(families))]
		fault := s.draw(family, luck)
		p = append(p, Timed{At: at, For: min(around(luck, length), safety-at), Fault: fault})
	}
	return p
}

// choose picks two to four families.
func (s Swarm) choose(luck *rand.Rand) []Family {
	families := slices.Clone(s.Families)
	if families == nil {
		families = slices.Clone(EveryFamily)
	}
	n := min(len(families), 2+luck.IntN(3))
	luck.Shuffle(len(families), func(i, j int) { families[i], families[j] = families[j], families[i] })
	return families[:n]
}

// around draws a duration between a tenth and twice of d, in whole milliseconds.
func around(luck *rand.Rand, d time.Duration) time.Duration {
	return (d/10 + time.Duration(luck.Int64N(int64(2*d)))).Truncate(time.Millisecond)
}

// draw draws one fault of a family.
func (s Swarm) draw(family Family, luck *rand.Rand) Fault {
	leader := Leader(s.Topic, luck.Int32N(max(1, s.Partitions)))
	victim := one(luck, leader, AnyBroker, AnyBroker, ActiveController, AnyController)
	broker := one(luck, leader, AnyBroker)
	switch family {
	case Crashes:
		return Kill{victim}
	case PowerCuts:
		return PowerOff{victim}
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
	case Clocks:
		return one[Fault](luck, StepClock{victim, time.Duration(luck.Int64N(int64(4*time.Hour)) - int64(2*time.Hour)).Truncate(time.Second)}, DriftClock{victim, luck.Int64N(100_000) - 50_000})
	case Leadership:
		p := luck.Int32N(max(1, s.Partitions))
		return one[Fault](luck, MoveLeader{s.Topic, p}, PingPong{s.Topic, p, time.Duration(50+luck.Int64N(1000)) * time.Millisecond}, ElectPreferred{}, ResignController{})
	}
	panic("faults: family " + string(family) + " draws nothing")
}

// one picks one of several.
func one[T any](luck *rand.Rand, of ...T) T { return of[luck.IntN(len(of))] }
