package live

import (
	"errors"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/ktrial/ktrial/internal/list"
)

// The operating system lets a program have so many files open, connections
// included. A broker has four files for each segment of each partition, so they
// are opened when they are needed and the ones that were not used for longest
// are closed: what runs in the world never runs out.

// spare is how many descriptors are for everything else: the program itself, the
// directories of the hosts, and what the Go runtime opens for a moment.
const spare = 64

// shares divides a limit of descriptors between open files and connections.
func shares(limit int) (files, conns int) {
	left := max(limit-spare, 16)
	conns = left / 2
	return left - conns, conns
}

// descriptors are the files of a world. Used by the world's thread only.
type descriptors struct {
	budget int // how many may be open
	open   int
	idle   list.List[openFile] // those that could be closed, the oldest first
	// known are all files that the hosts have not closed, by their directory: a
	// file that is closed for the moment must be found again after a rename.
	known map[directory][]*openFile
}

// directory is one of a host.
type directory struct {
	f   *files
	dir string
}

func newDescriptors(budget int) *descriptors {
	return &descriptors{budget: budget, known: map[directory][]*openFile{}}
}

// take counts one more open file, and closes others if there are too many.
func (d *descriptors) take() {
	for d.open >= d.budget && d.release() {
	}
	d.open++
}

// release closes the file that was not used for longest. It reports whether
// there was one.
func (d *descriptors) release() bool {
	x := d.idle.First()
	if x == nil {
		return false
	}
	x.rest()
	return true
}

// try does what opens a file, and makes room if there are none left: others than
// this world may have taken them.
func (d *descriptors) try(do func() error) error {
	for {
		err := do()
		if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) || !d.release() {
			return err
		}
	}
}

func (d *descriptors) enter(x *openFile) {
	at := x.directory()
	d.known[at] = append(d.known[at], x)
}

func (d *descriptors) leave(x *openFile) {
	at := x.directory()
	left := d.known[at]
	for i := range left {
		if left[i] == x {
			left = append(left[:i], left[i+1:]...)
			break
		}
	}
	if len(left) == 0 {
		delete(d.known, at)
		return
	}
	d.known[at] = left
}

// hold has the files at p stay open until their hosts close them: after p is
// removed, or another file has its name, they could not be opened again.
func (d *descriptors) hold(f *files, p string) {
	for _, x := range d.known[directory{f, path.Dir(p)}] {
		if x.path == p && !x.held {
			if _, err := x.use(); err == nil {
				x.held = true
				x.item.Remove()
			}
		}
	}
}

// renamed follows a file, or all files in a directory, to another name.
func (d *descriptors) renamed(f *files, from, to string) {
	for _, x := range d.known[directory{f, path.Dir(from)}] {
		if x.path == from && !x.held {
			d.leave(x)
			x.path = to
			d.enter(x)
			return
		}
	}
	for at, files := range d.known {
		if at.f != f || at.dir != from && !strings.HasPrefix(at.dir, from+"/") {
			continue
		}
		delete(d.known, at)
		for _, x := range files {
			x.path = to + strings.TrimPrefix(x.path, from)
			d.enter(x)
		}
	}
}

// openFile is a file that a host has open. Whether this program has it open too
// is another matter.
//
// Invariant: item is in the list of idle files if and only if file is not nil,
// no task syncs it, and it is not held.
type openFile struct {
	f      *files
	path   string // clean
	file   *os.File
	syncs  int
	held   bool
	closed bool
	item   list.Item[openFile]
}

func (x *openFile) directory() directory { return directory{x.f, path.Dir(x.path)} }

// use opens the file if need be, and makes it the last to be closed.
func (x *openFile) use() (*os.File, error) {
	d := x.f.w.descriptors
	if x.closed {
		return nil, os.ErrClosed
	}
	if x.file == nil {
		d.take()
		err := d.try(func() (err error) {
			x.file, err = x.f.root.OpenFile(x.path, os.O_RDWR, 0)
			return err
		})
		if err != nil {
			d.open--
			x.file = nil
			return nil, err
		}
	}
	x.item.Remove()
	if x.syncs == 0 && !x.held {
		d.idle.Push(&x.item)
	}
	return x.file, nil
}

// rest closes the file until it is used again.
func (x *openFile) rest() error {
	if x.file == nil {
		return nil
	}
	x.item.Remove()
	err := x.file.Close()
	x.file = nil
	x.f.w.descriptors.open--
	return err
}
