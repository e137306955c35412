package command

import (
	"cmp"
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"runtime/debug"
)

// Build says which program this is.
type Build struct {
	Version  string `json:"version"` // "devel" when it is no release
	Commit   string `json:"commit"`  // ends in "-dirty" when the tree had changes; "unknown" outside Git
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// ReadBuild returns the build of this process. version and commit are what the linker was told, or "": then
// Go knows them if the program was built in a clone.
func ReadBuild(version, commit string) Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return Build{
		Version:  cmp.Or(version, releaseOf(info)),
		Commit:   cmp.Or(commit, commitOf(info)),
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// String is one line for people.
func (b Build) String() string {
	return fmt.Sprintf("sherpa %s, commit %s, %s, %s", b.Version, b.Commit, b.Go, b.Platform)
}

// LogValue gives each part a name in the log.
func (b Build) LogValue() slog.Value {
	return slog.GroupValue(slog.String("version", b.Version), slog.String("commit", b.Commit),
		slog.String("go", b.Go), slog.String("platform", b.Platform))
}

// untagged matches the version that Go gives to a commit without a tag: it ends in a time and a hash.
var untagged = regexp.MustCompile(`-(.*\.)?[0-9]{14}-[0-9a-f]{12}(\+dirty)?$`)

// releaseOf returns the tag of the commit.
func releaseOf(info *debug.BuildInfo) string {
	switch version := info.Main.Version; {
	case version == "", version == "(devel)", untagged.MatchString(version):
		return "devel"
	default:
		return version
	}
}

func commitOf(info *debug.BuildInfo) string {
	known := map[string]string{}
	for _, setting := range info.Settings {
		known[setting.Key] = setting.Value
	}
	commit := known["vcs.revision"]
	if commit != "" && known["vcs.modified"] == "true" {
		commit += "-dirty"
	}
	return cmp.Or(commit, "unknown")
}

type versionCommand struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints which program this is.
func (c versionCommand) Run(config *Config, std Streams) error {
	if c.JSON {
		return writeJSON(std.Out, config.build)
	}
	_, err := fmt.Fprintln(std.Out, config.build)
	return err
}
