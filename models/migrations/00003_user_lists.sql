-- compatible-since: 2
-- One text for SQLite and PostgreSQL. Lists of users are in the order of bytes, so that a prefix of names is a
-- range. SQLite compares that way; PostgreSQL does with the collation "C" alone. PostgreSQL nests comments and
-- SQLite does not: what follows /* /* */ -- */ in a line is for PostgreSQL alone.

-- +goose Up
/* /* */ -- */ CREATE INDEX IF NOT EXISTS users_username_bytes ON users (username COLLATE "C")
;

-- Users who have a role, and users who are disabled, are few among many.
CREATE INDEX IF NOT EXISTS users_with_roles ON users (username /* /* */ -- */ COLLATE "C"
) WHERE roles <> '';
CREATE INDEX IF NOT EXISTS users_disabled ON users (username /* /* */ -- */ COLLATE "C"
) WHERE disabled_at IS NOT NULL;

-- +goose Down
DROP INDEX IF EXISTS users_disabled;
DROP INDEX IF EXISTS users_with_roles;
DROP INDEX IF EXISTS users_username_bytes;
