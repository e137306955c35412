package command

import (
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"sherpa/handlers"
	"sherpa/security"
)

const (
	// reloadInterval is how often the files are read. They are small, and their contents say more than their
	// times: a link that Kubernetes swaps may lead to an older file.
	reloadInterval = time.Second
	// faultInterval is how often a fault is logged while it lasts.
	faultInterval = time.Minute
)

// reloaded is files that an operator may replace while the server runs, such as a certificate and its key. A
// change counts when two looks have found the same, so that a file is not used while it is being written. A
// bad file never replaces a good one.
type reloaded struct {
	what    string // they are, for the log
	advice  string // for a fault
	paths   []string
	use     func(contents [][]byte) error // puts them to use, or returns an error and changes nothing
	changed func(context.Context)         // is called after a change, not at the start; nil for nothing
	logger  *slog.Logger
	now     func() time.Time

	latest fingerprint // of the latest look
	judged fingerprint // of what use was called with the last time
	fault  error       // of that
	said   time.Time   // when a fault was logged
}

// fingerprint stands for the contents of the files, or for the error to read them. The contents themselves
// are secrets, which nobody should keep longer than needed.
type fingerprint [sha256.Size]byte

// start puts the files to use for the first time. Its error refuses the start.
func (r *reloaded) start() error {
	contents, print, err := r.read()
	if err != nil {
		return err
	}
	r.latest, r.judged = print, print
	return r.use(contents)
}

func (r *reloaded) read() (contents [][]byte, print fingerprint, err error) {
	for _, path := range r.paths {
		text, err := os.ReadFile(path) //nolint:gosec // G304: the operator names the file
		if err != nil {
			return nil, sha256.Sum256([]byte(err.Error())), err
		}
		sum := sha256.Sum256(text)
		print = sha256.Sum256(append(print[:], sum[:]...))
		contents = append(contents, text)
	}
	return contents, print, nil
}

// look reads the files, and puts them to use if they have changed. An operator who asks for it says that they
// are complete.
func (r *reloaded) look(ctx context.Context, asked bool) {
	contents, print, err := r.read()
	settled := asked || print == r.latest
	r.latest = print
	due := asked || r.now().Sub(r.said) >= faultInterval
	switch {
	case !settled:
	case print != r.judged, r.fault != nil && due: // time heals some faults: not valid yet, no permission
		r.judged = print
		r.judge(ctx, contents, err, due)
	case asked:
		r.logger.InfoContext(ctx, "files are the same as before", "what", r.what, "files", r.paths)
	}
}

func (r *reloaded) judge(ctx context.Context, contents [][]byte, err error, due bool) {
	if err == nil {
		err = r.use(contents)
	}
	r.fault = err
	switch {
	case err == nil:
		r.logger.InfoContext(ctx, "files have changed and are in use", "what", r.what, "files", r.paths)
		if r.changed != nil {
			r.changed(ctx)
		}
	case due:
		r.said = r.now()
		r.logger.ErrorContext(ctx, "files have changed and cannot be used; what was read before stays in use",
			"what", r.what, "files", r.paths, "error", err, "advice", r.advice)
	}
}

// watch looks after the files until ctx ends, and at once when a value comes from asked. warn has its turn at
// each look.
func watch(ctx context.Context, asked <-chan os.Signal, all []*reloaded, warn func(context.Context)) {
	ticker := time.NewTicker(reloadInterval)
	defer ticker.Stop()
	for {
		warn(ctx)
		byOperator := false
		select {
		case <-ctx.Done():
			return
		case <-asked:
			byOperator = true
		case <-ticker.C:
		}
		for _, r := range all {
			r.look(ctx, byOperator)
		}
	}
}

// hangups returns the signals SIGHUP, with which operators of a daemon ask it to read its files again. On a
// terminal it keeps its meaning: the terminal is gone, and the program ends. Windows never sends it.
func hangups(out io.Writer) (asked chan os.Signal, stop func()) {
	asked = make(chan os.Signal, 1)
	if !isTerminal(out) && !signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		signal.Notify(asked, syscall.SIGHUP)
	}
	return asked, func() { signal.Stop(asked) }
}

// files are what the server has read from files and reads again while it runs.
type files struct {
	all       []*reloaded
	transport *transport // nil for plain HTTP
}

// newFiles puts the files to use for the first time: those of TLS and those of the signing keys.
func (c *Config) newFiles(logger *slog.Logger, service *security.Service) (*files, error) {
	transport, err := c.newTransport(logger)
	if err != nil {
		return nil, err
	}
	f := &files{transport: transport}
	if transport != nil && transport.files != nil {
		f.all = append(f.all, transport.files)
	}
	if keys := c.watchedKeys(logger, service); keys != nil {
		f.all = append(f.all, keys)
		err = keys.start() // again: they may have changed since the service was made
	}
	return f, err
}

// watchedKeys is the file of the signing keys, or nil when a variable holds them.
func (c *Config) watchedKeys(logger *slog.Logger, service *security.Service) *reloaded {
	path := c.keyFile()
	if path == "" {
		return nil
	}
	return &reloaded{
		what: "signing keys", paths: []string{path}, logger: logger, now: time.Now,
		advice: "put good keys into the file, one below the other; `sherpa key new` makes one",
		use: func(contents [][]byte) error {
			ring, err := parseKeyRing(path, string(contents[0]))
			if err != nil {
				return err
			}
			return service.UseKeys(ring)
		},
		changed: func(ctx context.Context) { recordKeys(ctx, service) },
	}
}

// recordKeys leaves an event of a change of keys. The new keys are in use already: when the database does not
// answer, the next start leaves it.
func recordKeys(ctx context.Context, service *security.Service) {
	if err := service.RecordKeys(ctx); err != nil {
		service.Logger.ErrorContext(ctx,
			"the change of signing keys is not among the events yet: the next start records it", "error", err)
	}
}

// serve speaks TLS if the settings ask for it.
func (f *files) serve(server *handlers.Server, listener *net.TCPListener) error {
	if f.transport == nil {
		return server.Serve(listener)
	}
	return server.ServeTLS(listener, f.transport.config)
}

// watcher returns the work that keeps the files up to date.
func (f *files) watcher(out io.Writer) func(context.Context) {
	return func(ctx context.Context) {
		asked, stop := hangups(out)
		defer stop()
		if f.transport == nil {
			watch(ctx, asked, f.all, func(context.Context) {})
			return
		}
		defer inBackground(ctx, f.transport.run)()
		watch(ctx, asked, f.all, f.transport.warn)
	}
}
