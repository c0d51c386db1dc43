package calibrate

import (
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fake is a broker that answers what a calibration asks, and can be made to fail.
type fake struct {
	t    *testing.T
	addr string

	mu       sync.Mutex
	topics   map[string]int // partitions
	touched  map[string]bool
	end      map[string]int64 // by topic: of its partitions together
	changed  *sync.Cond
	produced int
	// produceError is the answer to the produce requests after some.
	produceError error
	failAfter    int
	// deleteErrors are the answers to the first deletions.
	deleteErrors []error
	deletions    int
	onProduce    func(n int)
}

func startFake(t *testing.T) *fake {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	f := &fake{t: t, addr: l.Addr().String(), topics: map[string]int{}, touched: map[string]bool{}, end: map[string]int64{}}
	f.changed = sync.NewCond(&f.mu)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	return f
}

func (f *fake) serve(c net.Conn) {
	defer c.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(c, frame); err != nil {
			return
		}
		req := kmsg.RequestForKey(int16(binary.BigEndian.Uint16(frame)))
		req.SetVersion(int16(binary.BigEndian.Uint16(frame[2:])))
		body := frame[10+binary.BigEndian.Uint16(frame[8:]):]
		if req.IsFlexible() {
			body = body[1:]
		}
		if err := req.ReadFrom(body); err != nil {
			f.t.Errorf("a request cannot be read: %v", err)
			return
		}
		resp := f.answer(req)
		resp.SetVersion(req.GetVersion())
		out := append([]byte{0, 0, 0, 0}, frame[4:8]...)
		if resp.IsFlexible() && resp.Key() != 18 {
			out = append(out, 0)
		}
		out = resp.AppendTo(out)
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

func (f *fake) answer(req kmsg.Request) kmsg.Response {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch req := req.(type) {
	case *kmsg.MetadataRequest:
		return f.metadata(req)
	case *kmsg.CreateTopicsRequest:
		return f.create(req)
	case *kmsg.DeleteTopicsRequest:
		return f.delete(req)
	case *kmsg.ProduceRequest:
		return f.produce(req)
	case *kmsg.FetchRequest:
		return f.fetch(req)
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	for key := range newest {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MaxVersion = key, 99
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	return resp
}

func (f *fake) metadata(req *kmsg.MetadataRequest) kmsg.Response {
	resp := kmsg.NewPtrMetadataResponse()
	b := kmsg.NewMetadataResponseBroker()
	host, port, _ := net.SplitHostPort(f.addr)
	n, _ := strconv.Atoi(port)
	b.NodeID, b.Host, b.Port, resp.ControllerID = 1, host, int32(n), 1
	resp.Brokers = append(resp.Brokers, b)
	for _, want := range req.Topics {
		t := kmsg.NewMetadataResponseTopic()
		t.Topic = want.Topic
		parts, known := f.topics[*want.Topic]
		if !known {
			t.ErrorCode = kerr.UnknownTopicOrPartition.Code
			if req.AllowAutoTopicCreation {
				f.touched[*want.Topic] = true
			}
		}
		for i := range parts {
			p := kmsg.NewMetadataResponseTopicPartition()
			p.Partition, p.Leader, p.Replicas, p.ISR = int32(i), 1, []int32{1}, []int32{1}
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (f *fake) create(req *kmsg.CreateTopicsRequest) kmsg.Response {
	resp := kmsg.NewPtrCreateTopicsResponse()
	for _, t := range req.Topics {
		r := kmsg.NewCreateTopicsResponseTopic()
		r.Topic = t.Topic
		if _, there := f.topics[t.Topic]; there {
			r.ErrorCode = kerr.TopicAlreadyExists.Code
		} else {
			f.topics[t.Topic] = len(t.ReplicaAssignment)
		}
		resp.Topics = append(resp.Topics, r)
	}
	return resp
}

func (f *fake) delete(req *kmsg.DeleteTopicsRequest) kmsg.Response {
	f.deletions++
	resp := kmsg.NewPtrDeleteTopicsResponse()
	for _, name := range req.TopicNames {
		r := kmsg.NewDeleteTopicsResponseTopic()
		r.Topic = &name
		if len(f.deleteErrors) > 0 {
			r.ErrorCode = code(f.deleteErrors[0])
			f.deleteErrors = f.deleteErrors[1:]
		} else {
			delete(f.topics, name)
		}
		f.touched[name] = true
		resp.Topics = append(resp.Topics, r)
	}
	return resp
}

func code(err error) int16 {
	if err == nil {
		return 0
	}
	return err.(*kerr.Error).Code
}

func (f *fake) produce(req *kmsg.ProduceRequest) kmsg.Response {
	f.produced++
	if f.onProduce != nil {
		f.onProduce(f.produced)
	}
	resp := kmsg.NewPtrProduceResponse()
	for _, t := range req.Topics {
		f.touched[t.Topic] = true
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.BaseOffset = p.Partition, f.end[t.Topic]
			switch {
			case int(p.Partition) >= f.topics[t.Topic]:
				rp.ErrorCode = kerr.UnknownTopicOrPartition.Code
			case f.produceError != nil && f.produced > f.failAfter:
				rp.ErrorCode = code(f.produceError)
			default:
				f.end[t.Topic]++
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	f.changed.Broadcast()
	return resp
}

// fetch answers with a batch. One that waits is answered when there is something at its
// offset; a topic counts offsets for all its partitions together.
func (f *fake) fetch(req *kmsg.FetchRequest) kmsg.Response {
	resp := kmsg.NewPtrFetchResponse()
	for _, t := range req.Topics {
		f.touched[t.Topic] = true
		for req.MaxWaitMillis > 0 && f.end[t.Topic] <= t.Partitions[0].FetchOffset {
			f.changed.Wait()
		}
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.Partition, rp.RecordBatches = p.Partition, []byte("a batch")
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}
