package migrate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// TestBackupOrder backs up data and record while the data key is rotated, the data
// rewrapped and the old term retired, and restores both: what docs/OPERATIONS.md
// says of the order.
func TestBackupOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		record string // when the record was copied: before the rotation, before the retirement, at the end
		data   string // when the data was
		want   error
	}{
		"record, rotation, data":                  {"begin", "rotated", seal.ErrRolledBack},
		"data, rotation, record":                  {"rotated", "begin", nil},
		"data, rotation, retirement, record":      {"end", "begin", keyring.ErrUnknownTerm},
		"record, rotation, retirement, data":      {"begin", "end", seal.ErrRolledBack},
		"rotation, data, record, retirement":      {"rotated", "rotated", nil},
		"everything before":                       {"begin", "begin", nil},
		"everything at the end":                   {"end", "end", nil},
		"rotation, data half rewrapped, the rest": {"rotated", "half", nil},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			store, wrappers := seal.NewMemStore(), map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("k")}
			b := openOver(t, store, wrappers)
			if _, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
				t.Fatal(err)
			}
			box, tokens := b.Box("tokens"), &memSource{}
			for _, id := range []string{"a", "b"} {
				ciphertext, err := box.Encrypt(ctx, []byte("token "+id), id)
				if err != nil {
					t.Fatal(err)
				}
				tokens.items = append(tokens.items, migrate.Item{ID: id, AAD: box.AAD(id), Ciphertext: ciphertext})
			}
			var record []byte
			copied := map[string][]byte{}
			at := func(moment string) {
				if moment == tt.record {
					var err error
					if record, _, err = store.Load(ctx); err != nil {
						t.Fatal(err)
					}
				}
				if moment == tt.data {
					for _, it := range tokens.items {
						copied[it.ID] = it.Ciphertext
					}
				}
			}
			at("begin")
			if err := b.Rotate(ctx, seal.By{}); err != nil {
				t.Fatal(err)
			}
			rewrapped, _, err := b.Keyring().Rewrap(nil, tokens.items[0].Ciphertext, tokens.items[0].AAD)
			if err != nil {
				t.Fatal(err)
			}
			tokens.items[0].Ciphertext = rewrapped
			at("half")
			for _, err := range migrate.Rewrap(ctx, b.Keyring(), tokens, migrate.RewrapOptions{}) {
				if err != nil {
					t.Fatal(err)
				}
			}
			at("rotated")
			if err := migrate.Retire(ctx, b, 1, seal.By{}, tokens); err != nil {
				t.Fatal(err)
			}
			at("end")

			restored := seal.NewMemStore()
			if _, err := restored.Swap(ctx, record, ""); err != nil {
				t.Fatal(err)
			}
			b = openOver(t, restored, wrappers)
			if err := b.Unseal(ctx); err != nil {
				t.Fatal(err)
			}
			for id, ciphertext := range copied {
				got, err := b.Box("tokens").Decrypt(ctx, ciphertext, id)
				if !errors.Is(err, tt.want) || err == nil && string(got) != "token "+id {
					t.Errorf("%s: %q, %v", id, got, err)
				}
			}
		})
	}
}

func openOver(t *testing.T, store seal.Store, wrappers map[string]kms.Wrapper) *seal.Barrier {
	b, err := seal.Open(seal.Config{Store: store, KMS: wrappers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

var errBug = errors.New("a bug")

// TestDeliveryAfterDeliver: of the shares that a migration handed to Deliver
// nothing is left when that has returned, whatever came of it and whoever kept
// them; their text, which custodians have, proves the slot.
func TestDeliveryAfterDeliver(t *testing.T) {
	for name, fail := range map[string]error{"delivered": nil, "failed": errors.New("no paper"), "panicked": errBug} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			b := openOver(t, seal.NewMemStore(), map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("k")})
			if _, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
				t.Fatal(err)
			}
			var kept seal.Delivery
			var copies []seal.Share
			var text string
			plan := migrate.Plan{Slots: map[string]seal.Spec{"people": seal.Shamir{Shares: 1, Threshold: 1}}}
			var r migrate.Result
			err := func() (err error) {
				defer func() {
					if v := recover(); v != nil {
						err = v.(error)
					}
				}()
				r, err = migrate.Reconcile(ctx, b, plan, migrate.Options{Deliver: func(d seal.Delivery) error {
					kept, copies = d, append(copies, d.Sets[0].Shares...)
					text = copies[0].Reveal()
					if fail == errBug {
						panic(errBug)
					}
					return fail
				}})
				return err
			}()
			if !errors.Is(err, fail) {
				t.Fatal(err)
			}
			for _, share := range append(copies, kept.Sets[0].Shares...) {
				if share.Reveal() != "" || share.RevealRaw() != nil {
					t.Error("a share is left")
				}
				if _, err := b.Submit(ctx, share, seal.By{}); !errors.Is(err, seal.ErrShareMalformed) {
					t.Errorf("and is taken: %v", err)
				}
			}
			if kept.Sets[0].Slot != "people" || kept.Sets[0].Threshold != 1 {
				t.Errorf("%+v", kept.Sets[0])
			}
			share, err := seal.ParseShare(text)
			if err != nil {
				t.Fatal(err)
			}
			if fail == nil {
				if _, err := b.Submit(context.WithoutCancel(ctx), share, seal.By{Operation: r.Operation}); err != nil {
					t.Errorf("what its custodian has: %v", err)
				}
			}
		})
	}
}
