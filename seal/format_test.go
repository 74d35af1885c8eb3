package seal_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
)

// The goldens of testdata/format1 are stores as they were written once, each
// with what opens it. No golden of a released format is ever edited.

const formatDir = "testdata/format1"

// A golden is a stored record, and what must come out of it.
type golden struct {
	About       string
	Record      string            // the file's name
	Shares      map[string]string // text by "slot path x", of the sets in use
	Stale       []string          // shares of former sets
	Seeds       map[string][]byte // by slot
	Root        []byte
	Format      int `json:",omitempty"` // and the format of its readers; 0: 1
	Generation  uint64
	Slots       []string          // name, state and spec
	Terms       []string          // number and state
	Ciphertexts map[string][]byte // by term; the plaintext is the name, under the name as associated data
}

// fixedKMS is a KMS with a constant key, for goldens alone. It does not depend on
// any package of fakes, which may change.
type fixedKMS struct{ name string }

func (k fixedKMS) aead() *aead.AEAD {
	key := sha256.Sum256([]byte("sealwright golden KMS key " + k.name + ", which protects nothing"))
	a, err := aead.New(key[:])
	if err != nil {
		panic(err)
	}
	return a
}

func (k fixedKMS) Wrap(_ context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	return &kms.Blob{Type: "golden", KeyID: "keys/<" + k.name + ">", Version: "7", Ciphertext: k.aead().Seal(nil, key, b.Bytes())}, nil
}

func (k fixedKMS) Unwrap(_ context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	if blob.Type != "golden" || blob.KeyID != "keys/<"+k.name+">" || blob.Version != "7" {
		return nil, &kms.Error{Op: "unwrap", Type: "golden", KeyID: blob.KeyID, Kind: kms.ErrWrongKey, Err: errors.New("another key")}
	}
	plain, err := k.aead().Open(nil, blob.Ciphertext, b.Bytes())
	if err != nil {
		return nil, &kms.Error{Op: "unwrap", Type: "golden", KeyID: blob.KeyID, Kind: kms.ErrCorrupt, Err: err}
	}
	return plain, nil
}

func (fixedKMS) Authenticates(*kms.Blob) bool { return true }

func goldenKMS() map[string]kms.Wrapper {
	return map[string]kms.Wrapper{"alpha": fixedKMS{"alpha"}, "beta": fixedKMS{"beta"}}
}

func goldenBarrier(t testing.TB, store seal.Store) *seal.Barrier {
	t.Helper()
	b, err := seal.Open(seal.Config{Store: store, KMS: goldenKMS(), Replica: "golden", Retry: kms.Policy{Attempts: 1}})
	must(t, err)
	t.Cleanup(func() { b.Close() })
	return b
}

// A goldenStory is the life of a store up to the moment that is kept.
type goldenStory struct {
	name, about string
	slots       map[string]seal.Spec
	more        func(m *goldenMaker)
}

var goldenStories = []goldenStory{
	{"people", "3 people, 2 of whom open it; the root key and the data key rotated",
		map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2, Custodians: []seal.Custodian{{Name: "Ada"}, {Name: "Bo <b@example.com>"}, {Name: "Cy"}}}},
		func(m *goldenMaker) {
			m.write()
			must(m.t, m.b.Rotate(m.ctx, seal.By{Actor: "ops"}))
			must(m.t, m.b.Admin().RotateRoot(m.ctx, seal.By{Actor: "ops"}))
			m.write()
		}},
	{"kms", "one KMS key; freshly made", map[string]seal.Spec{"auto": seal.KMS{Wrapper: "alpha"}}, (*goldenMaker).write},
	{"tree", "2 of: a KMS key, another one, 3 of 4 people, one person and a KMS key together",
		map[string]seal.Spec{"tree": seal.Threshold{K: 2, Of: []seal.Spec{
			seal.KMS{Wrapper: "alpha"}, seal.Shamir{Shares: 4, Threshold: 3},
			seal.Threshold{K: 2, Of: []seal.Spec{seal.Shamir{Shares: 1, Threshold: 1}, seal.KMS{Wrapper: "beta"}}},
		}}}, (*goldenMaker).write},
	{"everything", "people rekeyed, a KMS slot, a pending tree, a person unproven since init, a term gone, a migration in progress",
		map[string]seal.Spec{"people": seal.Shamir{Shares: 2, Threshold: 2}, "auto": seal.KMS{Wrapper: "alpha"}, "vault-keeper_1": seal.Shamir{Shares: 1, Threshold: 1}},
		func(m *goldenMaker) {
			m.prove("people", m.first)
			m.write()
			must(m.t, m.b.Rotate(m.ctx, seal.By{}))
			m.write()
			must(m.t, m.b.Admin().RetireUncounted(m.ctx, 1, seal.By{}))
			delete(m.g.Ciphertexts, "1")
			d, err := m.b.Admin().Rekey(m.ctx, "people", seal.Shamir{Shares: 1, Threshold: 1}, seal.By{})
			must(m.t, err)
			for name, text := range m.g.Shares {
				if strings.HasPrefix(name, "people") {
					m.g.Stale = append(m.g.Stale, text)
					delete(m.g.Shares, name)
				}
			}
			slices.Sort(m.g.Stale)
			m.keep(d)
			m.prove("people", d)
			m.write()
			spec := seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "alpha"}, seal.KMS{Wrapper: "beta"}}}
			op, err := m.b.Admin().BeginMigration(m.ctx, []seal.Goal{{Name: "clouds", Spec: spec}, {Name: "auto", Drop: true}}, seal.By{Actor: "ops@example.com", Operation: "migration-1"})
			must(m.t, err)
			_, err = m.b.Admin().Add(m.ctx, "clouds", spec, seal.By{Operation: op})
			must(m.t, err)
		}},
	goldenLease,
}

// goldenLease is a store of format 2: it has a lease.
var goldenLease = goldenStory{"lease", "a KMS key; two data keys, and a lease that was kept once",
	map[string]seal.Spec{"auto": seal.KMS{Wrapper: "alpha"}},
	func(m *goldenMaker) {
		m.g.Format = 2
		m.write()
		must(m.t, m.b.Rotate(m.ctx, seal.By{Actor: "ops"}))
		m.write()
		l, err := m.b.Admin().TakeLease(m.ctx, 30*time.Minute, nil, seal.By{Actor: "keeper"})
		must(m.t, err)
		must(m.t, l.Keep(m.ctx))
	}}

// A goldenMaker makes one golden.
type goldenMaker struct {
	t   testing.TB
	ctx context.Context
	b   *seal.Barrier
	g   *golden

	first seal.Delivery // of Init
}

func (m *goldenMaker) keep(d seal.Delivery) {
	for _, set := range d.Sets {
		for _, s := range set.Shares {
			m.g.Shares[fmt.Sprintf("%s %q %d", set.Slot, set.Path, s.X())] = s.Reveal()
		}
	}
}

func (m *goldenMaker) prove(name string, d seal.Delivery) {
	m.t.Helper()
	op, _, err := m.b.Admin().Prove(m.ctx, name, seal.By{})
	must(m.t, err)
	for _, set := range d.Sets {
		for _, s := range set.Shares[:set.Threshold] {
			if set.Slot == name {
				_, err := m.b.Submit(m.ctx, s, seal.By{Operation: op})
				must(m.t, err)
			}
		}
	}
}

// write encrypts a value under the active term.
func (m *goldenMaker) write() {
	m.t.Helper()
	for _, term := range m.b.Status().Terms {
		if term.State != "active" {
			continue
		}
		name := fmt.Sprint(term.Number)
		ct, err := m.b.Keyring().Encrypt(nil, []byte(name), []byte(name))
		must(m.t, err)
		m.g.Ciphertexts[name] = ct
	}
}

func (s goldenStory) make(t testing.TB) (*golden, []byte) {
	t.Helper()
	store := seal.NewMemStore()
	m := &goldenMaker{t: t, ctx: context.Background(), b: goldenBarrier(t, store), g: &golden{
		About: s.about, Record: s.name + ".record", Shares: map[string]string{}, Seeds: map[string][]byte{}, Ciphertexts: map[string][]byte{},
	}}
	d, err := m.b.Init(m.ctx, s.slots, seal.By{Actor: "ops", Operation: "init-1"})
	must(t, err)
	m.first = d
	m.keep(d)
	for _, set := range d.Sets {
		for _, share := range set.Shares[:set.Threshold] {
			if m.b.Status().Sealed {
				_, err := m.b.Submit(m.ctx, share, seal.By{Actor: "ops"})
				must(t, err)
			}
		}
	}
	s.more(m)
	stored, _, err := store.Load(m.ctx)
	must(t, err)
	_, m.g.Root = m.b.Opened(t)
	r := readFormat1(t, stored)
	for name := range r.slots() {
		m.g.Seeds[name] = r.seed(t, name, m.g.Shares)
	}
	m.g.Generation = m.b.Status().Generation
	m.g.Slots, m.g.Terms = describeStatus(m.b.Status())
	return m.g, stored
}

func describeStatus(s seal.Status) (slots, terms []string) {
	for _, slot := range s.Slots {
		slots = append(slots, fmt.Sprintf("%s %s %s", slot.Name, slot.State, slot.Spec))
	}
	for _, term := range s.Terms {
		terms = append(terms, fmt.Sprintf("%d %s", term.Number, term.State))
	}
	return slots, terms
}

func readGolden(t testing.TB, path string) (*golden, []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	g := &golden{}
	must(t, json.Unmarshal(data, g))
	stored, err := os.ReadFile(filepath.Join(formatDir, g.Record))
	must(t, err)
	return g, stored
}

func TestFormatGoldens(t *testing.T) {
	for _, s := range goldenStories {
		var g *golden
		var stored []byte
		made := func() { // once, and only where something is to be written
			if g == nil {
				g, stored = s.make(t)
			}
		}
		seal.WriteGolden(t, filepath.Join(formatDir, s.name+".record"), func() []byte { made(); return stored })
		seal.WriteGolden(t, filepath.Join(formatDir, s.name+".json"), func() []byte {
			made()
			data, err := json.MarshalIndent(g, "", "\t")
			must(t, err)
			return append(data, '\n')
		})
	}
	paths, err := filepath.Glob(filepath.Join(formatDir, "*.json"))
	must(t, err)
	if len(paths) != len(goldenStories) {
		t.Errorf("%d goldens of %d", len(paths), len(goldenStories))
	}
	opened := 0
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			g, stored := readGolden(t, path)
			t.Run("by the Barrier", func(t *testing.T) { g.openByBarrier(t, stored) })
			t.Run("by the document", func(t *testing.T) { g.openByDocument(t, stored) })
			opened++
		})
	}
	t.Logf("GUARANTEE 10 formats: files=%d versions=2", opened)
}

// openByBarrier opens the golden with the public API, by its KMS slots or by
// its shares, each way where there are several.
func (g *golden) openByBarrier(t *testing.T, stored []byte) {
	ctx := t.Context()
	open := func(name string, unseal func(b *seal.Barrier)) {
		t.Run(name, func(t *testing.T) {
			store := seal.NewMemStore()
			_, err := store.Swap(ctx, stored, "")
			must(t, err)
			b := goldenBarrier(t, store)
			unseal(b)
			status := b.Status()
			if status.Sealed {
				t.Fatal(status.Reason)
			}
			slots, terms := describeStatus(status)
			if !slices.Equal(slots, g.Slots) || !slices.Equal(terms, g.Terms) || status.Generation != g.Generation {
				t.Errorf("generation %d, slots %q, terms %q", status.Generation, slots, terms)
			}
			for plain, ct := range g.Ciphertexts {
				pt, err := b.Keyring().Decrypt(nil, ct, []byte(plain))
				if err != nil || string(pt) != plain {
					t.Errorf("a value of term %s: %v", plain, err)
				}
			}
			must(t, b.Admin().RotateRoot(ctx, seal.By{})) // life goes on
		})
	}
	ways := 0
	if !needsPeople(g) {
		ways++
		open("KMS", func(b *seal.Barrier) {
			err := b.Unseal(ctx)
			must(t, err)
		})
	}
	if len(g.Shares) > 0 {
		ways++
		open("people", func(b *seal.Barrier) {
			for _, text := range g.Stale {
				s, err := seal.ParseShare(text)
				must(t, err)
				if _, err := b.Submit(ctx, s, seal.By{}); !errors.Is(err, seal.ErrShareStale) {
					t.Errorf("a share of a former set: %v", err)
				}
			}
			for _, name := range slices.Sorted(maps.Keys(g.Shares)) {
				s, err := seal.ParseShare(g.Shares[name])
				must(t, err)
				if _, err := b.Submit(ctx, s, seal.By{}); err != nil && !errors.Is(err, seal.ErrShareDuplicate) {
					t.Errorf("share %s: %v", name, err)
				}
			}
		})
	}
	if ways == 0 {
		t.Error("nobody opens it")
	}
}

func needsPeople(g *golden) bool {
	return !slices.ContainsFunc(g.Slots, func(s string) bool { return strings.Contains(s, "active KMS") })
}

// openByDocument opens it with a reader written from FORMAT.md.
func (g *golden) openByDocument(t *testing.T, stored []byte) {
	r := readFormat1(t, stored)
	if format := max(1, g.Format); r.Format != format || r.MinReader != format || r.Generation != g.Generation {
		t.Errorf("format %d for readers of %d, generation %d", r.Format, r.MinReader, r.Generation)
	}
	for name := range r.slots() {
		seed := r.seed(t, name, g.Shares)
		if !bytes.Equal(seed, g.Seeds[name]) {
			t.Errorf("slot %q: another seed", name)
		}
		root := r.root(t, name, seed)
		if !bytes.Equal(root, g.Root) {
			t.Errorf("slot %q: another root key", name)
		}
	}
	secrets := r.open(t, g.Root)
	var terms []string
	for _, term := range secrets.terms {
		terms = append(terms, fmt.Sprintf("%d %s", term.number, map[byte]string{1: "passive", 2: "active", 3: "old"}[term.state]))
	}
	if !slices.Equal(terms, g.Terms) {
		t.Errorf("terms %q", terms)
	}
	for _, slot := range r.Slots {
		identity, ok := secrets.identities[slot.ID]
		if f := sha256.Sum256(identity[:]); !ok || hex.EncodeToString(f[:12]) != slot.Fingerprint {
			t.Errorf("slot %q: the identity is not that of the fingerprint", slot.Name)
		}
	}
	if r.Generation > 1 && hex.EncodeToString(secrets.digests[0][:]) != r.Previous {
		t.Error("the sealed part names another predecessor")
	}
	if n := secrets.journal; n == 0 || n > 64 {
		t.Errorf("a journal of %d entries", n)
	}
}

// TestFormatIsWhatTheDocumentSays: a reader written from the document opens what
// the code writes today.
func TestFormatIsWhatTheDocumentSays(t *testing.T) {
	for _, s := range goldenStories {
		t.Run(s.name, func(t *testing.T) {
			g, stored := s.make(t)
			g.openByDocument(t, stored)
			g.openByBarrier(t, stored)
		})
	}
}

// TestGoldensAreKept: a golden that exists is not written again.
func TestGoldensAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "golden")
	must(t, os.WriteFile(path, []byte("released"), 0o600))
	seal.WriteGoldenAlways(t, path, func() []byte { return []byte("edited") })
	data, err := os.ReadFile(path)
	must(t, err)
	if string(data) != "released" {
		t.Error("a golden was overwritten")
	}
}

// What follows reads a record of format 1 with the standard library alone, step
// by step as FORMAT.md has it.

type format1 struct {
	Format     int           `json:"format"`
	MinReader  int           `json:"min_reader"`
	Store      string        `json:"store"`
	Generation uint64        `json:"generation"`
	Previous   string        `json:"previous"`
	Root       uint32        `json:"root"`
	Slots      []format1Slot `json:"slots"`
	Sealed     []byte        `json:"sealed"`
	clear      []byte
}

type format1Slot struct {
	ID          uint32      `json:"id"`
	Name        string      `json:"name"`
	State       string      `json:"state"`
	Fingerprint string      `json:"fingerprint"`
	Tree        format1Node `json:"tree"`
	PublicKey   []byte      `json:"public_key"`
	Wrap        []byte      `json:"wrap"`
}

type format1Node struct {
	KMS *struct {
		Name string `json:"name"`
		Blob struct {
			Type       string `json:"type"`
			KeyID      string `json:"key_id"`
			Version    string `json:"version"`
			Ciphertext []byte `json:"ciphertext"`
		} `json:"blob"`
		Box []byte `json:"box"`
	} `json:"kms"`
	Shamir *struct {
		Threshold   int      `json:"threshold"`
		Set         uint32   `json:"set"`
		Commitments []string `json:"commitments"`
	} `json:"shamir"`
	Threshold *struct {
		Threshold int           `json:"threshold"`
		Of        []format1Node `json:"of"`
	} `json:"threshold"`
}

// Step 1: the two parts.
func readFormat1(t testing.TB, stored []byte) *format1 {
	t.Helper()
	r := &format1{}
	must(t, json.Unmarshal(stored, r))
	i := bytes.LastIndex(stored, []byte(`,"sealed":"`))
	r.clear = append(bytes.Clone(stored[:i]), '}')
	if want := fmt.Sprintf("%s,\"sealed\":\"%s\"}\n", stored[:i], base64.StdEncoding.EncodeToString(r.Sealed)); want != string(stored) {
		t.Fatal("the record does not end in its sealed part and a line feed")
	}
	return r
}

func (r *format1) slots() map[string]*format1Slot {
	out := map[string]*format1Slot{}
	for i := range r.Slots {
		out[r.Slots[i].Name] = &r.Slots[i]
	}
	return out
}

func encodePlace(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, p)
		}
	}
	return b
}

// Step 2: the seed, from the leaves up.
func (r *format1) seed(t testing.TB, name string, shares map[string]string) []byte {
	t.Helper()
	slot := r.slots()[name]
	value := r.value(t, slot, slot.Tree, "", 1, 1, shares)
	if value == nil {
		t.Fatalf("slot %q does not open", name)
	}
	return value
}

func (r *format1) value(t testing.TB, slot *format1Slot, n format1Node, path string, k, of int, shares map[string]string) []byte {
	t.Helper()
	switch {
	case n.KMS != nil:
		binding := kms.Binding{Store: r.Store, Slot: slot.Name, Path: path}
		blob := kms.Blob{Type: n.KMS.Blob.Type, KeyID: n.KMS.Blob.KeyID, Version: n.KMS.Blob.Version, Ciphertext: n.KMS.Blob.Ciphertext}
		plain, err := goldenKMS()[n.KMS.Name].Unwrap(t.Context(), &blob, binding)
		must(t, err)
		if got := hex.EncodeToString(plain[32:44]); len(plain) != 64 || got != slot.Fingerprint {
			t.Errorf("slot %q: the KMS holds the identity %s", slot.Name, got)
		}
		info := encodePlace("sealwright/leaf/v1", r.Store, slot.Name, path, uint64(k), uint64(of), blob.Type, blob.KeyID, blob.Version)
		return openBox(t, plain[:32], string(info), n.KMS.Box, nil)
	case n.Shamir != nil:
		points := map[byte][]byte{}
		for x := 1; x <= len(n.Shamir.Commitments); x++ {
			text, ok := shares[fmt.Sprintf("%s %q %d", slot.Name, path, x)]
			if !ok || len(points) == n.Shamir.Threshold {
				continue
			}
			s, err := seal.ParseShare(text)
			must(t, err)
			y := s.RevealRaw()[:32]
			preimage := append(encodePlace("sealwright/share/v1", r.Store, slot.Name, path, uint64(n.Shamir.Set), uint64(x)), y...)
			if c := sha256.Sum256(preimage); hex.EncodeToString(c[:]) != n.Shamir.Commitments[x-1] || s.Set() != n.Shamir.Set || int(s.X()) != x {
				t.Errorf("share %d of slot %q misses its commitment", x, slot.Name)
			}
			if f := s.Fingerprint(); hex.EncodeToString(f[:]) != slot.Fingerprint {
				t.Errorf("share %d of slot %q has another fingerprint", x, slot.Name)
			}
			points[byte(x)] = y
		}
		if len(points) < n.Shamir.Threshold {
			return nil
		}
		if n.Shamir.Threshold == 1 {
			return points[1]
		}
		return interpolate(points)
	}
	points := map[byte][]byte{}
	for i, child := range n.Threshold.Of {
		childPath := strings.TrimPrefix(fmt.Sprintf("%s.%d", path, i+1), ".")
		if v := r.value(t, slot, child, childPath, n.Threshold.Threshold, len(n.Threshold.Of), shares); v != nil && len(points) < n.Threshold.Threshold {
			points[byte(i+1)] = v
		}
	}
	if len(points) < n.Threshold.Threshold {
		return nil
	}
	return interpolate(points)
}

// interpolate is Lagrange's formula at 0 over GF(2^8) with the polynomial 0x11b.
func interpolate(points map[byte][]byte) []byte {
	mul := func(a, b byte) (p byte) {
		for ; b > 0; b >>= 1 {
			if b&1 != 0 {
				p ^= a
			}
			carry := a & 0x80
			a <<= 1
			if carry != 0 {
				a ^= 0x1b
			}
		}
		return p
	}
	inverse := func(a byte) byte {
		for b := range 256 {
			if mul(a, byte(b)) == 1 {
				return byte(b)
			}
		}
		return 0
	}
	out := make([]byte, 32)
	for x, y := range points {
		weight := byte(1)
		for other := range points {
			if other != x {
				weight = mul(weight, mul(other, inverse(other^x)))
			}
		}
		for i := range out {
			out[i] ^= mul(y[i], weight)
		}
	}
	return out
}

// Step 3: the root key, from a slot's seed.
func (r *format1) root(t testing.TB, name string, seed []byte) []byte {
	t.Helper()
	slot := r.slots()[name]
	d, err := hkdf.Key(sha256.New, seed, nil, "sealwright/slot/v1 ml-kem-768", 64)
	must(t, err)
	pq, err := mlkem.NewDecapsulationKey768(d)
	must(t, err)
	scalar, err := hkdf.Key(sha256.New, seed, nil, "sealwright/slot/v1 p-256 0", 32)
	must(t, err)
	ec, err := ecdh.P256().NewPrivateKey(scalar)
	must(t, err)
	if !bytes.Equal(slot.PublicKey, append(pq.EncapsulationKey().Bytes(), ec.PublicKey().Bytes()...)) {
		t.Fatalf("slot %q: the seed is not that of its public key", name)
	}
	place := encodePlace("sealwright/wrap/v1", r.Store, uint64(slot.ID), uint64(r.Root))
	shared, err := pq.Decapsulate(slot.Wrap[:1088])
	must(t, err)
	point, err := ecdh.P256().NewPublicKey(slot.Wrap[1088:1153])
	must(t, err)
	x, err := ec.ECDH(point)
	must(t, err)
	secret := sha3.Sum256(slices.Concat(shared, x, slot.Wrap[1088:1153], ec.PublicKey().Bytes(), []byte("MLKEM768-P256")))
	return openBox(t, exportHPKE(t, secret[:], place, "sealwright/root/v1"), "sealwright/root/v1", slot.Wrap[1153:], place)
}

// exportHPKE is the key schedule and the export of RFC 9180, section 5.1 and
// 5.3, in mode base with HKDF-SHA256 and no AEAD.
func exportHPKE(t testing.TB, shared, info []byte, exporterContext string) []byte {
	t.Helper()
	const suite = "HPKE\x00\x50\x00\x01\xff\xff"
	extract := func(salt []byte, label string, ikm []byte) []byte {
		prk, err := hkdf.Extract(sha256.New, slices.Concat([]byte("HPKE-v1"+suite+label), ikm), salt)
		must(t, err)
		return prk
	}
	expand := func(prk []byte, label string, info []byte) []byte {
		out, err := hkdf.Expand(sha256.New, prk, string(slices.Concat([]byte("\x00\x20HPKE-v1"+suite+label), info)), 32)
		must(t, err)
		return out
	}
	keySchedule := slices.Concat([]byte{0}, extract(nil, "psk_id_hash", nil), extract(nil, "info_hash", info))
	return expand(expand(extract(shared, "secret", nil), "exp", keySchedule), "sec", []byte(exporterContext))
}

// openBox opens salt (16) ‖ commitment (16) ‖ nonce (12) ‖ ciphertext ‖ tag (16).
func openBox(t testing.TB, key []byte, info string, box, aad []byte) []byte {
	t.Helper()
	derived, err := hkdf.Key(sha256.New, key, box[:16], info, 48)
	must(t, err)
	if !bytes.Equal(derived[32:], box[16:32]) {
		t.Fatal("the box commits to another key")
	}
	block, err := aes.NewCipher(derived[:32])
	must(t, err)
	gcm, err := cipher.NewGCMWithRandomNonce(block) // its Open reads the nonce in front
	must(t, err)
	plain, err := gcm.Open(nil, nil, box[32:], aad)
	must(t, err)
	return plain
}

type format1Secrets struct {
	terms []struct {
		number uint32
		state  byte
		key    [32]byte
	}
	identities map[uint32][32]byte
	digests    [][32]byte
	journal    int
}

// Step 4: the sealed part.
func (r *format1) open(t testing.TB, root []byte) format1Secrets {
	t.Helper()
	digest := sha256.Sum256(r.clear)
	in := bytes.NewReader(openBox(t, root, "sealwright/record/v1", r.Sealed, digest[:]))
	read := func(v any) { must(t, binary.Read(in, binary.BigEndian, v)) }
	count := func() int { var n uint32; read(&n); return int(n) }
	var out format1Secrets
	var version byte
	if read(&version); version != 1 {
		t.Fatalf("a sealed part of version %d", version)
	}
	for range count() {
		var term struct {
			Number  uint32
			State   byte
			Created int64
			Key     [32]byte
		}
		read(&term)
		out.terms = append(out.terms, struct {
			number uint32
			state  byte
			key    [32]byte
		}{term.Number, term.State, term.Key})
	}
	out.identities = map[uint32][32]byte{}
	last := uint32(0)
	for range count() {
		var identity struct {
			Slot   uint32
			Secret [32]byte
		}
		read(&identity)
		if cmp.Compare(identity.Slot, last) <= 0 {
			t.Error("identities out of order")
		}
		last = identity.Slot
		out.identities[identity.Slot] = identity.Secret
	}
	for range count() {
		var d [32]byte
		read(&d)
		out.digests = append(out.digests, d)
	}
	out.journal = count()
	for range out.journal {
		var entry struct {
			Generation uint64
			At         int64
		}
		read(&entry)
		for range 5 {
			var n uint16
			read(&n)
			read(make([]byte, n))
		}
	}
	if in.Len() != 0 {
		t.Errorf("%d bytes behind the sealed part", in.Len())
	}
	return out
}
