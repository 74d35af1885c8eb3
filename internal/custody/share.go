package custody

import (
	"bytes"
	"errors"

	"github.com/sealwright/sealwright/internal/secret"
)

// What can be wrong with a share, told before any shares are combined. Package
// seal hands them on under the same names.
var (
	ErrShareMalformed  = errors.New("seal: malformed share")
	ErrShareOtherStore = errors.New("seal: share of another store")
	ErrShareStale      = errors.New("seal: share of another set")
	ErrShareAltered    = errors.New("seal: share or record altered")
	ErrShareDuplicate  = errors.New("seal: share given already")
)

// A Share is one part of what a people leaf protects: what its text says,
// whoever gave it.
type Share struct {
	Fingerprint [12]byte     // of the slot; zero of a raw one
	Set         uint32       // 0: a raw one, which names no set
	X           byte         // 0: no share
	Y           secret.Bytes // as long as a seed
}

// Raw reports whether the share is in Vault's bare form.
func (s *Share) Raw() bool { return s.X != 0 && s.Set == 0 }

// clone returns a share of its own: whoever gave s may wipe it.
func (s *Share) clone() Share {
	y := s.Y.Reveal()
	defer clear(y)
	return Share{s.Fingerprint, s.Set, s.X, secret.New(bytes.Clone(y))}
}

// A ShareError says what is wrong with a share, without showing it.
type ShareError struct {
	Kind error  // one of the ErrShare sentinels
	X    byte   // the share's number in its set
	Set  uint32 // the share's set; 0 if it has none
	Want uint32 // with ErrShareStale, the newest set in use; with ErrShareOtherStore, of a share of a later set, the newest there was; 0 if none is
}

func (e *ShareError) Error() string { return e.Kind.Error() }

// Unwrap returns the kind.
func (e *ShareError) Unwrap() error { return e.Kind }

// A ShareSet is the shares of one leaf, just made. They exist nowhere else:
// whoever gets them hands them on, or wipes them.
type ShareSet struct {
	Path      string // of the leaf in the slot's tree
	Set       uint32
	Threshold int
	Shares    []Share
}

// Wipe wipes every share.
func (s *ShareSet) Wipe() {
	for _, share := range s.Shares {
		share.Y.Wipe()
	}
}

func wipeSets(sets []ShareSet) {
	for i := range sets {
		sets[i].Wipe()
	}
}
