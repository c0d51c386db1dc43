// Package kgohook has a program that uses franz-go tell a trial what became of its records:
// kgo.WithHooks(kgohook.New(os.Stdout)).
//
// Without it a trial reads what a program did off its connections, which is exact about the
// log and says nothing of the program: whether an answer still reached it, or it had given
// up. With it each record carries a name in a header, and the program writes a line when it
// begins to count on a record and one when it hears how that ended. Outside of a trial the
// lines are no more than lines.
package kgohook

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Header is the header that carries a record's name.
const Header = "ktrial"

// Hook tells of the records of one client. It is for all goroutines.
type Hook struct {
	out  io.Writer
	life string // unlike that of any other start of any program

	mu      sync.Mutex
	sent    int64
	telling map[*kgo.Record]told
	free    []int64 // processes that tell of nothing
}

// told is a record that is under way.
type told struct {
	process int64
	name    string
}

// New makes a hook that writes to a program's standard output.
func New(out io.Writer) *Hook {
	host, _ := os.Hostname()
	if name := os.Getenv("HOSTNAME"); name != "" {
		host = name
	}
	return &Hook{out: out, life: fmt.Sprintf("%s.%04x", host, rand.N(1<<16)), telling: map[*kgo.Record]told{}}
}

// OnProduceRecordBuffered implements kgo.HookProduceRecordBuffered: the record is named. One
// that has a name already its program tells of itself, or sends again.
func (h *Hook) OnProduceRecordBuffered(r *kgo.Record) {
	for _, header := range r.Headers {
		if header.Key == Header {
			return
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent++
	t := told{process: int64(len(h.telling)), name: fmt.Sprintf("%s#%s.%d", shown(r.Value), h.life, h.sent)}
	if n := len(h.free); n > 0 {
		t.process, h.free = h.free[n-1], h.free[:n-1]
	}
	h.telling[r] = t
	r.Headers = append(r.Headers[:len(r.Headers):len(r.Headers)], kgo.RecordHeader{Key: Header, Value: []byte(t.name)})
	h.line(event{Type: "invoke", Process: t.process, Value: send(r.Topic, t.name)})
}

// OnProduceRecordUnbuffered implements kgo.HookProduceRecordUnbuffered. After an error the
// record may have been written, or may yet be.
func (h *Hook) OnProduceRecordUnbuffered(r *kgo.Record, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, is := h.telling[r]
	if !is {
		return
	}
	delete(h.telling, r)
	h.free = append(h.free, t.process)
	e := event{Type: "ok", Process: t.process, Value: send(fmt.Sprintf("%s/%d", r.Topic, r.Partition), []any{r.Offset, t.name})}
	switch {
	case err != nil:
		e.Type, e.Error, e.Value = "info", err.Error(), nil
	case r.Offset < 0: // acks=0
		e.Value = nil
	}
	h.line(e)
}

// event is one of a history, as docs/history.md has them.
type event struct {
	Type    string `json:"type"`
	Process int64  `json:"process"`
	F       string `json:"f"`
	Value   any    `json:"value,omitempty"`
	Error   string `json:"error,omitempty"`
}

func send(key string, value any) any { return []any{[]any{"send", key, value}} }

func (h *Hook) line(e event) {
	e.F = "send"
	text, err := json.Marshal(e)
	if err != nil {
		panic("kgohook: " + err.Error())
	}
	fmt.Fprintf(h.out, "ktrial %s\n", text)
}

// shown is what people see of a value.
func shown(value []byte) string {
	const most = 40
	if len(value) > most {
		return ""
	}
	for rest := value; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ""
		}
		rest = rest[n:]
	}
	return string(value)
}
