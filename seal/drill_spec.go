package seal

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"

	"github.com/sealwright/sealwright/internal/causes"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// DrillSpec tries, before anything is changed, whether this process could make
// and open a slot of that shape: each KMS wraps a random key, unwraps it, and
// the two are compared. The errors of all are joined; each names its KMS and
// what is missing. It touches neither the store nor the slots in it; whether a process
// that starts would believe the slot, [Admin.CheckStart] says.
func (a *Admin) DrillSpec(ctx context.Context, spec Spec) error {
	shape, err := a.b.checkSpec(spec)
	if err != nil {
		return wrapError("drill spec", "", err)
	}
	store := a.b.ledger.Newest().Store
	var names []string
	eachKMS(shape, func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	})
	errs := make([]error, len(names))
	var drills sync.WaitGroup
	for i, name := range names {
		drills.Go(func() { errs[i] = a.b.drillKMS(ctx, name, store) })
	}
	drills.Wait()
	return wrapError("drill spec", "", causes.Join(errs...))
}

func (b *Barrier) drillKMS(ctx context.Context, name, store string) error {
	key := make([]byte, 64)
	rand.Read(key)
	place := kms.Binding{Store: store, Slot: "rehearsal", Path: ""}
	ctx, done := b.until(ctx)
	defer done()
	blob, err := b.custody.WrapChecked(ctx, name, key, place)
	if err != nil {
		return err
	}
	if health, ok := b.custody.Health(ctx, name); ok && !health.Deletion.IsZero() {
		return fmt.Errorf("KMS %q: %w", name, &kms.Error{Op: "probe", Type: blob.Type, KeyID: blob.KeyID, Kind: kms.ErrKeyGone,
			Err: fmt.Errorf("scheduled for deletion on %s", health.Deletion.UTC().Format("2006-01-02 15:04 MST"))})
	}
	return nil
}

func eachKMS(s record.Spec, f func(name string)) {
	if s.KMS != "" {
		f(s.KMS)
	}
	for _, child := range s.Of {
		eachKMS(child, f)
	}
}
