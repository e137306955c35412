package handlers

import (
	"regexp"
	"strings"

	"github.com/gin-gonic/gin"
)

// WriteETag names the version of what the answer shows (RFC 9110, section 8.8.3). A client sends it back as
// If-Match. The version is made of letters, digits, - and _.
func WriteETag(c *gin.Context, version string) { c.Header("ETag", `"`+version+`"`) }

// ReadIfMatch reads which versions may be changed: those in the header If-Match (RFC 9110, section 13.1.1),
// or nil, which is every version, for `*`. A change without it would overwrite one that its sender has not
// seen, so it gets 428 (RFC 6585, section 3).
func ReadIfMatch(c *gin.Context) ([]string, error) {
	text := strings.TrimSpace(strings.Join(c.Request.Header.Values("If-Match"), ","))
	switch text {
	case "":
		return nil, &Error{
			Code: preconditionRequired,
			Detail: "Send `If-Match` with the ETag of what you want to change, as GET returns it, or " +
				"`If-Match: *` to change it whatever it is.",
		}
	case "*":
		return nil, nil
	}
	versions, ok := parseETags(text)
	if !ok {
		return nil, InvalidRequest("The header `If-Match` is neither `*` nor a list of ETags in quotes.")
	}
	return versions, nil
}

// nextETag is an entity tag at the beginning of a list, with what separates it from the next one.
var nextETag = regexp.MustCompile(`^[ \t,]*((?:W/)?"[!#-~]*")[ \t]*(?:,[ \t,]*|$)`)

// parseETags reads a list of entity tags, at least one. A weak one keeps its quotes, so that it is no
// version: If-Match compares strongly (RFC 9110, section 8.8.3.2).
func parseETags(text string) (versions []string, ok bool) {
	for text != "" {
		found := nextETag.FindStringSubmatch(text)
		if found == nil {
			return nil, false
		}
		text = text[len(found[0]):]
		version := found[1]
		if version[0] == '"' {
			version = version[1 : len(version)-1]
		}
		versions = append(versions, version)
	}
	return versions, true
}
