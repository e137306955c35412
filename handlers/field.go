package handlers

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Rule is what one member of a request body must hold. Create it with Text or Number.
type Rule struct {
	name  string
	wrong string // what it must be instead, "" when it holds
}

// Text wants a string of at least min and at most max characters. A missing or null member is nil.
func Text(name string, value *string, min, max int) Rule {
	switch {
	case value == nil:
		return Rule{name, "is required and must be a string"}
	case utf8.RuneCountInString(*value) < min || utf8.RuneCountInString(*value) > max:
		return Rule{name, fmt.Sprintf("must have %d to %d characters", min, max)}
	}
	return Rule{name, ""}
}

// Number wants a whole number from min to max. A missing or null member is nil.
func Number(name string, value *int64, min, max int64) Rule {
	switch {
	case value == nil:
		return Rule{name, "is required and must be a whole number"}
	case *value < min || *value > max:
		return Rule{name, fmt.Sprintf("must be from %d to %d", min, max)}
	}
	return Rule{name, ""}
}

// Check returns one error that names every member which breaks its rule, or nil.
func Check(rules ...Rule) error {
	var details []string
	var fields []FieldError
	for _, r := range rules {
		if r.wrong == "" {
			continue
		}
		detail := fmt.Sprintf("`%s` %s.", r.name, r.wrong)
		details = append(details, detail)
		fields = append(fields, FieldError{Detail: detail, Pointer: "#/" + r.name})
	}
	if len(fields) == 0 {
		return nil
	}
	return InvalidRequest(strings.Join(details, " "), fields...)
}
