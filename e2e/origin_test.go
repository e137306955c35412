package e2e

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
)

// foreignPage serves an empty page from an origin of its own: another port is another origin.
func foreignPage(t *testing.T) (origin string) {
	t.Helper()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!DOCTYPE html><link rel="icon" href="data:,">`))
	}))
	t.Cleanup(page.Close)
	return page.URL
}

// fetchFrom is what a script of another origin learns: answer returns the status and the body, or the error
// of the browser.
const fetchFrom = `
async function answer(path, options) {
  try {
    const response = await fetch(sherpa + path, options);
    return { status: response.status, body: response.status === 204 ? null : await response.json(),
      id: response.headers.get("X-Request-Id") };
  } catch (error) {
    return { error: error.name };
  }
}
function logIn() {
  return answer("/auth", { method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username: "sherpa", password: "everest" }) });
}
function mountain(token) {
  const headers = { Authorization: "Bearer " + token, "X-Request-Id": "from-a-page" };
  return answer("/mountain/everest", { headers });
}
`

// learned is the result of answer.
type learned struct {
	Status int
	Error  string
	ID     string
	Body   struct {
		Access   string `json:"access_token"`
		Mountain string
		Code     string
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	friend, stranger := foreignPage(t), foreignPage(t)
	p := startProcess(t, t.TempDir(), quiet, "SHERPA_CORS_ORIGINS="+friend)
	b := openTab(t)
	script := "const sherpa = 'http://" + p.address + "';" + fetchFrom
	visit := func(origin string) {
		b.do(chromedp.Navigate(origin), chromedp.Evaluate[chromedp.Void](script))
	}

	visit(friend)
	login := eval[learned](b, `logIn()`)
	if login.Status != 200 || login.Body.Access == "" {
		t.Fatalf("a friend cannot log in: %+v", login)
	}
	if got := eval[learned](b, `mountain("`+login.Body.Access+`")`); got.Status != 200 ||
		got.Body.Mountain != "everest" || got.ID != "from-a-page" {
		t.Errorf("a friend with a token: %+v", got)
	}
	if got := eval[learned](b, `mountain("a.b.c")`); got.Status != 401 || got.Body.Code != "token_invalid" {
		t.Errorf("a friend cannot read why it was refused: %+v", got)
	}
	if got := eval[learned](b, `answer("/nowhere")`); got.Status != 404 || got.Body.Code != "not_found" {
		t.Errorf("a friend at no resource: %+v", got)
	}

	visit(stranger)
	for _, call := range []string{`logIn()`, `mountain("` + login.Body.Access + `")`, `answer("/healthz")`} {
		if got := eval[learned](b, call); got.Error != "TypeError" || got.Status != 0 {
			t.Errorf("a stranger at %s: %+v", call, got)
		}
	}
}
