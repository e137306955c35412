package command

import (
	"bytes"
	"testing"
)

func TestProgressBar(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	bar := progressBar{out: &out, shown: true}
	bar.show("users", 0, 0)
	bar.show("sessions", 500, 2000)
	bar.clear()
	if got, want := out.String(), "\r\x1b[Ksessions        [#######.......................]  25 %  500 of 2000\r\x1b[K"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
