package security

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	ginjwt "github.com/appleboy/gin-jwt/v2"
	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v4"

	"sherpa/models"
)

const (
	keyPrincipal = "sherpa.principal"
	keyFailure   = "sherpa.failure"
	keyScheme    = "sherpa.scheme"
	keyLogin     = "sherpa.login"
)

// Credentials are what a login request carries.
type Credentials struct {
	Username string
	Password string
}

// Tokens are what a client gets for a login or a refresh.
type Tokens struct {
	AccessToken      string
	ExpiresIn        time.Duration
	RefreshToken     string
	RefreshExpiresIn time.Duration
}

// Wire is how the gate speaks HTTP; package handlers implements it.
type Wire struct {
	ReadCredentials func(*gin.Context) (Credentials, error)
	WriteTokens     func(*gin.Context, Tokens)
	WriteError      func(*gin.Context, error)
}

// Gate is the login handler and the guard of the protected routes, both gin-jwt's.
type Gate struct {
	service *Service
	wire    Wire
	jwt     *ginjwt.GinJWTMiddleware
}

// NewGate wires gin-jwt to the service. What is set here closes gin-jwt's traps; each has its test in handlers/gate_test.go.
func NewGate(service *Service, wire Wire) (*Gate, error) {
	if len(service.Keys.keys) == 0 {
		return nil, errors.New("gate: no signing key") // gin-jwt would sign with an empty one
	}
	g := &Gate{service: service, wire: wire}
	middleware, err := ginjwt.New(&ginjwt.GinJWTMiddleware{
		SigningAlgorithm:      jwt.SigningMethodHS256.Alg(),
		Key:                   service.Keys.signing(), // KeyFunc verifies, but never signs
		KeyFunc:               g.key,
		ParseOptions:          []jwt.ParserOption{jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithoutClaimsValidation()},
		Timeout:               service.Settings.AccessTTL,
		TimeFunc:              service.Now,
		TokenLookup:           "header:Authorization",
		TokenHeadName:         SchemeBearer,
		IdentityKey:           keyPrincipal,
		Authenticator:         g.authenticate,
		PayloadFunc:           g.payload,
		LoginResponse:         g.loginResponse,
		IdentityHandler:       g.identity,
		Authorizator:          authorize,
		HTTPStatusMessageFunc: keepFailure,
		Unauthorized:          g.refuse,
	})
	if err != nil {
		return nil, fmt.Errorf("gate: %w", err)
	}
	g.jwt = middleware
	return g, nil
}

// Login handles POST /auth.
func (g *Gate) Login(c *gin.Context) { g.jwt.LoginHandler(c) }

// Refresh exchanges a refresh token for new tokens; the errors are those of Service.Refresh.
func (g *Gate) Refresh(c *gin.Context, refreshToken string) (Tokens, error) {
	login, err := g.service.Refresh(c.Request.Context(), refreshToken)
	if err != nil {
		return Tokens{}, err
	}
	access, _, err := g.jwt.TokenGenerator(&login)
	if err != nil {
		return Tokens{}, fmt.Errorf("mint access token: %w", err)
	}
	c.Set(keyPrincipal, principalOf(login))
	return g.tokens(access, login), nil
}

// Logout ends sessions of the one whose access token the request carries, outside the guarded routes: a session that
// has ended already is no error.
func (g *Gate) Logout(c *gin.Context, scope Scope) error {
	scheme, token, err := ParseAuthorization(c.Request.Header["Authorization"])
	c.Set(keyScheme, scheme)
	if err != nil {
		return err
	}
	ctx := c.Request.Context()
	claims, err := g.service.Verify(token)
	if err != nil {
		return err
	}
	principal, err := g.service.Identity(ctx, &claims)
	var refusal *Error
	if errors.As(err, &refusal) && refusal.Code == SessionEnded {
		return g.service.LogoutAgain(ctx, claims.Identity, scope, models.EndedReason(refusal.Reason))
	}
	if err != nil {
		return err
	}
	c.Set(keyPrincipal, principal)
	return g.service.Logout(ctx, *principal, scope)
}

// identify verifies the token, remembers it, and returns whom it names.
func (g *Gate) identify(ctx context.Context, token string) (*Principal, error) {
	claims, err := g.service.Verify(token)
	if err != nil {
		return nil, err
	}
	principal, err := g.service.Identity(ctx, &claims)
	if err == nil {
		g.service.memory.remember(token, claims)
	}
	return principal, err
}

// Guard lets only a principal pass. A token that gin-jwt has verified before is not verified again: its text is the
// same to the last bit, so its claims are. Its times, its session and its user are looked at with every request.
func (g *Gate) Guard(c *gin.Context) {
	scheme, token, err := ParseAuthorization(c.Request.Header["Authorization"])
	if err != nil {
		g.reject(c, scheme, err)
		return
	}
	claims, ok := g.service.memory.recall(token)
	if !ok {
		g.verify(c, scheme, token)
		return
	}
	principal, err := g.service.Identity(c.Request.Context(), claims)
	if err != nil {
		g.reject(c, scheme, err)
		return
	}
	c.Set(keyPrincipal, principal)
}

// verify leaves an unknown token to gin-jwt. gin-jwt knows one scheme in one spelling, and golang-jwt's parser is
// lenient: they see "Bearer <token>" and nothing that we could not have written.
func (g *Gate) verify(c *gin.Context, scheme, token string) {
	if _, err := parseToken(token); err != nil {
		g.reject(c, scheme, err)
		return
	}
	c.Set(keyScheme, scheme)
	c.Request.Header.Set("Authorization", SchemeBearer+" "+token)
	g.jwt.MiddlewareFunc()(c)
}

func (g *Gate) reject(c *gin.Context, scheme string, err error) {
	c.Set(keyScheme, scheme)
	c.Abort()
	g.wire.WriteError(c, err)
}

// RequireRole returns a handler, to stand behind Guard, that lets only principals with the role pass.
func (g *Gate) RequireRole(role string) gin.HandlerFunc {
	return func(c *gin.Context) {
		principal, ok := PrincipalOf(c)
		if !ok || !slices.Contains(principal.Roles, role) {
			c.Abort()
			g.wire.WriteError(c, &Error{Code: Forbidden, Detail: "This resource needs the role `" + role + "`, which your user does not have."})
		}
	}
}

// PrincipalOf returns who makes the request, or false outside the guarded routes.
func PrincipalOf(c *gin.Context) (Principal, bool) {
	principal, ok := c.Value(keyPrincipal).(*Principal)
	if !ok || principal == nil {
		return Principal{}, false
	}
	return *principal, true
}

// SchemeOf returns the scheme under which the request sent a token, or "" when it sent none.
func SchemeOf(c *gin.Context) string { return c.GetString(keyScheme) }

// key finds the key that signed the token. It does the checks that golang-jwt v4 leaves out, before golang-jwt
// believes anything in the token.
func (g *Gate) key(token *jwt.Token) (any, error) {
	raw, err := parseToken(token.Raw)
	if err != nil {
		return nil, err
	}
	return g.service.Keys.verify(raw)
}

// authenticate is gin-jwt's Authenticator. All that can fail happens here, because after it gin-jwt hands out a
// token; it never returns a nil value without an error, for which gin-jwt would hand one out too.
func (g *Gate) authenticate(c *gin.Context) (any, error) {
	ctx := c.Request.Context()
	credentials, err := g.wire.ReadCredentials(c)
	if err != nil {
		return nil, err
	}
	client := ClientOf(c)
	if err := g.service.Admit(ctx, credentials.Username, client); err != nil {
		return nil, err
	}
	user, err := g.service.Authenticate(ctx, credentials.Username, credentials.Password)
	if err != nil {
		return nil, err
	}
	if err := g.service.Forgive(ctx, credentials.Username, client); err != nil {
		return nil, err
	}
	login, err := g.service.StartSession(ctx, user, client)
	if err != nil {
		return nil, err
	}
	c.Set(keyPrincipal, principalOf(login))
	c.Set(keyLogin, login)
	return &login, nil
}

// ClientOf returns where the request comes from.
func ClientOf(c *gin.Context) Client {
	return Client{Address: c.ClientIP(), UserAgent: c.Request.UserAgent()}
}

func principalOf(login Login) *Principal {
	return &Principal{UserID: login.User.ID, Username: login.User.Username, Roles: login.User.Roles, SessionID: login.Session.ID}
}

// payload is gin-jwt's PayloadFunc; gin-jwt adds exp and orig_iat.
func (g *Gate) payload(data any) ginjwt.MapClaims {
	login, ok := data.(*Login)
	if !ok || login == nil {
		return ginjwt.MapClaims{} // a token without claims is refused everywhere
	}
	now := login.At
	claims := ginjwt.MapClaims{
		"identity": login.User.ID,
		"sub":      strconv.FormatInt(login.User.ID, 10),
		"sid":      login.Session.ID,
		"iss":      g.service.Settings.Issuer,
		"aud":      g.service.Settings.Audience,
		"iat":      now.Unix(),
		"nbf":      now.Add(-Leeway).Unix(),
	}
	if len(login.User.Roles) > 0 {
		claims["roles"] = login.User.Roles
	}
	return claims
}

// loginResponse is gin-jwt's LoginResponse; nothing in it can fail.
func (g *Gate) loginResponse(c *gin.Context, _ int, access string, _ time.Time) {
	login, _ := c.Value(keyLogin).(Login)
	g.wire.WriteTokens(c, g.tokens(access, login))
}

func (g *Gate) tokens(access string, login Login) Tokens {
	return Tokens{
		AccessToken: access, ExpiresIn: g.service.Settings.AccessTTL,
		RefreshToken: login.RefreshToken, RefreshExpiresIn: login.refreshExpiresIn(),
	}
}

// identity is gin-jwt's IdentityHandler. It returns an untyped nil on failure, and authorize looks at what is
// in the interface: gin-jwt takes a nil pointer for an identity. It reads the token anew, because gin-jwt's claims have lost what
// was there twice.
func (g *Gate) identity(c *gin.Context) any {
	principal, err := g.identify(c.Request.Context(), bearerToken(c))
	if err != nil {
		c.Set(keyFailure, err)
		return nil
	}
	return principal
}

// bearerToken returns what verify has put behind the scheme.
func bearerToken(c *gin.Context) string {
	return strings.TrimPrefix(c.GetHeader("Authorization"), SchemeBearer+" ")
}

// authorize is gin-jwt's Authorizator: by default a nil identity passes.
func authorize(data any, _ *gin.Context) bool {
	principal, ok := data.(*Principal)
	return ok && principal != nil
}

// keepFailure is gin-jwt's HTTPStatusMessageFunc, the one place that sees the error. What identity kept says more
// than gin-jwt's own "forbidden" that follows it.
func keepFailure(err error, c *gin.Context) string {
	if _, kept := c.Get(keyFailure); !kept {
		c.Set(keyFailure, err)
	}
	return ""
}

// refuse is gin-jwt's Unauthorized. gin-jwt's status and challenge are ignored: it has 401 for a dead database.
func (g *Gate) refuse(c *gin.Context, _ int, _ string) {
	c.Writer.Header().Del("WWW-Authenticate")
	err, ok := c.Value(keyFailure).(error)
	if !ok {
		err = errors.New("gate: refused without a reason")
	}
	g.wire.WriteError(c, g.explain(c, err))
}

// explain gives the errors of gin-jwt and golang-jwt a code; those of this package have one.
func (g *Gate) explain(c *gin.Context, err error) error {
	var known *Error
	var broken *jwt.ValidationError
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, ginjwt.ErrExpiredToken):
		if _, precise := g.identify(c.Request.Context(), bearerToken(c)); precise != nil {
			return precise
		}
		return &Error{Code: TokenExpired, Detail: "The token expired. " + logInAgain}
	case errors.As(err, &broken), errors.Is(err, ginjwt.ErrMissingExpField), errors.Is(err, ginjwt.ErrWrongFormatOfExp):
		fault := tokenFault("it is not a JSON Web Token of this service")
		fault.Err = err
		return fault
	}
	return err
}
