package seal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
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
					if _, err := b.Admin().Decrypt(ctx, nil, forged, nil); !errors.Is(err, keyring.ErrCorrupt) || errors.Is(err, seal.ErrRolledBack) {
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
				if got, err := b.Admin().Decrypt(ctx, nil, ct, nil); err != nil || !bytes.Equal(got, []byte("fresh")) {
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

// TestAFlippedBitIsNotARollback: each bit of a ciphertext's term, flipped. One
// that leads to a term that no record can have come to yet was called "rolled
// back: restore a later record"; of the others both possibilities are said.
func TestAFlippedBitIsNotARollback(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		_, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		must(t, b.Rotate(ctx, seal.By{}))
		good, err := b.Keyring().Encrypt(nil, []byte("x"), nil)
		must(t, err)
		term := binary.BigEndian.Uint32(good[1:])
		damaged, both := 0, 0
		for bit := range 32 {
			data := bytes.Clone(good)
			binary.BigEndian.PutUint32(data[1:], term^1<<bit)
			_, err := b.Admin().Decrypt(ctx, nil, data, nil)
			switch {
			case err == nil:
				t.Fatalf("bit %d: it opens", bit)
			case errors.Is(err, seal.ErrRolledBack):
				both++
				if !strings.Contains(err.Error(), "restore a later record; or this item is damaged") {
					t.Errorf("bit %d: %v", bit, err)
				}
			case errors.Is(err, keyring.ErrCorrupt):
				damaged++
			case !errors.Is(err, keyring.ErrUnknownTerm) && !errors.Is(err, keyring.ErrWrongKey):
				t.Errorf("bit %d: %v", bit, err)
			}
		}
		if damaged < 21 || both > 10 {
			t.Errorf("%d flipped bits are called damage, and %d perhaps a rollback", damaged, both)
		}
	})
}
