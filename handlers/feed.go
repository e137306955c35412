package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/models"
	"sherpa/security"
)

const (
	// maxWait is how long a request for news may wait.
	maxWait = 25 * time.Second
	// newsTimeout bounds a request for news altogether: the server ends an answer after writeTimeout, and the
	// rest is for writing it.
	newsTimeout = writeTimeout - 3*time.Second
)

// Feed tells programs that verify tokens themselves which sessions have ended, or have other roles.
type Feed struct {
	Service  *security.Service
	Stopping <-chan struct{} // closed when the process has been told to stop; nil is never

	latest sharedNews
}

// sharedNews is the latest answer. A poll wakes all who wait, and most lack the same. The end of 50 000
// sessions makes an answer of 5 MB: a thousand readers must not each encode and hold one.
type sharedNews struct {
	mu   sync.Mutex
	key  newsKey
	body []byte
}

// newsKey is equal for equal news. Entries are shared and never change, so the first one says which they are.
type newsKey struct {
	cursor security.Cursor
	reset  bool
	first  *models.Revocation
	count  int
}

type feedResponse struct {
	Cursor        string               `json:"cursor"`
	CompleteSince time.Time            `json:"complete_since"`
	Reset         bool                 `json:"reset"`
	Revocations   []revocationResponse `json:"revocations"`
}

// revocationResponse is about one session, or about all of them.
type revocationResponse struct {
	SessionID    string    `json:"sid,omitempty"`
	All          bool      `json:"all,omitempty"`
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	At           time.Time `json:"at"`
	Ended        bool      `json:"ended"`
	Roles        []string  `json:"roles,omitzero"` // of a session that lives, and may have none
}

// Get answers with what there is after the cursor, or waits for it. It does not wait while the process is
// about to stop.
func (f *Feed) Get(c *gin.Context) error {
	after, wait, err := readFeed(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), newsTimeout)
	defer cancel()
	news, err := f.Service.News(ctx, after, wait, f.Stopping)
	if err != nil {
		return err
	}
	body, err := f.latest.encode(news)
	if err != nil {
		return err
	}
	c.Data(http.StatusOK, "application/json; charset=utf-8", body)
	return nil
}

// encode returns the body of the answer, which must not be changed.
func (s *sharedNews) encode(news security.News) ([]byte, error) {
	key := newsKey{news.Cursor, news.Reset, firstOf(news.Entries), len(news.Entries)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.body != nil && s.key == key {
		return s.body, nil
	}
	body, err := json.Marshal(viewNews(news))
	if err != nil {
		return nil, fmt.Errorf("encode news: %w", err)
	}
	s.key, s.body = key, body
	return body, nil
}

func readFeed(c *gin.Context) (after security.Cursor, wait time.Duration, err error) {
	if text, ok := c.GetQuery("after"); ok {
		if after, err = security.ParseCursor(text); err != nil {
			return after, 0, InvalidRequest(
				"The query parameter `after` is no cursor: send `cursor` of an answer, or leave it out.")
		}
	}
	if text, ok := c.GetQuery("wait"); ok {
		seconds, err := strconv.ParseUint(text, 10, 8)
		if wait = time.Duration(seconds) * time.Second; err != nil || wait > maxWait {
			return after, 0, InvalidRequest(fmt.Sprintf(
				"The query parameter `wait` is a number of seconds from 0 to %d.", int(maxWait.Seconds())))
		}
	}
	return after, wait, nil
}

func firstOf(entries []models.Revocation) *models.Revocation {
	if len(entries) == 0 {
		return nil
	}
	return &entries[0]
}

func viewNews(news security.News) feedResponse {
	view := feedResponse{
		Cursor: news.Cursor.String(), CompleteSince: news.CompleteSince.UTC(), Reset: news.Reset,
		Revocations: make([]revocationResponse, 0, len(news.Entries)),
	}
	for _, e := range news.Entries {
		view.Revocations = append(view.Revocations, viewRevocation(e))
	}
	return view
}

func viewRevocation(e models.Revocation) revocationResponse {
	view := revocationResponse{SessionID: e.SessionID, At: e.At, Ended: e.Ended, Roles: e.Roles}
	if e.SessionID == models.EverySession {
		view.SessionID, view.All, view.IssuedBefore = "", true, security.IssuedBefore(e)
	}
	return view
}
