package main

import (
	"fmt"

	"sherpa/security"
)

type keyCommands struct {
	New keyNewCommand `cmd:"" help:"Print a new random signing key."`
}

type keyNewCommand struct{}

// Run prints the key and keeps it nowhere.
func (keyNewCommand) Run(std streams) error {
	_, err := fmt.Fprintln(std.out, security.NewKey())
	return err
}
