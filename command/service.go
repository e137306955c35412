package command

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sherpa/models"
	"sherpa/security"
	"sherpa/security/password"
	"sherpa/security/token"
)

// withService runs a command on users or sessions, in a database that must exist: a mistyped path creates
// none. Servers on the same database feel its changes within a second. The service has no keys: these
// commands must work before there is a good one.
func withService(ctx context.Context, config *Config, do func(*security.Service) error) error {
	store, err := config.openExisting(ctx)
	if err != nil {
		return err
	}
	return useService(config, store, do)
}

// useService closes the store at the end.
func useService(config *Config, store *models.Store, do func(*security.Service) error) (err error) {
	defer func() { err = errors.Join(err, store.Close()) }()
	service, err := newService(config, store, token.KeyRing{}, slog.New(slog.DiscardHandler), observers{})
	if err != nil {
		return err
	}
	return do(service)
}

func newService(
	config *Config, store *models.Store, keys token.KeyRing, logger *slog.Logger, watch observers,
) (*security.Service, error) {
	hasher := newHasher()
	hasher.Hashed = watch.hashed
	return security.NewService(security.Parts{
		Store:    store,
		Hasher:   hasher,
		Policy:   password.Policy{MinLength: config.PasswordMinLength},
		Keys:     keys,
		Settings: config.security(),
		Logger:   logger,
		Now:      time.Now,
		Metrics:  watch.metrics,
	})
}

func newHasher() *password.Hasher {
	return password.NewHasher(password.DefaultParams(), hashSlots(cores(), memoryLimit()))
}

func (c *Config) security() security.Settings {
	return security.Settings{
		Issuer: c.Issuer, Audience: c.Audience, AccessTTL: c.AccessTTL,
		SessionIdle: c.SessionIdle, SessionAge: c.SessionAge, CacheSize: c.CacheSize,
		EventRetention: c.EventRetention,
		// Half of the connections: whoever waits for news has one, and others must find room.
		MaxWaiting: max(maxConnections(c.MaxConnections, descriptorLimit())/2, 1),
	}
}
