//go:build linux || darwin

package live

import "syscall"

// space is the size of the file system that holds dir, and what of it is left.
func space(dir string) (total, usable int64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return int64(s.Blocks) * int64(s.Bsize), int64(s.Bavail) * int64(s.Bsize), nil
}
