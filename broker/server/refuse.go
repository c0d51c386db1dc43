package server

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// notController reports whether a controller says that it is not the active
// one. Each API has its own place for that.
func notController(resp kmsg.Response) bool {
	code := kerr.NotController.Code
	switch resp := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		return len(resp.Topics) > 0 && resp.Topics[0].ErrorCode == code
	case *kmsg.DeleteTopicsResponse:
		return len(resp.Topics) > 0 && resp.Topics[0].ErrorCode == code
	case *kmsg.CreatePartitionsResponse:
		return len(resp.Topics) > 0 && resp.Topics[0].ErrorCode == code
	case *kmsg.IncrementalAlterConfigsResponse:
		return len(resp.Resources) > 0 && resp.Resources[0].ErrorCode == code
	case *kmsg.DescribeQuorumResponse:
		if resp.ErrorCode != 0 {
			return resp.ErrorCode == code || resp.ErrorCode == kerr.NotLeaderForPartition.Code
		}
		if len(resp.Topics) > 0 && len(resp.Topics[0].Partitions) > 0 {
			return resp.Topics[0].Partitions[0].ErrorCode == kerr.NotLeaderForPartition.Code
		}
		return false
	case *kmsg.ElectLeadersResponse:
		if resp.Version == 0 && len(resp.Topics) > 0 && len(resp.Topics[0].Partitions) > 0 {
			return resp.Topics[0].Partitions[0].ErrorCode == code
		}
	}
	return topLevelError(resp) == code
}

// topLevelError is the error of a response that has one for the whole of it.
func topLevelError(resp kmsg.Response) int16 {
	switch resp := resp.(type) {
	case *kmsg.ElectLeadersResponse:
		return resp.ErrorCode
	case *kmsg.AlterPartitionAssignmentsResponse:
		return resp.ErrorCode
	case *kmsg.ListPartitionReassignmentsResponse:
		return resp.ErrorCode
	case *kmsg.UpdateFeaturesResponse:
		return resp.ErrorCode
	case *kmsg.UnregisterBrokerResponse:
		return resp.ErrorCode
	case *kmsg.AlterPartitionResponse:
		return resp.ErrorCode
	case *kmsg.AllocateProducerIDsResponse:
		return resp.ErrorCode
	case *kmsg.BrokerRegistrationResponse:
		return resp.ErrorCode
	case *kmsg.BrokerHeartbeatResponse:
		return resp.ErrorCode
	}
	return 0
}

// refuse answers an admin request with one error for all that it asks for.
func refuse(req kmsg.Request, because error) kmsg.Response {
	code, message := errorOf(because)
	switch req := req.(type) {
	case *kmsg.CreateTopicsRequest:
		resp := kmsg.NewPtrCreateTopicsResponse()
		for _, t := range req.Topics {
			topic := kmsg.NewCreateTopicsResponseTopic()
			topic.Topic, topic.ErrorCode, topic.ErrorMessage = t.Topic, code, message
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	case *kmsg.DeleteTopicsRequest:
		resp := kmsg.NewPtrDeleteTopicsResponse()
		for _, name := range req.TopicNames {
			topic := kmsg.NewDeleteTopicsResponseTopic()
			topic.Topic, topic.ErrorCode, topic.ErrorMessage = ptr(name), code, message
			resp.Topics = append(resp.Topics, topic)
		}
		for _, t := range req.Topics {
			topic := kmsg.NewDeleteTopicsResponseTopic()
			topic.Topic, topic.TopicID, topic.ErrorCode, topic.ErrorMessage = t.Topic, t.TopicID, code, message
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	case *kmsg.CreatePartitionsRequest:
		resp := kmsg.NewPtrCreatePartitionsResponse()
		for _, t := range req.Topics {
			topic := kmsg.NewCreatePartitionsResponseTopic()
			topic.Topic, topic.ErrorCode, topic.ErrorMessage = t.Topic, code, message
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	case *kmsg.IncrementalAlterConfigsRequest:
		resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
		for _, r := range req.Resources {
			resource := kmsg.NewIncrementalAlterConfigsResponseResource()
			resource.ResourceType, resource.ResourceName = r.ResourceType, r.ResourceName
			resource.ErrorCode, resource.ErrorMessage = code, message
			resp.Resources = append(resp.Resources, resource)
		}
		return resp
	case *kmsg.ElectLeadersRequest:
		return refuseElection(req, code, message)
	case *kmsg.AlterPartitionAssignmentsRequest:
		resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
		resp.ErrorCode, resp.ErrorMessage = code, message
		return resp
	case *kmsg.ListPartitionReassignmentsRequest:
		resp := kmsg.NewPtrListPartitionReassignmentsResponse()
		resp.ErrorCode, resp.ErrorMessage = code, message
		return resp
	case *kmsg.UpdateFeaturesRequest:
		resp := kmsg.NewPtrUpdateFeaturesResponse()
		resp.ErrorCode, resp.ErrorMessage = code, message
		return resp
	case *kmsg.UnregisterBrokerRequest:
		resp := kmsg.NewPtrUnregisterBrokerResponse()
		resp.ErrorCode, resp.ErrorMessage = code, message
		return resp
	case *kmsg.DescribeQuorumRequest:
		resp := kmsg.NewPtrDescribeQuorumResponse()
		resp.ErrorCode, resp.ErrorMessage = code, message
		return resp
	}
	panic("server: no way to refuse " + kmsg.NameForKey(req.Key()))
}

// refuseElection: version 0 has no place for an error but the partitions.
func refuseElection(req *kmsg.ElectLeadersRequest, code int16, message *string) kmsg.Response {
	resp := kmsg.NewPtrElectLeadersResponse()
	resp.ErrorCode = code
	for _, t := range req.Topics {
		topic := kmsg.NewElectLeadersResponseTopic()
		topic.Topic = t.Topic
		for _, p := range t.Partitions {
			partition := kmsg.NewElectLeadersResponseTopicPartition()
			partition.Partition, partition.ErrorCode, partition.ErrorMessage = p, code, message
			topic.Partitions = append(topic.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
