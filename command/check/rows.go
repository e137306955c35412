package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// row is one thing that the check looks at. look returns what it has seen, or an error: what is wrong, a
// warning, or why the row was skipped.
type row struct {
	name   string // stable
	checks string // what must hold
	means  string // what a failure means
	mend   string // how to mend it
	look   func(ctx context.Context, p *probe) (seen string, err error)
}

type group struct {
	name string
	rows []row
}

// groups are all rows, in the order in which they run. The rows about all answers come last.
func groups() []group {
	return []group{
		{"connection", connectionRows()},
		{"login", loginRows()},
		{"access token", tokenRows()},
		{"authorization", schemeRows()},
		{"forged tokens", forgeryRows()},
		{"sessions", sessionRows()},
		{"personal access tokens", personalRows()},
		{"requests", requestRows()},
		{"paths", pathRows()},
		{"proxy", proxyRows()},
		{"caches", cacheRows()},
		{"forward-auth", verifyRows()},
		{"all answers", answerRows()},
	}
}

// Row is what the documentation says of a row.
type Row struct{ Group, Name, Checks string }

// Rows lists all rows in their order.
func Rows() []Row {
	var list []Row
	for _, g := range groups() {
		for _, r := range g.rows {
			list = append(list, Row{g.name, r.name, r.checks})
		}
	}
	own := ownRow(nil)
	return append(list, Row{ownGroup, own.name, own.checks})
}

const ownGroup = "sessions of the check"

// ownRow says whether the check has ended its sessions; left are those that live.
func ownRow(left []string) row {
	return row{
		name:   "own-sessions",
		checks: "every session that this check started has ended",
		means:  "These sessions of the user live on until they are idle.",
		mend:   "End them with DELETE /auth/sessions/<id>, or `sherpa session end <id>` on the server.",
		look: func(_ context.Context, p *probe) (string, error) {
			if len(left) > 0 {
				return "", fmt.Errorf("alive: %s", strings.Join(left, ", "))
			}
			return fmt.Sprintf("%d started, all ended", len(p.sessions)), nil
		},
	}
}

// refusedAs is a row whose requests must all be refused with 401 and the code.
func refusedAs(
	code string, requests func(ctx context.Context, p *probe, access string) ([]answer, error),
) func(ctx context.Context, p *probe) (string, error) {
	return func(ctx context.Context, p *probe) (string, error) {
		access, err := p.token(ctx)
		if err != nil {
			return "", err
		}
		answers, err := requests(ctx, p, access)
		if err != nil {
			return "", err
		}
		return all(401, code, answers...)
	}
}

// withToken is a row that needs the access token of the main session.
func withToken(
	look func(ctx context.Context, p *probe, access string) (string, error),
) func(ctx context.Context, p *probe) (string, error) {
	return func(ctx context.Context, p *probe) (string, error) {
		access, err := p.token(ctx)
		if err != nil {
			return "", err
		}
		return look(ctx, p, access)
	}
}

// withSession is a row that needs a session of its own.
func withSession(
	look func(ctx context.Context, p *probe, s *session) (string, error),
) func(ctx context.Context, p *probe) (string, error) {
	return func(ctx context.Context, p *probe) (string, error) {
		s, err := p.open(ctx)
		if err != nil {
			return "", err
		}
		return look(ctx, p, s)
	}
}

// same is ok when both are equal.
func same(what string, got, want any) error {
	if got == "" {
		return fmt.Errorf("%s is missing, want %v", what, want)
	}
	if got != want {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}

// unless says what is wrong, unless all is well.
func unless(ok bool, wrong string) error {
	if !ok {
		return errors.New(wrong)
	}
	return nil
}

// each joins what is wrong, or says what was seen.
func each(seen string, errs ...error) (string, error) {
	if err := errors.Join(errs...); err != nil {
		return "", errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return seen, nil
}
