package handlers_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/handlers"
	"sherpa/models"
)

// shownUser is a user as an administrator sees one.
type shownUser struct {
	ID         int64    `json:"id"`
	Username   string   `json:"username"`
	Roles      []string `json:"roles"`
	CreatedAt  string   `json:"created_at"`
	DisabledAt *string  `json:"disabled_at"`
}

// want fails the test unless the answer has the status.
func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("%d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// newAdminServer returns a server with an administrator, and what she sends with each request.
func newAdminServer(t *testing.T) (s *server, admin string) {
	t.Helper()
	s = newServer(t)
	return s, s.asAdmin()
}

func (s *server) userPath(id int64) string { return fmt.Sprint("/auth/users/", id) }

// TestLifeOfAUser goes through everything that an administrator can do with one.
func TestLifeOfAUser(t *testing.T) {
	t.Parallel()
	s, admin := newAdminServer(t)
	body := `{"username":"Tenzing","password":"yaks graze at dawn","roles":["cook"]}`
	made := s.do("POST", "/auth/users", body, admin, jsonType).want(t, 201)
	path := made.header.Get("Location")
	got := s.do("GET", path, "", admin).want(t, 200)
	if made.body != got.body || made.header.Get("ETag") != got.header.Get("ETag") {
		t.Errorf("made as %s %s, and got as %s %s",
			made.header.Get("ETag"), made.body, got.header.Get("ETag"), got.body)
	}
	token := s.login("tenzing", "yaks graze at dawn")
	patch := func(etag, body string) answer {
		t.Helper()
		return s.do("PATCH", path, body, admin, jsonType, "If-Match: "+etag)
	}
	rolesOf := func() (me struct{ Roles []string }) {
		t.Helper()
		s.do("GET", "/auth/me", "", "Authorization: Bearer "+token).want(t, 200).decode(t, &me)
		return me
	}
	guide := patch(got.header.Get("ETag"), `{"roles":["guide","cook"]}`).want(t, 200)
	if me := rolesOf(); !slices.Equal(me.Roles, []string{"guide", "cook"}) {
		t.Errorf("a session that lives has the roles %v", me.Roles)
	}
	old := patch(got.header.Get("ETag"), `{"roles":[]}`).want(t, 412)
	if p := old.problem(t); p.Code != "precondition_failed" {
		t.Errorf("the ETag of before: %+v", p)
	}
	disabled := patch(guide.header.Get("ETag"), `{"disabled":true}`).want(t, 200)
	var user shownUser
	if disabled.decode(t, &user); user.DisabledAt == nil || len(user.Roles) != 2 {
		t.Errorf("disabled: %s", disabled.body)
	}
	if p := s.mountain(token).want(t, 401).problem(t); p.Reason != models.EndedByDisable {
		t.Errorf("the session of a disabled user: %+v", p)
	}
	s.post("/auth", credentials("tenzing", "yaks graze at dawn")).want(t, 401)
	enabled := patch(disabled.header.Get("ETag"), `{"disabled":false}`).want(t, 200)
	if enabled.body != guide.body || enabled.header.Get("ETag") != guide.header.Get("ETag") {
		t.Errorf("enabled again: %s, and before %s", enabled.body, guide.body)
	}
	s.clock.Add(time.Second) // for the throttle
	token = s.login("tenzing", "yaks graze at dawn")
	s.do("DELETE", path, "", admin, "If-Match: "+disabled.header.Get("ETag")).want(t, 412)
	s.do("DELETE", path, "", admin, "If-Match: "+enabled.header.Get("ETag")).want(t, 204)
	s.mountain(token).want(t, 401)
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		a := s.do(method, path, `{"disabled":true}`, admin, jsonType, "If-Match: *").want(t, 404)
		a.problem(t)
	}
}

// TestAdministrationLeavesItsEvents, which name the administrator.
func TestAdministrationLeavesItsEvents(t *testing.T) {
	t.Parallel()
	s, admin := newAdminServer(t)
	made := s.do("POST", "/auth/users", credentials("tenzing", "yaks graze at dawn"), admin, jsonType)
	path := made.want(t, 201).header.Get("Location")
	s.login("tenzing", "yaks graze at dawn")
	s.do("PATCH", path, `{"roles":["cook"]}`, admin, jsonType, "If-Match: *").want(t, 200)
	s.do("DELETE", path+"/sessions", "", admin).want(t, 204)
	s.do("PATCH", path, `{"disabled":true}`, admin, jsonType, "If-Match: *").want(t, 200)
	s.do("PATCH", path, `{"disabled":true}`, admin, jsonType, "If-Match: *").want(t, 200) // changes nothing
	s.do("PATCH", path, `{"disabled":false}`, admin, jsonType, "If-Match: *").want(t, 200)
	s.do("DELETE", path, "", admin, "If-Match: *").want(t, 204)
	var got []string
	for e, err := range s.store.Events(t.Context(), models.EventFilter{Username: "tenzing"}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == models.EventLogin {
			continue
		}
		by := fmt.Sprintf(" by %s %s at %s", e.Actor, e.ActorName, e.Address)
		got = append(got, fmt.Sprintf("%s(%s)%s", e.Kind, e.Reason, by))
	}
	const by = " by user ada at 127.0.0.1"
	want := []string{
		"user_created()" + by, "roles_changed(cook)" + by, "session_ended(ended_by_operator)" + by,
		"user_disabled()" + by, "user_enabled()" + by, "user_deleted()" + by,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCreateUserRefuses(t *testing.T) {
	t.Parallel()
	s, admin := newAdminServer(t)
	const good = "yaks graze at dawn"
	for _, tt := range []struct {
		name, body   string
		status       int
		code, detail string
		pointers     []string
	}{
		{"nothing", `{}`, 400, "invalid_request", "required", []string{"#/username"}},
		{"a bad name", credentials("a b", good), 400, "invalid_request", "without blanks",
			[]string{"#/username"}},
		{"a weak password", credentials("tenzing", "short"), 400, "invalid_request", "15",
			[]string{"#/password"}},
		{"a bad role", `{"username":"tenzing","password":"yaks graze at dawn","roles":["A B"]}`, 400,
			"invalid_request", "lower-case", []string{"#/roles"}},
		{"a role twice", `{"username":"tenzing","password":"yaks graze at dawn","roles":["a","a"]}`, 400,
			"invalid_request", "more than once", []string{"#/roles"}},
		{"a role that is a number", `{"username":"tenzing","password":"yaks graze at dawn","roles":[1]}`, 400,
			"invalid_request", "a string", []string{"#/roles/0"}},
		{"an id", `{"id":7,"username":"tenzing","password":"yaks graze at dawn"}`, 400, "invalid_request",
			"`id`", []string{"#/id"}},
		{"a taken name", credentials("ADA", good), 409, "username_taken", "Another user", nil},
	} {
		a := s.do("POST", "/auth/users", tt.body, admin, jsonType)
		p := a.problem(t)
		var pointers []string
		for _, e := range p.Errors {
			pointers = append(pointers, e.Pointer)
		}
		if a.status != tt.status || string(p.Code) != tt.code || !strings.Contains(p.Detail, tt.detail) ||
			!slices.Equal(pointers, tt.pointers) {
			t.Errorf("%s: %d %s", tt.name, a.status, a.body)
		}
	}
	if _, err := s.service.FindUser(t.Context(), "tenzing"); err == nil {
		t.Error("a user was made all the same")
	}
}

func TestChangeUserRefuses(t *testing.T) {
	t.Parallel()
	s, admin := newAdminServer(t)
	path := s.userPath(s.user.ID)
	etag := s.do("GET", path, "", admin).want(t, 200).header.Get("ETag")
	for _, tt := range []struct {
		name, ifMatch, body string
		status              int
		code                string
	}{
		{"no If-Match", "", `{"roles":["cook"]}`, 428, "precondition_required"},
		{"empty", " ", `{"roles":["cook"]}`, 428, "precondition_required"},
		{"without quotes", strings.Trim(etag, `"`), `{"roles":["cook"]}`, 400, "invalid_request"},
		{"a weak one", "W/" + etag, `{"roles":["cook"]}`, 412, "precondition_failed"},
		{"another one", `"x", "y"`, `{"roles":["cook"]}`, 412, "precondition_failed"},
		{"a star in a list", `*, ` + etag, `{"roles":["cook"]}`, 400, "invalid_request"},
		{"nothing to change", etag, `{}`, 400, "invalid_request"},
		{"null", etag, `{"roles":null}`, 400, "invalid_request"},
		{"a member that cannot change", etag, `{"username":"tenzing"}`, 400, "invalid_request"},
		{"a bad role", etag, `{"roles":["A"]}`, 400, "invalid_request"},
		{"17 roles", etag, `{"roles":["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"]}`,
			400, "invalid_request"},
	} {
		header := []string{admin, jsonType}
		if tt.ifMatch != "" {
			header = append(header, "If-Match: "+tt.ifMatch)
		}
		a := s.do("PATCH", path, tt.body, header...)
		if a.status != tt.status || string(a.problem(t).Code) != tt.code {
			t.Errorf("%s: %d %s", tt.name, a.status, a.body)
		}
		if !strings.HasPrefix(tt.code, "precondition") {
			continue
		}
		if a := s.do("DELETE", path, "", header...); a.status != tt.status {
			t.Errorf("%s: DELETE: %d %s", tt.name, a.status, a.body)
		}
	}
	if now := s.do("GET", path, "", admin).header.Get("ETag"); now != etag {
		t.Error("something was changed")
	}
	s.do("PATCH", path, `{"roles":["cook"]}`, admin, jsonType, `If-Match: "x"`, "If-Match: W/\"y\", "+etag).
		want(t, 200)
}

// TestLastAdminOverHTTP: she cannot take herself away, until there is another one.
func TestLastAdminOverHTTP(t *testing.T) {
	t.Parallel()
	s, admin := newAdminServer(t)
	ada, err := s.service.FindUser(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	path := s.userPath(ada.ID)
	for _, body := range []string{`{"roles":["guide"]}`, `{"disabled":true}`, ""} {
		method := "PATCH"
		if body == "" {
			method = "DELETE"
		}
		a := s.do(method, path, body, admin, jsonType, "If-Match: *").want(t, 409)
		if p := a.problem(t); p.Code != "last_admin" {
			t.Errorf("%s %s: %s", method, body, a.body)
		}
	}
	s.do("PATCH", s.userPath(s.user.ID), `{"roles":["admin"]}`, admin, jsonType, "If-Match: *").want(t, 200)
	s.do("PATCH", path, `{"roles":["guide"]}`, admin, jsonType, "If-Match: *").want(t, 200)
	s.do("GET", path, "", admin).want(t, 403) // from the next request on
}

func TestListUsers(t *testing.T) {
	t.Parallel()
	s, admin := newAdminServer(t)
	s.addUser("adele", "is a user", "guide")
	gone := s.addUser("zoe", "is a user", "guide")
	if _, err := s.store.DisableUser(t.Context(), gone.ID, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, query string
		want        []string // the names on each page
	}{
		{"all", "", []string{"ada adele sherpa zoe"}},
		{"in pages", "?limit=3", []string{"ada adele sherpa", "zoe"}},
		{"whole pages", "?limit=2", []string{"ada adele", "sherpa zoe"}},
		{"a prefix", "?prefix=AD", []string{"ada adele"}},
		{"a prefix in pages", "?prefix=ad&limit=1", []string{"ada", "adele"}},
		{"a role", "?role=guide", []string{"adele zoe"}},
		{"disabled", "?disabled=true", []string{"zoe"}},
		{"enabled", "?disabled=false&role=guide", []string{"adele"}},
		{"nobody", "?prefix=x", []string{""}},
		{"a prefix that no name has", "?prefix=a%20b%00", []string{""}},
	} {
		var got []string
		for after := ""; ; {
			var page struct {
				Items []shownUser `json:"items"`
				Next  string      `json:"next"`
			}
			s.do("GET", "/auth/users"+tt.query+after, "", admin).want(t, 200).decode(t, &page)
			var names []string
			for _, u := range page.Items {
				names = append(names, u.Username)
			}
			got = append(got, strings.Join(names, " "))
			if page.Next == "" {
				break
			}
			after = "&after=" + url.QueryEscape(page.Next)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	for query, detail := range map[string]string{
		"?disabled=yes": "`disabled`", "?disabled=": "`disabled`", "?role=A": "`role`", "?limit=0": "`limit`",
		"?after=x": "`after`", "?role=": "`role`", "?role=guide&role=admin": "once", "?roles=guide": "`role`",
	} {
		a := s.do("GET", "/auth/users"+query, "", admin).want(t, 400)
		if p := a.problem(t); !strings.Contains(p.Detail, detail) {
			t.Errorf("%s: %+v", query, p)
		}
	}
}

func TestSessionsOfAUser(t *testing.T) {
	t.Parallel()
	s, admin := newAdminServer(t)
	first, second := s.login(username, password), s.login(username, password)
	path := s.userPath(s.user.ID) + "/sessions"
	live := func() (n int) {
		t.Helper()
		var all struct {
			Sessions []struct {
				Current     bool    `json:"current"`
				EndedReason *string `json:"ended_reason"`
			} `json:"sessions"`
		}
		s.do("GET", path, "", admin).want(t, 200).decode(t, &all)
		for _, session := range all.Sessions {
			if session.Current {
				t.Error("a session of the user is that of the administrator")
			}
			if session.EndedReason == nil {
				n++
			}
		}
		return n
	}
	if n := live(); n != 2 {
		t.Errorf("%d sessions", n)
	}
	s.do("DELETE", path, "", admin).want(t, 204)
	if n := live(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	for _, token := range []string{first, second} {
		if p := s.mountain(token).want(t, 401).problem(t); p.Reason != models.EndedByOperator {
			t.Errorf("%+v", p)
		}
	}
	for _, method := range []string{"GET", "DELETE"} {
		s.do(method, s.userPath(s.user.ID+99)+"/sessions", "", admin).want(t, 404)
	}
}

func TestParseETags(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`"a"`:              {"a"},
		`"a","b"`:          {"a", "b"},
		` , "a" ,, W/"b",`: {"a", `W/"b"`},
		`""`:               {""},
		`"a,b"`:            {"a,b"},
		`a`:                nil,
		`"a`:               nil,
		`"a" "b"`:          nil,
		`"a"b`:             nil,
		`w/"a"`:            nil,
		`"a b"`:            nil,
		`*, "a"`:           nil,
		"\"a\n\"":          nil,
		`"a\"b"`:           nil,
	} {
		got, ok := handlers.ParseETags(text)
		if diff := cmp.Diff(want, got); ok && diff != "" || ok != (want != nil) {
			t.Errorf("%s: %v %v", text, got, ok)
		}
	}
}

// FuzzParseETags: what is read as a version was in quotes, and what is written is read again.
func FuzzParseETags(f *testing.F) {
	for _, text := range []string{`"a"`, `W/"a", "b"`, `,"",`, `"a`, `*`, "\"\xff\""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		versions, ok := handlers.ParseETags(text)
		if !ok {
			return
		}
		var again []string
		for _, v := range versions {
			if strings.HasPrefix(v, `W/"`) {
				again = append(again, v)
				continue
			}
			if !strings.Contains(text, `"`+v+`"`) {
				t.Errorf("%q has no %q", text, v)
			}
			again = append(again, `"`+v+`"`)
		}
		if got, ok := handlers.ParseETags(strings.Join(again, ",")); !ok || !slices.Equal(got, versions) {
			t.Errorf("%q: %q, and then %q", text, versions, got)
		}
	})
}
