package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// A recordView is what a record says in clear, by seal/FORMAT.md. It is what
// inspect prints as JSON: names are added, and none is changed.
type recordView struct {
	Where      string         `json:"where"`
	Kind       string         `json:"kind"`
	Digest     string         `json:"digest"` // SHA-256 of the record
	Bytes      int            `json:"bytes"`
	Format     int            `json:"format"`
	Store      string         `json:"store"`
	Generation uint64         `json:"generation"`
	Root       uint64         `json:"root"`      // the number of the root key
	LastTerm   uint32         `json:"last_term"` // the highest number of a data key that was ever used
	Slots      []slotView     `json:"slots"`
	Operation  *operationView `json:"operation,omitempty"`
	Lease      *leaseView     `json:"lease,omitempty"`
	FormerSets []uint32       `json:"former_sets,omitempty"` // share sets that open nothing any more
}

type slotView struct {
	Name        string     `json:"name"`
	State       string     `json:"state"`
	Opens       bool       `json:"opens"` // a slot that is pending does not
	Shape       string     `json:"shape"`
	Fingerprint string     `json:"fingerprint"`
	Sets        []setView  `json:"sets,omitempty"`
	Keys        []keyView  `json:"keys,omitempty"`
	Proven      *time.Time `json:"proven,omitempty"`
	ProvenAt    uint64     `json:"proven_generation,omitempty"`
}

type setView struct {
	Path       string   `json:"path,omitempty"`
	Set        uint32   `json:"set"`
	Threshold  int      `json:"threshold"`
	Shares     int      `json:"shares"`
	Custodians []string `json:"custodians,omitempty"`
}

type keyView struct {
	Path    string `json:"path,omitempty"`
	Name    string `json:"name"` // of the stanza in the configuration
	Type    string `json:"type"`
	KeyID   string `json:"key_id"`
	Version string `json:"version,omitempty"`
}

type operationView struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Slot    string    `json:"slot,omitempty"`
	Replica string    `json:"replica"`
	Actor   string    `json:"actor,omitempty"`
	Began   time.Time `json:"began"`
}

type leaseView struct {
	Replica string    `json:"replica"`
	Taken   time.Time `json:"taken"`
	Beat    uint64    `json:"beat_generation"`
	Every   int64     `json:"every_seconds"`
}

// clearPart is what is read of a record's JSON here.
type clearPart struct {
	Format     int    `json:"format"`
	Store      string `json:"store"`
	Generation uint64 `json:"generation"`
	Root       uint64 `json:"root"`
	LastTerm   uint32 `json:"last_term"`
	Slots      []struct {
		Name        string `json:"name"`
		State       string `json:"state"`
		Fingerprint string `json:"fingerprint"`
		Tree        node   `json:"tree"`
		Proven      *struct {
			Generation uint64 `json:"generation"`
			At         int64  `json:"at"`
		} `json:"proven"`
	} `json:"slots"`
	Former []struct {
		Set uint32 `json:"set"`
	} `json:"former"`
	Operation *struct {
		ID, Kind, Slot, Replica, Actor string
		At                             int64
	} `json:"operation"`
	Lease *struct {
		Replica   string
		Beat      uint64
		Every, At int64
	} `json:"lease"`
}

type node struct {
	KMS *struct {
		Name string `json:"name"`
		Blob struct {
			Type    string `json:"type"`
			KeyID   string `json:"key_id"`
			Version string `json:"version"`
		} `json:"blob"`
	} `json:"kms"`
	Shamir *struct {
		Shares     int      `json:"shares"`
		Threshold  int      `json:"threshold"`
		Set        uint32   `json:"set"`
		Custodians []string `json:"custodians"`
	} `json:"shamir"`
	Threshold *struct {
		Threshold int    `json:"threshold"`
		Of        []node `json:"of"`
	} `json:"threshold"`
}

// viewOf reads a record that the library has read before: it is of a known form.
func viewOf(p place, rec []byte) (*recordView, error) {
	var c clearPart
	if err := json.Unmarshal(rec, &c); err != nil {
		return nil, fmt.Errorf("%w: its clear part", seal.ErrCorrupt)
	}
	sum := sha256.Sum256(rec)
	v := &recordView{
		Where: p.name, Kind: p.kind, Digest: hex.EncodeToString(sum[:]), Bytes: len(rec), Format: c.Format,
		Store: c.Store, Generation: c.Generation, Root: c.Root, LastTerm: c.LastTerm, Slots: []slotView{},
	}
	for _, s := range c.Slots {
		slot := slotView{Name: s.Name, State: s.State, Opens: s.State != string(seal.SlotPending), Shape: s.Tree.shape(), Fingerprint: s.Fingerprint}
		if s.Proven != nil {
			at := unixTime(s.Proven.At)
			slot.Proven, slot.ProvenAt = &at, s.Proven.Generation
		}
		s.Tree.leaves("", &slot)
		v.Slots = append(v.Slots, slot)
	}
	for _, f := range c.Former {
		v.FormerSets = append(v.FormerSets, f.Set)
	}
	if o := c.Operation; o != nil {
		v.Operation = &operationView{o.ID, o.Kind, o.Slot, o.Replica, o.Actor, unixTime(o.At)}
	}
	if l := c.Lease; l != nil {
		v.Lease = &leaseView{l.Replica, unixTime(l.At), l.Beat, l.Every}
	}
	return v, nil
}

func unixTime(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// shape is the node in words, as [seal.Spec] has it.
func (n node) shape() string { return n.spec().String() }

func (n node) spec() seal.Spec {
	switch {
	case n.KMS != nil:
		return seal.KMS{Wrapper: n.KMS.Name}
	case n.Shamir != nil:
		return seal.Shamir{Shares: n.Shamir.Shares, Threshold: n.Shamir.Threshold}
	case n.Threshold != nil:
		t := seal.Threshold{K: n.Threshold.Threshold}
		for _, child := range n.Threshold.Of {
			t.Of = append(t.Of, child.spec())
		}
		return t
	}
	return seal.KMS{}
}

// leaves lists people and keys.
func (n node) leaves(path string, out *slotView) {
	switch {
	case n.KMS != nil:
		out.Keys = append(out.Keys, keyView{path, n.KMS.Name, n.KMS.Blob.Type, n.KMS.Blob.KeyID, n.KMS.Blob.Version})
	case n.Shamir != nil:
		out.Sets = append(out.Sets, setView{path, n.Shamir.Set, n.Shamir.Threshold, n.Shamir.Shares, n.Shamir.Custodians})
	case n.Threshold != nil:
		for i, child := range n.Threshold.Of {
			child.leaves(strings.TrimPrefix(fmt.Sprintf("%s.%d", path, i+1), "."), out)
		}
	}
}
