package handlers_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/models"
)

func (s *server) refresh(token string) answer {
	s.t.Helper()
	return s.post("/auth/refresh", `{"refresh_token":"`+token+`"}`)
}

func passwords(current, next string) string {
	text, _ := json.Marshal(map[string]string{"current_password": current, "new_password": next})
	return string(text)
}

func (s *server) open() tokens {
	s.t.Helper()
	return s.post("/auth", credentials(username, password)).tokens(s.t)
}

// wantEnded checks that an answer says why the session ended.
func (a answer) wantEnded(t *testing.T, reason string) {
	t.Helper()
	if p := a.problem(t); a.status != 401 || p.Code != "session_ended" || string(p.Reason) != reason {
		t.Errorf("got %d %s, want session_ended for the reason %q", a.status, a.body, reason)
	}
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.open()
	s.clock.Add(4 * time.Minute)
	a := s.refresh(first.RefreshToken)
	second := a.tokens(t)
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken ||
		a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("not rotated: %+v", second)
	}
	if sid := claims(t, second.AccessToken)["sid"]; sid != claims(t, first.AccessToken)["sid"] {
		t.Error("another session")
	}
	s.clock.Add(4 * time.Minute)
	if a := s.mountain(second.AccessToken); a.status != 200 {
		t.Errorf("the new access token: %d %s", a.status, a.body)
	}
	if a := s.mountain(first.AccessToken); a.status != 401 || a.problem(t).Code != "token_expired" {
		t.Errorf("the old access token: %d %s", a.status, a.body)
	}
	if third := s.refresh(second.RefreshToken).tokens(t); third.RefreshToken == second.RefreshToken {
		t.Error("the second refresh did not rotate")
	}
}

func TestRefreshWithinTheGraceRepeatsItself(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.open()
	second := s.refresh(first.RefreshToken).tokens(t)
	s.clock.Add(10 * time.Second)
	again := s.refresh(first.RefreshToken).tokens(t)
	if again.RefreshToken != second.RefreshToken {
		t.Errorf("the retry got %s, the first got %s", again.RefreshToken, second.RefreshToken)
	}
	if a := s.mountain(again.AccessToken); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.refresh(again.RefreshToken).tokens(t)
}

func TestRefreshReuseEndsTheSession(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		rotate int
		wait   time.Duration
	}{
		{"after the grace", 1, 11 * time.Second},
		{"two generations back", 2, 0},
		{"many generations back", 20, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			first := s.open()
			latest := first
			for range tt.rotate {
				latest = s.refresh(latest.RefreshToken).tokens(t)
			}
			bystander := s.open()
			s.clock.Add(tt.wait)
			s.refresh(first.RefreshToken).wantEnded(t, "refresh_reuse")
			s.refresh(latest.RefreshToken).wantEnded(t, "refresh_reuse")
			s.mountain(latest.AccessToken).wantEnded(t, "refresh_reuse")
			if a := s.mountain(bystander.AccessToken); a.status != 200 {
				t.Errorf("another session of the user: %d %s", a.status, a.body)
			}
		})
	}
}

func TestConcurrentRefreshesLeaveOneLineage(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.open()
	var wg sync.WaitGroup
	got := make(chan answer, 50)
	for range cap(got) {
		wg.Go(func() { got <- s.refresh(first.RefreshToken) })
	}
	wg.Wait()
	close(got)
	successors := map[string]bool{}
	for a := range got {
		successors[a.tokens(t).RefreshToken] = true
	}
	if len(successors) != 1 {
		t.Errorf("%d successors", len(successors))
	}
	session, _, err := s.store.SessionWithUser(t.Context(), strings.Split(first.RefreshToken, ".")[0])
	if err != nil || session.RefreshCount != 1 || session.EndedReason != "" {
		t.Errorf("%+v, %v", session, err)
	}
}

func TestRefreshRefusesWhatIsNoRefreshToken(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	good := s.open()
	id, secret, _ := strings.Cut(good.RefreshToken, ".")
	other := s.open()
	_, otherSecret, _ := strings.Cut(other.RefreshToken, ".")
	for name, token := range map[string]string{
		"access token":       good.AccessToken,
		"empty":              "",
		"session id alone":   id,
		"no secret":          id + ".",
		"no session id":      "." + secret,
		"other's secret":     id + "." + otherSecret,
		"cut":                good.RefreshToken[:len(good.RefreshToken)-1],
		"longer":             good.RefreshToken + "A",
		"unknown session":    "AAAAAAAAAAAAAAAAAAAAAAAAAA." + secret,
		"very long":          strings.Repeat("A", 5000),
		"successor guessed":  id + "." + flip(t, secret, 7),
		"changed in its mac": id + "." + flip(t, secret, 20),
	} {
		a := s.refresh(token)
		if p := a.problem(t); a.status != 401 || p.Code != "refresh_token_invalid" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if a := s.mountain(good.RefreshToken); a.status != 401 {
		t.Errorf("a refresh token as an access token: %d", a.status)
	}
	s.refresh(good.RefreshToken).tokens(t) // nothing of it ended the session
	for _, body := range []string{`{}`, `{"refresh_token":1}`, `{"refresh_token":null}`, ``,
		`{"refresh_token":"x","y":1}`} {
		if a := s.post("/auth/refresh", body); a.status != 400 {
			t.Errorf("%s: %d", body, a.status)
		}
	}
}

// TestGuessAtAnOldRefreshTokenEndsNothing: who knows a session's id must not be able to end it.
func TestGuessAtAnOldRefreshTokenEndsNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.open()
	id, secret, _ := strings.Cut(first.RefreshToken, ".")
	second := s.refresh(first.RefreshToken).tokens(t)
	if a := s.refresh(
		id + "." + flip(t, secret, 20),
	); a.status != 401 ||
		a.problem(t).Code != "refresh_token_invalid" {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.refresh(second.RefreshToken).tokens(t)
}

// TestRefreshTokenFromTheFuture is what clients have when the database was restored from a backup.
func TestRefreshTokenFromTheFuture(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.open()
	second := s.refresh(first.RefreshToken).tokens(t)
	third := s.refresh(second.RefreshToken).tokens(t)
	session, _, err := s.store.SessionWithUser(t.Context(), strings.Split(first.RefreshToken, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	s.execute(`UPDATE sessions SET refresh_count = 1, refresh_hash = 'of the second'`)
	if a := s.refresh(third.RefreshToken); a.status != 401 || a.problem(t).Code != "refresh_token_invalid" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if session, _, err = s.store.SessionWithUser(
		t.Context(), session.ID,
	); session.EndedReason != "" ||
		err != nil {
		t.Errorf("the session ended: %s, %v", session.EndedReason, err)
	}
}

// flip changes a bit of one byte of a base64url text.
func flip(t *testing.T, text string, i int) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	raw[i] ^= 1
	return base64.RawURLEncoding.EncodeToString(raw)
}

func TestSessionLimits(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		first := s.open()
		s.clock.Add(7*day - time.Second)
		second := s.refresh(first.RefreshToken).tokens(t)
		s.clock.Add(7 * day)
		s.refresh(second.RefreshToken).wantEnded(t, "idle")
	})
	t.Run("absolute", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		latest := s.open()
		for range 5 {
			s.clock.Add(6*day - time.Second)
			s.poll()
			latest = s.refresh(latest.RefreshToken).tokens(t)
		}
		if latest.RefreshExpiresIn != 5 {
			t.Errorf("refresh_expires_in %d five seconds before the end", latest.RefreshExpiresIn)
		}
		s.clock.Add(4 * time.Second)
		s.poll()
		if a := s.mountain(latest.AccessToken); a.status != 200 {
			t.Errorf("in its last second: %d %s", a.status, a.body)
		}
		s.clock.Add(time.Second)
		s.mountain(latest.AccessToken).wantEnded(t, "expired")
		s.refresh(latest.RefreshToken).wantEnded(t, "expired")
	})
}

func TestRefreshReadsTheUserAfresh(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.open()
	s.execute(`UPDATE users SET roles = 'guide'`)
	second := s.refresh(first.RefreshToken).tokens(t)
	if diff := cmp.Diff([]any{"guide"}, claims(t, second.AccessToken)["roles"]); diff != "" {
		t.Error(diff)
	}
	s.execute(`UPDATE users SET disabled_at = 1`)
	s.refresh(second.RefreshToken).wantEnded(t, "user_disabled")
}

// TestRefreshAfterAnAbsence: the answer to a refresh may have got lost because the database went away.
func TestRefreshAfterAnAbsence(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		before time.Duration   // from the refresh to the absence
		away   []time.Duration // how long each absence is, with two seconds in between
		behind time.Duration   // from their end to the second refresh
		ended  bool
	}{
		{"just before it", 2 * time.Second, []time.Duration{20 * time.Second}, 9 * time.Second, false},
		{"two in a row", 2 * time.Second, []time.Duration{20 * time.Second, 20 * time.Second},
			9 * time.Second, false},
		{"the client had time before it", 11 * time.Second, []time.Duration{20 * time.Second}, time.Second,
			true},
		{"the client had time after it", 2 * time.Second, []time.Duration{20 * time.Second}, 11 * time.Second,
			true},
		{"no absence", 2 * time.Second, nil, 9 * time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, first, second := newRefreshed(t, tt.before)
			for i, away := range tt.away {
				if i > 0 {
					s.clock.Add(2 * time.Second)
					s.poll()
				}
				gone, cancel := context.WithCancel(t.Context())
				cancel()
				if err := s.service.Poll(gone); err == nil {
					t.Fatal("the feed was read")
				}
				s.clock.Add(away)
				s.poll()
			}
			s.clock.Add(tt.behind)
			a := s.refresh(first.RefreshToken)
			if tt.ended {
				a.wantEnded(t, "refresh_reuse")
			} else if got := a.tokens(t); got.RefreshToken != second.RefreshToken {
				t.Error("another successor")
			}
		})
	}
}

// TestRefreshBeforeTheReturnIsNoticed: the first request after an absence may come before the next poll of
// the feed.
func TestRefreshBeforeTheReturnIsNoticed(t *testing.T) {
	t.Parallel()
	requests := map[string]func(s *server, used tokens) answer{
		"refresh": func(s *server, used tokens) answer { return s.refresh(used.RefreshToken) },
		"logout": func(s *server, used tokens) answer {
			return s.logout("refresh token", "?scope=others",
				used)
		},
	}
	tests := []struct {
		name   string
		before time.Duration // from the refresh to the absence
		broken bool          // the feed cannot be read although the rest can
		status int           // of the second refresh with the same token
		ended  bool          // and what that means for the session
	}{
		{"just before the absence", 2 * time.Second, false, 200, false},
		{"the client had time before it", 11 * time.Second, false, 401, true},
		{"the feed is still away", 2 * time.Second, true, 503, false},
	}
	for _, tt := range tests {
		for name, request := range requests {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				t.Parallel()
				s, first, second := newRefreshed(t, tt.before)
				s.breakFeed()
				s.clock.Add(20 * time.Second)
				if !tt.broken {
					s.mendFeed()
				}
				a := request(s, first)
				if a.status != tt.status && (tt.status != 200 || a.status != 204) {
					t.Errorf("%d %s, want %d", a.status, a.body, tt.status)
				}
				if tt.broken {
					s.mendFeed()
				}
				if a := s.refresh(second.RefreshToken); tt.ended {
					a.wantEnded(t, "refresh_reuse")
				} else {
					a.tokens(t)
				}
			})
		}
	}
}

// TestRefreshAtAReplicaThatBeganAway: it does not know since when the database was away.
func TestRefreshAtAReplicaThatBeganAway(t *testing.T) {
	t.Parallel()
	for behind, ended := range map[time.Duration]bool{9 * time.Second: false, 11 * time.Second: true} {
		s, first, second := newRefreshed(t, time.Hour)
		replica := newServerOn(t, s, signingKey)
		replica.service.StartedDuringOutage()
		replica.poll()
		s.clock.Add(behind)
		a := replica.refresh(first.RefreshToken)
		if ended {
			a.wantEnded(t, "refresh_reuse")
		} else if got := a.tokens(t); got.RefreshToken != second.RefreshToken {
			t.Errorf("after %v: another successor", behind)
		}
	}
}

// newRefreshed is a server on which a session was refreshed some time ago.
func newRefreshed(t *testing.T, ago time.Duration) (s *server, first, second tokens) {
	t.Helper()
	s = newServer(t)
	first = s.open()
	second = s.refresh(first.RefreshToken).tokens(t)
	s.clock.Add(ago)
	s.poll()
	return s, first, second
}

// breakFeed makes the poll of the feed fail, and nothing else.
func (s *server) breakFeed() {
	s.t.Helper()
	s.execute(`ALTER TABLE revocations RENAME TO elsewhere`)
	if err := s.service.Poll(s.t.Context()); err == nil {
		s.t.Fatal("the feed was read")
	}
}

func (s *server) mendFeed() {
	s.t.Helper()
	s.execute(`ALTER TABLE elsewhere RENAME TO revocations`)
}

// TestRefreshAfterAChangeOfKeys: while the old key is in the ring its tokens count; without it they do not,
// because whoever has it could make them.
func TestRefreshAfterAChangeOfKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.open()
	without := newServerOn(t, s, retiredKey)
	if a := without.refresh(
		first.RefreshToken,
	); a.status != 401 ||
		a.problem(t).Code != "refresh_token_invalid" {
		t.Errorf("without the old key: %d %s", a.status, a.body)
	}
	changed := newServerOn(t, s, retiredKey+","+signingKey)
	second := changed.refresh(first.RefreshToken).tokens(t)
	if again := changed.refresh(first.RefreshToken).tokens(t); again.RefreshToken != second.RefreshToken {
		t.Error("the same token again got another successor")
	}
	without.refresh(second.RefreshToken).tokens(t)
}

func TestLogout(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, query                string
		ends, endsSecond, endsElse bool
	}{
		{"default", "", true, false, false},
		{"local", "?scope=local", true, false, false},
		{"others", "?scope=others", false, true, false},
		{"all", "?scope=all", true, true, false},
	}
	for _, by := range []string{"access token", "refresh token"} {
		for _, tt := range tests {
			t.Run(tt.name+" by "+by, func(t *testing.T) {
				t.Parallel()
				s := newServer(t)
				s.addUser("ada", "an analytical engine")
				mine, second, elses := s.open(), s.open(), s.post(
					"/auth", credentials("ada", "an analytical engine"),
				).tokens(
					t,
				)
				for _, token := range []tokens{mine, second, elses} {
					s.mountain(token.AccessToken) // into the cache
				}
				for range 2 { // a second time changes nothing and is no error
					if a := s.logout(by, tt.query, mine); a.status != 204 || a.body != "" {
						t.Fatalf("%d %s", a.status, a.body)
					}
				}
				for token, ended := range map[tokens]bool{mine: tt.ends, second: tt.endsSecond,
					elses: tt.endsElse} {
					a, r := s.mountain(token.AccessToken), s.refresh(token.RefreshToken)
					if ended {
						a.wantEnded(t, "logout")
						r.wantEnded(t, "logout")
					} else if a.status != 200 || r.status != 200 {
						t.Errorf("a session that should live: %s, %s", a.body, r.body)
					}
				}
			})
		}
	}
}

func (s *server) logout(by, query string, t tokens) answer {
	s.t.Helper()
	if by == "refresh token" {
		return s.post("/auth/logout"+query, `{"refresh_token":"`+t.RefreshToken+`"}`)
	}
	return s.do("POST", "/auth/logout"+query, "", "Authorization: JWT "+t.AccessToken)
}

// TestLogoutFromASessionThatIsOver has no say over the sessions that live, and must not claim that it ended
// them.
func TestLogoutFromASessionThatIsOver(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"access token", "refresh token"} {
		for _, scope := range []string{"?scope=others", "?scope=all"} {
			s := newServer(t)
			mine, second := s.open(), s.open()
			s.logout(by, "", mine)
			s.logout(by, scope, mine).wantEnded(t, "logout")
			if a := s.mountain(second.AccessToken); a.status != 200 {
				t.Errorf("%s %s: %d %s", by, scope, a.status, a.body)
			}
		}
	}
}

func TestLogoutByAnOldRefreshTokenIsReuse(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first, second := s.open(), s.open()
	next := s.refresh(first.RefreshToken).tokens(t)
	s.clock.Add(time.Minute)
	s.logout("refresh token", "?scope=all", first).wantEnded(t, "refresh_reuse")
	s.refresh(next.RefreshToken).wantEnded(t, "refresh_reuse")
	if a := s.mountain(second.AccessToken); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestLogoutWithAnEmptyChunkedBody(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mine := s.open()
	reply := s.raw(
		"POST /auth/logout HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" +
			"Transfer-Encoding: chunked\r\nAuthorization: Bearer " +
			mine.AccessToken + "\r\n\r\n0\r\n\r\n",
	)
	if !strings.HasPrefix(reply, "HTTP/1.1 204 ") {
		t.Error(reply)
	}
	s.mountain(mine.AccessToken).wantEnded(t, "logout")
}

// TestRefreshKeepsARememberedSessionFromGoingIdle: what is remembered of a session is older than its latest
// refresh.
func TestRefreshKeepsARememberedSessionFromGoingIdle(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.service.Settings.SessionIdle = 20 * time.Second // runs out while memory counts without a new poll
	replica := newServerOn(t, s, signingKey)
	mine := s.open()
	for _, r := range []*server{s, replica} {
		r.mountain(mine.AccessToken)
	}
	s.clock.Add(15 * time.Second)
	late := s.refresh(mine.RefreshToken).tokens(t)
	s.clock.Add(10 * time.Second)
	for _, r := range []*server{s, replica} {
		if a := r.mountain(late.AccessToken); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
		r.poll()
	}
	s.clock.Add(15 * time.Second)
	for _, r := range []*server{s, replica} {
		r.mountain(late.AccessToken).wantEnded(t, "idle")
	}
}

func TestLogoutRefuses(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mine := s.open()
	tests := []struct {
		name   string
		answer answer
		status int
		code   string
	}{
		{"nothing", s.do("POST", "/auth/logout", ""), 401, "token_missing"},
		{"bad token", s.do("POST", "/auth/logout", "", "Authorization: Bearer x"), 401, "token_invalid"},
		{"bad refresh token", s.post("/auth/logout", `{"refresh_token":"x"}`), 401, "refresh_token_invalid"},
		{"bad scope", s.logout("access token", "?scope=world", mine), 400, "invalid_request"},
		{"empty object", s.post("/auth/logout", `{}`), 400, "invalid_request"},
	}
	for _, tt := range tests {
		if p := tt.answer.problem(t); tt.answer.status != tt.status || string(p.Code) != tt.code {
			t.Errorf("%s: %d %s", tt.name, tt.answer.status, tt.answer.body)
		}
	}
	if a := s.mountain(mine.AccessToken); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestLogoutWithAnExpiredAccessTokenNeedsTheRefreshToken(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mine := s.open()
	s.clock.Add(time.Hour)
	if a := s.logout("access token", "", mine); a.status != 401 || a.problem(t).Code != "token_expired" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.logout("refresh token", "", mine); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.refresh(mine.RefreshToken).wantEnded(t, "logout")
}

func TestMe(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mine := s.open()
	a := s.do("GET", "/auth/me", "", "Authorization: Bearer "+mine.AccessToken)
	want := fmt.Sprintf(
		`{"id":1,"username":"sherpa","roles":[],"session_id":"%s"}`, claims(t, mine.AccessToken)["sid"],
	)
	if a.body != want {
		t.Errorf("got %s, want %s", a.body, want)
	}
}

type listed struct {
	ID, Address string
	Current     bool
	UserAgent   string    `json:"user_agent"`
	CreatedAt   time.Time `json:"created_at"`
	EndedAt     *time.Time
	EndedReason *string   `json:"ended_reason"`
	IdleEndsAt  time.Time `json:"idle_ends_at"`
	EndsAt      time.Time `json:"ends_at"`
}

func (s *server) sessions(token string) []listed {
	s.t.Helper()
	var all struct{ Sessions []listed }
	a := s.do("GET", "/auth/sessions", "", "Authorization: Bearer "+token)
	if err := json.Unmarshal([]byte(a.body), &all); err != nil || a.status != 200 {
		s.t.Fatalf("%d %s", a.status, a.body)
	}
	return all.Sessions
}

func TestSessionList(t *testing.T) {
	t.Parallel()
	s := newServer(t, trust("127.0.0.0/8"))
	s.addUser("ada", "an analytical engine")
	s.login("ada", "an analytical engine")
	first := s.open()
	s.clock.Add(time.Second)
	second := s.do(
		"POST", "/auth", credentials(username, password), jsonType, "User-Agent: Everest/1.0",
		"X-Forwarded-For: 2001:db8::7",
	).tokens(
		t,
	)
	s.logout("access token", "", first)

	all := s.sessions(second.AccessToken)
	if len(all) != 2 {
		t.Fatalf("%d sessions: %+v", len(all), all)
	}
	newest, oldest := all[0], all[1]
	if !newest.Current || newest.Address != "2001:db8::7" || newest.UserAgent != "Everest/1.0" ||
		newest.EndedReason != nil ||
		!newest.CreatedAt.Equal(s.clock.Now()) {
		t.Errorf("newest: %+v", newest)
	}
	if oldest.Current || oldest.EndedReason == nil || *oldest.EndedReason != "logout" ||
		oldest.Address != "127.0.0.1" {
		t.Errorf("oldest: %+v", oldest)
	}
	if got := newest.EndsAt.Sub(newest.IdleEndsAt); got != 23*24*time.Hour {
		t.Errorf("limits are %v apart", got)
	}
}

func TestEndingOneSession(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.addUser("ada", "an analytical engine")
	elses := s.post("/auth", credentials("ada", "an analytical engine")).tokens(t)
	mine, second := s.open(), s.open()
	s.mountain(second.AccessToken)
	id := func(t tokens) string { return strings.Split(t.RefreshToken, ".")[0] }
	tests := []struct {
		name, id string
		status   int
	}{
		{"somebody else's", id(elses), 404},
		{"nobody's", "nothing", 404},
		{"not UTF-8", "%ff", 400},
		{"own", id(second), 204},
		{"own, again", id(second), 204},
	}
	for _, tt := range tests {
		if a := s.do(
			"DELETE", "/auth/sessions/"+tt.id, "", "Authorization: Bearer "+mine.AccessToken,
		); a.status != tt.status {
			t.Errorf("%s: %d %s", tt.name, a.status, a.body)
		}
	}
	s.mountain(second.AccessToken).wantEnded(t, "ended_by_user")
	for _, token := range []tokens{mine, elses} {
		if a := s.mountain(token.AccessToken); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestPasswordChange(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mine, second := s.open(), s.open()
	s.mountain(second.AccessToken)
	change := func(body string) answer {
		return s.do("PUT", "/auth/password", body, jsonType, "Authorization: Bearer "+mine.AccessToken)
	}
	tests := []struct {
		name, current, next string
		status              int
		code, detail        string
	}{
		{"wrong current", "wrong", "a password of its own", 403, "wrong_password",
			"current password is wrong"},
		{"too short", password, "short", 400, "invalid_request", "at least 15"},
		{"common", password, "passwordpassword", 400, "invalid_request", "most used"},
		{"the same", password, password, 400, "invalid_request", "is the current one"},
	}
	for _, tt := range tests {
		a := change(passwords(tt.current, tt.next))
		if p := a.problem(
			t,
		); a.status != tt.status || string(p.Code) != tt.code ||
			!strings.Contains(p.Detail, tt.detail) {
			t.Errorf("%s: %d %s", tt.name, a.status, a.body)
		}
	}
	if a := change(`{"new_password":"x"}`); a.status != 400 {
		t.Errorf("no current password: %d", a.status)
	}
	if a := change(passwords(password, "a password of its own")); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.mountain(second.AccessToken).wantEnded(t, "password_change")
	if a := s.mountain(mine.AccessToken); a.status != 200 {
		t.Errorf("the session that changed it: %d %s", a.status, a.body)
	}
	if a := s.post("/auth", credentials(username, password)); a.status != 401 {
		t.Errorf("the old password: %d", a.status)
	}
	if a := s.post("/auth", credentials(username, "a password of its own")); a.status != 200 {
		t.Errorf("the new password: %d", a.status)
	}
	a := change(passwords("a password of its own", "a password of its own"))
	if p := a.problem(t); a.status != 400 || !strings.Contains(p.Detail, "the current one") {
		t.Errorf("the same password again: %d %s", a.status, a.body)
	}
}

// TestPasswordGuessesWithAStolenToken counts as failed logins do.
func TestPasswordGuessesWithAStolenToken(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mine := s.open()
	statuses := map[int]int{}
	for range 20 {
		a := s.do(
			"PUT", "/auth/password", passwords("wrong", "a password of its own"), jsonType,
			"Authorization: Bearer "+mine.AccessToken,
		)
		statuses[a.status]++
	}
	if statuses[403] != models.FreeTries+1 || statuses[429] != 20-models.FreeTries-1 {
		t.Errorf("statuses %v", statuses)
	}
}
