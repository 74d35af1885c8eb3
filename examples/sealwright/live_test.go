package main_test

import (
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// A lease in the record is watched: of a server that lives nothing is changed, and
// one that died holds nobody up for long.
func TestLeaseOfALiveServer(t *testing.T) {
	w, at := fileWorld(t, true)
	add := []string{"add-slot", "more", "--kms", "auto", "--config", w.config, "--store", at, stopped}
	reopen(t, w, func(b *seal.Barrier) {
		lease, err := b.Admin().TakeLease(t.Context(), time.Second, nil, seal.By{})
		if err != nil {
			t.Fatal(err)
		}
		stop, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for {
				select {
				case <-stop:
					return
				case <-time.After(300 * time.Millisecond):
					lease.Keep(t.Context())
				}
			}
		}()
		run(t, "", "inspect", "--store", at).want(t, 0, "works on the data, a sign of life every 1 s")
		run(t, "", add...).want(t, 1, "has the lease: looking for 2s", "a server has the store open, and changed it")
		run(t, "", "open", "--config", w.config, "--store", at).want(t, 0, "slot auto opens") // reading is not held up
		close(stop)
		<-ended
	})
	run(t, "", add...).want(t, 0, "has the lease: looking for 2s", "slot more (KMS auto) opens the store")
}
