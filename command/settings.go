package command

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"sherpa/models"
	"sherpa/security/password"
)

// Config is every setting: a flag and a variable SHERPA_… each, with its default. Their help is in
// settingHelp.
type Config struct {
	Listen            string        `group:"Settings" default:"127.0.0.1:5000" placeholder:"HOST:PORT"`
	DatabaseURL       string        `group:"Settings" default:"${database}" placeholder:"URL"`
	DatabaseURLFile   string        `group:"Settings" placeholder:"PATH"`
	Migrate           string        `group:"Settings" default:"auto" placeholder:"auto|wait|off"`
	SecretKeyFile     string        `group:"Settings" placeholder:"PATH"`
	Demo              string        `group:"Settings" default:"auto" placeholder:"auto|true|false"`
	AccessTTL         time.Duration `group:"Settings" default:"5m" placeholder:"DURATION"`
	SessionIdle       time.Duration `group:"Settings" default:"168h" placeholder:"DURATION"`
	SessionAge        time.Duration `group:"Settings" default:"720h" placeholder:"DURATION"`
	CacheSize         int           `group:"Settings" default:"131072" placeholder:"N"`
	MaxConnections    int           `group:"Settings" default:"0" placeholder:"N"`
	Issuer            string        `group:"Settings" default:"sherpa"`
	Audience          string        `group:"Settings" default:"sherpa"`
	EventRetention    time.Duration `group:"Settings" default:"2160h" placeholder:"DURATION"`
	PasswordMinLength int           `group:"Settings" default:"15" placeholder:"N"`
	Registration      string        `group:"Settings" default:"closed" placeholder:"open|closed"`
	TrustedProxies    prefixes      `group:"Settings" placeholder:"CIDR,…"`
	TLSCert           string        `group:"Settings" placeholder:"PATH"`
	TLSKey            string        `group:"Settings" placeholder:"PATH"`
	TLSDomains        domains       `group:"Settings" placeholder:"NAME,…"`
	ACMEURL           string        `name:"acme-url" group:"Settings" default:"${acme}" placeholder:"URL"`
	ACMECA            string        `name:"acme-ca" group:"Settings" placeholder:"PATH"`
	ACMEDir           string        `name:"acme-dir" group:"Settings" placeholder:"PATH"`
	CORSOrigins       origins       `group:"Settings" placeholder:"ORIGIN,…"`
	Docs              onOff         `group:"Settings" default:"true" placeholder:"true|false"`
	AccessLog         string        `group:"Settings" default:"true" placeholder:"true|false|errors"`
	OpsListen         string        `group:"Settings" default:"${ops}" placeholder:"HOST:PORT"`
	Pprof             onOff         `group:"Settings" default:"false" placeholder:"true|false"`
	LogFormat         string        `group:"Settings" default:"auto" placeholder:"auto|text|json"`
	LogLevel          slog.Level    `group:"Settings" default:"info" placeholder:"debug|info|warn|error"`
	ShutdownDelay     time.Duration `group:"Settings" default:"0s" placeholder:"DURATION"`
	ShutdownTimeout   time.Duration `group:"Settings" default:"10s" placeholder:"DURATION"`

	secretKey string
	secretSet bool // also when it is empty: then something that should have set it has failed
	opsChosen bool // whether OpsListen is not the default
	lookup    func(string) (string, bool)
	build     Build
}

// What SHERPA_REGISTRATION may say.
const (
	registrationOpen   = "open"
	registrationClosed = "closed"
)

// defaultDatabase is the database URL of a start without settings.
const defaultDatabase = "sqlite:data/sherpa.db"

// defaultOpsListen is the operations address of a start without settings.
const defaultOpsListen = "127.0.0.1:5001"

// settingHelp is what --help and docs/settings.md say of each flag.
func settingHelp() map[string]string { //nolint:funlen // a table
	return map[string]string{
		"listen": "Address to listen on.",
		"database-url": "Where users and sessions are stored: sqlite:PATH, or " +
			"postgres://USER@HOST:5432/NAME?sslmode=verify-full, which any number of replicas may share. " +
			"pool_max_conns=N in it bounds the connections of each replica (default 10). If it has a " +
			"password, use the variable or a file: every process can read flags.",
		"database-url-file": "File that holds the database URL.",
		"migrate": "Who brings the schema of the database up to date. auto: every start and command. " +
			"wait: `sherpa db migrate`; a server waits for that before it listens. " +
			"off: the same, but a server refuses to start.",
		"secret-key-file": "File with the signing keys, secrets and private keys, one below the other: the " +
			"first signs, all verify. " +
			"Or put the keys into the variable SHERPA_SECRET_KEY, separated by commas; it has no flag, " +
			"because every process can read flags. With neither, SQLite gets a generated key in secret.key " +
			"next to the database, and PostgreSQL refuses to start: all replicas need the same keys.",
		"demo": "Whether an empty database gets the tutorial's user sherpa/everest. auto: only on a " +
			"loopback address.",
		"access-ttl":   "How long an access token lives, from 10s to 24h.",
		"session-idle": "A session ends when it is not refreshed for this long, from 1m.",
		"session-age":  "A session ends at this age, even when it is refreshed, up to 8760h.",
		"cache-size": "Entries of each cache, verified tokens and live sessions, from 100. " +
			"100000 take about 100 MB.",
		"max-connections": "How many connections may be open. At the bound, the connection whose client " +
			"has been silent for longest makes room for the next one. At most half of them wait for news " +
			"of sessions (/auth/revocations). 0: as many as the system's limit of open files allows, up to " +
			"10000.",
		"issuer":              "The claim iss of access tokens.",
		"audience":            "The claim aud of access tokens.",
		"event-retention":     "How long events are kept, which say who did what; from 24h. 0s: for ever.",
		"password-min-length": "Minimum length of a new password in characters, from 8 to 64.",
		"registration": "open: everybody who reaches the server may create a user without roles, by POST " +
			"/auth/register. closed: there is no such route.",
		"trusted-proxies": "Networks of proxies whose X-Forwarded-For is trusted. Default: none.",
		"tls-cert": "File with the certificate in PEM form: the server's own first, then those between it " +
			"and the authority's. With it, Sherpa speaks TLS and no plain HTTP. The file, and that of the " +
			"key, are read again when they change.",
		"tls-key": "File with the key of that certificate.",
		"tls-domains": "Names of this server, to get certificates for by ACME, instead of the two files. " +
			"With it you accept the terms of the authority. The authority connects to port 443 of each name.",
		"acme-url": "Directory of the ACME server.",
		"acme-ca":  "File with certificates of the authority that the ACME server itself is trusted by.",
		"acme-dir": "Folder for certificates from ACME and their keys. Default: acme next to the SQLite " +
			"database; with PostgreSQL there is none.",
		"cors-origins": "Origins whose scripts may read answers, such as https://app.example.org. " +
			"Default: none. See the section on browsers in operations.md.",
		"docs": "Whether there is the page /docs, which shows the API and sends requests.",
		"access-log": "Whether to log one line for each request. errors: for those alone whose status is " +
			"neither 2xx nor 3xx.",
		"ops-listen": "Address for operations: /metrics, /healthz and /readyz. It asks for no token, so " +
			"let only operators reach it. Empty: none. When another program has the default one, the start " +
			"warns and goes on without.",
		"pprof":      "Whether the operations address has /debug/pprof/, Go's profiles.",
		"log-format": "auto: text on a terminal, JSON elsewhere.",
		"log-level":  "Lowest level that is logged.",
		"shutdown-delay": "How long to serve on after SIGTERM, with /readyz at 503, so that a proxy stops " +
			"sending requests before the end.",
		"shutdown-timeout": "How long requests may take to finish after SIGTERM.",
	}
}

// validate returns what is wrong with the values. It leaves out settings that could not be read: these are
// known.
func (c *Config) validate(known []error) []error {
	var errs []error
	check := func(ok bool, flag, format string, args ...any) {
		unread := slices.ContainsFunc(known, func(err error) bool {
			var setting *settingError
			return errors.As(err, &setting) && setting.flag == flag
		})
		if !ok && !unread {
			errs = append(errs, newSettingError(flag, format, args...))
		}
	}
	c.checkAddresses(check)
	c.checkWords(check)
	c.checkTimes(check)
	check(c.CacheSize >= 100, "cache-size", "%d is less than 100", c.CacheSize)
	check(c.MaxConnections >= 0, "max-connections", "%d is negative", c.MaxConnections)
	check(c.PasswordMinLength >= password.MinLengthFloor && c.PasswordMinLength <= 64,
		"password-min-length", "%d is not between %d and 64", c.PasswordMinLength, password.MinLengthFloor)
	check(!c.secretSet || c.SecretKeyFile == "",
		"secret-key-file", "SHERPA_SECRET_KEY is set as well; set one of the two")
	return append(errs, c.checkTLS()...)
}

// demand notes what is wrong with a setting, unless it is ok.
type demand func(ok bool, flag, format string, args ...any)

func (c *Config) checkAddresses(check demand) {
	_, _, err := net.SplitHostPort(c.Listen)
	check(err == nil, "listen", "%q is not HOST:PORT, such as 127.0.0.1:5000 or :5000", c.Listen)
	_, _, err = net.SplitHostPort(c.OpsListen)
	check(err == nil || c.OpsListen == "", "ops-listen",
		"%q is neither HOST:PORT, such as 127.0.0.1:5001, nor empty", c.OpsListen)
	check(!c.Pprof.on || c.OpsListen != "", "pprof", "there is no SHERPA_OPS_LISTEN to serve profiles at")
	err = c.readDatabaseURL()
	check(err == nil, "database-url-file", "%v", err)
	if err == nil {
		err = models.CheckURL(c.DatabaseURL)
		check(err == nil, "database-url", "%v", err)
	}
}

func (c *Config) checkWords(check demand) {
	check(slices.Contains([]string{migrateAuto, migrateWait, migrateOff}, c.Migrate),
		"migrate", "%q is none of auto, wait, off", c.Migrate)
	check(slices.Contains([]string{"auto", "true", "false"}, c.Demo),
		"demo", "%q is none of auto, true, false", c.Demo)
	check(slices.Contains([]string{"true", "false", "errors"}, c.AccessLog),
		"access-log", "%q is none of true, false, errors", c.AccessLog)
	check(slices.Contains([]string{registrationOpen, registrationClosed}, c.Registration),
		"registration", "%q is none of open, closed", c.Registration)
	check(slices.Contains([]string{"auto", "text", "json"}, c.LogFormat),
		"log-format", "%q is none of auto, text, json", c.LogFormat)
	check(c.Issuer != "", "issuer", "it is empty")
	check(c.Audience != "", "audience", "it is empty")
}

func (c *Config) checkTimes(check demand) {
	check(c.AccessTTL >= 10*time.Second && c.AccessTTL <= 24*time.Hour,
		"access-ttl", "%v is not between 10s and 24h", c.AccessTTL)
	check(c.SessionIdle >= time.Minute && c.SessionIdle <= c.SessionAge,
		"session-idle", "%v is not between 1m and SHERPA_SESSION_AGE", c.SessionIdle)
	check(c.SessionAge <= 8760*time.Hour, "session-age", "%v is more than 8760h", c.SessionAge)
	check(c.EventRetention == 0 || c.EventRetention >= 24*time.Hour,
		"event-retention", "%v is neither 0s nor 24h or more", c.EventRetention)
	check(c.ShutdownDelay >= 0, "shutdown-delay", "%v is negative", c.ShutdownDelay)
	check(c.ShutdownTimeout > 0, "shutdown-timeout", "%v is not positive", c.ShutdownTimeout)
}

// demo reports whether the demo user is wanted. Strangers cannot reach a loopback address.
func (c *Config) demo() bool {
	if c.Demo != "auto" {
		return c.Demo == "true"
	}
	return c.loopback()
}

// loopback reports whether only programs of this machine reach the server.
func (c *Config) loopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// readDatabaseURL reads the URL from its file, if there is one.
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
