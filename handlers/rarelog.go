package handlers

import (
	"context"
	"log"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// rareInterval is how often an event of one kind is logged at most.
const rareInterval = time.Minute

// rareLog logs the first event of a kind at once, and those of the next minute as one line with their count.
// So nothing is lost, and a crowd of clients cannot fill the log.
type rareLog struct {
	logger *slog.Logger
	mu     sync.Mutex
	kinds  map[string]*repeats
}

// repeats are the events of a kind since the latest line.
type repeats struct {
	count int
	text  string // of the last one
}

func newRareLog(logger *slog.Logger) *rareLog {
	return &rareLog{logger: logger, kinds: map[string]*repeats{}}
}

// RareWarnings returns a function that logs a warning: the first of a kind at once, and those of the next
// minute as one line with their count. Kinds come from a bounded set.
func RareWarnings(logger *slog.Logger) func(kind, text string) {
	rare := newRareLog(logger)
	return func(kind, text string) { rare.log(slog.LevelWarn, kind, text) }
}

// log takes a kind from a bounded set, because each is kept for a minute.
func (l *rareLog) log(level slog.Level, kind, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r, ok := l.kinds[kind]; ok {
		r.count++
		r.text = text
		return
	}
	l.kinds[kind] = &repeats{}
	l.write(level, kind, repeats{1, text})
}

// write needs the lock. It looks again after rareInterval.
func (l *rareLog) write(level slog.Level, kind string, r repeats) {
	l.logger.Log(context.Background(), level, r.text, "count", r.count)
	time.AfterFunc(rareInterval, func() { l.flush(level, kind) })
}

func (l *rareLog) flush(level slog.Level, kind string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := *l.kinds[kind]
	if r.count == 0 {
		delete(l.kinds, kind)
		return
	}
	*l.kinds[kind] = repeats{}
	l.write(level, kind, r)
}

// standard returns a logger for net/http. It reports what it cannot tell a client, such as "http: Accept
// error: …", and each kind begins with three fixed words.
func (l *rareLog) standard() *log.Logger { return log.New(netHTTP{l}, "", 0) }

type netHTTP struct{ *rareLog }

// Write takes one message.
func (n netHTTP) Write(message []byte) (int, error) {
	text := strings.TrimSpace(string(message))
	words := strings.SplitN(text, " ", 4)
	if strings.Contains(text, "too many open files") {
		text += "; allow more with `ulimit -n`, or fewer connections with SHERPA_MAX_CONNECTIONS"
	}
	level := slog.LevelError
	if strings.HasPrefix(text, "http: TLS handshake error") { // by clients, of which the internet has many
		level = slog.LevelInfo
	}
	n.log(level, strings.Join(words[:min(3, len(words))], " "), text)
	return len(message), nil
}
