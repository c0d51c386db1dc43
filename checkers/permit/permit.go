// Package permit says what a configuration promises: one table of what each
// setting, and each fault that happened, permits, by anomaly of a history and by
// law of what happens inside.
package permit

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/checkers/detect"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/internal/nearest"
)

// Expectations say under which configuration a history came about, and what
// happened to the cluster: together they decide which anomalies were promised
// not to happen. The zero value is the baseline: replication factor 3,
// acks=all, min.insync.replicas=2, no unclean election, idempotent producers,
// read_committed consumers with assigned partitions and manual commits.
type Expectations struct {
	values map[Setting]string
	// Happened counts the faults that the permissions of a configuration need. A
	// history may tell them too. Of faults that neither tells, FaultsKnown says
	// whether they did not happen.
	Happened    map[history.FaultKind]int
	FaultsKnown bool
}

// Setting is one thing that can be said of a configuration.
type Setting uint8

// The settings. What each means is in the table below.
const (
	Acks Setting = iota
	ReplicationFactor
	MinInsyncReplicas
	UncleanLeaderElection
	EnableIdempotence
	Retries
	MaxInFlight
	Resend
	IsolationLevel
	Subscribe
	GroupProtocol
	EnableAutoCommit
	AutoOffsetReset
	Processing
	OffsetsFenced
	Ordering
	CleanupPolicy
	Retention
	LogStartOffset
	TimestampType
	TransactionVersion
	FollowerFetch
	ProducerIDExpiration
	WriteOrder
	CutShort
	FromTheStart
	EmptyPolls
	ZeroSum
	OneOutput
	HappenedUncleanElections
	HappenedLastISRLost
	HappenedLossyCrashes
	HappenedDelayedEndTxn
	HappenedOffsetResets
	HappenedReplacedLeaders
	HappenedDamagedDisks
	HappenedReplacedCoordinators
)

// setting describes a Setting.
type setting struct {
	name    string
	aliases []string
	values  []string // possible ones; empty: a number
	about   string
	counts  history.FaultKind // of this fault it says how often it happened
}

// pairs stands for values such as A:B+C:D, which declare rules of the application; said again, they are more of them.
var pairs = []string{"A:B"}

var yesNo = []string{"true", "false"}

var settings = [...]setting{
	Acks:                     {"acks", nil, []string{"all", "1", "0"}, "what producers wait for", 0},
	ReplicationFactor:        {"replication.factor", []string{"rf"}, nil, "of the topics", 0},
	MinInsyncReplicas:        {"min.insync.replicas", []string{"min.insync", "min-insync"}, nil, "of the topics", 0},
	UncleanLeaderElection:    {"unclean.leader.election.enable", []string{"unclean", "unclean.leader.election"}, yesNo, "of the topics", 0},
	EnableIdempotence:        {"enable.idempotence", []string{"idempotence", "idempotent"}, yesNo, "of the producers", 0},
	Retries:                  {"retries", nil, nil, "of the producers", 0},
	MaxInFlight:              {"max.in.flight.requests.per.connection", []string{"in-flight", "in.flight", "max.in.flight", "max.in.flight.requests"}, nil, "of the producers", 0},
	Resend:                   {"resend", nil, yesNo, "the application sends a value again after an unknown outcome", 0},
	IsolationLevel:           {"isolation.level", []string{"isolation"}, []string{"read_committed", "read_uncommitted"}, "of the consumers", 0},
	Subscribe:                {"subscribe", []string{"sub-via", "group"}, []string{"true", "false", "assign", "subscribe"}, "consumers are members of a group", 0},
	GroupProtocol:            {"group.protocol", nil, []string{"classic", "consumer"}, "consumer: generations are the members' own epochs (KIP-848)", 0},
	EnableAutoCommit:         {"enable.auto.commit", []string{"auto-commit", "auto.commit"}, yesNo, "of the consumers", 0},
	AutoOffsetReset:          {"auto.offset.reset", []string{"offset-reset"}, []string{"none", "earliest", "latest"}, "of the consumers", 0},
	Processing:               {"processing", nil, []string{"exactly-once", "at-least-once", "at-most-once"}, "what consumers promise about their input", 0},
	OffsetsFenced:            {"offsets.fenced", nil, yesNo, "offsets in transactions are sent with the group's metadata (KIP-447)", 0},
	Ordering:                 {"ordering", nil, []string{"partition", "key", "none"}, "key: records of one key come in order, whichever partition they are on; none: on several, and that is to be told", 0},
	CleanupPolicy:            {"cleanup.policy", []string{"cleanup"}, []string{"none", "delete", "compact", "compact+delete"}, "of the topics", 0},
	Retention:                {"retention", []string{"delete-records"}, yesNo, "old records may have been deleted", 0},
	LogStartOffset:           {"log.start.offset", []string{"log-start", "log.start"}, nil, "where the logs begin, if retention moved it", 0},
	TimestampType:            {"message.timestamp.type", []string{"timestamp.type"}, []string{"createtime", "logappendtime"}, "of the topics", 0},
	TransactionVersion:       {"transaction.version", []string{"txn-version", "tv"}, nil, "2 ties each commit to its transaction (KIP-890)", 0},
	FollowerFetch:            {"follower.fetch", []string{"follower-fetch"}, yesNo, "consumers read from followers (KIP-392)", 0},
	ProducerIDExpiration:     {"producer.id.expiration.ms", nil, nil, "of the brokers", 0},
	WriteOrder:               {"ww-deps", []string{"ww"}, yesNo, "infer an order of transactions from that of their writes", 0},
	CutShort:                 {"cut-short", nil, yesNo, "the run ended before its time", 0},
	FromTheStart:             {"from-the-start", nil, yesNo, "the history began with the cluster: nothing is older", 0},
	ZeroSum:                  {"zero-sum", nil, pairs, "TOPIC:HEADER+...: of each transaction the numbers that its records have in a header add up to 0", 0},
	OneOutput:                {"one-output", nil, pairs, "FROM:TO+...: each record of a topic has one in the other, with its value as the key", 0},
	EmptyPolls:               {"empty-polls", nil, []string{"drained", "unknown"}, "drained, unless told otherwise: a poll returns nothing only where there is nothing more", 0},
	HappenedUncleanElections: {"unclean-elections", nil, nil, "how many happened", history.UncleanElection},
	HappenedLastISRLost:      {"last-isr-lost", nil, nil, "how often the last in-sync replica lost data", history.LastISRLost},
	HappenedLossyCrashes:     {"lossy-crashes", nil, nil, "how many replicas were down uncleanly when unsynced data was lost", history.LossyCrashes},
	HappenedDelayedEndTxn:    {"delayed-endtxn", nil, nil, "how many transactions were ended by a late EndTxn of an earlier one", history.DelayedEndTxn},
	HappenedOffsetResets:     {"offset-resets", nil, nil, "how many positions began anew as auto.offset.reset says", history.OffsetReset},
	HappenedReplacedLeaders:  {"replaced-leaders", nil, nil, "how often a partition got another leader", history.ReplacedLeader},
	HappenedDamagedDisks:     {"damaged-disks", nil, nil, "how many disks lied or rotted", history.DamagedDisk},

	HappenedReplacedCoordinators: {"replaced-coordinators", nil, nil, "how often a coordinator answered on that was replaced", history.ReplacedCoordinator},
}

// ParseConfig reads key=value pairs separated by commas, such as
// "acks=1,isolation=read_uncommitted".
func ParseConfig(texts ...string) (Expectations, error) {
	e := Expectations{}
	for _, text := range texts {
		if err := e.Read(text); err != nil {
			return e, err
		}
	}
	return e, nil
}

// Read says what ParseConfig reads.
func (e *Expectations) Read(text string) error {
	for _, pair := range strings.Split(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		//text:allow the value of --config
		name, value, given := strings.Cut(pair, "=")
		if !given {
			value = "true"
		}
		if err := e.Set(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return err
		}
	}
	return nil
}

// Set says one thing about the configuration.
func (e *Expectations) Set(name, value string) error {
	which, ok := findSetting(name)
	if !ok {
		return unknownSetting(name)
	}
	s := &settings[which]
	if s.declares() {
		return e.declare(which, value)
	}
	value = strings.ToLower(value)
	if which == Acks && value == "-1" {
		value = "all"
	}
	if which == IsolationLevel {
		value = strings.ReplaceAll(value, "-", "_")
	}
	n := int64(0)
	if s.values == nil {
		var err error
		if n, err = strconv.ParseInt(value, 10, 64); err != nil {
			return fmt.Errorf("config %s=%s: expected a number", name, value)
		}
	} else if !slices.Contains(s.values, value) {
		return fmt.Errorf("config %s=%s: expected one of %s", name, value, strings.Join(s.values, ", "))
	}
	if s.counts != history.OtherFault {
		if e.Happened == nil {
			e.Happened = map[history.FaultKind]int{}
		}
		e.Happened[s.counts] = int(n)
		return nil
	}
	if e.values == nil {
		e.values = map[Setting]string{}
	}
	e.values[which] = value
	return nil
}

// declares: the setting's values are rules.
func (s *setting) declares() bool { return len(s.values) == 1 && s.values[0] == pairs[0] }

// declare adds rules to those that a setting has.
func (e *Expectations) declare(which Setting, value string) error {
	for _, pair := range strings.Split(value, "+") {
		//text:allow the value of --config
		a, b, ok := strings.Cut(pair, ":")
		//text:allow the value of --config
		if _, _, more := strings.Cut(b, ":"); !ok || a == "" || b == "" || more {
			return fmt.Errorf("config %s=%s: found %q, expected two names with a colon in between, as in accounts:amount", settings[which].name, value, pair)
		}
	}
	if e.values == nil {
		e.values = map[Setting]string{}
	}
	if before := e.values[which]; before != "" {
		value = before + "+" + value
	}
	e.values[which] = value
	return nil
}

// Pairs are the rules that were declared with a setting: ZeroSum or OneOutput.
func (e *Expectations) Pairs(which Setting) (all [][2]string) {
	if e.values[which] == "" {
		return nil
	}
	for _, pair := range strings.Split(e.values[which], "+") {
		//text:allow the value of --config
		a, b, _ := strings.Cut(pair, ":")
		all = append(all, [2]string{a, b})
	}
	return all
}

// Withholds is why consumers need not be given all that is committed, and nothing else; empty: they must.
func (e *Expectations) Withholds() string {
	switch {
	case readUncommitted(e):
		return "isolation.level=read_uncommitted: consumers are given what is not committed"
	case compact(e) || retention(e):
		return "cleanup.policy: consumers need not be given what is gone from the log"
	}
	return ""
}

// Knows reports whether name is a setting that permits or forbids anything.
func Knows(name string) bool {
	_, ok := findSetting(name)
	return ok
}

func findSetting(name string) (Setting, bool) {
	name = strings.ToLower(name)
	for i := range settings {
		s := &settings[i]
		if s.name == name || slices.Contains(s.aliases, name) || slices.Contains(s.aliases, strings.ReplaceAll(name, "_", "-")) {
			return Setting(i), true
		}
	}
	return 0, false
}

func unknownSetting(name string) error {
	var names, known []string
	for i := range settings {
		names = append(names, settings[i].name)
		known = append(append(known, settings[i].name), settings[i].aliases...)
	}
	hint := ""
	if near, ok := findSetting(nearest.Name(name, known)); ok {
		hint = fmt.Sprintf("did you mean %s? ", settings[near].name)
	}
	return fmt.Errorf("config %q is unknown; %spossible are %s", name, hint, strings.Join(names, ", "))
}

func (e *Expectations) number(which Setting, baseline int64) int64 {
	if n, err := strconv.ParseInt(e.values[which], 10, 64); err == nil {
		return n
	}
	return baseline
}

// Is reports whether that was said of a setting.
func (e *Expectations) Is(which Setting, value string) bool { return e.values[which] == value }

func (e *Expectations) said(which Setting) bool { return e.values[which] != "" }

// Over is e, and what the history itself tells where e says nothing. What it
// tells in words that mean nothing here is an error, though the rest counts.
func (e Expectations) Over(h *history.History) (told Expectations, err error) {
	for _, n := range h.Notes() {
		if n.F != history.Config {
			continue
		}
		for _, pair := range strings.Split(n.Text, ",") {
			//text:allow the configuration in a history file
			name, value, _ := strings.Cut(pair, "=")
			if wrong := told.Set(strings.TrimSpace(name), strings.TrimSpace(value)); wrong != nil && err == nil {
				err = wrong
			}
		}
	}
	if told.values == nil {
		told.values = map[Setting]string{}
	}
	maps.Copy(told.values, e.values)
	if told.Happened == nil {
		told.Happened = map[history.FaultKind]int{}
	}
	maps.Copy(told.Happened, e.Happened)
	told.FaultsKnown = e.FaultsKnown
	return told, err
}

// String is the configuration as ParseConfig takes it, and a history's
// Config event.
func (e *Expectations) String() string {
	var pairs []string
	for which, value := range e.values {
		pairs = append(pairs, settings[which].name+"="+value)
	}
	for i := range settings {
		if fault := settings[i].counts; fault != history.OtherFault {
			if n, said := e.Happened[fault]; said || e.FaultsKnown {
				pairs = append(pairs, fmt.Sprintf("%s=%d", settings[i].name, n))
			}
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// Detecting is what detectors need to know of the configuration.
func (e *Expectations) Detecting() detect.Settings {
	s := detect.Settings{
		ReadCommitted: !readUncommitted(e), WriteOrder: e.Is(WriteOrder, "true"),
		Members: subscribed(e), FromTheStart: e.Is(FromTheStart, "true"), MemberEpochs: e.Is(GroupProtocol, "consumer"),
		AppendTime: e.Is(TimestampType, "logappendtime"), EmptyPolls: !e.Is(EmptyPolls, "unknown"),
	}
	switch {
	case e.Is(AutoOffsetReset, "earliest"):
		s.Reset = detect.ResetEarliest
	case e.Is(AutoOffsetReset, "latest"):
		s.Reset = detect.ResetLatest
	}
	return s
}
