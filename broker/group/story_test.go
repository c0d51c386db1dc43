package group

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/internal/golden"
)

// TestStories plays testdata/stories/*.txt. A line at the margin is a command or a
// comment; indented below it is what was written (+), answered (>) and told (.).
//
// A member is named by its client, A, and its ids are A#1, A#2 in the order in which
// the coordinator gave them. Groups are g unless said otherwise.
func TestStories(t *testing.T) {
	golden.Stories(t, "testdata/stories/*.txt", func(_ *testing.T, text string) string { return play(text) })
}

func play(text string) string {
	st := newStory(kafkaDefaults)
	return golden.Commands(text, func(line golden.Command) []string {
		cmd := command{line}
		if cmd.Name == "shard" {
			st = newStory(cmd.config())
			if bug, ok := cmd.Opts["plant"]; ok {
				st.bugs = planted.Plant(planted.Bug(bug))
			}
			return nil
		}
		st.play(cmd)
		return st.takeSaid()
	})
}

// story is a shard, and the clients of a story.
type story struct {
	*shard
	ids    map[string]string // current member id, by client
	gens   map[string]int32  // generation that the client was last told, by client
	seen   int               // records of the log that were told
	events int
	said   []string
}

func newStory(cfg Config) *story {
	return &story{shard: newShard(cfg), ids: map[string]string{}, gens: map[string]int32{}}
}

func (st *story) say(format string, args ...any) {
	st.said = append(st.said, fmt.Sprintf(format, args...))
}

var (
	dynamicID = regexp.MustCompile(`([\w-]+?)-00000000-0000-0000-0000-([0-9a-f]{12})`)
)

// short writes member ids in short: client#number.
func short(s string) string {
	return dynamicID.ReplaceAllStringFunc(s, func(id string) string {
		m := dynamicID.FindStringSubmatch(id)
		n, _ := strconv.ParseUint(m[2], 16, 64)
		return fmt.Sprintf("%s#%d", m[1], n)
	})
}

// takeSaid is what was answered, written and told by the last command.
func (st *story) takeSaid() []string {
	var out []string
	for ; st.seen < len(st.log); st.seen++ {
		out = append(out, "+ "+describe(st.log[st.seen]))
	}
	st.seen = len(st.log)
	out = append(out, st.said...)
	st.said = nil
	for _, e := range st.told[st.events:] {
		switch e.(type) {
		case *witness.GroupAssigned, *witness.MemberHeard, *witness.GroupHolds:
		default:
			out = append(out, ". "+e.Sentence())
		}
	}
	st.events = len(st.told)
	for i := range out {
		out[i] = short(out[i])
	}
	return out
}

// describe is a record in words.
func describe(e entry) string {
	if e.marker {
		return fmt.Sprintf("marker of producer %d, commit %v", e.by.ID, e.commit)
	}
	k, v, err := decode(e.rec)
	must(err)
	by := ""
	if e.by.ID != kafka.NoProducer {
		by = fmt.Sprintf(" by producer %d", e.by.ID)
	}
	switch k := k.(type) {
	case *offsetKey:
		name := fmt.Sprintf("%s %s/%d%s", k.group, k.topic, k.partition, by)
		if v == nil {
			return name + ": gone"
		}
		o := v.(*offsetValue)
		name += fmt.Sprintf(": offset %d", o.offset)
		if o.metadata != "" {
			name += fmt.Sprintf(" %q", o.metadata)
		}
		if o.expires >= 0 {
			name += fmt.Sprintf(", until %v", time.Duration(o.expires-1_700_000_000_000)*time.Millisecond)
		}
		return name
	case *groupKey:
		if v == nil {
			return "group " + k.group + ": gone"
		}
		g := v.(*groupMetadata)
		line := fmt.Sprintf("group %s: generation %d", k.group, g.generation)
		if g.protocolType != "" {
			line += " of " + g.protocolType
		}
		if g.protocol != nil {
			line += ", " + *g.protocol
		}
		if g.leader != nil {
			line += ", leader " + *g.leader
		}
		for _, m := range g.members {
			line += fmt.Sprintf(", %s has [%s]", m.id, partitionList(m.assignment))
		}
		return line
	}
	return fmt.Sprintf("%T", k)
}

func partitionList(assignment []byte) string {
	var names []string
	for _, tp := range assignedPartitions(assignment) {
		names = append(names, tp.String())
	}
	return strings.Join(names, " ")
}

// command is a line of a story of groups.
type command struct{ golden.Command }

func (cmd command) opt(name, otherwise string) string {
	if v, ok := cmd.Opts[name]; ok {
		return v
	}
	return otherwise
}

func (cmd command) int(name string, otherwise int) int {
	v, ok := cmd.Opts[name]
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	must(err)
	return n
}

func (cmd command) duration(name, otherwise string) time.Duration {
	d, err := time.ParseDuration(cmd.opt(name, otherwise))
	must(err)
	return d
}

func (cmd command) has(arg string) bool { return slices.Contains(cmd.Args, arg) }

// instance is the option of that name; without it there is none.
func (cmd command) instance() *string {
	if v, ok := cmd.Opts["instance"]; ok {
		return &v
	}
	return nil
}

// shard [plant=BUG] [delay=3s] [max-size=N] [retention=..] [check=..] [metadata=BYTES]
func (cmd command) config() Config {
	cfg := kafkaDefaults
	cfg.InitialRebalanceDelay = cmd.duration("delay", "3s")
	cfg.MaxSize = cmd.int("max-size", cfg.MaxSize)
	cfg.OffsetsRetention = cmd.duration("retention", "168h")
	cfg.OffsetsRetentionCheckInterval = cmd.duration("check", "10m")
	cfg.OffsetMetadataMaxBytes = cmd.int("metadata", cfg.OffsetMetadataMaxBytes)
	return cfg
}

func (cmd command) group() string { return cmd.opt("group", "g") }

// id is the member id of a client: the option, or what the coordinator gave it.
func (st *story) id(client string, cmd command) string {
	switch given, ok := cmd.Opts["id"]; {
	case !ok:
		return st.ids[client]
	case strings.Contains(given, "#"):
		name, n, _ := strings.Cut(given, "#")
		number, err := strconv.Atoi(n)
		must(err)
		return fmt.Sprintf("%s-00000000-0000-0000-0000-%012x", name, number)
	default:
		return given
	}
}

func (st *story) generation(client string, cmd command) int32 {
	return int32(cmd.int("gen", int(st.gens[client])))
}

func (st *story) play(cmd command) {
	switch cmd.Name {
	case "join":
		st.join(cmd)
	case "sync":
		st.sync(cmd)
	case "heartbeat": // heartbeat A [gen=N] [id=..] [instance=..]
		client := cmd.Args[0]
		req := kmsg.NewPtrHeartbeatRequest()
		req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 4, cmd.group(), st.id(client, cmd), cmd.instance(), st.generation(client, cmd)
		d, err := st.m.Heartbeat(req)
		d.Done = st.answer(client, func() string { return errorName(err) })
		st.decide(d)
	case "leave":
		st.leave(cmd)
	case "commit":
		st.commitOffsets(cmd)
	case "fetch":
		st.fetch(cmd)
	case "delete-offsets": // delete-offsets t/0...
		st.deleteOffsets(cmd)
	case "delete-groups": // delete-groups G...
		d, answers := st.m.DeleteGroups(cmd.Args)
		d.Done = func(err error) {
			for _, a := range answers {
				if err != nil {
					a.ErrorCode = kafka.Code(err)
				}
				st.say("> %s: %s%s", a.Group, codeName(a.ErrorCode), text(a.ErrorMessage))
			}
		}
		st.decide(d)
	case "describe": // describe G... [v=N] [written]
		for _, id := range cmd.Args {
			st.describeGroup(st.m.DescribeGroup(id, int16(cmd.int("v", 6)), timeline.Committed))
		}
	case "list": // list [states=a,b] [types=a,b]
		for _, g := range st.m.ListGroups(words(cmd.Opts["states"]), words(cmd.Opts["types"]), timeline.Committed) {
			st.say("> %s: %s, %q, %s", g.Group, g.GroupType, g.ProtocolType, g.GroupState)
		}
	case "clock": // clock DURATION: the wall clock is so far ahead from now on
		d, err := time.ParseDuration(cmd.Args[0])
		must(err)
		st.skew = d
	case "after": // after DURATION
		d, err := time.ParseDuration(cmd.Args[0])
		must(err)
		st.after(d)
	case "hold": // the high watermark stands still
		st.held = true
	case "release": // it moves to the log end
		st.held = false
		st.shard.commit()
	case "fail": // fail ERROR: what the next append fails with
		st.fail = errorOf(cmd.Args[0])
	case "counts": // what became of the planted bug
		for _, bug := range cmd.Args {
			n := st.bugs.Count(planted.Bug(bug))
			st.say("> %s: reached %d, infected %d", bug, n.Reached, n.Infected)
		}
	case "timeout": // what is not committed was waited for too long
		wait := st.wait
		st.wait = nil
		for _, w := range wait {
			w.done(kerr.CoordinatorNotAvailable)
		}
	case "failover": // failover [max-size=N]: the log is loaded by another broker
		st.cfg.MaxSize = cmd.int("max-size", st.cfg.MaxSize)
		st.m.Unloaded()
		st.load()
	case "marker": // marker PRODUCER commit|abort
		n, err := strconv.Atoi(cmd.Args[0])
		must(err)
		st.marker(coordinator.Producer{ID: kafka.ProducerID(n)}, cmd.has("commit"))
	case "delete-topic": // delete-topic NAME [topic=ID]
		st.m.MetadataChanged(st.image, &metadata.Changes{DeletedTopics: []metadata.DeletedTopic{{Name: cmd.Args[0], ID: topicID(cmd)}}})
		st.after(0)
	default:
		panic("no such command: " + cmd.Name)
	}
}

func errorOf(name string) *kerr.Error {
	for code := range int16(200) {
		if e, ok := kerr.ErrorForCode(code).(*kerr.Error); ok && e.Message == name {
			return e
		}
	}
	panic("no such error: " + name)
}

func errorName(err error) string {
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Message
	}
	if err != nil {
		return err.Error()
	}
	return "NONE"
}

// answer says what a client is answered, once it may be told.
func (st *story) answer(client string, says func() string) func(error) {
	return func(err error) {
		if err != nil {
			st.say("> %s: %s", client, errorName(err))
			return
		}
		st.say("> %s: %s", client, says())
	}
}

func words(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf(" %q", *s)
}

// topicID is the id of option topic, of which a digit is enough.
func topicID(cmd command) (id kafka.UUID) {
	id[15] = byte(cmd.int("topic", 0))
	return id
}

// join A [id=..] [instance=..] [v=9] [protocols=range:a,b;sticky:a] [type=consumer] [session=10s] [rebalance=20s]
func (st *story) join(cmd command) {
	client := cmd.Args[0]
	r := joinRequest{
		group: cmd.group(), id: st.id(client, cmd), instance: cmd.instance(), version: int16(cmd.int("v", 9)),
		protocolType: cmd.opt("type", "consumer"), session: cmd.duration("session", "10s"), rebalance: cmd.duration("rebalance", "20s"),
	}
	for _, p := range strings.Split(cmd.opt("protocols", "range:t"), ";") {
		name, topics, _ := strings.Cut(p, ":")
		if name != "" {
			r.protocols = append(r.protocols, protocol{name, subscription(words(topics)...)})
		}
	}
	answered := false
	st.decide(st.m.JoinGroup(Caller{ClientID: client, Host: "/10.0.0.1"}, r.build(), func(resp *kmsg.JoinGroupResponse) {
		if answered {
			panic("a JoinGroup is answered twice")
		}
		answered = true
		st.joined(client, resp)
	}))
	if !answered {
		st.say("%s waits to join", client)
	}
}

func (st *story) joined(client string, resp *kmsg.JoinGroupResponse) {
	if resp.ErrorCode != 0 {
		line := "> " + client + ": " + codeName(resp.ErrorCode)
		if resp.MemberID != "" {
			line += " " + resp.MemberID
		}
		if resp.ErrorCode == kerr.MemberIDRequired.Code {
			st.ids[client] = resp.MemberID
		}
		st.say("%s", line)
		return
	}
	st.ids[client], st.gens[client] = resp.MemberID, resp.Generation
	line := fmt.Sprintf("> %s: %s joined generation %d, %s", client, resp.MemberID, resp.Generation, deref(resp.Protocol))
	if resp.LeaderID == resp.MemberID {
		var names []string
		for _, m := range resp.Members {
			names = append(names, m.MemberID)
		}
		line += ", leads " + strings.Join(names, " ")
	} else {
		line += fmt.Sprintf(", leader %s, %d members", resp.LeaderID, len(resp.Members))
	}
	if resp.SkipAssignment {
		line += ", not to assign"
	}
	st.say("%s", line)
}

// sync A [B=t/0,t/1]... : the options with capitals are the leader's assignment.
func (st *story) sync(cmd command) {
	client := cmd.Args[0]
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 5, cmd.group(), st.id(client, cmd), cmd.instance(), st.generation(client, cmd)
	req.ProtocolType, req.Protocol = kmsg.StringPtr(cmd.opt("type", "consumer")), kmsg.StringPtr(cmd.opt("protocol", "range"))
	for _, name := range []string{"A", "B", "C", "D", "i1", "i2"} {
		given, ok := cmd.Opts[name]
		if !ok {
			continue
		}
		var tps []kafka.TopicPartition
		for _, w := range words(given) {
			tps = append(tps, partitionOf(w))
		}
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = st.ids[name], assignment(tps...)
		req.GroupAssignment = append(req.GroupAssignment, a)
	}
	answered := false
	st.decide(st.m.SyncGroup(req, func(resp *kmsg.SyncGroupResponse) {
		if answered {
			panic("a SyncGroup is answered twice")
		}
		answered = true
		if resp.ErrorCode != 0 {
			st.say("> %s: %s", client, codeName(resp.ErrorCode))
			return
		}
		st.say("> %s: has [%s]", client, partitionList(resp.MemberAssignment))
	}))
	if !answered {
		st.say("%s waits for its assignment", client)
	}
}

func partitionOf(s string) kafka.TopicPartition {
	tp, err := kafka.ParseTopicPartition(s)
	must(err)
	return tp
}

// leave A... [instance=..] [v=5] [id=..]: each of the clients, in one request.
func (st *story) leave(cmd command) {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group = int16(cmd.int("v", 5)), cmd.group()
	for _, client := range cmd.Args {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID, m.InstanceID = st.id(client, cmd), cmd.instance()
		req.MemberID = m.MemberID
		req.Members = append(req.Members, m)
	}
	d, resp := st.m.LeaveGroup(req)
	done := d.Done
	d.Done = func(err error) {
		if done != nil {
			done(err)
		}
		if err != nil {
			st.say("> %s: %s", cmd.Args[0], errorName(err))
			return
		}
		if len(resp.Members) == 0 {
			st.say("> %s: %s", cmd.Args[0], codeName(resp.ErrorCode))
		}
		for i, m := range resp.Members {
			st.say("> %s: %s", cmd.Args[i], codeName(m.ErrorCode))
		}
	}
	st.decide(d)
}

// commit A t/0=42... [gen=N] [id=..] [v=9] [metadata=..] [retention=MS] [topic=ID] [producer=N]
func (st *story) commitOffsets(cmd command) {
	client := cmd.Args[0]
	metadata := cmd.opt("metadata", "")
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = int16(cmd.int("v", 9)), cmd.group(), st.id(client, cmd), cmd.instance(), st.generation(client, cmd)
	req.RetentionTimeMillis = int64(cmd.int("retention", -1))
	for _, name := range slices.Sorted(slices.Values(partitionNames(cmd))) {
		tp := partitionOf(name)
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.TopicID = tp.Topic, topicID(cmd)
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata = tp.Partition, int64(cmd.int(name, 0)), &metadata
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	if _, ok := cmd.Opts["producer"]; ok {
		st.commitOfTransaction(cmd, req)
		return
	}
	d, resp := st.m.OffsetCommit(req)
	done := d.Done
	d.Done = func(err error) {
		if done != nil {
			done(err)
		}
		if err != nil {
			st.say("> %s: %s", client, errorName(err))
			return
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				st.say("> %s: %s/%d %s", client, t.Topic, p.Partition, codeName(p.ErrorCode))
			}
		}
	}
	st.decide(d)
}

func partitionNames(cmd command) (names []string) {
	for k := range cmd.Opts {
		if strings.Contains(k, "/") {
			names = append(names, k)
		}
	}
	return names
}

func (st *story) commitOfTransaction(cmd command, from *kmsg.OffsetCommitRequest) {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = int16(cmd.int("v", 5)), from.Group, from.MemberID, from.InstanceID, from.Generation
	for _, t := range from.Topics {
		u := kmsg.NewTxnOffsetCommitRequestTopic()
		u.Topic, u.TopicID = t.Topic, t.TopicID
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.Metadata = t.Partitions[0].Partition, t.Partitions[0].Offset, t.Partitions[0].Metadata
		u.Partitions = append(u.Partitions, p)
		req.Topics = append(req.Topics, u)
	}
	req.ProducerID = int64(cmd.int("producer", 0))
	d, resp := st.m.TxnOffsetCommit(req)
	done := d.Done
	d.Done = func(err error) {
		if done != nil {
			done(err)
		}
		for _, t := range resp.Topics {
			st.say("> %s: %s/%d %s", cmd.Args[0], t.Topic, t.Partitions[0].Partition, codeName(t.Partitions[0].ErrorCode))
		}
	}
	st.run(d, coordinator.Producer{ID: kafka.ProducerID(cmd.int("producer", 0))})
}

// fetch [t/0...] [group=G] [stable] [member=..] [epoch=N] [topic=ID]
func (st *story) fetch(cmd command) {
	req := kmsg.NewOffsetFetchRequestGroup()
	req.Group, req.MemberEpoch = cmd.group(), int32(cmd.int("epoch", -1))
	for _, name := range cmd.Args {
		if name == "stable" {
			continue
		}
		tp := partitionOf(name)
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.TopicID, t.Partitions = tp.Topic, topicID(cmd), []int32{tp.Partition}
		req.Topics = append(req.Topics, t)
	}
	cut := timeline.Committed
	if cmd.has("stable") {
		cut = timeline.Written
	}
	resp := st.m.OffsetFetch(req, cut, cmd.has("stable"))
	st.decide(coordinator.Decision{Done: func(error) {
		if resp.ErrorCode != 0 || len(resp.Topics) == 0 {
			st.say("> %s", codeName(resp.ErrorCode))
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				line := fmt.Sprintf("> %s/%d: %d", t.Topic, p.Partition, p.Offset)
				if *p.Metadata != "" {
					line += fmt.Sprintf(" %q", *p.Metadata)
				}
				if p.ErrorCode != 0 {
					line += " " + codeName(p.ErrorCode)
				}
				st.say("%s", line)
			}
		}
	}})
}

func (st *story) deleteOffsets(cmd command) {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = cmd.group()
	for _, name := range cmd.Args {
		tp := partitionOf(name)
		t := kmsg.NewOffsetDeleteRequestTopic()
		p := kmsg.NewOffsetDeleteRequestTopicPartition()
		t.Topic, p.Partition = tp.Topic, tp.Partition
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
	}
	d, resp := st.m.OffsetDelete(req)
	d.Done = func(error) {
		if resp.ErrorCode != 0 {
			st.say("> %s", codeName(resp.ErrorCode))
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				st.say("> %s/%d: %s", t.Topic, p.Partition, codeName(p.ErrorCode))
			}
		}
	}
	st.decide(d)
}

func (st *story) describeGroup(g kmsg.DescribeGroupsResponseGroup) {
	line := fmt.Sprintf("> %s: %s", g.Group, g.State)
	if g.ErrorCode != 0 {
		line += " " + codeName(g.ErrorCode)
	}
	line += text(g.ErrorMessage)
	if g.ProtocolType != "" {
		line += " " + g.ProtocolType
	}
	if g.Protocol != "" {
		line += " " + g.Protocol
	}
	st.say("%s", line)
	for _, m := range g.Members {
		topics := "nothing told"
		if len(m.ProtocolMetadata) > 0 {
			names, err := subscribedTopics(m.ProtocolMetadata)
			must(err)
			topics = strings.Join(names, ",")
		}
		st.say(">   %s%s at %s: %s, has [%s]", m.MemberID, text(m.InstanceID), m.ClientHost, topics, partitionList(m.MemberAssignment))
	}
}
