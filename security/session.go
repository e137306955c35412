package security

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sherpa/models"
)

// Client is where a login comes from.
type Client struct {
	Address   string // IP address
	UserAgent string
}

// Login is what a login or a refresh leads to.
type Login struct {
	User         models.User
	Session      models.Session
	RefreshToken string
	At           time.Time
}

// refreshExpiresIn is how long the refresh token can be used.
func (l Login) refreshExpiresIn() time.Duration {
	ends := l.Session.IdleEndsAt
	if l.Session.EndsAt.Before(ends) {
		ends = l.Session.EndsAt
	}
	return ends.Sub(l.At)
}

const maxUserAgent = 256

// StartSession starts a session for a user who has just proven who they are.
func (s *Service) StartSession(ctx context.Context, user models.User, client Client) (Login, error) {
	now := s.Now()
	id := newID()
	token := s.Keys.refreshToken(id, 0).String()
	session := models.Session{
		ID: id, UserID: user.ID, CreatedAt: now, LastUsedAt: now,
		IdleEndsAt: now.Add(s.Settings.SessionIdle), EndsAt: now.Add(s.Settings.SessionAge),
		Address: client.Address, UserAgent: clip(client.UserAgent, maxUserAgent), RefreshHash: hashRefresh(token),
	}
	err := s.Store.CreateSession(ctx, user, session)
	if errors.Is(err, models.ErrNotFound) {
		return Login{}, refuseCredentials("disabled, deleted or given another password while logging in")
	}
	if err != nil {
		return Login{}, err
	}
	return Login{User: user, Session: session, RefreshToken: token, At: now}, nil
}

// clip cuts s to n bytes of valid UTF-8: the database takes no other text.
func clip(s string, n int) string {
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}

// Refresh exchanges a refresh token for the next one (RFC 9700, section 4.14.2). The previous one, used again within
// refreshGrace, gets the same successor; an older one means that somebody else has a copy, and ends the session. The
// error is *Error: refresh_token_invalid or session_ended; or it wraps models.ErrUnavailable.
func (s *Service) Refresh(ctx context.Context, text string) (Login, error) {
	token, err := s.authentic(text)
	if err != nil {
		return Login{}, err
	}
	const attempts = 3 // the second sees what overtook the first; more would be a livelock
	for range attempts {
		login, err := s.rotate(ctx, token, text)
		if !errors.Is(err, models.ErrNotFound) {
			return login, err
		}
		holder, err := s.holder(ctx, token, text)
		if err != nil {
			return Login{}, err
		}
		if reason := holder.over(s.Now()); reason != "" {
			return Login{}, sessionEnded(reason)
		}
		if !holder.current {
			return s.retry(ctx, holder)
		}
	}
	return Login{}, fmt.Errorf("refresh: %w: overtaken too often", models.ErrUnavailable)
}

// authentic reads a refresh token that a key of the ring has made. A key that is no longer there counts for nothing:
// somebody else may have it.
func (s *Service) authentic(text string) (refreshToken, error) {
	token, ok := parseRefreshToken(text)
	if !ok || !s.Keys.made(token) {
		return refreshToken{}, invalidRefreshToken()
	}
	return token, nil
}

func invalidRefreshToken() *Error {
	return &Error{Code: RefreshInvalid, Detail: "The refresh token was refused: it is not one of this service. Log in again with POST /auth."}
}

// holder is who presents an authentic refresh token.
type holder struct {
	session models.Session
	user    models.User
	token   refreshToken
	current bool // the token is the newest of its session
}

// over returns why the session cannot be used any more, or "".
func (h holder) over(now time.Time) models.EndedReason {
	if h.user.Disabled() {
		return models.EndedByDisable
	}
	return h.session.Ended(now)
}

// retries reports whether the token is the one before the newest, sent again in time. A session must not end because
// this replica has not yet noticed that the database is back, so it looks first; the error is models.ErrUnavailable.
func (s *Service) retries(ctx context.Context, h holder) (bool, error) {
	if h.token.count != h.session.RefreshCount-1 {
		return false, nil
	}
	if s.memory.isAway() {
		s.catchUp(ctx, s.memory.isAway)
	}
	if s.memory.isAway() {
		return false, fmt.Errorf("refresh: %w: how long the database was away is not known yet", models.ErrUnavailable)
	}
	return s.memory.inGrace(h.session.LastUsedAt, s.Now()), nil
}

// holder looks up whose token this is. Roles and state of the user are as the database has them now.
func (s *Service) holder(ctx context.Context, token refreshToken, text string) (holder, error) {
	session, user, err := s.Store.SessionWithUser(ctx, token.sessionID)
	if errors.Is(err, models.ErrNotFound) {
		return holder{}, invalidRefreshToken()
	}
	if err != nil {
		return holder{}, fmt.Errorf("look up refresh token: %w", err)
	}
	h := holder{session: session, user: user, token: token, current: sameHash(hashRefresh(text), session.RefreshHash)}
	if !h.current && token.count >= session.RefreshCount {
		return holder{}, invalidRefreshToken()
	}
	return h, nil
}

// rotate makes the successor of the newest token of a session that lives, without a look at the session before: that is
// what nearly all refreshes are. It returns models.ErrNotFound for all others.
func (s *Service) rotate(ctx context.Context, token refreshToken, text string) (Login, error) {
	now := s.Now()
	next := s.Keys.refreshToken(token.sessionID, token.count+1).String()
	idleEnds := now.Add(s.Settings.SessionIdle)
	rotated, err := s.Store.RotateSession(ctx, models.Rotation{
		SessionID: token.sessionID, FromCount: token.count, FromHash: hashRefresh(text), Hash: hashRefresh(next),
		At: now, IdleEndsAt: idleEnds,
	})
	if err != nil {
		return Login{}, err
	}
	return Login{
		User:         models.User{ID: rotated.UserID, Username: rotated.Username, Roles: rotated.Roles},
		Session:      models.Session{ID: token.sessionID, UserID: rotated.UserID, IdleEndsAt: idleEnds, EndsAt: rotated.EndsAt},
		RefreshToken: next, At: now,
	}, nil
}

// retry answers a token that has been used before.
func (s *Service) retry(ctx context.Context, h holder) (Login, error) {
	if err := s.refuseReuse(ctx, h); err != nil {
		return Login{}, err
	}
	same, ok := s.Keys.remake(h.session.ID, h.session.RefreshCount, h.session.RefreshHash)
	if !ok {
		return Login{}, s.endReused(ctx, h)
	}
	return Login{User: h.user, Session: h.session, RefreshToken: same, At: s.Now()}, nil
}

// refuseReuse ends the session unless the token, which has been used before, is one that may be sent again.
func (s *Service) refuseReuse(ctx context.Context, h holder) error {
	if again, err := s.retries(ctx, h); err != nil || again {
		return err
	}
	return s.endReused(ctx, h)
}

func (s *Service) endReused(ctx context.Context, h holder) error {
	if err := s.end(ctx, h.session, models.EndedByReuse); err != nil {
		return err
	}
	s.Logger.WarnContext(ctx, "refresh token used twice", "user_id", h.user.ID, "session_id_hash", hashRefresh(h.session.ID)[:12])
	return sessionEnded(models.EndedByReuse)
}

func (s *Service) end(ctx context.Context, session models.Session, reason models.EndedReason) error {
	_, err := s.Store.EndSession(ctx, session.UserID, session.ID, reason, s.Now())
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	s.memory.forget(session.ID)
	return nil
}

// Scope says which sessions a logout ends.
type Scope string

// The scopes of a logout.
const (
	ScopeLocal  Scope = "local"  // the one that asks
	ScopeOthers Scope = "others" // all others of the user
	ScopeAll    Scope = "all"
)

// Logout ends sessions of the principal; those that have ended already stay as they are.
func (s *Service) Logout(ctx context.Context, principal Principal, scope Scope) error {
	switch scope {
	case ScopeOthers:
		return s.endAll(ctx, principal.UserID, principal.SessionID)
	case ScopeAll:
		return s.endAll(ctx, principal.UserID, "")
	default:
		return s.end(ctx, models.Session{ID: principal.SessionID, UserID: principal.UserID}, models.EndedByLogout)
	}
}

func (s *Service) endAll(ctx context.Context, userID int64, except string) error {
	ended, err := s.Store.EndSessions(ctx, userID, except, models.EndedByLogout, s.Now())
	if err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	s.memory.forget(ended...)
	return nil
}

// LogoutByRefreshToken is Logout for a client that has only its refresh token left. A token that was used before has
// no more say than to end its own session.
func (s *Service) LogoutByRefreshToken(ctx context.Context, text string, scope Scope) error {
	token, err := s.authentic(text)
	if err != nil {
		return err
	}
	h, err := s.holder(ctx, token, text)
	if err != nil {
		return err
	}
	if reason := h.over(s.Now()); reason != "" {
		return s.LogoutAgain(ctx, h.user.ID, scope, reason)
	}
	if scope != ScopeLocal && !h.current {
		if err := s.refuseReuse(ctx, h); err != nil {
			return err
		}
	}
	return s.Logout(ctx, Principal{UserID: h.user.ID, SessionID: h.session.ID}, scope)
}

// LogoutAgain answers a logout that comes from a session which is over. It has no say over other sessions, so it
// succeeds only when there is nothing left to end, as it does when it is sent twice.
func (s *Service) LogoutAgain(ctx context.Context, userID int64, scope Scope, reason models.EndedReason) error {
	if scope == ScopeLocal {
		return nil
	}
	some, err := s.Store.AnyLiveSession(ctx, userID, s.Now())
	if err != nil || !some {
		return err
	}
	return sessionEnded(reason)
}

const maxListed = 100

// Sessions returns the principal's sessions, the newest first, at most 100. EndedReason is set where the session has
// ended, by its age as well.
func (s *Service) Sessions(ctx context.Context, principal Principal) ([]models.Session, error) {
	all, err := s.Store.Sessions(ctx, principal.UserID, maxListed)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	for i := range all {
		all[i].EndedReason = all[i].Ended(now)
	}
	return all, nil
}

// EndOwnSession ends a session of the principal's, or returns models.ErrNotFound: other people's sessions do not
// exist for the principal.
func (s *Service) EndOwnSession(ctx context.Context, principal Principal, id string) error {
	session, user, err := s.Store.SessionWithUser(ctx, id)
	if err != nil {
		return err
	}
	if user.ID != principal.UserID {
		return models.ErrNotFound
	}
	return s.end(ctx, session, models.EndedByUser)
}

// ChangePassword sets the principal's password and ends the principal's other sessions. The current password is
// asked for, and failures count as failed logins do: a stolen token must not become a stolen account.
func (s *Service) ChangePassword(ctx context.Context, principal Principal, client Client, current, next string) error {
	attempt := s.attempt(principal.Username, client.Address)
	if err := s.admit(ctx, attempt); err != nil {
		return err
	}
	user, err := s.Authenticate(ctx, principal.Username, current)
	if HasCode(err, InvalidCredentials) {
		return &Error{Code: WrongPassword, Detail: "The current password is wrong. Nothing was changed.", Err: err}
	}
	if err != nil {
		return err
	}
	if err := s.Store.ForgiveLogin(ctx, attempt); err != nil {
		return err
	}
	return s.setPassword(ctx, user, principal.SessionID, current, next)
}

func (s *Service) setPassword(ctx context.Context, user models.User, sessionID, current, next string) error {
	if err := s.Policy.Check(user.Username, next); err != nil {
		return refusePassword(err.Error())
	}
	if current == next {
		return refusePassword("the new password is the current one")
	}
	hash, err := s.Hasher.hashNormal(ctx, next)
	if err != nil {
		return err
	}
	ended, err := s.Store.SetPassword(ctx, user.ID, hash, sessionID, s.Now())
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	s.memory.forget(ended...)
	return nil
}

func refusePassword(why string) *Error {
	detail := "`new_password`: " + why + "."
	return &Error{Code: InvalidRequest, Detail: detail, Fields: []FieldError{{Detail: detail, Pointer: "#/new_password"}}}
}

func sessionEnded(reason models.EndedReason) *Error {
	return &Error{
		Code: SessionEnded, Reason: string(reason),
		Detail: fmt.Sprintf("The session has ended: %s. Log in again with POST /auth.", endedWords(reason)),
	}
}

func endedWords(reason models.EndedReason) string {
	switch reason {
	case models.EndedByLogout:
		return "its user logged out"
	case models.EndedByUser:
		return "its user ended it from another session"
	case models.EndedByOperator:
		return "an operator ended it"
	case models.EndedByPasswordChange:
		return "the password was changed"
	case models.EndedByDisable:
		return "the user may not log in any more"
	case models.EndedByReuse:
		return "a refresh token of it was used twice, so somebody may have a copy"
	case models.EndedByIdle:
		return "it was not refreshed in time"
	case models.EndedByAge:
		return "it reached its greatest age"
	default:
		return "it no longer exists"
	}
}
