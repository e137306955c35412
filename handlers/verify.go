package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"sherpa/security"
)

const pathVerify = "/auth/verify"

// The headers that tell an API behind a proxy who makes a request, in the form that a header map has.
const (
	headerRemoteUser    = "Remote-User"
	headerRemoteUserID  = "Remote-User-Id"
	headerRemoteGroups  = "Remote-Groups"
	headerRemoteSession = "Remote-Session"
)

// Verify tells a proxy who makes a request, so that the proxy guards an API that knows nothing of Sherpa
// (forward-auth). The proxy asks with the client's Authorization, by any method, and reads no body.
type Verify struct{}

// Any answers 200 with the principal in headers, or refuses. The query parameter role may come several times:
// one of these roles is enough.
func (Verify) Any(c *gin.Context) error {
	leaveBody(c)
	principal := principalOf(c)
	roles, err := askedRoles(c.Request.URL.RawQuery)
	if err != nil {
		return err
	}
	if len(roles) > 0 && !principal.HasAnyRole(roles...) {
		return security.MissingRole(roles...)
	}
	setRemote(c.Writer.Header(), principal)
	c.Status(http.StatusOK)
	return nil
}

// setRemote always sets all four headers, for a proxy that overwrites what a client has forged with them.
// PathEscape leaves ASCII letters as they are. Other bytes of a name would mean something else to each API,
// and a comma would make two names of one.
func setRemote(header http.Header, p security.Principal) {
	header[headerRemoteUser] = []string{url.PathEscape(p.Username)}
	header[headerRemoteUserID] = []string{strconv.FormatInt(p.UserID, 10)}
	header[headerRemoteGroups] = []string{strings.Join(p.Roles, ",")}
	header[headerRemoteSession] = []string{p.SessionID}
}

// askedRoles reads the query, which is the operator's. It refuses what it does not know: a slip such as
// ?roles=admin must not mean that any user may pass.
func askedRoles(query string) ([]string, error) {
	if query == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, InvalidRequest("The query cannot be read.")
	}
	for name := range values {
		if name != "role" {
			return nil, InvalidRequest("The query may have `role`, once or several times, and nothing else.")
		}
	}
	roles := values["role"]
	if len(roles) == 0 || !allRoles(roles) {
		return nil, InvalidRequest("A `role` of the query is missing, or not one that a user can have.")
	}
	return roles, nil
}

func allRoles(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !security.IsRole(name) })
}

// leaveBody lets net/http answer without the body, which it would else wait for. A proxy may announce the
// body of its client and not send it. Nobody reads the rest of such a connection.
func leaveBody(c *gin.Context) {
	if c.Request.ContentLength != 0 && c.Request.ProtoMajor == 1 { // HTTP/2 ends the stream alone
		c.Header("Connection", "close")
	}
}

// headerProblem has the problem once more, for a proxy that drops the body of a refusal, as nginx does.
const headerProblem = "Sherpa-Problem"

// carry puts a refusal of Verify into a header, too. Without it, the proxy still refuses.
func carry(c *gin.Context, p Problem) {
	leaveBody(c)
	if text, err := json.Marshal(p); err == nil {
		c.Header(headerProblem, string(text))
	}
}
