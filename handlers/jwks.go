package handlers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

// pathPublicKeys is where verifiers look for public keys (RFC 8615 has the beginning).
const pathPublicKeys = "/.well-known/jwks.json"

// publicKeysCaching: a verifier or a proxy may keep the keys for five minutes. So a new key must be published
// for that long before it signs: see docs/keys.md. After that nobody may use them without asking again, so
// that a removed key is forgotten.
const publicKeysCaching = "public, max-age=300, must-revalidate"

// PublicKeys are what others need to verify access tokens.
type PublicKeys struct{ Service *security.Service }

// Get answers with a JWK Set (RFC 7517, section 8.5.2, has its media type).
func (p PublicKeys) Get(c *gin.Context) error {
	text := p.Service.PublicKeys()
	sum := sha256.Sum256(text)
	c.Header("Content-Type", "application/jwk-set+json")
	c.Header("Cache-Control", publicKeysCaching)
	c.Header("Etag", `"`+hex.EncodeToString(sum[:16])+`"`)
	c.Request.Header.Del("Range") // an error about it would be no problem document
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, bytes.NewReader(text))
	return nil
}
