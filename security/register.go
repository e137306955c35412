package security

import (
	"context"
	"time"

	"sherpa/models"
)

// An address may register 10 users at once and 10 an hour: nobody fills the database from one address, or
// tries a list of names.
const (
	registrationBurst    = 10
	registrationInterval = time.Hour / 10
)

// RegisterUser stores a new user for somebody who has not proven who they are. The user has no roles. The
// error is that of CreateUser, or *Error with code throttled or overloaded. A name or a password that breaks
// a rule does not count.
func (s *Service) RegisterUser(
	ctx context.Context, client Client, username, given string,
) (user models.User, err error) {
	ctx = WithClient(ctx, client)
	name, err := NormalizeUsername(username)
	if err != nil {
		return models.User{}, err
	}
	if err := s.Policy.Check(name, given); err != nil {
		return models.User{}, err
	}
	count, err := s.countAddress(ctx, s.registration(client.Address))
	if err == nil {
		user, err = s.storeUser(ctx, name, given, nil)
	}
	if err != nil {
		s.recordFailure(ctx, failure{models.EventRegistrationFailed, name, count, err})
	}
	return user, err
}

// registration returns the counter of an address's registrations. It is not that of its logins: those who
// share an address with many must be able to log in.
func (s *Service) registration(address string) models.LoginAttempt {
	return models.LoginAttempt{
		AddressKey: throttleKey("registration", addressPrefix(address)),
		At:         s.Now(), Interval: registrationInterval, Burst: registrationBurst,
	}
}
