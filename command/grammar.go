package command

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/net/idna"
)

// settingPrefix is the start of the environment variables of settings.
const settingPrefix = "SHERPA_"

// secretKeyVariable is the one setting without a flag.
const secretKeyVariable = settingPrefix + "SECRET_KEY"

const settingGroup = "Settings"

// opsListenFlag is the one setting whose variable may be empty: then there is no operations address. Others
// keep their default, because an empty variable is often one that a script could not fill.
const opsListenFlag = "ops-listen"

// prefixes are networks in CIDR notation; a single address counts as one.
type prefixes []netip.Prefix

// domains are names of hosts.
type domains []string

// onOff is a flag that takes a value, true or false, as its variable does. kong lets a bool flag have none.
type onOff struct{ on bool }

// settingOptions lets kong read settings from the environment. A bad value does not stop it, so that all
// errors are reported at once.
func settingOptions(lookup func(string) (string, bool), help map[string]string, errs *[]error) []kong.Option {
	environment := kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if !isSetting(flag) {
			return nil, nil //nolint:nilnil // kong's way to say: no value here
		}
		if text, ok := lookup(variable(flag.Name)); ok && (text != "" || flag.Name == opsListenFlag) {
			return text, nil
		}
		return nil, nil //nolint:nilnil // as above
	})
	return []kong.Option{
		kong.Resolvers(environment),
		kong.PostBuild(func(k *kong.Kong) error { return describe(k, help) }),
		kong.ExplicitGroups([]kong.Group{{Key: settingGroup, Title: "Settings (variable in brackets)"}}),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), collect(errs, parseDuration)),
		kong.TypeMapper(reflect.TypeFor[int](), collect(errs, parseInt)),
		kong.TypeMapper(reflect.TypeFor[prefixes](), collect(errs, parsePrefixes)),
		kong.TypeMapper(reflect.TypeFor[domains](), collect(errs, parseDomains)),
		kong.TypeMapper(reflect.TypeFor[origins](), collect(errs, parseOrigins)),
		kong.TypeMapper(reflect.TypeFor[onOff](), collect(errs, parseOnOff)),
		kong.TypeMapper(reflect.TypeFor[slog.Level](), collect(errs, parseLevel)),
	}
}

// isGiven reports whether the command line or the environment has the flag.
func isGiven(parsed *kong.Context, name string) bool {
	return slices.ContainsFunc(parsed.Path, func(p *kong.Path) bool {
		return p.Flag != nil && p.Flag.Name == name
	})
}

func isSetting(flag *kong.Flag) bool { return flag.Group != nil && flag.Group.Key == settingGroup }

// variable returns the name of a setting's environment variable.
func variable(flag string) string {
	return settingPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// variables returns the names of all settings' variables.
func variables(model *kong.Application) []string {
	names := []string{secretKeyVariable}
	for _, flag := range model.Flags {
		if isSetting(flag) {
			names = append(names, variable(flag.Name))
		}
	}
	return names
}

// describe adds the help, the variable and the default of each setting.
func describe(k *kong.Kong, help map[string]string) error {
	for _, flag := range k.Model.Flags {
		if isSetting(flag) {
			flag.Help = help[flag.Name] + " [" + variable(flag.Name) + "]"
			if flag.Default != "" {
				flag.Help += " Default: " + flag.Default + "."
			}
		}
	}
	return nil
}

// collect returns a mapper that records a bad value and goes on.
func collect[T any](errs *[]error, parse func(string) (T, error)) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("value", &text); err != nil {
			return err
		}
		value, err := parse(text)
		if err != nil {
			if ctx.Value.Flag != nil && !isSetting(ctx.Value.Flag) { // it has no variable
				return fmt.Errorf("%q is %w", text, err)
			}
			*errs = append(*errs, newSettingError(ctx.Value.Name, "%q is %w", text, err))
			return nil
		}
		target.Set(reflect.ValueOf(value))
		return nil
	}
}

// settingError says what is wrong with one setting.
type settingError struct {
	flag string
	err  error
}

func (e *settingError) Error() string {
	return fmt.Sprintf("%s (--%s): %v", variable(e.flag), e.flag, e.err)
}

func (e *settingError) Unwrap() error { return e.err }

func newSettingError(flag, format string, args ...any) error {
	return &settingError{flag, fmt.Errorf(format, args...)}
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New("not a duration such as 90s or 5m")
	}
	return d, nil
}

func parseOnOff(text string) (onOff, error) {
	if text != "true" && text != "false" {
		return onOff{}, errors.New("neither true nor false")
	}
	return onOff{text == "true"}, nil
}

func parseInt(text string) (int, error) {
	var n int
	if _, err := fmt.Sscanf(text+"\n", "%d\n", &n); err != nil {
		return 0, errors.New("not a whole number")
	}
	return n, nil
}

func parsePrefixes(text string) (prefixes, error) {
	var all prefixes
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if addr, err := netip.ParseAddr(part); err == nil {
			all = append(all, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, errors.New("not a list of networks such as 10.0.0.0/8,192.0.2.7")
		}
		all = append(all, prefix)
	}
	return all, nil
}

// parseDomains takes what a public authority issues certificates for by TLS-ALPN-01 (RFC 8737, section 3).
func parseDomains(text string) (domains, error) {
	var all domains
	for part := range strings.SplitSeq(text, ",") {
		name := strings.ToLower(strings.TrimSpace(part))
		_, notAddress := netip.ParseAddr(name)
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil || notAddress == nil || !strings.Contains(strings.Trim(name, "."), ".") {
			return nil, errors.New("not a list of names such as api.example.org,example.org; " +
				"addresses and wildcards get no certificate this way")
		}
		all = append(all, ascii)
	}
	return all, nil
}

func parseLevel(text string) (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return 0, errors.New("none of debug, info, warn, error")
	}
	return level, nil
}
