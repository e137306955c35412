package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"sherpa/security"
)

// The refusals that net/http writes by itself, before there is a request to handle.
const (
	headersTooLarge security.Code = "header_fields_too_large"
	notImplemented  security.Code = "not_implemented"
	httpVersion     security.Code = "http_version_not_supported"
	expectation     security.Code = "expectation_failed"
)

// problemListener makes problem documents of the plain texts with which net/http refuses what is not HTTP: a broken
// request line or escape, headers over the limit. net/http has no hook for them, but writes each in one piece, in
// a form that no handler's response has: without a Date.
type problemListener struct {
	net.Listener
	catalogue catalogue
}

// Listen returns l with every refusal of net/http itself turned into a problem document.
func Listen(l net.Listener) net.Listener {
	return problemListener{Listener: l, catalogue: newCatalogue()}
}

// Accept waits for the next connection.
func (l problemListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &problemConn{Conn: conn, catalogue: l.catalogue}, nil
}

type problemConn struct {
	net.Conn
	catalogue catalogue
}

const (
	rawStatusLine  = "HTTP/1.1 "
	rawExpectation = "HTTP/1.1 417 "
	rawHeaders     = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
)

func (c *problemConn) Write(p []byte) (int, error) {
	if status, ok := rawRefusal(p); ok {
		if _, err := c.Conn.Write(c.problem(status)); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// CloseWrite keeps net/http's half-close, which lets a client read the refusal before the connection goes.
func (c *problemConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// rawRefusal returns the status of a refusal that net/http wrote by itself.
func rawRefusal(p []byte) (status int, ok bool) {
	const codeEnd = len(rawStatusLine) + 3
	if len(p) < codeEnd || len(p) > 1024 || (p[codeEnd-3] != '4' && p[codeEnd-3] != '5') {
		return 0, false
	}
	if bytes.HasPrefix(p, []byte(rawExpectation)) {
		return http.StatusExpectationFailed, true // no handler sends this status
	}
	end := bytes.Index(p, []byte("\r\n"))
	if end < 0 || !bytes.HasPrefix(p, []byte(rawStatusLine)) || !bytes.HasPrefix(p[end:], []byte(rawHeaders)) {
		return 0, false
	}
	status, err := strconv.Atoi(string(p[codeEnd-3 : codeEnd]))
	return status, err == nil
}

func (c *problemConn) problem(status int) []byte {
	refusal := wireRefusal(status)
	kind := c.catalogue[refusal.Code]
	body, err := json.Marshal(Problem{
		Type: problemPath(kind.Code), Title: kind.Title, Status: kind.Status, Detail: refusal.Detail, Code: kind.Code,
	})
	if err != nil {
		body = []byte("{}") // cannot happen: the fields are strings and a number
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nCache-Control: no-store\r\n"+
		"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n%s",
		kind.Status, http.StatusText(kind.Status), problemMediaType, len(body), body)
}

func wireRefusal(status int) *security.Error {
	switch status {
	case http.StatusRequestHeaderFieldsTooLarge:
		return &security.Error{Code: headersTooLarge, Detail: "The request line and headers are larger than 16 KiB."}
	case http.StatusNotImplemented:
		return &security.Error{Code: notImplemented, Detail: "The only transfer encoding is chunked."}
	case http.StatusExpectationFailed:
		return &security.Error{Code: expectation, Detail: "The only value of the header Expect is 100-continue."}
	case http.StatusHTTPVersionNotSupported:
		return &security.Error{Code: httpVersion, Detail: "This server speaks HTTP/1.1."}
	}
	return InvalidRequest("This is not a valid HTTP request: look for a broken % escape in the path, " +
		"a character that a header cannot have, or HTTPS sent to an HTTP port.")
}
