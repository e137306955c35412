package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a step may take on a machine that is busy with other tests.
const patience = time.Minute

// tab is a tab of a headless Chromium. It remembers what the page asked for and what it complained about.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	requests   []string // URLs
	complaints []string // of the console: errors and warnings, and violations of the policy
}

func openTab(t *testing.T) *tab {
	t.Helper()
	skipWithout(t, "chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"),
		// A name would be a request to another host; the browser itself looks some up.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's sandbox does not work for root
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	b := &tab{t: t, ctx: ctx}
	b.must(chromedp.Do(ctx))
	b.must(chromedp.Listen(ctx, b.listen))
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	return b
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// call sends a command of the protocol whose result nobody needs.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, command, params)
	b.must(err)
}

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *log.EventEntryAdded:
		b.complaints = append(b.complaints, fmt.Sprint(e.Entry.Level, " ", e.Entry.Text, " ", e.Entry.URL))
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprint("console.", e.Type, " ", e.Args))
	case *runtime.EventExceptionThrown:
		d := e.ExceptionDetails
		b.complaints = append(b.complaints, fmt.Sprint(d.Text, " ", d.Exception))
	}
}

// do runs the steps one after the other, with a limit: an element that never appears is waited for.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for i, step := range steps {
		if err := chromedp.Do(ctx, step); err != nil {
			b.fail(fmt.Errorf("step %d: %w", i+1, err))
		}
	}
}

// fail ends the test, and leaves a picture of the page.
func (b *tab) fail(err error) {
	b.t.Helper()
	picture := filepath.Join(os.TempDir(), b.t.Name()+".png")
	b.screenshot(picture)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Fatalf("%v\nthe page: %s\nthe console: %q", err, picture, b.complaints)
}

// eval returns the value of an expression, awaited.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// until waits for a condition of the page.
func (b *tab) until(condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	wait := chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(0))
	if _, err := chromedp.Run(ctx, wait); err != nil {
		b.fail(fmt.Errorf("never true: %s: %w", condition, err))
	}
}

// look sets the size of the window and the colours that its user prefers.
func (b *tab) look(width, height int64, scheme string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	b.do(chromedp.EmulateViewport(width, height))
}

func (b *tab) screenshot(file string) {
	b.t.Helper()
	image, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	b.must(err)
	b.must(os.WriteFile(file, image, 0o600))
}

// complained counts the violations of the policy.
func (b *tab) complained() (violations int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, complaint := range b.complaints {
		if strings.Contains(complaint, "Content Security Policy") {
			violations++
		}
	}
	return violations
}

// wantQuiet fails when a request left the origin, or when the console has anything but the expected.
func (b *tab) wantQuiet(origin string, expected ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, url := range b.requests {
		if !strings.HasPrefix(url, origin+"/") && !strings.HasPrefix(url, "data:") {
			b.t.Errorf("the page asked for %s", url)
		}
	}
	for _, complaint := range b.complaints {
		known := func(part string) bool { return strings.Contains(complaint, part) }
		if !slices.ContainsFunc(expected, known) {
			b.t.Error(complaint)
		}
	}
}
