package cmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/workloads"
)

// board is what is true in a run, second by second, as lanes of text: a column is a part
// of the present second. It reads events and draws; it knows no terminal.
type board struct {
	columns int
	second  int // that is drawn, from the beginning of the run
	at      int // the column up to which the lanes are drawn
	full    func(frame []string)

	hosts      map[string]byte // what is the matter with a host; 0: nothing is
	partitions map[string]*boardPartition
	groups     map[string]*boardLane // by partition and group
	ids        map[string]*boardLane // by transactional id
	faults     map[int]string
	struck     *boardLane
	acks       *boardLane
	failed     *boardLane
	news       []string // the last notable events
}

// boardPartition is a partition with a lane for each replica.
type boardPartition struct {
	name     string
	isr      []kafka.NodeID
	replicas map[kafka.NodeID]*boardLane
}

// boardLane is a row: what is drawn of it so far, and what is true now.
type boardLane struct {
	cells []byte
	now   byte
	host  string
	leads bool
	knows bool // what the replica's log holds
	owner []string
	epoch kafka.LeaderEpoch
	end   kafka.Offset
	hw    kafka.Offset
	text  string
	count int   // of the second
	each  []int // of each column
}

// What a column of a lane may show.
const (
	isLeader    = 'L'
	isInSync    = '='
	isBehind    = '.'
	isDown      = 'x'
	isPaused    = 'z'
	isCut       = '<'
	isOpen      = '~'
	isCommitted = '+'
	isAborted   = '-'
	hasTwo      = '!'
	isNone      = ' '
)

// boardLegend says what the letters mean.
const boardLegend = "L leads  = in sync  . not  x down  z paused  < truncates | ~ open  + commit  - abort"

// newBoard is a board for a terminal so wide. full is called with the lanes of each
// second when it is over.
func newBoard(width int, full func(frame []string)) *board {
	b := &board{
		columns: max(10, min(60, width-2*boardMargin)), full: full, hosts: map[string]byte{},
		partitions: map[string]*boardPartition{}, groups: map[string]*boardLane{}, ids: map[string]*boardLane{}, faults: map[int]string{},
	}
	b.struck, b.acks, b.failed = b.lane(), b.lane(), b.lane()
	return b
}

// boardMargin is the room left and right of the lanes.
const boardMargin = 19

func (b *board) lane() *boardLane {
	return &boardLane{cells: []byte(strings.Repeat(" ", b.columns)), now: isNone, each: make([]int, b.columns)}
}

// read takes an event in. Lanes are drawn up to its time first.
func (b *board) read(e *ledger.Entry) {
	for int(e.At/time.Second) > b.second {
		b.draw(b.columns)
		b.full(b.frame())
		b.next(int(e.At / time.Second))
	}
	b.draw(int(e.At % time.Second * time.Duration(b.columns) / time.Second))
	b.take(e)
	if e.Event.Kind().Weight == ledger.Notable {
		b.news = append(b.news[max(0, len(b.news)-boardNews+1):], fmt.Sprintf("%9.4f %s %s", e.At.Seconds(), e.Host, e.Event.Sentence()))
	}
}

// boardNews is how many of the last notable events are told.
const boardNews = 4

func (b *board) each(do func(*boardLane)) {
	for _, p := range b.partitions { //det:allow each by itself
		for _, l := range p.replicas { //det:allow each by itself
			do(l)
		}
	}
	for _, lanes := range []map[string]*boardLane{b.groups, b.ids} {
		for _, l := range lanes { //det:allow each by itself
			do(l)
		}
	}
	do(b.struck)
}

// draw goes on with all lanes up to a column, as things are now.
func (b *board) draw(to int) {
	if to <= b.at {
		return
	}
	b.each(func(l *boardLane) {
		for i := b.at; i < to; i++ {
			if l.cells[i] == isNone {
				l.cells[i] = l.now
			}
		}
	})
	b.at = to
}

// next begins a second; those in which nothing happened are left out.
func (b *board) next(second int) {
	b.second, b.at = second, 0
	wipe := func(l *boardLane) {
		copy(l.cells, strings.Repeat(" ", b.columns))
		l.count = 0
		clear(l.each)
	}
	b.each(wipe)
	wipe(b.acks)
	wipe(b.failed)
}

// show has a lane show something from now on; it is seen even if it is over at once.
func (b *board) show(l *boardLane, now byte) {
	l.now = now
	l.cells[min(b.at, b.columns-1)] = now
}

func (b *board) take(e *ledger.Entry) {
	switch x := e.Event.(type) {
	case *sim.Started, *sim.Resumed:
		b.host(e.Host, 0)
	case *sim.Killed, *sim.PoweredOff, *sim.Exited:
		b.host(e.Host, isDown)
	case *sim.Paused:
		b.host(e.Host, isPaused)
	case *faults.Struck:
		if !x.Momentary {
			b.faults[x.Number] = x.Text
		}
		b.show(b.struck, '#')
		b.strikes()
	case *faults.Healed:
		delete(b.faults, x.Number)
		b.strikes()
	case *witness.PartitionCommitted:
		if p := b.partition(x.Subject()); p != nil {
			p.isr = slices.Clone(x.ISR)
			b.roles(p)
		}
	case *witness.PartitionsAssigned:
		b.owns(x.Group, e.Host, x.Added, true)
	case *witness.PartitionsRevoked:
		b.owns(x.Group, e.Host, x.Partitions, false)
	case *witness.PartitionsLost:
		b.owns(x.Group, e.Host, x.Partitions, false)
	case *witness.TxnState:
		b.transaction(x)
	case *workloads.Completed:
		b.completed(x)
	default:
		b.takeReplica(e)
	}
}

func (b *board) strikes() {
	b.struck.now = isNone
	if len(b.faults) > 0 {
		b.struck.now = '#'
	}
}

// host says that something became of a host; of its replicas nothing is known while it is down.
func (b *board) host(name string, state byte) {
	b.hosts[name] = state
	for _, p := range b.partitions { //det:allow each by itself
		for _, l := range p.replicas { //det:allow each by itself
			if l.host == name && state == isDown {
				l.leads = false
			}
		}
		b.roles(p)
	}
	for _, l := range b.groups { //det:allow each by itself
		if state == isDown {
			b.disown(l, name)
		}
	}
}

// partition is one of a user's topics; nil: it is of an internal one.
func (b *board) partition(name string) *boardPartition {
	if strings.HasPrefix(name, "__") { //text:allow Kafka's names of internal topics
		return nil
	}
	if b.partitions[name] == nil {
		b.partitions[name] = &boardPartition{name: name, replicas: map[kafka.NodeID]*boardLane{}}
	}
	return b.partitions[name]
}

// roles shows what the replicas of a partition are now.
func (b *board) roles(p *boardPartition) {
	for node, l := range p.replicas { //det:allow each by itself
		now := byte(isBehind)
		switch state := b.hosts[l.host]; {
		case state != 0:
			now = state
		case !l.knows:
			now = isNone
		case l.leads:
			now = isLeader
		case slices.Contains(p.isr, node):
			now = isInSync
		}
		if now != l.now {
			b.show(l, now)
		}
	}
}

func (b *board) takeReplica(e *ledger.Entry) {
	r, ok := e.Event.(interface{ Of() *witness.Replica })
	if !ok || r.Of() == nil {
		return
	}
	p := b.partition(r.Of().Subject())
	if p == nil {
		return
	}
	l := p.replicas[r.Of().Node]
	if l == nil {
		l = b.lane()
		l.host = e.Host
		p.replicas[r.Of().Node] = l
	}
	switch x := e.Event.(type) {
	case *witness.Opened:
		l.knows, l.leads, l.end, l.hw = true, false, x.End, x.HW
	case *witness.Appended:
		l.end = x.End
	case *witness.HighWatermarkMoved:
		l.hw = x.To
	case *witness.Truncated:
		l.end = x.To
		l.cells[min(b.at, b.columns-1)] = isCut
		return // it is what it was
	case *witness.Restarted:
		l.end = x.At
	case *witness.BecameLeader:
		l.knows, l.leads, l.epoch, l.end, l.hw = true, true, x.Epoch, x.End, x.HW
	case *witness.BecameFollower:
		l.knows, l.leads, l.epoch, l.end, l.hw = true, false, x.Epoch, x.End, x.HW
	default:
		return
	}
	b.roles(p)
}

func (b *board) owns(group, host string, partitions witness.Partitions, owns bool) {
	for _, tp := range partitions {
		name := tp.String() + " " + group
		l := b.groups[name]
		if l == nil {
			l = b.lane()
			b.groups[name] = l
		}
		if !owns {
			b.disown(l, host)
			continue
		}
		l.owner = append(l.owner, host)
		b.owned(l)
	}
}

func (b *board) disown(l *boardLane, host string) {
	if i := slices.Index(l.owner, host); i >= 0 {
		l.owner = slices.Delete(l.owner, i, i+1)
		b.owned(l)
	}
}

// owned shows the owner of a partition by the last letter of its name.
func (b *board) owned(l *boardLane) {
	switch len(l.owner) {
	case 0:
		l.now = isNone
	case 1:
		b.show(l, l.owner[0][len(l.owner[0])-1])
	default:
		b.show(l, hasTwo)
	}
	l.text = cmp.Or(strings.Join(l.owner, " and "), "no owner")
}

func (b *board) transaction(x *witness.TxnState) {
	l := b.ids[x.TxnID]
	if l == nil {
		l = b.lane()
		b.ids[x.TxnID] = l
	}
	l.text = fmt.Sprintf("%s e%d", x.To, x.Epoch)
	switch x.To {
	case "Ongoing":
		b.show(l, isOpen)
	case "PrepareCommit":
		b.show(l, isCommitted)
	case "PrepareAbort":
		b.show(l, isAborted)
	default:
		l.now = isNone
	}
}

func (b *board) completed(x *workloads.Completed) {
	l := b.acks
	switch {
	case len(x.Sends) == 0:
		return
	case x.Outcome != "ok":
		l = b.failed
	}
	l.count += len(x.Sends)
	l.each[min(b.at, b.columns-1)] += len(x.Sends)
}

// frame is the present second as it is drawn so far, a row each.
func (b *board) frame() []string {
	rows := []string{fmt.Sprintf("%-*s|%s| %d s", boardMargin-1, fmt.Sprintf("second %d", b.second), strings.Repeat("-", b.columns-1), b.second+1)}
	row := func(label string, cells []byte, under string) {
		rows = append(rows, strings.TrimRight(fmt.Sprintf("%-*.*s %s %.*s", boardMargin-1, boardMargin-1, label, cells, boardMargin-1, under), " "))
	}
	row("faults", b.struck.cells, fmt.Sprintf("%d now", len(b.faults)))
	for _, name := range sortedBy(b.partitions) {
		rows = append(rows, b.rowsOf(b.partitions[name])...)
	}
	for _, name := range sortedBy(b.groups) {
		row(name, b.groups[name].cells, b.groups[name].text)
	}
	for _, id := range sortedBy(b.ids) {
		row("txn "+id, b.ids[id].cells, b.ids[id].text)
	}
	row("acknowledged", b.acks.density(), reports.Count(int64(b.acks.count)))
	row("failed, in doubt", b.failed.density(), reports.Count(int64(b.failed.count)))
	for _, n := range sortedBy(b.faults) {
		rows = append(rows, "fault: "+b.faults[n])
	}
	return append(rows, b.news...)
}

func (b *board) rowsOf(p *boardPartition) (rows []string) {
	for i, node := range sortedBy(p.replicas) {
		l, label := p.replicas[node], ""
		if i == 0 {
			label = p.name
		}
		under := fmt.Sprintf("e%d %d hw %d", l.epoch, l.end, l.hw)
		rows = append(rows, strings.TrimRight(fmt.Sprintf("%-*.*s %2d %s %.*s", boardMargin-4, boardMargin-4, label, node, l.cells, boardMargin-1, under), " "))
	}
	return rows
}

// density shows how many there are in each column: the more the darker.
func (l *boardLane) density() []byte {
	const shades = " .:-=+*#%@"
	most := max(1, slices.Max(l.each))
	out := make([]byte, len(l.each))
	for i, n := range l.each {
		out[i] = shades[(n*(len(shades)-1)+most-1)/most]
	}
	return out
}

// sortedBy are the keys of a map in order.
func sortedBy[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m { //det:allow sorted below
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
