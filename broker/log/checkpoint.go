package log

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// errDamaged: a file is there but its content is not what was written.
var errDamaged = errors.New("damaged")

// A checkpoint is Kafka's text file of a version line, a count line, and one
// entry per line.
const checkpointVersion = "0"

// readCheckpoint returns the entries' fields. A file that is missing or empty
// has none.
func readCheckpoint(disk env.Disk, name string, fields int) ([][]string, error) {
	content, err := files.Read(disk, name)
	if errors.Is(err, env.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := parseCheckpoint(string(content), fields)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return entries, nil
}

func parseCheckpoint(content string, fields int) ([][]string, error) {
	lines := strings.Split(strings.TrimSuffix(content, "\n"), "\n")
	if lines[0] == "" && len(lines) == 1 {
		return nil, nil
	}
	if lines[0] != checkpointVersion {
		return nil, fmt.Errorf("%w: version %q, expected %q", errDamaged, lines[0], checkpointVersion)
	}
	if len(lines) < 2 {
		return nil, nil
	}
	if count, err := strconv.Atoi(lines[1]); err != nil || count != len(lines)-2 {
		return nil, fmt.Errorf("%w: %d entries, expected %q", errDamaged, len(lines)-2, lines[1])
	}
	var entries [][]string
	for _, line := range lines[2:] {
		entry := strings.Fields(line)
		if len(entry) != fields {
			return nil, fmt.Errorf("%w: entry %q, expected %d words", errDamaged, line, fields)
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func writeCheckpoint(disk env.Disk, name string, entries []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%d\n", checkpointVersion, len(entries))
	for _, e := range entries {
		b.WriteString(e)
		b.WriteByte('\n')
	}
	return replaceFile(disk, name, []byte(b.String()))
}

// offsets is what the checkpoints of a log directory hold.
type offsets map[kafka.TopicPartition]kafka.Offset

func readOffsets(disk env.Disk, name string) (offsets, error) {
	entries, err := readCheckpoint(disk, name, 3)
	if err != nil {
		return nil, err
	}
	out := offsets{}
	for _, e := range entries {
		partition, err1 := strconv.ParseInt(e[1], 10, 32)
		offset, err2 := strconv.ParseInt(e[2], 10, 64)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("%s: %w: entry %q, expected a topic, a partition and an offset",
				name, errDamaged, strings.Join(e, " "))
		}
		out[kafka.TopicPartition{Topic: e[0], Partition: int32(partition)}] = kafka.Offset(offset)
	}
	return out, nil
}

func writeOffsets(disk env.Disk, name string, of offsets) error {
	var entries []string
	for _, tp := range sortedPartitions(of) {
		entries = append(entries, fmt.Sprintf("%s %d %d", tp.Topic, tp.Partition, of[tp]))
	}
	return writeCheckpoint(disk, name, entries)
}

func sortedPartitions[V any](m map[kafka.TopicPartition]V) []kafka.TopicPartition {
	return slices.SortedFunc(maps.Keys(m), kafka.TopicPartition.Compare)
}
