// Package files reads and replaces whole small files so that a loss of power
// leaves either all of the old content or all of the new.
package files

import (
	"io"
	"path"

	"github.com/ktrial/ktrial/sim/env"
)

// Read returns all that a file holds. A file that is not there is
// env.ErrNotExist.
func Read(disk env.Disk, name string) ([]byte, error) {
	f, err := disk.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if err := ReadFull(f, b, 0); err != nil {
		return nil, err
	}
	return b, nil
}

// ReadFull fills b from position at of the file. A file that ends before is
// io.ErrUnexpectedEOF.
func ReadFull(f env.File, b []byte, at int64) error {
	if len(b) == 0 {
		return nil
	}
	n, err := f.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Replace gives the file name new content, durably and in one step. The content
// is first written to the file aside, in the same directory. The order is all
// that matters: content, then the name, then the directory (KAFKA-15312).
func Replace(disk env.Disk, name, aside string, content []byte) error {
	return replace(disk, name, aside, content, true)
}

// ReplaceUnsynced is Replace without the first step of that order: it is the mistake of
// KAFKA-15312, for package planted.
func ReplaceUnsynced(disk env.Disk, name, aside string, content []byte) error {
	return replace(disk, name, aside, content, false)
}

func replace(disk env.Disk, name, aside string, content []byte, sync bool) error {
	if err := Write(disk, aside, content, sync); err != nil {
		return err
	}
	if err := disk.Rename(aside, name); err != nil {
		return err
	}
	return disk.SyncDir(path.Dir(name))
}

// Write writes a new file. With sync its content is durable when Write returns;
// its name is not, until the directory is synced.
func Write(disk env.Disk, name string, content []byte, sync bool) error {
	f, err := disk.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil && sync {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// MkdirAll makes a directory, durably, up to the root: what is synced in a
// directory that is not is lost all the same.
func MkdirAll(disk env.Disk, dir string) error {
	if err := disk.MkdirAll(dir); err != nil {
		return err
	}
	return SyncNames(disk, dir)
}

// SyncNames makes the names on the way to dir durable.
func SyncNames(disk env.Disk, dir string) error {
	for at := path.Clean(dir); at != "." && at != "/"; at = path.Dir(at) {
		if err := disk.SyncDir(path.Dir(at)); err != nil {
			return err
		}
	}
	return nil
}
