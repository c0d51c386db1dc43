package trial

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios"
)

// A shape changes the cluster and every topic of a scenario, and no other run of
// it.
func TestShape(t *testing.T) {
	shape := Shape{Brokers: 6, Controllers: 1, Partitions: 5, Replicas: 4, Racks: 2}
	r, err := prepare(scenarios.Standard, Options{Seed: 3, Shape: shape})
	require.NoError(t, err)
	defer r.w.Close()
	assert.Len(t, r.c.Brokers(), 6)
	assert.Len(t, r.c.Controllers(), 1)
	assert.EqualValues(t, 5, r.c.Partitions("orders"))
	assert.Equal(t, "b", r.c.Rack("broker-4"))
	assert.EqualValues(t, 4, r.s.Topics[0].Replicas)
	assert.Equal(t, "ktrial run standard --seed 3 --brokers 6 --controllers 1 --partitions 5 --replicas 4 --racks 2", r.o.Command("standard"))
	assert.EqualValues(t, 3, scenarios.Standard.Topics[0].Partitions)

	rec := Record{Shape: shape}
	o, err := rec.Options()
	require.NoError(t, err)
	assert.Equal(t, shape, o.Shape, "a recorded run is played in its shape")
}

// Further topics are like the first that the workload uses, and are used as it is.
func TestShape_Topics(t *testing.T) {
	for _, s := range []scenarios.Scenario{scenarios.Standard, scenarios.StandardGroups} {
		r, err := Run(s, Options{Seed: 3, Shape: Shape{Topics: 3, Partitions: 2}})
		require.NoError(t, err)
		assert.Equal(t, reports.Holds, r.Report.Verdict)
		var text strings.Builder
		require.NoError(t, r.History.Write(&text, history.EDN))
		for _, partition := range []string{"orders/0", "orders/1", "orders-2/0", "orders-2/1", "orders-3/0", "orders-3/1"} {
			assert.Contains(t, text.String(), partition)
		}
	}
}

// A shape that cannot be is refused with the reason, before the run.
func TestShapeRefuses(t *testing.T) {
	for _, x := range []struct {
		s     scenarios.Scenario
		shape Shape
		set   map[string]string
		says  string
	}{
		{scenarios.Standard, Shape{Brokers: 2}, nil, "--brokers 2: topic orders has 3 replicas of each partition, and there are 2 brokers (see --replicas)"},
		{scenarios.Standard, Shape{Brokers: 2, Replicas: 2}, nil, ""},
		{scenarios.Standard, Shape{Replicas: 5}, nil, "--replicas 5: found 5 replicas, expected between 1 and the 3 brokers that there are"},
		{scenarios.Standard, Shape{Replicas: 1}, nil, "--replicas 1: topic orders has 1 replica and min.insync.replicas=2: nothing could be acknowledged with acks=all (see --set min.insync.replicas)"},
		{scenarios.Standard, Shape{Replicas: 1}, map[string]string{"min.insync.replicas": "1"}, ""},
		{scenarios.Standard, Shape{Racks: 4}, nil, "--racks 4: found 4 racks, expected between 1 and 3, so that each has one of the 3 brokers"},
		{scenarios.Standard, Shape{Brokers: 3001}, nil, "--brokers 3001: found 3001 brokers, expected between 1 and 3000"},
		{scenarios.Standard, Shape{Controllers: 101}, nil, "--controllers 101: found 101 controllers, expected between 1 and 100"},
		{scenarios.Standard, Shape{Topics: 101}, nil, "--topics 101: found 101 topics, expected between 1 and 100"},
		{scenarios.StandardEOS, Shape{Topics: 2}, nil, "--topics 2: the workload pipeline of scenario standard-eos uses the topics that it names, and no others"},
		{scenarios.CombinedRoles, Shape{Controllers: 1}, nil, "--controllers 1: each node of scenario combined-roles is a broker and a controller: --brokers says how many there are"},
		{scenarios.ReturnOfTheReplica, Shape{Partitions: 1}, nil, `scenario return-of-the-replica: Faults: plan: line 2: fault "power off a follower of orders/1": found partition 1 of orders, expected one between 0 and 0`},
	} {
		r, err := prepare(x.s, Options{Shape: x.shape, Set: x.set})
		if x.says == "" {
			require.NoError(t, err)
			r.w.Close()
			continue
		}
		assert.EqualError(t, err, x.says)
		assert.True(t, IsOption(err))
	}
}

// Kafka takes settings with which no cluster comes up, or stays up: a run takes them, too,
// and blames nobody.
func TestSettingsWithWhichNoClusterWorks(t *testing.T) {
	sets := map[string]string{
		"socket.request.max.bytes=1":              "no controller is active",
		"controller.quorum.election.timeout.ms=0": "",
	}
	if *long { // they make millions of events
		maps.Copy(sets, map[string]string{
			"broker.session.timeout.ms=1":          "broker-1 is not unfenced",
			"broker.session.timeout.ms=0":          "broker-1 is not unfenced",
			"broker.session.timeout.ms=-1":         "broker-1 is not unfenced",
			"controller.quorum.fetch.timeout.ms=0": "no controller is active",
		})
	}
	for set, why := range sets {
		name, value, _ := strings.Cut(set, "=")
		r, err := Run(scenarios.Standard, Options{Seed: 1, NoFaults: true, Set: map[string]string{name: value}})
		require.NoError(t, err, set)
		assert.Empty(t, r.Report.Violations, set)
		if why == "" {
			assert.Equal(t, reports.Holds, r.Report.Verdict, set)
			continue
		}
		assert.Equal(t, reports.Inconclusive, r.Report.Verdict, set)
		assert.Equal(t, "with these settings the cluster does not come up within 2m0s of virtual time: "+why, r.Report.Unworkable, set)
		assert.Equal(t, r.Report.Unworkable, r.Report.Failure().Message)
		var text strings.Builder
		r.Report.WriteText(&text, reports.Style{})
		assert.Contains(t, text.String(), "inconclusive: with these settings the cluster does not come up")
	}
}

// Sessions that are shorter than two heartbeats come and go. Kafka says so, and takes them.
func TestKafkaSaysWhichSessionsAreTooShort(t *testing.T) {
	for set, says := range map[string]string{
		"":                                  "",
		"broker.session.timeout.ms=4000":    "",
		"broker.session.timeout.ms=3999":    "broker.heartbeat.interval.ms (2000 ms) must be less than or equal to half of the broker.session.timeout.ms (3999 ms)",
		"broker.heartbeat.interval.ms=4501": "broker.heartbeat.interval.ms (4501 ms) must be less than or equal to half of the broker.session.timeout.ms (9000 ms)",
	} {
		given := map[string]string{}
		if name, value, ok := strings.Cut(set, "="); ok {
			given[name] = value
		}
		c, err := configure(scenarios.Standard, Shape{}, given)
		require.NoError(t, err)
		assert.Equal(t, says, c.unworkable())
	}
	r := &run{s: scenarios.Standard}
	r.config.settings.Server.HeartbeatInterval = time.Second
	require.NoError(t, r.failed(stuck{"convergence", "broker-1 is not unfenced"}))
	assert.Empty(t, r.violations)
	assert.Contains(t, r.unworkable, "convergence: broker-1 is not unfenced")
}

// A run in which no client's request has time for an answer is refused, which Kafka's
// clients are not.
func TestNoTimeForAnAnswer(t *testing.T) {
	_, err := configure(scenarios.Standard, Shape{}, map[string]string{"request.timeout.ms": "0"})
	assert.ErrorContains(t, err, "Invalid value 0 for configuration request.timeout.ms: Value must be at least 1 in a run")
	assert.True(t, IsOption(err))
	_, err = configure(scenarios.Standard, Shape{}, map[string]string{"request.timeout.ms": "-1"})
	assert.ErrorContains(t, err, "Invalid value -1 for configuration request.timeout.ms: Value must be at least 0")
}
