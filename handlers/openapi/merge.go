package openapi

import "fmt"

// merge puts what the fragments describe into the base.
func merge(base Fragment, fragments []Fragment) (*object, error) {
	root, err := parse(base)
	if err != nil {
		return nil, err
	}
	for _, f := range fragments {
		part, err := parse(f)
		if err != nil {
			return nil, err
		}
		if err := add(root, part); err != nil {
			return nil, fmt.Errorf("openapi: %s: %w", f.File, err)
		}
	}
	return root, nil
}

// add adds paths, tags and components. Nothing of a fragment replaces anything.
func add(root, part *object) error {
	for _, member := range part.members {
		var err error
		switch name, _ := member.Key.(string); name {
		case "paths":
			err = addMembers(root.child("paths"), part.child("paths"))
		case "components":
			err = addComponents(root.child("components"), part.child("components"))
		case "tags":
			old, _ := root.get("tags").([]any)
			more, _ := member.Value.([]any)
			root.set("tags", append(old, more...))
		default:
			err = fmt.Errorf("%s: a fragment has paths, components and tags", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func addComponents(all, more *object) error {
	for _, kind := range more.members {
		name, _ := kind.Key.(string)
		if err := addMembers(all.child(name), more.child(name)); err != nil {
			return fmt.Errorf("components: %s: %w", name, err)
		}
	}
	return nil
}

func addMembers(all, more *object) error {
	for _, member := range more.members {
		name, _ := member.Key.(string)
		if all.has(name) {
			return fmt.Errorf("%s is described twice", name)
		}
		all.set(name, member.Value)
	}
	return nil
}
