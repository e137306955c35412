package openapi

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// completeOperation adds who may use the operation, and every refusal.
func (b *builder) completeOperation(r Resource, operation *object) error {
	codes, err := b.codesOf(r, operation)
	if err != nil {
		return err
	}
	responses, err := successes(operation)
	if err != nil {
		return err
	}
	headers, _ := operation.take("x-refusal-headers").([]any)
	for _, status := range b.statuses(codes) {
		refusal := b.refusal(status, codes)
		for _, name := range headers {
			refusal.child("headers").set(fmt.Sprint(name), reference("headers", fmt.Sprint(name)))
		}
		responses.set(fmt.Sprint(status), refusal)
	}
	if r.Protected {
		operation.set("security", []any{newObject("bearer", []any{})})
	} else if !operation.has("security") {
		operation.set("security", []any{})
	}
	if len(r.Roles) > 0 {
		describeMore(operation, "Only for users with the role `"+strings.Join(r.Roles, "` or `")+"`.")
	}
	if r.Allow != "" {
		describeMore(operation, "A personal access token needs `"+r.Allow+"` in `allow`.")
	}
	operation.set("responses", responses)
	return nil
}

func describeMore(operation *object, more string) {
	text, _ := operation.get("description").(string)
	operation.set("description", strings.TrimSpace(text)+"\n\n"+more)
}

// codesOf returns the codes of all problems with which the operation may answer. Those of x-problems are its
// author's knowledge; the others follow from the way of every request.
func (b *builder) codesOf(r Resource, operation *object) ([]string, error) {
	hasMore := operation.has("x-problems")
	codes := slices.Clone(b.common.Every)
	if r.Protected {
		codes = append(codes, b.common.Protected...)
	}
	if len(r.Roles) > 0 {
		codes = append(codes, b.common.Role...)
	}
	if r.Allow != "" {
		codes = append(codes, b.common.Allow...)
	}
	if operation.has("requestBody") {
		codes = append(codes, b.common.Body...)
	}
	more, ok := operation.take("x-problems").([]any)
	if !ok && hasMore {
		return nil, errors.New("x-problems: it must be a list of codes")
	}
	for _, code := range more {
		codes = append(codes, fmt.Sprint(code))
	}
	for _, code := range codes {
		if _, ok := b.problems[code]; !ok {
			return nil, fmt.Errorf("x-problems: the catalogue has no code %s", code)
		}
	}
	return codes, nil
}

func (b *builder) statuses(codes []string) (all []int) {
	for _, code := range codes {
		all = append(all, b.problems[code].Status)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// successes returns the responses that the author described, with the headers of every response.
func successes(operation *object) (*object, error) {
	responses, ok := operation.take("responses").(*object)
	if !ok {
		return nil, errors.New("it describes no response")
	}
	for _, member := range responses.members {
		response, ok := member.Value.(*object)
		if status := fmt.Sprint(member.Key); !ok || status >= "400" || status < "200" {
			return nil, fmt.Errorf("responses: %s: describe successes; x-problems lists refusals", status)
		}
		addHeaders(response)
	}
	return responses, nil
}

// addHeaders adds those that every response has, unless its author describes one otherwise.
func addHeaders(response *object) {
	headers := response.child("headers")
	for _, name := range []string{"Cache-Control", "X-Request-Id"} {
		if !headers.has(name) {
			headers.set(name, reference("headers", name))
		}
	}
}

func reference(kind, name string) *object { return newObject("$ref", "#/components/"+kind+"/"+name) }

// head describes the HEAD that comes with a GET: the same without bodies (RFC 9110, section 9.3.2).
func head(get *object) *object {
	h := like(get, "Head", ", headers only", "What `GET` answers, without the body.")
	h.set("responses", withoutContent(get.child("responses")))
	return h
}

// like describes what another method does in the manner of a GET.
func like(get *object, idSuffix, summarySuffix, description string) *object {
	o := newObject()
	for _, member := range get.members {
		name, _ := member.Key.(string)
		o.set(name, member.Value)
	}
	o.set("operationId", fmt.Sprint(get.get("operationId"), idSuffix))
	o.set("summary", fmt.Sprint(get.get("summary"), summarySuffix))
	o.set("description", description)
	o.set("x-internal", true)
	return o
}

// repeat describes the methods of a resource that answers all of them as it does GET.
func repeat(item, get *object) {
	for _, method := range []string{"Put", "Post", "Delete", "Options", "Patch"} {
		verb := strings.ToUpper(method)
		item.set(strings.ToLower(method), like(get, method, ", by "+verb, "What `GET` answers."))
	}
}

func withoutContent(responses *object) *object {
	bare := newObject()
	for _, member := range responses.members {
		response := newObject()
		for _, part := range member.Value.(*object).members { //nolint:forcetypeassert // successes has checked it
			if part.Key != "content" {
				response.members = append(response.members, part)
			}
		}
		bare.members = append(bare.members, yaml.MapItem{Key: member.Key, Value: response})
	}
	return bare
}

// options describes OPTIONS, which needs no token: a browser's preflight has none.
func (b *builder) options(r Resource, item *object) *object {
	allowed := append([]string{"OPTIONS"}, r.Methods...)
	if item.has("head") {
		allowed = append(allowed, "HEAD")
	}
	slices.Sort(allowed)
	response := newObject(
		"description", "The methods are in `Allow`.",
		"headers", newObject("Allow", newObject(
			"description", "The methods of this path.",
			"required", true,
			"schema", newObject("type", "string", "const", strings.Join(allowed, ", ")))))
	addHeaders(response)
	o := newObject(
		"operationId", "options"+nameOf(template(r.Path)),
		"summary", "Methods of "+template(r.Path))
	if tags := firstTags(item); tags != nil {
		o.set("tags", tags)
	}
	o.set("description", "Lists the methods of this path. It needs no token.")
	o.set("x-internal", true)
	if parameters := b.pathParameters(item); len(parameters) > 0 {
		o.set("parameters", parameters)
	}
	o.set("security", []any{})
	o.set("responses", newObject("204", response))
	return o
}

// firstTags returns the tags of the first operation that has some.
func firstTags(item *object) any {
	for _, verb := range verbs() {
		if operation, ok := item.get(verb).(*object); ok && operation.has("tags") {
			return operation.get("tags")
		}
	}
	return nil
}

// pathParameters returns those that the first operation of the path has.
func (b *builder) pathParameters(item *object) (some []any) {
	for _, verb := range verbs() {
		operation, ok := item.get(verb).(*object)
		if !ok {
			continue
		}
		all, _ := operation.get("parameters").([]any)
		for _, p := range all {
			if b.isInPath(p) {
				some = append(some, p)
			}
		}
		return some
	}
	return nil
}

func (b *builder) isInPath(parameter any) bool {
	p, ok := parameter.(*object)
	if !ok {
		return false
	}
	if ref, ok := p.get("$ref").(string); ok {
		p = b.root.child("components").child("parameters").child(path.Base(ref))
	}
	return p.get("in") == "path"
}

// nameOf makes a name of a path template: MountainName of /mountain/{name}.
func nameOf(template string) string {
	if template == "/" {
		return "Root"
	}
	var name strings.Builder
	for word := range strings.FieldsFuncSeq(template, notLetter) {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}

func notLetter(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
}
