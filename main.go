// Command sherpa secures an API with JSON Web Tokens: log in at POST /auth, then reach the protected
// resources.
//
// "sherpa" alone serves; the other commands manage users, sessions, keys and the database. "sherpa --help" is
// the reference of all settings.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"sherpa/command"
)

// The linker sets these in a build outside Git, such as that of the image: see the Dockerfile.
var (
	version string
	commit  string //nolint:gochecknoglobals // the linker can set nothing else
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	std := command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	err := command.Run(ctx, os.Args[1:], os.Environ(), command.ReadBuild(version, commit), std)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sherpa:", err)
		os.Exit(command.Status(err))
	}
}
