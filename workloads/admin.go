package workloads

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// administering is an administrator over all lives of its process. It makes topics of its
// own, fills, reads, grows, configures, trims, reassigns and deletes them, and makes some once
// more by the same name; of the topic that others use it moves replicas and leaders.
//
// Servers owe: what was answered is done, and stays so until something else is asked for.
// What was asked and not answered may be done, or may be done late.
type administering struct {
	w     ProduceConsume
	s     *Stage
	name  string
	until time.Duration // of the world's time; set when the work begins
	made  int
	fills int
	nodes []kafka.NodeID
	// autoCreates: brokers make a topic that a client asks for, also one that was deleted.
	autoCreates bool
	own         []*ownTopic
}

// ownTopic is what an administrator knows of a topic of its own.
type ownTopic struct {
	name       string
	exists     register[bool]
	partitions register[int32]
	configs    map[string]*register[string] // what was set; empty: the default
	replicas   map[int32]*register[string]  // by partition, as named says
	logs       map[int32]*ownLog
}

// ownLog is what an administrator knows of the log of one of its partitions.
type ownLog struct {
	sent    map[kafka.Offset]string // what was acknowledged
	end     kafka.Offset            // behind the last of it
	trimmed kafka.Offset            // nothing below was asked to be deleted beyond here
	// unsure: a trim that was not answered in time may come late.
	unsure bool
}

const (
	// mostTopics is how many topics an administrator keeps.
	mostTopics = 4
	// foundWithin is how long an administrator may look at the end until it finds what it was
	// told: brokers may hear of it late.
	foundWithin = time.Minute
)

// adminClient is one that gives up soon: what it does not know then is in doubt.
func (a *administering) client(h env.Host) *client.Admin {
	cfg := client.AdminDefaults()
	cfg.RequestTimeout, cfg.DefaultAPITimeout = 3*time.Second, 8*time.Second
	return client.New(h, a.s.Bootstrap, h.Name()).NewAdmin(cfg)
}

func (a *administering) main(h env.Host) {
	a.s.AwaitWork(h)
	if a.until == 0 {
		a.until = a.s.Now() + a.w.Lasts()
	}
	admin := a.client(h)
	at := &acting{administering: a, h: h, admin: admin}
	for a.s.Now() < a.until {
		at.act()
		h.Sleep(300*time.Millisecond + time.Duration(h.Rand().Int64N(int64(1200*time.Millisecond))))
	}
	at.compareAll()
	admin.Close()
}

// acting is one life of an administrator.
type acting struct {
	*administering
	h     env.Host
	admin *client.Admin
}

// act does one thing.
func (a *acting) act() {
	if len(a.nodes) == 0 {
		a.learnNodes()
		return
	}
	t := a.oneOf(a.standing())
	if t == nil || a.h.Rand().IntN(6) == 0 && len(a.standing()) < mostTopics {
		a.make()
		return
	}
	switch a.h.Rand().IntN(14) {
	case 0, 1, 2:
		a.fill(t)
	case 3, 4:
		a.read(t, 8*time.Second)
	case 5:
		a.grow(t)
	case 6, 7:
		a.configure(t)
	case 8, 9:
		a.trim(t)
	case 10:
		a.reassignOwn(t)
	case 11:
		a.reassignShared()
	case 12:
		a.look(t)
	case 13:
		a.delete(t)
	}
}

// learnNodes asks which brokers there are. One that is fenced is not named, and will hold no
// topic of this administrator.
func (a *acting) learnNodes() {
	d, err := a.admin.DescribeCluster()
	if err != nil || len(d.Nodes) == 0 {
		return
	}
	entries, err := a.admin.DescribeConfigs(client.ConfigResource{Kind: kmsg.ConfigResourceTypeBroker, Name: fmt.Sprint(d.Nodes[0].ID)})
	if err != nil {
		return
	}
	for _, e := range entries {
		a.autoCreates = a.autoCreates || e.Name == "auto.create.topics.enable" && e.Value == "true"
	}
	for _, n := range d.Nodes {
		a.nodes = append(a.nodes, n.ID)
	}
}

// standing are the topics that exist for certain.
func (a *acting) standing() []*ownTopic {
	return slices.DeleteFunc(slices.Clone(a.own), func(t *ownTopic) bool { return !t.exists.settled || !t.exists.certain() })
}

func (a *acting) oneOf(topics []*ownTopic) *ownTopic {
	if len(topics) == 0 {
		return nil
	}
	return topics[a.h.Rand().IntN(len(topics))]
}

// timed calls f and says how long it took.
func (a *acting) timed(f func() error) (time.Duration, error) {
	begun := a.s.Now()
	err := f()
	return a.s.Now() - begun, err
}

// refused reports whether an error is an answer that says no for good.
func refused(err error) bool {
	var k *kerr.Error
	return errors.As(err, &k) && !k.Retriable
}

// make makes a topic: a new one, or one that was deleted once more.
func (a *acting) make() {
	t := a.oneOf(slices.DeleteFunc(slices.Clone(a.own), func(t *ownTopic) bool { return t.exists.settled || !t.quiet() }))
	if t == nil || a.h.Rand().IntN(2) == 0 {
		a.made++
		t = &ownTopic{name: fmt.Sprintf("%s-topic-%d", a.name, a.made)}
		a.own = append(a.own, t)
	}
	count := 1 + a.h.Rand().Int32N(3)
	t.logs, t.replicas = map[int32]*ownLog{}, map[int32]*register[string]{}
	t.partitions.is(count)
	replicas := min(3, len(a.nodes))
	a.s.MinInsync[t.name] = max(1, replicas-1)
	t.configs = map[string]*register[string]{"segment.bytes": {settled: "3000"}, "min.insync.replicas": {settled: fmt.Sprint(a.s.MinInsync[t.name])}}
	topic := client.NewTopic{Name: t.name, Partitions: count, Replicas: int16(replicas), Configs: map[string]string{}}
	for name, value := range t.configs { //det:allow each has its own
		topic.Configs[name] = value.settled
	}
	if a.h.Rand().IntN(3) == 0 {
		for p := range count {
			nodes := a.drawNodes(replicas)
			topic.Assignment = append(topic.Assignment, nodes)
			t.replicas[p] = &register[string]{settled: named(nodes)}
		}
	}
	t.exists.asked(true)
	took, err := a.timed(func() error { return a.admin.CreateTopics(topic) })
	if errors.Is(err, kerr.TopicAlreadyExists) && took >= prompt {
		err = nil // an attempt before was carried out
	}
	a.settle(t, err, took)
}

// quiet reports whether nothing that was asked of the topic may come late: it would be
// carried out on another topic of that name.
func (t *ownTopic) quiet() bool {
	for _, r := range t.configs { //det:allow all must be
		if !r.quiet() {
			return false
		}
	}
	for _, r := range t.replicas { //det:allow all must be
		if !r.quiet() {
			return false
		}
	}
	for _, l := range t.logs { //det:allow all must be
		if l.unsure {
			return false
		}
	}
	return t.exists.quiet() && t.partitions.quiet()
}

// settle: what was asked of the existence of a topic is answered, or not.
func (a *acting) settle(t *ownTopic, err error, took time.Duration) {
	if err == nil || refused(err) {
		t.exists.answered(err == nil, took)
	}
}

func (a *acting) delete(t *ownTopic) {
	t.exists.asked(false)
	took, err := a.timed(func() error { return a.admin.DeleteTopics(t.name) })
	if errors.Is(err, kerr.UnknownTopicOrPartition) && took >= prompt {
		err = nil // an attempt before was carried out
	}
	a.settle(t, err, took)
	if a.autoCreates {
		t.exists.asked(true)
	}
}

// grow adds a partition.
func (a *acting) grow(t *ownTopic) {
	if !t.partitions.certain() || t.partitions.settled >= 5 {
		return
	}
	to := t.partitions.settled + 1
	t.partitions.asked(to)
	took, err := a.timed(func() error { return a.admin.CreatePartitions(t.name, to) })
	if errors.Is(err, kerr.InvalidPartitions) && took >= prompt {
		err = nil // an attempt before was carried out
	}
	if err == nil || refused(err) {
		t.partitions.answered(err == nil, took)
	}
}

// changeable are configurations that change nothing of what a topic promises.
var changeable = []struct {
	name   string
	values []string
}{
	{"retention.ms", []string{"86400000", "172800000"}},
	{"segment.bytes", []string{"2000", "5000", "20000"}},
	{"segment.ms", []string{"5000", "3600000"}},
	{"index.interval.bytes", []string{"0", "1000"}},
	{"flush.messages", []string{"1", "10"}},
	{"max.message.bytes", []string{"100000", "500000"}},
	{"compression.type", []string{"gzip", "lz4", "producer"}},
	{"message.timestamp.type", []string{"LogAppendTime", "CreateTime"}},
}

// configure sets a configuration, or takes it back to its default.
func (a *acting) configure(t *ownTopic) {
	c := changeable[a.h.Rand().IntN(len(changeable))]
	change := client.ConfigChange{Name: c.name}
	value := ""
	if a.h.Rand().IntN(3) > 0 {
		value = c.values[a.h.Rand().IntN(len(c.values))]
		change.Value = &value
	}
	r := t.configs[c.name]
	if r == nil {
		r = &register[string]{}
		t.configs[c.name] = r
	}
	r.asked(value)
	took, err := a.timed(func() error { return a.admin.IncrementalAlterConfigs(client.TopicResource(t.name), change) })
	if err == nil || refused(err) {
		r.answered(err == nil, took)
	}
}

// drawNodes draws so many brokers, the preferred leader first.
func (a *acting) drawNodes(count int) []kafka.NodeID {
	nodes := slices.Clone(a.nodes)
	a.h.Rand().Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return nodes[:min(count, len(nodes))]
}

// named is how brokers are compared.
func named(nodes []kafka.NodeID) string { return fmt.Sprint(nodes) }

// reassignOwn moves a partition to other brokers.
func (a *acting) reassignOwn(t *ownTopic) {
	if !t.partitions.certain() {
		return
	}
	p := a.h.Rand().Int32N(t.partitions.settled)
	nodes := a.drawNodes(3)
	r := t.replicas[p]
	if r == nil {
		r = &register[string]{} // empty: those that the controller chose
		t.replicas[p] = r
	}
	r.asked(named(nodes))
	took, err := a.timed(func() error {
		return a.admin.AlterPartitionReassignments(map[kafka.TopicPartition][]kafka.NodeID{{Topic: t.name, Partition: p}: nodes})
	})
	if err == nil || refused(err) {
		r.answered(err == nil, took)
	}
}

// reassignShared moves a partition of the topic that others use, or calls that off, and has
// preferred leaders elected.
func (a *acting) reassignShared() {
	tp := kafka.TopicPartition{Topic: a.w.Topic, Partition: a.h.Rand().Int32N(max(1, a.s.Topics[a.w.Topic]))}
	to := map[kafka.TopicPartition][]kafka.NodeID{tp: nil}
	if d, err := a.admin.DescribeTopics(tp.Topic); err == nil && len(d) == 1 && int(tp.Partition) < len(d[0].Partitions) && a.h.Rand().IntN(4) > 0 {
		to[tp] = a.drawNodes(min(3, len(d[0].Partitions[tp.Partition].Replicas)))
	}
	_ = a.admin.AlterPartitionReassignments(to) // what becomes of it, laws watch
	if a.h.Rand().IntN(2) == 0 {
		_ = a.admin.ElectLeaders(client.Preferred, tp)
	}
	_, _ = a.admin.ListPartitionReassignments()
}

// look asks for what is compared only at the end: a broker may be behind.
func (a *acting) look(t *ownTopic) {
	_, _ = a.admin.DescribeConfigs(client.TopicResource(t.name))
	_, _ = a.admin.DescribeTopics()
	_, _ = a.admin.DescribeQuorum()
}

// fill sends some records to all partitions and waits for what becomes of them.
func (a *acting) fill(t *ownTopic) {
	cfg := a.w.producerConfig()
	cfg.Acks, cfg.Idempotence, cfg.MaxInFlight = client.AcksAll, true, 5
	cfg.DeliveryTimeout, cfg.RequestTimeout, cfg.MaxBlock, cfg.Linger = 8*time.Second, 2*time.Second, 4*time.Second, 0
	p, err := client.New(a.h, a.s.Bootstrap, a.h.Name()).NewProducer(cfg)
	if err != nil {
		panic("workloads: producer of an administrator: " + err.Error())
	}
	a.fills++
	for i := range 10 + a.h.Rand().IntN(30) {
		partition := a.h.Rand().Int32N(t.partitions.settled)
		value := fmt.Sprintf("%s-%d-%d@%s/%d", a.name, a.fills, i, t.name, partition)
		record := client.ProducerRecord{Topic: t.name, Partition: client.To(partition), Value: []byte(value)}
		log := t.log(partition)
		_ = p.Send(record, func(d client.Delivery) {
			if d.Outcome == client.Acknowledged {
				log.acknowledged(d.Offset, value)
			}
		})
		if i%8 == 7 {
			a.h.Sleep(50 * time.Millisecond)
		}
	}
	p.Flush()
	p.Close(0)
}

func (t *ownTopic) log(partition int32) *ownLog {
	l := t.logs[partition]
	if l == nil {
		l = &ownLog{sent: map[kafka.Offset]string{}}
		t.logs[partition] = l
	}
	return l
}

func (l *ownLog) acknowledged(at kafka.Offset, value string) {
	l.sent[at] = value
	l.end = max(l.end, at+1)
}

// trim deletes records up to one that was acknowledged, or all of them.
func (a *acting) trim(t *ownTopic) {
	partition := a.h.Rand().Int32N(t.partitions.settled)
	l := t.log(partition)
	if l.end == 0 {
		return
	}
	tp := kafka.TopicPartition{Topic: t.name, Partition: partition}
	before := 1 + kafka.Offset(a.h.Rand().Int64N(int64(l.end)))
	l.trimmed = max(l.trimmed, before)
	unsure := l.unsure
	l.unsure = true
	var starts map[kafka.TopicPartition]kafka.Offset
	took, err := a.timed(func() (err error) {
		starts, err = a.admin.DeleteRecords(map[kafka.TopicPartition]kafka.Offset{tp: before})
		return err
	})
	if err != nil {
		l.unsure = unsure || !refused(err)
		return
	}
	l.unsure = unsure || took >= prompt
	wrong := ""
	if starts[tp] < before || starts[tp] > l.trimmed {
		wrong = fmt.Sprintf("it was trimmed to %d, and at most to %d before; the answer says that it starts at %d", before, l.trimmed, starts[tp])
	}
	a.found("the answer to a trim of "+tp.String(), wrong)
}

func (a *acting) found(what, wrong string) { a.h.Tell(&ClientFound{What: what, Wrong: wrong}) }

// compareAll looks, when the work is over, until all is as it was told, for a minute at most.
func (a *acting) compareAll() {
	for deadline := a.s.Now() + foundWithin; ; a.h.Sleep(time.Second) {
		wrong := a.differences()
		if wrong == nil || a.s.Now() > deadline {
			a.found("the topics of "+a.h.Name(), strings.Join(wrong, "; "))
			return
		}
	}
}

// differences are those between what is found and what was told.
func (a *acting) differences() (wrong []string) {
	for _, t := range a.own {
		if d, err := a.admin.DescribeTopics(t.name); err != nil || len(d) != 1 {
			return []string{fmt.Sprintf("%s cannot be described: %v", t.name, err)}
		} else if problem := a.compare(t, &d[0]); problem != "" {
			wrong = append(wrong, problem)
		}
	}
	return wrong
}

// compare is what is wrong with a topic; empty: nothing.
func (a *acting) compare(t *ownTopic, d *client.TopicDescription) string {
	exists := d.Err == nil
	switch {
	case !exists && !errors.Is(d.Err, kerr.UnknownTopicOrPartition):
		return fmt.Sprintf("%s: %v", t.name, d.Err)
	case !t.exists.mayBe(exists):
		return fmt.Sprintf("%s: found %s, was told %s", t.name, existence(exists), existence(!exists))
	case !exists || !t.exists.certain():
		return ""
	case !t.partitions.mayBe(int32(len(d.Partitions))):
		return fmt.Sprintf("%s: found %d partitions, expected one of %v", t.name, len(d.Partitions), t.partitions.all())
	}
	for p := range d.Partitions {
		if problem := t.compareReplicas(&d.Partitions[p]); problem != "" {
			return problem
		}
	}
	if problem := a.compareConfigs(t); problem != "" {
		return problem
	}
	return a.read(t, 10*time.Second)
}

func existence(exists bool) string {
	if exists {
		return "that there is such a topic"
	}
	return "that there is none"
}

// compareReplicas: those that were asked for come first, and behind them what is to go.
func (t *ownTopic) compareReplicas(p *client.PartitionDescription) string {
	r := t.replicas[p.Partition]
	if r == nil || r.mayBe("") {
		return ""
	}
	for _, want := range r.all() {
		for n := range len(p.Replicas) + 1 {
			if named(p.Replicas[:n]) == want {
				return ""
			}
		}
	}
	return fmt.Sprintf("%s/%d: found replicas %v, expected one of %v", t.name, p.Partition, p.Replicas, r.all())
}

func (a *acting) compareConfigs(t *ownTopic) string {
	entries, err := a.admin.DescribeConfigs(client.TopicResource(t.name))
	if err != nil {
		return fmt.Sprintf("%s: its configuration cannot be described: %v", t.name, err)
	}
	for _, e := range entries {
		r := t.configs[e.Name]
		if r == nil {
			continue
		}
		if !r.mayBe("") && !r.mayBe(e.Value) {
			return fmt.Sprintf("%s: found %s=%q, expected one of %q", t.name, e.Name, e.Value, r.all())
		}
		if e.Default && !r.mayBe("") {
			return fmt.Sprintf("%s: found that %s has its default, expected one of %q", t.name, e.Name, r.all())
		}
	}
	return ""
}
