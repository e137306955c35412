package handlers

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

// A resource is a type with one or more of these methods. Whatever error a method returns is rendered as a
// problem.
type (
	getter  interface{ Get(*gin.Context) error }
	poster  interface{ Post(*gin.Context) error }
	putter  interface{ Put(*gin.Context) error }
	patcher interface{ Patch(*gin.Context) error }
	deleter interface{ Delete(*gin.Context) error }
	anyer   interface{ Any(*gin.Context) error } // alone: it answers every method alike
)

// anyMethod stands for every method.
const anyMethod = "ANY"

// usualMethods lists those that a resource with Any has in Gin's table. OPTIONS is among them, so that the
// guard of the group judges it as well.
func usualMethods() []string {
	return []string{
		http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch,
		http.MethodPost, http.MethodPut,
	}
}

// router registers resources with Gin, and collects what is wrong with them.
type router struct {
	engine *gin.Engine
	render *renderer
	served []served
	any    map[string]gin.HandlerFunc // by path: what a resource with Any does with an unusual method
	errs   []error
}

// served is a resource at its path, as it was registered.
type served struct {
	path     string // with its parameters
	methods  []string
	group    group
	resource any
}

// group is a part of the route table with one guard.
type group struct {
	*gin.RouterGroup
	protected bool
	roles     []string       // one of which the principal needs; none for every principal
	allow     security.Allow // that a personal access token needs; "" for none
}

// whole returns the path with that of the group before it.
func (g group) whole(path string) string { return strings.TrimSuffix(g.BasePath(), "/") + path }

func newRouter(logger *slog.Logger) *router {
	gin.SetMode(gin.ReleaseMode)
	a := &router{
		engine: gin.New(), render: &renderer{catalogue: newCatalogue(), logger: logger},
		any: map[string]gin.HandlerFunc{},
	}
	a.engine.HandleMethodNotAllowed = true
	a.engine.NoMethod(a.noMethod)
	a.engine.RedirectTrailingSlash = false // a redirect would send a token or a password twice
	return a
}

// methods maps HTTP methods to handlers.
type methods map[string]gin.HandlerFunc

// resource registers the methods that the resource has at the path in the group. HEAD comes with Get; OPTIONS
// and 405, both with a true Allow, come by themselves.
func (a *router) resource(group group, path string, resource any) {
	defer func() {
		if cause := recover(); cause != nil { // Gin panics when two routes are in each other's way
			a.errs = append(a.errs, fmt.Errorf("route %s: %v", path, cause))
		}
	}()
	if !strings.HasPrefix(path, "/") {
		a.errs = append(a.errs, fmt.Errorf("route %s: the path must begin with /", path))
		return
	}
	found := methods{}
	add := func(method string, serve func(*gin.Context) error) { found[method] = a.adapt(serve) }
	if r, ok := resource.(getter); ok {
		add(http.MethodGet, r.Get)
	}
	if r, ok := resource.(poster); ok {
		add(http.MethodPost, r.Post)
	}
	if r, ok := resource.(putter); ok {
		add(http.MethodPut, r.Put)
	}
	if r, ok := resource.(patcher); ok {
		add(http.MethodPatch, r.Patch)
	}
	if r, ok := resource.(deleter); ok {
		add(http.MethodDelete, r.Delete)
	}
	if r, ok := resource.(anyer); ok {
		add(anyMethod, r.Any)
	}
	if err := checkResource(resource, found); err != nil {
		a.errs = append(a.errs, fmt.Errorf("route %s: %w", path, err))
	}
	a.served = append(a.served, served{group.whole(path), slices.Sorted(maps.Keys(found)), group, resource})
	a.handle(group, path, found)
}

// checkResource finds a method that was meant to be served and would silently not be, because its signature
// or its receiver is another one.
func checkResource(resource any, found methods) error {
	of := reflect.TypeOf(resource)
	if of.Kind() != reflect.Pointer {
		of = reflect.PointerTo(of)
	}
	for _, verb := range []string{"Get", "Post", "Put", "Patch", "Delete", "Any", "Head", "Options"} {
		_, has := of.MethodByName(verb)
		if _, serves := found[strings.ToUpper(verb)]; has && !serves {
			if verb == "Head" || verb == "Options" {
				return fmt.Errorf("%T.%s is not served: HEAD and OPTIONS need no method", resource, verb)
			}
			return fmt.Errorf("%T.%s must be a method `%s(*gin.Context) error` of the registered value",
				resource, verb, verb)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("%T has none of the methods Get, Post, Put, Patch, Delete, Any", resource)
	}
	if _, has := found[anyMethod]; has && len(found) > 1 {
		return fmt.Errorf("%T has Any and others: Any stands alone", resource)
	}
	return nil
}

// handle registers the handlers, HEAD for GET, and OPTIONS, which needs no token: a browser's preflight has
// none. With Any, OPTIONS is a method like others.
func (a *router) handle(group group, path string, handlers methods) {
	if handler, has := handlers[anyMethod]; has {
		group.Match(usualMethods(), path, handler)
		guards := group.Handlers[len(a.engine.Handlers):] // what the engine does has been done by then
		a.any[group.whole(path)] = chain(slices.Concat(guards, gin.HandlersChain{handler}))
		return
	}
	allowed := []string{http.MethodOptions}
	for method, handler := range handlers {
		allowed = append(allowed, method)
		group.Handle(method, path, handler)
		if method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
			group.HEAD(path, handler)
		}
	}
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	a.engine.OPTIONS(group.whole(path), func(c *gin.Context) {
		c.Header("Allow", allow)
		nameMethods(c, allow)
		c.Status(http.StatusNoContent)
	})
}

// chain runs handlers one after the other, until one of them refuses.
func chain(handlers gin.HandlersChain) gin.HandlerFunc {
	return func(c *gin.Context) {
		for _, handle := range handlers {
			if handle(c); c.IsAborted() {
				return
			}
		}
	}
}

// adapt makes a Gin handler of a method that returns an error.
func (a *router) adapt(serve func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := serve(c); err != nil {
			a.render.write(c, err)
		}
	}
}

func (a *router) noRoute(c *gin.Context) {
	detail := "There is no resource at this path. GET / says where to begin."
	if path, ok := a.withoutSlash(c.Request.URL.Path); ok {
		detail = "There is no resource at this path. Without the slash at its end there is one: " + path
	}
	a.render.write(c, NotFound(detail))
}

// withoutSlash returns the path of the resource that is there without the slash at the end, as the route
// table has it and not as the request does. Nothing redirects to it: that would send a password twice.
func (a *router) withoutSlash(path string) (string, bool) {
	shorter, found := strings.CutSuffix(path, "/")
	if !found {
		return "", false
	}
	parts := strings.Split(shorter, "/")
	i := slices.IndexFunc(a.served, func(s served) bool {
		return slices.EqualFunc(strings.Split(s.path, "/"), parts, isPart)
	})
	if i < 0 {
		return "", false
	}
	return pathParameter.ReplaceAllString(a.served[i].path, "<$1>"), true
}

// isPart reports whether a part of a path fits a part of a route.
func isPart(route, part string) bool {
	return route == part || part != "" && strings.HasPrefix(route, ":")
}

var pathParameter = regexp.MustCompile(`:([^/]+)`)

// noMethod serves a resource with Any. For others, it puts Gin's Allow into a steady order.
func (a *router) noMethod(c *gin.Context) {
	if serve, has := a.any[c.Request.URL.Path]; has {
		c.Writer.Header().Del("Allow")
		serve(c)
		return
	}
	allowed := strings.Split(c.Writer.Header().Get("Allow"), ", ")
	slices.Sort(allowed)
	allow := strings.Join(allowed, ", ")
	c.Header("Allow", allow)
	a.render.write(c, methodRefused(c.Request.Method, allow))
}

func methodRefused(method, allow string) error {
	const longest = 16
	if len(method) > longest {
		method = method[:longest]
	}
	detail := fmt.Sprintf("The resource at this path does not have the method %s. It has %s.", method, allow)
	return &Error{Code: methodNotAllowed, Detail: detail}
}
