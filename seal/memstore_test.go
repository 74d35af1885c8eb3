package seal_test

import (
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
	storetest.Run(t, func(*testing.T) seal.Store { return seal.NewMemStore() })
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
