package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sherpa/handlers"
)

const goodPassword = "yaks graze at dawn"

func redemption(token, password string) string {
	text, _ := json.Marshal(map[string]string{"token": token, "password": password})
	return string(text)
}

// issueReset returns a token with which the user sets a password.
func (s *server) issueReset(userID int64) string {
	s.t.Helper()
	reset, err := s.service.IssueReset(s.t.Context(), userID)
	if err != nil {
		s.t.Fatal(err)
	}
	return reset.Token
}

// TestPasswordResetOverHTTP: an administrator issues a token, and the user redeems it.
func TestPasswordResetOverHTTP(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.addUser("ada", "an analytical engine", "admin")
	path := fmt.Sprintf("/auth/users/%d/password-reset", s.user.ID)
	admin := "Authorization: Bearer " + s.login("ada", "an analytical engine")
	mine := s.login(username, password)

	a := s.do("POST", path, "", admin)
	var reset struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(a.body), &reset); err != nil || a.status != 201 ||
		a.header.Get("Cache-Control") != "no-store" || !reset.ExpiresAt.Equal(s.clock.Now().Add(time.Hour)) ||
		!strings.HasPrefix(reset.Token, "sherpa_reset_") {
		t.Fatalf("%d %v %s: %v", a.status, a.header, a.body, err)
	}
	weak := s.post("/auth/password-reset", redemption(reset.Token, "short"))
	if p := weak.problem(t); weak.status != 400 || len(p.Errors) != 1 || p.Errors[0].Pointer != "#/password" {
		t.Errorf("a weak password: %d %s", weak.status, weak.body)
	}
	if a := s.post("/auth/password-reset", redemption(reset.Token, goodPassword)); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.mountain(mine).wantEnded(t, "password_change")
	s.login(username, goodPassword)
	if a := s.post("/auth", credentials(username, password)); a.status != 401 {
		t.Errorf("the old password: %d", a.status)
	}
	if a := s.do("POST", "/auth/users/99/password-reset", "", admin); a.status != 404 {
		t.Errorf("a reset for nobody: %d %s", a.status, a.body)
	}
	if strings.Contains(s.log.String(), reset.Token[len("sherpa_reset_"):]) {
		t.Error("the log has the token")
	}
}

// TestRefusedResetsLookTheSame in every byte but the name of the request.
func TestRefusedResetsLookTheSame(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	used, void, late := s.issueReset(s.user.ID), s.issueReset(s.user.ID), ""
	if a := s.post("/auth/password-reset", redemption(used, goodPassword)); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	late = s.issueReset(s.user.ID)
	s.clock.Add(time.Hour)
	disabled := s.addUser("disabled", "was a good password")
	if err := s.service.DisableUser(t.Context(), disabled.ID); err != nil {
		t.Fatal(err)
	}
	first := answer{}
	for _, tt := range []struct{ name, token string }{
		{"no token", ""}, {"rubbish", strings.Repeat("\x00é", 100)}, {"used", used}, {"void", void},
		{"expired", late}, {"of a disabled user", s.issueReset(disabled.ID)},
	} {
		a := s.post("/auth/password-reset", redemption(tt.token, goodPassword))
		if p := a.problem(t); a.status != 401 || p.Code != "reset_token_invalid" {
			t.Errorf("%s: %d %s", tt.name, a.status, a.body)
		}
		if a = withoutRequest(a); first.status == 0 {
			first = a
		}
		if a.body != first.body || len(a.header) != len(first.header) {
			t.Errorf("%s: %v %s\nwant %v %s", tt.name, a.header, a.body, first.header, first.body)
		}
	}
}

func TestRegistrationOverHTTP(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.post("/auth/register", credentials("Tenzing", goodPassword))
	want := `{"id":2,"username":"tenzing","roles":[],`
	if a.status != 201 || !strings.HasPrefix(a.body, want) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.login("tenzing", goodPassword)
	for _, tt := range []struct {
		name, body    string
		status        int
		code, pointer string
	}{
		{"taken", credentials("TENZING", goodPassword), 409, "username_taken", ""},
		{"bad name", credentials("a b", goodPassword), 400, "invalid_request", "#/username"},
		{"empty name", credentials("", goodPassword), 400, "invalid_request", "#/username"},
		{"long name", credentials(strings.Repeat("n", 65), goodPassword), 400, "invalid_request",
			"#/username"},
		{"weak password", credentials("bob", "short"), 400, "invalid_request", "#/password"},
		{"roles", `{"username":"bob","password":"yaks graze at dawn","roles":["admin"]}`, 400,
			"invalid_request", "#/roles"},
	} {
		a := s.post("/auth/register", tt.body)
		p := a.problem(t)
		if a.status != tt.status || string(p.Code) != tt.code {
			t.Errorf("%s: %d %s", tt.name, a.status, a.body)
		}
		if tt.pointer != "" && (len(p.Errors) != 1 || p.Errors[0].Pointer != tt.pointer) {
			t.Errorf("%s: %s", tt.name, a.body)
		}
	}
}

func TestRegistrationIsBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, trust("127.0.0.0/8"))
	register := func(name, address string) answer {
		return s.do("POST", "/auth/register", credentials(name, goodPassword), jsonType,
			"X-Forwarded-For: "+address)
	}
	for i := range 10 {
		if a := register(fmt.Sprint("climber", i), "192.0.2.1"); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	a := register("one-more", "192.0.2.1")
	if wait := a.retryAfter(t); wait != 6*time.Minute {
		t.Errorf("%v", wait)
	}
	if a := register("one-more", "192.0.2.2"); a.status != 201 {
		t.Errorf("the neighbour: %d %s", a.status, a.body)
	}
}

// TestClosedRegistration: there is no such resource, and no document says so.
func TestClosedRegistration(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *handlers.Config) { c.Registration = false })
	response, err := http.Post( // and no comparison with the document, which has it
		s.url+"/auth/register", "application/json", strings.NewReader(credentials("tenzing", goodPassword)))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 404 || response.Header.Get("Content-Type") != problemType {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	if _, err := s.store.UserByName(t.Context(), "tenzing"); err == nil {
		t.Error("the user exists")
	}
	for _, path := range []string{"/", "/openapi.json", "/openapi.yaml"} {
		if a := s.do("GET", path, ""); a.status != 200 || strings.Contains(a.body, "/auth/register") {
			t.Errorf("%s names the resource: %d", path, a.status)
		}
	}
	open := newServer(t)
	for _, path := range []string{"/", "/openapi.json", "/openapi.yaml"} {
		if a := open.do("GET", path, ""); !strings.Contains(a.body, "/auth/register") {
			t.Errorf("%s of a server with registration does not name it", path)
		}
	}
}

func FuzzResetToken(f *testing.F) {
	s := fuzzServer(f)
	good := s.issueReset(s.user.ID)
	for _, seed := range []string{
		"", "sherpa_reset_", good[:len(good)-1], good + "A", strings.ToLower(good), good + "\n", "\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		request := httptest.NewRequest(http.MethodPost, "/auth/password-reset",
			strings.NewReader(redemption(text, goodPassword)))
		request.Header.Set("Content-Type", "application/json")
		switch a := s.serveDirectly(t, request); a.status {
		case 401, 413, 429: // the fuzzer is one address that tries very often
			a.problem(t)
		default:
			t.Errorf("%q: %d %s", text, a.status, a.body)
		}
	})
}

// TestInvitedUserLooksLikeAnyOther to somebody who tries names.
func TestInvitedUserLooksLikeAnyOther(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if _, _, err := s.service.InviteUser(t.Context(), "invited", nil); err != nil {
		t.Fatal(err)
	}
	answers := map[string]answer{}
	for _, name := range []string{"invited", "nobody", username} {
		before := s.service.Hasher.Computed()
		answers[name] = withoutRequest(s.post("/auth", credentials(name, "wrong")))
		if n := s.service.Hasher.Computed() - before; n != 1 {
			t.Errorf("%s: %d hashes", name, n)
		}
	}
	for name, a := range answers {
		if a.status != 401 || a.body != answers["nobody"].body {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// TestInvitationOverHTTP: an administrator creates a user without a password, and the user sets one.
func TestInvitationOverHTTP(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	admin := s.asAdmin()
	a := s.do("POST", "/auth/users", `{"username":"Tenzing","roles":["guide"]}`, jsonType, admin)
	var invited struct {
		ID                int64
		Username          string
		PasswordChangedAt *time.Time `json:"password_changed_at"`
		Invitation        struct {
			Token     string
			ExpiresAt time.Time `json:"expires_at"`
		}
	}
	if err := json.Unmarshal([]byte(a.body), &invited); err != nil || a.status != 201 ||
		a.header.Get("ETag") == "" || invited.Username != "tenzing" || invited.PasswordChangedAt != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	path := fmt.Sprint("/auth/users/", invited.ID)
	if a := s.do("GET", path, "", admin); strings.Contains(a.body, "sherpa_reset") {
		t.Errorf("the token is shown twice: %s", a.body)
	}
	token := invited.Invitation.Token
	if a := s.post("/auth/password-reset", redemption(token, goodPassword)); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.login("tenzing", goodPassword)
	if a := s.do("GET", path, "", admin); strings.Contains(a.body, `"password_changed_at":null`) {
		t.Errorf("%s", a.body)
	}
	for name, body := range map[string]string{
		"a password": `{"username":"nima","password":"yaks graze at dawn"}`,
		"null":       `{"username":"dawa","password":null}`,
	} {
		a := s.do("POST", "/auth/users", body, jsonType, admin)
		if has := strings.Contains(a.body, `"invitation"`); a.status != 201 || has != (name == "null") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}
