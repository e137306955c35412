// Package command is the command line: one file a command, the settings, and the wiring of a server.
//
// A command reads settings, calls one method of a lower package, and prints. It knows no SQL and no HTTP
// status.
package command

import (
	"context"
	"errors"
	"fmt"
	"os/user"

	"github.com/alecthomas/kong"

	"sherpa/security"
)

// commandLine is the grammar: the settings, which every command takes, and the commands.
type commandLine struct {
	Config

	Serve       serveCommand       `cmd:"" default:"1" help:"Serve the API (the default command)."`
	User        userCommands       `cmd:"" help:"Manage users."`
	Session     sessionCommands    `cmd:"" help:"List and end sessions."`
	Token       tokenCommands      `cmd:"" help:"Inspect access tokens and personal ones."`
	Events      eventsCommand      `cmd:"" help:"Show who did what: logins, failed ones too, and changes."`
	DB          dbCommands         `cmd:"" name:"db" help:"Inspect, migrate, back up and move the database."`
	Key         keyCommands        `cmd:"" help:"Manage signing keys."`
	Check       checkCommand       `cmd:"" help:"Check a running service from outside, also behind a proxy."`
	Healthcheck healthcheckCommand `cmd:"" help:"Check that the server on this machine answers."`
	Version     versionCommand     `cmd:"" help:"Show the version, the commit, Go and the platform."`

	PrintVersion kong.VersionFlag `name:"version" help:"Show the same as the command version."`
}

// Run carries out one command. environ is the environment, as os.Environ returns it. The error reports every
// bad setting at once.
func Run(ctx context.Context, args, environ []string, build Build, std Streams) error {
	var line commandLine
	var errs []error
	exited := false
	exit := kong.Exit(func(int) { exited = true })
	env := newEnvironment(environ)
	parser, err := newParser(&line, env.lookup, &errs,
		kong.Writers(std.Out, std.Err), exit, kong.Vars{"version": build.String()})
	if err != nil {
		return err
	}
	parsed, err := parser.Parse(args)
	if exited { // --help or --version has been printed
		return nil
	}
	if err != nil {
		return &StatusError{StatusUsage, fmt.Errorf("%w (see sherpa --help)", err)}
	}
	line.build, line.lookup = build, env.lookup
	line.opsChosen = isGiven(parsed, opsListenFlag)
	line.secretKey, line.secretSet = env.lookup(secretKeyVariable)
	errs = append(errs, line.validate(errs)...)
	errs = append(errs, env.unknownSettings(variables(parser.Model))...)
	if parsed.Command() == "serve" { // other commands must work before there is a good key
		errs = append(errs, line.checkKeys(), line.checkTLSFiles())
	} else {
		ctx = security.AsOperator(ctx, accountName())
	}
	if err := errors.Join(errs...); err != nil {
		return &StatusError{StatusUsage, fmt.Errorf("settings: %w", err)}
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return line.explainDatabase(parsed.Run(&line.Config, std))
}

// The exit statuses of the program beside 0.
const (
	StatusFailed = 1 // the command failed, or has found a fault
	StatusUsage  = 2 // the command line or a setting is wrong, or there was nothing that could be checked
)

// StatusError is an error with an exit status of its own.
type StatusError struct {
	Status int
	Err    error
}

func (e *StatusError) Error() string { return e.Err.Error() }

func (e *StatusError) Unwrap() error { return e.Err }

// Status returns the exit status for what Run returned.
func Status(err error) int {
	var own *StatusError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &own):
		return own.Status
	}
	return StatusFailed
}

// accountName returns the account of the machine that runs the command, or "" when it has no name.
func accountName() string {
	account, err := user.Current()
	if err != nil {
		return ""
	}
	return account.Username
}

func newParser(
	line *commandLine, lookup func(string) (string, bool), errs *[]error, more ...kong.Option,
) (*kong.Kong, error) {
	parser, err := kong.New(line, append(append(settingOptions(lookup, settingHelp(), errs), more...),
		kong.Vars{"database": defaultDatabase, "acme": defaultACME, "ops": defaultOpsListen},
		kong.Name("sherpa"),
		kong.Description("Secures an API with JSON Web Tokens. "+
			"Every setting is a flag and an environment variable; the flag wins."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
	)...)
	if err != nil {
		return nil, fmt.Errorf("command line: %w", err)
	}
	return parser, nil
}
