package controller

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/internal/nearest"
)

// IncrementalAlterConfigs (key 44, v0-1) changes the configuration of topics
// and brokers, each resource on its own and as a whole.
//
// Behavior: a name or value that does not fit is INVALID_CONFIG for a topic,
// INVALID_REQUEST for a broker (KAFKA-13609), and so is what a broker reads only
// when it starts. A new min.insync.replicas settles the ELR of the partitions it
// is for.
//
// Missing: resources other than topics and brokers. Kafka takes any name for a
// broker that it does not know, for plugins; here it is refused.
func (c *Controller) IncrementalAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	asked := make([]alteration, len(req.Resources))
	for i, r := range req.Resources {
		asked[i] = alteration{resource: resourceOf(r.ResourceType, r.ResourceName), ops: r.Configs}
	}
	for i, err := range c.alterConfigs(asked, req.ValidateOnly) {
		r := kmsg.NewIncrementalAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}

// AlterConfigs (key 33, v0-2) is the older way: what it names is all that is
// set on a resource, and what it does not name is no longer set.
func (c *Controller) AlterConfigs(req *kmsg.AlterConfigsRequest) *kmsg.AlterConfigsResponse {
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	asked := make([]alteration, len(req.Resources))
	for i, r := range req.Resources {
		asked[i] = alteration{resource: resourceOf(r.ResourceType, r.ResourceName), whole: true}
		for _, config := range r.Configs {
			op := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			op.Op, op.Name, op.Value = kmsg.IncrementalAlterConfigOpSet, config.Name, config.Value
			asked[i].ops = append(asked[i].ops, op)
		}
	}
	for i, err := range c.alterConfigs(asked, req.ValidateOnly) {
		r := kmsg.NewAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), message(err)
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}

// alteration is what somebody wants changed on one resource. whole: what it
// does not name is to be deleted.
type alteration struct {
	resource metadata.Resource
	ops      []kmsg.IncrementalAlterConfigsRequestResourceConfig
	whole    bool
}

func resourceOf(kind kmsg.ConfigResourceType, name string) metadata.Resource {
	return metadata.Resource{Type: metadata.ResourceType(kind), Name: name}
}

// alterConfigs makes alterations and returns what became of each.
func (c *Controller) alterConfigs(asked []alteration, validateOnly bool) (errs []error) {
	err := c.write(commitTimeout, func(b *brain) (out records, err error) {
		out, errs = b.alterConfigs(asked)
		if validateOnly {
			out = nil
		}
		return out, nil
	})
	if err != nil {
		errs = make([]error, len(asked))
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

func (b *brain) alterConfigs(asked []alteration) (out records, errs []error) {
	times := map[metadata.Resource]int{}
	for _, a := range asked {
		times[a.resource]++
	}
	for _, a := range asked {
		var made records
		err := error(nil)
		if times[a.resource] > 1 {
			err = refuse(kerr.InvalidRequest, "resource %q is named more than once", a.resource.Name)
		} else {
			made, err = b.alterResource(a)
		}
		if err == nil && len(out)+len(made) > maxRecords {
			made, err = nil, refuse(kerr.PolicyViolation, "more than %d records in one request", maxRecords)
		}
		out = append(out, made...)
		errs = append(errs, err)
	}
	return b.settleELRs(out), errs
}

func (b *brain) alterResource(a alteration) (records, error) {
	if err := b.checkResource(a.resource); err != nil {
		return nil, err
	}
	var out records
	named := map[string]bool{}
	for _, op := range b.opsOf(a) {
		if named[op.Name] {
			return nil, refuse(kerr.InvalidRequest, "config %s is named more than once", op.Name)
		}
		named[op.Name] = true
		value, err := b.alteredValue(a.resource, op)
		if err != nil {
			return nil, err
		}
		have, set := b.image.ConfigValue(a.resource, op.Name)
		same := set == (value != nil) && (value == nil || have == *value)
		// Brokers reload even what has not changed: a file behind it may have
		// (KAFKA-14136).
		if same && a.resource.Type != metadata.BrokerResource {
			continue
		}
		out = append(out, &metadata.ConfigRecord{
			ResourceType: a.resource.Type, ResourceName: a.resource.Name, Name: op.Name, Value: value,
		})
	}
	return out, nil
}

// opsOf is what a asks for, and what it asks for by not naming it.
func (b *brain) opsOf(a alteration) []kmsg.IncrementalAlterConfigsRequestResourceConfig {
	ops := a.ops
	if !a.whole {
		return ops
	}
	for _, have := range b.image.Config(a.resource) {
		if !slices.ContainsFunc(a.ops, func(o kmsg.IncrementalAlterConfigsRequestResourceConfig) bool { return o.Name == have.Name }) {
			op := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			op.Op, op.Name = kmsg.IncrementalAlterConfigOpDelete, have.Name
			ops = append(ops, op)
		}
	}
	return ops
}

func (b *brain) checkResource(r metadata.Resource) error {
	switch r.Type {
	case metadata.TopicResource:
		if b.image.Topic(r.Name) == nil {
			return refuse(kerr.UnknownTopicOrPartition, "topic %q", r.Name)
		}
		return nil
	case metadata.BrokerResource:
		if id, err := strconv.ParseInt(r.Name, 10, 32); (err != nil || id < 0) && r.Name != "" {
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
		return nil, refuse(kerr.InvalidRequest, "config %s: a value expected", op.Name)
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

// keptBrokerConfigs are those of brokers that Kafka can change while they run
// and that have nothing to act on here: it has threads, a cleaner, quotas, tiers.
var keptBrokerConfigs = []string{
	"background.threads", "compression.gzip.level", "compression.lz4.level", "compression.zstd.level",
	"follower.replication.throttled.rate", "leader.replication.throttled.rate",
	"log.cleaner.backoff.ms", "log.cleaner.dedupe.buffer.size", "log.cleaner.delete.retention.ms",
	"log.cleaner.io.buffer.load.factor", "log.cleaner.io.buffer.size", "log.cleaner.io.max.bytes.per.second",
	"log.cleaner.max.compaction.lag.ms", "log.cleaner.min.cleanable.ratio", "log.cleaner.min.compaction.lag.ms",
	"log.cleaner.threads", "log.local.retention.bytes", "log.local.retention.ms", "log.preallocate",
	"max.connection.creation.rate", "max.connections", "max.connections.per.ip", "max.connections.per.ip.overrides",
	"metric.reporters", "num.io.threads", "num.network.threads", "num.recovery.threads.per.data.dir",
	"num.replica.fetchers", "replica.alter.log.dirs.io.max.bytes.per.second",
	"transaction.partition.verification.enable",
}

const configProducerExpiry = "producer.id.expiration.ms"

// checkConfig holds a value against the type that reads it.
func (b *brain) checkConfig(r metadata.Resource, name, value string) error {
	switch {
	case r.Type == metadata.TopicResource && slices.Contains(keptConfigs, name):
		return nil
	case r.Type == metadata.TopicResource:
		return checkTopicConfig(name, value)
	case name == configMinISR && r != allBrokers && b.elrOn():
		return refuse(kerr.InvalidConfig, "config %s may not differ between brokers as long as there are ELRs", name)
	}
	if err := b.checkBrokerConfig(name, value); err != nil {
		return refuse(kerr.InvalidRequest, "%v", err)
	}
	return nil
}

// checkBrokerConfig is for what can be changed while a broker runs (KIP-226,
// DynamicBrokerConfig).
func (b *brain) checkBrokerConfig(name, value string) error {
	synonym, isTopics := log.SynonymOf(name)
	switch {
	case slices.Contains(keptBrokerConfigs, name):
		return nil
	case name == configProducerExpiry:
		if n, err := strconv.ParseInt(value, 10, 32); err != nil || n < 1 {
			return fmt.Errorf("config %s: found %q, expected a number of at least 1", name, value)
		}
		return nil
	case isTopics && synonym.Dynamic():
		return topicConfigError(synonym.Topic, name, value)
	case isTopics || slices.Contains(b.cfg.BrokerConfigs, name):
		return fmt.Errorf("config %s cannot be changed while a broker runs", name)
	}
	return nearest.Unknown("config", name, dynamicBrokerConfigs())
}

// DynamicBrokerConfig reports whether a broker's configuration can be changed
// while it runs.
func DynamicBrokerConfig(name string) bool { return slices.Contains(dynamicBrokerConfigs(), name) }

func dynamicBrokerConfigs() []string {
	names := append([]string{configProducerExpiry}, keptBrokerConfigs...)
	for _, name := range log.BrokerNames() {
		if s, _ := log.SynonymOf(name); s.Dynamic() {
			names = append(names, name)
		}
	}
	return names
}

func checkTopicConfig(name, value string) error {
	if err := topicConfigError(name, name, value); err != nil {
		return refuse(kerr.InvalidConfig, "%v", err)
	}
	return nil
}

// topicConfigError says what is wrong with a topic's configuration that
// somebody has set under another name.
func topicConfigError(topic, name, value string) error {
	var cfg log.Config
	if err := config.Set(&cfg, topic, value); err != nil {
		return renamed(err, topic, name)
	}
	if topic == configMinISR && cfg.MinInsyncReplicas < 1 {
		return fmt.Errorf("config %s: %d found, at least 1 expected", name, cfg.MinInsyncReplicas)
	}
	return nil
}

func renamed(err error, topic, name string) error {
	if topic == name {
		return err
	}
	return errors.New(strings.Replace(err.Error(), topic, name, 1))
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
