package security

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
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
)

// Credentials are what a login request carries.
type Credentials struct {
	Username string
	Password string
}

// Login is what a successful login leads to.
type Login struct {
	User    models.User
	Session models.Session
}

// Tokens are what a client gets for a successful login.
type Tokens struct {
	AccessToken string
	ExpiresIn   time.Duration
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

// Guard returns the handlers that let only a principal pass.
func (g *Gate) Guard() []gin.HandlerFunc {
	return []gin.HandlerFunc{g.normalizeScheme, g.jwt.MiddlewareFunc()}
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
	principal, ok := c.Value(keyPrincipal).(Principal)
	return principal, ok
}

// SchemeOf returns the scheme under which the request sent a token, or "" when it sent none.
func SchemeOf(c *gin.Context) string { return c.GetString(keyScheme) }

// normalizeScheme lets gin-jwt, which knows one scheme in one spelling, see "Bearer <token>" and nothing else, and
// golang-jwt, whose parser is lenient, nothing that we could not have written.
func (g *Gate) normalizeScheme(c *gin.Context) {
	scheme, token, err := ParseAuthorization(c.Request.Header.Values("Authorization"))
	c.Set(keyScheme, scheme)
	if err == nil {
		_, err = parseToken(token)
	}
	if err != nil {
		c.Abort()
		g.wire.WriteError(c, err)
		return
	}
	c.Request.Header.Set("Authorization", SchemeBearer+" "+token)
}

// key finds the key that signed the token. It does the checks that golang-jwt v4 leaves out, before golang-jwt
// believes anything in the token.
func (g *Gate) key(token *jwt.Token) (any, error) {
	raw, err := parseToken(token.Raw)
	if err != nil {
		return nil, err
	}
	key, ok := g.service.Keys.find(raw.signed, raw.sum)
	if !ok {
		return nil, tokenFault("its signature is not ours, or its key was retired")
	}
	return key, nil
}

// authenticate is gin-jwt's Authenticator. All that can fail happens here, because after it gin-jwt hands out a
// token; it never returns a nil value without an error, for which gin-jwt would hand one out too.
func (g *Gate) authenticate(c *gin.Context) (any, error) {
	ctx := c.Request.Context()
	credentials, err := g.wire.ReadCredentials(c)
	if err != nil {
		return nil, err
	}
	user, err := g.service.Authenticate(ctx, credentials.Username, credentials.Password)
	if err != nil {
		return nil, err
	}
	session, err := g.service.StartSession(ctx, user)
	if err != nil {
		return nil, err
	}
	c.Set(keyPrincipal, Principal{UserID: user.ID, Username: user.Username, Roles: user.Roles, SessionID: session.ID})
	return &Login{User: user, Session: session}, nil
}

// payload is gin-jwt's PayloadFunc; gin-jwt adds exp and orig_iat.
func (g *Gate) payload(data any) ginjwt.MapClaims {
	login, ok := data.(*Login)
	if !ok || login == nil {
		return ginjwt.MapClaims{} // a token without claims is refused everywhere
	}
	now := login.Session.CreatedAt
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

func (g *Gate) loginResponse(c *gin.Context, _ int, token string, _ time.Time) {
	g.wire.WriteTokens(c, Tokens{AccessToken: token, ExpiresIn: g.service.Settings.AccessTTL})
}

// identity is gin-jwt's IdentityHandler. It returns a value or nil, never a pointer: gin-jwt takes a nil pointer
// for an identity. It reads the claims anew from the verified token, because gin-jwt's map has lost duplicates.
func (g *Gate) identity(c *gin.Context) any {
	principal, err := g.principal(c)
	if err != nil {
		c.Set(keyFailure, err)
		return nil
	}
	return principal
}

func (g *Gate) principal(c *gin.Context) (Principal, error) {
	raw, err := parseToken(c.GetHeader("Authorization")[len(SchemeBearer)+1:])
	if err != nil {
		return Principal{}, err
	}
	claims, err := raw.claims()
	if err != nil {
		return Principal{}, err
	}
	return g.service.Identity(c.Request.Context(), claims)
}

// authorize is gin-jwt's Authorizator: by default a nil identity passes.
func authorize(data any, _ *gin.Context) bool {
	_, ok := data.(Principal)
	return ok
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
		if _, precise := g.principal(c); precise != nil {
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
