package trial

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/scenarios/internal/samples"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/workloads"
)

// What is set by hand goes before what a topic of the scenario sets, and
// changes no other run of it.
func TestSettingsGoBeforeTheTopics(t *testing.T) {
	s := scenarios.UncleanElection
	r, err := prepare(s, Options{Set: map[string]string{"min.insync.replicas": "3", "unclean.leader.election.enable": "false"}})
	require.NoError(t, err)
	defer r.w.Close()
	minISR, unclean := r.config.promises(r.s.Topics[0])
	assert.Equal(t, 3, minISR)
	assert.False(t, unclean)
	assert.Equal(t, "3", r.config.named()["min.insync.replicas"])
	assert.Equal(t, 1, scenarios.UncleanElection.Topics[0].MinInsync)
	assert.Equal(t, "true", scenarios.UncleanElection.Topics[0].Config["unclean.leader.election.enable"])
}

// A name is set for all that have it: brokers, topics, clients; a word that only
// some of them know, for those.
func TestSetGoesToAllThatHaveTheName(t *testing.T) {
	for _, x := range []struct {
		set      string
		broker   string // what brokers were given
		topic    string // what the topic sets itself
		producer string // what clients were given
	}{
		{"retention.ms=5", "", "5", ""},
		{"log.retention.ms=5", "5", "", ""},
		{"delete.retention.ms=7", "", "7", ""}, // without an effect
		{"num.io.threads=2", "2", "", ""},
		{"compression.type=gzip", "gzip", "", "gzip"},
		{"compression.type=none", "", "", "none"},
		{"compression.type=uncompressed", "uncompressed", "", ""},
		{"request.timeout.ms=9000", "9000", "", "9000"},
		{"client.id=me", "", "", "me"},
		{"consumer.session.timeout.ms=50000", "", "", ""}, // a group's
	} {
		name, value, _ := strings.Cut(x.set, "=")
		c, err := configure(scenarios.Standard, Shape{}, map[string]string{name: value})
		require.NoError(t, err, x.set)
		assert.Equal(t, x.broker, c.settings.Given()[name], x.set)
		assert.Equal(t, x.topic, c.scenario.Topics[0].Config[name], x.set)
		assert.Equal(t, x.producer, c.scenario.Workload.(workloads.ProduceConsume).Client[name], x.set)
		assert.Equal(t, value, c.named()[name], x.set)
	}
	assert.Empty(t, scenarios.Standard.Topics[0].Config)
}

// What Kafka would refuse is refused before the run, be it the option's or the
// scenario's own.
func TestWhatKafkaWouldRefuseIsNotRun(t *testing.T) {
	for _, x := range []struct {
		set  string // separated by spaces
		says string
	}{
		{"request.timeout.ms=0", "Invalid value 0 for configuration request.timeout.ms: Value must be at least 1 in a run, for with 0 every request of a client fails"},
		{"compression.type=zip", "compression.type=zip: Invalid value zip for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"},
		{"replica.fetch.wait.max.ms=31000", "requirement failed: replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent unnecessary socket timeouts"},
		{"replica.fetch.wait.max.ms=31000 replica.socket.timeout.ms=40000 replica.lag.time.max.ms=40000", ""},
		{"remote.storage.enable=true", "topic orders: Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."},
		{"linger.mss=1", `linger.mss=1: parameter "linger.mss" is unknown; did you mean linger.ms?`},
		{"unknown.unknown=unknown", `unknown.unknown=unknown: parameter "unknown.unknown" is unknown`},
		{"client.id=unknown", ""},
		{"linger.ms=unknown", "linger.ms=unknown: Invalid value unknown for configuration linger.ms: Not a number of type LONG"},
		{"acks=0 enable.idempotence=false", ""},
	} {
		set := map[string]string{}
		for pair := range strings.SplitSeq(x.set, " ") {
			name, value, _ := strings.Cut(pair, "=")
			set[name] = value
		}
		_, err := configure(scenarios.Standard, Shape{}, set)
		if x.says == "" {
			assert.NoError(t, err, x.set)
			continue
		}
		assert.EqualError(t, err, x.says)
		assert.True(t, IsOption(err), x.set)
	}

	own := func(change func(*scenarios.Scenario)) string {
		s := scenarios.Standard
		change(&s)
		_, err := configure(s, Shape{}, nil)
		require.Error(t, err)
		assert.True(t, IsOption(err))
		return err.Error()
	}
	assert.Equal(t, `scenario standard: config "log.retention" is unknown; did you mean log.retention.ms?`, own(func(s *scenarios.Scenario) {
		s.Cluster.Config = map[string]string{"log.retention": "5"}
	}))
	assert.Equal(t, `workload: config "linger" is unknown; did you mean linger.ms?`, own(func(s *scenarios.Scenario) {
		w := s.Workload.(workloads.ProduceConsume)
		w.Client = map[string]string{"linger": "5"}
		s.Workload = w
	}))
	assert.Equal(t, "topic orders: Invalid value -2 for configuration retention.ms: Value must be at least -1", own(func(s *scenarios.Scenario) {
		s.Topics = []scenarios.Topic{{Name: "orders", Partitions: 1, Replicas: 1, Config: map[string]string{"retention.ms": "-2"}}}
	}))
	assert.Equal(t, "topic orders: Unknown topic config name: retention", own(func(s *scenarios.Scenario) {
		s.Topics = []scenarios.Topic{{Name: "orders", Partitions: 1, Replicas: 1, Config: map[string]string{"retention": "5"}}}
	}))
}

// positionless is a consumer that may not reset its position and has none.
type positionless struct{}

func (positionless) Name() string         { return "positionless" }
func (positionless) About() string        { return "a consumer whose every poll fails" }
func (positionless) Lasts() time.Duration { return 2 * time.Second }

func (positionless) Clients(s *workloads.Stage) []workloads.Client {
	return []workloads.Client{{Host: "reader", Role: workloads.Reads, Main: func(h env.Host) {
		s.AwaitWork(h)
		cfg := client.ConsumerDefaults()
		cfg.AutoOffsetReset = client.NoReset
		r, err := s.NewReader(h, cfg, "orders")
		if err != nil {
			panic(err)
		}
		r.ReadUntil(func() bool { return false })
	}}}
}

// A reader whose polls fail lets time pass between them, so that the run ends: it
// was an endless loop at one moment of virtual time.
func TestAReaderWithoutAPositionLetsTimePass(t *testing.T) {
	s := scenarios.Standard
	s.Workload, s.Faults = positionless{}, nil
	result, err := Run(s, Options{Seed: 1})
	require.NoError(t, err)
	assert.Equal(t, reports.Violated, result.Report.Verdict, "the reader is never done")
	assert.Less(t, int64(result.Report.Events), int64(50_000))
	assert.Greater(t, result.History.Len(), 10, "its polls are told")
}

// With min.insync.replicas=2 the lesson's two kills and one wipe are one loss more than
// the setting promises to survive: the controllers count on no broker that was killed,
// and the last leader, which they elect, came back empty (KIP-966).
func TestKilledReplicasCountAsLost(t *testing.T) {
	r, err := Run(scenarios.MinISROne, Options{Seed: 1, Set: map[string]string{"min.insync.replicas": "2"}})
	require.NoError(t, err)
	assert.Equal(t, reports.Allowed, r.Report.Verdict, r.Report.Violations)
}

// A law of a scenario is told what clients do, whether the ledger is kept or not: else
// a run and its replay would not agree on it.
func TestOwnLawsAreToldAllThatHappens(t *testing.T) {
	s := samples.Short()
	told := map[string]int{}
	s.Laws = []scenarios.Law{{Name: "all is told", Watch: func() func(*ledger.Entry) (bool, string) {
		clear(told)
		return func(e *ledger.Entry) (bool, string) {
			told[e.Event.Kind().Name]++
			_, begins := e.Event.(*WorkBegan)
			return begins, ""
		}
	}}}
	play := func(keep ledger.Keep) (map[string]int, string) {
		r, err := Run(s, Options{Seed: 1, Keep: keep})
		require.NoError(t, err)
		i := slices.IndexFunc(r.Report.Checks, func(c reports.Check) bool { return c.Name == "all is told" })
		assert.EqualValues(t, 1, r.Report.Checks[i].Checked, "what the law checked, not what it was told")
		return maps.Clone(told), r.Report.TraceHash
	}
	story, hash := play(ledger.KeepStory)
	all, same := play(ledger.KeepAll)
	assert.Equal(t, all, story)
	assert.Equal(t, same, hash)
	assert.Positive(t, story["operation-invoked"])
}

// What is configured to happen often is no storm.
func TestHasty(t *testing.T) {
	for set, hasty := range map[string]bool{
		"": false, "linger.ms=1": false, "retry.backoff.ms=10": false, "heartbeat.interval.ms=1500": false,
		"fetch.max.wait.ms=199": true, "fetch.max.wait.ms=200": false, "fetch.min.bytes=0": true, "fetch.min.bytes=1": false,
		"metadata.max.age.ms=50": true, "broker.heartbeat.interval.ms=10": true, "replica.fetch.wait.max.ms=50": true,
	} {
		given := map[string]string{}
		if name, value, ok := strings.Cut(set, "="); ok {
			given[name] = value
		}
		c, err := configure(scenarios.Standard, Shape{}, given)
		require.NoError(t, err)
		assert.Equal(t, hasty, c.hasty(), set)
	}
}
