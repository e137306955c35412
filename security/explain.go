package security

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sherpa/models"
	"sherpa/security/token"
)

// IsPersonal reports whether a text, perhaps with its scheme, is meant as a personal access token. Explain
// needs no keys for it.
func IsPersonal(text string) bool { return token.IsPersonal(withoutScheme(text)) }

// Check is one of the checks that an access token goes through.
type Check struct {
	Name   string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Explanation is what Explain needs. Without a Store it does not look up the session.
type Explanation struct {
	Keys     token.KeyRing
	Settings Settings
	Store    *models.Store
	Now      time.Time
}

// Explain says of each check whether the token passes it, in the order of the guard. It goes on after an
// error where that makes sense, so that somebody who asks "why 401?" sees everything at once.
func Explain(ctx context.Context, with Explanation, text string) []Check {
	text = withoutScheme(text)
	var e explainer
	if token.IsPersonal(text) {
		e.explainPersonal(ctx, with, text)
		return e.checks
	}
	access, err := token.ParseAccess(text)
	if !e.add("shape", err, "three parts in base64url") {
		return e.checks
	}
	e.explainSignature(access, with.Keys)
	claims, err := access.Claims()
	if !e.add("claims", err, "the claims of this service") {
		return e.checks
	}
	e.explainClaims(claims, with.Settings, with.Now)
	if with.Store == nil {
		e.note("session", false, "not looked up: there is no database here")
		return e.checks
	}
	e.explainSession(ctx, with.Store, claims, with.Now)
	return e.checks
}

// withoutScheme accepts a token that was copied with its scheme from a header.
func withoutScheme(text string) string {
	text = strings.TrimSpace(text)
	if _, access, err := ParseAuthorization([]string{text}); err == nil {
		return access
	}
	return text
}

type explainer struct{ checks []Check }

// add notes a check and reports whether it passed.
func (e *explainer) add(name string, err error, good string) bool {
	detail := good
	var invalid *token.InvalidError
	switch {
	case errors.As(err, &invalid):
		detail = invalid.Reason
	case err != nil:
		detail = err.Error()
	}
	e.note(name, err == nil, "%s", detail)
	return err == nil
}

func (e *explainer) note(name string, ok bool, format string, args ...any) {
	e.checks = append(e.checks, Check{name, ok, fmt.Sprintf(format, args...)})
}

// explainSignature names the key that signed, or else those that could have.
func (e *explainer) explainSignature(access token.Access, ring token.KeyRing) {
	name, err := access.SignedBy(ring)
	if err == nil {
		e.note("signature", true, "made by %s of %d", name, len(ring.Names()))
		return
	}
	algorithm, id := access.Claimed()
	e.note("signature", false, "%v; its header says %q and kid %q, and here are %v", err, algorithm, id,
		ring.Names())
}

func (e *explainer) explainClaims(c token.Claims, s Settings, now time.Time) {
	e.note("issuer", c.Issuer == s.Issuer, "%q, wanted %q", c.Issuer, s.Issuer)
	e.note("audience", c.Audience == s.Audience, "%q, wanted %q", c.Audience, s.Audience)
	e.note("identity", c.NamesUser(), "user %d, subject %q, session %q", c.Identity, c.Subject, c.SessionID)
	issued := c.IssuedAt != 0 && c.IssuedAt <= now.Add(token.Leeway).Unix()
	e.note("issued", issued, "%s", relative(c.IssuedAt, now))
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

func (e *explainer) explainSession(ctx context.Context, store *models.Store, c token.Claims, now time.Time) {
	session, user, err := store.SessionWithUser(ctx, c.SessionID)
	switch {
	case errors.Is(err, models.ErrNotFound):
		e.note("session", false,
			"it does not exist: the user was deleted, or it ended long ago, or it is in another database")
		return
	case err != nil:
		e.note("session", false, "%v", err)
		return
	}
	reason := session.Ended(now)
	if reason == "" {
		e.note("session", true, "it lives until %s at the longest", session.EndsAt.Format(time.RFC3339))
	} else {
		e.note("session", false, "it has ended: %s", DescribeEnd(reason))
	}
	ok := user.ID == c.Identity && !user.Disabled()
	e.note("user", ok, "%s (%d), %s", user.Username, user.ID, state(user))
}

func state(user models.User) string {
	if user.Disabled() {
		return "disabled since " + user.DisabledAt.Format(time.RFC3339)
	}
	return "enabled"
}

// explainPersonal never repeats the token: only its id, which is no secret.
func (e *explainer) explainPersonal(ctx context.Context, with Explanation, text string) {
	presented, err := token.ParsePersonal(text)
	if !e.add("shape", err, "the form and the checksum of a personal access token") {
		return
	}
	if with.Store == nil {
		e.note("token", false, "not looked up: there is no database here")
		return
	}
	stored, user, err := with.Store.PersonalTokenWithUser(ctx, presented.ID)
	switch {
	case errors.Is(err, models.ErrNotFound):
		e.note("token", false, "%s does not exist: it or its user was deleted, or it expired long ago, "+
			"or it is in another database", presented.ID)
		return
	case err != nil:
		e.note("token", false, "%v", err)
		return
	case !presented.Matches(stored.Hash):
		e.note("token", false, "%s exists, and its secret is another one", presented.ID)
		return
	}
	e.explainStored(stored, user, with.Now)
}

func (e *explainer) explainStored(t models.PersonalToken, owner models.User, now time.Time) {
	e.note("token", true, "%s, %q", t.ID, t.Name)
	e.note("valid until", now.Before(t.ExpiresAt), "%s", relative(t.ExpiresAt.Unix(), now))
	e.note("user", !owner.Disabled(), "%s (%d), %s", owner.Username, owner.ID, state(owner))
	p := personalPrincipal(t, owner)
	e.note("roles", true, "%s; it was made with %s", orNone(p.Roles), orNone(t.Roles))
	e.note("allow", true, "%s", orNone(t.Allows))
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
