package security

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sherpa/models"
)

// Check is one of the checks that an access token goes through.
type Check struct {
	Name   string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Explain says of each check whether the token passes it, in the order in which the guard makes them. It goes on
// after a failure where that still makes sense, so that somebody who asks "why 401?" sees everything at once. The
// store may be nil; then the session is not looked up.
func Explain(ctx context.Context, keys KeyRing, settings Settings, store *models.Store, now time.Time, text string) []Check {
	var e explanation
	raw, err := parseToken(withoutScheme(text))
	if !e.add("shape", err, "three parts in base64url with the header of this service") {
		return e.checks
	}
	_, err = keys.verify(raw)
	e.add("signature", err, "made by one of the keys here")
	claims, err := raw.claims()
	if !e.add("claims", err, "the claims of this service") {
		return e.checks
	}
	e.explainClaims(claims, settings, now)
	if store == nil {
		e.checks = append(e.checks, Check{"session", false, "not looked up: there is no database here"})
		return e.checks
	}
	e.explainSession(ctx, store, claims, now)
	return e.checks
}

// withoutScheme takes a token as it is copied from a header as well.
func withoutScheme(text string) string {
	text = strings.TrimSpace(text)
	if _, token, err := ParseAuthorization([]string{text}); err == nil {
		return token
	}
	return text
}

type explanation struct {
	checks []Check
}

// add notes a check and reports whether it passed.
func (e *explanation) add(name string, err error, good string) bool {
	detail := good
	var refusal *Error
	switch {
	case errors.As(err, &refusal):
		detail = strings.TrimSuffix(refusal.Detail, " "+logInAgain)
	case err != nil:
		detail = err.Error()
	}
	e.checks = append(e.checks, Check{name, err == nil, detail})
	return err == nil
}

func (e *explanation) note(name string, ok bool, format string, args ...any) {
	e.checks = append(e.checks, Check{name, ok, fmt.Sprintf(format, args...)})
}

func (e *explanation) explainClaims(c Claims, s Settings, now time.Time) {
	e.note("issuer", c.Issuer == s.Issuer, "%q, wanted %q", c.Issuer, s.Issuer)
	e.note("audience", c.Audience == s.Audience, "%q, wanted %q", c.Audience, s.Audience)
	e.note("identity", c.named(), "user %d, subject %q, session %q", c.Identity, c.Subject, c.SessionID)
	e.note("issued", c.IssuedAt != 0 && c.IssuedAt <= now.Add(Leeway).Unix(), "%s", relative(c.IssuedAt, now))
	e.note("valid from", c.NotBefore != 0 && c.NotBefore <= now.Unix(), "%s", relative(c.NotBefore, now))
	e.note("valid until", now.Unix() < c.ExpiresAt, "%s", relative(c.ExpiresAt, now))
}

func relative(seconds int64, now time.Time) string {
	if seconds == 0 {
		return "missing"
	}
	at := time.Unix(seconds, 0).UTC()
	distance := time.Duration(seconds-now.Unix()) * time.Second
	if distance > 0 {
		return fmt.Sprintf("%s, in %v", at.Format(time.RFC3339), distance)
	}
	return fmt.Sprintf("%s, %v ago", at.Format(time.RFC3339), -distance)
}

func (e *explanation) explainSession(ctx context.Context, store *models.Store, c Claims, now time.Time) {
	session, user, err := store.SessionWithUser(ctx, c.SessionID)
	switch {
	case errors.Is(err, models.ErrNotFound):
		e.note("session", false, "it does not exist: the user was deleted, or it ended long ago, or it is in another database")
		return
	case err != nil:
		e.note("session", false, "%v", err)
		return
	}
	reason := session.Ended(now)
	if reason == "" {
		e.note("session", true, "it lives until %s at the longest", session.EndsAt.Format(time.RFC3339))
	} else {
		e.note("session", false, "it has ended: %s", endedWords(reason))
	}
	e.note("user", user.ID == c.Identity && !user.Disabled(), "%s (%d), %s", user.Username, user.ID, state(user))
}

func state(user models.User) string {
	if user.Disabled() {
		return "disabled since " + user.DisabledAt.Format(time.RFC3339)
	}
	return "enabled"
}
