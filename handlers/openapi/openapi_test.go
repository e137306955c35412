package openapi_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sherpa/handlers/openapi"
)

const base = `openapi: 3.1.1
info: {title: Test, version: "0"}
tags: [{name: Resources}]
paths: {}
components:
  schemas:
    Problem: {type: object}
    Why: {type: string}
  headers:
    Allow: {required: true, schema: {type: string}}
    WWW-Authenticate: {required: true, schema: {type: string}}
`

const peak = `paths:
  /peaks/{id}:
    get:
      operationId: getPeak
      tags: [Resources]
      description: One peak.
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      x-problems: [not_found]
      responses: {"200": {description: The peak.}}
`

const put = `    put:
      operationId: putPeak
      requestBody: {content: {application/json: {schema: {type: object}}}}
      responses: {204: {description: Done.}}
`

func source(fragments ...string) openapi.Source {
	s := openapi.Source{
		Version: "v1", Base: openapi.Fragment{File: "openapi.yaml", YAML: []byte(base)},
		Problems: []openapi.Problem{
			{Code: "ambiguous", Status: 400, Title: "Two", Headers: []string{"WWW-Authenticate"}},
			{Code: "invalid", Status: 400, Title: "Not valid"},
			{Code: "token", Status: 401, Title: "No token", Headers: []string{"WWW-Authenticate"}},
			{Code: "role", Status: 403, Title: "No role"},
			{Code: "not_found", Status: 404, Title: "Nothing"},
			{Code: "method", Status: 405, Title: "No method", Headers: []string{"Allow"}},
			{Code: "ours", Status: 500, Title: "Ours"},
		},
		Common: openapi.Common{
			Every: []string{"ours"}, Protected: []string{"token", "ambiguous"}, Role: []string{"role"},
			Body: []string{"invalid"}, NoRoute: []string{"not_found"}, NoMethod: []string{"method"},
		},
		Enums: map[string][]string{"Why": {"a", "b"}},
	}
	for _, text := range fragments {
		s.Fragments = append(s.Fragments, openapi.Fragment{File: "peak.yaml", YAML: []byte(text)})
	}
	return s
}

func peaks(methods ...string) openapi.Resource {
	return openapi.Resource{Path: "/peaks/:id", Methods: methods, File: "peak.yaml"}
}

type document struct {
	Info  map[string]string
	Paths map[string]map[string]struct {
		OperationID, Description string
		Security                 *[]map[string][]string
		Internal                 bool `json:"x-internal"`
		Parameters               []struct{ Name string }
		Responses                map[string]struct {
			Description string
			Headers     map[string]struct {
				Ref      string `json:"$ref"`
				Required bool
				Schema   struct{ Const string }
			}
			Content map[string]struct {
				Schema struct {
					AllOf []struct {
						Properties struct{ Code struct{ Enum []string } }
					}
				}
			}
		}
	}
	Components struct {
		Schemas   map[string]struct{ Enum []string }
		Responses map[string]any
		Examples  map[string]any
	}
}

func build(t *testing.T, s openapi.Source) (d document) {
	t.Helper()
	text, err := openapi.Build(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text.JSON, &d); err != nil {
		t.Fatalf("%v: %s", err, text.JSON)
	}
	return d
}

// codes returns the codes of each status.
func (d document) codes(path, verb string) map[string][]string {
	all := map[string][]string{}
	for status, response := range d.Paths[path][verb].Responses {
		all[status] = nil
		for _, content := range response.Content {
			for _, part := range content.Schema.AllOf {
				all[status] = append(all[status], part.Properties.Code.Enum...)
			}
		}
	}
	return all
}

func TestRefusalsFollowFromTheRoute(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(r *openapi.Resource)
		get    map[string][]string
		put    map[string][]string
	}{
		"open": {
			func(*openapi.Resource) {},
			map[string][]string{"200": nil, "404": {"not_found"}, "500": {"ours"}},
			map[string][]string{"204": nil, "400": {"invalid"}, "500": {"ours"}},
		},
		"protected": {
			func(r *openapi.Resource) { r.Protected = true },
			map[string][]string{
				"200": nil, "400": {"ambiguous"}, "401": {"token"}, "404": {"not_found"}, "500": {"ours"},
			},
			map[string][]string{
				"204": nil, "400": {"ambiguous", "invalid"}, "401": {"token"}, "500": {"ours"},
			},
		},
		"for a role": {
			func(r *openapi.Resource) { r.Protected, r.Roles = true, []string{"guide", "cook"} },
			map[string][]string{
				"200": nil, "400": {"ambiguous"}, "401": {"token"}, "403": {"role"}, "404": {"not_found"},
				"500": {"ours"},
			},
			map[string][]string{
				"204": nil, "400": {"ambiguous", "invalid"}, "401": {"token"}, "403": {"role"},
				"500": {"ours"},
			},
		},
	} {
		r := peaks("GET", "PUT")
		tt.change(&r)
		s := source(peak + put)
		s.Resources = []openapi.Resource{r}
		d := build(t, s)
		item := d.Paths["/peaks/{id}"]
		if diff := cmp.Diff(tt.get, d.codes("/peaks/{id}", "get")); diff != "" {
			t.Errorf("%s: GET: %s", name, diff)
		}
		if diff := cmp.Diff(tt.put, d.codes("/peaks/{id}", "put")); diff != "" {
			t.Errorf("%s: PUT: %s", name, diff)
		}
		if item["get"].Security == nil || len(*item["get"].Security) > 0 != r.Protected {
			t.Errorf("%s: security %v", name, item["get"].Security)
		}
		if strings.Contains(item["get"].Description, "role `guide` or `cook`.") != (r.Roles != nil) {
			t.Errorf("%s: description %q", name, item["get"].Description)
		}
	}
}

func TestHeadAndOptionsComeByThemselves(t *testing.T) {
	t.Parallel()
	s := source(peak + put)
	s.Resources = []openapi.Resource{peaks("GET", "PUT")}
	item := build(t, s).Paths["/peaks/{id}"]
	head, options := item["head"], item["options"]
	if head.OperationID != "getPeakHead" || !head.Internal || len(head.Responses["200"].Content) > 0 ||
		len(head.Responses["404"].Content) > 0 || len(head.Parameters) != 1 {
		t.Errorf("HEAD: %+v", head)
	}
	allow := options.Responses["204"].Headers["Allow"]
	if options.OperationID != "optionsPeaksId" || len(options.Parameters) != 1 || !allow.Required ||
		allow.Schema.Const != "GET, HEAD, OPTIONS, PUT" || options.Security == nil ||
		len(*options.Security) > 0 {
		t.Errorf("OPTIONS: %+v", options)
	}
}

func TestOptionsHasParametersByReference(t *testing.T) {
	t.Parallel()
	const inline = `{name: id, in: path, required: true, schema: {type: string}}`
	byReference := strings.Replace(peak, inline, `{$ref: "#/components/parameters/Id"}`, 1) +
		"components: {parameters: {Id: " + inline + "}}\n"
	s := source(byReference)
	s.Resources = []openapi.Resource{peaks("GET")}
	if got := build(t, s).Paths["/peaks/{id}"]["options"].Parameters; byReference == peak || len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestHeaderIsOptionalWhenOneProblemLacksIt(t *testing.T) {
	t.Parallel()
	s := source(peak + put)
	r := peaks("GET", "PUT")
	r.Protected = true
	s.Resources = []openapi.Resource{r}
	put := build(t, s).Paths["/peaks/{id}"]["put"].Responses
	const component = "#/components/headers/WWW-Authenticate"
	if got := put["401"].Headers["WWW-Authenticate"]; got.Ref != component {
		t.Errorf("401: %+v", got)
	}
	if got, ok := put["400"].Headers["WWW-Authenticate"]; !ok || got.Ref != "" || got.Required {
		t.Errorf("400: %+v", got)
	}
}

func TestWhatTheCodeKnowsIsFilledIn(t *testing.T) {
	t.Parallel()
	d := build(t, source())
	if d.Info["version"] != "v1" {
		t.Errorf("version %s", d.Info["version"])
	}
	if diff := cmp.Diff([]string{"a", "b"}, d.Components.Schemas["Why"].Enum); diff != "" {
		t.Error(diff)
	}
	codes := d.Components.Schemas["ProblemCode"].Enum
	if len(codes) != 7 || len(d.Components.Examples) != 7 {
		t.Errorf("codes %v, examples %v", codes, d.Components.Examples)
	}
	if d.Components.Responses["NoRoute"] == nil || d.Components.Responses["NoMethod"] == nil {
		t.Errorf("responses %v", d.Components.Responses)
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	get, getPut := []openapi.Resource{peaks("GET")}, []openapi.Resource{peaks("GET", "PUT")}
	wrong := func(from, to string) []string { return []string{strings.Replace(peak, from, to, 1)} }
	for name, tt := range map[string]struct {
		fragments []string
		resources []openapi.Resource
		want      string
	}{
		"a route that nobody describes":  {nil, get, "GET /peaks/{id} is registered, but not described"},
		"a method that nobody describes": {[]string{peak}, getPut, "PUT /peaks/{id} is"},
		"a path that does not exist":     {[]string{peak}, nil, "/peaks/{id} is described, but no route"},
		"a method that does not exist":   {[]string{peak + put}, get, "PUT /peaks/{id} is described, but"},
		"a path twice":                   {[]string{peak, peak}, get, "/peaks/{id} is described twice"},
		"a schema twice": {
			[]string{peak, "components: {schemas: {Why: {type: object}}}"}, get, "Why is described twice",
		},
		"an unknown code": {
			wrong("not_found", "not_fond"), get, "no code not_fond",
		},
		"a code that is no list": {
			wrong("[not_found]", "not_found"), get, "must be a list",
		},
		"a refusal by hand":         {wrong(`"200"`, "404"), get, "x-problems lists"},
		"a range of refusals":       {wrong(`"200"`, "4XX"), get, "x-problems lists"},
		"any response":              {wrong(`"200"`, "default"), get, "x-problems"},
		"no response":               {wrong("responses", "x-a"), get, "no response"},
		"YAML that is none":         {[]string{"paths: {"}, get, "peak.yaml"},
		"a list":                    {[]string{"- paths"}, get, "must hold a mapping"},
		"a member of the base":      {[]string{"info: {title: Mine}"}, get, "info: a fragment has paths"},
		"a member that comes twice": {[]string{peak + "paths: {}"}, get, "peak.yaml"},
	} {
		s := source(tt.fragments...)
		s.Resources = tt.resources
		if _, err := openapi.Build(s); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSkeletonsAreWhole pastes what the message shows, for every method.
func TestSkeletonsAreWhole(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		s := source()
		s.Resources = []openapi.Resource{peaks(method)}
		_, err := openapi.Build(s)
		var undescribed *openapi.UndescribedError
		if !errors.As(err, &undescribed) || !strings.Contains(err.Error(), "handlers/peak.yaml") {
			t.Fatalf("%s: %v", method, err)
		}
		pasted := source(undescribed.Skeleton())
		pasted.Resources = s.Resources
		if _, err := openapi.Build(pasted); err != nil {
			t.Errorf("%s: %v in\n%s", method, err, undescribed.Skeleton())
		}
	}
}

func TestOrderAndTextStay(t *testing.T) {
	t.Parallel()
	s := source(`tags: [{name: Z}, {name: A}]
components: {schemas: {Text: {z: 1, a: "<é> & \" \n", m: null}}}`)
	text, err := openapi.Build(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`[{"name":"Resources"},{"name":"Z"},{"name":"A"}]`, `"Text":{"z":1,"a":"<é> & \" \n","m":null}`,
	} {
		if !strings.Contains(string(text.JSON), want) {
			t.Errorf("no %s in %s", want, text.JSON)
		}
	}
}
