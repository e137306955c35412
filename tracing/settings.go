package tracing

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are what the variables say about the way to the collector (OpenTelemetry Protocol Exporter).
type settings struct {
	endpoint *url.URL
	headers  http.Header
	timeout  time.Duration // for a batch, with its retries
	gzip     bool
}

// defaultTimeout is OpenTelemetry's.
const defaultTimeout = 10 * time.Second

// variables reads the environment.
type variables struct {
	lookup func(string) (string, bool)
	warn   func(kind, text string)
}

// readSettings returns false when the variables do not ask for tracing, or ask for what there is not.
func readSettings(lookup func(string) (string, bool), warn func(kind, text string)) (settings, bool) {
	v := variables{lookup, warn}
	if !v.wanted() {
		return settings{}, false
	}
	endpoint := v.endpoint()
	if endpoint == nil || !v.speaksOurs() {
		return settings{}, false
	}
	v.warnOfUnsupported()
	return settings{endpoint: endpoint, headers: v.headers(), timeout: v.timeout(), gzip: v.gzip()}, true
}

// get takes an empty variable as one that is not set, as OpenTelemetry wants it.
func (v variables) get(name string) string {
	value, _ := v.lookup(name)
	return strings.TrimSpace(value)
}

const (
	tracesPrefix  = "OTEL_EXPORTER_OTLP_TRACES_"
	generalPrefix = "OTEL_EXPORTER_OTLP_"
)

// exporter prefers the variable for traces to that for all signals.
func (v variables) exporter(name string) string {
	return cmp.Or(v.get(tracesPrefix+name), v.get(generalPrefix+name))
}

func (v variables) wanted() bool {
	if strings.EqualFold(v.get("OTEL_SDK_DISABLED"), "true") || v.exporter("ENDPOINT") == "" {
		return false
	}
	switch kind := cmp.Or(v.get("OTEL_TRACES_EXPORTER"), "otlp"); kind {
	case "otlp":
		return true
	case "none":
		return false
	default:
		v.warn("exporter", "tracing is off: OTEL_TRACES_EXPORTER has to be otlp or none")
		return false
	}
}

// endpoint adds the path of traces to the URL for all signals, but not to the one for traces. No message
// repeats the URL: it may hold a password.
func (v variables) endpoint() *url.URL {
	own := v.get(tracesPrefix + "ENDPOINT")
	found, err := url.Parse(cmp.Or(own, v.get(generalPrefix+"ENDPOINT")))
	if err != nil || found.Scheme != "http" && found.Scheme != "https" || found.Host == "" {
		v.warn("endpoint", "tracing is off: the endpoint of OTEL_EXPORTER_OTLP_… has to be a URL "+
			"such as http://127.0.0.1:4318")
		return nil
	}
	if own == "" {
		return found.JoinPath("v1", "traces")
	}
	return found
}

func (v variables) speaksOurs() bool {
	const ours = "http/protobuf"
	if cmp.Or(v.exporter("PROTOCOL"), ours) == ours {
		return true
	}
	v.warn("protocol", "tracing is off: OTEL_EXPORTER_OTLP_PROTOCOL has to be "+ours+
		", and the endpoint a port for it, usually 4318")
	return false
}

func (v variables) warnOfUnsupported() {
	for _, name := range []string{"CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"} {
		if v.exporter(name) != "" {
			v.warn(name, generalPrefix+name+" is not supported: name a file of certificates to trust in "+
				"SSL_CERT_FILE, or put a collector on this machine")
		}
	}
}

// headers reads name=value,name=value, where the values are percent-encoded. No message repeats them: they
// may be secrets.
func (v variables) headers() http.Header {
	all := http.Header{}
	for pair := range strings.SplitSeq(v.exporter("HEADERS"), ",") {
		name, value, found := strings.Cut(pair, "=")
		decoded, err := url.PathUnescape(strings.TrimSpace(value))
		switch name = strings.TrimSpace(name); {
		case name == "" && !found:
		case !found || name == "" || err != nil:
			v.warn("headers",
				"a part of OTEL_EXPORTER_OTLP_HEADERS is left out: each has to be name=value")
		default:
			all.Set(name, decoded)
		}
	}
	return all
}

func (v variables) timeout() time.Duration {
	text := v.exporter("TIMEOUT")
	if text == "" {
		return defaultTimeout
	}
	ms, err := strconv.ParseInt(text, 10, 32)
	if err != nil || ms <= 0 {
		v.warn("timeout", "OTEL_EXPORTER_OTLP_TIMEOUT is left out: it has to be a number of milliseconds")
		return defaultTimeout
	}
	return time.Duration(ms) * time.Millisecond
}

func (v variables) gzip() bool {
	kind := v.exporter("COMPRESSION")
	if !slices.Contains([]string{"", "none", "gzip"}, kind) {
		v.warn("compression", "OTEL_EXPORTER_OTLP_COMPRESSION is left out: it has to be gzip or none")
	}
	return kind == "gzip"
}
