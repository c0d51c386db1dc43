package server

import (
	"path"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

// DescribeLogDirs 1-4: the size of each replica in the broker's one log
// directory, and by how much its log end is behind the high watermark. v4 adds
// how large the disk is and what of it is free (KIP-827), -1 where there is only
// a simulated one.
//
// Missing: several directories.
func (b *Broker) describeLogDirs(_ *wire.Context, req *kmsg.DescribeLogDirsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeLogDirsResponse()
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir, dir.TotalBytes, dir.UsableBytes = b.dataDir()
	asked := askedLogs(req)
	for _, tp := range b.Dir.Partitions() {
		if req.Topics != nil && !asked[tp] {
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

// realDisk is a disk of this machine, as opposed to a simulated one.
type realDisk interface {
	// Where is the absolute path of a path.
	Where(path string) string
}

// sizedDisk is one that knows how large it is.
type sizedDisk interface {
	// Space is the size of the file system, and how much of it may be used yet.
	Space() (total, usable int64, err error)
}

// dataDir is the absolute path of the log directory, and the space around it.
func (b *Broker) dataDir() (where string, total, usable int64) {
	where, total, usable = AbsolutePath(b.Host, b.DataDir), -1, -1
	if disk, sized := b.Host.Disk().(sizedDisk); sized {
		if t, u, err := disk.Space(); err == nil {
			total, usable = t, u
		}
	}
	return where, total, usable
}

// AbsolutePath is where a path of the host's disk is on this machine; a simulated
// disk has its own root.
func AbsolutePath(host env.Host, p string) string {
	if disk, real := host.Disk().(realDisk); real {
		return disk.Where(p)
	}
	return path.Join("/", p)
}

// askedLogs is the partitions that the request names.
func askedLogs(req *kmsg.DescribeLogDirsRequest) map[kafka.TopicPartition]bool {
	out := map[kafka.TopicPartition]bool{}
	for i := range req.Topics {
		for _, id := range req.Topics[i].Partitions {
			out[kafka.TopicPartition{Topic: req.Topics[i].Topic, Partition: id}] = true
		}
	}
	return out
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
