package log

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// step is one thing done to a log. Its numbers are drawn before it is known
// what they will mean, so that shrinking works.
type step struct {
	do   string
	a, b int
}

func (s step) String() string { return fmt.Sprintf("%s(%d,%d)", s.do, s.a, s.b) }

var changes = []string{
	"produce", "produce", "produce", "produce", "produce", "produce", "txn", "txn", "abort", "commit",
	"follow", "follow", "epoch", "flush", "truncate", "truncate", "restart", "delete", "retain", "checkpoint", "wait",
}

func steps(kinds []string, least, most int) *rapid.Generator[[]step] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			rapid.SampledFrom(kinds).Draw(t, "do"),
			rapid.IntRange(0, 99).Draw(t, "a"), rapid.IntRange(0, 99).Draw(t, "b"),
		}
	}), least, most)
}

// subject is a log under test with the model beside it.
type subject struct {
	host  env.Host
	dir   *Dir
	log   *Log
	m     *model
	epoch kafka.LeaderEpoch
	// before is the model as it was before the step under way.
	before model
}

func dirOptions() DirOptions {
	return DirOptions{ClusterID: "cluster", NodeID: 1, Config: tiny()}
}

// attach opens the directory, and the log in it.
func attach(h env.Host, m *model, epoch kafka.LeaderEpoch) (*subject, error) {
	d, err := OpenDir(h, "data", dirOptions())
	if err != nil {
		return nil, err
	}
	s := &subject{host: h, dir: d, log: d.Get(orders), m: m, epoch: epoch}
	if s.log == nil {
		s.log, err = d.Create(orders, kafka.UUID{1}, tiny())
	}
	return s, err
}

// take takes one step, on the log and on the model.
func (s *subject) take(st step) error {
	s.before = s.m.clone()
	l, m, now := s.log, s.m, s.host.Now().Millis()
	switch st.do {
	case "produce":
		return s.produce(batch(now+int64(st.b), s.nextOf(st.a%3, false), 1+st.a%4, st.b*2))
	case "txn":
		return s.produce(batch(now-int64(st.b), s.nextOf(10+st.a%3, true), 1+st.a%2, st.b))
	case "abort", "commit":
		typ := record.Commit
		if st.do == "abort" {
			typ = record.Abort
		}
		marker := record.NewEndTxnMarker(typ, now, kafka.ProducerID(10+st.a%3), 0, 1)
		s.expect(marker)
		_, err := l.AppendInternal(marker, s.epoch)
		return err
	case "follow":
		var run []byte
		for i := range 1 + st.a%9 {
			b := batch(now, record.Options{BaseOffset: m.end + kafka.Offset(i*2), LeaderEpoch: s.epoch + kafka.LeaderEpoch(i/3)}, 2, st.b)
			run = append(run, b...)
		}
		s.epoch += 3
		m.append(run)
		return l.AppendAsFollower(append(run, run[:st.b]...))
	case "epoch":
		s.epoch++
		return l.AssignEpochStart(s.epoch, l.end)
	case "flush":
		err := l.Flush()
		m.synced = m.end
		return err
	case "truncate":
		o := max(0, l.end-kafka.Offset(st.a*st.b/100))
		s.before.synced = min(s.before.synced, o)
		if o < l.segments[0].base {
			m.restart(o) // below what was deleted: there is nothing to keep
			s.before.synced = 0
		}
		m.truncate(o)
		return l.TruncateTo(o)
	case "restart":
		if st.a > 20 {
			return nil
		}
		o := l.end + kafka.Offset(st.b)
		s.before.synced = 0
		m.restart(o)
		return l.TruncateFullyAndStartAt(o)
	case "delete":
		o := l.start + kafka.Offset(int(l.end-l.start)*st.a/99)
		m.start = o
		return l.SetStartOffset(o)
	case "retain":
		cfg := tiny()
		cfg.RetentionBytes = int64(st.a * 60)
		l.SetConfig(cfg)
		start := m.start
		m.start = l.end // at most
		_, err := l.ApplyRetention(l.end - kafka.Offset(st.b/10))
		m.start = max(start, l.segments[0].base)
		return err
	case "checkpoint":
		return s.dir.CheckpointRecovery()
	case "wait":
		s.host.Sleep(time.Duration(st.a) * time.Millisecond)
	default:
		panic(st.do)
	}
	return nil
}

// nextOf is the next batch of a producer; number 0 is not idempotent.
func (s *subject) nextOf(id int, txn bool) record.Options {
	if id == 0 {
		return record.Options{}
	}
	opts := idempotent(id, 0, 0)
	opts.Transactional = txn
	if p := s.log.producers.byID[kafka.ProducerID(id)]; p != nil && p.count > 0 {
		opts.BaseSequence = p.lastSequence().Add(1)
	}
	return opts
}

// expect adds to the model what the leader will make of b.
func (s *subject) expect(b record.Batch) {
	b = slices.Clone(b)
	b.SetBaseOffset(s.m.end)
	b.SetLeaderEpoch(s.epoch)
	s.m.append(b)
}

func (s *subject) produce(b record.Batch) error {
	at := s.m.end
	s.expect(b)
	info, err := s.log.AppendAsLeader(b, s.epoch)
	if err != nil {
		return err
	}
	if info.FirstOffset != at || info.Duplicate {
		return fmt.Errorf("appended at %+v, expected %d", info, at)
	}
	return nil
}

// survived compares what recovery found with what was there: a prefix, and all
// that was synced. Where a step was under way, the log may be as before it or
// as after.
func (s *subject) survived(models ...model) error {
	var errs []error
	for _, m := range models {
		err := s.isPrefixOf(&m)
		if err == nil {
			*s.m = m
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("recovered log is none of those expected: %v", errs)
}

func (s *subject) isPrefixOf(m *model) error {
	l := s.log
	if l.end < m.synced || l.end > m.end {
		return fmt.Errorf("log ends at %d, %d were synced, %d written", l.end, m.synced, m.end)
	}
	if l.isEmpty() && l.start > 0 && l.start == m.start && l.opts.LogStart == l.start {
		m.restart(l.start) // nothing is left above a log start that was checkpointed
		return m.agrees(l)
	}
	m.truncate(l.end)
	if l.start > m.start && l.start != l.end {
		return fmt.Errorf("log starts at %d, expected at most %d", l.start, m.start)
	}
	m.start, m.synced = l.start, max(m.synced, l.recoveryPoint)
	return m.agrees(l)
}

// Whatever is done to a log, what it says of itself is what its batches say,
// at once and after it was closed and opened again, or killed.
func TestLogAgreesWithItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := steps(append([]string{"reopen", "kill"}, changes...), 1, 40).Draw(t, "steps")
		w := sim.NewWorld(sim.Config{Seed: rapid.Uint64().Draw(t, "seed")})
		defer w.Close()
		m, epoch := &model{}, kafka.LeaderEpoch(0)
		var failed error
		for len(all) > 0 && failed == nil {
			failed = w.RunMain("host", func(h env.Host) {
				all, epoch, failed = live(h, m, epoch, all)
			})
			w.Host("host").Kill()
		}
		if failed != nil {
			t.Fatal(failed)
		}
	})
}

// live is one life of a process. It returns the steps that are left.
func live(h env.Host, m *model, epoch kafka.LeaderEpoch, all []step) ([]step, kafka.LeaderEpoch, error) {
	s, err := attach(h, m, epoch)
	if err == nil {
		err = s.survived(m.clone())
	}
	for i, st := range all {
		if err != nil {
			return nil, s.epoch, err
		}
		switch st.do {
		case "kill":
			return all[i+1:], s.epoch, nil
		case "reopen":
			s.log.epochs.truncateEnd(s.log.end)
			if err = s.dir.CloseClean(7, nil); err != nil {
				return nil, s.epoch, fmt.Errorf("%v: %w", st, err)
			}
			m.synced = m.end
			return all[i+1:], s.epoch, nil
		}
		if err = s.take(st); err == nil {
			err = m.agrees(s.log)
		}
		if err != nil {
			err = fmt.Errorf("after %v: %w", st, err)
		}
	}
	return nil, s.epoch, err
}

// A loss of power, or a kill, at any moment leaves a prefix of what was written, with all
// that was synced; and so does the next, while the log is being recovered.
func TestLogSurvivesLossOfPower(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lives := rapid.SliceOfN(steps(changes, 1, 25), 1, 4).Draw(t, "lives")
		w := sim.NewWorld(sim.Config{Seed: rapid.Uint64().Draw(t, "seed")})
		defer w.Close()
		c := &casualty{possible: []model{{}}}
		for _, all := range lives {
			at := time.Duration(rapid.IntRange(0, 60_000).Draw(t, "at")) * time.Microsecond
			if rapid.IntRange(0, 3).Draw(t, "kill") == 0 {
				w.After(at, "kill", func() { w.Host("host").Kill() })
			} else {
				w.After(at, "power off", func() { w.Host("host").PowerOff() })
			}
			if err := w.RunMain("host", func(h env.Host) { c.live(h, all); h.Sleep(time.Hour) }); err != nil {
				t.Fatal(err)
			}
			if c.died(); c.failed != nil {
				t.Fatal(c.failed)
			}
		}
		if err := w.RunMain("host", func(h env.Host) { c.live(h, nil) }); err != nil || c.failed != nil {
			t.Fatal(err, c.failed)
		}
	})
}

// casualty is a log whose host loses power again and again.
type casualty struct {
	*subject
	epoch    kafka.LeaderEpoch
	possible []model // what the log may be when it is opened
	failed   error
}

func (c *casualty) live(h env.Host, all []step) {
	c.subject = nil
	s, err := attach(h, &model{}, c.epoch)
	if err == nil {
		err = s.survived(c.possible...)
	}
	if err == nil {
		c.subject, s.before = s, s.m.clone()
	}
	for _, st := range all {
		if err != nil {
			break
		}
		if err = s.take(st); err != nil {
			err = fmt.Errorf("%v: %w", st, err)
		}
		s.before = s.m.clone()
	}
	c.failed = err
}

// died notes what the log may be now. When it was being recovered, that is what
// it was before.
func (c *casualty) died() {
	if c.subject != nil {
		c.possible = []model{c.before, c.m.clone()}
		c.epoch = c.subject.epoch
	}
}
