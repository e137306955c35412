package handlers

import (
	"github.com/gin-gonic/gin"
)

// TestRoute is a resource that a test adds to the shipped ones.
type TestRoute struct {
	Path     string
	Resource any
	Open     bool
	Role     string
}

// NewWith is New with further resources.
func NewWith(config Config, more ...TestRoute) (*gin.Engine, error) {
	return build(config, func(a *api, open, protected group) {
		a.routes(open, protected)
		for _, r := range more {
			group := protected
			if r.Open {
				group = open
			}
			if r.Role != "" {
				group = a.role(r.Role)
			}
			a.resource(group, r.Path, r.Resource)
		}
	})
}

// Codes returns every code in the catalogue.
func Codes() []string {
	var all []string
	for _, kind := range problemKinds() {
		all = append(all, string(kind.Code))
	}
	return all
}
