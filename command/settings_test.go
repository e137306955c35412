package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"sherpa/internal/testpage"
)

func TestSettingsDefaults(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]bool{
		"127.0.0.1:5000": true, "127.8.8.8:1": true, "[::1]:5000": true, "localhost:5000": true,
		":5000": false, "0.0.0.0:5000": false, "[::]:5000": false, "192.0.2.1:5000": false,
		"example.org:80": false,
	} {
		if got := (&Config{Listen: listen, Demo: "auto"}).demo(); got != want {
			t.Errorf("demo mode on %s: %v", listen, got)
		}
	}
}

func TestHashSlots(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		cores int
		limit int64
		want  int
	}{
		{"no limit", 32, 0, 32}, {"small container, large machine", 32, 256 * mib, 2}, {"large container", 4,
			4096 * mib, 4},
		{"tiny container", 4, 32 * mib, 1}, {"control groups version 1 without a limit", 8,
			9223372036854771712, 8},
	} {
		if got := hashSlots(tt.cores, tt.limit); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestReachable(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		":5000": "localhost:5000", "0.0.0.0:80": "localhost:80", "[::]:80": "localhost:80",
		"127.0.0.1:5000": "127.0.0.1:5000", "[::1]:5000": "[::1]:5000",
	} {
		if got := reachable(listen); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	const form, around = "http:// or https:// with a host", "nothing may stand in front of the host"
	for _, tt := range []struct{ name, text, fault string }{
		{"a host", "https://app.example.org", ""},
		{"a port", "http://localhost:3000", ""},
		{"an address", "http://192.0.2.1:8080", ""},
		{"IPv6", "http://[::1]:8080", ""},
		{"another alphabet", "https://xn--mnchen-3ya.example", ""},
		{"several", "https://a.example, https://b.example", ""},
		{"null", "null", "any page can have the origin null"},
		{"everybody", "*", "no wildcards"},
		{"a wildcard", "https://*.example.org", "no wildcards"},
		{"nothing between commas", "https://a.example,,https://b.example", form},
		{"no scheme", "app.example.org", form},
		{"another scheme", "ftp://app.example.org", form},
		{"an extension", "chrome-extension://abcdef", form},
		{"no host", "https://", form},
		{"no host but a port", "https://:8443", form},
		{"a space", "https://app .example.org", form},
		{"a slash", "https://app.example.org/", around},
		{"a path", "https://app.example.org/login", around},
		{"a query", "https://app.example.org?", around},
		{"a fragment", "https://app.example.org#", around},
		{"a user", "https://me@app.example.org", around},
		{"capitals", "https://App.example.org", "lower case"},
		{"letters that browsers encode", "https://münchen.example", "begins with xn--"},
		{"the usual port", "https://app.example.org:443", "leave out the usual port"},
		{"the usual port of HTTP", "http://app.example.org:80", "leave out the usual port"},
		{"a port of the other scheme", "http://app.example.org:443", ""},
		{"an empty port", "https://app.example.org:", "no number"},
		{"a port that is too large", "https://app.example.org:65536", "no number"},
		{"a port with zeros", "https://app.example.org:08443", "no number"},
	} {
		_, err := parseOrigins(tt.text)
		if (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.fault)
		}
	}
}

// FuzzSettings gives every setting a value from outside: the command refuses or works, and never shows a key.
func FuzzSettings(f *testing.F) {
	for _, seed := range [][2]string{
		{"LISTEN", ":x:y"}, {"LISTEN", ""}, {"ACCESS_TTL", "5"}, {"ACCESS_TTL", "-5m"}, {"DEMO", "maybe"},
		{"PASSWORD_MIN_LENGTH", "8 "}, {"PASSWORD_MIN_LENGTH", "1e9"}, {"TRUSTED_PROXIES",
			"10.0.0.0/8,,::/0"},
		{"CORS_ORIGINS", "https://a.example,null"},
		{"LOG_LEVEL", "info+1"}, {"ACCESS_LOG", "TRUE"}, {"DATABASE_URL", "sqlite:a?b"}, {"SECRET_KEY_FILE",
			"\x00"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		const secret = "a secret that nobody may see"
		environ := []string{"SHERPA_" + name + "=" + value, "SHERPA_SECRET_KEY=" + secret}
		var out strings.Builder
		err := Run(t.Context(), []string{"key", "new"}, environ, Build{},
			Streams{strings.NewReader(""), &out, &out})
		if err == nil && out.Len() == 0 {
			t.Errorf("%s=%q: neither an error nor a key", name, value)
		}
		if strings.Contains(out.String()+fmt.Sprint(err), secret) {
			t.Errorf("%s=%q: the key was shown", name, value)
		}
	})
}

func TestWriteOnceKeepsTheFirst(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/secret.key"
	for _, text := range []string{"first", "second"} {
		if err := writeOnce(path, text); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); string(got) != "first" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := writeOnce("/nonexistent/folder/secret.key", "x"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestSettingsPage compares docs/settings.md with the flags. Renew the page with:
//
//	go test ./command -run TestSettingsPage -update
func TestSettingsPage(t *testing.T) {
	t.Parallel()
	want, err := settingsTable()
	if err != nil {
		t.Fatal(err)
	}
	testpage.Compare(t, "../docs/settings.md", "settings", want, *update,
		"go test ./command -run TestSettingsPage -update")
}

var update = flag.Bool("update", false, "write docs/settings.md")

// settingsTable is the reference of all settings in Markdown, as --help has it.
func settingsTable() (string, error) {
	var line commandLine
	parser, err := newParser(&line, func(string) (string, bool) { return "", false }, &[]error{})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| variable | flag | default | meaning |\n|---|---|---|---|\n")
	help := settingHelp()
	for _, flag := range parser.Model.Flags {
		if !isSetting(flag) {
			continue
		}
		value := ""
		if flag.Default != "" {
			value = "`" + flag.Default + "`"
		}
		meaning := strings.ReplaceAll(help[flag.Name], "|", "\\|")
		fmt.Fprintf(&b, "| `%s` | `--%s` | %s | %s |\n", variable(flag.Name), flag.Name, value, meaning)
	}
	return b.String(), nil
}

func TestEverySettingHasHelp(t *testing.T) {
	t.Parallel()
	var line commandLine
	parser, err := newParser(&line, func(string) (string, bool) { return "", false }, &[]error{})
	if err != nil {
		t.Fatal(err)
	}
	help := settingHelp()
	for _, flag := range parser.Model.Flags {
		if isSetting(flag) && help[flag.Name] == "" {
			t.Errorf("--%s has no help", flag.Name)
		}
		delete(help, flag.Name)
	}
	for name := range help {
		t.Errorf("there is help for --%s, but no such setting", name)
	}
}

// TestSpareProcsFollowTheDefault also checks that the work ends with its context.
func TestSpareProcsFollowTheDefault(t *testing.T) { // not parallel: GOMAXPROCS is the process's
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	runtime.SetDefaultGOMAXPROCS()
	want := runtime.GOMAXPROCS(0) + spareProcs
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	addSpareProcs(ctx)
	if got := runtime.GOMAXPROCS(0); got != want {
		t.Errorf("GOMAXPROCS is %d, want %d", got, want)
	}
}

func TestMaxConnections(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		setting int
		limit   uint64
		want    int
	}{
		{"the setting wins", 7, 1024, 7},
		{"the limit of most shells", 0, 1024, 984},
		{"a tight limit", 0, 64, 24},
		{"a limit below what the rest needs", 0, 30, 7},
		{"no limit", 0, 0, 10_000},
		{"a huge limit", 0, 1 << 20, 10_000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := maxConnections(tt.setting, tt.limit); got != tt.want {
				t.Errorf("%d connections, want %d", got, tt.want)
			}
		})
	}
}
