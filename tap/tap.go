// Package tap is a proxy in front of any Kafka cluster that judges the clients which
// pass through it, whatever language they are written in.
//
// It listens once for each broker, and rewrites the addresses in answers that name
// brokers, so that clients stay behind it. Nothing else is changed, and what it does
// not understand it passes on. Real time does not repeat: a seed means nothing here.
package tap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/workloads/fromwire"
)

// Config is what a proxy is started with.
type Config struct {
	// Upstream is a broker of the cluster, "host:port". The others are learned from it.
	Upstream string
	// Listen is "host:port" for the first broker; further ones have the ports that follow.
	// Port 0: any.
	Listen string
	// Upward, if set, is how to speak TLS with the brokers; Terminate, with the clients.
	Upward, Terminate *tls.Config
	// MostOperations is how many events the history may have: then the proxy goes on and
	// records no more. 0: no limit.
	MostOperations int64
	// DropEvery, if set, is how often all connections of clients are closed, as a broken
	// network does: what is under way then clients send again.
	DropEvery time.Duration
	// Live, if set, is called when an anomaly is certain while the proxy runs.
	Live func(checkers.Found)
	// Notice, if set, is called with what a person should know.
	Notice func(string)
}

// Tap is a running proxy.
type Tap struct {
	cfg      Config
	begun    time.Time
	mu       sync.Mutex // guards all below: clients are served by goroutines
	recorder *history.Recorder
	observer *fromwire.Observer
	live     *checkers.Live
	brokers  map[string]*front // by the broker's address
	lives    map[string]int
	process  int64
	full     bool
	conns    map[net.Conn]bool
	closed   bool
	ended    sync.WaitGroup
}

// front is where clients find a broker.
type front struct {
	listener net.Listener
	host     string
	port     int32
}

// Start listens in front of a cluster.
func Start(cfg Config) (*Tap, error) {
	t := &Tap{cfg: cfg, begun: time.Now(), recorder: history.NewRecorder(), brokers: map[string]*front{}, lives: map[string]int{}, conns: map[net.Conn]bool{}}
	t.observer = fromwire.New(t.recorder, func() time.Duration { return time.Since(t.begun) }, func() int64 { t.process++; return t.process - 1 })
	t.live = checkers.NewLive(t.recorder.History(), promisingNothing())
	t.recorder.Watch = t.watch
	if _, err := t.dial(cfg.Upstream); err != nil {
		return nil, fmt.Errorf("--upstream %s: %w", cfg.Upstream, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := t.front(cfg.Upstream); err != nil {
		return nil, fmt.Errorf("--listen %s: %w", cfg.Listen, err)
	}
	return t, nil
}

// promisingNothing is what is expected before anything was seen: what is then wrong
// is wrong under any configuration.
func promisingNothing() checkers.Expectations {
	var e checkers.Expectations
	for name, value := range map[string]string{"acks": "0", "enable.idempotence": "false", "retries": "2147483647"} {
		e.Set(name, value)
	}
	return e
}

// Addr is where clients find the cluster.
func (t *Tap) Addr() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.brokers[t.cfg.Upstream].listener.Addr().String()
}

func (t *Tap) watch(op *history.Op) {
	before := t.live.First
	t.live.Operation(op)
	if found := t.live.First; found != before && t.cfg.Live != nil && !(found.Anomaly == checkers.PhantomRead && t.observer.Transactions()) {
		t.cfg.Live(*found)
	}
}

// dial connects to a broker.
func (t *Tap) dial(addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	if t.cfg.Upward != nil {
		return tls.DialWithDialer(&d, "tcp", addr, t.cfg.Upward)
	}
	return d.Dial("tcp", addr)
}

// front is where clients find a broker; it listens there from now on. The lock is held.
func (t *Tap) front(broker string) (*front, error) {
	if f := t.brokers[broker]; f != nil {
		return f, nil
	}
	host, port, err := net.SplitHostPort(t.cfg.Listen)
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("port %q: expected a number", port)
	}
	if n > 0 {
		n += len(t.brokers)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(n)))
	if err != nil {
		return nil, err
	}
	f := &front{listener: l, host: host, port: int32(l.Addr().(*net.TCPAddr).Port)}
	t.brokers[broker] = f
	t.ended.Add(1)
	go t.accept(f, broker)
	t.notice(fmt.Sprintf("%s is in front of %s", l.Addr(), broker))
	return f, nil
}

func (t *Tap) notice(text string) {
	if t.cfg.Notice != nil {
		t.cfg.Notice(text)
	}
}

func (t *Tap) accept(f *front, broker string) {
	defer t.ended.Done()
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		if t.cfg.Terminate != nil {
			client = tls.Server(client, t.cfg.Terminate)
		}
		t.ended.Add(1)
		go func() {
			defer t.ended.Done()
			t.serve(client, broker)
		}()
	}
}

// hold keeps a connection until it is let go; false: the proxy ends.
func (t *Tap) hold(c net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		c.Close()
		return false
	}
	t.conns[c] = true
	return true
}

func (t *Tap) letGo(c net.Conn) {
	c.Close()
	t.mu.Lock()
	delete(t.conns, c)
	t.mu.Unlock()
}

// DropConnections closes all connections of clients, as a broken network does, and
// counts them.
func (t *Tap) DropConnections() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		c.Close()
	}
	return len(t.conns)
}

// Stop ends the proxy.
func (t *Tap) Stop() {
	t.mu.Lock()
	t.closed = true
	for _, f := range t.brokers {
		f.listener.Close()
	}
	for c := range t.conns {
		c.Close()
	}
	t.mu.Unlock()
	t.ended.Wait()
}

// Run runs until the context ends.
func (t *Tap) Run(ctx context.Context) {
	defer t.Stop()
	var drop <-chan time.Time
	if t.cfg.DropEvery > 0 {
		tick := time.NewTicker(t.cfg.DropEvery)
		defer tick.Stop()
		drop = tick.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-drop:
			t.DropConnections()
		}
	}
}

// Result is what was seen.
type Result struct {
	History   *history.History
	Judgement *checkers.Judgement
	Counts    fromwire.Counts
	// Full: the history had reached its limit, and what came later was not judged.
	Full bool
}

// Judge judges what was seen, by what the clients asked to be promised.
func (t *Tap) Judge(strict bool, given checkers.Expectations) Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.observer.Finish()
	t.observer.NotePositions()
	t.recorder.Note(history.Event{Type: history.Unknown, Actor: "ktrial tap", F: history.Config, Text: t.observer.Claims.Text(), Time: time.Since(t.begun)})
	return Result{
		History: t.recorder.History(), Judgement: checkers.Judge(t.recorder.History(), checkers.Options{Expect: given, Strict: strict}),
		Counts: t.observer.Counts, Full: t.full,
	}
}

// ErrNotKafka is what a client is refused with that does not speak Kafka's protocol.
var ErrNotKafka = errors.New("the bytes are not those of Kafka's protocol")
