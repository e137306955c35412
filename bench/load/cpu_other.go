//go:build !unix

package main

import (
	"errors"
	"time"
)

// processorTime is not known: the scripts of bench/ need a Unix system as well.
func processorTime() (time.Duration, error) { return 0, errors.ErrUnsupported }
