package openapi

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// builder completes the merged fragments.
type builder struct {
	root     *object
	common   Common
	problems map[string]Problem
	codes    []string // in the order of the catalogue
}

// describeRoutes replaces the paths by those of the resources, in their order and completed. Its error names
// every difference between the two.
func (b *builder) describeRoutes(resources []Resource) error {
	written := b.root.child("paths")
	b.root.set("paths", newObject())
	var wrong []error
	for _, r := range resources {
		path := template(r.Path)
		item, _ := written.take(path).(*object)
		if item == nil {
			item = newObject()
		}
		wrong = append(wrong, compare(r, item)...)
		if err := b.complete(r, item); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", path, err))
		}
		b.root.child("paths").set(path, item)
	}
	for _, left := range written.members {
		wrong = append(wrong, fmt.Errorf("%s is described, but no route is registered there", left.Key))
	}
	return errors.Join(wrong...)
}

var parameter = regexp.MustCompile(`[:*]([^/]+)`)

// template writes a path as OpenAPI does: /mountain/{name}.
func template(path string) string { return parameter.ReplaceAllString(path, "{$1}") }

// verbs are the members of a path item that are operations.
func verbs() []string {
	return []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}
}

// compare finds methods that are registered and not described, or the other way round.
func compare(r Resource, item *object) (wrong []error) {
	for _, method := range r.Methods {
		if !item.has(strings.ToLower(method)) {
			wrong = append(wrong, &UndescribedError{Resource: r, Method: method})
		}
	}
	for _, verb := range verbs() {
		method := strings.ToUpper(verb)
		if item.has(verb) && !slices.Contains(r.Methods, method) {
			err := fmt.Errorf("%s %s is described, but not registered", method, template(r.Path))
			wrong = append(wrong, err)
		}
	}
	return wrong
}

// complete adds what the code knows to the operations of a path.
func (b *builder) complete(r Resource, item *object) error {
	for _, method := range r.Methods {
		operation, ok := item.get(strings.ToLower(method)).(*object)
		if !ok {
			continue // reported by compare
		}
		if err := b.completeOperation(r, operation); err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(method), err)
		}
	}
	if get, ok := item.get("get").(*object); ok && slices.Contains(r.Methods, "GET") {
		item.set("head", head(get))
		if r.Any {
			repeat(item, get)
			return nil
		}
	}
	item.set("options", b.options(r, item))
	return nil
}
