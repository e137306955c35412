package security

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"unicode"

	"sherpa/models"
)

// As returns a context whose changes are those of the principal.
func As(ctx context.Context, principal Principal) context.Context {
	origin := models.OriginOf(ctx)
	origin.Actor, origin.ActorID, origin.ActorName = models.ActorUser, principal.UserID, principal.Username
	origin.ActorToken = principal.TokenID
	return models.WithOrigin(ctx, origin)
}

// AsOperator returns a context whose changes are those of an operator at the command line. The account is
// that of the machine, or "".
func AsOperator(ctx context.Context, account string) context.Context {
	return models.WithOrigin(ctx, models.Origin{Actor: models.ActorOperator, ActorName: account})
}

// asAnonymous returns a context whose changes are those of somebody who has not proven who they are.
func asAnonymous(ctx context.Context) context.Context {
	origin := models.OriginOf(ctx)
	origin.Actor, origin.ActorID, origin.ActorName = models.ActorAnonymous, 0, ""
	origin.ActorToken = ""
	return models.WithOrigin(ctx, origin)
}

// WithClient returns a context whose changes come from this client, who has not proven who they are.
func WithClient(ctx context.Context, client Client) context.Context {
	return models.WithOrigin(ctx, models.Origin{
		Actor: models.ActorAnonymous, Address: client.Address,
		UserAgent: printable(clip(client.UserAgent, maxUserAgent)), RequestID: client.RequestID,
	})
}

// printable replaces what could move the cursor of a terminal that shows a log.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// logEvent writes the one line about an event. Its fields have the names of OpenTelemetry's semantic
// conventions where there are any. The user is the one to whom it happened.
func (s *Service) logEvent(ctx context.Context, e models.Event) {
	if e.Quiet {
		return
	}
	attrs := []slog.Attr{slog.String("event.name", string(e.Kind))}
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	id := func(key string, value int64) { // a string, by the conventions
		if value != 0 {
			add(key, strconv.FormatInt(value, 10))
		}
	}
	add("reason", e.Reason)
	if e.Times > 1 {
		attrs = append(attrs, slog.Int64("count", e.Times))
	}
	id("user.id", e.SubjectID)
	add("user.name", e.SubjectName)
	add("name_hash", e.NameHash)
	add("session.id", e.SessionID)
	add("actor", string(e.Actor))
	id("actor.id", e.ActorID)
	add("actor.name", e.ActorName)
	add("actor.token", e.ActorToken)
	add("client.address", e.Address)
	add("user_agent.original", e.UserAgent)
	add("request_id", e.RequestID)
	level, text := eventLine(e.Kind)
	s.Logger.LogAttrs(ctx, level, text, attrs...)
}

// eventLine says what an operator may have to do about an event, and warns if so.
func eventLine(kind models.EventKind) (slog.Level, string) {
	switch kind {
	case models.EventRefreshReuse:
		return slog.LevelWarn, "refresh token used twice: somebody may have a copy; the session has ended, " +
			"and its user must log in again"
	case models.EventThrottleTripped:
		return slog.LevelWarn, "too many logins: the throttle slows them down; see `sherpa events`, " +
			"and block the address if it goes on"
	default:
		return slog.LevelInfo, "event"
	}
}

// RecordStart records that a server has started; version is that of the program.
func (s *Service) RecordStart(ctx context.Context, version string) error {
	return s.Store.Record(ctx, s.Now(), models.Event{Kind: models.EventServerStarted, Reason: version})
}

// RecordStop records that a server stops.
func (s *Service) RecordStop(ctx context.Context) error {
	return s.Store.Record(ctx, s.Now(), models.Event{Kind: models.EventServerStopped})
}

// RecordKeys records it when the signing keys differ from those that a server on this database had before. It
// keeps their fingerprints alone. Call it at the start, and after the keys were read again.
func (s *Service) RecordKeys(ctx context.Context) error {
	return s.Store.RememberKeys(ctx, s.Now(), s.Keys().Fingerprints())
}
