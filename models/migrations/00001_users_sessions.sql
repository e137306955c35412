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
    id            TEXT   NOT NULL PRIMARY KEY,
    user_id       BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT NOT NULL,
    idle_ends_at  BIGINT NOT NULL,
    ends_at       BIGINT NOT NULL,
    address       TEXT   NOT NULL,
    user_agent    TEXT   NOT NULL,
    refresh_count BIGINT NOT NULL,
    refresh_hash  TEXT   NOT NULL,
    ended_at      BIGINT,
    ended_reason  TEXT
);

CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_idle_ends_at ON sessions (idle_ends_at);

-- What other replicas must forget: the ids of sessions that ended, for as long as one may remember them.
CREATE TABLE revocations (
    revoked_at BIGINT NOT NULL,
    session_id TEXT   NOT NULL,
    PRIMARY KEY (revoked_at, session_id)
);

-- Failed logins in a row, by a key that stands for a username, or for a username at an address.
CREATE TABLE login_failures (
    key     TEXT   NOT NULL PRIMARY KEY,
    tries   BIGINT NOT NULL,
    next_at BIGINT NOT NULL
);

CREATE INDEX login_failures_next_at ON login_failures (next_at);

-- Login requests of an address: when its allowance will be whole again.
CREATE TABLE login_rates (
    key      TEXT   NOT NULL PRIMARY KEY,
    whole_at BIGINT NOT NULL
);

CREATE INDEX login_rates_whole_at ON login_rates (whole_at);

-- Addresses from which a user has logged in.
CREATE TABLE known_addresses (
    key          TEXT   NOT NULL PRIMARY KEY,
    logged_in_at BIGINT NOT NULL
);

CREATE INDEX known_addresses_logged_in_at ON known_addresses (logged_in_at);

-- +goose Down
DROP TABLE known_addresses;
DROP TABLE login_rates;
DROP TABLE login_failures;
DROP TABLE revocations;
DROP TABLE sessions;
DROP TABLE users;
DROP TABLE counters;
