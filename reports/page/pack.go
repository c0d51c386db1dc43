package page

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// packed is what the page reads, as JSON, compressed with gzip.
type packed struct {
	Format string       `json:"format"`
	About  string       `json:"about"`
	Report *reports.Run `json:"report"`
	// Story is the violation that the page is about, or the example of what is allowed.
	Story  *reports.Violation `json:"story"`
	Hosts  []string           `json:"hosts"`
	Kinds  []string           `json:"kinds"`
	Events []json.RawMessage  `json:"events"` // [nanoseconds since the last, host, kind, fields, sentence]
	// Left is how many events of a kind were left out, by kind.
	Left map[string]int `json:"left"`
	End  int64          `json:"end"` // nanoseconds
}

// format names what the page reads, and its version.
const format = "ktrial-page/1"

// dull are the events that no lane and no sentence shows: seven tenths of a trace.
// Each says what another one says too, a moment before or after.
var dull = map[string]bool{
	"appending": true, "truncating": true, "log-restarting": true, "quorum-appending": true, "quorum-truncating": true,
	"read-served": true, "end-served": true, "follower-fetched": true, "produce-acked": true, "isr-counted": true,
	"metadata-applied": true, "quorum-appended": true, "quorum-committed": true, "quorum-flushed": true, "epochs-cached": true,
	"controller-answered": true, "broker-committed": true, "isr-expand-proposed": true, "epoch-refused": true,
}

// messages are shown only around a step of the story: all of them tell nothing.
var messages = map[string]bool{
	"request-sent": true, "request-arrived": true, "answer-sent": true, "answer-arrived": true, "request-abandoned": true,
	"connection-opened": true, "connection-accepted": true, "connection-ended": true, "dial-failed": true,
}

// near is how far from a step a message may be.
const near = 1500 * time.Microsecond

// pack packs the run. The same run gives the same bytes.
func (p Page) pack() ([]byte, error) {
	out := packed{Format: format, About: p.About, Report: p.Run, Story: p.Run.Main(), Left: map[string]int{}}
	steps := stepsOf(out.Story)
	hosts, kinds := numbers{}, numbers{}
	last := time.Duration(0)
	for e := range p.Events {
		kind := e.Event.Kind()
		switch {
		case dull[kind.Name], messages[kind.Name] && !steps.near(e.At):
			out.Left[kind.Name]++
			continue
		}
		fields, err := json.Marshal(e.Event)
		if err != nil {
			return nil, fmt.Errorf("event %s at %v: %w", kind.Name, e.At, err)
		}
		var line bytes.Buffer
		fmt.Fprintf(&line, "[%d,%d,%d,%s", e.At-last, hosts.of(e.Host), kinds.of(kind.Name), fields)
		if kind.Weight == ledger.Notable {
			say, err := json.Marshal(e.Event.Sentence())
			if err != nil {
				return nil, fmt.Errorf("event %s at %v: %w", kind.Name, e.At, err)
			}
			fmt.Fprintf(&line, ",%s", say)
		}
		line.WriteByte(']')
		out.Events = append(out.Events, line.Bytes())
		last = e.At
	}
	out.Hosts, out.Kinds = hosts.names(), kinds.names()
	out.End = int64(p.Run.VirtualSeconds * 1e9)
	return compressed(out)
}

func compressed(v any) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(z).Encode(v); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// numbers numbers names in the order in which they are met.
type numbers map[string]int

func (n numbers) of(name string) int {
	i, known := n[name]
	if !known {
		i = len(n)
		n[name] = i
	}
	return i
}

func (n numbers) names() []string {
	out := make([]string, len(n))
	for name, i := range n { //det:allow each has its index
		out[i] = name
	}
	return out
}

// steps are the times of a story, in order.
type steps []time.Duration

func stepsOf(v *reports.Violation) (out steps) {
	if v == nil {
		return nil
	}
	for _, m := range v.Story {
		out = append(out, time.Duration(m.At))
	}
	return out
}

// near reports whether a step is close to a time.
func (s steps) near(at time.Duration) bool {
	for _, step := range s {
		if at >= step-near && at <= step+near {
			return true
		}
	}
	return false
}
