package handlers

import (
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/cors"
)

// preflightAge is how long a browser remembers the answer to a preflight.
const preflightAge = 10 * time.Minute

const headerAllowMethods = "Access-Control-Allow-Methods" // in the form that a header map has

// crossOrigin lets scripts of these origins read answers (the Fetch Standard, section 3.3, CORS). Others get
// the same answers without these headers, and their browser keeps them from the script. Cookies play no part:
// tokens come in a header.
func crossOrigin(origins []string) gin.HandlerFunc {
	policy := cors.New(cors.Options{
		// A function, because AllowedOrigins knows wildcards, ignores case, and takes an empty list for all.
		AllowOriginFunc: func(origin string) bool { return slices.Contains(origins, origin) },
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
			http.MethodPatch, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "If-Match", headerRequestID},
		ExposedHeaders: []string{"WWW-Authenticate", "Retry-After", headerRequestID, "Allow", "ETag",
			"Location"},
		MaxAge:             int(preflightAge.Seconds()),
		OptionsPassthrough: true, // a preflight is answered by the route, or with 404 where there is none
	})
	return func(c *gin.Context) {
		policy.ServeHTTP(c.Writer, c.Request, func(http.ResponseWriter, *http.Request) { c.Next() })
	}
}

// nameMethods tells an allowed preflight the methods of the route, in place of the one that it asked for.
func nameMethods(c *gin.Context, allow string) {
	if c.Writer.Header().Get(headerAllowMethods) != "" {
		c.Header(headerAllowMethods, allow)
	}
}
