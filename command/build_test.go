package command

import (
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBuildOfTheProgram(t *testing.T) {
	t.Parallel()
	const hash = "1bb27d9e611035a0369e02d1d5c089b1286638d8"
	for _, tt := range []struct {
		name, main, revision, modified string
		version, commit                string
	}{
		{"a tagged commit", "v1.2.3", hash, "false", "v1.2.3", hash},
		{"a tagged commit with changes", "v1.2.3+dirty", hash, "true", "v1.2.3+dirty", hash + "-dirty"},
		{"a release candidate", "v2.0.0-rc.1", hash, "false", "v2.0.0-rc.1", hash},
		{"no tag at all", "v0.0.0-20261124225111-1bb27d9e6110", hash, "false", "devel", hash},
		{"with changes", "v0.0.0-20261124225111-1bb27d9e6110+dirty", hash, "true", "devel", hash + "-dirty"},
		{"after a release", "v1.2.4-0.20261124225111-1bb27d9e6110", hash, "false", "devel", hash},
		{"after a candidate", "v2.0.0-rc.1.0.20261124225111-1bb27d9e6110", hash, "", "devel", hash},
		{"outside Git", "(devel)", "", "", "devel", "unknown"},
		{"a test", "", "", "", "devel", "unknown"},
	} {
		info := &debug.BuildInfo{Main: debug.Module{Version: tt.main}}
		if tt.revision != "" {
			info.Settings = []debug.BuildSetting{
				{Key: "vcs.revision", Value: tt.revision}, {Key: "vcs.modified", Value: tt.modified},
			}
		}
		got, want := []string{releaseOf(info), commitOf(info)}, []string{tt.version, tt.commit}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestLinkerNamesTheBuild(t *testing.T) {
	t.Parallel()
	if b := ReadBuild("v1.2.3", "abc"); b.Version != "v1.2.3" || b.Commit != "abc" || b.Go == "" {
		t.Errorf("%+v", b)
	}
}
