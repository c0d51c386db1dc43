package server

import (
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// IncrementalAlterConfigs 0-1 and AlterConfigs 0-2: the controller changes the
// configuration, and every broker follows the metadata log. Only this broker
// takes a change of its own configuration, though, or of that of all brokers;
// another's is INVALID_REQUEST, as in Kafka (ConfigAdminManager.preprocess).
//
// Missing: loggers (INVALID_REQUEST of the controller).

func (b *Broker) incrementalAlterConfigs(_ *wire.Context, req *kmsg.IncrementalAlterConfigsRequest) kmsg.Response {
	asked := req.Resources
	var refused []error
	req.Resources, refused = forUs(b, asked, func(r kmsg.IncrementalAlterConfigsRequestResource) (kmsg.ConfigResourceType, string) {
		return r.ResourceType, r.ResourceName
	})
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
	var refused []error
	req.Resources, refused = forUs(b, asked, func(r kmsg.AlterConfigsRequestResource) (kmsg.ConfigResourceType, string) {
		return r.ResourceType, r.ResourceName
	})
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

// forUs is those of the resources whose change this broker passes on, and for
// each of them all why not, or nil.
func forUs[R any](b *Broker, resources []R, of func(R) (kmsg.ConfigResourceType, string)) (pass []R, refused []error) {
	for _, r := range resources {
		kind, name := of(r)
		err := error(nil)
		if kind == kmsg.ConfigResourceTypeBroker && name != "" {
			err = b.isSelf(name)
		}
		if err == nil {
			pass = append(pass, r)
		}
		refused = append(refused, err)
	}
	return pass, refused
}

// isSelf says what is wrong with a broker's name that must be ours.
func (b *Broker) isSelf(name string) error {
	switch id, err := strconv.ParseInt(name, 10, 32); {
	case err != nil:
		return fmt.Errorf("broker %q: a node id expected: %w", name, kerr.InvalidRequest)
	case kafka.NodeID(id) != b.NodeID:
		return fmt.Errorf("broker %d: only broker %d itself can be asked for its configuration, this is broker %d: %w", id, id, b.NodeID, kerr.InvalidRequest)
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
