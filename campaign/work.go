package campaign

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Worker plays items until the campaign is over.
type Worker struct {
	URL     string // of the server
	Name    string // that the board shows; each worker needs its own
	Program string // the ktrial that plays
	Jobs    int    // worlds at the same time; 0: as many as there are processors
	Log     io.Writer

	nc    *nats.Conn
	js    jetstream.JetStream
	spec  Spec
	doing atomic.Pointer[Item] // nil: none
	done  atomic.Int64
}

// beat is what a worker says of itself now and then.
type beat struct {
	Worker string `json:"worker"`
	Item   *Item  `json:"item,omitempty"`
	Done   int64  `json:"done"` // items
}

// Run works. Without an error the campaign is over.
func (w *Worker) Run(ctx context.Context) error {
	var err error
	if w.nc, err = nats.Connect(w.URL, nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.Name(w.Name)); err != nil {
		return fmt.Errorf("join %s: %w", w.URL, err)
	}
	defer w.nc.Close()
	if w.js, err = jetstream.New(w.nc); err != nil {
		return err
	}
	state, err := w.join(ctx)
	if err != nil {
		return err
	}
	ctx, over := context.WithCancelCause(ctx)
	defer over(nil)
	go w.watch(ctx, state, over)
	go w.beats(ctx)
	for ctx.Err() == nil {
		if err := w.next(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintf(w.Log, "%s: %v\n", w.Name, err)
			sleep(ctx, time.Second)
		}
	}
	if err := context.Cause(ctx); !errors.Is(err, errOver) {
		return err
	}
	return nil
}

// errOver: there is nothing left to do.
var errOver = errors.New("the campaign is over")

// join waits for the server to have the campaign ready, and reads it.
func (w *Worker) join(ctx context.Context) (jetstream.KeyValue, error) {
	for {
		state, err := w.js.KeyValue(ctx, stateBucket)
		var entry jetstream.KeyValueEntry
		if err == nil {
			entry, err = state.Get(ctx, specKey)
		}
		if err == nil {
			return state, json.Unmarshal(entry.Value(), &w.spec)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		sleep(ctx, 500*time.Millisecond)
	}
}

// watch ends the work when the campaign is over.
func (w *Worker) watch(ctx context.Context, state jetstream.KeyValue, over context.CancelCauseFunc) {
	for ctx.Err() == nil {
		if _, err := state.Get(ctx, overKey); err == nil {
			over(errOver)
			return
		}
		sleep(ctx, time.Second)
	}
}

func (w *Worker) beats(ctx context.Context) {
	for ctx.Err() == nil {
		if text, err := json.Marshal(beat{w.Name, w.doing.Load(), w.done.Load()}); err == nil {
			_ = w.nc.Publish(beatSubject, text) // the board does without it
		}
		sleep(ctx, time.Second)
	}
}

// next plays one item, if there is one.
func (w *Worker) next(ctx context.Context) error {
	work, err := w.js.Consumer(ctx, workStream, workers)
	if err != nil {
		return err
	}
	msg, err := work.Next(jetstream.FetchMaxWait(2 * time.Second))
	if errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoMessages) {
		return nil
	}
	if err != nil {
		return err
	}
	var item Item
	if err := json.Unmarshal(msg.Data(), &item); err != nil {
		return errors.Join(err, msg.Term())
	}
	w.doing.Store(&item)
	defer w.doing.Store(nil)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go w.holds(ctx, msg)
	if err := w.play(ctx, item); err != nil {
		return errors.Join(fmt.Errorf("seeds %v: %w", item, err), msg.NakWithDelay(time.Second))
	}
	w.done.Add(1)
	return msg.DoubleAck(ctx)
}

// holds says that the item is in work, as long as it is.
func (w *Worker) holds(ctx context.Context, msg jetstream.Msg) {
	for sleep(ctx, w.spec.Patience/4) {
		_ = msg.InProgress() // one that is not heard is followed by the next
	}
}

// play has ktrial play an item, and hands in its directory.
func (w *Worker) play(ctx context.Context, item Item) error {
	dir, err := os.MkdirTemp("", "ktrial-campaign-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	part := filepath.Join(dir, item.dir())
	args := []string{"hunt"}
	args = append(args, w.spec.Hunt...)
	args = append(args, "--seeds", item.String(), "--out", part, "--shrink", "0")
	if w.Jobs > 0 {
		args = append(args, "--jobs", fmt.Sprint(w.Jobs))
	}
	var says bytes.Buffer
	c := exec.CommandContext(ctx, w.Program, args...)
	c.Stderr = &says
	dieWithParent(c)
	err = c.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// Exit codes below 64 are verdicts; 70 is a run without one, which is in the results, too.
	if code := c.ProcessState.ExitCode(); err != nil && (code < 0 || code >= 64 && code != 70) {
		return fmt.Errorf("%v: %w: %s", c, err, lastLine(says.String()))
	}
	return w.handIn(ctx, item, part)
}

// handIn stores the directory, and then says so.
func (w *Worker) handIn(ctx context.Context, item Item, part string) error {
	dirs, err := w.js.ObjectStore(ctx, dirBucket)
	if err != nil {
		return err
	}
	r := result{Item: item, Worker: w.Name, Object: fmt.Sprintf("%s of %s at %d", item.dir(), w.Name, time.Now().UnixNano())}
	in, out := io.Pipe()
	go func() { out.CloseWithError(pack(out, part)) }()
	_, err = dirs.Put(ctx, jetstream.ObjectMeta{Name: r.Object}, in)
	in.Close()
	if err != nil {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = w.js.Publish(ctx, resultSubject, text)
	return err
}

// sleep waits; false: the context has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func lastLine(text string) string {
	lines := bytes.Split(bytes.TrimSpace([]byte(text)), []byte("\n"))
	return string(lines[len(lines)-1])
}
