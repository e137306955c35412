package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"sherpa/models"
)

const (
	// acmeInterval is how often the certificates are looked at. autocert renews them by itself.
	acmeInterval = time.Hour
	// acmeRetry is how long to wait after a failure: Let's Encrypt allows five an hour for each domain.
	acmeRetry = 15 * time.Minute
	// acmeTimeout bounds each request to the server of the authority.
	acmeTimeout = 30 * time.Second
)

// issued is certificates that an authority issues by ACME (RFC 8555). The authority proves that a domain is
// ours on the port that we serve, by TLS-ALPN-01 (RFC 8737).
type issued struct {
	domains []string
	get     func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	logger  *slog.Logger
	first   atomic.Pointer[x509.Certificate] // the one that expires first; nil before there is one
}

func (c *Config) transportOfACME(logger *slog.Logger) (*transport, error) {
	manager, err := c.acmeManager()
	if err != nil {
		return nil, err
	}
	all := &issued{domains: c.TLSDomains, get: manager.GetCertificate, logger: logger}
	return &transport{
		config: manager.TLSConfig(), notAfter: all.NotAfter, notice: all.notice, run: all.run,
		warning: expiryWarning{logger: logger, now: time.Now, advice: "the log says why it was not renewed"},
	}, nil
}

func (c *Config) acmeManager() (*autocert.Manager, error) {
	folder, err := c.acmeFolder()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("ACME: make the folder for certificates: %w", err)
	}
	client, err := c.acmeHTTP()
	if err != nil {
		return nil, err
	}
	return &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(folder),
		HostPolicy: autocert.HostWhitelist(c.TLSDomains...),
		Client:     &acme.Client{DirectoryURL: c.ACMEURL, HTTPClient: client, UserAgent: "sherpa"},
	}, nil
}

// acmeFolder is where certificates and their keys are kept. Without one, each start would ask for new
// certificates, and the authority would soon refuse.
func (c *Config) acmeFolder() (string, error) {
	switch {
	case c.ACMEDir != "":
		return c.ACMEDir, nil
	case models.IsPostgres(c.DatabaseURL):
		return "", newSettingError("acme-dir", "with PostgreSQL there is no folder for certificates: name "+
			"one that outlives the process; replicas must share it")
	}
	database, err := models.SQLitePath(c.DatabaseURL)
	return filepath.Join(filepath.Dir(database), "acme"), err
}

// acmeHTTP is the client for the authority's server, whose own certificate may be from a private authority.
func (c *Config) acmeHTTP() (*http.Client, error) {
	client := &http.Client{Timeout: acmeTimeout}
	if c.ACMECA == "" {
		return client, nil
	}
	text, err := os.ReadFile(c.ACMECA)
	if err != nil {
		return nil, newSettingError("acme-ca", "%w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, newSettingError("acme-ca", "%s holds no certificate in PEM form", c.ACMECA)
	}
	client.Transport = &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}
	return client, nil
}

// run asks for the certificates at once, so that no client has to wait for one, and looks at them again and
// again, until ctx ends.
func (a *issued) run(ctx context.Context) {
	for {
		wait := acmeInterval
		if !a.look(ctx) {
			wait = acmeRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// look reports whether there is a certificate for every domain.
func (a *issued) look(ctx context.Context) (complete bool) {
	var first *x509.Certificate
	complete = true
	for _, domain := range a.domains {
		leaf, err := a.obtain(ctx, domain)
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			complete = false
			a.report(ctx, domain, err)
		case first == nil || leaf.NotAfter.Before(first.NotAfter):
			first = leaf
		}
	}
	if before := a.first.Swap(first); first != nil && !first.Equal(before) {
		a.logger.InfoContext(ctx, "TLS certificates are in use", "domains", a.domains, "complete", complete,
			"not_after", first.NotAfter.UTC())
	}
	return complete
}

func (a *issued) report(ctx context.Context, domain string, err error) {
	a.logger.ErrorContext(ctx, "no TLS certificate: clients of this domain cannot connect",
		"domain", domain, "error", err, "next_try", acmeRetry.String(),
		"advice", "let the domain lead to this machine, and port 443 of it to this server, and let it "+
			"reach SHERPA_ACME_URL")
}

// obtain waits for autocert or for the end of ctx, which autocert does not take.
func (a *issued) obtain(ctx context.Context, domain string) (*x509.Certificate, error) {
	type answer struct {
		cert *tls.Certificate
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		cert, err := a.get(&tls.ClientHelloInfo{ // the suite asks autocert for an ECDSA certificate
			ServerName: domain, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		})
		done <- answer{cert, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case got := <-done:
		if got.err != nil {
			return nil, got.err
		}
		return got.cert.Leaf, nil
	}
}

// NotAfter is when the first of the certificates expires; zero before there is one.
func (a *issued) NotAfter() time.Time {
	if first := a.first.Load(); first != nil {
		return first.NotAfter
	}
	return time.Time{}
}

// notice is half of what autocert takes to renew a certificate, because some live for a few days only.
func (a *issued) notice() time.Duration {
	first := a.first.Load()
	if first == nil {
		return expiryNotice
	}
	return min(expiryNotice, first.NotAfter.Sub(first.NotBefore)/6)
}
