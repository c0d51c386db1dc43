package raft

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// maxFetchWait is how long a leader may hold a Fetch back for news, and
// maxFetchBytes how much it answers at once.
const (
	maxFetchWait  = 500 * time.Millisecond
	maxFetchBytes = 8 << 20
)

// fetcher is the task that follows the leader, or looks for it.
type fetcher struct {
	conn
	wake env.Signal
	idle bool
	wait backoff

	inFlight bool
	asked    QuorumState // when the request in flight was made
	req      *kmsg.FetchRequest
}

// fetchLoop fetches from the node that the core names, one request at a time.
func (n *Node) fetchLoop() {
	f := &n.fetch
	for {
		n.enter()
		to, req, ok := n.core.NextFetch()
		snapshot := n.core.Fetching()
		n.leave()
		if !ok {
			f.idle = true
			f.wake.Wait(env.Forever)
			f.idle = false
			continue
		}
		f.asked, f.inFlight = n.core.State(), true
		var done bool
		if snapshot.IsZero() {
			done = n.fetchFrom(to, req)
		} else {
			done = n.fetchSnapshot(to, req.Epoch, snapshot)
		}
		if done {
			f.wait = 0
		} else {
			n.host.Sleep(f.wait.next(n.cfg.Settings.RetryBackoff))
		}
	}
}

// redirectFetch wakes the fetcher when there is a node to fetch from, and takes
// it off a leader that is no longer the one.
func (n *Node) redirectFetch() {
	f := &n.fetch
	role := n.core.Role()
	fetches := role == Follower || role == Unattached
	if f.idle && fetches {
		f.idle = false
		f.wake.Notify()
	}
	if state := n.core.State(); f.inFlight && (state.Epoch != f.asked.Epoch || state.Leader != f.asked.Leader) {
		f.close()
	}
}

// call sends a request of the fetcher. It reports false when no answer came.
func (n *Node) call(to kafka.NodeID, req kmsg.Request) (kmsg.Response, bool) {
	c, err := n.fetch.dial(n, n.addr(to))
	if err != nil {
		return nil, false
	}
	resp, err := c.Call(req, n.cfg.Settings.RequestTimeout)
	return resp, err == nil
}

// fetchFrom makes one Fetch. It reports whether to go on at once.
func (n *Node) fetchFrom(to kafka.NodeID, req FetchRequest) bool {
	resp, ok := n.call(to, n.fetchRequest(req))
	n.fetch.inFlight = false
	var reply FetchReply
	var batches []held
	var spans []Span
	var bytes []byte
	if ok {
		var err error
		if reply, bytes, err = parseFetchResponse(resp.(*kmsg.FetchResponse)); err == nil {
			batches, spans, err = n.cfg.Decoder.decode(bytes)
		}
		if err != nil {
			n.host.Tell(&witness.QuorumFetchFailed{Replica: n.self, From: to, Error: witness.ErrorOf(err)})
			ok = false
		}
		if c := n.fetch.c; c != nil {
			c.Recycle(resp) // what it brought is in bytes
		}
	}
	n.enter()
	if !ok {
		n.core.FetchFailed(to)
		n.leave()
		return false
	}
	end := n.core.Log().End
	ok = n.core.FetchReplied(n.host.Uptime(), to, req, reply, bytes, spans)
	if n.core.Log().End > end {
		n.tail = append(n.tail, batches...)
	}
	n.leave()
	return ok
}

// fetchRequest fills in the one request that the fetcher uses over and over.
func (n *Node) fetchRequest(req FetchRequest) *kmsg.FetchRequest {
	r := n.fetch.req
	if r == nil {
		r = wire.Latest(kmsg.NewPtrFetchRequest())
		r.ClusterID = kmsg.StringPtr(n.cfg.ClusterID)
		r.ReplicaState.ID = int32(req.Replica)
		r.ReplicaState.Epoch = -1
		r.MaxWaitMillis = int32(maxFetchWait / time.Millisecond)
		r.MaxBytes = maxFetchBytes
		topic := kmsg.NewFetchRequestTopic()
		topic.Topic, topic.TopicID = kafka.MetadataTopic, MetadataTopicID
		topic.Partitions = append(topic.Partitions, kmsg.NewFetchRequestTopicPartition())
		r.Topics = append(r.Topics, topic)
		n.fetch.req = r
	}
	p := &r.Topics[0].Partitions[0]
	p.CurrentLeaderEpoch = int32(req.Epoch)
	p.FetchOffset = int64(req.Offset)
	p.LastFetchedEpoch = int32(req.LastEpoch)
	p.PartitionMaxBytes = maxFetchBytes
	p.HighWatermark = int64(req.HW)
	return r
}

// fetchSnapshot fetches a snapshot piece by piece, aside, and then puts it in
// place. It reports whether to go on at once.
func (n *Node) fetchSnapshot(to kafka.NodeID, epoch kafka.LeaderEpoch, id SnapshotID) bool {
	n.host.Reached(ProbeSnapshotFetched)
	var bytes []byte
	for {
		resp, ok := n.call(to, n.snapshotRequest(epoch, id, int64(len(bytes))))
		if !ok {
			n.fetch.inFlight = false
			n.enter()
			n.core.FetchFailed(to)
			n.leave()
			return false
		}
		piece, err := parseSnapshotResponse(resp.(*kmsg.FetchSnapshotResponse))
		n.enter()
		good := err == nil && n.core.SnapshotReplied(n.host.Uptime(), to, id, piece.EpochReply)
		n.leave()
		if !good || piece.id != id || piece.position != int64(len(bytes)) || len(piece.bytes) == 0 {
			n.fetch.inFlight = false
			return false
		}
		bytes = append(bytes, piece.bytes...)
		if int64(len(bytes)) >= piece.size {
			break
		}
	}
	n.fetch.inFlight = false
	if err := n.installSnapshot(id, bytes); err != nil {
		n.host.Tell(&witness.SnapshotFailed{Replica: n.self, Snapshot: id.String(), From: to, Error: witness.ErrorOf(err)})
		return false
	}
	return true
}

// installSnapshot stores a snapshot of the leader and begins the log anew
// behind it.
func (n *Node) installSnapshot(id SnapshotID, bytes []byte) error {
	im, err := parseSnapshot(id, bytes)
	if err != nil {
		return fmt.Errorf("parse %d bytes: %w", len(bytes), err)
	}
	if err := n.storeSnapshot(id, bytes); err != nil {
		n.must(err)
	}
	n.enter()
	if n.core.Fetching() != id {
		// Another leader came up meanwhile. The snapshot is committed state all
		// the same; the next start will find it.
		n.leave()
		return nil
	}
	if n.core.SnapshotInstalled(id) {
		n.must(n.log.TruncateFullyAndStartAt(id.End))
		n.tail, n.next = nil, id.End
		n.host.Tell(&witness.QuorumRestarted{Replica: n.self, At: id.End, Epoch: id.Epoch})
	}
	n.load(id, im)
	n.leave()
	return nil
}
