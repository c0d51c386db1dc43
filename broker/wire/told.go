package wire

import (
	"io"
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/witness"
)

// What both ends tell of messages and connections, while the whole ledger is
// kept: see env.Host.Traced. Else nothing of it is made.

// sizeBytes is the field before a frame that says how long it is. Events do not
// count it.
const sizeBytes = 4

// message is a request or answer of this connection.
func (c *Conn) message(key, version int16, correlationID int32) witness.Message {
	return witness.Message{
		API: kmsg.NameForKey(key), Version: version, CorrelationID: correlationID, ClientID: c.clientID,
		Client: c.conn.LocalAddr(), Server: c.conn.RemoteAddr(),
	}
}

func (c *Conn) tellSent(req kmsg.Request, bytes int) {
	c.host.Tell(&witness.RequestSent{Message: c.message(req.Key(), req.GetVersion(), c.lastCorrelation), Bytes: bytes})
}

func (c *Conn) tellArrived(k *call, bytes int) {
	c.host.Tell(&witness.AnswerArrived{Message: c.message(k.resp.Key(), k.resp.GetVersion(), k.correlation), Bytes: bytes, Code: errorCode(k.resp)})
}

// tellEnded: the connection is of no more use, and neither are the answers to
// what is in flight.
func (c *Conn) tellEnded(inFlight []*call, err error) {
	why := witness.ErrorOf(err)
	for _, k := range inFlight {
		c.host.Tell(&witness.RequestAbandoned{Message: c.message(k.resp.Key(), k.resp.GetVersion(), k.correlation), Error: why})
	}
	c.host.Tell(&witness.ConnectionEnded{Client: c.conn.LocalAddr(), Server: c.conn.RemoteAddr(), Error: why})
}

func (a *Accepted) message(key, version int16, correlationID int32) witness.Message {
	return witness.Message{
		API: kmsg.NameForKey(key), Version: version, CorrelationID: correlationID, ClientID: a.ctx.ClientID,
		Client: a.ctx.RemoteAddr, Server: a.conn.LocalAddr(),
	}
}

func (a *Accepted) tellArrived(h Header, bytes int) {
	a.server.Host.Tell(&witness.RequestArrived{Message: a.message(h.Key, h.Version, h.CorrelationID), Bytes: bytes})
}

func (a *Accepted) tellSent(resp kmsg.Response, correlationID int32, bytes int) {
	a.server.Host.Tell(&witness.AnswerSent{Message: a.message(resp.Key(), resp.GetVersion(), correlationID), Bytes: bytes, Code: errorCode(resp)})
}

func (a *Accepted) tellEnded(err error) {
	e := &witness.ConnectionEnded{Client: a.ctx.RemoteAddr, Server: a.conn.LocalAddr()}
	if err != nil && err != io.EOF {
		e.Error = witness.ErrorOf(err)
	}
	a.server.Host.Tell(e)
}

// errorCode is that of the answer as a whole, or else the first one of a
// partition, of the APIs that move records.
func errorCode(resp kmsg.Response) int16 {
	switch r := resp.(type) {
	case *kmsg.ProduceResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				if code := r.Topics[i].Partitions[j].ErrorCode; code != 0 {
					return code
				}
			}
		}
		return 0
	case *kmsg.FetchResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				if code := r.Topics[i].Partitions[j].ErrorCode; code != 0 && r.ErrorCode == 0 {
					return code
				}
			}
		}
		return r.ErrorCode
	case *kmsg.ListOffsetsResponse:
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				if code := r.Topics[i].Partitions[j].ErrorCode; code != 0 {
					return code
				}
			}
		}
		return 0
	}
	code := reflect.ValueOf(resp).Elem().FieldByName("ErrorCode")
	if code.Kind() != reflect.Int16 {
		return 0
	}
	return int16(code.Int())
}
