package named_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
)

func TestNewRefuses(t *testing.T) {
	ring, store := keyring.New().Keyring(), named.NewMemStore()
	keep := func(migrate.Source) {}
	for words, cfg := range map[string]named.Config{
		"Keyring is not set":                       {Store: store, Keep: keep},
		"Store is not set":                         {Keyring: ring, Keep: keep},
		"retiring a term loses every key under it": {Keyring: ring, Store: store},
		"only chacha20-poly1305": {Keyring: ring, Store: store, Keep: keep,
			AEADs: named.Config{}.AEADs},
	} {
		if strings.HasPrefix(words, "only") {
			cfg.AEADs = badAEADs
		}
		_, err := named.New(cfg)
		wantError(t, err, named.ErrConfig, words)
	}
}

func TestCreate(t *testing.T) {
	h := open(t, nil)
	info := must(h.Create(t.Context(), "k", named.Spec{}))(t)
	if info.Type != named.AES256 || info.Latest != 1 || info.MinDecryptionVersion != 1 || info.MinEncryptionVersion != 0 || len(info.Versions) != 1 {
		t.Errorf("created %+v", info)
	}
	_, err := h.Create(t.Context(), "k", named.Spec{Type: named.Ed25519})
	wantError(t, err, named.ErrExists, "exists already")
	for _, name := range []string{"", "a/b", "-k", ".k", "k.", "ü", strings.Repeat("k", 65), "k\n", ".wrapping-key"} {
		_, err := h.Create(t.Context(), name, named.Spec{})
		wantError(t, err, named.ErrInput, "1 to 64 letters")
	}
	for words, tc := range map[string]struct {
		spec named.Spec
		kind error
	}{
		"unknown key type":            {named.Spec{Type: "nonsense"}, named.ErrInput},
		"32 to 512":                   {named.Spec{Type: named.HMAC, KeySize: 31}, named.ErrInput},
		"have a key size":             {named.Spec{KeySize: 32}, named.ErrInput},
		"are not derived":             {named.Spec{Type: named.RSA2048, Derived: true}, named.ErrType},
		"needs a derived key":         {named.Spec{Convergent: true}, named.ErrType},
		"from 1h0m0s":                 {named.Spec{Settings: named.Settings{AutoRotatePeriod: time.Minute}}, named.ErrInput},
		"whole seconds":               {named.Spec{Settings: named.Settings{AutoRotatePeriod: time.Hour + 1}}, named.ErrInput},
		"the latest version is 1":     {named.Spec{Settings: named.Settings{MinDecryptionVersion: 2}}, named.ErrVersion},
		"min_encryption_version is n": {named.Spec{Settings: named.Settings{MinEncryptionVersion: -1}}, named.ErrInput},
	} {
		_, err := h.Create(t.Context(), "other", tc.spec)
		wantError(t, err, tc.kind, words)
	}
	_, err = h.Read(t.Context(), "other")
	wantError(t, err, named.ErrNotFound, "create it first")
	_, err = h.Key(t.Context(), "other")
	wantError(t, err, named.ErrNotFound, `key "other"`)
}

func TestList(t *testing.T) {
	h := open(t, nil)
	var want []string
	for i := range 7 {
		want = append(want, fmt.Sprintf("k%d", i))
		h.create(want[i], named.Spec{Type: named.HMAC})
	}
	if err := h.putWrappingKey(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for after := ""; ; {
		page := must(h.List(t.Context(), after, 3))(t)
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
		after = page[len(page)-1]
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v", got)
	}
	_, err := h.List(t.Context(), "", 0)
	wantError(t, err, named.ErrInput, "below 1")
}

func TestConfigure(t *testing.T) {
	h := open(t, nil)
	h.create("k", named.Spec{})
	must(h.Rotate(t.Context(), "k"))(t)
	set := func(f func(*named.Settings)) (named.Info, error) {
		return h.Configure(t.Context(), "k", func(s *named.Settings) error { f(s); return nil })
	}
	info := must(set(func(s *named.Settings) {
		s.MinDecryptionVersion, s.MinEncryptionVersion, s.Exportable, s.AllowPlaintextBackup, s.DeletionAllowed, s.AutoRotatePeriod = 2, 2, true, true, true, 24*time.Hour
	}))(t)
	if read := must(h.Read(t.Context(), "k"))(t); read.Settings != info.Settings || read.AutoRotatePeriod != 24*time.Hour || !read.Exportable {
		t.Errorf("%+v, want %+v", read.Settings, info.Settings)
	}
	for words, tc := range map[string]struct {
		f    func(*named.Settings)
		kind error
	}{
		"latest version is 2":                     {func(s *named.Settings) { s.MinDecryptionVersion = 9 }, named.ErrVersion},
		"min_encryption_version to 9: the latest": {func(s *named.Settings) { s.MinEncryptionVersion = 9 }, named.ErrVersion},
		"is below min_decryption_version (2)":     {func(s *named.Settings) { s.MinEncryptionVersion = 1 }, named.ErrInput},
		"min_decryption_version is negative":      {func(s *named.Settings) { s.MinDecryptionVersion = -1 }, named.ErrInput},
		"never taken back":                        {func(s *named.Settings) { s.Exportable = false }, named.ErrPolicy},
	} {
		_, err := set(tc.f)
		wantError(t, err, tc.kind, words)
	}
	stop := errors.New("changed my mind")
	if _, err := h.Configure(t.Context(), "k", func(*named.Settings) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestTrimAndDelete(t *testing.T) {
	h := open(t, nil)
	h.create("k", named.Spec{})
	first := must(h.key("k").Encrypt(named.Message{Plaintext: []byte("1")}))(t)
	for range 3 {
		must(h.Rotate(t.Context(), "k"))(t)
	}
	third := must(h.key("k").Encrypt(named.Message{Plaintext: []byte("3"), Version: 3}))(t)
	trim := func(n int) error { _, err := h.Trim(t.Context(), "k", n); return err }
	wantError(t, trim(0), named.ErrInput, "want 1 or more")
	wantError(t, trim(3), named.ErrPolicy, "min_encryption_version is not set")
	must(h.Configure(t.Context(), "k", func(s *named.Settings) error { s.MinEncryptionVersion = 3; return nil }))(t)
	wantError(t, trim(3), named.ErrPolicy, "above min_decryption_version, 1")
	wantError(t, trim(4), named.ErrPolicy, "above min_encryption_version, 3")
	must(h.Configure(t.Context(), "k", func(s *named.Settings) error { s.MinDecryptionVersion = 3; return nil }))(t)
	if err := trim(3); err != nil {
		t.Fatal(err)
	}
	wantError(t, trim(2), named.ErrVersion, "trimmed already")
	info := must(h.Read(t.Context(), "k"))(t)
	if info.MinAvailable != 3 || info.Latest != 4 || len(info.Versions) != 2 || info.Versions[0].Version != 3 {
		t.Errorf("trimmed to %+v", info)
	}
	if got, err := h.key("k").Decrypt(named.Ciphertext{Text: third}); string(got) != "3" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	_, err := h.key("k").Decrypt(named.Ciphertext{Text: first})
	wantError(t, err, named.ErrPolicy, "below")
	_, err = h.Configure(t.Context(), "k", func(s *named.Settings) error { s.MinDecryptionVersion = 1; return nil })
	wantError(t, err, named.ErrVersion, "were trimmed")

	wantError(t, h.Delete(t.Context(), "k"), named.ErrPolicy, "deletion_allowed is not set")
	must(h.Configure(t.Context(), "k", func(s *named.Settings) error { s.DeletionAllowed = true; return nil }))(t)
	if err := h.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	wantError(t, h.Delete(t.Context(), "k"), named.ErrNotFound, "no such key")
	_, err = h.Key(t.Context(), "k")
	wantError(t, err, named.ErrNotFound, "no such key")
	h.create("k", named.Spec{}) // another of the name
	_, err = h.key("k").Decrypt(named.Ciphertext{Text: third})
	wantError(t, err, named.ErrVersion, "the latest is 1")
}

// Rotations by many at once all count, and none is lost.
func TestRotateRace(t *testing.T) {
	h := open(t, nil)
	h.create("k", named.Spec{})
	other := open(t, func(c *named.Config) { c.Keyring, c.Store = h.ring.Keyring, h.store }) // another replica
	text := must(h.key("k").Encrypt(named.Message{Plaintext: []byte("p")}))(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			keys := []*house{h, other}[i%2]
			if _, err := keys.Rotate(t.Context(), "k"); err != nil {
				t.Error(err)
			}
			for range 20 {
				key, err := keys.Key(t.Context(), "k", text)
				if err != nil {
					t.Error(err)
					return
				}
				next, err := key.Encrypt(named.Message{Plaintext: []byte("p")})
				if err != nil {
					t.Error(err)
				}
				if got, err := key.Decrypt(named.Ciphertext{Text: next}); string(got) != "p" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	if info := must(h.Read(t.Context(), "k"))(t); info.Latest != 9 || len(info.Versions) != 9 {
		t.Errorf("the latest version is %d, want 9", info.Latest)
	}
}

// Keys rotate by themselves when they are due, once, whoever asks.
func TestRotateDue(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	h := open(t, func(c *named.Config) { c.Now = func() time.Time { return now } })
	h.create("hourly", named.Spec{Settings: named.Settings{AutoRotatePeriod: time.Hour}})
	h.create("daily", named.Spec{Settings: named.Settings{AutoRotatePeriod: 24 * time.Hour}})
	h.create("never", named.Spec{})
	for _, tc := range []struct {
		after time.Duration
		want  []string
	}{{time.Hour - time.Second, nil}, {time.Second, []string{"hourly"}}, {0, nil}, {23 * time.Hour, []string{"daily", "hourly"}}} {
		now = now.Add(tc.after)
		if got, err := h.RotateDue(t.Context()); !slices.Equal(got, tc.want) || err != nil {
			t.Errorf("after %v: rotated %v, %v; want %v", tc.after, got, err, tc.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.RotateDue(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A change by another process is seen when CacheFor is over, or at once if a
// ciphertext shows that there was one.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &counting{Store: named.NewMemStore()}
		h := open(t, func(c *named.Config) { c.Store = counted })
		other := open(t, func(c *named.Config) { c.Keyring, c.Store = h.ring.Keyring, counted })
		h.create("k", named.Spec{})
		h.key("k")
		loads := counted.loads
		for range 100 {
			h.key("k")
		}
		if counted.loads != loads {
			t.Errorf("%d loads for 100 uses", counted.loads-loads)
		}
		must(other.Rotate(t.Context(), "k"))(t)
		young := must(other.key("k").Encrypt(named.Message{Plaintext: []byte("p")}))(t)
		if _, err := h.key("k").Decrypt(named.Ciphertext{Text: young}); !errors.Is(err, named.ErrVersion) {
			t.Errorf("an old Key: %v", err)
		}
		// Made-up versions do not have the store asked each time.
		time.Sleep(1100 * time.Millisecond)
		if got, err := h.key("k", young).Decrypt(named.Ciphertext{Text: young}); string(got) != "p" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		loads = counted.loads
		for range 100 {
			h.key("k", "vault:v999:AAAA")
		}
		if counted.loads != loads {
			t.Errorf("%d loads for made-up versions", counted.loads-loads)
		}
		must(other.Rotate(t.Context(), "k"))(t)
		time.Sleep(5 * time.Second)
		if got := h.key("k").Info().Latest; got != 3 {
			t.Errorf("after CacheFor the latest is %d", got)
		}
		// A store that is away is no failure while the cache is fresh.
		counted.fail = errors.New("the store is away")
		h.key("k")
		time.Sleep(5 * time.Second)
		if _, err := h.Key(t.Context(), "k"); !errors.Is(err, counted.fail) {
			t.Error(err)
		}
		counted.fail = nil
		h.key("k")
	})
}

// The cache is bounded, by the number of keys and by their size, and what left it
// comes back.
func TestCacheBounds(t *testing.T) {
	h := open(t, nil)
	many := named.MaxCached + 10
	if testing.Short() { // each costs a copy of all
		many = 50
		h.create("k", named.Spec{})
		h.key("k")
		h.Crowd("k", named.MaxCached-20)
	}
	for i := range many {
		name := fmt.Sprintf("k%d", i)
		h.create(name, named.Spec{})
		h.key(name)
	}
	if n := h.Cached(); n != named.MaxCached {
		t.Errorf("%d keys in the cache, want %d", n, named.MaxCached)
	}
	h.key("k0")
	if h.Swell("k0", 64<<20); h.Cached() != 1 {
		t.Errorf("beside 64 MiB there are %d keys in the cache", h.Cached()-1)
	}
	for i := range many {
		if _, err := h.key(fmt.Sprintf("k%d", i)).Encrypt(named.Message{}); err != nil {
			t.Fatal(err)
		}
	}
}

// Many that want a key at the same time ask the store once, and who gives up does
// not take the others along.
func TestLoadTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &counting{Store: named.NewMemStore()}
		h := open(t, func(c *named.Config) { c.Store = counted })
		h.create("k", named.Spec{})
		counted.loads, counted.hold = 0, make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := h.Key(ctx, "k"); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 10 {
			wg.Go(func() {
				if _, err := h.Key(t.Context(), "k"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(counted.hold)
		wg.Wait()
		if counted.loads != 2 {
			t.Errorf("%d loads, want 2: the one that was given up, and one for ten", counted.loads)
		}
	})
}

// A counting store counts its loads, and fails or waits when told to.
type counting struct {
	named.Store
	mu    sync.Mutex
	loads int
	fail  error
	hold  chan struct{}
}

func (s *counting) Load(ctx context.Context, name string) ([]byte, string, error) {
	s.mu.Lock()
	s.loads++
	fail, hold := s.fail, s.hold
	s.mu.Unlock()
	if fail != nil {
		return nil, "", fail
	}
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
	return s.Store.Load(ctx, name)
}
