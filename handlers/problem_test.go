package handlers

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"sherpa/models"
	"sherpa/security"
)

// TestAdviceStandsWhereSomebodyMustAct: on each line that wakes somebody, and on no other.
func TestAdviceStandsWhereSomebodyMustAct(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		err    error
		level  string
		advice string
	}{
		{"a defect", errors.New("oops"), "ERROR", "report it"},
		{"an outage", models.ErrUnavailable, "ERROR", "the database runs"},
		{"a flood", &security.Error{Code: security.Overloaded}, "WARN", "add cores"},
		{"a bad token", &security.Error{Code: security.TokenInvalid}, "INFO", ""},
		{"a stop", &Error{Code: stopping}, "DEBUG", ""},
		{"no such thing", NotFound("x"), "DEBUG", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			logger := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
			c, _ := gin.CreateTestContext(httptest.NewRecorder())
			c.Request = httptest.NewRequest("GET", "/", nil)
			(&renderer{catalogue: newCatalogue(), logger: logger}).write(c, tt.err)
			line := out.String()
			if !strings.Contains(line, `"level":"`+tt.level+`"`) || !strings.Contains(line, tt.advice) ||
				strings.Contains(line, `"advice"`) != (tt.advice != "") {
				t.Error(line)
			}
		})
	}
}
