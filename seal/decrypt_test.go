package seal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/seal"
)

// TestForgedTermsLoadSeldom: ciphertexts with terms that never were make the
// record be loaded now and then, however many there are, and one under a term
// that another replica has just added is read among them.
func TestForgedTermsLoadSeldom(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		forged, err := b.Keyring().Encrypt(nil, []byte("x"), nil)
		must(t, err)
		binary.BigEndian.PutUint32(forged[1:], 1<<20)

		other := v.boot()
		defer other.Close()
		must(t, v.unseal(ctx, other))

		before, _ := v.faulty.Calls()
		began := time.Now()
		var senders sync.WaitGroup
		for range 8 {
			senders.Go(func() {
				for range 100 {
					if _, err := b.Decrypt(ctx, nil, forged, nil); !errors.Is(err, seal.ErrRolledBack) || !errors.Is(err, keyring.ErrUnknownTerm) {
						t.Error(err)
					}
				}
			})
		}
		senders.Go(func() {
			for range 5 {
				time.Sleep(700 * time.Millisecond)
				must(t, other.Rotate(ctx, seal.By{}))
				ct, err := other.Keyring().Encrypt(nil, []byte("fresh"), nil)
				must(t, err)
				if got, err := b.Decrypt(ctx, nil, ct, nil); err != nil || !bytes.Equal(got, []byte("fresh")) {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
		senders.Wait()
		after, _ := v.faulty.Calls()
		loads, most := after-before-5, int(time.Since(began)/(100*time.Millisecond))+1 // five by the other's rotations
		if loads > most {
			t.Errorf("%d loads in %v", loads, time.Since(began))
		}
		t.Logf("GUARANTEE 27 forged-terms: decrypts=800 loads=%d within=%v", loads, time.Since(began))
	})
}
