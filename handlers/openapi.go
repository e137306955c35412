package handlers

import (
	"embed"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/handlers/openapi"
	"sherpa/models"
	"sherpa/security"
)

const (
	pathOpenAPI = "/openapi"
	openAPIBase = "openapi.yaml" // what belongs to no resource
)

// fragments describe the resources: each lies beside its resource, so mountain.yaml beside mountain.go.
//
//go:embed *.yaml
var fragments embed.FS

// OpenAPI answers with the document that describes this API.
type OpenAPI struct {
	mediaType string
	document  func() (openapi.Document, error)
}

func (a *api) openAPI(mediaType string) OpenAPI { return OpenAPI{mediaType, a.document} }

// Get answers in JSON, or in YAML (RFC 9512).
func (o OpenAPI) Get(c *gin.Context) error {
	document, err := o.document()
	if err != nil {
		return err
	}
	text := document.JSON
	if o.mediaType == "application/yaml" {
		text = document.YAML
	}
	c.Data(http.StatusOK, o.mediaType, text)
	return nil
}

// describe makes the document of the registered routes. The first request for it pays, not the start.
func (a *api) describe() (openapi.Document, error) {
	source := openapi.Source{
		Version: a.version, Problems: describeProblems(), Common: commonRefusals(),
		Enums: map[string][]string{
			"EndedReason": texts(models.EndedReasons()), "EventKind": texts(models.EventKinds()),
			"Actor": append(texts(models.Actors()), administrator), "Allow": texts(security.Allows()),
		},
	}
	if source.Version == "" {
		source.Version = "devel"
	}
	var err error
	if source.Base, source.Fragments, err = readFragments(); err != nil {
		return openapi.Document{}, err
	}
	source.Fragments = slices.DeleteFunc(source.Fragments, func(f openapi.Fragment) bool {
		return f.File == docsFragment && !a.withDocs || f.File == registerFragment && !a.registration
	})
	for _, s := range a.served {
		source.Resources = append(source.Resources, describeResource(s))
	}
	return openapi.Build(source)
}

func readFragments() (base openapi.Fragment, all []openapi.Fragment, err error) {
	entries, err := fragments.ReadDir(".")
	if err != nil {
		return base, nil, fmt.Errorf("fragments: %w", err)
	}
	for _, entry := range entries {
		text, err := fragments.ReadFile(entry.Name())
		if err != nil {
			return base, nil, fmt.Errorf("fragments: %w", err)
		}
		fragment := openapi.Fragment{File: entry.Name(), YAML: text}
		if fragment.File == openAPIBase {
			base = fragment
			continue
		}
		all = append(all, fragment)
	}
	return base, all, nil
}

func describeResource(s served) openapi.Resource {
	of := reflect.TypeOf(s.resource)
	r := openapi.Resource{
		Path: s.path, Methods: s.methods, Protected: s.group.protected, Roles: s.group.roles,
		Allow: string(s.group.allow),
		File:  fragmentOf(of, s.methods[0]),
	}
	if s.methods[0] == anyMethod {
		r.Any, r.Methods = true, []string{http.MethodGet}
	}
	return r
}

// fragmentOf returns the fragment beside the Go file that has the method.
func fragmentOf(resource reflect.Type, method string) string {
	found, ok := resource.MethodByName(method[:1] + strings.ToLower(method[1:]))
	if !ok {
		return openAPIBase
	}
	file, _ := runtime.FuncForPC(found.Func.Pointer()).FileLine(found.Func.Pointer())
	return strings.TrimSuffix(filepath.Base(file), ".go") + ".yaml"
}

// commonRefusals are those that no resource sends itself.
func commonRefusals() openapi.Common {
	return openapi.Common{
		Every: names(internalError),
		Protected: names(security.InvalidAuthorization, security.TokenMissing, security.TokenInvalid,
			security.TokenExpired, security.SessionEnded, security.Overloaded, unavailable),
		Role:     names(security.Forbidden),
		Allow:    names(security.TokenNotAllowed),
		Body:     names(invalidRequest, requestTimeout, contentTooLarge, unsupportedMediaType),
		NoRoute:  names(notFound),
		NoMethod: names(methodNotAllowed),
	}
}

func names(codes ...security.Code) []string { return texts(codes) }

func texts[T ~string](values []T) (all []string) {
	for _, value := range values {
		all = append(all, string(value))
	}
	return all
}

// describeProblems returns the catalogue, with an example of each.
func describeProblems() (all []openapi.Problem) {
	words := newCatalogue()
	for _, kind := range problemKinds() {
		p := openapi.Problem{
			Code: string(kind.Code), Status: kind.Status, Title: kind.Title, Meaning: kind.Meaning,
			Type: problemPath(kind.Code), Detail: kind.Example, Headers: problemHeaders(kind),
		}
		if kind.Detail != "" {
			example := words.describe(exampleOf(kind))
			p.Detail, p.Reason = example.Detail, string(example.Reason)
		}
		all = append(all, p)
	}
	return all
}

// exampleOf returns an error of package security as it may occur.
func exampleOf(kind problemKind) *security.Error {
	e := &security.Error{Code: kind.Code, Fact: kind.Example, RetryAfter: 4 * time.Second}
	if kind.Code == security.SessionEnded {
		e.Reason = models.EndedByLogout
	}
	return e
}

// problemHeaders names the headers with which the renderer sends the problem.
func problemHeaders(kind problemKind) (names []string) {
	if kind.Status == http.StatusUnauthorized || challengeError(kind.Code) != "" {
		names = append(names, "WWW-Authenticate")
	}
	switch kind.Status {
	case http.StatusMethodNotAllowed:
		names = append(names, "Allow")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		names = append(names, "Retry-After")
	}
	return names
}
