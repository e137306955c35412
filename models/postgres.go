package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

const (
	defaultConnections = 10
	leastConnections   = 2
	// idleConnection is how long an unused connection stays open: a thousand replicas share one server.
	idleConnection = 5 * time.Minute
	// oldConnection makes connections move to the new server after a failover changed the meaning of its
	// name.
	oldConnection  = 30 * time.Minute
	connectTimeout = 3 * time.Second
)

// serverLimits make the server end what this program no longer waits for, even when its machine is gone: a
// statement, and a transaction that holds locks. The URL may set others.
func serverLimits() map[string]string {
	return map[string]string{
		"statement_timeout":                   "5000", // milliseconds; more than writeWait and readWait
		"idle_in_transaction_session_timeout": "5000",
		"application_name":                    "sherpa",
	}
}

// postgresEngine names the table of versions after this program, because others that use goose may share the
// database. statement_timestamp() is constant during a statement, so that PostgreSQL can use an index.
func postgresEngine(p postgres) engine {
	return engine{
		name:         "PostgreSQL",
		system:       "postgresql",
		dialect:      goose.DialectPostgres,
		versionTable: "sherpa_db_version",
		migrate:      p.migrate,
		clock:        `CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)`,
		lockRows:     ` FOR SHARE`,
		lockAlone:    ` FOR NO KEY UPDATE`, // as an UPDATE locks: it lets others refer to the rows
		bytewise:     ` COLLATE "C"`,
		jsonTexts:    `json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON))`,
		lockLimit:    fmt.Sprintf("SET LOCAL lock_timeout = %d;\n", migrationLockWait.Milliseconds()),
		unlimited: `SELECT set_config('statement_timeout', '0', true),
			set_config('idle_in_transaction_session_timeout', '0', true)`,
		snapshot: sql.LevelRepeatableRead,
		version:  `SHOW server_version`,
		writable: `SELECT current_setting('transaction_read_only') = 'off'`,
		size: `SELECT CAST(COALESCE(sum(pg_total_relation_size(to_regclass(name))), 0) AS BIGINT)
			FROM unnest(ARRAY[` + quotedTables() + `]) name`,
		arrays: true,

		connectionLost:       connectionLost,
		serializationFailure: serializationFailed,
		invalidText:          invalidText,
	}
}

// SQLSTATE codes (PostgreSQL manual, appendix A).
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
	untranslatable       = "22021" // such as a NUL in a text
	readOnlyTransaction  = "25006"
	connectionException  = "08"
	operatorIntervention = "57P" // shut down, crashed, starting
)

func sqlState(err error) string {
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		return failure.Code
	}
	return ""
}

func serializationFailed(err error) bool {
	state := sqlState(err)
	return state == serializationFailure || state == deadlockDetected
}

func invalidText(err error) bool { return sqlState(err) == untranslatable }

func connectionLost(err error) bool {
	if state := sqlState(err); state != "" {
		return strings.HasPrefix(state, connectionException) || strings.HasPrefix(state, operatorIntervention)
	}
	var network *net.OpError
	var refused *pgconn.ConnectError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &network) && !network.Timeout() || errors.As(err, &refused)
}

// parsePostgres reads the URL. pool_max_conns in it bounds the connections of this process, as in pgx's own
// pool.
func parsePostgres(text string) (postgres, error) {
	parsed, err := url.Parse(text)
	if err != nil { // not shown: it may quote a password
		return postgres{}, errors.New("it is not a URL such as " +
			"postgres://USER:PASSWORD@HOST:5432/NAME?sslmode=verify-full; " +
			"write special characters in the password as %XX")
	}
	query := parsed.Query()
	p := postgres{connections: defaultConnections}
	if query.Has(poolParameter) {
		text := query.Get(poolParameter)
		if p.connections, err = strconv.Atoi(text); err != nil || p.connections < leastConnections {
			return postgres{}, fmt.Errorf("%s=%q is not a number from %d on", poolParameter, text,
				leastConnections)
		}
		parsed.RawQuery = without(parsed.RawQuery, poolParameter)
	}
	if p.config, err = pgx.ParseConfig(parsed.String()); err != nil {
		return postgres{}, explainConfig(err)
	}
	if err := refuseSilentPlaintext(p.config, query); err != nil {
		return postgres{}, err
	}
	if !query.Has("connect_timeout") {
		p.config.ConnectTimeout = connectTimeout
	}
	p.limit()
	return p, nil
}

// poolParameter is neither for the server nor for the driver: pgx's own pool has it, which database/sql
// replaces.
const poolParameter = "pool_max_conns"

// without removes a parameter and leaves the others as they are: the driver reads a "+" as itself.
func without(query, name string) string {
	parts := slices.DeleteFunc(strings.Split(query, "&"),
		func(part string) bool { return strings.HasPrefix(part, name+"=") || part == name })
	return strings.Join(parts, "&")
}

// postgres is what a URL says.
type postgres struct {
	config      *pgx.ConnConfig
	connections int
}

// explainConfig leaves out the URL, which the driver's message begins with.
func explainConfig(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	return errors.New("it is not a PostgreSQL URL")
}

// refuseSilentPlaintext wants the operator to decide about TLS on a network. Without sslmode, or with one
// that only prefers TLS, the driver falls back to plain text when the server, or an attacker, says that it
// has no TLS.
func refuseSilentPlaintext(config *pgx.ConnConfig, query url.Values) error {
	decided := []string{"disable", "require", "verify-ca", "verify-full"}
	if slices.Contains(decided, query.Get("sslmode")) || !query.Has("sslmode") && query.Get("ssl") == "true" {
		return nil
	}
	hosts := []string{config.Host}
	for _, other := range config.Fallbacks {
		hosts = append(hosts, other.Host)
	}
	for _, host := range hosts {
		if !onThisMachine(host) {
			return fmt.Errorf("say how the connection to %s is protected: add ?sslmode=verify-full, "+
				"or sslmode=disable on a network that you trust", host)
		}
	}
	return nil
}

func onThisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") ||
		err == nil && addr.IsLoopback()
}

// limit sets the server limits that the URL does not set.
func (p postgres) limit() {
	for name, value := range serverLimits() {
		if _, chosen := p.config.RuntimeParams[name]; !chosen {
			p.config.RuntimeParams[name] = value
		}
	}
}

// name is the URL without password and parameters.
func (p postgres) name() string {
	host := net.JoinHostPort(p.config.Host, strconv.Itoa(int(p.config.Port)))
	return (&url.URL{Scheme: "postgres", User: url.User(p.config.User), Host: host,
		Path: "/" + p.config.Database}).String()
}

func connectPostgres(ctx context.Context, text string, create bool, migrations fs.FS) (*connection, error) {
	p, err := parsePostgres(text)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	readers := max(1, p.connections*3/10) // a read is over sooner: only a change waits for the disk
	c := &connection{
		engine: postgresEngine(p), name: p.name(), migrations: migrations,
		read: p.pool(readers), write: p.pool(p.connections - readers),
	}
	if err := c.inspectPostgres(ctx, create); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", c.name, err), c.Close())
	}
	return c, nil
}

func (p postgres) pool(size int) *sql.DB {
	config := p.config.Copy()
	config.OnPgError = func(conn *pgconn.PgConn, failure *pgconn.PgError) bool {
		// A server that became a standby takes no changes: close the connection, and look for the new
		// primary.
		return failure.Code != readOnlyTransaction && p.config.OnPgError(conn, failure)
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(idleConnection)
	db.SetConnMaxLifetime(oldConnection)
	return db
}

// inspectPostgres protects the tables of another program, and the database of a newer Sherpa. The error wraps
// ErrUnavailable when the server cannot be reached now.
func (c *connection) inspectPostgres(ctx context.Context, create bool) error {
	var ours bool
	var names sql.NullString
	query := `SELECT to_regclass($1) IS NOT NULL,
		(SELECT string_agg(name, ', ') FROM unnest(ARRAY[` + quotedTables() + `]) name
		WHERE to_regclass(name) IS NOT NULL)`
	err := c.read.QueryRowContext(ctx, query, c.engine.versionTable).Scan(&ours, &names)
	switch {
	case connectionLost(err):
		return fmt.Errorf("%w: %w", ErrUnavailable, oneLine(err))
	case err != nil:
		return oneLine(err)
	case !ours && names.Valid:
		return fmt.Errorf("it has tables of another program (%s); give Sherpa a database of its own",
			names.String)
	case !ours && !create:
		return fmt.Errorf("%w of Sherpa's", ErrNoDatabase)
	case !ours:
		return nil
	}
	err = refuseIncompatible(ctx, c.read, c.engine.versionTable, c.migrations)
	if connectionLost(err) {
		return fmt.Errorf("%w: %w", ErrUnavailable, oneLine(err))
	}
	return err
}

// oneLine shortens an error for people: the driver lists each address that it tried on its own line, with and
// without TLS.
func oneLine(err error) error {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return errors.New(strings.Join(lines, " "))
}

// migrate uses its own connections, because a migration may take longer than a request, and a lock. When the
// schema lacks nothing it needs neither, so that replicas need not start one after the other.
func (p postgres) migrate(ctx context.Context, c *connection) (applied []string, err error) {
	if c.complete(ctx) {
		return nil, nil
	}
	eachSecondForTenMinutes := lock.WithLockTimeout(1, 600)
	locker, err := lock.NewPostgresSessionLocker(eachSecondForTenMinutes)
	if err != nil {
		return nil, fmt.Errorf("migration lock: %w", err)
	}
	db := stdlib.OpenDB(*p.forMigrations())
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := c.provider(db, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, err
	}
	const attempts, pause = 30, 100 * time.Millisecond // about a minute, with the waits for locks
	once := func() ([]string, error) { return up(ctx, provider) }
	applied, err = retry{attempts, pause, locked}.migrate(ctx, once)
	if locked(err) {
		err = fmt.Errorf("%w; a long transaction uses the table: pg_stat_activity names it", err)
	}
	return applied, err
}

// migrationLockWait is how long a migration waits for the lock of a table. All requests for the table queue
// behind it meanwhile, and must get theirs well within readWait. Then they have their turn, and the migration
// begins again.
const migrationLockWait = time.Second

// locked reports whether a migration failed because others use its tables.
func locked(err error) bool {
	state := sqlState(err)
	return state == lockNotAvailable || state == deadlockDetected
}

// forMigrations is without limits of time, except on waits for a lock.
func (p postgres) forMigrations() *pgx.ConnConfig {
	config := p.config.Copy()
	for name := range serverLimits() {
		if name != "application_name" {
			config.RuntimeParams[name] = "0"
		}
	}
	config.RuntimeParams["lock_timeout"] = strconv.FormatInt(migrationLockWait.Milliseconds(), 10)
	return config
}
