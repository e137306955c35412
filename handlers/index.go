package handlers

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/gin-gonic/gin"
)

// Index tells strangers where they are and what to ask next, programs in JSON and people in HTML.
type Index struct {
	version string
	links   []indexLink
	docs    bool // whether there is the page /docs
	page    htmlPage
}

type indexResponse struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	What    string      `json:"what"`
	Links   []indexLink `json:"links"`
	Docs    string      `json:"docs"`

	TryIt bool   `json:"-"` // whether there is the page /docs
	URL   string `json:"-"` // of this server, for the commands on the page
}

type indexLink struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	What   string `json:"what"`
}

// indexLinks are the routes that a stranger wants next.
func indexLinks(docs, registration bool) []indexLink {
	links := []indexLink{
		{"POST", "/auth", "Log in with `username` and `password`; returns two tokens."},
		{"GET", "/mountain/<name>", "A protected resource. Send `Authorization: Bearer <access token>`."},
		{"GET", "/auth/me", "Who you are."},
		{"POST", "/auth/refresh", "The next two tokens for your refresh token."},
		{"GET", "/auth/sessions", "Your sessions."},
		{"GET", "/auth/events", "What happened to your account: logins, failed ones too, and changes."},
		{"POST", "/auth/logout", "Ends your session at once."},
		{"GET", "/problems/<code>", "What an error means. The `type` of each error is such a path."},
		{"GET", pathOpenAPI + ".json", "The OpenAPI document: every request and every answer. Also in YAML."},
		{"GET", pathPublicKeys, "The public keys, with which others verify access tokens."},
		{"GET", pathHealth, "Whether the server runs."},
		{"GET", pathReady, "Whether its database answers."},
	}
	if registration {
		register := indexLink{"POST", pathRegister, "Create a user, with `username` and `password`."}
		links = slices.Insert(links, 0, register)
	}
	if docs {
		page := indexLink{"GET", pathDocs, "This API in a browser: read it, and try it."}
		links = slices.Insert(links, 0, page)
	}
	return links
}

func newIndex(config Config) (Index, error) {
	page, err := newHTMLPage("index.html")
	links := indexLinks(config.Docs, config.Registration)
	return Index{version: config.Version, links: links, docs: config.Docs, page: page}, err
}

// Get answers with the index.
func (i Index) Get(c *gin.Context) error {
	return i.page.write(c, indexResponse{
		Name: "Sherpa", Version: i.version,
		What:  "Sherpa logs you in and protects this API with JSON Web Tokens.",
		Links: i.links,
		Docs:  "README.md and docs/ in Sherpa's repository",
		TryIt: i.docs,
		URL:   ownURL(c.Request.Host),
	})
}

// ownURL returns what a browser on the same machine has asked, or else an example. It makes the URL from an
// address and a number: people copy it into a shell, and the Host header is whatever its sender likes.
func ownURL(host string) string {
	const example = "https://sherpa.example"
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return example
	}
	if ip, err := netip.ParseAddr(name); err == nil && ip.IsLoopback() {
		name = ip.WithZone("").String()
	} else if name != "localhost" {
		return example
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return example
	}
	return "http://" + net.JoinHostPort(name, strconv.FormatUint(number, 10))
}
