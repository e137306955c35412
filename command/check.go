package command

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"sherpa/command/check"
)

type checkCommand struct {
	URL      string        `arg:"" help:"Root of the service, such as https://sherpa.example."`
	Username string        `help:"User to log in as, with a password from a prompt or standard input." required:"" placeholder:"NAME"`
	JSON     bool          `name:"json" help:"Print JSON instead of a table."`
	Timeout  time.Duration `help:"How long the whole check may take. Default: 1m." default:"1m" placeholder:"DURATION"`
	Wait     bool          `help:"Also wait until an access token has expired, for as long as one lives."`
	CAFile   string        `name:"ca-file" help:"File with the certificates (PEM) that may sign the service's own." placeholder:"PATH"`
	Insecure bool          `help:"Send the password without TLS, or to a certificate that nobody verified."`
}

// Run checks the service and prints what it has found. The status is 1 when a row failed, and 2 when the
// check could not run or not finish.
func (c checkCommand) Run(ctx context.Context, std Streams) error {
	options, err := c.options()
	if err != nil {
		return &StatusError{StatusUsage, err}
	}
	if options.Password, err = askPassword(ctx, std); err != nil {
		return &StatusError{StatusUsage, err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	report, err := check.Run(ctx, options)
	if err != nil {
		return &StatusError{StatusUsage, err}
	}
	if err := c.print(std, report); err != nil {
		return err
	}
	return checkVerdict(report.Summary)
}

func (c checkCommand) options() (check.Options, error) {
	target, err := url.Parse(c.URL)
	if err != nil {
		return check.Options{}, fmt.Errorf("%q is not a URL such as https://sherpa.example", c.URL)
	}
	roots, err := c.roots()
	if err != nil {
		return check.Options{}, err
	}
	return check.Options{
		URL: target, Username: c.Username, Transport: check.NewTransport(roots, c.Insecure),
		Insecure: c.Insecure, Wait: c.Wait, Now: time.Now, Sleep: sleep,
	}, nil
}

// roots returns nil for the certificates of the system.
func (c checkCommand) roots() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil //nolint:nilnil // what crypto/tls takes for those of the system
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM", c.CAFile)
	}
	return roots, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (c checkCommand) print(std Streams, report check.Report) error {
	if c.JSON {
		return writeJSON(std.Out, report)
	}
	return printReport(std.Out, report, width(std.Out))
}

var errCheckFailed = errors.New("the service does not conform")

func checkVerdict(s check.Summary) error {
	switch {
	case s.Failed > 0:
		return errCheckFailed
	case !s.Finished:
		return &StatusError{StatusUsage, errors.New("the check did not finish")}
	}
	return nil
}
