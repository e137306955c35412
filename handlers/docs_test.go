package handlers_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"sherpa/handlers"
)

// docsFiles are all files of the page, with their types.
func docsFiles() map[string]string {
	const text = "text/plain; charset=utf-8"
	return map[string]string{
		"docs.css": "text/css; charset=utf-8", "swagger-ui.css": "text/css; charset=utf-8",
		"docs.js": "text/javascript; charset=utf-8", "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
		"icon.svg": "image/svg+xml", "LICENSE": text, "NOTICE": text,
		"swagger-ui-bundle.js.LICENSE.txt": text,
	}
}

func TestDocsPage(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	page := s.do("GET", "/docs", "", "Accept: */*")
	if page.status != 200 || page.header.Get("Content-Type") != "text/html; charset=utf-8" ||
		page.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", page.status, page.header)
	}
	policy := regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]+=' 'self'; ` +
		`script-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; ` +
		`frame-ancestors 'none'$`)
	if got := page.header.Get("Content-Security-Policy"); !policy.MatchString(got) {
		t.Errorf("the policy is %s", got)
	}
	inline := regexp.MustCompile(`<script[^>]*>[^<]| style=| on[a-z]+=|javascript:`)
	if found := inline.FindString(page.body); found != "" {
		t.Errorf("the page has %s, which its policy forbids", found)
	}
	for _, link := range regexp.MustCompile(`(?:src|href)="(/[^"]*)"`).FindAllStringSubmatch(page.body, -1) {
		if a := s.do("GET", link[1], ""); a.status != 200 {
			t.Errorf("%s: %d", link[1], a.status)
		}
	}
}

// TestDocsLinksNameOperations: the first steps lead to operations of the document.
func TestDocsLinksNameOperations(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var document struct {
		Paths map[string]map[string]struct {
			ID   string `json:"operationId"`
			Tags []string
		}
	}
	s.do("GET", "/openapi.json", "").decode(t, &document)
	known := map[string]bool{}
	for _, operations := range document.Paths {
		for _, o := range operations {
			known["#/"+o.Tags[0]+"/"+o.ID] = true
		}
	}
	links := regexp.MustCompile(`href="(#[^"]*)"`).FindAllStringSubmatch(s.do("GET", "/docs", "").body, -1)
	if len(links) < 5 {
		t.Fatalf("only %d links", len(links))
	}
	for _, link := range links {
		if name, err := url.PathUnescape(link[1]); err != nil || !known[name] {
			t.Errorf("%s is no operation: %v", link[1], err)
		}
	}
}

func TestDocsFiles(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, mediaType := range docsFiles() {
		packed := s.do("GET", "/docs/"+name, "", "Accept-Encoding: gzip")
		tag := packed.header.Get("Etag")
		if packed.status != 200 || packed.header.Get("Content-Type") != mediaType || tag == "" ||
			packed.header.Get("Cache-Control") != "no-cache" ||
			packed.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", name, packed.status, packed.header)
		}
		again := s.do("GET", "/docs/"+name, "", "Accept-Encoding: gzip", "If-None-Match: "+tag)
		if again.status != 304 || again.body != "" || again.header.Get("Etag") != tag {
			t.Errorf("%s again: %d %v", name, again.status, again.header)
		}
		plain := s.do("GET", "/docs/"+name, "", "Accept-Encoding: identity")
		if plain.header.Get("Content-Encoding") != "" || plain.body != unpack(t, packed) || plain.body == "" {
			t.Errorf("%s: %d bytes for a client that takes no gzip", name, len(plain.body))
		}
	}
	if a := s.do("GET", "/docs/docs.go", ""); a.problem(t).Code != "not_found" {
		t.Errorf("a file that the page does not have: %d", a.status)
	}
}

// unpack returns the body of an answer without its coding.
func unpack(t *testing.T, a answer) string {
	t.Helper()
	if a.header.Get("Content-Encoding") != "gzip" {
		return a.body
	}
	if a.header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("Vary is %q", a.header.Get("Vary"))
	}
	reader, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDocsEncoding(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for accept, packed := range map[string]bool{
		"gzip": true, "GZIP": true, "br, gzip": true, "gzip, deflate, br, zstd": true, "gzip;q=0.5": true,
		"br;q=1, gzip; q=0.001": true, "gzip;q=0": false, "gzip; q=0.000": false, "identity": false,
		"br": false, "gzipped": false, "x;;, y": false,
	} {
		a := s.do("GET", "/docs/swagger-ui.css", "", "Accept-Encoding: "+accept)
		if got := a.header.Get("Content-Encoding") == "gzip"; got != packed {
			t.Errorf("%s: %v", accept, got)
		}
	}
}

// TestDocsSize: the limit is what the page may add to the program.
func TestDocsSize(t *testing.T) {
	t.Parallel()
	const most = 1536 << 10
	var size int
	for _, folder := range []string{"docs", "docs/swagger-ui"} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			size += int(info.Size())
		}
	}
	if size > most {
		t.Errorf("%d bytes, more than %d", size, most)
	}
}

func TestDocsOff(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *handlers.Config) { c.Docs = false })
	for _, path := range []string{"/docs", "/docs/docs.js"} {
		response, err := http.Get(s.url + path) // and no comparison with the document, which has it
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != 404 || response.Header.Get("Content-Type") != problemType {
			t.Errorf("%s: %d %v", path, response.StatusCode, response.Header)
		}
	}
	for _, a := range []answer{
		s.do("GET", "/", "", browser), s.do("GET", "/", ""),
		s.do("GET", "/openapi.json", ""), s.do("GET", "/openapi.yaml", ""),
	} {
		if a.status != 200 || strings.Contains(a.body, `"/docs`) || strings.Contains(a.body, " /docs") {
			t.Errorf("%d, and it leads to /docs: %s", a.status, a.body)
		}
	}
}

func TestDocsOn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if page := s.do("GET", "/", "", browser); !strings.Contains(page.body, `href="/docs"`) {
		t.Error("the page / has no link to /docs")
	}
	var index struct{ Links []struct{ Path string } }
	if s.do("GET", "/", "").decode(t, &index); index.Links[0].Path != "/docs" {
		t.Errorf("the first link is %+v", index.Links[0])
	}
	document := s.do("GET", "/openapi.json", "").body
	if !json.Valid([]byte(document)) || !bytes.Contains([]byte(document), []byte(`"/docs/{file}"`)) {
		t.Error("the document does not describe the files of /docs")
	}
}
