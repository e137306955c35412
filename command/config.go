package command

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"sherpa/models"
	"sherpa/security"
)

// Config is every setting, each a flag and a variable SHERPA_…, with its default.
type Config struct {
	Listen            string        `group:"Settings" default:"127.0.0.1:5000" placeholder:"HOST:PORT" help:"Address to listen on."`
	DatabaseURL       string        `group:"Settings" default:"sqlite:data/sherpa.db" placeholder:"URL" help:"Where users and sessions are kept: sqlite:PATH, or postgres://USER@HOST:5432/NAME?sslmode=verify-full, which any number of replicas may share; pool_max_conns=N in it bounds the connections of each (default 10). With a password in it, use the variable or a file: every process can read flags."`
	DatabaseURLFile   string        `group:"Settings" placeholder:"PATH" help:"File that holds the database URL."`
	SecretKeyFile     string        `group:"Settings" placeholder:"PATH" help:"File with the signing keys, one a line: the first signs, all verify. Or put the keys into the variable SHERPA_SECRET_KEY, separated by commas; there is no flag for them, because every process can read flags. With neither, a key is made and kept in secret.key beside a SQLite database; on PostgreSQL the start is refused, because all replicas need the same."`
	Demo              string        `group:"Settings" default:"auto" placeholder:"auto|true|false" help:"Whether an empty database gets the tutorial's user sherpa/everest. auto: on a loopback address only."`
	AccessTTL         time.Duration `group:"Settings" default:"5m" placeholder:"DURATION" help:"How long an access token lives, from 10s to 24h."`
	SessionIdle       time.Duration `group:"Settings" default:"168h" placeholder:"DURATION" help:"A session ends when it is not refreshed for so long, from 1m."`
	SessionAge        time.Duration `group:"Settings" default:"720h" placeholder:"DURATION" help:"A session ends at this age, however often it is refreshed, up to 8760h."`
	CacheSize         int           `group:"Settings" default:"131072" placeholder:"N" help:"How many verified tokens and living sessions are remembered, from 100. 100000 take about 100 MB."`
	Issuer            string        `group:"Settings" default:"sherpa" help:"The claim iss of access tokens."`
	Audience          string        `group:"Settings" default:"sherpa" help:"The claim aud of access tokens."`
	PasswordMinLength int           `group:"Settings" default:"15" placeholder:"N" help:"Fewest characters of a new password, from 8 to 64."`
	TrustedProxies    prefixes      `group:"Settings" placeholder:"CIDR,…" help:"Proxies whose X-Forwarded-For is believed. Default: none."`
	AccessLog         string        `group:"Settings" default:"true" placeholder:"true|false" help:"Whether to log one line for each request."`
	LogFormat         string        `group:"Settings" default:"auto" placeholder:"auto|text|json" help:"auto: text on a terminal, else JSON."`
	LogLevel          slog.Level    `group:"Settings" default:"info" placeholder:"debug|info|warn|error" help:"Least level that is logged."`
	ShutdownDelay     time.Duration `group:"Settings" default:"0s" placeholder:"DURATION" help:"How long to go on serving after SIGTERM with /readyz at 503, so that a proxy sends no more before the end."`
	ShutdownTimeout   time.Duration `group:"Settings" default:"10s" placeholder:"DURATION" help:"How long requests under way may take to finish after SIGTERM."`

	secretKey string
	secretSet bool // also when it is empty: then something that should have set it has failed
	lookup    func(string) (string, bool)
}

// settingPrefix is what the environment variables of the settings begin with.
const settingPrefix = "SHERPA_"

const settingGroup = "Settings"

// defaultDatabase is what the tag of Config.DatabaseURL has.
const defaultDatabase = "sqlite:data/sherpa.db"

// prefixes are networks in CIDR notation; a single address counts as one.
type prefixes []netip.Prefix

// settingOptions lets kong read settings from the environment, and go on past a bad value so that all faults are
// reported at once.
func settingOptions(lookup func(string) (string, bool), faults *[]error) []kong.Option {
	environment := kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if !isSetting(flag) {
			return nil, nil //nolint:nilnil // kong's way to say: no value here
		}
		if text, ok := lookup(variable(flag.Name)); ok && text != "" {
			return text, nil
		}
		return nil, nil //nolint:nilnil // as above
	})
	return []kong.Option{
		kong.Resolvers(environment),
		kong.PostBuild(describeVariables),
		kong.ExplicitGroups([]kong.Group{{Key: settingGroup, Title: "Settings (variable in brackets)"}}),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), collect(faults, parseDuration)),
		kong.TypeMapper(reflect.TypeFor[int](), collect(faults, parseInt)),
		kong.TypeMapper(reflect.TypeFor[prefixes](), collect(faults, parsePrefixes)),
		kong.TypeMapper(reflect.TypeFor[slog.Level](), collect(faults, parseLevel)),
	}
}

func isSetting(flag *kong.Flag) bool { return flag.Group != nil && flag.Group.Key == settingGroup }

// variable returns the name of a setting's environment variable.
func variable(flag string) string {
	return settingPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func describeVariables(k *kong.Kong) error {
	for _, flag := range k.Model.Flags {
		if isSetting(flag) {
			flag.Help += " [" + variable(flag.Name) + "]"
			if flag.Default != "" {
				flag.Help += " Default: " + flag.Default + "."
			}
		}
	}
	return nil
}

// collect makes a mapper that notes a bad value and goes on.
func collect[T any](faults *[]error, parse func(string) (T, error)) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("value", &text); err != nil {
			return err
		}
		value, err := parse(text)
		if err != nil {
			*faults = append(*faults, settingFault(ctx.Value.Name, "%q is %w", text, err))
			return nil
		}
		target.Set(reflect.ValueOf(value))
		return nil
	}
}

// settingError is a fault of one setting.
type settingError struct {
	flag string
	err  error
}

func (e *settingError) Error() string {
	return fmt.Sprintf("%s (--%s): %v", variable(e.flag), e.flag, e.err)
}

func (e *settingError) Unwrap() error { return e.err }

func settingFault(flag, format string, args ...any) error {
	return &settingError{flag, fmt.Errorf(format, args...)}
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New("not a duration such as 90s or 5m")
	}
	return d, nil
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

func parseLevel(text string) (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return 0, errors.New("none of debug, info, warn, error")
	}
	return level, nil
}

// validate returns every fault of the values; those that could not be read are known already.
func (c *Config) validate(known []error) []error {
	var faults []error
	check := func(ok bool, flag, format string, args ...any) {
		unread := slices.ContainsFunc(known, func(err error) bool {
			var fault *settingError
			return errors.As(err, &fault) && fault.flag == flag
		})
		if !ok && !unread {
			faults = append(faults, settingFault(flag, format, args...))
		}
	}
	_, _, err := net.SplitHostPort(c.Listen)
	check(err == nil, "listen", "%q is not HOST:PORT, such as 127.0.0.1:5000 or :5000", c.Listen)
	err = c.readDatabaseURL()
	check(err == nil, "database-url-file", "%v", err)
	if err == nil {
		err = models.CheckURL(c.DatabaseURL)
		check(err == nil, "database-url", "%v", err)
	}
	check(slices.Contains([]string{"auto", "true", "false"}, c.Demo), "demo", "%q is none of auto, true, false", c.Demo)
	check(slices.Contains([]string{"auto", "text", "json"}, c.LogFormat), "log-format", "%q is none of auto, text, json", c.LogFormat)
	check(c.AccessTTL >= 10*time.Second && c.AccessTTL <= 24*time.Hour, "access-ttl", "%v is not between 10s and 24h", c.AccessTTL)
	check(c.SessionIdle >= time.Minute && c.SessionIdle <= c.SessionAge, "session-idle", "%v is not between 1m and SHERPA_SESSION_AGE", c.SessionIdle)
	check(c.SessionAge <= 8760*time.Hour, "session-age", "%v is more than 8760h", c.SessionAge)
	check(c.CacheSize >= 100, "cache-size", "%d is less than 100", c.CacheSize)
	check(slices.Contains([]string{"true", "false"}, c.AccessLog), "access-log", "%q is neither true nor false", c.AccessLog)
	check(c.Issuer != "", "issuer", "it is empty")
	check(c.Audience != "", "audience", "it is empty")
	check(c.PasswordMinLength >= security.LeastMinPassword && c.PasswordMinLength <= 64,
		"password-min-length", "%d is not between %d and 64", c.PasswordMinLength, security.LeastMinPassword)
	check(c.ShutdownDelay >= 0, "shutdown-delay", "%v is negative", c.ShutdownDelay)
	check(c.ShutdownTimeout > 0, "shutdown-timeout", "%v is not positive", c.ShutdownTimeout)
	check(!c.secretSet || c.SecretKeyFile == "", "secret-key-file", "SHERPA_SECRET_KEY is set as well; set one of the two")
	return faults
}

// readDatabaseURL takes the URL from its file, if there is one.
func (c *Config) readDatabaseURL() error {
	if c.DatabaseURLFile == "" {
		return nil
	}
	if c.DatabaseURL != defaultDatabase {
		return errors.New("SHERPA_DATABASE_URL is set as well; set one of the two")
	}
	text, err := os.ReadFile(c.DatabaseURLFile)
	if err != nil {
		return err
	}
	if c.DatabaseURL = strings.TrimSpace(string(text)); c.DatabaseURL == "" {
		return errors.New("the file is empty")
	}
	return nil
}

// checkKeys returns what is wrong with the keys that the operator brings, or must bring.
func (c *Config) checkKeys() error {
	if c.makesKey() {
		return nil
	}
	_, err := c.keyRing()
	return err
}

// demo reports whether the demo user is wanted. Only a loopback address is out of the reach of strangers.
func (c *Config) demo() bool {
	if c.Demo != "auto" {
		return c.Demo == "true"
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// keyRing reads the signing keys from where the settings say, by default from beside the database.
func (c *Config) keyRing() (security.KeyRing, error) {
	switch {
	case c.secretSet:
		ring, err := security.ParseKeyRing(c.secretKey)
		return ring, named("SHERPA_SECRET_KEY", err)
	case c.SecretKeyFile != "":
		return readKeyRing(c.SecretKeyFile)
	case models.IsPostgres(c.DatabaseURL): // a key of its own would make a replica refuse the tokens of the others
		return security.KeyRing{}, settingFault("secret-key-file", "replicas on PostgreSQL need the same signing keys: make one with `sherpa key new`, and set SHERPA_SECRET_KEY_FILE or SHERPA_SECRET_KEY")
	}
	path, err := c.ownKeyFile()
	if err != nil {
		return security.KeyRing{}, err
	}
	return readKeyRing(path)
}

// makesKey reports whether the key is our own: the operator brings none, and there are no replicas that need the same.
func (c *Config) makesKey() bool {
	return !c.secretSet && c.SecretKeyFile == "" && !models.IsPostgres(c.DatabaseURL)
}

// ownKeyFile is where the key is kept that makeKey makes.
func (c *Config) ownKeyFile() (string, error) {
	database, err := models.SQLitePath(c.DatabaseURL)
	return filepath.Join(filepath.Dir(database), "secret.key"), err
}

// makeKey makes a key when the operator brings none and there is none yet.
func (c *Config) makeKey() error {
	if !c.makesKey() {
		return nil
	}
	path, err := c.ownKeyFile()
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := writeOnce(path, security.NewKey()+"\n"); err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	return nil
}

func readKeyRing(path string) (security.KeyRing, error) {
	text, err := os.ReadFile(path) //nolint:gosec // G304: the operator names the file
	if err != nil {
		return security.KeyRing{}, fmt.Errorf("signing keys: %w", err)
	}
	ring, err := security.ParseKeyRing(string(text))
	return ring, named(path, err)
}

func named(source string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("signing keys in %s: %w", source, err)
}

// writeOnce creates the file, mode 0600, with the text; a file that is there already stays. A link, unlike a rename,
// fails when another process was first, and shows the file to others only when it is whole.
func writeOnce(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // a stray copy is harmless: same folder, same mode
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}
