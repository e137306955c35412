package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// stumble sometimes does what may precede a login: it does not wait for the answer, or its password is wrong.
func (v *visitor) stumble() bool {
	if rand.N(8) == 0 {
		v.hungUp.Add(1)
		request := postFrom(v.address, credentials(v.username, v.password))
		if err := v.replicas[0].abandon(request, rand.N(60*time.Millisecond)); err != nil {
			v.t.Errorf("hang up: %v", err)
			return false
		}
	}
	if rand.N(4) != 0 {
		return true
	}
	r, ok := v.enter(http.StatusUnauthorized, "wrong")
	if ok && r.Code != "invalid_credentials" {
		v.t.Errorf("a wrong password: %+v", r)
	}
	return ok
}

func postFrom(address, body string) string {
	return post("/auth", "X-Forwarded-For: "+address, fmt.Sprintf("Content-Length: %d", len(body))) + body
}

// repeat sends a refresh token again whose answer seemed to be lost: the successor is the same.
func (v *visitor) repeat(before string, s session) bool {
	if rand.N(4) != 0 {
		return true
	}
	r, ok := v.insist(http.StatusOK, refreshRequest, refreshBody(before), "")
	if ok && r.Refresh != s.refresh {
		v.t.Errorf("two successors: %s and %s", s.refresh, r.Refresh)
	}
	return ok
}

// recognised asks who the newest access token belongs to.
func (v *visitor) recognised(s session) bool {
	r, ok := v.insist(http.StatusOK, meRequest, "", s.access)
	id, _, _ := strings.Cut(s.refresh, ".")
	if r.status == http.StatusOK && (r.SessionID != id || r.Username != v.username) {
		v.t.Errorf("session %s of %s became %+v", id, v.username, r)
	}
	return ok
}

// shutOut asks with both tokens of a session that has just ended.
func (v *visitor) shutOut(s session) bool {
	r, ok := v.insist(http.StatusUnauthorized, meRequest, "", s.access)
	if ok && !expired(s.access) && (r.Code != "session_ended" || r.Reason != s.ended) {
		v.t.Errorf("after the end by %s: %+v", s.ended, r)
	}
	r, again := v.insist(http.StatusUnauthorized, refreshRequest, refreshBody(s.refresh), "")
	if again && (r.Code != "session_ended" || r.Reason != s.ended) {
		v.t.Errorf("after the end by %s: %+v", s.ended, r)
	}
	return ok && again
}
