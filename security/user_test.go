package security

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sherpa/models"
	"sherpa/security/password"
)

func TestCreateUserRejects(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	tests := []struct {
		name, username, password string
		roles                    []string
		wrong                    string
	}{
		{"taken", "ada", goodPassword, nil, "taken"},
		{"taken in another spelling", "ADA", goodPassword, nil, "taken"},
		{"bad name", "a b", goodPassword, nil, "blanks"},
		{"weak password", "bob", "short", nil, "at least 15"},
		{"the service's words", "bob", "sherpa-everest-1", nil, "service's name"},
		{"bad role", "bob", goodPassword, []string{"Role With Blanks"}, "role"},
		{"a role twice", "bob", goodPassword, []string{"guide", "guide"}, "more than once"},
		{"too many roles", "bob", goodPassword, strings.Split("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", ","),
			"at most 16"},
	}
	for _, tt := range tests {
		_, err := b.CreateUser(t.Context(), tt.username, tt.password, tt.roles)
		if err == nil || !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestPasswordIsNormalisedOnBothSides(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.CreateUser(t.Context(), "rene", "rene\u0301 and the mountain", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Authenticate(t.Context(), "RENE", "ren\u00e9 and the mountain"); err != nil {
		t.Error(err)
	}
}

func TestFindUser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada", "guide")
	if got, err := b.FindUser(t.Context(), "ADA"); err != nil || got.ID != ada.ID {
		t.Errorf("%+v, %v", got, err)
	}
	for _, name := range []string{"bob", "a b", ""} {
		if _, err := b.FindUser(t.Context(), name); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
	var names []string
	b.addUser("abe")
	for user, err := range b.Users(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, user.Username)
	}
	if diff := cmp.Diff([]string{"abe", "ada"}, names); diff != "" {
		t.Error(diff)
	}
}

// TestActionsOnAUserEndTheSessions at once on the service that does them: nobody polls here.
func TestActionsOnAUserEndTheSessions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		act    func(b *bench, id int64) error
		reason models.EndedReason
	}{
		{"disable", func(b *bench, id int64) error { return b.DisableUser(b.t.Context(), id) },
			models.EndedByDisable},
		{"delete", func(b *bench, id int64) error { return b.DeleteUser(b.t.Context(), id) }, ""},
		{"set password", func(b *bench, id int64) error {
			return b.SetPassword(b.t.Context(), id, nextPassword)
		}, models.EndedByPasswordChange},
		{"end sessions", func(b *bench, id int64) error {
			n, err := b.EndUserSessions(b.t.Context(), id)
			if n != 2 && err == nil {
				b.t.Errorf("ended %d sessions, want 2", n)
			}
			return err
		}, models.EndedByOperator},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ada, bob := b.addUser("ada"), b.addUser("bob")
			first, second, other := b.logIn("ada"), b.logIn("ada"), b.logIn("bob")
			for _, login := range []Login{first, second, other} {
				b.wantAlive(login) // and cached from now on
			}
			if err := tt.act(b, ada.ID); err != nil {
				t.Fatal(err)
			}
			b.wantEnded(first, tt.reason)
			b.wantEnded(second, tt.reason)
			b.wantAlive(other)
			if err := tt.act(b, bob.ID+99); !errors.Is(err, models.ErrNotFound) {
				t.Errorf("nobody: %v", err)
			}
		})
	}
}

func TestEnableUser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada")
	before := b.logIn("ada")
	if err := b.DisableUser(t.Context(), ada.ID); err != nil {
		t.Fatal(err)
	}
	_, err := b.LogIn(t.Context(), Credentials{"ada", goodPassword}, b.client())
	wantCode(t, err, InvalidCredentials)
	if err := b.EnableUser(t.Context(), ada.ID); err != nil {
		t.Fatal(err)
	}
	b.wantAlive(b.logIn("ada"))
	b.wantEnded(before, models.EndedByDisable)
	if err := b.EnableUser(t.Context(), ada.ID+1); !errors.Is(err, models.ErrNotFound) {
		t.Error(err)
	}
}

// TestRolesCountInSessionsThatLive: here at once, and on another replica after a poll.
func TestRolesCountInSessionsThatLive(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada", "guide")
	login := b.logIn("ada")
	replica, err := NewService(b.Parts)
	if err != nil {
		t.Fatal(err)
	}
	rolesAt := func(s *Service) []string {
		t.Helper()
		principal, err := s.Identity(t.Context(), b.claims(login))
		if err != nil {
			t.Fatal(err)
		}
		return principal.Roles
	}
	poll := func() {
		t.Helper()
		if err := replica.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	poll()
	before := append(rolesAt(b.Service), rolesAt(replica)...)
	if !slices.Equal(before, []string{"guide", "guide"}) {
		t.Fatal(before)
	}
	for _, tt := range []struct {
		name   string
		change func() (models.User, error)
		want   []string
	}{
		{"add", func() (models.User, error) { return b.AddRole(t.Context(), ada.ID, "cook") },
			[]string{"guide", "cook"}},
		{"add again", func() (models.User, error) { return b.AddRole(t.Context(), ada.ID, "guide") },
			[]string{"guide", "cook"}},
		{"remove", func() (models.User, error) { return b.RemoveRole(t.Context(), ada.ID, "guide") },
			[]string{"cook"}},
		{"remove what is not there", func() (models.User, error) {
			return b.RemoveRole(t.Context(), ada.ID, "guide")
		}, []string{"cook"}},
		{"replace", func() (models.User, error) {
			return b.ChangeUser(t.Context(), ada.ID, UserChange{Roles: []string{"porter"}})
		}, []string{"porter"}},
	} {
		user, err := tt.change()
		if err != nil {
			t.Fatal(tt.name, err)
		}
		here := rolesAt(b.Service)
		poll()
		for where, got := range map[string][]string{
			"returned": user.Roles, "here": here, "on another replica": rolesAt(replica),
		} {
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s: %v %s, want %v", tt.name, got, where, tt.want)
			}
		}
	}
}

func TestChangeUserRejects(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var many []string
	for i := range maxRoles {
		many = append(many, fmt.Sprint("r", i))
	}
	ada := b.addUser("ada", many...)
	for name, roles := range map[string][]string{
		"no role": {"No Role"}, "twice": {"guide", "guide"}, "too many": append(many, "one-more"),
	} {
		_, err := b.ChangeUser(t.Context(), ada.ID, UserChange{Roles: roles})
		var rejected *RejectedError
		if !errors.As(err, &rejected) || rejected.Part != PartRoles {
			t.Errorf("%s: %v", name, err)
		}
	}
	var rejected *RejectedError
	if _, err := b.AddRole(t.Context(), ada.ID, "one-more"); !errors.As(err, &rejected) {
		t.Errorf("one role more than a user has: %v", err)
	}
	if _, err := b.AddRole(t.Context(), ada.ID+1, "guide"); !errors.Is(err, models.ErrNotFound) {
		t.Error(err)
	}
}

// TestLastAdminStays, whichever method would take the role away.
func TestLastAdminStays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, second := b.addUser("first", AdminRole), b.addUser("second", AdminRole)
	login := b.logIn("first")
	b.wantAlive(login)
	if _, err := b.RemoveRole(t.Context(), second.ID, AdminRole); err != nil {
		t.Fatal(err)
	}
	for name, take := range map[string]func() error{
		"remove the role": func() error {
			_, err := b.RemoveRole(t.Context(), first.ID, AdminRole)
			return err
		},
		"replace the roles": func() error {
			_, err := b.ChangeUser(t.Context(), first.ID, UserChange{Roles: []string{}})
			return err
		},
		"disable": func() error { return b.DisableUser(t.Context(), first.ID) },
		"delete":  func() error { return b.DeleteUser(t.Context(), first.ID) },
	} {
		if err := take(); !errors.Is(err, models.ErrLastAdmin) {
			t.Errorf("%s: %v", name, err)
		}
		b.wantAlive(login)
	}
}

func TestUserPage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, name := range []string{"ada", "adele", "bob", "réné"} {
		b.addUser(name, "guide")
	}
	for name, tt := range map[string]struct {
		filter models.UserFilter
		want   []string
	}{
		"another spelling":         {models.UserFilter{Prefix: "AD"}, []string{"ada", "adele"}},
		"an accent written apart":  {models.UserFilter{Prefix: "re\u0301"}, []string{"réné"}},
		"what no name can have":    {models.UserFilter{Prefix: "a d"}, nil},
		"what no column can hold":  {models.UserFilter{Prefix: "a\x00"}, nil},
		"a prefix and a role":      {models.UserFilter{Prefix: "b", Role: "guide"}, []string{"bob"}},
		"a role that nobody has":   {models.UserFilter{Role: "cook"}, nil},
		"longer than a name is":    {models.UserFilter{Prefix: strings.Repeat("a", 100)}, nil},
		"no filter, the last page": {models.UserFilter{}, []string{"ada", "adele", "bob", "réné"}},
	} {
		users, err := b.UserPage(t.Context(), tt.filter, models.Page[string]{Limit: 10})
		var got []string
		for _, user := range users {
			got = append(got, user.Username)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	var rejected *RejectedError
	_, err := b.UserPage(t.Context(), models.UserFilter{Role: "GUIDE"}, models.Page[string]{Limit: 10})
	if !errors.As(err, &rejected) {
		t.Errorf("a role that no user can have: %v", err)
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	mine, other := b.logIn("ada"), b.logIn("ada")
	b.wantAlive(other)
	change := func(current, next string) error {
		return b.ChangePassword(t.Context(), *mine.Principal(), b.client(), current, next)
	}
	wantCode(t, change("wrong", nextPassword), WrongPassword)
	for name, next := range map[string]string{"weak": "short", "the same": goodPassword} {
		var rejected *password.RejectedError
		if err := change(goodPassword, next); !errors.As(err, &rejected) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.wantAlive(other)
	if err := change(goodPassword, nextPassword); err != nil {
		t.Fatal(err)
	}
	b.wantAlive(mine)
	b.wantEnded(other, models.EndedByPasswordChange)
	if _, err := b.Authenticate(t.Context(), "ada", nextPassword); err != nil {
		t.Error(err)
	}
}

func TestFirstRun(t *testing.T) {
	t.Parallel()
	t.Run("demo", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		first, created, err := b.FirstRun(t.Context(), true)
		if diff := cmp.Diff(FirstUser{"sherpa", "everest"}, first); diff != "" || !created || err != nil {
			t.Fatal(diff, created, err)
		}
		if _, err := b.Authenticate(t.Context(), "sherpa", "everest"); err != nil {
			t.Error(err)
		}
		if _, created, err := b.FirstRun(t.Context(), true); created || err != nil {
			t.Error("a second start changed something", err)
		}
		if _, _, err := b.FirstRun(t.Context(), false); !errors.Is(err, ErrDemoUser) {
			t.Errorf("a start outside demo mode: %v", err)
		}
	})
	for name, makeSafe := range map[string]func(*bench, int64) error{
		"disabled": func(b *bench, id int64) error { return b.DisableUser(b.t.Context(), id) },
		"deleted":  func(b *bench, id int64) error { return b.DeleteUser(b.t.Context(), id) },
		"new password": func(b *bench, id int64) error {
			return b.SetPassword(b.t.Context(), id,
				nextPassword)
		},
	} {
		t.Run("demo user made safe: "+name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.addUser("ada")
			user, err := b.storeUser(t.Context(), DemoUsername, DemoPassword, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := b.FirstRun(t.Context(), false); !errors.Is(err, ErrDemoUser) {
				t.Errorf("before: %v", err)
			}
			if err := makeSafe(b, user.ID); err != nil {
				t.Fatal(err)
			}
			if _, _, err := b.FirstRun(t.Context(), false); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("administrator", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		first, created, err := b.FirstRun(t.Context(), false)
		if err != nil || !created || len(first.Password) < 26 {
			t.Fatal(first.Username, created, err)
		}
		user, err := b.Authenticate(t.Context(), "admin", first.Password)
		if diff := cmp.Diff([]string{"admin"}, user.Roles); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if err := b.Policy.Check("admin", first.Password); err != nil {
			t.Errorf("the generated password breaks the policy: %v", err)
		}
	})
	t.Run("several processes", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		made := make(chan bool, 8)
		var wg sync.WaitGroup
		for range cap(made) {
			wg.Go(func() {
				_, created, err := b.FirstRun(t.Context(), false)
				if err != nil {
					t.Error(err)
				}
				made <- created
			})
		}
		wg.Wait()
		close(made)
		n := 0
		for created := range made {
			if created {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d administrators were announced", n)
		}
	})
}
