package client

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/assignor"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
)

// OffsetReset is where a consumer goes that has no valid position. It is
// comparable.
type OffsetReset struct {
	kind resetKind
	back time.Duration // of byDuration
}

type resetKind int8

const (
	resetLatest resetKind = iota
	resetEarliest
	resetNone
	resetByDuration
)

// Latest and Earliest go to an end of the log, NoReset returns an error.
var (
	Latest   = OffsetReset{kind: resetLatest}
	Earliest = OffsetReset{kind: resetEarliest}
	NoReset  = OffsetReset{kind: resetNone}
)

// ByDuration goes to the first record that is not older than back, counted from
// the moment of the reset by the consumer's clock (KIP-1106).
func ByDuration(back time.Duration) OffsetReset { return OffsetReset{resetByDuration, back} }

const byDurationPrefix = "by_duration:"

var offsetResets = []string{"latest", "earliest", "none"}

// Set parses Kafka's form.
func (r *OffsetReset) Set(s string) error {
	if text, ok := strings.CutPrefix(s, byDurationPrefix); ok {
		back, err := parseISODuration(text)
		if err != nil {
			return err
		}
		*r = ByDuration(back)
		return nil
	}
	*r = OffsetReset{}
	return pick(&r.kind, s, offsetResets)
}

func (r OffsetReset) String() string {
	if r.kind == resetByDuration {
		return byDurationPrefix + isoDuration(r.back)
	}
	return offsetResets[r.kind]
}

// parseISODuration reads what java.time.Duration does of ISO 8601: PnDTnHnMn.nS. A
// negative one is refused.
func parseISODuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("found duration %q, expected PnDTnHnMn.nS", s)
	rest, ok := strings.CutPrefix(strings.ToUpper(s), "P")
	if !ok || rest == "" {
		return 0, bad
	}
	days, clock, timed := strings.Cut(rest, "T")
	if timed && clock == "" {
		return 0, bad
	}
	total := time.Duration(0)
	for _, part := range []struct {
		text  string
		units string
	}{{days, "D"}, {clock, "HMS"}} {
		units := part.units
		for text := part.text; text != ""; {
			at := strings.IndexAny(text, units)
			if at < 1 {
				return 0, bad
			}
			n, err := strconv.ParseFloat(text[:at], 64)
			unit := durationUnits[text[at]]
			if err != nil || unit != time.Second && strings.Contains(text[:at], ".") {
				return 0, bad
			}
			total += time.Duration(n * float64(unit))
			units = units[strings.IndexByte(units, text[at])+1:]
			text = text[at+1:]
		}
	}
	if total < 0 {
		return 0, fmt.Errorf("found negative duration %q", s)
	}
	return total, nil
}

var durationUnits = map[byte]time.Duration{'D': 24 * time.Hour, 'H': time.Hour, 'M': time.Minute, 'S': time.Second}

// isoDuration is Java's form, such as PT26H3M0.5S.
func isoDuration(d time.Duration) string {
	if d == 0 {
		return "PT0S"
	}
	out := "PT"
	if h := d / time.Hour; h > 0 {
		out += fmt.Sprintf("%dH", h)
	}
	if m := d % time.Hour / time.Minute; m > 0 {
		out += fmt.Sprintf("%dM", m)
	}
	if s := d % time.Minute; s > 0 {
		out += strconv.FormatFloat(s.Seconds(), 'f', -1, 64) + "S"
	}
	return out
}

// GroupProtocol says which rebalance protocol a member speaks.
type GroupProtocol int8

// Classic is that of JoinGroup and SyncGroup, ConsumerProtocol that of KIP-848.
const (
	ClassicProtocol GroupProtocol = iota
	ConsumerProtocol
)

var groupProtocols = []string{"classic", "consumer"}

// Set parses Kafka's form, in any case.
func (p *GroupProtocol) Set(s string) error { return pick(p, strings.ToLower(s), groupProtocols) }

func (p GroupProtocol) String() string { return groupProtocols[p] }

// AssignorList names the assignors that a member of a classic group supports, the
// most wanted first, as JoinGroup names them.
type AssignorList []string

// javaAssignors are the classes of Kafka's own assignors.
var javaAssignors = map[string]string{
	"org.apache.kafka.clients.consumer.RangeAssignor":             assignor.Range,
	"org.apache.kafka.clients.consumer.RoundRobinAssignor":        assignor.RoundRobin,
	"org.apache.kafka.clients.consumer.StickyAssignor":            assignor.Sticky,
	"org.apache.kafka.clients.consumer.CooperativeStickyAssignor": assignor.CooperativeSticky,
}

var assignorNames = []string{assignor.Range, assignor.RoundRobin, assignor.Sticky, assignor.CooperativeSticky}

// Set takes Kafka's classes and, for short, the names that they have in JoinGroup.
func (l *AssignorList) Set(s string) error {
	*l = nil
	for _, item := range strings.Split(s, ",") {
		name := strings.TrimSpace(item)
		if class, ok := javaAssignors[name]; ok {
			name = class
		}
		if !slices.Contains(assignorNames, name) {
			return fmt.Errorf("found %q, expected one of %s, or Kafka's classes", name, strings.Join(assignorNames, ", "))
		}
		if slices.Contains(*l, name) {
			return fmt.Errorf("found %q twice", name)
		}
		*l = append(*l, name)
	}
	return nil
}

func (l AssignorList) String() string { return strings.Join(l, ",") }

// assignors are the ones of the configuration.
func (cfg *ConsumerConfig) assignors(bugs *planted.Set) ([]assignor.Assignor, error) {
	if len(cfg.Assignors) > 0 {
		return cfg.Assignors, nil
	}
	var all []assignor.Assignor
	for _, name := range cfg.AssignmentStrategy {
		a, err := assignor.ByName(name, bugs)
		if err != nil {
			return nil, fmt.Errorf("client: consumer configuration: partition.assignment.strategy: %w", err)
		}
		all = append(all, a)
	}
	return all, nil
}

// timestamp is what ListOffsets is asked for by a reset at now, in milliseconds.
func (r OffsetReset) timestamp(now int64) int64 {
	switch r.kind {
	case resetEarliest:
		return int64(kafka.EarliestOffset)
	case resetByDuration:
		return max(0, now-r.back.Milliseconds())
	}
	return int64(kafka.LatestOffset)
}
