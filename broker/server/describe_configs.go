package server

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
)

// DescribeConfigs 1-4: the configuration of topics and of this broker.
//
//   - A topic's value is its own, else the cluster's (dynamic), else the
//     broker's (static), else Kafka's default; the source says which, and the
//     synonyms list all of them if they are asked for.
//   - A topic that does not exist is UNKNOWN_TOPIC_OR_PARTITION; another broker's
//     configuration is INVALID_REQUEST: it has to be asked itself.
//
// Missing: documentation (empty), types (all unknown), the other resources
// (INVALID_REQUEST).
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
			if asked.ConfigNames != nil && !slices.Contains(asked.ConfigNames, c.Name) {
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
		self := strconv.Itoa(int(b.NodeID))
		if asked.ResourceName != "" && asked.ResourceName != self {
			return nil, fmt.Errorf("unexpected broker id, expected %s or empty string, but received %q: %w", self, asked.ResourceName, kerr.InvalidRequest)
		}
		return b.brokerConfigs(asked.ResourceName), nil
	}
	return nil, fmt.Errorf("resource type %v has no configuration here: %w", asked.ResourceType, kerr.InvalidRequest)
}

// topicConfigs is what holds for a topic. The replicas follow the same order.
func (b *Broker) topicConfigs(topic string) []kmsg.DescribeConfigsResponseResourceConfig {
	im := b.image()
	var out []kmsg.DescribeConfigsResponseResourceConfig
	for _, e := range config.Entries(ptr(b.TopicDefaults)) {
		c := newConfig(e.Name)
		if v, set := im.ConfigValue(metadata.Resource{Type: metadata.TopicResource, Name: topic}, e.Name); set {
			addSource(&c, v, kmsg.ConfigSourceDynamicTopicConfig)
		}
		b.addBrokerSources(&c, e)
		out = append(out, c)
	}
	return out
}

// brokerConfigs is the broker's own configuration; with an empty name, what is
// set for all brokers.
func (b *Broker) brokerConfigs(name string) []kmsg.DescribeConfigsResponseResourceConfig {
	var out []kmsg.DescribeConfigsResponseResourceConfig
	if name == "" {
		for _, e := range b.image().Config(metadata.Resource{Type: metadata.BrokerResource}) {
			c := newConfig(e.Name)
			addSource(&c, e.Value, kmsg.ConfigSourceDynamicDefaultBrokerConfig)
			out = append(out, c)
		}
		return out
	}
	for _, e := range b.Config() {
		c := newConfig(e.Name)
		b.addBrokerSources(&c, e)
		c.ReadOnly = !config.Has(&log.Config{}, e.Name)
		out = append(out, c)
	}
	return out
}

// addBrokerSources adds what a broker has to say, the strongest first.
func (b *Broker) addBrokerSources(c *kmsg.DescribeConfigsResponseResourceConfig, e config.Entry) {
	im := b.image()
	self := metadata.Resource{Type: metadata.BrokerResource, Name: strconv.Itoa(int(b.NodeID))}
	if v, set := im.ConfigValue(self, e.Name); set {
		addSource(c, v, kmsg.ConfigSourceDynamicBrokerConfig)
	}
	if v, set := im.ConfigValue(metadata.Resource{Type: metadata.BrokerResource}, e.Name); set {
		addSource(c, v, kmsg.ConfigSourceDynamicDefaultBrokerConfig)
	}
	if !isDefault(e) {
		addSource(c, e.Value, kmsg.ConfigSourceStaticBrokerConfig)
	}
	addSource(c, e.Default, kmsg.ConfigSourceDefaultConfig)
}

// isDefault reports whether e has Kafka's default. A time too long to be held
// as a duration is cut when it is set, and reads as less than its default.
func isDefault(e config.Entry) bool {
	if e.Value == e.Default {
		return true
	}
	var defaults log.Config
	config.Default(&defaults)
	return slices.ContainsFunc(config.Entries(&defaults), func(d config.Entry) bool { return d == e })
}

func newConfig(name string) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name = name
	return c
}

// addSource notes that source sets the value. The first one that does counts.
func addSource(c *kmsg.DescribeConfigsResponseResourceConfig, value string, source kmsg.ConfigSource) {
	if c.Value == nil {
		c.Value, c.Source = ptr(value), source
		c.IsDefault = source == kmsg.ConfigSourceDefaultConfig
	}
	s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
	s.Name, s.Value, s.Source = c.Name, ptr(value), source
	c.ConfigSynonyms = append(c.ConfigSynonyms, s)
}
