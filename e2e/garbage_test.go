package e2e

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	garbageRequest = "garbage"

	// noAccess has the form of an access token.
	noAccess = "a.b.c"
)

// refusal is a request that must be refused: with a problem of this code, or by net/http if it has none.
type refusal struct {
	name    string
	request string
	status  int
	code    string
}

// get and post are the head of a request with more headers.
func get(path string, more ...string) string {
	lines := append([]string{"GET " + path + " HTTP/1.1", "Host: x", "Connection: close"}, more...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func post(path string, more ...string) string {
	return withMethod("POST", get(path, append(more, "Content-Type: application/json")...))
}

func withMethod(method, request string) string { return method + strings.TrimPrefix(request, "GET") }

func postBody(path, body string) string {
	return post(path, fmt.Sprintf("Content-Length: %d", len(body))) + body
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// garbage returns all that strangers send. It makes tokens of a good one.
func garbage(access string) []refusal {
	noise := make([]byte, 200)
	_, _ = rand.Read(noise) // never fails
	return slices.Concat(noHTTP(noise), badRequests(noise, access), badTokens(noise, access))
}

// noHTTP never reaches a handler.
func noHTTP(noise []byte) []refusal {
	return []refusal{
		{"a line", "hello\r\n\r\n", 400, ""},
		{"noise", "\x16\x03\x01" + string(noise) + "\r\n\r\n", 400, ""},
		{"no host", "GET /healthz HTTP/1.1\r\n\r\n", 400, ""},
		{"two hosts", get("/healthz", "Host: y"), 400, ""},
		{"broken header", get("/healthz", "no colon"), 400, ""},
		{"broken escape", get("/mountain/%zz"), 400, ""},
		{"two lengths", post("/auth", "Content-Length: 1", "Content-Length: 2"), 400, ""},
		{"huge header", get("/healthz", "X: "+strings.Repeat("a", 30<<10)), 431, ""},
		{"many headers", get("/healthz", strings.Repeat("X: a\r\n", 8<<10)+"X: a"), 431, ""},
	}
}

func badRequests(noise []byte, access string) []refusal {
	form := strings.Replace(postBody("/auth", "{}"), "application/json", "text/plain", 1)
	return []refusal{
		{"broken chunk", post("/auth", "Transfer-Encoding: chunked") + "zz\r\n", 400, "invalid_request"},
		{"no JSON", postBody("/auth", "username=sherpa"), 400, "invalid_request"},
		{"half JSON", postBody("/auth", `{"username":"sherpa"`), 400, "invalid_request"},
		{"deep JSON", postBody("/auth", strings.Repeat("[", 20_000)), 400, "invalid_request"},
		{"null", postBody("/auth/refresh", "null"), 400, "invalid_request"},
		{"noise for JSON", postBody("/auth", "\xff"+string(noise)), 400, "invalid_request"},
		{"wrong type", postBody("/auth", `{"username":1,"password":[]}`), 400, "invalid_request"},
		{"unknown member", postBody("/auth/refresh", `{"token":"x"}`), 400, "invalid_request"},
		{"unknown scope", post("/auth/logout?scope=world", bearer(access)), 400, "invalid_request"},
		{"no UTF-8", get("/mountain/%ff", bearer(access)), 400, "invalid_request"},
		{"no resource", get("/wp-login.php"), 404, "not_found"},
		{"a way out", get("/mountain/..%2f..%2fetc%2fpasswd", bearer(access)), 404, "not_found"},
		{"wrong method", withMethod("DELETE", get("/auth")), 405, "method_not_allowed"},
		{"strange method", withMethod("BREW", get("/mountain/x")), 405, "method_not_allowed"},
		{"huge body", postBody("/auth", strings.Repeat("a", 70_000)), 413, "content_too_large"},
		{"another type", form, 415, "unsupported_media_type"},
	}
}

func badTokens(noise []byte, access string) []refusal {
	const otherKey = "Zt5Rw8Xb2Nq6Mc9Kv3Jf7Hd1Gs4Pa0Ly"
	parts := strings.Split(access, ".")
	head, payload, signature := parts[0]+".", parts[1]+".", parts[2]
	text := base64.RawURLEncoding.EncodeToString
	none := text([]byte(`{"alg":"none","typ":"JWT"}`)) + "."
	first := text([]byte(`{"identity":1,"sub":"1","sid":"1","exp":9999999999}`)) + "."
	mac := hmac.New(sha256.New, []byte(otherKey))
	mac.Write([]byte(parts[0] + "." + parts[1]))
	basic := "Authorization: Basic c2hlcnBhOmV2ZXJlc3Q="
	noToken, noRefresh := "token_invalid", "refresh_token_invalid"
	return []refusal{
		{"two tokens", get("/mountain/x", bearer(access), bearer(access)), 400, "invalid_authorization"},
		{"no token", get("/mountain/x"), 401, "token_missing"},
		{"other scheme", get("/mountain/x", basic), 401, "token_missing"},
		{"half a token", get("/auth/me", bearer(head+parts[1])), 401, noToken},
		{"no algorithm", get("/auth/me", bearer(none+payload)), 401, noToken},
		{"other claims", get("/auth/me", bearer(head+first+signature)), 401, noToken},
		{"other key", get("/auth/me", bearer(head+payload+text(mac.Sum(nil)))), 401, noToken},
		{"token of noise", get("/auth/me", bearer(text(noise))), 401, noToken},
		{"refresh of noise", postBody("/auth/refresh", refreshBody(text(noise))), 401, noRefresh},
		{"access for refresh", postBody("/auth/logout", refreshBody(access)), 401, noRefresh},
	}
}

// sendGarbage goes through the whole list at least once.
func (c *crowd) sendGarbage(p *process, first int) {
	for i := first; !c.t.Failed() && (!c.ending() || i < first+len(garbage(noAccess))); i++ {
		access := c.draw(noAccess)
		all := garbage(access)
		row := all[i%len(all)]
		start := time.Now()
		r, err := p.sendRaw(row.request)
		c.note(p, garbageRequest, reply{status: r.status, header: r.header}, err, time.Since(start))
		if err == nil {
			err = row.check(r)
		}
		if err != nil && expired(access) { // on its way, and that may be the first fault
			err = refusal{status: http.StatusUnauthorized, code: "token_expired"}.check(r)
		}
		if err != nil {
			c.t.Errorf("garbage, %s: %v", row.name, err)
		}
		time.Sleep(mathrand.N(c.pace))
	}
}

// rawAnswer is an answer to bytes that no client library would send.
type rawAnswer struct {
	status int
	header http.Header
	body   []byte
}

func (p *process) sendRaw(request string) (rawAnswer, error) {
	conn, err := p.dial()
	if err != nil {
		return rawAnswer{}, err
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, request) // the server may have answered and closed before the end
	return readAnswer(bufio.NewReader(conn))
}

// dial opens a connection, which fails after a while whatever the server does.
func (p *process) dial() (net.Conn, error) {
	conn, err := net.Dial("tcp", p.address)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(longestCut))
	}
	return conn, err
}

func readAnswer(from *bufio.Reader) (a rawAnswer, err error) {
	response, err := http.ReadResponse(from, nil)
	if err != nil {
		return rawAnswer{}, errors.Join(errNoAnswer, err)
	}
	defer response.Body.Close()
	a = rawAnswer{status: response.StatusCode, header: response.Header}
	a.body, err = io.ReadAll(response.Body)
	return a, err
}

// check finds what is wrong with the answer.
func (r refusal) check(a rawAnswer) error {
	wrong := fmt.Errorf("%d %s, want %d %q", a.status, a.body, r.status, r.code)
	if r.code == "" {
		short := fmt.Sprintf("%d %s", r.status, http.StatusText(r.status))
		if a.status != r.status || !bytes.HasPrefix(a.body, []byte(short)) {
			return wrong
		}
		return nil
	}
	var problem struct {
		Type, Title, Detail, Code string
		Status                    int
		RequestID                 string `json:"request_id"`
	}
	if err := json.Unmarshal(a.body, &problem); err != nil {
		return errors.Join(wrong, err)
	}
	if a.status != r.status || problem.Status != r.status || problem.Code != r.code ||
		a.header.Get("Content-Type") != "application/problem+json" || problem.Type != "/problems/"+r.code ||
		problem.Title == "" || problem.Detail == "" || problem.RequestID == "" {
		return wrong
	}
	return nil
}
