// Command sherpa secures an API with JSON Web Tokens: log in at POST /auth, then reach the protected resources.
//
// "sherpa" alone serves; the other commands manage users, sessions, keys and the database. "sherpa --help" is the reference of all settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:], os.LookupEnv, streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sherpa:", err)
		os.Exit(1)
	}
}

// streams are the standard streams of a command.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// commandLine is the grammar: the settings, which every command takes, and the commands.
type commandLine struct {
	Config

	Serve       serveCommand       `cmd:"" default:"1" help:"Serve the API (this is what sherpa does without a command)."`
	User        userCommands       `cmd:"" help:"Manage the users in the database."`
	Session     sessionCommands    `cmd:"" help:"See and end the sessions of users."`
	Token       tokenCommands      `cmd:"" help:"Look into access tokens."`
	DB          dbCommands         `cmd:"" name:"db" help:"Look at the database, back it up, move it."`
	Key         keyCommands        `cmd:"" help:"Manage signing keys."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask the server on this machine whether it runs; for a container's health check."`
}

// run carries out one command.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), std streams) error {
	var line commandLine
	var faults []error
	exited := false
	parser, err := kong.New(&line, append(settingOptions(lookup, &faults),
		kong.Name("sherpa"),
		kong.Description("Secures an API with JSON Web Tokens. Every setting below is a flag and an environment variable; the flag wins."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(int) { exited = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
	)...)
	if err != nil {
		return fmt.Errorf("command line: %w", err)
	}
	parsed, err := parser.Parse(args)
	if exited { // --help has been printed
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w (see sherpa --help)", err)
	}
	line.lookup = lookup
	line.secretKey, line.secretSet = lookup("SHERPA_SECRET_KEY")
	faults = append(faults, line.validate(faults)...)
	if parsed.Command() == "serve" { // other commands must work before there is a good key
		faults = append(faults, line.checkKeys())
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(&line.Config, std)
}
