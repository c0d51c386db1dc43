package server

import (
	"time"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/wire"
)

// Settings are a broker's own, by Kafka's names; those that begin with ktrial
// are ours.
type Settings struct {
	AutoCreateTopics bool  `kafka:"auto.create.topics.enable"`
	MaxRequestBytes  int32 `kafka:"socket.request.max.bytes"`
	// RequestTimeout bounds a request that is sent on to the controller.
	RequestTimeout time.Duration `kafka:"request.timeout.ms"`

	HeartbeatInterval   time.Duration `kafka:"broker.heartbeat.interval.ms"`
	SessionTimeout      time.Duration `kafka:"broker.session.timeout.ms"`
	RegistrationTimeout time.Duration `kafka:"initial.broker.registration.timeout.ms"`
	// ShutdownTimeout is how long a broker waits to be relieved of its
	// leaderships. In Kafka it is five minutes, in the code.
	ShutdownTimeout time.Duration `kafka:"ktrial.controlled.shutdown.timeout.ms"`

	ProducerExpiry time.Duration `kafka:"producer.id.expiration.ms"`

	MaxDescribedPartitions int32 `kafka:"max.request.partition.size.limit"`

	// The buffers of a connection's socket. They count on a host whose work takes time.
	SendBuffer    int32 `kafka:"socket.send.buffer.bytes"`
	ReceiveBuffer int32 `kafka:"socket.receive.buffer.bytes"`

	// The threads of a listener. They count on a host whose work takes time.
	NetworkThreads int32 `kafka:"num.network.threads"`
	IOThreads      int32 `kafka:"num.io.threads"`
	QueuedRequests int32 `kafka:"queued.max.requests"`

	// The CPU that a request takes on a simulated host, the answer included:
	// about what a broker of this decade needs for a small produce, and a
	// gigabyte per second for copying and checksums. 0 on the wall clock.
	RequestMicros  int64 `kafka:"ktrial.cpu.request.us"`
	KilobyteMicros int64 `kafka:"ktrial.cpu.kilobyte.us"`
}

// ConfigKind says that these are brokers' settings.
func (Settings) ConfigKind() config.Kind { return config.Broker }

func (s Settings) cost() wire.Cost {
	return wire.Cost{
		PerRequest:  time.Duration(s.RequestMicros) * time.Microsecond,
		PerKilobyte: time.Duration(s.KilobyteMicros) * time.Microsecond,
	}
}
