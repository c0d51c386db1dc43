package controller

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
)

// IncrementalAlterConfigs (key 44, v0-1) changes the configuration of topics
// and brokers, each resource on its own and as a whole.
//
// Behavior: a name or value that does not fit is INVALID_CONFIG. A new
// min.insync.replicas settles the ELR of the partitions it is for.
//
// Missing: resources other than topics and brokers.
func (c *Controller) IncrementalAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	var resp *kmsg.IncrementalAlterConfigsResponse
	err := c.write(commitTimeout, func(b *brain) (out records, err error) {
		resp, out = b.alterConfigs(req)
		return out, nil
	})
	if err != nil {
		resp = req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
		for i := range req.Resources {
			resp.Resources = append(resp.Resources, alteredResource(&req.Resources[i], err))
		}
	}
	return resp
}

func alteredResource(asked *kmsg.IncrementalAlterConfigsRequestResource, err error) kmsg.IncrementalAlterConfigsResponseResource {
	r := kmsg.NewIncrementalAlterConfigsResponseResource()
	r.ResourceType, r.ResourceName = asked.ResourceType, asked.ResourceName
	r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
	return r
}

func (b *brain) alterConfigs(req *kmsg.IncrementalAlterConfigsRequest) (*kmsg.IncrementalAlterConfigsResponse, records) {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	var out records
	for i := range req.Resources {
		asked := &req.Resources[i]
		var made records
		err := error(nil)
		if slices.ContainsFunc(req.Resources[:i], func(r kmsg.IncrementalAlterConfigsRequestResource) bool {
			return r.ResourceType == asked.ResourceType && r.ResourceName == asked.ResourceName
		}) {
			err = refuse(kerr.InvalidRequest, "%v %q is named more than once", asked.ResourceType, asked.ResourceName)
		} else {
			made, err = b.alterResource(asked)
		}
		out = append(out, made...)
		resp.Resources = append(resp.Resources, alteredResource(asked, err))
	}
	if req.ValidateOnly {
		return resp, nil
	}
	return resp, b.settleELRs(out)
}

func (b *brain) alterResource(asked *kmsg.IncrementalAlterConfigsRequestResource) (records, error) {
	resource := metadata.Resource{Type: metadata.ResourceType(asked.ResourceType), Name: asked.ResourceName}
	if err := b.checkResource(resource); err != nil {
		return nil, err
	}
	var out records
	for i, op := range asked.Configs {
		if slices.ContainsFunc(asked.Configs[:i], func(o kmsg.IncrementalAlterConfigsRequestResourceConfig) bool { return o.Name == op.Name }) {
			return nil, refuse(kerr.InvalidRequest, "config %s is named more than once", op.Name)
		}
		value, err := b.alteredValue(resource, op)
		if err != nil {
			return nil, err
		}
		have, set := b.image.ConfigValue(resource, op.Name)
		same := set == (value != nil) && (value == nil || have == *value)
		// Brokers reload even what has not changed: a file behind it may have
		// (KAFKA-14136).
		if same && resource.Type != metadata.BrokerResource {
			continue
		}
		out = append(out, &metadata.ConfigRecord{
			ResourceType: resource.Type, ResourceName: resource.Name, Name: op.Name, Value: value,
		})
	}
	return out, nil
}

func (b *brain) checkResource(r metadata.Resource) error {
	switch r.Type {
	case metadata.TopicResource:
		if b.image.Topic(r.Name) == nil {
			return refuse(kerr.UnknownTopicOrPartition, "topic %q", r.Name)
		}
		return nil
	case metadata.BrokerResource:
		if _, err := strconv.ParseInt(r.Name, 10, 32); err != nil && r.Name != "" {
			return refuse(kerr.InvalidRequest, "broker %q: a node id expected", r.Name)
		}
		return nil
	}
	return refuse(kerr.InvalidRequest, "resource type %d: a topic or a broker expected", r.Type)
}

// alteredValue is what op makes of a configuration; nil: it is no longer set.
func (b *brain) alteredValue(r metadata.Resource, op kmsg.IncrementalAlterConfigsRequestResourceConfig) (*string, error) {
	if op.Op == kmsg.IncrementalAlterConfigOpDelete {
		if r == allBrokers && op.Name == configMinISR && b.elrOn() {
			return nil, refuse(kerr.InvalidConfig, "config %s of all brokers must be set as long as there are ELRs", op.Name)
		}
		return nil, nil
	}
	if op.Value == nil {
		return nil, refuse(kerr.InvalidConfig, "config %s: a value expected", op.Name)
	}
	value := *op.Value
	switch op.Op {
	case kmsg.IncrementalAlterConfigOpSet:
	case kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract:
		if !slices.Contains(listConfigs, op.Name) {
			return nil, refuse(kerr.InvalidConfig, "config %s is no list", op.Name)
		}
		have, ok := b.image.ConfigValue(r, op.Name)
		if !ok {
			have = topicDefault(op.Name)
		}
		value = alteredList(have, value, op.Op == kmsg.IncrementalAlterConfigOpAppend)
	default:
		return nil, refuse(kerr.InvalidRequest, "config %s: operation %d is unknown", op.Name, op.Op)
	}
	if err := b.checkConfig(r, op.Name, value); err != nil {
		return nil, err
	}
	return &value, nil
}

func alteredList(have, value string, add bool) string {
	var list []string
	for _, item := range strings.Split(have, ",") {
		if item != "" {
			list = append(list, item)
		}
	}
	for _, item := range strings.Split(value, ",") {
		i := slices.Index(list, item)
		switch {
		case add && i < 0:
			list = append(list, item)
		case !add && i >= 0:
			list = slices.Delete(list, i, i+1)
		}
	}
	return strings.Join(list, ",")
}

// listConfigs are those that can be appended to.
var listConfigs = []string{
	"cleanup.policy", "follower.replication.throttled.replicas", "leader.replication.throttled.replicas",
}

// keptConfigs are topic configurations that Kafka knows and this stack does
// not act on. They are kept and shown, so that tools that set them work.
var keptConfigs = []string{
	"compression.gzip.level", "compression.lz4.level", "compression.zstd.level",
	"delete.retention.ms", "follower.replication.throttled.replicas", "leader.replication.throttled.replicas",
	"local.retention.bytes", "local.retention.ms", "max.compaction.lag.ms", "message.downconversion.enable",
	"min.cleanable.dirty.ratio", "min.compaction.lag.ms", "preallocate",
	"remote.log.copy.disable", "remote.log.delete.on.disable", "remote.storage.enable",
}

// checkConfig holds a value against the type that reads it.
func (b *brain) checkConfig(r metadata.Resource, name, value string) error {
	if slices.Contains(keptConfigs, name) {
		return nil
	}
	if r.Type == metadata.TopicResource || r == allBrokers && name == configMinISR {
		return checkTopicConfig(name, value)
	}
	if name == configMinISR && b.elrOn() {
		return refuse(kerr.InvalidConfig, "config %s may not differ between brokers as long as there are ELRs", name)
	}
	settings := any(&struct {
		log.Config
		Settings
	}{})
	if b.cfg.NewBrokerSettings != nil {
		settings = b.cfg.NewBrokerSettings()
	}
	return invalidConfig(config.Set(settings, name, value))
}

func checkTopicConfig(name, value string) error {
	var cfg log.Config
	if err := config.Set(&cfg, name, value); err != nil {
		return invalidConfig(err)
	}
	if name == configMinISR && cfg.MinInsyncReplicas < 1 {
		return refuse(kerr.InvalidConfig, "config %s: %d found, at least 1 expected", name, cfg.MinInsyncReplicas)
	}
	return nil
}

func invalidConfig(err error) error {
	if err == nil {
		return nil
	}
	return refuse(kerr.InvalidConfig, "%v", err)
}

func topicDefault(name string) string {
	var cfg log.Config
	for _, e := range config.Entries(&cfg) {
		if e.Name == name {
			return e.Default
		}
	}
	return ""
}

// newTopicConfigs is the configuration that a topic is created with.
func newTopicConfigs(asked *kmsg.CreateTopicsRequestTopic) ([]*metadata.ConfigRecord, error) {
	var out []*metadata.ConfigRecord
	for _, c := range asked.Configs {
		if c.Value == nil {
			return nil, refuse(kerr.InvalidConfig, "config %s: a value expected", c.Name)
		}
		if !slices.Contains(keptConfigs, c.Name) {
			if err := checkTopicConfig(c.Name, *c.Value); err != nil {
				return nil, err
			}
		}
		out = append(out, &metadata.ConfigRecord{
			ResourceType: metadata.TopicResource, ResourceName: asked.Topic, Name: c.Name, Value: c.Value,
		})
	}
	slices.SortStableFunc(out, func(a, b *metadata.ConfigRecord) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// effectiveConfig is one configuration of a topic as CreateTopics shows it.
type effectiveConfig struct {
	name, value string
	source      int8
}

// Kafka's sources of a configuration.
const (
	sourceTopic   = 1
	sourceDefault = 5
)

func effectiveTopicConfigs(set []*metadata.ConfigRecord) []effectiveConfig {
	var cfg log.Config
	var out []effectiveConfig
	for _, e := range config.Entries(&cfg) {
		out = append(out, effectiveConfig{e.Name, e.Default, sourceDefault})
	}
	for _, r := range set {
		i := slices.IndexFunc(out, func(e effectiveConfig) bool { return e.name == r.Name })
		if i < 0 {
			i = len(out)
			out = append(out, effectiveConfig{name: r.Name})
		}
		out[i].value, out[i].source = *r.Value, sourceTopic
	}
	slices.SortFunc(out, func(a, b effectiveConfig) int { return cmp.Compare(a.name, b.name) })
	return out
}

// settleELRs appends to configuration changes what they mean for the ELR of
// partitions: with fewer in-sync replicas demanded the high watermark moves on
// without the others.
func (b *brain) settleELRs(out records) records {
	if !b.elrOn() || !slices.ContainsFunc(out, func(r metadata.Record) bool {
		c, ok := r.(*metadata.ConfigRecord)
		return ok && c.Name == configMinISR
	}) {
		return out
	}
	after := *b
	after.image = b.image.Clone()
	for _, r := range out {
		mustApply(after.image, r)
	}
	after.partitions(func(p *metadata.Partition) {
		if len(p.ELR) > 0 {
			c := after.change(p)
			c.election = after.automatic(p.Topic)
			out = c.add(out)
		}
	})
	return out
}
