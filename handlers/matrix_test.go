package handlers_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/models"
	"sherpa/security"
)

// TestCredentialsByRoute says for every registered route what each kind of credential gets. A route that is
// missing here, or that is here and no longer registered, fails.
func TestCredentialsByRoute(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.addUser("ada", "an analytical engine", "admin")
	s.addUser("bob", "another user is here")
	s.addUser("vera", "verifies for others", "verifier")
	columns := []string{
		"none", "rubbish", "expired", "ended", "user", "other", "admin", "verifier",
		"personal", "personal-admin",
	}
	all := func(status int) []int { return slices.Repeat([]int{status}, len(columns)) }
	// personal is a personal access token of the user without roles and allow, personal-admin one of the
	// administrator with all of both. Where nothing else is said, each gets what its owner gets.
	only := func(user, other, admin, verifier int) []int {
		return []int{401, 401, 401, 401, user, other, admin, verifier, user, admin}
	}
	protected := only(200, 200, 200, 200)
	account := func(user, other, admin, verifier int) []int {
		return []int{401, 401, 401, 401, user, other, admin, verifier, 403, admin}
	}
	ownAccount := account(200, 200, 200, 200)
	administration := func(status int) []int { return only(403, 403, status, 403) }
	matrix := map[string][]int{
		"POST /auth":                 all(200), // with the right body: a token changes nothing
		"OPTIONS /auth":              all(204),
		"POST /auth/refresh":         all(200), // with the right body, as the login
		"OPTIONS /auth/refresh":      all(204),
		"POST /auth/logout":          {401, 401, 401, 204, 204, 204, 204, 204, 403, 403},
		"OPTIONS /auth/logout":       all(204),
		"GET /auth/me":               protected,
		"HEAD /auth/me":              protected,
		"OPTIONS /auth/me":           all(204),
		"PUT /auth/password":         account(204, 403, 403, 403), // with the password of the user
		"OPTIONS /auth/password":     all(204),
		"GET /auth/sessions":         ownAccount,
		"HEAD /auth/sessions":        ownAccount,
		"OPTIONS /auth/sessions":     all(204),
		"DELETE /auth/sessions/:id":  account(204, 404, 404, 404), // of the user
		"OPTIONS /auth/sessions/:id": all(204),
		"GET /auth/events":           ownAccount,
		"HEAD /auth/events":          ownAccount,
		"OPTIONS /auth/events":       all(204),
		"DELETE /auth/verify":        protected,
		"GET /auth/verify":           protected,
		"HEAD /auth/verify":          protected,
		"OPTIONS /auth/verify":       protected, // or a proxied OPTIONS would pass unchecked
		"PATCH /auth/verify":         protected,
		"POST /auth/verify":          protected,
		"PUT /auth/verify":           protected,
		"GET /auth/revocations":      only(403, 403, 403, 200),
		"HEAD /auth/revocations":     only(403, 403, 403, 200),
		"OPTIONS /auth/revocations":  all(204),
		"GET /":                      all(200),
		"HEAD /":                     all(200),
		"OPTIONS /":                  all(204),
		"GET /healthz":               all(200),
		"HEAD /healthz":              all(200),
		"OPTIONS /healthz":           all(204),
		"GET /readyz":                all(200),
		"HEAD /readyz":               all(200),
		"OPTIONS /readyz":            all(204),
		"GET /problems/:code":        all(200),
		"HEAD /problems/:code":       all(200),
		"OPTIONS /problems/:code":    all(204),
		"GET /openapi.json":          all(200),
		"HEAD /openapi.json":         all(200),
		"OPTIONS /openapi.json":      all(204),
		"GET /openapi.yaml":          all(200),
		"HEAD /openapi.yaml":         all(200),
		"OPTIONS /openapi.yaml":      all(204),
		"GET /docs":                  all(200),
		"HEAD /docs":                 all(200),
		"OPTIONS /docs":              all(204),
		"GET /docs/:file":            all(200),
		"HEAD /docs/:file":           all(200),
		"OPTIONS /docs/:file":        all(204),
		"GET /mountain/:name":        protected,
		"HEAD /mountain/:name":       protected,
		"OPTIONS /mountain/:name":    all(204),

		"GET /.well-known/jwks.json":     all(200),
		"HEAD /.well-known/jwks.json":    all(200),
		"OPTIONS /.well-known/jwks.json": all(204),

		"GET /auth/tokens":         ownAccount,
		"HEAD /auth/tokens":        ownAccount,
		"POST /auth/tokens":        {401, 401, 401, 401, 201, 403, 403, 403, 403, 201}, // as the password
		"OPTIONS /auth/tokens":     all(204),
		"DELETE /auth/tokens/:id":  account(204, 404, 404, 404), // of the user
		"OPTIONS /auth/tokens/:id": all(204),
		"POST /auth/introspect":    only(403, 403, 403, 200),
		"OPTIONS /auth/introspect": all(204),

		"GET /auth/users":                  administration(200),
		"HEAD /auth/users":                 administration(200),
		"POST /auth/users":                 administration(201),
		"OPTIONS /auth/users":              all(204),
		"GET /auth/users/:id":              administration(200),
		"HEAD /auth/users/:id":             administration(200),
		"PATCH /auth/users/:id":            administration(200),
		"DELETE /auth/users/:id":           administration(204),
		"OPTIONS /auth/users/:id":          all(204),
		"GET /auth/users/:id/sessions":     administration(200),
		"HEAD /auth/users/:id/sessions":    administration(200),
		"DELETE /auth/users/:id/sessions":  administration(204),
		"OPTIONS /auth/users/:id/sessions": all(204),

		"POST /auth/password-reset":              all(204), // with a good token
		"OPTIONS /auth/password-reset":           all(204),
		"POST /auth/register":                    all(201),
		"OPTIONS /auth/register":                 all(204),
		"POST /auth/users/:id/password-reset":    administration(201),
		"OPTIONS /auth/users/:id/password-reset": all(204),
		"DELETE /auth/users/:id/tokens":          administration(204),
		"OPTIONS /auth/users/:id/tokens":         all(204),
	}
	var routes []string
	for _, route := range s.router.Routes() {
		routes = append(routes, route.Method+" "+route.Path)
	}
	slices.Sort(routes)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(matrix)), routes); diff != "" {
		t.Fatalf("the matrix and the registered routes differ:\n%s", diff)
	}
	for route, want := range matrix {
		method, pattern, _ := strings.Cut(route, " ")
		changes := !slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, method)
		var tokens map[string]string
		var target target
		for i, column := range columns {
			if i == 0 || changes { // the request before has perhaps ended sessions
				s.resetPassword()
				s.execute(`DELETE FROM personal_tokens`) // before there are too many
				tokens, target = s.tokensOfEveryKind(columns), s.newTarget()
			}
			header := []string{contentType(route)}
			if pattern == "/auth/users/:id" && (method == "PATCH" || method == "DELETE") {
				header = append(header, "If-Match: *")
			}
			if tokens[column] != "" {
				header = append(header, "Authorization: Bearer "+tokens[column])
			}
			a := s.do(method, target.path(pattern), target.body(route, i), header...)
			if a.status != want[i] {
				t.Errorf("%s with %s: %d, want %d: %s", route, column, a.status, want[i], a.body)
			}
			if a.status >= 400 && method != "HEAD" {
				a.problem(t)
			}
		}
	}
}

// target is what the requests of one cell of the matrix are about.
type target struct {
	session tokens // a further one of the user
	userID  string // of one who has no column: the administrator may delete that one
	reset   string // a token that sets the password of that one
	token   models.PersonalToken
}

// newTarget makes one whenever the clock has moved.
func (s *server) newTarget() target {
	s.t.Helper()
	user := s.addUser(fmt.Sprint("target", s.clock.Now().Unix()), "is not logged in")
	token, _ := s.addToken(security.NewToken{Name: "target"})
	return target{
		session: s.post("/auth", credentials(username, password)).tokens(s.t),
		userID:  fmt.Sprint(user.ID),
		reset:   s.issueReset(user.ID),
		token:   token,
	}
}

// path fills in the parameters of a route.
func (g target) path(pattern string) string {
	sessionID, _, _ := strings.Cut(g.session.RefreshToken, ".")
	id := map[string]string{
		"/auth/sessions/:id":       sessionID,
		"/auth/users/:id":          g.userID,
		"/auth/users/:id/sessions": g.userID,

		"/auth/users/:id/password-reset": g.userID,
		"/auth/users/:id/tokens":         g.userID,
		"/auth/tokens/:id":               g.token.ID,
	}[pattern]
	return strings.NewReplacer(
		":code", "forbidden", ":name", "everest", ":file", "docs.js", ":id", id).Replace(pattern)
}

// body is a good one for the route; n makes it another one in each cell.
func (g target) body(route string, n int) string {
	return map[string]string{
		"POST /auth":            credentials(username, password),
		"POST /auth/refresh":    `{"refresh_token":"` + g.session.RefreshToken + `"}`,
		"PUT /auth/password":    passwords(password, fmt.Sprint("a password of its own ", n)),
		"PATCH /auth/users/:id": `{"roles":["guide"]}`,
		"POST /auth/users":      credentials("made-by-"+g.userID, "yaks graze at dawn"),
		"POST /auth/register":   credentials("climber-"+g.userID, "yaks graze at dawn"),

		"POST /auth/password-reset": redemption(g.reset, "a password of its own"),
		"POST /auth/tokens":         `{"name":"deploy","current_password":"` + password + `"}`,
		"POST /auth/introspect":     "token=" + g.session.AccessToken,
	}[route]
}

// contentType is the header line for the body of a route.
func contentType(route string) string {
	if route == "POST /auth/introspect" {
		return "Content-Type: " + formType
	}
	return jsonType
}

// resetPassword undoes a change.
func (s *server) resetPassword() {
	s.t.Helper()
	if _, err := s.store.SetPassword(
		s.t.Context(), s.user.ID, s.user.PasswordHash, "", s.clock.Now(),
	); err != nil {
		s.t.Fatal(err)
	}
	s.poll()
}

// tokensOfEveryKind returns a token for each name.
func (s *server) tokensOfEveryKind(columns []string) map[string]string {
	s.t.Helper()
	s.clock.Add(10 * time.Second) // for the throttle
	gone := s.addUser("gone", "was here once")
	tokens := map[string]string{"none": "", "rubbish": "a.b.c", "ended": s.login("gone", "was here once")}
	if _, err := s.store.DeleteUser(s.t.Context(), gone.ID, s.clock.Now()); err != nil {
		s.t.Fatal(err)
	}
	tokens["user"], tokens["other"] = s.login(username, password), s.login("bob", "another user is here")
	tokens["admin"] = s.login("ada", "an analytical engine")
	tokens["verifier"] = s.login("vera", "verifies for others")
	_, tokens["personal"] = s.addToken(security.NewToken{Name: "plain"})
	_, tokens["personal-admin"] = s.addTokenOf(s.named("ada"), security.NewToken{
		Name: "whole", Roles: []string{"admin"}, Allows: security.Allows(),
	})
	tokens["expired"] = forge(
		s.t, tokens["user"], func(c map[string]any) { c["exp"] = s.clock.Now().Unix() - 1 },
	)
	for _, column := range columns {
		if _, ok := tokens[column]; !ok {
			s.t.Fatalf("no token for the column %s", column)
		}
	}
	return tokens
}
