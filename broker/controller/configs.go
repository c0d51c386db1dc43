package controller

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// IncrementalAlterConfigs (key 44, v0-1) changes the configuration of topics
// and brokers, each resource on its own and as a whole.
//
// Behavior: a topic must then be as Kafka's LogConfig wants it (INVALID_CONFIG).
// A broker holds what is asked of it against its whole configuration before it
// passes the request on (server, KIP-226); here only types and bounds are looked
// at. Names that Kafka does not know are taken for brokers, for plugins. A new
// min.insync.replicas settles the ELR of the partitions it is for.
//
// What is set on groups is kept for a coordinator that is not here yet.
//
// Missing: client metrics (INVALID_REQUEST); there are no loggers.
func (c *Controller) IncrementalAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	asked := make([]alteration, len(req.Resources))
	for i, r := range req.Resources {
		asked[i] = alteration{resource: resourceOf(r.ResourceType, r.ResourceName), ops: r.Configs}
	}
	for i, err := range c.alterConfigs(asked, req.ValidateOnly) {
		r := kmsg.NewIncrementalAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), kafka.Message(err)
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
		r.ErrorCode, r.ErrorMessage = kafka.Code(err), kafka.Message(err)
		resp.Resources = append(resp.Resources, r)
	}
	return resp
}

// alteration is what a request wants changed on one resource. whole: what it
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
		var written records
		err := error(nil)
		if times[a.resource] > 1 {
			err = refuse(kerr.InvalidRequest, "Each resource must appear at most once.")
		} else {
			written, err = b.alterResource(a)
		}
		if err == nil && len(out)+len(written) > maxRecords {
			written, err = nil, refuse(kerr.PolicyViolation, "more than %d records in one request", maxRecords)
		}
		out = append(out, written...)
		errs = append(errs, err)
	}
	return b.settleELRs(out), errs
}

// alterResource decides one alteration: is it well formed, what does it make of
// each value, may the resource be so.
func (b *brain) alterResource(a alteration) (out records, err error) {
	if err := a.wellFormed(); err != nil {
		return nil, err
	}
	set := map[string]string{}
	for _, e := range b.image.Config(a.resource) {
		set[e.Name] = e.Value
	}
	for _, op := range b.opsOf(a) {
		value, err := b.alteredValue(a.resource, op)
		if err != nil {
			return nil, err
		}
		have, isSet := set[op.Name]
		if value == nil {
			delete(set, op.Name)
		} else {
			set[op.Name] = *value
		}
		same := isSet == (value != nil) && (value == nil || have == *value)
		// Brokers reload even what has not changed: a file behind it may have
		// (KAFKA-14136).
		if same && a.resource.Type != metadata.BrokerResource {
			continue
		}
		out = append(out, &metadata.ConfigRecord{
			ResourceType: a.resource.Type, ResourceName: a.resource.Name, Name: op.Name, Value: value,
		})
	}
	if err := b.checkResource(a, set); err != nil {
		return nil, err
	}
	return out, nil
}

// wellFormed refuses what no resource could be asked.
func (a alteration) wellFormed() error {
	named := map[string]bool{}
	var null []string
	for _, op := range a.ops {
		if named[op.Name] {
			return refuse(kerr.InvalidRequest, "Error due to duplicate config keys")
		}
		named[op.Name] = true
		if op.Value == nil && op.Op != kmsg.IncrementalAlterConfigOpDelete {
			null = append(null, op.Name)
		}
	}
	if null != nil {
		return refuse(kerr.InvalidRequest, "Null value not supported for : %s", strings.Join(null, ", "))
	}
	switch a.resource.Type {
	case metadata.TopicResource, metadata.BrokerResource, metadata.GroupResource:
		return nil
	case loggers:
		return a.noLogger()
	}
	return refuse(kerr.InvalidRequest, "Unknown resource type %d", a.resource.Type)
}

// loggers is the type of a resource that is not here.
const loggers = metadata.ResourceType(kmsg.ConfigResourceTypeBrokerLogger)

func (a alteration) noLogger() error {
	switch _, err := strconv.ParseInt(a.resource.Name, 10, 32); {
	case a.whole: // only the newer request can change loggers
		return refuse(kerr.InvalidRequest, "Unknown resource type %d", a.resource.Type)
	case err != nil:
		return refuse(kerr.InvalidRequest, "Node id must be an integer, but it is: %s", a.resource.Name)
	case len(a.ops) > 0:
		return refuse(kerr.InvalidConfig, "Logger %s does not exist!", a.ops[0].Name)
	}
	return nil
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

// alteredValue is what op makes of a configuration; nil: it is no longer set.
func (b *brain) alteredValue(r metadata.Resource, op kmsg.IncrementalAlterConfigsRequestResourceConfig) (*string, error) {
	switch op.Op {
	case kmsg.IncrementalAlterConfigOpDelete:
		return nil, nil
	case kmsg.IncrementalAlterConfigOpSet:
		return op.Value, nil
	case kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract:
		d, verb := listOf(r, op.Name), map[bool]string{true: "APPEND", false: "SUBTRACT"}
		appends := op.Op == kmsg.IncrementalAlterConfigOpAppend
		if d == nil {
			return nil, refuse(kerr.InvalidConfig, "Can't %s to key %s because its type is not LIST.", verb[appends], op.Name)
		}
		have, ok := b.image.ConfigValue(r, op.Name)
		if !ok {
			have = d.Default
		}
		value := config.AlterList(have, *op.Value, appends)
		return &value, nil
	}
	return nil, refuse(kerr.InvalidRequest, "Unknown operations type %d", op.Op)
}

// listOf is the definition of a setting that is a list, or nil. Kafka's controller
// does not know which settings of a group are lists.
func listOf(r metadata.Resource, name string) *config.Definition {
	kind := config.Broker
	switch r.Type {
	case metadata.TopicResource:
		kind = config.Topic
	case metadata.GroupResource:
		return nil
	}
	if d := config.Find(kind, name); d != nil && d.Type == config.List {
		return d
	}
	return nil
}

// checkResource refuses a resource that must not be as it would be.
func (b *brain) checkResource(a alteration, set map[string]string) error {
	name := a.resource.Name
	switch a.resource.Type {
	case metadata.BrokerResource:
		return b.checkBroker(a, set)
	case metadata.GroupResource:
		return b.checkGroup(name, set)
	}
	if name == "" {
		return refuse(kerr.InvalidRequest, "Default topic resources are not allowed.")
	}
	if says := kafka.TopicNameError(name); says != "" {
		return refuse(kerr.InvalidTopicException, "%s", says)
	}
	if err := b.checkTopicConfigs(set); err != nil {
		return err
	}
	if b.image.Topic(name) == nil {
		return refuse(kerr.UnknownTopicOrPartition, "The topic '%s' does not exist.", name)
	}
	return nil
}

// checkGroup refuses what a group must not have set. The group need not exist.
func (b *brain) checkGroup(name string, set map[string]string) error {
	if name == "" {
		return refuse(kerr.InvalidRequest, "Default group resources are not allowed.")
	}
	if err := config.CheckGroup(set, b.cfg.Given); err != nil {
		return refuse(kerr.InvalidConfig, "%v", err)
	}
	return nil
}

// checkBroker refuses what would make a broker, or all of them, unable to read
// its configuration, or the ELR unsafe: that counts on one min.insync.replicas
// for all (KIP-966).
func (b *brain) checkBroker(a alteration, set map[string]string) error {
	if name := a.resource.Name; name != "" {
		switch id, err := strconv.ParseInt(name, 10, 32); {
		case err != nil:
			return refuse(kerr.InvalidRequest, "Unable to parse broker name as a base 10 number.")
		case id < 0:
			return refuse(kerr.InvalidRequest, "Invalid negative broker ID.")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if d := config.Find(config.Broker, name); d != nil {
			if _, err := d.Parse(set[name]); err != nil {
				return refuse(kerr.InvalidRequest, "%v", err)
			}
		}
	}
	if !b.elrOn() {
		return nil
	}
	for _, op := range b.opsOf(a) {
		switch {
		case op.Name != configMinISR:
		case a.resource != allBrokers:
			return refuse(kerr.InvalidConfig, "Broker-level min.insync.replicas cannot be altered while ELR is enabled.")
		case op.Op == kmsg.IncrementalAlterConfigOpDelete:
			return refuse(kerr.InvalidConfig, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.")
		}
	}
	return nil
}

// checkTopicConfigs refuses what a topic must not have set.
func (b *brain) checkTopicConfigs(set map[string]string) error {
	if err := config.CheckTopic(set, config.FileLayer(b.cfg.Given)); err != nil {
		return refuse(kerr.InvalidConfig, "%v", err)
	}
	return nil
}

// newTopicConfigs is the configuration that a topic is created with. Of a name
// given twice the last counts, as in Kafka.
func (b *brain) newTopicConfigs(asked *kmsg.CreateTopicsRequestTopic) ([]*metadata.ConfigRecord, error) {
	set := map[string]string{}
	var null []string
	for _, c := range asked.Configs {
		if c.Value == nil {
			null = append(null, c.Name)
			continue
		}
		set[c.Name] = *c.Value
	}
	if null != nil {
		return nil, refuse(kerr.InvalidConfig, "Null value not supported for topic configs: %s", strings.Join(null, ","))
	}
	if err := b.checkTopicConfigs(set); err != nil {
		return nil, err
	}
	var out []*metadata.ConfigRecord
	for _, name := range slices.Sorted(maps.Keys(set)) {
		value := set[name]
		out = append(out, &metadata.ConfigRecord{
			ResourceType: metadata.TopicResource, ResourceName: asked.Topic, Name: name, Value: &value,
		})
	}
	return out, nil
}

// effectiveConfigs is the configuration of a new topic as CreateTopics shows it.
func (b *brain) effectiveConfigs(set []*metadata.ConfigRecord) (out []kmsg.CreateTopicsResponseTopicConfig) {
	own := config.Layer{Source: config.FromTopic, Get: func(name string) (string, bool) {
		for _, r := range set {
			if r.Name == name {
				return *r.Value, true
			}
		}
		return "", false
	}}
	for _, d := range config.All(config.Topic) {
		value, from := d.Effective(own, b.layer(config.FromBroker, metadata.BrokerConfig(b.cfg.ID)),
			b.layer(config.FromAllBrokers, allBrokers), config.FileLayer(b.cfg.Given))
		if d.Internal && from != config.FromTopic {
			continue
		}
		c := kmsg.NewCreateTopicsResponseTopicConfig()
		c.Name, c.Value, c.Source = d.Name, &value, int8(from)
		out = append(out, c)
	}
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
