package migrate_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

func TestCount(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	src := filled(t, kr, 600)
	install(t, owner, 3, 3)
	foreign := keyring.New()
	if err := foreign.Install("another store", terms(3, 3)); err != nil {
		t.Fatal(err)
	}
	_, younger := newKeyring(t, 9, 9)
	const size = 13 + keyring.Overhead
	src.put("0001", encrypt(t, kr, "value of 0001", "0001"))
	src.put("0002", encryptString(t, kr, "value of 0002", "0002"))
	src.put("0003", encrypt(t, foreign.Keyring(), "value of 0003", ""))
	src.put("0004", encrypt(t, younger, "value of 0004", ""))
	src.put("0005", encryptString(t, younger, "value of 0005", ""))
	src.put("0006", encrypt(t, kr, "value of 0006", "")[:20])
	src.put("0007", []byte("sw1.!"))
	src.put("0008", []byte("never encrypted"))
	src.put("0009", nil)
	src.put("0010", []byte("sw1.AAAA"))
	text := int64(len(src.stored("0002")))

	got, err := migrate.Count(t.Context(), kr, src, filled(t, kr, 5))
	if err != nil {
		t.Fatal(err)
	}
	want := migrate.Census{
		Terms:   map[uint32]migrate.Tally{1: {590, 590 * size}, 2: {}, 3: {7, 6*size + text}},
		Unknown: migrate.Tally{Items: 6, Bytes: 2*size + text + 20 + 5 + 8},
		Other:   migrate.Tally{Items: 1, Bytes: 15},
		Empty:   1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("census (-want +got):\n%s", diff)
	}
	if got.Total().Items != 604 {
		t.Errorf("a total of %d items, want 604", got.Total().Items)
	}
}

// Nobody looked anywhere, which is not that nothing is there.
func TestCountNothing(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	if c, err := migrate.Count(t.Context(), kr); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "no sources to count") || c.Terms != nil {
		t.Errorf("a census without sources: %+v, %v", c, err)
	}
}

// A stream counts by its header, also if a source gives no more than that.
func TestCountStream(t *testing.T) {
	_, kr := newKeyring(t, 2, 2)
	var out strings.Builder
	w, err := kr.NewWriter(&out, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	src := &memSource{}
	src.put("a", []byte(out.String()))
	got, err := migrate.Count(t.Context(), kr, src)
	if err != nil || got.Terms[2].Items != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCountFails(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	src := filled(t, kr, 3)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := migrate.Count(canceled, kr, src); !errors.Is(err, context.Canceled) || err.Error() != "migrate: count: context canceled" {
		t.Errorf("canceled: %v", err)
	}
	src.onPage = func(after string) error {
		if after == "0002" {
			return errDown
		}
		return nil
	}
	if _, err := migrate.Count(t.Context(), kr, src); !errors.Is(err, errDown) || err.Error() != `migrate: source: read the page after "0002": the database is down` {
		t.Errorf("a source that fails: %v", err)
	}
	owner.Seal()
	if _, err := migrate.Count(t.Context(), kr, src); !errors.Is(err, keyring.ErrSealed) || !strings.HasPrefix(err.Error(), "migrate: count: keyring: ") {
		t.Errorf("sealed: %v", err)
	}
}

// unsealed returns a store that one KMS key opens.
func unsealed(tb testing.TB) *seal.Barrier {
	tb.Helper()
	cloud := &kmstest.Fake{}
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": cloud.Key("prod")}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.Close() })
	if _, err := b.Init(tb.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestRetire(t *testing.T) {
	ctx, b := t.Context(), unsealed(t)
	kr := b.Keyring()
	tokens, notes, empty := filled(t, kr, 300), filled(t, kr, 2), &memSource{}
	all := []migrate.Source{tokens, empty, notes}
	by := seal.By{Actor: "ops"}

	if err := migrate.Retire(ctx, b, 1, by, all...); !errors.Is(err, seal.ErrTermInUse) || !strings.Contains(err.Error(), "term 1 is active: rotate, and rewrap, first") {
		t.Errorf("the active term: %v", err)
	}
	if err := b.Rotate(ctx, by); err != nil {
		t.Fatal(err)
	}
	if err := migrate.Retire(ctx, b, 1, by); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "no sources to count") {
		t.Errorf("no sources: %v", err)
	}
	if err := migrate.Retire(ctx, b, 7, by, all...); !errors.Is(err, seal.ErrTermInUse) {
		t.Errorf("no such term: %v", err)
	}

	err := migrate.Retire(ctx, b, 1, by, all...)
	var use *migrate.InUseError
	if !errors.Is(err, seal.ErrTermInUse) || !errors.As(err, &use) {
		t.Fatalf("in use: %v", err)
	}
	const size = 13 + keyring.Overhead
	want := &migrate.InUseError{Term: 1, Total: migrate.Tally{Items: 302, Bytes: 302 * size}, Sources: []migrate.Tally{{Items: 300, Bytes: 300 * size}, {}, {Items: 2, Bytes: 2 * size}}}
	if diff := cmp.Diff(want, use); diff != "" {
		t.Errorf("in use (-want +got):\n%s", diff)
	}
	if text := "migrate: retire: term 1 is in use: 302 items, 24764 bytes, in 2 of 3 sources: rewrap them first"; err.Error() != text {
		t.Errorf("%v; want %s", err, text)
	}

	if _, items, err := finish(ctx, kr, tokens, migrate.RewrapOptions{}); err != nil || items != nil {
		t.Fatal(err, items)
	}
	if err := migrate.Retire(ctx, b, 1, by, all...); !errors.As(err, &use) || use.Total.Items != 2 {
		t.Errorf("one source is left: %v", err)
	}
	if _, items, err := finish(ctx, kr, notes, migrate.RewrapOptions{}); err != nil || items != nil {
		t.Fatal(err, items)
	}
	late, err := kr.Encrypt(nil, []byte("value of late"), []byte("late"))
	if err != nil {
		t.Fatal(err)
	}
	tokens.put("late", late)
	notes.onPage = func(string) error { return errDown }
	if err := migrate.Retire(ctx, b, 1, by, all...); !errors.Is(err, errDown) {
		t.Errorf("a source that cannot be counted: %v", err)
	}
	if n := len(b.Status().Terms); n != 2 {
		t.Fatalf("refused, and %d terms are left", n)
	}
	notes.onPage = nil
	if err := migrate.Retire(ctx, b, 1, by, all...); err != nil {
		t.Fatal(err)
	}
	if ts := b.Status().Terms; len(ts) != 1 || ts[0].Number != 2 {
		t.Errorf("terms left: %+v", ts)
	}
	checkAll(t, kr, tokens, 2)
	checkAll(t, kr, notes, 2)
	if err := b.Seal(by); err != nil {
		t.Fatal(err)
	}
	if err := migrate.Retire(ctx, b, 2, by, all...); !errors.Is(err, seal.ErrSealed) || !strings.HasPrefix(err.Error(), "migrate: retire: ") {
		t.Errorf("sealed: %v", err)
	}
}

// heads counts by itself: the beginnings of its items, each once.
type heads struct{ *memSource }

func (h heads) Heads(context.Context) (all []migrate.Head, err error) {
	if h.onPage != nil {
		return nil, h.onPage("")
	}
	for _, it := range h.items {
		n := 9
		if strings.HasPrefix(string(it.Ciphertext), "sw1.") {
			n = 16
		}
		head := it.Ciphertext[:min(n, len(it.Ciphertext))]
		if len(it.Ciphertext) < 41 && len(head) > 4 {
			head = head[:4]
		}
		all = append(all, migrate.Head{Begin: head, Tally: migrate.Tally{Items: 1, Bytes: int64(len(it.Ciphertext))}})
	}
	return all, nil
}

// A source that counts on its own side finds what reading every value finds.
func TestCountHeads(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	src := filled(t, kr, 50)
	install(t, owner, 3, 3)
	_, younger := newKeyring(t, 9, 9)
	foreign := keyring.New()
	if err := foreign.Install("another store", terms(3, 3)); err != nil {
		t.Fatal(err)
	}
	src.put("0001", encrypt(t, kr, "value of 0001", "0001"))
	src.put("0002", encryptString(t, kr, "value of 0002", "0002"))
	src.put("0003", encrypt(t, foreign.Keyring(), "value of 0003", ""))
	src.put("0004", encryptString(t, younger, "value of 0004", ""))
	src.put("0005", encrypt(t, kr, "value of 0005", "")[:20])
	src.put("0006", []byte("sw1.!"))
	src.put("0007", []byte("never encrypted"))
	src.put("0008", nil)
	want, err := migrate.Count(t.Context(), kr, src)
	if err != nil || want.Unknown.Items != 4 || want.Empty != 1 || want.Other.Items != 1 {
		t.Fatalf("%+v, %v", want, err)
	}
	got, err := migrate.Count(t.Context(), kr, heads{src})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, census (-want +got):\n%s", err, diff)
	}
	src.onPage = func(string) error { return errDown }
	if _, err := migrate.Count(t.Context(), kr, heads{src}); !errors.Is(err, errDown) || err.Error() != "migrate: source: count: the database is down" {
		t.Errorf("it fails: %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := migrate.Count(canceled, kr, heads{src}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	owner.Seal()
	if _, err := migrate.Count(t.Context(), kr, heads{src}); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("sealed: %v", err)
	}
}
