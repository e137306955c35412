// Command fill fills a new database with users, who all have the same password, and sessions, each of another
// user. With -tokens it also writes an access token for each session, one a line, in no particular order. The
// key in SHERPA_SECRET_KEY signs them, and they live for an hour.
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
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

	"golang.org/x/crypto/argon2"

	"sherpa/models"
)

const (
	rowsPerStatement   = 500
	rowsPerTransaction = 10_000 // less than what Store.Transact has time for
)

var b64 = base64.RawURLEncoding

// plan is what to insert.
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
	flag.StringVar(&p.url, "database", "", "an empty database: sqlite:PATH or postgres://USER@HOST:PORT/NAME")
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
	if p.users < 1 || p.sessions < 1 || p.sessions > p.users {
		return errors.New("there must be a session, and no more sessions than users")
	}
	store, err := models.Open(ctx, p.url)
	if err != nil {
		return err
	}
	err = p.addUsers(ctx, store)
	if err == nil {
		err = p.addSessions(ctx, store)
	}
	if err := errors.Join(err, store.Close()); err != nil || p.tokens == "" {
		return err
	}
	return p.writeTokens()
}

// addUsers numbers the users from 1, as Store.CreateUser does, whose counter it sets.
func (p plan) addUsers(ctx context.Context, store *models.Store) error {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	sum := argon2.IDKey([]byte(p.password), salt, 2, 19456, 1, 32)
	std := base64.RawStdEncoding
	hash := "$argon2id$v=19$m=19456,t=2,p=1$" + std.EncodeToString(salt) + "$" + std.EncodeToString(sum)
	const into = `INSERT INTO users (id, username, password_hash, roles, created_at, password_changed_at)`
	at := p.now.UnixMilli()
	err := insert(ctx, store, into, p.users, func(n int) []any {
		return []any{n + 1, "user" + strconv.Itoa(n), hash, "", at, at}
	})
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	return store.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO counters (name, value) VALUES ('users', $1)`, p.users)
		return err
	})
}

// addSessions adds sessions without refresh tokens: their hashes are those of no token.
func (p plan) addSessions(ctx context.Context, store *models.Store) error {
	const into = `INSERT INTO sessions (id, user_id, created_at, last_used_at, idle_ends_at, ends_at, address,
		user_agent, refresh_count, refresh_hash)`
	const day = 24 * time.Hour
	at, idleEnds, ends := p.now.UnixMilli(), p.now.Add(7*day).UnixMilli(), p.now.Add(30*day).UnixMilli()
	err := insert(ctx, store, into, p.sessions, func(n int) []any {
		hash := sha256.Sum256([]byte(sessionID(n)))
		return []any{
			sessionID(n), p.userID(n), at, at, idleEnds + int64(n), ends, "192.0.2.1",
			"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
			0, b64.EncodeToString(hash[:]),
		}
	})
	if err != nil {
		return fmt.Errorf("sessions: %w", err)
	}
	return nil
}

// sessionID returns an id as long as Sherpa's, and in no order.
func sessionID(n int) string {
	sum := md5.Sum([]byte(strconv.Itoa(n)))
	return hex.EncodeToString(sum[:])[:26]
}

// userID spreads the sessions over the users.
func (p plan) userID(session int) int {
	return session*(p.users/p.sessions) + 1
}

// insert adds n rows, many with each statement.
func insert(ctx context.Context, store *models.Store, into string, n int, row func(n int) []any) error {
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

func insertSome(ctx context.Context, tx *sql.Tx, into string, first, end int, row func(n int) []any) error {
	var args []any
	var places []string
	for n := first; n < end; n++ {
		var marks []string
		for _, value := range row(n) {
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
func (p plan) writeTokens() error {
	var lines bytes.Buffer
	for _, n := range mathrand.Perm(p.sessions) {
		token, err := p.token(p.userID(n), sessionID(n))
		if err != nil {
			return err
		}
		lines.WriteString(token + "\n")
	}
	return os.WriteFile(p.tokens, lines.Bytes(), 0o600)
}

// token signs with HS256 (RFC 7515).
func (p plan) token(userID int, sessionID string) (string, error) {
	now := p.now.Unix()
	payload, err := json.Marshal(claims{
		Audience: "sherpa", Expires: now + 3600, Issued: now, Identity: userID, Issuer: "sherpa",
		NotBefore: now - 10, Original: now, SessionID: sessionID, Subject: strconv.Itoa(userID),
	})
	if err != nil {
		return "", err
	}
	signed := b64.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + b64.EncodeToString(payload)
	mac := hmac.New(sha256.New, []byte(p.key))
	mac.Write([]byte(signed))
	return signed + "." + b64.EncodeToString(mac.Sum(nil)), nil
}
