package sessions

import (
	"bufio"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Script is what Apache Kafka answered to one session, step by step. It is
// recorded beside a running Kafka and read by the tests, which need none.
type Script struct {
	steps []told
	next  int
}

// told is one step: which request it was, and the answer.
type told struct {
	step, request string
	answer        answer
}

// ordinary are values that nearly every field has: what is not there has one
// of them.
var ordinary = map[string]bool{"0": true, "NONE": true, "false": true}

// visible is an answer without them.
func visible(a answer) answer {
	out := answer{}
	for path, value := range a {
		if !ordinary[value] {
			out[path] = value
		}
	}
	return out
}

func (t *Script) add(step, request string, a answer) {
	t.steps = append(t.steps, told{step, request, visible(a)})
}

// take is Kafka's answer to the next step.
func (t *Script) take(step, request string) (answer, error) {
	if t.next == len(t.steps) {
		return nil, fmt.Errorf("step %q: the transcript has ended", step)
	}
	s := t.steps[t.next]
	t.next++
	if s.step != step || s.request != request {
		return nil, fmt.Errorf("step %q with %s: the transcript has %q with %s; record it anew", step, request, s.step, s.request)
	}
	return s.answer, nil
}

// waitsNext reports whether the next step is of a request that had to wait.
func (t *Script) waitsNext() bool {
	return t.next < len(t.steps) && t.steps[t.next].answer["!waits"] == "true"
}

// String is the script as it is kept.
func (t *Script) String() string {
	var b strings.Builder
	for _, s := range t.steps {
		fmt.Fprintf(&b, "%q %s\n", s.step, s.request)
		for _, path := range slices.Sorted(maps.Keys(s.answer)) {
			fmt.Fprintf(&b, "\t%s = %q\n", path, s.answer[path])
		}
	}
	return b.String()
}

// readScript reads what String made; name is for errors.
func readScript(name, text string) (*Script, error) {
	t := &Script{}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if field, ok := strings.CutPrefix(line, "\t"); ok && len(t.steps) > 0 {
			at := strings.Index(field, " = ")
			value, err := strconv.Unquote(field[at+3:])
			if err != nil {
				return nil, fmt.Errorf("%s: %q: %w", name, line, err)
			}
			t.steps[len(t.steps)-1].answer[field[:at]] = value
			continue
		}
		var s told
		quoted, err := strconv.QuotedPrefix(line)
		if err == nil {
			s.step, err = strconv.Unquote(quoted)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", name, line, err)
		}
		s.request = strings.TrimPrefix(line[len(quoted):], " ")
		s.answer = answer{}
		t.steps = append(t.steps, s)
	}
	return t, lines.Err()
}
