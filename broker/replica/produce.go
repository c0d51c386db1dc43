package replica

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/cost"
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
type pendings struct{ all []pending }

// ready judges append i, as of now.
func (ps *pendings) ready(i int) bool {
	if x := &ps.all[i]; !x.judged {
		x.judged, x.err = x.p.verdict(x.end)
		if x.judged && x.err == nil {
			// It counts as answered now: what becomes of the ISR until the task
			// runs does not change the answer.
			x.p.m.host.Tell(x.p.m.told.produceAcked.Put(witness.ProduceAcked{Replica: x.p.self, From: x.first, End: x.end, Epoch: x.epoch, HW: x.p.hw}))
		}
	}
	for j := range ps.all {
		if !ps.all[j].judged {
			return false
		}
	}
	return true
}

// wait waits until all are judged. What is not in time is in doubt.
func (m *Manager) wait(ps *pendings, timeout time.Duration) {
	if len(ps.all) == 0 {
		return
	}
	for i := range ps.all {
		ps.ready(i)
	}
	w := m.purgatory.begin(ps, len(ps.all))
	for i := range ps.all {
		w.watch(&ps.all[i].p.moved)
	}
	w.sleep(timeout)
	for i := range ps.all {
		x := &ps.all[i]
		if !x.judged {
			x.err = kerr.RequestTimedOut
		}
	}
}

// newPendings is an empty set of appends.
func (m *Manager) newPendings() *pendings {
	n := len(m.pendings)
	if n == 0 {
		return &pendings{}
	}
	ps := m.pendings[n-1]
	m.pendings = m.pendings[:n-1]
	return ps
}

// donePendings keeps the memory of ps for another request.
func (m *Manager) donePendings(ps *pendings) {
	clear(ps.all)
	ps.all = ps.all[:0]
	m.pendings = append(m.pendings, ps)
}

// Produce appends a producer's batches. With acks=all it blocks until they are
// committed.
func (m *Manager) Produce(req *kmsg.ProduceRequest) *kmsg.ProduceResponse {
	resp := kmsg.NewPtrProduceResponse()
	resp.Version = req.Version
	m.ProduceInto(resp, req, nil)
	return resp
}

// ProduceInto is Produce with an empty answer to fill in. guards are those of partitions
// whose transaction was verified.
func (m *Manager) ProduceInto(resp *kmsg.ProduceResponse, req *kmsg.ProduceRequest, guards map[kafka.TopicPartition]log.Guard) {
	resp.Topics = slices.Grow(resp.Topics, len(req.Topics))[:len(req.Topics)]
	from := m.host.Uptime()
	bytes := m.spendOnProduce(req)
	waiting := m.newPendings()
	defer m.donePendings(waiting)
	for i := range req.Topics {
		in, out := &req.Topics[i], &resp.Topics[i]
		memory := out.Partitions[:0]
		*out = kmsg.ProduceResponseTopic{Topic: in.Topic, TopicID: in.TopicID}
		out.Partitions = slices.Grow(memory, len(in.Partitions))[:len(in.Partitions)]
		for j := range in.Partitions {
			tp := kafka.TopicPartition{Topic: in.Topic, Partition: in.Partitions[j].Partition}
			p, info, err := m.produceOne(tp, req, in.Partitions[j].Records, guards[tp])
			fillProduced(&out.Partitions[j], tp.Partition, p, info, err)
			if err == nil && req.Acks == acksAll {
				waiting.all = append(waiting.all, pending{p: p, epoch: p.epoch, first: info.FirstOffset, end: info.LastOffset + 1, topic: i, at: j})
			}
		}
	}
	appended := m.host.Uptime()
	m.took(cost.Appending, appended-from, bytes)
	m.took(cost.AppendingEach, appended-from, min(bytes, 1))
	m.wait(waiting, time.Duration(req.TimeoutMillis)*time.Millisecond)
	m.took(cost.Replicating, m.host.Uptime()-appended, bytes)
	for _, x := range waiting.all {
		// What was appended and is in doubt keeps its offsets, as in Kafka.
		resp.Topics[x.topic].Partitions[x.at].ErrorCode = kafka.Code(x.err)
	}
}

func (m *Manager) produceOne(tp kafka.TopicPartition, req *kmsg.ProduceRequest, batches []byte, guard log.Guard) (*Partition, log.AppendInfo, error) {
	if err := checkProduced(req.Version, batches); err != nil {
		return nil, log.AppendInfo{}, err
	}
	if req.Acks < acksAll || req.Acks > 1 {
		return nil, log.AppendInfo{}, kerr.InvalidRequiredAcks
	}
	p, err := m.lookupName(tp)
	if err != nil {
		return nil, log.AppendInfo{}, err
	}
	info, err := p.append(batches, log.Append{Epoch: kafka.NoEpoch, Guard: guard}, req.Acks)
	return p, info, err
}

// checkProduced checks what depends on the version of the request; the rest is
// the log's. Since version 3 there is exactly one batch of the newest format,
// and zstd came with version 7 (KIP-110). A batch that is cut off is none, and
// what follows a batch counts only if it is another (ProduceRequest and
// ByteBufferLogInputStream of Kafka).
func checkProduced(version int16, batches []byte) error {
	size, magic, err := sniff(batches)
	switch {
	case err != nil:
		return err
	case size == 0 || magic != newestMagic:
		return kerr.InvalidRecord
	case size < record.HeaderSize:
		return kerr.CorruptMessage
	case version < 7 && record.Batch(batches[:size]).Codec() == record.Zstd:
		return kerr.UnsupportedCompressionType
	}
	more, _, err := sniff(batches[size:])
	if err == nil && more > 0 {
		return kerr.InvalidRecord
	}
	return err
}

const newestMagic = 2

// sniff is the size and the format of the first batch in b, of any format; no
// size if it is not there as a whole.
func sniff(b []byte) (size int, magic int8, err error) {
	const lengthAt, magicAt, smallest = 8, 16, 14 // smallest: what any format has beside its records
	if len(b) < record.LogOverhead {
		return 0, 0, nil
	}
	length := int64(int32(binary.BigEndian.Uint32(b[lengthAt:])))
	if length < smallest {
		return 0, 0, kerr.CorruptMessage
	}
	if len(b) <= magicAt {
		return 0, 0, nil
	}
	magic = int8(b[magicAt])
	if magic < 0 || magic > newestMagic {
		return 0, 0, &log.Refused{Kind: kerr.CorruptMessage, Why: fmt.Sprintf("Invalid magic found in record: %d", magic)}
	}
	if int64(len(b)) < record.LogOverhead+length {
		return 0, 0, nil
	}
	return record.LogOverhead + int(length), magic, nil
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
	if p != nil && carriesStart(err) {
		out.LogStartOffset = int64(p.log.StartOffset())
	}
	var refused *log.Refused
	if !errors.As(err, &refused) {
		return // the code says all that Kafka says
	}
	out.ErrorMessage = &refused.Why
	for _, r := range refused.Records {
		bad := kmsg.NewProduceResponseTopicPartitionErrorRecord()
		bad.RelativeOffset, bad.ErrorMessage = r.Index, &r.Why
		out.ErrorRecords = append(out.ErrorRecords, bad)
	}
}

// carriesStart reports whether the answer to a refused append says where the log
// begins. In Kafka it does unless the replica is not the leader or the batch was
// damaged or too large (ReplicaManager.appendRecordsToLeader).
func carriesStart(err error) bool {
	for _, silent := range []*kerr.Error{
		kerr.UnknownTopicOrPartition, kerr.NotLeaderForPartition, kerr.MessageTooLarge,
		kerr.RecordListTooLarge, kerr.CorruptMessage, kerr.KafkaStorageError,
	} {
		if errors.Is(err, silent) {
			return false
		}
	}
	return true
}
