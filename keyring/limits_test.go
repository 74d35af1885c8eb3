package keyring_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/keyring"
)

// limited returns an owner whose limits are low, with term 1 of 2 installed.
func limited(t testing.TB, l keyring.Limits) *keyring.Owner {
	t.Helper()
	o := keyring.New()
	o.SetLimits(l)
	install(t, o, terms(1, 2))
	return o
}

func wantUsage(t *testing.T, o *keyring.Owner, want keyring.Usage) {
	t.Helper()
	if got, err := o.Usage(); err != nil || got != want {
		t.Errorf("Usage = %+v, %v; want %+v", got, err, want)
	}
}

// salt is what names the epoch of a ciphertext.
func salt(ciphertext []byte) string { return string(ciphertext[9:25]) }

func nonce(ciphertext []byte) string { return string(ciphertext[41:53]) }

func TestLimits(t *testing.T) {
	const epochs, units = 4, 256
	o := limited(t, keyring.Limits{EpochUnits: units, Lease: 1, TermEpochs: epochs, Chunks: 4})
	k := o.Keyring()
	wantUsage(t, o, keyring.Usage{Term: 1, Epochs: 1, MaxEpochs: epochs})

	perEpoch, nonces := make(map[string]int), make(map[string]bool)
	total := 0
	for {
		ciphertext, err := k.Encrypt(nil, []byte("x"), nil)
		if errors.Is(err, keyring.ErrExhausted) {
			wantError(t, err, keyring.ErrExhausted, "keyring: encrypt: term 1: the term is used up: rotate to a new one")
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		perEpoch[salt(ciphertext)]++
		nonces[nonce(ciphertext)] = true
		total++
	}
	for _, n := range perEpoch {
		if n > units {
			t.Errorf("%d messages in an epoch of %d", n, units)
		}
	}
	if len(perEpoch) != epochs || total != epochs*units || len(nonces) != total {
		t.Errorf("%d epochs, %d messages, %d nonces", len(perEpoch), total, len(nonces))
	}
	wantUsage(t, o, keyring.Usage{Term: 1, Epochs: epochs, MaxEpochs: epochs})

	// What is used up stays so, over a refresh and a seal; what was encrypted
	// is still read; rotating helps.
	old := refMessageFor(t, k)
	install(t, o, terms(1, 2))
	_, err := k.Encrypt(nil, nil, nil)
	wantError(t, err, keyring.ErrExhausted, "")
	o.Seal()
	install(t, o, terms(1, 2))
	_, err = k.EncryptString("", nil)
	wantError(t, err, keyring.ErrExhausted, "keyring: encrypt: term 1: the term is used up: rotate to a new one")
	wantDecrypt(t, k, old, "", "old")
	install(t, o, terms(2, 2))
	wantUsage(t, o, keyring.Usage{Term: 2, Epochs: 1, MaxEpochs: epochs})
	out, changed, err := k.Rewrap(nil, old, nil)
	if err != nil || !changed {
		t.Fatalf("Rewrap after rotating: %v, %v", changed, err)
	}
	wantTerm(t, out, 2)
	for err == nil {
		_, err = k.Encrypt(nil, nil, nil)
	}
	_, _, err = k.Rewrap(nil, old, nil)
	wantError(t, err, keyring.ErrExhausted, "keyring: rewrap: term 2: the term is used up: rotate to a new one")

	parallelEpochs, parallelMost := parallelLimits(t)
	if testing.Short() {
		return
	}
	t.Logf("GUARANTEE 19 keyring-limits: epochs=%d messages=%d of %d, parallel-epochs=%d most-in-one=%d of %d, nonces-repeated=%d",
		len(perEpoch), total, epochs*units, parallelEpochs, parallelMost, units, total-len(nonces))
}

// refMessageFor returns a message of term 1 that another process encrypted.
func refMessageFor(t *testing.T, k *keyring.Keyring) []byte {
	t.Helper()
	old := encrypt(t, newOwner(t, terms(1, 2)).Keyring(), "old", "")
	wantDecrypt(t, k, old, "", "old")
	return old
}

// parallelLimits uses a term up from many goroutines, and returns the number
// of epochs and of the messages in the fullest.
func parallelLimits(t *testing.T) (epochs, most int) {
	const units = 256
	limit := 50
	if testing.Short() {
		limit = 6
	}
	o := limited(t, keyring.Limits{EpochUnits: units, Lease: 1, TermEpochs: limit, Chunks: 4})
	k := o.Keyring()
	var mu sync.Mutex
	perEpoch := make(map[string]int)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for i := 0; ; i++ {
				ciphertext, err := k.Encrypt(nil, make([]byte, i%3*keyring.Unit), nil)
				if err != nil {
					wantError(t, err, keyring.ErrExhausted, "")
					return
				}
				mu.Lock()
				perEpoch[salt(ciphertext)] += 1 + i%3
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for _, n := range perEpoch {
		most = max(most, n)
	}
	if most > units || len(perEpoch) != limit {
		t.Errorf("%d units in an epoch of %d, %d epochs", most, units, len(perEpoch))
	}
	return len(perEpoch), most
}

func TestLongMessagesCostMore(t *testing.T) {
	o := limited(t, keyring.Limits{EpochUnits: 8, Lease: 1, TermEpochs: 2, Chunks: 4})
	k := o.Keyring()
	count := func(size int) (n int) {
		t.Helper()
		for {
			_, err := k.Encrypt(nil, make([]byte, size), nil)
			if err != nil {
				wantError(t, err, keyring.ErrExhausted, "")
				return n
			}
			n++
		}
	}
	_, err := k.Encrypt(nil, make([]byte, 8*keyring.Unit), nil)
	wantError(t, err, keyring.ErrLength, "keyring: encrypt: term 1: length out of range")
	if n := count(2 * keyring.Unit); n != 4 { // 3 units each, 2 in an epoch
		t.Errorf("%d messages of 3 units in 2 epochs of 8 units", n)
	}
	install(t, o, terms(2, 2))
	if n := count(keyring.Unit - 1); n != 16 {
		t.Errorf("%d messages of 1 unit in 2 epochs of 8 units", n)
	}
}

// TestStreamLimit writes and reads a stream up to the limit of its chunks.
func TestStreamLimit(t *testing.T) {
	o := limited(t, keyring.Limits{EpochUnits: 8, Lease: 1, TermEpochs: 2, Chunks: 2})
	k := o.Keyring()
	stream := writeStream(t, k, bytes.Repeat([]byte("x"), 2*keyring.ChunkSize), "")
	if got := readStream(t, k, stream, ""); len(got) != 2*keyring.ChunkSize {
		t.Errorf("read %d bytes", len(got))
	}
	w, err := k.NewWriter(io.Discard, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(w, strings.NewReader(strings.Repeat("x", 2*keyring.ChunkSize+1)))
	if err == nil {
		err = w.Close()
	}
	wantError(t, err, keyring.ErrLength, "keyring: stream: term 1: length out of range")

	long := writeStream(t, newOwner(t, terms(1, 2)).Keyring(), make([]byte, 3*keyring.ChunkSize), "")
	r, err := k.NewReader(bytes.NewReader(long), nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	if n != 2*keyring.ChunkSize {
		t.Errorf("read %d bytes", n)
	}
	wantError(t, err, keyring.ErrCorrupt, "")
}

// TestLimitsAddUp is the arithmetic of FORMAT.md.
func TestLimitsAddUp(t *testing.T) {
	if keyring.EpochUnits != 1<<24 || keyring.TermEpochs != 1<<16 {
		t.Error("the limits are not those of FORMAT.md")
	}
	if blocks := uint64(keyring.EpochUnits) * keyring.Unit / 16; blocks != 1<<34 {
		t.Errorf("%d blocks in an epoch", blocks)
	}
	if blocks := uint64(keyring.MaxChunks) * keyring.ChunkSize / 16; blocks != 1<<34 {
		t.Errorf("%d blocks in a stream", blocks)
	}
	if keyring.Lease*64*4 != keyring.EpochUnits {
		t.Error("the lanes' leases do not make an epoch")
	}
}
