package fromwire

import (
	"encoding/binary"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Connection is one connection of a client to a broker.
type Connection struct {
	// Refused, if set, is called when a member of a group learns that it is none.
	Refused func(Refusal)

	o      *Observer
	client string // its name in the history
	life   string // of the process: producers without an id are known by it

	sent, received frames
	waiting        []*request                        // for their answers, in order
	fetching       map[kafka.TopicPartition]*fetched // of the fetch session
	lost           bool                              // a frame was too damaged to find the next
}

// request is one that waits for its answer.
type request struct {
	req         kmsg.Request
	correlation int32
	answered    func(resp kmsg.Response) // nil: the answer says nothing of interest
	failed      func()                   // the answer will not come; may be nil
}

// Connect begins to observe a connection of a client. life distinguishes the client's
// processes: a new one each time it is started.
func (o *Observer) Connect(client, life string) *Connection {
	return &Connection{o: o, client: client, life: life, fetching: map[kafka.TopicPartition]*fetched{}}
}

// mostBytes of a frame: Kafka's own limit for requests, and more than a broker answers.
const mostBytes = 100 << 20

// frames cuts a stream into frames.
type frames struct{ held []byte }

// next calls each with the frames that are whole. Frames are the callee's own. It
// reports whether the stream still makes sense.
func (f *frames) next(p []byte, each func([]byte)) bool {
	f.held = append(f.held, p...)
	rest := f.held
	for len(rest) >= 4 {
		n := binary.BigEndian.Uint32(rest)
		if n > mostBytes {
			return false
		}
		end := 4 + int(n)
		if len(rest) < end {
			break
		}
		each(slices.Clone(rest[4:end]))
		rest = rest[end:]
	}
	f.held = f.held[:copy(f.held, rest)]
	return true
}

// Sent takes bytes that the client has sent.
func (c *Connection) Sent(p []byte) {
	if !c.lost && !c.sent.next(p, c.request) {
		c.lose()
	}
}

// Received takes bytes that the client has received.
func (c *Connection) Received(p []byte) {
	if !c.lost && !c.received.next(p, c.response) {
		c.lose()
	}
}

// SentRequest is Sent of one whole request, as wire.ReadRequest has read it, for one that
// cuts the stream itself. The connection keeps it, with the frame that it points into.
func (c *Connection) SentRequest(h wire.Header, req kmsg.Request, err error) {
	if !c.lost {
		c.sentRequest(h, req, err)
	}
}

// ReceivedFrame is Received of one whole frame, without its size. The bytes are the
// caller's again when it returns.
func (c *Connection) ReceivedFrame(frame []byte) {
	if !c.lost {
		c.response(slices.Clone(frame))
	}
}

// lose gives the connection up: what is under way is in doubt.
func (c *Connection) lose() {
	c.o.Counts.Unread++
	c.lost = true
	c.Closed()
}

// Closed ends the connection: what was not answered stays in doubt.
func (c *Connection) Closed() {
	for _, r := range c.waiting {
		c.o.Counts.Unanswered++
		if r.failed != nil {
			r.failed()
		}
	}
	c.waiting = nil
}

// unread counts a frame that was not understood.
func (c *Connection) unread(err error) {
	c.o.Counts.Unread++
	c.o.Counts.LastUnread = err.Error()
}

func (c *Connection) request(frame []byte) { c.sentRequest(wire.ReadRequest(frame)) }

func (c *Connection) sentRequest(h wire.Header, req kmsg.Request, err error) {
	c.o.Counts.Requests++
	if err != nil {
		// ApiVersions may come in a version that only the client knows (KIP-511).
		if h.Key != int16(kmsg.ApiVersions) {
			c.unread(err)
		}
		// An answer will come, if it is a request: it must be matched with this one.
		c.waiting = append(c.waiting, &request{correlation: h.CorrelationID})
		return
	}
	r := &request{req: req, correlation: h.CorrelationID}
	c.interpret(r)
	if wire.Answered(req) {
		c.waiting = append(c.waiting, r)
	}
}

// interpret says what becomes of the answer.
func (c *Connection) interpret(r *request) {
	switch req := r.req.(type) {
	case *kmsg.MetadataRequest:
		r.answered = func(resp kmsg.Response) {
			m := resp.(*kmsg.MetadataResponse)
			c.o.learn(m)
			c.hearsMetadata(m)
		}
	case *kmsg.ProduceRequest:
		c.produce(r, req)
	case *kmsg.FetchRequest:
		c.fetch(r, req)
	case *kmsg.ListOffsetsRequest:
		c.listOffsets(r, req)
	case *kmsg.OffsetCommitRequest:
		c.commit(r, req)
	case *kmsg.OffsetFetchRequest:
		c.committed(r, req)
	case *kmsg.OffsetDeleteRequest:
		c.o.unsure[req.Group] = true
	case *kmsg.DeleteGroupsRequest:
		for _, group := range req.Groups {
			c.o.unsure[group] = true
		}
	case *kmsg.JoinGroupRequest:
		c.joinGroup(r, req)
	case *kmsg.SyncGroupRequest:
		c.syncGroup(r, req)
	case *kmsg.HeartbeatRequest:
		c.heartbeat(r, req)
	case *kmsg.LeaveGroupRequest:
		c.leaveGroup(req)
	case *kmsg.ConsumerGroupHeartbeatRequest:
		c.modernHeartbeat(r, req)
	case *kmsg.InitProducerIDRequest:
		c.initProducer(r, req)
	case *kmsg.TxnOffsetCommitRequest:
		c.txnOffsets(r, req)
	case *kmsg.EndTxnRequest:
		c.endTxn(r, req)
	}
}

// response takes an answer. Answers come in the order of their requests; one that does
// not belong to the oldest means that frames were missed.
func (c *Connection) response(frame []byte) {
	id, ok := wire.CorrelationID(frame)
	if !ok || len(c.waiting) == 0 || c.waiting[0].correlation != id {
		c.lose()
		return
	}
	r := c.waiting[0]
	c.waiting = c.waiting[1:]
	if r.answered == nil {
		return
	}
	resp, err := wire.ReadResponse(r.req, frame)
	if err != nil {
		c.unread(err)
		if r.failed != nil {
			r.failed()
		}
		return
	}
	r.answered(resp)
}
