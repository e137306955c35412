package handlers_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/security"
)

type eventPage struct {
	Items []map[string]any `json:"items"`
	Next  string           `json:"next"`
}

func (s *server) events(token, query string) (page eventPage) {
	s.t.Helper()
	a := s.do("GET", "/auth/events"+query, "", "Authorization: Bearer "+token)
	if a.status != 200 {
		s.t.Fatalf("%d %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &page); err != nil {
		s.t.Fatal(err)
	}
	return page
}

// TestEventsOfOnesOwn: the newest first, in pages, with all that a user may know.
func TestEventsOfOnesOwn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada := s.addUser("ada", "an analytical engine")
	s.post("/auth", credentials("ada", "wrong"))
	s.post("/auth", credentials("ada", "wrong again"))
	operator := security.AsOperator(t.Context(), "root")
	if _, err := s.service.AddRole(operator, ada.ID, "guide"); err != nil {
		t.Fatal(err)
	}
	request := "audited-request"
	a := s.do("POST", "/auth", credentials("ada", "an analytical engine"), jsonType, "User-Agent: Netscape",
		"X-Request-Id: "+request)
	token := a.tokens(t).AccessToken
	s.login(username, password) // somebody else

	page := s.events(token, "")
	now := s.clock.Now().UTC().Format(time.RFC3339)
	event := func(more map[string]any) map[string]any {
		for key, value := range map[string]any{"at": now, "last_at": now, "count": 1.0} {
			if _, ok := more[key]; !ok {
				more[key] = value
			}
		}
		return more
	}
	want := []map[string]any{
		event(map[string]any{"kind": "login", "actor": "user", "session_id": claims(t, token)["sid"],
			"address": "127.0.0.1", "user_agent": "Netscape"}),
		event(map[string]any{"kind": "roles_changed", "reason": "guide", "actor": "operator"}),
		event(map[string]any{"kind": "login_failed", "reason": "wrong_password", "actor": "anonymous",
			"count": 2.0, "address": "127.0.0.1", "user_agent": "Go-http-client/1.1"}),
		event(map[string]any{"kind": "user_created", "actor": "system"}),
	}
	var ids []any
	for _, item := range page.Items {
		ids = append(ids, item["id"])
		delete(item, "id")
	}
	if diff := cmp.Diff(want, page.Items); diff != "" || page.Next != "" {
		t.Error(diff, page.Next)
	}
	log := s.waitForLog(`"request_id":"` + request)
	if !strings.Contains(log, `"event.name":"login","user.id":"2"`) {
		t.Error(log)
	}

	var inPages []any
	for query := "?limit=3"; ; {
		page := s.events(token, query)
		for _, item := range page.Items {
			inPages = append(inPages, item["id"])
		}
		if page.Next == "" {
			break
		}
		query = "?limit=3&after=" + page.Next
	}
	if diff := cmp.Diff(ids, inPages); diff != "" {
		t.Error(diff)
	}
}

// TestEventsDoNotTellWhereAdministratorsAre: a user learns that an administrator did it, and no more.
func TestEventsDoNotTellWhereAdministratorsAre(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada := s.addUser("ada", "an analytical engine", "admin")
	_, with := s.addTokenOf(ada, security.NewToken{
		Name: "x", Roles: []string{"admin"}, Allows: []security.Allow{security.AllowAdmin},
	})
	for _, with := range []string{with, s.login("ada", "an analytical engine")} {
		a := s.do("DELETE", fmt.Sprintf("/auth/users/%d/sessions", s.user.ID), "", bearer(with))
		if a.status != 204 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		a = s.do("POST", fmt.Sprintf("/auth/users/%d/password-reset", s.user.ID), "", bearer(with))
		if a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	issued := 0
	for _, event := range s.events(s.login(username, password), "").Items {
		if event["kind"] != "password_reset_issued" {
			continue
		}
		issued++
		for _, name := range []string{"address", "user_agent", "token_id"} {
			if event["actor"] != "administrator" || event[name] != nil {
				t.Errorf("%v", event)
			}
		}
	}
	if issued != 2 {
		t.Errorf("%d events", issued)
	}
}

func TestEventsWantsAGoodPage(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	token := s.login(username, password)
	for _, query := range []string{"?limit=0", "?limit=101", "?limit=x", "?after=x", "?after=NQ"} {
		a := s.do("GET", "/auth/events"+query, "", "Authorization: Bearer "+token)
		if a.status != 400 || a.problem(t).Code != "invalid_request" {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}

// TestFailedLoginIsOneQuietLine: the event says it all, so the refusal itself is logged for debugging only.
func TestFailedLoginIsOneQuietLine(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.post("/auth", credentials(username, "wrong"))
	s.mountain("x.y.z")
	log := s.waitForLog(`"http.route":"/mountain/:name"`)
	for _, want := range []string{
		`"level":"INFO","msg":"event","event.name":"login_failed"`,
		`"level":"INFO","msg":"refused","request_id":"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in %s", want, log)
		}
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, "invalid_credentials") && !strings.Contains(line, `"level":"DEBUG"`) {
			t.Error(line)
		}
	}
}
