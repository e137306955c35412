package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/handlers"
	"sherpa/models"
	"sherpa/security"
)

// personal is a personal access token in an answer.
type personal struct {
	ID, Name, Token string
	Roles, Allow    []string
	CreatedAt       time.Time  `json:"created_at"`
	ExpiresAt       time.Time  `json:"expires_at"`
	LastUsedAt      *time.Time `json:"last_used_at"`
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// withPassword adds the current password to a body.
func withPassword(body, current string) string {
	return strings.TrimSuffix(body, "}") + `,"current_password":"` + current + `"}`
}

// makeToken asks for a token with another one.
func (s *server) makeToken(with, body string) answer {
	s.t.Helper()
	return s.do("POST", "/auth/tokens", body, jsonType, bearer(with))
}

func (a answer) personal(t *testing.T) (p personal) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return p
}

func (s *server) tokenList(with string) (all struct{ Items []personal }, body string) {
	s.t.Helper()
	a := s.do("GET", "/auth/tokens", "", bearer(with))
	if err := json.Unmarshal([]byte(a.body), &all); err != nil || a.status != 200 {
		s.t.Fatalf("%d %s", a.status, a.body)
	}
	return all, a.body
}

func TestPersonalTokenFromBirthToEnd(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.addUser("ada", "an analytical engine", "editor", "guide")
	login := s.login("ada", "an analytical engine")

	const body = `{"name":"deploy","expires_in_days":30,"roles":["guide"],"allow":["account"]}`
	a := s.makeToken(login, withPassword(body, "an analytical engine"))
	made := a.personal(t)
	now := s.clock.Now().UTC()
	want := personal{ID: made.ID, Name: "deploy", Token: made.Token, Roles: []string{"guide"},
		Allow: []string{"account"}, CreatedAt: now, ExpiresAt: now.Add(30 * 24 * time.Hour)}
	if diff := cmp.Diff(want, made); diff != "" || a.header.Get("Cache-Control") != "no-store" {
		t.Error(diff, a.header)
	}
	if !strings.HasPrefix(made.Token, "sherpa_pat_"+made.ID+"_") {
		t.Errorf("token %s of the id %s", made.Token, made.ID)
	}
	for _, scheme := range []string{"Bearer", "bearer", "JWT"} {
		if a := s.do("GET", "/mountain/k2", "", "Authorization: "+scheme+" "+made.Token); a.status != 200 {
			t.Errorf("%s: %d %s", scheme, a.status, a.body)
		}
	}
	me := s.do("GET", "/auth/me", "", bearer(made.Token))
	if got := fmt.Sprintf(`{"id":2,"username":"ada","roles":["guide"],"session_id":"","token_id":"%s"}`,
		made.ID); me.body != got {
		t.Errorf("me: %s", me.body)
	}
	s.service.WriteUses(t.Context())
	list, text := s.tokenList(login)
	want.Token, want.LastUsedAt = "", &now
	if diff := cmp.Diff([]personal{want}, list.Items); diff != "" || strings.Contains(text, made.Token[28:]) {
		t.Error(diff, text)
	}
	if a := s.do("DELETE", "/auth/tokens/"+made.ID, "", bearer(login)); a.status != 204 {
		t.Errorf("delete: %d %s", a.status, a.body)
	}
	p := s.mountain(made.Token).problem(t)
	if p.Status != 401 || p.Code != "token_invalid" || !strings.Contains(p.Detail, "POST /auth/tokens") {
		t.Errorf("after the end: %+v", p)
	}
	if a := s.do("DELETE", "/auth/tokens/"+made.ID, "", bearer(login)); a.status != 404 {
		t.Errorf("delete again: %d %s", a.status, a.body)
	}
	if log := s.log.String(); strings.Contains(log, made.Token[28:]) {
		t.Error("the log has the token")
	}
}

func TestBadRequestsForTokens(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	login := s.login(username, password)
	tests := []struct{ name, body, pointer, detail string }{
		{"nothing", `{"expires_in_days":1}`, "#/name", "`name` is required"},
		{"null", `{"name":null}`, "#/name", "`name` is required"},
		{"empty", `{"name":""}`, "#/name", "1 to 64"},
		{"long", `{"name":"` + strings.Repeat("n", 65) + `"}`, "#/name", "1 to 64"},
		{"control", `{"name":"a\u0007"}`, "#/name", "printable"},
		{"no day", `{"name":"x","expires_in_days":0}`, "#/expires_in_days", "from 1 to 365"},
		{"more than a year", `{"name":"x","expires_in_days":366}`, "#/expires_in_days", "from 1 to 365"},
		{"half a day", `{"name":"x","expires_in_days":0.5}`, "#/expires_in_days", "a number in range"},
		{"a role of others", `{"name":"x","roles":["admin"]}`, "#/roles", `"admin" is no role of the owner`},
		{"roles as a string", `{"name":"x","roles":"admin"}`, "#/roles", "an array"},
		{"everything", `{"name":"x","allow":["everything"]}`, "#/allow", "none of account, admin"},
		{"scopes", `{"name":"x","scopes":[]}`, "#/scopes", "it knows `name`, `expires_in_days`"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := s.makeToken(login, withPassword(tt.body, password)).problem(t)
			if p.Code != "invalid_request" || !strings.Contains(p.Detail, tt.detail) || len(p.Errors) != 1 ||
				p.Errors[0].Pointer != tt.pointer {
				t.Errorf("%+v", p)
			}
		})
	}
	for i := range 50 {
		s.addToken(security.NewToken{Name: fmt.Sprint("n", i)})
	}
	good := withPassword(`{"name":"x"}`, password)
	if p := s.makeToken(login, good).problem(t); p.Status != 409 || p.Code != "too_many_tokens" {
		t.Errorf("the 51st: %+v", p)
	}
}

// TestAStolenAccessTokenMakesNoOther: whoever has it does not know the password, and the owner sees the try.
func TestAStolenAccessTokenMakesNoOther(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	login := s.login(username, password)
	for _, tt := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"none", `{"name":"x"}`, 400, "invalid_request"},
		{"null", `{"name":"x","current_password":null}`, 400, "invalid_request"},
		{"empty", withPassword(`{"name":"x"}`, ""), 403, "wrong_password"},
		{"wrong", withPassword(`{"name":"x"}`, "lhotse"), 403, "wrong_password"},
	} {
		if p := s.makeToken(login, tt.body).problem(t); p.Status != tt.status || string(p.Code) != tt.code {
			t.Errorf("%s: %+v", tt.name, p)
		}
	}
	if list, _ := s.tokenList(login); len(list.Items) != 0 {
		t.Errorf("made all the same: %v", list)
	}
	latest := s.events(login, "").Items[0]
	if latest["kind"] != "token_creation_failed" || latest["count"] != 2.0 {
		t.Errorf("the event: %v", latest)
	}
}

func TestAdministratorsDeleteTheTokensOfAUser(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.addUser("ada", "an analytical engine", "admin")
	with := s.login("ada", "an analytical engine")
	_, text := s.addToken(security.NewToken{Name: "x"})
	s.mountain(text)
	path := fmt.Sprintf("/auth/users/%d/tokens", s.user.ID)
	if a := s.do("DELETE", path, "", bearer(with)); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if p := s.mountain(text).problem(t); p.Code != "token_invalid" {
		t.Errorf("afterwards: %+v", p)
	}
	if a := s.do("DELETE", "/auth/users/99/tokens", "", bearer(with)); a.status != 404 {
		t.Errorf("of nobody: %d %s", a.status, a.body)
	}
}

// TestAnAdministratorsTokenResetsOthersAlone: with a password of its owner it would have the account.
func TestAnAdministratorsTokenResetsOthersAlone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada := s.addUser("ada", "an analytical engine", "admin")
	_, with := s.addTokenOf(ada, security.NewToken{
		Name: "x", Roles: []string{"admin"}, Allows: []security.Allow{security.AllowAdmin},
	})
	reset := func(id int64) answer {
		return s.do("POST", fmt.Sprintf("/auth/users/%d/password-reset", id), "", bearer(with))
	}
	if p := reset(ada.ID).problem(t); p.Status != 403 || p.Code != "token_not_allowed" {
		t.Errorf("its owner: %+v", p)
	}
	if a := reset(s.user.ID); a.status != 201 {
		t.Errorf("another user: %d %s", a.status, a.body)
	}
}

// TestWhatATokenMayNotDo: it says 403 and which power is missing, and nothing has happened.
func TestWhatATokenMayNotDo(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mine := s.open()
	_, plain := s.addToken(security.NewToken{Name: "plain"})
	victim, _ := s.addToken(security.NewToken{Name: "victim"})
	session, _, _ := strings.Cut(mine.RefreshToken, ".")
	for _, tt := range []struct{ method, path, body, missing string }{
		{"PUT", "/auth/password", passwords(password, "yaks graze at dawn"), "account"},
		{"GET", "/auth/sessions", "", "account"},
		{"DELETE", "/auth/sessions/" + session, "", "account"},
		{"GET", "/auth/tokens", "", "account"},
		{"POST", "/auth/tokens", `{"name":"x"}`, "account"},
		{"DELETE", "/auth/tokens/" + victim.ID, "", "account"},
		{"GET", "/auth/events", "", "account"},
		{"POST", "/auth/logout", "", "no session"},
		{"POST", "/auth/logout?scope=others", "", "no session"},
		{"POST", "/auth/logout?scope=all", "", "no session"},
	} {
		a := s.do(tt.method, tt.path, tt.body, jsonType, bearer(plain))
		p := a.problem(t)
		challenge := a.header.Get("WWW-Authenticate")
		if p.Status != 403 || p.Code != "token_not_allowed" || !strings.Contains(p.Detail, tt.missing) ||
			challenge != `Bearer realm="sherpa", error="insufficient_scope"` {
			t.Errorf("%s %s: %+v, %s", tt.method, tt.path, p, challenge)
		}
	}
	if list, _ := s.tokenList(mine.AccessToken); len(list.Items) != 2 {
		t.Errorf("tokens: %v", list)
	}
	if a := s.mountain(plain); a.status != 200 {
		t.Errorf("the token: %d %s", a.status, a.body)
	}
	s.login(username, password) // the password is the old one
}

func TestWhatATokenWithAccountMayDo(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada := s.addUser("ada", "an analytical engine", "admin", "guide")
	mine := s.post("/auth", credentials("ada", "an analytical engine")).tokens(t)
	_, strong := s.addTokenOf(ada, security.NewToken{
		Name: "strong", Roles: []string{"guide"}, Allows: []security.Allow{security.AllowAccount},
	})
	child := s.makeToken(strong, `{"name":"child","roles":["guide"],"allow":["account"]}`).personal(t)
	if a := s.mountain(child.Token); a.status != 200 {
		t.Errorf("its child: %d %s", a.status, a.body)
	}
	for _, more := range []string{`"roles":["admin"]`, `"allow":["admin"]`} {
		p := s.makeToken(strong, `{"name":"x",`+more+`}`).problem(t)
		if p.Code != "invalid_request" {
			t.Errorf("with %s: %+v", more, p)
		}
	}
	events := s.do("GET", "/auth/events", "", bearer(strong))
	if !strings.Contains(events.body, `"token_id":"`) {
		t.Errorf("the event of the child does not name the token: %s", events.body)
	}
	next := passwords("an analytical engine", "another engine entirely")
	if a := s.do("PUT", "/auth/password", next, jsonType, bearer(strong)); a.status != 204 {
		t.Errorf("password: %d %s", a.status, a.body)
	}
	s.mountain(mine.AccessToken).wantEnded(t, "password_change") // a token spares no session
	if a := s.mountain(strong); a.status != 200 {
		t.Errorf("the token after the new password: %d %s", a.status, a.body)
	}
}

// TestRolesOfATokenCount, and not those of its owner.
func TestRolesOfATokenCount(t *testing.T) {
	t.Parallel()
	more := []handlers.TestRoute{{Path: "/guides", Resource: handlers.Mountain{}, Roles: []string{"guide"}}}
	s := newServerWith(t, more)
	ada := s.addUser("ada", "an analytical engine", "guide")
	_, plain := s.addTokenOf(ada, security.NewToken{Name: "plain"})
	_, guide := s.addTokenOf(ada, security.NewToken{Name: "guide", Roles: []string{"guide"}})
	want := func(token string, status int) {
		t.Helper()
		if a := s.do("GET", "/guides", "", bearer(token)); a.status != status {
			t.Errorf("%d %s, want %d", a.status, a.body, status)
		}
	}
	want(plain, 403)
	want(guide, 200)
	if _, err := s.service.RemoveRole(t.Context(), ada.ID, "guide"); err != nil {
		t.Fatal(err)
	}
	want(guide, 403)
	if _, err := s.service.AddRole(t.Context(), ada.ID, "guide"); err != nil {
		t.Fatal(err)
	}
	want(guide, 200)
	want(plain, 403)
}

// TestTokensReachNobodyElse: a token of another user is not found, whoever asks.
func TestTokensReachNobodyElse(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada := s.addUser("ada", "an analytical engine", "admin")
	victim, text := s.addToken(security.NewToken{Name: "victim"})
	_, strong := s.addTokenOf(ada, security.NewToken{
		Name: "strong", Roles: []string{"admin"}, Allows: security.Allows(),
	})
	for name, with := range map[string]string{
		"session": s.login("ada", "an analytical engine"), "token": strong,
	} {
		a := s.do("DELETE", "/auth/tokens/"+victim.ID, "", bearer(with))
		b := s.do("DELETE", "/auth/tokens/0000000000000000", "", bearer(with))
		diff := cmp.Diff(withoutRequest(a), withoutRequest(b), cmp.AllowUnexported(answer{}))
		if a.status != 404 || diff != "" {
			t.Errorf("%s: %d %s", name, a.status, diff)
		}
		if list, _ := s.tokenList(with); len(list.Items) != 1 {
			t.Errorf("%s sees %v", name, list)
		}
	}
	if a := s.mountain(text); a.status != 200 {
		t.Errorf("the victim: %d %s", a.status, a.body)
	}
}

// TestTokensThatAreWrong: the client is told of a typo; a guesser learns nothing.
func TestTokensThatAreWrong(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, text := s.addToken(security.NewToken{Name: "x", Life: time.Hour})
	other := newServer(t)
	_, foreign := other.addToken(security.NewToken{Name: "x"})
	flip := map[bool]string{true: "1", false: "0"}[text[40] == '0']
	for _, tt := range []struct{ name, token, detail string }{
		{"typo", text[:40] + flip + text[41:], "checksum"},
		{"cut off", text[:50], "77 characters"},
		{"prefix alone", "sherpa_pat_", "77 characters"},
		{"of another service", foreign, "not one of this service"},
	} {
		a := s.mountain(tt.token)
		p := a.problem(t)
		if p.Status != 401 || p.Code != "token_invalid" || !strings.Contains(p.Detail, tt.detail) ||
			!strings.Contains(a.header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("%s: %+v", tt.name, p)
		}
	}
	s.clock.Add(time.Hour + 2*time.Minute)
	p := s.mountain(text).problem(t)
	const want = "The token expired 2m0s ago. Make a new one with POST /auth/tokens."
	if p.Code != "token_expired" || p.Detail != want {
		t.Errorf("expired: %+v", p)
	}
	if a := s.do("POST", "/auth/logout", "", bearer(text)); a.status != 401 {
		t.Errorf("logout with an expired token: %d %s", a.status, a.body)
	}
	if a := s.refresh(text); a.status != 401 {
		t.Errorf("as a refresh token: %d %s", a.status, a.body)
	}
}

func TestWarmTokensNeedNoDatabase(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, text := s.addToken(security.NewToken{Name: "x"})
	s.mountain(text)
	before := s.service.CacheStats()
	for range 100 {
		if a := s.mountain(text); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	after := s.service.CacheStats()
	if after.Loads != before.Loads || after.Hits != before.Hits+100 ||
		after.TokenMisses != before.TokenMisses || after.TokenHits != before.TokenHits+100 ||
		after.Tokens != 1 || after.Sessions != 1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestEndOfATokenReachesAnotherReplica(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*server, models.PersonalToken) error{
		"deleted": func(s *server, p models.PersonalToken) error {
			return s.service.DeleteToken(t.Context(), p.UserID, p.ID)
		},
		"disabled": func(s *server, p models.PersonalToken) error {
			return s.service.DisableUser(t.Context(), p.UserID)
		},
		"removed": func(s *server, p models.PersonalToken) error {
			return s.service.DeleteUser(t.Context(), p.UserID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			replica := newServerOn(t, s, signingKey)
			made, text := s.addToken(security.NewToken{Name: "x"})
			for range 2 {
				if a := replica.mountain(text); a.status != 200 {
					t.Fatalf("on the replica: %d %s", a.status, a.body)
				}
			}
			if err := end(s, made); err != nil {
				t.Fatal(err)
			}
			if a := replica.mountain(text); a.status != 200 {
				t.Error("the replica asked the database although it remembers: the test proves nothing")
			}
			replica.poll()
			if a := replica.mountain(text); a.status != 401 {
				t.Errorf("after the poll: %d %s", a.status, a.body)
			}
		})
	}
}

// TestTokensDuringAnOutage: what is in the cache works for 30 s, and nothing else ever does.
func TestTokensDuringAnOutage(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, warm := s.addToken(security.NewToken{Name: "warm"})
	_, cold := s.addToken(security.NewToken{Name: "cold"})
	s.mountain(warm)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		wait         time.Duration
		warm, broken int
	}{{0, 200, 401}, {30 * time.Second, 200, 401}, {time.Second, 503, 401}} {
		s.clock.Add(tt.wait)
		if err := s.service.Poll(t.Context()); err == nil {
			t.Fatal("the feed of a closed database was read")
		}
		for token, status := range map[string]int{warm: tt.warm, cold: 503, warm[:76] + "!": tt.broken} {
			if a := s.mountain(token); a.status != status {
				t.Errorf("%v later: %d %s, want %d", tt.wait, a.status, a.body, status)
			}
		}
	}
}

// introspect asks with a token about another one.
func (s *server) introspect(with, form string) answer {
	s.t.Helper()
	return s.do("POST", "/auth/introspect", form, "Content-Type: "+formType, bearer(with))
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	vera := s.addUser("vera", "verifies for others", "verifier")
	ada := s.addUser("ada", "an analytical engine", "admin", "guide")
	_, with := s.addTokenOf(vera, security.NewToken{Name: "api", Roles: []string{"verifier"}})
	mine := s.post("/auth", credentials("ada", "an analytical engine")).tokens(t)
	session, _, _ := strings.Cut(mine.RefreshToken, ".")
	made, text := s.addTokenOf(ada, security.NewToken{Name: "x", Roles: []string{"guide"}, Life: time.Hour})
	_, plain := s.addToken(security.NewToken{Name: "plain"})
	now := s.clock.Now().Unix()
	gone := s.login(username, password)
	s.do("POST", "/auth/logout", "", bearer(gone))
	const inactive = `{"active":false}`
	forged := forge(t, mine.AccessToken, func(c map[string]any) { c["iss"] = "x" })
	for _, tt := range []struct{ name, form, want string }{
		{"access token", "token=" + mine.AccessToken, fmt.Sprintf(`{"active":true,"scope":"admin guide",`+
			`"username":"ada","token_type":"Bearer","exp":%d,"iat":%d,"sub":"3","aud":"sherpa",`+
			`"iss":"sherpa","sid":"%s"}`, now+300, now, session)},
		{"personal", "token=" + text, fmt.Sprintf(`{"active":true,"scope":"guide","username":"ada",`+
			`"token_type":"Bearer","exp":%d,"iat":%d,"sub":"3","aud":"sherpa","iss":"sherpa","jti":"%s"}`,
			now+3600, now, made.ID)},
		{"hint and more", "token_type_hint=refresh_token&x=y&token=" + gone, inactive},
		{"ended session", "token=" + gone, inactive},
		{"refresh token", "token=" + mine.RefreshToken, inactive},
		{"refresh token, hint", "token_type_hint=refresh_token&token=" + mine.RefreshToken, inactive},
		{"typo", "token=" + text[:76] + "!", inactive},
		{"empty", "token=", inactive},
		{"anything", "token=" + url.QueryEscape("' OR 1=1 --\x00\xff"), inactive},
		{"forged", "token=" + forged, inactive},
	} {
		a := s.introspect(with, tt.form)
		if a.body != tt.want || a.status != 200 || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s, want %s", tt.name, a.status, a.body, tt.want)
		}
	}
	a := s.introspect(with, "token="+plain)
	if !strings.HasPrefix(a.body, `{"active":true,"username":"sherpa"`) {
		t.Errorf("without roles: %s", a.body)
	}
	s.clock.Add(time.Hour)
	for name, token := range map[string]string{"access token": mine.AccessToken, "personal": text} {
		if a := s.introspect(with, "token="+token); a.body != inactive {
			t.Errorf("expired %s: %s", name, a.body)
		}
	}
	s.service.WriteUses(t.Context())
	tokens, err := s.service.Tokens(t.Context(), ada.ID)
	used := func(p models.PersonalToken) bool { return !p.LastUsedAt.IsZero() }
	if err != nil || slices.ContainsFunc(tokens, used) {
		t.Errorf("introspection counts as a use: %v, %v", tokens, err)
	}
}

func TestIntrospectionRefusals(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	vera := s.addUser("vera", "verifies for others", "verifier")
	_, with := s.addTokenOf(vera, security.NewToken{Name: "api", Roles: []string{"verifier"}})
	_, without := s.addTokenOf(vera, security.NewToken{Name: "no role"})
	const form = "Content-Type: " + formType
	for _, tt := range []struct {
		name, token, header, body string
		status                    int
		code                      string
	}{
		{"no role", without, form, "token=x", 403, "forbidden"},
		{"garbage", "x", form, "token=x", 401, "token_invalid"},
		{"no token to look at", with, form, "", 400, "invalid_request"},
		{"two of them", with, form, "token=x&token=y", 400, "invalid_request"},
		{"broken form", with, form, "token=%zz", 400, "invalid_request"},
		{"JSON", with, jsonType, `{"token":"x"}`, 415, "unsupported_media_type"},
		{"too large", with, form, "token=" + strings.Repeat("x", 64<<10), 413, "content_too_large"},
	} {
		p := s.do("POST", "/auth/introspect", tt.body, tt.header, bearer(tt.token)).problem(t)
		if p.Status != tt.status || string(p.Code) != tt.code {
			t.Errorf("%s: %+v", tt.name, p)
		}
	}
	if a := s.do("POST", "/auth/introspect?token="+with, "", form, bearer(with)); a.status != 400 {
		t.Errorf("a token in the query: %d %s", a.status, a.body)
	}
}

// TestIntrospectionDuringAnOutage: what nobody can check is not active, not even for 30 s.
func TestIntrospectionDuringAnOutage(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	vera := s.addUser("vera", "verifies for others", "verifier")
	_, with := s.addTokenOf(vera, security.NewToken{Name: "api", Roles: []string{"verifier"}})
	mine := s.login(username, password)
	if a := s.introspect(with, "token="+mine); !strings.Contains(a.body, `"active":true`) {
		t.Fatal(a.body)
	}
	s.breakFeed()
	for name, token := range map[string]string{"access token": mine, "personal": with} {
		if a := s.introspect(with, "token="+token); a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := s.introspect(with, "token=garbage"); a.body != `{"active":false}` {
		t.Errorf("garbage needs no database: %d %s", a.status, a.body)
	}
}
