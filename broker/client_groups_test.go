package broker_test

import (
	"fmt"
	"maps"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// committed is an attempt to commit that has ended.
type committed struct {
	client.Commit
	err error
}

// groupOfConsumers are members of group billing that read orders and commit after
// each poll, each on a host of its own.
type groupOfConsumers struct {
	c        *cluster
	u        *user
	settings map[string]string
	seen     map[string]int // how often each value was polled
	members  map[string]*client.Consumer
	stops    map[string]bool
	lost     map[string]int // partitions that a member was told it has lost
	commits  []committed
	polls    map[string]time.Duration // a member waits so long before each poll
}

func (c *cluster) group(u *user, settings map[string]string) *groupOfConsumers {
	g := &groupOfConsumers{
		c: c, u: u, seen: map[string]int{}, members: map[string]*client.Consumer{}, stops: map[string]bool{},
		lost: map[string]int{}, polls: map[string]time.Duration{},
		settings: map[string]string{
			"group.id": "billing", "enable.auto.commit": "false", "auto.offset.reset": "earliest",
			"max.poll.interval.ms": "20000", "metadata.max.age.ms": "5000",
		},
	}
	maps.Copy(g.settings, settings)
	if settings["group.protocol"] == "" {
		maps.Copy(g.settings, map[string]string{"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"})
	}
	return g
}

func (g *groupOfConsumers) host(name string) *sim.Host { return g.c.w.Host("member-" + name) }

func (g *groupOfConsumers) start(name string) {
	g.stops[name] = false
	g.host(name).Start(func(h env.Host) { g.run(h, name) })
}

func (g *groupOfConsumers) run(h env.Host, name string) {
	t := g.u.t
	cfg := client.ConsumerDefaults()
	require.NoError(t, config.SetAll(&cfg, g.settings))
	c, err := client.New(h, []string{"broker-1:9092", "broker-2:9092", "broker-3:9092"}, name).NewConsumer(cfg)
	require.NoError(t, err)
	c.OnCommit = func(commit client.Commit) func(error) {
		return func(err error) { g.commits = append(g.commits, committed{commit, err}) }
	}
	g.members[name] = c
	require.NoError(t, c.Subscribe([]string{"orders"}, client.RebalanceListener{
		Revoked: func([]kafka.TopicPartition) error {
			_ = c.CommitSync() // what fails is consumed again
			return nil
		},
		Lost: func(tps []kafka.TopicPartition) error {
			g.lost[name] += len(tps)
			return nil
		},
		Assigned: func([]kafka.TopicPartition) error {
			g.checkDisjoint(name)
			return nil
		},
	}))
	for !g.stops[name] {
		h.Sleep(g.polls[name])
		records, err := c.Poll(100 * time.Millisecond)
		for _, r := range records {
			g.seen[string(r.Value)]++
		}
		if err == nil && len(records) > 0 {
			err = c.CommitSync()
		}
		if err != nil {
			h.Sleep(10 * time.Millisecond)
		}
	}
	require.NoError(t, c.CloseWithin(30*time.Second))
	delete(g.members, name)
}

// checkDisjoint: no other member of the generation owns what this one does. One that
// does not know that it was thrown out may, but its generation is older.
func (g *groupOfConsumers) checkDisjoint(name string) {
	mine, err := g.members[name].GroupMetadata()
	require.NoError(g.u.t, err)
	for other, c := range g.members {
		its, err := c.GroupMetadata()
		require.NoError(g.u.t, err)
		if other == name || its.Generation != mine.Generation {
			continue
		}
		for _, tp := range c.Assignment() {
			assert.NotContains(g.u.t, g.members[name].Assignment(), tp, "%s and %s own %v in generation %d", name, other, tp, mine.Generation)
		}
	}
}

func (g *groupOfConsumers) stop(name string) {
	g.stops[name] = true
	g.u.eventually(time.Minute, name+" is closed", func() bool { return g.members[name] == nil })
}

func (g *groupOfConsumers) kill(name string) {
	g.host(name).Kill()
	delete(g.members, name)
}

// settled reports whether each of the partitions has an owner that lives.
func (g *groupOfConsumers) settled(partitions int) bool {
	owned := map[kafka.TopicPartition]int{}
	for _, c := range g.members {
		for _, tp := range c.Assignment() {
			owned[tp]++
		}
	}
	for _, n := range owned {
		if n != 1 {
			return false
		}
	}
	return len(owned) == partitions
}

var ofEachProtocol = []struct {
	name     string
	settings map[string]string
}{
	{"range", map[string]string{"partition.assignment.strategy": "range"}},
	{"sticky", map[string]string{"partition.assignment.strategy": "sticky"}},
	{"cooperative-sticky", map[string]string{"partition.assignment.strategy": "cooperative-sticky"}},
	{"consumer protocol", map[string]string{"group.protocol": "consumer"}},
}

func TestConsumers_OfAGroupShareATopic(t *testing.T) {
	skipIfShort(t)
	seeds := uint64(2)
	if *long {
		seeds = 50
	}
	for _, x := range ofEachProtocol {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s, seed %d", x.name, seed), func(t *testing.T) { shareATopic(t, seed, x.settings) })
		}
	}
}

// produce sends numbers to orders, 50 a second, until it is told to stop.
func (g *groupOfConsumers) produce() (stop func() (sent int)) {
	over, ended, sent := false, false, 0
	g.u.h.Go("producer", func() {
		producer, err := client.New(g.u.h, []string{"broker-1:9092", "broker-2:9092", "broker-3:9092"}, "producer").NewProducer(client.ProducerDefaults())
		require.NoError(g.u.t, err)
		for !over {
			require.NoError(g.u.t, producer.Send(client.ProducerRecord{Topic: "orders", Value: []byte(fmt.Sprint(sent))}, func(d client.Delivery) {
				require.NoError(g.u.t, d.Err)
			}))
			sent++
			g.u.h.Sleep(20 * time.Millisecond)
		}
		producer.Close(time.Minute)
		ended = true
	})
	return func() int {
		over = true
		g.u.eventually(2*time.Minute, "all is sent", func() bool { return ended })
		return sent
	}
}

func shareATopic(t *testing.T, seed uint64, settings map[string]string) {
	const partitions = 5
	c := separate(t, seed, 3, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", partitions, 3, "min.insync.replicas", "2")
		g := c.group(u, settings)
		stop := g.produce()
		g.start("a")
		g.start("b")
		u.h.Sleep(10 * time.Second)
		g.start("c")
		luck := c.w.Rand("trouble")
		for range 3 {
			u.h.Sleep(time.Duration(luck.Int64N(int64(5 * time.Second))))
			c.strike(u, luck)
		}
		g.stop("a")
		g.kill("b")
		u.h.Sleep(5 * time.Second)
		g.start("d")
		u.h.Sleep(5 * time.Second)
		sent := stop()
		u.eventually(3*time.Minute, "all partitions have an owner, and all is read", func() bool {
			return g.settled(partitions) && len(g.seen) == sent
		})
		assert.Greater(t, sent, 1000)
		for _, name := range []string{"c", "d"} {
			g.stop(name)
		}
	})
}

// A member that was paused for longer than its session is a zombie when it wakes: it may
// hand out what it has in hand, but no commit of its old generation counts, it is told of
// its loss, and it comes back.
func TestConsumers_AZombieLosesWhatItHad(t *testing.T) {
	for _, x := range ofEachProtocol {
		t.Run(x.name, func(t *testing.T) {
			c := separate(t, 5, 3, 3)
			c.client(func(u *user) {
				u.running(1, 2, 3)
				u.createTopic(1, "orders", 4, 3)
				g := c.group(u, x.settings)
				stop := g.produce()
				g.start("a")
				g.start("b")
				u.eventually(time.Minute, "both own", func() bool { return g.settled(4) && len(g.members["a"].Assignment()) == 2 })
				g.host("a").Pause()
				before, err := g.members["a"].GroupMetadata()
				require.NoError(t, err)
				u.eventually(2*time.Minute, "b owns all", func() bool { return len(g.members["b"].Assignment()) == 4 })
				at := len(g.commits)
				g.host("a").Resume()
				u.eventually(time.Minute, "both own again", func() bool { return g.settled(4) && len(g.members["a"].Assignment()) == 2 })
				assert.Equal(t, 2, g.lost["a"])
				for _, commit := range g.commits[at:] {
					if commit.Member == before.Member && commit.Generation == before.Generation {
						assert.Error(t, commit.err, "a commit of the zombie: %+v", commit)
					}
				}
				sent := stop()
				u.eventually(time.Minute, "all is read", func() bool { return len(g.seen) == sent })
			})
		})
	}
}

// An application that takes longer than max.poll.interval.ms loses its partitions and has
// them again; a second member has them meanwhile.
func TestConsumers_ASlowApplicationLosesWhatItHad(t *testing.T) {
	skipIfShort(t)
	for _, x := range ofEachProtocol {
		t.Run(x.name, func(t *testing.T) {
			c := separate(t, 6, 3, 3)
			c.client(func(u *user) {
				u.running(1, 2, 3)
				u.createTopic(1, "orders", 4, 3)
				g := c.group(u, x.settings)
				stop := g.produce()
				g.start("a")
				g.start("b")
				u.eventually(time.Minute, "both own", func() bool { return g.settled(4) && len(g.members["a"].Assignment()) == 2 })
				g.polls["a"] = 40 * time.Second
				u.eventually(time.Minute, "b owns all", func() bool { return len(g.members["b"].Assignment()) == 4 })
				g.polls["a"] = 0
				u.eventually(2*time.Minute, "both own again", func() bool { return g.settled(4) && len(g.members["a"].Assignment()) == 2 })
				assert.Equal(t, 2, g.lost["a"])
				sent := stop()
				u.eventually(time.Minute, "all is read", func() bool { return len(g.seen) == sent })
			})
		})
	}
}

func TestAdmin_GroupsAndTheirOffsets(t *testing.T) {
	c := separate(t, 11, 3, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 2, 3)
		for i := range 10 {
			u.publish(1, "orders", int32(i%2), fmt.Sprint(i))
		}
		cfg := client.ConsumerDefaults()
		require.NoError(t, config.SetAll(&cfg, map[string]string{"group.id": "billing", "group.instance.id": "till-1", "auto.offset.reset": "earliest", "partition.assignment.strategy": "range"}))
		till, err := client.New(u.h, []string{"broker-1:9092"}, "till").NewConsumer(cfg)
		require.NoError(t, err)
		require.NoError(t, till.Subscribe([]string{"orders"}, client.RebalanceListener{}))
		read := 0
		u.eventually(time.Minute, "all is read", func() bool {
			records, err := till.Poll(100 * time.Millisecond)
			require.NoError(t, err)
			read += len(records)
			return read == 10
		})
		require.NoError(t, till.CommitSync())

		admin := client.New(u.h, []string{"broker-2:9092"}, "admin").NewAdmin(client.AdminDefaults())
		defer admin.Close()
		groups, err := admin.ListGroups(nil, nil)
		require.NoError(t, err)
		assert.Equal(t, []client.GroupListing{{Group: "billing", Protocol: "consumer", State: "Stable", Type: "classic"}}, groups)
		groups, err = admin.ListGroups([]string{"Empty"}, nil)
		require.NoError(t, err)
		assert.Empty(t, groups)

		described, err := admin.DescribeGroups("billing", "unheard-of")
		require.NoError(t, err)
		require.NoError(t, described[0].Err)
		assert.ErrorIs(t, described[1].Err, kerr.GroupIDNotFound)
		d := described[0]
		assert.Equal(t, []string{"Stable", "classic", "range"}, []string{d.State, d.Type, d.Assignor})
		require.Len(t, d.Members, 1)
		zero, one := kafka.TopicPartition{Topic: "orders"}, kafka.TopicPartition{Topic: "orders", Partition: 1}
		assert.Equal(t, "till-1", d.Members[0].Instance)
		assert.Equal(t, []kafka.TopicPartition{zero, one}, d.Members[0].Assigned)

		committed := func() map[kafka.TopicPartition]kafka.Offset {
			offsets, err := admin.ListGroupOffsets("billing", true)
			require.NoError(t, err)
			out := map[kafka.TopicPartition]kafka.Offset{}
			for tp, o := range offsets {
				out[tp] = o.Offset
			}
			return out
		}
		assert.Equal(t, map[kafka.TopicPartition]kafka.Offset{zero: 5, one: 5}, committed())

		assert.ErrorIs(t, admin.DeleteGroups("billing"), kerr.NonEmptyGroup)
		assert.ErrorIs(t, admin.AlterGroupOffsets("billing", client.Offsets{zero: {Offset: 1}}), kerr.UnknownMemberID)
		assert.ErrorIs(t, admin.DeleteGroupOffsets("billing", zero), kerr.GroupSubscribedToTopic)
		till.Close()
		require.NoError(t, admin.RemoveMembers("billing", "till-1"))
		assert.ErrorIs(t, admin.RemoveMembers("billing", "till-1"), kerr.UnknownMemberID)

		require.NoError(t, admin.AlterGroupOffsets("billing", client.Offsets{zero: {Offset: 3, LeaderEpoch: kafka.NoEpoch, Metadata: "by hand"}}))
		assert.Equal(t, map[kafka.TopicPartition]kafka.Offset{zero: 3, one: 5}, committed())
		for _, x := range []struct {
			to   client.GroupReset
			zero kafka.Offset
		}{
			{client.GroupReset{At: client.OffsetSpec(kafka.EarliestOffset)}, 0},
			{client.GroupReset{ShiftBy: 2}, 2},
			{client.GroupReset{ShiftBy: 100}, 5},
			{client.GroupReset{To: ptr(kafka.Offset(4))}, 4},
			{client.GroupReset{At: client.OffsetSpec(kafka.LatestOffset)}, 5},
			{client.GroupReset{At: 0}, 0},
			{client.GroupReset{At: 1 << 50}, 5}, // nothing is as young
		} {
			next, err := admin.ResetGroupOffsets("billing", x.to, zero)
			require.NoError(t, err)
			assert.Equal(t, x.zero, next[zero].Offset, "%+v", x.to)
			assert.Equal(t, x.zero, committed()[zero], "%+v", x.to)
		}
		require.NoError(t, admin.DeleteGroupOffsets("billing", zero))
		assert.Equal(t, map[kafka.TopicPartition]kafka.Offset{one: 5}, committed())
		require.NoError(t, admin.DeleteGroups("billing"))
		assert.Empty(t, committed())
		assert.ErrorIs(t, admin.DeleteGroups("billing"), kerr.GroupIDNotFound)
	})
}

// A topic that appears and matches the pattern of a member is read by it: the consumer
// matches it by itself, or the coordinator does (KIP-848).
func TestConsumers_ReadByPattern(t *testing.T) {
	for name, settings := range map[string]map[string]string{
		"by the consumer":            {"partition.assignment.strategy": "range"},
		"by a KIP-848 consumer":      {"group.protocol": "consumer"},
		"by the coordinator, in RE2": {"group.protocol": "consumer"},
	} {
		t.Run(name, func(t *testing.T) {
			c := separate(t, 21, 3, 3)
			c.client(func(u *user) {
				u.running(1, 2, 3)
				u.createTopic(1, "orders-a", 1, 3)
				u.createTopic(1, "others", 1, 3)
				g := c.group(u, settings)
				cfg := client.ConsumerDefaults()
				require.NoError(t, config.SetAll(&cfg, g.settings))
				reader, err := client.New(u.h, []string{"broker-1:9092"}, "reader").NewConsumer(cfg)
				require.NoError(t, err)
				if name == "by the coordinator, in RE2" {
					require.NoError(t, reader.SubscribeRE2("orders-.*", client.RebalanceListener{}))
				} else {
					require.NoError(t, reader.SubscribePattern(regexp.MustCompile("orders-.*"), client.RebalanceListener{}))
				}
				polls := func(what string, assigned ...string) {
					u.eventually(2*time.Minute, what, func() bool {
						_, err := reader.Poll(100 * time.Millisecond)
						require.NoError(t, err)
						return fmt.Sprint(reader.Assignment()) == fmt.Sprint(assigned)
					})
				}
				polls("the topic that there is", "orders-a/0")
				u.createTopic(1, "orders-b", 2, 3)
				polls("the topic that appeared", "orders-a/0", "orders-b/0", "orders-b/1")
				require.NoError(t, reader.Unsubscribe())
				assert.Empty(t, reader.Assignment())
				reader.Close()
			})
		})
	}
}

// A group goes over from the classic protocol to that of KIP-848 and back, member by
// member, while it reads: no partition is without an owner for long, and all is read.
func TestConsumers_UpgradeTheirGroup(t *testing.T) {
	classic := map[string]string{"group.protocol": "classic", "partition.assignment.strategy": "range", "session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"}
	for _, strategy := range []string{"range", "cooperative-sticky"} {
		t.Run(strategy, func(t *testing.T) {
			c := separate(t, 31, 3, 3)
			c.client(func(u *user) {
				u.running(1, 2, 3)
				u.createTopic(1, "orders", 6, 3)
				g := c.group(u, nil)
				to := func(protocol string) {
					for name := range classic {
						delete(g.settings, name)
					}
					if protocol == "classic" {
						maps.Copy(g.settings, classic)
						g.settings["partition.assignment.strategy"] = strategy
					} else {
						g.settings["group.protocol"] = protocol
					}
				}
				both := func(what string) {
					u.eventually(2*time.Minute, what, func() bool {
						return g.settled(6) && len(g.members) == 2 && len(g.members["a"].Assignment()) == 3
					})
				}
				stop := g.produce()
				to("classic")
				g.start("a")
				g.start("b")
				both("two classic members")
				for _, protocol := range []string{"consumer", "classic"} {
					to(protocol)
					for _, name := range []string{"a", "b"} {
						g.stop(name)
						g.start(name)
						both(name + " speaks " + protocol)
					}
				}
				sent := stop()
				u.eventually(time.Minute, "all is read", func() bool { return len(g.seen) == sent })
			})
		})
	}
}

func TestAdmin_DescribesAndEmptiesAModernGroup(t *testing.T) {
	c := separate(t, 12, 3, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 2, 3)
		cfg := client.ConsumerDefaults()
		require.NoError(t, config.SetAll(&cfg, map[string]string{"group.id": "billing", "group.protocol": "consumer", "group.remote.assignor": "range"}))
		till, err := client.New(u.h, []string{"broker-1:9092"}, "till").NewConsumer(cfg)
		require.NoError(t, err)
		require.NoError(t, till.Subscribe([]string{"orders"}, client.RebalanceListener{}))
		poll := func(what string, is func() bool) {
			u.eventually(time.Minute, what, func() bool {
				_, err := till.Poll(100 * time.Millisecond)
				require.NoError(t, err)
				return is()
			})
		}
		poll("both partitions", func() bool { return len(till.Assignment()) == 2 })
		meta, err := till.GroupMetadata()
		require.NoError(t, err)

		admin := client.New(u.h, []string{"broker-2:9092"}, "admin").NewAdmin(client.AdminDefaults())
		defer admin.Close()
		var d client.GroupDescription
		poll("the group is stable", func() bool {
			described, err := admin.DescribeGroups("billing")
			require.NoError(t, err)
			d = described[0]
			return d.State == "Stable"
		})
		require.NoError(t, d.Err)
		assert.Equal(t, []string{"consumer", "range"}, []string{d.Type, d.Assignor})
		require.Len(t, d.Members, 1)
		m := d.Members[0]
		assert.Equal(t, []any{meta.Member, meta.Generation, "till"}, []any{m.ID, m.Epoch, m.ClientID})
		assert.Equal(t, till.Assignment(), m.Assigned)
		assert.Equal(t, m.Assigned, m.Target)
		assert.Equal(t, d.Epoch, d.AssignmentEpoch)
		groups, err := admin.ListGroups(nil, []string{"consumer"})
		require.NoError(t, err)
		assert.Equal(t, []client.GroupListing{{Group: "billing", Protocol: "consumer", State: "Stable", Type: "consumer"}}, groups)

		require.NoError(t, admin.RemoveMembers("billing"))
		poll("it learns of it and comes back", func() bool {
			now, err := till.GroupMetadata()
			require.NoError(t, err)
			return now.Member == meta.Member && now.Generation > meta.Generation && len(till.Assignment()) == 2
		})
		till.Close()
		require.NoError(t, admin.DeleteGroups("billing"))
	})
}
