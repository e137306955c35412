package handlers

import (
	"errors"
	"log/slog"

	"github.com/gin-gonic/gin"

	"sherpa/handlers/openapi"
)

// TestRoute is a resource that a test adds to the shipped ones.
type TestRoute struct {
	Path     string
	Resource any
	Open     bool
	Roles    []string
}

// NewWith is New with further resources.
func NewWith(config Config, more ...TestRoute) (*gin.Engine, error) {
	return build(config, func(a *api, open, protected group) { a.testRoutes(open, protected, more) })
}

func (a *api) testRoutes(open, protected group, more []TestRoute) {
	a.routes(open, protected)
	for _, r := range more {
		group := protected
		if r.Open {
			group = open
		}
		if r.Roles != nil {
			group = a.role(r.Roles...)
		}
		a.resource(group, r.Path, r.Resource)
	}
}

// Document returns the OpenAPI document of the shipped resources and further ones, without a server.
func Document(more ...TestRoute) (openapi.Document, error) {
	gin.SetMode(gin.ReleaseMode)
	a := &api{router: newRouter(slog.New(slog.DiscardHandler)), withDocs: true, registration: true}
	a.protected = group{RouterGroup: a.engine.Group("/"), protected: true}
	a.testRoutes(group{RouterGroup: a.engine.Group("/")}, a.protected, more)
	if err := errors.Join(a.errs...); err != nil {
		return openapi.Document{}, err
	}
	return a.describe()
}

// Codes returns every code in the catalogue.
func Codes() []string {
	var all []string
	for _, kind := range problemKinds() {
		all = append(all, string(kind.Code))
	}
	return all
}

// ParseETags is parseETags.
func ParseETags(text string) ([]string, bool) { return parseETags(text) }

// UsualMethods lists the methods that the OpenAPI document describes for a resource with every method.
func UsualMethods() []string { return usualMethods() }
