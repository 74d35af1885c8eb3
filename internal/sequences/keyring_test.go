package sequences_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sealwright/sealwright/keyring"
)

// TestKeyring makes random sequences of what can be asked of a keyring and of
// its owner. The oracle is a map of what was encrypted.
func TestKeyring(t *testing.T) {
	quick(t, "60", "60")
	sequences, steps, decrypted, refused := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := &ring{owner: keyring.New(), terms: map[uint32]bool{}}
		w.keys = w.owner.Keyring()
		sequences++
		t.Repeat(map[string]func(*rapid.T){
			"": w.check,
			"step": func(t *rapid.T) {
				steps++
				if !w.open_ && !one(t, 3, "stay sealed") {
					w.open(t)
					return
				}
				pick(t, []func(*rapid.T){
					w.rotate, w.retire, w.seal, w.open, w.encrypt, w.encrypt, w.encryptString, w.stream, w.rewrap, w.rewrap, w.damage, w.damage,
				}, "step")(t)
			},
		})
		decrypted, refused = decrypted+w.decrypted, refused+w.refused
	})
	t.Logf("GUARANTEE 19 keyring-sequences: sequences=%d steps=%d decrypted=%d refused=%d wrong=0", sequences, steps, decrypted, refused)
}

// A ring is a keyring and its oracle.
type ring struct {
	owner              *keyring.Owner
	keys               *keyring.Keyring
	open_              bool
	terms              map[uint32]bool
	last, active       uint32
	items              []item
	decrypted, refused int
}

type item struct {
	kind       string // "bytes", "text", "stream"
	term       uint32
	plain, aad []byte
	sealed     []byte
}

// install gives the keyring the terms that the oracle has.
func (w *ring) install(t *rapid.T) {
	var terms []keyring.Term
	for _, n := range slices.Sorted(maps.Keys(w.terms)) {
		term := keyring.Term{Number: n, Active: n == w.active, Created: time.Unix(1e9, 0)}
		binary.BigEndian.PutUint32(term.Key[:], n+1)
		terms = append(terms, term)
	}
	if err := w.owner.Install("a store", terms); err != nil {
		t.Fatal(err)
	}
	w.open_ = true
}

func (w *ring) rotate(t *rapid.T) {
	if w.last == 20 {
		t.Skip("enough")
	}
	w.last++
	w.terms[w.last], w.active = true, w.last
	if w.open_ {
		w.install(t)
	}
}

func (w *ring) retire(t *rapid.T) {
	if len(w.terms) < 2 {
		t.Skip("the only one")
	}
	n := pick(t, slices.Sorted(maps.Keys(w.terms)), "term")
	if n == w.active {
		t.Skip("the active one")
	}
	delete(w.terms, n)
	if w.open_ {
		w.install(t)
	}
}

func (w *ring) seal(*rapid.T) {
	if *plant != "unsealed" {
		w.owner.Seal()
	}
	w.open_ = false
}

func (w *ring) open(t *rapid.T) {
	if len(w.terms) == 0 {
		w.rotate(t)
	}
	w.install(t)
}

func blob(t *rapid.T, label string) []byte {
	return rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, label)
}

// put checks that something was encrypted if and only if the keyring is open.
func (w *ring) put(t *rapid.T, it item, err error) {
	if !w.open_ {
		if !errors.Is(err, keyring.ErrSealed) {
			t.Fatalf("sealed, and yet %x, %v", it.sealed, err)
		}
		w.refused++
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	it.term = w.active
	w.items = append(w.items, it)
}

func (w *ring) encrypt(t *rapid.T) {
	plain, aad := blob(t, "plaintext"), blob(t, "aad")
	sealed, err := w.keys.Encrypt(nil, plain, aad)
	w.put(t, item{kind: "bytes", plain: plain, aad: aad, sealed: sealed}, err)
}

func (w *ring) encryptString(t *rapid.T) {
	plain, aad := blob(t, "plaintext"), blob(t, "aad")
	text, err := w.keys.EncryptString(string(plain), aad)
	w.put(t, item{kind: "text", plain: plain, aad: aad, sealed: []byte(text)}, err)
}

// stream writes pieces of any length, up to more than two chunks.
func (w *ring) stream(t *rapid.T) {
	aad := blob(t, "aad")
	var out bytes.Buffer
	sw, err := w.keys.NewWriter(&out, aad)
	if err != nil {
		w.put(t, item{}, err)
		return
	}
	var plain []byte
	for range rapid.IntRange(0, 4).Draw(t, "pieces") {
		piece := bytes.Repeat([]byte{byte(len(plain))}, rapid.IntRange(0, 50_000).Draw(t, "length"))
		if _, err := sw.Write(piece); err != nil {
			t.Fatal(err)
		}
		plain = append(plain, piece...)
	}
	err = sw.Close()
	w.put(t, item{kind: "stream", plain: plain, aad: aad, sealed: out.Bytes()}, err)
}

func (w *ring) decrypt(it item) ([]byte, error) {
	switch it.kind {
	case "text":
		s, err := w.keys.DecryptString(string(it.sealed), it.aad)
		return []byte(s), err
	case "stream":
		r, err := w.keys.NewReader(bytes.NewReader(it.sealed), it.aad)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	}
	return w.keys.Decrypt(nil, it.sealed, it.aad)
}

func (w *ring) rewrap(t *rapid.T) {
	if len(w.items) == 0 {
		t.Skip("nothing")
	}
	i := index(len(w.items)).Draw(t, "item")
	it := &w.items[i]
	var out []byte
	var changed bool
	var err error
	switch it.kind {
	case "stream":
		t.Skip("streams are copied")
	case "text":
		var text string
		text, changed, err = w.keys.RewrapString(string(it.sealed), it.aad)
		out = []byte(text)
	default:
		out, changed, err = w.keys.Rewrap(nil, it.sealed, it.aad)
	}
	if want := w.why(*it); want != nil {
		if !errors.Is(err, want) {
			t.Fatalf("rewrap: %v, want %v", err, want)
		}
		w.refused++
		return
	}
	if err != nil || changed != (it.term != w.active) || !changed && !bytes.Equal(out, it.sealed) {
		t.Fatalf("rewrap from term %d to %d: changed %t, %v", it.term, w.active, changed, err)
	}
	it.sealed, it.term = out, w.active
}

// why is the error of decrypting an item, or nil if it must come back.
func (w *ring) why(it item) error {
	switch {
	case !w.open_:
		return keyring.ErrSealed
	case !w.terms[it.term]:
		return keyring.ErrUnknownTerm
	}
	return nil
}

// damage changes a byte, cuts the end off, or takes other associated data.
func (w *ring) damage(t *rapid.T) {
	if len(w.items) == 0 {
		t.Skip("nothing")
	}
	it := w.items[index(len(w.items)).Draw(t, "item")]
	good := it.plain
	it.sealed = bytes.Clone(it.sealed)
	switch index(3).Draw(t, "damage") {
	case 0:
		at := rapid.IntRange(0, len(it.sealed)-1).Draw(t, "at")
		it.sealed[at] ^= rapid.ByteRange(1, 255).Draw(t, "by")
	case 1:
		it.sealed = it.sealed[:rapid.IntRange(0, len(it.sealed)-1).Draw(t, "length")]
	default:
		it.aad = append(bytes.Clone(it.aad), 'x')
	}
	got, err := w.decrypt(it)
	if err == nil {
		t.Fatalf("a damaged %s opens as %q", it.kind, got)
	}
	// A stream gives out the chunks before the damage, and nothing else.
	if it.kind != "stream" && len(got) > 0 || !bytes.HasPrefix(good, got) {
		t.Fatalf("a damaged %s gives out %q, %v", it.kind, got, err)
	}
	w.refused++
}

// check decrypts everything that was ever encrypted.
func (w *ring) check(t *rapid.T) {
	for i, it := range w.items {
		got, err := w.decrypt(it)
		if want := w.why(it); want != nil {
			if !errors.Is(err, want) || len(got) > 0 {
				t.Fatalf("item %d of term %d: %q, %v, want %v", i, it.term, got, err, want)
			}
			w.refused++
			continue
		}
		if err != nil || !bytes.Equal(got, it.plain) {
			t.Fatalf("item %d of term %d: %s is %q, want %q: %v", i, it.term, it.kind, got, it.plain, err)
		}
		w.decrypted++
	}
	var want []string
	if w.open_ {
		for _, n := range slices.Sorted(maps.Keys(w.terms)) {
			want = append(want, fmt.Sprint(n, n == w.active))
		}
	}
	var have []string
	for _, info := range w.keys.Terms() {
		have = append(have, fmt.Sprint(info.Number, info.Active))
	}
	if !slices.Equal(have, want) {
		t.Fatalf("the keyring has the terms %v, want %v", have, want)
	}
}
