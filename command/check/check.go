// Package check is a conformance check of a running service, which may be behind a proxy.
//
// It is a client of HTTP and nothing else: it sees what any stranger with an account sees, so it imports
// nothing of ours. Rows lists what it looks at. It changes nothing but sessions of its own, and ends them,
// also when it was interrupted.
package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Options say which service to check, and as whom.
type Options struct {
	URL       *url.URL // its root
	Username  string
	Password  string
	Transport http.RoundTripper // that of NewTransport
	Insecure  bool              // whether a password may cross a network in clear
	Wait      bool              // whether to wait until an access token has expired
	Now       func() time.Time
	Sleep     func(ctx context.Context, d time.Duration) error
}

// Outcome is what became of a row.
type Outcome string

// The outcomes. A warning is no failure.
const (
	OK      Outcome = "ok"
	Warning Outcome = "warning"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// Result is a row with its outcome. The name is stable.
type Result struct {
	Name    string  `json:"name"`
	Group   string  `json:"group"`
	Checks  string  `json:"checks"`
	Outcome Outcome `json:"result"`
	Seen    string  `json:"seen"`
	Means   string  `json:"means,omitempty"` // of a failure or warning
	Mend    string  `json:"mend,omitempty"`
}

// Summary counts the outcomes, and the sessions that the check started.
type Summary struct {
	OK       int     `json:"ok"`
	Warnings int     `json:"warnings"`
	Failed   int     `json:"failed"`
	Skipped  int     `json:"skipped"`
	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests"`
	Started  int     `json:"sessions_started"`
	Alive    int     `json:"sessions_alive"` // that could not be ended
	Finished bool    `json:"finished"`       // false after an interrupt, or when the time was over
}

// Report is the result of a whole check.
type Report struct {
	URL     string   `json:"url"`
	Rows    []Result `json:"rows"`
	Summary Summary  `json:"summary"`
}

// ErrCannotRun says that the service could not be checked at all.
var ErrCannotRun = errors.New("the check could not run")

// Run checks the service row by row. The error wraps ErrCannotRun when no session could be started. When ctx
// ends, the remaining rows are skipped; the sessions of the check are ended in any case.
func Run(ctx context.Context, options Options) (Report, error) {
	if err := options.refuse(); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrCannotRun, err)
	}
	p := newProbe(options)
	if err := p.begin(ctx); err != nil {
		if ctx.Err() != nil {
			p.endLost(ctx)
		}
		return Report{}, fmt.Errorf("%w: %w", ErrCannotRun, err)
	}
	p.forwardAuth = p.asksForToken(ctx)
	report := Report{URL: options.URL.String()}
	for _, g := range groups() {
		for _, r := range g.rows {
			report.Rows = append(report.Rows, p.look(ctx, g.name, r))
		}
	}
	left := p.endSessions(ctx)
	report.Rows = append(report.Rows, p.look(context.WithoutCancel(ctx), ownGroup, ownRow(left)))
	report.Summary = p.summary(ctx, report.Rows, left)
	return report, nil
}

// refuse returns why these options must not be used.
func (o Options) refuse() error {
	switch {
	case o.URL.Scheme != "http" && o.URL.Scheme != "https" || o.URL.Host == "":
		return fmt.Errorf("%q is not a URL such as https://sherpa.example", o.URL)
	case strings.Trim(o.URL.Path, "/") != "" || o.URL.RawQuery != "" || o.URL.User != nil:
		return errors.New("name the root of the service, without a path, a query or a user")
	case !o.encrypted() && !o.Insecure: // fails closed: afterwards, the password is known
		return errors.New("the password would cross the network in clear; use https://, or --insecure " +
			"in a " +
			"network that you trust")
	case o.Username == "" || o.Password == "":
		return errors.New("the name and the password must not be empty")
	case strings.EqualFold(strings.TrimSpace(o.Username), "sherpa") && o.Password == "everest":
		// Also on loopback: who is used to typing it here types it against a real service one day.
		return errors.New("everybody knows the password of the demo user; make a user for the check: " +
			"sherpa user add NAME")
	}
	return nil
}

// encrypted reports whether nobody on a network can read what is sent. A name may lead anywhere, so only an
// address and "localhost" count as this machine.
func (o Options) encrypted() bool {
	ip, err := netip.ParseAddr(o.URL.Hostname())
	return o.URL.Scheme == "https" || o.URL.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// look asks one row.
func (p *probe) look(ctx context.Context, group string, r row) Result {
	result := Result{Name: r.name, Group: group, Checks: r.checks}
	seen, err := "", error(skipped("the check was interrupted, or its time was over"))
	before := len(p.answers)
	if ctx.Err() == nil {
		seen, err = r.look(ctx, p)
	}
	if err != nil && ctx.Err() != nil { // a request that was cut off says nothing about the service
		err = skipped("the check was interrupted, or its time was over")
	}
	if err != nil && slices.ContainsFunc(p.answers[before:], p.ofAPI) {
		err = skipped("the proxy asks for a token here (forward-auth): the path is that of the API behind it")
	}
	result.Outcome, result.Seen = outcome(seen, err)
	if result.Outcome == Failed || result.Outcome == Warning {
		result.Means, result.Mend = r.means, r.mend
	}
	return result
}

// skipped is why a row could not be asked.
type skipped string

func (s skipped) Error() string { return string(s) }

// warning is what is not as it should be, and does no harm.
type warning string

func (w warning) Error() string { return string(w) }

func outcome(seen string, err error) (Outcome, string) {
	var skip skipped
	var warn warning
	switch {
	case err == nil:
		return OK, seen
	case errors.As(err, &skip):
		return Skipped, err.Error()
	case errors.As(err, &warn):
		return Warning, err.Error()
	}
	return Failed, err.Error()
}

func (p *probe) summary(ctx context.Context, rows []Result, left []string) Summary {
	s := Summary{
		Seconds: p.Now().Sub(p.started).Seconds(), Requests: len(p.answers),
		Started: len(p.sessions), Alive: len(left), Finished: ctx.Err() == nil,
	}
	for _, r := range rows {
		switch r.Outcome {
		case OK:
			s.OK++
		case Warning:
			s.Warnings++
		case Failed:
			s.Failed++
		case Skipped:
			s.Skipped++
		}
	}
	return s
}
