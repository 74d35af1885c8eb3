package localkms_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/localkms"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "unseal.key")

	// Once, when the server is set up:
	if err := localkms.Create(ctx, path); err != nil {
		fmt.Println(err)
		return
	}

	w, err := localkms.New(localkms.Config{Path: path})
	if err != nil {
		fmt.Println(err)
		return
	}
	place := kms.Binding{Store: "demo", Slot: "file"}
	blob, err := w.Wrap(ctx, make([]byte, 32), place)
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := w.Unwrap(ctx, blob, place)
	fmt.Println(blob.Type, blob.Version, len(key), err)

	_, err = w.Unwrap(ctx, blob, kms.Binding{Store: "another", Slot: "file"})
	fmt.Println(err != nil)
	// Output:
	// localkms 1 32 <nil>
	// true
}
