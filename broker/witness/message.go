package witness

import (
	"fmt"

	"github.com/ktrial/ktrial/ledger"
)

// Connection says by the addresses of its ends which connection an event is of.
// Each end makes one and puts it into all of its events.
type Connection struct {
	ledger.Ref
	Client string `json:"client_addr"`
	Server string `json:"server_addr"`
}

// ends are the addresses, as far as they are known.
func (c *Connection) ends() Connection {
	if c == nil {
		return Connection{}
	}
	return *c
}

// Message is a request or an answer. Its connection and its correlation id
// together name it: its four events, from request-sent to answer-arrived, have
// both in common. What is sent and has no event of its arrival was lost, or is on
// its way.
type Message struct {
	*Connection
	API           string `json:"api"`
	ClientID      string `json:"client_id"`
	CorrelationID int32  `json:"correlation_id"`
	Version       int16  `json:"version"`
}

func (m *Message) String() string {
	return fmt.Sprintf("%s v%d #%d", m.API, m.Version, m.CorrelationID)
}

// What happens to requests, answers and connections. The clients' ends tell of
// it and the servers'.
type (
	// RequestSent: a client has given a request to a connection.
	RequestSent struct {
		Message
		Bytes int32 `json:"bytes"`
	}
	// RequestArrived: a server has read a request, and begins to handle it.
	RequestArrived struct {
		Message
		Bytes int32 `json:"bytes"`
	}
	// AnswerSent: a server has given an answer to a connection.
	AnswerSent struct {
		Message
		Bytes int32 `json:"bytes"`
		// Code is the error code of the answer as a whole, or else the first of
		// a partition, as far as the API has them there.
		Code int16 `json:"error_code"`
	}
	// AnswerArrived: a client has read an answer.
	AnswerArrived struct {
		Message
		Bytes int32 `json:"bytes"`
		Code  int16 `json:"error_code"` // as in answer-sent
	}
	// RequestAbandoned: the client waits for the answer no longer, as its time is
	// over or its connection has ended. The server may do it all the same.
	RequestAbandoned struct {
		Message
		Error
	}
	// ConnectionOpened: a client has a new connection.
	ConnectionOpened struct{ *Connection }
	// ConnectionAccepted: a server has a new connection.
	ConnectionAccepted struct{ *Connection }
	// ConnectionEnded: an end of a connection is closed, by its owner or because
	// the other end has closed it, or something broke it.
	ConnectionEnded struct {
		*Connection
		Error // empty: the other end has closed it
	}
	// DialFailed: a client could not connect.
	DialFailed struct {
		Server string `json:"server_addr"`
		Error
	}
)

var (
	requestSent        = ledger.Declare[RequestSent]("request-sent", "a client has given a request to its connection", ledger.Traffic)
	requestArrived     = ledger.Declare[RequestArrived]("request-arrived", "a server has read a request", ledger.Traffic)
	answerSent         = ledger.Declare[AnswerSent]("answer-sent", "a server has given an answer to its connection", ledger.Traffic)
	answerArrived      = ledger.Declare[AnswerArrived]("answer-arrived", "a client has read an answer", ledger.Traffic)
	requestAbandoned   = ledger.Declare[RequestAbandoned]("request-abandoned", "a client waits for an answer no longer", ledger.Traffic)
	connectionOpened   = ledger.Declare[ConnectionOpened]("connection-opened", "a client has a new connection", ledger.Traffic)
	connectionAccepted = ledger.Declare[ConnectionAccepted]("connection-accepted", "a server has a new connection", ledger.Traffic)
	connectionEnded    = ledger.Declare[ConnectionEnded]("connection-ended", "an end of a connection is closed", ledger.Traffic)
	dialFailed         = ledger.Declare[DialFailed]("dial-failed", "a client could not connect", ledger.Traffic)
)

func (e *RequestSent) Kind() *ledger.Kind        { return requestSent }
func (e *RequestArrived) Kind() *ledger.Kind     { return requestArrived }
func (e *AnswerSent) Kind() *ledger.Kind         { return answerSent }
func (e *AnswerArrived) Kind() *ledger.Kind      { return answerArrived }
func (e *RequestAbandoned) Kind() *ledger.Kind   { return requestAbandoned }
func (e *ConnectionOpened) Kind() *ledger.Kind   { return connectionOpened }
func (e *ConnectionAccepted) Kind() *ledger.Kind { return connectionAccepted }
func (e *ConnectionEnded) Kind() *ledger.Kind    { return connectionEnded }
func (e *DialFailed) Kind() *ledger.Kind         { return dialFailed }

func (e *RequestSent) Sentence() string {
	return fmt.Sprintf("sends %v to %s, %d bytes", &e.Message, e.ends().Server, e.Bytes)
}

func (e *RequestArrived) Sentence() string {
	return fmt.Sprintf("has %v from %s, %d bytes", &e.Message, e.ends().Client, e.Bytes)
}

func (e *AnswerSent) Sentence() string {
	return fmt.Sprintf("answers %v to %s, %d bytes, error code %d", &e.Message, e.ends().Client, e.Bytes, e.Code)
}

func (e *AnswerArrived) Sentence() string {
	return fmt.Sprintf("has the answer to %v from %s, %d bytes, error code %d", &e.Message, e.ends().Server, e.Bytes, e.Code)
}

func (e *RequestAbandoned) Sentence() string {
	return fmt.Sprintf("waits no longer for the answer to %v from %s: %s", &e.Message, e.ends().Server, e.Text)
}

func (e *ConnectionOpened) Sentence() string {
	return fmt.Sprintf("is connected from %s to %s", e.ends().Client, e.ends().Server)
}

func (e *ConnectionAccepted) Sentence() string {
	return fmt.Sprintf("accepts a connection from %s to %s", e.ends().Client, e.ends().Server)
}

func (e *ConnectionEnded) Sentence() string {
	if e.Text == "" {
		return fmt.Sprintf("sees the connection from %s to %s closed", e.ends().Client, e.ends().Server)
	}
	return fmt.Sprintf("ends the connection from %s to %s: %s", e.ends().Client, e.ends().Server, e.Text)
}

func (e *DialFailed) Sentence() string {
	return fmt.Sprintf("cannot connect to %s: %s", e.Server, e.Text)
}
