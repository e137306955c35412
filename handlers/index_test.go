package handlers_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sherpa/handlers"
)

const browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

func withVersion(c *handlers.Config) { c.Version = "v1.2.3" }

// TestIndexNamesRoutes compares its links with the route table.
func TestIndexNamesRoutes(t *testing.T) {
	t.Parallel()
	s := newServer(t, withVersion)
	a := s.do("GET", "/", "", "Accept: application/json")
	var index struct {
		Name, Version, What, Docs string
		Links                     []struct{ Method, Path, What string }
	}
	a.decode(t, &index)
	if a.status != 200 || index.Name != "Sherpa" || index.Version != "v1.2.3" || index.What == "" ||
		index.Docs == "" || len(index.Links) == 0 {
		t.Errorf("%d %s", a.status, a.body)
	}
	var routes []string
	for _, route := range s.router.Routes() {
		routes = append(routes, route.Method+" "+route.Path)
	}
	parameter := regexp.MustCompile(`<([a-z]+)>`)
	for _, link := range index.Links {
		route := link.Method + " " + parameter.ReplaceAllString(link.Path, ":$1")
		if !slices.Contains(routes, route) || link.What == "" {
			t.Errorf("the index has %+v, which is no route", link)
		}
	}
}

func TestIndexForBrowsers(t *testing.T) {
	t.Parallel()
	s := newServer(t, withVersion)
	page := s.do("GET", "/", "", browser)
	if got := page.header.Get("Content-Type"); page.status != 200 || got != "text/html; charset=utf-8" ||
		page.header.Get("Vary") != "Accept" {
		t.Errorf("%d %v", page.status, page.header)
	}
	text := html.UnescapeString(page.body)
	for _, part := range []string{
		"<title>Sherpa</title>", "version v1.2.3", "<code>/mountain/<name></code>", "docs/getting-started.md",
		"URL=" + s.url + " ", // the address that the browser asked
		`-d '{"username":"sherpa","password":"everest"}'`,
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the page has no %s:\n%s", part, page.body)
		}
	}
}

// TestPagesRunNothing: the one thing that a page may use is its own style, word for word.
func TestPagesRunNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	active := regexp.MustCompile(`<script| style=| on[a-z]+=| src=|javascript:`)
	for _, path := range []string{"/", "/problems/token_expired"} {
		page := s.do("GET", path, "", browser)
		_, rest, _ := strings.Cut(page.body, "<style>")
		style, _, found := strings.Cut(rest, "</style>")
		sum := sha256.Sum256([]byte(style))
		want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
		if got := page.header.Get("Content-Security-Policy"); got != want || !found {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
		if used := active.FindString(page.body); used != "" {
			t.Errorf("%s has %q, which the policy forbids", path, used)
		}
	}
}

// TestIndexRepeatsNoHost: what the page says is copied into a shell.
func TestIndexRepeatsNoHost(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const example = "https://sherpa.example"
	for _, tt := range []struct{ name, host, want string }{
		{"this machine", "127.0.0.1:5001", "http://127.0.0.1:5001"},
		{"IPv6", "[::1]:5000", "http://[::1]:5000"},
		{"a name", "localhost:8080", "http://localhost:8080"},
		{"a long number", "localhost:0000008080", "http://localhost:8080"},
		{"another machine", "192.0.2.1:5000", example},
		{"a domain", "api.example.org", example},
		{"a domain that looks local", "localhost.evil.example:80", example},
		{"no port", "localhost", example},
		{"a port that is none", "localhost:99999", example},
		{"a zone", "[::1%25$(reboot)]:80", "http://[::1]:80"},
		{"a shell command", "$(reboot)", example},
		{"HTML, which the HTTP server itself refuses", "<script>", ""},
	} {
		header := []string{"GET / HTTP/1.1", "Host: " + tt.host, browser, "Connection: close", "", ""}
		page := s.raw(strings.Join(header, "\r\n"))
		_, rest, _ := strings.Cut(html.UnescapeString(page), "URL=")
		if got, _, _ := strings.Cut(rest, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if strings.Contains(page, "reboot") || strings.Contains(page, "script") {
			t.Errorf("%s: the page repeats it", tt.name)
		}
	}
}

func TestHealthNamesTheVersion(t *testing.T) {
	t.Parallel()
	s := newServer(t, withVersion)
	if a := s.do("GET", "/healthz", ""); a.body != `{"status":"ok","version":"v1.2.3"}` {
		t.Errorf("%d %s", a.status, a.body)
	}
}
