package openapi

import (
	"fmt"
	"net/http"
	"strings"
)

// UndescribedError names a registered route without a description, and shows what to write.
type UndescribedError struct {
	Resource Resource
	Method   string
}

func (e *UndescribedError) Error() string {
	path := template(e.Resource.Path)
	return fmt.Sprintf("%s %s is registered, but not described. Write into handlers/%s:\n\n%s",
		e.Method, path, e.Resource.File, e.Skeleton())
}

// Skeleton returns a description to fill in.
func (e *UndescribedError) Skeleton() string {
	r, verb := e.Resource, strings.ToLower(e.Method)
	path := template(r.Path)
	var text strings.Builder
	fmt.Fprintf(&text, "paths:\n  %s:\n    %s:\n", path, verb)
	fmt.Fprintf(&text, "      operationId: %s%s\n", verb, nameOf(path))
	text.WriteString("      tags: [Resources]\n")
	text.WriteString("      summary: TODO, a few words\n")
	text.WriteString("      description: TODO, what it does.\n")
	e.writeParameters(&text)
	e.writeBody(&text)
	text.WriteString("      x-problems: []  # further codes, such as not_found\n")
	e.writeResponse(&text)
	return text.String()
}

func (e *UndescribedError) writeParameters(text *strings.Builder) {
	found := parameter.FindAllStringSubmatch(e.Resource.Path, -1)
	if len(found) > 0 {
		text.WriteString("      parameters:\n")
	}
	for _, name := range found {
		fmt.Fprintf(text, "        - {name: %s, in: path, required: true, example: TODO,\n"+
			"           description: TODO., schema: {type: string}}\n", name[1])
	}
}

func (e *UndescribedError) writeBody(text *strings.Builder) {
	switch e.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		text.WriteString(`      requestBody:  # leave it out when there is none
        required: true
        content:
          application/json:
            schema: {type: object, additionalProperties: false, properties: {}}
            example: {}
`)
	}
}

func (e *UndescribedError) writeResponse(text *strings.Builder) {
	text.WriteString("      responses:\n")
	if e.Method == http.MethodDelete {
		text.WriteString("        \"204\": {description: It is deleted.}\n")
		return
	}
	text.WriteString(`        "200":
          description: TODO.
          content:
            application/json:
              schema: {type: object, properties: {}}
              example: {}
`)
}
