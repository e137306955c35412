package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// firstWait is the time before the first retry. Each further one waits twice as long.
	firstWait = time.Second
	// maxAnswer is how much of an answer is read, so that the connection can be used again.
	maxAnswer = 64 << 10
)

// client sends spans by OTLP/HTTP with binary protobuf. OpenTelemetry's own client brings gRPC, which would
// add 2 MB to the program.
type client struct {
	settings
	agent string
	wait  time.Duration
	http  *http.Client
	life  context.Context //nolint:containedctx // ends with the client, not with a caller
	end   context.CancelFunc
}

func newClient(s settings, version string) *client {
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSHandshakeTimeout: s.timeout,
		IdleConnTimeout:     time.Minute,
		ForceAttemptHTTP2:   true,
	}
	life, end := context.WithCancel(context.Background())
	return &client{
		settings: s, agent: "Sherpa/" + version, wait: firstWait, life: life, end: end,
		http: &http.Client{Transport: transport, CheckRedirect: stay},
	}
}

// stay follows no redirect: it could turn the spans into a GET that succeeds.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// close ends what is under way.
func (c *client) close() {
	c.end()
	c.http.CloseIdleConnections()
}

// Start has nothing to do: the first spans open the connection.
func (c *client) Start(context.Context) error { return nil }

// Stop has nothing to do: close does it.
func (c *client) Stop(context.Context) error { return nil }

// UploadTraces sends the spans. It tries again when the collector asks for that (OTLP, "Failures").
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := c.encode(spans)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	for wait := c.wait; ; wait *= 2 {
		asked, again, err := c.send(ctx, body)
		if !again {
			return err
		}
		select {
		case <-time.After(max(wait, asked)):
		case <-ctx.Done():
			return err
		}
	}
}

// encode makes an ExportTraceServiceRequest. On the wire it is the same as TracesData, whose package does not
// import gRPC.
func (c *client) encode(spans []*tracepb.ResourceSpans) ([]byte, error) {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil || !c.gzip {
		return body, err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(body)
	err = errors.Join(err, w.Close())
	return packed.Bytes(), err
}

// send also returns whether the collector wants the spans again, and after which time at the earliest.
func (c *client) send(ctx context.Context, body []byte) (asked time.Duration, again bool, err error) {
	request, err := c.request(ctx, body)
	if err != nil {
		return 0, false, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, false, err
	}
	defer response.Body.Close() //nolint:errcheck // the answer has been read
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	if response.StatusCode/100 == 2 {
		return 0, false, nil
	}
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After")) // a date counts as none
	err = fmt.Errorf("the collector answered %d", response.StatusCode)
	return time.Duration(seconds) * time.Second, mayRetry(response.StatusCode), err
}

func (c *client) request(ctx context.Context, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, c.endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = c.headers.Clone()
	request.Header.Set("User-Agent", c.agent)
	request.Header.Set("Content-Type", "application/x-protobuf")
	if c.gzip {
		request.Header.Set("Content-Encoding", "gzip")
	}
	return request, nil
}

func mayRetry(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
		return true
	}
	return false
}
