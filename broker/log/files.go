package log

import (
	"errors"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// Suffixes of the files of a log. The last three mark files on their way: out, or
// in, when the cleaner made them.
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

// replaceFile gives the file new content in one step, durably.
func replaceFile(disk env.Disk, name string, content []byte) error {
	return files.Replace(disk, name, name+".tmp", content)
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
