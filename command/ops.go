package command

import (
	"context"
	"net"
	"net/http"

	"sherpa/handlers"
	"sherpa/metrics"
	"sherpa/security"
	"sherpa/security/password"
)

func newMetrics(build Build) *metrics.Metrics {
	return metrics.New(metrics.Build{Version: build.Version, Commit: build.Commit, Go: build.Go})
}

// watch connects the metrics with what they ask at each scrape.
func (s server) watch(public *handlers.Server, files *files) {
	s.metrics.Watch(metrics.Sources{
		Connections: func() metrics.Connections { return metrics.Connections(public.ConnectionStats()) },
		Hashing:     func() metrics.Hashing { return hashing(s.service.Hasher) },
		Cache:       func() (tokens, sessions metrics.Cache) { return caches(s.service.CacheStats()) },
		FeedAge:     s.service.FeedAge,
		Certificate: files.certificateEnd(),
		Waiting:     s.service.Waiting,
		Pools:       s.store.Pools(),
	})
}

func hashing(hasher *password.Hasher) metrics.Hashing {
	load := hasher.Load()
	return metrics.Hashing{
		Running: load.Running, Waiting: load.Waiting, Limit: load.Slots, Computed: hasher.Computed(),
	}
}

func caches(stats security.CacheStats) (tokens, sessions metrics.Cache) {
	tokens = metrics.Cache{
		Entries: stats.Tokens, Limit: stats.Limit,
		Hits: stats.TokenHits, Misses: stats.TokenMisses, Evictions: stats.TokenEvictions,
	}
	sessions = metrics.Cache{
		Entries: stats.Sessions, Limit: stats.Limit,
		Hits: stats.Hits, Misses: stats.Loads, Evictions: stats.SessionEvictions,
	}
	return tokens, sessions
}

// listenOps returns nil when there is to be no operations address. Somebody else may have the default one,
// which nobody asked for; a chosen one that cannot be had would leave an operator blind, so it is an error.
func (s server) listenOps(ctx context.Context) (*net.TCPListener, error) {
	address := s.config.OpsListen
	if address == "" {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	listener, err := listen(ctx, address, "ops-listen")
	if err != nil && !s.config.opsChosen {
		s.log.WarnContext(ctx, "there are no metrics, because the default operations address cannot be had; "+
			"choose another with SHERPA_OPS_LISTEN, or leave it empty to want none", "error", err)
		return nil, nil //nolint:nilnil // as above
	}
	return listener, err
}

// startOps serves the operations address until stop is called. It has a server of its own, so that neither a
// crowd of clients keeps operators out, nor a slow scrape holds up a client.
func (s server) startOps(ctx context.Context, config handlers.Config) (stop func(), err error) {
	handler, err := handlers.NewOps(config, s.config.Pprof.on)
	if err != nil {
		return nil, err
	}
	listener, err := s.listenOps(ctx)
	if err != nil || listener == nil {
		return func() {}, err
	}
	s.log.InfoContext(ctx, "the operations address is listening",
		"url", "http://"+reachable(listener.Addr().String())+"/metrics")
	return inBackground(ctx, func(ctx context.Context) { s.serveOps(ctx, handler, listener) }), nil
}

func (s server) serveOps(ctx context.Context, handler http.Handler, listener *net.TCPListener) {
	operations := handlers.NewOpsServer(handler, s.log.Logger)
	defer context.AfterFunc(ctx, func() { _ = operations.Close() })() // no loss: a scrape that is cut off
	if err := operations.Serve(listener); ctx.Err() == nil {
		s.log.ErrorContext(ctx, "the operations address has failed: there are no metrics until a restart",
			"error", err)
	}
}
