package handlers

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

// problemKind is what all problems of one code share.
type problemKind struct {
	Code    security.Code `json:"code"`
	Status  int           `json:"status"`
	Title   string        `json:"title"`
	Detail  string        `json:"-"` // for codes of package security, with {fact}, {reason}, {wait} and {renew}
	Meaning string        `json:"meaning"`
	Remedy  string        `json:"remedy"`
	Example string        `json:"-"` // of {fact}, or else of the whole detail, for the OpenAPI document
}

type catalogue map[security.Code]problemKind

func newCatalogue() catalogue {
	all := catalogue{}
	for _, kind := range problemKinds() {
		all[kind.Code] = kind
	}
	return all
}

// problemKinds is the one table from code to status.
func problemKinds() []problemKind { //nolint:funlen // a table
	return []problemKind{
		{
			Code: invalidRequest, Status: http.StatusBadRequest,
			Title:   "The request is not valid",
			Example: "The body must be a JSON object.",
			Meaning: "The body or the path is not what this resource takes: broken JSON, a member that " +
				"is missing, unknown, repeated or of the wrong type.",
			Remedy: "Read `detail`, and `errors` where it is present: each entry points at one member " +
				"of the body. Correct it and send the request again.",
		},
		{
			Code: security.InvalidAuthorization, Status: http.StatusBadRequest,
			Title:  "The Authorization header is ambiguous",
			Detail: "Send one Authorization header; there were several.",
			Meaning: "The request has more than one Authorization header, and programs on its way may " +
				"each believe another one.",
			Remedy: "Send exactly one Authorization header.",
		},
		{
			Code: security.InvalidCredentials, Status: http.StatusUnauthorized,
			Title:  "The login was refused",
			Detail: "The username or the password is wrong, or the user may not log in.",
			Meaning: "The username or the password is wrong, or the user may not log in. The answer does " +
				"not say which, so that nobody can probe for accounts.",
			Remedy: "Check both and try again. An administrator can issue a token that sets a new " +
				"password, an operator with `sherpa user reset NAME`.",
		},
		{
			Code: security.TokenMissing, Status: http.StatusUnauthorized,
			Title:   "An access token is needed",
			Detail:  "{fact}. Send `Authorization: Bearer <token>`, with a token from POST /auth.",
			Example: "The request has no Authorization header",
			Meaning: "The resource is protected, and the request carries no access token in a form that " +
				"is known here.",
			Remedy: "Log in with POST /auth and send `Authorization: Bearer <access_token>`. The " +
				"tutorial's scheme `JWT` works as well.",
		},
		{
			Code: security.TokenInvalid, Status: http.StatusUnauthorized,
			Title:   "The access token was refused",
			Detail:  "The token was refused: {fact}. {renew}",
			Example: "its signature is not ours, or its key was retired",
			Meaning: "The token was changed on its way, was made by another service or for another one, " +
				"or was signed with a key that is no longer used.",
			Remedy: "Copy the whole token, without quotes or line ends. If it is whole, log in again " +
				"with POST /auth.",
		},
		{
			Code: security.TokenExpired, Status: http.StatusUnauthorized,
			Title:   "The access token has expired",
			Detail:  "The token expired {fact} ago. {renew}",
			Example: "2m10s",
			Meaning: "Access tokens live for a few minutes, so that a stolen one is soon worthless.",
			Remedy: "Send the refresh token to POST /auth/refresh, or log in again. `expires_in` says " +
				"how many seconds the new token lives.",
		},
		{
			Code: security.SessionEnded, Status: http.StatusUnauthorized,
			Title:  "The session has ended",
			Detail: "The session has ended: {reason}. Log in again with POST /auth.",
			Meaning: "The token is genuine, but its session is over. `reason` says why: `logout`, " +
				"`ended_by_user`, `ended_by_operator`, `password_change`, `user_disabled`, " +
				"`refresh_reuse`, `idle`, `expired`, or none when the user or the session no longer " +
				"exists.",
			Remedy: "Log in again with POST /auth. If the reason is `refresh_reuse` and you did not " +
				"send a refresh token twice, somebody else has a copy: change the password.",
		},
		{
			Code: security.RefreshInvalid, Status: http.StatusUnauthorized,
			Title: "The refresh token was refused",
			Detail: "The refresh token was refused: it is not one of this service. Log in again with " +
				"POST /auth.",
			Meaning: "The text is not a refresh token of this service: it is cut off, changed, an access " +
				"token, or made with a key that is no longer used.",
			Remedy: "Send the refresh token of the latest login or refresh, whole. If it is, log in " +
				"again with POST /auth.",
		},
		{
			Code: security.ResetInvalid, Status: http.StatusUnauthorized,
			Title:  "The reset token was refused",
			Detail: "The reset token was refused: it was used, has expired, or is not one of this service.",
			Meaning: "The token sets no password: it was used already, is older than an hour, is not " +
				"whole, was never issued, or its user may not log in. The answer does not say which.",
			Remedy: "Copy the whole token. If it is whole, ask an administrator for another one.",
		},
		{
			Code: security.WrongPassword, Status: http.StatusForbidden,
			Title:   "The current password is wrong",
			Detail:  "The current password is wrong. Nothing was changed.",
			Meaning: "A password is changed only by somebody who knows the current one.",
			Remedy:  "Check `current_password` and try again. Wrong tries count as failed logins.",
		},
		{
			Code: security.Throttled, Status: http.StatusTooManyRequests,
			Title: "Too many attempts",
			Detail: "There were too many attempts for this username, or too many of this kind from this " +
				"address. Wait {wait} and try again.",
			Meaning: "Too many logins in a row failed for this username, or too many requests to log in, " +
				"to redeem a reset token or to register came from this address. The wait for a username " +
				"doubles with each further failure, up to an hour, and is over after a success.",
			Remedy: "Wait for as many seconds as `Retry-After` says. An address from which you have " +
				"logged in before is not held up by what others do.",
		},
		{
			Code: security.Forbidden, Status: http.StatusForbidden,
			Title: "Your user may not do this",
			Detail: "This resource needs the role {fact}, which your user or your personal access token " +
				"lacks.",
			Example: "admin",
			Meaning: "We know who you are; your user lacks the role that this resource needs.",
			Remedy:  "Ask an administrator for the role. It counts within a second, without a new login.",
		},
		{
			Code: security.TokenNotAllowed, Status: http.StatusForbidden,
			Title:   "Your personal access token may not do this",
			Detail:  "Your personal access token may not do this: {fact}.",
			Example: "it was made without `account` in `allow`",
			Meaning: "A personal access token reaches an account or the administration only if it was " +
				"made for that. It has no session, so it cannot log out.",
			Remedy: "Log in and use the access token, or make a personal access token with what it needs " +
				"in `allow`. To be rid of a token, delete it with DELETE /auth/tokens/<id>.",
		},
		{
			Code: security.TooManyTokens, Status: http.StatusConflict,
			Title:   "You have too many personal access tokens",
			Detail:  "You have {fact} personal access tokens, and that is the limit. Delete one first.",
			Example: "50",
			Meaning: "A user has at most 50 personal access tokens. Expired ones count for 30 days.",
			Remedy:  "GET /auth/tokens lists them. Delete those that nobody uses.",
		},
		{
			Code: notFound, Status: http.StatusNotFound,
			Title:   "There is nothing here",
			Example: "There is nothing of this name.",
			Meaning: "The path names no resource, or the resource does not exist.",
			Remedy:  "Check the path. An encoded slash (%2F) does not stand for a part of a name.",
		},
		{
			Code: usernameTaken, Status: http.StatusConflict,
			Title:   "The username is taken",
			Example: "Another user has this username. Choose another one.",
			Meaning: "Another user has this username, perhaps in another spelling: capitals make no " +
				"difference.",
			Remedy: "Choose another username.",
		},
		{
			Code: lastAdmin, Status: http.StatusConflict,
			Title: "The last administrator must stay",
			Example: "This is the only administrator who may log in. " +
				"Give another user the role admin first. Nothing was changed.",
			Meaning: "Without this user, nobody could administer this service over HTTP.",
			Remedy:  "Give another user the role `admin`, then send the request again.",
		},
		{
			Code: preconditionFailed, Status: http.StatusPreconditionFailed,
			Title: "It has changed meanwhile",
			Example: "This has changed since the ETag in `If-Match`. GET it again, and decide again. " +
				"Nothing was changed.",
			Meaning: "Somebody else has changed this since you read it. Your change could undo theirs.",
			Remedy:  "Read it again with GET, and send your change with the new ETag if you still want it.",
		},
		{
			Code: preconditionRequired, Status: http.StatusPreconditionRequired,
			Title: "A change needs If-Match",
			Example: "Send `If-Match` with the ETag of what you want to change, as GET returns it, or " +
				"`If-Match: *` to change it whatever it is.",
			Meaning: "A change without `If-Match` could undo one that its sender has not seen.",
			Remedy:  "Read what you want to change with GET, and send its ETag as `If-Match`.",
		},
		{
			Code: methodNotAllowed, Status: http.StatusMethodNotAllowed,
			Title:   "The resource does not have this method",
			Example: "The resource at this path does not have the method PUT. It has GET, HEAD, OPTIONS.",
			Meaning: "The path is right, the method is not.",
			Remedy:  "The header `Allow` of the answer lists the methods that work.",
		},
		{
			Code: requestTimeout, Status: http.StatusRequestTimeout,
			Title:   "The request took too long to arrive",
			Example: "The body did not arrive in time.",
			Meaning: "The connection stayed open, but the rest of the request did not come in time.",
			Remedy:  "Send the request again.",
		},
		{
			Code: contentTooLarge, Status: http.StatusRequestEntityTooLarge,
			Title:   "The request body is too large",
			Example: "The body is larger than 65536 bytes.",
			Meaning: "The body is larger than any that this resource could want.",
			Remedy:  "Send at most 64 KiB of JSON.",
		},
		{
			Code: unsupportedMediaType, Status: http.StatusUnsupportedMediaType,
			Title:   "The media type of the request body is another one",
			Example: "Send the body as JSON, with the header `Content-Type: application/json`.",
			Meaning: "The header Content-Type does not say what this resource takes, mostly " +
				"application/json, or the body is compressed.",
			Remedy: "Send the body in the media type that `detail` names, with that header.",
		},
		{
			Code: internalError, Status: http.StatusInternalServerError,
			Title:   "Something went wrong on our side",
			Example: "Something went wrong on our side. Its cause is in the log under this request_id.",
			Meaning: "The service hit an error that it did not expect.",
			Remedy: "Try again later. If it stays, give the operator the `request_id`: the log has the " +
				"cause under it.",
		},
		{
			Code: unavailable, Status: http.StatusServiceUnavailable,
			Title: "The service cannot answer at this moment",
			Example: "The service cannot reach its data at this moment. Send the request again " +
				"after the time in Retry-After.",
			Meaning: "The database does not answer, is full or is read-only. What cannot be checked is " +
				"refused.",
			Remedy: "Wait for as many seconds as `Retry-After` says and send the request again. A " +
				"refresh or a logout may be sent twice without harm: whether the first took place " +
				"is not always known.",
		},
		{
			Code: stopping, Status: http.StatusServiceUnavailable,
			Title: "This server is about to stop",
			Example: "This server has been told to stop. It still serves, but send new requests " +
				"elsewhere.",
			Meaning: "`/readyz` says so while the server goes on serving, so that a proxy sends new " +
				"requests elsewhere.",
			Remedy: "Use another replica, or wait until this one has started again.",
		},
		{
			Code: security.Overloaded, Status: http.StatusServiceUnavailable,
			Title:  "Too many logins at once",
			Detail: "Too many passwords or tokens are being checked at this moment. Try again in a second.",
			Meaning: "Checking a password is slow on purpose, and only a few are checked at a time so " +
				"that other requests stay quick. So it is with personal access tokens that this server " +
				"has not seen before.",
			Remedy: "Wait for as many seconds as `Retry-After` says and try again.",
		},
	}
}

func (c catalogue) has(code security.Code) bool {
	_, ok := c[code]
	return ok
}

// describe puts an error of package security into words.
func (c catalogue) describe(e *security.Error) *Error {
	words := strings.NewReplacer("{fact}", e.Fact, "{reason}", security.DescribeEnd(e.Reason),
		"{wait}", e.RetryAfter.String(), "{renew}", renewal(e.Personal))
	return &Error{
		Code: e.Code, Detail: words.Replace(c[e.Code].Detail), Reason: e.Reason, RetryAfter: e.RetryAfter,
		Roles: e.Roles,
	}
}

// renewal says where to get a token in place of one that is no longer good.
func renewal(personal bool) string {
	if personal {
		return "Make a new one with POST /auth/tokens."
	}
	return "Get a new one from POST /auth/refresh or POST /auth."
}

func problemPath(code security.Code) string { return "/problems/" + string(code) }

// Problems explains each kind of problem, to programs in JSON and to people in HTML.
type Problems struct {
	catalogue catalogue
	page      htmlPage
}

func newProblems() (Problems, error) {
	page, err := newHTMLPage("problem.html")
	return Problems{catalogue: newCatalogue(), page: page}, err
}

// Get explains the problem named in the path.
func (p Problems) Get(c *gin.Context) error {
	kind, ok := p.catalogue[security.Code(c.Param("code"))]
	if !ok {
		return NotFound("There is no problem of this name.")
	}
	return p.page.write(c, kind)
}
