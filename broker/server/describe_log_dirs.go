package server

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
)

// DescribeLogDirs 1-4: the size of each replica in the broker's one log
// directory, and by how much its log end is behind the high watermark.
//
// Missing: the size of the disk (v4: -1), several directories.
func (b *Broker) describeLogDirs(_ *wire.Context, req *kmsg.DescribeLogDirsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir = b.DataDir
	dir.TotalBytes, dir.UsableBytes = -1, -1
	for _, tp := range b.Dir.Partitions() {
		if !asksFor(req, tp) {
			continue
		}
		if n := len(dir.Topics); n == 0 || dir.Topics[n-1].Topic != tp.Topic {
			topic := kmsg.NewDescribeLogDirsResponseDirTopic()
			topic.Topic = tp.Topic
			dir.Topics = append(dir.Topics, topic)
		}
		out := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		out.Partition = tp.Partition
		out.Size, out.OffsetLag = b.sizeAndLag(tp)
		topic := &dir.Topics[len(dir.Topics)-1]
		topic.Partitions = append(topic.Partitions, out)
	}
	resp.Dirs = append(resp.Dirs, dir)
	return resp
}

func asksFor(req *kmsg.DescribeLogDirsRequest, tp kafka.TopicPartition) bool {
	return req.Topics == nil || slices.ContainsFunc(req.Topics, func(t kmsg.DescribeLogDirsRequestTopic) bool {
		return t.Topic == tp.Topic && slices.Contains(t.Partitions, tp.Partition)
	})
}

func (b *Broker) sizeAndLag(tp kafka.TopicPartition) (size, lag int64) {
	l := b.Dir.Get(tp)
	if l == nil {
		return 0, 0
	}
	if p := b.Replicas.Partition(tp); p != nil {
		v := p.View()
		lag = max(0, int64(v.HW-v.LEO))
	}
	return l.Size(), lag
}
