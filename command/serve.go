package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"
	"time"

	"sherpa/handlers"
	"sherpa/models"
	"sherpa/security"
)

type serveCommand struct{}

// Run serves until ctx ends, then lets running requests finish.
func (serveCommand) Run(ctx context.Context, config *Config, std Streams) (err error) {
	log := newLogs(config, std.Out)
	defer func() { err = errors.Join(err, log.flush()) }()
	log.InfoContext(ctx, "sherpa is starting", "build", config.build)
	store, outage, err := waitForStore(ctx, config, log.Logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	keys, err := config.makeKeyRing()
	if err != nil {
		return err
	}
	config.warnOfOpenKeyFile(ctx, log.Logger)
	service, err := newService(config, store, keys, log.Logger)
	if err != nil {
		return err
	}
	if outage {
		service.StartedDuringOutage()
	}
	return serveService(ctx, config, std, log.access, store, service)
}

// serveService listens before it creates the first user: a start that fails must not have printed a password.
func serveService(
	ctx context.Context, config *Config, std Streams, access handlers.AccessLog, store *models.Store,
	service *security.Service,
) error {
	logger := service.Logger
	handler, err := handlers.New(handlers.Config{
		Service: service, Store: store, Now: time.Now, Logger: logger,
		AccessLog: access, TrustedProxies: config.TrustedProxies, Docs: config.Docs.on,
		Origins: config.CORSOrigins, Stopping: ctx.Done(),
		Version: config.build.Version,
	})
	if err != nil {
		return err
	}
	listener, err := listen(ctx, config.Listen)
	if err != nil {
		return err
	}
	if err := firstRun(ctx, config, service, std.Err); err != nil {
		return errors.Join(err, listener.Close())
	}
	url := "http://" + reachable(listener.Addr().String())
	logger.InfoContext(ctx, "sherpa is listening", "url", url, "database", store.Name())
	defer inBackground(ctx, tune(config))()
	defer inBackground(ctx, service.Run)()
	most := maxConnections(config.MaxConnections, descriptorLimit())
	return serve(ctx, handlers.NewServer(handler, logger, most), listener, config, logger)
}

// inBackground starts work that goes on until stop is called. It outlives ctx, because the requests that
// finish after a signal need it.
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

func listen(ctx context.Context, address string) (*net.TCPListener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program listens on %s; choose another address "+
			"with --listen HOST:PORT", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w; choose an address of this machine with --listen HOST:PORT", err)
	}
	return listener.(*net.TCPListener), nil // it is one because the network is tcp
}

// firstRun tells the operator how to log in for the first time. A generated password goes to the terminal,
// once, and never through the logger.
func firstRun(ctx context.Context, config *Config, service *security.Service, terminal io.Writer) error {
	first, created, err := service.FirstRun(ctx, config.demo())
	switch {
	case errors.Is(err, security.ErrDemoUser):
		return fmt.Errorf("%w: remove it with `sherpa user delete %s`, or allow it with SHERPA_DEMO=true",
			err, security.DemoUsername)
	case err != nil:
		return err
	case created && config.demo():
		service.Logger.WarnContext(ctx, "DEMO: created the user sherpa with the password everest, "+
			"which everybody knows; never let strangers reach this server")
	case created:
		_, err = fmt.Fprintf(terminal, "Created the first user. This password is shown once:\n"+
			"  username: %s\n  password: %s\n", first.Username, first.Password)
	}
	return err
}

// serve blocks until the server has stopped. After a signal it serves on for ShutdownDelay with /readyz at
// 503, so that proxies stop sending requests, and then lets running requests finish.
func serve(
	ctx context.Context, server *handlers.Server, listener *net.TCPListener, config *Config,
	logger *slog.Logger,
) error {
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

// shutDown lets running requests finish.
func shutDown(ctx context.Context, server *handlers.Server, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were cut off after %v: %w", grace, err), server.Close())
	}
	return nil
}
