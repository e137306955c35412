package security

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sherpa/models"
	"sherpa/security/token"
)

// resetLife is how long a password reset can be redeemed.
const resetLife = time.Hour

// Reset lets whoever has the token set a new password, once. Nothing keeps the token.
type Reset struct {
	Token     string
	ExpiresAt time.Time
}

func newReset(now time.Time) (Reset, models.PasswordReset) {
	made := token.NewReset()
	ends := now.Add(resetLife).UTC().Truncate(time.Millisecond) // as the store keeps it
	return Reset{made.String(), ends}, models.PasswordReset{ID: made.ID, Hash: made.Hash(), ExpiresAt: ends}
}

// IssueReset returns a password reset for the user. The password of the user works until somebody redeems it.
// The error is models.ErrNotFound.
func (s *Service) IssueReset(ctx context.Context, userID int64) (Reset, error) {
	now := s.Now()
	reset, row := newReset(now)
	row.UserID = userID
	if err := s.Store.CreatePasswordReset(ctx, row, now); err != nil {
		return Reset{}, fmt.Errorf("issue password reset: %w", err)
	}
	return reset, nil
}

// IssueResetBy is IssueReset for a principal. A personal access token gets none for its owner: with one, it
// could log in as its owner, and so have more power and a longer life than it was made with. The error is
// *Error with code token_not_allowed, or models.ErrNotFound.
func (s *Service) IssueResetBy(ctx context.Context, p Principal, userID int64) (Reset, error) {
	if p.TokenID != "" && p.UserID == userID {
		return Reset{}, &Error{Code: TokenNotAllowed, Fact: "it sets no new password for its owner"}
	}
	return s.IssueReset(ctx, userID)
}

// InviteUser stores a new user without a password, who cannot log in until somebody redeems the reset. The
// errors are those of CreateUser.
func (s *Service) InviteUser(
	ctx context.Context, username string, roles []string,
) (models.User, Reset, error) {
	name, err := NormalizeUsername(username)
	if err != nil {
		return models.User{}, Reset{}, err
	}
	if err := checkRoles(roles); err != nil {
		return models.User{}, Reset{}, err
	}
	now := s.Now()
	reset, row := newReset(now)
	user, err := s.Store.InviteUser(ctx, models.User{
		Username: name, Roles: roles, CreatedAt: now, PasswordChangedAt: now,
	}, row)
	if err != nil {
		return models.User{}, Reset{}, fmt.Errorf("invite user: %w", err)
	}
	return user, reset, nil
}

// RedeemReset gives the user of a reset a new password, and ends all sessions and personal access tokens of
// the user. The address may try as often as it may log in. The error is *Error with code
// reset_token_invalid, throttled or overloaded, or *password.RejectedError, after which the token still
// works.
func (s *Service) RedeemReset(ctx context.Context, client Client, text, next string) error {
	ctx = WithClient(ctx, client)
	count, err := s.countAddress(ctx, s.attempt("", client.Address))
	if err == nil {
		err = s.redeem(ctx, client, text, next)
	}
	if err != nil {
		s.recordFailure(ctx, failure{kind: models.EventPasswordResetFailed, count: count, err: err})
	}
	return err
}

// redeem checks everything before it uses the token up.
func (s *Service) redeem(ctx context.Context, client Client, text, next string) error {
	reset, ok := token.ParseReset(text)
	if !ok {
		return invalidReset(unknownToken)
	}
	user, err := s.resetUser(ctx, reset)
	if err != nil {
		return err
	}
	if err := s.Policy.Check(user.Username, next); err != nil {
		return err
	}
	hash, err := s.Hasher.Hash(ctx, next)
	if err != nil {
		return hashError(err)
	}
	ended, err := s.Store.RedeemPasswordReset(ctx, models.Redemption{
		PasswordReset: models.PasswordReset{ID: reset.ID, UserID: user.ID, Hash: reset.Hash()},
		PasswordHash:  hash, Attempt: s.attempt(user.Username, client.Address),
	})
	if errors.Is(err, models.ErrNotFound) {
		return invalidReset(overtaken)
	}
	s.Metrics.SessionsEnded(string(models.EndedByPasswordChange), len(ended))
	return err
}

// resetUser returns the user who may redeem the reset now. An operator who has disabled a user does not want
// the user back, whoever has the token.
func (s *Service) resetUser(ctx context.Context, reset token.Reset) (models.User, error) {
	user, err := s.Store.PasswordResetUser(ctx, reset.ID, reset.Hash(), s.Now())
	switch {
	case errors.Is(err, models.ErrNotFound):
		return models.User{}, invalidReset(unknownToken)
	case err != nil:
		return models.User{}, err
	case user.Disabled():
		return models.User{}, invalidReset(disabledUser)
	}
	return user, nil
}

// invalidReset gives every caller the same answer. Only the event has the cause.
func invalidReset(cause loginCause) error { return &Error{Code: ResetInvalid, Err: cause} }
