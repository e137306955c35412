package command

import (
	"fmt"

	"sherpa/security/token"
)

type keyCommands struct {
	New keyNewCommand `cmd:"" help:"Print a new random signing key."`
}

type keyNewCommand struct{}

// Run prints the key and stores it nowhere.
func (keyNewCommand) Run(std Streams) error {
	_, err := fmt.Fprintln(std.Out, token.NewKey())
	return err
}
