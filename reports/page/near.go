package page

import (
	"iter"
	"net"
	"slices"
	"time"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// messages are shown only around a step of the story: all of them tell nothing.
var messages = map[string]bool{
	"request-sent": true, "request-arrived": true, "answer-sent": true, "answer-arrived": true, "request-abandoned": true,
	"connection-opened": true, "connection-accepted": true, "connection-ended": true, "dial-failed": true,
}

// near is how far from a step a message may be.
const near = 1500 * time.Microsecond

// story knows which messages are near its steps: those between hosts of the story of
// which an end is near a step in time.
type story struct {
	steps  []time.Duration
	hosts  map[string]bool
	fields map[*ledger.Kind]*fields
	kept   map[message]bool
}

// message names a request and its answer.
type message struct {
	client, server string
	number         int64
}

func storyOf(v *reports.Violation, events iter.Seq[*ledger.Entry]) *story {
	s := &story{hosts: map[string]bool{}, fields: map[*ledger.Kind]*fields{}, kept: map[message]bool{}}
	if v == nil {
		return s
	}
	if v.Why != nil {
		for _, step := range v.Why.Steps {
			s.steps = append(s.steps, time.Duration(step.At))
			s.hosts[step.Host] = true
		}
	} else {
		for _, m := range v.Story {
			s.steps = append(s.steps, time.Duration(m.At))
			s.hosts[m.Who] = true
		}
	}
	slices.Sort(s.steps)
	for e := range events {
		if len(s.steps) == 0 || e.At > s.steps[len(s.steps)-1]+near {
			break
		}
		if !s.near(e.At) || !messages[e.Event.Kind().Name] {
			continue
		}
		if m, ok := s.message(e); ok && s.hosts[hostOf(m.client)] && s.hosts[hostOf(m.server)] {
			s.kept[m] = true
		}
	}
	return s
}

// keeps reports whether an event of a message is kept.
func (s *story) keeps(e *ledger.Entry) bool {
	if len(s.kept) == 0 {
		return false
	}
	m, ok := s.message(e)
	return ok && s.kept[m]
}

// message is that of an event; of a connection alone there is none.
func (s *story) message(e *ledger.Entry) (message, bool) {
	kind := e.Event.Kind()
	f, known := s.fields[kind]
	if !known {
		f = fieldsOf(e.Event, inColumns[kind.Name])
		s.fields[kind] = f
	}
	if f == nil {
		return message{}, false
	}
	v := f.of(e.Event)
	return message{f.text(v, "client_addr"), f.text(v, "server_addr"), f.int(v, "correlation_id")}, true
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// near reports whether a step is close to a time.
func (s *story) near(at time.Duration) bool {
	for _, step := range s.steps {
		if at >= step-near && at <= step+near {
			return true
		}
	}
	return false
}

// aroundStory is how far from its steps a story goes on.
const aroundStory = 5 * time.Second

// around reports whether a time is within the story, or a few seconds from it.
func (s *story) around(at time.Duration) bool {
	if len(s.steps) == 0 {
		return false
	}
	return at >= s.steps[0]-aroundStory && at <= s.steps[len(s.steps)-1]+aroundStory
}
