package security

import (
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/models"
)

func (b *bench) gate() *Gate {
	b.t.Helper()
	gate, err := NewGate(b.Service)
	if err != nil {
		b.t.Fatal(err)
	}
	return gate
}

// request is one with these Authorization headers.
func request(authorization ...string) (*gin.Context, *httptest.ResponseRecorder) {
	gin.SetMode(gin.ReleaseMode)
	recorder := httptest.NewRecorder()
	c, _ := gin.CreateTestContext(recorder)
	c.Request = httptest.NewRequest("POST", "/", nil)
	for _, value := range authorization {
		c.Request.Header.Add("Authorization", value)
	}
	return c, recorder
}

func (b *bench) tokens(name string) Tokens {
	b.t.Helper()
	c, _ := request()
	tokens, err := b.gate().LogIn(c, Credentials{name, goodPassword})
	if err != nil {
		b.t.Fatal(err)
	}
	return tokens
}

func TestGateLogsIn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada", "guide")
	gate := b.gate()
	c, recorder := request()
	tokens, err := gate.LogIn(c, Credentials{"ada", goodPassword})
	if err != nil {
		t.Fatal(err)
	}
	if tokens.ExpiresIn != 5*time.Minute || tokens.RefreshExpiresIn != time.Hour ||
		tokens.RefreshToken == "" {
		t.Errorf("%+v", tokens)
	}
	if principal, ok := PrincipalOf(c); !ok || principal.Username != "ada" {
		t.Errorf("%+v", principal)
	}
	if c.Writer.Written() || recorder.Body.Len() > 0 {
		t.Error("the gate writes the answer")
	}
	claims, err := b.Verify(tokens.AccessToken)
	if err != nil || claims.ExpiresAt-claims.IssuedAt != 300 || claims.IssuedAt-claims.NotBefore != 10 {
		t.Errorf("%+v, %v", claims, err)
	}
}

func TestGateKeepsTheErrorOfALogin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	c, _ := request()
	tokens, err := b.gate().LogIn(c, Credentials{"ada", "wrong"})
	wantCode(t, err, InvalidCredentials)
	if tokens != (Tokens{}) {
		t.Errorf("%+v", tokens)
	}
	if got := c.Writer.Header().Get("WWW-Authenticate"); got != "" {
		t.Errorf("gin-jwt's challenge %q is left", got)
	}
	gate := b.gate()
	if err := b.Store.Close(); err != nil {
		t.Fatal(err)
	}
	c, _ = request()
	if _, err := gate.LogIn(c, Credentials{"ada", goodPassword}); !errors.Is(err, models.ErrUnavailable) {
		t.Errorf("without a database: %v", err)
	}
}

// TestGateWithoutCredentials: gin-jwt mints a token for (nil, nil).
func TestGateWithoutCredentials(t *testing.T) {
	t.Parallel()
	c, _ := request()
	if identity, err := newBench(t).gate().authenticate(c); identity != nil || err == nil {
		t.Errorf("%v, %v", identity, err)
	}
}

func TestPayloadOfNobodyIsEmpty(t *testing.T) {
	t.Parallel()
	gate := newBench(t).gate()
	for _, data := range []any{nil, (*Login)(nil), "ada"} {
		if claims := gate.payload(data); len(claims) != 0 {
			t.Errorf("%v: %v", data, claims)
		}
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	gate, access := b.gate(), b.tokens("ada").AccessToken
	for _, tt := range []struct {
		name   string
		values []string
		code   Code
		scheme string
	}{
		{"bearer", []string{"Bearer " + access}, "", SchemeBearer},
		{"the tutorial's scheme", []string{"JWT " + access}, "", SchemeJWT},
		{"again, from the cache", []string{"bearer " + access}, "", SchemeBearer},
		{"none", nil, TokenMissing, SchemeBearer},
		{"two headers", []string{"Bearer " + access, "Bearer " + access}, InvalidAuthorization, SchemeBearer},
		{"changed", []string{"Bearer " + strings.ToLower(access)}, TokenInvalid, SchemeBearer},
	} {
		c, _ := request(tt.values...)
		err := gate.Guard(c)
		principal, ok := PrincipalOf(c)
		switch {
		case tt.code == "" && (err != nil || !ok || principal.Username != "ada"):
			t.Errorf("%s: %+v, %v", tt.name, principal, err)
		case tt.code != "" && (!HasCode(err, tt.code) || ok):
			t.Errorf("%s: %+v, %v", tt.name, principal, err)
		}
		if got := SchemeOf(c); got != tt.scheme {
			t.Errorf("%s: scheme %s, want %s", tt.name, got, tt.scheme)
		}
	}
	b.clock.Add(5 * time.Minute)
	c, _ := request("Bearer " + access)
	wantCode(t, gate.Guard(c), TokenExpired)
}

// TestTokenIsVerifiedOnce: after that its claims come from the cache, and its times are still checked.
func TestTokenIsVerifiedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	seen, unseen := b.tokens("ada").AccessToken, b.tokens("ada").AccessToken
	if _, err := b.Identify(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	b.Settings.Issuer = "another"
	if _, err := b.Identify(t.Context(), seen); err != nil {
		t.Errorf("verified again: %v", err)
	}
	_, err := b.Identify(t.Context(), unseen)
	wantCode(t, err, TokenInvalid)
	b.clock.Add(5 * time.Minute)
	_, err = b.Identify(t.Context(), seen)
	wantCode(t, err, TokenExpired)
}

// TestGuardWithoutAnIdentity: gin-jwt takes a nil identity for a principal.
func TestGuardWithoutAnIdentity(t *testing.T) {
	t.Parallel()
	gate := newBench(t).gate()
	for name, identity := range map[string]any{"nil": nil, "typed nil": (*Principal)(nil),
		"other type": "ada"} {
		gate.jwt.IdentityHandler = func(*gin.Context) any { return identity }
		c, _ := request()
		if err := gate.Guard(c); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestGateRefreshesAndLogsOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	gate, first := b.gate(), b.tokens("ada")
	c, _ := request()
	next, err := gate.Refresh(c, first.RefreshToken)
	if err != nil || next.RefreshToken == first.RefreshToken {
		t.Fatal(err)
	}
	c, _ = request()
	_, err = gate.Refresh(c, "rubbish")
	wantCode(t, err, RefreshInvalid)
	for _, scope := range []Scope{ScopeOthers, ScopeLocal, ScopeLocal,
		ScopeAll} { // the last two: it has ended already
		c, _ = request("Bearer " + next.AccessToken)
		if err := gate.LogOut(c, scope); err != nil {
			t.Errorf("%s: %v", scope, err)
		}
	}
	c, _ = request("Bearer " + first.AccessToken)
	wantCode(t, gate.Guard(c), SessionEnded)
	for name, value := range map[string]string{"no token": "", "bad token": "Bearer x"} {
		c, _ = request(value)
		if err := gate.LogOut(c, ScopeLocal); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLogoutWithAnExpiredTokenIsAnError(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	access := b.tokens("ada").AccessToken
	b.clock.Add(6 * time.Minute)
	_, err := b.LogOut(t.Context(), access, ScopeLocal)
	wantCode(t, err, TokenExpired)
}

func TestRequireRole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	guide, either, none := []string{"guide"}, []string{"guide", "cook"}, []string(nil)
	for name, tt := range map[string]struct {
		needed    []string
		principal *Principal
		refusal   string // "" when the principal passes
	}{
		"has it":           {guide, &Principal{Roles: []string{"admin", "guide"}}, ""},
		"has another":      {guide, &Principal{Roles: []string{"admin"}}, "forbidden: guide"},
		"has a longer one": {guide, &Principal{Roles: []string{"guides"}}, "forbidden: guide"},
		"has no role":      {guide, &Principal{}, "forbidden: guide"},
		"nobody":           {guide, nil, "forbidden: guide"},
		"has the first":    {either, &Principal{Roles: []string{"guide"}}, ""},
		"has the second":   {either, &Principal{Roles: []string{"cook"}}, ""},
		"has neither":      {either, &Principal{Roles: []string{"admin"}}, "forbidden: guide or cook"},
		"none is enough":   {none, &Principal{Roles: []string{"admin"}}, "forbidden"},
	} {
		c, _ := request()
		c.Set(keyPrincipal, tt.principal)
		err := b.gate().RequireRole(tt.needed...)(c)
		if (err == nil) != (tt.refusal == "") || err != nil && err.Error() != tt.refusal {
			t.Errorf("%s: %v", name, err)
		}
		var refused *Error
		if errors.As(err, &refused) && !slices.Equal(refused.Roles, tt.needed) {
			t.Errorf("%s: the error has the roles %v", name, refused.Roles)
		}
	}
}

func TestTokenOfAnotherUsersSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	b.addUser("bob")
	claims := b.claims(b.logIn("ada"))
	claims.Identity++
	_, err := b.Identity(t.Context(), claims)
	wantCode(t, err, TokenInvalid)
	claims = b.claims(b.logIn("ada"))
	claims.SessionID = "nobody's"
	_, err = b.Identity(t.Context(), claims)
	wantCode(t, err, SessionEnded)
}
