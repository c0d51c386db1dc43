package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/kafka"
)

const (
	ofTopic  = kmsg.ConfigResourceTypeTopic
	ofBroker = kmsg.ConfigResourceTypeBroker
)

// alter sets configurations of one resource, by way of a broker.
func (u *user) alter(at kafka.NodeID, kind kmsg.ConfigResourceType, resource string, configs ...string) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, resource
	for i := 0; i < len(configs); i += 2 {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = configs[i], &configs[i+1]
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	resp, err := u.ask(at, req)
	require.NoError(u.t, err)
	return kerr.ErrorForCode(resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode)
}

// alterWhole is the older way.
func (u *user) alterWhole(at kafka.NodeID, kind kmsg.ConfigResourceType, resource string, configs ...string) error {
	req := kmsg.NewPtrAlterConfigsRequest()
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, resource
	for i := 0; i < len(configs); i += 2 {
		c := kmsg.NewAlterConfigsRequestResourceConfig()
		c.Name, c.Value = configs[i], &configs[i+1]
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	resp, err := u.ask(at, req)
	require.NoError(u.t, err)
	return kerr.ErrorForCode(resp.(*kmsg.AlterConfigsResponse).Resources[0].ErrorCode)
}

// described is a configuration as a broker tells it.
func (u *user) described(at kafka.NodeID, kind kmsg.ConfigResourceType, resource, name string) (c kmsg.DescribeConfigsResponseResourceConfig) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kind, resource, []string{name}
	req.IncludeSynonyms = true
	req.Resources = append(req.Resources, r)
	resp, err := u.ask(at, req)
	require.NoError(u.t, err)
	out := resp.(*kmsg.DescribeConfigsResponse).Resources[0]
	require.NoError(u.t, kerr.ErrorForCode(out.ErrorCode))
	if len(out.Configs) > 0 {
		c = out.Configs[0]
	}
	return c
}

// eventuallyDescribed waits until a broker has followed the metadata that far.
func (u *user) eventuallyDescribed(at kafka.NodeID, kind kmsg.ConfigResourceType, resource, name, value string, source kmsg.ConfigSource) {
	u.eventually(5*time.Second, name+" is "+value, func() bool {
		c := u.described(at, kind, resource, name)
		return c.Value != nil && *c.Value == value && c.Source == source
	})
}

// What is set for one broker or for all is written to the metadata log and holds
// at once for topics that set nothing themselves (KIP-226).
func TestConfigurationOfBrokersChangesWhileTheyRun(t *testing.T) {
	c := separate(t, 1, 1, 2)
	c.client(func(u *user) {
		u.running(1, 2)
		u.createTopic(1, "orders", 1, 1)
		big := strings.Repeat("x", 1000)
		u.publish(1, "orders", 0, big)
		leads, orders := u.leader(1, "orders", 0)

		const static, all, one, topic = kmsg.ConfigSourceDefaultConfig, kmsg.ConfigSourceDynamicDefaultBrokerConfig, kmsg.ConfigSourceDynamicBrokerConfig, kmsg.ConfigSourceDynamicTopicConfig
		u.eventuallyDescribed(leads, ofTopic, "orders", "max.message.bytes", "1048588", static)

		require.NoError(t, u.alter(1, ofBroker, "", "message.max.bytes", "500"))
		u.eventuallyDescribed(leads, ofTopic, "orders", "max.message.bytes", "500", all)
		_, err := u.produce(leads, orders, 0, big)
		assert.ErrorIs(t, err, kerr.MessageTooLarge)

		require.NoError(t, u.alter(leads, ofBroker, fmt.Sprint(leads), "message.max.bytes", "3000"))
		u.eventuallyDescribed(leads, ofBroker, fmt.Sprint(leads), "message.max.bytes", "3000", one)
		_, err = u.produce(leads, orders, 0, big)
		assert.NoError(t, err)
		u.eventuallyDescribed(3-leads, ofTopic, "orders", "max.message.bytes", "500", all)

		require.NoError(t, u.alter(1, ofTopic, "orders", "max.message.bytes", "600"))
		u.eventuallyDescribed(leads, ofTopic, "orders", "max.message.bytes", "600", topic)
		_, err = u.produce(leads, orders, 0, big)
		assert.ErrorIs(t, err, kerr.MessageTooLarge)
		var synonyms []string
		for _, s := range u.described(leads, ofTopic, "orders", "max.message.bytes").ConfigSynonyms {
			synonyms = append(synonyms, s.Name+"="+*s.Value+" "+s.Source.String())
		}
		assert.Equal(t, []string{
			"max.message.bytes=600 DYNAMIC_TOPIC_CONFIG",
			"message.max.bytes=3000 DYNAMIC_BROKER_CONFIG",
			"message.max.bytes=500 DYNAMIC_DEFAULT_BROKER_CONFIG",
			"message.max.bytes=1048588 DEFAULT_CONFIG",
		}, synonyms)

		require.NoError(t, u.alterWhole(leads, ofBroker, fmt.Sprint(leads)))
		require.NoError(t, u.alterWhole(leads, ofTopic, "orders", "retention.ms", "1000"))
		u.eventuallyDescribed(leads, ofTopic, "orders", "max.message.bytes", "500", all)
		u.eventuallyDescribed(leads, ofTopic, "orders", "retention.ms", "1000", topic)

		// A broker answers for itself alone.
		other := 3 - leads
		assert.ErrorIs(t, u.alter(leads, ofBroker, fmt.Sprint(other), "message.max.bytes", "1"), kerr.InvalidRequest)
		assert.ErrorIs(t, u.alterWhole(leads, ofBroker, fmt.Sprint(other), "message.max.bytes", "1"), kerr.InvalidRequest)
		assert.NoError(t, u.alter(leads, ofBroker, "", "log.segment.byte", "1"), "it may be a plugin's")
		assert.ErrorIs(t, u.alter(leads, ofBroker, "", "broker.heartbeat.interval.ms", "1"), kerr.InvalidRequest, "it is read at the start")
		assert.True(t, u.described(leads, ofBroker, fmt.Sprint(leads), "broker.heartbeat.interval.ms").ReadOnly)
		assert.False(t, u.described(leads, ofBroker, fmt.Sprint(leads), "log.segment.bytes").ReadOnly)
		assert.Nil(t, u.described(leads, ofBroker, fmt.Sprint(leads), "segment.bytes").Value, "a topic's name")

		// It outlives the process.
		c.ByID(leads).Host.Kill()
		clear(u.conns)
		c.restart(leads)
		u.running(leads)
		u.eventuallyDescribed(leads, ofTopic, "orders", "max.message.bytes", "500", all)
	})
}

// A broker describes what distinguishes it from the others, too.
func TestABrokerDescribesItself(t *testing.T) {
	c := combined(t, 1, 1)
	c.client(func(u *user) {
		u.running(1)
		for name, want := range map[string]string{
			"node.id": "1", "process.roles": "broker,controller", "log.dirs": "/kafka",
			"listeners": "PLAINTEXT://:9092,CONTROLLER://:9093", "advertised.listeners": "PLAINTEXT://node-1:9092",
			"controller.quorum.voters": "1@node-1:9093",
		} {
			d := u.described(1, ofBroker, "1", name)
			require.NotNil(t, d.Value, name)
			assert.Equal(t, want, *d.Value, name)
			assert.Equal(t, kmsg.ConfigSourceStaticBrokerConfig, d.Source, name)
		}
	})
}

func TestAnUnknownSettingIsAnsweredWithABrokersName(t *testing.T) {
	s := broker.DefaultSettings()
	assert.EqualError(t, s.Set("log.segment.byte", "1"), `config "log.segment.byte" is unknown; did you mean log.segment.bytes?`)
	assert.EqualError(t, s.Set("log.retention.hour", "1"), `config "log.retention.hour" is unknown; did you mean log.retention.hours?`)
	assert.EqualError(t, s.Set("segment.bytes", "1"), `config "segment.bytes" is unknown; did you mean log.segment.bytes?`)
	assert.EqualError(t, s.Set("log.roll.hours", "x"), `Invalid value x for configuration log.roll.hours: Not a number of type INT`)
}

// Which of several names of one setting was set first does not matter.
func TestAFinerUnitHasPrecedence(t *testing.T) {
	for _, order := range [][]string{
		{"log.retention.hours=2", "log.retention.minutes=3", "log.retention.ms=5"},
		{"log.retention.ms=5", "log.retention.minutes=3", "log.retention.hours=2"},
	} {
		s := broker.DefaultSettings()
		before := s
		for _, set := range order {
			name, value, _ := strings.Cut(set, "=")
			require.NoError(t, s.Set(name, value))
		}
		assert.Equal(t, 5*time.Millisecond, s.Topic.RetentionTime)
		require.NoError(t, s.SetAll(map[string]string{"log.roll.hours": "1"}))
		assert.Equal(t, time.Hour, s.Topic.SegmentTime)
		assert.Empty(t, before.Given(), "a copy is not changed")
	}
}
