package record

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// Where numbers end. No honest store gets there: at a thousand changes a second
// generations last 285,000 years, and at one new term a second terms last 68.
const (
	MaxGeneration = 1<<53 - 1 // the last that every JSON reader has exactly
	MaxNumber     = 1<<31 - 1 // of a root key, a term, a slot, a share set

	// MaxUnproven bounds the numbers of a record of which no slot was proven:
	// each init adds a few. Nothing vouches for such a record yet.
	MaxUnproven = 1 << 20
	// MaxAhead bounds how far the numbers of another branch may be ahead of
	// those that the process knows.
	MaxAhead = 1 << 20

	// MaxTime is the last second of the year 9999. Stamps are for people, and
	// none has a later one to write.
	MaxTime = 253402300799
)

// What grows a record stops before the end, so that what evicts somebody, or
// makes room, always has some. Half of each reserve is also for what makes
// something anew.
const (
	MaxSize = 4 << 20 // bytes of a record, as stored

	ReserveSize    = 128 << 10
	ReserveTerms   = 256
	ReserveSlots   = 1 // for the successor that a rekey adds
	ReserveNumbers = 1 << 20
)

var (
	// ErrFull: the record has no room for what would make it grow.
	ErrFull = errors.New("seal: the record is full")
	// ErrExhausted: a number of the record is too near its end.
	ErrExhausted = errors.New("seal: the record's numbers are at their end")
)

// A use of room: how much of the reserve a transition may take.
type use int

const (
	evicts use = iota // all of it: what drops, replaces, retires, ends
	mends             // half of it: what makes a slot anew, or goes on after a loss
	grows             // none of it
)

// keeps returns what is left of a reserve.
func (u use) keeps(reserve int) int { return reserve * int(u) / int(grows) }

// sizeLimit is what a store takes, in bytes; 0 is one that takes all.
func sizeLimit(limit int) int {
	if limit <= 0 || limit > MaxSize {
		return MaxSize
	}
	return limit
}

// sizeReserve is what of it is for what evicts: less in a small store.
func sizeReserve(limit int) int { return min(ReserveSize, limit/4) }

// fits reports why the state has no room for a transition of that use, in a
// store that takes so many bytes. It looks at the state that the transition
// makes.
func (s *State) fits(u use, limit int) error {
	reserve := u.keeps(ReserveNumbers)
	for _, n := range s.numbers() {
		if n.Used > n.Limit-uint64(reserve) {
			return fmt.Errorf("%w: the %s would be %d, where %d is the last: no store gets there by itself, so find out who wrote this record, and restore one from before: what evicts goes on for a while",
				ErrExhausted, n.What, n.Used, n.Limit-uint64(reserve))
		}
	}
	if terms := MaxTerms - u.keeps(ReserveTerms); len(s.Terms) > terms {
		return fmt.Errorf("%w: it would hold %d data keys, more than %d: rewrap the data and retire old terms. What is left is for what evicts", ErrFull, len(s.Terms), terms)
	}
	limit = sizeLimit(limit)
	limit -= u.keeps(sizeReserve(limit))
	if s.atMost() <= limit {
		return nil
	}
	if size := s.Size(); size > limit {
		return fmt.Errorf("%w: it would have %d bytes, more than %d: rewrap the data and retire old terms, or drop slots. What is left is for what evicts", ErrFull, size, limit)
	}
	return nil
}

// young reports why a record that no slot was ever proven of cannot be gone on
// with: it may be anybody's, and whatever it says its numbers are would stay for
// ever.
func (r *Record) young() error {
	for _, n := range r.numbers() {
		if n.Used > MaxUnproven {
			return fmt.Errorf("%w: no slot of it was ever proven, and its %s is %d, which no init gives: somebody wrote this record. Nothing is encrypted under it: remove it from the store, and begin anew",
				ErrExhausted, n.What, n.Used)
		}
	}
	return nil
}

// near reports why a record of another branch is none of a store whose numbers
// are those of knew.
func (r *Record) near(knew *Record) error {
	known := knew.numbers()
	for i, n := range r.numbers() {
		if n.Used > known[i].Used && n.Used-known[i].Used > MaxAhead {
			return fmt.Errorf("%w: the %s of the other record is %d, where %d is known here: no branch gets so far ahead, so somebody wrote that record. Use another one",
				ErrExhausted, n.What, n.Used, known[i].Used)
		}
	}
	return nil
}

// A Level is how much of something a record holds, and how much it can.
type Level struct {
	What        string
	Used, Limit uint64
}

// Half reports whether half of it is used.
func (l Level) Half() bool { return l.Used >= (l.Limit+1)/2 }

func (r *Record) numbers() [5]Level {
	return [...]Level{
		{"generation", r.Generation, MaxGeneration},
		{"number of the root key", uint64(r.Root), MaxNumber},
		{"number of the last term", uint64(r.LastTerm), MaxNumber},
		{"number of the last slot", uint64(r.LastSlot), MaxNumber},
		{"number of the last share set", uint64(r.LastSet), MaxNumber},
	}
}

// Levels returns what of the record fills up with time, and how far it is, in a
// store that takes so many bytes. The limits are those at which nothing grows any
// more.
func (s *State) Levels(limit int) []Level {
	limit = sizeLimit(limit)
	size := Level{"bytes", uint64(s.atMost()), uint64(limit - sizeReserve(limit))}
	if size.Half() {
		size.Used = uint64(s.Size())
	}
	out := []Level{size, {"data keys", uint64(len(s.Terms)), MaxTerms - ReserveTerms}}
	for _, n := range s.numbers() {
		n.Limit -= ReserveNumbers
		out = append(out, n)
	}
	return out
}

const boxOverhead = 60 // bytes that a box has more than its plaintext

// Size is how many bytes the record has, as stored.
func (s *State) Size() int {
	clear, err := s.Clear()
	if err != nil {
		return MaxSize + 1 // it cannot be stored
	}
	return len(clear) - 1 + s.sealedSize()
}

// sealedSize is what the sealed part adds to the clear one.
func (s *State) sealedSize() int {
	plain := s.Secrets.size() + 36*(len(s.Slots)-len(s.Identities)) // at rest no identity is kept
	return len(sealedField) + base64.StdEncoding.EncodedLen(plain+boxOverhead) + len("\"}\n")
}

// atMost bounds Size from above, without encoding anything.
func (s *State) atMost() int {
	const escaped = 6 // bytes of a byte of text at most
	n := s.sealedSize() + 2048 + 80*len(s.Former)
	if o := s.Operation; o != nil {
		n += 512 + escaped*(len(o.ID)+len(o.Kind)+len(o.Slot)+len(o.Replica)+len(o.Actor)) + 8192*len(o.Desired)
	}
	if l := s.Lease; l != nil {
		n += 256 + escaped*(len(l.ID)+len(l.Replica))
	}
	for i := range s.Slots {
		o := &s.Slots[i]
		n += 1024 + len(o.Name) + 2*(len(o.PublicKey)+len(o.Wrap))
		if o.Proven != nil {
			n += escaped * len(o.Proven.Operation)
		}
		o.Tree.Leaves(func(l *Node) bool {
			n += 512 // its levels too
			if k := l.KMS; k != nil {
				n += escaped*(len(k.Name)+len(k.Blob.Type)+len(k.Blob.KeyID)+len(k.Blob.Version)) + 2*(len(k.Blob.Ciphertext)+len(k.Box))
				return true
			}
			n += 72 * len(l.Shamir.Commitments)
			for _, c := range l.Shamir.Custodians {
				n += 3 + escaped*len(c)
			}
			return true
		})
	}
	return n
}
