-- compatible-since: 1
-- One text for SQLite and PostgreSQL. Times are milliseconds since 1970 UTC.

-- +goose Up

-- Who did what. No row refers to a user or a session, because it must outlive them.
CREATE TABLE events (
    id           TEXT   NOT NULL PRIMARY KEY, -- begins with the time, so that it sorts by it
    at           BIGINT NOT NULL,
    last_at      BIGINT NOT NULL,
    times        BIGINT NOT NULL,
    bucket       TEXT   UNIQUE,               -- events of the same bucket share a row, which counts them
    kind         TEXT   NOT NULL,
    reason       TEXT   NOT NULL,
    actor        TEXT   NOT NULL,
    actor_id     BIGINT,
    actor_name   TEXT   NOT NULL,
    subject_id   BIGINT,
    subject_name TEXT   NOT NULL,
    name_hash    TEXT   NOT NULL,             -- of a name that nobody has
    session_id   TEXT   NOT NULL,
    address      TEXT   NOT NULL,
    user_agent   TEXT   NOT NULL,
    request_id   TEXT   NOT NULL
);

CREATE INDEX events_at ON events (at);
CREATE INDEX events_subject_id ON events (subject_id, id);

-- What the program remembers from one start to the next.
CREATE TABLE state (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- +goose Down
DROP TABLE state;
DROP TABLE events;
