package client

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// IncrementalAlterConfigs changes some configurations of a resource.
func (a *Admin) IncrementalAlterConfigs(of ConfigResource, changes ...ConfigChange) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = of.Kind, of.Name
	for _, change := range changes {
		rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		rc.Name, rc.Value, rc.Op = change.Name, change.Value, kmsg.IncrementalAlterConfigOpSet
		if change.Value == nil {
			rc.Op = kmsg.IncrementalAlterConfigOpDelete
		}
		rr.Configs = append(rr.Configs, rc)
	}
	req.Resources = append(req.Resources, rr)
	return a.atResource("alter the configuration of", of, req, func(resp kmsg.Response) error {
		answer := resp.(*kmsg.IncrementalAlterConfigsResponse)
		if len(answer.Resources) == 0 {
			return errUnanswered
		}
		return code(answer.Resources[0].ErrorCode, answer.Resources[0].ErrorMessage)
	})
}

// DescribeConfigs asks for the configuration of a resource.
func (a *Admin) DescribeConfigs(of ConfigResource) (entries []ConfigEntry, err error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = of.Kind, of.Name
	req.Resources = append(req.Resources, rr)
	err = a.atResource("describe the configuration of", of, req, func(resp kmsg.Response) error {
		answer := resp.(*kmsg.DescribeConfigsResponse)
		if len(answer.Resources) == 0 {
			return errUnanswered
		}
		r := &answer.Resources[0]
		entries = nil
		for _, c := range r.Configs {
			e := ConfigEntry{Name: c.Name, Default: c.IsDefault || c.Source == kmsg.ConfigSourceDefaultConfig}
			if c.Value != nil {
				e.Value = *c.Value
			}
			entries = append(entries, e)
		}
		return code(r.ErrorCode, r.ErrorMessage)
	})
	slices.SortFunc(entries, func(a, b ConfigEntry) int { return cmp.Compare(a.Name, b.Name) })
	return entries, err
}

// atResource sends a request to a broker that answers for the resource: a broker
// for itself, any for everything else.
func (a *Admin) atResource(doing string, of ConfigResource, req kmsg.Request, check func(kmsg.Response) error) error {
	doing = fmt.Sprintf("%s %v %s", doing, of.Kind, of.Name)
	id, err := strconv.ParseInt(of.Name, 10, 32)
	if of.Kind != kmsg.ConfigResourceTypeBroker || err != nil {
		_, err := anywhere(a, doing, req, check)
		return err
	}
	return a.retry(doing, func(timeout time.Duration) error {
		l := a.net.link(kafka.NodeID(id))
		if l == nil {
			return kerr.BrokerNotAvailable
		}
		resp, err := l.call(req, timeout)
		if err != nil {
			return err
		}
		return check(resp)
	})
}

// ListOffsets asks the leaders of the partitions for offsets. The answer has
// an entry for each.
func (a *Admin) ListOffsets(level IsolationLevel, specs map[kafka.TopicPartition]OffsetSpec) (map[kafka.TopicPartition]ListedOffset, error) {
	out := make(map[kafka.TopicPartition]ListedOffset, len(specs))
	err := a.atLeaders("list offsets", keys(specs), func(l *link, parts []kafka.TopicPartition, timeout time.Duration) (left []kafka.TopicPartition, last error) {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID, req.IsolationLevel = -1, int8(level)
		for _, tp := range parts {
			part := kmsg.NewListOffsetsRequestTopicPartition()
			_, epoch := a.net.metadata.leader(tp)
			part.Partition, part.Timestamp, part.CurrentLeaderEpoch = tp.Partition, int64(specs[tp]), int32(epoch)
			req.Topics = appendListOffsets(req.Topics, tp.Topic, part)
		}
		resp, err := l.call(req, timeout)
		if err != nil {
			return parts, err
		}
		for _, tp := range parts {
			rp := listedOffset(resp.(*kmsg.ListOffsetsResponse), tp)
			if rp == nil {
				return nil, errUnanswered
			}
			err := kerr.ErrorForCode(rp.ErrorCode)
			if err != nil && passing(err) {
				left, last = append(left, tp), err
			}
			out[tp] = ListedOffset{
				Position:  Position{kafka.Offset(rp.Offset), kafka.LeaderEpoch(rp.LeaderEpoch)},
				Timestamp: rp.Timestamp, Err: err,
			}
		}
		return left, last
	})
	return out, err
}

// DeleteRecords deletes what lies below the offsets and returns where the logs
// now start.
func (a *Admin) DeleteRecords(before map[kafka.TopicPartition]kafka.Offset) (map[kafka.TopicPartition]kafka.Offset, error) {
	out := make(map[kafka.TopicPartition]kafka.Offset, len(before))
	err := a.atLeaders("delete records", keys(before), func(l *link, parts []kafka.TopicPartition, timeout time.Duration) (left []kafka.TopicPartition, last error) {
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.TimeoutMillis = int32(timeout.Milliseconds())
		for _, tp := range parts {
			if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != tp.Topic {
				rt := kmsg.NewDeleteRecordsRequestTopic()
				rt.Topic = tp.Topic
				req.Topics = append(req.Topics, rt)
			}
			rp := kmsg.NewDeleteRecordsRequestTopicPartition()
			rp.Partition, rp.Offset = tp.Partition, int64(before[tp])
			rt := &req.Topics[len(req.Topics)-1]
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp, err := l.call(req, timeout)
		if err != nil {
			return parts, err
		}
		for _, rt := range resp.(*kmsg.DeleteRecordsResponse).Topics {
			for _, rp := range rt.Partitions {
				tp := kafka.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}
				switch err := kerr.ErrorForCode(rp.ErrorCode); {
				case err == nil:
					out[tp] = kafka.Offset(rp.LowWatermark)
				case passing(err):
					left, last = append(left, tp), err
				default:
					return nil, fmt.Errorf("%v: %w", tp, err)
				}
			}
		}
		return left, last
	})
	return out, err
}

func keys[V any](m map[kafka.TopicPartition]V) []kafka.TopicPartition {
	return slices.SortedFunc(maps.Keys(m), kafka.TopicPartition.Compare)
}
