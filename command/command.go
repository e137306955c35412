// Package command is the command line: one file a command, the settings, and the wiring of a server.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"
)

// Streams are the standard streams of a command.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
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

// Run carries out one command.
func Run(ctx context.Context, args []string, lookup func(string) (string, bool), std Streams) error {
	var line commandLine
	var faults []error
	exited := false
	parser, err := kong.New(&line, append(settingOptions(lookup, &faults),
		kong.Name("sherpa"),
		kong.Description("Secures an API with JSON Web Tokens. Every setting below is a flag and an environment variable; the flag wins."),
		kong.Writers(std.Out, std.Err),
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
