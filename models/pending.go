package models

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// PendingSQL returns what Migrate would run, as a script that can be run by hand as well. It is empty when
// the schema lacks nothing.
func (d *Database) PendingSQL(ctx context.Context) (string, error) {
	pending, _, err := d.compare(ctx, d.read)
	if err != nil {
		return "", d.wrap("read its migrations", err)
	}
	files, err := readMigrations(d.migrations)
	if err != nil {
		return "", err
	}
	var script strings.Builder
	for _, file := range files {
		if !slices.Contains(pending, file.version) {
			continue
		}
		text, err := d.script(file)
		if err != nil {
			return "", err
		}
		script.WriteString(text)
	}
	return script.String(), nil
}

// script returns a migration with the transaction that goose puts around it, and the rows that tell of it.
func (c *connection) script(m migrationFile) (string, error) {
	since, err := m.since()
	if err != nil {
		return "", err
	}
	begin, commit := "BEGIN;\n"+c.engine.lockLimit, "COMMIT;\n"
	if strings.Contains(m.text, "+goose NO TRANSACTION") {
		begin, commit = "", ""
	}
	_, up, _ := strings.Cut(m.text, "-- +goose Up\n")
	up, _, _ = strings.Cut(up, "-- +goose Down")
	version := fmt.Sprintf("INSERT INTO %s (version_id, is_applied) VALUES (%d, true);\n",
		c.engine.versionTable, m.version)
	return "-- " + m.name + "\n" + begin + strings.TrimSpace(up) + "\n" + version +
		createPromiseTable + ";\n" + insertPromise(m.version, since) + ";\n" + commit, nil
}
