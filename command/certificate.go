package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
)

const (
	// expiryNotice is how long before a certificate expires the log begins to warn.
	expiryNotice = 14 * 24 * time.Hour
	// expiryInterval is how often it warns.
	expiryInterval = 24 * time.Hour
	// expiredInterval is how often it has an error afterwards: whoever looks late must find one.
	expiredInterval = 10 * time.Minute
)

// defaultACME is the directory of Let's Encrypt.
const defaultACME = acme.LetsEncryptURL

// transport is what the server shows to clients who speak TLS.
type transport struct {
	config   *tls.Config
	notAfter func() time.Time
	notice   func() time.Duration  // how long before that the log begins to warn
	files    *reloaded             // nil with ACME
	run      func(context.Context) // work for the background
	warning  expiryWarning
}

// NotAfter is when the certificate expires. It is zero while there is none.
func (t *transport) NotAfter() time.Time { return t.notAfter() }

// certificateEnd returns a function for the metrics: when the certificate expires. It is nil for plain HTTP.
func (f *files) certificateEnd() func() time.Time {
	if f.transport == nil {
		return nil
	}
	return f.transport.NotAfter
}

func (t *transport) warn(ctx context.Context) { t.warning.check(ctx, t.NotAfter(), t.notice()) }

// usesTLS reports whether the settings ask for TLS.
func (c *Config) usesTLS() bool { return c.TLSCert != "" || len(c.TLSDomains) > 0 }

func (c *Config) scheme() string {
	if c.usesTLS() {
		return "https"
	}
	return "http"
}

// checkTLS returns what is wrong with the settings of TLS, without a look at the files.
func (c *Config) checkTLS() (errs []error) {
	switch {
	case c.TLSCert != "" && c.TLSKey == "":
		errs = append(errs, newSettingError("tls-key",
			"it is empty, and the certificate of SHERPA_TLS_CERT needs its key"))
	case c.TLSCert == "" && c.TLSKey != "":
		errs = append(errs, newSettingError("tls-cert",
			"it is empty, and the key of SHERPA_TLS_KEY needs its certificate"))
	}
	if len(c.TLSDomains) == 0 {
		return errs
	}
	if c.TLSCert != "" || c.TLSKey != "" {
		errs = append(errs, newSettingError("tls-domains",
			"a certificate in a file is set as well; set one of the two"))
	}
	u, err := url.Parse(c.ACMEURL)
	if err != nil || u.Scheme != "https" || u.Host == "" { // RFC 8555, section 6.1
		errs = append(errs, newSettingError("acme-url", "%q is not a URL with https", c.ACMEURL))
	}
	if _, err := c.acmeFolder(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// checkTLSFiles returns what is wrong with the files that the settings name.
func (c *Config) checkTLSFiles() error {
	if len(c.TLSDomains) > 0 {
		_, err := c.acmeHTTP()
		return err
	}
	if c.TLSCert == "" || c.TLSKey == "" {
		return nil
	}
	if _, err := c.transportOfFiles(slog.New(slog.DiscardHandler), time.Now); err != nil {
		return fmt.Errorf("SHERPA_TLS_CERT and SHERPA_TLS_KEY: %w", err)
	}
	return nil
}

// warnOfPlainHTTP tells the operator when passwords and tokens can be read on their way.
func (c *Config) warnOfPlainHTTP(ctx context.Context, logger *slog.Logger) {
	if c.usesTLS() || c.loopback() || len(c.TrustedProxies) > 0 {
		return
	}
	logger.WarnContext(ctx, "passwords and tokens cross the network in the clear: set SHERPA_TLS_CERT and "+
		"SHERPA_TLS_KEY, or SHERPA_TLS_DOMAINS; or put a proxy that speaks TLS in front, and name it in "+
		"SHERPA_TRUSTED_PROXIES", "listen", c.Listen)
}

// newTransport returns nil when the settings ask for plain HTTP.
func (c *Config) newTransport(logger *slog.Logger) (*transport, error) {
	switch {
	case c.TLSCert != "":
		return c.transportOfFiles(logger, time.Now)
	case len(c.TLSDomains) > 0:
		return c.transportOfACME(logger)
	}
	return nil, nil //nolint:nilnil // plain HTTP has no transport of its own
}

func (c *Config) transportOfFiles(logger *slog.Logger, now func() time.Time) (*transport, error) {
	held := &certificate{now: now}
	files := &reloaded{
		what: "TLS certificate and key", paths: []string{c.TLSCert, c.TLSKey}, use: held.use,
		logger: logger, now: now,
		advice: "put a certificate that is valid now, and its own key, into the two files",
	}
	if err := files.start(); err != nil {
		return nil, err
	}
	return &transport{
		config:   &tls.Config{GetCertificate: held.get, MinVersion: tls.VersionTLS12},
		notAfter: held.NotAfter, notice: func() time.Duration { return expiryNotice }, files: files,
		run: func(context.Context) {},
		warning: expiryWarning{
			logger: logger, now: now, advice: "replace the two files; no restart is needed",
		},
	}, nil
}

// certificate is the one that new connections get. It may be replaced while handshakes go on.
type certificate struct {
	now  func() time.Time
	held atomic.Pointer[tls.Certificate]
}

// use takes the PEM texts of the certificate and its key. A certificate that is not valid now is refused
// when there is another one. It is the first one at a start, and a service without a good certificate is
// better than none: its clients can tell, the operator can replace the file, and the clock may be wrong.
func (c *certificate) use(contents [][]byte) error {
	pair, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return err
	}
	if c.held.Load() != nil {
		if err := checkValidity(pair.Leaf, c.now()); err != nil {
			return err
		}
	}
	c.held.Store(&pair)
	return nil
}

func checkValidity(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate expired at %s", leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s", leaf.NotBefore.Format(time.RFC3339))
	}
	return nil
}

// get is the GetCertificate of a server.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.held.Load(), nil }

// NotAfter is when the certificate expires.
func (c *certificate) NotAfter() time.Time { return c.held.Load().Leaf.NotAfter }

// expiryWarning logs that a certificate expires soon, or has expired.
type expiryWarning struct {
	logger *slog.Logger
	now    func() time.Time
	advice string
	said   time.Time
	level  slog.Level // of what was said
}

// check logs a warning once a day, and an error again and again when the time is over. A zero time stands for
// no certificate.
func (w *expiryWarning) check(ctx context.Context, notAfter time.Time, notice time.Duration) {
	left := notAfter.Sub(w.now())
	if notAfter.IsZero() || left > notice {
		w.said = time.Time{} // it was renewed
		return
	}
	level, text, interval := slog.LevelWarn, "the TLS certificate expires soon", expiryInterval
	if left < 0 {
		level, interval = slog.LevelError, expiredInterval
		text = "the TLS certificate has expired: clients refuse to connect, as the TLS handshake errors say"
	}
	if level == w.level && w.now().Sub(w.said) < interval {
		return
	}
	w.said, w.level = w.now(), level
	w.logger.Log(ctx, level, text, "not_after", notAfter.UTC(), "days_left", int(left/(24*time.Hour)),
		"advice", w.advice)
}
