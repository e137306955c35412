package command

import (
	"crypto/x509"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sherpa/internal/testcert"
	"sherpa/internal/testlog"
)

// TestBadTLSRefusesTheStart: each fault names the setting or the file.
func TestBadTLSRefusesTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	soon := time.Now().AddDate(0, 1, 0)
	testcert.New(t, soon).Write(t, file("a.crt"), file("a.key"))
	testcert.New(t, soon).Write(t, file("b.crt"), file("b.key"))
	write(t, file("empty"), "")
	const postgres = "postgres://sherpa@127.0.0.1:1/sherpa"
	tests := []struct {
		name    string
		environ []string
		want    string
	}{
		{"a certificate alone", []string{"TLS_CERT=" + file("a.crt")},
			"SHERPA_TLS_KEY (--tls-key): it is empty"},
		{"a key alone", []string{"TLS_KEY=" + file("a.key")}, "SHERPA_TLS_CERT (--tls-cert): it is empty"},
		{"no such certificate", []string{"TLS_CERT=" + file("c.crt"), "TLS_KEY=" + file("a.key")},
			"SHERPA_TLS_CERT and SHERPA_TLS_KEY: open " + file("c.crt") + ": no such file"},
		{"no such key", []string{"TLS_CERT=" + file("a.crt"), "TLS_KEY=" + file("c.key")},
			"open " + file("c.key") + ": no such file"},
		{"a folder", []string{"TLS_CERT=" + dir, "TLS_KEY=" + file("a.key")}, "is a directory"},
		{"no pair", []string{"TLS_CERT=" + file("a.crt"), "TLS_KEY=" + file("b.key")},
			"private key does not match public key"},
		{"an empty key", []string{"TLS_CERT=" + file("a.crt"), "TLS_KEY=" + file("empty")},
			"failed to find any PEM data in key input"},
		{"exchanged", []string{"TLS_CERT=" + file("a.key"), "TLS_KEY=" + file("a.crt")},
			"failed to find certificate PEM data in certificate input, but did find a private key"},
		{"a pair and domains", []string{"TLS_CERT=" + file("a.crt"), "TLS_KEY=" + file("a.key"),
			"TLS_DOMAINS=example.org"}, "SHERPA_TLS_DOMAINS (--tls-domains): a certificate in a file is set"},
		{"an address", []string{"TLS_DOMAINS=192.0.2.1"}, "addresses and wildcards get no certificate"},
		{"a wildcard", []string{"TLS_DOMAINS=*.example.org"}, "addresses and wildcards get no certificate"},
		{"a name without a dot", []string{"TLS_DOMAINS=localhost"}, "is not a list of names"},
		{"ACME over plain HTTP", []string{"TLS_DOMAINS=example.org", "ACME_URL=http://example.org/dir"},
			"SHERPA_ACME_URL (--acme-url): \"http://example.org/dir\" is not a URL with https"},
		{"no folder", []string{"TLS_DOMAINS=example.org", "DATABASE_URL=" + postgres},
			"SHERPA_ACME_DIR (--acme-dir): with PostgreSQL there is no folder for certificates"},
		{"no authority", []string{"TLS_DOMAINS=example.org", "ACME_CA=" + file("empty"), "ACME_DIR=" + dir},
			"SHERPA_ACME_CA (--acme-ca): " + file("empty") + " holds no certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			environ := []string{"SHERPA_LISTEN=127.0.0.1:0", "SHERPA_SECRET_KEY=" + keyA,
				"SHERPA_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "sherpa.db")}
			for _, setting := range tt.environ {
				environ = append(environ, "SHERPA_"+setting)
			}
			std := Streams{strings.NewReader(""), io.Discard, io.Discard}
			err := Run(t.Context(), []string{"serve"}, environ, Build{}, std)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestWarningOfPlainHTTP warns where a stranger could listen, and nowhere else.
func TestWarningOfPlainHTTP(t *testing.T) {
	t.Parallel()
	proxies := prefixes{netip.MustParsePrefix("10.0.0.0/8")}
	for name, tt := range map[string]struct {
		config Config
		warns  bool
	}{
		"loopback":             {Config{Listen: "127.0.0.1:5000"}, false},
		"localhost":            {Config{Listen: "localhost:5000"}, false},
		"everywhere":           {Config{Listen: ":5000"}, true},
		"an address":           {Config{Listen: "192.0.2.1:5000"}, true},
		"with demo off":        {Config{Listen: "0.0.0.0:5000", Demo: "false"}, true},
		"a proxy":              {Config{Listen: ":5000", TrustedProxies: proxies}, false},
		"a certificate":        {Config{Listen: ":5000", TLSCert: "a", TLSKey: "b"}, false},
		"ACME":                 {Config{Listen: ":5000", TLSDomains: domains{"example.org"}}, false},
		"a proxy and loopback": {Config{Listen: "[::1]:5000", TrustedProxies: proxies}, false},
	} {
		var log testlog.Buffer
		tt.config.warnOfPlainHTTP(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
		if got := strings.Contains(log.String(), "passwords and tokens cross the network"); got != tt.warns {
			t.Errorf("%s: warned: %v, want %v", name, got, tt.warns)
		}
	}
}

// TestOpenTLSKeyIsWarnedOf: as for the signing keys.
func TestOpenTLSKeyIsWarnedOf(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a mode says nothing there")
	}
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o644: 1} {
		path := filepath.Join(t.TempDir(), "key")
		write(t, path, "a key")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		var log testlog.Buffer
		config := &Config{TLSKey: path, secretSet: true}
		config.warnOfOpenKeyFiles(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
		wantLines(t, &log, "can read or change the key of TLS", want)
	}
}

// TestNoticeOfShortCertificates: they are renewed by themselves, so that two weeks would always be too late.
func TestNoticeOfShortCertificates(t *testing.T) {
	t.Parallel()
	var all issued
	if got := all.notice(); got != expiryNotice || !all.NotAfter().IsZero() {
		t.Errorf("without a certificate: %v", got)
	}
	const day = 24 * time.Hour
	for lifetime, want := range map[time.Duration]time.Duration{
		6 * day: day, 45 * day: 180 * time.Hour, 90 * day: 14 * day,
	} {
		now := time.Now()
		all.first.Store(&x509.Certificate{NotBefore: now, NotAfter: now.Add(lifetime)})
		if got := all.notice(); got != want {
			t.Errorf("%v: %v, want %v", lifetime, got, want)
		}
	}
}

func TestParseDomains(t *testing.T) {
	t.Parallel()
	got, err := parseDomains("API.example.org, bücher.example")
	if err != nil || strings.Join(got, " ") != "api.example.org xn--bcher-kva.example" {
		t.Errorf("%v, %v", got, err)
	}
}
