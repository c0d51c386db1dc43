package wire

import (
	"io"
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
)

// What both ends tell of messages and connections, while that is wanted: see
// env.Host.Traced. Else nothing of it is made. It may be wanted from the middle of the
// life of a connection on.

// sizeBytes is the field before a frame that says how long it is. Events do not
// count it.
const sizeBytes = 4

// told is the memory of the events of messages, which are many.
type told struct {
	requestsSent    ledger.Slot[witness.RequestSent]
	requestsArrived ledger.Slot[witness.RequestArrived]
	answersSent     ledger.Slot[witness.AnswerSent]
	answersArrived  ledger.Slot[witness.AnswerArrived]
}

// message is a request or answer of this connection.
func (c *Conn) message(key, version int16, correlationID int32) witness.Message {
	return witness.Message{
		Connection: c.connection(), API: kmsg.NameForKey(key), ClientID: c.clientID, CorrelationID: correlationID, Version: version,
	}
}

// connection is what all events of c have in common.
func (c *Conn) connection() *witness.Connection {
	if c.between == nil {
		c.between = &witness.Connection{Client: c.conn.LocalAddr(), Server: c.conn.RemoteAddr()}
		c.told = new(told)
	}
	return c.between
}

func (c *Conn) tellOpened() { c.host.Tell(&witness.ConnectionOpened{Connection: c.connection()}) }

func (c *Conn) tellSent(req kmsg.Request, bytes int) {
	m := c.message(req.Key(), req.GetVersion(), c.lastCorrelation)
	c.host.Tell(c.told.requestsSent.Put(witness.RequestSent{Message: m, Bytes: int32(bytes)}))
}

func (c *Conn) tellArrived(k *call, bytes int) {
	m := c.message(k.resp.Key(), k.resp.GetVersion(), k.correlation)
	c.host.Tell(c.told.answersArrived.Put(witness.AnswerArrived{Message: m, Bytes: int32(bytes), Code: errorCode(k.resp)}))
}

// tellEnded: the connection is of no more use, and neither are the answers to
// what is in flight.
func (c *Conn) tellEnded(inFlight []*call, err error) {
	why := witness.ErrorOf(err)
	for _, k := range inFlight {
		c.host.Tell(&witness.RequestAbandoned{Message: c.message(k.resp.Key(), k.resp.GetVersion(), k.correlation), Error: why})
	}
	c.host.Tell(&witness.ConnectionEnded{Connection: c.connection(), Error: why})
}

func (a *Accepted) message(key, version int16, correlationID int32) witness.Message {
	return witness.Message{
		Connection: a.connection(), API: kmsg.NameForKey(key), ClientID: a.ctx.ClientID, CorrelationID: correlationID, Version: version,
	}
}

func (a *Accepted) connection() *witness.Connection {
	if a.between == nil {
		a.between = &witness.Connection{Client: a.ctx.RemoteAddr, Server: a.conn.LocalAddr()}
	}
	return a.between
}

func (a *Accepted) tellAccepted() {
	a.server.Host.Tell(&witness.ConnectionAccepted{Connection: a.connection()})
}

func (a *Accepted) tellArrived(h Header, bytes int) {
	a.server.Host.Tell(a.server.told.requestsArrived.Put(witness.RequestArrived{Message: a.message(h.Key, h.Version, h.CorrelationID), Bytes: int32(bytes)}))
}

func (a *Accepted) tellSent(resp kmsg.Response, correlationID int32, bytes int) {
	a.server.Host.Tell(a.server.told.answersSent.Put(witness.AnswerSent{Message: a.message(resp.Key(), resp.GetVersion(), correlationID), Bytes: int32(bytes), Code: errorCode(resp)}))
}

func (a *Accepted) tellEnded(err error) {
	e := &witness.ConnectionEnded{Connection: a.connection()}
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
