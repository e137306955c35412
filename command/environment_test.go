package command

import (
	"errors"
	"strings"
	"testing"
)

func TestUnknownSettings(t *testing.T) {
	t.Parallel()
	known := []string{
		"SHERPA_SECRET_KEY", "SHERPA_ACCESS_TTL", "SHERPA_DATABASE_URL", "SHERPA_DATABASE_URL_FILE",
		"SHERPA_DEMO", "SHERPA_LISTEN",
	}
	const help = ": sherpa --help lists all of them"
	for _, tt := range []struct{ name, entry, want string }{
		{"a setting", "SHERPA_ACCESS_TTL=5m", ""},
		{"an empty one", "SHERPA_DEMO=", ""},
		{"the one without a flag", "SHERPA_SECRET_KEY=x", ""},
		{"another program's", "MYSHERPA_X=1", ""},
		{"the prefix alone", "SHERPA=1", ""},
		{"a letter is missing", "SHERPA_ACESS_TTL=1m", ": did you mean SHERPA_ACCESS_TTL?"},
		{"an underscore is missing", "SHERPA_DATABASEURL=x", ": did you mean SHERPA_DATABASE_URL?"},
		{"the end is missing", "SHERPA_DATABASE=x", ": did you mean SHERPA_DATABASE_URL?"},
		{"no twin for a file", "SHERPA_SECRET_KEYFILE=x", ": did you mean SHERPA_SECRET_KEY?"},
		{"an empty one that is unknown", "SHERPA_DEMOS=", ": did you mean SHERPA_DEMO?"},
		{"unlike all", "SHERPA_VOLCANO_HEIGHT=8849", help},
		{"a port, which Kubernetes sets as a URL", "SHERPA_PORT=5000", help},
		{"no port of a Service", "SHERPA_SERVICE_PORT=any", help},
	} {
		want := tt.want
		if want != "" {
			name, _, _ := strings.Cut(tt.entry, "=")
			want = name + " is not a setting" + want
		}
		got := ""
		if err := errors.Join(newEnvironment([]string{tt.entry}).unknownSettings(known)...); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", tt.name, got, want)
		}
	}
}

// TestServiceLinks has what Kubernetes sets for the Services sherpa and sherpa-db.
func TestServiceLinks(t *testing.T) {
	t.Parallel()
	env := newEnvironment([]string{
		"SHERPA_SERVICE_HOST=10.0.0.11", "SHERPA_SERVICE_PORT=80", "SHERPA_SERVICE_PORT_HTTP=80",
		"SHERPA_PORT=tcp://10.0.0.11:80", "SHERPA_PORT_80_TCP=tcp://10.0.0.11:80",
		"SHERPA_PORT_80_TCP_PROTO=tcp", "SHERPA_PORT_80_TCP_PORT=80", "SHERPA_PORT_80_TCP_ADDR=10.0.0.11",
		"SHERPA_DB_SERVICE_HOST=fd00::1", "SHERPA_DB_SERVICE_PORT=53", "SHERPA_DB_PORT=udp://[fd00::1]:53",
		"SHERPA_DB_PORT_53_UDP=udp://[fd00::1]:53", "SHERPA_DB_PORT_53_UDP_ADDR=fd00::1",
	})
	if errs := env.unknownSettings(nil); len(errs) > 0 {
		t.Error(errors.Join(errs...))
	}
}
