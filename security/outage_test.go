package security

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// TestGracePeriod: refreshed is the time of the refresh whose answer may be lost, now the time of the retry.
func TestGracePeriod(t *testing.T) {
	t.Parallel()
	none := func(*outages) {}
	from0to60 := func(o *outages) { o.begin(at(0)); o.end(at(60)) }
	for _, tt := range []struct {
		name           string
		outage         func(*outages)
		refreshed, now int
		want           bool
	}{
		{"at once", none, 0, 0, true},
		{"last moment", none, 0, 10, true},
		{"too late", none, 0, 11, false},
		{"during the outage, after its end", from0to60, 30, 70, true},
		{"during the outage, too late", from0to60, 30, 71, false},
		{"just before the outage", from0to60, -10, 65, true},
		{"too long before the outage", from0to60, -11, 65, false},
		{"at its end", from0to60, 60, 65, true},
		{"after its end, in time", from0to60, 61, 71, true},
		{"after its end, too late", from0to60, 61, 72, false},
		{"outage goes on", func(o *outages) { o.begin(at(0)) }, 0, 30, false},
		{"started during the outage", func(o *outages) { o.startedDuring(); o.end(at(60)) }, -9999, 65, true},
		{"two outages close together", func(o *outages) {
			o.begin(at(0))
			o.end(at(60))
			o.begin(at(65)) // no client had the time to retry
			o.end(at(100))
		}, 5, 105, true},
		{"two outages far apart", func(o *outages) {
			o.begin(at(0))
			o.end(at(60))
			o.begin(at(75))
			o.end(at(100))
		}, 5, 105, false},
		{"before the first poll", func(o *outages) { o.begin(time.Time{}); o.end(at(60)) }, 30, 65, false},
	} {
		var o outages
		tt.outage(&o)
		if got := o.inGrace(at(tt.refreshed), at(tt.now)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestOutageBeginsOnce(t *testing.T) {
	t.Parallel()
	var o outages
	if o.end(at(0)); o.ongoing() {
		t.Error("an end without a beginning")
	}
	o.begin(at(0))
	o.begin(at(30))
	if !o.ongoing() || !o.latest.Load().began.Equal(at(0)) {
		t.Errorf("%+v", o.latest.Load())
	}
	if o.end(at(40)); o.ongoing() {
		t.Error("it goes on after its end")
	}
}
