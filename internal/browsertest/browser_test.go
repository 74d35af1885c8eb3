package browsertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/sealwright/sealwright/internal/testlevel"
)

var pictures = flag.String("pictures", "", "write the pictures of the pages to this `directory`")

// A browser is started once for all tests. Its profile is a true one, on disk.
var browser struct {
	once    sync.Once
	ctx     context.Context
	close   context.CancelFunc
	profile string
	why     string // why there is none
	axe     string
	axeWhy  string
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if browser.close != nil {
		browser.close()
		os.RemoveAll(browser.profile)
	}
	os.Exit(code)
}

// started returns the browser's context.
func started(t *testing.T) context.Context {
	t.Helper()
	testlevel.NeedsWhole(t, "starts a browser")
	browser.once.Do(func() {
		path := ""
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if p, err := exec.LookPath(name); err == nil {
				path = p
				break
			}
		}
		if path == "" {
			browser.why = "there is no chromium here (Debian: apt-get install chromium)"
			return
		}
		var err error
		if browser.profile, err = os.MkdirTemp("", "browsertest"); err != nil {
			browser.why = err.Error()
			return
		}
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.UserDataDir(browser.profile), chromedp.Flag("lang", "en-US"),
			chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
			chromedp.Flag("disable-gpu", true), chromedp.WSURLReadTimeout(time.Minute))
		if os.Geteuid() == 0 {
			options = append(options, chromedp.NoSandbox)
		}
		allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, closeTab := chromedp.NewContext(allocator)
		if err := chromedp.Run(ctx); err != nil {
			browser.why = "chromium does not start: " + err.Error()
			closeTab()
			cancel()
			return
		}
		browser.ctx, browser.close = ctx, func() {
			bounded, stop := context.WithTimeout(ctx, 20*time.Second)
			defer stop()
			_ = chromedp.Cancel(bounded) // closes it, so that it writes what it has
			cancel()
		}
		browser.axe, browser.axeWhy = axeCore()
	})
	if browser.why != "" {
		t.Skip("skipped, so nothing shows the page in a browser: " + browser.why)
	}
	return browser.ctx
}

// axe-core as it was tried, from npm.
const (
	axeVersion = "4.14.1"
	axeDigest  = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
)

// axeCore returns the script of axe-core, or why there is none.
func axeCore() (script, why string) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err.Error()
	}
	dir := filepath.Join(cache, "sealwright-axe-core-"+axeVersion)
	file := filepath.Join(dir, "package", "axe.min.js")
	b, err := os.ReadFile(file)
	if err != nil {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err.Error()
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		fetch := exec.CommandContext(ctx, "npm", "pack", "--silent", "axe-core@"+axeVersion)
		fetch.Dir = dir
		if out, err := fetch.CombinedOutput(); err != nil {
			return "", fmt.Sprintf("npm does not bring axe-core: %v %.200s", err, out)
		}
		unpack := exec.CommandContext(ctx, "tar", "xzf", "axe-core-"+axeVersion+".tgz", "package/axe.min.js")
		unpack.Dir = dir
		if out, err := unpack.CombinedOutput(); err != nil {
			return "", fmt.Sprintf("axe-core cannot be unpacked: %v %.200s", err, out)
		}
		if b, err = os.ReadFile(file); err != nil {
			return "", err.Error()
		}
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != axeDigest {
		return "", file + " is not the axe-core that was tried"
	}
	return string(b), ""
}

// A tab is one person's window.
type tab struct {
	t    *testing.T
	s    *site
	ctx  context.Context
	lang string

	mu       sync.Mutex
	problems []string // what the console says
	urls     []string // of every request
}

type tabOption func(*tab) []chromedp.Action

// inJapanese is a browser whose user reads Japanese.
func inJapanese(tb *tab) []chromedp.Action {
	tb.lang = "ja"
	return []chromedp.Action{network.SetExtraHTTPHeaders(network.Headers{"Accept-Language": "ja,en;q=0.5"})}
}

func withoutScript(*tab) []chromedp.Action {
	return []chromedp.Action{emulation.SetScriptExecutionDisabled(true)}
}

// phone is a narrow window, which a touch works.
func phone(*tab) []chromedp.Action {
	return []chromedp.Action{emulation.SetDeviceMetricsOverride(390, 844, 1, true), emulation.SetTouchEmulationEnabled(true)}
}

// before has a script run before the page's own.
func before(script string) tabOption {
	return func(*tab) []chromedp.Action {
		return []chromedp.Action{chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := page.AddScriptToEvaluateOnNewDocument(script).Do(ctx)
			return err
		})}
	}
}

// open opens a window of the site, in the profile of a person of its own.
func (s *site) open(t *testing.T, options ...tabOption) *tab { return s.window(t, true, options...) }

func (s *site) window(t *testing.T, alone bool, options ...tabOption) *tab {
	t.Helper()
	parent := started(t)
	how := target.CreateTarget("about:blank").WithNewWindow(true)
	as := cdp.WithExecutor(parent, chromedp.FromContext(parent).Browser)
	if alone {
		profile, err := target.CreateBrowserContext().Do(as)
		if err != nil {
			t.Fatal(err)
		}
		how = how.WithBrowserContextID(profile)
	}
	id, err := how.Do(as)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithTargetID(id))
	ctx, stop := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(func() { stop(); cancel() })
	tb := &tab{t: t, s: s, ctx: ctx, lang: "en"}
	chromedp.ListenTarget(ctx, func(event any) {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			tb.problems = append(tb.problems, fmt.Sprintf("console.%s", e.Type))
		case *runtime.EventExceptionThrown:
			tb.problems = append(tb.problems, e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			tb.problems = append(tb.problems, string(e.Entry.Source)+": "+e.Entry.Text+" "+e.Entry.URL)
		case *network.EventRequestWillBeSent:
			tb.urls = append(tb.urls, e.Request.URL+" "+fmt.Sprint(e.Request.Headers))
		}
	})
	actions := []chromedp.Action{log.Enable(), network.Enable(), emulation.SetDeviceMetricsOverride(1100, 900, 1, false)}
	for _, o := range options {
		actions = append(actions, o(tb)...)
	}
	tb.run(actions...)
	return tb
}

func (tb *tab) run(actions ...chromedp.Action) {
	tb.t.Helper()
	if err := chromedp.Run(tb.ctx, actions...); err != nil {
		tb.t.Fatalf("browser: %v\nthe page: %.1500s", err, tb.peek())
	}
}

// peek is what the window shows, for failures.
func (tb *tab) peek() (text string) {
	ctx, cancel := context.WithTimeout(tb.ctx, 5*time.Second)
	defer cancel()
	_ = chromedp.Run(ctx, chromedp.Evaluate("location.href + ' ' + document.body.innerText", &text))
	return text
}

func (tb *tab) goTo(path string) {
	tb.t.Helper()
	tb.run(chromedp.Navigate(tb.s.url + path))
	tb.waits("main")
}

// eval evaluates an expression into a value: on the next page, where the one that is
// there reloads itself meanwhile.
func eval[T any](tb *tab, expression string) (out T) {
	tb.t.Helper()
	err := chromedp.Run(tb.ctx, chromedp.Evaluate(expression, &out))
	for err != nil && strings.Contains(err.Error(), "Inspected target navigated") {
		err = chromedp.Run(tb.ctx, chromedp.Evaluate(expression, &out))
	}
	if err != nil {
		tb.t.Fatalf("browser: %v\nthe page: %.1500s", err, tb.peek())
	}
	return out
}

// text is what the page says.
func (tb *tab) text() string { tb.t.Helper(); return eval[string](tb, "document.body.innerText") }

// sees waits until the page says that.
func (tb *tab) sees(words string) {
	tb.t.Helper()
	for range 200 {
		if strings.Contains(tb.peek(), words) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	tb.t.Fatalf("the page does not say %q: %.2000s", words, tb.peek())
}

// types types into a field, key by key.
func (tb *tab) types(selector, text string) {
	tb.t.Helper()
	tb.empty(selector)
	tb.run(chromedp.KeyEvent(text))
}

// paste puts a text in at once, as from the clipboard.
func (tb *tab) paste(selector, text string) {
	tb.t.Helper()
	tb.empty(selector)
	tb.run(input.InsertText(text))
}

// empty waits for a field, and has it empty and the focus on it.
func (tb *tab) empty(selector string) {
	tb.t.Helper()
	tb.waits(selector)
	eval[bool](tb, fmt.Sprintf("(() => { const e = document.querySelector(%q); e.focus(); e.value = ''; return true; })()", selector))
}

// waits waits until something is seen.
func (tb *tab) waits(selector string) {
	tb.t.Helper()
	for range 200 {
		if eval[bool](tb, fmt.Sprintf("(() => { const e = document.querySelector(%q); return e !== null && e.offsetHeight > 0; })()", selector)) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	tb.t.Fatalf("the page has no %q: %.2000s", selector, tb.peek())
}

// loaded waits until the page has its style: on a busy machine its words are there
// before.
func (tb *tab) loaded() {
	tb.t.Helper()
	for range 200 {
		if eval[bool](tb, "document.readyState === 'complete'") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	tb.t.Fatalf("the page is not loaded: %.2000s", tb.peek())
}

// clicks presses the pointer where something is.
func (tb *tab) clicks(selector string) {
	tb.t.Helper()
	tb.waits(selector)
	at := eval[[]float64](tb, fmt.Sprintf("(() => { const e = document.querySelector(%q); e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()", selector))
	tb.run(chromedp.MouseClickXY(at[0], at[1]))
}

// presses is a key.
func (tb *tab) presses(key string) { tb.t.Helper(); tb.run(chromedp.KeyEvent(key)) }

func (tb *tab) dark(on bool) {
	scheme := "light"
	if on {
		scheme = "dark"
	}
	tb.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}))
}

var axeRuns, axeSkipped int

// axe has axe-core look at the page as it is, light and dark, and sees that it fits a
// narrow window and fingers.
func (tb *tab) axe(state string) {
	tb.t.Helper()
	tb.narrow(state)
	if browser.axe == "" {
		if axeSkipped++; axeSkipped == 1 {
			tb.t.Log("axe-core looked at nothing: " + browser.axeWhy)
		}
		return
	}
	for _, dark := range []bool{false, true} {
		tb.dark(dark)
		rules, least := "{}", 10
		if dark { // what is there is as it was, in other colours
			rules, least = "{runOnly: ['color-contrast']}", 1
		}
		var found string
		if eval[bool](tb, "typeof axe === 'undefined'") { // half a megabyte
			tb.run(chromedp.Evaluate(browser.axe+";true", new(bool)))
		}
		tb.run(chromedp.Evaluate(`axe.run(document, `+rules+`).then((r) => JSON.stringify({n: r.passes.length, bad: r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html + ' ' + n.failureSummary).join('; '))}))`, &found,
			func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
		var result struct {
			N   int
			Bad []string
		}
		if err := json.Unmarshal([]byte(found), &result); err != nil || result.N < least {
			tb.t.Fatalf("%s: axe-core passes %d rules: %v", state, result.N, err)
		}
		for _, bad := range result.Bad {
			tb.t.Errorf("%s (dark %v): axe-core: %.1200s", state, dark, bad)
		}
		axeRuns++
	}
	tb.dark(false)
}

// narrow sees that nothing is cut at 320 pixels, and that what is pressed is 44 high.
func (tb *tab) narrow(state string) {
	tb.t.Helper()
	tb.loaded()
	size := eval[[]int64](tb, "[innerWidth, innerHeight]")
	tb.run(emulation.SetDeviceMetricsOverride(320, 640, 1, true))
	bad := eval[[]string](tb, `(() => {
		const out = [];
		if (document.documentElement.scrollWidth > 320) out.push('the page is ' + document.documentElement.scrollWidth + ' wide');
		for (const e of document.querySelectorAll('button, input:not([type=hidden]), textarea, select, summary, nav a, .links a, .going a')) {
			const r = e.getBoundingClientRect();
			if (r.height > 0 && (r.height < 44 || r.width < 44)) out.push(e.outerHTML.slice(0, 80) + ' is ' + r.width + ' by ' + r.height);
		}
		return out;
	})()`)
	for _, b := range bad {
		tb.t.Errorf("%s, on a phone: %s", state, b)
	}
	tb.run(emulation.SetDeviceMetricsOverride(size[0], size[1], 1, false))
}

// quiet fails where the console said anything that was not expected.
func (tb *tab) quiet(expected ...string) {
	tb.t.Helper()
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, p := range tb.problems {
		known := false
		for _, e := range expected {
			known = known || regexp.MustCompile(e).MatchString(p)
		}
		if !known {
			tb.t.Errorf("the console: %s", p)
		}
	}
}

// picture keeps the page as it is, where that was asked for.
func (tb *tab) picture(name, device string) {
	tb.t.Helper()
	if *pictures == "" {
		return
	}
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"phone", 390, 800}, {"desktop", 900, 700}} {
		if size.name != device {
			continue
		}
		tb.run(emulation.SetDeviceMetricsOverride(size.width, size.height, 1, size.name == "phone"))
		var png []byte
		tb.run(chromedp.FullScreenshot(&png, 100))
		if err := os.WriteFile(filepath.Join(*pictures, name+"-"+size.name+"-"+tb.lang+".png"), png, 0o644); err != nil {
			tb.t.Fatal(err)
		}
	}
	tb.run(emulation.SetDeviceMetricsOverride(1100, 900, 1, false))
}
