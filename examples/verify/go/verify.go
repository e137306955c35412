// Package main verifies access tokens of Sherpa without asking it, and still feels a logout. The rules:
// docs/offline.md.
package main

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const wait, pause, keysAge, keysPause = 8 * time.Second, time.Second / 4, 5 * time.Minute, 10 * time.Second

// Claims are what a token says.
type Claims struct {
	jwt.RegisteredClaims
	SessionID string   `json:"sid"`
	Roles     []string `json:"roles"`
}

// revocation is what the feed says of a session, or of all of them.
type revocation struct {
	SessionID    string `json:"sid"`
	All          bool
	IssuedBefore time.Time `json:"issued_before"`
	At           time.Time
	Ended        bool
	Roles        []string
}

// state is what is known at one moment. It never changes.
type state struct {
	revocations map[string]revocation // by sid
	since       time.Time             // when the oldest good token was issued
	heard       time.Time             // when the latest news came
}

// Verifier keeps the public keys and the news of the feed. Create it with NewVerifier.
type Verifier struct {
	url, tokenFile string
	limit          time.Duration // without news for so long, it refuses every token
	parser         *jwt.Parser
	state          atomic.Pointer[state]
	ready          chan struct{} // closed with the first news

	mu     sync.Mutex
	keys   map[string]publicKey // by kid
	keysAt time.Time
}

type publicKey struct {
	ID        string `json:"kid"`
	Algorithm string `json:"alg"`
	X, Y      string
	key       any
}

// NewVerifier returns a verifier that follows the feed.
func NewVerifier(url, tokenFile, issuer, audience string, limit time.Duration) *Verifier {
	v := &Verifier{url: url, tokenFile: tokenFile, limit: limit, ready: make(chan struct{})}
	v.parser = jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256", "EdDSA"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
	v.state.Store(&state{})
	go v.follow()
	return v
}

// Ready is closed with the first news. Before that, Verify refuses every token.
func (v *Verifier) Ready() <-chan struct{} { return v.ready }

// Verify returns the claims of a good token, with the roles of now.
func (v *Verifier) Verify(token string) (claims Claims, err error) {
	if _, err := v.parser.ParseWithClaims(token, &claims, v.key); err != nil {
		return Claims{}, err
	}
	known := v.state.Load()
	revoked, found := known.revocations[claims.SessionID]
	switch {
	case claims.SessionID == "" || claims.NotBefore == nil || claims.IssuedAt == nil:
		return Claims{}, errors.New("it lacks a claim")
	case known.heard.IsZero() || time.Since(known.heard) > v.limit:
		return Claims{}, errors.New("there is no news of ended sessions")
	case claims.IssuedAt.Before(known.since):
		return Claims{}, errors.New("it is too old to know whether its session has ended")
	case found && revoked.Ended:
		return Claims{}, errors.New("its session has ended")
	case found:
		claims.Roles = revoked.Roles
	}
	return claims, nil
}

// key is the jwt.Keyfunc. An unknown key may be a new one, but strangers must not make it ask all the time.
func (v *Verifier) key(token *jwt.Token) (any, error) {
	id, _ := token.Header["kid"].(string)
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, known := v.keys[id]; !known && time.Since(v.keysAt) > keysPause {
		if err := v.readKeys(); err != nil {
			return nil, err
		}
	}
	if k, known := v.keys[id]; known && k.Algorithm == token.Method.Alg() {
		return k.key, nil
	}
	return nil, errors.New("nobody knows its key")
}

// readKeys needs the lock.
func (v *Verifier) readKeys() error {
	v.keysAt = time.Now()
	var set struct{ Keys []publicKey }
	if err := v.get("/.well-known/jwks.json", 5*time.Second, &set); err != nil {
		return err
	}
	v.keys = map[string]publicKey{}
	for _, k := range set.Keys {
		x, errX := base64.RawURLEncoding.DecodeString(k.X)
		y, errY := base64.RawURLEncoding.DecodeString(k.Y)
		err := cmp.Or(errX, errY)
		switch {
		case err == nil && k.Algorithm == "ES256":
			k.key, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		case err == nil && k.Algorithm == "EdDSA" && len(x) == ed25519.PublicKeySize:
			k.key = ed25519.PublicKey(x)
		}
		if err != nil {
			return err
		}
		if k.key != nil {
			v.keys[k.ID] = k
		}
	}
	return nil
}

func (v *Verifier) follow() {
	for cursor := ""; ; {
		var err error
		if cursor, err = v.readNews(cursor); err == nil {
			time.Sleep(pause)
			continue
		}
		fmt.Fprintln(os.Stderr, "verify:", err) // without news, Verify soon refuses everything
		cursor = ""                             // begin anew
		time.Sleep(time.Second)
	}
}

func (v *Verifier) readNews(cursor string) (string, error) {
	if err := v.refreshKeys(); err != nil {
		return "", err
	}
	wait := min(wait, (v.limit / 3).Truncate(time.Second))
	query := url.Values{"wait": {strconv.Itoa(int(wait.Seconds()))}}
	if cursor != "" {
		query.Set("after", cursor)
	}
	var news struct {
		Cursor        string
		CompleteSince time.Time `json:"complete_since"`
		Reset         bool
		Revocations   []revocation
	}
	if err := v.get("/auth/revocations?"+query.Encode(), wait+5*time.Second, &news); err != nil {
		return "", err
	}
	next := state{revocations: map[string]revocation{}, since: news.CompleteSince}
	last := v.state.Load()
	if !news.Reset {
		maps.Copy(next.revocations, last.revocations)
		next.since = later(next.since, last.since)
	}
	for _, r := range news.Revocations {
		if r.All {
			next.since = later(next.since, r.IssuedBefore)
		} else {
			next.revocations[r.SessionID] = r
		}
	}
	old := func(_ string, r revocation) bool { return r.At.Before(news.CompleteSince) }
	maps.DeleteFunc(next.revocations, old)
	next.heard = time.Now()
	v.state.Store(&next)
	if last.heard.IsZero() {
		close(v.ready)
	}
	return news.Cursor, nil
}

func (v *Verifier) refreshKeys() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.keysAt) < keysAge {
		return nil
	}
	return v.readKeys()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (v *Verifier) get(path string, timeout time.Duration, into any) error {
	token, err := os.ReadFile(v.tokenFile) // each time: it may be replaced
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodGet, v.url+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	response, err := (&http.Client{Timeout: timeout}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}
