package keyring_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/keyring"
)

var makeGolden = flag.String("make-golden", "", "write new goldens to this file of testdata, which must not exist")

// goldens are one file of testdata: a keyring and what it encrypted. Files are
// added when the format grows, and never changed.
type goldens struct {
	Store    string
	Terms    []goldenTerm
	Messages []golden
	Streams  []golden
	Derived  []goldenKey
}

type goldenTerm struct {
	Number     uint32
	Key, KeyID hexBytes
}

type golden struct {
	Term       uint32
	AAD        hexBytes
	Plaintext  hexBytes
	Times      int      `json:",omitempty"` // how often Plaintext is repeated, if not once
	Ciphertext hexBytes `json:",omitempty"`
	File       string   `json:",omitempty"` // what has the ciphertext, if it is long
	Text       string   `json:",omitempty"`
}

func (g *golden) plaintext() []byte { return bytes.Repeat(g.Plaintext, max(1, g.Times)) }

func (g *golden) ciphertext(t *testing.T) []byte {
	if g.File == "" {
		return g.Ciphertext
	}
	b, err := os.ReadFile("testdata/" + g.File)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type goldenKey struct {
	Term    uint32
	Purpose string
	Key     hexBytes
}

type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

func (g *goldens) keyring(t *testing.T) *keyring.Keyring {
	t.Helper()
	var ts []keyring.Term
	for _, term := range g.Terms {
		ts = append(ts, keyring.Term{Number: term.Number, Key: keyring.Key(term.Key), Active: term.Number == 2})
	}
	o := keyring.New()
	if err := o.Install(g.Store, ts); err != nil {
		t.Fatal(err)
	}
	return o.Keyring()
}

func (g *goldens) key(t *testing.T, number uint32) keyring.Key {
	for _, term := range g.Terms {
		if term.Number == number {
			return keyring.Key(term.Key)
		}
	}
	t.Fatalf("no term %d", number)
	panic("unreachable")
}

func TestGoldens(t *testing.T) {
	if *makeGolden != "" {
		writeGoldens(t, *makeGolden)
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	opened, read := 0, 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".json") {
			continue
		}
		t.Run(file.Name(), func(t *testing.T) {
			text, err := os.ReadFile("testdata/" + file.Name())
			if err != nil {
				t.Fatal(err)
			}
			var g goldens
			decoder := json.NewDecoder(bytes.NewReader(text))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&g); err != nil {
				t.Fatal(err)
			}
			opened += g.open(t)
			read++
		})
	}
	if read == 0 {
		t.Error("no goldens")
	}
	t.Logf("GUARANTEE 10 keyring-goldens: files=%d opened=%d", read, opened)
}

// open opens everything in the file, and returns how much that was.
func (g *goldens) open(t *testing.T) (opened int) {
	k := g.keyring(t)
	for i, info := range k.Terms() {
		if diff := cmp.Diff(g.Terms[i].KeyID, hexBytes(info.KeyID[:])); diff != "" {
			t.Errorf("key id of term %d: %s", info.Number, diff)
		}
		opened++
	}
	for i, m := range g.Messages {
		if m.Text != "" {
			got, err := k.DecryptString(m.Text, m.AAD)
			if err != nil || got != string(m.Plaintext) {
				t.Errorf("text %d: %q, %v", i, got, err)
			}
			if ref := refText(m.Ciphertext); ref != m.Text {
				t.Errorf("text %d: the reference writes %s", i, ref)
			}
		}
		got, err := k.Decrypt(nil, m.Ciphertext, m.AAD)
		if err != nil || !bytes.Equal(got, m.Plaintext) {
			t.Errorf("message %d: %x, %v", i, got, err)
		}
		wantTerm(t, m.Ciphertext, m.Term)
		opened++
	}
	for i, s := range g.Streams {
		stream := s.ciphertext(t)
		if got := readStream(t, k, stream, string(s.AAD)); !bytes.Equal(got, s.plaintext()) {
			t.Errorf("stream %d: read %d bytes", i, len(got))
		}
		wantTerm(t, stream, s.Term)
		opened++
	}
	for _, d := range g.Derived {
		got, err := k.Derive(d.Term, d.Purpose, len(d.Key))
		if err != nil || !bytes.Equal(got, d.Key) {
			t.Errorf("derived for %q: %x, %v", d.Purpose, got, err)
		}
		opened++
	}
	return opened
}

// TestGoldensAgain makes every golden again from FORMAT.md alone.
func TestGoldensAgain(t *testing.T) {
	text, err := os.ReadFile("testdata/v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var g goldens
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	for _, term := range g.Terms {
		if got := refKeyID(t, keyring.Key(term.Key), g.Store, term.Number); !bytes.Equal(got, term.KeyID) {
			t.Errorf("key id of term %d: %x", term.Number, got)
		}
	}
	for _, d := range g.Derived {
		if got := refHKDF(t, g.key(t, d.Term), nil, "derive", g.Store, d.Term, d.Purpose, len(d.Key)); !bytes.Equal(got, d.Key) {
			t.Errorf("derived for %q: %x", d.Purpose, got)
		}
	}
	for i, m := range g.Messages {
		got := refMessage(t, g.key(t, m.Term), g.Store, m.Term, m.Ciphertext[9:25], m.Ciphertext[41:53], m.Plaintext, m.AAD)
		if !bytes.Equal(got, m.Ciphertext) {
			t.Errorf("message %d: %x", i, got)
		}
	}
	for i, s := range g.Streams {
		stream := s.ciphertext(t)
		got := refStream(t, g.key(t, s.Term), g.Store, s.Term, stream[9:25], nonces(stream), s.plaintext(), s.AAD)
		if !bytes.Equal(got, stream) {
			t.Errorf("stream %d is another", i)
		}
	}
}

// TestFormatVector compares the vector that FORMAT.md prints.
func TestFormatVector(t *testing.T) {
	page, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	g := loadGoldens(t)
	c := g.Messages[0].Ciphertext
	for name, value := range map[string][]byte{
		"key": g.Terms[0].Key, "version": c[:1], "term": c[1:5], "key id": c[5:9], "salt": c[9:25],
		"commitment": c[25:41], "nonce": c[41:53], "tag": c[53:],
	} {
		if line := fmt.Sprintf("\n%-17s %x\n", name, value); !bytes.Contains(page, []byte(line)) {
			t.Errorf("FORMAT.md has not the line %q", line)
		}
	}
}

// nonces returns those of a stream's chunks.
func nonces(stream []byte) (nonces [][]byte) {
	for at := keyring.HeaderSize; at < len(stream); at += sealedChunk {
		nonces = append(nonces, stream[at:at+12])
	}
	return nonces
}

func writeGoldens(t *testing.T, name string) {
	t.Helper()
	g := &goldens{Store: store}
	for n := uint32(1); n <= 2; n++ {
		key := testKey(n)
		g.Terms = append(g.Terms, goldenTerm{n, key[:], refKeyID(t, key, store, n)})
	}
	ts := terms(2, 2)
	for term := uint32(1); term <= 2; term++ {
		k := newOwner(t, terms(term, 2)).Keyring()
		for _, size := range []int{0, 1, 16, 17, 100} {
			m := golden{Term: term, AAD: keyring.AAD("users", "token", fmt.Sprint(size)), Plaintext: pattern(size)}
			m.Ciphertext = encrypt(t, k, string(m.Plaintext), string(m.AAD))
			m.Text = refText(m.Ciphertext)
			g.Messages = append(g.Messages, m)
			s := golden{Term: term, AAD: m.AAD, Plaintext: m.Plaintext}
			s.Ciphertext = writeStream(t, k, s.Plaintext, string(s.AAD))
			g.Streams = append(g.Streams, s)
		}
	}
	k := newOwner(t, ts).Keyring()
	long := golden{Term: 2, Plaintext: pattern(257), Times: 256, File: strings.TrimSuffix(name, ".json") + "-stream.bin"}
	create(t, long.File, writeStream(t, k, long.plaintext(), ""))
	g.Streams = append(g.Streams, long)
	for _, purpose := range []string{"", "cookies"} {
		key, err := k.Derive(1, purpose, 48)
		if err != nil {
			t.Fatal(err)
		}
		g.Derived = append(g.Derived, goldenKey{1, purpose, key})
	}
	text, err := json.MarshalIndent(g, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	create(t, name, append(text, '\n'))
}

func create(t *testing.T, name string, content []byte) {
	t.Helper()
	f, err := os.OpenFile("testdata/"+name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
