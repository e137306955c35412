package command

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"sherpa/handlers"
)

// flushDelay is the longest time that a line about a request waits for others, so that they share one system
// call.
const flushDelay = 100 * time.Millisecond

// logs are where the server writes.
type logs struct {
	*slog.Logger
	access handlers.AccessLog // nil for none
	flush  func() error       // writes the lines that still wait
}

// newLogs returns the logs that the settings ask for. Warnings and errors never wait: they may be the last
// lines of the process.
func newLogs(config *Config, out io.Writer) logs {
	options := &slog.HandlerOptions{Level: config.LogLevel}
	var all logs
	if config.LogFormat == "text" || config.LogFormat == "auto" && isTerminal(out) {
		logger := slog.New(slog.NewTextHandler(out, options))
		all = logs{logger, handlers.SlogAccess{Logger: logger}, func() error { return nil }}
	} else {
		lines := &lineBuffer{out: bufio.NewWriterSize(out, 64<<10)}
		logger := slog.New(urgentHandler{slog.NewJSONHandler(lines, options), lines})
		all = logs{logger, jsonAccess{lines, config.LogLevel}, lines.Flush}
	}
	switch config.AccessLog {
	case "false":
		all.access = nil
	case "errors":
		all.access = onlyErrors{all.access}
	}
	return all
}

// onlyErrors leaves out the requests that went well.
type onlyErrors struct{ handlers.AccessLog }

// Log writes the line when its request failed.
func (l onlyErrors) Log(a handlers.Access) {
	if a.Status < 200 || a.Status >= 400 {
		l.AccessLog.Log(a)
	}
}

// lineBuffer collects lines for at most flushDelay.
type lineBuffer struct {
	mu        sync.Mutex
	out       *bufio.Writer
	scheduled bool
}

// Write keeps the line, and schedules a flush.
func (b *lineBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.schedule()
	return b.out.Write(line)
}

// schedule needs the lock.
func (b *lineBuffer) schedule() {
	if !b.scheduled {
		b.scheduled = true
		time.AfterFunc(flushDelay, func() { _ = b.Flush() }) // the next Write returns the error of the stream
	}
}

// Flush writes all lines.
func (b *lineBuffer) Flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scheduled = false
	return b.out.Flush()
}

// urgentHandler writes warnings and errors at once, after all lines before them.
type urgentHandler struct {
	slog.Handler
	lines *lineBuffer
}

// Handle writes the record.
func (h urgentHandler) Handle(ctx context.Context, record slog.Record) error {
	if err := h.Handler.Handle(ctx, record); err != nil || record.Level < slog.LevelWarn {
		return err
	}
	return h.lines.Flush()
}

// WithAttrs returns a handler that is as urgent.
func (h urgentHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgentHandler{h.Handler.WithAttrs(attrs), h.lines}
}

// WithGroup returns a handler that is as urgent.
func (h urgentHandler) WithGroup(name string) slog.Handler {
	return urgentHandler{h.Handler.WithGroup(name), h.lines}
}
