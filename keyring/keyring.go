// Package keyring encrypts a server's data under keys that come and go while it
// runs.
//
// A [Keyring] is all that the code which reads and writes data needs: Encrypt,
// Decrypt, and Rewrap for the time after a rotation. It is not for passwords,
// which are hashed, nor for data that others must read: there is no public key
// here.
//
// # Terms
//
// A keyring holds terms: keys numbered 1, 2, 3 and so on. One is active and
// encrypts; all decrypt. To rotate is to add a term and make it active; data
// under older terms stays readable, is rewrapped at leisure, and then the old
// term is retired. Who does all this is the [Owner] of the keyring, most often
// a Barrier of package seal, which keeps the terms encrypted in a store.
//
// A ciphertext names its term, and is bound to its store, its term and the
// associated data of the caller. Use [AAD] to name the place that a value
// belongs to, its table, column and row, so that no ciphertext can be moved to
// another. Associated data are not stored and not secret.
//
// # Concurrency
//
// All methods are safe for concurrent use. Encrypt and Decrypt take no locks;
// neither does I/O, so a term that another replica has just added is
// [ErrUnknownTerm] at once, for the caller to refresh and try again. The Keyring
// is the same from before the server is unsealed to its end; while it is sealed
// nothing encrypts or decrypts, and [ErrSealed] is returned.
//
// # Memory
//
// The methods append to dst, as those of crypto/cipher do, and allocate nothing
// if there is room: above 1 KiB allocating the output is most of the cost. Pass
// nil to have it allocated. Arguments are not kept, and may overlap in any way;
// on an error what dst holds beyond its length is undefined.
//
// # Compatibility
//
// FORMAT.md, beside this file, describes every byte. What one version has
// encrypted every later version decrypts.
package keyring

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sealwright/sealwright/internal/aead"
)

// A Keyring encrypts and decrypts under the terms that its [Owner] installs.
// The zero Keyring is sealed for ever.
type Keyring struct {
	epoch atomic.Pointer[epoch] // what Encrypt uses
	view  atomic.Pointer[view]  // what everything else uses
	cache cache

	mu      sync.Mutex // guards what follows, and every change of the above
	limit   limits
	burials []burial
	spent   map[termName]*spent
	streams map[*streamKey]struct{}
	onSeal  []func()
}

// Encrypt appends the encrypted plaintext, [Overhead] bytes longer, to dst and
// returns the longer slice. The ciphertext decrypts only with the same aad.
//
// The errors are [ErrSealed]; [ErrExhausted], when this process has encrypted
// so much under the term that it must be rotated first; and [ErrLength] for
// more than 64 GiB.
func (k *Keyring) Encrypt(dst, plaintext, aad []byte) ([]byte, error) {
	// What nearly every call takes: no loop, and no more calls than needed.
	if e := k.epoch.Load(); e != nil && len(plaintext) <= cap(dst)-len(dst)-Overhead && uint64(len(plaintext)) <= aead.MaxPlaintext {
		units := 1 + uint64(len(plaintext))/unit
		l := e.gate.lane()
		if count, ok := k.enter(e, l, units); ok || k.admit(e, l, units, count) {
			out := e.aead.Seal(dst[:len(dst)+headerSize], plaintext, aad)
			*(*header)(out[len(dst):]) = e.head
			l.left.Add(units)
			return out, nil
		}
	}
	return k.encrypt("encrypt", dst, plaintext, aad)
}

func (k *Keyring) encrypt(op string, dst, plaintext, aad []byte) ([]byte, error) {
	if uint64(len(plaintext)) > aead.MaxPlaintext {
		return nil, &Error{Op: op, Err: ErrLength}
	}
	// Whatever can panic for want of memory comes before the gate.
	if cap(dst)-len(dst) < len(plaintext)+Overhead {
		dst = slices.Grow(dst, len(plaintext)+Overhead)
	}
	units := 1 + uint64(len(plaintext))/unit
	e, l, err := k.enterEpoch(op, units)
	if err != nil {
		return nil, err
	}
	dst = e.seal(dst, plaintext, aad)
	l.left.Add(units)
	return dst, nil
}

// Decrypt appends the plaintext to dst and returns the longer slice.
//
// The errors are [ErrSealed], [ErrFormat], [ErrUnknownTerm], [ErrWrongKey] and
// [ErrCorrupt], each in an [*Error] with the ciphertext's term.
func (k *Keyring) Decrypt(dst, ciphertext, aad []byte) ([]byte, error) {
	// What nearly every call takes, as in Encrypt.
	if v := k.view.Load(); v != nil && len(ciphertext) >= Overhead && ciphertext[0] == versionMessage {
		if l, ok := k.stillEnter(v); ok {
			if o := k.cache.find((*header)(ciphertext)); o != nil {
				dst, err := o.aead.Open(dst, ciphertext[headerSize:], aad)
				l.left.Add(1)
				if err != nil {
					return nil, &Error{Op: "decrypt", Term: o.head.term(), Err: ErrCorrupt}
				}
				return dst, nil
			}
			l.left.Add(1)
		}
	}
	return k.decrypt("decrypt", dst, ciphertext, aad)
}

func (k *Keyring) decrypt(op string, dst, ciphertext, aad []byte) ([]byte, error) {
	v, l := k.enterView()
	if v == nil {
		return nil, &Error{Op: op, Err: ErrSealed}
	}
	h, body, err := split(ciphertext)
	if err != nil {
		l.left.Add(1)
		return nil, &Error{Op: op, Err: err}
	}
	if o := k.cache.find(h); o != nil {
		dst, err = o.aead.Open(dst, body, aad)
		l.left.Add(1)
		if err != nil {
			return nil, &Error{Op: op, Term: o.head.term(), Err: ErrCorrupt}
		}
		return dst, nil
	}
	term := h.term() // h may lie in dst
	o, err := v.open(h)
	if err == nil {
		if dst, err = o.aead.Open(dst, body, aad); err != nil {
			o.wipe()
			err = ErrCorrupt
		}
	}
	l.left.Add(1)
	if err != nil {
		return nil, &Error{Op: op, Term: term, Err: err}
	}
	k.remember(v, o)
	return dst, nil
}

// Rewrap appends to dst the ciphertext re-encrypted under the active term, and
// returns the longer slice. It allocates no plaintext elsewhere. A ciphertext
// under the active term, or a younger one, is appended as it is, without being
// authenticated, and changed is false.
//
// The errors are those of [Keyring.Decrypt] and [Keyring.Encrypt].
func (k *Keyring) Rewrap(dst, ciphertext, aad []byte) (out []byte, changed bool, err error) {
	v := k.view.Load()
	if v == nil {
		return nil, false, &Error{Op: "rewrap", Err: ErrSealed}
	}
	h, _, err := split(ciphertext)
	if err != nil {
		return nil, false, &Error{Op: "rewrap", Err: err}
	}
	t, err := v.match(h)
	if err != nil {
		return nil, false, &Error{Op: "rewrap", Term: h.term(), Err: err}
	}
	if t.number >= v.active.number {
		return append(dst, ciphertext...), false, nil
	}
	n := len(dst)
	dst = slices.Grow(dst, len(ciphertext))
	if aead.Overlap(dst[n:n+len(ciphertext)], aad) {
		aad = bytes.Clone(aad)
	}
	// The plaintext comes to where it is encrypted in place.
	plaintext, err := k.decrypt("rewrap", dst[n+bodyAt:n+bodyAt], ciphertext, aad)
	if err != nil {
		return nil, false, err
	}
	out, err = k.encrypt("rewrap", dst, plaintext, aad)
	if err != nil {
		clear(plaintext)
		return nil, false, err
	}
	return out, true, nil
}

// Derive returns n bytes derived from the key of a term for a purpose of the
// host's, such as signing cookies: HKDF-SHA256, n from 1 to 8160. The same
// store, term and purpose give the same bytes in every process; another
// purpose gives others, of which these tell nothing. They are gone for good
// when the term is retired. The caller owns them, and wipes them.
//
// The errors are [ErrSealed], [ErrUnknownTerm] and [ErrLength].
func (k *Keyring) Derive(term uint32, purpose string, n int) ([]byte, error) {
	if n < 1 || n > 255*32 {
		return nil, &Error{Op: "derive", Term: term, Err: ErrLength}
	}
	v, l := k.enterView()
	if v == nil {
		return nil, &Error{Op: "derive", Err: ErrSealed}
	}
	defer l.left.Add(1)
	t := v.find(term)
	if t == nil {
		return nil, &Error{Op: "derive", Term: term, Err: ErrUnknownTerm}
	}
	return t.derive(nil, labelDerive, purpose, n), nil
}

// Active describes the active term. The error is [ErrSealed].
func (k *Keyring) Active() (Info, error) {
	v := k.view.Load()
	if v == nil {
		return Info{}, &Error{Op: "read the active term", Err: ErrSealed}
	}
	return v.info(v.active), nil
}

// Terms describes the terms, by number. It returns nil while sealed.
func (k *Keyring) Terms() []Info {
	v := k.view.Load()
	if v == nil {
		return nil
	}
	infos := make([]Info, len(v.terms))
	for i, t := range v.terms {
		infos[i] = v.info(t)
	}
	return infos
}

func (v *view) info(t *termKey) Info {
	return Info{t.number, t.keyID, t == v.active, t.created}
}

// OnSeal has f called each time the keyring is sealed, before [Owner.Seal]
// returns: for what a host has decrypted and keeps, which should not outlive the
// keys that protected it. What is decrypted before f is called may come into such
// a cache after it: see to it that it does not stay. f does not wait for anything
// that uses the keyring. If it panics, so does Seal, when the keys are wiped and all
// others were called. It stays for the keyring's life.
func (k *Keyring) OnSeal(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.onSeal = append(k.onSeal, f)
}
