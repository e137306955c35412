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
	config.warnOfOpenKeyFiles(ctx, log.Logger)
	watch := observers{newMetrics(config.build), newTracer(ctx, config, log.Logger)}
	defer watch.tracer.Stop()
	store.Observe(watch.statements(store.System()))
	service, err := newService(config, store, keys, log.Logger, watch)
	if err != nil {
		return err
	}
	if outage {
		service.StartedDuringOutage()
	}
	return server{config, std, log, watch, store, service}.run(ctx)
}

// server is what serves: the parts that live as long as the process.
type server struct {
	config *Config
	std    Streams
	log    logs
	observers
	store   *models.Store
	service *security.Service
}

// run listens before it creates the first user: a start that fails must not have printed a password. The
// operations address comes second: its default must not take the port that the settings give to clients.
func (s server) run(ctx context.Context) error {
	config := s.handlers(ctx)
	handler, err := handlers.New(config)
	if err != nil {
		return err
	}
	files, err := s.config.newFiles(s.log.Logger, s.service)
	if err != nil {
		return err
	}
	most := maxConnections(s.config.MaxConnections, descriptorLimit())
	public := handlers.NewServer(handler, s.log.Logger, most)
	s.watch(public, files)
	listener, err := listen(ctx, s.config.Listen, "listen")
	if err != nil {
		return err
	}
	stopOps, err := s.startOps(ctx, config)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer stopOps()
	if err := firstRun(ctx, s.config, s.service, s.std.Err); err != nil {
		return errors.Join(err, listener.Close())
	}
	s.config.warnOfPlainHTTP(ctx, s.log.Logger)
	url := s.config.scheme() + "://" + reachable(listener.Addr().String())
	s.log.InfoContext(ctx, "sherpa is listening", "url", url, "database", s.store.Name())
	recordStart(ctx, s.service, s.config.build.Version)
	defer recordStop(ctx, s.service)
	defer inBackground(ctx, tune(s.config))()
	defer inBackground(ctx, s.service.Run)()
	defer inBackground(ctx, files.watcher(s.std.Out))()
	return serve(ctx, public, func() error { return files.serve(public, listener) }, s.config, s.log.Logger)
}

func (s server) handlers(ctx context.Context) handlers.Config {
	return handlers.Config{
		Service: s.service, Store: s.store, Now: time.Now, Logger: s.log.Logger,
		Registration: s.config.Registration == registrationOpen,
		AccessLog:    s.log.access, Docs: s.config.Docs.on, Origins: s.config.CORSOrigins,
		TrustedProxies: s.config.TrustedProxies, Stopping: ctx.Done(),
		Version: s.config.build.Version, Metrics: s.metrics, Tracer: s.tracer,
	}
}

// recordStart records that the server starts, and whether its keys have changed. A full disk must not keep it
// from starting, because sessions that are known go on; so an event that cannot be written is only logged.
func recordStart(ctx context.Context, service *security.Service, version string) {
	if err := errors.Join(service.RecordStart(ctx, version), service.RecordKeys(ctx)); err != nil {
		service.Logger.ErrorContext(ctx, "the start was not recorded as an event; see to the database",
			"error", err)
	}
}

// recordWait bounds how long a stop waits for a database that is down.
const recordWait = 2 * time.Second

func recordStop(ctx context.Context, service *security.Service) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWait)
	defer cancel()
	if err := service.RecordStop(ctx); err != nil {
		service.Logger.WarnContext(ctx, "the stop was not recorded as an event", "error", err)
	}
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

// listen names the flag that chooses another address when this one cannot be had.
func listen(ctx context.Context, address, flag string) (*net.TCPListener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program listens on %s; choose another address "+
			"with --%s HOST:PORT", address, flag)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w; choose an address of this machine with --%s HOST:PORT", err, flag)
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
	ctx context.Context, server *handlers.Server, accept func() error, config *Config, logger *slog.Logger,
) error {
	stopped := make(chan error, 1)
	go func() { stopped <- accept() }()
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
