// Package browser drives a headless Chromium for tests of pages. It speaks the
// browser's debugging protocol over a pipe, so that no port is opened, and needs
// nothing but the browser itself.
package browser

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// names are those under which the browser is installed.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless_shell"}

// Find is the program of the browser; empty: there is none on this machine.
func Find() string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Browser is a running browser, without a network.
type Browser struct {
	cmd     *exec.Cmd
	to      *os.File
	from    *os.File
	dir     string
	mu      sync.Mutex
	last    int
	answers map[int]chan answer
	events  func(session, method string, params json.RawMessage)
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// Start starts the browser, which keeps what it writes in a directory of its own.
func Start(program string) (*Browser, error) {
	dir, err := os.MkdirTemp("", "ktrial-browser-")
	if err != nil {
		return nil, err
	}
	ours, theirs, err := os.Pipe() // what it reads
	if err != nil {
		return nil, err
	}
	back, write, err := os.Pipe() // what it writes
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run", "--disable-extensions",
		"--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking", "--user-data-dir="+dir, "about:blank")
	cmd.ExtraFiles = []*os.File{ours, write}
	b := &Browser{cmd: cmd, dir: dir, to: theirs, from: back, answers: map[int]chan answer{}}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ours.Close()
	write.Close()
	go b.read()
	return b, nil
}

// Close ends the browser.
func (b *Browser) Close() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
	b.to.Close()
	b.from.Close()
	for range 10 { // its children may write for a moment longer
		if os.RemoveAll(b.dir) == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (b *Browser) read() {
	in := bufio.NewReaderSize(b.from, 1<<20)
	for {
		text, err := in.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			for _, c := range b.answers {
				close(c)
			}
			b.answers = nil
			b.mu.Unlock()
			return
		}
		var m struct {
			ID        int
			SessionID string
			Method    string
			Params    json.RawMessage
			answer
		}
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		c, events := b.answers[m.ID], b.events
		delete(b.answers, m.ID)
		b.mu.Unlock()
		switch {
		case c != nil:
			c <- m.answer
		case m.Method != "" && events != nil:
			events(m.SessionID, m.Method, m.Params)
		}
	}
}

// patience is how long an answer of the browser may take: machines of a CI are slow.
const patience = time.Minute

func (b *Browser) call(session, method string, params, result any) error {
	c := make(chan answer, 1)
	b.mu.Lock()
	if b.answers == nil {
		b.mu.Unlock()
		return fmt.Errorf("browser: %s: it has ended", method)
	}
	b.last++
	id := b.last
	b.answers[id] = c
	b.mu.Unlock()
	if params == nil {
		params = struct{}{}
	}
	text, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params, "sessionId": session})
	if session == "" {
		text, err = json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	}
	if err != nil {
		return err
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		return fmt.Errorf("browser: %s: %w", method, err)
	}
	select {
	case a, ok := <-c:
		switch {
		case !ok:
			return fmt.Errorf("browser: %s: it has ended", method)
		case a.Error != nil:
			return fmt.Errorf("browser: %s: %s", method, a.Error.Message)
		case result != nil:
			return json.Unmarshal(a.Result, result)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("browser: %s: no answer within %v", method, patience)
	}
}

// Tab is a page that is shown.
type Tab struct {
	b       *Browser
	session string
	mu      sync.Mutex
	// errors of the console, exceptions, and refusals of the content security policy;
	// requests are the addresses that were asked for.
	errors, requests []string
}

// Open opens a page of a size in CSS pixels.
func (b *Browser) Open(url string, width, height int) (*Tab, error) {
	var target struct{ TargetID string }
	if err := b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		return nil, err
	}
	var attached struct{ SessionID string }
	if err := b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached); err != nil {
		return nil, err
	}
	t := &Tab{b: b, session: attached.SessionID}
	b.mu.Lock()
	b.events = t.event
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		if err := b.call(t.session, domain+".enable", nil, nil); err != nil {
			return nil, err
		}
	}
	if err := t.Resize(width, height); err != nil {
		return nil, err
	}
	return t, t.Go(url)
}

// Go opens another page in the tab.
func (t *Tab) Go(url string) error {
	return t.b.call(t.session, "Page.navigate", map[string]any{"url": url}, nil)
}

func (t *Tab) event(session, method string, params json.RawMessage) {
	if session != t.session {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var p struct {
		Type             string
		Args             []struct{ Value, Description any }
		Entry            struct{ Level, Text string }
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
		Request struct{ URL string }
	}
	_ = json.Unmarshal(params, &p)
	switch method {
	case "Runtime.exceptionThrown":
		t.errors = append(t.errors, p.ExceptionDetails.Text+" "+p.ExceptionDetails.Exception.Description)
	case "Runtime.consoleAPICalled":
		if p.Type == "error" || p.Type == "warning" {
			t.errors = append(t.errors, fmt.Sprint(p.Args))
		}
	case "Log.entryAdded":
		if p.Entry.Level == "error" {
			t.errors = append(t.errors, p.Entry.Text)
		}
	case "Network.requestWillBeSent":
		t.requests = append(t.requests, p.Request.URL)
	}
}

// Errors are those of the console so far.
func (t *Tab) Errors() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.errors...)
}

// Requests are the addresses that the page asked for so far, itself included.
func (t *Tab) Requests() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.requests...)
}

// Resize shows the page in another size.
func (t *Tab) Resize(width, height int) error {
	return t.b.call(t.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// Eval evaluates JavaScript in the page, and reads the value, which may be promised,
// into result.
func (t *Tab) Eval(script string, result any) error {
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := t.b.call(t.session, "Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true}, &out)
	switch {
	case err != nil:
		return err
	case out.ExceptionDetails != nil:
		return fmt.Errorf("browser: %s: %s %s", script, out.ExceptionDetails.Text, out.ExceptionDetails.Exception.Description)
	case result == nil:
		return nil
	case len(out.Result.Value) == 0:
		return fmt.Errorf("browser: %s: no value", script)
	}
	return json.Unmarshal(out.Result.Value, result)
}

// Press presses a key as a person does: a character, or one with a name, such as Tab.
func (t *Tab) Press(key string) error {
	down := map[string]any{"type": "keyDown", "key": key}
	if code, named := codes[key]; named {
		down["windowsVirtualKeyCode"], down["code"] = code, key
	} else {
		down["text"] = key
	}
	if err := t.b.call(t.session, "Input.dispatchKeyEvent", down, nil); err != nil {
		return err
	}
	return t.b.call(t.session, "Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key}, nil)
}

var codes = map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}

// WaitFor waits until a condition of the page holds. An error of the page ends it.
func (t *Tab) WaitFor(condition string) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var holds bool
		if err := t.Eval("!!("+condition+")", &holds); err == nil && holds {
			return nil
		}
		if errors := t.Errors(); len(errors) > 0 {
			return fmt.Errorf("browser: waiting for %s: the page has errors: %v", condition, errors)
		}
	}
	return fmt.Errorf("browser: not within %v: %s; errors: %v", patience, condition, t.Errors())
}
