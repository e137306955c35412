package e2e

import (
	"bufio"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sherpa/internal/testlog"
)

// offline is one of the programs in examples/verify: it reads tokens, and says of each whether it is good.
type offline struct {
	name  string
	build func(t *testing.T) *exec.Cmd // skips the test on a machine that cannot run it
	share int64                        // of the verifications: some libraries are slower
}

func offlinePrograms() []offline {
	return []offline{
		{"Python", pythonVerifier, 2}, {"Node", nodeVerifier, 3}, {"Go", goVerifier, 5},
	}
}

// absent skips the test; in CI, where everything must be there, it fails.
func absent(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s, and in CI it must not be so", what)
	}
	t.Skip(what)
}

// pythonVerifier looks for an interpreter that has the libraries: Debian's packages serve Debian's own.
func pythonVerifier(t *testing.T) *exec.Cmd {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import jwt, cryptography").Run() == nil {
			return exec.CommandContext(t.Context(), python, "../examples/verify/python/verify.py")
		}
	}
	absent(t, "there is no Python with PyJWT and cryptography")
	return nil
}

// nodeVerifier installs what package-lock.json says, beside a copy.
func nodeVerifier(t *testing.T) *exec.Cmd {
	t.Helper()
	skipWithoutLanguage(t, block{path: "verify.mts"}) // which needs npm as well
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../examples/verify/node")); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--silent", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return exec.CommandContext(t.Context(), "node", filepath.Join(dir, "verify.mjs"))
}

// goVerifier builds a module of its own, whose library may have to be downloaded.
func goVerifier(t *testing.T) *exec.Cmd {
	t.Helper()
	skipWithout(t, "go")
	if err := runGo(t, "../examples/verify/go", "mod", "download"); err != nil {
		absent(t, "the library cannot be had: "+err.Error())
	}
	program := filepath.Join(t.TempDir(), "verify.program")
	if err := runGo(t, "../examples/verify/go", "build", "-o", program, "."); err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), program)
}

// gateway stands between a verifier and Sherpa. It counts requests, and can keep the news away.
type gateway struct {
	url  string
	cut  atomic.Bool
	mu   sync.Mutex
	seen map[string]int // requests by their path
}

func newGateway(t *testing.T, target string) *gateway {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{seen: map[string]int{}}
	proxy := httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.seen[r.URL.Path]++
		g.mu.Unlock()
		if g.cut.Load() && r.URL.Path == "/auth/revocations" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

func (g *gateway) requests() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.seen)
}

// verifying is such a program that runs.
type verifying struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

func startVerifying(t *testing.T, command *exec.Cmd, env ...string) *verifying {
	t.Helper()
	var log testlog.Buffer
	command.Env = append(plainEnviron(), env...)
	command.Stderr = &log
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // "signal: killed"
		if t.Failed() {
			t.Logf("log of the verifier:\n%s", log.String())
		}
	})
	return &verifying{t: t, in: in, out: bufio.NewReader(out)}
}

// ask returns what the program says of a token.
func (v *verifying) ask(token string) string {
	v.t.Helper()
	if _, err := io.WriteString(v.in, token+"\n"); err != nil {
		v.t.Fatal(err)
	}
	line, err := v.out.ReadString('\n')
	if err != nil {
		v.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// until asks until the program says it, and returns how long that took.
func (v *verifying) until(token, want string) time.Duration {
	v.t.Helper()
	began, said := time.Now(), ""
	eventually(v.t, want, func() bool {
		said = v.ask(token)
		return strings.HasPrefix(said, want)
	})
	return time.Since(began)
}

// felt is how late a change may be noticed; CI sets a second, when nothing else runs.
func felt(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(cmp.Or(os.Getenv("SHERPA_FELT"), "30s"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestVerifyOffline runs the programs of examples/verify with their real libraries. They ask Sherpa for keys
// and news alone, and notice what happens there.
func TestVerifyOffline(t *testing.T) {
	t.Parallel()
	for _, program := range offlinePrograms() {
		for _, algorithm := range []string{"ES256", "EdDSA"} {
			t.Run(program.name+" "+algorithm, func(t *testing.T) {
				t.Parallel()
				verifyOffline(t, program.build(t), algorithm, program.share)
			})
		}
	}
}

func verifyOffline(t *testing.T, command *exec.Cmd, algorithm string, share int64) {
	t.Helper()
	p, key := startWithKey(t, algorithm)
	p.sherpa(t, "guards another house\n", "user", "add", "vera", "--role", "verifier")
	vera := want(t, 200)(p.loginAs("vera", "guards another house"))
	tokenFile := filepath.Join(t.TempDir(), "token")
	write(t, tokenFile, vera.Access)
	g := newGateway(t, p.url())
	g.cut.Store(true)
	v := startVerifying(t, command,
		"VERIFY_URL="+g.url, "VERIFY_TOKEN_FILE="+tokenFile, "VERIFY_LIMIT=3")
	mine, other := want(t, 200)(p.login()), want(t, 200)(p.login())

	v.until(mine.Access, "refused: there is no news") // before the first answer
	g.cut.Store(false)
	v.until(mine.Access, "ok 1")
	v.refuses(forgedTokens(t, key, mine.Access))
	v.verifies(mine.Access, g, share)

	p.sherpa(t, "", "user", "role", "add", "sherpa", "guide")
	p.sherpa(t, "", "user", "role", "add", "sherpa", "cook")
	report(t, "other roles", v.until(mine.Access, "ok 1 guide,cook"))
	want(t, 204)(p.logOut(mine.Access))
	report(t, "a logout", v.until(mine.Access, "refused: its session has ended"))
	if said := v.ask(other.Access); said != "ok 1 guide,cook" {
		t.Errorf("another session: %s", said)
	}
	again := exec.CommandContext(t.Context(), command.Path, command.Args[1:]...)
	if said := startVerifying(t, again, command.Env...).ask(other.Access); said != "ok 1 guide,cook" {
		t.Errorf("the first token that a new program reads: %s", said)
	}

	g.cut.Store(true)
	v.until(other.Access, "refused: there is no news")
	g.cut.Store(false)
	v.until(other.Access, "ok 1 guide,cook")
	v.until(mine.Access, "refused: its session has ended") // it is told again

	p.sherpa(t, "", "session", "end", "--all") // its own, too
	write(t, tokenFile, want(t, 200)(p.loginAs("vera", "guards another house")).Access)
	v.until(other.Access, "refused: it is too old")
}

// TestVerifyWithoutKeys shows that a page in place of the keys, as a proxy may send one, refuses a token. An
// API that calls verify knows no other error.
func TestVerifyWithoutKeys(t *testing.T) {
	t.Parallel()
	command := pythonVerifier(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<h1>Welcome</h1>")
	}))
	t.Cleanup(server.Close)
	tokenFile := filepath.Join(t.TempDir(), "token")
	write(t, tokenFile, "any")
	const program = `import sys, verify
verify.KEYS_PAUSE = -1  # ask each time
try:
    verify.Verifier(sys.argv[1], sys.argv[2]).verify(sys.argv[3])
except verify.Refused as why:
    print("refused:", why)
`
	token := encoded(t, map[string]any{"alg": "ES256", "kid": "x"}) + ".e30.AA"
	python := exec.CommandContext(t.Context(), command.Path, "-c", program, server.URL, tokenFile, token)
	python.Dir = "../examples/verify/python"
	python.Env = append(plainEnviron(), "PYTHONDONTWRITEBYTECODE=1")
	out, err := python.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "refused: Expecting value") {
		t.Errorf("%v\n%s", err, out)
	}
}

// report says how late the change was noticed, and holds it to the limit.
func report(t *testing.T, what string, took time.Duration) {
	t.Helper()
	t.Logf("%s: noticed after %v", what, took.Round(time.Millisecond))
	if most := felt(t); took > most {
		t.Errorf("%s: noticed after %v, and not within %v", what, took, most)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startWithKey starts the program with a new private key.
func startWithKey(t *testing.T, algorithm string) (*process, crypto.Signer) {
	t.Helper()
	dir := t.TempDir()
	p := newProcess(t, dir, quiet, "SHERPA_ACCESS_TTL=1h", "SHERPA_SECRET_KEY_FILE=signing.key")
	text := p.sherpa(t, "", "key", "new", "--alg", algorithm)
	write(t, filepath.Join(dir, "signing.key"), text)
	p.start()
	found, _ := pem.Decode([]byte(text))
	if found == nil {
		t.Fatal("the key is not in PEM form")
	}
	key, err := x509.ParsePKCS8PrivateKey(found.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return p, key.(crypto.Signer)
}

// verifies lets the program verify a good token many times. None of them may cost a request.
func (v *verifying) verifies(token string, g *gateway, share int64) {
	v.t.Helper()
	all, err := strconv.ParseInt(cmp.Or(os.Getenv("SHERPA_VERIFICATIONS"), "6000"), 10, 64)
	if err != nil {
		v.t.Fatal(err)
	}
	count := all * share / 20 // two algorithms, and ten shares of each
	before, began := g.requests(), time.Now()
	go func() {
		for range count {
			_, _ = io.WriteString(v.in, token+"\n") // an error shows below: fewer lines come
		}
	}()
	for range count {
		if line, err := v.out.ReadString('\n'); err != nil || line != "ok 1 \n" {
			v.t.Fatalf("%q, %v", line, err)
		}
	}
	took, requests := time.Since(began), 0
	for path, n := range g.requests() {
		requests += n - before[path]
		if path != "/auth/revocations" && path != "/.well-known/jwks.json" {
			v.t.Errorf("there were requests for %s", path)
		}
	}
	v.t.Logf("%d verifications in %v, and %d requests for news and keys", count, took.Round(1e6), requests)
	if most := 3 + 2*int(took.Seconds()); requests > most { // a request for news waits for a second here
		v.t.Errorf("that is more than %d requests", most)
	}
}

func (v *verifying) refuses(tokens map[string]string) {
	v.t.Helper()
	for name, token := range tokens {
		if said := v.ask(token); !strings.HasPrefix(said, "refused:") {
			v.t.Errorf("%s: %s", name, said)
		}
	}
}

// forgedTokens are tokens that must not count. Some are signed with the true key: a claim is wrong.
func forgedTokens(t *testing.T, key crypto.Signer, good string) map[string]string {
	t.Helper()
	parts := strings.Split(good, ".")
	var header, claims map[string]any
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	_, strange, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	forged := map[string]string{
		"alg none":             encoded(t, with(header, "alg", "none")) + "." + parts[1] + ".",
		"alg none, signed":     encoded(t, with(header, "alg", "none")) + "." + parts[1] + "." + parts[2],
		"HS256, PEM as secret": signed(t, secret(publicPEM), with(header, "alg", "HS256"), claims),
		"HS256, DER as secret": signed(t, secret(spki), with(header, "alg", "HS256"), claims),
		"another key":          signed(t, strange, with(header, "alg", "EdDSA"), claims),
		"unknown kid":          signed(t, key, with(header, "kid", "x"), claims),
		"other claims":         parts[0] + "." + encoded(t, with(claims, "sub", "2")) + "." + parts[2],
		"no signature":         parts[0] + "." + parts[1] + ".",
		"nothing":              "",
		"no token":             "a.b.c",
	}
	for name, claim := range map[string]struct {
		name  string
		value any
	}{
		"expired": {"exp", now - 60}, "not yet valid": {"nbf", now + 60}, "other issuer": {"iss", "x"},
		"other audience": {"aud", "x"}, "no exp": {"exp", nil}, "no nbf": {"nbf", nil},
		"no iat": {"iat", nil}, "no iss": {"iss", nil}, "no aud": {"aud", nil}, "no sid": {"sid", nil},
		"issued before all that is known": {"iat", now - 2*60*60},
	} {
		forged[name] = signed(t, key, header, with(claims, claim.name, claim.value))
	}
	return forged
}

// with changes one member; nil removes it.
func with(members map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(members)
	changed[name] = value
	if value == nil {
		delete(changed, name)
	}
	return changed
}

func encoded(t *testing.T, members map[string]any) string {
	t.Helper()
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// secret is a key of HMAC.
type secret []byte

func signed(t *testing.T, key any, header, claims map[string]any) string {
	t.Helper()
	text := encoded(t, header) + "." + encoded(t, claims)
	var sum []byte
	switch key := key.(type) {
	case secret:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		sum = mac.Sum(nil)
	case ed25519.PrivateKey:
		sum = ed25519.Sign(key, []byte(text))
	case *ecdsa.PrivateKey:
		digest := sha256.Sum256([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil || key.Curve != elliptic.P256() {
			t.Fatal(err)
		}
		sum = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	default:
		t.Fatalf("nobody knows how to sign with %T", key)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sum)
}
