package custody

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	stdhpke "crypto/hpke"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/hpke"
	"github.com/sealwright/sealwright/internal/testlevel"
)

type slotKeyGolden struct {
	Seed, PublicKey []byte
	Place           string // store/slot/root, as WrapContext takes them
	Wrap, Root      []byte
}

var goldenPlace = WrapContext("00112233445566778899aabbccddeeff", 7, 3)

func TestSlotKeyGoldens(t *testing.T) {
	path := filepath.Join("testdata", "slotkeys.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var goldens []slotKeyGolden
	if err := json.Unmarshal(data, &goldens); err != nil {
		t.Fatal(err)
	}
	for _, g := range goldens {
		key, err := SlotKey(g.Seed)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(g.PublicKey, key.PublicKey()); d != "" {
			t.Errorf("seed %x has another public key (-golden +got):\n%s", g.Seed[:1], d)
		}
		root, err := unwrapRoot(key, goldenPlace, g.Wrap)
		if err != nil || !bytes.Equal(root, g.Root) {
			t.Errorf("seed %x does not open its golden: %v", g.Seed[:1], err)
		}
	}
	if len(goldens) != 3 {
		t.Errorf("%d goldens", len(goldens))
	}
}

// TestSlotKeyIsWhatTheDocumentSays derives the component keys anew, as
// FORMAT.md has it.
func TestSlotKeyIsWhatTheDocumentSays(t *testing.T) {
	seed := []byte("thirty-two bytes of a slot's key")
	d, err := hkdf.Key(sha256.New, seed, nil, "sealwright/slot/v1 ml-kem-768", 64)
	if err != nil {
		t.Fatal(err)
	}
	pq, err := mlkem.NewDecapsulationKey768(d)
	if err != nil {
		t.Fatal(err)
	}
	scalar, err := hkdf.Key(sha256.New, seed, nil, "sealwright/slot/v1 p-256 0", 32)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		t.Fatal(err)
	}
	want := append(pq.EncapsulationKey().Bytes(), p.PublicKey().Bytes()...)
	key, err := SlotKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	if got := key.PublicKey(); !bytes.Equal(got, want) || len(got) != 1184+65 {
		t.Error("the public key is not that of the two component keys")
	}
	// What any other HPKE makes opens.
	kem := stdhpke.MLKEM768P256()
	if id := kem.ID(); id != 0x0050 {
		t.Errorf("the KEM is %#04x, and FORMAT.md says 0x0050", id)
	}
	public, err := kem.NewPublicKey(key.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	enc, sender, err := stdhpke.NewSender(public, stdhpke.HKDFSHA256(), stdhpke.ExportOnly(), goldenPlace)
	if err != nil {
		t.Fatal(err)
	}
	exported, err := sender.Export("sealwright/root/v1", 32)
	if err != nil {
		t.Fatal(err)
	}
	box, err := aead.SealBox(exported, "sealwright/root/v1", bytes.Repeat([]byte{9}, 32), goldenPlace)
	if err != nil {
		t.Fatal(err)
	}
	if root, err := unwrapRoot(key, goldenPlace, append(enc, box...)); err != nil || root[0] != 9 {
		t.Errorf("a wrap made by the document does not open: %v", err)
	}
}

func TestSlotKeySize(t *testing.T) {
	for _, n := range []int{0, 31, 33, 64} {
		if _, err := SlotKey(make([]byte, n)); err == nil || !strings.Contains(err.Error(), "seed has") {
			t.Errorf("a seed of %d bytes: %v", n, err)
		}
	}
}

// TestWrapIsBoundToItsPlace opens wraps with the wrong key, in the wrong place,
// and changed.
func TestWrapIsBoundToItsPlace(t *testing.T) {
	seed, other := RandomKey(), RandomKey()
	key, err := SlotKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := SlotKey(other)
	if err != nil {
		t.Fatal(err)
	}
	root := RandomKey()
	wrap, err := encryptRoot(key.PublicKey(), goldenPlace, root)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unwrapRoot(key, goldenPlace, wrap); err != nil || !bytes.Equal(got, root) {
		t.Fatalf("the wrap does not open: %v", err)
	}
	again, err := encryptRoot(key.PublicKey(), goldenPlace, root)
	if err != nil || bytes.Equal(again[:EncSize], wrap[:EncSize]) {
		t.Error("two wraps have one encapsulation")
	}

	refused := func(name string, key *hpke.PrivateKey, place, wrap []byte) {
		t.Helper()
		got, err := unwrapRoot(key, place, wrap)
		if got != nil || !errors.Is(err, aead.ErrWrongKey) && !errors.Is(err, aead.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	const store = "00112233445566778899aabbccddeeff"
	refused("another slot's key", otherKey, goldenPlace, wrap)
	refused("another store", key, WrapContext("ff112233445566778899aabbccddeeff", 7, 3), wrap)
	refused("another slot", key, WrapContext(store, 8, 3), wrap)
	refused("another root key", key, WrapContext(store, 7, 4), wrap)
	for i := range wrap {
		changed := bytes.Clone(wrap)
		changed[i] ^= 1 << (i % 8)
		if i < EncSize && testlevel.Whole() || i%16 == 0 || i > EncSize {
			refused("a changed bit", key, goldenPlace, changed)
		}
	}
	for _, n := range []int{0, 1, EncSize - 1, EncSize, EncSize + aead.BoxOverhead, len(wrap) - 1} {
		refused("a truncated wrap", key, goldenPlace, wrap[:n])
	}
	refused("a longer wrap", key, goldenPlace, append(bytes.Clone(wrap), 0))
	for _, n := range []int{16, 31, 33} {
		wrap, err := encryptRoot(key.PublicKey(), goldenPlace, make([]byte, n))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unwrapRoot(key, goldenPlace, wrap); !errors.Is(err, aead.ErrCorrupt) || !strings.Contains(err.Error(), "the root key has") {
			t.Errorf("a root key of %d bytes: %v", n, err)
		}
	}
}

func TestWrapForNoKey(t *testing.T) {
	short := make([]byte, 40)
	rand.Read(short)
	key, err := SlotKey(RandomKey())
	if err != nil {
		t.Fatal(err)
	}
	offCurve := key.PublicKey()
	offCurve[len(offCurve)-1] ^= 1
	for name, publicKey := range map[string][]byte{"none": nil, "short": short, "off the curve": offCurve} {
		if _, err := encryptRoot(publicKey, goldenPlace, RandomKey()); err == nil || !strings.Contains(err.Error(), "seal: public key of a slot") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPlace: no two places are encoded alike.
func TestPlace(t *testing.T) {
	seen := map[string]string{}
	for name, parts := range map[string][]any{
		"ab, c":      {"ab", "c"},
		"a, bc":      {"a", "bc"},
		"abc":        {"abc"},
		"abc, empty": {"abc", ""},
		"empty, abc": {"", "abc"},
		"1, 2":       {uint32(1), uint32(2)},
		"2, 1":       {uint32(2), uint32(1)},
		"1":          {1},
		"text 1":     {"\x00\x00\x00\x00\x00\x00\x00\x01"},
	} {
		p := string(encode(parts...))
		if other, ok := seen[p]; ok {
			t.Errorf("%q and %q are encoded alike", name, other)
		}
		seen[p] = name
	}
	want := "\x00\x00\x00\x02ab" + "\x00\x00\x00\x00\x00\x00\x00\x07" + "\x00\x00\x00\x00\x00\x00\x00\x03" + "\x00\x00\x00\x00\x00\x00\x00\xff"
	if got := string(encode("ab", 7, uint32(3), byte(255))); got != want {
		t.Errorf("%q", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a place of a type that has no encoding")
		}
	}()
	encode(1.5)
}
