package server

import (
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
)

// DescribeConfigs 1-4: the configuration of topics, groups and this broker, as the
// catalogue has it (broker/config).
//
//   - A topic's value is its own, else this broker's or that of all brokers
//     (dynamic), else what the broker was started with (static), else Kafka's
//     default. The source says which of them it is. The synonyms list all, the
//     strongest first, under the names that they have there, if they are asked for.
//   - log.retention.ms, .minutes and .hours are one setting: what is set in a
//     finer unit goes before, and is listed only under its own name.
//   - Settings that have no effect here are shown like all others. What Kafka does
//     not know has no type, and its value is not shown.
//   - A topic that does not exist is UNKNOWN_TOPIC_OR_PARTITION; another broker's
//     configuration is INVALID_REQUEST: it has to be asked itself.
//   - A resource asked for several times is answered once.
//
// A broker has no loggers to list. Missing: client metrics (INVALID_REQUEST).
func (b *Broker) describeConfigs(_ *wire.Context, req *kmsg.DescribeConfigsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	answered := map[metadata.Resource]bool{}
	for _, asked := range req.Resources {
		r := metadata.Resource{Type: metadata.ResourceType(asked.ResourceType), Name: asked.ResourceName}
		if answered[r] {
			continue
		}
		answered[r] = true
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = asked.ResourceType, asked.ResourceName
		configs, err := b.describeResource(asked)
		out.ErrorMessage = ptr("") // Kafka's answer without a message has an empty one
		if err != nil {
			out.ErrorCode = kafka.Code(err)
			if err != kerr.UnknownTopicOrPartition {
				_, out.ErrorMessage = errorOf(err)
			}
		}
		for _, c := range configs {
			if len(asked.ConfigNames) > 0 && !slices.Contains(asked.ConfigNames, c.Name) {
				continue
			}
			if !req.IncludeSynonyms {
				c.ConfigSynonyms = nil
			}
			if !req.IncludeDocumentation {
				c.Documentation = nil
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
		if err := b.isOurs(asked.ResourceName, " or empty string,"); err != nil {
			return nil, err
		}
		return b.brokerConfigs(), nil
	case kmsg.ConfigResourceTypeGroupConfig:
		if asked.ResourceName == "" {
			return nil, kafka.Refuse(kerr.InvalidRequest, "Group name must not be empty")
		}
		return b.groupConfigs(asked.ResourceName), nil
	case kmsg.ConfigResourceTypeBrokerLogger:
		if asked.ResourceName == "" {
			return nil, kafka.Refuse(kerr.InvalidRequest, "Broker id must not be empty")
		}
		return nil, b.isOurs(asked.ResourceName, "")
	}
	return nil, kerr.InvalidRequest
}

// isOurs says what is wrong with the id of a broker that is asked for its own.
func (b *Broker) isOurs(name, or string) error {
	switch id, err := strconv.ParseInt(name, 10, 32); {
	case err != nil:
		return kafka.Refuse(kerr.InvalidRequest, "Broker id must be an integer, but it is: %s", name)
	case kafka.NodeID(id) != b.NodeID:
		return kafka.Refuse(kerr.InvalidRequest, "Unexpected broker id, expected %d%s but received %s", b.NodeID, or, name)
	}
	return nil
}

// topicConfigs is what holds for a topic. The replicas follow the same order.
func (b *Broker) topicConfigs(topic string) (out []kmsg.DescribeConfigsResponseResourceConfig) {
	own := b.layer(config.FromTopic, metadata.Resource{Type: metadata.TopicResource, Name: topic})
	layers := append([]config.Layer{own}, b.layers()...)
	for _, d := range config.All(config.Topic) {
		_, set := own.Get(d.Name)
		if d.Internal && !set {
			continue
		}
		value, _ := d.Effective(layers...)
		c := newConfig(d)
		c.Value = &value
		if set {
			addSynonym(&c, d.Name, value, config.FromTopic)
		}
		if len(d.BrokerNames) > 0 {
			c.ConfigSynonyms = append(c.ConfigSynonyms, b.synonyms(d.BrokerNames[0])...)
		}
		out = append(out, withSource(c))
	}
	return out
}

// groupConfigs is what holds for a group, whether there is one of that name or not.
func (b *Broker) groupConfigs(group string) (out []kmsg.DescribeConfigsResponseResourceConfig) {
	own := b.layer(config.FromGroup, metadata.Resource{Type: metadata.GroupResource, Name: group})
	for _, d := range config.All(config.Group) {
		v, set := own.Get(d.Name)
		if d.Internal && !set {
			continue
		}
		c := newConfig(d)
		if set {
			addSynonym(&c, d.Name, d.Shown(v), config.FromGroup)
		}
		if len(d.BrokerNames) > 0 {
			c.ConfigSynonyms = append(c.ConfigSynonyms, b.synonyms(d.BrokerNames[0])...)
		} else {
			addSynonym(&c, d.Name, d.Default, config.FromDefault)
		}
		c.Value = c.ConfigSynonyms[0].Value
		out = append(out, withSource(c))
	}
	return out
}

// brokerConfigs is this broker's own configuration: all settings that are not
// internal, and what is set of the others.
func (b *Broker) brokerConfigs() (out []kmsg.DescribeConfigsResponseResourceConfig) {
	set := map[string]bool{}
	for name := range b.Given {
		set[name] = true
	}
	for _, r := range []metadata.Resource{metadata.BrokerConfig(b.NodeID), {Type: metadata.BrokerResource}} {
		for _, e := range b.image().Config(r) {
			set[e.Name] = true
		}
	}
	for _, d := range config.All(config.Broker) {
		if !d.Internal || set[d.Name] {
			out = append(out, b.brokerConfig(d))
		}
		delete(set, d.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		out = append(out, b.brokerConfig(definitionOf(name)))
	}
	return out
}

// brokerConfig is one setting of this broker.
func (b *Broker) brokerConfig(d *config.Definition) kmsg.DescribeConfigsResponseResourceConfig {
	c := newConfig(d)
	c.ReadOnly = d.Update == config.ReadOnly
	c.ConfigSynonyms = b.synonyms(d.Name)
	if c.IsSensitive {
		return withSource(c)
	}
	c.Value = d.Value()
	for _, layer := range b.layers() {
		if v, ok := layer.Get(d.Name); ok {
			c.Value = ptr(d.Shown(v))
			break
		}
		if overruled(d.Name, layer) {
			break
		}
	}
	return withSource(c)
}

// overruled reports whether a layer sets the same in another unit, so that what
// lies below it under this name does not hold.
func overruled(name string, layer config.Layer) bool {
	return layer.Source != config.FromFile && slices.ContainsFunc(config.Synonyms(name), func(n string) bool {
		_, set := layer.Get(n)
		return set
	})
}

// configsOfAll is what is set for all brokers.
func (b *Broker) configsOfAll() (out []kmsg.DescribeConfigsResponseResourceConfig) {
	for _, e := range b.image().Config(metadata.Resource{Type: metadata.BrokerResource}) {
		d := definitionOf(e.Name)
		c := newConfig(d)
		c.ReadOnly = d.Update == config.ReadOnly
		if !c.IsSensitive {
			c.Value = ptr(d.Shown(e.Value))
		}
		addSynonym(&c, e.Name, e.Value, config.FromAllBrokers)
		out = append(out, withSource(c))
	}
	return out
}

// layers is what is set for this broker, the strongest first.
func (b *Broker) layers() []config.Layer {
	return []config.Layer{
		b.layer(config.FromBroker, metadata.BrokerConfig(b.NodeID)),
		b.layer(config.FromAllBrokers, metadata.Resource{Type: metadata.BrokerResource}),
		config.FileLayer(b.Given),
	}
}

func (b *Broker) layer(from config.Source, r metadata.Resource) config.Layer {
	im := b.image()
	return config.Layer{Source: from, Get: func(name string) (string, bool) { return im.ConfigValue(r, name) }}
}

// synonyms lists what sets a broker's setting, the strongest first, and the
// default last. Kafka drops what comes before the name that was asked for, so
// that a setting in milliseconds that is not set itself has none.
func (b *Broker) synonyms(name string) []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym {
	var c kmsg.DescribeConfigsResponseResourceConfig
	c.IsSensitive = newConfig(definitionOf(name)).IsSensitive
	names := config.Synonyms(name)
	for _, layer := range b.layers() {
		for _, n := range names {
			if v, ok := layer.Get(n); ok {
				addSynonym(&c, n, v, layer.Source)
			}
		}
	}
	for _, n := range names {
		if v := definitionOf(n).Value(); v != nil && definitionOf(n).Type != config.Untyped {
			addSynonym(&c, n, *v, config.FromDefault)
		}
	}
	i := slices.IndexFunc(c.ConfigSynonyms, func(s kmsg.DescribeConfigsResponseResourceConfigConfigSynonym) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return c.ConfigSynonyms[i:]
}

// definitionOf is a broker's setting; one that Kafka does not know has no type.
func definitionOf(name string) *config.Definition {
	if d := config.Find(config.Broker, name); d != nil {
		return d
	}
	return &config.Definition{Name: name}
}

func newConfig(d *config.Definition) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.ConfigType = d.Name, kmsg.ConfigType(d.Type)
	c.IsSensitive = d.Type == config.Password || d.Type == config.Untyped
	c.Documentation = ptr(d.Documentation())
	return c
}

// addSynonym records that source sets the value, under a name.
func addSynonym(c *kmsg.DescribeConfigsResponseResourceConfig, name, value string, source config.Source) {
	s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
	s.Name, s.Source = name, kmsg.ConfigSource(source)
	if !c.IsSensitive {
		s.Value = &value
	}
	c.ConfigSynonyms = append(c.ConfigSynonyms, s)
}

// withSource takes the source from the strongest synonym.
func withSource(c kmsg.DescribeConfigsResponseResourceConfig) kmsg.DescribeConfigsResponseResourceConfig {
	c.Source = kmsg.ConfigSourceDefaultConfig
	if len(c.ConfigSynonyms) > 0 {
		c.Source = c.ConfigSynonyms[0].Source
	}
	c.IsDefault = c.Source == kmsg.ConfigSourceDefaultConfig
	return c
}
