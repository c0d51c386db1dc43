package server

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
)

// DescribeConfigs 1-4: the configuration of topics and of this broker.
//
//   - A topic's value is its own, else this broker's or that of all brokers
//     (dynamic), else the broker's file's (static), else Kafka's default; the
//     source says which, and the synonyms list all of them, under the names that
//     they have there, if they are asked for.
//   - A topic that does not exist is UNKNOWN_TOPIC_OR_PARTITION; another broker's
//     configuration is INVALID_REQUEST: it has to be asked itself.
//
// Missing: documentation (empty), the other resources (INVALID_REQUEST). A
// duration is LONG, which in Kafka some are and others INT.
func (b *Broker) describeConfigs(_ *wire.Context, req *kmsg.DescribeConfigsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	for _, asked := range req.Resources {
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = asked.ResourceType, asked.ResourceName
		configs, err := b.describeResource(asked)
		if err != nil {
			out.ErrorCode, out.ErrorMessage = errorOf(err)
		}
		for _, c := range configs {
			if len(asked.ConfigNames) > 0 && !slices.Contains(asked.ConfigNames, c.Name) {
				continue
			}
			if !req.IncludeSynonyms {
				c.ConfigSynonyms = nil
			}
			out.Configs = append(out.Configs, c)
		}
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

func (b *Broker) describeResource(asked kmsg.DescribeConfigsRequestResource) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	switch asked.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if err := validTopicName(asked.ResourceName); err != nil {
			return nil, err
		}
		if b.image().Topic(asked.ResourceName) == nil {
			return nil, kerr.UnknownTopicOrPartition
		}
		return b.topicConfigs(asked.ResourceName), nil
	case kmsg.ConfigResourceTypeBroker:
		if asked.ResourceName == "" {
			return b.configsOfAll(), nil
		}
		if err := b.isSelf(asked.ResourceName); err != nil {
			return nil, err
		}
		return b.brokerConfigs(), nil
	}
	return nil, fmt.Errorf("resource type %v has no configuration here: %w", asked.ResourceType, kerr.InvalidRequest)
}

// topicConfigs is what holds for a topic. The replicas follow the same order.
func (b *Broker) topicConfigs(topic string) []kmsg.DescribeConfigsResponseResourceConfig {
	im := b.image()
	var out []kmsg.DescribeConfigsResponseResourceConfig
	for _, e := range config.Entries(ptr(b.TopicDefaults)) {
		c := newConfig(e)
		if v, set := im.ConfigValue(metadata.Resource{Type: metadata.TopicResource, Name: topic}, e.Name); set {
			addSource(&c, e.Name, v, kmsg.ConfigSourceDynamicTopicConfig)
		}
		e.Name = log.BrokerName(e.Name)
		b.addBrokerSources(&c, e)
		out = append(out, c)
	}
	return out
}

// brokerConfigs is this broker's own configuration.
func (b *Broker) brokerConfigs() []kmsg.DescribeConfigsResponseResourceConfig {
	var out []kmsg.DescribeConfigsResponseResourceConfig
	known := b.Config()
	for _, r := range []metadata.Resource{metadata.BrokerConfig(b.NodeID), {Type: metadata.BrokerResource}} {
		for _, e := range b.image().Config(r) { // what is kept for tools alone
			if !slices.ContainsFunc(known, func(k config.Entry) bool { return k.Name == e.Name }) {
				known = append(known, config.Entry{Name: e.Name})
			}
		}
	}
	for _, e := range known {
		c := newConfig(e)
		b.addBrokerSources(&c, e)
		c.ReadOnly = !controller.DynamicBrokerConfig(e.Name)
		out = append(out, c)
	}
	return out
}

// configsOfAll is what is set for all brokers.
func (b *Broker) configsOfAll() []kmsg.DescribeConfigsResponseResourceConfig {
	var out []kmsg.DescribeConfigsResponseResourceConfig
	for _, e := range b.image().Config(metadata.Resource{Type: metadata.BrokerResource}) {
		c := newConfig(config.Entry{Name: e.Name})
		addSource(&c, e.Name, e.Value, kmsg.ConfigSourceDynamicDefaultBrokerConfig)
		out = append(out, c)
	}
	return out
}

// addBrokerSources adds what a broker has to say, the strongest first.
func (b *Broker) addBrokerSources(c *kmsg.DescribeConfigsResponseResourceConfig, e config.Entry) {
	im := b.image()
	if v, set := im.ConfigValue(metadata.BrokerConfig(b.NodeID), e.Name); set {
		addSource(c, e.Name, v, kmsg.ConfigSourceDynamicBrokerConfig)
	}
	if v, set := im.ConfigValue(metadata.Resource{Type: metadata.BrokerResource}, e.Name); set {
		addSource(c, e.Name, v, kmsg.ConfigSourceDynamicDefaultBrokerConfig)
	}
	if e.Kind == config.Unknown {
		return
	}
	if !isDefault(e) {
		addSource(c, e.Name, e.Value, kmsg.ConfigSourceStaticBrokerConfig)
	}
	addSource(c, e.Name, e.Default, kmsg.ConfigSourceDefaultConfig)
}

// isDefault reports whether e has Kafka's default. A time too long to be held
// as a duration is cut when it is set, and reads as less than its default.
func isDefault(e config.Entry) bool {
	if e.Value == e.Default {
		return true
	}
	var defaults log.Config
	config.Default(&defaults)
	return slices.ContainsFunc(config.Entries(&defaults), func(d config.Entry) bool {
		return log.BrokerName(d.Name) == e.Name && d.Value == e.Value
	})
}

func newConfig(e config.Entry) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.ConfigType = e.Name, kmsg.ConfigType(e.Kind)
	return c
}

// addSource notes that source sets the value, under a name. The first one that
// does counts.
func addSource(c *kmsg.DescribeConfigsResponseResourceConfig, name, value string, source kmsg.ConfigSource) {
	if c.Value == nil {
		c.Value, c.Source = ptr(value), source
		c.IsDefault = source == kmsg.ConfigSourceDefaultConfig
	}
	s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
	s.Name, s.Value, s.Source = name, ptr(value), source
	c.ConfigSynonyms = append(c.ConfigSynonyms, s)
}
