package handlers

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

// problemKind is what all problems of one code have in common.
type problemKind struct {
	Code    security.Code `json:"code"`
	Status  int           `json:"status"`
	Title   string        `json:"title"`
	Meaning string        `json:"meaning"`
	Remedy  string        `json:"remedy"`
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
		{security.InvalidRequest, http.StatusBadRequest, "The request is not valid",
			"The body or the path is not what this resource takes: broken JSON, a member that is missing, unknown, repeated or of the wrong type.",
			"Read `detail`, and `errors` where it is present: each entry points at one member of the body. Correct it and send the request again."},
		{security.InvalidAuthorization, http.StatusBadRequest, "The Authorization header is ambiguous",
			"The request has more than one Authorization header, and programs on its way may each believe another one.",
			"Send exactly one Authorization header."},
		{security.InvalidCredentials, http.StatusUnauthorized, "The login was refused",
			"The username or the password is wrong, or the user may not log in. Which of the three is not told, so that nobody can find out who has an account.",
			"Check both and try again. An operator can set a new password with `sherpa user passwd NAME`."},
		{security.TokenMissing, http.StatusUnauthorized, "An access token is needed",
			"The resource is protected, and the request carries no access token in a form that is known here.",
			"Log in with POST /auth and send `Authorization: Bearer <access_token>`. The tutorial's scheme `JWT` works as well."},
		{security.TokenInvalid, http.StatusUnauthorized, "The access token was refused",
			"The token was changed on its way, was made by another service or for another one, or was signed with a key that is no longer used.",
			"Copy the whole token, without quotes or line ends. If it is whole, log in again with POST /auth."},
		{security.TokenExpired, http.StatusUnauthorized, "The access token has expired",
			"Access tokens live for a few minutes, so that a stolen one is soon worth nothing.",
			"Send the refresh token to POST /auth/refresh, or log in again. `expires_in` says how many seconds the new token lives."},
		{security.SessionEnded, http.StatusUnauthorized, "The session has ended",
			"The token is genuine, but its session is over. `reason` says why: `logout`, `ended_by_user`, `ended_by_operator`, `password_change`, `user_disabled`, `refresh_reuse`, `idle`, `expired`, or none when the user or the session no longer exists.",
			"Log in again with POST /auth. If the reason is `refresh_reuse` and you did not send a refresh token twice, somebody else has a copy: change the password."},
		{security.RefreshInvalid, http.StatusUnauthorized, "The refresh token was refused",
			"The text is not a refresh token of this service: it is cut off, changed, an access token, or made with a key that is no longer used.",
			"Send the refresh token of the latest login or refresh, whole. If it is, log in again with POST /auth."},
		{security.WrongPassword, http.StatusForbidden, "The current password is wrong",
			"A password is changed only by somebody who knows the current one.",
			"Check `current_password` and try again. Wrong tries count as failed logins."},
		{security.Throttled, http.StatusTooManyRequests, "Too many logins",
			"Too many logins in a row failed for this username, or too many requests to log in came from this address. The wait doubles with each further failure, up to an hour, and is over after a success.",
			"Wait for as many seconds as `Retry-After` says. An address from which you have logged in before is not held up by what others do."},
		{security.Forbidden, http.StatusForbidden, "Your user may not do this",
			"We know who you are; your user lacks the role that this resource needs.",
			"Ask an operator for the role, then log in again."},
		{notFound, http.StatusNotFound, "There is nothing here",
			"The path names no resource, or the resource does not exist.",
			"Check the path. An encoded slash (%2F) does not stand for a part of a name."},
		{methodNotAllowed, http.StatusMethodNotAllowed, "The resource does not have this method",
			"The path is right, the method is not.",
			"The header `Allow` of the answer lists the methods that work."},
		{requestTimeout, http.StatusRequestTimeout, "The request took too long to arrive",
			"The connection stayed open, but the rest of the request did not come in time.",
			"Send the request again."},
		{contentTooLarge, http.StatusRequestEntityTooLarge, "The request body is too large",
			"The body is larger than any that this resource could want.",
			"Send at most 64 KiB of JSON."},
		{unsupportedMediaType, http.StatusUnsupportedMediaType, "The request body is not JSON",
			"The header Content-Type does not say application/json, or the body is compressed.",
			"Send the body as JSON with the header `Content-Type: application/json`."},
		{expectation, http.StatusExpectationFailed, "The expectation cannot be met",
			"The header Expect asks for something that this server does not know.",
			"Leave the header Expect out, or send `100-continue`."},
		{headersTooLarge, http.StatusRequestHeaderFieldsTooLarge, "The request headers are too large",
			"The request line and the headers together are larger than 16 KiB.",
			"Send fewer or shorter headers; a cookie of another service is often the cause."},
		{internalError, http.StatusInternalServerError, "Something went wrong on our side",
			"The service met a fault that it did not expect.",
			"Try again later. If it stays, give the operator the `request_id`: the log has the cause under it."},
		{notImplemented, http.StatusNotImplemented, "The transfer encoding is not supported",
			"The header Transfer-Encoding names an encoding other than chunked.",
			"Send the body with a Content-Length, or chunked."},
		{unavailable, http.StatusServiceUnavailable, "The service cannot answer at this moment",
			"The database does not answer, is full or is read-only. What cannot be checked is refused.",
			"Wait for as many seconds as `Retry-After` says and send the request again. A refresh or a logout may be sent twice without harm: whether the first took place is not always known."},
		{stopping, http.StatusServiceUnavailable, "This server is about to stop",
			"`/readyz` says so while the server goes on serving, so that a proxy sends new requests elsewhere.",
			"Use another replica, or wait until this one has started again."},
		{security.Overloaded, http.StatusServiceUnavailable, "Too many logins at once",
			"Checking a password is slow on purpose, and only a few are checked at a time so that other requests stay quick.",
			"Wait for as many seconds as `Retry-After` says and try again."},
		{httpVersion, http.StatusHTTPVersionNotSupported, "The HTTP version is not supported",
			"The request line names an HTTP version that this server does not speak.",
			"Use HTTP/1.1."},
	}
}

func problemPath(code security.Code) string { return "/problems/" + string(code) }

//go:embed problem.html
var problemHTML string

// Problems explains each kind of problem, to programs in JSON and to people in HTML.
type Problems struct {
	catalogue catalogue
	page      *template.Template
}

func newProblems(all catalogue) (Problems, error) {
	page, err := template.New("problem").Funcs(template.FuncMap{"prose": prose}).Parse(problemHTML)
	if err != nil {
		return Problems{}, fmt.Errorf("problem page: %w", err)
	}
	return Problems{catalogue: all, page: page}, nil
}

// Get explains the problem named in the path.
func (p Problems) Get(c *gin.Context) error {
	kind, ok := p.catalogue[security.Code(c.Param("code"))]
	if !ok {
		return NotFound("There is no problem of this name.")
	}
	c.Header("Vary", "Accept")
	if !wantsHTML(c.GetHeader("Accept")) {
		c.JSON(http.StatusOK, kind)
		return nil
	}
	var page bytes.Buffer
	if err := p.page.Execute(&page, kind); err != nil {
		return fmt.Errorf("problem page: %w", err)
	}
	c.Header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	c.Data(http.StatusOK, "text/html; charset=utf-8", page.Bytes())
	return nil
}

// wantsHTML reports whether a browser asks. A program that takes JSON as well gets JSON.
func wantsHTML(accept string) bool {
	return strings.Contains(accept, "text/html") && !strings.Contains(accept, "json")
}

// prose escapes text for HTML and shows what stands between backticks as code.
func prose(text string) template.HTML {
	parts := strings.Split(template.HTMLEscapeString(text), "`")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "<code>" + parts[i] + "</code>"
	}
	return template.HTML(strings.Join(parts, "")) //nolint:gosec // G203: escaped above
}
