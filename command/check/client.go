package check

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	answerTimeout = 10 * time.Second // for one answer
	largestAnswer = 16 << 20         // bytes that are read of a body
)

// NewTransport returns how to reach a service: without redirects, without a proxy of this machine's own
// settings, and without asking for compression. roots may be nil, for those of the system.
func NewTransport(roots *x509.CertPool, insecure bool) *http.Transport {
	return &http.Transport{
		DialContext: (&net.Dialer{Timeout: answerTimeout}).DialContext,
		TLSClientConfig: &tls.Config{
			RootCAs: roots, MinVersion: tls.VersionTLS12,
			InsecureSkipVerify: insecure, //nolint:gosec // G402: the caller's wish, by a flag
		},
		ForceAttemptHTTP2:  true,
		DisableCompression: true,
		IdleConnTimeout:    30 * time.Second,
	}
}

// answer is a response, read to its end.
type answer struct {
	method string
	path   string
	probed bool // whether something else than the service may have answered, rightly
	secret bool // whether the request or the answer has a token
	status int
	header http.Header
	body   []byte
	tls    *tls.ConnectionState
	err    error
}

// problem is the body of an error (RFC 9457, section 3).
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
	Reason    string `json:"reason"`
	Errors    []struct {
		Pointer string `json:"pointer"`
	} `json:"errors"`
}

// probe is a check under way.
type probe struct {
	Options
	started   time.Time
	id        string // names this check in the list of sessions, and keeps its URLs apart from all others
	userAgent string
	main      *session
	sessions  []*session
	answers   []answer
	// forwardAuth says that a proxy guards an API, which has all paths but those of the service.
	forwardAuth bool
}

func newProbe(options Options) *probe {
	id := rand.Text()[:10]
	return &probe{Options: options, started: options.Now(), id: id, userAgent: "sherpa-check/" + id}
}

// do sends a request with header lines such as "Accept: text/html". Each GET has a query of its own, so that
// a cache on the way shows in the rows about caches, and does not hide what the other rows look for.
func (p *probe) do(ctx context.Context, method, path, body string, lines ...string) answer {
	if (method == http.MethodGet || method == http.MethodHead) && !strings.Contains(path, "?") {
		path = fmt.Sprintf("%s?check=%s-%d", path, p.id, len(p.answers))
	}
	a := p.send(ctx, p.URL.Scheme+"://"+p.URL.Host, method, path, body, lines...)
	kept := a
	if kept.status < http.StatusBadRequest {
		kept.body = nil // it may hold tokens, and no later row reads it
	}
	p.answers = append(p.answers, kept)
	return a
}

func (p *probe) get(ctx context.Context, path string, lines ...string) answer {
	return p.do(ctx, http.MethodGet, path, "", lines...)
}

func (p *probe) post(ctx context.Context, path, body string, lines ...string) answer {
	if body != "" {
		lines = append([]string{"Content-Type: application/json"}, lines...)
	}
	return p.do(ctx, http.MethodPost, path, body, lines...)
}

// send is do for a root of any kind. The answer is not kept.
func (p *probe) send(ctx context.Context, root, method, path, body string, lines ...string) answer {
	a := answer{method: method, path: path}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, root+path, strings.NewReader(body))
	if err != nil {
		a.err = err
		return a
	}
	request.Header.Set("User-Agent", p.userAgent)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Content-Type" {
			request.Header.Del(name)
		}
		request.Header.Add(name, value)
	}
	response, err := p.Transport.RoundTrip(request)
	if err != nil {
		a.err = err
		return a
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	a.status, a.header, a.tls = response.StatusCode, response.Header, response.TLS
	if a.body, err = io.ReadAll(io.LimitReader(response.Body, largestAnswer)); err != nil {
		a.err = err
	}
	a.secret = request.Header.Get("Authorization") != "" || strings.Contains(string(a.body), `"access_token"`)
	return a
}

// asksForToken reports whether /healthz needs a token. The service never asks for one there: a proxy does.
func (p *probe) asksForToken(ctx context.Context) bool {
	a := p.get(ctx, "/healthz")
	p.answers[len(p.answers)-1].probed = true
	return a.status == http.StatusUnauthorized && a.problem().Code == "token_missing"
}

// ownPath matches what the files in deploy/forward-auth pass on to the service.
var ownPath = regexp.MustCompile(`^/(auth|\.well-known|docs|problems)(/|$)|^/openapi\.(json|yaml)$`)

// ofAPI reports whether an API behind the same proxy has answered, or whether the proxy refused in its place.
func (p *probe) ofAPI(a answer) bool {
	path, _, _ := strings.Cut(a.path, "?")
	return p.forwardAuth && !ownPath.MatchString(path)
}

// name is the request, without the query that keeps it apart.
func (a answer) name() string {
	path, _, _ := strings.Cut(a.path, "?")
	return a.method + " " + path
}

// read decodes the body into a value.
func (a answer) read(value any) error {
	if a.err != nil {
		return fmt.Errorf("%s: no answer: %w", a.name(), plain(a.err))
	}
	if encoding := a.header.Get("Content-Encoding"); encoding != "" {
		return fmt.Errorf("%s: the answer is compressed (%s)", a.name(), encoding)
	}
	if err := json.Unmarshal(a.body, value); err != nil {
		return fmt.Errorf("%s: the body of the answer %d is not the JSON of this service", a.name(), a.status)
	}
	return nil
}

// plain drops the details of a timeout, which are this program's.
func plain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("it took too long")
	}
	return err
}

// problem returns the problem of an answer, or an empty one.
func (a answer) problem() problem {
	var p problem
	if a.read(&p) != nil {
		return problem{}
	}
	return p
}

// text is what a reader of the report sees of an answer. It has no token.
func (a answer) text() string {
	if a.err != nil {
		return "no answer: " + plain(a.err).Error()
	}
	text := fmt.Sprint(a.status)
	p := a.problem()
	for _, more := range []string{p.Code, p.Reason} {
		if more != "" {
			text += " " + more
		}
	}
	if a.status >= http.StatusBadRequest && p.Code == "" {
		text += fmt.Sprintf(" without a code (%s)", orNone(a.header.Get("Content-Type")))
	}
	return text
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// want is ok when the answer has the status and, for an error, the code. An empty code stands for any.
func (a answer) want(status int, code string) (string, error) {
	if a.err == nil && a.status == status && (code == "" || a.problem().Code == code) {
		return a.text(), nil
	}
	wanted := strings.TrimSpace(fmt.Sprint(status, " ", code))
	return "", fmt.Errorf("%s got %s, want %s", a.name(), a.text(), wanted)
}

// all is ok when every answer is as want says.
func all(status int, code string, answers ...answer) (string, error) {
	for _, a := range answers {
		if _, err := a.want(status, code); err != nil {
			return "", err
		}
	}
	return answers[0].want(status, code)
}
