package server

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
)

// IncrementalAlterConfigs 0-1 and AlterConfigs 0-2: the controller changes the
// configuration, and every broker follows the metadata log. Before it passes a
// change of a broker's configuration on, this broker holds all that would then be
// set against its own configuration (KIP-226, ConfigAdminManager.preprocess); what
// does not fit is INVALID_REQUEST. It does so only for itself, or for all brokers;
// another's is INVALID_REQUEST too.

func (b *Broker) incrementalAlterConfigs(_ *wire.Context, req *kmsg.IncrementalAlterConfigsRequest) kmsg.Response {
	asked := req.Resources
	refused := make([]error, len(asked))
	req.Resources = nil
	for i, r := range asked {
		switch r.ResourceType {
		case kmsg.ConfigResourceTypeBroker:
			refused[i] = b.checkUpdate(r.ResourceName, b.setOn(r.ResourceName), r.Configs)
		case kmsg.ConfigResourceTypeBrokerLogger:
			refused[i] = b.isLogger(r.ResourceName)
		}
		if refused[i] == nil {
			req.Resources = append(req.Resources, r)
		}
	}
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	if len(req.Resources) > 0 {
		resp = b.forwarded(req).(*kmsg.IncrementalAlterConfigsResponse)
	}
	resp.Resources = together(refused, resp.Resources, func(i int, err error) kmsg.IncrementalAlterConfigsResponseResource {
		r := kmsg.NewIncrementalAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = asked[i].ResourceType, asked[i].ResourceName
		r.ErrorCode, r.ErrorMessage = errorOf(err)
		return r
	})
	return resp
}

func (b *Broker) alterConfigs(_ *wire.Context, req *kmsg.AlterConfigsRequest) kmsg.Response {
	asked := req.Resources
	refused := make([]error, len(asked))
	req.Resources = nil
	for i, r := range asked {
		if r.ResourceType == kmsg.ConfigResourceTypeBroker {
			var set []kmsg.IncrementalAlterConfigsRequestResourceConfig
			for _, c := range r.Configs {
				set = append(set, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: c.Name, Value: c.Value})
			}
			refused[i] = b.checkUpdate(r.ResourceName, map[string]string{}, set)
		}
		if refused[i] == nil {
			req.Resources = append(req.Resources, r)
		}
	}
	resp := kmsg.NewPtrAlterConfigsResponse()
	if len(req.Resources) > 0 {
		resp = b.forwarded(req).(*kmsg.AlterConfigsResponse)
	}
	resp.Resources = together(refused, resp.Resources, func(i int, err error) kmsg.AlterConfigsResponseResource {
		r := kmsg.NewAlterConfigsResponseResource()
		r.ResourceType, r.ResourceName = asked[i].ResourceType, asked[i].ResourceName
		r.ErrorCode, r.ErrorMessage = errorOf(err)
		return r
	})
	return resp
}

// checkUpdate holds a change of this broker's configuration, or of that of all
// brokers, against the rest of it. set is what the resource begins with.
func (b *Broker) checkUpdate(resource string, set map[string]string, changes []kmsg.IncrementalAlterConfigsRequestResourceConfig) error {
	named := map[string]bool{}
	for _, c := range changes {
		if named[c.Name] || c.Value == nil && c.Op != kmsg.IncrementalAlterConfigOpDelete {
			return nil // the controller says so
		}
		named[c.Name] = true
	}
	if err := b.isSelf(resource); err != nil {
		return err
	}
	for _, c := range changes {
		if err := change(set, c); err != nil {
			return err
		}
	}
	all, one := b.setOn(""), b.setOn(strconv.Itoa(int(b.NodeID)))
	below, above := b.Given, one
	if resource != "" {
		below, above = config.Overlay(b.Given, all), nil
	}
	err := config.CheckUpdate(set, resource != "", below, above)
	if err == nil {
		now := config.Overlay(config.Overlay(b.Given, all), one)
		err = config.CheckRunning(now, config.Overlay(config.Overlay(below, set), above))
	}
	if err != nil {
		return kafka.Refuse(kerr.InvalidRequest, "%s", err.Error())
	}
	return nil
}

// setOn is what is set on one broker, or, without a name, on all. What was stored
// though no broker takes it is passed over, as in Kafka.
func (b *Broker) setOn(resource string) map[string]string {
	set := map[string]string{}
	for _, e := range b.image().Config(metadata.Resource{Type: metadata.BrokerResource, Name: resource}) {
		if config.Updatable(e.Name, e.Value) {
			set[e.Name] = e.Value
		}
	}
	return set
}

// change makes one change to what is set.
func change(set map[string]string, c kmsg.IncrementalAlterConfigsRequestResourceConfig) error {
	d := config.Find(config.Broker, c.Name)
	switch c.Op {
	case kmsg.IncrementalAlterConfigOpSet:
		set[c.Name] = *c.Value
	case kmsg.IncrementalAlterConfigOpDelete:
		delete(set, c.Name)
	case kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract:
		verb, isAppend := "subtract", c.Op == kmsg.IncrementalAlterConfigOpAppend
		if isAppend {
			verb = "append"
		}
		switch {
		case d == nil:
			return kafka.Refuse(kerr.InvalidConfig, "%s", "Unknown config name: "+c.Name)
		case d.Type != config.List:
			return kafka.Refuse(kerr.InvalidConfig, "Config value %s is not allowed for config key: %s", verb, c.Name)
		}
		have, ok := set[c.Name]
		if !ok {
			have = d.Default
		}
		set[c.Name] = config.AlterList(have, *c.Value, isAppend)
	default:
		return kafka.Refuse(kerr.InvalidRequest, "Unknown operations type %d", c.Op)
	}
	return nil
}

// isSelf says what is wrong with a broker's name that must be ours, or none.
func (b *Broker) isSelf(name string) error {
	if name == "" {
		return nil
	}
	switch id, err := strconv.ParseInt(name, 10, 32); {
	case err != nil:
		return kafka.Refuse(kerr.InvalidRequest, "%s", "Node id must be an integer, but it is: "+name)
	case kafka.NodeID(id) != b.NodeID:
		return kafka.Refuse(kerr.InvalidRequest, "Unexpected broker id, expected %d, but received %s", b.NodeID, name)
	}
	return nil
}

// isLogger says what is wrong with the name of a broker whose loggers are meant, if it is
// another's.
func (b *Broker) isLogger(name string) error {
	if id, err := strconv.ParseInt(name, 10, 32); err == nil && kafka.NodeID(id) != b.NodeID {
		return kafka.Refuse(kerr.InvalidRequest, "Unexpected node id. Expected %d, but received %s", b.NodeID, name)
	}
	return nil
}

// together puts the answers in the order of the questions.
func together[A any](refused []error, answered []A, refuse func(i int, err error) A) (out []A) {
	for i, err := range refused {
		switch {
		case err != nil:
			out = append(out, refuse(i, err))
		case len(answered) > 0:
			out, answered = append(out, answered[0]), answered[1:]
		default:
			out = append(out, refuse(i, kerr.UnknownServerError))
		}
	}
	return out
}
