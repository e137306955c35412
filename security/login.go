package security

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sherpa/models"
	"sherpa/security/token"
)

// Credentials are what a login request carries.
type Credentials struct {
	Username string
	Password string
}

// Client is where a request comes from.
type Client struct {
	Address   string // IP address
	UserAgent string
	RequestID string
}

// Login is the result of a login or a refresh.
type Login struct {
	User         models.User
	Session      models.Session
	RefreshToken string
	At           time.Time
}

// Principal returns who logged in.
func (l Login) Principal() *Principal {
	principal := newPrincipal(l.User, l.Session.ID)
	return &principal
}

// RefreshExpiresIn returns how long the refresh token can be used.
func (l Login) RefreshExpiresIn() time.Duration {
	ends := l.Session.IdleEndsAt
	if l.Session.EndsAt.Before(ends) {
		ends = l.Session.EndsAt
	}
	return ends.Sub(l.At)
}

// LogIn checks the credentials and starts a session. It counts the attempt before any costly work, and resets
// the count after a success. The error is *Error with code throttled, overloaded or invalid_credentials, or
// wraps models.ErrUnavailable.
func (s *Service) LogIn(ctx context.Context, credentials Credentials, client Client) (Login, error) {
	login, err := s.logIn(ctx, credentials, client)
	s.Metrics.Login(resultOf(err))
	return login, err
}

func (s *Service) logIn(ctx context.Context, credentials Credentials, client Client) (Login, error) {
	ctx = WithClient(ctx, client)
	user, err := s.authenticateThrottled(ctx, models.EventLoginFailed, credentials, client)
	if err != nil {
		return Login{}, err
	}
	login, err := s.startSession(ctx, user, client)
	if err != nil {
		s.recordFailure(ctx, failure{kind: models.EventLoginFailed, username: user.Username, err: err})
	}
	return login, err
}

// authenticateThrottled is Authenticate for a client whose failures count, and are recorded as this kind of
// event.
func (s *Service) authenticateThrottled(
	ctx context.Context, kind models.EventKind, given Credentials, client Client,
) (user models.User, err error) {
	attempt := s.attempt(given.Username, client.Address)
	count, err := s.countAttempt(ctx, attempt)
	if err == nil {
		user, err = s.Authenticate(ctx, given.Username, given.Password)
	}
	if err != nil {
		s.recordFailure(ctx, failure{kind, given.Username, count, err})
		return models.User{}, err
	}
	return user, s.Store.ResetFailures(ctx, attempt)
}

// Authenticate returns the user who has this username and password: the tutorial's authenticate(username,
// password). For a wrong password, an unknown user, a disabled one and one without a password alike, the
// error is *Error with code invalid_credentials, after one password hash.
func (s *Service) Authenticate(ctx context.Context, username, given string) (models.User, error) {
	user, err := s.FindUser(ctx, username)
	if errors.Is(err, models.ErrNotFound) {
		err := hashError(s.Hasher.VerifyNobody(ctx, given)) // the time must not tell which names exist
		return models.User{}, errors.Join(err, invalidCredentials(unknownUser))
	}
	if err != nil {
		return models.User{}, err
	}
	ok, weak, err := s.Hasher.Verify(ctx, user.PasswordHash, given)
	switch {
	case err != nil:
		return models.User{}, fmt.Errorf("check password: %w", hashError(err))
	case !user.HasPassword():
		return models.User{}, invalidCredentials(noPassword)
	case !ok:
		return models.User{}, invalidCredentials(wrongPassword)
	case user.Disabled():
		return models.User{}, invalidCredentials(disabledUser)
	}
	if weak {
		s.strengthen(ctx, user, given)
	}
	return user, nil
}

// loginCause says why credentials, or the token of a password reset, are invalid. The events tell operators.
type loginCause string

const (
	unknownUser   loginCause = "unknown_user"
	wrongPassword loginCause = "wrong_password"
	noPassword    loginCause = "no_password" // the user was invited, and has not set one
	disabledUser  loginCause = "disabled_user"
	unknownToken  loginCause = "unknown_token" // of a password reset: also a used or an expired one
	overtaken     loginCause = "overtaken"     // the user was changed while the password was checked
)

func (c loginCause) Error() string { return strings.ReplaceAll(string(c), "_", " ") }

// invalidCredentials gives every caller the same answer. Only the event has the cause.
func invalidCredentials(cause loginCause) error {
	return &Error{Code: InvalidCredentials, Err: cause}
}

// strengthen replaces a hash that was made with weaker parameters. The login succeeds without it, so an error
// is only logged, and the next login tries again.
func (s *Service) strengthen(ctx context.Context, user models.User, given string) {
	hash, err := s.Hasher.Hash(ctx, given)
	if err == nil {
		err = s.Store.RehashPassword(ctx, user.ID, user.PasswordHash, hash)
	}
	if err != nil {
		s.Logger.WarnContext(ctx, "a password keeps its old hash; the next login tries again, and "+
			"nothing needs to be done", "user.id", strconv.FormatInt(user.ID, 10), "error", err)
	}
}

const maxUserAgent = 256 // bytes

// startSession starts a session for a user who has just proven who they are.
func (s *Service) startSession(ctx context.Context, user models.User, client Client) (Login, error) {
	keys := s.Keys()
	if keys.Empty() {
		return Login{}, errors.New("start session: there is no signing key")
	}
	now := s.Now()
	id := newID()
	refresh := keys.NewRefresh(id, 0).String()
	session := models.Session{
		ID: id, UserID: user.ID, CreatedAt: now, LastUsedAt: now,
		IdleEndsAt: now.Add(s.Settings.SessionIdle), EndsAt: now.Add(s.Settings.SessionAge),
		Address: client.Address, UserAgent: clip(client.UserAgent, maxUserAgent),
		RefreshHash: token.HashRefresh(refresh),
	}
	ctx = As(ctx, newPrincipal(user, id))
	user, err := s.storeSession(ctx, user, session)
	if errors.Is(err, models.ErrNotFound) {
		return Login{}, invalidCredentials(overtaken)
	}
	if err != nil {
		return Login{}, err
	}
	return Login{User: user, Session: session, RefreshToken: refresh, At: now}, nil
}

// storeSession returns the user with the roles at the moment when the session was stored. They may have
// changed while the password was checked. It takes only the roles of now: whoever is disabled, or has another
// password, gets models.ErrNotFound, as does a user who is changed once more.
func (s *Service) storeSession(
	ctx context.Context, user models.User, session models.Session,
) (models.User, error) {
	err := s.Store.CreateSession(ctx, user, session)
	if !errors.Is(err, models.ErrNotFound) {
		return user, err
	}
	now, err := s.Store.UserByID(ctx, user.ID)
	if err != nil {
		return models.User{}, err
	}
	user.Roles = now.Roles
	return user, s.Store.CreateSession(ctx, user, session)
}

// clip cuts text to n bytes of valid UTF-8: the database takes no other text.
func clip(text string, n int) string {
	return strings.ToValidUTF8(text[:min(len(text), n)], "")
}
