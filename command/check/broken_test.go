package check_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/command/check"
	"sherpa/security/token"
)

// broken is a service with one fault. red are the rows that must fail or warn; all others must not.
type broken struct {
	name   string
	fault  middleware
	change func(o *check.Options)
	trust  string // whose X-Forwarded-For the service believes
	keys   string // the algorithm with which the service signs; "" for HS256
	role   string // of the user
	red    string
}

var (
	me         = at("GET", "/auth/me")
	login      = at("POST", "/auth")
	refresh    = at("POST", "/auth/refresh")
	logout     = at("POST", "/auth/logout")
	publicKeys = at("GET", "/.well-known/jwks.json")
	anything   = func(*http.Request) bool { return true }
)

func and(all ...func(r *http.Request) bool) func(r *http.Request) bool {
	return func(r *http.Request) bool {
		return !slices.ContainsFunc(all, func(is func(r *http.Request) bool) bool { return !is(r) })
	}
}

func hasToken(r *http.Request) bool { return r.Header.Get("Authorization") != "" }

func hasNone(r *http.Request) bool { return !hasToken(r) }

// brokenServices are the faults, in the order of the rows.
func brokenServices() []broken {
	return slices.Concat(brokenConnections(), brokenLogins(), brokenPublicKeys(),
		brokenSchemes(), brokenVerifiers(), brokenSessions(), brokenRequests(), brokenProxies(),
		brokenForwardAuth())
}

func brokenConnections() []broken {
	return []broken{
		{
			name: "not ready", red: "ready",
			fault: refuses(503, "unavailable", at("GET", "/readyz")),
		},
		{
			name: "the clock of this machine is wrong", red: "clock",
			change: func(o *check.Options) {
				now := o.Now
				o.Now = func() time.Time { return now().Add(5 * time.Minute) }
			},
		},
		{name: "no Date", red: "clock token-clock", fault: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Date"] = nil
				next.ServeHTTP(w, r)
			})
		}},
		{name: "tells its version", red: "versions-hidden", fault: header("Server", "nginx/1.22.1")},
		{name: "open metrics", red: "metrics-closed", fault: lets(at("GET", "/metrics"))},
		{name: "open pprof", red: "debug-closed", fault: lets(at("GET", "/debug/pprof/"))},
		{name: "open administration", red: "administration-closed", fault: lets(at("GET", "/auth/users"))},
		{name: "open expvar", red: "debug-closed", fault: lets(at("GET", "/debug/vars"))},
	}
}

func brokenLogins() []broken {
	return []broken{
		{
			name: "no token_type", red: "login",
			fault: members(login, func(all map[string]any) { delete(all, "token_type") }),
		},
		{
			name: "another code for a wrong password", red: "login-refused throttle",
			fault: onAnswer(func(r *http.Request, a *httptest.ResponseRecorder) {
				if login(r) && a.Code == 401 {
					problem(a, 403, "forbidden")
				}
			}),
		},
		{
			name: "lets every reset pass", red: "reset-refused",
			fault: swallows(204, at("POST", "/auth/password-reset")),
		},
		{name: "no Retry-After", red: "throttle", fault: header("Retry-After", "")},
		{
			name: "no throttle", red: "throttle",
			fault: onAnswer(func(_ *http.Request, a *httptest.ResponseRecorder) {
				if a.Code == 429 {
					problem(a, 401, "invalid_credentials")
				}
			}),
		},
		{name: "login by GET", red: "login-by-post", fault: lets(at("GET", "/auth"))},
		{name: "compresses", red: "no-compression", fault: onAnswer(compress)},
		{name: "HS512", red: "token-form", fault: resigned(`{"typ":"JWT","alg":"HS512"}`, signingKey)},
		{
			name: "a well-known key", red: "token-key",
			fault: resigned(`{"alg":"HS256","typ":"JWT"}`, "secret"),
		},
		{
			name: "another user's answer", red: "token-claims verify",
			fault: members(me, func(all map[string]any) { all["id"] = 4711 }),
		},
		{
			name: "another lifetime", red: "token-lifetime",
			fault: members(login, func(all map[string]any) { all["expires_in"] = 600 }),
		},
		{
			name: "a proxy whose clock is wrong", red: "token-clock",
			fault: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Date", time.Now().Add(-30*time.Second).UTC().Format(http.TimeFormat))
					next.ServeHTTP(w, r)
				})
			},
		},
		{
			name: "accepts expired tokens", red: "token-expired",
			change: func(o *check.Options) { o.Wait = true },
			fault: onAnswer(func(_ *http.Request, a *httptest.ResponseRecorder) {
				if strings.Contains(a.Body.String(), "token_expired") {
					a.Code = 200
				}
			}),
		},
	}
}

// publishes answers with these members of the public keys changed.
func publishes(change func(first map[string]any)) middleware {
	return members(publicKeys, func(all map[string]any) {
		if keys, ok := all["keys"].([]any); ok && len(keys) > 0 {
			change(keys[0].(map[string]any))
		}
	})
}

func brokenPublicKeys() []broken {
	set := func(name, value string) middleware {
		return publishes(func(first map[string]any) { first[name] = value })
	}
	return []broken{
		{name: "publishes a private key", keys: token.ES256, red: "public-keys", fault: set("d", "AAAA")},
		{
			name: "publishes a secret", red: "public-keys",
			fault: members(publicKeys, func(all map[string]any) {
				all["keys"] = []any{map[string]any{"kty": "oct", "k": "AAAA", "kid": "1"}}
			}),
		},
		{
			name: "publishes under another name", keys: token.EdDSA, red: "public-keys public-key-verifies",
			fault: set("kid", "2026-11"),
		},
		{
			name: "publishes nothing", keys: token.EdDSA, red: "public-key-verifies",
			fault: members(publicKeys, func(all map[string]any) { all["keys"] = []any{} }),
		},
		{
			name: "publishes another key", keys: token.ES256, red: "public-keys public-key-verifies",
			fault: members(publicKeys, func(all map[string]any) {
				keys := all["keys"].([]any)
				first, second := keys[0].(map[string]any), keys[1].(map[string]any)
				first["x"], first["y"] = second["x"], second["y"]
			}),
		},
		{
			name: "publishes no point", keys: token.ES256, red: "public-keys public-key-verifies",
			fault: set("y", strings.Repeat("A", 43)),
		},
		{
			name: "public keys may be kept for a day", red: "public-keys",
			fault: onAnswer(func(r *http.Request, a *httptest.ResponseRecorder) {
				if publicKeys(r) {
					a.Header().Set("Cache-Control", "public, s-maxage=86400")
				}
			}),
		},
		{
			name: "takes a public key for a secret", keys: token.ES256, red: "alg-other public-key-as-secret",
			fault: lets(and(me, bearing(func(head, _, _ string) bool {
				return head == ourHeader
			}))),
		},
		{
			name: "does not look at a signature of ES256", keys: token.ES256,
			fault: onAnswer(func(r *http.Request, a *httptest.ResponseRecorder) {
				form := bearing(func(head, payload, _ string) bool {
					return strings.HasPrefix(head, `{"alg":"ES256","typ":"JWT","kid":"`) &&
						strings.HasSuffix(payload, "}")
				})
				if form(r) && strings.Contains(a.Body.String(), "token_invalid") {
					a.Code = 200
				}
			}),
			red: "public-key-as-secret header-changed payload-changed expiry-changed " +
				"signature-changed " +
				"signature-missing token-truncated token-extended token-base64 token-foreign",
		},
	}
}

func compress(r *http.Request, a *httptest.ResponseRecorder) {
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return
	}
	var small bytes.Buffer
	zip := gzip.NewWriter(&small)
	_, _ = zip.Write(a.Body.Bytes())
	_ = zip.Close()
	a.Body = &small
	a.Header().Set("Content-Encoding", "gzip")
}

// resigned gives clients tokens with another header and key, and turns them back on their way in.
func resigned(head, key string) middleware {
	var mu sync.Mutex
	real := map[string]string{}
	out := members(anything, func(all map[string]any) {
		access, ok := all["access_token"].(string)
		if !ok {
			return
		}
		payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(access, ".")[1])
		other := sign(head, string(payload), key)
		mu.Lock()
		defer mu.Unlock()
		real[other] = access
		all["access_token"] = other
	})
	in := onRequest(func(r *http.Request) {
		scheme, access, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		mu.Lock()
		defer mu.Unlock()
		if known, ok := real[access]; ok {
			r.Header["Authorization"][0] = scheme + " " + known
		}
	})
	return func(next http.Handler) http.Handler { return out(in(next)) }
}

func brokenSchemes() []broken {
	drops := func(is func(value string) bool) middleware {
		return onRequest(func(r *http.Request) {
			if authorization(is)(r) {
				r.Header.Del("Authorization")
			}
		})
	}
	starts := func(with string) func(value string) bool {
		return func(value string) bool { return strings.HasPrefix(value, with) }
	}
	contains := func(part string) func(value string) bool {
		return func(value string) bool { return strings.Contains(value, part) }
	}
	return []broken{
		{
			name: "drops the scheme Bearer", fault: drops(starts("Bearer ")),
			red: "token-claims scheme-bearer administration-closed token-quoted two-in-one-line " +
				"two-headers " +
				"challenge-invalid-token token-garbage " +
				"alg-none alg-other public-key-as-secret header-changed payload-changed expiry-changed " +
				"signature-changed " +
				"signature-missing token-truncated token-extended token-base64 token-foreign " +
				"refresh-as-access " +
				"logout logout-twice logout-by-refresh-token refresh refresh-reuse session-list " +
				"session-end session-unknown feed personal-token personal-account personal-forged " +
				"head path-blank path-utf8 path-plus path-percent forwarded-for " +
				"forwarded-others cors " +
				"cache-repeat cache-stranger cache-logout verify verify-role verify-forged verify-logout " +
				"own-sessions",
		},
		{name: "drops the scheme JWT", red: "scheme-jwt", fault: drops(starts("JWT "))},
		{
			name: "knows schemes in one case", red: "scheme-case",
			fault: drops(func(v string) bool { return !starts("Bearer")(v) && !starts("JWT")(v) }),
		},
		{
			name: "open", fault: lets(and(me, hasNone)),
			red: "no-token token-in-query token-in-cookie challenge-lines challenge-without-error " +
				"problem-page " +
				"cache-stranger",
		},
		{
			name: "accepts Basic", red: "scheme-unknown",
			fault: lets(authorization(func(v string) bool {
				return starts("Basic ")(v) || starts("Token ")(v)
			})),
		},
		{
			name: "accepts a scheme alone", red: "scheme-alone",
			fault: lets(authorization(func(v string) bool { return v == "Bearer" })),
		},
		{
			name: "accepts a token alone", red: "token-alone",
			fault: lets(authorization(func(v string) bool {
				return strings.Count(v, ".") == 2 && !contains(" ")(v)
			})),
		},
		{name: "accepts quotes", red: "token-quoted", fault: lets(authorization(contains(`"`)))},
		{
			name: "takes the first of two tokens", red: "two-in-one-line",
			fault: lets(authorization(contains(", JWT"))),
		},
		{
			name: "takes the first of two headers", red: "two-headers",
			fault: onRequest(func(r *http.Request) {
				if all := r.Header["Authorization"]; len(all) > 1 {
					r.Header["Authorization"] = all[:1]
				}
			}),
		},
		{
			name: "takes a token of the query", red: "token-in-query",
			fault: lets(func(r *http.Request) bool { return r.URL.Query().Has("access_token") }),
		},
		{
			name: "takes a token of a cookie", red: "token-in-cookie",
			fault: lets(func(r *http.Request) bool { return r.Header.Get("Cookie") != "" }),
		},
		{
			name: "merges challenges", red: "challenge-lines",
			fault: onAnswer(func(_ *http.Request, a *httptest.ResponseRecorder) {
				if all := a.Header().Values("WWW-Authenticate"); len(all) > 0 {
					a.Header().Set("WWW-Authenticate", strings.Join(all, ", "))
				}
			}),
		},
		{
			name: "drops challenges", red: "administration-closed challenge-lines challenge-invalid-token",
			fault: header("WWW-Authenticate", ""),
		},
		{
			name: "always an error in the challenge", red: "challenge-without-error",
			fault: onAnswer(func(_ *http.Request, a *httptest.ResponseRecorder) {
				for i, line := range a.Header()["Www-Authenticate"] {
					a.Header()["Www-Authenticate"][i] = line + `, error="invalid_token"`
				}
			}),
		},
	}
}

const ourHeader = `{"alg":"HS256","typ":"JWT"}`

// unproven is true for a token of our form whose signature is another one.
func unproven(r *http.Request) bool {
	return bearing(func(head, payload, signature string) bool {
		return head == ourHeader && strings.HasSuffix(payload, "}") &&
			signature != strings.Split(sign(head, payload, signingKey), ".")[2]
	})(r)
}

func sign(head, payload, key string) string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(head)) + "." + encode([]byte(payload))
	sum := hmac.New(sha256.New, []byte(key))
	sum.Write([]byte(signed))
	return signed + "." + encode(sum.Sum(nil))
}

func brokenVerifiers() []broken {
	return []broken{
		{
			name: "accepts what has five parts", red: "token-garbage",
			fault: lets(authorization(func(v string) bool { return v == "Bearer a.b.c.d.e" })),
		},
		{
			name: "accepts alg none", red: "alg-none",
			fault: lets(bearing(func(head, _, _ string) bool {
				return strings.Contains(strings.ToLower(head), `"none"`)
			})),
		},
		{
			name: "verifies with the algorithm of the header", red: "alg-other",
			fault: lets(bearing(func(head, _, _ string) bool { return strings.Contains(head, `"RS256"`) })),
		},
		{
			name: "verifies with the key of the header", red: "header-changed",
			fault: lets(bearing(func(head, _, _ string) bool { return strings.Contains(head, `"jwk"`) })),
		},
		{
			name:  "does not look at the signature",
			fault: lets(and(me, unproven)),
			red: "public-key-as-secret payload-changed expiry-changed signature-changed signature-missing " +
				"token-truncated " +
				"token-extended " +
				"token-base64 token-foreign",
		},
		{
			name: "reads base64 leniently", red: "token-base64",
			fault: lets(authorization(func(v string) bool {
				return strings.HasPrefix(v, "Bearer ey") && strings.HasSuffix(v, "=")
			})),
		},
		{
			name: "two parts are enough", red: "signature-missing refresh-as-access",
			fault: lets(and(me, authorization(func(v string) bool { return strings.Count(v, ".") == 1 }))),
		},
	}
}

func brokenSessions() []broken {
	byRefresh := and(logout, body(func(text string) bool { return text != "" }))
	byAccess := and(logout, body(func(text string) bool { return text == "" }))
	ends := func(r *http.Request) bool { return logout(r) || r.Method == "DELETE" }
	return []broken{
		{
			name: "a logout that is not passed on", red: "logout",
			fault: swallows(204, and(byAccess, hasToken)),
		},
		{name: "a second logout fails", red: "logout-twice", fault: secondLogoutFails()},
		{
			name: "a logout by refresh token that is not passed on", fault: swallows(204, byRefresh),
			red: "logout-by-refresh-token refresh-after-logout cache-logout verify-logout",
		},
		{
			name: "a logout without a token succeeds", red: "logout-needs-token",
			fault: swallows(204, and(byAccess, hasNone)),
		},
		{
			name: "nothing ends a session", fault: refuses503(ends),
			red: "logout logout-twice logout-by-refresh-token refresh-after-logout logout-needs-token " +
				"session-end " +
				"session-unknown personal-token personal-account personal-forged " +
				"cache-logout verify-refuses verify-logout own-sessions",
		},
		{name: "the refresh token stays", fault: keepsRefreshToken(), red: "refresh refresh-reuse"},
		{name: "no grace", fault: noGrace(), red: "refresh-retry refresh-reuse"},
		{name: "repeats the answers to POST", fault: repeatsPosts(), red: "refresh-reuse"},
		{
			name: "accepts any refresh token", red: "refresh-garbage",
			fault: lets(body(func(text string) bool { return text == `{"refresh_token":"garbage"}` })),
		},
		{
			name: "an end of a personal access token that is not passed on", red: "personal-token",
			fault: swallows(204, func(r *http.Request) bool {
				return r.Method == "DELETE" && strings.HasPrefix(r.URL.Path, "/auth/tokens/")
			}),
		},
		{
			name: "a personal access token that may do all", red: "personal-account",
			fault: lets(func(r *http.Request) bool {
				return r.URL.Path == "/auth/sessions" &&
					strings.Contains(r.Header.Get("Authorization"), "sherpa_pat_")
			}),
		},
		{
			name: "any personal access token", red: "personal-forged",
			fault: lets(func(r *http.Request) bool {
				return strings.HasSuffix(r.Header.Get("Authorization"), "000000")
			}),
		},
		{name: "refresh by GET", red: "refresh-by-post", fault: lets(at("GET", "/auth/refresh"))},
		{
			name: "an empty list of sessions", red: "session-list forwarded-for forwarded-others",
			fault: members(at("GET", "/auth/sessions"), func(all map[string]any) {
				all["sessions"] = []any{}
			}),
		},
		{
			name:  "DELETE that is not passed on",
			red:   "session-end session-unknown personal-token verify-refuses",
			fault: swallows(204, func(r *http.Request) bool { return r.Method == "DELETE" }),
		},
		{
			name: "shows strangers who logs out", red: "feed", fault: lets(at("GET", "/auth/revocations")),
		},
		{
			name: "a feed without its news", red: "feed", role: "verifier",
			fault: members(at("GET", "/auth/revocations"), func(all map[string]any) {
				all["revocations"] = []any{}
			}),
		},
	}
}

func refuses503(these func(r *http.Request) bool) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !these(r) {
				next.ServeHTTP(w, r)
				return
			}
			a := plainAnswer(next, r)
			problem(a, 503, "unavailable")
			write(w, a)
		})
	}
}

func secondLogoutFails() middleware {
	var mu sync.Mutex
	out := map[string]bool{}
	return onAnswer(func(r *http.Request, a *httptest.ResponseRecorder) {
		mu.Lock()
		defer mu.Unlock()
		access := r.Header.Get("Authorization")
		if logout(r) && access != "" && out[access] {
			problem(a, 401, "session_ended")
		}
		out[access] = out[access] || logout(r)
	})
}

var refreshMember = regexp.MustCompile(`"refresh_token":"[^"]*"`)

// keepsRefreshToken answers a refresh with the token that came.
func keepsRefreshToken() middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text := readBody(r)
			a := httptest.NewRecorder()
			next.ServeHTTP(a, r)
			if refresh(r) && a.Code == 200 {
				kept := refreshMember.ReplaceAllString(a.Body.String(), refreshMember.FindString(text))
				a.Body = bytes.NewBufferString(kept)
			}
			write(w, a)
		})
	}
}

func brokenRequests() []broken {
	isBody := func(text string) func(r *http.Request) bool {
		return body(func(got string) bool { return got == text })
	}
	return []broken{
		{
			name: "a limit of the proxy's own, with a page", fault: page(413),
			red: "body-too-large nosniff request-id-everywhere problems problem-ids",
		},
		{
			name: "claims that all is JSON", red: "body-not-json",
			fault: onRequest(func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }),
		},
		{name: "repairs JSON", red: "body-broken", fault: lets(isBody(`{"refresh_token":`))},
		{
			name: "drops unknown members", red: "body-unknown-member",
			fault: rewrites(`,"summit":true`, ""),
		},
		{
			name: "drops repeated members", red: "body-repeated-member",
			fault: rewrites(`"refresh_token":"a",`, ""),
		},
		{
			name: "a page in place of every 404", fault: lets(unknown),
			red: "metrics-closed debug-closed session-unknown not-found trailing-slash path-slash " +
				"path-double-slash " +
				"path-dots",
		},
		{name: "drops Allow", red: "method-not-allowed options", fault: header("Allow", "")},
		{
			name: "drops slashes at the end", red: "trailing-slash",
			fault: onRequest(func(r *http.Request) {
				if r.URL.Path != "/" {
					r.URL.Path = strings.TrimSuffix(r.URL.Path, "/")
				}
			}),
		},
		{
			name: "redirects to the path without a slash", red: "trailing-slash no-redirects",
			fault: onAnswer(func(r *http.Request, a *httptest.ResponseRecorder) {
				if strings.HasPrefix(r.URL.Path, "/auth") && strings.HasSuffix(r.URL.Path, "/") {
					a.Code = 301
					a.Header().Set("Location", strings.TrimSuffix(r.URL.Path, "/"))
				}
			}),
		},
		{
			name: "refuses HEAD", red: "head verify-refuses",
			fault: refuses(405, "method_not_allowed", func(r *http.Request) bool {
				return r.Method == "HEAD"
			}),
		},
		{
			name: "OPTIONS needs a token", red: "options",
			fault: refuses(401, "token_missing", func(r *http.Request) bool { return r.Method == "OPTIONS" }),
		},
		{
			name: "hides /problems/", red: "problem-page path-encoded",
			fault: refuses(404, "not_found", func(r *http.Request) bool {
				return strings.HasPrefix(r.URL.Path, "/problems/")
			}),
		},
		{
			name: "encodes paths twice", red: "path-encoded path-blank path-utf8 path-percent path-slash",
			fault: onRequest(func(r *http.Request) { r.URL.Path = r.URL.EscapedPath() }),
		},
		{name: "decodes paths twice", red: "path-percent", fault: rewritesPath("%2F", "-")},
		{name: "takes + for a blank", red: "path-plus", fault: rewritesPath("+", " ")},
		{name: "merges slashes", red: "path-double-slash", fault: rewritesPath("//", "/")},
		{
			name: "follows dots", red: "path-dots",
			fault: onRequest(func(r *http.Request) {
				if strings.Contains(r.URL.Path, "/../") {
					r.URL.Path = path.Clean(r.URL.Path)
				}
			}),
		},
	}
}

func unknown(r *http.Request) bool {
	known := regexp.MustCompile(
		`^/(|healthz|readyz|auth(/(me|verify|refresh|revocations|logout|password(-reset)?|users|` +
			`(sessions|tokens)(/[A-Za-z0-9_-]+)?))?` +
			`|\.well-known/jwks\.json|problems/\w+|mountain/[^/]+)$`,
	)
	return !known.MatchString(r.URL.Path) || strings.Contains(r.URL.Path, "nobodys")
}

func rewrites(old, with string) middleware {
	return onRequest(func(r *http.Request) {
		text := strings.Replace(readBody(r), old, with, 1)
		r.Body = io.NopCloser(strings.NewReader(text))
		r.ContentLength = int64(len(text))
	})
}

func rewritesPath(old, with string) middleware {
	return onRequest(func(r *http.Request) { r.URL.Path = strings.ReplaceAll(r.URL.Path, old, with) })
}

// page answers with a page of the proxy's own in place of these statuses.
func page(statuses ...int) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := httptest.NewRecorder()
			next.ServeHTTP(a, r)
			if slices.Contains(statuses, a.Code) {
				plain := httptest.NewRecorder()
				plain.Code = a.Code
				plain.Header().Set("Content-Type", "text/html")
				plain.Body.WriteString("<html>the proxy's own page</html>")
				a = plain
			}
			write(w, a)
		})
	}
}

func brokenProxies() []broken {
	const loopback = "127.0.0.0/8"
	return []broken{
		{name: "believes everybody's X-Forwarded-For", trust: loopback, red: "forwarded-for"},
		{
			name: "believes X-Real-IP", trust: loopback, red: "forwarded-others",
			fault: onRequest(func(r *http.Request) {
				r.Header.Del("X-Forwarded-For")
				if real := r.Header.Get("X-Real-IP"); real != "" {
					r.Header.Set("X-Forwarded-For", real)
				}
			}),
		},
		{
			name: "names requests itself", red: "request-id",
			fault: onRequest(func(r *http.Request) { r.Header.Del("X-Request-Id") }),
		},
		{name: "opens the API to all pages", red: "cors", fault: header("Access-Control-Allow-Origin", "*")},
		{
			name:  "caches by URL",
			red:   "cache-repeat cache-stranger cache-logout verify-refuses verify-logout",
			fault: caches(func(r *http.Request) string { return r.URL.String() }),
		},
		{
			name: "caches by URL and token", red: "cache-repeat cache-logout verify-logout",
			fault: caches(func(r *http.Request) string {
				return r.URL.String() + r.Header.Get("Authorization")
			}),
		},
		{
			name: "lets browsers keep answers", red: "no-store",
			fault: header("Cache-Control", "private, max-age=60"),
		},
		{name: "drops nosniff", red: "nosniff", fault: header("X-Content-Type-Options", "")},
		{
			name: "drops X-Request-Id", red: "request-id cache-repeat request-id-everywhere problem-ids",
			fault: header("X-Request-Id", ""),
		},
		{
			name: "another media type", red: "problems",
			fault: onAnswer(func(_ *http.Request, a *httptest.ResponseRecorder) {
				if a.Code >= 400 {
					a.Header().Set("Content-Type", "text/html")
				}
			}),
		},
		{
			name: "its own pages for errors of the service", fault: page(404, 405),
			red: "login-by-post refresh-by-post session-unknown not-found method-not-allowed " +
				"trailing-slash path-slash " +
				"path-double-slash path-dots no-store nosniff request-id-everywhere problems problem-ids",
		},
	}
}

func brokenForwardAuth() []broken {
	verify := func(r *http.Request) bool { return r.URL.Path == "/auth/verify" }
	return []broken{
		{
			name: "another user's name", red: "verify",
			fault: onAnswer(func(_ *http.Request, a *httptest.ResponseRecorder) {
				if a.Header().Get("Remote-User-Id") != "" {
					a.Header().Set("Remote-User-Id", "4711")
				}
			}),
		},
		{name: "answers OPTIONS itself", red: "verify-refuses", fault: lets(at("OPTIONS", "/auth/verify"))},
		{
			name: "drops the query", red: "verify-role",
			fault: onRequest(func(r *http.Request) {
				if verify(r) {
					r.URL.RawQuery = ""
				}
			}),
		},
		{
			name: "sends headers back", red: "verify-forged",
			fault: onAnswer(func(r *http.Request, a *httptest.ResponseRecorder) {
				if name := r.Header.Get("Remote-User"); name != "" {
					a.Header().Set("Remote-User", name)
				}
			}),
		},
		{
			name: "keeps answers to proxies", red: "verify-logout",
			fault: keeps(verify),
		},
	}
}

// keeps caches the answers to some requests by method, URL and headers.
func keeps(these func(r *http.Request) bool) middleware {
	cache := caches(func(r *http.Request) string { return fmt.Sprint(r.Method, r.URL, r.Header) })
	return func(next http.Handler) http.Handler {
		cached := cache(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if these(r) {
				cached.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// caches keeps the answers to GET under a key, whatever they say about caches.
func caches(key func(r *http.Request) string) middleware {
	var mu sync.Mutex
	kept := map[string]*httptest.ResponseRecorder{}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			a, hit := kept[key(r)]
			if !hit || r.Method != "GET" {
				a = httptest.NewRecorder()
				next.ServeHTTP(a, r)
				if r.Method == "GET" && a.Code == 200 {
					kept[key(r)] = a
				}
			}
			write(w, a)
		})
	}
}

// noGrace refuses a refresh token that was used before.
func noGrace() middleware {
	var mu sync.Mutex
	used := map[string]bool{}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			text := readBody(r)
			a := httptest.NewRecorder()
			next.ServeHTTP(a, r)
			if refresh(r) && used[text] {
				problem(a, 401, "refresh_token_invalid")
			}
			used[text] = used[text] || refresh(r) && a.Code == 200
			write(w, a)
		})
	}
}

// repeatsPosts answers a refresh that was sent before as it was answered then.
func repeatsPosts() middleware {
	var mu sync.Mutex
	kept := map[string]*httptest.ResponseRecorder{}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			text := readBody(r)
			a, hit := kept[text]
			if !hit || !refresh(r) {
				a = httptest.NewRecorder()
				next.ServeHTTP(a, r)
				if refresh(r) && a.Code == 200 {
					kept[text] = a
				}
			}
			write(w, a)
		})
	}
}

// TestEachFaultIsSeen: the rows of a fault fail, and all others hold.
func TestEachFaultIsSeen(t *testing.T) {
	t.Parallel()
	for _, tt := range brokenServices() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var trusted []string
			if tt.trust != "" {
				trusted = append(trusted, tt.trust)
			}
			keys := signingKey
			if tt.keys != "" {
				keys = newKey(t, tt.keys) + "\n" + newKey(t, tt.keys) + "\n" + signingKey
			}
			s := newServiceWith(t, keys, trusted...)
			if tt.role != "" {
				s.grant(tt.role)
			}
			front := s.api
			if tt.fault != nil {
				front = tt.fault(front)
			}
			options := s.options(front)
			if tt.change != nil {
				tt.change(&options)
			}
			report, red := run(t, options)
			if diff := cmp.Diff(strings.Fields(tt.red), red); diff != "" {
				t.Errorf("the red rows (want -, got +):\n%s", diff)
			}
			wantExplained(t, report)
		})
	}
}

// wantExplained: each red row says what was seen, what that means and how to mend it.
func wantExplained(t *testing.T, report check.Report) {
	t.Helper()
	for _, r := range report.Rows {
		red := r.Outcome == check.Failed || r.Outcome == check.Warning
		if r.Seen == "" || red && (r.Means == "" || r.Mend == "") || !red && r.Means+r.Mend != "" {
			t.Errorf("%+v", r)
		}
	}
}

// TestEachRowHasFailed: a row that no fault makes red would check nothing.
func TestEachRowHasFailed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, tt := range append(brokenServices(), brokenTLS()...) {
		for _, name := range strings.Fields(tt.red) {
			seen[name] = true
		}
	}
	for _, row := range check.Rows() {
		if !seen[row.Name] {
			t.Errorf("no fault makes the row %s red", row.Name)
		}
		delete(seen, row.Name)
	}
	if len(seen) > 0 {
		t.Errorf("there are no such rows: %v", seen)
	}
}
