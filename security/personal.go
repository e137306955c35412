package security

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"sherpa/models"
	"sherpa/security/token"
)

const (
	// DefaultTokenLife is how long a personal access token lives when nobody says.
	DefaultTokenLife = 90 * 24 * time.Hour
	// MaxTokenLife is the longest life: whoever needs a token for longer looks at it once a year.
	MaxTokenLife = 365 * 24 * time.Hour
	// maxTokens is how many a user has at most, expired ones included.
	maxTokens = 50
	// maxTokenName is how many characters the name of a token has at most.
	maxTokenName = 64
)

// NewToken is what the owner says of a new personal access token. Without roles and allows it can do what a
// user without roles can do, and nothing with the account.
type NewToken struct {
	Name   string
	Life   time.Duration // 0 for DefaultTokenLife
	Roles  []string
	Allows []Allow
}

// TokenRuleError says which member of a NewToken breaks a rule. Its text is for the owner.
type TokenRuleError struct{ Member, Reason string }

func (e *TokenRuleError) Error() string { return e.Member + ": " + e.Reason }

// CreateOwnToken is CreateToken for a client. A session asks for the current password, and its failures count
// as failed logins: an access token that was stolen must not become one that lives for a year. A personal
// access token needs no password, because it makes none with more power or a longer life. The error is that
// of CreateToken, or *Error with code wrong_password, throttled or overloaded.
func (s *Service) CreateOwnToken(
	ctx context.Context, p Principal, client Client, current string, n NewToken,
) (t models.PersonalToken, text string, err error) {
	if err := n.check(p); err != nil {
		return t, "", err
	}
	if p.TokenID == "" {
		const kind = models.EventTokenCreationFailed
		if _, err := s.confirmPassword(ctx, kind, p, client, current); err != nil {
			return t, "", err
		}
	}
	return s.CreateToken(As(WithClient(ctx, client), p), p, n)
}

// CreateToken stores a new personal access token of the owner, and returns its text, which nothing else
// keeps. An owner who is here with a token gives the new one no more than that has: no other role, no other
// permission, no longer life. The error is *TokenRuleError, *Error with code too_many_tokens, or
// models.ErrNotFound when the owner was deleted or disabled, or is no longer here.
func (s *Service) CreateToken(
	ctx context.Context, owner Principal, n NewToken,
) (t models.PersonalToken, text string, err error) {
	if err := n.check(owner); err != nil {
		return t, "", err
	}
	made, now := token.NewPersonal(), s.Now().UTC().Truncate(time.Millisecond) // as the store keeps it
	t = models.PersonalToken{
		ID: made.ID, UserID: owner.UserID, Name: n.Name, Hash: made.Hash(),
		Roles: unique(n.Roles), CreatedAt: now, ExpiresAt: now.Add(n.life()),
	}
	for _, allow := range unique(n.Allows) {
		t.Allows = append(t.Allows, string(allow))
	}
	if err := s.limitLife(ctx, owner, &t); err != nil {
		return t, "", err
	}
	err = s.Store.CreatePersonalToken(ctx, t, cmp.Or(owner.TokenID, owner.SessionID), maxTokens)
	if errors.Is(err, models.ErrTooManyTokens) {
		return t, "", &Error{Code: TooManyTokens, Fact: fmt.Sprint(maxTokens), Err: err}
	}
	return t, made.Text(), err
}

// limitLife lets a token that another one makes not outlive it: a leaked token must not renew itself.
func (s *Service) limitLife(ctx context.Context, owner Principal, t *models.PersonalToken) error {
	if owner.TokenID == "" {
		return nil
	}
	parent, _, err := s.Store.PersonalTokenWithUser(ctx, owner.TokenID)
	if err == nil && parent.ExpiresAt.Before(t.ExpiresAt) {
		t.ExpiresAt = parent.ExpiresAt
	}
	return err
}

func (n NewToken) life() time.Duration {
	if n.Life == 0 {
		return DefaultTokenLife
	}
	return n.Life
}

func (n NewToken) check(owner Principal) error {
	wrong := func(member, format string, args ...any) error {
		return &TokenRuleError{member, fmt.Sprintf(format, args...)}
	}
	if length := utf8.RuneCountInString(n.Name); length < 1 || length > maxTokenName || !isPrintable(n.Name) {
		return wrong("name", "must have 1 to %d printable characters", maxTokenName)
	}
	if life := n.life(); life < 0 || life > MaxTokenLife {
		return wrong("expires_in_days", "it is from 1 to %d days", int(MaxTokenLife/(24*time.Hour)))
	}
	for _, role := range n.Roles {
		if !slices.Contains(owner.Roles, role) {
			return wrong("roles", "%q is no role of %s", clip(role, maxTokenName), whose(owner))
		}
	}
	for _, allow := range n.Allows {
		if !slices.Contains(Allows(), allow) {
			return wrong("allow", "%q is none of account, admin", clip(string(allow), maxTokenName))
		}
		if !owner.May(allow) {
			return wrong("allow", "the token that asks is not allowed %q", allow)
		}
	}
	return nil
}

// whose says who has the roles of the principal.
func whose(owner Principal) string {
	if owner.TokenID != "" {
		return "the owner, or none of the token that asks"
	}
	return "the owner"
}

func isPrintable(text string) bool {
	for _, r := range text {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// unique returns the values in order, each once.
func unique[T ~string](values []T) []T {
	sorted := slices.Sorted(slices.Values(values))
	return slices.Compact(sorted)
}

// Tokens returns the personal access tokens of the user, the newest first, at most 50.
func (s *Service) Tokens(ctx context.Context, userID int64) ([]models.PersonalToken, error) {
	return s.Store.PersonalTokens(ctx, userID)
}

// DeleteToken deletes a personal access token of the user: it is refused at once here, and within a second by
// every other replica. The error is models.ErrNotFound when the user has none with this id.
func (s *Service) DeleteToken(ctx context.Context, userID int64, id string) error {
	return s.Store.DeletePersonalToken(ctx, userID, id, s.Now())
}

// DeleteUserTokens deletes all personal access tokens of a user on behalf of an administrator, and returns
// how many. The error is models.ErrNotFound when there is no such user.
func (s *Service) DeleteUserTokens(ctx context.Context, userID int64) (int, error) {
	return s.Store.DeletePersonalTokens(ctx, userID, s.Now())
}

// usePersonal is Identify for a personal access token.
func (s *Service) usePersonal(ctx context.Context, text string) (*Principal, error) {
	_, live, err := s.identifyPersonal(ctx, text)
	if err != nil {
		return nil, err
	}
	s.uses.note(live, s.Now())
	return &live.principal, nil
}

// identifyPersonal returns the token with its owner. The text is compared with the hash once; after that the
// cache knows it, because the hash of a token never changes. Nothing counts failures: nobody guesses 256
// bits.
func (s *Service) identifyPersonal(ctx context.Context, text string) (*token.Claims, *liveSession, error) {
	claims, ok := s.cache.claims(text, nil)
	if !ok {
		s.cache.tokenMisses.Add(1)
		verified, err := s.verifyPersonal(ctx, text)
		if err != nil {
			return nil, nil, err
		}
		claims = &verified
	}
	live, err := s.live(ctx, claims.SessionID, s.Now(), (*Service).loadPersonal)
	if err == nil && !ok {
		s.cache.put(text, nil, *claims)
	}
	return claims, live, err
}

// verifyPersonal returns what the token is, in the form that the cache has for access tokens: SessionID is
// the id of the token. A text with a wrong checksum costs no read. An unknown id and a wrong secret cost the
// same.
func (s *Service) verifyPersonal(ctx context.Context, text string) (token.Claims, error) {
	presented, err := token.ParsePersonal(text)
	if err != nil {
		return token.Claims{}, personalRefused(err.Error())
	}
	stored, err := s.readUnproven(ctx, presented.ID)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		return token.Claims{}, fmt.Errorf("identify: %w", err)
	}
	if !presented.Matches(stored.Hash) {
		return token.Claims{}, personalUnknown()
	}
	return token.Claims{
		Identity: stored.UserID, SessionID: stored.ID,
		IssuedAt: stored.CreatedAt.Unix(), ExpiresAt: stored.ExpiresAt.Unix(),
	}, nil
}

const (
	// unprovenReads is how many reads of tokens that nobody has proven run at a time. The store has a few
	// connections more for reading, or the poll waits for two short reads.
	unprovenReads = 2
	// unprovenWait is how long such a read waits for its turn.
	unprovenWait = 500 * time.Millisecond
)

// readUnproven reads a token for a text that may be anybody's: everybody can compute the checksum. So that a
// flood of such texts does not keep the poll of the feed waiting, without which nobody passes, only a few are
// read at a time. The error is *Error with code overloaded, or that of the store.
func (s *Service) readUnproven(ctx context.Context, id string) (models.PersonalToken, error) {
	waiting, cancel := context.WithTimeout(ctx, s.unprovenWait)
	defer cancel()
	select {
	case s.unproven <- struct{}{}:
		defer func() { <-s.unproven }()
	case <-waiting.Done():
		return models.PersonalToken{}, cmp.Or(ctx.Err(), tooManyUnproven())
	}
	stored, _, err := s.Store.PersonalTokenWithUser(ctx, id)
	return stored, err
}

func tooManyUnproven() error {
	return &Error{Code: Overloaded, RetryAfter: time.Second, Personal: true}
}

// loadPersonal is a loader. The roles are those of the token that its owner has now.
func (s *Service) loadPersonal(ctx context.Context, id string) (*liveSession, error) {
	s.cache.loads.Add(1)
	epoch := s.cache.epoch.Load()
	t, user, err := s.Store.PersonalTokenWithUser(ctx, id)
	if errors.Is(err, models.ErrNotFound) {
		return nil, personalUnknown()
	}
	if err != nil {
		return nil, fmt.Errorf("identify: %w", err)
	}
	now := s.Now()
	switch {
	case user.Disabled():
		return nil, personalRefused("its user is disabled")
	case !now.Before(t.ExpiresAt):
		ago := now.Sub(t.ExpiresAt).Truncate(time.Second)
		return nil, &Error{Code: TokenExpired, Fact: ago.String(), Personal: true}
	}
	live := &liveSession{principal: personalPrincipal(t, user), endsAt: t.ExpiresAt.UnixMilli(), epoch: epoch}
	if !t.LastUsedAt.IsZero() {
		live.used.Store(t.LastUsedAt.UnixMilli())
	}
	return live, nil
}

func personalPrincipal(t models.PersonalToken, owner models.User) Principal {
	p := Principal{UserID: owner.ID, Username: owner.Username, TokenID: t.ID}
	for _, role := range t.Roles {
		if slices.Contains(owner.Roles, role) {
			p.Roles = append(p.Roles, role)
		}
	}
	for _, allow := range t.Allows {
		p.Allows = append(p.Allows, Allow(allow))
	}
	return p
}

func personalRefused(why string) error { return &Error{Code: TokenInvalid, Fact: why, Personal: true} }

func personalUnknown() error {
	return personalRefused("it was deleted, or it is not one of this service")
}
