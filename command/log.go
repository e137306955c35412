package command

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// flushDelay is the most that a line about a request waits for others, so that they share one system call.
const flushDelay = 100 * time.Millisecond

// newLogger returns a logger and a function that writes what still waits. Warnings and errors never wait: they may be
// the last words of the process.
func newLogger(config *Config, out io.Writer) (*slog.Logger, func() error) {
	options := &slog.HandlerOptions{Level: config.LogLevel}
	if config.LogFormat == "text" || config.LogFormat == "auto" && isTerminal(out) {
		return slog.New(slog.NewTextHandler(out, options)), func() error { return nil }
	}
	lines := &lineBuffer{out: bufio.NewWriterSize(out, 64<<10)}
	return slog.New(urgentHandler{slog.NewJSONHandler(lines, options), lines}), lines.Flush
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// lineBuffer collects lines for at most flushDelay.
type lineBuffer struct {
	mu        sync.Mutex
	out       *bufio.Writer
	scheduled bool
}

// Write keeps the line, and sees to it that it is written soon.
func (b *lineBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.scheduled {
		b.scheduled = true
		time.AfterFunc(flushDelay, func() { _ = b.Flush() }) // the next Write reports what is wrong with the stream
	}
	return b.out.Write(line)
}

// Flush writes what is there.
func (b *lineBuffer) Flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scheduled = false
	return b.out.Flush()
}

// urgentHandler writes warnings and errors at once, with all that came before them.
type urgentHandler struct {
	slog.Handler
	lines *lineBuffer
}

// Handle passes the record on.
func (h urgentHandler) Handle(ctx context.Context, record slog.Record) error {
	if err := h.Handler.Handle(ctx, record); err != nil || record.Level < slog.LevelWarn {
		return err
	}
	return h.lines.Flush()
}

// WithAttrs keeps the urgency.
func (h urgentHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgentHandler{h.Handler.WithAttrs(attrs), h.lines}
}

// WithGroup keeps the urgency.
func (h urgentHandler) WithGroup(name string) slog.Handler {
	return urgentHandler{h.Handler.WithGroup(name), h.lines}
}
