package seal_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/secret/secrettest"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/seal"
)

type validShare struct {
	Name, Text, Hex, Fingerprint, Y string
	Set                             uint32
	X                               byte
}

type invalidShare struct{ Name, Text, Error, Says string }

func shareVectors(t testing.TB) (v struct {
	Valid   []validShare
	Invalid []invalidShare
}) {
	t.Helper()
	b, err := os.ReadFile("testdata/shares.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// textShare returns the text of a share in the goldens.
func textShare(t testing.TB) string {
	t.Helper()
	for _, v := range shareVectors(t).Valid {
		if v.Name == "middle" {
			return v.Text
		}
	}
	t.Fatal("no such golden")
	return ""
}

func parseShare(t testing.TB, text string) seal.Share {
	t.Helper()
	s, err := seal.ParseShare(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestShareGoldens(t *testing.T) {
	doc, err := os.ReadFile("SHARES.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range shareVectors(t).Valid {
		if !bytes.Contains(doc, []byte(v.Text)) {
			t.Errorf("%s: not in SHARES.md", v.Name)
		}
		texts := []string{v.Text}
		if v.Hex == "" {
			texts = append(texts, strings.ToUpper(v.Text))
		} else {
			texts = append(texts, v.Hex, strings.ToUpper(v.Hex))
		}
		for _, text := range texts {
			s, err := seal.ParseShare(text)
			if err != nil {
				t.Errorf("%s: %v", v.Name, err)
				continue
			}
			fingerprint := s.Fingerprint()
			got := fmt.Sprintf("%x %d %d %x %v", fingerprint[:], s.Set(), s.X(), s.RevealRaw(), s.Raw())
			want := fmt.Sprintf("%s %d %d %s%02x %v", v.Fingerprint, v.Set, v.X, v.Y, v.X, v.Hex != "")
			if got != want || s.Reveal() != v.Text {
				t.Errorf("%s: got %s as %s; want %s as %s", v.Name, got, s.Reveal(), want, v.Text)
			}
		}
	}
}

func TestShareInvalid(t *testing.T) {
	kinds := map[string]error{"malformed": seal.ErrShareMalformed, "checksum": seal.ErrShareChecksum}
	for _, v := range shareVectors(t).Invalid {
		s, err := seal.ParseShare(v.Text)
		var detail *seal.ShareError
		if !errors.As(err, &detail) || kinds[v.Error] == nil || detail.Kind != kinds[v.Error] || !errors.Is(err, kinds[v.Error]) {
			t.Errorf("%s: %v, want %s", v.Name, err, v.Error)
		} else if !strings.Contains(err.Error(), v.Says) {
			t.Errorf("%s: %q does not say %q", v.Name, err, v.Says)
		}
		if s.X() != 0 || s.RevealRaw() != nil {
			t.Errorf("%s: a share came with the error", v.Name)
		}
		for i := 0; i+8 <= len(v.Text); i++ {
			if part := v.Text[i : i+8]; strings.TrimSpace(part) != "" && strings.Contains(fmt.Sprint(err), part) {
				t.Errorf("%s: the error shows the text: %v", v.Name, err)
			}
		}
	}
}

func TestShareWhiteSpace(t *testing.T) {
	text, four := textShare(t), regexp.MustCompile("....")
	for name, pasted := range map[string]string{
		"around":         " \t\r\n" + text + "\n\n",
		"broken lines":   text[:40] + "\r\n    " + text[40:80] + "\n" + text[80:],
		"groups of four": four.ReplaceAllString(text, "$0 "),
		"no-break space": text[:9] + "\u00a0" + text[9:] + "\u2003",
	} {
		if s, err := seal.ParseShare(pasted); err != nil || s.Reveal() != text {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, pasted := range map[string]string{
		"hyphens":          four.ReplaceAllString(text, "$0-"),
		"quotes":           `"` + text + `"`,
		"byte order mark":  "\ufeff" + text,
		"zero width space": text[:9] + "\u200b" + text[9:],
		"twice":            text + " " + text,
	} {
		if _, err := seal.ParseShare(pasted); !errors.Is(err, seal.ErrShareMalformed) {
			t.Errorf("%s: %v, want ErrShareMalformed", name, err)
		}
	}
}

func TestShareTextDetectsEveryMistake(t *testing.T) {
	samples := 120_000
	if !testlevel.Whole() {
		samples = 6_000
	}
	samples = testlevel.Most(samples, 1_000)
	const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	text := textShare(t)
	accepted := 0
	try := func(wrong string) {
		if _, err := seal.ParseShare(wrong); err == nil {
			accepted++
			t.Errorf("accepted %s for %s", wrong, text)
		} else if !errors.Is(err, seal.ErrShareChecksum) && !errors.Is(err, seal.ErrShareMalformed) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	parseShare(t, text)

	flips := 0
	for i := range len(text) {
		for c := range 256 {
			if byte(c) != text[i] && (!testing.Short() || (i+c)%8 == 0) {
				try(text[:i] + string([]byte{byte(c)}) + text[i+1:])
				flips++
			}
		}
	}

	// Every one of these has two to four characters of the alphabet wrong.
	random := rand.New(rand.NewPCG(1, 2))
	for range samples {
		wrong := []byte(text)
		for _, at := range random.Perm(len(text) - 3)[:2+random.IntN(3)] {
			old := strings.IndexByte(alphabet, text[3+at])
			wrong[3+at] = alphabet[(old+1+random.IntN(31))%32]
		}
		try(string(wrong))
	}

	shifts := 0
	for i := range len(text) {
		wrong := []string{text[:i], text[i+1:], text[:i] + text[i+1:]}
		for _, c := range alphabet {
			wrong = append(wrong, text[:i]+string(c)+text[i:])
		}
		if i > 0 && text[i] != text[i-1] {
			wrong = append(wrong, text[:i-1]+text[i:i+1]+text[i-1:i]+text[i+1:])
		}
		for _, w := range wrong {
			try(w)
		}
		shifts += len(wrong)
	}
	proved(t, "GUARANTEE 11 share-text: flips=%d samples=%d shifts=%d accepted=%d", flips, samples, shifts, accepted)
}

func TestRawShare(t *testing.T) {
	raw := bytes.Repeat([]byte{7}, 33)
	s, err := seal.RawShare(raw)
	if err != nil {
		t.Fatal(err)
	}
	clear(raw)
	if got := s.RevealRaw(); !bytes.Equal(got, bytes.Repeat([]byte{7}, 33)) {
		t.Errorf("RevealRaw = %x: the share is not its own copy", got)
	}
	for name, tc := range map[string]struct {
		raw  []byte
		says string
	}{
		"nil":       {nil, "0 bytes where a raw share has 33"},
		"a key":     {make([]byte, 32), "32 bytes where a raw share has 33"},
		"too long":  {make([]byte, 34), "34 bytes"},
		"number 0":  {make([]byte, 33), "number 0"},
		"very long": {make([]byte, 1<<20), "1048576 bytes"},
	} {
		if _, err := seal.RawShare(tc.raw); !errors.Is(err, seal.ErrShareMalformed) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want ErrShareMalformed that says %q", name, err, tc.says)
		}
	}
}

func TestShareIsSilent(t *testing.T) {
	type holder struct {
		share seal.Share
		ptr   *seal.Share
		all   []seal.Share
	}
	text := textShare(t)
	raw := hex.EncodeToString(parseShare(t, text).RevealRaw())
	for name, s := range map[string]seal.Share{"text": parseShare(t, text), "raw": parseShare(t, raw)} {
		search := secrettest.NewSearch(map[string][]byte{"key": s.RevealRaw()})
		for shape, v := range map[string]any{
			"itself": s, "pointer": &s, "unexported": holder{s, &s, []seal.Share{s}},
			"exported": struct{ Share seal.Share }{s},
		} {
			for sink, out := range secrettest.Sinks(v) {
				if form := search.In(out)["key"]; form != "" || strings.Contains(out, s.Reveal()[32:44]) {
					t.Errorf("%s, %s: %s shows the key: %s", name, shape, sink, form)
				}
			}
		}
		want := map[string]string{"text": "share 3 of set 2 (redacted)", "raw": "share 3 (redacted)"}[name]
		for _, got := range []string{s.String(), fmt.Sprintf("%v", s), fmt.Sprintf("%#x", s), s.LogValue().String()} {
			if got != want {
				t.Errorf("%s: named %q, want %q", name, got, want)
			}
		}
		for encoding, encode := range map[string]func() ([]byte, error){
			"json": s.MarshalJSON, "text": s.MarshalText, "binary": s.MarshalBinary, "gob": s.GobEncode,
		} {
			if b, err := encode(); b != nil || err == nil || !strings.Contains(err.Error(), "reveal") {
				t.Errorf("%s as %s: %q, %v; want an error", name, encoding, b, err)
			}
		}
	}
	if got := fmt.Sprint(seal.Share{}); got != "no share" {
		t.Errorf("the zero Share is named %q", got)
	}
}

func TestShareWipe(t *testing.T) {
	for name, s := range map[string]seal.Share{
		"text": parseShare(t, textShare(t)),
		"zero": {},
	} {
		twin, x := s, s.X()
		s.Wipe()
		if twin.Reveal() != "" || twin.RevealRaw() != nil || twin.X() != x {
			t.Errorf("%s: a wiped share still reveals, or lost its name", name)
		}
	}
}

func TestShareError(t *testing.T) {
	for want, e := range map[string]*seal.ShareError{
		"seal: malformed share: too blue":                                          {Kind: seal.ErrShareMalformed, Detail: "too blue"},
		"seal: mistyped share: compare it with the original, nothing is corrected": {Kind: seal.ErrShareChecksum},
		"seal: share of another store (share 3 of set 2): bring a share of this store, or look whether this is the right store, and its record no older than the share":              {Kind: seal.ErrShareOtherStore, X: 3, Set: 2},
		"seal: share of another set (share 3 of set 2): set 2, this store is at set 3, the share was replaced":                                                                       {Kind: seal.ErrShareStale, X: 3, Set: 2, Want: 3},
		"seal: share of another set (share 3 of set 4): set 4, this store is at set 3, the share was given up before it counted, or dropped, or the store's record is older than it": {Kind: seal.ErrShareStale, X: 3, Set: 4, Want: 3},
		"seal: share or record altered (share 255): compare the share with the original, then the record with a backup":                                                              {Kind: seal.ErrShareAltered, X: 255},
		"seal: share given already (share 1 of set 2): give another one":                                                                                                             {Kind: seal.ErrShareDuplicate, X: 1, Set: 2},
		"seal: share given already: give another one": {Kind: seal.ErrShareDuplicate},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if !errors.Is(fmt.Errorf("wrapped: %w", e), e.Kind) {
			t.Errorf("%s: not its kind", e)
		}
	}
}

func FuzzParseShare(f *testing.F) {
	v := shareVectors(f)
	for _, s := range v.Valid {
		f.Add(s.Text)
		f.Add(s.Hex)
	}
	for _, s := range v.Invalid {
		f.Add(s.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := seal.ParseShare(text)
		if err != nil {
			if !errors.Is(err, seal.ErrShareMalformed) && !errors.Is(err, seal.ErrShareChecksum) {
				t.Errorf("%q: %v is of no kind", text, err)
			}
			return
		}
		back := s.Reveal()
		if s.Raw() { // base64 may look like a part of a share's text
			back = hex.EncodeToString(s.RevealRaw())
		}
		again, err := seal.ParseShare(back)
		if err != nil || s.X() == 0 || again.X() != s.X() || again.Set() != s.Set() || again.Fingerprint() != s.Fingerprint() ||
			!bytes.Equal(again.RevealRaw(), s.RevealRaw()) {
			t.Errorf("%q comes back as another share: %v", text, err)
		}
	})
}
