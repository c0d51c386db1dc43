package server

import (
	"time"

	"github.com/ktrial/ktrial/broker/wire"
)

// Settings are a broker's own, by Kafka's names; those that begin with ktrial
// are ours.
type Settings struct {
	AutoCreateTopics bool  `kafka:"auto.create.topics.enable" default:"true"`
	MaxRequestBytes  int32 `kafka:"socket.request.max.bytes" default:"104857600"`
	// RequestTimeout bounds a request that is sent on to the controller.
	RequestTimeout time.Duration `kafka:"request.timeout.ms" default:"30000"`

	HeartbeatInterval   time.Duration `kafka:"broker.heartbeat.interval.ms" default:"2000" min:"1"`
	SessionTimeout      time.Duration `kafka:"broker.session.timeout.ms" default:"9000" min:"1"`
	RegistrationTimeout time.Duration `kafka:"initial.broker.registration.timeout.ms" default:"60000"`
	// ShutdownTimeout is how long a broker waits to be relieved of its
	// leaderships. In Kafka it is five minutes, in the code.
	ShutdownTimeout time.Duration `kafka:"ktrial.controlled.shutdown.timeout.ms" default:"300000"`

	ProducerExpiry time.Duration `kafka:"producer.id.expiration.ms" default:"86400000"`

	MaxDescribedPartitions int32 `kafka:"max.request.partition.size.limit" default:"2000"`

	// The CPU that a request takes on a simulated host, the answer included:
	// about what a broker of this decade needs for a small produce, and a
	// gigabyte per second for copying and checksums. 0 on the wall clock.
	RequestMicros  int64 `kafka:"ktrial.cpu.request.us" default:"20"`
	KilobyteMicros int64 `kafka:"ktrial.cpu.kilobyte.us" default:"1"`
}

func (s Settings) cost() wire.Cost {
	return wire.Cost{
		PerRequest:  time.Duration(s.RequestMicros) * time.Microsecond,
		PerKilobyte: time.Duration(s.KilobyteMicros) * time.Microsecond,
	}
}
