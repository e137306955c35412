-- One text for SQLite and PostgreSQL. Times are milliseconds since 1970 UTC.

-- +goose Up
CREATE TABLE counters (
    name  TEXT   NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE users (
    id                  BIGINT NOT NULL PRIMARY KEY,
    username            TEXT   NOT NULL UNIQUE,
    password_hash       TEXT   NOT NULL,
    roles               TEXT   NOT NULL,
    created_at          BIGINT NOT NULL,
    password_changed_at BIGINT NOT NULL,
    disabled_at         BIGINT
);

CREATE TABLE sessions (
    id           TEXT   NOT NULL PRIMARY KEY,
    user_id      BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    ended_reason TEXT
);

CREATE INDEX sessions_user_id ON sessions (user_id);

-- +goose Down
DROP TABLE sessions;
DROP TABLE users;
DROP TABLE counters;
