package openapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const problemMediaType = "application/problem+json"

// describeProblems adds the catalogue: an example of each problem, and the schema of the codes.
func (b *builder) describeProblems(catalogue []Problem) {
	codes := make([]any, 0, len(catalogue))
	for _, p := range catalogue {
		b.problems[p.Code] = p
		b.codes = append(b.codes, p.Code)
		codes = append(codes, p.Code)
		b.root.child("components").child("examples").set(p.Code, example(p))
	}
	b.root.child("components").child("schemas").child("ProblemCode").set("enum", codes)
}

func example(p Problem) *object {
	value := newObject("type", p.Type, "title", p.Title, "status", p.Status, "detail", p.Detail,
		"code", p.Code, "request_id", "3w5e11264sgsf")
	if p.Reason != "" {
		value.set("reason", p.Reason)
	}
	return newObject("summary", p.Title, "description", p.Meaning, "value", value)
}

// fillEnums gives schemas the values that the code knows.
func (b *builder) fillEnums(enums map[string][]string) {
	for name, values := range enums {
		list := make([]any, 0, len(values))
		for _, v := range values {
			list = append(list, v)
		}
		b.root.child("components").child("schemas").child(name).set("enum", list)
	}
}

// refusal describes the responses of one status. Its codes are a closed list, so that a generated client can
// switch on them.
func (b *builder) refusal(status int, wanted []string) *object {
	var here []any
	var words []string
	examples := newObject()
	for _, code := range b.codes {
		if b.problems[code].Status != status || !slices.Contains(wanted, code) {
			continue
		}
		here = append(here, code)
		words = append(words, fmt.Sprintf("`%s`: %s.", code, b.problems[code].Title))
		examples.set(code, reference("examples", code))
	}
	schema := newObject("allOf", []any{
		reference("schemas", "Problem"),
		newObject("type", "object", "properties", newObject(
			"status", newObject("const", status), "code", newObject("enum", here))),
	})
	response := newObject("description", http.StatusText(status)+". "+strings.Join(words, " "))
	b.addProblemHeaders(response, here)
	addHeaders(response)
	response.set("content", newObject(problemMediaType, newObject("schema", schema, "examples", examples)))
	return response
}

// addProblemHeaders adds the headers of the problems. One that not all of them have is optional.
func (b *builder) addProblemHeaders(response *object, codes []any) {
	count := map[string]int{}
	for _, code := range codes {
		for _, name := range b.problems[fmt.Sprint(code)].Headers {
			count[name]++
		}
	}
	for _, name := range []string{"Allow", "Retry-After", "WWW-Authenticate"} {
		switch count[name] {
		case 0:
		case len(codes):
			response.child("headers").set(name, reference("headers", name))
		default:
			response.child("headers").set(name, b.optional(name))
		}
	}
}

// optional returns a header of the base that need not be there.
func (b *builder) optional(name string) *object {
	header := newObject()
	for _, member := range b.root.child("components").child("headers").child(name).members {
		if member.Key != "required" {
			header.members = append(header.members, member)
		}
	}
	return header
}

// describeStrays describes the answers to requests that belong to no operation.
func (b *builder) describeStrays() {
	responses := b.root.child("components").child("responses")
	for _, status := range b.statuses(b.common.NoRoute) {
		responses.set("NoRoute", b.refusal(status, b.common.NoRoute))
	}
	for _, status := range b.statuses(b.common.NoMethod) {
		responses.set("NoMethod", b.refusal(status, b.common.NoMethod))
	}
}
