package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFullDisk runs the program on a file system of 2 MiB.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a small file system")
	}
	t.Parallel()
	dir := t.TempDir()
	unmount, err := mountSmall(dir)
	if err != nil {
		t.Skipf("no small file system here: %v", err)
	}
	t.Cleanup(unmount)
	p := startProcess(t, dir)
	session := want(t, 200)(p.login())
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	var r reply
	for range 200 {
		if r, err = p.refresh(session.Refresh); err != nil || r.status != 200 {
			break
		}
		session = r
	}
	if err != nil || !r.unavailable() {
		t.Fatalf("refreshing on a full disk: %+v, %v", r, err)
	}
	if r, err := p.mountain(session.Access); err != nil || r.status != 200 {
		t.Errorf("a cached session: %+v, %v", r, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	next := want(t, 200)(p.refresh(session.Refresh))
	want(t, 204)(p.logOut(next.Access))
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 512)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}
