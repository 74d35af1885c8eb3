package vaultstore

import (
	"fmt"
	"slices"
	"strings"
)

// A State is what is wrong with a store, or with what was given to open it.
type State string

// What may be wrong with the keys that were given.
const (
	SharesMissing State = "shares-missing"        // none or too few were given
	ShareUnfit    State = "share-unfit"           // of a length that the store's do not have
	ShareTwice    State = "share-twice"           // given twice
	ShareForeign  State = "share-of-another-set"  // named: the others belong together without it
	SharesWrong   State = "shares-wrong"          // a set with a wrong one, and nothing tells which
	SharesForeign State = "shares-of-another-set" // they belong together, and to another set
	SealMissing   State = "seal-missing"          // the store is under an auto seal, which was not given
	SealRefused   State = "seal-refused"          // the seals that were given do not open it
)

// Where a migration between seals, or a rekey, may have stopped. The numbers are
// the writes of the server, in their order.
const (
	// From shares to an auto seal: 1 core/recovery-key, 2 core/keyring and its
	// copy, 3 the stored keys, 4 core/seal-config, 5 core/recovery-config.
	ToAuto1 State = "migration-to-auto-1" // can be repeated; or a leftover of one that was finished
	ToAuto2 State = "migration-to-auto-2" // in 2 or behind it: the new root key is lost
	ToAuto3 State = "migration-to-auto-3"
	ToAuto4 State = "migration-to-auto-4"

	// From an auto seal to shares: 3 the stored keys, 4 core/seal-config, 5
	// core/recovery-config goes.
	ToShamir3 State = "migration-to-shamir-3"
	ToShamir4 State = "migration-to-shamir-4"

	// From an auto seal to another: 1 core/recovery-key, 3 the stored keys, 4
	// core/seal-config, 5 core/recovery-config.
	AutoToAuto1 State = "migration-auto-to-auto-1"
	AutoToAuto3 State = "migration-auto-to-auto-3"

	// A rekey of the barrier: 1 the stored keys, 2 core/keyring and its copy, 3
	// core/shamir-kek, 4 core/seal-config. Of the recovery key: 1 it, 2
	// core/recovery-config.
	Rekey2         State = "rekey-2" // core/shamir-kek is of the former shares
	Rekey3         State = "rekey-3" // core/seal-config is of the former shares
	RecoveryRekey1 State = "recovery-rekey-1"
	RootCopy       State = "root-key-copy" // the copy of the root key is of the former one, or missing

	// An init: core/keyring, core/seal-config, stored keys, recovery key.
	NotInitialized State = "not-initialized"
	InitStopped    State = "init-stopped"
	NoRecoveryKey  State = "no-recovery-key" // none was made, or its init stopped before
)

// What may be wrong with the files.
const (
	KeyringOther     State = "keyring-under-another-root-key"
	KeyringOld       State = "keyring-old" // entries are under terms that it does not hold
	EntryMissing     State = "entry-missing"
	EntryDamaged     State = "entry-damaged"
	EntriesDamaged   State = "entries-damaged" // of those that people use
	FileLeftover     State = "file-leftover"   // of a write that a crash cut off
	StoredSharesLeft State = "stored-shares-unset"
	StorageDamaged   State = "storage-damaged" // vault.db or a snapshot as such
	NamespaceSealed  State = "namespace-sealed"
)

// A Gravity is how much a finding matters.
type Gravity int

// The gravities.
const (
	Note   Gravity = iota // the server works
	Broken                // it does not, or not to the end, until it is repaired
	Lost                  // what is missing is nowhere in the store: a backup may have it
)

// String returns "note", "broken" or "lost".
func (g Gravity) String() string { return [...]string{"note", "broken", "lost"}[max(0, min(g, Lost))] }

// A Finding is one thing that is wrong. Its words hold no secret.
type Finding struct {
	State   State   `json:"state"`
	Gravity Gravity `json:"-"`
	Key     string  `json:"key,omitempty"`    // the storage key that it is about
	Shares  []int   `json:"shares,omitempty"` // those that it is about, from 1 in the order given
	Says    string  `json:"says"`             // what is wrong
	Do      string  `json:"do"`               // what can still be done
	Repairs bool    `json:"repairs"`          // whether [Repair] mends it in its copy
}

// String returns the finding on one line.
func (f Finding) String() string {
	return printable(fmt.Sprintf("%s (%s): %s. %s", f.State, f.Gravity, f.Says, f.Do))
}

// A Diagnosis is what [Diagnose] found. It holds no secret.
type Diagnosis struct {
	Kind       Kind      `json:"kind"`
	Opens      bool      `json:"opens"`               // the keys that were given open it, also where a server would not
	OpenedBy   string    `json:"opened_by,omitempty"` // as in [Info]
	Terms      []uint32  `json:"terms,omitempty"`
	Entries    int       `json:"entries"`    // that were read; 0 where it does not open
	Unreadable int       `json:"unreadable"` // of these
	Findings   []Finding `json:"findings"`   // the gravest first
}

// Healthy reports whether a server would open the store with these keys, and
// every entry of it.
func (d *Diagnosis) Healthy() bool {
	return d.Opens && !slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Gravity > Note })
}

// Repairable reports whether there is something that [Repair] would mend, and
// the keys open the store.
func (d *Diagnosis) Repairable() bool {
	return d.Opens && slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Repairs })
}

// Has reports whether a state is among the findings.
func (d *Diagnosis) Has(s State) bool {
	return slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.State == s })
}

// String returns the diagnosis for people to read, a line for each finding.
func (d *Diagnosis) String() string {
	var b strings.Builder
	switch {
	case d.Healthy():
		fmt.Fprintf(&b, "opens by %s, and so does each of its %d entries", d.OpenedBy, d.Entries)
	case d.Opens:
		fmt.Fprintf(&b, "opens here by %s, with %d of %d entries unreadable", d.OpenedBy, d.Unreadable, d.Entries)
	default:
		b.WriteString("does not open")
	}
	for _, f := range d.Findings {
		b.WriteString("\n" + f.String())
	}
	return b.String()
}
