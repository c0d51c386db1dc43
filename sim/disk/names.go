package disk

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

// node is what a name stands for: a file or a directory.
type node struct {
	file    *inode
	entries map[string]*node // of a directory
}

func newDir() *node { return &node{entries: map[string]*node{}} }

func (n *node) dir() bool { return n.file == nil }

func (n *node) sorted() []string {
	names := make([]string, 0, len(n.entries))
	for name := range n.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// nameOp is one change of the name space that happens as a whole: a rename
// changes two entries.
type nameOp struct {
	changes []change
	at      time.Duration
}

// change is what happened to one entry of a directory.
type change struct {
	dir      *node
	name     string
	path     string // of the entry when it was changed, for reports
	old, now *node  // nil: no such entry
}

func (c change) set(n *node) {
	if n == nil {
		delete(c.dir.entries, c.name)
		return
	}
	c.dir.entries[c.name] = n
}

// apply makes a change of names visible, and keeps what is needed to undo it.
func (d *Disk) apply(changes ...change) {
	for _, c := range changes {
		c.set(c.now)
	}
	d.names = append(d.names, nameOp{changes, d.k.Now()})
	if len(d.names) > limit {
		d.names = slices.Delete(d.names, 0, limit/2)
	}
}

// entry is a directory and a name in it.
type entry struct {
	dir  *node
	name string
}

func (o nameOp) touches(set map[entry]bool) bool {
	for _, c := range o.changes {
		if set[entry{c.dir, c.name}] {
			return true
		}
	}
	return false
}

func (o nameOp) addTo(set map[entry]bool) {
	for _, c := range o.changes {
		set[entry{c.dir, c.name}] = true
	}
}

// commitNames makes the entries of dir durable, and what they rest upon: a
// file that was renamed into dir was created somewhere first.
func (d *Disk) commitNames(dir *node) {
	needed := map[entry]bool{}
	var left []nameOp
	for _, o := range slices.Backward(d.names) {
		here := slices.ContainsFunc(o.changes, func(c change) bool { return c.dir == dir })
		if here || o.touches(needed) {
			o.addTo(needed)
			continue
		}
		left = append(left, o)
	}
	slices.Reverse(left)
	d.names = left
}

// clean makes a path relative to the root. Most are so already.
func clean(p string) string {
	if p != "." && fs.ValidPath(p) {
		return p
	}
	return strings.TrimPrefix(path.Clean("/"+p), "/")
}

// find returns what a path stands for, or nil.
func (d *Disk) find(p string) *node {
	n := d.root
	for p = clean(p); p != ""; {
		name, rest, _ := strings.Cut(p, "/")
		if n = n.entries[name]; n == nil {
			return nil
		}
		p = rest
	}
	return n
}

// parent returns the directory that holds the path, and the last name.
func (d *Disk) parent(p string) (*node, string, error) {
	dir, name := path.Split(clean(p))
	n := d.find(strings.TrimSuffix(dir, "/"))
	if n == nil || !n.dir() || name == "" {
		return nil, "", env.ErrNotExist
	}
	return n, name, nil
}

// walk calls f with each file, in the order of their paths.
func (d *Disk) walk(f func(p string, file *inode)) { walk(d.root, "", f) }

func walk(n *node, at string, f func(string, *inode)) {
	for _, name := range n.sorted() {
		child := n.entries[name]
		if child.dir() {
			walk(child, at+name+"/", f)
		} else {
			f(at+name, child.file)
		}
	}
}
