package cloudtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/gcpckms/gcpckmstest"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/kms/transit/transittest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// A custody is one kind of seal: one slot, and the wrappers that it needs.
type custody struct {
	name string
	spec seal.Spec
	kms  map[string]kms.Wrapper
}

func (c custody) slots() map[string]seal.Spec { return map[string]seal.Spec{c.name: c.spec} }

// custodies returns every kind, and a second key of each cloud.
func custodies(t *testing.T) []custody {
	t.Helper()
	azure, aws, gcp := azurekeyvaulttest.NewServer(), awskmstest.NewServer(), gcpckmstest.NewServer()
	t.Cleanup(func() { azure.Close(); aws.Close(); gcp.Close() })
	must := func(w kms.Wrapper, err error) kms.Wrapper {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	file := filepath.Join(t.TempDir(), "kms.key")
	if err := localkms.Create(context.Background(), file); err != nil {
		t.Fatal(err)
	}
	single := func(name string, w kms.Wrapper) custody {
		return custody{name, seal.KMS{Wrapper: name}, map[string]kms.Wrapper{name: w}}
	}
	inAzure := func(key string) kms.Wrapper {
		w, err := azurekeyvault.New(azure.Config(key))
		return must(w, err)
	}
	inAWS := func() kms.Wrapper {
		w, err := awskms.New(awskms.Config{
			KeyID: aws.CreateKey(), Endpoint: aws.URL,
			AccessKeyID: awskmstest.AccessKeyID, SecretAccessKey: awskmstest.SecretAccessKey,
		})
		return must(w, err)
	}
	inGCP := func(cfg gcpckms.Config) kms.Wrapper {
		w, err := gcpckms.New(cfg)
		return must(w, err)
	}
	host := newKept(t, gcp) // Google is reached both ways
	vault, err := transit.New(new(transittest.Server).Config("unseal"))
	inVault := must(vault, err)
	local, err := localkms.New(localkms.Config{Path: file})
	inFile := must(local, err)
	return []custody{
		{"people", seal.Shamir{Shares: 3, Threshold: 2}, nil},
		single("azurekeyvault", inAzure("one")), single("azurekeyvault2", inAzure("two")),
		single("gcpckms", inGCP(gcp.Config("one"))), single("gcpckms2", inGCP(gcpckms.Config{KeyID: gcp.KeyID("two"), Client: host})),
		single("awskms", inAWS()), single("awskms2", inAWS()),
		single("transit", inVault), single("localkms", inFile),
		{
			"clouds",
			seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "of-azure"}, seal.KMS{Wrapper: "of-gcp"}, seal.KMS{Wrapper: "of-aws"}}},
			map[string]kms.Wrapper{"of-azure": inAzure("three"), "of-gcp": inGCP(gcpckms.Config{KeyID: gcp.KeyID("three"), Client: host}), "of-aws": inAWS()},
		},
	}
}

// A vault is one store, and what survives the processes over it.
type vault struct {
	inner seal.Store
	store *mortal
	kms   map[string]kms.Wrapper
	held  map[uint32]seal.ShareSet // what people really got
	acked map[string][]byte        // ciphertexts whose writing was acknowledged
}

func newVault(custodies ...custody) *vault {
	v := &vault{inner: seal.NewMemStore(), kms: map[string]kms.Wrapper{}, held: map[uint32]seal.ShareSet{}, acked: map[string][]byte{}}
	v.store = newMortal(v.inner)
	for _, c := range custodies {
		maps.Copy(v.kms, c.kms)
	}
	return v
}

// next is what is there after the process has died, which may still wind down.
func (v *vault) next() *vault {
	return &vault{inner: v.inner, store: newMortal(v.inner), kms: v.kms, held: maps.Clone(v.held), acked: maps.Clone(v.acked)}
}

// A mortal is a store that tells when the process dies over it.
type mortal struct {
	storetest.Faulty
	once sync.Once
	died chan struct{}
}

func newMortal(inner seal.Store) *mortal {
	return &mortal{Faulty: storetest.Faulty{Inner: inner}, died: make(chan struct{})}
}

func (m *mortal) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	rev, err := m.Faulty.Swap(ctx, rec, old)
	if m.Crashed() {
		m.once.Do(func() { close(m.died) })
	}
	return rev, err
}

// boot starts a process that has the given wrappers.
func (v *vault) boot(wrappers map[string]kms.Wrapper) (*seal.Barrier, error) {
	return seal.Open(seal.Config{
		Store: v.store, KMS: wrappers, TrustUnpinned: true, Replica: "test", Retry: kms.Policy{Attempts: 1},
		StoreTimeout: 5 * time.Second, // of a dead process that winds down
	})
}

// begin makes the store, and writes to it.
func (v *vault) begin(ctx context.Context, from custody) error {
	b, err := v.boot(v.kms)
	if err != nil {
		return err
	}
	defer b.Close()
	d, err := b.Init(ctx, from.slots(), seal.By{})
	if err != nil {
		return err
	}
	return errors.Join(v.take(d), v.unseal(ctx, b), v.write(b))
}

// take is people receiving their shares.
func (v *vault) take(d seal.Delivery) error {
	for _, set := range d.Sets {
		kept := set
		kept.Shares = nil
		for _, s := range set.Shares {
			share, err := seal.ParseShare(s.Reveal())
			if err != nil {
				return err
			}
			kept.Shares = append(kept.Shares, share)
		}
		v.held[set.Set] = kept
	}
	return nil
}

// gather gives every set of shares that people hold; those of a set that went,
// or that is not asked for, are refused, and that is right.
func (v *vault) gather(ctx context.Context, b *seal.Barrier, by seal.By) error {
	for _, set := range v.held {
		for _, s := range set.Shares[:set.Threshold] {
			_, err := b.Submit(ctx, s, by)
			switch {
			case err == nil, errors.Is(err, seal.ErrShareStale), errors.Is(err, seal.ErrShareDuplicate), errors.Is(err, seal.ErrNoOperation):
			default:
				return err
			}
		}
	}
	return nil
}

// unseal opens the store by whatever opens it.
func (v *vault) unseal(ctx context.Context, b *seal.Barrier) error {
	if err := b.Unseal(ctx); err == nil {
		return nil
	}
	if err := v.gather(ctx, b, seal.By{}); err != nil {
		return err
	}
	if status := b.Status(); status.Sealed {
		return fmt.Errorf("still sealed: %w", status.Reason)
	}
	return nil
}

func (v *vault) write(b *seal.Barrier) error {
	name := fmt.Sprint("value ", len(v.acked))
	ciphertext, err := b.Keyring().Encrypt(nil, []byte(name), []byte(name))
	if err == nil {
		v.acked[name] = ciphertext
	}
	return err
}

func (v *vault) readable(b *seal.Barrier) error {
	for name, ciphertext := range v.acked {
		text, err := b.Keyring().Decrypt(nil, ciphertext, []byte(name))
		if err == nil && string(text) != name {
			err = errors.New("it reads otherwise")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// migrate is one process that goes the whole way, or dies on it.
func (v *vault) migrate(ctx context.Context, from, to custody) error {
	b, err := v.boot(v.kms)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := v.unseal(ctx, b); err != nil {
		return err
	}
	if err := v.readable(b); err != nil {
		return err
	}
	opt := migrate.Options{Deliver: v.take, Progress: func(_ migrate.Move, _ bool, err error) {
		if err == nil && !v.store.Crashed() {
			_ = v.write(b)
		}
	}}
	for _, slot := range b.Status().Slots {
		for _, set := range slot.Sets {
			if _, came := v.held[set]; !came && slot.State == seal.SlotPending {
				opt.Reissue = true
			}
		}
	}
	for range 4 {
		r, err := migrate.Reconcile(ctx, b, migrate.Plan{Slots: to.slots(), Drop: []string{from.name}}, opt)
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

// settled checks a store whose migration is done: the new custody alone opens
// it, everything reads, and the old one opens nothing.
func (v *vault) settled(ctx context.Context, from, to custody) error {
	b, err := v.boot(to.kms)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := v.unseal(ctx, b); err != nil {
		return fmt.Errorf("lost: %w", err)
	}
	if err := v.readable(b); err != nil {
		return fmt.Errorf("lost: %w", err)
	}
	slots := b.Status().Slots
	if len(slots) != 1 || slots[0].Name != to.name || slots[0].State != seal.SlotActive {
		return fmt.Errorf("the slots are %v", slots)
	}
	old, err := v.boot(from.kms)
	if err != nil {
		return err
	}
	defer old.Close()
	if len(from.kms) > 0 {
		if err := old.Unseal(ctx); err == nil {
			return errors.New("the old keys still open the store")
		}
	} else if err := v.unseal(ctx, old); err == nil {
		return errors.New("the old shares still open the store")
	}
	return nil
}

// run migrates a new store with a fault at swap k, and then to the end.
// sabotage, if set, strikes between the two.
func run(ctx context.Context, from, to custody, k int, f storetest.Fault, sabotage func()) (swaps int, err error) {
	v := newVault(from, to)
	if err := v.begin(ctx, from); err != nil {
		return 0, err
	}
	_, before := v.store.Calls()
	if k > 0 {
		v.store.OnSwap = map[int]storetest.Fault{before + k: f}
	}
	ended := make(chan error, 1)
	go func() { ended <- v.migrate(ctx, from, to) }()
	select {
	case err := <-ended:
		if k > 0 {
			return 0, fmt.Errorf("there was no swap %d: %w", k, err)
		} else if err != nil {
			return 0, err
		}
	case <-v.store.died:
		v = v.next()
		if sabotage != nil {
			sabotage()
		}
		if err := v.migrate(ctx, from, to); err != nil {
			return 0, fmt.Errorf("lost: after the crash: %w", err)
		}
		return 0, v.settled(ctx, from, to)
	}
	_, after := v.store.Calls()
	return after - before, v.settled(ctx, from, to)
}

// Every migration between two kinds of seal ends with the data readable and the
// old custody out, also if the process dies before or after any swap.
func TestMatrix(t *testing.T) {
	ctx := context.Background()
	all := custodies(t)
	if !testlevel.Whole() {
		all = slices.DeleteFunc(all, func(c custody) bool { return !slices.Contains([]string{"people", "azurekeyvault", "clouds"}, c.name) })
	}
	migrations, crashes, lost := 0, 0, 0
	for _, from := range all {
		for _, to := range all {
			if from.name == to.name {
				continue
			}
			migrations++
			swaps, err := run(ctx, from, to, 0, storetest.Fault{}, nil)
			if err != nil {
				lost++
				t.Errorf("%s to %s: %v", from.name, to.name, err)
				continue
			}
			if swaps < 3 {
				t.Errorf("%s to %s: only %d swaps", from.name, to.name, swaps)
			}
			for k := 1; k <= swaps; k++ {
				for _, effect := range []storetest.Effect{storetest.CrashBefore, storetest.CrashAfter} {
					crashes++
					if _, err := run(ctx, from, to, k, storetest.Fault{Effect: effect}, nil); err != nil {
						lost++
						t.Errorf("%s to %s, crash %d at swap %d of %d: %v", from.name, to.name, effect, k, swaps, err)
					}
				}
			}
		}
	}
	t.Logf("GUARANTEE 1 cloud-matrix: migrations=%d crashes=%d lost=%d", migrations, crashes, lost)
}

// A loss would be seen: the old key dies while nothing else opens the store.
func TestMatrixSeesLoss(t *testing.T) {
	ctx := context.Background()
	azure := azurekeyvaulttest.NewServer()
	t.Cleanup(azure.Close)
	all := custodies(t)
	people, cloud := all[0], all[1]
	w, err := azurekeyvault.New(azure.Config("doomed"))
	if err != nil {
		t.Fatal(err)
	}
	cloud.kms = map[string]kms.Wrapper{cloud.name: w}
	_, err = run(ctx, cloud, people, 1, storetest.Fault{Effect: storetest.CrashAfter}, func() { azure.Destroy("doomed") })
	if !errors.Is(err, kms.ErrKeyGone) {
		t.Errorf("%v", err)
	}
}
