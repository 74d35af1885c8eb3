package keyring_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/keyring"
)

// TestTogether runs every operation of readers beside an owner that rotates,
// retires, seals and unseals. Nothing may fail but for sealing and retiring,
// and no message that begins after an Install may be under an older term.
func TestTogether(t *testing.T) {
	rounds := 300
	if !testlevel.Whole() {
		rounds = 50
	}
	if testing.Short() {
		rounds = 15
	}
	const oldest = 3 // terms that stay behind the active one
	o := keyring.New()
	o.SetLimits(keyring.Limits{EpochUnits: 1024, Lease: 4, TermEpochs: 1 << 16, Chunks: 1 << 10})
	k := o.Keyring()
	upTo := func(active uint32) []keyring.Term {
		ts := terms(active, active+1)
		return ts[max(0, int(active)-oldest):]
	}
	var installed atomic.Uint32 // the active term of the last Install that returned
	var done atomic.Bool
	var messages, sealed, stale, retired atomic.Int64
	bad := func(op string, err error) bool {
		switch {
		case err == nil:
			return false
		case errors.Is(err, keyring.ErrSealed):
			sealed.Add(1)
		case errors.Is(err, keyring.ErrUnknownTerm):
			retired.Add(1)
		default:
			t.Errorf("%s: %v", op, err)
		}
		return true
	}
	var mu sync.Mutex
	pool := make([][]byte, 256)
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			var buf, plain []byte
			text := bytes.Repeat([]byte("plaintext "), 100)
			for !done.Load() {
				size := rand.IntN(len(text))
				atLeast := installed.Load()
				var err error
				buf, err = k.Encrypt(buf[:0], text[:size], []byte("aad"))
				if bad("encrypt", err) {
					continue
				}
				messages.Add(1)
				if term, err := keyring.TermOf(buf); err != nil || term < atLeast {
					stale.Add(1)
				}
				mu.Lock()
				i := rand.IntN(len(pool))
				old := pool[i]
				pool[i] = bytes.Clone(buf)
				mu.Unlock()
				if old == nil {
					continue
				}
				plain, err = k.Decrypt(plain[:0], old, []byte("aad"))
				if !bad("decrypt", err) && !bytes.Equal(plain, text[:len(plain)]) {
					t.Error("decrypted something else")
				}
				out, _, err := k.Rewrap(nil, old, []byte("aad"))
				if !bad("rewrap", err) && len(out) != len(old) {
					t.Error("rewrapped something else")
				}
				if _, err := k.Derive(installed.Load(), "purpose", 32); err != nil {
					bad("derive", err)
				}
				if i == 0 {
					var stream bytes.Buffer
					w, err := k.NewWriter(&stream, nil)
					if bad("new writer", err) {
						continue
					}
					_, err = w.Write(text)
					if bad("write", err) || bad("close", w.Close()) {
						continue
					}
					r, err := k.NewReader(&stream, nil)
					if bad("new reader", err) {
						continue
					}
					got, err := io.ReadAll(r)
					if !bad("read", err) && !bytes.Equal(got, text) {
						t.Error("read something else")
					}
				}
			}
		})
	}
	installs, seals := 0, 0
	for active := uint32(1); active <= uint32(rounds); active++ {
		install(t, o, upTo(active))
		installed.Store(active)
		installs++
		time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
		if active%7 == 0 {
			o.Seal()
			seals++
			if _, err := k.Encrypt(nil, nil, nil); !errors.Is(err, keyring.ErrSealed) {
				t.Errorf("after Seal: %v", err)
			}
			if n := o.Unwiped(); n != 0 {
				t.Errorf("after Seal %d keys are not wiped", n)
			}
			install(t, o, upTo(active))
		}
	}
	done.Store(true)
	group.Wait()
	o.Seal()
	if n := o.Streams(); n != 0 {
		t.Errorf("%d streams left", n)
	}
	if stale.Load() != 0 {
		t.Errorf("%d messages under a term older than what was installed", stale.Load())
	}
	if testing.Short() {
		return
	}
	t.Logf("GUARANTEE 9 keyring-terms: messages=%d installs=%d stale=%d", messages.Load(), installs, stale.Load())
	t.Logf("GUARANTEE 26 keyring-together: messages=%d installs=%d seals=%d refused-sealed=%d refused-retired=%d unwiped=0",
		messages.Load(), installs, seals, sealed.Load(), retired.Load())
}

// TestSealWaits holds an operation in flight, of each kind, and sees that Seal
// does not wipe or return before it is done, and that nothing new begins.
func TestSealWaits(t *testing.T) {
	wait := time.Minute
	if testing.Short() {
		wait = time.Second
	}
	for name, enter := range map[string]func(o *keyring.Owner) (leave func()){
		"encrypt": (*keyring.Owner).EnterEpoch,
		"decrypt": (*keyring.Owner).EnterView,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOwner(t, terms(1, 1))
				k := o.Keyring()
				ciphertext := encrypt(t, k, "plaintext", "")
				wantDecrypt(t, k, ciphertext, "", "plaintext")
				leave := enter(o)
				var sealed atomic.Bool
				go func() {
					o.Seal()
					sealed.Store(true)
				}()
				time.Sleep(wait)
				synctest.Wait()
				if sealed.Load() {
					t.Error("Seal returned under an operation in flight")
				}
				if o.Unwiped() == 0 {
					t.Error("Seal wiped under an operation in flight")
				}
				_, err := k.Encrypt(nil, nil, nil)
				wantError(t, err, keyring.ErrSealed, "")
				_, err = k.Decrypt(nil, ciphertext, nil)
				wantError(t, err, keyring.ErrSealed, "")
				leave()
				time.Sleep(wait)
				synctest.Wait()
				if !sealed.Load() || o.Unwiped() != 0 {
					t.Errorf("the operation has left; sealed: %v, keys left: %d", sealed.Load(), o.Unwiped())
				}
			})
		})
	}
}

// TestInstallDoesNotWait holds an operation in flight over rotations and
// retirements: nobody waits, and what it uses is not wiped before it is done.
func TestInstallDoesNotWait(t *testing.T) {
	o := newOwner(t, terms(1, 1))
	k := o.Keyring()
	ciphertext := encrypt(t, k, "plaintext", "")
	wantDecrypt(t, k, ciphertext, "", "plaintext") // it is in the cache now
	leave := o.EnterView()
	for active := uint32(2); active < 50; active++ {
		install(t, o, terms(active, active)[active-1:])
		encrypt(t, k, "plaintext", "")
	}
	if n := o.Unwiped(); n < 49 {
		t.Errorf("%d keys are left under an operation in flight", n)
	}
	leave()
	install(t, o, terms(50, 50)[49:])
	if n := o.Unwiped(); n != 2 { // the present term and epoch
		t.Errorf("%d keys are left when the operation is done", n)
	}
}

// TestCache reads more epochs than the cache holds, and sees each evicted one
// wiped, and the cache bounded.
func TestCache(t *testing.T) {
	o := newOwner(t, terms(1, 1))
	writer := newOwner(t, terms(1, 1))
	epochs := 2 * keyring.CacheSize
	var ciphertexts [][]byte
	for range epochs {
		install(t, writer, terms(1, 1))
		ciphertexts = append(ciphertexts, encrypt(t, writer.Keyring(), "plaintext", ""))
	}
	leave := o.EnterView() // as long as it is in, nothing it may see is wiped
	again := 3
	if testing.Short() {
		again = 1
	}
	for range again {
		for _, c := range ciphertexts {
			wantDecrypt(t, o.Keyring(), c, "", "plaintext")
		}
	}
	// The cache, the term and its epoch, and what waits for the reader.
	if n := o.Unwiped(); n > keyring.CacheSize+2+64*10 {
		t.Errorf("%d keys in memory", n)
	}
	leave()
	for _, c := range ciphertexts {
		wantDecrypt(t, o.Keyring(), c, "", "plaintext")
	}
	if n := o.Unwiped(); n > keyring.CacheSize+2+64 {
		t.Errorf("%d keys in memory when nobody waits", n)
	}
	for range 100 { // forgeries do not get in
		forged := bytes.Clone(ciphertexts[0])
		forged[len(forged)-1] ^= 1
		o.Keyring().Decrypt(nil, forged, nil)
	}
	o.Seal()
	if n := o.Unwiped(); n != 0 {
		t.Errorf("%d keys in memory after Seal", n)
	}
}

// TestLateReaders has readers find the keys before a change, and enter after
// it: they must be turned away, and leave nothing in flight.
func TestLateReaders(t *testing.T) {
	o := newOwner(t, terms(1, 2))
	for name, change := range map[string]func(){
		"rotate": func() { install(t, o, terms(2, 2)) },
		"seal":   func() { o.Seal() },
	} {
		encrypt(t, o.Keyring(), "", "")
		for reader, enter := range o.LateReaders() {
			change()
			if enter() {
				t.Errorf("%s: after %s it entered", reader, name)
			}
			install(t, o, terms(1, 2))
		}
	}
	o.Seal()
	if n := o.Unwiped(); n != 0 {
		t.Errorf("%d keys are not wiped", n)
	}
}

// TestManySeals seals as often as it can beside readers that do nothing but
// enter, so that some are caught between finding the keys and entering.
func TestManySeals(t *testing.T) {
	rounds := 1500
	if !testlevel.Whole() {
		rounds = 500
	}
	if testing.Short() {
		rounds = 100
	}
	o := newOwner(t, terms(1, 1))
	k := o.Keyring()
	ciphertext := encrypt(t, k, "x", "")
	var done atomic.Bool
	var group sync.WaitGroup
	loop := func(f func() error) {
		group.Go(func() {
			for !done.Load() {
				if err := f(); err != nil && !errors.Is(err, keyring.ErrSealed) {
					t.Error(err)
				}
			}
		})
	}
	loop(func() error { _, err := k.Encrypt(nil, nil, nil); return err })
	loop(func() error { _, err := k.Decrypt(nil, ciphertext, nil); return err })
	for range rounds {
		o.Seal()
		install(t, o, terms(1, 1))
		k.Decrypt(nil, ciphertext, nil)
	}
	done.Store(true)
	group.Wait()
}

// TestLateStreams begins streams while the keyring is sealed: none may come
// too late to be ended.
func TestLateStreams(t *testing.T) {
	rounds := 700
	if !testlevel.Whole() {
		rounds = 100
	}
	if testing.Short() {
		rounds = 40
	}
	o := keyring.New()
	for range rounds {
		install(t, o, terms(1, 1))
		var group sync.WaitGroup
		begun := make(chan struct{})
		group.Go(func() {
			close(begun)
			for {
				if _, err := o.Keyring().NewWriter(io.Discard, nil); err != nil {
					wantError(t, err, keyring.ErrSealed, "")
					return
				}
				runtime.Gosched() // to who seals, where there is one processor for both
			}
		})
		<-begun
		o.Seal()
		group.Wait()
		if n := o.Streams(); n != 0 {
			t.Fatalf("%d streams begun under a sealed keyring", n)
		}
	}
}

// TestCachedOnce has two readers miss the same epoch at once.
func TestCachedOnce(t *testing.T) {
	o := newOwner(t, terms(1, 1))
	ciphertext := encrypt(t, o.Keyring(), "plaintext", "")
	if cached, wiped := o.RememberTwice(ciphertext); cached != 1 || !wiped {
		t.Errorf("cached %d times; the other one wiped: %v", cached, wiped)
	}
	wantDecrypt(t, o.Keyring(), ciphertext, "", "plaintext")
}
