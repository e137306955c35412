package command

import (
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// environment is the variables of the process by name.
type environment map[string]string

// newEnvironment reads entries such as LANG=C, as os.Environ returns them.
func newEnvironment(entries []string) environment {
	env := environment{}
	for _, entry := range entries {
		name, value, _ := strings.Cut(entry, "=")
		if runtime.GOOS == "windows" { // there, names have no case
			name = strings.ToUpper(name)
		}
		env[name] = value
	}
	return env
}

func (e environment) lookup(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}

// unknownSettings returns an error for each variable that begins like a setting and is none of these: most
// likely a setting is misspelled, and its default would be used in silence.
func (e environment) unknownSettings(known []string) (errs []error) {
	for _, name := range slices.Sorted(maps.Keys(e)) {
		switch {
		case !strings.HasPrefix(name, settingPrefix), slices.Contains(known, name):
		case serviceLink.MatchString(name + "=" + e[name]):
		default:
			errs = append(errs, unknownSetting(name, known))
		}
	}
	return errs
}

// serviceLink matches the variables that Kubernetes sets in each pod for every Service of its namespace
// (enableServiceLinks). For a Service whose name is sherpa, or begins with sherpa-, they begin like settings.
// Their forms: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
var serviceLink = regexp.MustCompile(`^SHERPA(_[A-Z0-9_]+)?_(` +
	`SERVICE_HOST=|SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]+$|` +
	`PORT(_[0-9]+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://|PORT_[0-9]+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)=)`)

func unknownSetting(name string, known []string) error {
	if setting := nearest(name, known); setting != "" {
		return fmt.Errorf("%s is not a setting: did you mean %s?", name, setting)
	}
	return fmt.Errorf("%s is not a setting: sherpa --help lists all of them", name)
}

// nearest returns the known name that is most like this one, or "" when none is.
func nearest(name string, known []string) (found string) {
	name = strings.TrimPrefix(name, settingPrefix)
	least := max(2, len(name)/2) + 1
	for _, candidate := range known {
		d := distance(name, strings.TrimPrefix(candidate, settingPrefix))
		if d < least {
			found, least = candidate, d
		}
	}
	return found
}

// distance counts the bytes to insert, delete or replace to get from one text to the other (Levenshtein).
func distance(from, to string) int {
	row := make([]int, len(to)+1) // from a part of from to each part of to
	for j := range row {
		row[j] = j
	}
	for i := range len(from) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(to) {
			next := diagonal
			if from[i] != to[j] {
				next = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(to)]
}
