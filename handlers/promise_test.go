package handlers_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	faults "github.com/pb33f/libopenapi-validator/errors"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/pb33f/libopenapi/orderedmap"

	"sherpa/handlers"
)

// promise is the OpenAPI document, ready to compare requests and answers with it.
type promise struct {
	model    *v3.Document
	validate validator.Validator
	noRoute  *v3.PathItem // of a path without a resource
}

// servedPromise is that of the shipped routes. TestEveryRouteIsDescribed reports its error.
var servedPromise = sync.OnceValues(func() (*promise, error) {
	document, err := handlers.Document()
	if err != nil {
		return nil, err
	}
	return newPromise(document.JSON)
})

// newPromise reads the document. It is strict: a header or a member of a body that nobody declared is a
// fault, though a client must tolerate it. Who may do what is not compared: TestCredentialsByRoute says it,
// and the scheme JWT, which the tests use as well, is not in the document.
func newPromise(text []byte) (*promise, error) {
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, err
	}
	model, err := document.BuildV3Model()
	if err != nil {
		return nil, err
	}
	p := &promise{model: &model.Model}
	p.validate = validator.NewValidatorFromV3Model(
		p.model, config.WithStrictMode(), config.WithFormatAssertions(), config.WithoutSecurityValidation(),
		config.WithStrictIgnoredHeaders("Content-Type", "Content-Length", "Date", "Connection",
			"X-Content-Type-Options", "Content-Security-Policy", "Authorization", "Accept", "X-Request-Id",
			"X-Forwarded-For", "User-Agent",
			// What browsers and caches say to any server belongs to no operation.
			"Accept-Encoding", "If-None-Match", "Origin", "Access-Control-Request-Method",
			"Access-Control-Request-Headers", "Access-Control-Allow-Origin", "Access-Control-Allow-Methods",
			"Access-Control-Allow-Headers", "Access-Control-Expose-Headers", "Access-Control-Max-Age"))
	stray := orderedmap.New[string, *v3.Response]()
	if p.model.Components != nil {
		stray.Set("404", p.model.Components.Responses.GetOrZero("NoRoute"))
	}
	p.noRoute = &v3.PathItem{Get: &v3.Operation{Responses: &v3.Responses{Codes: stray}}}
	return p, nil
}

// broken returns how the answer, or the request that led to a success, differs from the document.
func (p *promise) broken(request *http.Request, a answer) (faults []string) {
	item, path := p.find(request.URL.Path)
	if path == "/auth/verify" && !slices.Contains(handlers.UsualMethods(), request.Method) {
		// Every method gets the same answer, and OpenAPI has no word for that.
		request = request.Clone(request.Context())
		request.Method = http.MethodGet
	}
	asked := &http.Request{Method: request.Method, URL: &url.URL{Path: request.URL.Path}}
	operation := operationOf(item, request.Method)
	if operation == nil {
		item, path = p.stray(item), ""
		asked.Method = http.MethodGet
		operation = item.Get
	}
	if path == "/openapi.json" && request.Method == http.MethodGet && a.status == 200 {
		a.body = "{}" // it does not describe itself in detail: TestDocumentInBothForms reads it
	}
	response := &http.Response{
		StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: asked,
	}
	described := operation.Responses.Codes.GetOrZero(strconv.Itoa(a.status))
	if described != nil && orderedmap.Len(described.Content) == 0 && a.body != "" {
		faults = append(faults, "there is a body, and none is described")
	}
	body := p.validate.GetResponseBodyValidator()
	_, wrong := body.ValidateResponseBodyWithPathItem(asked, response, item, path)
	faults = append(faults, explain(wrong)...)
	if a.status < 300 && request.Body != nil && request.GetBody == nil {
		return faults // the body is gone
	}
	if a.status < 300 {
		faults = append(faults, p.brokenRequest(request, item, path)...)
	}
	return faults
}

func (p *promise) brokenRequest(request *http.Request, item *v3.PathItem, path string) []string {
	again := request.Clone(request.Context())
	if request.GetBody != nil {
		again.Body, _ = request.GetBody()
	}
	_, wrong := p.validate.ValidateHttpRequestWithPathItem(again, item, path)
	return explain(wrong)
}

func explain(all []*faults.ValidationError) (texts []string) {
	for _, e := range all {
		text := e.Message + ": " + e.Reason
		for _, more := range e.SchemaValidationErrors {
			text += fmt.Sprintf("; %s: %s", more.KeywordLocation, more.Reason)
		}
		texts = append(texts, text)
	}
	return texts
}

// stray describes the only answer to a request that belongs to no operation: 405 at a path that exists, else
// 404.
func (p *promise) stray(item *v3.PathItem) *v3.PathItem {
	if item == nil {
		return p.noRoute
	}
	codes := orderedmap.New[string, *v3.Response]()
	codes.Set("405", p.model.Components.Responses.GetOrZero("NoMethod"))
	return &v3.PathItem{Get: &v3.Operation{Responses: &v3.Responses{Codes: codes}}}
}

func operationOf(item *v3.PathItem, method string) *v3.Operation {
	if item == nil {
		return nil
	}
	return item.GetOperations().GetOrZero(strings.ToLower(method))
}

// find returns the described path that fits the decoded one, as Gin does: a fixed part before a parameter.
func (p *promise) find(decoded string) (*v3.PathItem, string) {
	parts := strings.Split(decoded, "/")
	if item := p.model.Paths.PathItems.GetOrZero(decoded); item != nil {
		return item, decoded
	}
	for template, item := range p.model.Paths.PathItems.FromOldest() {
		if slices.EqualFunc(strings.Split(template, "/"), parts, fits) {
			return item, template
		}
	}
	return nil, ""
}

// fits reports whether a part of a path fits a part of a template.
func fits(template, part string) bool {
	return template == part || part != "" && strings.HasPrefix(template, "{")
}

// isExtra reports whether a test added a route of its own at this path. Nobody describes these.
func (s *server) isExtra(path string) bool {
	parts := strings.Split(path, "/")
	return slices.ContainsFunc(s.extra, func(r handlers.TestRoute) bool {
		template := strings.Split(strings.ReplaceAll(r.Path, ":", "{"), "/")
		return slices.EqualFunc(template, parts, fits)
	})
}

// holdToPromise fails the test when the answer is not as the document says.
func (s *server) holdToPromise(t testing.TB, request *http.Request, a answer) {
	t.Helper()
	p, err := servedPromise()
	if err != nil || s.isExtra(request.URL.Path) {
		return
	}
	a.header = withoutOrigin(a.header)
	for _, fault := range p.broken(request, a) {
		t.Errorf("%s %s: %d differs from /openapi.json: %s\n%.1000s",
			request.Method, request.URL, a.status, fault, a.body)
	}
}

// withoutOrigin leaves out what CORS adds to Vary: it belongs to no operation.
func withoutOrigin(header http.Header) http.Header {
	var names []string
	for name := range strings.SplitSeq(header.Get("Vary"), ", ") {
		if name != "" && name != "Origin" && !strings.HasPrefix(name, "Access-Control-") {
			names = append(names, name)
		}
	}
	header = header.Clone()
	if header.Set("Vary", strings.Join(names, ", ")); len(names) == 0 {
		header.Del("Vary")
	}
	return header
}

// holdRawToPromise compares an answer as it came over the connection. What has no request id is an answer of
// Go's HTTP server, and the request never reached the service.
func (s *server) holdRawToPromise(request, reply string) {
	s.t.Helper()
	asked, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
	if err != nil {
		return
	}
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(reply)), asked)
	if err != nil {
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.Header.Get("X-Request-Id") == "" {
		return
	}
	s.holdToPromise(s.t, asked, answer{response.StatusCode, response.Header, string(body)})
}

// object is JSON.
type object = map[string]any

// parseJSON reads an object.
func parseJSON(text []byte) (all object, err error) {
	err = json.Unmarshal(text, &all)
	return all, err
}
