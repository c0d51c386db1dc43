package server

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// State is where a broker is in its life.
type State int8

// A broker's states, with Kafka's numbers.
const (
	NotRunning                State = 0
	Starting                  State = 1
	Recovery                  State = 2
	Running                   State = 3
	PendingControlledShutdown State = 6
	ShuttingDown              State = 7
)

func (s State) String() string {
	switch s {
	case NotRunning:
		return "not running"
	case Starting:
		return "starting"
	case Recovery:
		return "in recovery"
	case Running:
		return "running"
	case PendingControlledShutdown:
		return "pending controlled shutdown"
	}
	return "shutting down"
}

// Identity is what a broker says of itself when it registers.
type Identity struct {
	NodeID      kafka.NodeID
	ClusterID   string
	Incarnation kafka.UUID
	Endpoint    metadata.Endpoint
	Rack        *string
	Features    []metadata.FeatureRange
	LogDirs     []kafka.UUID
	// PreviousEpoch is the broker epoch in which the last process shut down in
	// order, or kafka.NoEpoch if it did not: then what it had not synced may be
	// lost, and the controller must not count on it (KIP-966).
	PreviousEpoch kafka.BrokerEpoch
}

// Lifecycle registers the broker with the controller, sends its heartbeats,
// and takes it from start to running to shut down. A broker is fenced until it
// has caught up with the metadata that was there when it registered, and
// fenced again by the controller when its heartbeats stay away.
type Lifecycle struct {
	host     env.Host
	self     Identity
	settings Settings
	channel  *Channel
	metadata func() kafka.Offset // the last one published
	onEpoch  func(kafka.BrokerEpoch)

	state      State
	epoch      kafka.BrokerEpoch
	registered bool
	// readyToUnfence: the replicas follow the metadata, and may serve.
	readyToUnfence bool
	answeredOnce   bool // in PendingControlledShutdown
	failures       int

	// GiveUp ends the process when the broker cannot register; nil: at once.
	GiveUp func(error)

	awakened bool
	wakeUp   env.Signal
	changed  env.Signal
}

// NewLifecycle makes a broker's life. onEpoch hears of the broker epoch as soon
// as there is one, before the controller hears anything else of this broker.
func NewLifecycle(host env.Host, self Identity, s Settings, channel *Channel, metadata func() kafka.Offset, onEpoch func(kafka.BrokerEpoch)) *Lifecycle {
	return &Lifecycle{
		host: host, self: self, settings: s, channel: channel, metadata: metadata, onEpoch: onEpoch,
		epoch:   kafka.NoEpoch,
		wakeUp:  host.NewSignal("lifecycle awakened"),
		changed: host.NewSignal("lifecycle changed"),
	}
}

// State is where the broker is.
func (lc *Lifecycle) State() State { return lc.state }

// Epoch is the broker epoch, or kafka.NoEpoch before the first registration.
func (lc *Lifecycle) Epoch() kafka.BrokerEpoch { return lc.epoch }

// Start begins to register, in a task of its own. If the controller cannot be
// reached for initial.broker.registration.timeout.ms the process ends.
func (lc *Lifecycle) Start() {
	lc.become(Starting)
	lc.host.After(lc.settings.RegistrationTimeout, "registration timeout", func() {
		if !lc.registered && lc.state == Starting {
			lc.host.Go("registration timeout", func() { lc.giveUp(kerr.RequestTimedOut) })
		}
	})
	lc.host.Go("lifecycle", lc.run)
}

func (lc *Lifecycle) giveUp(err error) {
	lc.host.Reached(ProbeGaveUp)
	if lc.GiveUp != nil {
		lc.GiveUp(err)
	}
	lc.host.Exit(err)
}

// ReadyToUnfence says that the replicas follow the metadata.
func (lc *Lifecycle) ReadyToUnfence() {
	lc.readyToUnfence = true
	lc.hurry()
}

// WaitState blocks until the broker has reached s or what comes after it, at
// most timeout.
func (lc *Lifecycle) WaitState(s State, timeout time.Duration) bool {
	deadline := lc.host.Uptime() + timeout
	for lc.state < s {
		left := deadline - lc.host.Uptime()
		if timeout < 0 {
			left = env.Forever
		} else if left <= 0 {
			return false
		}
		lc.changed.Wait(left)
	}
	return true
}

// ControlledShutdown asks the controller to move this broker's leaderships
// away, and blocks until it says that they are gone, at most
// ktrial.controlled.shutdown.timeout.ms. Heartbeats end with it.
func (lc *Lifecycle) ControlledShutdown() {
	if lc.state != Running {
		lc.become(ShuttingDown)
		return
	}
	lc.become(PendingControlledShutdown)
	lc.hurry()
	if !lc.WaitState(ShuttingDown, lc.settings.ShutdownTimeout) {
		lc.become(ShuttingDown)
	}
}

func (lc *Lifecycle) become(s State) {
	if lc.state == s {
		return
	}
	lc.state = s
	lc.host.Tell(&witness.LifecycleChanged{Node: lc.self.NodeID, State: s.String()})
	lc.changed.Broadcast()
}

// hurry has the next communication take place at once.
func (lc *Lifecycle) hurry() {
	lc.awakened = true
	lc.wakeUp.Notify()
}

func (lc *Lifecycle) run() {
	for lc.state != ShuttingDown {
		var pause time.Duration
		if lc.registered {
			pause = lc.heartbeat()
		} else {
			pause = lc.register()
		}
		lc.wait(pause)
	}
}

func (lc *Lifecycle) wait(pause time.Duration) {
	deadline := lc.host.Uptime() + pause
	for !lc.awakened {
		left := deadline - lc.host.Uptime()
		if left <= 0 || !lc.wakeUp.Wait(left) {
			break
		}
	}
	lc.awakened = false
}

// failed is the pause after a failure: it doubles from 100 ms to the session
// timeout, give or take a fiftieth. Some time passes.
func (lc *Lifecycle) failed() time.Duration {
	pause := 100 * time.Millisecond << min(lc.failures, 20)
	// Kafka takes a session of no time, too, and tries again as fast as it can.
	pause = max(min(pause, lc.settings.SessionTimeout), time.Millisecond)
	lc.failures++
	lc.awakened = false
	return pause + time.Duration(lc.host.Rand().Int64N(int64(pause)/25+1)) - pause/50
}

// timeout is that of one communication: two fit into a session (KAFKA-14392).
func (lc *Lifecycle) timeout() time.Duration { return lc.settings.SessionTimeout / 2 }

// register asks for a broker epoch. It returns when to communicate next.
func (lc *Lifecycle) register() time.Duration {
	resp, err := lc.channel.Call(lc.registration(), lc.timeout())
	if err != nil {
		return lc.failed()
	}
	answer := resp.(*kmsg.BrokerRegistrationResponse)
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		lc.host.Tell(&witness.RegistrationRefused{Node: lc.self.NodeID, Error: witness.ErrorOf(err)})
		return lc.failed()
	}
	lc.failures = 0
	lc.epoch = kafka.BrokerEpoch(answer.BrokerEpoch)
	lc.registered = true
	lc.host.Tell(&witness.Registered{Node: lc.self.NodeID, BrokerEpoch: lc.epoch})
	lc.onEpoch(lc.epoch)
	return 0
}

func (lc *Lifecycle) registration() *kmsg.BrokerRegistrationRequest {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.BrokerID = int32(lc.self.NodeID)
	req.ClusterID = lc.self.ClusterID
	req.IncarnationID = lc.self.Incarnation
	req.Rack = lc.self.Rack
	req.PreviousBrokerEpoch = int64(lc.self.PreviousEpoch)
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = lc.self.Endpoint.Name, lc.self.Endpoint.Host, lc.self.Endpoint.Port
	l.SecurityProtocol = lc.self.Endpoint.SecurityProtocol
	req.Listeners = append(req.Listeners, l)
	for _, f := range lc.self.Features {
		feature := kmsg.NewBrokerRegistrationRequestFeature()
		feature.Name, feature.MinSupportedVersion, feature.MaxSupportedVersion = f.Name, f.Min, f.Max
		req.Features = append(req.Features, feature)
	}
	for _, dir := range lc.self.LogDirs {
		req.LogDirs = append(req.LogDirs, dir)
	}
	return req
}

// heartbeat keeps the session alive and learns what the controller thinks. It
// returns when to communicate next.
func (lc *Lifecycle) heartbeat() time.Duration {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch = int32(lc.self.NodeID), int64(lc.epoch)
	req.CurrentMetadataOffset = int64(lc.metadata())
	req.WantFence = !lc.readyToUnfence
	req.WantShutdown = lc.state == PendingControlledShutdown
	resp, err := lc.channel.Call(req, lc.timeout())
	if err != nil {
		return lc.failed()
	}
	answer := resp.(*kmsg.BrokerHeartbeatResponse)
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		lc.host.Tell(&witness.HeartbeatRefused{Node: lc.self.NodeID, Error: witness.ErrorOf(err)})
		return lc.failed()
	}
	lc.failures = 0
	return lc.heard(answer)
}

// heard moves the state on.
func (lc *Lifecycle) heard(answer *kmsg.BrokerHeartbeatResponse) time.Duration {
	switch lc.state {
	case Starting:
		if answer.IsCaughtUp {
			lc.become(Recovery)
		}
		return 10 * time.Millisecond
	case Recovery:
		if !answer.IsFenced {
			lc.become(Running)
		}
	case PendingControlledShutdown:
		if answer.ShouldShutdown {
			lc.become(ShuttingDown)
			return 0
		}
		if !lc.answeredOnce {
			lc.answeredOnce = true
			return 50 * time.Millisecond
		}
	}
	return lc.settings.HeartbeatInterval
}
