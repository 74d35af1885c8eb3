package keyring_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/keyring"
)

const store = "0123456789abcdef0123456789abcdef"

// terms returns terms 1 to active, of which the last is active, and then
// passive ones up to last. The key of a number is the same every time.
func terms(active, last uint32) []keyring.Term {
	var ts []keyring.Term
	for n := uint32(1); n <= last; n++ {
		ts = append(ts, keyring.Term{Number: n, Key: testKey(n), Active: n == active})
	}
	return ts
}

func testKey(number uint32) (k keyring.Key) {
	for i := range k {
		k[i] = byte(number) + byte(i)*7 + 1
	}
	return k
}

func newOwner(t testing.TB, ts []keyring.Term) *keyring.Owner {
	t.Helper()
	o := keyring.New()
	install(t, o, ts)
	return o
}

func install(t testing.TB, o *keyring.Owner, ts []keyring.Term) {
	t.Helper()
	if err := o.Install(store, ts); err != nil {
		t.Fatal(err)
	}
}

func encrypt(t testing.TB, k *keyring.Keyring, plaintext, aad string) []byte {
	t.Helper()
	out, err := k.Encrypt(nil, []byte(plaintext), []byte(aad))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantDecrypt(t testing.TB, k *keyring.Keyring, ciphertext []byte, aad, want string) {
	t.Helper()
	got, err := k.Decrypt(nil, ciphertext, []byte(aad))
	if err != nil || string(got) != want {
		t.Errorf("Decrypt = %q, %v; want %q", got, err, want)
	}
}

func TestRoundTrip(t *testing.T) {
	k := newOwner(t, terms(1, 1)).Keyring()
	for _, size := range []int{0, 1, 16, 1000, 1 << 14, 1 << 20} {
		plaintext := bytes.Repeat([]byte("x"), size)
		ciphertext, err := k.Encrypt([]byte("head"), plaintext, []byte("aad"))
		if err != nil || len(ciphertext) != 4+size+keyring.Overhead || string(ciphertext[:4]) != "head" {
			t.Fatalf("size %d: %d bytes, %v", size, len(ciphertext), err)
		}
		for range 2 { // uncached and cached
			got, err := k.Decrypt([]byte("head"), ciphertext[4:], []byte("aad"))
			if err != nil || string(got[:4]) != "head" || !bytes.Equal(got[4:], plaintext) {
				t.Fatalf("size %d: decrypted %d bytes, %v", size, len(got), err)
			}
		}
	}
	if keyring.Overhead != 69 {
		t.Errorf("Overhead is %d", keyring.Overhead)
	}
}

func TestRotate(t *testing.T) {
	o := newOwner(t, terms(1, 1))
	k := o.Keyring()
	first := encrypt(t, k, "one", "aad")
	wantTerm(t, first, 1)

	install(t, o, terms(1, 2)) // term 2 is published, passive
	wantTerm(t, encrypt(t, k, "", ""), 1)
	other := newOwner(t, terms(2, 2)).Keyring() // a replica that activated it
	second := encrypt(t, other, "two", "aad")
	wantTerm(t, second, 2)
	wantDecrypt(t, k, second, "aad", "two")

	install(t, o, terms(2, 2))
	wantTerm(t, encrypt(t, k, "", ""), 2)
	wantDecrypt(t, k, first, "aad", "one")

	install(t, o, terms(2, 2)[1:]) // term 1 is retired
	_, err := k.Decrypt(nil, first, []byte("aad"))
	wantError(t, err, keyring.ErrUnknownTerm, "keyring: decrypt: term 1: unknown term: it was retired, or the keyring is older than the data")
	wantDecrypt(t, k, second, "aad", "two")
}

func wantTerm(t testing.TB, ciphertext []byte, want uint32) {
	t.Helper()
	if got, err := keyring.TermOf(ciphertext); err != nil || got != want {
		t.Errorf("TermOf = %d, %v; want %d", got, err, want)
	}
}

func wantError(t testing.TB, err, kind error, text string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error %v is not %v", err, kind)
	} else if text != "" && err.Error() != text {
		t.Errorf("error says\n%q, want\n%q", err, text)
	}
}

func TestErrors(t *testing.T) {
	k := newOwner(t, terms(3, 4)).Keyring()
	good := encrypt(t, k, "plaintext", "aad")
	fork := keyring.New()
	install(t, fork, []keyring.Term{{Number: 3, Key: testKey(30), Active: true}})
	forked := encrypt(t, fork.Keyring(), "plaintext", "aad")
	younger := encrypt(t, newOwner(t, terms(9, 9)).Keyring(), "plaintext", "aad")
	altered := bytes.Clone(good)
	altered[len(altered)-1] ^= 1
	var stream bytes.Buffer
	if _, err := k.NewWriter(&stream, nil); err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		ciphertext []byte
		kind       error
		term       uint32
		text       string
	}{
		"empty":           {nil, keyring.ErrCorrupt, 0, "keyring: decrypt: corrupt: the data was altered, or its associated data is other"},
		"short":           {good[:68], keyring.ErrCorrupt, 0, "keyring: decrypt: corrupt: the data was altered, or its associated data is other"},
		"altered":         {altered, keyring.ErrCorrupt, 3, "keyring: decrypt: term 3: corrupt: the data was altered, or its associated data is other"},
		"fork":            {forked, keyring.ErrWrongKey, 3, "keyring: decrypt: term 3: wrong key: the data is another store's, or a fork's"},
		"younger":         {younger, keyring.ErrUnknownTerm, 9, "keyring: decrypt: term 9: unknown term: it was retired, or the keyring is older than the data"},
		"not encrypted":   {[]byte("plain"), keyring.ErrFormat, 0, "keyring: decrypt: unknown format: not encrypted, or by a newer version"},
		"stream":          {stream.Bytes(), keyring.ErrFormat, 0, "keyring: decrypt: unknown format: not encrypted, or by a newer version"},
		"younger version": {append([]byte{9}, good[1:]...), keyring.ErrFormat, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				got, err := k.Decrypt(nil, c.ciphertext, []byte("aad"))
				wantError(t, err, c.kind, c.text)
				var e *keyring.Error
				if got != nil || !errors.As(err, &e) || e.Term != c.term || e.Op != "decrypt" {
					t.Errorf("got %x, %#v", got, e)
				}
				_, _, err = k.Rewrap(nil, c.ciphertext, []byte("aad"))
				if name == "altered" {
					c.kind = nil // under the active term: not looked at
				}
				if !errors.Is(err, c.kind) {
					t.Errorf("Rewrap: %v", err)
				}
				if name == "altered" {
					c.kind = keyring.ErrCorrupt
				}
			}
		})
	}
	for _, aad := range []string{"", "aae", "aad "} {
		_, err := k.Decrypt(nil, good, []byte(aad))
		wantError(t, err, keyring.ErrCorrupt, "")
	}
}

func TestSealed(t *testing.T) {
	o := keyring.New()
	k := o.Keyring()
	ciphertext := encrypt(t, newOwner(t, terms(1, 1)).Keyring(), "plaintext", "aad")
	text := "sw1.AQ"
	sealed := func() {
		t.Helper()
		for name, f := range map[string]func() error{
			"encrypt":              func() error { _, err := k.Encrypt(nil, nil, nil); return err },
			"decrypt":              func() error { _, err := k.Decrypt(nil, ciphertext, nil); return err },
			"rewrap":               func() error { _, _, err := k.Rewrap(nil, ciphertext, nil); return err },
			"encrypt ":             func() error { _, err := k.EncryptString("", nil); return err },
			"decrypt ":             func() error { _, err := k.DecryptString(text, nil); return err },
			"rewrap ":              func() error { _, _, err := k.RewrapString(text, nil); return err },
			"derive":               func() error { _, err := k.Derive(1, "", 1); return err },
			"read the active term": func() error { _, err := k.Active(); return err },
			"usage":                func() error { _, err := o.Usage(); return err },
			"stream":               func() error { _, err := k.NewWriter(&bytes.Buffer{}, nil); return err },
			"stream ": func() error {
				_, err := k.NewReader(bytes.NewReader(append([]byte{2}, ciphertext[1:]...)), nil)
				return err
			},
		} {
			wantError(t, f(), keyring.ErrSealed, "keyring: "+string(bytes.TrimSpace([]byte(name)))+": sealed: unseal the server first")
		}
		if got := k.Terms(); got != nil {
			t.Errorf("Terms = %v", got)
		}
	}
	sealed()
	install(t, o, terms(1, 1))
	wantDecrypt(t, k, ciphertext, "aad", "plaintext")
	o.Seal()
	sealed()
	o.Seal() // again
	install(t, o, terms(1, 1))
	wantDecrypt(t, k, ciphertext, "aad", "plaintext")
	if o.Keyring() != k {
		t.Error("the keyring is another one")
	}
	var zero keyring.Keyring
	_, err := zero.Encrypt(nil, nil, nil)
	wantError(t, err, keyring.ErrSealed, "")
}

func TestRewrap(t *testing.T) {
	o := newOwner(t, terms(1, 1))
	k := o.Keyring()
	old := encrypt(t, k, "plaintext", "aad")
	install(t, o, terms(2, 3))
	young := encrypt(t, newOwner(t, terms(3, 3)).Keyring(), "young", "aad")

	out, changed, err := k.Rewrap([]byte("head"), old, []byte("aad"))
	if err != nil || !changed || string(out[:4]) != "head" || len(out) != 4+len(old) {
		t.Fatalf("Rewrap = %d bytes, %v, %v", len(out), changed, err)
	}
	wantTerm(t, out[4:], 2)
	wantDecrypt(t, k, out[4:], "aad", "plaintext")

	for _, c := range [][]byte{out[4:], young} {
		same, changed, err := k.Rewrap([]byte("head"), c, []byte("aad"))
		if err != nil || changed || !bytes.Equal(same, append([]byte("head"), c...)) {
			t.Errorf("Rewrap of the active term or a younger = %x, %v, %v", same, changed, err)
		}
	}

	inPlace := bytes.Clone(old)
	out, changed, err = k.Rewrap(inPlace[:0], inPlace, []byte("aad"))
	if err != nil || !changed || &out[0] != &inPlace[0] {
		t.Fatalf("Rewrap in place: %v, %v", changed, err)
	}
	wantDecrypt(t, k, out, "aad", "plaintext")

	_, _, err = k.Rewrap(nil, old, []byte("other"))
	wantError(t, err, keyring.ErrCorrupt, "keyring: rewrap: term 1: corrupt: the data was altered, or its associated data is other")
}

// TestOverlap slides plaintext, associated data and destination over one array.
func TestOverlap(t *testing.T) {
	o := newOwner(t, terms(1, 1))
	k := o.Keyring()
	const n = 40
	message := bytes.Repeat([]byte("abcdefgh"), n/8)
	for at := range 140 {
		for _, aadAt := range []int{0, 40, 60, 80, 110, 150, 200} {
			array := make([]byte, 300)
			dst, src, aad := array[50:50], array[at:at+n], array[aadAt:aadAt+5]
			copy(aad, "extra")
			copy(src, message)
			wantAAD := string(aad)
			got, err := k.Encrypt(dst, src, aad)
			if err != nil || &got[0] != &array[50] {
				t.Fatal(err)
			}
			wantDecrypt(t, k, bytes.Clone(got), wantAAD, string(message))

			if max(at, aadAt) < min(at+n+keyring.Overhead, aadAt+5) {
				continue // the message cannot contain its own associated data
			}
			array = make([]byte, 300)
			dst, aad = array[50:50], array[aadAt:aadAt+5]
			copy(aad, "extra")
			src = array[at : at+copy(array[at:], encrypt(t, k, string(message), "extra"))]
			got, err = k.Decrypt(dst, src, aad)
			if err != nil || !bytes.Equal(got, message) {
				t.Fatalf("Decrypt of %d, aad at %d: %q, %v", at, aadAt, got, err)
			}
		}
	}
	install(t, o, terms(2, 2))
	first := newOwner(t, terms(1, 1)).Keyring()
	for at := range 140 {
		for _, aadAt := range []int{0, 40, 60, 80, 110, 150, 200} {
			if max(at, aadAt) < min(at+n+keyring.Overhead, aadAt+5) {
				continue
			}
			array := make([]byte, 300)
			aad := array[aadAt : aadAt+5]
			copy(aad, "extra")
			src := array[at : at+copy(array[at:], encrypt(t, first, string(message), "extra"))]
			got, changed, err := k.Rewrap(array[50:50], src, aad)
			if err != nil || !changed {
				t.Fatalf("Rewrap of %d, aad at %d: %v, %v", at, aadAt, changed, err)
			}
			wantDecrypt(t, k, got, "extra", string(message))
		}
	}
}

func TestDerive(t *testing.T) {
	k := newOwner(t, terms(2, 2)).Keyring()
	derive := func(k *keyring.Keyring, term uint32, purpose string, n int) string {
		t.Helper()
		b, err := k.Derive(term, purpose, n)
		if err != nil || len(b) != n {
			t.Fatalf("Derive = %d bytes, %v", len(b), err)
		}
		return string(b)
	}
	a := derive(k, 1, "cookies", 32)
	if b := derive(newOwner(t, terms(1, 1)).Keyring(), 1, "cookies", 64); b[:32] != a {
		t.Error("another process, and length, derives other bytes")
	}
	elsewhere := keyring.New()
	if err := elsewhere.Install("other", terms(1, 1)); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]string{
		"purpose": derive(k, 1, "cookie", 32),
		"term":    derive(k, 2, "cookies", 32),
		"store":   derive(elsewhere.Keyring(), 1, "cookies", 32),
	} {
		if a == b {
			t.Errorf("another %s derives the same", name)
		}
	}
	for _, n := range []int{-1, 0, 8161} {
		_, err := k.Derive(1, "", n)
		wantError(t, err, keyring.ErrLength, "keyring: derive: term 1: length out of range")
	}
	if len(derive(k, 1, "", 8160)) != 8160 {
		t.Error("no 8160 bytes")
	}
	_, err := k.Derive(7, "", 1)
	wantError(t, err, keyring.ErrUnknownTerm, "keyring: derive: term 7: unknown term: it was retired, or the keyring is older than the data")
}

func TestInfo(t *testing.T) {
	created := time.Unix(1700000000, 0)
	ts := terms(2, 3)
	ts[1].Created = created
	slices.Reverse(ts)
	k := newOwner(t, ts).Keyring()
	got := k.Terms()
	active, err := k.Active()
	if err != nil {
		t.Fatal(err)
	}
	want := []keyring.Info{{Number: 1}, {Number: 2, Active: true, Created: created}, {Number: 3}}
	for i := range want {
		if got[i].KeyID == ([4]byte{}) {
			t.Errorf("term %d has no key id", got[i].Number)
		}
		want[i].KeyID = got[i].KeyID
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[1], active); diff != "" {
		t.Error(diff)
	}
}

func TestInstallRefuses(t *testing.T) {
	o := newOwner(t, terms(1, 2))
	ciphertext := encrypt(t, o.Keyring(), "plaintext", "")
	for name, c := range map[string]struct {
		store string
		edit  func(ts []keyring.Term) []keyring.Term
		kind  error
		text  string
	}{
		"no store":       {"", nil, keyring.ErrTerms, "keyring: install: the terms make no keyring: the store id has not 1 to 255 bytes"},
		"long store":     {string(make([]byte, 256)), nil, keyring.ErrTerms, "keyring: install: the terms make no keyring: the store id has not 1 to 255 bytes"},
		"no terms":       {store, func([]keyring.Term) []keyring.Term { return nil }, keyring.ErrTerms, "keyring: install: the terms make no keyring: 0 terms are active, instead of one"},
		"none active":    {store, func(ts []keyring.Term) []keyring.Term { return ts[1:] }, keyring.ErrTerms, "keyring: install: the terms make no keyring: 0 terms are active, instead of one"},
		"two active":     {store, func(ts []keyring.Term) []keyring.Term { ts[1].Active = true; return ts }, keyring.ErrTerms, "keyring: install: the terms make no keyring: 2 terms are active, instead of one"},
		"number 0":       {store, func(ts []keyring.Term) []keyring.Term { ts[1].Number = 0; return ts }, keyring.ErrTerms, "keyring: install: the terms make no keyring: a term has the number 0"},
		"number twice":   {store, func(ts []keyring.Term) []keyring.Term { ts[1].Number = 1; return ts }, keyring.ErrTerms, "keyring: install: term 1: the terms make no keyring: the number is there twice"},
		"no key":         {store, func(ts []keyring.Term) []keyring.Term { clear(ts[1].Key[:]); return ts }, keyring.ErrTerms, "keyring: install: term 2: the terms make no keyring: the key is not there"},
		"another key":    {store, func(ts []keyring.Term) []keyring.Term { ts[1].Key[0]++; return ts }, keyring.ErrWrongKey, "keyring: install: term 2: wrong key: the data is another store's, or a fork's"},
		"all terms gone": {store, func(ts []keyring.Term) []keyring.Term { return []keyring.Term{} }, keyring.ErrTerms, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ts := terms(1, 2)
			if c.edit != nil {
				ts = c.edit(ts)
			}
			wantError(t, o.Install(c.store, ts), c.kind, c.text)
			for i := range ts {
				if ts[i].Key != (keyring.Key{}) {
					t.Error("a key is left in the caller's terms")
				}
			}
			wantDecrypt(t, o.Keyring(), ciphertext, "", "plaintext")
		})
	}

	// A number keeps its key also over a seal, and after it was retired.
	o.Seal()
	ts := terms(1, 2)
	ts[1].Key[0]++
	wantError(t, o.Install(store, ts), keyring.ErrWrongKey, "")
	install(t, o, terms(1, 1))
	ts = terms(1, 2)
	ts[1].Key[0]++
	wantError(t, o.Install(store, ts), keyring.ErrWrongKey, "")
	if err := o.Install("another store", []keyring.Term{{Number: 1, Key: testKey(5), Active: true}}); err != nil {
		t.Error(err)
	}
}

func TestInstallKeepsTheCallersOrder(t *testing.T) {
	ts := terms(2, 3)
	slices.Reverse(ts)
	install(t, keyring.New(), ts)
	if ts[0].Number != 3 || ts[2].Number != 1 {
		t.Errorf("the terms were reordered: %v", ts)
	}
}

func TestAAD(t *testing.T) {
	seen := make(map[string][]string)
	for _, parts := range [][]string{
		{}, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"ab"}, {"a", "b"}, {"b", "a"},
		{"\x00\x00\x00\x00\x00\x00\x00\x00"}, {string(keyring.AAD("a", "b"))}, {string(keyring.AAD("a")), "b"},
	} {
		aad := string(keyring.AAD(parts...))
		if other, ok := seen[aad]; ok {
			t.Errorf("%q and %q give the same", parts, other)
		}
		seen[aad] = parts
	}
	if got := fmt.Sprintf("%x", keyring.AAD("users", "7")); got != "000000000000000575736572730000000000000001"+"37" {
		t.Errorf("AAD = %s", got)
	}
	if keyring.AAD() != nil {
		t.Error("no parts give associated data")
	}
}

func TestKeyIsSilent(t *testing.T) {
	term := keyring.Term{Number: 1, Key: testKey(1)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%t", "%e", "%T"} {
		for _, value := range []any{term.Key, &term.Key, term, &term, []keyring.Term{term}, map[string]keyring.Term{"": term}} {
			text := fmt.Sprintf(verb, value)
			for _, leak := range []string{"1, 8", "1 8 15", "0102", "02090", "0x2", "2 9 16", "2, 9", "\x02\x09"} {
				if bytes.Contains([]byte(text), []byte(leak)) {
					t.Errorf("%s of %T: %q", verb, value, text)
				}
			}
		}
	}
	if _, err := json.Marshal(term); err == nil {
		t.Error("json encodes a key")
	}
	if _, err := term.Key.MarshalText(); err == nil || err.Error() != "keyring: a key is not encoded implicitly" {
		t.Error(err)
	}
	if _, err := term.Key.GobEncode(); err == nil {
		t.Error("gob encodes a key")
	}
	if got := term.Key.LogValue().String(); got != "(redacted)" {
		t.Errorf("LogValue = %q", got)
	}
}

func TestAEAD(t *testing.T) {
	k := newOwner(t, terms(1, 1)).Keyring()
	var tink interface {
		Encrypt(plaintext, associatedData []byte) ([]byte, error)
		Decrypt(ciphertext, associatedData []byte) ([]byte, error)
	} = k.AEAD()
	ciphertext, err := tink.Encrypt([]byte("plaintext"), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	wantDecrypt(t, k, ciphertext, "aad", "plaintext")
	if got, err := tink.Decrypt(ciphertext, []byte("aad")); err != nil || string(got) != "plaintext" {
		t.Errorf("Decrypt = %q, %v", got, err)
	}
}

func TestAllocations(t *testing.T) {
	k := newOwner(t, terms(1, 1)).Keyring()
	plaintext, aad := make([]byte, 1024), []byte("aad")
	rand.Read(plaintext)
	dst := make([]byte, 0, len(plaintext)+keyring.Overhead)
	ciphertext := encrypt(t, k, string(plaintext), "aad")
	for name, f := range map[string]func(){
		"Encrypt": func() { k.Encrypt(dst, plaintext, aad) },
		"Decrypt": func() { k.Decrypt(dst, ciphertext, aad) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
