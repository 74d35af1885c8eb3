package seal_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

var (
	_ seal.Store   = (*seal.MemStore)(nil)
	_ seal.Watcher = (*seal.MemStore)(nil)
)

func TestMemStore(t *testing.T) {
	if testing.Short() {
		storetest.Config{MaxRecordSize: 64 << 10}.Run(t, func(*testing.T) seal.Store { return smallMem{seal.NewMemStore()} })
		return
	}
	storetest.Run(t, func(*testing.T) seal.Store { return seal.NewMemStore() })
}

// A smallMem takes 64 KiB: what is at four megabytes costs more than all else.
type smallMem struct{ *seal.MemStore }

func (s smallMem) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if ctx.Err() == nil && len(rec) > 64<<10 {
		return "", seal.ErrTooLarge
	}
	return s.MemStore.Swap(ctx, rec, old)
}

func TestMemStoreTooLarge(t *testing.T) {
	_, err := seal.NewMemStore().Swap(t.Context(), make([]byte, seal.MaxRecordSize+1), "")
	if !errors.Is(err, seal.ErrTooLarge) {
		t.Fatalf("Swap: error %v, want ErrTooLarge", err)
	}
	if want := "seal: swap in memory: 4194305 bytes: "; err.Error()[:len(want)] != want {
		t.Errorf("Swap: error %q, want it to begin with %q", err, want)
	}
}
