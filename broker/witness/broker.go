package witness

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/ledger"
)

// What a broker does as a whole: its life, and its listeners.
type (
	// LifecycleChanged: the broker is in another state, by Kafka's names.
	LifecycleChanged struct {
		Node  kafka.NodeID `json:"node"`
		State string       `json:"state"`
	}
	// Registered: the controllers have given the broker its epoch.
	Registered struct {
		Node        kafka.NodeID      `json:"node"`
		BrokerEpoch kafka.BrokerEpoch `json:"broker_epoch"`
	}
	// RegistrationRefused: the controller has refused to register the broker.
	RegistrationRefused struct {
		Node kafka.NodeID `json:"node"`
		Error
	}
	// HeartbeatRefused: the controller has refused a heartbeat.
	HeartbeatRefused struct {
		Node kafka.NodeID `json:"node"`
		Error
	}
	// AutoCreateFailed: a topic that a client named could not be created.
	AutoCreateFailed struct {
		Topic string `json:"topic"`
		Error
	}
	// Malformed: the node closes a connection on a client that sent nonsense.
	Malformed struct {
		Client string `json:"client_addr"`
		Error
	}
	// AcceptFailed: a listener takes no more connections.
	AcceptFailed struct{ Error }
)

var (
	lifecycleChanged    = ledger.Declare[LifecycleChanged]("lifecycle-changed", "a broker is in another state of its life", ledger.Notable)
	registered          = ledger.Declare[Registered]("registered", "a broker learns its broker epoch", ledger.Notable)
	registrationRefused = ledger.Declare[RegistrationRefused]("registration-refused", "a broker is not registered", ledger.Notable)
	heartbeatRefused    = ledger.Declare[HeartbeatRefused]("heartbeat-refused", "a broker's heartbeat is refused", ledger.Notable)
	autoCreateFailed    = ledger.Declare[AutoCreateFailed]("auto-create-failed", "a topic that a client named could not be created", ledger.Notable)
	malformed           = ledger.Declare[Malformed]("malformed", "a node closes a connection on a client that sent nonsense", ledger.Notable)
	acceptFailed        = ledger.Declare[AcceptFailed]("accept-failed", "a listener takes no more connections", ledger.Notable)
)

func (e *LifecycleChanged) Kind() *ledger.Kind    { return lifecycleChanged }
func (e *Registered) Kind() *ledger.Kind          { return registered }
func (e *RegistrationRefused) Kind() *ledger.Kind { return registrationRefused }
func (e *HeartbeatRefused) Kind() *ledger.Kind    { return heartbeatRefused }
func (e *AutoCreateFailed) Kind() *ledger.Kind    { return autoCreateFailed }
func (e *Malformed) Kind() *ledger.Kind           { return malformed }
func (e *AcceptFailed) Kind() *ledger.Kind        { return acceptFailed }

func (e *LifecycleChanged) Sentence() string { return fmt.Sprintf("broker %d is %s", e.Node, e.State) }

func (e *Registered) Sentence() string {
	return fmt.Sprintf("broker %d is registered with broker epoch %d", e.Node, e.BrokerEpoch)
}

func (e *RegistrationRefused) Sentence() string {
	return fmt.Sprintf("broker %d cannot register: %s", e.Node, e.Text)
}

func (e *HeartbeatRefused) Sentence() string {
	return fmt.Sprintf("broker %d is refused a heartbeat: %s", e.Node, e.Text)
}

func (e *AutoCreateFailed) Sentence() string {
	return fmt.Sprintf("auto-create %q: %s", e.Topic, e.Text)
}

func (e *Malformed) Sentence() string {
	return fmt.Sprintf("closes the connection from %s: %s", e.Client, e.Text)
}

func (e *AcceptFailed) Sentence() string { return "stops accepting: " + e.Text }
