package security

import (
	"context"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"

	"sherpa/models"
)

const maxUsername = 64

// NormalizeUsername returns the one form in which a username is stored and looked up: the PRECIS profile
// UsernameCaseMapped (RFC 8265, section 3.3), at most 64 characters. Capitals, widths and ways to write an
// accent make no difference; similar letters of other scripts do. Blanks and control characters are rejected.
// The error is *RejectedError.
func NormalizeUsername(username string) (string, error) {
	if utf8.RuneCountInString(username) > maxUsername {
		reason := fmt.Sprintf("a username has at most %d characters", maxUsername)
		return "", &RejectedError{PartUsername, reason}
	}
	name, err := precis.UsernameCaseMapped.String(username)
	if err != nil || name == "" {
		reason := "a username is made of letters, digits and punctuation, without blanks"
		return "", &RejectedError{PartUsername, reason}
	}
	return name, nil
}

// FindUser returns the user with this name in any spelling, or models.ErrNotFound.
func (s *Service) FindUser(ctx context.Context, username string) (models.User, error) {
	name, err := NormalizeUsername(username)
	if err != nil { // nobody has a name that nobody can have
		return models.User{}, fmt.Errorf("%w: %w", models.ErrNotFound, err)
	}
	return s.Store.UserByName(ctx, name)
}
