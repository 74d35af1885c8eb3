package keyring

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/aead"
)

// Bounds that decide how much is taken, kept or put off, and no result.

func TestGrant(t *testing.T) {
	var k Keyring
	e := &epoch{limit: limits{epochUnits: 100, lease: 4}, free: 20}
	l := &e.gate[0]
	for _, step := range []struct {
		count         uint64
		ok            bool
		granted, free uint64
	}{
		{1, true, 4, 16},   // a lease
		{4, true, 4, 16},   // was granted before
		{5, true, 8, 12},   // another
		{14, true, 14, 6},  // more than a lease
		{21, false, 14, 6}, // more than there is
		{20, true, 20, 0},  // all there is
		{20, true, 20, 0},
		{21, false, 20, 0},
	} {
		if ok := k.grant(e, l, step.count); ok != step.ok || l.granted.Load() != step.granted || e.free != step.free {
			t.Errorf("up to %d: %t, %d granted, %d free, want %+v", step.count, ok, l.granted.Load(), e.free, step)
		}
	}
}

func TestLargestMessage(t *testing.T) {
	o := New()
	o.SetLimits(Limits{EpochUnits: 8, Lease: 1, TermEpochs: 2, Chunks: 4})
	if err := o.Install("store", []Term{{Number: 1, Key: Key{1}, Active: true, Created: time.Unix(1, 0)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Keyring().Encrypt(nil, make([]byte, 8*unit-1), nil); err != nil {
		t.Errorf("a message of all the units of an epoch: %v", err)
	}
	if _, err := o.Keyring().Encrypt(nil, make([]byte, 8*unit), nil); !errors.Is(err, ErrLength) {
		t.Errorf("a message of one unit more: %v", err)
	}
}

// cached puts n openers of one set into the cache, and counts those found there.
func cached(t *testing.T, k *Keyring, n int) (found int) {
	t.Helper()
	v := k.view.Load()
	var openers []*opener
	for i := range n {
		a, err := aead.New(make([]byte, aead.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		o := &opener{term: v.active, aead: a}
		o.head.salt()[0], o.head.salt()[1], o.head.salt()[2] = 7, byte(i), byte(i>>8)
		openers = append(openers, o)
		k.remember(k.view.Load(), o)
	}
	for _, o := range openers {
		if k.cache.find(&o.head) == o {
			found++
		}
	}
	return found
}

func opened(t *testing.T) *Keyring {
	t.Helper()
	o := New()
	if err := o.Install("store", []Term{{Number: 1, Key: Key{1}, Active: true, Created: time.Unix(1, 0)}}); err != nil {
		t.Fatal(err)
	}
	return o.k
}

func TestCacheIsFilledBeforeAnythingLeaves(t *testing.T) {
	for n := range cacheWays + 3 {
		if found := cached(t, opened(t), n); found != min(n, cacheWays) {
			t.Errorf("%d of %d openers are cached", found, n)
		}
	}
}

func TestEvictedAreBuriedInTime(t *testing.T) {
	k := opened(t)
	v := k.view.Load()
	cached(t, k, cacheWays+maxEvicted-1)
	if k.view.Load() != v || len(v.evicted) != maxEvicted-1 {
		t.Fatalf("%d evicted, the view is the same: %t", len(v.evicted), k.view.Load() == v)
	}
	k = opened(t)
	v = k.view.Load()
	cached(t, k, cacheWays+maxEvicted)
	if k.view.Load() == v || len(k.burials) != 0 {
		t.Errorf("%d burials, the view is the same: %t", len(k.burials), k.view.Load() == v)
	}
}

func TestBurialsAreBounded(t *testing.T) {
	for burials, want := range map[int]int{maxBurials: 1, maxBurials + 1: 0} {
		k := opened(t)
		k.enterView() // and never leaves
		for range burials {
			k.bury(&k.view.Load().gate)
		}
		if found := cached(t, k, 1); found != want {
			t.Errorf("with %d burials %d openers are cached, want %d", burials, found, want)
		}
	}
}

// TermOf needs the header alone, which a reader has when it has nothing else.
func TestTermOfAHeader(t *testing.T) {
	k := opened(t)
	message, err := k.Encrypt(nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if term, err := TermOf(message[:headerSize]); err != nil || term != 1 {
		t.Errorf("%d, %v", term, err)
	}
	if _, err := TermOf(message[:headerSize-1]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

// A last chunk that is empty says the same as none, so it is refused, though it
// authenticates: a stream has one form.
func TestEmptyLastChunk(t *testing.T) {
	k := opened(t)
	for _, size := range []int{0, 1, chunkSize} {
		var stream bytes.Buffer
		w, err := k.NewWriter(&stream, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if size == chunkSize {
			if err := w.flush(false); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := k.NewReader(&stream, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if len(got) != size || (size == chunkSize) != errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes, and read %d: %v", size, len(got), err)
		}
	}
}

// Encrypt appends to any slice, and moves it only if it has too little room.
func TestEncryptAppends(t *testing.T) {
	k := opened(t)
	plaintext := []byte("ten bytes.")
	need := len(plaintext) + Overhead
	for have := range need + 100 {
		for _, room := range []int{0, 1, need - 1, need, need + 1} {
			dst := make([]byte, have, have+room)
			for i := range dst {
				dst[i] = byte(i)
			}
			out, err := k.Encrypt(dst, plaintext, nil)
			if err != nil || len(out) != have+need || !bytes.Equal(out[:have], dst) {
				t.Fatalf("%d bytes with room for %d: %d, %v", have, room, len(out), err)
			}
			if moved := have > 0 && &out[0] != &dst[0]; moved != (have > 0 && room < need) {
				t.Fatalf("%d bytes with room for %d: moved %t", have, room, moved)
			}
			if got, err := k.Decrypt(nil, out[have:], nil); err != nil || !bytes.Equal(got, plaintext) {
				t.Fatalf("%q, %v", got, err)
			}
		}
	}
}

func TestStoreNames(t *testing.T) {
	for length, ok := range map[int]bool{0: false, 1: true, 255: true, 256: false} {
		err := New().Install(strings.Repeat("s", length), []Term{{Number: 1, Key: Key{1}, Active: true, Created: time.Unix(1, 0)}})
		if (err == nil) != ok {
			t.Errorf("a store's name of %d bytes: %v", length, err)
		}
	}
}

// A stream that is begun while its keyring is sealed, or its term retired, has
// no key, and its error says which it was.
func TestStreamBegunTooLate(t *testing.T) {
	o := New()
	install := func(numbers ...uint32) {
		var terms []Term
		for i, n := range numbers {
			terms = append(terms, Term{Number: n, Key: Key{byte(n)}, Active: i == len(numbers)-1, Created: time.Unix(1, 0)})
		}
		if err := o.Install("store", terms); err != nil {
			t.Fatal(err)
		}
	}
	install(1, 2)
	old := o.k.view.Load().terms[0]
	begin := func() error {
		a, err := aead.New(make([]byte, aead.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.k.register(old, a)
		return err
	}
	if err := begin(); err != nil {
		t.Error(err)
	}
	install(2)
	if err := begin(); !errors.Is(err, ErrUnknownTerm) {
		t.Errorf("retired: %v", err)
	}
	o.Seal()
	if err := begin(); !errors.Is(err, ErrSealed) {
		t.Errorf("sealed: %v", err)
	}
}

// What ends before its header does is no stream if its first byte says so, and
// otherwise one that was cut.
func TestStreamCutInItsHeader(t *testing.T) {
	k := opened(t)
	for n := range headerSize {
		for version, want := range map[byte]error{versionStream: ErrCorrupt, versionMessage: ErrFormat, 0: ErrFormat} {
			if n == 0 {
				want = ErrCorrupt
			}
			cut := bytes.Repeat([]byte{version}, n)
			if _, err := k.NewReader(bytes.NewReader(cut), nil); !errors.Is(err, want) {
				t.Errorf("%d bytes of version %d: %v, want %v", n, version, err, want)
			}
		}
	}
}
