package handlers

import (
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	pathDocs     = "/docs"
	docsFragment = "docs.yaml" // what describes the routes of this file
)

// docsSources is what the page may load besides the style of every page. Swagger UI needs no inline script,
// no inline style and no eval, so none may run. Its style sheet has its icons as data URLs. The page can ask
// no other host, whatever a document or an answer says.
const docsSources = " 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'"

// docsFolder holds our own files, and those that docs/update took from npm.
//
//go:embed docs/*.css docs/*.js docs/*.svg docs/swagger-ui
var docsFolder embed.FS

// Docs is the page that shows the OpenAPI document and sends requests.
type Docs struct{ page htmlPage }

func newDocs() (Docs, error) {
	page, err := newHTMLPage("docs.html", docsSources)
	return Docs{page: page}, err
}

// Get answers with the page. Programs read the document itself.
func (d Docs) Get(c *gin.Context) error { return d.page.render(c, nil) }

// DocsFiles are what the page consists of.
type DocsFiles struct {
	all func() (map[string]docsFile, error)
}

// docsFile is one of them, by the name that it has in the URL.
type docsFile struct {
	path       string // in the folder
	mediaType  string
	compressed bool
	tag        string // its entity tag
}

// newDocsFiles leaves the reading to the first request: the start does not pay for it.
func newDocsFiles() DocsFiles { return DocsFiles{all: sync.OnceValues(readDocsFolder)} }

func readDocsFolder() (map[string]docsFile, error) {
	all := map[string]docsFile{}
	err := fs.WalkDir(docsFolder, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, compressed := strings.CutSuffix(path.Base(file), ".gz")
		tag, err := tagOf(file)
		all[name] = docsFile{path: file, mediaType: mediaTypeOf(name), compressed: compressed, tag: tag}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("files of /docs: %w", err)
	}
	return all, nil
}

func tagOf(file string) (string, error) {
	content, err := docsFolder.Open(file)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, content)
	return `"` + hex.EncodeToString(sum.Sum(nil)[:16]) + `"`, errors.Join(err, content.Close())
}

// mediaTypeOf does not ask the system, whose list of types may be any.
func mediaTypeOf(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return "text/plain; charset=utf-8" // licences
	}
}

// Get answers with the file. A browser keeps it and asks by its tag whether it has changed.
func (d DocsFiles) Get(c *gin.Context) error {
	all, err := d.all()
	if err != nil {
		return err
	}
	file, found := all[c.Param("file")]
	if !found {
		return NotFound("The page /docs has no such file.")
	}
	content, err := docsFolder.Open(file.path)
	if err != nil {
		return fmt.Errorf("file of /docs: %w", err)
	}
	c.Header("Content-Type", file.mediaType)
	c.Header("Cache-Control", "no-cache")
	return errors.Join(file.write(c, content), content.Close())
}

func (f docsFile) write(c *gin.Context, content fs.File) error {
	if f.compressed {
		addVary(c, "Accept-Encoding")
		if !takesGzip(c.GetHeader("Accept-Encoding")) {
			return writePlain(c, content)
		}
		c.Header("Content-Encoding", "gzip")
	}
	c.Header("Etag", f.tag)
	// Nobody needs parts of these small files, and errors about parts would be no problem documents.
	c.Request.Header.Del("Range")
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, content.(io.ReadSeeker)) // as embed promises
	return nil
}

// writePlain decompresses the content for a client that asks for that. Browsers never do.
func writePlain(c *gin.Context, content io.Reader) error {
	plain, err := gzip.NewReader(content)
	if err != nil {
		return fmt.Errorf("file of /docs: %w", err)
	}
	if _, err := io.Copy(c.Writer, plain); err != nil { //nolint:gosec // G110: our own file
		return fmt.Errorf("file of /docs: %w", err)
	}
	return nil
}

// takesGzip reads the header Accept-Encoding (RFC 9110, section 12.5.3).
func takesGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		coding, parameters, err := mime.ParseMediaType(part)
		if err == nil && coding == "gzip" {
			return parameters["q"] == "" || strings.Trim(parameters["q"], "0.") != ""
		}
	}
	return false
}
