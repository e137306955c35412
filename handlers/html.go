package handlers

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

//go:embed *.html page.css
var htmlFiles embed.FS

// htmlPage shows a value to people, in the frame of page.html. Programs get the value in JSON.
type htmlPage struct {
	template *template.Template
	style    template.CSS
	policy   string // the Content-Security-Policy: nothing but this style, no script, no frame
}

// newHTMLPage reads the file that defines the templates "title" and "main", and perhaps "head". A page that
// loads more than its style says so in sources: the rest of the directive style-src, and further ones.
func newHTMLPage(file string, sources ...string) (htmlPage, error) {
	style, err := htmlFiles.ReadFile("page.css")
	if err != nil {
		return htmlPage{}, fmt.Errorf("style of pages: %w", err)
	}
	functions := template.FuncMap{"prose": prose}
	parsed, err := template.New("page.html").Funcs(functions).ParseFS(htmlFiles, "page.html", file)
	if err != nil {
		return htmlPage{}, fmt.Errorf("page %s: %w", file, err)
	}
	sum := sha256.Sum256(style)
	return htmlPage{
		template: parsed,
		style:    template.CSS(style), //nolint:gosec // G203: our own file
		policy: fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'%s; base-uri 'none'; "+
			"form-action 'none'; frame-ancestors 'none'",
			base64.StdEncoding.EncodeToString(sum[:]), strings.Join(sources, "; ")),
	}, nil
}

// write answers with the value, or for a browser with the page that shows it.
func (p htmlPage) write(c *gin.Context, value any) error {
	addVary(c, "Accept")
	if !wantsHTML(c.GetHeader("Accept")) {
		c.PureJSON(http.StatusOK, value)
		return nil
	}
	return p.render(c, value)
}

// addVary names a header of the request that the answer depends on. Others may have named theirs before.
func addVary(c *gin.Context, name string) {
	if others := c.Writer.Header().Get("Vary"); others != "" {
		name = others + ", " + name
	}
	c.Header("Vary", name)
}

// render answers with the page.
func (p htmlPage) render(c *gin.Context, value any) error {
	var page bytes.Buffer
	err := p.template.Execute(&page, struct {
		Style template.CSS
		Value any
	}{p.style, value})
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	c.Header("Content-Security-Policy", p.policy)
	c.Data(http.StatusOK, "text/html; charset=utf-8", page.Bytes())
	return nil
}

// wantsHTML reports whether a browser asks. A program that takes JSON as well gets JSON.
func wantsHTML(accept string) bool {
	return strings.Contains(accept, "text/html") && !strings.Contains(accept, "json")
}

// prose escapes text for HTML and shows what stands between backticks as code.
func prose(text string) template.HTML {
	parts := strings.Split(template.HTMLEscapeString(text), "`")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "<code>" + parts[i] + "</code>"
	}
	return template.HTML(strings.Join(parts, "")) //nolint:gosec // G203: escaped above
}
