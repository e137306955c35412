package security

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"modernc.org/sqlite"

	"sherpa/internal/testlog"
	"sherpa/models"
	"sherpa/security/token"
)

// allEvents returns every event.
func (b *bench) allEvents() (all []models.Event) {
	b.t.Helper()
	for e, err := range b.Events(b.t.Context(), models.EventFilter{}) {
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// describe says what an event has: kind, reason, count, subject, actor, client, session or not.
func describe(e models.Event) string {
	text := fmt.Sprintf("%s(%s) x%d of %s%s by %s %s", e.Kind, e.Reason, e.Times, e.SubjectName,
		map[bool]string{true: "?"}[e.NameHash != ""], e.Actor, e.ActorName)
	if e.ActorToken != "" {
		text += " with a token"
	}
	if e.Address != "" {
		text += " from " + e.Address + " " + e.UserAgent + " " + e.RequestID
	}
	if e.SessionID != "" {
		text += ", session"
	}
	return text
}

// TestEveryActionLeavesItsEvents: a row and a line for each, and no kind without an action.
func TestEveryActionLeavesItsEvents(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	log := &testlog.Buffer{}
	b.Logger = slog.New(slog.NewTextHandler(log, nil))
	web := Client{Address: "192.0.2.7", UserAgent: "browser", RequestID: "request1"}
	operator := AsOperator(t.Context(), "root")
	ctx := WithClient(t.Context(), web)
	const from = " from 192.0.2.7 browser request1"
	var ada models.User
	var login Login
	var reset, invitation Reset
	tokenID := regexp.MustCompile(`\([0-9A-Za-z]{16} `)
	var second models.PersonalToken
	var text string
	logIn := func(password string) error {
		next, err := b.LogIn(t.Context(), Credentials{"Ada", password}, web)
		if err == nil {
			login = next
		}
		return err
	}
	fails := func(code Code, err error) error {
		if !HasCode(err, code) {
			return fmt.Errorf("got %w, want %s", err, code)
		}
		return nil
	}
	steps := []struct {
		name string
		do   func() error
		want []string
	}{
		{"start", func() error { return b.RecordStart(t.Context(), "v1") },
			[]string{"server_started(v1) x1 of  by system "}},
		{"first keys", func() error { return b.RecordKeys(t.Context()) }, nil},
		{"create", func() (err error) {
			ada, err = b.CreateUser(operator, "ada", goodPassword, nil)
			return err
		},
			[]string{"user_created() x1 of ada by operator root"}},
		{"login", func() error { return logIn(goodPassword) },
			[]string{"login() x1 of ada by user ada" + from + ", session"}},
		{"wrong password", func() error { return fails(InvalidCredentials, logIn("wrong")) },
			[]string{"login_failed(wrong_password) x1 of ada by anonymous " + from}},
		{"unknown user", func() error {
			_, err := b.LogIn(t.Context(), Credentials{"my password", "x"}, web)
			return fails(InvalidCredentials, err)
		}, []string{"login_failed(unknown_user) x1 of ? by anonymous " + from}},
		{"refresh", func() (err error) { login, err = b.Refresh(ctx, login.RefreshToken); return err }, nil},
		{"logout", func() error { return b.LogOutByRefreshToken(ctx, login.RefreshToken, ScopeLocal) },
			[]string{"logout() x1 of ada by user ada" + from + ", session"}},
		{"logout again", func() error {
			return b.LogOutByRefreshToken(ctx, login.RefreshToken, ScopeLocal)
		}, nil},
		{"two logins", func() error {
			return errors.Join(logIn(goodPassword), logIn(goodPassword))
		}, []string{
			"login() x1 of ada by user ada" + from + ", session",
			"login() x1 of ada by user ada" + from + ", session"}},
		{"logout of others", func() error {
			return b.LogOutByRefreshToken(ctx, login.RefreshToken, ScopeOthers)
		}, []string{"logout() x1 of ada by user ada" + from + ", session"}},
		{"wrong current password", func() error {
			return fails(WrongPassword, b.ChangePassword(ctx, *login.Principal(), web, "wrong", nextPassword))
		}, []string{"password_change_failed(wrong_password) x1 of ada by user ada" + from}},
		{"password", func() error {
			return b.ChangePassword(ctx, *login.Principal(), web, goodPassword, nextPassword)
		}, []string{"password_changed() x1 of ada by user ada" + from}},
		{"another login", func() error { return logIn(nextPassword) },
			[]string{"login() x1 of ada by user ada" + from + ", session"}},
		{"end an own session", func() error {
			return b.EndOwnSession(ctx, *login.Principal(), login.Session.ID)
		}, []string{"session_ended(ended_by_user) x1 of ada by user ada" + from + ", session"}},
		{"password by the operator", func() error {
			return b.SetPassword(operator, ada.ID, goodPassword)
		}, []string{
			"session_ended(password_change) x1 of ada by operator root, session",
			"password_changed() x1 of ada by operator root"}},
		{"login for a thief", func() error { return logIn(goodPassword) },
			[]string{"login() x1 of ada by user ada" + from + ", session"}},
		{"reuse", func() error {
			old := login.RefreshToken
			if _, err := b.Refresh(ctx, old); err != nil {
				return err
			}
			b.clock.Add(time.Minute)
			_, err := b.Refresh(ctx, old)
			return fails(SessionEnded, err)
		}, []string{"refresh_reuse() x1 of ada by anonymous " + from + ", session"}},
		{"logins to end", func() error {
			return errors.Join(logIn(goodPassword), logIn(goodPassword))
		}, []string{
			"login() x1 of ada by user ada" + from + ", session",
			"login() x1 of ada by user ada" + from + ", session"}},
		{"end all", func() error { _, err := b.EndAllSessions(operator); return err },
			[]string{"session_ended(ended_by_operator) x2 of  by operator root"}},
		{"end all again", func() error { _, err := b.EndAllSessions(operator); return err }, nil},
		{"token with a wrong password", func() error {
			_, _, err := b.CreateOwnToken(ctx, *login.Principal(), web, "wrong", NewToken{Name: "deploy"})
			return fails(WrongPassword, err)
		}, []string{"token_creation_failed(wrong_password) x1 of ada by user ada" + from}},
		{"token", func() (err error) {
			ada, _ = b.FindUser(t.Context(), "ada")
			_, text, err = b.CreateToken(As(ctx, newPrincipal(ada, "")), newPrincipal(ada, ""),
				NewToken{Name: "deploy", Allows: []Allow{AllowAccount}})
			return err
		}, []string{"token_created(<id> deploy, allows account) x1 of ada by user ada" + from}},
		{"token by a token", func() (err error) {
			p, err := b.Identify(ctx, text)
			if err != nil {
				return err
			}
			second, _, err = b.CreateToken(As(ctx, *p), *p, NewToken{Name: "next"})
			return err
		}, []string{"token_created(<id> next) x1 of ada by user ada with a token" + from}},
		{"token deleted", func() error { return b.DeleteToken(operator, ada.ID, second.ID) },
			[]string{"token_deleted(<id> next) x1 of ada by operator root"}},
		{"roles", func() error {
			_, err := b.ChangeUser(operator, ada.ID, UserChange{Roles: []string{"guide", "cook"}})
			return err
		}, []string{"roles_changed(guide cook) x1 of ada by operator root"}},
		{"add a role again", func() error { _, err := b.AddRole(operator, ada.ID, "cook"); return err }, nil},
		{"remove a role", func() error { _, err := b.RemoveRole(operator, ada.ID, "cook"); return err },
			[]string{"roles_changed(guide) x1 of ada by operator root"}},
		{"reset", func() (err error) { reset, err = b.IssueReset(operator, ada.ID); return err },
			[]string{"password_reset_issued() x1 of ada by operator root"}},
		{"redeem another one", func() error {
			return fails(ResetInvalid, b.RedeemReset(ctx, web, token.NewReset().String(), nextPassword))
		}, []string{"password_reset_failed(unknown_token) x1 of  by anonymous " + from}},
		{"a session to end", func() error { return logIn(goodPassword) },
			[]string{"login() x1 of ada by user ada" + from + ", session"}},
		{"redeem", func() error { return b.RedeemReset(ctx, web, reset.Token, goodPassword) }, []string{
			"session_ended(password_change) x1 of ada by anonymous " + from + ", session",
			"password_changed(reset) x1 of ada by anonymous " + from,
			"token_deleted(<id> deploy) x1 of ada by anonymous " + from}},
		{"a token to delete", func() error { b.addToken(ada, NewToken{Name: "old"}); return nil },
			[]string{"token_created(<id> old) x1 of ada by system "}},
		{"all tokens", func() error { _, err := b.DeleteUserTokens(operator, ada.ID); return err },
			[]string{"token_deleted(<id> old) x1 of ada by operator root"}},
		{"no tokens", func() error { _, err := b.DeleteUserTokens(operator, ada.ID); return err }, nil},
		{"invite", func() (err error) {
			_, invitation, err = b.InviteUser(operator, "bob", nil)
			return err
		}, []string{
			"user_created() x1 of bob by operator root",
			"password_reset_issued() x1 of bob by operator root"}},
		{"login of an invited user", func() error {
			_, err := b.LogIn(ctx, Credentials{"bob", "wrong "}, web)
			return fails(InvalidCredentials, err)
		}, []string{"login_failed(no_password) x1 of bob by anonymous " + from}},
		{"register", func() error { _, err := b.RegisterUser(ctx, web, "Zoe", goodPassword); return err },
			[]string{"user_created() x1 of zoe by anonymous " + from}},
		{"register a name that is taken", func() error {
			_, err := b.RegisterUser(ctx, web, "Zoe", nextPassword)
			if !errors.Is(err, models.ErrUsernameTaken) {
				return fmt.Errorf("got %w", err)
			}
			return nil
		}, []string{"registration_failed(username_taken) x1 of zoe by anonymous " + from}},
		{"disable", func() error { return b.DisableUser(operator, ada.ID) },
			[]string{"user_disabled() x1 of ada by operator root"}},
		{"login of a disabled user", func() error { return fails(InvalidCredentials, logIn(goodPassword)) },
			[]string{"login_failed(disabled_user) x1 of ada by anonymous " + from}},
		{"enable", func() error { return b.EnableUser(operator, ada.ID) },
			[]string{"user_enabled() x1 of ada by operator root"}},
		{"four more wrong passwords", func() error {
			for range 4 {
				if err := fails(InvalidCredentials, logIn("wrong")); err != nil {
					return err
				}
			}
			return nil
		}, []string{"login_failed(wrong_password) x4 of ada by anonymous " + from}},
		{"the last free one", func() error {
			b.clock.Add(time.Minute)
			return fails(InvalidCredentials, logIn("wrong"))
		},
			[]string{"login_failed(wrong_password) x1 of ada by anonymous " + from,
				"throttle_tripped(name) x1 of ada by anonymous " + from}},
		{"throttled", func() error { return fails(Throttled, logIn(goodPassword)) },
			[]string{"login_failed(throttled) x1 of ada by anonymous " + from}},
		{"delete", func() error { return b.DeleteUser(operator, ada.ID) },
			[]string{"user_deleted() x1 of ada by operator root"}},
		{"keys", func() error { b.useKeys(ringOf(b.t, nextKey)); return b.RecordKeys(t.Context()) },
			[]string{"keys_changed(1 added, 1 removed, another one signs) x1 of  by system "}},
		{"stop", func() error { return b.RecordStop(t.Context()) },
			[]string{"server_stopped() x1 of  by system "}},
	}
	seen, kinds := 0, map[models.EventKind]bool{}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		all := b.allEvents()
		var got []string
		for _, e := range all[seen:] {
			got = append(got, tokenID.ReplaceAllString(describe(e), "(<id> "))
			kinds[e.Kind] = true
			if n := strings.Count(log.String(), "event.name="+string(e.Kind)+" "); n == 0 {
				t.Errorf("%s: no line about %s", step.name, e.Kind)
			}
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
		seen = len(all)
	}
	for _, kind := range models.EventKinds() {
		if !kinds[kind] {
			t.Errorf("no action leaves the event %s", kind)
		}
	}
	if lines, rows := strings.Count(log.String(), "event.name="), len(b.allEvents()); lines != rows {
		t.Errorf("%d lines about %d events", lines, rows)
	}
	b.wantNoSecret(log.String(), goodPassword, nextPassword, "my password", "wrong ", login.RefreshToken,
		goodKey, nextKey, secretOf(reset), secretOf(invitation), text, text[28:50])
}

// secretOf is the part of a reset's token that nobody else may know.
func secretOf(r Reset) string { return r.Token[strings.LastIndex(r.Token, "_")+1:] }

const nextKey = "Zt5Rw8Xb2Nq6Mc9Kv3Jf7Hd1Gs4Pa0Ly"

// wantNoSecret looks into the log and into every file of the database.
func (b *bench) wantNoSecret(log string, secrets ...string) {
	b.t.Helper()
	found := []byte(log)
	path, _ := strings.CutPrefix(b.url, "sqlite:")
	files, err := filepath.Glob(path + "*") // the write-ahead log too
	if err != nil || len(files) < 2 {
		b.t.Fatal(files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			b.t.Fatal(err)
		}
		found = append(found, data...)
	}
	if !bytes.Contains(found, []byte("login_failed")) {
		b.t.Fatal("there are no events to search")
	}
	for _, secret := range secrets {
		if bytes.Contains(found, []byte(secret)) {
			b.t.Errorf("the database or the log has %q", secret)
		}
	}
}

// TestUnknownNameIsKeptOnlyAsAKeyedHash: people type their password into that field.
func TestUnknownNameIsKeptOnlyAsAKeyedHash(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	attempt := func(name string) string {
		t.Helper()
		b.clock.Add(time.Minute) // a row for each
		_, err := b.LogIn(t.Context(), Credentials{name, "x"}, b.client())
		wantCode(t, err, InvalidCredentials)
		all := b.allEvents()
		last := all[len(all)-1]
		if last.SubjectName != "" || last.SubjectID != 0 || len(last.NameHash) != 24 {
			t.Errorf("%q: %+v", name, last)
		}
		return last.NameHash
	}
	first, same := attempt("hunter2"), attempt("Hunter2")
	other, impossible := attempt("hunter3"), attempt("hunter 2 \x00")
	if first != same || first == other || impossible == first {
		t.Errorf("%s, %s, %s, %s", first, same, other, impossible)
	}
	b.useKeys(ringOf(b.t, nextKey+","+goodKey))
	if rotated := attempt("hunter2"); rotated == first {
		t.Error("the hash does not depend on the key that signs")
	}
	b.wantNoSecret("", "hunter2", "hunter3", "hunter 2")
}

// TestFailedLoginsCostTheSame counts what the database writes: commits, and rows of each table.
func TestFailedLoginsCostTheSame(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	writes := countWrites(t, b.url)
	b.reopen()
	b.addUser("ada")
	if err := b.DisableUser(t.Context(), b.addUser("disabled").ID); err != nil {
		t.Fatal(err)
	}
	costs := map[string]map[string]int{}
	if _, _, err := b.InviteUser(t.Context(), "invited", nil); err != nil {
		t.Fatal(err)
	}
	attempts := []Credentials{
		{"ada", "wrong"}, {"nobody", goodPassword}, {"disabled", goodPassword}, {"invited", goodPassword},
	}
	for i, given := range attempts {
		writes.reset()
		_, err := b.LogIn(t.Context(), given, Client{Address: fmt.Sprint("192.0.2.", i)})
		wantCode(t, err, InvalidCredentials)
		costs[given.Username] = writes.reset()
	}
	want := map[string]int{"commits": 2, "login_rates": 1, "login_failures": 1, "events": 1}
	for name, cost := range costs {
		if diff := cmp.Diff(want, cost); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// writeCounter counts commits, and changed rows by table.
type writeCounter struct {
	mu     sync.Mutex
	counts map[string]int
}

func (w *writeCounter) add(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

func (w *writeCounter) reset() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := w.counts
	w.counts = map[string]int{}
	return counts
}

// countWrites counts what connections write that are opened from now on.
func countWrites(t *testing.T, url string) *writeCounter {
	t.Helper()
	w := &writeCounter{counts: map[string]int{}}
	path, _ := strings.CutPrefix(url, "sqlite:")
	sqlite.RegisterConnectionHook(func(c sqlite.ExecQuerierContext, dsn string) error {
		hooks, ok := c.(sqlite.HookRegisterer)
		if !ok || !strings.Contains(dsn, path) {
			return nil
		}
		hooks.RegisterCommitHook(func() int32 { w.add("commits"); return 0 })
		hooks.RegisterPreUpdateHook(func(d sqlite.SQLitePreUpdateData) { w.add(d.TableName) })
		return nil
	})
	return w
}

// reopen gives the service connections that are new.
func (b *bench) reopen() {
	b.t.Helper()
	store, err := models.Open(b.t.Context(), b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = store.Close() })
	b.Store = store
}

// TestFloodOfFailedLoginsIsBounded: thousands of attempts, with names and addresses that never come twice.
func TestFloodOfFailedLoginsIsBounded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		attempt       func(i int) (username, address string)
		minutes, each int
		most          int64 // rows and lines
	}{
		{"one name from one address", func(int) (string, string) { return "ada", "192.0.2.1" }, 3, 400, 3},
		{"many names from one address", func(i int) (string, string) {
			return fmt.Sprint("n", i), "192.0.2.1"
		}, 3, 400, 3 * (failureNames + 1)},
		{"many names from many addresses", func(i int) (string, string) {
			return fmt.Sprint("n", i), fmt.Sprintf("10.0.%d.%d", i/256%256, i%256)
		}, 3, 400, failureBurst + 3*6 + 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.addUser("ada")
			log := &testlog.Buffer{}
			b.Logger = slog.New(slog.NewTextHandler(log, nil))
			b.clock.Add(time.Minute - time.Duration(b.clock.Now().Second())*time.Second)
			for range tt.minutes {
				for i := range tt.each {
					name, address := tt.attempt(i)
					ctx := WithClient(t.Context(), Client{Address: address})
					b.recordFailure(ctx, failure{models.EventLoginFailed, name, models.LoginCount{},
						invalidCredentials(wrongPassword)})
				}
				b.clock.Add(time.Minute)
			}
			rows, counted := int64(0), int64(0)
			for _, e := range b.allEvents() {
				if e.Kind == models.EventLoginFailed {
					rows++
					counted += e.Times
				}
			}
			if rows > tt.most || counted != int64(tt.minutes*tt.each) {
				t.Errorf("%d rows count %d of %d attempts", rows, counted, tt.minutes*tt.each)
			}
			const roundTotals = 3 // 1, 10, 100
			if lines := int64(strings.Count(log.String(), "\n")); lines < rows || lines > rows*roundTotals {
				t.Errorf("%d lines about %d rows", lines, rows)
			}
		})
	}
}

// TestThrottledLoginsWriteLittle: a refused attempt costs no hash, so a flood of them is cheap to send.
func TestThrottledLoginsWriteLittle(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	writes := countWrites(t, b.url)
	b.reopen()
	b.addUser("ada")
	b.clock.Add(time.Minute - time.Duration(b.clock.Now().Second())*time.Second)
	client := Client{Address: "192.0.2.9"}
	for i := range addressBurst {
		_, _ = b.LogIn(t.Context(), Credentials{fmt.Sprint("n", i), "x"}, client)
	}
	writes.reset()
	const attempts = 1234
	for range attempts {
		_, err := b.LogIn(t.Context(), Credentials{"ada", goodPassword}, client)
		wantCode(t, err, Throttled)
	}
	if n := writes.reset()["events"]; n != 5 { // at 1, 10, 100 and 1000, and that the throttle tripped
		t.Errorf("%d writes of events for %d attempts", n, attempts)
	}
	var got []string
	for _, e := range b.allEvents() {
		if e.Reason == reasonThrottled || e.Kind == models.EventThrottleTripped {
			got = append(got, describe(e))
		}
	}
	want := []string{
		"login_failed(throttled) x1000 of  by anonymous  from 192.0.2.9  ",
		"throttle_tripped(address) x1 of  by anonymous  from 192.0.2.9  ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFailureIsRecordedAlthoughTheClientHangsUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	ctx, hangUp := context.WithCancel(WithClient(t.Context(), b.client()))
	hangUp()
	b.recordFailure(ctx, failure{kind: models.EventLoginFailed, username: "ada",
		err: invalidCredentials(wrongPassword)})
	if all := b.allEvents(); all[len(all)-1].Kind != models.EventLoginFailed {
		t.Error("there is no event")
	}
}

// TestFailureWithoutItsEventStillFails: nobody gets in, and the log says that an event is missing.
func TestFailureWithoutItsEventStillFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	log := &testlog.Buffer{}
	b.Logger = slog.New(slog.NewTextHandler(log, nil))
	err := b.Store.Transact(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `ALTER TABLE events RENAME TO hidden`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.LogIn(t.Context(), Credentials{"ada", "wrong"}, b.client())
	wantCode(t, err, InvalidCredentials)
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "was not recorded") {
		t.Error(log.String())
	}
	_, err = b.LogIn(t.Context(), Credentials{"ada", goodPassword}, b.client())
	if !errors.Is(err, models.ErrUnavailable) {
		t.Errorf("a login without its event: %v", err)
	}
}

func TestFollowEvents(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("older") // which does not come, and not later either
	b.addUser("ada")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	wrong := func() { _, _ = b.LogIn(t.Context(), Credentials{"ada", "wrong"}, b.client()) }
	var got []string
	for e, err := range b.FollowEvents(ctx, models.EventFilter{Limit: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(e.Kind, e.Times))
		switch len(got) {
		case 1, 2:
			wrong()
		case 3:
			b.addUser("bob")
		case 4:
			stop()
		}
	}
	want := []string{"user_created1", "login_failed1", "login_failed2", "user_created1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUserAgentCannotMoveTheCursor(t *testing.T) {
	t.Parallel()
	origin := models.OriginOf(WithClient(t.Context(), Client{UserAgent: "a\x1b[2Jb\u009bc\u202ed é"}))
	if want := "a\ufffd[2Jb\ufffdc\ufffdd é"; origin.UserAgent != want {
		t.Errorf("%q", origin.UserAgent)
	}
}

func TestIsRound(t *testing.T) {
	t.Parallel()
	var got []int64
	for n := int64(0); n <= 100_000; n++ {
		if isRound(n) {
			got = append(got, n)
		}
	}
	if !slices.Equal(got, []int64{1, 10, 100, 1000, 10_000, 100_000}) {
		t.Error(got)
	}
}
