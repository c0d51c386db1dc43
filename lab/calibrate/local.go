package calibrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/lab/profile"
)

// memInfo is a line of /proc/meminfo in bytes; 0 where there is none.
func memInfo(name string) float64 {
	for line := range strings.Lines(read("/proc/meminfo")) {
		f := strings.Fields(line)
		if len(f) > 1 && f[0] == name+":" {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb * 1024
		}
	}
	return 0
}

// percent is a file's number as a share of 1.
func percent(path string) float64 {
	n, _ := strconv.ParseFloat(strings.TrimSpace(read(path)), 64)
	return n / 100
}

const (
	diskFile   = 64 << 20
	diskChunk  = 1 << 20
	diskRounds = 3
)

// measureDisk writes a file and syncs it, some times, if that was asked for.
func (r *run) measureDisk(ctx context.Context) error {
	if r.cfg.Disk == "" {
		return nil
	}
	var rates []float64
	for range diskRounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.progress("writing a file of 64 MiB in "+r.cfg.Disk, false)
		rate, err := writeRate(r.cfg.Disk)
		if err != nil {
			return fmt.Errorf("calibrate: disk: %w", err)
		}
		rates = append(rates, rate)
	}
	r.set(profile.DiskWrite, r.figure(profile.DiskWrite, rates, "a file of 64 MiB is written and synced in "+r.cfg.Disk))
	return nil
}

func (r *run) set(name string, f profile.Figure) {
	if r.extra == nil {
		r.extra = map[string]profile.Figure{}
	}
	r.extra[name] = f
}

// writeRate is how many bytes a second a new file takes, its sync included. The file is
// removed.
func writeRate(dir string) (rate float64, err error) {
	f, err := os.CreateTemp(dir, "ktrial-calibrate-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	chunk := make([]byte, diskChunk)
	for i := range chunk {
		chunk[i] = byte(i * 7)
	}
	start := time.Now()
	for range diskFile / diskChunk {
		if _, err := f.Write(chunk); err != nil {
			return 0, err
		}
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return diskFile / time.Since(start).Seconds(), nil
}
