// Package localstore opens a store in a directory, as the quickstart leaves it
// with -keep: the record in record.json, a KMS key in kms.key.
package localstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sealwright/sealwright/examples/internal/terminal"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
)

// KMS is the name of the key in kms.key.
const KMS = "local"

// Open returns a sealed Barrier over the store in dir. It makes no key: a new one
// would open nothing where the store's own is away.
func Open(dir string) (*seal.Barrier, error) {
	if dir == "" {
		return nil, errors.New("-dir is required: the directory of the store")
	}
	if _, err := os.Stat(filepath.Join(dir, "record.json")); err != nil {
		return nil, fmt.Errorf("there is no store in %s: %w", dir, err)
	}
	wrapper, err := localkms.New(localkms.Config{Path: keyFile(dir)})
	if err != nil {
		return nil, err
	}
	store, err := filestore.Open(filepath.Join(dir, "record.json"))
	if err != nil {
		return nil, err
	}
	return seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{KMS: wrapper}})
}

func keyFile(dir string) string { return filepath.Join(dir, "kms.key") }

// CreateKey makes the key file of a store that people alone hold, if there is
// none. Of any other store the key is somewhere already.
func CreateKey(ctx context.Context, dir string, b *seal.Barrier) error {
	for _, s := range b.Status().Slots {
		if _, people := s.Spec.(seal.Shamir); !people {
			return nil
		}
	}
	if err := localkms.Create(ctx, keyFile(dir)); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Unseal opens the barrier through its KMS key if it can, and with shares
// otherwise. Source is called only then.
func Unseal(ctx context.Context, b *seal.Barrier, source func() (*terminal.Source, error)) error {
	err := b.Unseal(ctx)
	if err == nil {
		fmt.Println("Unsealed by the KMS key.")
		return nil
	}
	if !errors.Is(err, seal.ErrSealed) {
		return err
	}
	fmt.Println(b.Sealed())
	shares, err := source()
	if err != nil {
		return err
	}
	return shares.Submit(func(s seal.Share) (bool, error) {
		done, err := b.Submit(ctx, s, seal.By{})
		if err == nil && !done {
			fmt.Println("  ", b.Sealed())
		}
		return done, err
	})
}
