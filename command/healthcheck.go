package command

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"
)

type healthcheckCommand struct{}

// Run fails unless the server on this machine answers.
func (healthcheckCommand) Run(ctx context.Context, config *Config) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	url := config.scheme() + "://" + reachable(config.Listen) + "/healthz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	// No proxy and no redirect: the 200 of another server says nothing about this one.
	response, err := (&http.Transport{TLSClientConfig: config.ownServer()}).RoundTrip(request)
	if err != nil {
		return fmt.Errorf("health check: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // only the status matters
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("health check: status %d", response.StatusCode)
	}
	return nil
}

// ownServer is how the health check speaks TLS with the server on this machine. It asks for a name that the
// server has, and does not check the certificate: that is for the name by which clients know the server, and
// an expired one is no reason to restart. The request holds no secret.
func (c *Config) ownServer() *tls.Config {
	config := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // G402: see above
	if len(c.TLSDomains) > 0 {
		config.ServerName = c.TLSDomains[0]
	}
	return config
}

// reachable turns a listen address into one to connect to.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
