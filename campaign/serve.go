package campaign

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Server has a campaign, and takes in what workers find.
type Server struct {
	Spec Spec
	Dir  string // of the results: a directory for each item, as `ktrial hunt --out` keeps it
	// Listen is the address of the server for workers; it is made here. NATS, if it is
	// set, is the URL of one that is there already.
	Listen, NATS string
	Token        string // that workers need; empty: none
	// Board is the address of the board, over HTTP; empty: none.
	Board string
	// StopAt ends the campaign after so many failing runs; 0: it goes on.
	StopAt int
	// Ready is called with the URL for workers when they may come.
	Ready func(url string)
	Log   io.Writer

	js    jetstream.JetStream
	state jetstream.KeyValue
	dirs  jetstream.ObjectStore
	board board
}

// Run serves the campaign until it is over, and says why it is: all items are done, or
// enough has failed. One that was ended before goes on in the same directory.
func (s *Server) Run(ctx context.Context) (why string, err error) {
	if err := s.Spec.Check(); err != nil {
		return "", err
	}
	if err := s.Spec.enter(s.Dir); err != nil {
		return "", err
	}
	url, shutdown, err := s.nats()
	if err != nil {
		return "", err
	}
	defer shutdown()
	nc, err := nats.Connect(url, nats.Name("ktrial-campaign serve"), nats.MaxReconnects(-1))
	if err != nil {
		return "", fmt.Errorf("connect to %s: %w", url, err)
	}
	defer nc.Close()
	if s.js, err = jetstream.New(nc); err != nil {
		return "", err
	}
	if err := s.countEarlier(); err != nil {
		return "", err
	}
	if err := s.offer(ctx); err != nil {
		return "", err
	}
	if err := s.show(nc); err != nil {
		return "", err
	}
	if s.Ready != nil {
		s.Ready(url)
	}
	if why, err = s.collect(ctx); err != nil {
		return "", err
	}
	if _, err := s.state.PutString(ctx, overKey, why); err != nil {
		return "", err
	}
	sleep(ctx, 3*time.Second) // workers look once a second
	return why, nil
}

// nats is the URL of the server for workers, and what ends it.
func (s *Server) nats() (url string, shutdown func(), err error) {
	if s.NATS != "" {
		return s.NATS, func() {}, nil
	}
	host, portText, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return "", nil, fmt.Errorf("listen on %q: %w", s.Listen, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return "", nil, fmt.Errorf("listen on %q: %w", s.Listen, err)
	}
	if port == 0 {
		port = natsserver.RANDOM_PORT
	}
	n, err := natsserver.NewServer(&natsserver.Options{
		Host: host, Port: port, Authorization: s.Token, JetStream: true, StoreDir: filepath.Join(s.Dir, "jetstream"), NoSigs: true, NoLog: true,
	})
	if err != nil {
		return "", nil, err
	}
	n.Start()
	if !n.ReadyForConnections(10 * time.Second) {
		n.Shutdown()
		return "", nil, fmt.Errorf("listen on %s: found no NATS server after 10s", s.Listen)
	}
	addr := n.Addr().String()
	if s.Token != "" {
		addr = s.Token + "@" + addr
	}
	return "nats://" + addr, func() { n.Shutdown(); n.WaitForShutdown() }, nil
}

// offer puts the items that are missing into the stream of work. What an earlier server
// has left there goes: what its workers hand in late is taken all the same.
func (s *Server) offer(ctx context.Context) (err error) {
	if s.state, err = s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: stateBucket}); err != nil {
		return err
	}
	if err := s.state.Purge(ctx, overKey); err != nil {
		return err
	}
	if s.dirs, err = s.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: dirBucket}); err != nil {
		return err
	}
	if _, err := s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: resultStream, Subjects: []string{resultSubject}, Retention: jetstream.WorkQueuePolicy}); err != nil {
		return err
	}
	if err := s.js.DeleteStream(ctx, workStream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	work, err := s.js.CreateStream(ctx, jetstream.StreamConfig{Name: workStream, Subjects: []string{workSubject}, Retention: jetstream.WorkQueuePolicy})
	if err != nil {
		return err
	}
	if _, err := work.CreateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: workers, AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.Spec.Patience, MaxDeliver: -1, MaxAckPending: -1,
	}); err != nil {
		return err
	}
	for _, item := range s.Spec.missing(s.Dir) {
		text, err := json.Marshal(item)
		if err != nil {
			return err
		}
		if _, err := s.js.Publish(ctx, workSubject, text); err != nil {
			return err
		}
	}
	text, err := json.Marshal(s.Spec)
	if err == nil {
		_, err = s.state.Put(ctx, specKey, text)
	}
	return err
}

// collect takes in results until the campaign is over.
func (s *Server) collect(ctx context.Context) (why string, err error) {
	results, err := s.js.CreateOrUpdateConsumer(ctx, resultStream, jetstream.ConsumerConfig{Durable: server, AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1})
	if err != nil {
		return "", err
	}
	for {
		if why := s.board.over(s.StopAt); why != "" {
			return why, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		msg, err := results.Next(jetstream.FetchMaxWait(time.Second))
		if err != nil {
			continue // none has come, or the server is away for a moment
		}
		if err := s.take(ctx, msg); err != nil {
			fmt.Fprintf(s.Log, "ktrial-campaign: a result that is not taken: %v\n", err)
			_ = msg.NakWithDelay(time.Second)
		}
	}
}

// take makes the directory of an item from what was handed in. It is acknowledged when it is
// there under its name: killed before, the server takes it again.
func (s *Server) take(ctx context.Context, msg jetstream.Msg) error {
	var r result
	if err := json.Unmarshal(msg.Data(), &r); err != nil {
		return errors.Join(err, msg.Term())
	}
	dir := filepath.Join(s.Dir, r.Item.dir())
	if _, err := os.Stat(dir); err == nil { // another worker was faster
		s.board.twice()
		return s.forget(ctx, r, msg)
	}
	in, err := s.dirs.Get(ctx, r.Object)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return errors.Join(err, msg.Term())
	}
	if err != nil {
		return err
	}
	defer in.Close()
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := unpack(in, part); err != nil {
		return err
	}
	runs, err := readRuns(part)
	if err != nil {
		return err
	}
	if err := os.Rename(part, dir); err != nil {
		return err
	}
	s.board.add(runs)
	return s.forget(ctx, r, msg)
}

// forget lets go of what was handed in.
func (s *Server) forget(ctx context.Context, r result, msg jetstream.Msg) error {
	if err := s.dirs.Delete(ctx, r.Object); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return err
	}
	return msg.DoubleAck(ctx)
}

// countEarlier puts on the board what is in the directory already.
func (s *Server) countEarlier() error {
	s.board.items = len(s.Spec.Items())
	parts, err := filepath.Glob(filepath.Join(s.Dir, "part-*-*"))
	if err != nil {
		return err
	}
	for _, part := range parts {
		if filepath.Ext(part) == ".part" {
			continue
		}
		runs, err := readRuns(part)
		if err != nil {
			return err
		}
		s.board.add(runs)
	}
	return nil
}

// show listens to workers, and serves the board.
func (s *Server) show(nc *nats.Conn) error {
	if _, err := nc.Subscribe(beatSubject, func(m *nats.Msg) {
		var b beat
		if json.Unmarshal(m.Data, &b) == nil {
			s.board.heard(b)
		}
	}); err != nil {
		return err
	}
	if s.Board == "" {
		return nil
	}
	l, err := net.Listen("tcp", s.Board)
	if err != nil {
		return fmt.Errorf("the board: %w", err)
	}
	fmt.Fprintf(s.Log, "ktrial-campaign: the board is at http://%v/\n", l.Addr())
	go func() { _ = http.Serve(l, &s.board) }()
	return nil
}

// run is what the board reads of a line of results.jsonl.
type run struct {
	Type    string `json:"type"`
	Verdict string `json:"verdict"`
	Failure *struct {
		Check string `json:"check"`
		Where string `json:"where"`
		Shape string `json:"shape"`
		Again string `json:"again"`
	} `json:"failure"`
}

// readRuns reads the runs of the directory of a hunt.
func readRuns(dir string) (runs []run, err error) {
	file, err := os.Open(filepath.Join(dir, "results.jsonl"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<26)
	for lines.Scan() {
		var r run
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
		if r.Type == "run" {
			runs = append(runs, r)
		}
	}
	return runs, lines.Err()
}
