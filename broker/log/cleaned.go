package log

import (
	"maps"

	"github.com/ktrial/ktrial/broker/kafka"
)

// The checkpoint of the cleaner says up to where each log was compacted. That a
// log is in it also says that its offsets may have gaps.

// firstDirty is where the next pass over l begins to map keys.
func (d *Dir) firstDirty(l *Log) (kafka.Offset, error) {
	at, known := d.cleaned[l.tp]
	switch {
	case !known:
		return l.start, nil
	case at < l.start || at > l.end:
		// Retention or DeleteRecords has passed it, or the log is another than it was.
		return l.start, d.setCleaned(l, l.start)
	}
	return at, nil
}

// checkpointCleaned records that a pass has come to o. A log that is not in use any
// more is left out.
func (d *Dir) checkpointCleaned(l *Log, o kafka.Offset) error {
	if d.logs[l.tp] != l {
		return nil
	}
	return d.setCleaned(l, o)
}

// markGaps records that a log may have gaps.
func (d *Dir) markGaps(l *Log) error {
	if _, marked := d.cleaned[l.tp]; marked {
		return nil
	}
	return d.setCleaned(l, l.start)
}

// logWasCut writes the checkpoints that a truncation lowers. What is appended after
// it was never compacted, and a later pass must map it: else it would take a
// tombstone away and leave what that deletes.
func (d *Dir) logWasCut(l *Log) error {
	if at, known := d.cleaned[l.tp]; known && at > l.active().base {
		if err := d.setCleaned(l, l.active().base); err != nil {
			return err
		}
	}
	return d.CheckpointRecovery()
}

// settleCleaned makes the checkpoint agree with the logs that were found. A crash
// may have come between a truncation or a deletion and its checkpoint. lost: the
// checkpoint was damaged, and any log may have gaps.
func (d *Dir) settleCleaned(lost bool) error {
	settled := offsets{}
	for _, tp := range d.Partitions() {
		l := d.logs[tp]
		if at, known := d.cleaned[tp]; known || lost {
			settled[tp] = min(at, l.active().base)
		}
	}
	if maps.Equal(settled, d.cleaned) && !lost {
		return nil
	}
	d.cleaned = settled
	return d.writeCleaned()
}

func (d *Dir) setCleaned(l *Log, o kafka.Offset) error {
	d.cleaned[l.tp] = o
	return d.writeCleaned()
}

func (d *Dir) writeCleaned() error {
	return d.writeOffsets(cleanedOffsetsFile, maps.Clone(d.cleaned))
}
