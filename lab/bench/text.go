package bench

import (
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Text is the result for a person.
func (r *Result) Text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "bench with profile %s, seed %d, %g s of virtual time\n", r.Profile, r.Seed, r.Seconds)
	line("throughput", "%s records/s acknowledged, %.1f MiB/s%s", grouped(r.PerSecond), r.MBPerSec, r.offered())
	if r.ReadRate > 0 {
		line("consumed", "%s records/s", grouped(r.ReadRate))
	}
	line("publish", "%s", r.Publish.text())
	if r.EndToEnd.Count > 0 {
		line("end to end", "%s", r.EndToEnd.text())
	}
	line("batches", "%.1f records, %s bytes%s", r.BatchRecords, grouped(r.BatchBytes), r.ratio())
	line("requests", "%s produce/s, %s consumer fetches/s, %s at brokers/s", grouped(r.Requests["produce"]), grouped(r.Requests["consumer fetch"]), grouped(r.Requests["all"]))
	line("isr", "%d shrinks, %d expands; followers are %s records behind", r.ISRShrinks, r.ISRExpands, grouped(float64(r.ReplicationLag)))
	if r.Failed > 0 {
		line("failed", "%s records", grouped(float64(r.Failed)))
	}
	line("binds", "%s", r.Binds)
	b.WriteString("\n  where a record's time goes\n")
	for _, s := range r.Stages {
		fmt.Fprintf(&b, "    %9.3f ms  %s\n", s.Mean, s.Name)
	}
	b.WriteString("\n  busiest of each resource\n")
	seen := map[string]bool{}
	for _, u := range r.Resources {
		if !seen[u.Kind] {
			seen[u.Kind] = true
			fmt.Fprintf(&b, "    %8.1f%%  %s\n", 100*u.Busy, u.Name)
		}
	}
	if len(r.Missing) > 0 {
		fmt.Fprintf(&b, "\n  the profile lacks %s: that costs nothing here\n", strings.Join(r.Missing, ", "))
	}
	fmt.Fprintf(&b, "\n  %s events in %.1f s of wall time, trace hash %s\n", grouped(float64(r.Events)), r.WallSeconds, r.Hash)
	return b.String()
}

func (r *Result) offered() string {
	if r.Offered == 0 {
		return ""
	}
	return fmt.Sprintf(" of %s offered", grouped(r.Offered))
}

func (r *Result) ratio() string {
	if r.Ratio < 1.1 {
		return ""
	}
	return fmt.Sprintf(", compressed %.2f times", r.Ratio)
}

func (l *Latency) text() string {
	return fmt.Sprintf("mean %.3f ms, p50 %.3f, p75 %.3f, p95 %.3f, p99 %.3f, p99.9 %.3f, max %.1f", l.Mean, l.P50, l.P75, l.P95, l.P99, l.P999, l.Max)
}

// grouped is a number without fraction, with commas.
func grouped(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// columns of CSV, in order.
var columns = []struct {
	name  string
	value func(*Result) string
}{
	{"profile", func(r *Result) string { return r.Profile }},
	{"seed", func(r *Result) string { return fmt.Sprint(r.Seed) }},
	{"settings", func(r *Result) string { return r.settings() }},
	{"records_per_second", func(r *Result) string { return fmt.Sprintf("%.1f", r.PerSecond) }},
	{"mib_per_second", func(r *Result) string { return fmt.Sprintf("%.3f", r.MBPerSec) }},
	{"offered_per_second", func(r *Result) string { return fmt.Sprintf("%g", r.Offered) }},
	{"publish_mean_ms", func(r *Result) string { return fmt.Sprintf("%.3f", r.Publish.Mean) }},
	{"publish_p50_ms", func(r *Result) string { return fmt.Sprintf("%.3f", r.Publish.P50) }},
	{"publish_p95_ms", func(r *Result) string { return fmt.Sprintf("%.3f", r.Publish.P95) }},
	{"publish_p99_ms", func(r *Result) string { return fmt.Sprintf("%.3f", r.Publish.P99) }},
	{"publish_p999_ms", func(r *Result) string { return fmt.Sprintf("%.3f", r.Publish.P999) }},
	{"end_to_end_mean_ms", func(r *Result) string { return fmt.Sprintf("%.3f", r.EndToEnd.Mean) }},
	{"end_to_end_p50_ms", func(r *Result) string { return fmt.Sprintf("%.3f", r.EndToEnd.P50) }},
	{"end_to_end_p99_ms", func(r *Result) string { return fmt.Sprintf("%.3f", r.EndToEnd.P99) }},
	{"batch_records", func(r *Result) string { return fmt.Sprintf("%.2f", r.BatchRecords) }},
	{"batch_bytes", func(r *Result) string { return fmt.Sprintf("%.0f", r.BatchBytes) }},
	{"requests_per_second", func(r *Result) string { return fmt.Sprintf("%.1f", r.Requests["all"]) }},
	{"isr_shrinks", func(r *Result) string { return fmt.Sprint(r.ISRShrinks) }},
	{"binds", func(r *Result) string { return r.Binds }},
}

func (r *Result) settings() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.Config)) {
		all = append(all, name+"="+r.Config[name])
	}
	return strings.Join(all, " ")
}

// WriteCSV writes a line of column names and one for each result.
func WriteCSV(to io.Writer, results ...Result) error {
	w := csv.NewWriter(to)
	var line []string
	for _, c := range columns {
		line = append(line, c.name)
	}
	_ = w.Write(line) // the error is kept for Error
	for i := range results {
		line = line[:0]
		for _, c := range columns {
			line = append(line, c.value(&results[i]))
		}
		_ = w.Write(line)
	}
	w.Flush()
	return w.Error()
}
