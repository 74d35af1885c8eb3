package paper_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/paper"
)

var about = paper.About{
	Store: "payments <production> & more", Contact: "on call: +1 555 0100", Made: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC),
}

// delivery is that of three shares, two of which open.
func delivery(t *testing.T, custodians ...seal.Custodian) seal.Delivery {
	t.Helper()
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	d, err := b.Init(t.Context(), map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2, Custodians: custodians}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func written(t *testing.T, cards ...paper.Card) string {
	t.Helper()
	var out bytes.Buffer
	if err := paper.Write(&out, cards...); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestCards: each card has its share, in text and in the code, and what it takes to
// use it.
func TestCards(t *testing.T) {
	d := delivery(t, seal.Custodian{Name: "ada"}, seal.Custodian{Name: "ben"}, seal.Custodian{Name: "carla"})
	cards := paper.Cards(d, about)
	if len(cards) != 3 {
		t.Fatalf("%d cards", len(cards))
	}
	page := written(t, cards...)
	sections := strings.Split(page, "<section>")[1:]
	for i, s := range d.Sets[0].Shares {
		var text strings.Builder
		for _, m := range regexp.MustCompile(`<td>([A-Z0-9]+)</td>`).FindAllStringSubmatch(sections[i], -1) {
			text.WriteString(m[1])
		}
		got, err := seal.ParseShare(text.String())
		if err != nil || got.Reveal() != s.Reveal() {
			t.Errorf("card %d: its text is no share, or another: %v", i+1, err)
		}
		for _, want := range []string{
			"One share of 3", fmt.Sprintf("number %d of 3; any 2 of them", i+1), "people, 1", cards[i].Custodian, "30 November 2026",
			"payments &lt;production&gt; &amp; more", "on call: &#43;1 555 0100", "opens nothing",
		} {
			if !strings.Contains(sections[i], want) {
				t.Errorf("card %d: lacks %q", i+1, want)
			}
		}
		for j, other := range d.Sets[0].Shares {
			if text := strings.ToUpper(other.Reveal()); j != i && strings.Contains(sections[i], text[70:75]) && strings.Contains(sections[i], text[80:85]) {
				t.Errorf("card %d shows share %d", i+1, j+1)
			}
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "http") && !strings.Contains(page, "http-equiv") {
		t.Error("the page runs or fetches something")
	}
	if err := xml.Unmarshal([]byte("<x>"+page[strings.Index(page, "<section>"):strings.Index(page, "</body>")]+"</x>"), new(struct{})); err != nil {
		t.Errorf("the page is not well formed: %v", err)
	}
}

// TestNoSecretIsShown: a card has its share and no other's, and what is said of cards,
// their errors included, has none.
func TestNoSecretIsShown(t *testing.T) {
	cards := paper.Cards(delivery(t), about)
	tags := regexp.MustCompile(`<[^>]*>|\s`)
	shows := func(text string, c paper.Card) bool {
		text = strings.ToLower(tags.ReplaceAllString(text, ""))
		secret, bytes := c.Share.Reveal()[39:83], c.Share.RevealRaw()[:32]
		for i := range len(secret) - 12 {
			if strings.Contains(text, secret[i:i+12]) {
				return true
			}
		}
		for i := range len(bytes) - 8 {
			if part := bytes[i : i+8]; strings.Contains(text, fmt.Sprintf("%x", part)) || strings.Contains(text, strings.Trim(tags.ReplaceAllString(fmt.Sprint(part), ""), "[]")) {
				return true
			}
		}
		return false
	}
	texts, leaks, control := 0, 0, 0
	for i, c := range cards {
		for j, other := range cards {
			texts++
			switch shown := shows(written(t, c), other); {
			case i == j && shown:
				control++
			case shown:
				leaks++
				t.Errorf("card %d shows share %d", i+1, j+1)
			}
		}
		long := c
		long.Custodian = strings.Repeat("x", 201)
		for _, text := range []string{
			fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprint(paper.Write(new(bytes.Buffer), long)),
			written(t, paper.Card{About: c.About, Slot: c.Slot, Number: c.Number, Custodian: c.Custodian}),
		} {
			texts++
			if shows(text, c) {
				leaks++
				t.Errorf("what is said of card %d shows its share", i+1)
			}
		}
	}
	t.Logf("GUARANTEE 20 cards: cards=%d texts=%d leaks=%d found_where_they_belong=%d", len(cards), texts, leaks, control)
	if control != len(cards) {
		t.Error("the search does not find the share on its own card")
	}
}

// TestRefused: what would print a card that is of no use.
func TestRefused(t *testing.T) {
	d := delivery(t)
	good := paper.Cards(d, about)[0]
	bare, err := seal.RawShare(bytes.Repeat([]byte{7}, 33))
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(*paper.Card)) []paper.Card {
		c := good
		f(&c)
		return []paper.Card{good, c}
	}
	for name, c := range map[string]struct {
		cards []paper.Card
		says  string
	}{
		"none":       {nil, "were the shares encrypted?"},
		"no store":   {change(func(c *paper.Card) { c.Store = " " }), "card 2 of 2: paper: not a card: About.Store is empty"},
		"no contact": {change(func(c *paper.Card) { c.Contact = "" }), "About.Contact is empty"},
		"long":       {change(func(c *paper.Card) { c.Custodian = strings.Repeat("x", 201) }), "a text of 201 bytes"},
		"bare":       {change(func(c *paper.Card) { c.Share = bare }), "which has no checksum"},
	} {
		var out bytes.Buffer
		if err := paper.Write(&out, c.cards...); !errors.Is(err, paper.ErrCard) || !strings.Contains(err.Error(), c.says) || out.Len() > 0 {
			t.Errorf("%s: %v, and %d bytes", name, err, out.Len())
		}
	}
}

// TestBlank: a form has a box for each character, and no code.
func TestBlank(t *testing.T) {
	page := written(t, paper.Card{About: about})
	if n := strings.Count(page, `class="box"`); n != 89 || strings.Contains(page, "<svg") || !strings.Contains(page, "written by hand") {
		t.Errorf("%d boxes", n)
	}
}

// TestEncryptedShares: what left encrypted is on no card.
func TestEncryptedShares(t *testing.T) {
	d := delivery(t, seal.Custodian{Name: "ada", Recipient: turner{}}, seal.Custodian{Name: "ben"}, seal.Custodian{Name: "carla", Recipient: turner{}})
	if cards := paper.Cards(d, about); len(cards) != 1 || cards[0].Custodian != "ben" {
		t.Errorf("%d cards", len(cards))
	}
}

type turner struct{}

func (turner) Encrypt(context.Context, string) ([]byte, error) { return []byte("turned"), nil }

// scan has zbar read a picture.
func scan(t *testing.T, file string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", file).Output()
	if err != nil {
		t.Errorf("%s: zbarimg: %v", filepath.Base(file), err)
	}
	return strings.Fields(string(out))
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("skipped: no %s here, so nothing shows that a scanner reads the page", p)
		}
	}
}

var rect = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-\d+z`)

// drawn is the page's code as a picture, the damaged share of which is white.
func drawn(t *testing.T, page string, damaged int) string {
	t.Helper()
	size, err := strconv.Atoi(regexp.MustCompile(`viewBox="0 0 (\d+) `).FindStringSubmatch(page)[1])
	if err != nil {
		t.Fatal(err)
	}
	const scale = 8
	img := image.NewGray(image.Rect(0, 0, size*scale, size*scale))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	for _, m := range rect.FindAllStringSubmatch(page, -1) {
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		n, _ := strconv.Atoi(m[3])
		for dy := range scale {
			for dx := range n * scale {
				img.SetGray(x*scale+dx, y*scale+dy, color.Gray{0})
			}
		}
	}
	for y := range damaged { // a stain in the middle
		for x := range damaged {
			img.SetGray(size*scale/2+x, size*scale/2+y, color.Gray{255})
		}
	}
	file := filepath.Join(t.TempDir(), "code.png")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestScanner: zbar reads the code, also with a stain on it.
func TestScanner(t *testing.T) {
	needs(t, "zbarimg")
	read := 0
	for _, c := range paper.Cards(delivery(t), about) {
		for _, damaged := range []int{0, 64} {
			got := scan(t, drawn(t, written(t, c), damaged))
			if len(got) != 1 {
				t.Fatalf("reads %d codes", len(got))
			}
			if s, err := seal.ParseShare(got[0]); err != nil || s.Reveal() != c.Share.Reveal() {
				t.Errorf("reads another share: %v", err)
			}
			read++
		}
	}
	t.Logf("GUARANTEE 30 paper: codes=6 read=%d", read)
}

// exhaustive reports whether all trials are to be made, as internal/testlevel has it
// for modules that are not released apart.
func exhaustive() bool { return os.Getenv("SEALWRIGHT_TESTS") == "whole" }

// TestPrinted: a browser prints a page a card, and the scanner reads the print.
func TestPrinted(t *testing.T) {
	if !exhaustive() {
		t.Skip("starts a browser; SEALWRIGHT_TESTS=whole runs it")
	}
	needs(t, "chromium", "pdftoppm", "pdftotext", "zbarimg")
	dir := t.TempDir()
	html, pdf := filepath.Join(dir, "cards.html"), filepath.Join(dir, "cards.pdf")
	cards := paper.Cards(delivery(t), about)
	if err := os.WriteFile(html, []byte(written(t, append(cards, paper.Card{About: about})...)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := func(name string, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.WaitDelay = time.Second
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return out
	}
	run("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", "--user-data-dir="+filepath.Join(dir, "profile"), "--print-to-pdf="+pdf, "file://"+html)
	run("pdftoppm", "-r", "110", "-png", pdf, filepath.Join(dir, "page"))
	pages, err := filepath.Glob(filepath.Join(dir, "page*.png"))
	if err != nil || len(pages) != len(cards)+1 {
		t.Fatalf("%d pages for %d cards and a form", len(pages), len(cards))
	}
	for i, c := range cards {
		got := scan(t, pages[i])
		if len(got) != 1 {
			t.Fatalf("page %d: reads %d codes", i+1, len(got))
		}
		if s, err := seal.ParseShare(got[0]); err != nil || s.Reveal() != c.Share.Reveal() {
			t.Errorf("page %d: reads another share: %v", i+1, err)
		}
	}
	text := strings.Join(strings.Fields(string(run("pdftotext", pdf, "-"))), "") // which reads spaces between wide letters
	if first := strings.ToUpper(cards[0].Share.Reveal()); !strings.Contains(text, first[:5]) || !strings.Contains(text, first[85:]) {
		t.Error("the print lacks the text of the share")
	}
	if keep := os.Getenv("KEEP_PAGES"); keep != "" { // to be looked at
		for _, p := range pages {
			b, _ := os.ReadFile(p)
			os.WriteFile(filepath.Join(keep, filepath.Base(p)), b, 0o600)
		}
	}
}
