package replica

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// trim is a raised log start offset that waits for the followers to have
// raised theirs.
type trim struct {
	p     *Partition
	start kafka.Offset
	// low is the lowest of all when the leader's was raised. Storing its epochs takes time,
	// which Kafka leaves to another thread: a client that gives no time is answered as it was before.
	low    kafka.Offset
	judged bool
	err    error
	out    *kmsg.DeleteRecordsResponseTopicPartition
}

type trims []trim

func (ts trims) ready(i int) bool {
	if x := &ts[i]; !x.judged {
		x.judge()
	}
	for j := range ts {
		if !ts[j].judged {
			return false
		}
	}
	return true
}

func (x *trim) judge() {
	switch {
	case x.p.role != Leader:
		x.judged, x.err, x.out.LowWatermark = true, kerr.NotLeaderForPartition, -1
	case x.p.lowWatermark() >= x.start:
		x.judged = true
		x.out.LowWatermark = int64(x.p.lowWatermark())
	}
}

// deletions are what is asked of each partition: of one that is named several times
// the last counts, as in Kafka's map of them.
func deletions(req *kmsg.DeleteRecordsRequest) (topics []kmsg.DeleteRecordsRequestTopic) {
	at := map[string]int{}
	for _, asked := range req.Topics {
		i, named := at[asked.Topic]
		if !named {
			i = len(topics)
			at[asked.Topic] = i
			topics = append(topics, kmsg.DeleteRecordsRequestTopic{Topic: asked.Topic})
		}
		t := &topics[i]
		where := map[int32]int{}
		for j, p := range t.Partitions {
			where[p.Partition] = j
		}
		for _, p := range asked.Partitions {
			if j, again := where[p.Partition]; again {
				t.Partitions[j] = p
				continue
			}
			where[p.Partition] = len(t.Partitions)
			t.Partitions = append(t.Partitions, p)
		}
	}
	return topics
}

// DeleteRecords raises log start offsets. It blocks until the followers have
// done so too (KIP-107). What they have not done in time is answered with how far they are.
func (m *Manager) DeleteRecords(req *kmsg.DeleteRecordsRequest) *kmsg.DeleteRecordsResponse {
	resp := kmsg.NewPtrDeleteRecordsResponse()
	resp.Version = req.Version
	var waiting trims
	asked := deletions(req)
	resp.Topics = make([]kmsg.DeleteRecordsResponseTopic, len(asked))
	for i, t := range asked {
		resp.Topics[i].Topic = t.Topic
		resp.Topics[i].Partitions = make([]kmsg.DeleteRecordsResponseTopicPartition, len(t.Partitions))
		for j, in := range t.Partitions {
			out := &resp.Topics[i].Partitions[j]
			out.Partition, out.LowWatermark = in.Partition, -1
			p, err := m.lookupName(kafka.TopicPartition{Topic: t.Topic, Partition: in.Partition})
			x := trim{p: p, out: out}
			if err == nil {
				err = x.deleteBelow(kafka.Offset(in.Offset))
			}
			if err == nil {
				out.LowWatermark = int64(x.low)
				x.judged = req.TimeoutMillis <= 0 && x.low < x.start
				if x.judged {
					x.err = kerr.RequestTimedOut
				}
				waiting = append(waiting, x)
			}
			out.ErrorCode = kafka.Code(err)
		}
	}
	m.waitTrims(waiting, time.Duration(req.TimeoutMillis)*time.Millisecond)
	return resp
}

func (m *Manager) waitTrims(ts trims, timeout time.Duration) {
	if len(ts) == 0 {
		return
	}
	for i := range ts {
		ts.ready(i)
	}
	w := m.purgatory.begin(ts, len(ts))
	for i := range ts {
		w.watch(&ts[i].p.trimmed)
	}
	w.sleep(timeout)
	for i := range ts {
		x := &ts[i]
		if !x.judged {
			x.err = kerr.RequestTimedOut
		}
		x.out.ErrorCode = kafka.Code(x.err)
	}
}

// deleteBelow raises the leader's log start offset to start, or to the high
// watermark if start is -1.
func (x *trim) deleteBelow(start kafka.Offset) error {
	p := x.p
	p.gate.enter()
	defer p.gate.leave()
	if err := p.checkLeader(kafka.NoEpoch); err != nil {
		return err
	}
	// A topic without any policy keeps its records, but they may be deleted by
	// hand.
	if policy := p.cfg.CleanupPolicy; policy.Compact && !policy.Delete {
		return kerr.PolicyViolation
	}
	if start == kafka.NoOffset {
		start = p.hw
	}
	if start < 0 || start > p.hw {
		return kerr.OffsetOutOfRange
	}
	x.start, x.low = start, min(max(start, p.log.StartOffset()), p.followersStart())
	return p.raiseStart(start)
}
