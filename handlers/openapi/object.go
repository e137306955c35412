package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"
)

// object is a mapping of YAML, or an object of JSON, that keeps the order of its members: people read the
// document.
type object struct{ members yaml.MapSlice }

// newObject takes names and values in turn.
func newObject(pairs ...any) *object {
	o := &object{}
	for pair := range slices.Chunk(pairs, 2) {
		o.set(fmt.Sprint(pair[0]), pair[1])
	}
	return o
}

func (o *object) index(name string) int {
	for i, member := range o.members {
		if member.Key == name {
			return i
		}
	}
	return -1
}

func (o *object) has(name string) bool { return o.index(name) >= 0 }

func (o *object) get(name string) any {
	if i := o.index(name); i >= 0 {
		return o.members[i].Value
	}
	return nil
}

// set replaces the member, or adds it behind the others.
func (o *object) set(name string, value any) {
	if i := o.index(name); i >= 0 {
		o.members[i].Value = value
		return
	}
	o.members = append(o.members, yaml.MapItem{Key: name, Value: value})
}

// take returns the member and removes it.
func (o *object) take(name string) any {
	i := o.index(name)
	if i < 0 {
		return nil
	}
	value := o.members[i].Value
	o.members = append(o.members[:i:i], o.members[i+1:]...)
	return value
}

// child returns the member, an object; a new one when it is none.
func (o *object) child(name string) *object {
	if found, ok := o.get(name).(*object); ok {
		return found
	}
	created := newObject()
	o.set(name, created)
	return created
}

// MarshalYAML hands the members to the YAML encoder.
func (o *object) MarshalYAML() (any, error) { return o.members, nil }

// MarshalJSON writes the members in their order.
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	err := writeJSON(&b, o)
	return b.Bytes(), err
}

func writeJSON(b *bytes.Buffer, value any) error {
	switch v := value.(type) {
	case *object:
		return writeList(b, "{}", len(v.members), func(i int) error {
			fmt.Fprintf(b, "%q:", v.members[i].Key) // a plain name, see wrap
			return writeJSON(b, v.members[i].Value)
		})
	case []any:
		return writeList(b, "[]", len(v), func(i int) error { return writeJSON(b, v[i]) })
	}
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	b.Truncate(len(bytes.TrimRight(b.Bytes(), "\n")))
	return err
}

func writeList(b *bytes.Buffer, brackets string, n int, write func(i int) error) error {
	b.WriteByte(brackets[0])
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := write(i); err != nil {
			return err
		}
	}
	b.WriteByte(brackets[1])
	return nil
}

// parse reads a mapping. Every name becomes a string: 200 in YAML is a number.
func parse(f Fragment) (*object, error) {
	var value any
	if err := yaml.UnmarshalWithOptions(f.YAML, &value, yaml.UseOrderedMap()); err != nil {
		return nil, fmt.Errorf("openapi: %s: %w", f.File, err)
	}
	root, ok := wrap(value).(*object)
	if !ok {
		return nil, fmt.Errorf("openapi: %s: the file must hold a mapping", f.File)
	}
	return root, nil
}

func wrap(value any) any {
	switch v := value.(type) {
	case yaml.MapSlice:
		o := newObject()
		for _, member := range v {
			o.set(fmt.Sprint(member.Key), wrap(member.Value))
		}
		return o
	case []any:
		list := make([]any, 0, len(v))
		for _, item := range v {
			list = append(list, wrap(item))
		}
		return list
	}
	return value
}
