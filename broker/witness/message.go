package witness

import (
	"fmt"

	"github.com/ktrial/ktrial/ledger"
)

// Message is a request or an answer, and the connection that it goes by. The
// client's address, the server's and the correlation id together name it: its
// four events, from request-sent to answer-arrived, have all three in common.
// What is sent and has no event of its arrival was lost, or is on its way.
type Message struct {
	API           string `json:"api"`
	Version       int16  `json:"version"`
	CorrelationID int32  `json:"correlation_id"`
	ClientID      string `json:"client_id"`
	Client        string `json:"client_addr"`
	Server        string `json:"server_addr"`
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
		Bytes int `json:"bytes"`
	}
	// RequestArrived: a server has read a request, and begins to handle it.
	RequestArrived struct {
		Message
		Bytes int `json:"bytes"`
	}
	// AnswerSent: a server has given an answer to a connection.
	AnswerSent struct {
		Message
		Bytes int `json:"bytes"`
		// Code is the error code of the answer as a whole, or else the first of
		// a partition, as far as the API has them there.
		Code int16 `json:"error_code"`
	}
	// AnswerArrived: a client has read an answer.
	AnswerArrived struct {
		Message
		Bytes int   `json:"bytes"`
		Code  int16 `json:"error_code"` // as in answer-sent
	}
	// RequestAbandoned: the client waits for the answer no longer, as its time is
	// over or its connection has ended. The server may do it all the same.
	RequestAbandoned struct {
		Message
		Error
	}
	// ConnectionOpened: a client has a new connection.
	ConnectionOpened struct {
		Client string `json:"client_addr"`
		Server string `json:"server_addr"`
	}
	// ConnectionAccepted: a server has a new connection.
	ConnectionAccepted struct {
		Client string `json:"client_addr"`
		Server string `json:"server_addr"`
	}
	// ConnectionEnded: an end of a connection is closed, by its owner or because
	// the other end has closed it, or something broke it.
	ConnectionEnded struct {
		Client string `json:"client_addr"`
		Server string `json:"server_addr"`
		Error         // empty: the other end has closed it
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
	return fmt.Sprintf("sends %v to %s, %d bytes", &e.Message, e.Server, e.Bytes)
}

func (e *RequestArrived) Sentence() string {
	return fmt.Sprintf("has %v from %s, %d bytes", &e.Message, e.Client, e.Bytes)
}

func (e *AnswerSent) Sentence() string {
	return fmt.Sprintf("answers %v to %s, %d bytes, error code %d", &e.Message, e.Client, e.Bytes, e.Code)
}

func (e *AnswerArrived) Sentence() string {
	return fmt.Sprintf("has the answer to %v from %s, %d bytes, error code %d", &e.Message, e.Server, e.Bytes, e.Code)
}

func (e *RequestAbandoned) Sentence() string {
	return fmt.Sprintf("waits no longer for the answer to %v from %s: %s", &e.Message, e.Server, e.Text)
}

func (e *ConnectionOpened) Sentence() string {
	return fmt.Sprintf("is connected from %s to %s", e.Client, e.Server)
}

func (e *ConnectionAccepted) Sentence() string {
	return fmt.Sprintf("accepts a connection from %s to %s", e.Client, e.Server)
}

func (e *ConnectionEnded) Sentence() string {
	if e.Text == "" {
		return fmt.Sprintf("sees the connection from %s to %s closed", e.Client, e.Server)
	}
	return fmt.Sprintf("ends the connection from %s to %s: %s", e.Client, e.Server, e.Text)
}

func (e *DialFailed) Sentence() string {
	return fmt.Sprintf("cannot connect to %s: %s", e.Server, e.Text)
}
