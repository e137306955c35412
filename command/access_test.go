package command

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"testing"
	"time"

	"sherpa/handlers"
)

func usualAccess() handlers.Access {
	return handlers.Access{
		At: time.Date(2026, 11, 24, 1, 2, 3, 400, time.UTC), Level: slog.LevelInfo, Method: "GET",
		Route: "/mountain/:name", Status: 200, Took: 1234 * time.Microsecond, Client: "192.0.2.1",
		RequestID: "1zb5u66akpckb", UserID: 7,
	}
}

// TestAccessLineIsThatOfSlog compares the two ways to write a line.
func TestAccessLineIsThatOfSlog(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*handlers.Access)
	}{
		{"the usual one", func(*handlers.Access) {}},
		{"nobody", func(a *handlers.Access) { a.UserID = 0 }},
		{"no route", func(a *handlers.Access) { a.Route, a.Status = "", 404 }},
		{"neither", func(a *handlers.Access) { a.Route, a.UserID = "", 0 }},
		{"with a trace", func(a *handlers.Access) {
			a.TraceID, a.SpanID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
		}},
		{"another zone", func(a *handlers.Access) { a.At = a.At.In(time.FixedZone("", 3600)) }},
		{"a whole second", func(a *handlers.Access) { a.At = a.At.Truncate(time.Second) }},
		{"a warning", func(a *handlers.Access) { a.Level = slog.LevelWarn }},
		{"a level that is left out", func(a *handlers.Access) { a.Level = slog.LevelDebug }},
		{"letters of other scripts", func(a *handlers.Access) { a.Route = "/berg/höhe/山" }},
		{"what must be escaped", func(a *handlers.Access) { a.Method = "A\"\\\n\t\x01<&>" }},
		{"an address with a zone", func(a *handlers.Access) { a.Client = "fe80::1%eth0" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := usualAccess()
			tt.change(&a)
			var want, got bytes.Buffer
			handlers.SlogAccess{Logger: slog.New(slog.NewJSONHandler(&want, nil))}.Log(a)
			lines := &lineBuffer{out: bufio.NewWriter(&got)}
			jsonAccess{lines, slog.LevelInfo}.Log(a)
			if err := lines.Flush(); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("the line is\n%sslog writes\n%s", got.String(), want.String())
			}
		})
	}
}

func BenchmarkAccessLine(b *testing.B) {
	lines := &lineBuffer{out: bufio.NewWriterSize(io.Discard, 64<<10)}
	for name, log := range map[string]handlers.AccessLog{
		"slog": handlers.SlogAccess{Logger: slog.New(slog.NewJSONHandler(lines, nil))},
		"ours": jsonAccess{lines, slog.LevelInfo},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				log.Log(usualAccess())
			}
		})
	}
}
