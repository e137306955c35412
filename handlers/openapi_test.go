package handlers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"sherpa/handlers"
	"sherpa/handlers/openapi"
	"sherpa/models"
	"sherpa/security"
)

// described is what the tests read of the document.
type described struct {
	Tags       []struct{ Name string }
	Paths      map[string]map[string]operation
	Components struct {
		Examples   map[string]struct{ Value object }
		Parameters map[string]parameter
	}
}

type operation struct {
	OperationID, Summary, Description string
	Internal                          bool `json:"x-internal"` // it comes with GET by itself
	Tags                              []string
	Security                          []map[string][]string
	Parameters                        []parameter
	RequestBody                       struct {
		Required bool
		Content  map[string]media
	}
	Responses map[string]struct{ Content map[string]media }
}

type parameter struct {
	Ref      string `json:"$ref"`
	Name, In string
	Example  any
}

// media is the body of a request or an answer.
type media struct {
	Schema   object
	Example  any
	Examples map[string]struct {
		Ref   string `json:"$ref"`
		Value any
	}
}

func readDescribed(t *testing.T) (all described) {
	t.Helper()
	document, err := handlers.Document()
	if err == nil {
		err = json.Unmarshal(document.JSON, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	all.each(func(_, _ string, o operation) {
		for i, p := range o.Parameters {
			if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
				o.Parameters[i] = all.Components.Parameters[name]
			}
		}
	})
	return all
}

// each calls the function for every operation.
func (d described) each(do func(method, path string, o operation)) {
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, verb := range slices.Sorted(maps.Keys(d.Paths[path])) {
			do(strings.ToUpper(verb), path, d.Paths[path][verb])
		}
	}
}

// TestEveryRouteIsDescribed fails with the description to write. See CONTRIBUTING.md.
func TestEveryRouteIsDescribed(t *testing.T) {
	t.Parallel()
	if _, err := servedPromise(); err != nil {
		t.Fatal(err)
	}
	var routes, operations []string
	for _, route := range newServer(t).router.Routes() {
		parameters := strings.NewReplacer(
			":name", "{name}", ":id", "{id}", ":code", "{code}", ":file", "{file}",
		)
		routes = append(routes, route.Method+" "+parameters.Replace(route.Path))
	}
	readDescribed(t).each(func(method, path string, _ operation) {
		operations = append(operations, method+" "+path)
	})
	slices.Sort(routes)
	slices.Sort(operations)
	if diff := cmp.Diff(routes, operations); diff != "" {
		t.Errorf("routes (-) and document (+) differ:\n%s", diff)
	}
}

// TestDescriptionsAreWhole: a client is generated from the names, and a learner reads the words.
func TestDescriptionsAreWhole(t *testing.T) {
	t.Parallel()
	d := readDescribed(t)
	ids, tags := map[string]string{}, map[string]bool{}
	for _, tag := range d.Tags {
		tags[tag.Name] = true
	}
	d.each(func(method, path string, o operation) {
		if o.OperationID == "" || o.Summary == "" || o.Description == "" || len(o.Tags) != 1 {
			t.Errorf("%s %s lacks operationId, summary, description or one tag: %+v", method, path, o)
		}
		if other, taken := ids[o.OperationID]; taken {
			t.Errorf("%s %s has the operationId of %s", method, path, other)
		}
		ids[o.OperationID] = method + " " + path
		if len(o.Tags) == 1 && !tags[o.Tags[0]] {
			t.Errorf("%s %s has the tag %s, which nobody describes", method, path, o.Tags[0])
		}
	})
}

// TestComponentsAreUsed: a reader would look for the use. NoRoute and NoMethod belong to no operation, and
// every problem has an example, also one that only routes of a fork have.
func TestComponentsAreUsed(t *testing.T) {
	t.Parallel()
	document, err := handlers.Document()
	if err != nil {
		t.Fatal(err)
	}
	all, err := parseJSON(document.JSON)
	if err != nil {
		t.Fatal(err)
	}
	spare := append(handlers.Codes(), "NoRoute", "NoMethod")
	for kind := range at(all, "/components") {
		for name := range at(all, "/components/"+kind) {
			used := strings.Contains(string(document.JSON), `"#/components/`+kind+`/`+name+`"`)
			if kind != "securitySchemes" && !slices.Contains(spare, name) && !used {
				t.Errorf("nothing uses components/%s/%s", kind, name)
			}
		}
	}
}

func TestRouteWithoutDescription(t *testing.T) {
	t.Parallel()
	_, err := handlers.Document(handlers.TestRoute{Path: "/peaks/:id", Resource: onePeak{}})
	if err == nil {
		t.Fatal("a route that nobody describes is in the document")
	}
	for _, part := range []string{
		"GET /peaks/{id} is registered", "PUT /peaks/{id} is registered",
		"handlers/fork_test.yaml:", // beside fork_test.go, which has the type
		"  /peaks/{id}:\n    put:\n", "requestBody:", "{name: id, in: path",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message has no %q:\n%v", part, err)
		}
	}
	var undescribed *openapi.UndescribedError
	if !errors.As(err, &undescribed) {
		t.Errorf("%T", err)
	}
}

// TestUndescribedRouteServesNoDocument: half a document would look like a whole one.
func TestUndescribedRouteServesNoDocument(t *testing.T) {
	t.Parallel()
	s := newFork(t)
	if a := s.do("GET", "/openapi.json", ""); a.status != 500 || a.problem(t).Code != "internal_error" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if !strings.Contains(s.log.String(), "GET /peaks is registered") {
		t.Error("the log does not say why")
	}
}

func TestDocumentInBothForms(t *testing.T) {
	t.Parallel()
	s := newServer(t, withVersion)
	inJSON, inYAML := s.do("GET", "/openapi.json", ""), s.do("GET", "/openapi.yaml", "")
	if got := inJSON.header.Get("Content-Type"); inJSON.status != 200 || got != "application/json" {
		t.Errorf("%d %s", inJSON.status, got)
	}
	if got := inYAML.header.Get("Content-Type"); inYAML.status != 200 || got != "application/yaml" {
		t.Errorf("%d %s", inYAML.status, got)
	}
	converted, err := yaml.YAMLToJSON([]byte(inYAML.body))
	if err != nil {
		t.Fatal(err)
	}
	a, errJSON := parseJSON([]byte(inJSON.body))
	b, errYAML := parseJSON(converted)
	if diff := cmp.Diff(a, b); diff != "" || errJSON != nil || errYAML != nil {
		t.Errorf("JSON (-) and YAML (+) differ: %v %v %s", errJSON, errYAML, diff)
	}
	info, _ := a["info"].(object)
	if a["openapi"] != "3.1.1" || info["version"] != "v1.2.3" {
		t.Errorf("%v %v", a["openapi"], info)
	}
}

// TestDocumentSaysWhoMayUseWhat asks every operation without a token.
func TestDocumentSaysWhoMayUseWhat(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	readDescribed(t).each(func(method, path string, o operation) {
		var header []string
		if o.RequestBody.Required {
			header = []string{o.contentType()}
		}
		a := s.do(method, fill(path, o), bodies(t, o)[0], header...)
		refused := a.header.Get("WWW-Authenticate") != "" // or by the token in the body, which is an example
		refused = refused && !strings.Contains(a.body, "_token_invalid")
		if needsToken := len(o.Security) > 0; needsToken != refused {
			t.Errorf("%s %s: %d, and the document says security: %v", method, path, a.status, o.Security)
		}
	})
}

// The examples of tokens are those of one login, which ended long ago. A test puts those of a login of its
// own in their place.
const (
	exampleSession = "QKGDKPPDJHQ2XL5V4HTISGBOZW"
	exampleToken   = "0123456789ABCDEF"
	exampleRefresh = exampleSession + ".AAAAAAAAAABkn7ncaeOQO0t9_ljO7Pf9dCmXVeX1OkMuRNdq2jHQvw"
	exampleReset   = "sherpa_reset_" + exampleSession +
		"_T4M5Q2WNRJ6ZK7YLBVDXCHUPF3T4M5Q2WNRJ6ZK7YLBVDXCHUPF3"
)

// fill puts the examples of parameters into the path.
func fill(path string, o operation) string {
	query := url.Values{}
	for _, p := range o.Parameters {
		if p.Example == nil && p.In == "query" { // it may be left out
			continue
		}
		text := fmt.Sprint(p.Example)
		if p.In == "query" {
			query.Set(p.Name, text)
			continue
		}
		path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(text))
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}

// bodies are the examples of request bodies, and no body where it may be absent.
func bodies(t *testing.T, o operation) (all []string) {
	t.Helper()
	if !o.RequestBody.Required {
		all = append(all, "")
	}
	for _, example := range o.RequestBody.Content[formType].Examples {
		form := url.Values{}
		for name, value := range example.Value.(object) {
			form.Set(name, fmt.Sprint(value))
		}
		all = append(all, form.Encode())
	}
	for _, example := range o.RequestBody.Content["application/json"].Examples {
		text, err := json.Marshal(example.Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	if len(all) == 0 {
		t.Fatalf("%s has no example of its request body", o.OperationID)
	}
	return all
}

const formType = "application/x-www-form-urlencoded"

// contentType is the header line for the body of a request.
func (o operation) contentType() string {
	if _, ok := o.RequestBody.Content[formType]; ok {
		return "Content-Type: " + formType
	}
	return jsonType
}

// grant gives the demo user the role that an operation is for.
func (s *server) grant(o operation) {
	s.t.Helper()
	_, after, found := strings.Cut(o.Description, "Only for users with the role `")
	role, _, _ := strings.Cut(after, "`")
	if !found {
		return
	}
	if _, err := s.service.AddRole(s.t.Context(), s.user.ID, role); err != nil {
		s.t.Fatal(err)
	}
}

// TestExamplesWork sends every example of a request, and compares the answer with the example of it.
func TestExamplesWork(t *testing.T) {
	t.Parallel()
	d := readDescribed(t)
	d.each(func(method, path string, o operation) {
		for i, body := range bodies(t, o) {
			t.Run(fmt.Sprint(method, " ", path, " ", i), func(t *testing.T) { // so that its server ends
				s := newServer(t, withVersion)
				if !d.forAdmins(method, path) {
					if s.grant(o); method == http.MethodHead { // which says less
						s.grant(d.Paths[path]["get"])
					}
				}
				var token models.PersonalToken
				if strings.HasPrefix(path, "/auth/tokens") {
					token, _ = s.addToken(security.NewToken{Name: "deploy"})
				}
				if path == "/auth/revocations" {
					s.makeNews()
				}
				mine := s.post("/auth", credentials(username, password)).tokens(t)
				if strings.Contains(body, exampleReset) {
					body = strings.ReplaceAll(body, exampleReset, s.issueReset(s.user.ID))
				}
				live := strings.NewReplacer(exampleRefresh, mine.RefreshToken,
					exampleSession, strings.Split(mine.RefreshToken, ".")[0], exampleToken, token.ID)
				var header []string
				if body != "" {
					header = append(header, o.contentType())
				}
				header = append(header, o.headers()...)
				if d.forAdmins(method, path) {
					header = append(header, s.asAdmin())
				} else if len(o.Security) > 0 {
					header = append(header, "Authorization: Bearer "+mine.AccessToken)
				}
				a := s.do(method, live.Replace(fill(path, o)), live.Replace(body), header...)
				want := success(o)
				if strconv.Itoa(a.status) != want {
					t.Errorf("%s %s, example %d: %d, want %s: %s", method, path, i, a.status, want, a.body)
				}
				for _, example := range d.answers(o, want) {
					compareExample(t, method+" "+path, example, a)
				}
			})
		}
	})
}

// forAdmins reports whether the operation needs the role admin.
func (d described) forAdmins(method, path string) bool {
	verb := strings.ToLower(strings.Replace(method, http.MethodHead, http.MethodGet, 1))
	return strings.Contains(d.Paths[path][verb].Description, "Only for users with the role `admin`")
}

// asAdmin is the header of a new administrator.
func (s *server) asAdmin() string {
	s.t.Helper()
	s.addUser("ada", "an analytical engine", "admin")
	return "Authorization: Bearer " + s.login("ada", "an analytical engine")
}

// headers are the examples of those that the operation needs.
func (o operation) headers() (all []string) {
	for _, p := range o.Parameters {
		if p.In == "header" && p.Example != nil {
			all = append(all, fmt.Sprintf("%s: %v", p.Name, p.Example))
		}
	}
	return all
}

// makeNews does what the example of the feed tells: a logout, and then other roles of a session that lives.
func (s *server) makeNews() {
	s.t.Helper()
	bob := s.addUser("bob", "another user is here")
	mine := s.post("/auth", credentials("bob", "another user is here")).tokens(s.t)
	s.logout("access token", "", mine)
	s.execute(`UPDATE revocations SET revoked_at = revoked_at - 1000`)
	s.login("bob", "another user is here")
	if _, err := s.service.AddRole(s.t.Context(), bob.ID, "editor"); err != nil {
		s.t.Fatal(err)
	}
	s.poll()
}

// success is the status of the first success.
func success(o operation) string { return slices.Min(slices.Collect(maps.Keys(o.Responses))) }

// answers are the examples of answers in JSON.
func (d described) answers(o operation, status string) (all []any) {
	content := o.Responses[status].Content["application/json"]
	if content.Example != nil {
		all = append(all, content.Example)
	}
	for _, example := range content.Examples {
		if name, ok := strings.CutPrefix(example.Ref, "#/components/examples/"); ok {
			all = append(all, any(d.Components.Examples[name].Value))
			continue
		}
		all = append(all, example.Value)
	}
	return all
}

// compareExample compares names, types, and the values that are the same every time.
func compareExample(t *testing.T, what string, example any, a answer) {
	t.Helper()
	var got any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Errorf("%s: %v: %s", what, err, a.body)
		return
	}
	if diff := cmp.Diff(stable("", example), stable("", got)); diff != "" {
		t.Errorf("%s: example (-) and answer (+) differ:\n%s", what, diff)
	}
}

// stable replaces the values that differ every time by their types.
func stable(name string, value any) any {
	switch v := value.(type) {
	case object:
		all := object{}
		for member, value := range v {
			all[member] = stable(member, value)
		}
		return all
	case []any:
		all := []any{}
		for _, item := range v {
			all = append(all, stable(name, item))
		}
		return all
	case string:
		switch name {
		case "access_token", "refresh_token", "id", "session_id", "address", "user_agent", "created_at",
			"password_changed_at", "last_used_at", "at", "last_at", "idle_ends_at", "ends_at",
			"expires_at", "token", "request_id", "sid", "cursor", "complete_since":
			return fmt.Sprintf("%T", v)
		}
	}
	return value
}

// TestRefusalsAreAsDescribed provokes the problems that an operation lists, and compares each with its
// example. Those that need a fault or a long wait are provoked by other tests, which compare them with the
// document as well.
func TestRefusalsAreAsDescribed(t *testing.T) {
	t.Parallel()
	d := readDescribed(t)
	seen := map[string]bool{}
	d.each(func(method, path string, o operation) {
		if method == http.MethodHead || method == http.MethodOptions {
			return
		}
		for _, code := range o.codes() {
			provoke := provocations()[code]
			if provoke == nil || code == "session_ended" && path != "/auth/me" {
				continue
			}
			t.Run(fmt.Sprint(method, " ", path, " ", code), func(t *testing.T) { // so that its server ends
				s := newServer(t)
				if code != "forbidden" {
					s.grant(o)
				}
				target, body, header := provoke(s, fill(path, o), bodies(t, o)[0])
				if !strings.HasPrefix(code, "precondition_") {
					header = append(header, o.headers()...)
				}
				if i := slices.Index(header, jsonType); i >= 0 {
					header[i] = o.contentType()
				}
				a := s.do(method, target, body, header...)
				if a.status < 400 {
					t.Errorf("%s %s: %d, want the problem %s", method, path, a.status, code)
					return
				}
				p := a.problem(t)
				if string(p.Code) != code {
					t.Errorf("%s %s: %d %s, want %s", method, path, a.status, a.body, code)
					return
				}
				seen[code] = true
				if o.contentType() != jsonType && code == "unsupported_media_type" {
					return // the detail names another type
				}
				if code == "forbidden" && !d.forAdmins(method, path) {
					return // the detail names another role
				}
				compareExample(t, method+" "+path+" "+code, any(d.Components.Examples[code].Value), a)
			})
		}
	})
	for code := range provocations() {
		if !seen[code] {
			t.Errorf("no operation lists %s, or none answers with it", code)
		}
	}
}

// codes are those of all refusals that the operation lists.
func (o operation) codes() (all []string) {
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		for code := range o.Responses[status].Content[problemType].Examples {
			all = append(all, code)
		}
	}
	slices.Sort(all)
	return all
}

// provocations change a good request without a token so that it gets the problem.
func provocations() map[string]func(s *server, path, body string) (string, string, []string) {
	type request = func(s *server, path, body string) (string, string, []string)
	withToken := func(change func(s *server, token string) []string) request {
		return func(s *server, path, body string) (string, string, []string) {
			return path, body, append(change(s, s.login(username, password)), jsonType)
		}
	}
	withBody := func(text string, header ...string) request {
		return func(s *server, path, _ string) (string, string, []string) {
			return path, text, append(header, "Authorization: Bearer "+s.login(username, password))
		}
	}
	sent := func(header ...string) request {
		return withToken(func(_ *server, token string) []string {
			return append(header, "Authorization: Bearer "+token)
		})
	}
	withoutRole := func(s *server, path, body string) (string, string, []string) {
		if path == "/auth/verify" { // which needs a role only if the question says so
			path += "?role=admin"
		}
		return sent()(s, path, body)
	}
	return map[string]request{
		"forbidden":             withoutRole,
		"precondition_required": sent(),
		"precondition_failed":   sent(`If-Match: "another"`),
		"username_taken":        withBody(credentials("Sherpa", "yaks graze at dawn"), jsonType),
		"last_admin":            withBody(`{"roles":[]}`, jsonType),
		"token_missing":         withToken(func(*server, string) []string { return nil }),
		"token_invalid": withToken(func(_ *server, token string) []string {
			return []string{"Authorization: Bearer " + token[:len(token)-4] + "AAAA"}
		}),
		"token_expired": withToken(func(s *server, token string) []string {
			expired := func(c map[string]any) { c["exp"] = s.clock.Now().Unix() - 130 }
			return []string{"Authorization: Bearer " + forge(s.t, token, expired)}
		}),
		"session_ended": withToken(func(s *server, token string) []string {
			s.do("POST", "/auth/logout", "", "Authorization: Bearer "+token)
			return []string{"Authorization: Bearer " + token}
		}),
		"invalid_authorization": withToken(func(_ *server, token string) []string {
			return []string{"Authorization: Bearer " + token, "Authorization: Bearer " + token}
		}),
		"invalid_credentials":   withBody(credentials(username, "lhotse"), jsonType),
		"refresh_token_invalid": withBody(`{"refresh_token":"everest"}`, jsonType),
		"reset_token_invalid":   withBody(redemption(exampleReset, "yaks graze at dawn"), jsonType),
		"wrong_password": func(s *server, path, body string) (string, string, []string) {
			const member = `"current_password":"`
			return sent()(s, path, strings.Replace(body, member+password, member+"lhotse", 1))
		},
		"content_too_large":      withBody(strings.Repeat(" ", 64<<10+1), jsonType),
		"unsupported_media_type": withBody(`{}`),
	}
}

// TestDocumentCannotDrift breaks the document, and sees that answers of the service no longer fit it.
func TestDocumentCannotDrift(t *testing.T) {
	t.Parallel()
	document, err := handlers.Document()
	if err != nil {
		t.Fatal(err)
	}
	talk, whole := record(t), part(t, document.JSON)
	if p, err := newPromise(whole); err != nil || len(p.complaints(talk)) > 0 {
		t.Fatalf("the document as it is: %v %v", err, p.complaints(talk))
	}
	const mountain, login = "/paths/~mountain~{name}", "/paths/~auth"
	const refusal = "/content/application~problem+json/schema/allOf/1/properties"
	for name, change := range map[string]func(d object){
		"no path":            drop("/paths", "/mountain/{name}"),
		"no method":          drop(login, "post"),
		"no HEAD":            drop(mountain, "head"),
		"no OPTIONS":         drop(mountain, "options"),
		"no status":          drop(mountain+"/get/responses", "401"),
		"no status of HEAD":  drop(mountain+"/head/responses", "401"),
		"no body":            drop(mountain+"/get/responses/200", "content"),
		"another media type": rename(mountain+"/get/responses/200/content", "application/json", "text/plain"),
		"no code":            put(mountain+"/get/responses/401"+refusal+"/code", "enum", []any{"forbidden"}),
		"another status in the body": put(
			mountain+"/get/responses/401"+refusal+"/status", "const", 403),
		"no reason":            put("/components/schemas/EndedReason", "enum", []any{"idle"}),
		"no member":            drop("/components/schemas/Tokens/properties", "expires_in"),
		"a member too many":    put("/components/schemas/Mountain", "required", []any{"mountain", "height"}),
		"another type":         put("/components/schemas/Mountain/properties/mountain", "type", "integer"),
		"no null":              put("/components/schemas/Session/properties/ended_at", "type", "string"),
		"no WWW-Authenticate":  drop(mountain+"/get/responses/401/headers", "WWW-Authenticate"),
		"no Retry-After":       drop(login+"/post/responses/429/headers", "Retry-After"),
		"no Allow":             drop(login+"/options/responses/204/headers", "Allow"),
		"another Allow":        put(login+"/options/responses/204/headers/Allow/schema", "const", "POST"),
		"no Vary":              drop("/paths/~/get/responses/200/headers", "Vary"),
		"no member of a body":  drop("/components/schemas/Credentials/properties", "password"),
		"a member it must get": put("/components/schemas/Credentials", "required", []any{"otp"}),
		"no query parameter":   put("/paths/~auth~logout/post", "parameters", []any{}),
		"no 404":               drop("/components/responses/NoRoute/content", problemType),
		"another 404":          put("/components/responses/NoRoute"+refusal+"/code", "const", "forbidden"),
		"no Allow of 405":      drop("/components/responses/NoMethod/headers", "Allow"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken, err := parseJSON(whole)
			if err != nil {
				t.Fatal(err)
			}
			change(broken)
			text, err := json.Marshal(broken)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(text, whole) {
				t.Fatal("nothing has changed")
			}
			p, err := newPromise(text)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.complaints(talk)) == 0 {
				t.Error("every answer still fits")
			}
		})
	}
}

// part returns the document with the paths that record asks for: reading the whole takes a while.
func part(t *testing.T, document []byte) []byte {
	t.Helper()
	all, err := parseJSON(document)
	if err != nil {
		t.Fatal(err)
	}
	asked := []string{"/", "/auth", "/auth/logout", "/auth/sessions", "/healthz", "/mountain/{name}"}
	maps.DeleteFunc(at(all, "/paths"), func(path string, _ any) bool { return !slices.Contains(asked, path) })
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// exchange is a request and its answer.
type exchange struct {
	request *http.Request
	answer  answer
}

func (p *promise) complaints(talk []exchange) (all []string) {
	for _, e := range talk {
		all = append(all, p.broken(e.request, e.answer)...)
	}
	return all
}

// record asks a server for one answer of each kind.
func record(t *testing.T) []exchange {
	t.Helper()
	s := newServer(t)
	var talk []exchange
	s.watch = func(r *http.Request, a answer) { talk = append(talk, exchange{r, a}) }
	token := "Authorization: Bearer " + s.login(username, password)
	for _, r := range [][]string{
		{"GET", "/"}, {"GET", "/nothing"}, {"PUT", "/healthz"}, {"OPTIONS", "/auth"},
		{"OPTIONS", "/mountain/everest"}, {"GET", "/mountain/everest", token},
		{"HEAD", "/mountain/everest", token}, {"GET", "/mountain/everest"},
		{"HEAD", "/mountain/everest"}, {"GET", "/auth/sessions", token},
		{"POST", "/auth/logout?scope=local", token}, {"GET", "/mountain/everest", token},
	} {
		s.do(r[0], r[1], "", r[2:]...)
	}
	for s.post("/auth", credentials(username, "wrong")).status != 429 {
	}
	return talk
}

// at finds an object of the document; "~" in the path stands for "/" in a name.
func at(d object, path string) object {
	var here any = d
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		if list, ok := here.([]any); ok {
			i, _ := strconv.Atoi(name)
			here = list[i]
			continue
		}
		here = here.(object)[strings.ReplaceAll(name, "~", "/")]
	}
	return here.(object)
}

func drop(path, name string) func(object) {
	return func(d object) {
		delete(at(d, path), name)
		schema, isMember := strings.CutSuffix(path, "/properties")
		if !isMember {
			return
		}
		required, _ := at(d, schema)["required"].([]any)
		at(d, schema)["required"] = slices.DeleteFunc(required, func(v any) bool { return v == name })
	}
}

func rename(path, from, to string) func(object) {
	return func(d object) {
		at(d, path)[to] = at(d, path)[from]
		delete(at(d, path), from)
	}
}

func put(path, name string, value any) func(object) {
	return func(d object) { at(d, path)[name] = value }
}

// TestPostmanKnowsEveryOperation: those that come with GET by themselves need no request of their own.
func TestPostmanKnowsEveryOperation(t *testing.T) {
	t.Parallel()
	p, err := servedPromise()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../postman/sherpa.postman_collection.json")
	if err != nil {
		t.Fatal(err)
	}
	var collection postmanItem
	if err := json.Unmarshal(text, &collection); err != nil {
		t.Fatal(err)
	}
	sent := map[string]bool{}
	collection.walk(func(method, path string) {
		decoded, err := url.PathUnescape(path)
		if err != nil {
			t.Fatal(err)
		}
		_, template := p.find(decoded)
		sent[method+" "+template] = true
	})
	readDescribed(t).each(func(method, path string, o operation) {
		if !o.Internal && !sent[method+" "+path] {
			t.Errorf("the Postman collection does not send %s %s", method, path)
		}
	})
}

// postmanItem is a folder or a request.
type postmanItem struct {
	Item    []postmanItem
	Request struct {
		Method string
		URL    struct{ Raw string }
	}
}

func (i postmanItem) walk(do func(method, path string)) {
	if i.Request.Method != "" {
		path, _, _ := strings.Cut(strings.TrimPrefix(i.Request.URL.Raw, "{{base_url}}"), "?")
		do(i.Request.Method, path)
	}
	for _, item := range i.Item {
		item.walk(do)
	}
}
