package handlers_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sherpa/handlers"
)

func TestEveryProblemIsExplained(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, code := range handlers.Codes() {
		a := s.do("GET", "/problems/"+code, "")
		var kind struct {
			Code, Title, Meaning, Remedy string
			Status                       int
		}
		if err := json.Unmarshal([]byte(a.body), &kind); err != nil || a.status != 200 {
			t.Fatalf("%s: %d %s", code, a.status, a.body)
		}
		if kind.Code != code || kind.Status < 400 || kind.Title == "" || kind.Meaning == "" ||
			kind.Remedy == "" {
			t.Errorf("%s: %+v", code, kind)
		}
	}
}

func TestProblemPageForBrowsers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	tests := []struct{ name, accept, contentType string }{
		{"browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
			"text/html; charset=utf-8"},
		{"curl", "*/*", "application/json; charset=utf-8"},
		{"program", "application/json", "application/json; charset=utf-8"},
		{"both", "text/html;q=0.1, application/json", "application/json; charset=utf-8"},
		{"nothing", "", "application/json; charset=utf-8"},
	}
	for _, tt := range tests {
		a := s.do("GET", "/problems/token_expired", "", "Accept: "+tt.accept)
		if got := a.header.Get(
			"Content-Type",
		); a.status != 200 || got != tt.contentType ||
			a.header.Get("Vary") != "Accept" {
			t.Errorf("%s: %d %s", tt.name, a.status, got)
		}
		if csp := a.header.Get(
			"Content-Security-Policy",
		); strings.HasPrefix(tt.contentType, "text/html") &&
			!strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", tt.name, csp)
		}
		if html := strings.Contains(
			a.body, "<h1>The access token has expired</h1>",
		); html != strings.HasPrefix(
			tt.contentType, "text/html",
		) {
			t.Errorf("%s: %s", tt.name, a.body)
		}
	}
}

func TestUnknownProblem(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if a := s.do(
		"GET", "/problems/%3Cscript%3E", "", "Accept: text/html",
	); a.status != 404 ||
		strings.Contains(a.body, "<script>") {
		t.Errorf("%d %s", a.status, a.body)
	}
}
