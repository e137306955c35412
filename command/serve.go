package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"syscall"
	"time"

	"sherpa/handlers"
	"sherpa/models"
	"sherpa/security"
)

type serveCommand struct{}

// Run serves until ctx ends, then lets the requests under way finish.
func (serveCommand) Run(ctx context.Context, config *Config, std Streams) (err error) {
	logger, flush := newLogger(config, std.Out)
	defer func() { err = errors.Join(err, flush()) }()
	store, waited, err := waitForStore(ctx, config, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	service, err := newService(config, store, logger)
	if err != nil {
		return err
	}
	if waited {
		service.BeganAway()
	}
	handler, err := newHandler(config, service, ctx.Done())
	if err != nil {
		return err
	}
	listener, err := listen(ctx, config.Listen)
	if err != nil {
		return err
	}
	if err := firstRun(ctx, config, store, logger, std.Err); err != nil {
		return errors.Join(err, listener.Close())
	}
	logger.InfoContext(ctx, "sherpa is listening", "url", "http://"+reachable(listener.Addr().String()), "database", store.Name())
	defer runtime.KeepAlive(tune(config.lookup))
	stop := inBackground(ctx, service.Run)
	defer stop()
	return serve(ctx, handlers.NewServer(handler, logger), listener, config, logger)
}

// inBackground starts work that goes on until stop is called: longer than ctx, because the requests that finish
// after a signal need it.
func inBackground(ctx context.Context, work func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// waitForStore goes on trying while the database cannot be reached: a replica that starts during an outage must be there
// when it is over. It reports also whether it had to wait.
func waitForStore(ctx context.Context, config *Config, logger *slog.Logger) (store *models.Store, waited bool, err error) {
	for ; ; waited = true {
		store, err = openStore(ctx, config)
		if !errors.Is(err, models.ErrUnavailable) || ctx.Err() != nil {
			return store, waited, err
		}
		if !waited {
			logger.WarnContext(ctx, "waiting for the database", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil, waited, err
		case <-time.After(time.Second):
		}
	}
}

func openStore(ctx context.Context, config *Config) (*models.Store, error) {
	return models.Open(ctx, config.DatabaseURL)
}

func newService(config *Config, store *models.Store, logger *slog.Logger) (*security.Service, error) {
	if err := config.makeKey(); err != nil {
		return nil, err
	}
	keys, err := config.keyRing()
	if err != nil {
		return nil, err
	}
	return security.NewService(security.Parts{
		Store:    store,
		Hasher:   newHasher(),
		Policy:   security.PasswordPolicy{MinLength: config.PasswordMinLength},
		Keys:     keys,
		Settings: config.security(),
		Logger:   logger,
		Now:      time.Now,
	})
}

func (c *Config) security() security.Settings {
	return security.Settings{
		Issuer: c.Issuer, Audience: c.Audience, AccessTTL: c.AccessTTL,
		SessionIdle: c.SessionIdle, SessionAge: c.SessionAge, CacheSize: c.CacheSize,
	}
}

func newHandler(config *Config, service *security.Service, stopping <-chan struct{}) (http.Handler, error) {
	return handlers.New(handlers.Config{
		Security: service, AccessLog: config.AccessLog == "true", TrustedProxies: config.TrustedProxies, Stopping: stopping,
	})
}

func newAccounts(config *Config, store *models.Store) *security.Accounts {
	return &security.Accounts{
		Store:  store,
		Hasher: newHasher(),
		Policy: security.PasswordPolicy{MinLength: config.PasswordMinLength},
		Now:    time.Now,
	}
}

// listen comes before the first user is made: a start that fails must not have printed a password that counts.
func listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program listens on %s; choose another address with --listen HOST:PORT", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return handlers.Listen(listener), nil
}

// firstRun tells the operator how to log in for the first time. A generated password goes to the terminal, once, and
// never through the logger.
func firstRun(ctx context.Context, config *Config, store *models.Store, logger *slog.Logger, terminal io.Writer) error {
	first, created, err := newAccounts(config, store).FirstRun(ctx, config.demo())
	switch {
	case errors.Is(err, security.ErrDemoUser):
		return fmt.Errorf("%w: remove it with `sherpa user delete %s`, or allow it with SHERPA_DEMO=true", err, security.DemoUsername)
	case err != nil:
		return err
	case created && config.demo():
		logger.WarnContext(ctx, "DEMO: created the user sherpa with the password everest, which everybody knows; never let strangers reach this server")
	case created:
		_, err = fmt.Fprintf(terminal, "Created the first user. This password is shown once:\n  username: %s\n  password: %s\n", first.Username, first.Password)
	}
	return err
}

// serve returns when the server has stopped: nil after a shutdown in time. /readyz says already that it stops while
// it goes on serving for the delay, in which a proxy takes it out of the rotation; only then it takes no more.
func serve(ctx context.Context, server *http.Server, listener net.Listener, config *Config, logger *slog.Logger) error {
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	var delay <-chan time.Time
	select {
	case err := <-stopped:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		logger.InfoContext(ctx, "sherpa is stopping", "delay", config.ShutdownDelay.String())
		delay = time.After(config.ShutdownDelay)
	}
	select {
	case err := <-stopped:
		return fmt.Errorf("serve: %w", err)
	case <-delay:
	}
	return shutDown(context.WithoutCancel(ctx), server, config.ShutdownTimeout)
}

// shutDown lets the requests under way finish.
func shutDown(ctx context.Context, server *http.Server, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were cut off after %v: %w", grace, err), server.Close())
	}
	return nil
}

type healthcheckCommand struct{}

// Run fails unless the server on this machine answers.
func (healthcheckCommand) Run(ctx context.Context, config *Config) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(config.Listen)+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	// No proxy and no redirect: somebody else's 200 says nothing about this server.
	response, err := (&http.Transport{}).RoundTrip(request)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // only the status matters
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("health check: status %d", response.StatusCode)
	}
	return nil
}

// reachable turns an address to listen on into one to connect to.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
