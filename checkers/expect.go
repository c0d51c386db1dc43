package checkers

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/internal/nearest"
)

// Expectations say under which configuration a history came about, and what
// befell the cluster: together they decide which anomalies were promised not
// to happen. The zero value is the baseline: replication factor 3, acks=all,
// min.insync.replicas=2, no unclean election, idempotent producers,
// read_committed consumers with assigned partitions and manual commits.
type Expectations struct {
	values map[string]string
	// Happened counts the faults that the permissions of a configuration need:
	// unclean-election, last-isr-lost, lossy-crashes, delayed-endtxn,
	// replaced-leader, offset-reset. A history may tell them too. Of faults that nobody tells,
	// FaultsKnown says whether they did not happen.
	Happened    map[string]int
	FaultsKnown bool
}

// setting is one thing that can be said with --config.
type setting struct {
	name    string
	aliases []string
	values  []string // possible ones; empty: a number
	about   string
}

var yesNo = []string{"true", "false"}

var settings = []setting{
	{"acks", nil, []string{"all", "1", "0"}, "what producers wait for"},
	{"replication.factor", []string{"rf"}, nil, "of the topics"},
	{"min.insync.replicas", []string{"min.insync", "min-insync"}, nil, "of the topics"},
	{"unclean.leader.election.enable", []string{"unclean", "unclean.leader.election"}, yesNo, "of the topics"},
	{"enable.idempotence", []string{"idempotence", "idempotent"}, yesNo, "of the producers"},
	{"retries", nil, nil, "of the producers"},
	{"max.in.flight.requests.per.connection", []string{"in-flight", "in.flight", "max.in.flight", "max.in.flight.requests"}, nil, "of the producers"},
	{"resend", nil, yesNo, "the application sends a value again after an unknown outcome"},
	{"isolation.level", []string{"isolation"}, []string{"read_committed", "read_uncommitted"}, "of the consumers"},
	{"subscribe", []string{"sub-via", "group"}, []string{"true", "false", "assign", "subscribe"}, "consumers are members of a group"},
	{"enable.auto.commit", []string{"auto-commit", "auto.commit"}, yesNo, "of the consumers"},
	{"auto.offset.reset", []string{"offset-reset"}, []string{"none", "earliest", "latest"}, "of the consumers"},
	{"processing", nil, []string{"exactly-once", "at-least-once", "at-most-once"}, "what consumers promise about their input"},
	{"cleanup.policy", []string{"cleanup"}, []string{"none", "delete", "compact", "compact+delete"}, "of the topics"},
	{"retention", []string{"delete-records"}, yesNo, "old records may have been deleted"},
	{"log.start.offset", []string{"log-start", "log.start"}, nil, "where the logs begin, if retention moved it"},
	{"transaction.version", []string{"txn-version", "tv"}, nil, "2 ties each commit to its transaction (KIP-890)"},
	{"follower.fetch", []string{"follower-fetch"}, yesNo, "consumers read from followers (KIP-392)"},
	{"ww-deps", []string{"ww"}, yesNo, "infer an order of transactions from that of their writes"},
	{"cut-short", nil, yesNo, "the run ended before its time"},
	{"unclean-elections", nil, nil, "how many happened"},
	{"last-isr-lost", nil, nil, "how often the last in-sync replica lost data"},
	{"lossy-crashes", nil, nil, "how many replicas lost unsynced data at once"},
	{"delayed-endtxn", nil, nil, "how many requests that end a transaction arrived late"},
	{"offset-resets", nil, nil, "how many positions began anew as auto.offset.reset says"},
	{"replaced-leaders", nil, nil, "how often a partition got another leader"},
}

// faults that are said as settings, and the fault's name.
var faultSettings = map[string]string{
	"unclean-elections": "unclean-election", "last-isr-lost": "last-isr-lost",
	"lossy-crashes": "lossy-crashes", "delayed-endtxn": "delayed-endtxn", "replaced-leaders": "replaced-leader",
	"offset-resets": "offset-reset",
}

// ParseConfig reads key=value pairs separated by commas, such as
// "acks=1,isolation=read_uncommitted".
func ParseConfig(texts ...string) (Expectations, error) {
	e := Expectations{}
	for _, text := range texts {
		for _, pair := range strings.Split(text, ",") {
			if pair = strings.TrimSpace(pair); pair == "" {
				continue
			}
			name, value, given := strings.Cut(pair, "=")
			if !given {
				value = "true"
			}
			if err := e.Set(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
				return e, err
			}
		}
	}
	return e, nil
}

// Set says one thing about the configuration.
func (e *Expectations) Set(name, value string) error {
	s := findSetting(name)
	if s == nil {
		return unknownSetting(name)
	}
	value = strings.ToLower(value)
	if s.name == "acks" && value == "-1" {
		value = "all"
	}
	if s.name == "isolation.level" {
		value = strings.ReplaceAll(value, "-", "_")
	}
	if s.values == nil {
		if _, err := strconv.ParseInt(value, 10, 64); err != nil {
			return fmt.Errorf("config %s=%s: expected a number", name, value)
		}
	} else if !slices.Contains(s.values, value) {
		return fmt.Errorf("config %s=%s: expected one of %s", name, value, strings.Join(s.values, ", "))
	}
	if fault, ok := faultSettings[s.name]; ok {
		if e.Happened == nil {
			e.Happened = map[string]int{}
		}
		n, _ := strconv.Atoi(value)
		e.Happened[fault] = n
		return nil
	}
	if e.values == nil {
		e.values = map[string]string{}
	}
	e.values[s.name] = value
	return nil
}

// Knows reports whether name is a setting that permits or forbids anything.
func Knows(name string) bool { return findSetting(name) != nil }

func findSetting(name string) *setting {
	name = strings.ToLower(name)
	for i := range settings {
		s := &settings[i]
		if s.name == name || slices.Contains(s.aliases, name) || slices.Contains(s.aliases, strings.ReplaceAll(name, "_", "-")) {
			return s
		}
	}
	return nil
}

func unknownSetting(name string) error {
	var names, known []string
	for _, s := range settings {
		names = append(names, s.name)
		known = append(append(known, s.name), s.aliases...)
	}
	hint := ""
	if near := findSetting(nearest.Name(name, known)); near != nil {
		hint = fmt.Sprintf("did you mean %s? ", near.name)
	}
	return fmt.Errorf("config %q is unknown; %spossible are %s", name, hint, strings.Join(names, ", "))
}

// value is what was said of a setting, or what the baseline says.
func (e *Expectations) value(name, baseline string) string {
	if v, ok := e.values[name]; ok {
		return v
	}
	return baseline
}

func (e *Expectations) number(name string, baseline int64) int64 {
	if n, err := strconv.ParseInt(e.values[name], 10, 64); err == nil {
		return n
	}
	return baseline
}

func (e *Expectations) is(name, value string) bool { return e.values[name] == value }

// over is e, and what the history itself tells where e says nothing. What it
// tells in words that mean nothing here is an error, though the rest counts.
func (e Expectations) over(h *history.History) (told Expectations, err error) {
	for _, n := range h.Notes() {
		if n.F != history.Config {
			continue
		}
		for _, pair := range strings.Split(n.Text, ",") {
			name, value, _ := strings.Cut(pair, "=")
			if wrong := told.Set(strings.TrimSpace(name), strings.TrimSpace(value)); wrong != nil && err == nil {
				err = wrong
			}
		}
	}
	for name, value := range e.values {
		_ = told.Set(name, value)
	}
	if told.Happened == nil {
		told.Happened = map[string]int{}
	}
	maps.Copy(told.Happened, e.Happened)
	told.FaultsKnown = e.FaultsKnown
	return told, err
}

// String is the configuration as ParseConfig takes it, and a history's
// Config event.
func (e *Expectations) String() string {
	var pairs []string
	for name, value := range e.values {
		pairs = append(pairs, name+"="+value)
	}
	for setting, fault := range faultSettings {
		if n, said := e.Happened[fault]; said || e.FaultsKnown {
			pairs = append(pairs, fmt.Sprintf("%s=%d", setting, n))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}
