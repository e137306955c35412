-- compatible-since: 2
-- One text for SQLite and PostgreSQL. Times are milliseconds since 1970 UTC.

-- +goose Up

-- Personal access tokens: what a program sends in place of an access token. The hash is of the whole text.
CREATE TABLE personal_tokens (
    id           TEXT   NOT NULL PRIMARY KEY,
    user_id      BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT   NOT NULL,
    hash         TEXT   NOT NULL,
    roles        TEXT   NOT NULL,
    allows       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    last_used_at BIGINT
);

CREATE INDEX personal_tokens_user_id ON personal_tokens (user_id);
CREATE INDEX personal_tokens_expires_at ON personal_tokens (expires_at);

-- The personal access token with which the actor did it, '' for none.
ALTER TABLE events ADD COLUMN actor_token TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE events DROP COLUMN actor_token;
DROP TABLE personal_tokens;
