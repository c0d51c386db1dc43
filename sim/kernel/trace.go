package kernel

import (
	"fmt"
	"hash/crc32"
	"math/bits"
	"time"
)

// Kind says what an entry of the trace is about.
type Kind uint8

// The kinds of entries.
const (
	KindCall   Kind = iota + 1 // a function called by the world
	KindTask                   // a task has its turn, or its alarm rings
	KindTimer                  // a timer of a process
	KindPacket                 // something arrives from the network
	KindWrite                  // bytes given to the network
	KindDisk                   // an operation on a disk
	KindLog                    // a line of the story
	KindMark                   // anything else: a process starts, dies, is paused
)

var kindNames = [...]string{"?", "call", "task", "timer", "packet", "write", "disk", "log", "mark"}

// Tag packs what an entry of the trace says beside its time.
func Tag(kind Kind, process uint32, detail uint64) uint64 {
	return uint64(kind)<<56 | uint64(process&0xffff)<<40 | detail&(1<<40-1)
}

// Chunk is how many entries share one hash that is kept.
const Chunk = 4096

// TraceConfig says how much to keep beside the hash.
type TraceConfig struct {
	// Record keeps up to this many entries, from entry From on.
	Record int
	From   uint64
	// Against stops the run at the first entry that differs from that record.
	Against *Trace
	// WithoutBytes leaves out what is written somewhere, which costs as much as the rest of
	// a write: for a world on the wall clock, whose runs are never compared.
	WithoutBytes bool
}

// Trace is a hash over everything that happened, in order. Two runs with equal
// hashes were the same run.
type Trace struct {
	hash   uint64
	n      uint64
	chunks []uint64
	k      *Kernel

	cfg       TraceConfig
	entries   []Entry
	processes []string
	tasks     map[uint64]string
	diff      *Difference
}

// Entry is one recorded step.
type Entry struct {
	At   time.Duration
	Tag  uint64
	Text string
}

// Difference is where two runs part.
type Difference struct {
	Index       uint64
	Left, Right string // what happened in the recorded run, and in this one
}

func (t *Trace) init(cfg TraceConfig, k *Kernel) {
	t.cfg, t.k = cfg, k
	t.hash = 0x6b74_7269_616c_2121
	t.processes = []string{"world"}
	if cfg.Record > 0 || cfg.Against != nil {
		t.tasks = map[uint64]string{}
	}
}

// Hash is the hash of all that happened so far.
func (t *Trace) Hash() uint64 { return t.mixed(t.n) }

// Len counts the entries.
func (t *Trace) Len() uint64 { return t.n }

// Chunks are the hashes after each 4096 entries.
func (t *Trace) Chunks() []uint64 { return t.chunks }

// Difference is where this run left the record it was compared with, or nil.
func (t *Trace) Difference() *Difference { return t.diff }

func (t *Trace) mixed(x uint64) uint64 {
	return bits.RotateLeft64(t.hash^x, 25) * 0x9e37_79b9_7f4a_7c15
}

// Mix adds an entry.
func (t *Trace) Mix(tag uint64) { t.mix(tag, "") }

func (t *Trace) mix(tag uint64, text string) {
	t.hash = t.mixed(uint64(t.k.now)*0xff51_afd7_ed55_8ccd + tag)
	t.n++
	if t.n%Chunk == 0 {
		t.chunks = append(t.chunks, t.hash)
	}
	if t.tasks != nil {
		t.keep(tag, text)
	}
}

// Bytes adds what was written somewhere.
func (t *Trace) Bytes(kind Kind, process uint32, p []byte) {
	if t.cfg.WithoutBytes {
		return
	}
	t.mix(Tag(kind, process, uint64(crc32.Update(0, castagnoli, p))), "")
}

// Text adds a line.
func (t *Trace) Text(kind Kind, process uint32, text string) {
	t.mix(Tag(kind, process, hashString(text)), text)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func hashString(s string) uint64 {
	h := uint64(0xcbf2_9ce4_8422_2325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100_0000_01b3
	}
	return h
}

func (t *Trace) nameProcess(name string) uint32 {
	t.processes = append(t.processes, name)
	return uint32(len(t.processes) - 1)
}

func (t *Trace) nameTask(task *Task) {
	if t.tasks != nil {
		t.tasks[task.id] = task.name
	}
}

// keep records the entry, and compares it with the other run's.
func (t *Trace) keep(tag uint64, text string) {
	i := t.n - 1
	if i < t.cfg.From {
		return
	}
	e := Entry{t.k.now, tag, text}
	if o := t.cfg.Against; o != nil && t.diff == nil {
		switch at := i - o.cfg.From; {
		case at < uint64(len(o.entries)) && o.entries[at] != e:
			t.differ(i, o.Describe(o.entries[at]), t.Describe(e))
		case i >= o.n:
			t.differ(i, "ends", t.Describe(e))
		}
	}
	if len(t.entries) < t.cfg.Record {
		t.entries = append(t.entries, e)
	}
}

func (t *Trace) differ(i uint64, left, right string) {
	t.diff = &Difference{Index: i, Left: left, Right: right}
	t.k.Stop()
}

// Describe says in words what an entry of this trace was.
func (t *Trace) Describe(e Entry) string {
	kind, process, detail := e.Tag>>56, e.Tag>>40&0xffff, e.Tag&(1<<40-1)
	name := fmt.Sprint("process ", process)
	if process < uint64(len(t.processes)) {
		name = t.processes[process]
	}
	what := fmt.Sprintf("%x", detail)
	if task, ok := t.tasks[detail]; ok && Kind(kind) == KindTask {
		what = task
	}
	if e.Text != "" {
		what = e.Text
	}
	return fmt.Sprintf("%v %s: %s %s", e.At, name, kindNames[min(kind, uint64(len(kindNames)-1))], what)
}

// Disk adds an operation on a disk.
func (t *Trace) Disk(process uint32, op uint8, path string) {
	t.mix(Tag(KindDisk, process, hashString(path)<<8|uint64(op)), path)
}
