package faults

import (
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestEverySentenceParsesBack(t *testing.T) {
	for _, f := range examples {
		parsed, err := Parse(f.String())
		require.NoError(t, err, f.String())
		assert.Equal(t, f, parsed, f.String())
	}
	assert.Len(t, kinds(examples), len(grammar), "each line of the grammar has an example")
}

// examples has each fault once, and each target at least once.
var examples = []Fault{
	Kill{Leader("orders", 2)}, PowerOff{Rack("b")}, Pause{AnyClient}, Stop{Host("broker-1")}, StopAndPowerOff{AnyBroker},
	RollingRestart{AllBrokers, 3 * time.Second},
	Isolate{ActiveController}, Split{Brokers(2)}, Bridge{AnyBroker}, CutFromControllers{Host("broker-1", "broker-2")},
	CutOneWay{AllControllers, AnyController}, SlowLink{AllClients, Followers("a-topic", 0), 1500 * time.Millisecond},
	LossyLink{20, AnyBroker}, Swizzle{AllControllers}, LateDelivery{AllBrokers, ActiveController, 9 * time.Second},
	Reset{Follower("orders", 1)}, HalfOpen{AnyBroker},
	SlowFsync{AnyBroker, time.Second}, FailFsync{AnyBroker}, LyingFsync{AnyBroker}, DiskFull{AnyBroker}, DiskError{AnyBroker},
	LostWrite{AnyBroker}, MisdirectedWrite{AnyBroker}, TornWrite{AnyBroker}, Rot{12, AnyBroker}, Wipe{AnyBroker},
	StepClock{AnyBroker, -time.Hour}, DriftClock{AnyBroker, -300},
	PingPong{"orders", 1, time.Second}, MoveLeader{"orders", 1}, ElectPreferred{}, ResignController{},
	PingPongCoordinator{"billing", time.Second}, MoveCoordinator{"billing"},
	PingPongTransactionCoordinator{"till", time.Second}, MoveTransactionCoordinator{"till"}, Isolate{TransactionCoordinator("till")},
	SetFeature{"transaction.version", 2},
	AddPartitions{2, "orders"},
	DeleteTopic{"orders"},
	Kill{Coordinator("billing")}, Pause{Member("billing")}, Stop{Members("billing")},
}

func kinds(fs []Fault) map[string]bool {
	out := map[string]bool{}
	for _, f := range fs {
		for _, g := range grammar {
			if reflect.TypeOf(f) == reflect.TypeOf(g.fault) {
				out[g.text] = true
			}
		}
	}
	return out
}

func TestAPlanParsesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		luck := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		plan := Swarm{Topic: "orders", Partitions: 3, Group: "billing", TransactionalID: "till"}.Draw(luck, nil, time.Minute)
		parsed, err := ParsePlan(plan.String())
		require.NoError(t, err)
		require.Equal(t, plan, unplaced(parsed))
	})
}

func TestTheSameLuckDrawsTheSamePlan(t *testing.T) {
	draw := func(seed uint64) string {
		return Swarm{Topic: "orders", Partitions: 3}.Draw(rand.New(rand.NewPCG(seed, 0)), nil, time.Minute).String()
	}
	assert.Equal(t, draw(1), draw(1))
	assert.NotEqual(t, draw(1), draw(2))
}

func TestBadPlansSayWhatWasExpected(t *testing.T) {
	for text, want := range map[string]string{
		"at 5s: kil broker-1":             `plan: line 1: fault "kil broker-1" is unknown; did you mean "kill {Host}"? (see: ktrial list)`,
		"kill broker-1":                   `plan: line 1: found "kill broker-1", expected "at 5s: FAULT" or "at 5s for 2s: FAULT"`,
		"# why\n\nat soon: kill broker-1": `plan: line 3: found "soon", expected a duration such as 1.5s or 200ms`,
		"at 1s for -2s: kill broker-1":    `plan: line 1: found "-2s", expected a duration such as 1.5s or 200ms`,
		"at 1s: kill leader of orders":    `plan: line 1: fault "kill leader of orders": target "leader of orders": found "orders", expected topic/partition`,
		"at 1s: slow fsync of b by a lot": `plan: line 1: fault "slow fsync of b by a lot": found "a lot", expected a duration such as 1.5s or 200ms`,
		"at 1s: rot many bytes of b":      `plan: line 1: fault "rot many bytes of b": found "many", expected a whole number`,
		"at 1s: kill zero brokers":        `plan: line 1: fault "kill zero brokers": target "zero brokers": found "zero", expected a number of brokers`,
	} {
		_, err := ParsePlan(text)
		assert.EqualError(t, err, want)
	}
}

func TestPlanInAFile(t *testing.T) {
	text, err := os.ReadFile("testdata/plan.txt")
	require.NoError(t, err)
	plan, err := ParsePlan(string(text))
	require.NoError(t, err)
	assert.Equal(t, Plan{
		{At: 5 * time.Second, For: 2 * time.Second, Fault: PowerOff{Leader("orders", 0)}},
		{At: 9 * time.Second, Fault: Reset{AnyBroker}},
		{At: 12 * time.Second, For: 5 * time.Second, Fault: Isolate{Host("broker-1")}},
	}, unplaced(plan))
	assert.Equal(t, 3, strings.Count(plan.String(), "\n"))
}

// unplaced is a plan without the lines where it was parsed.
func unplaced(p Plan) (out Plan) {
	for _, t := range p {
		t.line = 0
		out = append(out, t)
	}
	return out
}
