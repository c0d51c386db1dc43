package group

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/internal/golden"
)

// consumerDefaults are those of Kafka's configuration, but for the interval between
// two target assignments, which stories set where it matters.
var consumerDefaults = ConsumerConfig{
	SessionTimeout: 45 * time.Second, MinSessionTimeout: 45 * time.Second, MaxSessionTimeout: 60 * time.Second,
	HeartbeatInterval: 5 * time.Second, MinHeartbeatInterval: 5 * time.Second, MaxHeartbeatInterval: 15 * time.Second,
	MaxAssignmentInterval: 15 * time.Second,
	MaxSize:               1<<31 - 1, Assignors: []string{"uniform", "range"}, Migration: Bidirectional,
	RegexRefreshInterval: 10 * time.Minute,
}

// TestConsumerStories plays testdata/consumer/*.txt, in the form of TestStories.
// "beat A 2 owned=t:0-2" is a heartbeat of A in member epoch 2. After each command
// the fold of the log is compared with the state, and no partition may be another
// member's too.
func TestConsumerStories(t *testing.T) {
	golden.Stories(t, "testdata/consumer/*.txt", playConsumers)
}

func playConsumers(t *testing.T, text string) string {
	st := newConsumerStory(command{})
	return golden.Commands(text, func(line golden.Command) []string {
		cmd := command{line}
		if cmd.Name == "shard" {
			st = newConsumerStory(cmd)
			return nil
		}
		st.play(cmd)
		said := st.takeSaid()
		if st.bugs == nil {
			st.requireSound(t)
		}
		return said
	})
}

// consumerStory is a story with KIP-848 groups.
type consumerStory struct {
	*story
	names map[string]byte // the last byte of topics' ids
}

// topicID is the id of a topic, whether it exists or not.
func (st consumerStory) topicID(name string) (id kafka.UUID) {
	if st.names[name] == 0 {
		st.names[name] = byte(len(st.names) + 1)
	}
	id[15] = st.names[name]
	return id
}

func (st consumerStory) topicName(id kafka.UUID) string {
	for name, n := range st.names {
		if n == id[15] {
			return name
		}
	}
	return id.String()
}

// shard [interval=0s] [policy=bidirectional] [max-size=N] [consumers=N] [delay=0s] [plant=BUG]
func newConsumerStory(cmd command) consumerStory {
	cfg := kafkaDefaults
	cfg.InitialRebalanceDelay = cmd.duration("delay", "0s")
	cfg.MaxSize = cmd.int("max-size", cfg.MaxSize)
	cfg.Consumer = consumerDefaults
	cfg.Consumer.AssignmentInterval = cmd.duration("interval", "0s")
	cfg.Consumer.Migration = MigrationPolicy(cmd.opt("policy", "bidirectional"))
	cfg.Consumer.MaxSize = cmd.int("consumers", cfg.Consumer.MaxSize)
	st := consumerStory{newStory(cfg), map[string]byte{}}
	if bug, ok := cmd.Opts["plant"]; ok {
		st.bugs = planted.Plant(planted.Bug(bug))
		st.load()
	}
	return st
}

func (st consumerStory) play(cmd command) {
	switch cmd.Name {
	case "topic":
		n, err := strconv.Atoi(cmd.Args[1])
		must(err)
		st.topic(cmd.Args[0], n)
	case "drop":
		id := st.image.Topic(cmd.Args[0]).ID
		st.change(&metadata.RemoveTopicRecord{TopicID: id})
	case "set": // set GROUP name=value
		for name, value := range cmd.Opts {
			st.change(&metadata.ConfigRecord{ResourceType: metadata.GroupResource, ResourceName: cmd.Args[0], Name: name, Value: &value})
		}
	case "beat":
		st.beat(cmd)
	case "group":
		st.describeConsumers(cmd.group())
	case "commit": // the server knows the ids of topics
		cmd.Opts["topic"] = strconv.Itoa(int(st.topicID(partitionOf(partitionNames(cmd)[0]).Topic)[15]))
		st.story.play(cmd)
	case "session": // how long until A's session ends
		st.say("> %v", st.timers[consumerTimer("session", cmd.group(), cmd.Args[0])].due-st.now)
	default:
		st.story.play(cmd)
	}
}

// topic makes a topic, or gives it more partitions.
func (st consumerStory) topic(name string, partitions int) {
	var records []metadata.Record
	id, n := st.topicID(name), 0
	if t := st.image.Topic(name); t != nil {
		n = len(t.Partitions)
	} else {
		records = append(records, &metadata.TopicRecord{Name: name, TopicID: id})
	}
	for ; n < partitions; n++ {
		records = append(records, &metadata.PartitionRecord{PartitionID: int32(n), TopicID: id, Replicas: []kafka.NodeID{1}, ISR: []kafka.NodeID{1}, Leader: 1})
	}
	st.change(records...)
}

func (st consumerStory) change(records ...metadata.Record) {
	var ch metadata.Changes
	st.image = st.image.Clone()
	st.image.Track(&ch)
	for _, r := range records {
		must(st.image.Apply(r))
	}
	st.image.Track(nil)
	st.image.Offset++
	st.m.MetadataChanged(st.image, &ch)
	st.after(0)
}

// beat MEMBER EPOCH [names=t,u] [regex=..] [owned=t:0-2,5;u:0] [timeout=30s]
// [instance=..] [rack=..] [assignor=..] [v=1]. One that joins is full without being
// told; "names=" is an empty list.
func (st consumerStory) beat(cmd command) {
	client := cmd.Args[0]
	epoch, err := strconv.Atoi(cmd.Args[1])
	must(err)
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.MemberEpoch = int16(cmd.int("v", 1)), cmd.group(), cmd.opt("id", client), int32(epoch)
	req.InstanceID, req.RackID, req.ServerAssignor = cmd.instance(), cmd.pointer("rack"), cmd.pointer("assignor")
	req.SubscribedTopicRegex = cmd.pointer("regex")
	_, named := cmd.Opts["names"]
	if named || epoch == joinEpoch && req.SubscribedTopicRegex == nil && !cmd.has("nothing") {
		req.SubscribedTopicNames = append([]string{}, words(cmd.opt("names", "t"))...)
		if names, ok := cmd.Opts["names"]; ok && names == "" {
			req.SubscribedTopicNames = []string{}
		}
	}
	if _, ok := cmd.Opts["timeout"]; ok || epoch == joinEpoch && !cmd.has("untimed") {
		req.RebalanceTimeoutMillis = int32(cmd.duration("timeout", "30s").Milliseconds())
	}
	if owned, ok := cmd.Opts["owned"]; ok {
		req.Topics = st.ownedTopics(owned)
	} else if epoch == joinEpoch && !cmd.has("unowned") {
		req.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	}
	d, resp := st.m.ConsumerGroupHeartbeat(Caller{client, "/127.0.0.1"}, req)
	done := d.Done
	d.Done = func(err error) {
		if done != nil {
			done(err)
		}
		if err != nil {
			st.say("> %s: %s", client, errorName(err))
			return
		}
		st.say("> %s: %s", client, st.beatAnswer(resp))
	}
	st.decide(d)
}

func (cmd command) pointer(name string) *string {
	if v, ok := cmd.Opts[name]; ok {
		return &v
	}
	return nil
}

func (st consumerStory) ownedTopics(text string) []kmsg.ConsumerGroupHeartbeatRequestTopic {
	topics := []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	for word := range strings.SplitSeq(text, ";") {
		name, numbers, ok := strings.Cut(word, ":")
		if !ok {
			continue
		}
		t := kmsg.NewConsumerGroupHeartbeatRequestTopic()
		t.TopicID = st.topicID(name)
		t.Partitions = numbersOf(numbers)
		topics = append(topics, t)
	}
	return topics
}

// numbersOf reads 0-2,5.
func numbersOf(text string) (all []int32) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRun := strings.Cut(part, "-")
		if !isRun {
			last = first
		}
		from, err := strconv.Atoi(first)
		must(err)
		to, err := strconv.Atoi(last)
		must(err)
		for n := from; n <= to; n++ {
			all = append(all, int32(n))
		}
	}
	return all
}

func (st consumerStory) beatAnswer(resp *kmsg.ConsumerGroupHeartbeatResponse) string {
	if resp.ErrorCode != 0 {
		return codeName(resp.ErrorCode) + text(resp.ErrorMessage)
	}
	says := fmt.Sprintf("M%d", resp.MemberEpoch)
	switch {
	case resp.Assignment == nil:
		return says + " null"
	case len(resp.Assignment.Topics) == 0:
		return says + " nothing"
	}
	var list []topicPartitions
	for _, t := range resp.Assignment.Topics {
		list = append(list, topicPartitions{topic: t.TopicID, partitions: t.Partitions})
	}
	return says + " " + st.listed(list)
}

// listed is t:0-2,5 u:0 for a list of partitions.
func (st consumerStory) listed(list []topicPartitions) string {
	var all []string
	for _, t := range list {
		var runs []string
		for i := 0; i < len(t.partitions); {
			j := i
			for j+1 < len(t.partitions) && t.partitions[j+1] == t.partitions[j]+1 {
				j++
			}
			run := fmt.Sprint(t.partitions[i])
			if j > i {
				run += fmt.Sprintf("-%d", t.partitions[j])
			}
			runs = append(runs, run)
			i = j + 1
		}
		all = append(all, st.topicName(t.topic)+":"+strings.Join(runs, ","))
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, " ")
}

// describeConsumers tells of a group as ConsumerGroupDescribe does.
func (st consumerStory) describeConsumers(id string) {
	g := st.m.ConsumerGroupDescribe(id, timeline.Committed)
	if g.ErrorCode != 0 {
		st.say("> %s%s", codeName(g.ErrorCode), text(g.ErrorMessage))
		return
	}
	st.say("> %s, G%d T%d, %s", g.State, g.Epoch, g.AssignmentEpoch, g.AssignorName)
	for _, m := range g.Members {
		protocol := "classic"
		if m.MemberType == consumerMemberType {
			protocol = "consumer"
		}
		st.say("> %s M%d %s, subscribed to %s%s, has %s of %s", m.MemberID, m.MemberEpoch, protocol,
			strings.Join(m.SubscribedTopics, ","), deref(m.SubscribedTopicRegex), st.described(m.Assignment), st.described(m.TargetAssignment))
	}
}

func (st consumerStory) described(a kmsg.Assignment) string {
	var list []topicPartitions
	for _, t := range a.TopicPartitions {
		list = append(list, topicPartitions{topic: t.TopicID, partitions: t.Partitions})
	}
	return st.listed(list)
}

// takeSaid is that of a story, with the records of KIP-848 groups in words.
func (st consumerStory) takeSaid() []string {
	var out []string
	for _, e := range st.log[st.seen:] {
		out = append(out, short("+ "+st.describe(e)))
	}
	st.seen = len(st.log)
	for _, s := range st.said {
		out = append(out, short(s))
	}
	st.said = nil
	for _, e := range st.told[st.events:] {
		switch e.(type) {
		case *witness.GroupAssigned, *witness.MemberHeard, *witness.GroupHolds:
		default:
			out = append(out, short(". "+e.Sentence()))
		}
	}
	st.events = len(st.told)
	return out
}

func (st consumerStory) describe(e entry) string {
	if e.marker {
		return describe(e)
	}
	k, v, err := decode(e.rec)
	must(err)
	gone := func(what string) string { return what + ": gone" }
	switch k := k.(type) {
	case *consumerGroupKey:
		if v == nil {
			return gone("epoch")
		}
		return fmt.Sprintf("epoch %d", v.(*consumerGroupValue).epoch)
	case *consumerPartitionsKey:
		return gone("partitions")
	case *consumerMemberKey:
		if v == nil {
			return gone("member " + k.member)
		}
		m := v.(*consumerMemberValue)
		says := "member " + k.member + ": " + strings.Join(m.topics, ",") + deref(m.regex)
		if m.instance != nil {
			says += ", instance " + *m.instance
		}
		if m.assignor != nil {
			says += ", " + *m.assignor
		}
		if m.classic != nil {
			says += ", classic " + m.classic.protocols[0].name
		}
		return says
	case *targetMetadataKey:
		if v == nil {
			return gone("target")
		}
		says := fmt.Sprintf("target epoch %d", v.(*targetMetadataValue).epoch)
		if v.(*targetMetadataValue).assigned == 0 {
			says += ", at no time"
		}
		return says
	case *targetMemberKey:
		if v == nil {
			return gone("target of " + k.member)
		}
		return "target of " + k.member + ": " + st.listed(v.(*targetMemberValue).topics)
	case *currentAssignmentKey:
		if v == nil {
			return gone("current of " + k.member)
		}
		c := v.(*currentAssignmentValue)
		says := fmt.Sprintf("current of %s: %s, epoch %d after %d, %s", k.member, [...]string{"stable", "unrevoked", "unreleased"}[c.state], c.epoch, c.previousEpoch, st.listed(c.assigned))
		if len(c.pendingRevocation) > 0 {
			says += ", to revoke " + st.listed(c.pendingRevocation)
		}
		return says
	case *regexKey:
		if v == nil {
			return gone("regex " + k.regex)
		}
		return "regex " + k.regex + ": " + strings.Join(v.(*regexValue).topics, ",")
	}
	return describe(e)
}

// requireSound: the state is the fold of the log, and no partition has two owners.
func (st consumerStory) requireSound(t require.TestingT) {
	if !st.held {
		folded := &shard{cfg: st.cfg, image: st.image, log: st.log, quiet: true}
		folded.load()
		require.Equal(t, folded.m.Hash(timeline.Written), st.m.Hash(timeline.Written), "the state is not the fold of the log")
		require.Equal(t, st.m.Hash(timeline.Committed), st.m.Hash(timeline.Written))
	}
	requireOneOwner(t, st.m)
}

func requireOneOwner(t require.TestingT, m *Machine) {
	for id, l := range m.groups.All() {
		g, ok := l.consumer.(*consumerGroup)
		if !ok {
			continue
		}
		owners := map[ownedPartition]string{}
		for _, member := range g.members.All() {
			for _, list := range [][]topicPartitions{member.assigned, member.pending} {
				each(list, func(p ownedPartition) {
					require.Empty(t, owners[p], "%s of group %s is owned by %s and %s", p.topic, id, owners[p], member.id)
					owners[p] = member.id
					require.True(t, g.owned.Has(p))
				})
			}
		}
		require.Equal(t, len(owners), g.owned.Len(), "partitions that no member has are owned")
		settled := 0
		names := map[string]subscribers{}
		for _, member := range g.members.All() {
			settled += count1(member.reconciled(g.target.Get().epoch))
			countTopics(names, member.told.topics, subscribers{byName: 1})
		}
		for _, r := range g.regexes.All() {
			countTopics(names, r.topics, subscribers{byRegex: 1})
		}
		require.Equal(t, settled, g.settled.Get())
		require.Equal(t, len(names), g.topics.Len())
		for name, n := range g.topics.All() {
			require.Equal(t, names[name], n, name)
		}
		require.True(t, slices.IsSorted(sortedKeys(names)))
	}
}
