package sessions

import "github.com/twmb/franz-go/pkg/kmsg"

// Requests, in short. A maker makes one for a side, as ids differ between them.
type maker = func(*side) kmsg.Request

// unset is the version of a request that is asked in the session's version.
const unset = -99

func auto[R kmsg.Request](r R) R { r.SetVersion(unset); return r }

// ids fills the topic's id for a side; unknown names have one made up.
func (sd *side) id(topic string) [16]byte {
	if id, ok := sd.ids[topic]; ok {
		return id
	}
	return [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
}

func (s *session) produce(topic string, part int32, acks int16, records []byte) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrProduceRequest())
		req.Acks, req.TimeoutMillis = acks, 10000
		t := kmsg.NewProduceRequestTopic()
		t.Topic, t.TopicID = topic, sd.id(topic)
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = part, records
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}
}

type fetchPart struct {
	topic  string
	part   int32
	offset int64
	epoch  int32
	max    int32
}

type fetchOpt struct {
	wait, minB, maxB int32
	iso              int8
	session          int32 // -1: the last one made
	epoch            int32
	forget           []fetchPart
	rack             string
}

func (s *session) fetch(o fetchOpt, parts ...fetchPart) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrFetchRequest())
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes = o.wait, o.minB, o.maxB
		if req.MaxBytes == 0 {
			req.MaxBytes = 1 << 20
		}
		req.IsolationLevel = o.iso
		req.Rack = o.rack
		req.ReplicaID = -1
		req.SessionID, req.SessionEpoch = o.session, o.epoch
		if o.session == -1 {
			req.SessionID = sd.sess
		}
		for _, f := range parts {
			p := kmsg.NewFetchRequestTopicPartition()
			p.Partition, p.FetchOffset, p.CurrentLeaderEpoch, p.PartitionMaxBytes = f.part, f.offset, f.epoch, f.max
			if f.max == 0 {
				p.PartitionMaxBytes = 1 << 20
			}
			at := -1
			for i := range req.Topics {
				if req.Topics[i].Topic == f.topic {
					at = i
				}
			}
			if at < 0 {
				t := kmsg.NewFetchRequestTopic()
				t.Topic, t.TopicID = f.topic, sd.id(f.topic)
				req.Topics = append(req.Topics, t)
				at = len(req.Topics) - 1
			}
			req.Topics[at].Partitions = append(req.Topics[at].Partitions, p)
		}
		for _, f := range o.forget {
			t := kmsg.NewFetchRequestForgottenTopic()
			t.Topic, t.TopicID, t.Partitions = f.topic, sd.id(f.topic), []int32{f.part}
			req.ForgottenTopics = append(req.ForgottenTopics, t)
		}
		return req
	}
}

func (s *session) keep(k, o kmsg.Response) {
	if r, ok := k.(*kmsg.FetchResponse); ok && r.SessionID != 0 {
		s.kafka.sess = r.SessionID
	}
	if r, ok := o.(*kmsg.FetchResponse); ok && r.SessionID != 0 {
		s.ours.sess = r.SessionID
	}
}

func (s *session) list(topic string, part int32, ts int64, iso int8, epoch int32) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrListOffsetsRequest())
		req.ReplicaID, req.IsolationLevel = -1, iso
		req.TimeoutMillis = 5000
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp, p.CurrentLeaderEpoch = part, ts, epoch
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}
}

func (s *session) leaderEpoch(topic string, part, current, epoch int32) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrOffsetForLeaderEpochRequest())
		req.ReplicaID = -1
		t := kmsg.NewOffsetForLeaderEpochRequestTopic()
		t.Topic = topic
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.LeaderEpoch = part, current, epoch
		t.Partitions = append(t.Partitions, p)
		req.Topics = append(req.Topics, t)
		return req
	}
}

func (s *session) metadata(auto_ bool, ops bool, topics ...string) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrMetadataRequest())
		req.AllowAutoTopicCreation = auto_
		req.IncludeTopicAuthorizedOperations = ops
		req.IncludeClusterAuthorizedOperations = ops
		if topics == nil {
			return req
		}
		req.Topics = []kmsg.MetadataRequestTopic{}
		for _, n := range topics {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(n)
			req.Topics = append(req.Topics, t)
		}
		return req
	}
}

func (s *session) metadataID(ids ...func(*side) [16]byte) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrMetadataRequest())
		req.AllowAutoTopicCreation = false
		for _, f := range ids {
			t := kmsg.NewMetadataRequestTopic()
			t.TopicID = f(sd)
			req.Topics = append(req.Topics, t)
		}
		return req
	}
}

type newTopic struct {
	name       string
	parts      int32
	rf         int16
	assign     [][]int32 // index: partition, from first
	first      int32
	configs    [][2]string
	nullConfig string
}

func (s *session) create(validate bool, ts ...newTopic) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrCreateTopicsRequest())
		req.TimeoutMillis, req.ValidateOnly = 10000, validate
		req.Topics = []kmsg.CreateTopicsRequestTopic{}
		for _, n := range ts {
			t := kmsg.NewCreateTopicsRequestTopic()
			t.Topic, t.NumPartitions, t.ReplicationFactor = n.name, n.parts, n.rf
			for i, a := range n.assign {
				ra := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
				ra.Partition, ra.Replicas = n.first+int32(i), a
				t.ReplicaAssignment = append(t.ReplicaAssignment, ra)
			}
			for _, c := range n.configs {
				k := kmsg.NewCreateTopicsRequestTopicConfig()
				k.Name, k.Value = c[0], kmsg.StringPtr(c[1])
				t.Configs = append(t.Configs, k)
			}
			if n.nullConfig != "" {
				k := kmsg.NewCreateTopicsRequestTopicConfig()
				k.Name = n.nullConfig
				t.Configs = append(t.Configs, k)
			}
			req.Topics = append(req.Topics, t)
		}
		return req
	}
}

type grow struct {
	topic  string
	count  int32
	assign [][]int32
}

func (s *session) partitions(validate bool, gs ...grow) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrCreatePartitionsRequest())
		req.TimeoutMillis, req.ValidateOnly = 10000, validate
		for _, g := range gs {
			t := kmsg.NewCreatePartitionsRequestTopic()
			t.Topic, t.Count = g.topic, g.count
			for _, a := range g.assign {
				x := kmsg.NewCreatePartitionsRequestTopicAssignment()
				x.Replicas = a
				t.Assignment = append(t.Assignment, x)
			}
			req.Topics = append(req.Topics, t)
		}
		return req
	}
}

// remove deletes by name, or with "id:NAME" by id.
func (s *session) remove(names ...string) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrDeleteTopicsRequest())
		req.TimeoutMillis = 10000
		for _, n := range names {
			t := kmsg.NewDeleteTopicsRequestTopic()
			if len(n) > 3 && n[:3] == "id:" {
				t.TopicID = sd.id(n[3:])
			} else {
				t.Topic = kmsg.StringPtr(n)
				req.TopicNames = append(req.TopicNames, n)
			}
			req.Topics = append(req.Topics, t)
		}
		return req
	}
}

type offsetAt struct {
	topic  string
	part   int32
	offset int64
}

func (s *session) deleteRecords(at ...offsetAt) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrDeleteRecordsRequest())
		req.TimeoutMillis = 5000
		for _, a := range at {
			t := kmsg.NewDeleteRecordsRequestTopic()
			t.Topic = a.topic
			p := kmsg.NewDeleteRecordsRequestTopicPartition()
			p.Partition, p.Offset = a.part, a.offset
			t.Partitions = append(t.Partitions, p)
			req.Topics = append(req.Topics, t)
		}
		return req
	}
}

func (s *session) describeConfigs(typ int8, name string, syn, doc bool, keys ...string) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrDescribeConfigsRequest())
		req.IncludeSynonyms, req.IncludeDocumentation = syn, doc
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceType(typ), name, keys
		req.Resources = append(req.Resources, r)
		return req
	}
}

type change struct {
	name  string
	op    int8
	value string
	null  bool
}

func (s *session) alter(validate bool, typ int8, name string, cs ...change) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrIncrementalAlterConfigsRequest())
		req.ValidateOnly = validate
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceType(typ), name
		for _, c := range cs {
			k := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			k.Name, k.Op = c.name, kmsg.IncrementalAlterConfigOp(c.op)
			if !c.null {
				k.Value = kmsg.StringPtr(c.value)
			}
			r.Configs = append(r.Configs, k)
		}
		req.Resources = append(req.Resources, r)
		return req
	}
}

// replaceConfigs is the older way to alter: what is not named is no longer set.
func (s *session) replaceConfigs(validate bool, typ int8, name string, cs ...change) maker {
	return func(*side) kmsg.Request {
		req := auto(kmsg.NewPtrAlterConfigsRequest())
		req.ValidateOnly = validate
		r := kmsg.NewAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceType(typ), name
		for _, c := range cs {
			k := kmsg.NewAlterConfigsRequestResourceConfig()
			k.Name, k.Value = c.name, kmsg.StringPtr(c.value)
			r.Configs = append(r.Configs, k)
		}
		req.Resources = append(req.Resources, r)
		return req
	}
}

func (s *session) initPID(txid *string, pid int64, epoch int16) maker {
	return func(sd *side) kmsg.Request {
		req := auto(kmsg.NewPtrInitProducerIDRequest())
		req.TransactionalID, req.TransactionTimeoutMillis = txid, 60000
		req.ProducerID, req.ProducerEpoch = pid, epoch
		if pid == -2 { // its own last
			req.ProducerID = sd.pidOf[len(sd.pidOf)-1]
			req.ProducerEpoch = epoch
		}
		return req
	}
}

// newPID gives each side a producer id, kept as the last of pidOf.
func (s *session) newPID() {
	k, o := s.do("init producer id", 1, s.initPID(nil, -1, -1))
	remember := func(sd *side, resp kmsg.Response) {
		id := int64(0)
		if r, ok := resp.(*kmsg.InitProducerIDResponse); ok {
			id = r.ProducerID
		}
		if sd != nil {
			sd.pidOf = append(sd.pidOf, id)
		}
	}
	remember(s.kafka, k)
	remember(s.ours, o)
}

// idem produces as the which-th producer id of the side.
func (s *session) idem(topic string, part int32, acks int16, which int, b rb) maker {
	return func(sd *side) kmsg.Request {
		b := b
		b.pid = 1<<40 + 7
		if which >= 0 && which < len(sd.pidOf) {
			b.pid = sd.pidOf[which]
		}
		return s.produce(topic, part, acks, build(b))(sd)
	}
}
