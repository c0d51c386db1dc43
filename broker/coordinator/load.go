package coordinator

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/coordinator/timeline"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/replica"
	"github.com/ktrial/ktrial/broker/witness"
)

// load begins a life: a task folds the log into a new machine, and the shard serves when
// it is done.
func (s *shard) load() {
	s.state = loading
	s.self.Topic = topicID(s.r.image(), s.tp.Topic)
	line := timeline.New()
	e := &shardEnv{s: s, line: line, timers: map[string]*timer{}}
	l := &life{line: line, env: e, machine: s.r.make(e), builder: record.NewBuilder(record.Options{})}
	s.life = l
	s.r.host.Tell(&witness.ShardLoading{Shard: s.self, Epoch: s.epoch})
	s.r.host.Go("load "+s.tp.String(), func() {
		f := folding{s: s, life: l}
		err := f.run()
		s.enqueue(func() {
			if s.life == l && s.state == loading {
				s.loaded(&f, err)
			}
		})
	})
}

func topicID(im *metadata.Image, name string) kafka.UUID {
	if t := im.Topic(name); t != nil {
		return t.ID
	}
	return kafka.UUID{}
}

// loaded ends a load.
func (s *shard) loaded(f *folding, err error) {
	if err != nil {
		s.notLoaded(f, err)
		return
	}
	s.line.Advance(f.ends.LEO)
	s.hw = f.ends.HW
	s.line.Commit(s.hw)
	s.state = active
	life := s.life
	s.r.log.OnHighWatermark(s.tp, func(hw kafka.Offset) {
		if s.life == life {
			s.hwMoved(hw)
		}
	})
	// It may have moved since it was asked for.
	if ends, err := s.r.log.LocalEnds(s.tp, s.epoch); err == nil {
		s.hwMoved(ends.HW)
	}
	if f.records > 0 {
		s.r.host.Reached(ProbeLoadedRecords)
	}
	if s.r.cfg.Check {
		s.check = newChecker(s, f)
	}
	s.r.host.Tell(&witness.ShardLoaded{
		Shard: s.self, Epoch: s.epoch, Records: f.records, End: f.ends.LEO, HW: f.ends.HW,
		State: s.check.hash(s.machine, timeline.Written),
	})
	s.machine.Loaded()
}

// notLoaded ends a load that went wrong. The shard serves nothing until a higher epoch,
// unless that has come already.
func (s *shard) notLoaded(f *folding, err error) {
	s.env.close()
	s.machine.Unloaded()
	s.state, s.life = failed, nil
	if f.epoch < s.epoch {
		s.load()
		return
	}
	s.r.host.Tell(&witness.ShardNotLoaded{Shard: s.self, Epoch: s.epoch, Error: witness.ErrorOf(err)})
}

// reload drops the state of a shard whose log is not what it took it for, and loads it.
func (s *shard) reload() {
	epoch := s.epoch
	s.r.host.Reached(ProbeReloaded)
	s.unload()
	s.epoch = epoch
	s.load()
}

// folding is the fold of a log, from its start to its end.
type folding struct {
	s       *shard
	life    *life
	epoch   kafka.LeaderEpoch // in which it was read last
	ends    replica.Ends
	records int
	decoder record.Decoder
	kept    [][]byte // all that was read, if the shard is to be checked
}

// run folds the log, in bounded reads, with other tasks in between. It blocks.
func (f *folding) run() error {
	s := f.s
	if err := f.look(); err != nil {
		return err
	}
	for at := f.ends.LogStart; at < f.ends.LEO; {
		f.takeTurn()
		if s.life != f.life {
			return nil // unloaded meanwhile
		}
		bytes, err := s.r.log.ReadLocal(s.tp, f.epoch, at, s.r.cfg.LoadBuffer)
		if err != nil {
			return fmt.Errorf("coordinator: load %v from offset %d: %w", s.tp, at, err)
		}
		next, err := f.fold(bytes)
		if err != nil {
			return fmt.Errorf("coordinator: load %v from offset %d: %w", s.tp, at, err)
		}
		if next <= at {
			return fmt.Errorf("coordinator: load %v: no batch at offset %d, the log ends at %d", s.tp, at, f.ends.LEO)
		}
		at = next
		if err := f.look(); err != nil {
			return err
		}
	}
	return nil
}

// takeTurn lets others go on between two reads, now and then for a while: large logs take
// long to load.
func (f *folding) takeTurn() {
	host := f.s.r.host
	if host.Unlucky("coordinator loads slowly") {
		host.Sleep(time.Duration(host.Rand().Int64N(int64(longestRead))))
		return
	}
	host.Yield("coordinator load")
}

// longestRead bounds how long a read takes in some runs.
const longestRead = 300 * time.Millisecond

// look asks where the log begins and ends, which may move.
func (f *folding) look() (err error) {
	f.epoch = f.s.epoch
	f.ends, err = f.s.r.log.LocalEnds(f.s.tp, f.epoch)
	if err != nil {
		return fmt.Errorf("coordinator: load %v: %w", f.s.tp, err)
	}
	f.life.line.Commit(f.ends.HW)
	return nil
}

// fold applies batches, and is where the next begins.
func (f *folding) fold(bytes []byte) (next kafka.Offset, err error) {
	if f.s.r.cfg.Check {
		f.kept = append(f.kept, bytes)
	}
	err = eachBatch(bytes, func(b record.Batch) {
		next = b.NextOffset()
		if err := f.batch(b); err != nil {
			f.setAside(b.BaseOffset(), err)
		}
	})
	return next, err
}

// eachBatch calls fn with each whole batch.
func eachBatch(bytes []byte, fn func(record.Batch)) error {
	for {
		b, rest, err := record.Next(bytes)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
		fn(b)
		bytes = rest
	}
}

// batch applies one batch. What cannot be read is set aside: damage costs the
// groups that it is of, not all that share the partition. (Kafka gives the partition up.)
func (f *folding) batch(b record.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	return foldBatch(&f.decoder, b, f.life.line, f.life.machine, func(at kafka.Offset, err error) {
		f.records++
		if err != nil {
			f.setAside(at, err)
		}
	})
}

// foldBatch applies a batch to a machine on its timeline, and tells of each record what
// became of it.
func foldBatch(d *record.Decoder, b record.Batch, line *timeline.Timeline, m Machine, each func(kafka.Offset, error)) error {
	by := NoProducer
	if b.IsTransactional() {
		by = Producer{b.ProducerID(), b.ProducerEpoch()}
	}
	if b.IsControl() {
		if kind, _, ok := b.EndTxnMarker(); ok {
			line.Begin(b.BaseOffset())
			err := m.ApplyMarker(b.BaseOffset(), by, kind == record.Commit)
			line.End()
			each(b.BaseOffset(), err)
		}
		return nil
	}
	return d.Records(b, func(r record.Record) error {
		if r.Key == nil {
			each(r.Offset, fmt.Errorf("a record without a key: %w", kerr.InvalidRecord))
			return nil
		}
		line.Begin(r.Offset)
		err := m.Apply(r.Offset, Record{r.Key, r.Value}, by)
		line.End()
		each(r.Offset, err)
		return nil
	})
}

func (f *folding) setAside(at kafka.Offset, err error) {
	f.s.r.host.Tell(&witness.RecordSetAside{Shard: f.s.self, At: at, Error: witness.ErrorOf(err)})
}
