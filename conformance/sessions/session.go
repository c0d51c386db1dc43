package sessions

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func errName(c int16) string {
	if c == 0 {
		return "NONE"
	}
	if e := kerr.TypedErrorForCode(c); e != nil {
		return e.Message
	}
	return fmt.Sprint("error ", c)
}

// side is one of the two clusters.
type side struct {
	what  string
	net   Network
	addrs []string // brokers 1, 2, 3

	conns  map[line]*conn
	ids    map[string][16]byte
	names  map[[16]byte]string
	pids   map[int64]int
	prefix string
	sess   int32 // of the last fetch that made one
	pidOf  []int64
	epoch  []int16
	marks  map[string]int64

	coordinators map[coordinated]int // brokers
	members      map[string]member   // of groups, by "group/letter"
	memberIDs    []string            // in the order in which they were seen
	producers    map[string]producer // of transactional ids, by "id/letter"
}

// line is a connection to a broker. What a member of a group sends may wait for
// others, so each has a connection of its own, named by its letter.
type line struct {
	broker int
	name   string
}

// coordinated is a group (kind 0) or a transactional id (kind 1).
type coordinated struct {
	kind int8
	key  string
}

func (s *side) fresh(prefix string) {
	s.close()
	s.conns = map[line]*conn{}
	s.ids, s.names = map[string][16]byte{}, map[[16]byte]string{}
	s.pids = map[int64]int{}
	s.prefix = prefix
	s.sess = 0
	s.pidOf, s.epoch = nil, nil
	s.marks = map[string]int64{}
	s.coordinators, s.members, s.memberIDs = map[coordinated]int{}, map[string]member{}, nil
	s.producers = map[string]producer{}
}

func (s *side) close() {
	for _, at := range slices.SortedFunc(maps.Keys(s.conns), func(a, b line) int {
		return cmp.Or(cmp.Compare(a.broker, b.broker), strings.Compare(a.name, b.name))
	}) {
		s.conns[at].c.Close()
	}
	s.conns = nil
}

func (s *side) conn(at line) (*conn, error) {
	if c := s.conns[at]; c != nil {
		return c, nil
	}
	c, err := dial(s.net, s.addrs[at.broker-1])
	if err == nil {
		s.conns[at] = c
	}
	return c, err
}

// lastPID is the number of the last producer id.
func (s *session) lastPID() (n int) {
	s.both(func(sd *side) { n = len(sd.pidOf) - 1 })
	return n
}

func (s *side) ask(at line, req kmsg.Request) outcome {
	if err := s.send(at, req); err != nil {
		return outcome{fault: failure(err)}
	}
	return s.receive(at, req, s.net.Uptime()+patience)
}

// send sends a request that receive waits for.
func (s *side) send(at line, req kmsg.Request) error {
	c, err := s.conn(at)
	if err != nil {
		return err
	}
	if err = c.send(req); err != nil {
		s.hangUp(at)
	}
	return err
}

func (s *side) receive(at line, req kmsg.Request, until time.Duration) outcome {
	c, err := s.conn(at)
	if err != nil {
		return outcome{fault: "cannot connect"}
	}
	o := c.receive(req, until)
	if o.fault == "closed" || o.fault == "timeout" {
		s.hangUp(at)
	}
	return o
}

func (s *side) hangUp(at line) {
	s.conns[at].c.Close()
	delete(s.conns, at)
}

func (s *side) pid(n int64) string {
	if n < 0 {
		return fmt.Sprint(n)
	}
	if n > 1<<40 { // made up by the driver
		return fmt.Sprint("pid?", n-1<<40)
	}
	k, ok := s.pids[n]
	if !ok {
		k = len(s.pids)
		s.pids[n] = k
	}
	return fmt.Sprint("pid#", k)
}

// strange says that an element of an answer belongs to another session.
func (s *side) strange(name string, e reflect.Value) bool {
	for e.Kind() == reflect.Pointer {
		e = e.Elem()
	}
	if name == "TransactionStates" {
		id := e.FieldByName("TransactionalID").String()
		return strings.HasPrefix(id, "s") && strings.Contains(id, "-x-") && !strings.HasPrefix(id, s.prefix)
	}
	if name != "Topics" && name != "Dirs" && name != "Groups" {
		return false
	}
	for _, n := range []string{"Topic", "Name", "Group"} {
		v := e.FieldByName(n)
		if !v.IsValid() {
			continue
		}
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return false
			}
			v = v.Elem()
		}
		if v.Kind() == reflect.String {
			t := v.String()
			if name == "Groups" && !e.FieldByName("ErrorCode").IsValid() { // listed, not asked for
				return !strings.HasPrefix(t, s.prefix)
			}
			return strings.HasPrefix(t, "s") && strings.Contains(t, "-x-") && !strings.HasPrefix(t, s.prefix) || strings.HasPrefix(t, "__") || t == "t1" || t == "a"
		}
	}
	return false
}

// Finding is one field that differs.
type Finding struct {
	Session string `json:"session"`
	Step    string `json:"step"`
	API     string `json:"api"`
	Version int16  `json:"version"`
	Path    string `json:"path"`
	Kafka   string `json:"kafka"`
	Ours    string `json:"ours"`
	Before  string `json:"before"` // the steps that led to it
}

// String is the finding in three lines.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s v%d: %s\n\tKafka %s\n\tours  %s", f.Step, f.API, f.Version, f.Path, f.Kafka, f.Ours)
}

// session asks the same of both sides and compares the answers. One side may be
// missing: Kafka, when its answers are read from a transcript; ours, when they
// are written to one.
type session struct {
	name   string
	net    Network
	prefix string // of the names of its topics
	kafka  *side
	ours   *side
	script *Script
	pin    map[int16]int16 // versions that are asked for
	rng    *rand.Rand
	// listed are the differences that are passed over, known counts them.
	listed Differences
	known  map[*Difference]int
	steps  int
	found  []Finding
	trace  []string
	stop   bool // at the first difference that is not of a text
	over   bool
	tops   []string
	// changes are those of heard.
	changes int
}

func (s *session) both(f func(*side)) {
	for _, sd := range []*side{s.kafka, s.ours} {
		if sd != nil {
			f(sd)
		}
	}
}

// first is Kafka's side, or ours where that is missing.
func (s *session) first() *side {
	if s.kafka != nil {
		return s.kafka
	}
	return s.ours
}

// v is the version for a key: pinned, or the highest that both sides know.
func (s *session) v(key int16) int16 {
	r := common(key)
	if p, ok := s.pin[key]; ok && p >= r[0] && p <= r[1] {
		return p
	}
	return r[1]
}

func (s *session) topic(name string) string {
	t := s.prefix + name
	return t
}

// do sends a request to both sides and records what differs.
func (s *session) do(step string, broker int, make maker) (kafka, ours kmsg.Response) {
	return s.ask(step, func(*side) line { return line{broker: broker} }, make)
}

// ask sends a request over a connection of each side and records what differs.
func (s *session) ask(step string, over func(*side) line, make maker) (kafka, ours kmsg.Response) {
	if s.over {
		return nil, nil
	}
	return s.end(s.begin(step, over, make))
}

// pending is a request that was sent and whose answer was not read.
type pending struct {
	step string
	over func(*side) line
	reqs map[*side]kmsg.Request
	req  kmsg.Request // any of them
	lost map[*side]string
}

// begin sends a request to both sides. Its answer is read by end.
func (s *session) begin(step string, over func(*side) line, make maker) *pending {
	p := &pending{step: step, over: over, reqs: map[*side]kmsg.Request{}, lost: map[*side]string{}}
	s.both(func(sd *side) {
		p.req = make(sd)
		if p.req.GetVersion() == unset {
			p.req.SetVersion(s.v(p.req.Key()))
		}
		p.reqs[sd] = p.req
		if s.over {
			return
		}
		if err := sd.send(over(sd), p.req); err != nil {
			p.lost[sd] = failure(err)
		}
	})
	return p
}

// end reads the answers of both sides and records what differs.
func (s *session) end(p *pending) (kafka, ours kmsg.Response) {
	if s.over {
		return nil, nil
	}
	until := s.net.Uptime() + patience // of both sides
	ask := func(sd *side) (kmsg.Response, answer) {
		o := outcome{fault: p.lost[sd]}
		if o.fault == "" {
			o = sd.receive(p.over(sd), p.reqs[sd], until)
		}
		return o.resp, flatten(sd, p.reqs[sd], o)
	}
	var ak, ao answer
	if s.kafka != nil {
		kafka, ak = ask(s.kafka)
	}
	if s.ours != nil {
		ours, ao = ask(s.ours)
	}
	s.told(p.step, p.req, ak, ao)
	return kafka, ours
}

// waits finds which sides have not answered a request within a time, which is
// to be the same. A side that is the only one to wait is given more time.
func (s *session) waits(p *pending, within time.Duration) bool {
	if s.over {
		return false
	}
	if s.script != nil && s.kafka == nil && !s.script.waitsNext() {
		within = patience // Kafka answered: that is how long ours may take
	}
	waiting := map[*side]bool{}
	look := func(sd *side, within time.Duration) {
		c := sd.conns[p.over(sd)]
		waiting[sd] = c != nil && !c.answered(within)
	}
	s.both(func(sd *side) { look(sd, within) })
	if s.kafka != nil && s.ours != nil && waiting[s.kafka] != waiting[s.ours] {
		s.both(func(sd *side) { look(sd, 3*time.Second) })
	}
	found := func(sd *side) answer { return answer{"!waits": fmt.Sprint(waiting[sd])} }
	s.told(p.step+", waits", p.req, found(s.kafka), found(s.ours))
	if s.kafka != nil {
		return waiting[s.kafka]
	}
	return waiting[s.ours]
}

// told compares what both sides said in a step, one of which may be or become a
// transcript.
func (s *session) told(step string, req kmsg.Request, ak, ao answer) {
	s.steps++
	request := fmt.Sprintf("%s v%d", kmsg.NameForKey(req.Key()), req.GetVersion())
	s.trace = append(s.trace, step+" "+request+s.detail(req))
	switch {
	case s.script == nil:
	case s.ours == nil:
		s.script.add(step, request, ak)
		return
	default:
		var err error
		if ak, err = s.script.take(step, request); err != nil {
			s.found = append(s.found, Finding{Session: s.name, Step: step, API: "driver", Kafka: err.Error()})
			s.over = true
			return
		}
		ao = visible(ao)
	}
	s.compare(step, req, ak, ao)
}

// send sends a request that has no answer.
func (s *session) send(broker int, make maker) {
	s.both(func(sd *side) {
		req := make(sd)
		req.SetVersion(s.v(req.Key()))
		_ = sd.send(line{broker: broker}, req)
	})
}

func (s *session) compare(step string, req kmsg.Request, kafka, ours answer) {
	paths := append(slices.Sorted(maps.Keys(kafka)), slices.Sorted(maps.Keys(ours))...)
	slices.Sort(paths)
	for _, p := range slices.Compact(paths) {
		f := Finding{Session: s.name, Step: step, API: kmsg.NameForKey(req.Key()), Version: req.GetVersion(), Path: p, Kafka: "absent", Ours: "absent"}
		if v, ok := kafka[p]; ok {
			f.Kafka = v
		}
		if v, ok := ours[p]; ok {
			f.Ours = v
		}
		if f.Kafka == f.Ours {
			continue
		}
		if d := s.listed.explain(f); d != nil {
			s.known[d]++
			continue
		}
		s.over = s.over || s.stop && !strings.HasSuffix(p, "Message")
		s.found = append(s.found, f)
	}
}

// quiet asks without comparing.
func quiet[R kmsg.Response](sd *side, broker int, req kmsg.Request) (R, bool) {
	o := sd.ask(line{broker: broker}, req)
	r, ok := o.resp.(R)
	return r, ok && o.fault == ""
}

func (sd *side) settled(topic string, parts int) bool {
	for b := 1; b <= len(sd.addrs); b++ {
		req := kmsg.NewPtrMetadataRequest()
		req.SetVersion(12)
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, t)
		resp, ok := quiet[*kmsg.MetadataResponse](sd, b, req)
		if !ok || len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != 0 || len(resp.Topics[0].Partitions) != parts {
			return false
		}
		replicas := 0
		for _, p := range resp.Topics[0].Partitions {
			if p.ErrorCode != 0 || len(p.ISR) != len(p.Replicas) {
				return false
			}
			if slices.Contains(p.Replicas, int32(b)) {
				replicas++
			}
			if int(p.Leader) == b {
				if _, ok := sd.end(topic, p.Partition, b, 0); !ok {
					return false
				}
			}
		}
		if sd.logs(topic, b) != replicas {
			return false
		}
		sd.ids[topic] = resp.Topics[0].TopicID
		sd.names[resp.Topics[0].TopicID] = topic
	}
	return true
}

// logs is how many partitions of a topic a broker has logs of.
func (sd *side) logs(topic string, broker int) (n int) {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.SetVersion(4) // without topics: all
	resp, ok := quiet[*kmsg.DescribeLogDirsResponse](sd, broker, req)
	if !ok {
		return -1
	}
	for _, dir := range resp.Dirs {
		for _, t := range dir.Topics {
			if t.Topic == topic {
				n += len(t.Partitions)
			}
		}
	}
	return n
}

func (sd *side) end(topic string, part int32, broker int, iso int8) (int64, bool) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.SetVersion(7)
	req.ReplicaID = -1
	req.IsolationLevel = iso
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp = part, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp, ok := quiet[*kmsg.ListOffsetsResponse](sd, broker, req)
	if !ok || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		return 0, false
	}
	return resp.Topics[0].Partitions[0].Offset, true
}

// eventually asks again and again, for five seconds, whether something is so.
func eventually(n Network, f func() bool) bool {
	for range 100 {
		if f() {
			return true
		}
		n.Sleep(50 * time.Millisecond)
	}
	return false
}

// settle waits until a topic is known, led and replicated everywhere on both sides.
func (s *session) settle(topic string, parts int) {
	s.both(func(sd *side) {
		if !eventually(s.net, func() bool { return sd.settled(topic, parts) }) {
			s.found = append(s.found, Finding{Session: s.name, Step: "settle", API: "driver", Path: sd.what, Kafka: "settled", Ours: "not settled " + topic})
		}
	})
}

// vanish deletes a topic and waits until no broker of either side lists it.
func (s *session) vanish(topic string) {
	remove := s.remove(topic)
	s.both(func(sd *side) {
		req := remove(sd)
		req.SetVersion(s.v(req.Key()))
		sd.ask(line{broker: 1}, req)
		if !eventually(s.net, func() bool { return !sd.lists(topic) }) {
			s.found = append(s.found, Finding{Session: s.name, Step: "vanish", API: "driver", Path: sd.what, Kafka: "gone", Ours: "still there: " + topic})
		}
	})
}

// lists says whether any broker names a topic among all of them, or does not answer.
func (sd *side) lists(topic string) bool {
	for b := 1; b <= len(sd.addrs); b++ {
		req := kmsg.NewPtrMetadataRequest()
		req.SetVersion(12) // without topics: all
		resp, ok := quiet[*kmsg.MetadataResponse](sd, b, req)
		if !ok || slices.ContainsFunc(resp.Topics, func(t kmsg.MetadataResponseTopic) bool { return t.Topic != nil && *t.Topic == topic }) {
			return true
		}
	}
	return false
}

// configure sets something on a topic and waits until all brokers of both sides have heard of it.
func (s *session) configure(topic, name, value string) {
	set := s.alter(false, 2, topic, change{name: name, value: value})
	s.both(func(sd *side) {
		sd.ask(line{broker: 1}, s.versioned(sd, set))
	})
	s.heard(0)
}

// groupResource is the type of a group as what has a configuration (KIP-848).
const groupResource int8 = 32

// heard waits until all brokers of both sides have applied what was decided until now, and
// then the time that their coordinators and logs are given to hear of it. Brokers apply
// what the controllers decide in its order: a change that is made last is seen last.
func (s *session) heard(more time.Duration) {
	s.changes++
	const name = "consumer.session.timeout.ms"
	resource, value := s.prefix+"heard", fmt.Sprint(45000+s.changes)
	set, ask := s.alter(false, groupResource, resource, change{name: name, value: value}), s.describeConfigs(groupResource, resource, false, false, name)
	s.both(func(sd *side) {
		sd.ask(line{broker: 1}, s.versioned(sd, set))
		for b := range sd.addrs {
			if !eventually(s.net, func() bool { return s.shows(sd, b+1, ask, name, value) }) {
				s.found = append(s.found, Finding{Session: s.name, Step: "heard", API: "driver", Path: sd.what, Kafka: "heard", Ours: fmt.Sprintf("broker %d has not heard", b+1)})
			}
		}
	})
	s.net.Sleep(more)
}

// versioned is a request of a side, in the version of the session.
func (s *session) versioned(sd *side, make maker) kmsg.Request {
	req := make(sd)
	req.SetVersion(s.v(req.Key()))
	return req
}

// shows says whether a broker describes the configuration of one resource with that value.
func (s *session) shows(sd *side, broker int, describe maker, name, value string) bool {
	resp, ok := quiet[*kmsg.DescribeConfigsResponse](sd, broker, s.versioned(sd, describe))
	return ok && len(resp.Resources) == 1 && slices.ContainsFunc(resp.Resources[0].Configs, func(c kmsg.DescribeConfigsResponseResourceConfig) bool {
		return c.Name == name && c.Value != nil && *c.Value == value
	})
}

// reach waits until the high watermark of a partition is an offset on both sides.
func (s *session) reach(topic string, part int32, broker int, want int64) {
	s.both(func(sd *side) {
		eventually(s.net, func() bool { e, ok := sd.end(topic, part, broker, 0); return ok && e >= want })
	})
}

// make creates a topic with partition p led by broker p%3+1, on three replicas.
func (s *session) make(name string, parts int, configs ...string) string {
	t := s.topic(name)
	s.both(func(sd *side) {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.SetVersion(7)
		req.TimeoutMillis = 10000
		ct := kmsg.NewCreateTopicsRequestTopic()
		ct.Topic = t
		ct.NumPartitions, ct.ReplicationFactor = -1, -1
		for p := range parts {
			ra := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			ra.Partition = int32(p)
			for k := range 3 {
				ra.Replicas = append(ra.Replicas, int32((p+k)%3+1))
			}
			ct.ReplicaAssignment = append(ct.ReplicaAssignment, ra)
		}
		// The driver's timestamps are old: nothing may be deleted for its age.
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = "retention.ms", kmsg.StringPtr("-1")
		if !slices.Contains(configs, "retention.ms") {
			ct.Configs = append(ct.Configs, c)
		}
		for i := 0; i+1 < len(configs); i += 2 {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			c.Name, c.Value = configs[i], kmsg.StringPtr(configs[i+1])
			ct.Configs = append(ct.Configs, c)
		}
		req.Topics = append(req.Topics, ct)
		sd.ask(line{broker: 1}, req)
	})
	s.tops = append(s.tops, t)
	s.settle(t, parts)
	return t
}

func (s *session) clean() {
	s.both(func(sd *side) {
		if len(s.tops) == 0 {
			return
		}
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.SetVersion(5)
		req.TimeoutMillis = 5000
		req.TopicNames = s.tops
		sd.ask(line{broker: 1}, req)
	})
	s.both((*side).close)
}

// detail says of a fetch what its session is about.
func (s *session) detail(req kmsg.Request) string {
	if p, ok := req.(*kmsg.ProduceRequest); ok && len(p.Topics) == 1 && len(p.Topics[0].Partitions) == 1 {
		var b kmsg.RecordBatch
		q := p.Topics[0].Partitions[0]
		if b.ReadFrom(q.Records) == nil {
			t := s.nameOf(p.Topics[0].Topic, p.Topics[0].TopicID)
			return fmt.Sprintf(" %s/%d acks %d, %d records, epoch %d seq %d, times %d to %d", strings.TrimPrefix(t, s.prefix), q.Partition, p.Acks, b.NumRecords, b.ProducerEpoch, b.FirstSequence, b.FirstTimestamp-base, b.MaxTimestamp-base)
		}
	}
	if b, ok := req.(*kmsg.ConsumerGroupHeartbeatRequest); ok {
		return s.heartbeatDetail(b)
	}
	if j, ok := req.(*kmsg.JoinGroupRequest); ok {
		var names []string
		for _, p := range j.Protocols {
			names = append(names, fmt.Sprintf("%s:%d", p.Name, len(p.Metadata)))
		}
		return fmt.Sprintf(" %q %s %v", j.MemberID, j.ProtocolType, names)
	}
	r, ok := req.(*kmsg.FetchRequest)
	if !ok {
		return ""
	}
	d := fmt.Sprintf(" session %v epoch %d", r.SessionID != 0, r.SessionEpoch)
	name := s.nameOf
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			d += fmt.Sprintf(" +%s/%d@%d max %d", name(t.Topic, t.TopicID), p.Partition, p.FetchOffset, p.PartitionMaxBytes)
		}
	}
	for _, t := range r.ForgottenTopics {
		d += fmt.Sprintf(" -%s/%v", name(t.Topic, t.TopicID), t.Partitions)
	}
	return d
}

// heartbeatDetail is what a member says of itself.
func (s *session) heartbeatDetail(b *kmsg.ConsumerGroupHeartbeatRequest) string {
	d := fmt.Sprintf(" %s epoch %d", b.MemberID, b.MemberEpoch)
	if b.SubscribedTopicNames != nil {
		d += fmt.Sprintf(" wants %v", b.SubscribedTopicNames)
	}
	if b.ServerAssignor != nil {
		d += " by " + *b.ServerAssignor
	}
	if b.Topics != nil {
		d += " owns"
		for _, t := range b.Topics {
			d += fmt.Sprintf(" %v", t.Partitions)
		}
	}
	return strings.ReplaceAll(d, s.prefix, "~")
}

// keepTrace is how many of the last steps a finding remembers.
func (s *session) keepTrace() int {
	if s.stop {
		return 60
	}
	return 4
}

// nameOf is the name of a topic that a request names either way.
func (s *session) nameOf(name string, id [16]byte) string {
	s.both(func(sd *side) {
		if n, ok := sd.names[id]; ok {
			name = n
		}
	})
	return strings.TrimPrefix(name, s.prefix)
}
