package faults

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/sim/disk"
)

// lasting are the faults that go on until they are cured, and how each shows.
var lasting = map[string]func(s *stage) bool{
	"kill broker-2":               func(s *stage) bool { return s.down("broker-2") },
	"kill broker-1+controller-1":  func(s *stage) bool { return s.down("broker-1", "controller-1") },
	"power off broker-2":          func(s *stage) bool { return s.down("broker-2") },
	"power off rack a":            func(s *stage) bool { return s.down("broker-1", "broker-2") && !s.down("broker-3") },
	"kill all brokers":            func(s *stage) bool { return s.down(s.Brokers()...) },
	"stop leader of orders/0":     func(s *stage) bool { return s.down("broker-1") },
	"stop and power off broker-2": func(s *stage) bool { return s.down("broker-2") },
	"wipe broker-2":               func(s *stage) bool { return s.down("broker-2") && len(s.w.Host("broker-2").Disk().Files()) == 0 },
	"tear next write of broker-2": func(s *stage) bool {
		return s.down("broker-2")
	},
	"pause broker-2": func(s *stage) bool { return s.w.Host("broker-2").IsPaused() },

	"isolate broker-2": func(s *stage) bool {
		return s.apart("broker-2", "broker-1") && s.apart("broker-2", "client-1") && s.close("broker-1", "client-1")
	},
	"split broker-1+broker-2 from the rest": func(s *stage) bool {
		return s.close("broker-1", "broker-2") && s.apart("broker-1", "broker-3") && s.close("broker-3", "client-1")
	},
	"split around broker-2": func(s *stage) bool {
		cut := 0
		for _, h := range others(append(s.Brokers(), s.Controllers()...), []string{"broker-2"}) {
			if !s.close("broker-2", h) || !s.close("client-1", h) {
				return false
			}
			if s.apart("broker-1", h) {
				cut++
			}
		}
		return cut >= 2
	},
	"cut broker-2 from the controllers": func(s *stage) bool {
		return s.apart("broker-2", "controller-1") && s.apart("broker-2", "controller-3") && s.close("broker-2", "broker-1") && s.close("broker-2", "client-1")
	},
	"cut broker-1 to broker-2": func(s *stage) bool { return s.deaf("broker-1", "broker-2") && s.close("broker-1", "broker-3") },
	"slow broker-1 to broker-2 by 300ms": func(s *stage) bool {
		return s.slow("broker-1", "broker-2") && !s.slow("broker-2", "broker-1")
	},
	"lose 300 in 1000 packets of broker-2": func(s *stage) bool {
		return s.slow("broker-1", "broker-2") && s.slow("broker-2", "client-1") && !s.slow("broker-1", "broker-3")
	},

	"slow fsync of broker-2 by 800ms": func(s *stage) bool { return s.disks["broker-2"].took > 200*time.Millisecond },
	"fail fsync of broker-2":          func(s *stage) bool { return s.down("broker-2") },
	"fill disk of broker-2":           func(s *stage) bool { return s.down("broker-2") },
	"fail disk of broker-2":           func(s *stage) bool { return s.down("broker-2") },

	"step clock of broker-2 by -1h0m0s":   func(s *stage) bool { return s.wall("broker-2") < -30*time.Minute },
	"drift clock of broker-2 by 5000 ppm": func(s *stage) bool { return s.ppm("broker-2") > 4000 },
}

func TestALastingFaultStrikesAndIsCured(t *testing.T) {
	for text, shows := range lasting {
		t.Run(text, func(t *testing.T) {
			s := newStage(t, 1)
			require.Empty(t, s.ill())
			require.False(t, shows(s), "it shows before it strikes")
			heal := s.strike(text)
			s.run(1500 * time.Millisecond)
			assert.True(t, shows(s), "it does not show")
			heal()
			heal() // a cure works once
			s.run(5 * time.Second)
			assert.False(t, shows(s), "it is not cured")
			assert.Empty(t, s.ill())
		})
	}
}

// Two of a kind overlap: it is over when both are cured, whichever came first.
func TestALastingFaultOverlapsItself(t *testing.T) {
	for text, shows := range lasting {
		for _, order := range []string{"first", "second"} {
			t.Run(text+", cured "+order, func(t *testing.T) {
				s := newStage(t, 2)
				one := s.strike(text)
				s.run(1200 * time.Millisecond)
				two := s.strike(text)
				s.run(500 * time.Millisecond)
				if order == "second" {
					one, two = two, one
				}
				one()
				s.run(2 * time.Second)
				if text != "split around broker-2" { // each splits the rest otherwise
					assert.True(t, shows(s), "the cure of one cured both")
				}
				two()
				s.run(5 * time.Second)
				assert.False(t, shows(s), "it is not cured")
				assert.Empty(t, s.ill())
			})
		}
	}
}

// A cure comes before what its fault would have done: an fsync that is slow and
// was to fail does not fail when it is cured meanwhile.
func TestACureIsInTimeForASlowFsync(t *testing.T) {
	s := newStage(t, 0)
	slow := s.strike("slow fsync of broker-2 by 800ms")
	fail := s.strike("fail fsync of broker-2")
	s.run(200 * time.Millisecond)
	require.False(t, s.down("broker-2"), "it was to be under way still")
	fail()
	slow()
	s.run(5 * time.Second)
	assert.Empty(t, s.ill())
}

// Whatever overlaps, and in whatever order it is cured, all is well after the
// last cure.
func TestCuresCommute(t *testing.T) {
	texts := []string{"swizzle all controllers", "swizzle all brokers", "restart all brokers one by one, each down for 400ms", "lie about fsync of any broker", "lose a write of any broker", "step clock of any broker by 2s", "drift clock of any broker by -999999 ppm"}
	for text := range lasting {
		texts = append(texts, text)
	}
	slices.Sort(texts) // so that a failure that rapid kept is the same failure again
	rapid.Check(t, func(rt *rapid.T) {
		s := newStage(t, rapid.Uint64().Draw(rt, "seed"))
		before := map[string]int64{}
		for _, h := range s.Brokers() {
			before[h] = s.ppm(h)
		}
		var heals []func()
		heal := func() {
			i := rapid.IntRange(0, len(heals)-1).Draw(rt, "which")
			heals[i]()
			heals = append(heals[:i], heals[i+1:]...)
		}
		for range rapid.IntRange(2, 8).Draw(rt, "faults") {
			heals = append(heals, s.strike(rapid.SampledFrom(texts).Draw(rt, "fault")))
			s.run(time.Duration(rapid.IntRange(0, 2500).Draw(rt, "wait")) * time.Millisecond)
			if rapid.Bool().Draw(rt, "heal one") {
				heal()
			}
		}
		for len(heals) > 0 {
			heal()
			s.run(time.Duration(rapid.IntRange(0, 500).Draw(rt, "wait")) * time.Millisecond)
		}
		s.run(8 * time.Second)
		for h, ppm := range before {
			require.InDelta(rt, ppm, s.ppm(h), 2, "%s runs at another rate", h)
		}
		ill := s.ill()
		for _, h := range s.Brokers() { // a drift that was cured leaves its offset
			ill = others(ill, []string{h + " has a wrong clock"})
		}
		require.Empty(rt, ill)
	})
}

func TestSwizzle(t *testing.T) {
	s := newStage(t, 1)
	heal := s.strike("swizzle all controllers")
	cut := func() (n int) {
		for _, h := range s.Controllers() {
			if !s.w.Network().Link(h, "broker-1").Open() {
				n++
			}
		}
		return n
	}
	var story []int
	for range 12 {
		story = append(story, cut())
		s.run(swizzleStep)
	}
	assert.Equal(t, []int{1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0}, story)
	s.run(swizzleStep)
	heal() // half clogged
	assert.Zero(t, cut())
	s.run(5 * time.Second)
	assert.Zero(t, cut(), "a swizzle went on after its cure")
	assert.Empty(t, s.ill())
}

func TestRollingRestart(t *testing.T) {
	s := newStage(t, 1)
	lives := func() (all []int) {
		for _, h := range s.Brokers() {
			all = append(all, s.w.Host(h).Incarnation())
		}
		return all
	}
	heal := s.strike("restart all brokers one by one, each down for 1s")
	for i := range 3 {
		s.run(time.Second)
		assert.True(t, s.down(s.Brokers()[i]), "it is the turn of %s", s.Brokers()[i])
		assert.Len(t, s.running(), 6, "one at a time")
		s.run(1300 * time.Millisecond)
	}
	assert.Equal(t, []int{2, 2, 2}, lives())
	heal()
	s.run(5 * time.Second)
	assert.Equal(t, []int{2, 2, 2}, lives())
	assert.Empty(t, s.ill())

	s.registers = 3 * time.Second // the session of its last process must end first
	heal = s.strike("restart all brokers one by one, each down for 1s")
	s.run(4200 * time.Millisecond)
	assert.Equal(t, []int{3, 2, 2}, lives(), "the next follows when the first serves again")
	assert.Len(t, s.running(), 7)
	s.run(time.Second)
	assert.True(t, s.down(s.Brokers()[1]))
	heal()
	s.run(5 * time.Second)

	heal = s.strike("restart all brokers one by one, each down for 1s")
	s.run(100 * time.Millisecond)
	heal() // while the first is on its way down
	s.run(5 * time.Second)
	assert.Equal(t, []int{4, 3, 2}, lives(), "the round went on after its cure")
	assert.Empty(t, s.ill())
}

// What a cure starts is not what another fault keeps down.
func TestACureStartsOnlyItsOwnVictim(t *testing.T) {
	for _, short := range []string{"kill broker-2", "power off broker-2", "stop broker-2", "fill disk of broker-2", "fail disk of broker-2", "wipe broker-2", "tear next write of broker-2", "restart broker-2 one by one, each down for 100ms"} {
		s := newStage(t, 3)
		long := s.strike("kill broker-2")
		heal := s.strike(short)
		s.run(2 * time.Second)
		heal()
		s.run(2 * time.Second)
		assert.True(t, s.down("broker-2"), short)
		long()
		s.run(5 * time.Second)
		assert.Empty(t, s.ill(), short)
	}
}

func TestAPauseEndsWithItsProcess(t *testing.T) {
	s := newStage(t, 3)
	resume := s.strike("pause broker-2")
	start := s.strike("kill broker-2")
	start()
	s.run(time.Second)
	assert.False(t, s.w.Host("broker-2").IsPaused(), "the new process was never paused")
	again := s.strike("pause broker-2")
	resume()
	assert.True(t, s.w.Host("broker-2").IsPaused(), "a cure resumed a process that its fault did not pause")
	again()
	s.run(5 * time.Second)
	assert.Empty(t, s.ill())
}

func TestLateDelivery(t *testing.T) {
	s := newStage(t, 1)
	s.strike("deliver broker-1 to broker-2 late by 3s")()
	s.run(900 * time.Millisecond)
	assert.True(t, s.deaf("broker-1", "broker-2"), "what is sent now is late")
	s.run(1500 * time.Millisecond)
	assert.False(t, s.deaf("broker-1", "broker-2"), "a new connection overtakes")
	assert.Zero(t, s.seen[[2]string{"broker-1", "broker-2"}].overtaken)
	s.run(2 * time.Second)
	assert.Positive(t, s.seen[[2]string{"broker-1", "broker-2"}].overtaken, "what was late did not arrive")
	s.run(time.Second)
	assert.Empty(t, s.ill())
}

func TestReset(t *testing.T) {
	s := newStage(t, 1)
	s.strike("reset connections of broker-2")()
	s.run(time.Second)
	assert.Equal(t, 6, s.resets["broker-2"])
	assert.Equal(t, 1, s.resets["client-1"])
	assert.Empty(t, s.ill(), "they connect again")
}

func TestHalfOpen(t *testing.T) {
	s := newStage(t, 1)
	s.strike("drop connections of broker-2 silently")()
	s.run(700 * time.Millisecond)
	assert.True(t, s.apart("broker-2", "broker-1"))
	s.run(2 * time.Second)
	assert.Zero(t, s.resets["broker-2"], "no peer was told")
	assert.Empty(t, s.ill())
}

func TestLossAlsoResets(t *testing.T) {
	s := newStage(t, 1)
	heal := s.strike("lose 10 in 1000 packets of broker-2")
	s.run(12 * time.Second)
	heal()
	resets := s.resets["broker-2"]
	assert.Positive(t, resets)
	s.run(12 * time.Second)
	assert.Equal(t, resets, s.resets["broker-2"], "it goes on after the cure")
}

func TestLyingFsync(t *testing.T) {
	lost := 0
	for seed := range uint64(5) {
		s := newStage(t, seed)
		honest := s.disks["broker-2"].synced
		heal := s.strike("lie about fsync of broker-2")
		s.run(time.Second)
		x := s.disks["broker-2"]
		require.Greater(t, x.synced, honest)
		s.strike("power off broker-2")()
		s.run(10 * time.Millisecond)
		require.GreaterOrEqual(t, x.recovered, honest, "what was synced honestly is there")
		if x.recovered < x.synced {
			lost++
		}
		heal()
		s.run(time.Second)
		promised := x.synced
		s.strike("power off broker-2")()
		s.run(10 * time.Millisecond)
		require.GreaterOrEqual(t, x.recovered, promised, "it lies after the cure")
	}
	assert.Positive(t, lost)
}

// flaws are why bytes of a host's disk are not those that were written.
func flaws(s *stage, host string) map[disk.Flaw]int64 {
	out := map[disk.Flaw]int64{}
	for _, d := range s.w.Host(host).Disk().Damage() {
		out[d.Why] += d.N
	}
	return out
}

func TestLostAndMisdirectedWrites(t *testing.T) {
	for text, why := range map[string]disk.Flaw{"lose a write of broker-2": disk.Lose, "misdirect a write of broker-2": disk.Misdirect} {
		s := newStage(t, 1)
		heal, heal2 := s.strike(text), s.strike(text)
		s.run(time.Second)
		heal()
		heal2()
		require.Empty(t, flaws(s, "broker-2"), "the cache hides it")
		s.strike("power off broker-2")()
		s.run(time.Second)
		assert.Positive(t, flaws(s, "broker-2")[why], text)
		unarmed := s.strike(text)
		unarmed() // before anything was written
		s.w.Host("broker-2").Disk().Wipe()
		s.run(time.Second)
		s.strike("power off broker-2")()
		assert.Empty(t, flaws(s, "broker-2"), "%s, after the cure", text)
	}
}

func TestRot(t *testing.T) {
	s := newStage(t, 1)
	s.strike("rot 12 bytes of broker-2")()
	s.strike("rot 12 bytes of broker-2")()
	assert.EqualValues(t, 24, flaws(s, "broker-2")[disk.Rot])
	assert.Empty(t, flaws(s, "broker-1"))
}

func TestTornWrite(t *testing.T) {
	for seed := range uint64(5) {
		s := newStage(t, seed)
		heal := s.strike("tear next write of broker-2")
		s.run(50 * time.Millisecond)
		require.True(t, s.down("broker-2"), "the next write takes it down")
		heal()
		s.run(10 * time.Millisecond)
		x := s.disks["broker-2"]
		assert.Zero(t, x.recovered%disk.Sector, "it is cut at a sector")
		assert.NotZero(t, x.recovered%record, "and in the middle of a record")
		assert.Greater(t, x.recovered, x.synced)
	}
}

func TestTornWriteOfAHostThatDoesNotWrite(t *testing.T) {
	s := newStage(t, 1)
	resume := s.strike("pause broker-2")
	heal := s.strike("tear next write of broker-2")
	s.run(patience - time.Millisecond)
	assert.False(t, s.down("broker-2"))
	s.run(2 * time.Millisecond)
	assert.True(t, s.down("broker-2"), "the power goes all the same")
	resume()
	heal()
	s.run(5 * time.Second)
	assert.Empty(t, s.ill())

	s.strike("tear next write of broker-2")() // cured at once
	s.run(2 * time.Second)
	assert.Empty(t, s.ill(), "a cure that comes first takes no host's power")
}

func TestWipe(t *testing.T) {
	s := newStage(t, 1)
	s.strike("wipe broker-2")()
	s.run(10 * time.Millisecond)
	assert.Zero(t, s.disks["broker-2"].recovered)
	s.strike("kill broker-2")()
	s.run(10 * time.Millisecond)
	assert.NotZero(t, s.disks["broker-2"].recovered)
}

func TestSlowLinksAddUp(t *testing.T) {
	s := newStage(t, 1)
	heal := s.strike("slow broker-1 to broker-2 by 300ms")
	s.strike("slow broker-1 to broker-2 by 200ms")
	s.run(2 * time.Second)
	took := func() time.Duration {
		return s.seen[[2]string{"broker-1", "broker-2"}].took.Round(50 * time.Millisecond)
	}
	assert.Equal(t, 500*time.Millisecond, took())
	heal()
	s.run(time.Second)
	assert.Equal(t, 200*time.Millisecond, took())
}

func TestDriftsAddUp(t *testing.T) {
	s := newStage(t, 1)
	own := s.ppm("broker-2")
	heal := s.strike("drift clock of broker-2 by -999999 ppm")
	s.strike("drift clock of broker-2 by -999999 ppm")
	assert.Greater(t, s.ppm("broker-2"), int64(-1_000_000), "a clock goes forward")
	heal()
	s.strike("drift clock of broker-2 by 999999 ppm")
	assert.InDelta(t, own, s.ppm("broker-2"), 2)
}

func TestLeadership(t *testing.T) {
	s := newStage(t, 1)
	s.strike("move leader of orders/0")()
	assert.Equal(t, []string{"broker-2"}, s.moves)
	heal := s.strike("move leader of orders/0 every 200ms")
	s.run(time.Second)
	assert.Len(t, s.moves, 1+6)
	heal()
	s.run(time.Second)
	assert.Len(t, s.moves, 1+6)
	s.strike("elect preferred leaders")()
	s.strike("resign active controller")()
	assert.Equal(t, 1, s.elected)
	assert.Equal(t, 1, s.resigned)
}

func TestSetFeature(t *testing.T) {
	s := newStage(t, 1)
	s.strike("set feature transaction.version to 1")()
	assert.Equal(t, map[string]int16{"transaction.version": 1}, s.features)
	_, err := Parse("set feature transaction.version to -1")
	assert.ErrorContains(t, err, "found level -1, expected at least 0")
}

func TestTopics(t *testing.T) {
	s := newStage(t, 1)
	s.strike("add 2 partitions to orders")()
	assert.EqualValues(t, 5, s.Partitions("orders"))
	heal := s.strike("delete topic orders")
	assert.Equal(t, []string{"orders is deleted"}, s.topics)
	heal()
	assert.Equal(t, []string{"orders is deleted", "orders is made"}, s.topics)
	_, err := Parse("add 0 partitions to orders")
	assert.ErrorContains(t, err, "found 0 partitions, expected at least 1")
	assert.ErrorContains(t, Plan{{Fault: DeleteTopic{"oders"}}}.Check(s), `topic "oders" is unknown; did you mean orders?`)
}

// The coordinator of a group is moved by moving its partition of __consumer_offsets.
func TestCoordinators(t *testing.T) {
	s := newStage(t, 1)
	s.strike("move coordinator of billing")()
	heal := s.strike("move coordinator of billing every 200ms")
	s.run(500 * time.Millisecond)
	heal()
	s.run(time.Second)
	assert.Len(t, s.moves, 1+3)
	assert.Equal(t, []string{"__consumer_offsets/1"}, slices.Compact(s.moved))
}

// So is that of a transactional id, by its partition of __transaction_state.
func TestTransactionCoordinators(t *testing.T) {
	s := newStage(t, 1)
	s.strike("move transaction coordinator of till")()
	heal := s.strike("move transaction coordinator of till every 200ms")
	s.run(500 * time.Millisecond)
	heal()
	s.run(time.Second)
	assert.Len(t, s.moves, 1+3)
	assert.Equal(t, []string{"__transaction_state/2"}, slices.Compact(s.moved))
	_, err := Resolve(MoveTransactionCoordinator{"mill"}, s, s.luck)
	assert.NoError(t, err)
	assert.ErrorContains(t, Plan{{Fault: MoveTransactionCoordinator{"mill"}}}.Check(s), `transactional id "mill" is unknown; did you mean till?`)
	assert.ErrorContains(t, Plan{{Fault: Kill{TransactionCoordinator("mill")}}}.Check(s), `transactional id "mill" is unknown`)
}

// Each fault of the grammar strikes in the small world, and none is forgotten
// in the tests above.
func TestEveryFaultIsStruck(t *testing.T) {
	var struck []Fault
	for _, text := range []string{
		"swizzle all controllers", "restart all brokers one by one, each down for 1s", "lie about fsync of broker-2", "lose a write of broker-2", "misdirect a write of broker-2",
		"deliver broker-1 to broker-2 late by 3s", "reset connections of broker-2", "drop connections of broker-2 silently", "rot 12 bytes of broker-2",
		"move leader of orders/0", "move leader of orders/0 every 200ms", "elect preferred leaders", "resign active controller",
		"move coordinator of billing", "move coordinator of billing every 200ms",
		"move transaction coordinator of till", "move transaction coordinator of till every 200ms",
		"set feature transaction.version to 1", "add 1 partitions to orders", "delete topic orders",
	} {
		f, err := Parse(text)
		require.NoError(t, err)
		struck = append(struck, f)
	}
	for text := range lasting {
		f, err := Parse(text)
		require.NoError(t, err)
		assert.False(t, IsMomentary(f), text)
		struck = append(struck, f)
	}
	for _, f := range grammar {
		assert.Contains(t, kinds(struck), f.text)
	}
}

func TestTargets(t *testing.T) {
	s := newStage(t, 1)
	luck := rand.New(rand.NewPCG(1, 1))
	for text, want := range map[string][]string{
		"broker-1+client-1":      {"broker-1", "client-1"},
		"leader of orders/0":     {"broker-1"},
		"followers of orders/0":  {"broker-2", "broker-3"},
		"rack a":                 {"broker-1", "broker-2"},
		"active controller":      {"controller-2"},
		"all controllers":        s.Controllers(),
		"all clients":            s.Clients(),
		"all brokers":            s.Brokers(),
		"3 brokers":              s.Brokers(),
		"coordinator of billing": {"broker-1"},
		"a member of billing":    {"client-1"},
		"members of billing":     {"client-1"},
	} {
		target, err := parseTarget(text)
		require.NoError(t, err)
		hosts, err := target.hosts(s, luck)
		require.NoError(t, err)
		assert.Equal(t, want, hosts, text)
	}
	drawn := map[string]bool{}
	for range 100 {
		hosts, err := AnyBroker.hosts(s, luck)
		require.NoError(t, err)
		drawn[hosts[0]] = true
	}
	assert.Len(t, drawn, 3)
	s.leader = ""
	_, err := Resolve(Kill{Leader("orders", 0)}, s, luck)
	assert.EqualError(t, err, "there is no leader of orders/0 now")
}

func TestAPlanIsCheckedAgainstTheCluster(t *testing.T) {
	s := newStage(t, 1)
	for text, want := range map[string]string{
		"at 1s: kill broker-2+broker-9":    `plan: line 1: fault "kill broker-2+broker-9": host "broker-9" is unknown; did you mean broker-1?`,
		"at 1s: power off rack c":          `plan: line 1: fault "power off rack c": rack "c" is unknown`,
		"at 1s: cut broker-1 to any broke": "", // does not parse
		"# a plan\n\nat 2s: kill leader of order/0\nat 1s: resign active controller": `plan: line 3: fault "kill leader of order/0": topic "order" is unknown; did you mean orders?`,
		"at 1s: pause a follower of orders/3":                                        `plan: line 1: fault "pause a follower of orders/3": found partition 3 of orders, expected one between 0 and 2`,
		"at 1s: move leader of orders/7":                                             `plan: line 1: fault "move leader of orders/7": found partition 7 of orders, expected one between 0 and 2`,
		"at 1s: move leader of ordres/7 every 10s":                                   `plan: line 1: fault "move leader of ordres/7 every 10s": topic "ordres" is unknown; did you mean orders?`,
		"at 1s: kill coordinator of biling":                                          `plan: line 1: fault "kill coordinator of biling": group "biling" is unknown; did you mean billing?`,
		"at 1s: move coordinator of biling":                                          `plan: line 1: fault "move coordinator of biling": group "biling" is unknown; did you mean billing?`,
		"at 1s: kill 4 brokers":                                                      `plan: line 1: fault "kill 4 brokers": found 4 brokers, expected at most the 3 that there are`,
	} {
		p, err := ParsePlan(text)
		if want == "" {
			assert.Error(t, err)
			continue
		}
		require.NoError(t, err)
		assert.EqualError(t, p.Check(s), want)
	}
	p := Plan{{At: time.Second, Fault: PingPong{Topic: "orders"}}}
	assert.ErrorContains(t, p.Check(s), "found a time between moves of 0s, expected at least 1ms")
}
