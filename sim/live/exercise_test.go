package live_test

import (
	"errors"
	"fmt"
	"io"

	"github.com/ktrial/ktrial/sim/env"
)

// exercise does on a disk all that one can do, and tells what came of it.
func exercise(d env.Disk) (story []string) {
	tell := func(what string, got any, err error) {
		for _, known := range []error{env.ErrNotExist, env.ErrExist, env.ErrClosed, env.ErrIO, io.EOF} {
			if errors.Is(err, known) {
				err = known
			}
		}
		story = append(story, fmt.Sprintf("%s: %v, %v", what, got, err))
	}
	read := func(f env.File, n int, off int64) {
		b := make([]byte, n)
		n, err := f.ReadAt(b, off)
		tell("read", fmt.Sprintf("%q", b[:n]), err)
	}
	_, err := d.Open("none")
	tell("open none", nil, err)
	_, err = d.Create("none/f")
	tell("create in no directory", nil, err)
	tell("mkdir", nil, d.MkdirAll("a/b/c"))
	tell("mkdir again", nil, d.MkdirAll("/a/b/c/"))
	f, err := d.Create("a/f")
	tell("create", nil, err)
	n, err := f.WriteAt([]byte("hello"), 3)
	tell("write", n, err)
	read(f, 20, 0)
	read(f, 8, 0)
	read(f, 1, 8)
	read(f, 1, 100)
	tell("truncate", nil, f.Truncate(5))
	tell("truncate up", nil, f.Truncate(7))
	read(f, 7, 0)
	size, err := f.Size()
	tell("size", size, err)
	size, err = d.Stat("a/f")
	tell("stat", size, err)
	_, err = d.Stat("a")
	tell("stat directory", nil, err)
	_, err = d.Stat("a/none")
	tell("stat none", nil, err)
	tell("sync", nil, f.Sync())
	tell("sync directory", nil, d.SyncDir("a"))
	tell("sync root", nil, d.SyncDir(""))
	tell("sync no directory", nil, d.SyncDir("none"))
	names, err := d.List("a")
	tell("list", names, err)
	_, err = d.List("none")
	tell("list none", nil, err)
	tell("mkdir over file", nil, ignoreKind(d.MkdirAll("a/f")))
	tell("remove full directory", nil, d.Remove("a"))
	tell("rename", nil, d.Rename("a/f", "a/g"))
	tell("rename none", nil, d.Rename("a/f", "a/h"))
	read(f, 7, 0) // the open file follows its content, not its name
	g, err := d.Create("a/f")
	tell("create again", nil, err)
	g.WriteAt([]byte("new"), 0)
	tell("rename over", nil, d.Rename("a/f", "a/g"))
	x, err := d.Open("a/g")
	tell("open", nil, err)
	read(x, 3, 0)
	tell("rename directory", nil, d.Rename("a", "z"))
	names, err = d.List("")
	tell("list root", names, err)
	names, err = d.List("z")
	tell("list renamed", names, err)
	y, err := d.Create("z/g")
	tell("create empties", nil, err)
	size, err = y.Size()
	tell("size", size, err)
	tell("remove", nil, d.Remove("z/g"))
	tell("remove none", nil, d.Remove("z/g"))
	n, err = y.WriteAt([]byte("x"), 0)
	tell("write removed", n, err)
	tell("close", nil, y.Close())
	n, err = y.WriteAt([]byte("x"), 0)
	tell("write closed", n, err)
	return story
}

// ignoreKind keeps only whether there was an error.
func ignoreKind(err error) error {
	if err != nil {
		return errors.New("some error")
	}
	return nil
}
