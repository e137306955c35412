package command

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestAccessLogSetting(t *testing.T) {
	t.Parallel()
	statuses := []int{101, 200, 204, 302, 399, 400, 401, 404, 500, 503}
	tests := []struct {
		setting string
		want    string // the statuses that are logged
	}{
		{"true", "101 200 204 302 399 400 401 404 500 503"},
		{"errors", "101 400 401 404 500 503"},
		{"false", ""},
	}
	for _, format := range []string{"json", "text"} {
		for _, tt := range tests {
			t.Run(format+", "+tt.setting, func(t *testing.T) {
				t.Parallel()
				var out bytes.Buffer
				logs := newLogs(&Config{AccessLog: tt.setting, LogFormat: format}, &out)
				var logged []string
				for _, status := range statuses {
					if logs.access == nil {
						break
					}
					a := usualAccess()
					a.Status = status
					logs.access.Log(a)
				}
				if err := logs.flush(); err != nil {
					t.Fatal(err)
				}
				for _, status := range statuses {
					if strings.Contains(out.String(), fmt.Sprintf(field(format), status)) {
						logged = append(logged, fmt.Sprint(status))
					}
				}
				if got := strings.Join(logged, " "); got != tt.want {
					t.Errorf("logged %q, want %q:\n%s", got, tt.want, out.String())
				}
			})
		}
	}
}

// field is how a format writes the status.
func field(format string) string {
	if format == "json" {
		return `"http.response.status_code":%d,`
	}
	return "http.response.status_code=%d "
}
