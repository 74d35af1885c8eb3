package vaultstore_test

import (
	"context"
	"fmt"
	"io"
	"log"

	"github.com/sealwright/sealwright/migrate/vaultstore"
)

// Three of five people who hold shares of a Vault that was switched off read what
// is in its storage. One of them brings a share that is not theirs.
func Example() {
	var keys vaultstore.Keys
	for _, text := range []string{ // of a store for tests; real ones are typed in
		"71705798a8fd8d65aaa01c55332e489dc3c9e09acd65aa1d1d0b97afb1546a8343",
		"dv8AM+hnj6Hlg9Dsg6u9r08R9kESPdHpxp4HrXfKG92Q", // with one letter of another
		"8b088a317e69ceb33d8e85eb5a579a41fbf4e77d5051013fb793307bfe8a5fdb32",
		"Bip8ouMhDefFI8fbzjrRNpwNdwtOZAl6pNtb6Fwh+eh+",
	} {
		share, err := vaultstore.ParseShare(text)
		if err != nil {
			log.Fatal(err)
		}
		keys.Shares = append(keys.Shares, share)
	}
	ctx := context.Background()
	store, err := vaultstore.Open(ctx, "testdata/stores/vault-shamir-5of3", keys)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	fmt.Println("opened by", store.Info().OpenedBy, "but for share", store.Info().Wrong)

	mounts, err := store.Mounts(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range mounts {
		if m.KV() == 0 {
			continue
		}
		err := store.Secrets(ctx, &m, func(s *vaultstore.Secret, _ string, err error) error {
			if err == nil {
				fmt.Printf("%s%s %s\n", m.Path, s.Path, s.Versions[0].Data)
			}
			return err
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	if _, err := store.Export(ctx, io.Discard, vaultstore.ExportOptions{}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// opened by shares but for share [2]
	// secret/hello {"greeting":"vault"}
}
