package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The operations that a stranger uses first, as elements of the page.
const (
	opLogIn       = "#operations-Log_in-logIn"
	opRefresh     = "#operations-Log_in-refreshTokens"
	opLogOut      = "#operations-Log_in-logOut"
	opSessions    = "#operations-Your_account-listSessions"
	opEndSession  = "#operations-Your_account-endSession"
	opGetMountain = "#operations-Resources-getMountain"
)

// TestReference is the way of a stranger who has nothing but /docs: no step copies or types a token or an id.
func TestReference(t *testing.T) {
	t.Parallel()
	p := startProcess(t, t.TempDir(), quiet)
	other := want(t, 200)(p.ask("POST", "/auth", `{"username":"sherpa","password":"everest"}`, ""))
	r := openReference(t, p)
	r.wantState("Not logged in.")
	r.wantAnswer(opGetMountain, "401", "token_missing")

	r.wantAnswer(opLogIn, "200", "access_token")
	r.wantState("Logged in.")
	r.wantAnswer(opGetMountain, "200", `"mountain": "everest"`)

	first := r.body(opRefresh)
	r.wantAnswer(opRefresh, "200", "access_token")
	if next := r.body(opRefresh); first == next || !strings.Contains(next, "refresh_token") {
		t.Errorf("after a refresh, the body of the next one is %s", next)
	}
	r.wantAnswer(opGetMountain, "200", `"mountain": "everest"`)

	r.wantAnswer(opSessions, "200", `"current": true`)
	r.wantAnswer(opEndSession, "204", "") // the other session
	if again, err := p.ask("GET", "/auth/me", "", other.Access); again.Code != "session_ended" {
		t.Errorf("the other session: %d %s %v", again.status, again.Code, err)
	}
	r.wantState("Logged in.")
	r.wantAnswer(opSessions, "200", `"ended_reason": "ended_by_user"`)
	r.wantAnswer(opEndSession, "204", "") // the only one that is left is its own
	r.wantState("Not logged in.")
	r.wantAnswer(opGetMountain, "401", "token_missing")

	r.wantAnswer(opLogIn, "200", "access_token")
	r.wantAnswer(opLogOut, "204", "")
	r.wantState("Not logged in.")
	r.wantQuiet("http://"+p.address, "status of 401")
}

// TestReferenceGuide follows the links of the first steps: each opens its operation, in sight.
func TestReferenceGuide(t *testing.T) {
	t.Parallel()
	p := startProcess(t, t.TempDir(), quiet)
	r := openReference(t, p)
	for i, operation := range []string{
		opLogIn, opGetMountain, opRefresh, opSessions, opEndSession, opLogOut,
	} {
		link := fmt.Sprintf(`[...document.querySelectorAll(".start a")][%d]`, i)
		r.do(chromedp.Evaluate[chromedp.Void](link + ".click()"))
		r.until(fmt.Sprintf(`(operation => {
			const { top } = operation.getBoundingClientRect();
			return operation.classList.contains("is-open") && Math.abs(top) < innerHeight / 2 &&
				location.hash === %s.hash;
		})(document.querySelector(%q))`, link, operation))
	}
	r.wantQuiet("http://" + p.address)
}

// TestReferencePolicy does what text that gets into the page might: the browser refuses it, and says so where
// the other tests look.
func TestReferencePolicy(t *testing.T) {
	t.Parallel()
	p := startProcess(t, t.TempDir(), quiet)
	r := openReference(t, p)
	r.wantQuiet("http://" + p.address)
	for _, attempt := range []struct{ name, script string }{
		{"an inline script", `document.body.append(Object.assign(document.createElement("script"),
			{ textContent: "window.broken = true" })); window.broken === undefined`},
		{"an inline handler", `document.body.insertAdjacentHTML("beforeend",
			"<img src='data:,' onerror='window.broken = true'>");
			new Promise((done) => setTimeout(() => done(window.broken === undefined), 200))`},
		{"an inline style", `document.body.insertAdjacentHTML("beforeend",
			"<p id='styled' style='position: fixed'>");
			getComputedStyle(document.getElementById("styled")).position !== "fixed"`},
		{"eval in a script of the page", `new Promise((done) => {
			addEventListener("securitypolicyviolation", (event) => done(event.blockedURI === "eval"));
			setTimeout("window.broken = true", 0) })`},
		{"another host", `fetch("http://127.0.0.2:9/").then(() => false, () => true)`},
	} {
		before := r.complained()
		if !eval[bool](r.tab, attempt.script) {
			t.Errorf("%s works", attempt.name)
		}
		eventually(t, "a complaint about "+attempt.name, func() bool { return r.complained() > before })
	}
}

// reference is the page /docs in a tab.
type reference struct{ *tab }

func openReference(t *testing.T, p *process) reference {
	t.Helper()
	r := reference{openTab(t)}
	r.load(p)
	return r
}

func (r reference) load(p *process) {
	r.t.Helper()
	start := time.Now()
	r.do(chromedp.Navigate("http://" + p.address + "/docs"))
	r.until(`document.querySelector(".opblock") !== null`)
	r.t.Logf("/docs: %v from the navigation to the operations", time.Since(start).Round(time.Millisecond))
}

func (r reference) wantState(text string) {
	r.t.Helper()
	r.until(fmt.Sprintf(`document.getElementById("state").textContent.startsWith(%q)`, text))
}

// open opens the operation if it is closed.
func (r reference) open(operation string) {
	r.t.Helper()
	if !eval[bool](r.tab, `document.querySelector("`+operation+`").classList.contains("is-open")`) {
		r.click(operation + " .opblock-summary-control")
	}
	r.do(chromedp.WaitVisible(chromedp.CSS(operation + " .btn.execute")))
}

// body is the body of the request that the operation would send.
func (r reference) body(operation string) string {
	r.t.Helper()
	r.open(operation)
	return eval[string](r.tab, `document.querySelector("`+operation+` .body-param textarea").value`)
}

// click does not use the mouse, which would miss what still moves: operations open with an animation.
func (r reference) click(element string) {
	r.t.Helper()
	r.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("` + element + `").click()`))
}

// execute presses Execute, and reports whether there is an answer. Just after its opening, an operation may
// have an empty body for a moment, and then does nothing.
func (r reference) execute(operation string) bool {
	r.t.Helper()
	return eval[bool](r.tab, `(async (operation) => {
		operation.querySelector(".btn.execute").click();
		const answered = () => operation.querySelector(".live-responses-table tbody") !== null;
		for (let idle = 0; !answered() && idle < 20; ) {
			await new Promise((next) => setTimeout(next, 50));
			idle = operation.querySelector(".loading-container") ? 0 : idle + 1;
		}
		return answered();
	})(document.querySelector("`+operation+`"))`)
}

// wantAnswer sends the request of the operation as it stands on the page.
func (r reference) wantAnswer(operation, status, part string) {
	r.t.Helper()
	r.open(operation)
	if eval[bool](r.tab, `document.querySelector("`+operation+` .btn-clear") !== null`) {
		r.click(operation + " .btn-clear")
	}
	live := operation + " .live-responses-table tbody"
	eventually(r.t, operation+" has an answer", func() bool { return r.execute(operation) })
	r.do(chromedp.WaitVisible(chromedp.CSS(live)))
	text := eval[string](r.tab, `document.querySelector("`+live+`").textContent`)
	if !strings.HasPrefix(text, status) || !strings.Contains(text, part) {
		r.t.Fatalf("%s: %s, want %s with %s", operation, text, status, part)
	}
}

// TestReferenceLooks writes screenshots when SHERPA_SCREENSHOTS names a folder: somebody has to look at them.
func TestReferenceLooks(t *testing.T) {
	folder := os.Getenv("SHERPA_SCREENSHOTS")
	if folder == "" {
		t.Skip("SHERPA_SCREENSHOTS names no folder")
	}
	p := startProcess(t, t.TempDir(), quiet)
	r := openReference(t, p)
	for _, look := range []struct {
		name          string
		width, height int64
		scheme        string
	}{
		{"wide-light", 1280, 900, "light"}, {"wide-dark", 1280, 900, "dark"},
		{"narrow-light", 390, 844, "light"}, {"narrow-dark", 390, 844, "dark"},
	} {
		shot := func(part string) { r.screenshot(filepath.Join(folder, look.name+"-"+part+".png")) }
		r.look(look.width, look.height, look.scheme)
		r.load(p)
		shot("1-start")
		r.wantAnswer(opLogIn, "200", "access_token")
		shot("2-login")
		r.scrollTo(opLogIn)
		shot("3-login")
		r.wantAnswer(opGetMountain, "200", "everest")
		r.scrollTo(opGetMountain)
		shot("4-mountain")
		if wide := eval[int64](r.tab, `document.documentElement.scrollWidth`); wide > look.width {
			t.Errorf("%s: the page is %d pixels wide", look.name, wide)
		}
	}
}

func (r reference) scrollTo(operation string) {
	r.t.Helper()
	r.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("` + operation + `").scrollIntoView()`))
}
