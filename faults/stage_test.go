package faults

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// stage is a small world without Kafka. Every process sends every other one a
// ping twenty times a second and gets an answer, and writes to its disk. What
// they see of each other shows what a fault did.
type stage struct {
	t    *testing.T
	w    *sim.World
	luck *rand.Rand

	seen   map[[2]string]*sight
	disks  map[string]*writer
	resets map[string]int // connections of a host that broke with a word

	leader                     string
	moved                      []string // partitions whose leaders were
	moves                      []string
	elected, resigned, stopped int
	features                   map[string]int16
	partitions                 int32    // of the topic
	topics                     []string // what became of it

	started   map[string]time.Duration // when a host was last started
	registers time.Duration            // how long a host takes until it serves
}

// sight is what one process saw of another's pings.
type sight struct {
	heard, slow time.Duration // when one came last, and one that took over 100ms
	took        time.Duration // the last one
	newest      time.Duration // when the newest of those that came was sent
	overtaken   int           // came after younger ones
}

// writer is what a process did to its disk.
type writer struct {
	synced    int64         // bytes reported durable
	took      time.Duration // the last sync
	recovered int64         // bytes that the last process found
}

// record is how many bytes are written at a time; it spans sectors.
const record = 1300

func newStage(t *testing.T, seed uint64) *stage {
	s := &stage{
		t: t, w: sim.NewWorld(sim.Config{Seed: seed, MaxEvents: 20_000_000}), luck: rand.New(rand.NewPCG(seed, 1)), leader: "broker-1",
		seen: map[[2]string]*sight{}, disks: map[string]*writer{},
		started: map[string]time.Duration{}, resets: map[string]int{}, features: map[string]int16{},
	}
	t.Cleanup(s.w.Close)
	for _, a := range allHosts(s) {
		s.disks[a] = &writer{}
		for _, b := range allHosts(s) {
			s.seen[[2]string{a, b}] = &sight{}
		}
		s.Start(a)
	}
	s.run(2 * time.Second)
	return s
}

func (s *stage) run(d time.Duration) { require.NoError(s.t, s.w.Run(s.w.Now()+d)) }

// strike lets a fault happen that is written as in a plan.
func (s *stage) strike(text string) (heal func()) {
	f, err := Parse(text)
	require.NoError(s.t, err)
	f, err = Resolve(f, s, s.luck)
	require.NoError(s.t, err)
	return f.Inject(s, s.luck)
}

// process is what runs on each host.
func (s *stage) process(h env.Host) {
	l, err := h.Listen(7)
	require.NoError(s.t, err)
	h.Go("accept", func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.Go("answer", func() { s.answer(h, c) })
		}
	})
	for _, peer := range allHosts(s) {
		if peer != h.Name() {
			h.Go("ping "+peer, func() { s.pings(h, peer) })
		}
	}
	s.write(h)
}

// answer notes the pings of a connection and sends them back.
func (s *stage) answer(h env.Host, c env.Conn) {
	from, _, _ := strings.Cut(c.RemoteAddr(), ":")
	x := s.seen[[2]string{from, h.Name()}]
	buf := make([]byte, 8)
	for {
		if _, err := io.ReadFull(c, buf); err != nil {
			c.Close()
			return
		}
		sent := time.Duration(binary.BigEndian.Uint64(buf))
		x.heard, x.took = s.w.Now(), s.w.Now()-sent
		if sent < x.newest {
			x.overtaken++ // on a connection that was given up: it tells of the past
		} else if x.took > 100*time.Millisecond {
			x.slow = x.heard
		}
		x.newest = max(x.newest, sent)
		if _, err := c.Write(buf); err != nil {
			c.Close()
			return
		}
	}
}

// pings sends to a peer over one connection after the other. It gives up one on
// which nothing came back for a second.
func (s *stage) pings(h env.Host, peer string) {
	for {
		c, err := h.Dial(peer+":7", 500*time.Millisecond)
		if err != nil {
			h.Sleep(100 * time.Millisecond)
			continue
		}
		last, broken := h.Uptime(), error(nil)
		h.Go("answers of "+peer, func() {
			buf := make([]byte, 8)
			for broken == nil {
				if _, broken = io.ReadFull(c, buf); broken == nil {
					last = h.Uptime()
				}
			}
		})
		for broken == nil && h.Uptime() < last+time.Second {
			_, _ = c.Write(binary.BigEndian.AppendUint64(nil, uint64(s.w.Now())))
			h.Sleep(50 * time.Millisecond)
		}
		if errors.Is(broken, env.ErrReset) {
			s.resets[h.Name()]++
		}
		c.Close()
	}
}

// write appends records to a file and syncs every fifth. An error of the disk
// is the end of the process, as it is of a broker.
func (s *stage) write(h env.Host) {
	must := func(err error) {
		if err != nil {
			h.Exit(err)
		}
	}
	d, x := h.Disk(), s.disks[h.Name()]
	f, err := d.Open("data/x.log")
	if errors.Is(err, env.ErrNotExist) {
		must(d.MkdirAll("data"))
		f, err = d.Create("data/x.log")
		must(err)
		must(d.SyncDir(""))
		must(d.SyncDir("data"))
	}
	must(err)
	size, err := f.Size()
	must(err)
	x.recovered = size
	size -= size % record
	for i := 1; ; i++ {
		_, err := f.WriteAt(make([]byte, record), size)
		must(err)
		size += record
		if i%5 == 0 {
			begun := s.w.Now()
			must(f.Sync())
			x.synced, x.took = size, s.w.Now()-begun
		}
		h.Sleep(20 * time.Millisecond)
	}
}

// deaf reports whether nothing of from has reached to for a while.
func (s *stage) deaf(from, to string) bool {
	return s.w.Now()-s.seen[[2]string{from, to}].heard > 600*time.Millisecond
}

// apart reports whether neither of two hosts hears the other.
func (s *stage) apart(a, b string) bool { return s.deaf(a, b) && s.deaf(b, a) }

// close reports whether both hear each other.
func (s *stage) close(a, b string) bool { return !s.deaf(a, b) && !s.deaf(b, a) }

// slow reports whether a ping took long within the last second.
func (s *stage) slow(from, to string) bool {
	x := s.seen[[2]string{from, to}]
	return x.slow > 0 && s.w.Now()-x.slow < time.Second
}

// running lists the hosts that are up and not paused.
func (s *stage) running() (up []string) {
	for _, h := range allHosts(s) {
		if host := s.w.Host(h); host.IsRunning() && !host.IsPaused() {
			up = append(up, h)
		}
	}
	return up
}

// down reports whether none of the hosts run.
func (s *stage) down(hosts ...string) bool {
	return !slices.ContainsFunc(hosts, func(h string) bool { return s.w.Host(h).IsRunning() })
}

// ppm is how fast a host's clock runs.
func (s *stage) ppm(host string) int64 {
	p := s.w.Host(host).Process()
	up, now := p.Uptime(), s.w.Now()
	s.run(time.Millisecond)
	return (int64(p.Uptime()-up) - int64(s.w.Now()-now)) // of a million nanoseconds
}

// wall is how far a host's wall clock is off that of the client.
func (s *stage) wall(host string) time.Duration {
	off := time.Duration(s.w.Host(host).Now() - s.w.Host("client-1").Now())
	return off.Round(time.Second)
}

// ill lists what is not as it was before all faults.
func (s *stage) ill() (ill []string) {
	for _, a := range allHosts(s) {
		if !slices.Contains(s.running(), a) || s.w.Host(a).Held() {
			ill = append(ill, a+" does not run")
			continue
		}
		if s.disks[a].took > 100*time.Millisecond {
			ill = append(ill, a+" has a slow disk")
		}
		if s.wall(a) != 0 {
			ill = append(ill, a+" has a wrong clock")
		}
		for _, b := range allHosts(s) {
			if a != b && (s.deaf(a, b) || s.slow(a, b)) {
				ill = append(ill, a+" is deaf or slow towards "+b)
			}
		}
	}
	return ill
}

// The cluster: three brokers in two racks, three controllers, one client.

func (s *stage) World() *sim.World { return s.w }
func (s *stage) Brokers() []string { return []string{"broker-1", "broker-2", "broker-3"} }
func (s *stage) Controllers() []string {
	return []string{"controller-1", "controller-2", "controller-3"}
}
func (s *stage) Clients() []string { return []string{"client-1"} }
func (s *stage) Rack(host string) string {
	if host == "broker-3" {
		return "b"
	}
	return "a"
}
func (s *stage) Groups() []string                             { return []string{"billing"} }
func (s *stage) Members(string) []string                      { return []string{"client-1"} }
func (s *stage) OffsetsPartition(string) (string, int32)      { return "__consumer_offsets", 1 }
func (s *stage) TransactionalIDs() []string                   { return []string{"till"} }
func (s *stage) TransactionsPartition(string) (string, int32) { return "__transaction_state", 2 }
func (s *stage) Topics() []string                             { return []string{"orders"} }
func (s *stage) Partitions(string) int32                      { return 3 + s.partitions }
func (s *stage) AddPartitions(_ string, count int32)          { s.partitions += count }
func (s *stage) DeleteTopic(topic string)                     { s.topics = append(s.topics, topic+" is deleted") }
func (s *stage) MakeTopic(topic string)                       { s.topics = append(s.topics, topic+" is made") }
func (s *stage) Leader(string, int32) string                  { return s.leader }
func (s *stage) Followers(string, int32) []string {
	return others(s.Brokers(), []string{s.leader})
}
func (s *stage) SetFeature(feature string, level int16) { s.features[feature] = level }
func (s *stage) Segments(host string) []string          { return s.w.Host(host).Disk().Files() }
func (s *stage) ActiveController() string               { return "controller-2" }

func (s *stage) Start(host string) {
	if h := s.w.Host(host); !h.IsRunning() {
		s.started[host] = s.w.Now()
		h.Start(s.process)
	}
}

// Stop takes a while, as a controlled shutdown does.
func (s *stage) Stop(host string, done func()) {
	s.stopped++
	life := s.w.Host(host).Incarnation()
	s.w.After(300*time.Millisecond, "stopped", func() {
		if h := s.w.Host(host); h.Incarnation() == life && h.IsRunning() {
			h.Kill()
			done()
		}
	})
}

func (s *stage) MoveLeader(topic string, partition int32) {
	s.moved = append(s.moved, fmt.Sprintf("%s/%d", topic, partition))
	next := slices.Index(s.Brokers(), s.leader) + 1
	s.leader = s.Brokers()[next%3]
	s.moves = append(s.moves, s.leader)
}
func (s *stage) Serving(host string) bool {
	return s.w.Host(host).IsRunning() && s.w.Now() >= s.started[host]+s.registers
}
func (s *stage) ElectPreferred()   { s.elected++ }
func (s *stage) ResignController() { s.resigned++ }
