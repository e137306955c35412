// Package handlers says how the service is asked: routes, resources, middleware, and one form for every
// error.
//
// It knows HTTP and Gin. It knows no SQL and not how tokens are made. To add a resource, write a type like
// Mountain and register it in the method routes.
package handlers

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/handlers/openapi"
	"sherpa/metrics"
	"sherpa/models"
	"sherpa/security"
	"sherpa/tracing"
)

// Config is what New needs.
type Config struct {
	Service        *security.Service
	Store          *models.Store    // for resources of a fork
	Now            func() time.Time // the clock of these resources; they get whole milliseconds
	Logger         *slog.Logger
	Version        string           // what /healthz and the index say
	AccessLog      AccessLog        // nil for none
	Docs           bool             // whether there is the page /docs
	Registration   bool             // whether strangers may register
	Origins        []string         // whose scripts may read answers (CORS); none by default
	TrustedProxies []netip.Prefix   // whose X-Forwarded-For is believed; none by default
	Stopping       <-chan struct{}  // closed when the process has been told to stop; nil is never
	Metrics        *metrics.Metrics // nil for none
	Tracer         *tracing.Tracer  // nil for none
}

const (
	pathUsers = "/auth/users"
	admin     = security.AdminRole
)

// routes is the whole API, with the two functions below. Nobody guards the open routes, though some check a
// token themselves; the protected ones are only for a principal.
func (a *api) routes(open, protected group) {
	a.authRoutes(open, protected)
	a.serviceRoutes(open)

	a.resource(protected, "/mountain/:name", Mountain{})
}

// authRoutes are about users, their sessions and their tokens.
func (a *api) authRoutes(open, protected group) {
	a.resource(open, "/auth", Login{Gate: a.gate})
	a.resource(open, "/auth/refresh", Refresh{Gate: a.gate})
	a.resource(open, "/auth/logout", Logout{Gate: a.gate, Service: a.service})
	a.resource(protected, "/auth/me", Me{})
	a.resource(open, "/auth/password-reset", PasswordReset{Service: a.service})
	if a.registration {
		a.resource(open, pathRegister, Registration{Service: a.service})
	}

	a.resource(protected, pathVerify, Verify{})
	a.resource(a.role("verifier"), "/auth/introspect", Introspect{Service: a.service})
	a.resource(a.role("verifier"), "/auth/revocations", &Feed{Service: a.service, Stopping: a.stopping})
	a.resource(open, pathPublicKeys, PublicKeys{Service: a.service})

	account := a.allows(protected, security.AllowAccount)
	a.resource(account, "/auth/password", Password{Service: a.service})
	a.resource(account, "/auth/sessions", Sessions{Service: a.service})
	a.resource(account, "/auth/sessions/:id", OneSession{Service: a.service})
	a.resource(account, "/auth/tokens", PersonalTokens{Service: a.service})
	a.resource(account, "/auth/tokens/:id", OnePersonalToken{Service: a.service})
	a.resource(account, "/auth/events", Events{Service: a.service})

	administration := a.allows(a.role(admin), security.AllowAdmin)
	a.resource(administration, pathUsers, Users{Service: a.service})
	a.resource(administration, pathUsers+"/:id", OneUser{Service: a.service})
	a.resource(administration, pathUsers+"/:id/sessions", UserSessions{Service: a.service})
	a.resource(administration, pathUsers+"/:id/tokens", UserTokens{Service: a.service})
	a.resource(administration, pathUsers+"/:id/password-reset", UserPasswordReset{Service: a.service})
}

// serviceRoutes are about the service itself.
func (a *api) serviceRoutes(open group) {
	a.resource(open, "/", a.index)
	a.resource(open, pathHealth, Health{Version: a.version})
	a.resource(open, pathReady, Ready{Service: a.service, Stopping: a.stopping})
	a.resource(open, problemPath(":code"), a.problems)
	a.resource(open, pathOpenAPI+".json", a.openAPI("application/json"))
	a.resource(open, pathOpenAPI+".yaml", a.openAPI("application/yaml"))
	if a.withDocs {
		a.resource(open, pathDocs, a.docs)
		a.resource(open, pathDocs+"/:file", newDocsFiles())
	}
}

// New returns the handler of the whole service.
func New(config Config) (*gin.Engine, error) {
	return build(config, (*api).routes)
}

func build(config Config, routes func(a *api, open, protected group)) (*gin.Engine, error) {
	gate, err := security.NewGate(config.Service)
	if err != nil {
		return nil, err
	}
	pages, err := newPages(config)
	if err != nil {
		return nil, err
	}
	a := &api{
		router: newRouter(config.Logger), pages: pages, gate: gate, version: config.Version,
		service: config.Service, store: config.Store,
		withDocs: config.Docs, registration: config.Registration,
		// as the store keeps it
		now:      func() time.Time { return config.Now().Truncate(time.Millisecond) },
		stopping: config.Stopping, requests: config.Metrics.Requests(),
	}
	if err := a.prepare(config); err != nil {
		return nil, err
	}
	a.document = sync.OnceValues(a.describe)
	a.protected = group{RouterGroup: a.engine.Group("/", a.adapt(gate.Guard)), protected: true}
	routes(a, group{RouterGroup: a.engine.Group("/")}, a.protected)
	for _, resource := range a.served {
		a.requests.Route(resource.path)
	}
	return a.engine, errors.Join(a.errs...)
}

// api is what the routes are made of.
type api struct {
	*router
	pages
	gate         *security.Gate
	service      *security.Service
	store        *models.Store
	now          func() time.Time
	withDocs     bool
	registration bool
	version      string
	stopping     <-chan struct{}
	requests     *metrics.Requests
	protected    group
	document     func() (openapi.Document, error)
}

// pages are the resources that people look at.
type pages struct {
	index    Index
	problems Problems
	docs     Docs
}

func newPages(config Config) (pages, error) {
	index, indexErr := newIndex(config)
	problems, problemsErr := newProblems()
	docs, docsErr := newDocs()
	return pages{index, problems, docs}, errors.Join(indexErr, problemsErr, docsErr)
}

// role returns a group for principals with one of the roles.
func (a *api) role(names ...string) group {
	guarded := a.protected.Group("/", a.adapt(a.gate.RequireRole(names...)))
	return group{RouterGroup: guarded, protected: true, roles: names}
}

// allows returns the group for sessions, and for those personal access tokens that say so.
func (a *api) allows(within group, what security.Allow) group {
	within.RouterGroup = within.Group("/", a.adapt(a.gate.RequireAllow(what)))
	within.allow = what
	return within
}

func (a *api) prepare(config Config) error {
	a.engine.RemoteIPHeaders = []string{"X-Forwarded-For"}
	if err := a.engine.SetTrustedProxies(networks(config.TrustedProxies)); err != nil {
		return fmt.Errorf("trusted proxies: %w", err)
	}
	a.engine.Use(observe(config.AccessLog, a.requests, config.Tracer != nil))
	if config.Tracer != nil {
		a.engine.Use(trace(config.Tracer))
	}
	a.engine.Use(a.recover, secureHeaders())
	if len(config.Origins) > 0 {
		a.engine.Use(crossOrigin(config.Origins))
	}
	a.engine.NoRoute(a.noRoute)
	return nil
}

func networks(prefixes []netip.Prefix) []string {
	all := make([]string, 0, len(prefixes))
	for _, p := range prefixes {
		all = append(all, p.String())
	}
	return all
}
