package handlers

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"sherpa/models"
	"sherpa/security"
)

// TestSharedNews: equal news are encoded once, and others never get their body.
func TestSharedNews(t *testing.T) {
	t.Parallel()
	cursors := []security.Cursor{{}, {}}
	for i := range cursors {
		var err error
		if cursors[i], err = security.ParseCursor(fmt.Sprintf("%d.1.a", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	entries := []models.Revocation{
		{At: at, SessionID: "a", Ended: true}, {At: at, SessionID: "b", Ended: true},
	}
	later := []models.Revocation{{At: at, SessionID: "a"}, {At: at, SessionID: "b"}}
	all := security.News{Cursor: cursors[0], Reset: true, Entries: entries}
	var shared sharedNews
	encode := func(news security.News) []byte {
		body, err := shared.encode(news)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	first := encode(all)
	if again := encode(all); &again[0] != &first[0] {
		t.Error("equal news were encoded again")
	}
	for _, tt := range []struct {
		name string
		news security.News
	}{
		{"another poll", security.News{Cursor: cursors[1], Reset: true, Entries: entries}},
		{"no reset", security.News{Cursor: cursors[0], Entries: entries}},
		{"the second entry alone", security.News{Cursor: cursors[0], Reset: true, Entries: entries[1:]}},
		{"the first entry alone", security.News{Cursor: cursors[0], Reset: true, Entries: entries[:1]}},
		{"nothing", security.News{Cursor: cursors[0], Reset: true}},
		{"other entries", security.News{Cursor: cursors[0], Reset: true, Entries: later}},
	} {
		encode(all)
		if body := encode(tt.news); bytes.Equal(body, first) {
			t.Errorf("%s: %s", tt.name, body)
		}
	}
}
