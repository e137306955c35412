package command

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// origins are what the header Origin of an allowed request may be.
type origins []string

func parseOrigins(text string) (all origins, err error) {
	for part := range strings.SplitSeq(text, ",") {
		origin := strings.TrimSpace(part)
		if err := checkOrigin(origin); err != nil {
			return nil, fmt.Errorf("%q is no origin: %w", origin, err)
		}
		all = append(all, origin)
	}
	return all, nil
}

// checkOrigin takes what a browser sends, character by character (RFC 6454, section 6.2): another form would
// never match, and a wildcard or null would match strangers.
func checkOrigin(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "null":
		return errors.New("any page can have the origin null")
	case strings.Contains(text, "*"):
		return errors.New("name each origin; there are no wildcards")
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("it must be http:// or https:// with a host, such as https://app.example.org")
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#"):
		return errors.New("nothing may stand in front of the host, or behind the host and its port")
	case text != strings.ToLower(text):
		return errors.New("browsers send it in lower case")
	case strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }):
		return errors.New("browsers send the ASCII form of the host, which begins with xn--")
	}
	return checkPort(u)
}

func checkPort(u *url.URL) error {
	usual := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	number, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.Port() == "" && !strings.HasSuffix(u.Host, ":"):
		return nil
	case err != nil || number == 0 || strconv.FormatUint(number, 10) != u.Port():
		return errors.New("its port is no number from 1 to 65535")
	case u.Port() == usual:
		return fmt.Errorf("browsers leave out the usual port; write it without :%s", usual)
	}
	return nil
}
