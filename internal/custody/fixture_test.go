package custody_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/secret"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// A fixture is a record that custody made, and what the people of its slots got.
type fixture struct {
	rec        *record.Record
	slots      map[string]*record.Slot
	shares     map[string][][]custody.Share // by slot, the sets of its leaves in order
	identities map[string][32]byte          // by slot
}

// A shape is a slot that a fixture has.
type shape struct {
	name string
	spec record.Spec
}

func people(shares, threshold int) record.Spec {
	return record.Spec{Shares: shares, Threshold: threshold}
}

func tree(threshold int, of ...record.Spec) record.Spec {
	return record.Spec{Threshold: threshold, Of: of}
}

func onKMS(name string) record.Spec { return record.Spec{KMS: name} }

const storeID = "00112233445566778899aabbccddeeff"

var rootKey = bytes.Repeat([]byte{7}, 32)

func newFixture(t *testing.T, shapes ...shape) *fixture {
	t.Helper()
	return fixtureOf(t, keysOf(map[string]kms.Wrapper{"a": mirror{}, "b": mirror{}}), shapes...)
}

// keysOf is the Keys of these KMS, each of which is asked once a call.
func keysOf(wrappers map[string]kms.Wrapper) *custody.Keys {
	return custody.NewKeys(wrappers, kms.Policy{Attempts: 1}, time.Second)
}

// onFake is the Keys of three keys of a KMS in memory, and of one, "mirror", that
// can neither be probed nor says who wrapped.
func onFake(fake *kmstest.Fake) *custody.Keys {
	return keysOf(map[string]kms.Wrapper{"a": fake.Key("a"), "b": fake.Key("b"), "c": fake.Key("c"), "mirror": mirror{}})
}

func fixtureOf(t *testing.T, keys *custody.Keys, shapes ...shape) *fixture {
	t.Helper()
	f := &fixture{
		rec:   &record.Record{Store: storeID, Root: 1, Slots: make([]record.Slot, 0, len(shapes))},
		slots: map[string]*record.Slot{}, shares: map[string][][]custody.Share{}, identities: map[string][32]byte{},
	}
	for _, s := range shapes {
		n, sets, err := keys.NewSlot(t.Context(), f.rec, s.name, s.spec, rootKey)
		if err != nil {
			t.Fatal(err)
		}
		f.rec.LastSlot++
		f.identities[s.name] = n.Identity
		fingerprint := record.FingerprintOf(n.Identity)
		f.rec.Slots = append(f.rec.Slots, record.Slot{
			ID: f.rec.LastSlot, Name: s.name, State: record.Active, Fingerprint: fingerprint[:12],
			Tree: n.Tree, PublicKey: n.PublicKey, Wrap: n.Wrap,
		})
		for _, set := range sets {
			f.rec.LastSet = set.Set
			f.shares[s.name] = append(f.shares[s.name], set.Shares)
		}
	}
	for i := range f.rec.Slots {
		f.slots[f.rec.Slots[i].Name] = &f.rec.Slots[i]
	}
	return f
}

// drop takes a slot out of the record, which remembers its sets.
func (f *fixture) drop(name string) {
	var kept []record.Slot
	for _, slot := range f.rec.Slots {
		if slot.Name != name {
			kept = append(kept, slot)
			continue
		}
		custody.EachSet(&record.Record{Slots: []record.Slot{slot}}, func(slot *record.Slot, leaf *record.Shares, _ string) {
			f.rec.Former = append(f.rec.Former, record.Former{Set: leaf.Set, Fingerprint: slot.Fingerprint})
		})
	}
	f.rec.Slots = kept
}

// raw is the share as Vault would have it.
func raw(s custody.Share) custody.Share { return custody.Share{X: s.X, Y: secret.New(s.Y.Reveal())} }

// altered is the share with one bit of its key flipped.
func altered(s custody.Share) custody.Share {
	y := s.Y.Reveal()
	y[0] ^= 1
	s.Y = secret.New(y)
	return s
}

// mirror is a KMS that keeps nothing from anybody.
type mirror struct{}

func (mirror) Wrap(_ context.Context, key []byte, _ kms.Binding) (*kms.Blob, error) {
	return &kms.Blob{Type: "mirror", KeyID: "k", Ciphertext: append([]byte{}, key...)}, nil
}

func (mirror) Unwrap(_ context.Context, blob *kms.Blob, _ kms.Binding) ([]byte, error) {
	return append([]byte{}, blob.Ciphertext...), nil
}

// kindOf returns what is said of a share: nil for none.
func kindOf(err error) error {
	if e, ok := errors.AsType[*custody.ShareError](err); ok {
		return e.Kind
	}
	return err
}

// virtual runs f in virtual time, in which crypto/rand finds no entropy in FIPS mode
// before Go 1.27.
func virtual(t *testing.T, f func(*testing.T)) {
	t.Helper()
	if fips140.Enabled() && strings.HasPrefix(runtime.Version(), "go1.26") {
		t.Skip("needs virtual time, in which crypto/rand finds no entropy in FIPS mode before Go 1.27")
	}
	synctest.Test(t, f)
}
