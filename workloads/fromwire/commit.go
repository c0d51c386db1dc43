package fromwire

import (
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CommitRefusals are errors after which a commit has certainly not happened, of those that
// a client returns.
var CommitRefusals = []*kerr.Error{
	kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.FencedInstanceID, kerr.StaleMemberEpoch, kerr.RebalanceInProgress,
	kerr.CoordinatorLoadInProgress, kerr.OffsetMetadataTooLarge, kerr.GroupIDNotFound, kerr.InvalidGroupID,
}

// refusals are all such answers: after some of them a client asks again by itself.
var refusals = append(slices.Clone(CommitRefusals), kerr.NotCoordinator, kerr.GroupAuthorizationFailed, kerr.TopicAuthorizationFailed)

// commit records a commit of offsets. It is an operation by a process of its own: one
// without an answer may be carried out late, after others.
func (c *Connection) commit(r *request, req *kmsg.OffsetCommitRequest) {
	e := history.Event{Process: c.o.newProcess(), Client: c.client, F: history.Commit, Time: c.o.now(), Group: req.Group, Generation: max(0, int64(req.Generation)), Member: req.MemberID}
	if req.InstanceID != nil {
		e.Instance = *req.InstanceID
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		topic, known := c.o.topic(t.Topic, t.TopicID)
		if !known {
			c.o.unsure[req.Group] = true
			continue
		}
		for j := range t.Partitions {
			tp := kafka.TopicPartition{Topic: topic, Partition: t.Partitions[j].Partition}
			e.Mops = append(e.Mops, history.Mop{Kind: history.MopCommit, Key: c.o.key(tp), Offset: history.At(t.Partitions[j].Offset)})
		}
	}
	if len(e.Mops) == 0 {
		return
	}
	c.o.recorder.Invoke(e)
	r.answered = func(resp kmsg.Response) {
		e.Time, e.Type = c.o.now(), history.OK
		if code := firstError(resp.(*kmsg.OffsetCommitResponse)); code != 0 {
			err := kerr.ErrorForCode(code)
			e.Error, e.Type = err.Error(), history.Unknown
			if slices.ContainsFunc(refusals, func(k *kerr.Error) bool { return k.Code == code }) {
				e.Type = history.Failed
			}
		}
		c.o.recorder.Complete(e)
	}
}

// firstError is an error of a partition, if there is one. A commit that was refused in
// part counts as one whose outcome is not known.
func firstError(resp *kmsg.OffsetCommitResponse) int16 {
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if code := resp.Topics[i].Partitions[j].ErrorCode; code != 0 {
				return code
			}
		}
	}
	return 0
}
