package handoff_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/handoff"
	"github.com/sealwright/sealwright/internal/hpke"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/testlevel"
)

var update = flag.Bool("update", false, "write testdata/messages.json anew")

const store = "00112233445566778899aabbccddeeff"

var root = bytes.Repeat([]byte{0x5a}, 32)

func asking(t testing.TB, asker string) *handoff.Asking {
	t.Helper()
	a, err := handoff.Ask(handoff.Request{Store: store, Generation: 7, Digest: record.DigestOf([]byte("record")), Asker: asker})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func answerTo(t testing.TB, request []byte, answerer string) []byte {
	t.Helper()
	r, err := handoff.ParseRequest(request)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := r.Answer(answerer, root)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestHandOff(t *testing.T) {
	long := strings.Repeat("n", handoff.MaxName)
	for _, name := range []string{"a", "web-0.web", long} {
		a := asking(t, name)
		r, err := handoff.ParseRequest(a.Bytes)
		if err != nil || r.Store != store || r.Generation != 7 || r.Digest != record.DigestOf([]byte("record")) || r.Asker != name || r.ID != a.ID {
			t.Fatalf("%+v, %v", r, err)
		}
		answer := answerTo(t, a.Bytes, long)
		if bytes.Contains(answer, root) || len(a.Bytes) > handoff.MaxRequest || len(answer) > handoff.MaxAnswer {
			t.Error("the answer shows the key, or a message is longer than one can be")
		}
		got, from, err := a.Open(answer)
		if err != nil || !bytes.Equal(got, root) || from != long {
			t.Fatalf("%q, %v", from, err)
		}
		if _, _, err := a.Open(answer); !errors.Is(err, handoff.ErrNotMine) {
			t.Errorf("a second time: %v", err)
		}
	}
	if b := asking(t, long).Bytes; len(b) != handoff.MaxRequest || len(sharesTo(t, b, long, slices.Repeat([]handoff.Share{aShare(1)}, handoff.MaxShares)...)) != handoff.MaxAnswer {
		t.Error("the longest messages have another length than the limits")
	}
	for _, name := range []string{"", long + "n", "a\nb"} {
		if _, err := handoff.Ask(handoff.Request{Store: store, Asker: name}); !errors.Is(err, handoff.ErrMalformed) {
			t.Errorf("%q asks: %v", name, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	for r := handoff.Denied; r <= handoff.Itself; r++ {
		a := asking(t, "asker")
		_, from, err := a.Open(r.Bytes("other"))
		if err != error(r) || from != "other" || r.Error() == "" {
			t.Errorf("%d: %q, %v", r, from, err)
		}
	}
	for _, r := range []handoff.Refusal{0, handoff.Itself + 1, 255} {
		if r.Bytes("other") != nil || r.Error() != "refuses" {
			t.Errorf("%d is one", r)
		}
	}
}

// TestEveryByteIsBound: an answer that is cut, extended or flipped anywhere, or is to
// a request that was, opens nothing; neither does one to another request.
func TestEveryByteIsBound(t *testing.T) {
	tried, opened := 0, 0
	try := func(a *handoff.Asking, answer []byte) {
		t.Helper()
		tried++
		if _, _, err := a.Open(answer); err == nil {
			opened++
			t.Errorf("answer %x… opens", answer[:min(len(answer), 8)])
		}
	}
	asked, seed, scalar := handoff.AskBy(t, handoff.Request{Store: store, Generation: 7, Digest: record.DigestOf([]byte("record")), Asker: "asker"})
	again := func() *handoff.Asking { return handoff.AskedBy(t, asked.Bytes, seed, scalar) } // Open works once
	answer := answerTo(t, asked.Bytes, "other")
	if _, _, err := again().Open(answer); err != nil {
		t.Fatal(err)
	}
	left := func(i int) bool { // keys and boxes are alike all along
		return !testlevel.Whole() && i > 64 && i%7 != 0 || testing.Short() && i > 16 && i%13 != 0
	}
	for i := range answer {
		if left(i) {
			continue
		}
		try(again(), answer[:i])
		try(again(), slices.Insert(bytes.Clone(answer), i, 0))
		answer[i] ^= 1 << (i % 8)
		try(again(), answer)
		answer[i] ^= 1 << (i % 8)
	}
	try(again(), append(bytes.Clone(answer), 0))
	try(again(), answerTo(t, asking(t, "asker").Bytes, "other"))
	for i := range asked.Bytes {
		if left(i) {
			continue
		}
		request := bytes.Clone(asked.Bytes)
		request[i] ^= 1 << (i % 8)
		r, err := handoff.ParseRequest(request)
		if err != nil {
			tried++
			continue
		}
		answer, err := r.Answer("other", root)
		if err != nil {
			tried++ // its public key is none
			continue
		}
		try(again(), answer)
	}
	for i := range asked.Bytes {
		if testing.Short() && left(i) {
			continue
		}
		tried++
		if _, err := handoff.ParseRequest(asked.Bytes[:i]); !errors.Is(err, handoff.ErrMalformed) {
			opened++
			t.Errorf("a request of %d bytes: %v", i, err)
		}
		if r, err := handoff.ParseRequest(slices.Insert(bytes.Clone(asked.Bytes), i, 0)); err != nil {
			tried++
		} else if answer, err := r.Answer("other", root); err != nil {
			tried++ // its public key is none
		} else {
			try(again(), answer)
		}
	}
	if testing.Short() {
		t.Logf("of a sample: tried=%d opened=%d", tried, opened)
		return
	}
	t.Logf("GUARANTEE 29 hand-off-bytes: tried=%d opened=%d", tried, opened)
}

// A message pair as testdata has it: what was said once opens for ever.
type messages struct {
	Request, Answer, Refusal string
	Seed, Scalar             string // of the asker's key pair, which protects nothing
	Root                     string
}

func TestGolden(t *testing.T) {
	const file = "testdata/messages.json"
	if *update {
		a, seed, scalar := handoff.AskBy(t, handoff.Request{Store: store, Generation: 7, Digest: record.DigestOf([]byte("record")), Asker: "web-1"})
		m := messages{
			hex.EncodeToString(a.Bytes), hex.EncodeToString(answerTo(t, a.Bytes, "web-0")), hex.EncodeToString(handoff.Older.Bytes("web-0")),
			hex.EncodeToString(seed), hex.EncodeToString(scalar), hex.EncodeToString(root),
		}
		text, _ := json.MarshalIndent(m, "", "  ")
		if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var m messages
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	raw := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	r, err := handoff.ParseRequest(raw(m.Request))
	if err != nil || r.Store != store || r.Generation != 7 || r.Asker != "web-1" || r.Digest != record.DigestOf([]byte("record")) {
		t.Fatalf("%+v, %v", r, err)
	}
	a := handoff.AskedBy(t, raw(m.Request), raw(m.Seed), raw(m.Scalar))
	got, from, err := a.Open(raw(m.Answer))
	if err != nil || from != "web-0" || hex.EncodeToString(got) != m.Root {
		t.Errorf("%q, %v", from, err)
	}
	a = handoff.AskedBy(t, raw(m.Request), raw(m.Seed), raw(m.Scalar))
	if _, from, err := a.Open(raw(m.Refusal)); err != error(handoff.Older) || from != "web-0" {
		t.Errorf("%q, %v", from, err)
	}
	if want := 2 + 16 + 8 + 32 + 32 + 1 + 5 + hpke.PublicKeySize; len(m.Request) != 2*want {
		t.Errorf("a request of %d bytes, want %d", len(m.Request)/2, want)
	}
}

func FuzzParse(f *testing.F) {
	a := asking(f, "asker")
	f.Add(a.Bytes)
	f.Add(answerTo(f, a.Bytes, "other"))
	f.Add(handoff.Older.Bytes("other"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := handoff.ParseRequest(b); err == nil {
			if answer, err := r.Answer("other", root); err == nil && len(answer) > handoff.MaxAnswer {
				t.Error("an answer of more than MaxAnswer")
			}
		}
		a := asking(t, "asker")
		if root, _, err := a.Open(b); err == nil || root != nil {
			t.Errorf("%x opened", b)
		}
	})
}
