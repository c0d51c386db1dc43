package calibrate

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// cluster is what is known of the cluster, and the topics of ours that it has.
type cluster struct {
	bootstrap  string
	brokers    []node // by id
	controller string // where topics are made and deleted
	// ours are the topics that were asked for and are to be deleted.
	ours []string
	// deleteFor is how long deleting them is tried.
	deleteFor time.Duration
}

type node struct {
	id   int32
	addr string
}

// unguessable is a name that no topic has and none will be given.
func unguessable() string {
	var id [12]byte
	rand.Read(id[:])
	return "ktrial-calibrate-" + hex.EncodeToString(id[:])
}

// connect asks a broker for the others.
func connect(ctx context.Context, bootstrap string) (*cluster, error) {
	cl := &cluster{bootstrap: bootstrap, controller: bootstrap, deleteFor: patience}
	resp, err := cl.metadata(ctx, bootstrap)
	if err != nil {
		return nil, err
	}
	for _, b := range resp.Brokers {
		n := node{b.NodeID, net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))}
		cl.brokers = append(cl.brokers, n)
		if n.id == resp.ControllerID {
			cl.controller = n.addr
		}
	}
	if len(cl.brokers) == 0 {
		return nil, fmt.Errorf("calibrate: %s: found no broker in its metadata, expected at least one", bootstrap)
	}
	slices.SortFunc(cl.brokers, func(a, b node) int { return int(a.id) - int(b.id) })
	return cl, nil
}

// once asks one request on a connection of its own.
func once[R kmsg.Response](ctx context.Context, addr string, req kmsg.Request) (resp R, err error) {
	c, _, err := dial(ctx, addr)
	if err != nil {
		return resp, err
	}
	defer c.close()
	answer, err := c.asked(req)
	if err != nil {
		return resp, fmt.Errorf("calibrate: %s: %s: %w", addr, kmsg.NameForKey(req.Key()), err)
	}
	return answer.(R), nil
}

// metadata asks for brokers and some topics. That it creates none must be said.
func (cl *cluster) metadata(ctx context.Context, addr string, topics ...string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	return once[*kmsg.MetadataResponse](ctx, addr, req)
}

// createTopic makes a topic of ours: each measured broker leads spread partitions of
// it, those with number n modulo how many are measured. It refuses a name that is taken.
func (cl *cluster) createTopic(ctx context.Context, name string, measured []*target, replicas int, synced bool) error {
	if taken, err := cl.exists(ctx, cl.controller, name); err != nil || taken {
		return errors.Join(err, takenError(name, taken))
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(patience.Milliseconds())
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, -1, -1
	t.ReplicaAssignment = cl.assignment(measured, replicas)
	// Should the deletion fail for good, little is left and not for long.
	settings := [][2]string{{"retention.ms", "3600000"}, {"retention.bytes", "67108864"}, {"min.insync.replicas", "1"}}
	if synced {
		settings = append(settings, [2]string{"flush.messages", "1"})
	}
	for _, s := range settings {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = s[0], &s[1]
		t.Configs = append(t.Configs, c)
	}
	req.Topics = append(req.Topics, t)
	cl.ours = append(cl.ours, name) // from here on it may be there, whatever is answered
	// It is answered even if the caller gives up meanwhile: it would not be known else
	// whether the topic will come into being after its deletion.
	resp, err := once[*kmsg.CreateTopicsResponse](context.WithoutCancel(ctx), cl.controller, req)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			cl.ours = slices.DeleteFunc(cl.ours, func(n string) bool { return n == name })
			return fmt.Errorf("calibrate: create topic %s: %w%s", name, err, because(t.ErrorMessage))
		}
	}
	return cl.awaitTopic(ctx, name, replicas)
}

func takenError(name string, taken bool) error {
	if !taken {
		return nil
	}
	return fmt.Errorf("calibrate: create topic %s: found a topic of that name, expected none: no topic is touched that was there before", name)
}

func because(message *string) string {
	if message == nil || *message == "" {
		return ""
	}
	return ": " + *message
}

// exists asks a broker whether there is a topic.
func (cl *cluster) exists(ctx context.Context, addr, name string) (bool, error) {
	resp, err := cl.metadata(ctx, addr, name)
	if err != nil {
		return false, err
	}
	for _, t := range resp.Topics {
		switch err := kerr.ErrorForCode(t.ErrorCode); {
		case err == nil:
			return true, nil
		case !errors.Is(err, kerr.UnknownTopicOrPartition):
			return false, fmt.Errorf("calibrate: asking for topic %s: %w", name, err)
		}
	}
	return false, nil
}

// spread is how many partitions each measured broker leads. A fetch of a follower looks at
// all of them: with many, that would be a greater part of its cost than it usually is.
const spread = 6

// assignment gives each measured broker its partitions, with the next brokers as followers.
func (cl *cluster) assignment(measured []*target, replicas int) (all []kmsg.CreateTopicsRequestTopicReplicaAssignment) {
	for p := range spread * len(measured) {
		a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		a.Partition = int32(p)
		leader := slices.Index(cl.brokers, measured[p%len(measured)].broker)
		for i := range replicas {
			a.Replicas = append(a.Replicas, cl.brokers[(leader+i)%len(cl.brokers)].id)
		}
		all = append(all, a)
	}
	return all
}

// awaitTopic waits until all partitions have leader and full ISR.
func (cl *cluster) awaitTopic(ctx context.Context, name string, replicas int) error {
	deadline := time.Now().Add(patience)
	for {
		resp, err := cl.metadata(ctx, cl.bootstrap, name)
		if err == nil && complete(resp, replicas) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(deadline) {
			return errors.Join(err, fmt.Errorf("calibrate: topic %s: found partitions without leader or with a small ISR after %v, expected %d replicas in sync", name, patience, replicas))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func complete(resp *kmsg.MetadataResponse, replicas int) bool {
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 || len(t.Partitions) == 0 {
			return false
		}
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 || p.Leader < 0 || len(p.ISR) < replicas || p.Leader != p.Replicas[0] {
				return false
			}
		}
	}
	return len(resp.Topics) > 0
}

// deleteTopics deletes ours, on connections of its own and whatever ended the
// measurement. What cannot be deleted is named.
func (cl *cluster) deleteTopics() error {
	deadline := time.Now().Add(cl.deleteFor)
	var err error
	for len(cl.ours) > 0 {
		name := cl.ours[0]
		if err = cl.deleteTopic(name); err == nil {
			cl.ours = cl.ours[1:]
			continue
		}
		if time.Now().After(deadline) {
			return &LeftError{cl.ours, err}
		}
		time.Sleep(200 * time.Millisecond)
	}
	return nil
}

func (cl *cluster) deleteTopic(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames, req.TimeoutMillis = []string{name}, int32(patience.Milliseconds())
	addr := cl.controller
	resp, err := once[*kmsg.DeleteTopicsResponse](ctx, addr, req)
	if err != nil {
		cl.controller = cl.bootstrap // another may be it by now
		return err
	}
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("calibrate: delete topic %s: %w%s", name, err, because(t.ErrorMessage))
		}
	}
	return cl.awaitGone(ctx, name)
}

// awaitGone waits until no broker that can be asked knows the topic.
func (cl *cluster) awaitGone(ctx context.Context, name string) error {
	for _, b := range cl.brokers {
		for {
			there, err := cl.exists(ctx, b.addr, name)
			if err != nil || !there {
				break // one that does not answer now hears of it when it is back
			}
			if ctx.Err() != nil {
				return fmt.Errorf("calibrate: delete topic %s: found it at broker %d after %v, expected it to be gone", name, b.id, patience)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}
