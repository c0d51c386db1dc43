//go:build unix

package live

import "syscall"

// descriptorLimit is how many files this program may have open.
func descriptorLimit() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 256
	}
	return int(min(uint64(l.Cur), 1<<20))
}
