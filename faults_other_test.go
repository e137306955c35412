//go:build !linux

package main

import "errors"

func mountSmall(string) (unmount func(), err error) { return nil, errors.New("not Linux") }
