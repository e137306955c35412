// Command fill makes a database with many users, who all have the same password, and sessions, each of
// another user. With -tokens it also writes an access token for each session, one a line, in no particular
// order, signed with the key in SHERPA_SECRET_KEY and good for an hour. The ids of the sessions are as long
// as Sherpa's, and made of the session's number, from 0, so that pgbench can name them: the first 26 letters
// of its MD5 in hexadecimal.
package main

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sherpa/models"
	"sherpa/security"
)

const (
	rowsPerStatement   = 500
	rowsPerTransaction = 10_000 // less than what Store.Transact has time for
	tokenLife          = time.Hour
	sessionIdle        = 7 * 24 * time.Hour
	sessionAge         = 30 * 24 * time.Hour
)

// plan is what to make.
type plan struct {
	url      string
	users    int
	sessions int
	password string
	tokens   string // path, or "" for none
	key      string
	now      time.Time
}

func main() {
	p := plan{key: os.Getenv("SHERPA_SECRET_KEY"), now: time.Now()}
	flag.StringVar(&p.url, "database", "", "where to make the rows: sqlite:PATH or postgres://USER@HOST:PORT/NAME, where nothing is yet")
	flag.IntVar(&p.users, "users", 1_000_000, "how many users: user0, user1, ...")
	flag.IntVar(&p.sessions, "sessions", 100_000, "how many sessions, at most one a user")
	flag.StringVar(&p.password, "password", "", "the password of all users")
	flag.StringVar(&p.tokens, "tokens", "", "file for the access tokens")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := p.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(1)
	}
}

func (p plan) run(ctx context.Context) error {
	if p.users < 1 || p.sessions < 0 || p.sessions > p.users {
		return errors.New("there must be a user, and no more sessions than users")
	}
	store, err := models.Open(ctx, p.url)
	if err != nil {
		return err
	}
	ids, err := p.fill(ctx, store)
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	if p.tokens == "" {
		return nil
	}
	return p.writeTokens(ids)
}

// fill makes the rows and returns the ids of the sessions.
func (p plan) fill(ctx context.Context, store *models.Store) ([]string, error) {
	if err := p.addUsers(ctx, store); err != nil {
		return nil, fmt.Errorf("users: %w", err)
	}
	ids := make([]string, p.sessions)
	for i := range ids {
		ids[i] = sessionID(i)
	}
	if err := p.addSessions(ctx, store, ids); err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	return ids, nil
}

func sessionID(n int) string {
	sum := md5.Sum([]byte(strconv.Itoa(n)))
	return hex.EncodeToString(sum[:])[:26]
}

// addUsers numbers the users from 1, as Store.CreateUser does, whose counter it sets.
func (p plan) addUsers(ctx context.Context, store *models.Store) error {
	hash, err := security.NewHasher(security.DefaultHashParams(), 2).Hash(ctx, p.password)
	if err != nil {
		return err
	}
	const into = `INSERT INTO users (id, username, password_hash, roles, created_at, password_changed_at)`
	at := p.now.UnixMilli()
	err = insert(ctx, store, into, p.users, func(i int) []any {
		return []any{i + 1, "user" + strconv.Itoa(i), hash, "", at, at}
	})
	if err != nil {
		return err
	}
	return store.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO counters (name, value) VALUES ('users', $1)`, p.users)
		return err
	})
}

func (p plan) addSessions(ctx context.Context, store *models.Store, ids []string) error {
	const into = `INSERT INTO sessions (id, user_id, created_at, last_used_at, idle_ends_at, ends_at, address,
		user_agent, refresh_count, refresh_hash)`
	at, idleEnds, ends := p.now.UnixMilli(), p.now.Add(sessionIdle).UnixMilli(), p.now.Add(sessionAge).UnixMilli()
	return insert(ctx, store, into, len(ids), func(i int) []any {
		hash := sha256.Sum256([]byte(ids[i])) // of no token: nobody refreshes these
		return []any{ids[i], p.userID(i), at, at, idleEnds + int64(i), ends, "192.0.2.1",
			"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", 0,
			base64.RawURLEncoding.EncodeToString(hash[:])}
	})
}

// userID spreads the sessions over the users.
func (p plan) userID(session int) int {
	return session*(p.users/p.sessions) + 1
}

// insert adds n rows, many with each statement.
func insert(ctx context.Context, store *models.Store, into string, n int, row func(i int) []any) error {
	for first := 0; first < n; first += rowsPerTransaction {
		end := min(first+rowsPerTransaction, n)
		err := store.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
			for i := first; i < end; i += rowsPerStatement {
				if err := insertSome(ctx, tx, into, i, min(i+rowsPerStatement, end), row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func insertSome(ctx context.Context, tx *sql.Tx, into string, first, end int, row func(i int) []any) error {
	var args []any
	var places []string
	for i := first; i < end; i++ {
		var marks []string
		for _, value := range row(i) {
			args = append(args, value)
			marks = append(marks, "$"+strconv.Itoa(len(args)))
		}
		places = append(places, "("+strings.Join(marks, ", ")+")")
	}
	_, err := tx.ExecContext(ctx, into+" VALUES "+strings.Join(places, ", "), args...)
	return err
}

// claims are those of an access token, in the order in which gin-jwt writes them.
type claims struct {
	Audience  string `json:"aud"`
	Expires   int64  `json:"exp"`
	Issued    int64  `json:"iat"`
	Identity  int    `json:"identity"`
	Issuer    string `json:"iss"`
	NotBefore int64  `json:"nbf"`
	Original  int64  `json:"orig_iat"`
	SessionID string `json:"sid"`
	Subject   string `json:"sub"`
}

// writeTokens shuffles them, so that neighbours in the file are not neighbours in the database.
func (p plan) writeTokens(ids []string) error {
	f, err := os.OpenFile(p.tokens, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, i := range mathrand.Perm(len(ids)) {
		var token string
		if token, err = p.token(p.userID(i), ids[i]); err != nil {
			break
		}
		if _, err = w.WriteString(token + "\n"); err != nil {
			break
		}
	}
	return errors.Join(err, w.Flush(), f.Close())
}

// token signs with HS256 (RFC 7515).
func (p plan) token(userID int, sessionID string) (string, error) {
	payload, err := json.Marshal(claims{
		Audience: "sherpa", Expires: p.now.Add(tokenLife).Unix(), Issued: p.now.Unix(), Identity: userID,
		Issuer: "sherpa", NotBefore: p.now.Add(-security.Leeway).Unix(), Original: p.now.Unix(),
		SessionID: sessionID, Subject: strconv.Itoa(userID),
	})
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + b64.EncodeToString(payload)
	mac := hmac.New(sha256.New, []byte(p.key))
	mac.Write([]byte(signed))
	return signed + "." + b64.EncodeToString(mac.Sum(nil)), nil
}
