package command

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSettingsDefaults(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]bool{
		"127.0.0.1:5000": true, "127.8.8.8:1": true, "[::1]:5000": true, "localhost:5000": true,
		":5000": false, "0.0.0.0:5000": false, "[::]:5000": false, "192.0.2.1:5000": false, "example.org:80": false,
	} {
		if got := (&Config{Listen: listen, Demo: "auto"}).demo(); got != want {
			t.Errorf("demo mode on %s: %v", listen, got)
		}
	}
}

func TestHashSlots(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, tt := range []struct {
		name  string
		cores int
		limit int64
		want  int
	}{
		{"no limit", 32, 0, 32}, {"small container, large machine", 32, 256 * mib, 2}, {"large container", 4, 4096 * mib, 4},
		{"tiny container", 4, 32 * mib, 1}, {"control groups version 1 without a limit", 8, 9223372036854771712, 8},
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

// FuzzSettings gives every setting a value from outside: the command refuses or works, and never shows a key.
func FuzzSettings(f *testing.F) {
	for _, seed := range [][2]string{
		{"LISTEN", ":x:y"}, {"LISTEN", ""}, {"ACCESS_TTL", "5"}, {"ACCESS_TTL", "-5m"}, {"DEMO", "maybe"},
		{"PASSWORD_MIN_LENGTH", "8 "}, {"PASSWORD_MIN_LENGTH", "1e9"}, {"TRUSTED_PROXIES", "10.0.0.0/8,,::/0"},
		{"LOG_LEVEL", "info+1"}, {"ACCESS_LOG", "TRUE"}, {"DATABASE_URL", "sqlite:a?b"}, {"SECRET_KEY_FILE", "\x00"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		const secret = "a secret that nobody may see"
		env := map[string]string{"SHERPA_" + name: value, "SHERPA_SECRET_KEY": secret}
		var out strings.Builder
		err := Run(t.Context(), []string{"key", "new"}, func(n string) (string, bool) { text, ok := env[n]; return text, ok }, Streams{strings.NewReader(""), &out, &out})
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

// TestReadmeNamesEverySetting compares the table with Config, defaults included.
func TestReadmeNamesEverySetting(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(SHERPA_[A-Z_]+)` \\| (?:`(.*?)`)? ?\\|").FindAllStringSubmatch(string(text), -1) {
		got[row[1]] = row[2]
	}
	want := map[string]string{"SHERPA_SECRET_KEY": ""}
	config := reflect.TypeFor[Config]()
	for i := range config.NumField() {
		if field := config.Field(i); field.IsExported() {
			want[variable(kebab(field.Name))] = field.Tag.Get("default")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if want["SHERPA_DATABASE_URL"] != defaultDatabase {
		t.Errorf("the default database is %s in one place and %s in the other", want["SHERPA_DATABASE_URL"], defaultDatabase)
	}
}

// kebab turns AccessTTL into access-ttl and DatabaseURLFile into database-url-file, as kong does.
func kebab(name string) string {
	return strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])|([A-Z])([A-Z][a-z])`).ReplaceAllString(name, "$1$3-$2$4"))
}
