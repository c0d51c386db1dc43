// Package member holds what a member of a consumer group knows and decides: as
// Classic in the protocol of JoinGroup and SyncGroup, as Modern in that of
// ConsumerGroupHeartbeat (KIP-848). Both are pure. They are told what happened
// and when, and answer what to do; requests, timers and the application's
// listener are the client's. Their behaviour is that of Kafka's Java client (4.4).
package member

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Config is what both kinds of members are made of.
type Config struct {
	Group    string
	Instance string // group.instance.id; empty: a dynamic member
	Rack     string // client.rack

	SessionTimeout    time.Duration // session.timeout.ms, of classic members
	HeartbeatInterval time.Duration // heartbeat.interval.ms, of classic members
	MaxPollInterval   time.Duration // max.poll.interval.ms
}

// Generation is what a member is in a group as: the generation of a classic
// group, or the epoch of a modern member.
type Generation struct {
	ID     int32
	Member string
	// Protocol is the name of the assignor that the classic group has chosen.
	Protocol string
}

// NoGeneration is the ID of a member that is in no generation.
const NoGeneration int32 = -1

// None is the generation of a member that is not in the group.
var None = Generation{ID: NoGeneration}

// Unknown reports whether the group does not know the member, or will not for long:
// what it owned is lost.
func (g Generation) Unknown() bool { return g.ID == NoGeneration || g.Member == "" }

func (g Generation) String() string {
	if g.Member == "" {
		return "no member"
	}
	return fmt.Sprintf("member %s of generation %d", g.Member, g.ID)
}

// Verdict is what comes of an answer.
type Verdict struct {
	// Err is what failed; nil: nothing did. What is not tried again goes to the
	// application.
	Err error
	// Retry says what to do about Err.
	Retry Retry
	// Rediscover: the broker that answered is not the coordinator, or no longer.
	Rediscover bool
}

// Retry says when something is tried again.
type Retry uint8

const (
	Never     Retry = iota // the application is told
	AtOnce                 // with what the answer has changed
	AfterWait              // after retry.backoff.ms
)

func (r Retry) String() string { return [...]string{"never", "at once", "after a wait"}[r] }

// Errors of a member that Kafka's client has as exceptions of their own.
var (
	// ErrCommitFailed: the member is not in the group any more, or in another
	// generation, so what it consumed may be consumed by another member
	// (CommitFailedException).
	ErrCommitFailed = errors.New("the group has rebalanced and assigned the partitions to another member")
	// ErrPollTimeout: the application did not poll for max.poll.interval.ms.
	ErrPollTimeout = errors.New("no poll within max.poll.interval.ms")
)

// known is the error that an answer's code stands for.
func known(code int16) *kerr.Error { return kerr.TypedErrorForCode(code) }
