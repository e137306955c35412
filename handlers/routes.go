// Package handlers says how the service is asked: routes, resources, middleware, and one form for every error.
//
// It knows HTTP and Gin. It knows no SQL and not how tokens are made. To add a resource, write a type like Mountain
// and register it in routes.
package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

// Config is what New needs.
type Config struct {
	Security       *security.Service
	AccessLog      bool
	TrustedProxies []netip.Prefix  // whose X-Forwarded-For is believed; none by default
	Stopping       <-chan struct{} // closed when the process has been told to stop; nil is never
}

// routes is the whole API on one screen: open to everybody, or protected, where only a principal passes.
func (a *api) routes(open, protected *gin.RouterGroup) {
	a.handle(open, "/auth", methods{http.MethodPost: a.gate.Login})
	a.resource(open, "/auth/refresh", Refresh{Gate: a.gate})
	a.resource(open, "/auth/logout", Logout{Gate: a.gate, Service: a.service})
	a.resource(protected, "/auth/me", Me{})
	a.resource(protected, "/auth/password", Password{Service: a.service})
	a.resource(protected, "/auth/sessions", Sessions{Service: a.service})
	a.resource(protected, "/auth/sessions/:id", OneSession{Service: a.service})

	a.resource(open, pathHealth, Health{})
	a.resource(open, pathReady, Ready{Store: a.service.Store, Stopping: a.stopping})
	a.resource(open, problemPath(":code"), a.problems)

	a.resource(protected, "/mountain/:name", Mountain{})
}

// api is the router under construction.
type api struct {
	engine   *gin.Engine
	gate     *security.Gate
	service  *security.Service
	render   *renderer
	problems Problems
	stopping <-chan struct{}
	faults   []error
}

// New returns the handler of the whole service.
func New(config Config) (*gin.Engine, error) {
	return build(config, (*api).routes)
}

func build(config Config, routes func(a *api, open, protected *gin.RouterGroup)) (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	a := &api{
		engine:   gin.New(),
		service:  config.Security,
		stopping: config.Stopping,
		render:   &renderer{catalogue: newCatalogue(), logger: config.Security.Logger},
	}
	if err := a.prepare(config); err != nil {
		return nil, err
	}
	routes(a, a.engine.Group("/"), a.engine.Group("/", a.gate.Guard))
	return a.engine, errors.Join(a.faults...)
}

func (a *api) prepare(config Config) (err error) {
	a.engine.HandleMethodNotAllowed = true
	a.engine.RemoteIPHeaders = []string{"X-Forwarded-For"}
	a.engine.RedirectTrailingSlash = false // a redirect would send a token or a password twice
	if err := a.engine.SetTrustedProxies(texts(config.TrustedProxies)); err != nil {
		return fmt.Errorf("trusted proxies: %w", err)
	}
	a.engine.Use(a.observe(config.Security.Logger, config.AccessLog), a.recover, secureHeaders())
	a.engine.NoRoute(a.noRoute)
	a.engine.NoMethod(a.noMethod)
	if a.problems, err = newProblems(a.render.catalogue); err != nil {
		return err
	}
	a.gate, err = security.NewGate(config.Security, security.Wire{
		ReadCredentials: readCredentials, WriteTokens: writeTokens, WriteError: a.render.write,
	})
	return err
}

func texts(prefixes []netip.Prefix) []string {
	all := make([]string, 0, len(prefixes))
	for _, p := range prefixes {
		all = append(all, p.String())
	}
	return all
}
