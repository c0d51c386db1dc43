package inspector

import (
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/laws"
	"github.com/ktrial/ktrial/ledger"
)

// ProbeCalmAgain: the laws of a cluster that nothing disturbs were asked after trouble.
var ProbeCalmAgain = ledger.NewProbe("calm after trouble",
	"nothing disturbed the cluster for so long after its last fault that it was held to be well again")

// ReadTraffic reads an event of weight ledger.Traffic: of a message, while nothing
// disturbs the cluster.
func (in *Inspector) ReadTraffic(e *ledger.Entry) {
	in.calm.Now = e.At
	switch x := e.Event.(type) {
	case *witness.RequestSent:
		in.Traffic.Sent(e.Host, x.API, request(&x.Message))
	case *witness.RequestArrived:
		in.Traffic.Arrived(e.Host, clientOf(&x.Message), x.API)
	case *witness.AnswerArrived:
		in.Traffic.Answered(e.Host, serverOf(&x.Message), request(&x.Message), x.API, x.Code)
	case *witness.RequestAbandoned:
		in.Traffic.GaveUp(e.Host, serverOf(&x.Message), request(&x.Message), x.API, x.Text)
	case *witness.DialFailed:
		in.Traffic.NotConnected(e.Host, x.Server, x.Text)
	}
}

// request is what the client's end of a connection knows a request by.
func request(m *witness.Message) laws.Request {
	return laws.Request{Connection: m.Connection, ID: m.CorrelationID}
}

func serverOf(m *witness.Message) string {
	if m.Connection == nil {
		return ""
	}
	return m.Connection.Server
}

func clientOf(m *witness.Message) string {
	if m.Connection == nil {
		return m.ClientID
	}
	return m.Connection.Client
}

// watchTraffic begins the account of messages when the cluster is calm, and counts
// appends in it.
func (in *Inspector) watchTraffic(e *ledger.Entry) {
	if in.calm.Lasts() && !in.Traffic.Begun() {
		in.Traffic.Begin()
		in.wantMessages(true)
	}
	if !in.Traffic.Begun() {
		return
	}
	switch e.Event.(type) {
	case *witness.Appended, *witness.QuorumAppended:
		in.Traffic.Appended(e.Host)
	case *witness.Opened:
		in.Traffic.Opened(e.Host)
	}
}

func (in *Inspector) endTraffic() {
	if in.Traffic.Begun() {
		in.Traffic.End()
		in.wantMessages(false)
	}
}

func (in *Inspector) wantMessages(wanted bool) {
	if in.cfg.Messages != nil {
		in.cfg.Messages(wanted)
	}
}
