// Package roster is what replicas say of themselves in a document beside the
// record, and what follows from it for a change that another replica may not have
// seen: the bytes of the document, the tags by which an entry is known to be of
// somebody who held a data key, and the memory of one process of whom it heard
// when. It must not know where the document is kept, nor what time it is, and
// decides nothing that would be refused without it.
package roster

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
)

const (
	version = 1

	// MaxMembers is how many entries a roster has at most.
	MaxMembers = 1024
	// MaxSize is the length in bytes of the longest roster.
	MaxSize = MaxMembers * 512

	runSize = 16 // bytes of the number of a run
	tagSize = 32
)

// label is what the key of the tags is derived for.
const label = "sealwright/roster/v1"

// An Entry is what a replica says of itself.
type Entry struct {
	Replica    string          `json:"replica"`
	Run        record.HexBytes `json:"run"`        // a random number of this process
	After      record.HexBytes `json:"after"`      // the run whose entry this one found in its place; none: it found none
	Beat       uint64          `json:"beat"`       // how many entries this run has made
	Generation uint64          `json:"generation"` // of the record that it holds
	Term       uint32          `json:"term"`       // that it encrypts under
	Newest     uint32          `json:"newest"`     // that it can read
	At         int64           `json:"at"`         // by its clock, for people
	Behind     int64           `json:"behind"`     // since when it cannot follow, by its clock, for people; 0: it can
	Alone      bool            `json:"alone"`      // it can follow a new root key with nobody present
	Twice      bool            `json:"twice"`      // another process reports in its name, of which others may not hear
	Left       bool            `json:"left"`       // its last: it holds no key any more, and encrypts nothing
}

// entry is an Entry as it is stored.
type entry struct {
	Entry
	Tag record.HexBytes `json:"tag"`
}

type document struct {
	Version int     `json:"roster"`
	Store   string  `json:"store"`
	Members []entry `json:"members"` // by replica
}

// A Keys returns the data key of a term, which the roster only reads; nil where the
// term is not there.
type Keys func(term uint32) []byte

var (
	// ErrNotRoster: what is there is no roster. Whoever keeps one leaves it alone.
	ErrNotRoster = errors.New("it does not hold a roster: Config.Roster needs a place of its own. See what it is before anything is taken away")
	// ErrRecord: it is a record, or was one.
	ErrRecord = fmt.Errorf("%w: it is a record, without which all that it protects is lost: never take it away", ErrNotRoster)
	// ErrAnchor: it is the anchor of a replica.
	ErrAnchor = fmt.Errorf("%w: it is an anchor, which a replica needs to start", ErrNotRoster)
	// ErrOther: it is that of another store.
	ErrOther = errors.New("it holds the roster of another store")
	// ErrNewer: it was written by newer code.
	ErrNewer = errors.New("it holds a roster of newer code: upgrade")
	// ErrFull: there is no room for one more.
	ErrFull = fmt.Errorf("it is full: at most %d replicas, and what its store takes", MaxMembers)
)

// A Roster is a document that was read. Nobody vouches yet for what it says.
type Roster struct {
	store   string
	members []entry
}

// New returns the empty roster of a store.
func New(store string) *Roster { return &Roster{store: store} }

// Parse reads the roster of a store, and accepts only the bytes that it would
// write.
func Parse(store string, b []byte) (*Roster, error) {
	if err := other(b); err != nil {
		return nil, err
	}
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w (it has %d bytes)", ErrNotRoster, len(b))
	}
	var d document
	if json.Unmarshal(b, &d) != nil || d.Version < 1 {
		return nil, ErrNotRoster
	}
	if d.Version > version {
		return nil, ErrNewer
	}
	r := &Roster{d.Store, d.Members}
	if !each(d.Members) || slices.ContainsFunc(d.Members, func(e entry) bool { return !e.fits() }) || len(d.Members) > MaxMembers || !bytes.Equal(r.marshal(), b) {
		return nil, ErrNotRoster
	}
	if d.Store != store {
		return nil, fmt.Errorf("%w, %.32q", ErrOther, d.Store)
	}
	return r, nil
}

// other returns what these bytes are, where they begin as a record or as an anchor
// does, whole or not, and however somebody has laid them out.
func other(b []byte) error {
	b, _ = bytes.CutPrefix(bytes.TrimSpace(b), []byte("{"))
	switch b = bytes.TrimSpace(b); {
	case bytes.HasPrefix(b, []byte(`"format"`)):
		return ErrRecord
	case bytes.HasPrefix(b, []byte(`"anchor"`)):
		return ErrAnchor
	}
	return nil
}

// each reports whether entries are by replica, each of another one.
func each(members []entry) bool {
	for i := 1; i < len(members); i++ {
		if members[i-1].Replica >= members[i].Replica {
			return false
		}
	}
	return true
}

// fits reports whether an entry's lengths are those that are written.
func (e *entry) fits() bool {
	return e.Replica != "" && record.CheckIdentity(e.Replica) == nil && len(e.Run) == runSize && len(e.Tag) == tagSize &&
		(len(e.After) == 0 || len(e.After) == runSize)
}

func (r *Roster) marshal() []byte {
	d := document{version, r.store, r.members}
	if d.Members == nil {
		d.Members = []entry{}
	}
	text, _ := json.Marshal(d) // text, numbers, hex: it does not fail
	return append(text, '\n')
}

// Entries returns those that somebody made who held the newest data key that they
// say they can read, and apart the others. A term that is not among the keys is
// newer than what this process has, or was retired.
func (r *Roster) Entries(keys Keys) (good, strangers []Entry) {
	for i := range r.members {
		e := &r.members[i]
		if tag := r.tag(&e.Entry, keys); tag != nil && subtle.ConstantTimeCompare(tag, e.Tag) == 1 {
			good = append(good, e.Entry)
		} else {
			strangers = append(strangers, e.Entry)
		}
	}
	return good, strangers
}

// With returns the document with this entry in the place of the replica's, and
// without those of the replicas that are gone. A limit of bytes that its store
// takes, if there is one, is kept: what nobody vouches for goes first.
func (r *Roster) With(e Entry, keys Keys, gone []string, limit int) ([]byte, error) {
	mine := r.Sign(e, keys)
	if mine == nil {
		return nil, fmt.Errorf("replica %.80q cannot be in a roster", e.Replica)
	}
	if limit <= 0 || limit > MaxSize {
		limit = MaxSize
	}
	next := &Roster{store: r.store}
	for _, o := range r.members {
		if o.Replica != e.Replica && !slices.Contains(gone, o.Replica) {
			next.members = append(next.members, o)
		}
	}
	if text, ok := next.add(mine.entry, limit); ok {
		return text, nil
	}
	_, strangers := next.Entries(keys)
	next.members = slices.DeleteFunc(next.members, func(o entry) bool {
		return slices.ContainsFunc(strangers, func(s Entry) bool { return s.Replica == o.Replica })
	})
	if text, ok := next.add(mine.entry, limit); ok {
		return text, nil
	}
	return nil, ErrFull
}

// A Signed is an entry with its tag, which needs no key any more.
type Signed struct {
	entry
	Store string
}

// Sign returns an entry for the roster of this store; nil where it cannot be one.
func (r *Roster) Sign(e Entry, keys Keys) *Signed {
	s := &Signed{entry{e, r.tag(&e, keys)}, r.store}
	if s.Tag == nil || !s.fits() {
		return nil
	}
	return s
}

// Left returns the document with the last entry of a run in the place of the one
// before; nil where another one, or none, is there.
func (r *Roster) Left(s *Signed, limit int) []byte {
	i := slices.IndexFunc(r.members, func(o entry) bool { return o.Replica == s.Replica })
	if i < 0 || !bytes.Equal(r.members[i].Run, s.Run) || r.members[i].Beat >= s.Beat {
		return nil
	}
	next := &Roster{r.store, slices.Clone(r.members)}
	next.members[i] = s.entry
	text := next.marshal()
	if limit > 0 && len(text) > limit || len(text) > MaxSize {
		return nil
	}
	return text
}

// add returns the document with an entry more, if it has room.
func (r *Roster) add(e entry, limit int) ([]byte, bool) {
	i, _ := slices.BinarySearchFunc(r.members, e.Replica, func(o entry, name string) int { return strings.Compare(o.Replica, name) })
	with := &Roster{r.store, slices.Insert(slices.Clone(r.members), i, e)}
	text := with.marshal()
	return text, len(with.members) <= MaxMembers && len(text) <= limit
}

// Entry returns the entry that a replica has, whoever made it; nil for none.
func (r *Roster) Entry(replica string) *Entry {
	for i := range r.members {
		if e := r.members[i].Entry; e.Replica == replica {
			return &e
		}
	}
	return nil
}

// tag returns what authenticates an entry: HMAC-SHA256 of all of it, under a key
// that is derived from the newest data key that it says can be read, for this
// store: who has an older one alone cannot say that a replica has gone on. Nil where
// that term is not there, or is older than what is said to encrypt.
func (r *Roster) tag(e *Entry, keys Keys) []byte {
	data := keys(e.Newest)
	if data == nil || e.Term > e.Newest {
		return nil
	}
	text, _ := json.Marshal(e)
	key := aead.Derive(data, []byte(r.store), label, tagSize)
	defer clear(key)
	return aead.Expand(key, string(text), tagSize)
}
