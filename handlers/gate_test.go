package handlers_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"sherpa/handlers"
	"sherpa/models"
	"sherpa/security"
)

// The tests of this file pin the traps of gin-jwt v2.10.3 and golang-jwt v4: each fails when what guards
// against it is removed. Some have two guards (the algorithm: our look at the header and WithValidMethods;
// DisabledAbort: gin-jwt and the renderer both abort), and then fail when both are.

func TestWrongPasswordGetsNoToken(t *testing.T) { // gin-jwt mints a token for (nil, nil)
	t.Parallel()
	s := newServer(t)
	for _, body := range []string{credentials(username, "wrong"), credentials("nobody", "x"), `{}`, ``} {
		if a := s.post("/auth", body); a.status/100 != 4 || strings.Contains(a.body, "access_token") {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}

func TestTokenWithoutIdentityIsRefused(t *testing.T) { // gin-jwt lets a nil identity pass
	t.Parallel()
	s := newServer(t)
	good := s.login(username, password)
	for _, claim := range []string{"identity", "sub", "sid"} {
		token := forge(t, good, func(all map[string]any) { delete(all, claim) })
		if a := s.mountain(token); a.status != 401 || a.problem(t).Code != "token_invalid" {
			t.Errorf("without %s: %d %s", claim, a.status, a.body)
		}
	}
}

func TestRefusedRequestDoesNotReachTheResource(t *testing.T) { // DisabledAbort would let it
	t.Parallel()
	reached := &counting{}
	s := newServerWith(t, []handlers.TestRoute{{Path: "/counting", Resource: reached}})
	for _, token := range []string{"", "x", sign(retiredKey, jwtHeader, `{}`)} {
		s.do("GET", "/counting", "", "Authorization: Bearer "+token)
	}
	if reached.n != 0 {
		t.Errorf("the resource was reached %d times", reached.n)
	}
	s.do("GET", "/counting", "", "Authorization: Bearer "+s.login(username, password))
	if reached.n != 1 {
		t.Error("the resource cannot be reached at all")
	}
}

type counting struct{ n int }

func (r *counting) Get(c *gin.Context) error {
	r.n++
	c.Status(204)
	return nil
}

func TestEmptyAndShortKeysAreRefused(t *testing.T) { // gin-jwt refuses only nil
	t.Parallel()
	if _, err := security.NewGate(&security.Service{}); err == nil {
		t.Error("a gate was built without a key")
	}
}

func TestFailuresKeepTheirStatus(
	t *testing.T,
) { // gin-jwt has 401 for a dead database, 403 and 400 for bad tokens
	t.Parallel()
	s := newServer(t)
	token := s.login(username, password)
	noExpiry := forge(t, token, func(all map[string]any) { delete(all, "exp") })
	textExpiry := forge(t, token, func(all map[string]any) { all["exp"] = "tomorrow" })
	for name, bad := range map[string]string{"no exp": noExpiry, "exp is a text": textExpiry} {
		if a := s.mountain(bad); a.status != 401 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]answer{
		"login": s.post("/auth", credentials(username,
			password)), "guard": s.mountain(token), "readyz": s.do("GET", "/readyz", ""),
	} {
		p := a.problem(t)
		if a.status != 503 || p.Code != "unavailable" || a.header.Get("Retry-After") != "2" ||
			a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s without a database: %d %v %s", name, a.status, a.header, a.body)
		}
		if strings.Contains(a.body, "sql") || strings.Contains(a.body, "closed") {
			t.Errorf("%s tells the driver's words: %s", name, a.body)
		}
	}
	if a := s.do("GET", "/healthz", ""); a.status != 200 {
		t.Errorf("healthz without a database: %d", a.status)
	}
}

func TestSchemes(t *testing.T) { // gin-jwt knows one scheme in one spelling
	t.Parallel()
	s := newServer(t)
	token := s.login(username, password)
	tests := []struct {
		name   string
		values []string
		status int
		code   string
		detail string
	}{
		{"JWT", []string{"JWT " + token}, 200, "", ""},
		{"jwt", []string{"jwt " + token}, 200, "", ""},
		{"Bearer", []string{"Bearer " + token}, 200, "", ""},
		{"BEARER", []string{"BEARER " + token}, 200, "", ""},
		{"bEaReR, two blanks", []string{"bEaReR  " + token}, 200, "", ""},
		{"none", nil, 401, "token_missing", "no Authorization header"},
		{"empty", []string{""}, 401, "token_missing", "no Authorization header"},
		{"other scheme", []string{"Token " + token}, 401, "token_missing", "`Token`"},
		{"Basic", []string{"Basic c2hlcnBhOmV2ZXJlc3Q="}, 401, "token_missing", "`Basic`"},
		{"token without a scheme", []string{token}, 401, "token_missing", "missing or unknown"},
		{"scheme without a token", []string{"Bearer"}, 401, "token_missing", "no token after the scheme"},
		{"scheme and blanks", []string{"Bearer   "}, 401, "token_missing", "no token after the scheme"},
		{"two words", []string{"Bearer " + token + " x"}, 401, "token_invalid", "more than one word"},
		{"two in one line", []string{"Bearer " + token + ", JWT " + token}, 401, "token_invalid",
			"more than one word"},
		{"two headers", []string{"Bearer " + token, "Bearer " + token}, 400, "invalid_authorization",
			"one Authorization header"},
		{"two headers, one empty", []string{"", "Bearer " + token}, 400, "invalid_authorization",
			"one Authorization header"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			for _, v := range tt.values {
				header = append(header, "Authorization: "+v)
			}
			a := s.do("GET", "/mountain/everest", "", header...)
			if a.status != tt.status {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			if tt.code == "" {
				return
			}
			if p := a.problem(t); string(p.Code) != tt.code || !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("got %s %q", p.Code, p.Detail)
			}
			if strings.Contains(a.body, token[40:]) {
				t.Error("the answer repeats the token")
			}
		})
	}
}

func TestTokenInTheQueryIsNotLookedAt(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	token := s.login(username, password)
	for _, query := range []string{"?access_token=" + token, "?token=" + token, "?jwt=" + token} {
		if a := s.do("GET", "/mountain/x"+query, "", "Cookie: jwt="+token); a.status != 401 {
			t.Errorf("%s: %d", query[:8], a.status)
		}
	}
}

func TestChallenges(t *testing.T) { // gin-jwt's is unquoted, and sent with every failure
	t.Parallel()
	const bearer, jwt = `Bearer realm="sherpa"`, `JWT realm="sherpa"`
	s := newServer(t)
	bad := sign("another key, which is long enough for HS256", jwtHeader, `{}`)
	tests := []struct {
		name   string
		answer answer
		want   []string
	}{
		{"no token", s.do("GET", "/mountain/x", ""), []string{bearer, jwt}},
		{"bad token as Bearer", s.do("GET", "/mountain/x", "", "Authorization: bearer "+bad),
			[]string{bearer + `, error="invalid_token"`, jwt}},
		{"bad token as JWT", s.do("GET", "/mountain/x", "", "Authorization: jwt "+bad),
			[]string{bearer, jwt + `, error="invalid_token"`}},
		{"two headers", s.do("GET", "/mountain/x", "", "Authorization: a b", "Authorization: c d"),
			[]string{bearer + `, error="invalid_request"`, jwt}},
		{"wrong password", s.post("/auth", credentials(username, "x")), []string{bearer, jwt}},
		{"bad request", s.post("/auth", "{"), nil},
		{"not found", s.do("GET", "/nowhere", ""), nil},
		{"wrong method", s.do("POST", "/mountain/x", ""), nil},
		{"success", s.mountain(s.login(username, password)), nil},
	}
	for _, tt := range tests {
		if got := tt.answer.header.Values("WWW-Authenticate"); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestNoHandlerOfGinJWTButTheLogin(
	t *testing.T,
) { // its RefreshHandler renews for ever, its LogoutHandler ends nothing
	t.Parallel()
	s := newServer(t)
	for _, route := range s.router.Routes() {
		if strings.Contains(route.Handler, "gin-jwt") || strings.Contains(route.Handler, "Refresh") {
			t.Errorf("%s %s is served by %s", route.Method, route.Path, route.Handler)
		}
	}
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	good := s.login(username, password)
	parts := strings.Split(good, ".")
	header, payload, sum := parts[0], parts[1], parts[2]
	text := decoded(t, payload)
	b64 := base64.RawURLEncoding.EncodeToString
	signedWith := func(header string) string { return sign(signingKey, header, text) }
	tests := map[string]string{
		"alg none, no signature":  b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + payload + ".",
		"alg none, old signature": b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + payload + "." + sum,
		"alg None":                signedWith(`{"alg":"None","typ":"JWT"}`),
		"alg in lower case":       signedWith(`{"alg":"hs256","typ":"JWT"}`),
		"alg HS384":               signedWith(`{"alg":"HS384","typ":"JWT"}`),
		"alg RS256":               signedWith(`{"alg":"RS256","typ":"JWT"}`),
		"no alg":                  signedWith(`{"typ":"JWT"}`),
		"alg twice":               signedWith(`{"alg":"HS256","alg":"HS256","typ":"JWT"}`),
		"unknown crit":            signedWith(`{"alg":"HS256","crit":["x"],"typ":"JWT","x":1}`),
		"kid":                     signedWith(`{"alg":"HS256","kid":"../../dev/null","typ":"JWT"}`),
		"jwk":                     signedWith(`{"alg":"HS256","jwk":{"kty":"oct","k":"AA"},"typ":"JWT"}`),
		"other typ":               signedWith(`{"alg":"HS256","typ":"at+jwt"}`),
		"other order in header":   signedWith(`{"typ":"JWT","alg":"HS256"}`),
		"empty signature":         header + "." + payload + ".",
		"two parts":               header + "." + payload,
		"four parts":              good + "." + sum,
		"empty payload":           sign(signingKey, jwtHeader, ""),
		"other key":               sign("another key, which is long enough for HS256", jwtHeader, text),
		"empty key":               sign("", jwtHeader, text),
		"text behind the claims":  sign(signingKey, jwtHeader, text+"x"),
		"two objects":             sign(signingKey, jwtHeader, text+text),
		"array":                   sign(signingKey, jwtHeader, "["+text+"]"),
		"duplicate member":        sign(signingKey, jwtHeader, `{"exp":1,`+text[1:]),
		"not UTF-8":               sign(signingKey, jwtHeader, `{"x":"`+"\xff"+`",`+text[1:]),
		"stray bits at the end":   strayBits(good),
		"padding":                 good + "=",
		"line end in signature":   header + "." + payload + "." + sum[:10] + "\n" + sum[10:],
		"line end in payload":     header + "." + payload[:10] + "\r\n" + payload[10:] + "." + sum,
		"standard base64 alphabet": header + "." + payload + "." + strings.NewReplacer(
			"-", "+", "_", "/",
		).Replace(
			"-_"+sum[2:],
		),
		"JSON serialisation": `{"payload":"` + payload + `","protected":"` + header +
			`","signature":"` + sum + `"}`,
		"5 parts, as JWE": "a.b.c.d.e",
		"very long":       header + "." + strings.Repeat("A", 5000) + "." + sum,
		"very long, well signed": forge(
			t, good, func(c map[string]any) { c["x"] = strings.Repeat("x", 5000) },
		),
		"payload changed": header + "." + b64(
			[]byte(strings.Replace(text, `"sub":"1"`, `"sub":"2"`, 1)),
		) + "." + sum,
		"other issuer":   forge(t, good, func(c map[string]any) { c["iss"] = "k2" }),
		"no issuer":      forge(t, good, func(c map[string]any) { delete(c, "iss") }),
		"other audience": forge(t, good, func(c map[string]any) { c["aud"] = "k2" }),
		"several audiences": forge(
			t, good, func(c map[string]any) { c["aud"] = []string{"sherpa", "k2"} },
		),
		"no audience":    forge(t, good, func(c map[string]any) { delete(c, "aud") }),
		"no nbf":         forge(t, good, func(c map[string]any) { delete(c, "nbf") }),
		"no iat":         forge(t, good, func(c map[string]any) { delete(c, "iat") }),
		"sub of another": forge(t, good, func(c map[string]any) { c["sub"] = "2" }),
		"identity of another": forge(
			t, good, func(c map[string]any) { c["identity"] = 2; c["sub"] = "2" },
		),
		"identity as a text":       forge(t, good, func(c map[string]any) { c["identity"] = "1" }),
		"identity with a fraction": forge(t, good, func(c map[string]any) { c["identity"] = 1.5 }),
		"session of nobody":        forge(t, good, func(c map[string]any) { c["sid"] = "x" }),
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			reply := s.raw(
				fmt.Sprintf(
					"GET /mountain/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+
						"Authorization: Bearer %s\r\n\r\n",
					tests[name],
				),
			)
			if !strings.HasPrefix(reply, "HTTP/1.1 401 ") && !strings.HasPrefix(reply, "HTTP/1.1 400 ") {
				t.Errorf("got %s", reply)
			}
			if strings.Contains(reply, `"mountain"`) {
				t.Error("the resource answered")
			}
		})
	}
	if a := s.mountain(good); a.status != 200 {
		t.Errorf("the good token: %d %s", a.status, a.body)
	}
	if a := s.mountain(sign(retiredKey, jwtHeader, text)); a.status != 200 {
		t.Errorf("a token of the retired key: %d %s", a.status, a.body)
	}
}

// TestLenientParserSeesOnlyOurForm: golang-jwt reads JSON before it checks anything.
func TestLenientParserSeesOnlyOurForm(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, token := range []string{sign(signingKey, `{"alg":"none"}`, `{}`), sign(signingKey,
		`{"alg":"HS384","typ":"JWT"}`, `{}`)} {
		if p := s.mountain(token).problem(t); !strings.Contains(p.Detail, "its header is not the one") {
			t.Errorf("%s was refused later than at the first look: %s", token, p.Detail)
		}
	}
}

func decoded(t *testing.T, segment string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// strayBits changes the two bits of the last character that no byte needs: lenient decoders see the same
// signature.
func strayBits(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	i := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[i^1])
}

func TestTimesOfATokenToTheSecond(t *testing.T) { // golang-jwt has no leeway for a clock that is ahead
	t.Parallel()
	s := newServer(t)
	good := s.login(username, password)
	now := s.clock.Now().Unix()
	tests := []struct {
		name   string
		claim  string
		value  int64
		status int
		code   string
	}{
		{"expires in a second", "exp", now + 1, 200, ""},
		{"expires now", "exp", now, 401, "token_expired"},
		{"expired a second ago", "exp", now - 1, 401, "token_expired"},
		{"valid from now", "nbf", now, 200, ""},
		{"valid in a second", "nbf", now + 1, 401, "token_invalid"},
		{"issued by a clock 10 s ahead", "iat", now + 10, 200, ""},
		{"issued by a clock 11 s ahead", "iat", now + 11, 401, "token_invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := s.mountain(forge(t, good, func(c map[string]any) { c[tt.claim] = tt.value }))
			if a.status != tt.status {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			if tt.code != "" && string(a.problem(t).Code) != tt.code {
				t.Errorf("got %s", a.body)
			}
		})
	}
	s.clock.Add(5*time.Minute - time.Second)
	if a := s.mountain(good); a.status != 200 {
		t.Errorf("in its last second: %d %s", a.status, a.body)
	}
	s.clock.Add(13 * time.Second)
	a := s.mountain(good)
	if p := a.problem(t); p.Code != "token_expired" || !strings.Contains(p.Detail, "12s ago") {
		t.Errorf("12 s after its end: %d %s", a.status, a.body)
	}
}

func TestLoginOnAReplicaWhoseClockIsAhead(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.clock.Add(10 * time.Second)
	token := s.login(username, password)
	s.clock.Add(-10 * time.Second)
	if a := s.mountain(token); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestTokensEndWithTheirUserOrSession(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		end    func(t *testing.T, s *server) error
		reason string
	}{
		{"disabled", func(t *testing.T, s *server) error {
			_, err := s.store.DisableUser(t.Context(), s.user.ID, s.clock.Now())
			return err
		}, "user_disabled"},
		{"disabled by hand in the database", func(t *testing.T, s *server) error {
			s.clock.Add(time.Minute) // the feed is too old to be believed, so that the database is asked
			s.execute(`UPDATE users SET disabled_at = 1`)
			return nil
		}, "user_disabled"},
		{"deleted", func(t *testing.T, s *server) error {
			_, err := s.store.DeleteUser(t.Context(), s.user.ID, s.clock.Now())
			return err
		}, ""},
		{"new password", func(t *testing.T, s *server) error {
			_, err := s.store.SetPassword(t.Context(), s.user.ID, s.user.PasswordHash, "", s.clock.Now())
			return err
		}, "password_change"},
		{"disabled and enabled again", func(t *testing.T, s *server) error {
			if _, err := s.store.DisableUser(t.Context(), s.user.ID, s.clock.Now()); err != nil {
				return err
			}
			return s.store.EnableUser(t.Context(), s.user.ID, s.clock.Now())
		}, "user_disabled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			token := s.login(username, password)
			if a := s.mountain(token); a.status != 200 {
				t.Fatalf("before: %d %s", a.status, a.body)
			}
			if err := tt.end(t, s); err != nil {
				t.Fatal(err)
			}
			s.poll()
			a := s.mountain(token)
			if p := a.problem(
				t,
			); a.status != 401 || p.Code != "session_ended" ||
				string(p.Reason) != tt.reason {
				t.Errorf("after: %d %s", a.status, a.body)
			}
		})
	}
}

// TestNoTokenWithoutASession: all that can fail happens before gin-jwt mints the token.
func TestNoTokenWithoutASession(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.execute(`DROP TABLE sessions`)
	a := s.post("/auth", credentials(username, password))
	if a.status != 503 || strings.Contains(a.body, "access_token") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRolesAreThoseOfTheDatabase(t *testing.T) {
	t.Parallel()
	s := newServerWith(t, []handlers.TestRoute{
		{Path: "/admin", Resource: &counting{}, Roles: []string{"admin"}},
	})
	s.addUser("ada", "an analytical engine", "admin")
	admin, other := s.login("ada", "an analytical engine"), s.login(username, password)
	boasting := forge(t, other, func(c map[string]any) { c["roles"] = []string{"admin"} })
	for name, tt := range map[string]struct {
		token  string
		status int
	}{"has the role": {admin, 204}, "has not": {other, 403}, "claims it": {boasting, 403}, "no token": {"",
		401}} {
		a := s.do("GET", "/admin", "", "Authorization: Bearer "+tt.token)
		if a.status != tt.status {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// TestForbiddenNamesTheRole in the scheme that the request used (RFC 6750, section 3.1).
func TestForbiddenNamesTheRole(t *testing.T) {
	t.Parallel()
	s := newServerWith(t, []handlers.TestRoute{
		{Path: "/one", Resource: &counting{}, Roles: []string{"guide"}},
		{Path: "/either", Resource: &counting{}, Roles: []string{"guide", "cook"}},
	})
	token := s.login(username, password)
	const bearer, jwt = `Bearer realm="sherpa"`, `JWT realm="sherpa"`
	for _, tt := range []struct {
		scheme, path, needs string
		challenge           []string
	}{
		{"Bearer", "/one", "the role guide,",
			[]string{bearer + `, error="insufficient_scope", scope="guide"`, jwt}},
		{"JWT", "/either", "the role guide or cook,",
			[]string{bearer, jwt + `, error="insufficient_scope", scope="guide cook"`}},
	} {
		a := s.do("GET", tt.path, "", "Authorization: "+tt.scheme+" "+token)
		if p := a.problem(t); p.Code != "forbidden" || !strings.Contains(p.Detail, tt.needs) {
			t.Errorf("%s: %s", tt.path, a.body)
		}
		if diff := cmp.Diff(tt.challenge, a.header["Www-Authenticate"]); diff != "" {
			t.Errorf("%s: %s", tt.path, diff)
		}
	}
	if err := s.service.SetRoles(t.Context(), s.user.ID, []string{"cook"}); err != nil {
		t.Fatal(err)
	}
	if a := s.do("GET", "/either", "", "Authorization: Bearer "+token); a.status != 204 {
		t.Errorf("with the second role, and the same token: %d %s", a.status, a.body)
	}
}

func TestUserIDsOf53BitsSurvive(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const big = int64(1)<<53 - 2
	s.execute(`UPDATE counters SET value = $1`, big)
	user := s.addUser("last", "a password")
	if user.ID != big+1 {
		t.Fatalf("id %d", user.ID)
	}
	token := s.login("last", "a password")
	if !strings.Contains(decoded(t, strings.Split(token, ".")[1]), fmt.Sprintf(`"identity":%d`, big+1)) {
		t.Error("the claim identity lost digits")
	}
	if a := s.mountain(token); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestTheGateIsSafeForConcurrentUse is for the race detector: gin-jwt's MiddlewareInit writes to what serves.
func TestTheGateIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	done := make(chan answer)
	for range models.FreeTries { // more at once would be throttled: a try counts until it has succeeded
		go func() {
			a := s.post("/auth", credentials(username, password))
			s.do("GET", "/mountain/x", "", "Authorization: JWT x")
			done <- a
		}()
	}
	for range models.FreeTries {
		if a := <-done; a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}
