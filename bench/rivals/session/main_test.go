package main

import (
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

// TestSession makes sure that the program does the work that it is measured for: it reads the session with
// each request.
func TestSession(t *testing.T) {
	t.Parallel()
	store, err := openStore(t.Context(), filepath.Join(t.TempDir(), "session.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.db.Close() })
	engine, err := newEngine(store)
	if err != nil {
		t.Fatal(err)
	}
	first, second := logIn(t, engine), logIn(t, engine)
	for _, step := range []struct {
		name, method, path, token string
		want                      int
	}{
		{"no token", "GET", "/mountain/x", "", 401},
		{"not a token", "GET", "/mountain/x", "x.y.z", 401},
		{"a session", "GET", "/mountain/x", first, 200},
		{"logout", "POST", "/logout", first, 204},
		{"the ended session", "GET", "/mountain/x", first, 401},
		{"the other session", "GET", "/mountain/x", second, 200},
	} {
		if got := ask(engine, step.method, step.path, step.token, ""); got.Code != step.want {
			t.Errorf("%s: %d, want %d: %s", step.name, got.Code, step.want, got.Body)
		}
	}
	if _, err := store.db.ExecContext(t.Context(), `UPDATE sessions SET expires_at = 0`); err != nil {
		t.Fatal(err)
	}
	if got := ask(engine, "GET", "/mountain/x", second, ""); got.Code != 401 {
		t.Errorf("an expired session: %d", got.Code)
	}
}

func logIn(t *testing.T, engine *gin.Engine) (token string) {
	t.Helper()
	answer := ask(engine, "POST", "/login", "", `{"username":"admin","password":"admin"}`)
	var body struct{ Token string }
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || body.Token == "" {
		t.Fatalf("login: %v: %s", err, answer.Body)
	}
	return body.Token
}

func ask(engine *gin.Engine, method, path, token, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer := httptest.NewRecorder()
	engine.ServeHTTP(answer, request)
	return answer
}
