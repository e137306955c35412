package check

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"time"
)

func connectionRows() []row { //nolint:funlen // a table
	return []row{
		{
			name:   "tls",
			checks: "passwords and tokens do not cross a network in clear",
			means:  "Whoever is on the way can read every password and every token.",
			mend: "Give Sherpa a certificate (SHERPA_TLS_CERT and SHERPA_TLS_KEY, or SHERPA_TLS_DOMAINS). " +
				"Or put a proxy with TLS in front, and close the port without TLS to other machines.",
			look: lookTLS,
		},
		{
			name:   "tls-certificate",
			checks: "the certificate was verified, has a strong key and does not expire within three days",
			means:  "Clients will refuse the service soon, or somebody else could pretend to be it.",
			mend:   "Renew the certificate, with a key of RSA 2048, ECDSA P-256 or more.",
			look:   lookCertificate,
		},
		{
			name:   "http-closed",
			checks: "a login sent to port 80 by mistake is neither answered nor redirected",
			means: "A client with the wrong URL sends its password in clear each time, and nobody " +
				"notices, because it works.",
			mend: "Close port 80, or answer 403 there to everything but GET.",
			look: lookPlainPort,
		},
		{
			name:   "ready",
			checks: "GET /readyz answers 200",
			means:  "The database does not answer or the process is stopping: logins and refreshes fail.",
			mend:   "Read the log of the server. A proxy must send requests to a replica that is ready.",
			look: func(ctx context.Context, p *probe) (string, error) {
				return p.get(ctx, "/readyz").want(http.StatusOK, "")
			},
		},
		{
			name:   "clock",
			checks: "the clocks of the server and of this machine differ by less than a minute",
			means: "One of the two is wrong. Clients that compare `exp` with their clock refresh at " +
				"the wrong time.",
			mend: "Let a time server (NTP) set both clocks.",
			look: lookClock,
		},
		{
			name:   "versions-hidden",
			checks: "no header tells the version of the proxy or of a framework",
			means:  "Strangers learn which known weakness to try first.",
			mend:   "nginx: server_tokens off. Apache: ServerTokens Prod. Remove X-Powered-By.",
			look:   lookServerHeader,
		},
		{
			name:   "metrics-closed",
			checks: "strangers cannot read /metrics",
			means:  "Strangers can watch how many users log in and fail.",
			mend:   "Serve it on another address, or refuse the path in the proxy.",
			look: func(ctx context.Context, p *probe) (string, error) {
				return p.closed(ctx, "/metrics")
			},
		},
		{
			name:   "debug-closed",
			checks: "strangers cannot read /debug/pprof/ and /debug/vars",
			means:  "Strangers can read memory of the process, its command line and its paths.",
			mend:   "Serve it on another address, or refuse the path in the proxy.",
			look: func(ctx context.Context, p *probe) (string, error) {
				if _, err := p.closed(ctx, "/debug/vars"); err != nil {
					return "", err
				}
				return p.closed(ctx, "/debug/pprof/")
			},
		},
	}
}

func lookTLS(_ context.Context, p *probe) (string, error) {
	if state := p.answers[0].tls; state != nil {
		return tls.VersionName(state.Version), nil
	}
	if p.encrypted() {
		return "no TLS, on the loopback address", nil
	}
	return "", fmt.Errorf("no TLS to %s", p.URL.Hostname())
}

func lookCertificate(_ context.Context, p *probe) (string, error) {
	state := p.answers[0].tls
	if state == nil || len(state.PeerCertificates) == 0 {
		return "", skipped("there is no TLS")
	}
	leaf := state.PeerCertificates[0]
	switch key := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 {
			return "", fmt.Errorf("the key is RSA with %d bits", key.N.BitLen())
		}
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize < 256 {
			return "", fmt.Errorf("the key is ECDSA with %d bits", key.Curve.Params().BitSize)
		}
	}
	left := leaf.NotAfter.Sub(p.Now())
	switch {
	case p.Insecure:
		return "", warning("it was not verified, because of --insecure")
	case left < 72*time.Hour:
		return "", warning(fmt.Sprintf("it expires in %v", left.Round(time.Hour)))
	}
	return fmt.Sprintf("it expires in %d days", int(left.Hours()/24)), nil
}

// lookPlainPort sends no password: what it learns is the same.
func lookPlainPort(ctx context.Context, p *probe) (string, error) {
	if port := p.URL.Port(); p.URL.Scheme != "https" || port != "" && port != "443" {
		return "", skipped("only for https:// on port 443")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	root := "http://" + net.JoinHostPort(p.URL.Hostname(), "80")
	a := p.send(ctx, root, http.MethodPost, "/auth", "{}", "Content-Type: application/json")
	switch {
	case a.err != nil:
		return "nothing answers on port 80", nil
	case a.status/100 == 3:
		return "", fmt.Errorf("port 80 redirects POST /auth to %q", a.header.Get("Location"))
	case a.problem().Code == "invalid_request":
		return "", errors.New("the service answers on port 80")
	}
	return fmt.Sprintf("port 80 answers %d", a.status), nil
}

func lookClock(_ context.Context, p *probe) (string, error) {
	date, err := http.ParseTime(p.main.header.Get("Date"))
	if err != nil {
		return "", errors.New("the login has no Date header")
	}
	// The Date of an answer is as old as the check, give or take a second.
	off := date.Sub(p.started).Round(time.Second)
	if off.Abs() > time.Minute {
		return "", warning(fmt.Sprintf("they differ by %v", off.Abs()))
	}
	return fmt.Sprintf("they differ by %v", off.Abs()), nil
}

func lookServerHeader(_ context.Context, p *probe) (string, error) {
	version := regexp.MustCompile(`\d`)
	for _, name := range []string{"Server", "X-Powered-By", "Via", "X-Aspnet-Version", "X-Generator"} {
		for _, a := range p.answers {
			value := a.header.Get(name)
			if name == "Via" { // it begins with the version of HTTP
				value = regexp.MustCompile(`^[\d.]+ \S+`).ReplaceAllString(value, "")
			}
			if version.MatchString(value) {
				return "", warning(fmt.Sprintf("%s: %s", name, value))
			}
		}
	}
	return "none does", nil
}

// closed is ok unless the path answers strangers. A proxy may refuse it in its own words.
func (p *probe) closed(ctx context.Context, path string) (string, error) {
	a := p.get(ctx, path)
	p.answers[len(p.answers)-1].probed = true
	if a.err == nil && a.status/100 == 2 {
		return "", fmt.Errorf("GET %s answers %d", path, a.status)
	}
	return a.text(), nil
}
