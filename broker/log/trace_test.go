package log

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/internal/golden"
	"github.com/ktrial/ktrial/sim/env"
)

// traced is a host whose disk tells what is done to it.
type traced struct {
	env.Host
	disk tracedDisk
}

func (h *traced) Disk() env.Disk { return &h.disk }

type tracedDisk struct {
	env.Disk
	lines []string
}

func (d *tracedDisk) say(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *tracedDisk) Open(name string) (env.File, error) {
	f, err := d.Disk.Open(name)
	return &tracedFile{f, d, name}, err
}

func (d *tracedDisk) Create(name string) (env.File, error) {
	d.say("create   %s", name)
	f, err := d.Disk.Create(name)
	return &tracedFile{f, d, name}, err
}

func (d *tracedDisk) Remove(name string) error {
	err := d.Disk.Remove(name)
	if err == nil {
		d.say("remove   %s", name)
	}
	return err
}

func (d *tracedDisk) Rename(from, to string) error {
	err := d.Disk.Rename(from, to)
	if err == nil {
		d.say("rename   %s -> %s", from, to)
	}
	return err
}

func (d *tracedDisk) MkdirAll(name string) error {
	d.say("mkdir    %s", name)
	return d.Disk.MkdirAll(name)
}

func (d *tracedDisk) SyncDir(name string) error {
	d.say("syncdir  %s", name)
	return d.Disk.SyncDir(name)
}

type tracedFile struct {
	env.File
	d    *tracedDisk
	name string
}

func (f *tracedFile) WriteAt(b []byte, at int64) (int, error) {
	f.d.say("write    %s %d+%d", f.name, at, len(b))
	return f.File.WriteAt(b, at)
}

func (f *tracedFile) Truncate(size int64) error {
	f.d.say("truncate %s %d", f.name, size)
	return f.File.Truncate(size)
}

func (f *tracedFile) Sync() error {
	f.d.say("sync     %s", f.name)
	return f.File.Sync()
}

// The life of a log as its disk sees it. A sync that is missing shows here.
func TestDiskTrace(t *testing.T) {
	var story strings.Builder
	onDisk(t, func(host env.Host) {
		h := &traced{host, tracedDisk{Disk: host.Disk()}}
		chapter := func(title string, err error) {
			t.Helper()
			require.NoError(t, err)
			fmt.Fprintf(&story, "# %s\n%s\n\n", title, strings.Join(h.disk.lines, "\n"))
			h.disk.lines = nil
		}
		d, err := OpenDir(h, "data", dirOptions())
		chapter("an empty directory becomes the node's own", err)
		l, err := d.Create(orders, kafka.UUID{1}, tiny())
		chapter("a log is created", err)
		chapter("it gets a leader, in epoch 3", l.AssignEpochStart(3, 0))
		put := func(opts record.Options) error {
			_, err := l.AppendAsLeader(batch(host.Now().Millis(), opts, 2, 150), 3)
			return err
		}
		chapter("a batch is appended", put(idempotent(7, 0, 0)))
		chapter("and a second", put(idempotent(7, 0, 2)))
		chapter("both are flushed", l.Flush())
		txn := record.Options{Idempotent: true, ProducerID: 8, Transactional: true}
		chapter("a transaction writes, where the index is due", put(txn))
		_, err = l.AppendInternal(record.NewEndTxnMarker(record.Abort, host.Now().Millis(), 8, 0, 0), 3)
		chapter("and is aborted", err)
		chapter("a batch that does not fit any more rolls the segment", put(idempotent(7, 0, 4)))
		host.Sleep(time.Second)
		chapter("a task flushes what was sealed", nil)
		chapter("the marks are written", d.CheckpointRecovery())
		chapter("high watermarks too", d.Checkpoint(offsets{orders: 5}))
		chapter("the log is truncated inside of the first segment", l.TruncateTo(3))
		host.Sleep(2 * time.Second)
		chapter("and the files of the second go", nil)
		chapter("the next batch is of another epoch", func() error {
			_, err := l.AppendAsLeader(batch(host.Now().Millis(), record.Options{}, 1, 10), 4)
			return err
		}())
		chapter("another batch, and the broker is killed while it writes", func() error {
			_, err := l.AppendAsLeader(batch(host.Now().Millis(), record.Options{}, 2, 10), 4)
			h.disk.lines = append(h.disk.lines, "write    ... the half of a batch")
			torn := batch(0, record.Options{BaseOffset: 6}, 2, 10)
			f, openErr := host.Disk().Open("data/orders-0/" + fileName(0, logSuffix))
			size, sizeErr := f.Size()
			_, writeErr := f.WriteAt(torn[:70], size)
			return errors.Join(err, openErr, sizeErr, writeErr)
		}())
		d, err = OpenDir(h, "data", dirOptions())
		chapter("it starts again: what is damaged is cut off", err)
		chapter("the broker shuts down", d.CloseClean(12, offsets{orders: 5}))
		d, err = OpenDir(h, "data", dirOptions())
		chapter("and starts again", err)
		l = d.Get(orders)
		old := tiny()
		old.RetentionTime = time.Millisecond
		l.SetConfig(old)
		host.Sleep(time.Minute)
		_, err = l.ApplyRetention(l.EndOffset())
		chapter("all is too old", err)
		host.Sleep(2 * time.Second)
		chapter("and the files go", nil)
		chapter("the log is deleted", d.Delete(orders))
		host.Sleep(2 * time.Second)
		chapter("and its files go", nil)
	})
	golden.File(t, "testdata/trace.txt", story.String())
}
