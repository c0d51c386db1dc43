package checkers

import (
	"fmt"
	"strings"
)

// String is the judgement for a terminal: the verdict, then each anomaly with
// its count and the proof of its first instance, causes before what follows from
// them, then what is permitted, told as fully.
func (j *Judgement) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", j.File, j.Verdict)
	if j.Config != "" {
		fmt.Fprintf(&b, "  judged under %s\n", j.Config)
	}
	for _, note := range j.Notes {
		fmt.Fprintf(&b, "  %s\n", note)
	}
	j.writeBroken(&b)
	j.writeRules(&b)
	for _, p := range j.Allowed {
		if p.Legal {
			continue
		}
		fmt.Fprintf(&b, "  allowed: %d %s (%s)\n", p.Count, p.Anomaly, p.Reason)
		writeInstance(&b, &p.Example)
	}
	for _, p := range j.Allowed {
		if p.Legal {
			fmt.Fprintf(&b, "  legal: %d %s (%s)\n", p.Count, p.Anomaly, p.Reason)
		}
	}
	if len(j.Ignored) > 0 {
		fmt.Fprintf(&b, "  ignored: %s\n", strings.Join(j.Ignored, ", "))
	}
	e := j.Examined
	fmt.Fprintf(&b, "  examined %d operations, %d acknowledged records, %d read of them, %d polled in all\n",
		e.Operations, e.Acknowledged, e.Both, e.Polled)
	return b.String()
}

// writeBroken tells of what nothing permits: first what stands for itself, then
// what follows from it, and what cannot be known.
func (j *Judgement) writeBroken(b *strings.Builder) {
	var followed, undecided []string
	for i := range j.Anomalies {
		r := &j.Anomalies[i]
		if r.Undecided > 0 {
			undecided = append(undecided, fmt.Sprintf("  undecided: %d %s (%s)\n    %s\n", r.Undecided, r.Anomaly, r.undecided().Undecided, r.undecided().Message))
		}
		if r.Broken() == 0 {
			continue
		}
		if cause := r.followsFrom(); cause != "" {
			followed = append(followed, fmt.Sprintf("    %s: %d, from %s: %s\n", r.Anomaly, r.Broken(), cause, r.Instances[0].Message))
			continue
		}
		fmt.Fprintf(b, "  %s: %d", r.Anomaly, r.Count)
		if more := r.Count - r.Broken(); more > 0 {
			fmt.Fprintf(b, ", of which %d permitted", more)
		}
		b.WriteByte('\n')
		if len(r.Instances) > 0 {
			writeInstance(b, &r.Instances[0])
		}
	}
	if len(followed) > 0 {
		b.WriteString("  and what follows from it\n" + strings.Join(followed, ""))
	}
	b.WriteString(strings.Join(undecided, ""))
}

// writeRules tells of the rules of the application, each with what broke it first.
func (j *Judgement) writeRules(b *strings.Builder) {
	for i := range j.Rules {
		r := &j.Rules[i]
		fmt.Fprintf(b, "  %s: %s, checked %d times\n", r.Name, r.Verdict, r.Checked)
		if len(r.Broken) == 0 {
			continue
		}
		fmt.Fprintf(b, "    %s\n      operations %s\n", r.Broken[0].Message, strings.Trim(fmt.Sprint(r.Broken[0].Ops), "[]"))
		if more := len(r.Broken) - 1; more > 0 {
			fmt.Fprintf(b, "    and %d more\n", more)
		}
	}
}

// followsFrom is the anomaly from which all broken instances that are told
// follow; empty if some stand for themselves.
func (r *Report) followsFrom() (cause string) {
	for i := range r.Instances {
		if in := &r.Instances[i]; in.Permitted == "" && in.Undecided == "" {
			if in.Follows == "" {
				return ""
			}
			if cause == "" {
				cause = in.Follows
			}
		}
	}
	if r.Broken() > keptFindings {
		return ""
	}
	return cause
}

func (r *Report) undecided() *Instance {
	for i := range r.Instances {
		if r.Instances[i].Undecided != "" {
			return &r.Instances[i]
		}
	}
	return &Instance{}
}

// writeInstance tells an instance in full: what was seen, the argument, the lanes.
func writeInstance(b *strings.Builder, in *Instance) {
	fmt.Fprintf(b, "    %s\n", in.Message)
	for _, line := range in.Proof {
		fmt.Fprintf(b, "      %s\n", line)
	}
	for line := range strings.Lines(in.Lanes) {
		fmt.Fprintf(b, "      %s", line)
	}
}
