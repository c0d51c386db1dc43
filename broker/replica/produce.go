package replica

import (
	"errors"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/witness"
)

// pending is an append with acks=all that waits to be committed.
type pending struct {
	p     *Partition
	epoch kafka.LeaderEpoch
	// first and end are what it spans.
	first, end kafka.Offset
	judged     bool
	err        error
	topic, at  int // of its answer
}

// pendings are the appends of one request. They are over when all are judged.
type pendings []pending

// ready judges append i, as of now.
func (ps pendings) ready(i int) bool {
	if x := &ps[i]; !x.judged {
		x.judged, x.err = x.p.verdict(x.end)
		if x.judged && x.err == nil {
			// It counts as answered now: what becomes of the ISR until the task
			// runs does not change the answer.
			x.p.m.host.Tell(&witness.ProduceAcked{Replica: x.p.self, From: x.first, End: x.end, Epoch: x.epoch, HW: x.p.hw})
		}
	}
	for j := range ps {
		if !ps[j].judged {
			return false
		}
	}
	return true
}

// wait waits until all are judged. What is not in time is in doubt.
func (m *Manager) wait(ps pendings, timeout time.Duration) {
	if len(ps) == 0 {
		return
	}
	for i := range ps {
		ps.ready(i)
	}
	w := m.purgatory.begin(ps, len(ps))
	for i := range ps {
		w.watch(&ps[i].p.moved)
	}
	w.sleep(timeout)
	for i := range ps {
		x := &ps[i]
		if !x.judged {
			x.err = kerr.RequestTimedOut
		}
	}
}

// Produce appends a producer's batches. With acks=all it blocks until they are
// committed.
func (m *Manager) Produce(req *kmsg.ProduceRequest) *kmsg.ProduceResponse {
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = req.Version
	resp.Topics = make([]kmsg.ProduceResponseTopic, len(req.Topics))
	var waiting pendings
	for i := range req.Topics {
		in, out := &req.Topics[i], &resp.Topics[i]
		out.Topic, out.TopicID = in.Topic, in.TopicID
		out.Partitions = make([]kmsg.ProduceResponseTopicPartition, len(in.Partitions))
		for j := range in.Partitions {
			tp := kafka.TopicPartition{Topic: in.Topic, Partition: in.Partitions[j].Partition}
			p, info, err := m.produceOne(tp, req, in.Partitions[j].Records)
			fillProduced(&out.Partitions[j], tp.Partition, p, info, err)
			if err == nil && req.Acks == acksAll {
				waiting = append(waiting, pending{p: p, epoch: p.epoch, first: info.FirstOffset, end: info.LastOffset + 1, topic: i, at: j})
			}
		}
	}
	m.wait(waiting, time.Duration(req.TimeoutMillis)*time.Millisecond)
	for _, x := range waiting {
		if x.err != nil {
			out := &resp.Topics[x.topic].Partitions[x.at]
			fillProduced(out, out.Partition, nil, log.AppendInfo{}, x.err)
		}
	}
	return resp
}

func (m *Manager) produceOne(tp kafka.TopicPartition, req *kmsg.ProduceRequest, batches []byte) (*Partition, log.AppendInfo, error) {
	if req.Acks < acksAll || req.Acks > 1 {
		return nil, log.AppendInfo{}, kerr.InvalidRequiredAcks
	}
	p, err := m.lookupName(tp)
	if err != nil {
		return nil, log.AppendInfo{}, err
	}
	if err := checkProduced(req.Version, batches); err != nil {
		return nil, log.AppendInfo{}, err
	}
	info, err := p.append(batches, kafka.NoEpoch, req.Acks, false)
	return p, info, err
}

// checkProduced checks what depends on the version of the request; the rest is
// the log's. Since version 3 there is exactly one batch, and zstd came with
// version 7 (KIP-110).
func checkProduced(version int16, batches []byte) error {
	b, rest, err := record.Next(batches)
	switch {
	case err == io.EOF || err == nil && len(rest) > 0:
		return kerr.InvalidRecord
	case err == io.ErrUnexpectedEOF:
		return kerr.CorruptMessage
	case err != nil:
		return err
	case version < 7 && b.Codec() == record.Zstd:
		return kerr.UnsupportedCompressionType
	}
	return nil
}

func fillProduced(out *kmsg.ProduceResponseTopicPartition, partition int32, p *Partition, info log.AppendInfo, err error) {
	*out = kmsg.NewProduceResponseTopicPartition()
	out.Partition = partition
	if err == nil {
		out.BaseOffset, out.LogAppendTime = int64(info.FirstOffset), info.LogAppendTime
		out.LogStartOffset = int64(p.log.StartOffset())
		return
	}
	out.ErrorCode = kafka.Code(err)
	out.BaseOffset, out.LogAppendTime, out.LogStartOffset = -1, -1, -1
	if bare := (*kerr.Error)(nil); errors.As(err, &bare) && err != error(bare) {
		text := err.Error()
		out.ErrorMessage = &text
	}
}

// AppendLocal appends batches of the broker's own (coordinators, transaction
// markers) to a partition that it leads. It does not wait for replication: see
// WaitCommitted. epoch, unless NoEpoch, must be the current one.
func (m *Manager) AppendLocal(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, batches []byte, acks int16) (log.AppendInfo, error) {
	p, err := m.lookupName(tp)
	if err != nil {
		return log.AppendInfo{}, err
	}
	return p.append(batches, epoch, acks, true)
}

// WaitCommitted blocks until the high watermark has reached end in that leader
// epoch, and judges as acks=all does. The offsets [first, end) are then
// promised.
func (m *Manager) WaitCommitted(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, first, end kafka.Offset, timeout time.Duration) error {
	p, err := m.lookupName(tp)
	if err != nil {
		return err
	}
	if err := p.checkLeader(epoch); err != nil {
		return kerr.NotLeaderForPartition
	}
	ps := pendings{{p: p, epoch: epoch, first: first, end: end}}
	m.wait(ps, timeout)
	return ps[0].err
}

// ReadLocal reads batches of a partition that this broker leads in that epoch,
// committed or not, as coordinators do to load their state.
func (m *Manager) ReadLocal(tp kafka.TopicPartition, epoch kafka.LeaderEpoch, from kafka.Offset, maxBytes int32) ([]byte, error) {
	p, err := m.lookupName(tp)
	if err != nil {
		return nil, err
	}
	p.gate.enter()
	defer p.gate.leave()
	if err := p.checkLeader(epoch); err != nil {
		return nil, err
	}
	return p.log.Read(from, p.end, maxBytes, true)
}
