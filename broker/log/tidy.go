package log

import (
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
)

// tidy ends what was under way in the directory when the last process ended:
// deletions, and the swap of compacted segments for their originals. It returns the
// names that are left.
func (l *Log) tidy(names []string) ([]string, error) {
	oldestCleaned := kafka.Offset(math.MaxInt64)
	for _, name := range names {
		if base, suffix, ok := parseName(name); ok && strings.HasSuffix(suffix, cleanedSuffix) {
			oldestCleaned = min(oldestCleaned, base)
		}
	}
	var keep, swaps []string
	for _, name := range names {
		base, suffix, ok := parseName(name)
		switch {
		case !ok:
		case strings.HasSuffix(suffix, deletedSuffix), strings.HasSuffix(suffix, cleanedSuffix),
			strings.HasSuffix(suffix, swapSuffix) && base >= oldestCleaned, // a split that was not finished
			isIndex(suffix) && !slices.Contains(names, fileName(base, logSuffix)):
			if err := l.disk.Remove(l.path(name)); err != nil {
				return nil, err
			}
		case strings.HasSuffix(suffix, swapSuffix):
			swaps = append(swaps, name)
		default:
			keep = append(keep, name)
		}
	}
	if len(swaps) == 0 {
		return keep, nil
	}
	l.host.Reached(ProbeSwapFinished)
	return l.swap(keep, swaps)
}

func isIndex(suffix string) bool {
	return suffix == indexSuffix || suffix == timeIndexSuffix || suffix == txnIndexSuffix
}

// swap replaces segments by the finished ones that were made from them.
func (l *Log) swap(names, swaps []string) ([]string, error) {
	from, to := kafka.Offset(math.MaxInt64), kafka.Offset(-1)
	for _, name := range swaps {
		base, suffix, _ := parseName(name)
		if suffix != logSuffix+swapSuffix {
			continue
		}
		end, err := l.endOfFile(name, base)
		if err != nil {
			return nil, err
		}
		from, to = min(from, base), max(to, end)
	}
	var keep []string
	for _, name := range names {
		if base, _, _ := parseName(name); base < from || base >= to {
			keep = append(keep, name)
		} else if err := l.disk.Remove(l.path(name)); err != nil {
			return nil, err
		}
	}
	// The originals must be gone for good before the swap has their names: a loss of
	// power could bring one back beside what replaced it.
	if err := l.disk.SyncDir(l.dir); err != nil {
		return nil, err
	}
	for _, name := range swaps {
		final := strings.TrimSuffix(name, swapSuffix)
		if err := l.disk.Rename(l.path(name), l.path(final)); err != nil {
			return nil, err
		}
		keep = append(keep, final)
	}
	slices.Sort(keep)
	return keep, l.disk.SyncDir(l.dir)
}

// endOfFile is the offset after the last batch in a log file of any name.
func (l *Log) endOfFile(name string, base kafka.Offset) (kafka.Offset, error) {
	f, err := l.disk.Open(l.path(name))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	s := newSegment(l.disk, l.dir, base, l.now())
	s.file = f
	if s.size, err = f.Size(); err != nil {
		return 0, err
	}
	err = s.scan(0, s.size, func(b record.Batch, _ int64) error {
		s.end = b.NextOffset()
		return nil
	})
	if errors.Is(err, errDamaged) {
		err = nil
	}
	return s.end, err
}
