package command

import (
	"log/slog"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"sherpa/handlers"
)

// jsonAccess writes access lines as slog's JSON handler does, byte for byte, but without allocations. The
// access log is most of what this service writes.
type jsonAccess struct {
	lines *lineBuffer
	level slog.Level // the lowest that is written
}

// Log keeps the line until the next flush.
func (j jsonAccess) Log(a handlers.Access) {
	if a.Level < j.level {
		return
	}
	j.lines.mu.Lock()
	defer j.lines.mu.Unlock()
	j.lines.schedule()
	_, _ = j.lines.out.Write(appendAccess(j.lines.out.AvailableBuffer(), a)) // an error has no reader
}

func appendAccess(line []byte, a handlers.Access) []byte {
	line = append(line, `{"time":"`...)
	line = a.At.AppendFormat(line, time.RFC3339Nano)
	line = append(line, `","level":"`...)
	line = append(line, a.Level.String()...)
	line = append(line, `","msg":"request","http.request.method":`...)
	line = appendText(line, a.Method)
	if a.Route != "" {
		line = append(line, `,"http.route":`...)
		line = appendText(line, a.Route)
	}
	line = append(line, `,"http.response.status_code":`...)
	line = strconv.AppendInt(line, int64(a.Status), 10)
	line = append(line, `,"duration_us":`...)
	line = strconv.AppendInt(line, a.Took.Microseconds(), 10)
	line = append(line, `,"client.address":`...)
	line = appendText(line, a.Client)
	line = append(line, `,"request_id":`...)
	line = appendText(line, a.RequestID)
	if a.TraceID != "" {
		line = append(line, `,"trace_id":"`...)
		line = append(line, a.TraceID...)
		line = append(line, `","span_id":"`...)
		line = append(line, a.SpanID...)
		line = append(line, '"')
	}
	if a.UserID != 0 {
		line = append(line, `,"user.id":"`...)
		line = strconv.AppendInt(line, a.UserID, 10)
		line = append(line, '"')
	}
	return append(line, "}\n"...)
}

// appendText quotes a text; invalid UTF-8 becomes U+FFFD.
func appendText(line []byte, text string) []byte {
	line, _ = jsontext.AppendQuote(line, text) // the error only tells of invalid UTF-8
	return line
}
