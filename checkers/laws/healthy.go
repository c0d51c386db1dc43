package laws

import (
	"time"
)

// The laws that are asked here.
var (
	UndisturbedJoins = declare(90, OfHealth, "a leader asks for no replica to join the ISR that it counts, and while nothing disturbs the cluster for each once",
		"each proposal to expand an ISR", "KIP-497; Partition.maybeExpandIsr")
	UndisturbedAnswers = declare(91, OfHealth, "while nothing disturbs the cluster, no more than ten requests of a host to a server fail in ten seconds",
		"each answer with an error code, request that is given up, and attempt to connect that fails, before the first fault and once all have been healed for a while", "retry.backoff.ms, KIP-580; NetworkClient")
	UndisturbedRequests = declare(92, OfHealth, "while nothing disturbs the cluster, no client asks a server the same more than ten times in a second, and once for each batch that was appended there lately",
		"each second, before the first fault and once all have been healed for a while, of each API and connection", "fetch.max.wait.ms, replica.fetch.wait.max.ms, metadata.max.age.ms, broker.heartbeat.interval.ms")
	UndisturbedTurns = declare(93, OfHealth, "while nothing disturbs the cluster, a server is woken in a second no more than a hundred times, and four times for each request, answer, append and log that is opened",
		"each second, before the first fault and once all have been healed for a while, of each server", "purgatories, timers and selectors wake for what happens (DelayedOperationPurgatory, SystemTimer)")
	UndisturbedWaits = declare(94, OfHealth, "while nothing disturbs the cluster, a request is answered within two seconds, beyond what it may wait for",
		"each answer, and each second, before the first fault and once all have been healed for a while; not of JoinGroup and SyncGroup", "request.timeout.ms; fetch.max.wait.ms")
)

// Bounds of what goes on in a cluster that nothing disturbs. They are wide: ordinary work
// comes to half of them at most.
const (
	// answerBound is within what time a request is answered, beyond what it may wait for.
	answerBound = 2 * time.Second
	// mostFailures of its requests to a server may a host have in failureWindow: some are a part of the
	// protocol (MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS), and a client that closes
	// gives up what it has asked.
	mostFailures  = 10
	failureWindow = 10 * time.Second
	// In a second a server may be asked idleRequests times the same over a connection,
	// and once more for each batch that it has appended lately: a fetch that waits is
	// answered when there is one.
	idleRequests = 10
	// In a second a host may be woken idleTurns times, and turnsPerEvent times more for
	// each request, answer, append and log that is opened.
	idleTurns     = 100
	turnsPerEvent = 4
)

// Traffic watches what clients and nodes ask of each other, and how often they are
// woken, while nothing disturbs the cluster. Without work almost nothing should happen.
type Traffic struct {
	tally
	cfg TrafficConfig

	begun  bool
	second time.Duration // when the second that is counted began
	hosts  []*trafficHost
	byName map[string]*trafficHost
	asked  []*asked // that is answered and that is not, in the order in which it was sent
	open   map[Request]*asked
	kinds  []*requests // in the order in which they were met
	byKind map[requestKind]*requests
}

// TrafficConfig says how it is in one cluster.
type TrafficConfig struct {
	// Calm is when nothing disturbs the cluster.
	Calm *Calm
	// FetchWait is how long a fetch may wait for records, if that is above 500ms.
	FetchWait time.Duration
	// Turns says how often the process on a host was woken; nil: law 93 is not asked.
	Turns func(host string) uint64
	// Hasty: something is configured to happen often, so laws 92 and 93 are not asked.
	Hasty bool
}

// Request names a request: by the client's end of its connection, and by its
// correlation id there.
type Request struct {
	Connection any
	ID         int32
}

type trafficHost struct {
	name     string
	appended [2]int                     // in the second that is counted, and in the one before
	events   int                        // requests and answers that came or went, and appends, in that second
	turns    uint64                     // when that second began
	failures map[string][]time.Duration // by server, as the host names it
}

type asked struct {
	api      string
	by       *trafficHost
	at       time.Duration
	answered bool
}

type requestKind struct{ server, client, api string }

type requests struct {
	requestKind
	count int // in the second that is counted
}

// NewTraffic makes an account with nothing in it.
func NewTraffic(cfg TrafficConfig) *Traffic {
	t := &Traffic{cfg: cfg}
	t.subject = "traffic"
	return t
}

// Begin: nothing disturbs the cluster from now on. What was before is not known.
func (t *Traffic) Begin() {
	*t = Traffic{
		tally: t.tally, cfg: t.cfg, begun: true, second: t.cfg.Calm.Now,
		byName: map[string]*trafficHost{}, open: map[Request]*asked{}, byKind: map[requestKind]*requests{},
	}
}

// Begun reports whether Begin was called, and End was not since.
func (t *Traffic) Begun() bool { return t.begun }

// End: something disturbs the cluster, until Begin is called again.
func (t *Traffic) End() { t.begun = false }

// watches reports whether there is something to count, and ends the seconds that are
// over.
func (t *Traffic) watches() bool {
	if !t.begun {
		return false
	}
	t.events++
	for t.cfg.Calm.Now >= t.second+time.Second {
		t.endSecond()
	}
	return true
}

func (t *Traffic) host(name string) *trafficHost {
	h := t.byName[name]
	if h == nil {
		h = &trafficHost{name: name}
		if t.cfg.Turns != nil {
			h.turns = t.cfg.Turns(name)
		}
		t.byName[name] = h
		t.hosts = append(t.hosts, h)
	}
	return h
}

// Sent: a client or node has sent a request. Those that wait for other clients (JoinGroup,
// SyncGroup) may take as long as these do.
func (t *Traffic) Sent(host, api string, r Request) {
	if !t.watches() {
		return
	}
	h := t.host(host)
	h.events++
	if api != "JoinGroup" && api != "SyncGroup" {
		one := &asked{api: api, by: h, at: t.cfg.Calm.Now}
		t.asked, t.open[r] = append(t.asked, one), one
	}
}

// Arrived: a server has read a request of a client, which is named by its end of the
// connection.
func (t *Traffic) Arrived(server, client, api string) {
	if !t.watches() {
		return
	}
	t.host(server).events++
	kind := requestKind{server, client, api}
	n := t.byKind[kind]
	if n == nil {
		n = &requests{requestKind: kind}
		t.byKind[kind] = n
		t.kinds = append(t.kinds, n)
	}
	n.count++
}

// Answered: a client or node has the answer of a server to a request. code is its error;
// 0: none.
func (t *Traffic) Answered(host, server string, r Request, api string, code int16) {
	if !t.watches() {
		return
	}
	h := t.host(host)
	h.events++
	if one := t.open[r]; one != nil {
		t.late(one)
		one.answered = true
		delete(t.open, r)
	}
	if code != 0 {
		t.failed(h, server, "the answer to %s has error code %d", api, code)
	}
}

// GaveUp: a client or node waits no longer for the answer of a server, for a reason.
func (t *Traffic) GaveUp(host, server string, r Request, api, why string) {
	if !t.watches() {
		return
	}
	if one := t.open[r]; one != nil {
		t.late(one)
		one.answered = true
		delete(t.open, r)
	}
	t.failed(t.host(host), server, "it waits no longer for the answer to %s: %s", api, why)
}

// NotConnected: a client or node could not connect to a server, for a reason.
func (t *Traffic) NotConnected(host, server, why string) {
	if t.watches() {
		t.failed(t.host(host), server, "it cannot connect: %s", why)
	}
}

// Appended: a batch was written to a log of a node.
func (t *Traffic) Appended(host string) {
	if t.watches() {
		h := t.host(host)
		h.appended[0]++
		h.events++
	}
}

// Opened: a node has made the log of a replica, or opened it.
func (t *Traffic) Opened(host string) {
	if t.watches() {
		t.host(host).events++
	}
}

// failed is law 91.
func (t *Traffic) failed(h *trafficHost, server, what string, args ...any) {
	now := t.cfg.Calm.Now
	if h.failures == nil {
		h.failures = map[string][]time.Duration{}
	}
	all := h.failures[server]
	for len(all) > 0 && all[0] < now-failureWindow {
		all = all[1:]
	}
	if all = append(all, now); len(all) > mostFailures {
		since := all[0]
		all = nil
		t.fail(UndisturbedAnswers, NoNode, "%s has asked %s %d times in vain since %v, though nothing has disturbed the cluster since %v; the last time "+what,
			append([]any{h.name, server, mostFailures + 1, since, t.cfg.Calm.since}, args...)...)
	}
	h.failures[server] = all
}

// late is law 94, of one request: it reports whether that has waited too long.
func (t *Traffic) late(one *asked) bool {
	bound := answerBound
	if one.api == "Fetch" {
		bound += max(t.cfg.FetchWait, 500*time.Millisecond)
	}
	took := t.cfg.Calm.Now - one.at
	if took > bound {
		t.fail(UndisturbedWaits, NoNode, "%s sent %s at %v and has waited %v for the answer, though nothing has disturbed the cluster since %v", one.by.name, one.api, one.at, took, t.cfg.Calm.since)
	}
	return took > bound
}

// endSecond looks at the second that is over.
func (t *Traffic) endSecond() {
	t.second += time.Second
	for len(t.asked) > 0 && t.asked[0].answered {
		t.asked = t.asked[1:]
	}
	for _, one := range t.asked {
		if one.answered {
			continue
		}
		if t.cfg.Calm.Now-one.at <= answerBound {
			break // and so are all that were sent later
		}
		if t.late(one) {
			one.answered = true // it is told once
		}
	}
	for _, n := range t.kinds {
		t.tooOften(n)
		n.count = 0
	}
	for _, h := range t.hosts {
		t.restless(h)
		h.appended[1], h.appended[0], h.events = h.appended[0], 0, 0
	}
}

// tooOften is law 92, of one second.
func (t *Traffic) tooOften(n *requests) {
	if t.cfg.Hasty || n.count <= idleRequests {
		return
	}
	h := t.host(n.server)
	appended := h.appended[0] + h.appended[1]
	if n.count > idleRequests+appended {
		t.fail(UndisturbedRequests, NoNode, "%s sent %s to %s %d times in the second before %v, which had appended %d batches in two seconds", n.client, n.api, n.server, n.count, t.second, appended)
	}
}

// restless is law 93, of one second. A process that was started meanwhile counts anew.
func (t *Traffic) restless(h *trafficHost) {
	if t.cfg.Turns == nil || t.cfg.Hasty {
		return
	}
	before := h.turns
	h.turns = t.cfg.Turns(h.name)
	if h.turns < before {
		return
	}
	if n := h.turns - before; n > uint64(idleTurns+turnsPerEvent*h.events) {
		t.fail(UndisturbedTurns, NoNode, "%s was woken %d times in the second before %v, for %d requests, answers, appends and logs that were opened", h.name, n, t.second, h.events)
	}
}

// calmJoins are the replicas that a leader has asked into the ISR in an epoch, since the
// cluster is calm.
type calmJoins struct {
	since time.Duration
	epoch Epoch
	nodes []Node
}

// askedToJoin: a leader asks for no replica to join the ISR that it counts, and while all
// is calm for each once. Law 90.
func (r *Replication) askedToJoin(p *replica, joins Node) {
	if holds(p.maximal, joins) {
		r.fail(UndisturbedJoins, p.node, "leader %v asks %v into the ISR, which it counts already", p.node, joins)
		return
	}
	c := r.cfg.Calm
	if c == nil || !c.from(c.Now) {
		return
	}
	if p.asked.since != c.since || p.asked.epoch != p.epoch {
		p.asked = calmJoins{since: c.since, epoch: p.epoch}
	}
	if holds(p.asked.nodes, joins) {
		r.fail(UndisturbedJoins, p.node, "leader %v asks %v into the ISR again, though nothing has disturbed the cluster since %v", p.node, joins, c.since)
	}
	p.asked.nodes = append(p.asked.nodes, joins)
}
