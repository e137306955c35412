package handlers

import (
	"log/slog"
	"net/http"
	"net/http/pprof"

	"github.com/gin-gonic/gin"
)

// pathMetrics is where Prometheus looks by default.
const pathMetrics = "/metrics"

// maxOpsConnections is enough for Prometheus, a probe and an operator.
const maxOpsConnections = 8

// NewOps returns the handler of the operations address: what machines and people ask who look after the
// service. It is for nobody else, so it asks for no token. Profiles show the inside of the process, so they
// are there only when wanted.
func NewOps(config Config, profiles bool) (http.Handler, error) {
	a := newRouter(config.Logger)
	if err := a.engine.SetTrustedProxies(nil); err != nil {
		return nil, err
	}
	a.engine.Use(observe(nil, nil, false), a.recover, secureHeaders())
	a.engine.NoRoute(a.adapt(func(*gin.Context) error {
		return NotFound("There is nothing at this path. This is the address for operations: it has " +
			pathMetrics + ", " + pathHealth + " and " + pathReady + ".")
	}))
	get := func(path string, handler gin.HandlerFunc) {
		a.engine.Match([]string{http.MethodGet, http.MethodHead}, path, handler)
	}
	get(pathMetrics, gin.WrapH(config.Metrics.Handler()))
	get(pathHealth, a.adapt(Health{Version: config.Version}.Get))
	get(pathReady, a.adapt(Ready{Service: config.Service, Stopping: config.Stopping}.Get))
	if profiles {
		addProfiles(a.engine)
	}
	return a.engine, nil
}

// addProfiles leaves out /debug/pprof/cmdline: flags may hold the password of the database.
func addProfiles(engine *gin.Engine) {
	const path = "/debug/pprof/"
	engine.GET(path, gin.WrapF(pprof.Index))
	engine.GET(path+"profile", gin.WrapF(pprof.Profile))
	engine.GET(path+"trace", gin.WrapF(pprof.Trace))
	engine.GET(path+"symbol", gin.WrapF(pprof.Symbol))
	for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
		engine.GET(path+name, gin.WrapH(pprof.Handler(name)))
	}
}

// NewOpsServer is NewServer for the operations address.
func NewOpsServer(handler http.Handler, logger *slog.Logger) *Server {
	rare := newRareLog(logger)
	return newServer(handler, rare, newConnections(maxOpsConnections, func() {
		rare.log(slog.LevelWarn, "ops crowd", "too many connections are open at the operations address: "+
			"closed the one whose client was silent for longest; see who else asks there")
	}))
}
