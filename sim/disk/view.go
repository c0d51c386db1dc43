package disk

import (
	"io"
	"time"

	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/kernel"
)

// view is the disk as one process sees it.
type view struct {
	d *Disk
	p *kernel.Process
}

// begin is asked before every operation: a dead process does nothing, and a
// fault may strike.
func (v *view) begin(op Op, path string) error {
	if v.p.Dead() {
		return wrap(op.String(), path, env.ErrClosed)
	}
	if len(v.d.rules) == 0 {
		return nil
	}
	if err := v.d.strike(op, path); err != nil {
		return wrap(op.String(), path, err)
	}
	if v.p.Dead() {
		return wrap(op.String(), path, env.ErrClosed)
	}
	return nil
}

func (v *view) trace(op Op, path string) { v.d.k.Trace().Disk(v.p.ID(), uint8(op), path) }

func (v *view) Open(path string) (env.File, error) {
	if err := v.begin(OpOpen, path); err != nil {
		return nil, err
	}
	n := v.d.find(path)
	if n == nil || n.dir() {
		return nil, wrap("open", path, env.ErrNotExist)
	}
	n.file.path = clean(path)
	return &handle{v: v, f: n.file, path: n.file.path}, nil
}

func (v *view) Create(path string) (env.File, error) {
	if err := v.begin(OpCreate, path); err != nil {
		return nil, err
	}
	dir, name, err := v.d.parent(path)
	if err != nil {
		return nil, wrap("create", path, err)
	}
	v.trace(OpCreate, path)
	old := dir.entries[name]
	if old != nil {
		if old.dir() {
			return nil, wrap("create", path, env.ErrExist)
		}
		v.d.truncate(old.file, 0)
		return &handle{v: v, f: old.file, path: clean(path)}, nil
	}
	if err := v.d.room(1); err != nil {
		return nil, wrap("create", path, err)
	}
	f := &inode{path: clean(path), links: 1}
	f.cache.packing = v.d.cfg.Packing
	v.d.apply(change{dir, name, f.path, nil, &node{file: f}})
	return &handle{v: v, f: f, path: f.path}, nil
}

func (v *view) Remove(path string) error {
	if err := v.begin(OpRemove, path); err != nil {
		return err
	}
	dir, name, err := v.d.parent(path)
	if err != nil || dir.entries[name] == nil {
		return wrap("remove", path, env.ErrNotExist)
	}
	n := dir.entries[name]
	if n.dir() && len(n.entries) > 0 {
		return wrap("remove", path, env.ErrExist)
	}
	v.trace(OpRemove, path)
	v.d.unlink(n)
	v.d.apply(change{dir, name, clean(path), n, nil})
	return nil
}

// unlink takes a name away from what n is.
func (d *Disk) unlink(n *node) {
	if n != nil && !n.dir() {
		n.file.links--
		if n.file.links == 0 {
			d.used -= n.file.cache.size
		}
	}
}

func (v *view) Rename(from, to string) error {
	if err := v.begin(OpRename, from); err != nil {
		return err
	}
	d1, n1, err := v.d.parent(from)
	if err != nil || d1.entries[n1] == nil {
		return wrap("rename", from, env.ErrNotExist)
	}
	d2, n2, err := v.d.parent(to)
	if err != nil {
		return wrap("rename", from+" to "+to, err)
	}
	n, replaced := d1.entries[n1], d2.entries[n2]
	if n == replaced {
		return nil
	}
	if replaced != nil && (replaced.dir() != n.dir() || len(replaced.entries) > 0) {
		return wrap("rename", from+" to "+to, env.ErrExist)
	}
	v.trace(OpRename, from)
	v.d.unlink(replaced)
	v.d.apply(change{d1, n1, clean(from), n, nil}, change{d2, n2, clean(to), replaced, n})
	if !n.dir() {
		n.file.path = clean(to)
	}
	return nil
}

func (v *view) MkdirAll(path string) error {
	if err := v.begin(OpMkdir, path); err != nil {
		return err
	}
	at := clean(path)
	for i := range len(at) + 1 {
		if i < len(at) && at[i] != '/' || at == "" {
			continue
		}
		n := v.d.find(at[:i])
		if n != nil && !n.dir() {
			return wrap("mkdir", path, env.ErrExist)
		}
		if n == nil {
			dir, name, _ := v.d.parent(at[:i])
			v.d.apply(change{dir, name, at[:i], nil, newDir()})
		}
	}
	return nil
}

func (v *view) List(dir string) ([]string, error) {
	if err := v.begin(OpList, dir); err != nil {
		return nil, err
	}
	n := v.d.find(dir)
	if n == nil || !n.dir() {
		return nil, wrap("list", dir, env.ErrNotExist)
	}
	names := n.sorted()
	for i, name := range names {
		if n.entries[name].dir() {
			names[i] = name + "/"
		}
	}
	return names, nil
}

func (v *view) Stat(path string) (int64, error) {
	if err := v.begin(OpStat, path); err != nil {
		return 0, err
	}
	n := v.d.find(path)
	if n == nil || n.dir() {
		return 0, wrap("stat", path, env.ErrNotExist)
	}
	return n.file.cache.size, nil
}

func (v *view) SyncDir(dir string) error {
	if v.p.Dead() {
		return wrap("sync", dir, env.ErrClosed)
	}
	n := v.d.find(dir)
	if n == nil || !n.dir() {
		return wrap("sync", dir, env.ErrNotExist)
	}
	v.trace(OpSyncDir, dir)
	v.d.stats.Syncs++
	v.d.waitSync(dir, dir+"/", 0, 0)
	if err := v.begin(OpSyncDir, dir); err != nil {
		return err
	}
	if v.d.flaw(OpSyncDir, clean(dir)) == Lie {
		return nil
	}
	v.d.commitNames(n)
	return nil
}

// handle is an open file.
type handle struct {
	v      *view
	f      *inode
	path   string
	closed bool
}

func (h *handle) begin(op Op) error {
	if h.closed {
		return wrap(op.String(), h.path, env.ErrClosed)
	}
	return h.v.begin(op, h.path)
}

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	if err := h.begin(OpRead); err != nil {
		return 0, err
	}
	if c := h.v.d.costed; c != nil && len(p) > 0 {
		c.read(h.v.d, h.f, off, int64(len(p)))
	}
	n := h.f.cache.read(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	if err := h.begin(OpWrite); err != nil {
		return 0, err
	}
	grows := max(0, off+int64(len(p))-h.f.cache.size)
	if err := h.v.d.room(grows); err != nil {
		return 0, wrap("write", h.path, err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	h.v.d.touch(h.f)
	h.f.write(p, off, h.v.d.k.Now())
	if h.f.links > 0 {
		h.v.d.used += grows
	}
	if len(h.v.d.rules) > 0 {
		h.v.d.interrupt(h.f)
	}
	if c := h.v.d.costed; c != nil {
		c.wrote(h.v.d, h.f, off, int64(len(p)))
	}
	return len(p), nil
}

func (h *handle) Truncate(size int64) error {
	if err := h.begin(OpTruncate); err != nil {
		return err
	}
	if err := h.v.d.room(size - h.f.cache.size); err != nil {
		return wrap("truncate", h.path, err)
	}
	h.v.trace(OpTruncate, h.path)
	h.v.d.truncate(h.f, size)
	return nil
}

func (d *Disk) truncate(f *inode, size int64) {
	if size == f.cache.size {
		return
	}
	d.touch(f)
	if f.links > 0 {
		d.used += size - f.cache.size
	}
	f.truncate(size, d.k.Now())
}

// touch puts f among the files with operations that are not durable, and lets
// the operating system write back what is old or too much.
func (d *Disk) touch(f *inode) {
	if len(f.ops) == 0 && !f.listed {
		f.listed = true
		d.dirty = append(d.dirty, f)
	}
	old := d.k.Now() - d.cfg.WriteBack
	switch {
	case len(f.ops) >= limit:
		f.commit(max(f.expired(old), limit/2))
	case len(f.ops) > 0 && f.ops[0].at < old-d.cfg.WriteBack:
		f.commit(f.expired(old))
	}
}

func (h *handle) Sync() error {
	if h.closed || h.v.p.Dead() {
		return wrap("sync", h.path, env.ErrClosed)
	}
	d, f := h.v.d, h.f
	h.v.trace(OpSync, h.path)
	d.stats.Syncs++
	// What is written while the sync waits for the device is not part of it.
	upTo, bytes := f.first+uint64(len(f.ops)), int64(0)
	for _, o := range f.ops {
		bytes += o.n
	}
	newest := time.Duration(0)
	if n := len(f.ops); n > 0 {
		newest = f.ops[n-1].at
	}
	d.waitSync(h.path, h.path, bytes, newest)
	err := h.begin(OpSync)
	n := int(max(upTo, f.first) - f.first)
	if err != nil {
		d.failSync(f, n)
		return err
	}
	d.finishSync(f, n)
	return nil
}

func (h *handle) Size() (int64, error) {
	if err := h.begin(OpStat); err != nil {
		return 0, err
	}
	return h.f.cache.size, nil
}

func (h *handle) Close() error {
	h.closed = true
	return nil
}
