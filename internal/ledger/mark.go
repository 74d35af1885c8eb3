package ledger

import (
	"slices"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
)

// A Mark is the newest record that was seen. It outlives a Seal, and with an
// anchor the process.
type Mark struct {
	Store      string
	Generation uint64
	Digest     record.Digest

	fingerprints [][12]byte // of its slots
	term         [32]byte   // SHA-256 of its active data key; zero before any slot was proven
}

// Knows reports whether the record had a slot of that fingerprint.
func (m *Mark) Knows(store string, fingerprint [12]byte) bool {
	return m.Store == store && slices.Contains(m.fingerprints, fingerprint)
}

// Same reports whether two marks are of one record.
func (m *Mark) Same(n Mark) bool { return m.Generation == n.Generation && m.Digest == n.Digest }

func markOf(o *Opened) Mark {
	m := Mark{Store: o.State.Store, Generation: o.State.Generation, Digest: o.Digest}
	for i := range o.State.Slots {
		m.fingerprints = append(m.fingerprints, [12]byte(o.State.Slots[i].Fingerprint))
	}
	if o.State.Proved() {
		m.term = termDigest(o.State.ActiveTerm())
	}
	return m
}

// termDigest is what a mark keeps of a data key: it has 256 random bits, so its
// digest tells nothing of it.
func termDigest(t *record.Term) [32]byte { return aead.Digest(t.Key[:]) }
