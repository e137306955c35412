package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrNoBackup says that the engine has a tool of its own for backups.
var ErrNoBackup = errors.New("a backup of this kind is for SQLite")

// Backup writes a consistent copy of a SQLite database to a new file, mode 0600, and returns its size.
// Servers go on reading and writing meanwhile. The file appears under its name when it is complete, checked
// and on the disk.
func (d *Database) Backup(ctx context.Context, path string) (size int64, err error) {
	if d.engine.backup == "" {
		return 0, ErrNoBackup
	}
	if _, err := os.Lstat(path); err == nil {
		return 0, fmt.Errorf("%s exists already", path)
	}
	part, err := os.CreateTemp(filepath.Dir(path), ".sherpa-backup-*") // mode 0600
	if err != nil {
		return 0, err
	}
	defer os.Remove(part.Name()) //nolint:errcheck // after a success it is a second name of the backup
	defer func() { err = errors.Join(err, part.Close()) }()
	if _, err := d.read.ExecContext(ctx, d.engine.backup, part.Name()); err != nil {
		return 0, d.wrap("copy", err)
	}
	if err := checkBackup(ctx, part.Name(), d.migrations); err != nil {
		return 0, fmt.Errorf("check the copy: %w", err)
	}
	return finish(part, path)
}

// checkBackup reads every page.
func checkBackup(ctx context.Context, path string, migrations fs.FS) (err error) {
	db, err := sql.Open("sqlite", sqliteDSN(path, "mode=ro"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := inspectOpen(ctx, db, false, migrations); err != nil {
		return err
	}
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil || verdict == "ok" {
		return err
	}
	return errors.New(verdict)
}

// finish gives the file its name. A link, unlike a rename, never replaces another file.
func finish(part *os.File, path string) (int64, error) {
	if err := part.Sync(); err != nil {
		return 0, err
	}
	info, err := part.Stat()
	if err != nil {
		return 0, err
	}
	if err := os.Link(part.Name(), path); err != nil {
		return 0, err
	}
	return info.Size(), syncFolder(filepath.Dir(path))
}

// syncFolder makes a new name survive a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // G304: the operator names it
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
