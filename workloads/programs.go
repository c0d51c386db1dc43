package workloads

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/wasi"
	"github.com/ktrial/ktrial/workloads/fromwire"
)

// Programs are users' own programs on trial: each runs unmodified on a host of its own,
// and what it did is read from its connections. When all is over an auditor reads every
// partition once more from its beginning.
//
// What the wire does not show, a program may tell in lines of its standard output
// (fromwire.Observer.Tell).
//
// A program is told where the cluster is by its environment: KAFKA is
// bootstrap.servers, TOPICS the scenario's topics, HOSTNAME its host. When the work is
// over it is sent SIGTERM; one that has sent nothing is given some time more, to read
// what is left. One that has not ended half a minute later is killed. A program that exits is done;
// one that a fault has killed is started again.
type Programs struct {
	List []Program
	// Topics are what the auditor reads.
	Topics []string
	// Duration is how long they work. 0: a minute.
	Duration time.Duration
	// Instead, if set, is the workload whose clients' hosts the programs may take: one that
	// does is the member of the group, and has the transactional id, that faults know there.
	Instead Workload

	seen *seen
}

// seen is what one run has seen of its programs.
type seen struct{ *fromwire.Observer }

// Program is one of them.
type Program struct {
	Host    string // where it runs
	Program *wasi.Program
	Args    []string // $KAFKA, $TOPICS and $HOSTNAME are replaced
	Env     []string // "NAME=value", beside those that all have
}

// Name is how `ktrial list` names it.
func (w Programs) Name() string { return "programs" }

// About is one line for `ktrial list`.
func (w Programs) About() string {
	return "your own programs, unmodified (--app), judged by what passes on their connections"
}

// Lasts is how long the programs work.
func (w Programs) Lasts() time.Duration {
	if w.Duration == 0 {
		return time.Minute
	}
	return w.Duration
}

// UsesTopics are those that the auditor reads.
func (w Programs) UsesTopics() []string { return w.Topics }

// Config is what the programs asked to be promised, as far as it was seen on the
// wire: the weakest of all requests. Until something was sent nothing is promised.
func (w Programs) Config() map[string]string {
	claims := fromwire.Claims{NotIdempotent: true, ReadUncommitted: true}
	if w.seen != nil && w.seen.Observer != nil {
		if w.seen.Claims.Produced {
			claims = w.seen.Claims
		}
		claims.MemberEpochs = w.seen.Claims.MemberEpochs
	}
	isolation := client.ReadCommitted
	if claims.ReadUncommitted {
		isolation = client.ReadUncommitted
	}
	out := map[string]string{"acks": claims.Acks(), "enable.idempotence": fmt.Sprint(!claims.NotIdempotent), "isolation.level": isolation.String()}
	if claims.MemberEpochs {
		out["group.protocol"] = "consumer"
	}
	return out
}

// ForRun is a copy for one run.
func (w Programs) ForRun() Workload {
	w.seen = &seen{}
	return w
}

// Finish records what is known of transactions whose end was not seen.
func (w Programs) Finish() Counted {
	if w.seen.Observer == nil {
		return Counted{} // the run did not come to its work
	}
	w.seen.Finish()
	c := &w.seen.Counts
	return Counted{Alike: c.Alike, Told: c.Told, Unproven: c.Unproven, Refused: c.Refused}
}

// Set changes the only parameter there is.
func (w Programs) Set(name, value string) (Workload, error) {
	if name != "duration" {
		return nil, nearest.Unknown("parameter", name, w.Names())
	}
	d, err := duration(value)
	if err != nil {
		return nil, fmt.Errorf("parameter %s: found %q, expected %w", name, value, err)
	}
	w.Duration = d
	return w, nil
}

// Names are all that Set knows. Programs have their own settings.
func (w Programs) Names() []string { return []string{"duration"} }

// Check finds two programs on one host.
func (w Programs) Check() error {
	hosts := map[string]bool{}
	for _, p := range w.List {
		if hosts[p.Host] {
			return fmt.Errorf("two programs on host %s", p.Host)
		}
		hosts[p.Host] = true
	}
	return nil
}

// Clients are the programs, one that asks where the logs end, and the auditor.
func (w Programs) Clients(s *Stage) []Client {
	w.seen.Observer = fromwire.New(s.Recorder, s.Now, s.NewProcess)
	w.seen.ClientsAreProcesses = true
	var out []Client
	for _, p := range w.List {
		running := &running{w: w, s: s, p: p}
		c := Client{Host: p.Host, Role: Writes, Stops: true, Main: running.main}
		if before, is := w.before(s, p.Host); is {
			c.Group, c.TransactionalID = before.Group, before.TransactionalID
		}
		out = append(out, c)
	}
	for i, topic := range w.Topics {
		ask := &asking{w: ProduceConsume{Topic: topic}, s: s}
		out = append(out, Client{Host: numbered("asker", i), Main: ask.main})
	}
	audit := &observedAudit{w: w, s: s}
	return append(out, Client{Host: "auditor", Role: Reads, Main: audit.main})
}

// before is the client whose host a program has taken.
func (w Programs) before(s *Stage, host string) (Client, bool) {
	if w.Instead == nil {
		return Client{}, false
	}
	clients := w.Instead.Clients(s)
	i := slices.IndexFunc(clients, func(c Client) bool { return c.Host == host })
	if i < 0 {
		return Client{}, false
	}
	return clients[i], true
}

// numbered is the name of the host with that index: asker, asker-2, ...
func numbered(name string, i int) string {
	if i == 0 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, i+1)
}

// running is one program over all lives of its process.
type running struct {
	w     Programs
	s     *Stage
	p     Program
	life  int
	until time.Duration // of the world's time; set when the work begins
}

// moreForReaders is how long after the others a program is asked to end that has sent
// nothing: what was written last must reach it.
const moreForReaders = 5 * time.Second

func (r *running) main(h env.Host) {
	r.s.AwaitWork(h)
	if r.until == 0 {
		r.until = r.s.Now() + r.w.Lasts()
	}
	r.w.seen.Ended(r.named(h)) // it was killed
	r.life++
	o := &observedHost{Host: h, o: r.w.seen.Observer, life: r.named(h), refuses: func(err error) { r.s.CountFailure(history.Other, err) }}
	err := r.p.Program.Run(o, wasi.Process{
		Args: r.expand(h, r.p.Args),
		Env: append([]string{
			"KAFKA=" + strings.Join(r.s.Bootstrap, ","), "TOPICS=" + strings.Join(r.w.Topics, ","), "HOSTNAME=" + h.Name(),
		}, r.expand(h, r.p.Env)...),
		Started: func(s wasi.Signals) { r.stopInTime(h, o, s) },
	})
	r.w.seen.Ended(o.life)
	ended := &ProgramEnded{Program: r.p.Program.Name}
	if err != nil {
		ended.Reason = err.Error()
		r.s.CountFailure(history.Other, err)
	}
	h.Tell(ended)
}

// named is the life that the process is in.
func (r *running) named(h env.Host) string { return fmt.Sprintf("%s-%d", h.Name(), r.life) }

// grace is how long a program has to end in order, as orchestrators give it. A client that
// waits for a broker which was cut off silently may need minutes.
const grace = 30 * time.Second

// stopInTime sends SIGTERM when the work is over, or when a fault asks the program to stop.
func (r *running) stopInTime(h env.Host, o *observedHost, s wasi.Signals) {
	stop := func() {
		s.Stop()
		h.After(grace, "SIGKILL", s.Kill)
	}
	r.s.WhenStopping(h.Name(), stop)
	h.After(max(0, r.until-r.s.Now()), "SIGTERM", func() {
		if o.o.Wrote(o.life) {
			stop()
			return
		}
		h.After(moreForReaders, "SIGTERM", stop)
	})
}

func (r *running) expand(h env.Host, words []string) []string {
	known := strings.NewReplacer("$KAFKA", strings.Join(r.s.Bootstrap, ","), "$TOPICS", strings.Join(r.w.Topics, ","), "$HOSTNAME", h.Name())
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = known.Replace(word)
	}
	return out
}

// observedHost is a host whose connections are observed, and on whose standard output a
// program may tell what they do not show.
type observedHost struct {
	env.Host
	o       *fromwire.Observer
	life    string
	refuses func(error) // is called with what was not understood; nil: no program runs here
}

// Tell implements env.Host.
func (h *observedHost) Tell(e ledger.Event) {
	h.Host.Tell(e)
	line, is := e.(*wasi.Line)
	if !is || h.refuses == nil || line.Stream != wasi.Stdout || !fromwire.Tells(line.Text) {
		return
	}
	if err := h.o.Tell(h.Name(), h.life, line.Text); err != nil {
		h.Host.Tell(&TellingRefused{Line: line.Text, Reason: err.Error()})
		h.refuses(err)
	}
}

// Dial implements env.Host.
func (h *observedHost) Dial(addr string, timeout time.Duration) (env.Conn, error) {
	conn, err := h.Host.Dial(addr, timeout)
	if err != nil {
		return nil, err
	}
	seen := h.o.Connect(h.Name(), h.life)
	seen.Refused = h.refused
	return &observedConn{Conn: conn, seen: seen}, nil
}

// refused tells what a client of ours tells by itself: trials must have met it.
func (h *observedHost) refused(r fromwire.Refusal) {
	as := &witness.Membership{Group: r.Group, Member: r.Member, Generation: int32(r.Generation), Instance: r.Instance}
	h.Tell(&witness.ConsumerFenced{Membership: as, Error: witness.ErrorOf(r.Err)})
	if len(r.Lost) > 0 {
		h.Tell(&witness.PartitionsLost{Membership: as, Partitions: r.Lost})
	}
}

// observedConn passes on what goes through it.
type observedConn struct {
	env.Conn
	seen *fromwire.Connection
}

// Write implements env.Conn. Bytes are observed before they leave: an answer must not
// be seen before its request.
func (c *observedConn) Write(p []byte) (int, error) {
	c.seen.Sent(p)
	return c.Conn.Write(p)
}

// Read implements env.Conn.
func (c *observedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.seen.Received(p[:n])
	if err != nil {
		c.seen.Closed()
	}
	return n, err
}

// Close implements env.Conn.
func (c *observedConn) Close() error {
	c.seen.Closed()
	return c.Conn.Close()
}

// observedAudit reads all with a client of ours that is observed as theirs are: what it
// reads has the names that the wire gives.
type observedAudit struct {
	w Programs
	s *Stage
}

func (a *observedAudit) main(h env.Host) {
	for !a.s.Draining() {
		h.Sleep(time.Second)
	}
	cfg := client.ConsumerDefaults()
	cfg.AutoOffsetReset, cfg.IsolationLevel = client.Earliest, client.ReadCommitted
	consumer, err := client.New(&observedHost{Host: h, o: a.w.seen.Observer, life: h.Name()}, a.s.Bootstrap, h.Name()).NewConsumer(cfg)
	if err != nil {
		panic("workloads: auditor: " + err.Error())
	}
	var all []kafka.TopicPartition
	for _, topic := range a.w.Topics {
		for p := range a.s.Topics[topic] {
			all = append(all, kafka.TopicPartition{Topic: topic, Partition: p})
		}
	}
	consumer.Assign(all)
	for !a.reached(consumer, all) {
		if _, err := consumer.Poll(pollTimeout); err != nil {
			a.s.CountFailure(history.Poll, err)
			h.Sleep(pollTimeout)
		}
	}
	consumer.Poll(pollTimeout) // there is nothing more: that is seen, too
	consumer.Close()
}

func (a *observedAudit) reached(c *client.Consumer, all []kafka.TopicPartition) bool {
	return !slices.ContainsFunc(all, func(tp kafka.TopicPartition) bool {
		at, err := c.Position(tp)
		return err != nil || at.Offset < a.s.Ends()[tp]
	})
}

// TellingRefused: a program told an operation that was not understood.
type TellingRefused struct {
	Line   string `json:"line"`   // as it was written
	Reason string `json:"reason"` // what was found, and what was expected
}

var tellingRefused = ledger.Declare[TellingRefused]("telling-refused", "a program told an operation that was not understood", ledger.Notable)

// Kind implements ledger.Event.
func (e *TellingRefused) Kind() *ledger.Kind { return tellingRefused }

// Sentence implements ledger.Event.
func (e *TellingRefused) Sentence() string {
	return fmt.Sprintf("tells what is not understood: %s: %s", e.Reason, e.Line)
}

// ProgramEnded: a user's program came to its end.
type ProgramEnded struct {
	Program string `json:"program"`          // its name
	Reason  string `json:"reason,omitempty"` // why, if its status was not 0
}

var programEnded = ledger.Declare[ProgramEnded]("program-ended", "a user's program came to its end", ledger.Notable)

// Kind implements ledger.Event.
func (e *ProgramEnded) Kind() *ledger.Kind { return programEnded }

// Sentence implements ledger.Event.
func (e *ProgramEnded) Sentence() string {
	if e.Reason == "" {
		return e.Program + " has ended"
	}
	return e.Program + " has ended: " + e.Reason
}
