package handlers

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sherpa/internal/testlog"
)

func TestRareLogCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out testlog.Buffer
		drop := func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
		log := newRareLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: drop})))
		for _, text := range []string{"first", "second", "third"} {
			log.log(slog.LevelWarn, "a", text)
		}
		log.log(slog.LevelError, "b", "other")
		time.Sleep(2 * rareInterval) // by the clock of the bubble: the second minute is quiet
		log.log(slog.LevelWarn, "a", "again")
		time.Sleep(2 * rareInterval)
		want := []string{
			"level=WARN msg=first count=1", "level=ERROR msg=other count=1", "level=WARN msg=third count=2",
			"level=WARN msg=again count=1",
		}
		if got := strings.TrimSpace(out.String()); got != strings.Join(want, "\n") {
			t.Errorf("logged\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
	})
}
