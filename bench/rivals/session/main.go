// Command session is what a careful author writes by hand around stock gin-jwt, so that a logout works at
// once: each login stores a session in SQLite, and each request reads it. It answers GET /mountain/:name with
// Sherpa's JSON. It is no kind of the program rivals, whose size and memory SQLite would change.
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	ginjwt "github.com/appleboy/gin-jwt/v2"
	"github.com/gin-gonic/gin"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

func main() {
	database := flag.String("database", "session.db", "file of the database")
	listen := flag.String("listen", "127.0.0.1:5123", "address to listen on")
	flag.Parse()
	if err := run(*database, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "session:", err)
		os.Exit(1)
	}
}

func run(database, listen string) error {
	store, err := openStore(context.Background(), database)
	if err != nil {
		return err
	}
	engine, err := newEngine(store)
	if err != nil {
		return errors.Join(err, store.db.Close())
	}
	return errors.Join(engine.Run(listen), store.db.Close())
}

const schema = `
CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE);
INSERT INTO users (username) VALUES ('admin') ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS sessions (
	id         TEXT PRIMARY KEY,
	user_id    INTEGER NOT NULL REFERENCES users (id),
	expires_at INTEGER NOT NULL,
	ended_at   INTEGER
) WITHOUT ROWID`

// store keeps sessions. Its statement for reading one is prepared once.
type store struct {
	db   *sql.DB
	find *sql.Stmt
}

// openStore keeps four connections open, as Sherpa does. One or sixteen cost the same time for a request.
func openStore(ctx context.Context, path string) (*store, error) {
	db, err := sql.Open("sqlite", "file:"+path+
		"?_pragma=busy_timeout(3000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	find, err := db.PrepareContext(ctx, `
		SELECT u.username FROM sessions s JOIN users u ON u.id = s.user_id
		WHERE s.id = $1 AND s.ended_at IS NULL AND s.expires_at > $2`)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &store{db: db, find: find}, nil
}

// add stores a session of an hour.
func (s *store) add(ctx context.Context, id, username string) error {
	_, err := s.db.ExecContext(ctx, `
		INSERT INTO sessions (id, user_id, expires_at) SELECT $1, id, $2 FROM users WHERE username = $3`,
		id, time.Now().Add(time.Hour).Unix(), username)
	return err
}

// username returns the user of a session that is alive.
func (s *store) username(ctx context.Context, id string) (name string, err error) {
	err = s.find.QueryRowContext(ctx, id, time.Now().Unix()).Scan(&name)
	return name, err
}

func (s *store) end(ctx context.Context, id string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE sessions SET ended_at = $1 WHERE id = $2`, time.Now().Unix(), id)
	return err
}

const sessionClaim = "sid"

func newEngine(s *store) (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	middleware, err := ginjwt.New(&ginjwt.GinJWTMiddleware{
		Realm:           "test zone",
		Key:             []byte("a secret key of thirty-two bytes"),
		Timeout:         time.Hour,
		Authenticator:   s.logIn,
		PayloadFunc:     func(id any) ginjwt.MapClaims { return ginjwt.MapClaims{sessionClaim: id} },
		IdentityHandler: s.identify,
		Authorizator:    func(identity any, _ *gin.Context) bool { return identity != nil },
		Unauthorized:    refuse,
		TokenLookup:     "header: Authorization",
		TokenHeadName:   "Bearer",
	})
	if err != nil {
		return nil, fmt.Errorf("gin-jwt: %w", err)
	}
	engine := gin.New()
	engine.POST("/login", middleware.LoginHandler)
	guarded := engine.Group("/", middleware.MiddlewareFunc())
	guarded.GET("/mountain/:name", getMountain)
	guarded.POST("/logout", s.logOut)
	return engine, nil
}

type login struct {
	Username string `json:"username" binding:"required"`
	Password string `json:"password" binding:"required"`
}

// logIn knows the one user of gin-jwt's README, as the program rivals does. It returns the new session.
func (s *store) logIn(c *gin.Context) (any, error) {
	var credentials login
	if err := c.ShouldBindJSON(&credentials); err != nil {
		return nil, ginjwt.ErrMissingLoginValues
	}
	if credentials.Username != "admin" || credentials.Password != "admin" {
		return nil, ginjwt.ErrFailedAuthentication
	}
	id := rand.Text()
	return id, s.add(c.Request.Context(), id, credentials.Username)
}

// identify returns nil when the session is not alive, which the Authorizator refuses.
func (s *store) identify(c *gin.Context) any {
	id, _ := ginjwt.ExtractClaims(c)[sessionClaim].(string)
	name, err := s.username(c.Request.Context(), id)
	if err != nil {
		return nil
	}
	return name
}

// refuse answers 401 where gin-jwt has 403: a session that has ended says nothing about who asks.
func refuse(c *gin.Context, _ int, message string) {
	c.JSON(http.StatusUnauthorized, gin.H{"message": message})
}

func (s *store) logOut(c *gin.Context) {
	id, _ := ginjwt.ExtractClaims(c)[sessionClaim].(string)
	if err := s.end(c.Request.Context(), id); err != nil {
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}
	c.Status(http.StatusNoContent)
}

type mountainResponse struct {
	Mountain string `json:"mountain"`
}

func getMountain(c *gin.Context) {
	c.JSON(http.StatusOK, mountainResponse{Mountain: c.Param("name")})
}
