//go:build !unix

package pgtest

import (
	"errors"
	"syscall"
)

const supported = false

func unprivileged() (*syscall.SysProcAttr, error) { return nil, errors.ErrUnsupported }

func own(string, *syscall.SysProcAttr) error { return errors.ErrUnsupported }
