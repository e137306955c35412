package command

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOpenToOthers(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a mode says nothing there")
	}
	dir := t.TempDir()
	got := map[string]bool{}
	for name, mode := range map[string]os.FileMode{
		"owner": 0o600, "group": 0o440, "others": 0o644, "others write": 0o602,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(name, path+", linked"); err != nil { // as Kubernetes mounts a secret
			t.Fatal(err)
		}
		got[name], got[name+", linked"] = openToOthers(path), openToOthers(path+", linked")
	}
	want := map[string]bool{
		"owner": false, "owner, linked": false, "group": false, "group, linked": false,
		"others": true, "others, linked": true, "others write": true, "others write, linked": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
