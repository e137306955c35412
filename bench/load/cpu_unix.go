//go:build unix

package main

import (
	"syscall"
	"time"
)

// processorTime is how long this program has used processors since its start.
func processorTime() (time.Duration, error) {
	var usage syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), err
}
