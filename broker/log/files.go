package log

import (
	"errors"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// Suffixes of the files of a log. The last three mark files on their way: out,
// or in, when the cleaner of a real Kafka wrote the directory.
const (
	logSuffix       = ".log"
	indexSuffix     = ".index"
	timeIndexSuffix = ".timeindex"
	txnIndexSuffix  = ".txnindex"
	snapshotSuffix  = ".snapshot"

	deletedSuffix = ".deleted"
	cleanedSuffix = ".cleaned"
	swapSuffix    = ".swap"
)

const (
	epochsFile   = "leader-epoch-checkpoint"
	metadataFile = "partition.metadata"
)

// fileName is the name of a file of the segment, or the snapshot, at base.
func fileName(base kafka.Offset, suffix string) string {
	const zeros = "00000000000000000000"
	digits := strconv.FormatInt(int64(base), 10)
	return zeros[len(digits):] + digits + suffix
}

// inDir is the path of a name in the directory of a log. That path is clean, so
// path.Join, which looks at every byte again, has nothing to do. A partition
// that is created asks for a dozen.
func inDir(dir, name string) string { return dir + "/" + name }

// parseName is the offset and the suffix of a file's name; ok is false for
// files that do not begin with an offset.
func parseName(name string) (base kafka.Offset, suffix string, ok bool) {
	digits, rest, found := strings.Cut(name, ".")
	if !found || len(digits) != 20 {
		return 0, "", false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, "", false
	}
	return kafka.Offset(n), "." + rest, true
}

// readFile reads all of a file.
func readFile(disk env.Disk, name string) ([]byte, error) {
	f, err := disk.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if err := readFull(f, b, 0); err != nil {
		return nil, err
	}
	return b, nil
}

// readFull fills b from the file; a file that ends before is an error.
func readFull(f env.File, b []byte, at int64) error {
	if len(b) == 0 {
		return nil
	}
	n, err := f.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// replaceFile gives the file new content in one step, durably: whoever opens
// it after a loss of power finds all of the old or all of the new.
func replaceFile(disk env.Disk, name string, content []byte) error {
	tmp := name + ".tmp"
	if err := writeFile(disk, tmp, content, true); err != nil {
		return err
	}
	if err := disk.Rename(tmp, name); err != nil {
		return err
	}
	return disk.SyncDir(path.Dir(name))
}

func writeFile(disk env.Disk, name string, content []byte, sync bool) error {
	f, err := disk.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(content, 0); err != nil {
		return err
	}
	if sync {
		return f.Sync()
	}
	return nil
}

// removeIfExists removes a file that may be gone already.
func removeIfExists(disk env.Disk, name string) error {
	if err := disk.Remove(name); err != nil && !errors.Is(err, env.ErrNotExist) {
		return err
	}
	return nil
}

// moveIfExists renames a file that need not be there.
func moveIfExists(disk env.Disk, from, to string) error {
	if err := disk.Rename(from, to); err != nil && !errors.Is(err, env.ErrNotExist) {
		return err
	}
	return nil
}

// syncNames makes the names on the way to dir durable: MkdirAll may just have
// made any of them, and without one of them all below is lost.
func syncNames(disk env.Disk, dir string) error {
	for at := path.Clean(dir); at != "." && at != "/"; at = path.Dir(at) {
		if err := disk.SyncDir(path.Dir(at)); err != nil {
			return err
		}
	}
	return nil
}
