package command

import (
	"context"
	"log/slog"
	"time"

	"sherpa/handlers"
	"sherpa/metrics"
	"sherpa/models"
	"sherpa/tracing"
)

// observers are told what the service does. Both may be nil.
type observers struct {
	metrics *metrics.Metrics
	tracer  *tracing.Tracer
}

// newTracer returns nil unless the variables of OpenTelemetry ask for traces.
func newTracer(ctx context.Context, config *Config, logger *slog.Logger) *tracing.Tracer {
	tracer := tracing.New(tracing.Config{
		Lookup: config.lookup, Version: config.build.Version, Warn: handlers.RareWarnings(logger),
	})
	if tracer != nil {
		logger.InfoContext(ctx, "tracing is on", "url", tracer.Endpoint())
	}
	return tracer
}

func (o observers) hashed(ctx context.Context, waited, took time.Duration) {
	o.metrics.HashWaited(waited)
	o.tracer.Hash(ctx, waited, took)
}

// statements returns what a store tells of its operations.
func (o observers) statements(system string) models.Observer {
	return func(ctx context.Context, operation string, took time.Duration, failed bool) {
		o.metrics.Operation(operation, took, failed)
		o.tracer.Statement(ctx, system, operation, took, failed)
	}
}
