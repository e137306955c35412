package e2e

import (
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"sherpa/internal/testcert"
	"sherpa/internal/testlog"
)

// authority is pebble, the test server of Let's Encrypt, with a name server for which every name is this
// machine. It checks domains for real, by TLS-ALPN-01.
type authority struct {
	t       *testing.T
	config  string
	url, ca string // for the settings
	dns     string
	log     testlog.Buffer
}

func newAuthority(t *testing.T, tlsPort string) *authority {
	t.Helper()
	skipWithout(t, "pebble")
	dir, address, management := t.TempDir(), steadyAddress(t), steadyAddress(t)
	a := &authority{t: t, url: "https://" + address + "/dir", dns: nameServer(t),
		config: filepath.Join(dir, "config.json"), ca: filepath.Join(dir, "ca.pem")}
	key := filepath.Join(dir, "key.pem")
	testcert.New(t, time.Now().AddDate(0, 1, 0)).Write(t, a.ca, key)
	port, err := strconv.Atoi(tlsPort)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": address, "managementListenAddress": management, "certificate": a.ca,
		"privateKey": key, "httpPort": 1, "tlsPort": port, "keyAlgorithm": "ecdsa",
		"profiles": map[string]any{
			"default": map[string]any{"description": "ten days", "validityPeriod": 10 * 24 * 3600},
		},
	}})
	if err := errors.Join(err, os.WriteFile(a.config, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	return a
}

// start waits until the authority answers.
func (a *authority) start() {
	a.t.Helper()
	pebble := exec.CommandContext(
		a.t.Context(), "pebble", "-strict", "-config", a.config, "-dnsserver", a.dns)
	pebble.Env = append(plainEnviron(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	pebble.Stdout, pebble.Stderr = &a.log, &a.log
	if err := pebble.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		_ = pebble.Process.Kill()
		_ = pebble.Wait()
		if a.t.Failed() {
			a.t.Logf("log of pebble:\n%s", a.log.String())
		}
	})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	eventually(a.t, "pebble answers", func() bool {
		response, err := client.Get(a.url)
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
}

// nameServer answers every question for an IPv4 address with 127.0.0.1, over TCP, as pebble asks.
func nameServer(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for answerOne(conn) == nil {
				}
			}()
		}
	}()
	return l.Addr().String()
}

// answerOne reads a question and writes its answer, each behind its length (RFC 1035, section 4.2.2).
func answerOne(conn net.Conn) error {
	var length uint16
	if err := binary.Read(conn, binary.BigEndian, &length); err != nil {
		return err
	}
	question := make([]byte, length)
	if _, err := io.ReadFull(conn, question); err != nil {
		return err
	}
	answer, err := resolve(question)
	if err != nil {
		return err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
	return err
}

func resolve(question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	for _, q := range m.Questions {
		if q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			})
		}
	}
	return m.Pack()
}

// serial asks for a connection under a name, and returns the serial number of the certificate, or "".
func (p *process) serial(name string) string {
	conn, err := tls.Dial("tcp", p.address, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return ""
	}
	defer conn.Close()
	leaf := conn.ConnectionState().PeerCertificates[0]
	if leaf.VerifyHostname(name) != nil {
		return ""
	}
	return leaf.SerialNumber.String()
}

// TestACME gets certificates for two names, keeps them over a restart without the authority, and gives
// strangers none for another name.
func TestACME(t *testing.T) {
	t.Parallel()
	p := newProcess(t, t.TempDir())
	_, port, err := net.SplitHostPort(p.address)
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthority(t, port)
	p.env = append(p.env, "SHERPA_TLS_DOMAINS=sherpa.test,api.sherpa.test", "SHERPA_ACME_URL="+a.url,
		"SHERPA_ACME_CA="+a.ca)
	p.launch()
	eventually(t, "an error while there is no authority", func() bool {
		return strings.Contains(p.log.String(), `no TLS certificate: clients of this domain cannot connect`)
	})
	p.kill()
	a.start()
	p.launch()
	eventually(t, "certificates", func() bool {
		return strings.Contains(p.log.String(), "TLS certificates are in use")
	})
	serials := map[string]string{}
	for _, name := range []string{"sherpa.test", "api.sherpa.test"} {
		if serials[name] = p.serial(name); serials[name] == "" {
			t.Errorf("no certificate for %s", name)
		}
	}
	for _, name := range []string{"other.test", ""} {
		if p.serial(name) != "" {
			t.Errorf("a certificate for %q", name)
		}
	}
	p.sherpa(t, "", "healthcheck")
	p.kill()

	p.env = append(p.env, "SHERPA_ACME_URL=https://127.0.0.1:1/dir")
	p.launch()
	for name, serial := range serials {
		eventually(t, "the certificate that was kept", func() bool { return p.serial(name) == serial })
	}
	info, err := os.Stat(filepath.Join(p.dir, "data", "acme"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of the keys: %v, %v", info, err)
	}
}
