package models

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// The waits between failed logins: FreeTries have none, the next ones a second, two, four, and so on up to an
// hour.
const (
	FreeTries = 5
	maxWait   = time.Hour
)

// LoginAttempt names the counters of a login. The keys stand for a username, an address, and both together,
// without revealing them.
type LoginAttempt struct {
	NameKey        string
	NameAddressKey string
	AddressKey     string
	At             time.Time
	Interval       time.Duration // an address regains one request each Interval
	Burst          int           // requests that an address may make at once
}

// LoginCount is what the throttle says to an attempt.
type LoginCount struct {
	Wait      time.Duration // zero when the attempt may go on
	ByAddress bool          // the wait is for the address, whatever the name
	Tries     int64         // since the last success, this one included; 0 when it was not counted
}

// CountLogin counts a login before its password is checked, so that simultaneous attempts cannot all slip
// through. An address from which the user logged in before has a count of its own: a stranger's failures do
// not count there.
func (s *Store) CountLogin(ctx context.Context, a LoginAttempt) (count LoginCount, err error) {
	err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		wait, err := s.countAddress(ctx, tx, a)
		count = LoginCount{Wait: wait, ByAddress: true}
		if err != nil || wait > 0 {
			return err
		}
		key, err := s.failureKey(ctx, tx, a)
		if err != nil {
			return err
		}
		count, err = s.countTry(ctx, tx, key, a.At)
		return err
	})
	return count, err
}

// countAddress is the generic cell rate algorithm in one statement: whole_at is when the allowance is
// complete again, at most Burst-1 intervals ahead.
func (s *Store) countAddress(ctx context.Context, tx *sql.Tx, a LoginAttempt) (time.Duration, error) {
	const query = `INSERT INTO login_rates (key, whole_at) VALUES ($1, $2)
		ON CONFLICT (key) DO UPDATE SET whole_at =
			CASE WHEN login_rates.whole_at > $3 THEN login_rates.whole_at ELSE $3 END + $4
		WHERE login_rates.whole_at <= $5`
	latest := a.At.Add(time.Duration(a.Burst-1) * a.Interval)
	err := s.execOne(ctx, tx, "count login", query, a.AddressKey, millis(a.At.Add(a.Interval)), millis(a.At),
		a.Interval.Milliseconds(), millis(latest))
	return s.waitUnless(ctx, tx, err, latest, `SELECT whole_at FROM login_rates WHERE key = $1`, a.AddressKey)
}

// failureKey returns the counter of failures for this attempt.
func (s *Store) failureKey(ctx context.Context, tx *sql.Tx, a LoginAttempt) (string, error) {
	const query = `SELECT EXISTS (SELECT 1 FROM known_addresses WHERE key = $1)`
	var known bool
	began := time.Now()
	err := tx.QueryRowContext(ctx, query, a.NameAddressKey).Scan(&known)
	err = s.finish(ctx, "look for known address", began, err)
	if known {
		return a.NameAddressKey, nil
	}
	return a.NameKey, err
}

// countTry does not count an attempt that comes before the wait is over.
func (s *Store) countTry(
	ctx context.Context, tx *sql.Tx, key string, at time.Time,
) (count LoginCount, err error) {
	const query = `INSERT INTO login_failures (key, tries, next_at) VALUES ($1, 1, $2)
		ON CONFLICT (key) DO UPDATE SET tries = login_failures.tries + 1, next_at = $2 + CASE
			WHEN login_failures.tries < $3 THEN 0
			WHEN login_failures.tries >= $3 + 12 THEN $4
			ELSE 1000 * (CAST(1 AS BIGINT) << CAST(login_failures.tries - $3 AS INTEGER)) END
		WHERE login_failures.tries < $3 OR login_failures.next_at <= $2 RETURNING tries`
	row := tx.QueryRowContext(ctx, query, key, millis(at), FreeTries, maxWait.Milliseconds())
	err = s.wrap("count login", row.Scan(&count.Tries))
	const next = `SELECT next_at FROM login_failures WHERE key = $1`
	count.Wait, err = s.waitUnless(ctx, tx, err, at, next, key)
	return count, err
}

// waitUnless returns zero when a statement has counted, otherwise the time from when to what the query reads.
func (s *Store) waitUnless(
	ctx context.Context, tx *sql.Tx, counted error, when time.Time, query, key string,
) (time.Duration, error) {
	if !errors.Is(counted, ErrNotFound) {
		return 0, counted
	}
	var until int64
	began := time.Now()
	err := tx.QueryRowContext(ctx, query, key).Scan(&until)
	if err := s.finish(ctx, "read wait", began, err); err != nil {
		return 0, err
	}
	return max(fromMillis(until).Sub(when), time.Millisecond), nil
}

// CountAddress counts a request of the address alone, whatever the name, and returns how long it must wait.
func (s *Store) CountAddress(ctx context.Context, a LoginAttempt) (wait time.Duration, err error) {
	err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		wait, err = s.countAddress(ctx, tx, a)
		return err
	})
	return wait, err
}

// ResetFailures resets the count of failed logins after a success, and stores the address as known.
func (s *Store) ResetFailures(ctx context.Context, a LoginAttempt) error {
	return s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error { return s.resetFailures(ctx, tx, a) })
}

func (s *Store) resetFailures(ctx context.Context, tx *sql.Tx, a LoginAttempt) error {
	key, err := s.failureKey(ctx, tx, a)
	if err != nil {
		return err
	}
	began := time.Now()
	_, err = tx.ExecContext(ctx, `DELETE FROM login_failures WHERE key = $1`, key)
	if err := s.finish(ctx, "reset failures", began, err); err != nil {
		return err
	}
	const query = `INSERT INTO known_addresses (key, logged_in_at) VALUES ($1, $2)
		ON CONFLICT (key) DO UPDATE SET logged_in_at = $2`
	began = time.Now()
	_, err = tx.ExecContext(ctx, query, a.NameAddressKey, millis(a.At))
	return s.finish(ctx, "store address", began, err)
}
