package server

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/group"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// ListGroups 0-5: the groups that this broker coordinates, filtered by state (v4, KIP-518) and
// type (v5, KIP-848), whatever the case of letters.
//
//   - While one of its partitions is loaded, the answer as a whole is COORDINATOR_LOAD_IN_PROGRESS.
//     A partition that it has just lost is left out.
func (b *Broker) listGroups(_ *wire.Context, req *kmsg.ListGroupsRequest) kmsg.Response {
	resp := kmsg.NewPtrListGroupsResponse()
	for _, p := range b.Groups.runtime.Partitions() {
		err := b.Groups.read(p, func(m *group.Machine) {
			resp.Groups = append(resp.Groups, m.ListGroups(req.StatesFilter, req.TypesFilter, timeline.Committed)...)
		})
		if err != nil && !errors.Is(err, kerr.NotCoordinator) {
			resp.ErrorCode, resp.Groups = kafka.Code(err), nil
			return resp
		}
	}
	return resp
}
