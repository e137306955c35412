//go:build unix

package command

import "syscall"

// descriptorLimit returns how many files and connections this process may have open, 0 when it is unknown.
// Go's runtime has raised it as far as the system allows.
func descriptorLimit() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur) //nolint:unconvert // it is signed on some systems
}
