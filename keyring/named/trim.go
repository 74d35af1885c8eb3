package named

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Trim removes the versions before minAvailable for good: what they encrypted is
// lost. They have to be below both min_decryption_version and
// min_encryption_version, or it is [ErrPolicy].
func (k *Keys) Trim(ctx context.Context, name string, minAvailable int) (Info, error) {
	return k.change(ctx, "trim", name, func(d *document) error {
		switch {
		case minAvailable < 1:
			return because(ErrInput, "the minimum available version is %d, want 1 or more", minAvailable)
		case minAvailable < d.MinAvailable:
			return because(ErrVersion, "versions before %d were trimmed already", d.MinAvailable)
		case d.MinEncryption == 0:
			return because(ErrPolicy, "min_encryption_version is not set: set it, so that nothing is encrypted under what is trimmed")
		case minAvailable > d.MinEncryption:
			return because(ErrPolicy, "version %d is above min_encryption_version, %d", minAvailable, d.MinEncryption)
		case minAvailable > d.MinDecryption:
			return because(ErrPolicy, "version %d is above min_decryption_version, %d", minAvailable, d.MinDecryption)
		}
		gone := d.Versions[:minAvailable-d.first()]
		d.Versions = d.Versions[len(gone):]
		for i := range gone {
			clear(gone[i].Key)
			clear(gone[i].MAC)
		}
		d.MinAvailable = minAvailable
		return nil
	})
}

// Delete removes a key for good, if its settings allow that: what it encrypted is
// lost. The errors are [ErrNotFound], [ErrPolicy] and those of a change.
func (k *Keys) Delete(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return wrap("delete", name, err)
	}
	for range maxTries {
		d, revision, err := k.fetch(ctx, name)
		if err != nil {
			return wrap("delete", name, err)
		}
		d.wipe()
		if !d.Deletable {
			return wrap("delete", name, because(ErrPolicy, "deletion_allowed is not set"))
		}
		_, err = k.cfg.Store.Swap(ctx, name, nil, revision)
		k.invalidate(name)
		if !errors.Is(err, ErrConflict) {
			return wrap("delete", name, err)
		}
	}
	return wrap("delete", name, ErrConflict)
}

// duePage is how many names are read at a time.
const duePage = 256

// errNotDue says that another process was first.
var errNotDue = errors.New("not due")

// RotateDue rotates the keys whose latest version is as old as their
// AutoRotatePeriod, and returns their names. Call it about every hour, from
// wherever the server does such things; several replicas may. A key that can't be
// rotated does not keep it from the others: the errors are joined.
func (k *Keys) RotateDue(ctx context.Context) (rotated []string, err error) {
	var failed []error
	for after := ""; ; {
		names, err := k.List(ctx, after, duePage)
		if err != nil || len(names) == 0 {
			return rotated, errors.Join(append(failed, err)...)
		}
		after = names[len(names)-1]
		for _, name := range names {
			switch done, err := k.rotateIfDue(ctx, name); {
			case ctx.Err() != nil:
				return rotated, errors.Join(append(failed, ctx.Err())...)
			case err != nil && len(failed) < duePage:
				failed = append(failed, err)
			case done:
				rotated = append(rotated, name)
			}
		}
	}
}

func (k *Keys) rotateIfDue(ctx context.Context, name string) (bool, error) {
	_, err := k.rotate(ctx, name, func(d *document) error {
		age := k.cfg.Now().Sub(d.last().Created)
		if d.AutoRotate == 0 || age < time.Duration(d.AutoRotate)*time.Second {
			return errNotDue
		}
		return nil
	})
	if errors.Is(err, errNotDue) || errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("named: rotate in time: %w", err)
	}
	return true, nil
}
