-- compatible-since: 2
-- One text for SQLite and PostgreSQL. Times are milliseconds since 1970 UTC.

-- +goose Up

-- Tokens that let whoever has them set a new password, once. A user without a password has an empty hash.
CREATE TABLE password_resets (
    id         TEXT   NOT NULL PRIMARY KEY,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash       TEXT   NOT NULL, -- SHA-256 of the token
    expires_at BIGINT NOT NULL
);

CREATE INDEX password_resets_user_id ON password_resets (user_id);
CREATE INDEX password_resets_expires_at ON password_resets (expires_at);

-- +goose Down
DROP TABLE password_resets;
