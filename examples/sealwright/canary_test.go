package main_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
)

type kmsWrapper = kms.Wrapper

// canaries are the secrets of a test, which no output may show.
var canaries struct {
	sync.Mutex
	of map[*testing.T]*needles
}

// window is how much of a secret in a row is a leak.
const window = 20

// needles are all the windows of some secrets.
type needles struct {
	at    map[string]bool
	whole []string // those that are shorter
	texts []string
}

// secretOf has every later output of the test searched for a text. Of a share the
// part that is secret counts, also as the bytes that it stands for.
func secretOf(t *testing.T, text string) {
	canaries.Lock()
	defer canaries.Unlock()
	if canaries.of == nil {
		canaries.of = map[*testing.T]*needles{}
	}
	if canaries.of[t] == nil {
		canaries.of[t] = &needles{at: map[string]bool{}}
		t.Cleanup(func() {
			canaries.Lock()
			defer canaries.Unlock()
			delete(canaries.of, t)
		})
	}
	canaries.of[t].add(text)
}

func (n *needles) add(text string) {
	n.texts = append(n.texts, text)
	if s, err := seal.ParseShare(text); err == nil && !s.Raw() {
		n.cut(hex.EncodeToString(s.RevealRaw()[:32]))
		text = text[len(text)-50 : len(text)-6]
	} else if strings.HasPrefix(text, "-----BEGIN") { // a private key
		text = strings.Join(strings.Fields(armored.ReplaceAllString(text, " ")), "")
	}
	n.cut(text)
}

var armored = regexp.MustCompile(`-----[^-]*-----|(?m)^[A-Za-z]+:.*$|(?m)^=[A-Za-z0-9+/]{4}$`)

func (n *needles) cut(text string) {
	text = strings.ToLower(text)
	if len(text) < window {
		n.whole = append(n.whole, text)
	}
	for i := 0; i+window <= len(text); i++ {
		n.at[text[i:i+window]] = true
	}
}

// in reports whether a text holds a secret.
func (n *needles) in(text string) bool {
	text = strings.ToLower(text)
	for _, w := range n.whole {
		if strings.Contains(text, w) {
			return true
		}
	}
	for i := 0; i+window <= len(text); i++ {
		if n.at[text[i:i+window]] {
			return true
		}
	}
	return false
}

// sawOutput searches an output.
func sawOutput(t *testing.T, r ran) {
	t.Helper()
	if name := shown(t, r.out+r.err); name != "" {
		t.Errorf("the output shows %s", name)
	}
}

// shown searches a text, in every form that it may have been written in.
func shown(t *testing.T, text string) string {
	canaries.Lock()
	defer canaries.Unlock()
	n := canaries.of[t]
	if n == nil {
		return ""
	}
	for form, view := range views(text) {
		if n.in(view) {
			return "a secret, or a part of one, " + form
		}
	}
	return ""
}

var (
	tags    = regexp.MustCompile(`<[^>]*>`)
	encoded = regexp.MustCompile(`[A-Za-z0-9+/_-]{24,}`)
	inHex   = regexp.MustCompile(`(?:[0-9A-Fa-f]{2}[ :]?){12,}`)
	numbers = regexp.MustCompile(`(?:\b[0-9]{1,3}\b[ ,]*){12,}`)
	gaps    = strings.NewReplacer(" ", "", "\n", "", "\r", "", "\t", "", "-", "", "·", "")
)

// views are a text as it is, and what is encoded in it. What stands for bytes is
// searched as hexadecimal too.
func views(text string) map[string]string {
	bare := gaps.Replace(tags.ReplaceAllString(text, ""))
	out := map[string]string{"as it is": text, "in groups": bare, "escaped for a page": html.UnescapeString(text)}
	if u, err := url.QueryUnescape(strings.ReplaceAll(text, "+", "%2B")); err == nil {
		out["escaped for an address"] = u
	}
	var b64, hexed, counted strings.Builder
	both := func(w *strings.Builder, b []byte) {
		w.Write(b)
		w.WriteString("\n" + hex.EncodeToString(b) + "\n")
	}
	for _, joined := range []string{text, bare} { // bare: of several lines
		for _, run := range encoded.FindAllString(joined, -1) {
			run = strings.NewReplacer("-", "+", "_", "/").Replace(run)
			for shift := range 4 {
				part := run[shift:]
				b, _ := base64.RawStdEncoding.DecodeString(part[:len(part)/4*4])
				both(&b64, b)
			}
		}
	}
	for _, run := range inHex.FindAllString(text, -1) {
		run = strings.NewReplacer(" ", "", ":", "").Replace(run)
		for shift := range 2 {
			part := run[shift:]
			b, _ := hex.DecodeString(part[:len(part)/2*2])
			both(&hexed, b)
		}
	}
	for _, run := range numbers.FindAllString(text, -1) {
		var b []byte
		for _, f := range strings.FieldsFunc(run, func(r rune) bool { return r == ' ' || r == ',' }) {
			if n, err := strconv.Atoi(f); err == nil && n < 256 {
				b = append(b, byte(n))
			}
		}
		both(&counted, b)
	}
	out["in base64"], out["in hexadecimal"], out["as numbers"] = b64.String(), hexed.String(), counted.String()
	out["as bytes"] = hex.EncodeToString([]byte(text))
	return out
}

func secretsOf(t *testing.T) int {
	canaries.Lock()
	defer canaries.Unlock()
	return len(canaries.of[t].texts)
}

// controlled plants each secret of the test in every form that it may leak in, within
// what a server says, and counts what is found.
func controlled(t *testing.T) (planted, found int) {
	t.Helper()
	canaries.Lock()
	texts := canaries.of[t].texts
	canaries.Unlock()
	for _, text := range texts {
		if strings.HasPrefix(text, "-----BEGIN") {
			text = strings.Join(strings.Fields(armored.ReplaceAllString(text, " ")), "\n")
		}
		forms := map[string]string{
			"text": text, "capitals": strings.ToUpper(text), "a part": text[min(len(text)/2, len(text)-window):], "hex": hex.EncodeToString([]byte(text)),
			"HEX": strings.ToUpper(hex.EncodeToString([]byte(text))), "base64": base64.StdEncoding.EncodeToString([]byte(text)),
			"base64, url": base64.RawURLEncoding.EncodeToString([]byte("x" + text)), "base64, 1 before": base64.StdEncoding.EncodeToString([]byte("{\"k\":\"" + text)),
			"address": "a=1&k=" + url.QueryEscape(text), "page": html.EscapeString(text), "%v": fmt.Sprint([]byte(text)), "% x": fmt.Sprintf("% x", text), "%q": fmt.Sprintf("%q", text),
		}
		if s, err := seal.ParseShare(text); err == nil && !s.Raw() {
			y := s.RevealRaw()[:32]
			forms["bytes"], forms["bytes, hex"], forms["bytes, base64"], forms["bytes, %v"] = string(y), hex.EncodeToString(y), base64.StdEncoding.EncodeToString(y), fmt.Sprint(y)
			var groups strings.Builder
			for i := 0; i < len(text); i += 5 {
				groups.WriteString("<td>" + text[i:min(i+5, len(text))] + "</td>\n")
			}
			forms["groups"] = groups.String()
		}
		for form, text := range forms {
			planted++
			if shown(t, `level=INFO msg="`+text+`" by=x`) != "" {
				found++
			} else {
				t.Errorf("a secret that was planted is not found: %s", form)
			}
		}
	}
	return planted, found
}
