package security

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	ginjwt "github.com/appleboy/gin-jwt/v2"
	"github.com/gin-gonic/gin"

	"sherpa/security/token"
)

// Where the gate keeps what belongs to a request.
const (
	keyPrincipal = "sherpa.principal"
	keyScheme    = "sherpa.scheme"
	keyError     = "sherpa.error"
	keyLogin     = "sherpa.login"
)

// Tokens are what a client gets for a login or a refresh.
type Tokens struct {
	AccessToken      string
	ExpiresIn        time.Duration
	RefreshToken     string
	RefreshExpiresIn time.Duration
}

// Gate adapts gin-jwt to the Service, and Gin's requests to principals. It decides nothing itself.
//
// gin-jwt runs the login, and signs the access tokens when a secret signs. It knows neither private keys for
// ES256 and EdDSA nor a kid, so then package token signs them: see signer. Its parser is lenient and its
// statuses are fixed, so the Service verifies tokens: Guard calls the field IdentityHandler of gin-jwt's
// middleware, which NewGate sets to identity. Each of gin-jwt's traps has its test in package handlers.
type Gate struct {
	service *Service
	jwt     *ginjwt.GinJWTMiddleware // guards
	signs   atomic.Pointer[signer]   // logs in and signs
}

// signer is gin-jwt's middleware with the key that signs. gin-jwt copies the key, and its New must be called
// once for each middleware, so every ring gets one of its own.
type signer struct {
	gate    *Gate
	ring    *token.KeyRing
	jwt     *ginjwt.GinJWTMiddleware
	private bool // whether a private key signs, so that gin-jwt cannot
}

// NewGate connects gin-jwt with the service.
func NewGate(service *Service) (*Gate, error) {
	g := &Gate{service: service}
	first, err := g.newSigner(service.Keys())
	if err != nil {
		return nil, err
	}
	g.jwt = first.jwt
	g.signs.Store(first)
	return g, nil
}

func (g *Gate) newSigner(ring *token.KeyRing) (*signer, error) {
	if ring == nil || ring.Empty() {
		return nil, errors.New("gate: no signing key") // gin-jwt would sign with an empty one
	}
	secret, ok := ring.Secret()
	if !ok {
		secret = []byte(token.NewSecret()) // gin-jwt must have one; with this one nobody verifies
	}
	made := &signer{gate: g, ring: ring, private: !ok}
	middleware, err := ginjwt.New(&ginjwt.GinJWTMiddleware{
		SigningAlgorithm:      token.HS256,
		Key:                   secret,
		Timeout:               g.service.Settings.AccessTTL,
		TimeFunc:              g.service.Now,
		IdentityKey:           keyPrincipal,
		Authenticator:         g.authenticate,
		PayloadFunc:           g.payload,
		LoginResponse:         made.loginResponse,
		IdentityHandler:       g.identity,
		HTTPStatusMessageFunc: keepError,
		Unauthorized:          dropChallenge,
	})
	if err != nil {
		return nil, fmt.Errorf("gate: %w", err)
	}
	made.jwt = middleware
	return made, nil
}

// signer returns the one for the ring that is in use. Whoever comes first after a change of keys makes it;
// when two do, both are right.
func (g *Gate) signer() (*signer, error) {
	ring := g.service.Keys()
	if known := g.signs.Load(); known.ring == ring {
		return known, nil
	}
	made, err := g.newSigner(ring)
	if err != nil {
		return nil, err
	}
	g.signs.Store(made)
	return made, nil
}

// access returns an access token for the login.
func (s *signer) access(login *Login) (access string, err error) {
	if !s.private {
		access, _, err = s.jwt.TokenGenerator(login)
		return access, err
	}
	claims := s.gate.payload(login)
	now := s.gate.service.Now()
	claims["exp"] = now.Add(s.gate.service.Settings.AccessTTL).Unix() // as gin-jwt adds them
	claims["orig_iat"] = now.Unix()
	return s.ring.NewAccess(claims)
}

// loginCall carries a login through gin-jwt's callbacks.
type loginCall struct {
	credentials Credentials
	login       Login
	access      string
}

// LogIn runs gin-jwt's login handler for these credentials. The errors are those of Service.LogIn.
func (g *Gate) LogIn(c *gin.Context, credentials Credentials) (Tokens, error) {
	signer, err := g.signer()
	if err != nil {
		return Tokens{}, err
	}
	call := &loginCall{credentials: credentials}
	c.Set(keyLogin, call)
	signer.jwt.LoginHandler(c)
	if err, ok := c.Value(keyError).(error); ok {
		return Tokens{}, err
	}
	if call.access == "" {
		return Tokens{}, errors.New("gate: gin-jwt made no token and gave no error")
	}
	c.Set(keyPrincipal, call.login.Principal())
	return g.pair(call.access, call.login), nil
}

// authenticate is gin-jwt's Authenticator. All that can fail happens here: after it, gin-jwt only signs. It
// never returns nil without an error: gin-jwt would hand out a token for that as well.
func (g *Gate) authenticate(c *gin.Context) (any, error) {
	call, ok := c.Value(keyLogin).(*loginCall)
	if !ok {
		return nil, errors.New("gate: login without credentials")
	}
	login, err := g.service.LogIn(c.Request.Context(), call.credentials, ClientOf(c))
	if err != nil {
		return nil, err
	}
	call.login = login
	return &login, nil
}

// payload is gin-jwt's PayloadFunc; gin-jwt adds exp and orig_iat.
func (g *Gate) payload(data any) ginjwt.MapClaims {
	login, ok := data.(*Login)
	if !ok || login == nil {
		return ginjwt.MapClaims{} // a token without claims is rejected everywhere
	}
	claims := ginjwt.MapClaims{
		"identity": login.User.ID,
		"sub":      strconv.FormatInt(login.User.ID, 10),
		"sid":      login.Session.ID,
		"iss":      g.service.Settings.Issuer,
		"aud":      g.service.Settings.Audience,
		"iat":      login.At.Unix(),
		"nbf":      login.At.Add(-token.Leeway).Unix(),
	}
	if len(login.User.Roles) > 0 {
		claims["roles"] = login.User.Roles
	}
	return claims
}

// loginResponse is gin-jwt's LoginResponse. LogIn passes the token on. When a private key signs, the one that
// gin-jwt made is worthless, and nobody gets it.
func (s *signer) loginResponse(c *gin.Context, _ int, access string, _ time.Time) {
	call, ok := c.Value(keyLogin).(*loginCall)
	if !ok {
		return
	}
	var err error
	if s.private {
		access, err = s.access(&call.login)
	}
	if err != nil {
		c.Set(keyError, fmt.Errorf("sign access token: %w", err))
		return
	}
	call.access = access
}

// keepError is gin-jwt's HTTPStatusMessageFunc, the one callback that sees the error.
func keepError(err error, c *gin.Context) string {
	c.Set(keyError, err)
	return ""
}

// dropChallenge is gin-jwt's Unauthorized. Its status and challenge are ignored: it would answer 401 even
// when the database is down.
func dropChallenge(c *gin.Context, _ int, _ string) { c.Writer.Header().Del("WWW-Authenticate") }

// Refresh exchanges a refresh token for new tokens. The errors are those of Service.Refresh.
func (g *Gate) Refresh(c *gin.Context, refreshToken string) (Tokens, error) {
	login, err := g.service.Refresh(ContextOf(c), refreshToken)
	if err != nil {
		return Tokens{}, err
	}
	signer, err := g.signer()
	if err != nil {
		return Tokens{}, err
	}
	access, err := signer.access(&login)
	if err != nil {
		return Tokens{}, fmt.Errorf("sign access token: %w", err)
	}
	c.Set(keyPrincipal, login.Principal())
	return g.pair(access, login), nil
}

func (g *Gate) pair(access string, login Login) Tokens {
	return Tokens{
		AccessToken: access, ExpiresIn: g.service.Settings.AccessTTL,
		RefreshToken: login.RefreshToken, RefreshExpiresIn: login.RefreshExpiresIn(),
	}
}

// LogOut ends sessions of the one whose access token the request carries. The errors are those of
// Service.LogOut.
func (g *Gate) LogOut(c *gin.Context, scope Scope) error {
	access, err := readAccessToken(c)
	if err != nil {
		return err
	}
	principal, err := g.service.LogOut(ContextOf(c), access, scope)
	if principal != nil {
		c.Set(keyPrincipal, principal)
	}
	return err
}

// Guard returns an error unless the request comes from a principal.
func (g *Gate) Guard(c *gin.Context) error {
	principal, ok := g.jwt.IdentityHandler(c).(*Principal)
	if ok && principal != nil {
		c.Set(keyPrincipal, principal)
		return nil
	}
	if err, ok := c.Value(keyError).(error); ok {
		return err
	}
	return errors.New("gate: no principal and no error") // fails closed: nobody passes without a principal
}

// identity is gin-jwt's IdentityHandler. It returns an untyped nil on failure, and Guard finds the error.
func (g *Gate) identity(c *gin.Context) any {
	access, err := readAccessToken(c)
	if err != nil {
		c.Set(keyError, err)
		return nil
	}
	principal, err := g.service.Identify(c.Request.Context(), access)
	if err != nil {
		c.Set(keyError, err)
		return nil
	}
	return principal
}

// readAccessToken reads the header Authorization and nothing else: a token in a query or a cookie could leak,
// or be sent by another site.
func readAccessToken(c *gin.Context) (string, error) {
	scheme, access, err := ParseAuthorization(c.Request.Header["Authorization"])
	if scheme != SchemeBearer { // the default: nearly all requests need not keep it
		c.Set(keyScheme, scheme)
	}
	return access, err
}

// RequireRole returns a guard that stands behind Guard and lets only principals with one of the roles pass.
func (g *Gate) RequireRole(roles ...string) func(*gin.Context) error {
	return func(c *gin.Context) error {
		principal, ok := PrincipalOf(c)
		if !ok || !principal.HasAnyRole(roles...) {
			return MissingRole(roles...)
		}
		return nil
	}
}

// RequireAllow returns a guard that stands behind Guard. It stops personal access tokens that are not allowed
// this; a session passes.
func (g *Gate) RequireAllow(what Allow) func(*gin.Context) error {
	return func(c *gin.Context) error {
		principal, ok := PrincipalOf(c)
		if !ok || !principal.May(what) {
			fact := "it was made without `" + string(what) + "` in `allow`"
			return &Error{Code: TokenNotAllowed, Fact: fact}
		}
		return nil
	}
}

// PrincipalOf returns who makes the request, or false outside the protected routes.
func PrincipalOf(c *gin.Context) (Principal, bool) {
	principal, ok := c.Value(keyPrincipal).(*Principal)
	if !ok || principal == nil {
		return Principal{}, false
	}
	return *principal, true
}

// SchemeOf returns the scheme under which the request sent a token; SchemeBearer when it sent none.
func SchemeOf(c *gin.Context) string {
	if scheme := c.GetString(keyScheme); scheme != "" {
		return scheme
	}
	return SchemeBearer
}

// ClientOf returns where the request comes from.
func ClientOf(c *gin.Context) Client {
	return Client{
		Address: c.ClientIP(), UserAgent: c.Request.UserAgent(),
		RequestID: c.Writer.Header().Get("X-Request-Id"), // as the answer has it
	}
}

// ContextOf returns the context of the request for a change: its events say who made it, and from where.
func ContextOf(c *gin.Context) context.Context {
	ctx := WithClient(c.Request.Context(), ClientOf(c))
	if principal, ok := PrincipalOf(c); ok {
		return As(ctx, principal)
	}
	return ctx
}
