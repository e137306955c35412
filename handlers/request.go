package handlers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxBody is the size in bytes of the largest JSON body that is read.
const maxBody = 64 << 10

// PathText returns the decoded path parameter, which must be UTF-8: JSON could not give anything else back.
func PathText(c *gin.Context, name string) (string, error) {
	value := c.Param(name)
	if !utf8.ValidString(value) {
		return "", InvalidRequest(fmt.Sprintf("The part `%s` of the path is not UTF-8.", name))
	}
	return value, nil
}

// PathID returns the id in a path parameter. What cannot be an id does not exist: the error is NotFound.
func PathID(c *gin.Context, name string) (int64, error) {
	id, err := strconv.ParseInt(c.Param(name), 10, 64)
	if err != nil || id < 1 || strconv.FormatInt(id, 10) != c.Param(name) {
		return 0, NotFound("There is nothing with this id.")
	}
	return id, nil
}

// ReadJSON reads the body, one JSON object of at most 64 KiB, into a T. Unlike Gin's ShouldBind it accepts
// only JSON, and rejects unknown or duplicate members, different letter case and trailing data. No error
// repeats a value of the body, which may be a password.
func ReadJSON[T any](c *gin.Context) (T, error) {
	var request T
	body, err := readBody(c, mediaJSON, "JSON")
	if err != nil {
		return request, err
	}
	if string(bytes.TrimSpace(body)) == "null" {
		return request, InvalidRequest("The body must be a JSON object.")
	}
	if err := json.Unmarshal(body, &request, json.RejectUnknownMembers(true)); err != nil {
		return request, explainJSON(err, reflect.TypeFor[T]())
	}
	return request, nil
}

// ReadForm reads the body, a form of at most 64 KiB. It is for the requests of standards that want one.
func ReadForm(c *gin.Context) (url.Values, error) {
	body, err := readBody(c, mediaForm, "a form")
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, InvalidRequest("The body is not a form that can be read.")
	}
	return form, nil
}

const (
	mediaJSON = "application/json"
	mediaForm = "application/x-www-form-urlencoded"
)

// readBody reads a body of this media type; name is how people call it.
func readBody(c *gin.Context, mediaType, name string) ([]byte, error) {
	if err := checkMediaType(c.Request.Header, mediaType, name); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	if err != nil {
		return nil, explainRead(err)
	}
	return body, nil
}

func explainRead(err error) error {
	var tooLarge *http.MaxBytesError
	var slow net.Error
	switch {
	case errors.As(err, &tooLarge):
		detail := fmt.Sprintf("The body is larger than %d bytes.", tooLarge.Limit)
		return &Error{Code: contentTooLarge, Detail: detail}
	case errors.As(err, &slow) && slow.Timeout():
		return &Error{Code: requestTimeout, Detail: "The body did not arrive in time."}
	}
	return InvalidRequest("The body could not be read to its end.")
}

func checkMediaType(h http.Header, want, name string) error {
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || mediaType != want {
		detail := fmt.Sprintf("Send the body as %s, with the header `Content-Type: %s`.", name, want)
		return &Error{Code: unsupportedMediaType, Detail: detail}
	}
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return &Error{Code: unsupportedMediaType, Detail: "Send the body without Content-Encoding."}
	}
	return nil
}

// explainJSON puts the reason why a body is not the wanted object into words of our own.
func explainJSON(err error, body reflect.Type) error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &semantic):
		return explainSemantic(semantic, body)
	case errors.As(err, &syntactic):
		return explainSyntactic(syntactic)
	}
	return InvalidRequest("The body is not what this resource takes.")
}

func explainSemantic(err *json.SemanticError, body reflect.Type) error {
	switch {
	case errors.Is(err, json.ErrUnknownName):
		wrong := "is not a member that this resource knows" + knownMembers(err, body)
		return invalidMember(err.JSONPointer, wrong)
	case err.JSONPointer == "":
		return InvalidRequest("The body must be a JSON object.")
	}
	return invalidMember(err.JSONPointer, "must be "+describeType(err.GoType))
}

// knownMembers lists what could be meant, for a member of the body itself.
func knownMembers(err *json.SemanticError, body reflect.Type) string {
	if body.Kind() != reflect.Struct || strings.Count(string(err.JSONPointer), "/") > 1 {
		return ""
	}
	var names []string
	for field := range body.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, "`"+name+"`")
	}
	return ": it knows " + strings.Join(names, ", ")
}

func explainSyntactic(err *jsontext.SyntacticError) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return invalidMember(err.JSONPointer, "appears more than once")
	}
	return InvalidRequest(fmt.Sprintf("The body is not valid JSON: look at byte %d.", err.ByteOffset))
}

// invalidMember names the wrong member; it cuts a very long name.
func invalidMember(pointer jsontext.Pointer, wrong string) error {
	const longest = 64
	name := strings.ToValidUTF8(string(pointer), "")
	if utf8.RuneCountInString(name) > longest {
		name = string([]rune(name)[:longest]) + "…"
	}
	detail := fmt.Sprintf("`%s` %s.", strings.TrimPrefix(name, "/"), wrong)
	return InvalidRequest(detail, FieldError{Detail: detail, Pointer: "#" + name})
}

func describeType(t reflect.Type) string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil:
		return "of another type"
	case t == reflect.TypeFor[time.Time]():
		return "a time in the form of RFC 3339"
	case t == reflect.TypeFor[[]byte]():
		return "a string in base64"
	case t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice:
		return "an array"
	case t.Kind() == reflect.Struct, t.Kind() == reflect.Map:
		return "an object"
	}
	return "a number in range"
}
