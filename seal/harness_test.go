package seal_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"flag"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// What the tests of this package drive a Barrier with.

// A vault is one store with everything around it that survives a process.
type vault struct {
	t        testing.TB
	inner    seal.Store
	faulty   *storetest.Faulty
	fake     *kmstest.Fake
	held     map[uint32]seal.ShareSet // share sets that people really got
	acked    map[string][]byte        // ciphertexts whose writing was acknowledged
	rival    int                      // the swap before which another replica writes; 0: none
	wrappers map[string]kms.Wrapper   // in place of the fake's keys; nil: those
	anchor   seal.Store               // of the next process; nil: none
}

// own replaces the wrappers of the next process, if set.
func (v *vault) own() map[string]kms.Wrapper {
	if v.wrappers != nil {
		return v.wrappers
	}
	return map[string]kms.Wrapper{"a": v.fake.Key("a"), "b": v.fake.Key("b"), "c": v.fake.Key("c")}
}

func newVault(t testing.TB, inner seal.Store) *vault {
	return &vault{
		t: t, inner: inner, faulty: &storetest.Faulty{Inner: inner}, fake: &kmstest.Fake{},
		held: map[uint32]seal.ShareSet{}, acked: map[string][]byte{},
	}
}

// boot starts a process over the store.
func (v *vault) boot() *seal.Barrier {
	cfg := seal.Config{
		Store:   v.faulty,
		KMS:     v.own(),
		Anchor:  v.anchor,
		Replica: "test",
		Retry:   kms.Policy{Attempts: 1},
	}
	if realTime() {
		cfg.StoreTimeout, cfg.Retry.Timeout = 100*time.Millisecond, 40*time.Millisecond
	}
	b, err := seal.Open(cfg)
	if err != nil {
		v.t.Fatal(err)
	}
	return b
}

// A crowded is a store to which another replica writes before the nth swap.
type crowded struct {
	seal.Store
	v     *vault
	swaps int
}

func (c *crowded) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if c.swaps++; c.swaps == c.v.rival {
		other := *c.v
		other.faulty = &storetest.Faulty{Inner: c.v.inner}
		b := other.boot()
		defer b.Close()
		if other.unseal(ctx, b) == nil { // else there is nothing to write to yet
			if err := errors.Join(b.Rotate(ctx, seal.By{}), other.write(b)); err != nil {
				return "", err
			}
		}
	}
	return c.Store.Swap(ctx, rec, old)
}

// take is people receiving their shares.
func (v *vault) take(d seal.Delivery) error {
	for _, set := range d.Sets {
		set.Shares = slices.Clone(set.Shares) // the Delivery is wiped later
		for i, s := range set.Shares {
			kept, err := seal.ParseShare(s.Reveal())
			if err != nil {
				return err
			}
			set.Shares[i] = kept
		}
		v.held[set.Set] = set
	}
	return nil
}

// write encrypts a value and keeps it, as a server that acknowledges a write.
func (v *vault) write(b *seal.Barrier) error {
	name := fmt.Sprint("value ", len(v.acked))
	ct, err := b.Keyring().Encrypt(nil, []byte(name), []byte(name))
	if err == nil {
		v.acked[name] = ct
	}
	return err
}

// gather gives shares until the barrier is unsealed, or the operation has them.
func (v *vault) gather(ctx context.Context, b *seal.Barrier, by seal.By) error {
	var last error
	for _, set := range v.held {
		for _, s := range set.Shares[:set.Threshold] {
			if _, err := b.Submit(ctx, s, by); err != nil && !harmless(err) {
				last = err
			}
		}
	}
	return last
}

// harmless reports whether an honest client goes on with its next share: this
// one is of a set that went, or is not asked for, or was given before.
func harmless(err error) bool {
	return errors.Is(err, seal.ErrShareStale) || errors.Is(err, seal.ErrNoOperation) || errors.Is(err, seal.ErrShareDuplicate)
}

// unseal opens the store by whatever opens it.
func (v *vault) unseal(ctx context.Context, b *seal.Barrier) error {
	if err := b.Unseal(ctx); err == nil {
		return nil
	}
	err := v.gather(ctx, b, seal.By{})
	if status := b.Status(); status.Sealed {
		return errors.Join(errors.New("still sealed"), status.Reason, err)
	}
	return nil
}

// readable checks that every acknowledged value decrypts.
func (v *vault) readable(b *seal.Barrier) error {
	for name, ct := range v.acked {
		pt, err := b.Keyring().Decrypt(nil, ct, []byte(name))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !bytes.Equal(pt, []byte(name)) {
			return fmt.Errorf("%s reads otherwise", name)
		}
	}
	return nil
}

// A start is what a scenario begins with, made once and copied for each point.
type start struct {
	record []byte // nil: an empty store
	held   map[uint32]seal.ShareSet
	acked  map[string][]byte
	fake   *kmstest.Fake
}

// prepare makes the store that a scenario starts from, every slot of it proven,
// as in a store in use.
func (sc scenario) prepare(ctx context.Context, t testing.TB) start {
	v := newVault(t, seal.NewMemStore())
	if sc.begin != nil {
		b := v.boot()
		must(t, v.initialize(ctx, b, sc.begin))
		b.Close()
		b = v.boot()
		must(t, v.gather(ctx, b, seal.By{}))
		must(t, v.unseal(ctx, b))
		b.Close()
	}
	rec, _, err := v.inner.Load(ctx)
	if err != nil && !errors.Is(err, seal.ErrNotFound) {
		t.Fatal(err)
	}
	return start{rec, v.held, v.acked, v.fake}
}

// prepared is what prepare makes, for trials in bubbles of their own.
func (sc scenario) prepared(t *testing.T) (s start) {
	bubble(t, func(t *testing.T) { s = sc.prepare(t.Context(), t) })
	return s
}

// undamaged is the same with a KMS of its own, for a trial that spoils its keys: a
// Fake makes each key of its name.
func (s start) undamaged() start {
	s.fake = &kmstest.Fake{}
	return s
}

// vault returns one in that state over an empty store.
func (s start) vault(ctx context.Context, t testing.TB, inner seal.Store) *vault {
	v := newVault(t, inner)
	v.fake, v.held, v.acked = s.fake, maps.Clone(s.held), maps.Clone(s.acked)
	if s.record != nil {
		_, err := inner.Swap(ctx, s.record, "")
		must(t, err)
	}
	return v
}

// from returns a vault in that state over an empty store, and an unsealed
// process, if there is anything to unseal.
func (s start) from(ctx context.Context, t testing.TB, inner seal.Store) (*vault, *seal.Barrier) {
	v := s.vault(ctx, t, inner)
	b := v.boot()
	if s.record != nil {
		must(t, v.unseal(ctx, b))
	}
	return v, b
}

const initOperation = "the-init"

func (v *vault) initialize(ctx context.Context, b *seal.Barrier, slots map[string]seal.Spec) error {
	d, err := b.Init(ctx, slots, seal.By{Operation: initOperation})
	if err != nil && !errors.Is(err, seal.ErrInitialized) {
		return err
	}
	if err := errors.Join(v.take(d), v.unseal(ctx, b)); err != nil {
		return err
	}
	return v.write(b)
}

// migrate goes the whole way, with people giving what they are asked for.
func (v *vault) migrate(ctx context.Context, b *seal.Barrier, plan migrate.Plan) error {
	opt := migrate.Options{Deliver: v.take, Progress: func(_ migrate.Move, done bool, err error) {
		if err == nil {
			_ = v.write(b)
		}
	}}
	for _, slot := range b.Status().Slots {
		for _, set := range slot.Sets {
			// Shares that were made and never came: people say so.
			if _, ok := v.held[set]; !ok && slot.State == seal.SlotPending {
				opt.Reissue = true
			}
		}
	}
	for range 4 {
		r, err := migrate.Reconcile(ctx, b, plan, opt)
		if err != nil {
			return err
		}
		if r.Done {
			return v.write(b)
		}
		opt.Reissue = false
		if err := v.gather(ctx, b, seal.By{Operation: r.Operation}); err != nil {
			return err
		}
	}
	return errors.New("the migration does not end")
}

// realTime reports whether time is that of the machine: before Go 1.27,
// crypto/rand finds no entropy in virtual time in FIPS mode.
func realTime() bool {
	return fips140.Enabled() && strings.HasPrefix(runtime.Version(), "go1.26")
}

// bubble runs f in virtual time, or in real time with short timeouts.
func bubble(t *testing.T, f func(*testing.T)) {
	if realTime() {
		f(t)
		return
	}
	synctest.Test(t, f)
}

// virtual is bubble for what would take hours.
func virtual(t *testing.T, f func(*testing.T)) {
	if realTime() {
		t.Skip("needs virtual time, in which crypto/rand finds no entropy in FIPS mode before Go 1.27")
	}
	synctest.Test(t, f)
}

// together has a test of an enumeration run beside its siblings; not where time
// is real, and a timeout may be one of a busy machine.
func together(t *testing.T) {
	if !realTime() {
		t.Parallel()
	}
}

// proved logs a figure for docs/GUARANTEES.md, which has none where a part
// of the trials is made, or one case by its name.
func proved(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	if !testlevel.Whole() || testing.Short() || strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		line = "of a part: " + strings.TrimPrefix(line, "GUARANTEE ")
	}
	t.Log(line)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
