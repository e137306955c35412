// Package tracing sends spans of requests, password hashes and database statements to an OpenTelemetry
// collector, when the standard variables of OpenTelemetry ask for it.
//
// It is the only package that knows OpenTelemetry. A span has names from the code, statuses, times, ids and
// the client's address. It never has a path, a query, a body, a token, SQL, or the text of an error.
package tracing

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// stopWait bounds how long Stop waits for a collector that hangs.
const stopWait = 2 * time.Second

// Config is what New needs.
type Config struct {
	Lookup  func(name string) (string, bool) // finds a variable of the environment
	Version string                           // of the program
	Warn    func(kind, text string)          // is told what an operator should know; kinds are few
}

// Tracer makes spans and sends them to a collector. A nil Tracer makes none.
type Tracer struct {
	tracer   trace.Tracer
	provider *sdk.TracerProvider
	client   *client
	warn     func(kind, text string)
}

// New returns a Tracer, or nil when the variables do not ask for one. A mistake in them never stops a start:
// they may be meant for other programs, too. The SDK itself reads from the process what concerns sampling,
// the resource and the queue.
func New(config Config) *Tracer {
	settings, ok := readSettings(config.Lookup, config.Warn)
	if !ok {
		return nil
	}
	warn := config.Warn
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { // the SDK has one for the whole process
		warn("sdk", fmt.Sprintf("OpenTelemetry: %v; check the variables that begin with OTEL_", err))
	}))
	client := newClient(settings, config.Version)
	provider := sdk.NewTracerProvider(
		sdk.WithResource(newResource(config)),
		sdk.WithBatcher(warningExporter{otlptrace.NewUnstarted(client), warn}),
	)
	return &Tracer{
		tracer:   provider.Tracer("sherpa", trace.WithInstrumentationVersion(config.Version)),
		provider: provider, client: client, warn: warn,
	}
}

// newResource says which program this is. The variables win, so they come last.
func newResource(config Config) *resource.Resource {
	found, err := resource.New(context.Background(),
		resource.WithAttributes(semconv.ServiceName("sherpa"), semconv.ServiceVersion(config.Version)),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(),
	)
	if err != nil {
		config.Warn("resource", fmt.Sprintf("%v; check OTEL_RESOURCE_ATTRIBUTES", err))
	}
	return found
}

// Endpoint returns where the spans go, without a password.
func (t *Tracer) Endpoint() string { return t.client.endpoint.Redacted() }

// Stop sends the spans that still wait, within stopWait.
func (t *Tracer) Stop() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.warn("stop", fmt.Sprintf("the latest spans are lost: %v", err))
	}
	t.client.close()
}

// warningExporter tells an operator what was lost. The SDK would tell its error handler without advice.
type warningExporter struct {
	*otlptrace.Exporter
	warn func(kind, text string)
}

// ExportSpans sends the spans. Its error is always nil.
func (e warningExporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if err := e.Exporter.ExportSpans(ctx, spans); err != nil {
		e.warn("export", fmt.Sprintf("spans are lost: %v; see that the collector runs and takes OTLP over "+
			"HTTP, and that OTEL_EXPORTER_OTLP_ENDPOINT is its URL", err))
	}
	return nil
}

// Shutdown has nothing to do: Stop closes the client, also when this is not called in time.
func (warningExporter) Shutdown(context.Context) error { return nil }
