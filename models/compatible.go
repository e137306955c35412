package models

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3/database"
)

// A program works on a schema that has migrations which it lacks, if each of these promises it. A migration
// promises with a line "-- compatible-since: N": programs that have the migration N work without this one.
// The database keeps the promises, because the older program does not have the file.

// promiseTable has a row for each migration that was applied since there are promises.
const promiseTable = "sherpa_compatible_since"

const createPromiseTable = `CREATE TABLE IF NOT EXISTS ` + promiseTable + ` (
	version_id BIGINT NOT NULL PRIMARY KEY,
	since      BIGINT NOT NULL
)`

// insertPromise returns the statement that stores a promise.
func insertPromise(version, since int64) string {
	return fmt.Sprintf(`INSERT INTO %s (version_id, since) VALUES (%d, %d) `+
		`ON CONFLICT (version_id) DO UPDATE SET since = excluded.since`, promiseTable, version, since)
}

var promiseLine = regexp.MustCompile(`(?m)^-- compatible-since: ([0-9]+)$`)

// since returns the migration that older programs must have to work without this one. Who promises nothing
// needs this one: a program that guesses could pass by a check that the migration is for.
func (m migrationFile) since() (int64, error) {
	lines := promiseLine.FindAllStringSubmatch(m.text, -1)
	if len(lines) != strings.Count(m.text, "compatible-since") || len(lines) > 1 {
		return 0, fmt.Errorf(`migration %s: it may have one line "-- compatible-since: N"`, m.name)
	}
	if len(lines) == 0 {
		return m.version, nil
	}
	since, err := strconv.ParseInt(lines[0][1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("migration %s: compatible-since: %w", m.name, err)
	}
	return since, nil
}

// readPromises returns what each migration of this program promises. It refuses a version that nobody has: a
// mistyped one would promise nothing.
func readPromises(migrations fs.FS) (map[int64]int64, error) {
	files, err := readMigrations(migrations)
	if err != nil {
		return nil, err
	}
	promises := map[int64]int64{}
	for _, file := range files {
		since, err := file.since()
		if err != nil {
			return nil, err
		}
		promises[file.version] = since
	}
	for _, file := range files {
		if _, ok := promises[promises[file.version]]; !ok {
			return nil, fmt.Errorf("migration %s: there is no migration %d to be compatible since",
				file.name, promises[file.version])
		}
	}
	return promises, nil
}

// promisingStore stores the promise of each migration in the transaction that applies it.
type promisingStore struct {
	database.Store
	promises map[int64]int64
}

func (c *connection) promisingStore() (database.Store, error) {
	promises, err := readPromises(c.migrations)
	if err != nil {
		return nil, err
	}
	store, err := database.NewStore(c.engine.dialect, c.engine.versionTable)
	if err != nil {
		return nil, err
	}
	return promisingStore{store, promises}, nil
}

// Insert is called by goose.
func (s promisingStore) Insert(
	ctx context.Context, db database.DBTxConn, request database.InsertRequest,
) error {
	if err := s.Store.Insert(ctx, db, request); err != nil || request.Version == 0 {
		return err
	}
	for _, statement := range []string{
		createPromiseTable, insertPromise(request.Version, s.promises[request.Version]),
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("store what migration %d promises: %w", request.Version, err)
		}
	}
	return nil
}

// refuseIncompatible protects the schema of a newer sherpa, or of a fork, from a program that it does not
// promise to work with.
func refuseIncompatible(ctx context.Context, db *sql.DB, table string, migrations fs.FS) error {
	known, err := knownMigrations(migrations)
	if err != nil {
		return err
	}
	applied, err := appliedMigrations(ctx, db, table)
	if err != nil {
		return nil //nolint:nilerr // another process is creating the schema now, and the migration waits for it
	}
	unknown := missing(applied, known)
	if len(unknown) == 0 {
		return nil
	}
	promised, err := promisedTo(ctx, db, known)
	return refusal(missing(unknown, promised), err)
}

// refusal names the migrations whose promise is missing, and the error that came of reading the promises.
func refusal(breaking []int64, err error) error {
	if len(breaking) == 0 {
		return nil
	}
	refused := fmt.Errorf("a newer sherpa made it, or a fork with migrations of its own; run that one: "+
		"this program does not know the migrations %v, and they do not promise to work with it", breaking)
	if err != nil {
		return fmt.Errorf("%w (%w)", refused, err)
	}
	return refused
}

// promisedTo returns the migrations that programs with the known ones work without. It fails also when nobody
// has promised anything.
func promisedTo(ctx context.Context, db queryer, known []int64) (promised []int64, err error) {
	type promise struct{ version, since int64 }
	scan := func(row scanner) (p promise, err error) { return p, row.Scan(&p.version, &p.since) }
	all, err := collect(each(ctx, db, scan, `SELECT version_id, since FROM `+promiseTable))
	for _, p := range all {
		if slices.Contains(known, p.since) {
			promised = append(promised, p.version)
		}
	}
	return promised, err
}
