package command

import (
	"fmt"

	"sherpa/security/token"
)

type keyCommands struct {
	New keyNewCommand `cmd:"" help:"Print a new random signing key."`
}

type keyNewCommand struct {
	Algorithm string `name:"alg" enum:"HS256,ES256,EdDSA" default:"HS256" help:"Who can verify its tokens. HS256: this service alone. ES256, EdDSA: everybody, with a public key."`
}

// Run prints the key and stores it nowhere.
func (c keyNewCommand) Run(std Streams) error {
	key, err := token.NewKey(c.Algorithm)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.Out, key)
	return err
}
