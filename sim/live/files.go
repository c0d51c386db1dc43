package live

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

const dialTimeout = 5 * time.Second

// files is the part of the directory that belongs to one host. Only syncs take
// long enough to be waited for on another goroutine; all else ends in the page
// cache of the operating system.
type files struct {
	w    *World
	h    env.Host
	root *os.Root
}

// fileSystem is the disk of a process. The gateway has none.
func (w *World) fileSystem(host string, h env.Host) env.Disk {
	if host == gateway {
		return nil
	}
	err := w.root.MkdirAll(host, 0o755)
	var root *os.Root
	if err == nil {
		root, err = w.root.OpenRoot(host)
	}
	if err != nil {
		panic(fmt.Sprintf("live: directory of host %s: %v", host, err))
	}
	return &files{w, h, root}
}

func (f *files) Open(p string) (env.File, error) { return f.open("open", p, os.O_RDWR) }

func (f *files) Create(p string) (env.File, error) {
	return f.open("create", p, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

func (f *files) open(doing, p string, flags int) (env.File, error) {
	d := f.w.descriptors
	x := &openFile{f: f, path: clean(p)}
	x.item.Init(x)
	d.take()
	err := d.try(func() (err error) {
		x.file, err = f.root.OpenFile(x.path, flags, 0o644)
		return err
	})
	if err != nil {
		d.open--
		return nil, wrap(doing, p, err)
	}
	d.enter(x)
	d.idle.Push(&x.item)
	return x, nil
}

func (f *files) Remove(p string) error {
	f.w.descriptors.hold(f, clean(p))
	return wrap("remove", p, f.try(func() error { return f.root.Remove(clean(p)) }))
}

func (f *files) Rename(from, to string) error {
	f.w.descriptors.hold(f, clean(to))
	err := f.try(func() error { return f.root.Rename(clean(from), clean(to)) })
	if err == nil {
		f.w.descriptors.renamed(f, clean(from), clean(to))
	}
	return wrap("rename", from+" to "+to, err)
}

func (f *files) MkdirAll(p string) error {
	return wrap("mkdir", p, f.try(func() error { return f.root.MkdirAll(clean(p), 0o755) }))
}

func (f *files) List(dir string) ([]string, error) {
	var entries []fs.DirEntry
	err := f.try(func() (err error) {
		entries, err = fs.ReadDir(f.root.FS(), clean(dir)) // sorted
		return err
	})
	if err != nil {
		return nil, wrap("list", dir, err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
		if e.IsDir() {
			names[i] += "/"
		}
	}
	return names, nil
}

func (f *files) Stat(p string) (int64, error) {
	var info fs.FileInfo
	err := f.try(func() (err error) {
		info, err = f.root.Stat(clean(p))
		return err
	})
	if err != nil {
		return 0, wrap("stat", p, err)
	}
	if info.IsDir() {
		return 0, wrap("stat", p, env.ErrNotExist)
	}
	return info.Size(), nil
}

func (f *files) SyncDir(dir string) error {
	var d *os.File
	f.w.descriptors.take()
	defer func() { f.w.descriptors.open-- }()
	err := f.try(func() (err error) {
		d, err = f.root.Open(clean(dir))
		return err
	})
	if err != nil {
		return wrap("sync", dir, err)
	}
	return wrap("sync", dir, f.w.await(f.h, "sync of "+dir, func() error {
		defer d.Close()
		return d.Sync()
	}))
}

func (f *files) try(do func() error) error { return f.w.descriptors.try(do) }

// Where is the absolute path of p on this machine.
func (f *files) Where(p string) string {
	path := filepath.Join(f.root.Name(), filepath.FromSlash(clean(p)))
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// Space is the size of the file system in bytes, and how much of it this program
// may use yet.
func (f *files) Space() (total, usable int64, err error) {
	total, usable, err = space(f.root.Name())
	return total, usable, wrap("space of", ".", err)
}

func (x *openFile) ReadAt(p []byte, off int64) (n int, err error) {
	file, err := x.use()
	if err == nil {
		n, err = file.ReadAt(p, off)
	}
	return n, wrap("read", x.path, err)
}

func (x *openFile) WriteAt(p []byte, off int64) (n int, err error) {
	file, err := x.use()
	if err == nil {
		n, err = file.WriteAt(p, off)
	}
	return n, wrap("write", x.path, err)
}

func (x *openFile) Truncate(size int64) error {
	file, err := x.use()
	if err == nil {
		err = file.Truncate(size)
	}
	return wrap("truncate", x.path, err)
}

// Sync makes the contents durable. The file stays open for as long as that takes.
func (x *openFile) Sync() error {
	file, err := x.use()
	if err != nil {
		return wrap("sync", x.path, err)
	}
	x.syncs++
	x.item.Remove()
	err = x.f.w.await(x.f.h, "sync of "+x.path, file.Sync)
	x.syncs--
	if x.file != nil && x.syncs == 0 && !x.held && !x.closed {
		x.f.w.descriptors.idle.Push(&x.item)
	}
	return wrap("sync", x.path, err)
}

func (x *openFile) Size() (int64, error) {
	file, err := x.use()
	if err != nil {
		return 0, wrap("stat", x.path, err)
	}
	info, err := file.Stat()
	if err != nil {
		return 0, wrap("stat", x.path, err)
	}
	return info.Size(), nil
}

func (x *openFile) Close() error {
	if x.closed {
		return wrap("close", x.path, os.ErrClosed)
	}
	x.closed = true
	x.f.w.descriptors.leave(x)
	return wrap("close", x.path, x.rest())
}

// clean makes a path relative to the root.
func clean(p string) string {
	if p = strings.TrimPrefix(path.Clean("/"+p), "/"); p != "" {
		return p
	}
	return "."
}

// wrap says what went wrong in the terms of env. io.EOF stays what it is.
func wrap(doing, p string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return fmt.Errorf("disk: %s %s: %w (%v)", doing, p, kind(err), err)
}

func kind(err error) error {
	switch {
	case errors.Is(err, env.ErrNotExist), errors.Is(err, fs.ErrNotExist):
		return env.ErrNotExist
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, syscall.EISDIR):
		return env.ErrExist
	case errors.Is(err, fs.ErrClosed):
		return env.ErrClosed
	case errors.Is(err, syscall.ENOSPC):
		return env.ErrNoSpace
	}
	return env.ErrIO
}
