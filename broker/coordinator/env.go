package coordinator

import (
	"maps"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/env"
)

// shardEnv is the Env of one life of a shard.
type shardEnv struct {
	s      *shard
	line   *timeline.Timeline
	timers map[string]*timer
	closed bool // no more timers
	mute   bool // tells nothing
}

// timer is a timer of a machine.
type timer struct {
	key     string
	retry   time.Duration
	event   func() Decision
	pending env.Timer
}

func (e *shardEnv) Partition() kafka.TopicPartition { return e.s.tp }
func (e *shardEnv) LeaderEpoch() kafka.LeaderEpoch  { return e.s.epoch }
func (e *shardEnv) NowMillis() int64                { return e.s.r.host.Now().Millis() }
func (e *shardEnv) Uptime() time.Duration           { return e.s.r.host.Uptime() }
func (e *shardEnv) NewUUID() kafka.UUID             { return kafka.NewUUID(e.s.r.host.Rand()) }
func (e *shardEnv) Image() *metadata.Image          { return e.s.r.image() }
func (e *shardEnv) Timeline() *timeline.Timeline    { return e.line }
func (e *shardEnv) Traced() bool                    { return e.s.r.host.Traced() && !e.mute }
func (e *shardEnv) Bugs() *planted.Set              { return e.s.r.bugs }

func (e *shardEnv) Tell(event ledger.Event) {
	if !e.mute {
		e.s.r.host.Tell(event)
	}
}

func (e *shardEnv) Reached(p *ledger.Probe) {
	if !e.mute {
		e.s.r.host.Reached(p)
	}
}

func (e *shardEnv) Timer(key string, after, retry time.Duration, event func() Decision) {
	e.CancelTimer(key)
	if e.closed {
		return
	}
	t := &timer{key: key, retry: retry, event: event}
	e.timers[key] = t
	t.pending = e.s.r.host.After(after, "coordinator timer", func() {
		e.s.enqueue(func() { e.fire(t) })
	})
}

func (e *shardEnv) CancelTimer(key string) {
	if t := e.timers[key]; t != nil {
		t.pending.Stop()
		delete(e.timers, key)
	}
}

// fire runs the event of a timer that was not replaced since.
func (e *shardEnv) fire(t *timer) {
	if e.timers[t.key] != t {
		return
	}
	delete(e.timers, t.key)
	e.s.write(&write{
		name: t.key, by: NoProducer, timeout: e.s.r.cfg.Timeout,
		decide: func(Machine) (Decision, error) { return t.event(), nil },
		done:   func(err error) { e.mayRetry(t, err) },
	})
}

// mayRetry has a timer fire again if its records could not be written, and nothing has
// replaced it since. Also if this broker was not the leader: it may lead the next epoch
// already, of which the shard hears a moment later, and then keeps what it holds. Of a
// shard that is unloaded no timer is set.
func (e *shardEnv) mayRetry(t *timer, err error) {
	if err == nil || t.retry == 0 || e.timers[t.key] != nil || e.closed {
		return
	}
	e.s.r.host.Reached(ProbeTimerRetried)
	e.Timer(t.key, t.retry, t.retry, t.event)
}

// close stops all timers, for good.
func (e *shardEnv) close() {
	e.closed = true
	for _, key := range slices.Sorted(maps.Keys(e.timers)) {
		e.CancelTimer(key)
	}
}
