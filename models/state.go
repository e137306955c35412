package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// keysState is the name under which the fingerprints of the signing keys are remembered.
const keysState = "signing keys"

// RememberKeys remembers the fingerprints of the signing keys, the one that signs first. When others were
// remembered, it records that they have changed.
func (s *Store) RememberKeys(ctx context.Context, at time.Time, fingerprints []string) error {
	return s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		before, known, err := s.remembered(ctx, tx, keysState)
		if err != nil {
			return err
		}
		err = s.remember(ctx, tx, keysState, strings.Join(fingerprints, " "))
		if errors.Is(err, ErrNotFound) { // they are the same, or another replica was faster
			return nil
		}
		if err != nil || !known {
			return err
		}
		e := Event{Kind: EventKeysChanged, Reason: compareKeys(strings.Fields(before), fingerprints)}
		return s.record(ctx, tx, at, e)
	})
}

// remembered reports also whether there was a value.
func (s *Store) remembered(
	ctx context.Context, tx *sql.Tx, name string,
) (value string, known bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT value FROM state WHERE name = $1`, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, true, s.wrap("read state", err)
}

// remember returns ErrNotFound when the value is the same already.
func (s *Store) remember(ctx context.Context, tx *sql.Tx, name, value string) error {
	const query = `INSERT INTO state (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE state.value <> excluded.value`
	return s.execOne(ctx, tx, "write state", query, name, value)
}

// compareKeys says what has changed.
func compareKeys(before, after []string) string {
	without := func(all, some []string) (n int) {
		for _, key := range all {
			if !slices.Contains(some, key) {
				n++
			}
		}
		return n
	}
	text := fmt.Sprintf("%d added, %d removed", without(after, before), without(before, after))
	if before[0] != after[0] {
		text += ", another one signs"
	}
	return text
}
