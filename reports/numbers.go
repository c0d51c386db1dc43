package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Numbers are how well a run went, beside whether it went right. All times are
// virtual. Its JSON keys are a contract.
type Numbers struct {
	// Work is how long the clients worked: from the beginning of the work to the last
	// operation's end.
	Work Seconds `json:"work"`
	// Records a second of the work: sent, acknowledged, given to a consumer for the
	// first time.
	Sent         float64 `json:"sent_per_second"`
	Acknowledged float64 `json:"acknowledged_per_second"`
	Delivered    float64 `json:"delivered_per_second"`
	// Ack is from send to acknowledgement, EndToEnd from send to the first consumer.
	Ack      Durations `json:"ack"`
	EndToEnd Durations `json:"end_to_end"`
	// LongestPause is the longest time between two acknowledgements, and PauseAt when
	// it began.
	LongestPause Seconds `json:"longest_pause"`
	PauseAt      Seconds `json:"longest_pause_at"`
	// Elections are changes of leader epochs, after the first of each partition; shrinks
	// and grows those of ISRs.
	Elections int `json:"elections"`
	Shrinks   int `json:"isr_shrinks"`
	Grows     int `json:"isr_grows"`
	// Partitions that were without a leader, or below min.insync.replicas, for a time.
	Partitions map[string]PartitionNumbers `json:"partitions"`
	// Disk is how many bytes were appended to logs, of all replicas.
	Disk int64 `json:"bytes_on_disk"`
	// Lag of each consumer group.
	Lag map[string]Lag `json:"lag"`
	// Wire is how many bytes requests and answers had, and Requests counts those by API.
	// Nil, unless all events were read (--out, or a requirement that needs it).
	Wire     int64                     `json:"bytes_on_wire,omitempty"`
	Requests map[string]RequestNumbers `json:"requests,omitempty"`
}

// PartitionNumbers are of one partition.
type PartitionNumbers struct {
	// Leaderless is how long no running replica led, BelowMinISR how long fewer
	// replicas than min.insync.replicas were in sync.
	Leaderless  Seconds `json:"without_leader"`
	BelowMinISR Seconds `json:"below_min_isr"`
}

// Lag is how many committed records a group has not committed yet, of all partitions of
// which it has committed any: the LAG of kafka-consumer-groups --describe.
type Lag struct {
	Max   int64   `json:"max"`
	MaxAt Seconds `json:"max_at"`
	End   int64   `json:"end"` // of the run
}

// RequestNumbers count the requests of an API, and their answers with an error.
type RequestNumbers struct {
	Count  int64            `json:"count"`
	Errors map[string]int64 `json:"errors,omitempty"` // by Kafka's name
}

// LongestGap is the longest time between two neighbours in time, and when it began.
func LongestGap(times []time.Duration) (longest, at Seconds) {
	times = slices.Sorted(slices.Values(times))
	for i := 1; i < len(times); i++ {
		if gap := Seconds(times[i] - times[i-1]); gap > longest {
			longest, at = gap, Seconds(times[i-1])
		}
	}
	return longest, at
}

// worst are the partitions with the largest of some value, the worst first.
func (n *Numbers) worst(of func(PartitionNumbers) Seconds) (names []string) {
	for name, p := range n.Partitions {
		if of(p) > 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(of(n.Partitions[b]), of(n.Partitions[a])), cmp.Compare(a, b))
	})
	return names
}

func leaderless(p PartitionNumbers) Seconds { return p.Leaderless }
func belowMin(p PartitionNumbers) Seconds   { return p.BelowMinISR }

// quantiles is such as: 50% within 2.1ms, 99% 31ms, 99.9% 1.2s, slowest 4s.
func (d Durations) quantiles() string {
	return fmt.Sprintf("50%% within %s, 99%% %s, 99.9%% %s, slowest %s", d.P50.short(), d.P99.short(), d.P999.short(), d.Max.short())
}

// short is a time with three digits.
func (s Seconds) short() string { return Lasting(time.Duration(s)) }

// rows are the numbers as text: a label and a sentence each.
func (n *Numbers) rows() (rows [][2]string) {
	add := func(label, format string, args ...any) {
		rows = append(rows, [2]string{label, fmt.Sprintf(format, args...)})
	}
	if n.Ack.Count > 0 {
		add("acks", "%s; %s a second; longest pause %s, from %v", n.Ack.quantiles(), count(int64(n.Acknowledged)), n.LongestPause.short(), n.PauseAt)
	}
	if n.EndToEnd.Count > 0 {
		add("arrival", "%s, from being sent to a first consumer; %s a second", n.EndToEnd.quantiles(), count(int64(n.Delivered)))
	}
	cluster := []string{things(n.Elections, "election"), things(n.Shrinks, "ISR shrink"), things(n.Grows, "ISR grow")}
	for _, w := range []struct {
		of    func(PartitionNumbers) Seconds
		words string
	}{{leaderless, "without a leader"}, {belowMin, "below min.insync.replicas"}} {
		if names := n.worst(w.of); len(names) > 0 {
			cluster = append(cluster, fmt.Sprintf("%s %s %s%s", names[0], w.of(n.Partitions[names[0]]).short(), w.words, more(len(names)-1)))
		}
	}
	add("cluster", "%s", strings.Join(cluster, ", "))
	for _, group := range slices.Sorted(maps.Keys(n.Lag)) {
		lag := n.Lag[group]
		add("lag", "%s: at most %s records (at %v), %s at the end", group, count(lag.Max), lag.MaxAt, count(lag.End))
	}
	if n.Requests != nil {
		add("wire", "%s, %s in %s; %s appended to logs", n.requests(), bytesText(n.Wire), "requests and answers", bytesText(n.Disk))
	}
	return rows
}

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

// requests is such as: 48,966 requests (Fetch 31,020, Produce 12,001), 12 errors.
func (n *Numbers) requests() string {
	const most = 3
	var all, errors int64
	names := slices.SortedFunc(maps.Keys(n.Requests), func(a, b string) int {
		return cmp.Or(cmp.Compare(n.Requests[b].Count, n.Requests[a].Count), cmp.Compare(a, b))
	})
	var first []string
	for i, name := range names {
		r := n.Requests[name]
		all += r.Count
		for _, times := range r.Errors {
			errors += times
		}
		if i < most {
			first = append(first, name+" "+count(r.Count))
		}
	}
	return fmt.Sprintf("%s requests (%s), %s", count(all), strings.Join(first, ", "), things(int(errors), "error"))
}

func bytesText(n int64) string {
	switch {
	case n >= 10e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f kB", float64(n)/1e3)
}
