//go:build !linux

package e2e

import "errors"

func mountSmall(string) (unmount func(), err error) { return nil, errors.New("not Linux") }
