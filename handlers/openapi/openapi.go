// Package openapi makes the OpenAPI 3.1 document of an API from what its authors write and what its code
// knows.
//
// The authors write fragments: one YAML file beside each resource, with what only they know. The code knows
// the routes, who may use them, and the catalogue of problems. Build merges both, and refuses a route that
// nobody describes as well as a description of a route that does not exist.
//
// The package imports nothing of ours.
package openapi

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// Source is what a document is made of.
type Source struct {
	Version   string // of the API
	Base      Fragment
	Fragments []Fragment
	Resources []Resource // in the order in which the document shows them
	Problems  []Problem  // the whole catalogue
	Common    Common
	Enums     map[string][]string // for schemas of the base, by name: the values that the code knows
}

// Fragment is a part of an OpenAPI document in YAML. An operation lists the codes of the problems that only
// its author knows in the member x-problems, and describes no refusals itself. The member x-refusal-headers
// names headers that each of its refusals has, besides those of every refusal.
type Fragment struct {
	File string
	YAML []byte
}

// Resource is what the router knows about one path.
type Resource struct {
	Path      string   // as Gin writes it: /mountain/:name
	Methods   []string // without HEAD and OPTIONS, which come by themselves
	Any       bool     // whether GET stands for every method, HEAD and OPTIONS included
	Protected bool     // behind the check of the access token
	Roles     []string // one of which the principal needs; none for every principal
	Allow     string   // that a personal access token needs; "" for none
	File      string   // the fragment that describes it, or should
}

// Common holds the codes of the problems that follow from the way of every request.
type Common struct {
	Every     []string // of all routes
	Protected []string // of routes behind the check of the access token
	Role      []string // of routes for a role
	Allow     []string // of routes that a personal access token must be allowed
	Body      []string // of routes that read a body
	NoRoute   []string // of paths without a resource
	NoMethod  []string // of methods that the resource does not have
}

// Problem is a kind of error response, RFC 9457.
type Problem struct {
	Code    string
	Status  int
	Title   string
	Detail  string // an example
	Meaning string
	Type    string   // the path that explains it
	Reason  string   // an example; "" when problems of this code have none
	Headers []string // that come with it, besides those of every response
}

// Document is the whole document in both forms.
type Document struct {
	JSON []byte
	YAML []byte
}

// Build merges the parts of the source.
func Build(s Source) (Document, error) {
	root, err := merge(s.Base, s.Fragments)
	if err != nil {
		return Document{}, err
	}
	b := builder{root: root, common: s.Common, problems: map[string]Problem{}}
	b.describeProblems(s.Problems)
	b.describeStrays()
	b.fillEnums(s.Enums)
	root.child("info").set("version", s.Version)
	if err := b.describeRoutes(s.Resources); err != nil {
		return Document{}, err
	}
	return encode(root)
}

func encode(root *object) (Document, error) {
	text, err := yaml.MarshalWithOptions(
		root, yaml.IndentSequence(true), yaml.UseLiteralStyleIfMultiline(true))
	if err != nil {
		return Document{}, fmt.Errorf("openapi: YAML: %w", err)
	}
	compact, err := root.MarshalJSON()
	if err != nil {
		return Document{}, fmt.Errorf("openapi: JSON: %w", err)
	}
	return Document{JSON: compact, YAML: text}, nil
}
