package wasi

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/sim/env"
)

// root is the descriptor of the directory that a program is given: the root of its host's
// disk, which it finds as "/", and which is its working directory.
const root = 3

// file is an open file of the host's disk. A call that reads, writes or syncs lasts as long
// as the disk takes, and nothing of the program goes on meanwhile: it has one thread.
type file struct {
	f       env.File
	name    string
	at      int64
	appends bool
	syncs   bool // each write (O_SYNC)
}

// newFile is an open file at its beginning.
func newFile(f env.File, name string, flags uint64) *file {
	const append, dataSync, sync = 1, 2, 16
	return &file{f: f, name: name, appends: flags&append != 0, syncs: flags&(dataSync|sync) != 0}
}

func (f *file) read(p []byte) (int, errno) {
	n, e := f.readAt(p, f.at)
	f.at += int64(n)
	return n, e
}

func (f *file) readAt(p []byte, at int64) (int, errno) {
	n, err := f.f.ReadAt(p, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, number(err)
	}
	return n, success
}

func (f *file) write(p []byte) (int, errno) {
	if f.appends {
		size, err := f.f.Size()
		if err != nil {
			return 0, number(err)
		}
		f.at = size
	}
	n, e := f.writeAt(p, f.at)
	f.at += int64(n)
	return n, e
}

func (f *file) writeAt(p []byte, at int64) (int, errno) {
	n, err := f.f.WriteAt(p, at)
	if err == nil && f.syncs {
		err = f.f.Sync()
	}
	if err != nil {
		return n, number(err)
	}
	return n, success
}

func (f *file) readable() bool  { return true }
func (f *file) writable() bool  { return true }
func (f *file) fileType() uint8 { return regularFile }
func (f *file) close()          { f.f.Close() }

// directory is an open directory.
type directory struct{ name string }

func (directory) read([]byte) (int, errno)  { return 0, isDirectory }
func (directory) write([]byte) (int, errno) { return 0, isDirectory }
func (directory) readable() bool            { return true }
func (directory) writable() bool            { return true }
func (directory) fileType() uint8           { return directoryFile }
func (directory) close()                    {}

// path is the path on the disk that a call names: a directory's descriptor, and a path
// in memory below it.
func (c caller) path(fd, at, size uint64) (string, errno) {
	d, is := c.in.open[int32(fd)].(directory)
	if !is {
		return "", notDirectory
	}
	p := c.bytes(at, size)
	if p == nil {
		return "", invalid
	}
	return strings.TrimPrefix(path.Clean("/"+d.name+"/"+string(p)), "/"), success
}

// kind is the type of what lies at a path, and a file's size. The disk tells of
// directories only what they list.
func (c caller) kind(name string) (fileType uint8, size int64, e errno) {
	disk := c.in.h.Disk()
	if name == "" {
		return directoryFile, 0, success
	}
	size, err := disk.Stat(name)
	if err == nil {
		return regularFile, size, success
	}
	if !errors.Is(err, env.ErrNotExist) {
		return 0, 0, number(err)
	}
	if c.listed(name) {
		return directoryFile, 0, success
	}
	return 0, 0, notFound
}

// listed reports whether a directory of that name is listed in the one that holds it.
func (c caller) listed(name string) bool {
	dir, base := path.Split(name)
	entries, err := c.in.h.Disk().List(strings.TrimSuffix(dir, "/"))
	return err == nil && slices.Contains(entries, base+"/")
}

// What path_open asks for.
const (
	create    = 1
	onlyDir   = 2
	exclusive = 4
	truncates = 8
)

// openPath: directory, lookup flags, path, size, what is asked for, rights, inherited
// rights, flags, where the descriptor goes.
func openPath(c caller, a []uint64) errno {
	c.in.pace.spend(readOrWrite)
	name, e := c.path(a[0], a[2], a[3])
	if e != success {
		return e
	}
	kind, _, e := c.kind(name)
	want := a[4]
	switch {
	case e == success && want&create != 0 && want&exclusive != 0:
		return exists
	case e == success && kind == directoryFile:
		return c.put32(a[8], uint32(c.in.add(directory{name})))
	case e == success && want&onlyDir != 0:
		return notDirectory
	case e == notFound && want&create != 0:
		if parent := strings.TrimSuffix(path.Dir(name), "."); parent != "" && !c.listed(parent) {
			return notFound
		}
		f, err := c.in.h.Disk().Create(name)
		return c.opened(f, name, err, a)
	case e != success:
		return e
	}
	f, err := c.in.h.Disk().Open(name)
	if err == nil && want&truncates != 0 {
		err = f.Truncate(0)
	}
	return c.opened(f, name, err, a)
}

func (c caller) opened(f env.File, name string, err error, a []uint64) errno {
	if err != nil {
		return number(err)
	}
	return c.put32(a[8], uint32(c.in.add(newFile(f, name, a[7]))))
}

// status writes what stat(2) tells. The disk keeps no times: all are zero.
func (c caller) status(at uint64, name string, fileType uint8, size int64) errno {
	h := fnv.New64a()
	h.Write([]byte(name))
	var b [64]byte
	binary.LittleEndian.PutUint64(b[8:], h.Sum64()) // what os.SameFile compares
	b[16] = fileType
	binary.LittleEndian.PutUint64(b[24:], 1)
	binary.LittleEndian.PutUint64(b[32:], uint64(size))
	if !c.memory.Write(uint32(at), b[:]) {
		return invalid
	}
	return success
}

// statPath: directory, lookup flags, path, size, where 64 bytes go.
func statPath(c caller, a []uint64) errno {
	name, e := c.path(a[0], a[2], a[3])
	if e != success {
		return e
	}
	kind, size, e := c.kind(name)
	if e != success {
		return e
	}
	return c.status(a[4], name, kind, size)
}

// statDescriptor: descriptor, where 64 bytes go.
func statDescriptor(c caller, a []uint64) errno {
	switch d := c.in.open[int32(a[0])].(type) {
	case nil:
		return badDescriptor
	case *file:
		size, err := d.f.Size()
		if err != nil {
			return number(err)
		}
		return c.status(a[1], d.name, regularFile, size)
	case directory:
		return c.status(a[1], d.name, directoryFile, 0)
	default:
		return c.status(a[1], "", d.fileType(), 0)
	}
}

// ofFile is a call about an open file.
func ofFile(does func(c caller, f *file, a []uint64) errno) func(caller, []uint64) errno {
	return func(c caller, a []uint64) errno {
		c.in.pace.spend(readOrWrite)
		switch d := c.in.open[int32(a[0])].(type) {
		case nil:
			return badDescriptor
		case *file:
			return does(c, d, a)
		case directory:
			return isDirectory
		}
		return noSeek
	}
}

// seek: descriptor, offset, from where, where the position goes.
func seek(c caller, f *file, a []uint64) errno {
	const fromStart, fromHere, fromEnd = 0, 1, 2
	to := int64(a[1])
	switch uint32(a[2]) {
	case fromStart:
	case fromHere:
		to += f.at
	case fromEnd:
		size, err := f.f.Size()
		if err != nil {
			return number(err)
		}
		to += size
	default:
		return invalid
	}
	if to < 0 {
		return invalid
	}
	f.at = to
	return c.put64(a[3], uint64(to))
}

// positioned: descriptor, vectors, count, offset, where the number of bytes goes.
func positioned(move func(f *file, p []byte, at int64) (int, errno)) func(caller, []uint64) errno {
	return ofFile(func(c caller, f *file, a []uint64) errno {
		vectors, e := c.vectors(a[1], a[2])
		if e != success {
			return e
		}
		total := 0
		for _, p := range vectors {
			n, e := move(f, p, int64(a[3])+int64(total))
			total += n
			if e != success {
				return e
			}
			if n < len(p) {
				break
			}
		}
		return c.put32(a[4], uint32(total))
	})
}

// resize: descriptor, size.
func resize(_ caller, f *file, a []uint64) errno { return outcome(f.f.Truncate(int64(a[1]))) }

// outcome is the errno of a call that returns nothing else.
func outcome(err error) errno {
	if err != nil {
		return number(err)
	}
	return success
}

// sync makes the contents of a file durable, or the names in a directory.
func sync(c caller, a []uint64) errno {
	switch d := c.in.open[int32(a[0])].(type) {
	case *file:
		return outcome(d.f.Sync())
	case directory:
		return outcome(c.in.h.Disk().SyncDir(d.name))
	}
	return badDescriptor
}

// makeDirectory: directory, path, size.
func makeDirectory(c caller, a []uint64) errno {
	name, e := c.path(a[0], a[1], a[2])
	if e != success {
		return e
	}
	if _, _, e := c.kind(name); e == success {
		return exists
	}
	if parent := strings.TrimSuffix(path.Dir(name), "."); parent != "" && !c.listed(parent) {
		return notFound
	}
	return outcome(c.in.h.Disk().MkdirAll(name))
}

// remove removes a file or an empty directory: directory, path, size.
func remove(kind uint8, otherwise errno) func(caller, []uint64) errno {
	return func(c caller, a []uint64) errno {
		name, e := c.path(a[0], a[1], a[2])
		if e != success {
			return e
		}
		is, _, e := c.kind(name)
		switch {
		case e != success:
			return e
		case is != kind:
			return otherwise
		case kind == directoryFile:
			if entries, err := c.in.h.Disk().List(name); err == nil && len(entries) > 0 {
				return notEmpty
			}
		}
		return outcome(c.in.h.Disk().Remove(name))
	}
}

// rename: directory, path, size, and the same of the new name.
func rename(c caller, a []uint64) errno {
	from, e := c.path(a[0], a[1], a[2])
	if e != success {
		return e
	}
	to, e := c.path(a[3], a[4], a[5])
	if e != success {
		return e
	}
	if _, _, e := c.kind(from); e != success {
		return e
	}
	return outcome(c.in.h.Disk().Rename(from, to))
}

// readDirectory: descriptor, where entries go, size, the entry to begin at, where the
// number of bytes goes. Fewer bytes than there is room for say that it is the end.
func readDirectory(c caller, a []uint64) errno {
	c.in.pace.spend(readOrWrite)
	d, is := c.in.open[int32(a[0])].(directory)
	if !is {
		return notDirectory
	}
	room := c.bytes(a[1], a[2])
	if room == nil && a[2] > 0 {
		return invalid
	}
	entries, err := c.in.h.Disk().List(d.name)
	if err != nil {
		return number(err)
	}
	used := 0
	for i := a[3]; i < uint64(len(entries)) && used < len(room); i++ {
		used += copy(room[used:], entry(entries[i], i+1))
	}
	return c.put32(a[4], uint32(used))
}

// entry is one of a directory, as preview 1 writes it.
func entry(name string, next uint64) []byte {
	kind := regularFile
	if bare, is := strings.CutSuffix(name, "/"); is {
		name, kind = bare, directoryFile
	}
	b := binary.LittleEndian.AppendUint64(nil, next)
	b = binary.LittleEndian.AppendUint64(b, next) // some inode
	b = binary.LittleEndian.AppendUint32(b, uint32(len(name)))
	return append(append(b, kind, 0, 0, 0), name...)
}

// givenDirectory: descriptor, where 8 bytes go: 0 for a directory, and how long its name is.
func givenDirectory(c caller, a []uint64) errno {
	if int32(a[0]) != root {
		return badDescriptor
	}
	return c.put64(a[1], 1<<32)
}

// givenName: descriptor, where its name goes, size.
func givenName(c caller, a []uint64) errno {
	if int32(a[0]) != root {
		return badDescriptor
	}
	if a[2] < 1 || !c.memory.WriteByte(uint32(a[1]), '/') {
		return invalid
	}
	return success
}
