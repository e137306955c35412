package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sherpa/internal/testcert"
)

// tlsClient trusts these pairs. It speaks HTTP/2 or HTTP/1.1, on one connection after the other or on a new
// one for each request.
func tlsClient(t *testing.T, http2, reuse bool, pairs ...testcert.Pair) *http.Transport {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	client := &http.Transport{
		TLSClientConfig: testcert.Client(pairs...), Protocols: protocols, DisableKeepAlives: !reuse,
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// replace swaps files as careful operators do: each is whole at any time.
func replace(t *testing.T, texts map[string]string) {
	t.Helper()
	for path, text := range texts {
		err := os.WriteFile(path+".new", []byte(text), 0o600)
		if err := errors.Join(err, os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	}
}

// presents reports whether a new connection gets this certificate.
func (p *process) presents(pair testcert.Pair) bool {
	conn, err := tls.Dial("tcp", p.address, testcert.Client(pair))
	if err != nil {
		return false
	}
	defer conn.Close()
	block, _ := pem.Decode(pair.Cert)
	return string(conn.ConnectionState().PeerCertificates[0].Raw) == string(block.Bytes)
}

// signedWith reports whether this key signed the access token.
func signedWith(key, access string) bool {
	at := strings.LastIndex(access, ".")
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(access[:max(0, at)]))
	return at > 0 && access[at+1:] == base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestReloadUnderLoad replaces the certificate and the signing keys of a running server, in good ways and in
// bad ones. No request may fail, and nothing is restarted.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	now := time.Now()
	first, second := testcert.New(t, now.AddDate(0, 3, 0)), testcert.New(t, now.AddDate(0, 4, 0))
	dir := t.TempDir()
	cert, key, keys := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem"), filepath.Join(dir, "keys")
	first.Write(t, cert, key)
	replace(t, map[string]string{keys: testKey})
	p := newProcess(t, dir, quiet, "SHERPA_TLS_CERT="+cert, "SHERPA_TLS_KEY="+key,
		"SHERPA_SECRET_KEY_FILE="+keys, "SHERPA_ACCESS_TTL=10s")
	p.client = tlsClient(t, true, true, first, second)
	p.start()
	old := want(t, 200)(p.login())
	clients := newCrowd(t, p)
	clients.steady = true
	for _, client := range []*http.Transport{
		tlsClient(t, true, true, first, second), tlsClient(t, false, true, first, second),
		tlsClient(t, false, false, first, second),
	} {
		clients.add(1, func() http.RoundTripper { return client })
	}

	replace(t, map[string]string{cert: string(second.Cert), key: string(second.Key)})
	eventually(t, "the new certificate", func() bool { return p.presents(second) })
	replace(t, map[string]string{keys: newKey + "\n" + testKey})
	eventually(t, "the new key signs", func() bool {
		return signedWith(newKey, want(t, 200)(p.login()).Access)
	})
	last := want(t, 200)(p.login()) // later than all that the old key has signed

	bad := first
	bad.Key = second.Key
	replace(t, map[string]string{cert: string(bad.Cert), key: string(bad.Key)})
	eventually(t, "an error", func() bool { return strings.Contains(p.log.String(), "does not match") })
	replace(t, map[string]string{keys: "short"})
	eventually(t, "an error", func() bool { return strings.Contains(p.log.String(), "has 5 bytes") })
	if !p.presents(second) {
		t.Error("a bad pair replaced a good one")
	}
	clients.workAt(p)

	eventually(t, "the tokens of the old key have expired", func() bool { return expired(last.Access) })
	replace(t, map[string]string{keys: newKey})
	p.hangUp(t)
	eventually(t, "the old key is gone", func() bool {
		r, err := p.refresh(old.Refresh)
		return err == nil && r.Code == "refresh_token_invalid"
	})
	clients.workAt(p)
	clients.end()
	clients.report()
}

func (p *process) hangUp(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// TestRemovedKeyIsRefusedSoon: the server has verified the token before, and remembers it.
func TestRemovedKeyIsRefusedSoon(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "keys")
	replace(t, map[string]string{keys: testKey})
	p := startProcess(t, t.TempDir(), "SHERPA_SECRET_KEY_FILE="+keys)
	session := want(t, 200)(p.login())
	want(t, 200)(p.mountain(session.Access))
	want(t, 200)(p.mountain(session.Access))
	replace(t, map[string]string{keys: newKey})
	eventually(t, "the token is refused", func() bool {
		r, err := p.mountain(session.Access)
		return err == nil && r.Code == "token_invalid"
	})
	next := want(t, 200)(p.login())
	want(t, 200)(p.mountain(next.Access))
}

// TestKubernetesSecret: the files are links through a folder that is replaced as a whole.
func TestKubernetesSecret(t *testing.T) {
	t.Parallel()
	now := time.Now()
	first, second := testcert.New(t, now.AddDate(0, 3, 0)), testcert.New(t, now.AddDate(0, 4, 0))
	volume := t.TempDir()
	publish := func(name string, pair testcert.Pair) {
		t.Helper()
		dir := filepath.Join(volume, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		pair.Write(t, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
		data := filepath.Join(volume, "..data")
		if err := errors.Join(os.Symlink(name, data+"_tmp"), os.Rename(data+"_tmp", data)); err != nil {
			t.Fatal(err)
		}
	}
	publish("..2026_1", first)
	cert, key := filepath.Join(volume, "tls.crt"), filepath.Join(volume, "tls.key")
	for _, link := range []string{cert, key} {
		if err := os.Symlink(filepath.Join("..data", filepath.Base(link)), link); err != nil {
			t.Fatal(err)
		}
	}
	p := newProcess(t, t.TempDir(), "SHERPA_TLS_CERT="+cert, "SHERPA_TLS_KEY="+key)
	p.client = tlsClient(t, true, true, first, second)
	p.start()
	publish("..2026_2", second)
	eventually(t, "the new certificate", func() bool { return p.presents(second) })
	if log := p.log.String(); strings.Contains(log, `"level":"ERROR"`) {
		t.Error("a swap of the folder is no fault")
	}
}

// TestHealthcheckOverTLS: the certificate is for another name, and a bad file on disk changes nothing.
func TestHealthcheckOverTLS(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(-time.Hour) // it has expired: the health is that of the process
	pair := testcert.New(t, end)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	pair.Write(t, cert, key)
	ops := steadyAddress(t)
	p := newProcess(t, dir, "SHERPA_TLS_CERT="+cert, "SHERPA_TLS_KEY="+key, "SHERPA_OPS_LISTEN="+ops)
	p.client = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	p.start()
	want := fmt.Sprint("sherpa_tls_certificate_not_after_timestamp_seconds ", float64(end.Unix()))
	if _, metrics := opsGet(t, ops, "/metrics"); !strings.Contains(metrics, want) {
		t.Errorf("no %q among the metrics", want)
	}
	replace(t, map[string]string{cert: "rubbish"})
	p.sherpa(t, "", "healthcheck")
	if !strings.Contains(p.log.String(), "the TLS certificate has expired") {
		t.Error("no error about the expired certificate")
	}
	p.kill()
	if out, err := p.program(t.Context(), "healthcheck").CombinedOutput(); err == nil {
		t.Errorf("healthy without a server: %s", out)
	}
}
