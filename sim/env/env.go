// Package env is what a process may ask of its host: time, luck, tasks,
// network and disk. It holds interfaces only. Package sim implements them over
// a virtual world, package sim/live over the wall clock, TCP and a directory;
// code written against env does not know which.
//
// One Host value belongs to one incarnation of one process. When the process
// is killed its tasks end at their blocking points: no blocking call returns,
// writes do nothing, and nothing the dead process holds can touch the world.
//
// Tasks of one world never run at once and switch only inside calls that are
// marked "blocks". Between two such calls a task has the state to itself, so
// there are no locks; after such a call, state must be looked at again.
package env

import (
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"github.com/ktrial/ktrial/ledger"
)

// Time is a reading of a host's wall clock in nanoseconds since 1970-01-01
// UTC. Clocks of two hosts differ, and one clock may step: use Uptime to
// measure how long something took.
type Time int64

// Millis is t in milliseconds, the unit of Kafka's timestamps.
func (t Time) Millis() int64 { return int64(t) / int64(time.Millisecond) }

// Forever is a timeout that never passes.
const Forever time.Duration = -1

// Host is the machine below a process.
type Host interface {
	// Name is the host's name in the world, such as "broker-1".
	Name() string

	// Now reads the wall clock. It may step and drift.
	Now() Time
	// Uptime reads the monotonic clock: it never steps, but drifts with the
	// host. All timeouts and sleeps are measured by it.
	Uptime() time.Duration
	// Sleep blocks the calling task for d.
	Sleep(d time.Duration)
	// After runs f once, d from now, outside of any task: f must not block.
	After(d time.Duration, name string, f func()) Timer

	// Go starts a task of this process. Names appear in deadlock reports,
	// panics and traces; they need not be unique.
	Go(name string, f func())
	// NewSignal makes a signal that tasks wait on.
	NewSignal(name string) Signal
	// Yield blocks for a moment where Kafka hands work to another thread or
	// drops a lock, so that what may happen in between does happen in some run.
	Yield(site string)
	// Work says that the host's one CPU is busy for d on behalf of the caller.
	// It does not block: it delays what the host sends and receives next.
	Work(d time.Duration)
	// Machine says what work costs on this host. Nil: work is free, as it is
	// without a profile and on the wall clock, where it takes its own time.
	Machine() Machine
	// Exit ends this process at once, as Kafka halts when a log directory is
	// bad. It does not return.
	Exit(err error)

	// Rand is this incarnation's own stream of luck.
	Rand() *rand.Rand
	// Unlucky reports whether the named site should take its rare path now.
	// Sites are on or off per run; never on outside a simulation.
	Unlucky(site string) bool
	// Tell says that something happened to this process. The event belongs to
	// the ledger afterwards. The sentences of notable events are part of the
	// hash of a run, so they must not hold an operating system's error text.
	Tell(e ledger.Event)
	// Traced reports whether events of weight Traffic are kept or read. If not, there
	// is no need to make them.
	Traced() bool
	// Reached counts a probe: a rare state that a campaign must have met.
	Reached(p *ledger.Probe)

	// Listen opens a port for connections from other hosts.
	Listen(port int) (Listener, error)
	// Dial connects to "host:port". It blocks, at most timeout.
	Dial(addr string, timeout time.Duration) (Conn, error)

	// Disk is the host's disk: it outlives the process.
	Disk() Disk
}

// Kind is a kind of work. What kinds there are is for the processes to say.
type Kind uint8

// Stage is a part of a way that is measured. What stages there are is for the
// processes to say.
type Stage uint8

// Work is so much of one kind.
type Work struct {
	Kind Kind
	N    int64
}

// Machine has processes pay for their work with time.
type Machine interface {
	// Spend says that the calling task does work. It blocks until a core of the
	// host has done it.
	Spend(work ...Work)
	// Owe is Spend for work that is too little to ask a core for each time: the process
	// owes it, and a task that calls pays for all as soon as it is ten microseconds, or
	// a slice of the scheduler while all cores are busy.
	Owe(kind Kind, n int64)
	// SpendAhead is Spend for code that must not block: as with Host.Work, what the
	// host sends and receives next is later.
	SpendAhead(work ...Work)
	// Took says how long a stage took of the way of n units, such as bytes. It changes
	// nothing: results tell where the time went.
	Took(stage Stage, d time.Duration, n int64)
	// Threads makes a pool of so many threads, before which at most queue tasks wait
	// (0: any number).
	Threads(name string, threads, queue int) Threads
}

// Threads is a pool of threads. A task that has entered holds one of them while it
// computes and while it waits for a disk. It gives it back when it waits for anything
// else: such waits are purgatory in Kafka, where no thread waits.
type Threads interface {
	// Queue blocks until there is room to wait for a thread. A thread that the task
	// holds of another pool is held on to.
	Queue()
	// Enter blocks until a thread is free.
	Enter()
	// Leave gives the thread back, if the task still holds it.
	Leave()
}

// Timer is a pending call of After.
type Timer interface {
	// Stop prevents the call; it reports whether it was still to come.
	Stop() bool
}

// Signal is where tasks wait for a condition to change. There are no spurious
// wakeups, but by the time a woken task runs the condition may have changed
// back: wait in a loop.
type Signal interface {
	// Wait blocks until a Notify or Broadcast that comes after the call, or
	// until timeout has passed (Forever: no limit). It reports whether it was
	// signalled: false means the time ran out.
	Wait(timeout time.Duration) bool
	// Notify wakes the task that has waited longest, if there is one.
	Notify()
	// Broadcast wakes all that wait now.
	Broadcast()
}

// Errors of the network and the disk. Implementations wrap them with the location
// and the cause; test with errors.Is.
var (
	ErrTimeout  = errors.New("timed out")
	ErrRefused  = errors.New("connection refused")
	ErrReset    = errors.New("connection reset")
	ErrClosed   = errors.New("closed")
	ErrPortUsed = errors.New("port in use")

	ErrNotExist = errors.New("no such file")
	ErrExist    = errors.New("file exists")
	ErrIO       = errors.New("input/output error")
	ErrNoSpace  = errors.New("no space left on disk")
)

// Listener accepts connections.
type Listener interface {
	// Accept blocks until a connection comes in, or returns ErrClosed.
	Accept() (Conn, error)
	Close() error
}

// Conn is one end of an ordered stream of bytes with back-pressure.
type Conn interface {
	// Read blocks until at least one byte has come in. It returns io.EOF after
	// the peer has closed, ErrReset when the connection broke, ErrTimeout when
	// the deadline passed.
	io.Reader
	// Write takes all of p or fails. It blocks while the peer's window is
	// full. The bytes are copied. Success says nothing about arrival.
	io.Writer
	// Room is how many bytes Write would take now without blocking.
	Room() int
	// SetReadDeadline sets the Uptime at which Read gives up; zero: never.
	// It also holds for a Read that is already waiting.
	SetReadDeadline(uptime time.Duration)
	// SetBuffers says how many bytes the operating system keeps for this end, of what it
	// has written and of what it has not read; 0 or less: as many as it likes. It counts
	// on hosts whose work takes time.
	SetBuffers(send, receive int)
	// Close ends both directions. Bytes already written may still arrive.
	// A Read or Write that waits on this end returns ErrClosed.
	Close() error
	// LocalAddr is "host:port" of this end, as the peer has it.
	LocalAddr() string
	// RemoteAddr is "host:port" of the peer.
	RemoteAddr() string
}

// Disk is one host's file system. Paths are slash-separated and relative to
// its root. Contents are durable after File.Sync, names (create, remove,
// rename) after SyncDir of the directory that holds them; until then a loss of
// power may take any of them away, each file on its own.
type Disk interface {
	// Open opens an existing file for reading and writing.
	Open(path string) (File, error)
	// Create makes a new empty file, or empties an existing one.
	Create(path string) (File, error)
	// Remove removes a file or an empty directory.
	Remove(path string) error
	// Rename replaces to with from, in one step. Works on directories too.
	Rename(from, to string) error
	// MkdirAll makes a directory and its parents; it is no error if it exists.
	MkdirAll(path string) error
	// List names the entries of a directory, sorted; directories end in "/".
	List(dir string) ([]string, error)
	// Stat returns the size of a file, or ErrNotExist.
	Stat(path string) (size int64, err error)
	// SyncDir makes the entries of dir durable. It blocks.
	SyncDir(dir string) error
}

// File is an open file. Reads and writes go to the page cache and may block
// for as long as the disk is slow.
type File interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	// Sync makes the contents and the size durable. It blocks.
	Sync() error
	Size() (int64, error)
	Close() error
}
