package log

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// EpochEntry says at which offset a leader epoch began.
type EpochEntry struct {
	Epoch kafka.LeaderEpoch
	Start kafka.Offset
}

// epochs is the leader epochs of a log. Invariant: both epochs and starts
// grow strictly; each is the epoch of the record at its start, except that the
// last may lie at the log end, where its first record will be.
type epochs []EpochEntry

func (es epochs) latest() kafka.LeaderEpoch {
	if len(es) == 0 {
		return kafka.NoEpoch
	}
	return es[len(es)-1].Epoch
}

// assign records that epoch begins at start, and reports whether that is news.
// Entries it contradicts go: no record was written in those after start.
func (es *epochs) assign(epoch kafka.LeaderEpoch, start kafka.Offset) bool {
	s := *es
	if epoch < 0 {
		return false
	}
	if n := len(s); n > 0 && s[n-1].Epoch == epoch && s[n-1].Start <= start {
		return false
	}
	for len(s) > 0 && (s[len(s)-1].Epoch >= epoch || s[len(s)-1].Start >= start) {
		s = s[:len(s)-1]
	}
	*es = append(s, EpochEntry{epoch, start})
	return true
}

// replay records the epoch of a batch that is read again after what lies before
// it. Epochs do not fall along a log; one that does has rotted, for no checksum
// covers it, and says nothing (as in LogSegment.recover).
func (es *epochs) replay(b record.Batch) {
	if b.LeaderEpoch() > es.latest() {
		es.assign(b.LeaderEpoch(), b.BaseOffset())
	}
}

// truncateEnd forgets the epochs that begin at or after end.
func (es *epochs) truncateEnd(end kafka.Offset) bool {
	n := len(*es)
	for n > 0 && (*es)[n-1].Start >= end {
		n--
	}
	changed := n < len(*es)
	*es = (*es)[:n]
	return changed
}

// truncateStart forgets the epochs that ended at or before start; the one that
// goes on there now begins there.
func (es *epochs) truncateStart(start kafka.Offset) bool {
	n := 0
	for n < len(*es) && (*es)[n].Start <= start {
		n++
	}
	if n == 0 || n == 1 && (*es)[0].Start == start {
		return false
	}
	*es = slices.Clone((*es)[n-1:])
	(*es)[0].Start = start
	return true
}

// endOffset is the largest epoch that is not greater than the one asked for,
// and where it ended; logEnd is where the latest ends. An epoch before all that
// are known ends where the first of them begins: whatever it wrote has left
// the log, and the follower may go on from there.
func (es epochs) endOffset(epoch kafka.LeaderEpoch, logEnd kafka.Offset) (kafka.LeaderEpoch, kafka.Offset) {
	if epoch == kafka.NoEpoch || epoch > es.latest() {
		return kafka.NoEpoch, kafka.NoOffset
	}
	if epoch == es.latest() {
		return epoch, logEnd
	}
	higher, _ := slices.BinarySearchFunc(es, epoch+1, func(e EpochEntry, want kafka.LeaderEpoch) int {
		return int(e.Epoch) - int(want)
	})
	if higher == 0 {
		return epoch, es[0].Start
	}
	return es[higher-1].Epoch, es[higher].Start
}

// at is the epoch of the record at o.
func (es epochs) at(o kafka.Offset) kafka.LeaderEpoch {
	for i := len(es) - 1; i >= 0; i-- {
		if es[i].Start <= o {
			return es[i].Epoch
		}
	}
	return kafka.NoEpoch
}

func readEpochs(disk env.Disk, name string) (epochs, error) {
	entries, err := readCheckpoint(disk, name, 2)
	if err != nil {
		return nil, err
	}
	var es epochs
	for _, e := range entries {
		epoch, err1 := strconv.ParseInt(e[0], 10, 32)
		start, err2 := strconv.ParseInt(e[1], 10, 64)
		if err1 != nil || err2 != nil || epoch < 0 || start < 0 {
			return nil, fmt.Errorf("%s: %w: entry %q, expected an epoch and an offset", name, errDamaged, strings.Join(e, " "))
		}
		es.assign(kafka.LeaderEpoch(epoch), kafka.Offset(start))
	}
	return es, nil
}

func (es epochs) write(disk env.Disk, name string) error {
	entries := make([]string, len(es))
	for i, e := range es {
		entries[i] = fmt.Sprintf("%d %d", e.Epoch, e.Start)
	}
	return writeCheckpoint(disk, name, entries)
}
