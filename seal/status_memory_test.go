package seal_test

import (
	"runtime"
	"testing"

	"github.com/sealwright/sealwright/seal"
)

// TestStatusOfMemory: Status says how keys are kept before there are any, and
// gives a reason where they are kept less well than they could be.
func TestStatusOfMemory(t *testing.T) {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		t.Fatal(err)
	}
	m := b.Status().Memory
	if (m.Locked && m.Undumpable) != (m.Reason == "") || runtime.GOOS != "linux" && m != (seal.MemoryStatus{Reason: m.Reason}) {
		t.Errorf("%+v", m)
	}
}
