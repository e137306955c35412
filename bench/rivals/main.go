// Command rivals serves what Sherpa is measured against: "bare", Gin and nothing else; "stock", the same
// route guarded by gin-jwt; and "readme", with everything else that gin-jwt's README has. All answer GET
// /mountain/:name with Sherpa's JSON.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	ginjwt "github.com/appleboy/gin-jwt/v2"
	"github.com/gin-gonic/gin"
)

func main() {
	kind := flag.String("kind", "bare", "which rival to be: bare, stock or readme")
	listen := flag.String("listen", "127.0.0.1:5101", "address to listen on")
	flag.Parse()
	if err := run(*kind, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "rivals:", err)
		os.Exit(1)
	}
}

func run(kind, listen string) error {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	if kind == "readme" {
		engine = gin.Default() // with a line on standard output for each request, and recovery
	}
	guards := map[string]func(*gin.Engine) error{"bare": bare, "stock": stock, "readme": readme}
	guard, ok := guards[kind]
	if !ok {
		return fmt.Errorf("%q is none of bare, stock, readme", kind)
	}
	if err := guard(engine); err != nil {
		return err
	}
	return engine.Run(listen)
}

func bare(engine *gin.Engine) error {
	engine.GET("/mountain/:name", getMountain)
	return nil
}

type mountainResponse struct {
	Mountain string `json:"mountain"`
}

func getMountain(c *gin.Context) {
	c.JSON(http.StatusOK, mountainResponse{Mountain: c.Param("name")})
}

// identityKey is the claim that names the user, as in gin-jwt's README.
const identityKey = "id"

type login struct {
	Username string `json:"username" binding:"required"`
	Password string `json:"password" binding:"required"`
}

// stock guards the route with gin-jwt. What is not set here stays at gin-jwt's default: HS256, the identity
// straight from the claims, everybody with a valid token may pass.
func stock(engine *gin.Engine) error {
	middleware, err := ginjwt.New(&ginjwt.GinJWTMiddleware{
		Realm:         "test zone",
		Key:           []byte("secret key"),
		Timeout:       time.Hour,
		MaxRefresh:    time.Hour,
		IdentityKey:   identityKey,
		Authenticator: authenticate,
		PayloadFunc:   payload,
		TokenLookup:   "header: Authorization",
		TokenHeadName: "Bearer",
		TimeFunc:      time.Now,
	})
	if err != nil {
		return fmt.Errorf("gin-jwt: %w", err)
	}
	engine.POST("/login", middleware.LoginHandler)
	engine.GET("/mountain/:name", middleware.MiddlewareFunc(), getMountain)
	return nil
}

// readme guards the route as the whole example in the README of gin-jwt 2.10.3 does: in addition to what
// stock has, it makes a user of the claims and asks whether the user may pass, looks for the token in the
// query and in a cookie as well, and sets gin-jwt up again with every request.
func readme(engine *gin.Engine) error {
	middleware, err := ginjwt.New(&ginjwt.GinJWTMiddleware{
		Realm:           "test zone",
		Key:             []byte("secret key"),
		Timeout:         time.Hour,
		MaxRefresh:      time.Hour,
		IdentityKey:     identityKey,
		PayloadFunc:     payload,
		IdentityHandler: identify,
		Authenticator:   authenticate,
		Authorizator:    authorize,
		Unauthorized:    refuse,
		TokenLookup:     "header: Authorization, query: token, cookie: jwt",
		TokenHeadName:   "Bearer",
		TimeFunc:        time.Now,
	})
	if err != nil {
		return fmt.Errorf("gin-jwt: %w", err)
	}
	engine.Use(func(c *gin.Context) {
		if err := middleware.MiddlewareInit(); err != nil {
			c.AbortWithStatus(http.StatusInternalServerError)
		}
	})
	engine.POST("/login", middleware.LoginHandler)
	engine.GET("/mountain/:name", middleware.MiddlewareFunc(), getMountain)
	return nil
}

// user is the README's, with the one field that its token carries.
type user struct {
	username string
}

func identify(c *gin.Context) any {
	name, _ := ginjwt.ExtractClaims(c)[identityKey].(string)
	return &user{username: name}
}

func authorize(data any, _ *gin.Context) bool {
	u, ok := data.(*user)
	return ok && u.username == "admin"
}

func refuse(c *gin.Context, code int, message string) {
	c.JSON(code, gin.H{"code": code, "message": message})
}

// authenticate knows the one user of gin-jwt's README.
func authenticate(c *gin.Context) (any, error) {
	var credentials login
	if err := c.ShouldBindJSON(&credentials); err != nil {
		return nil, ginjwt.ErrMissingLoginValues
	}
	if credentials.Username != "admin" || credentials.Password != "admin" {
		return nil, ginjwt.ErrFailedAuthentication
	}
	return credentials.Username, nil
}

func payload(data any) ginjwt.MapClaims {
	return ginjwt.MapClaims{identityKey: data}
}
