package vaultstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// judgeClosed says why a store does not open.
func (c *examination) judgeClosed(m *material) {
	switch {
	case errors.Is(m.keyringErr, ErrNotFound) && m.config == nil && m.configErr == nil && len(m.stored) == 0 && !m.hasData():
		c.add(Finding{State: NotInitialized, Gravity: Lost, Says: "there is neither " + pathSealConfig + " nor " + pathKeyring,
			Do: "It was never initialized, or is another directory"})
	case errors.Is(m.keyringErr, ErrNotFound):
		c.add(Finding{State: EntryMissing, Gravity: Lost, Key: pathKeyring, Says: pathKeyring + " is missing: the data keys stand nowhere else",
			Do: "A backup of the same store has it, of any time since the last rotation; give it"})
	case m.keyringErr != nil:
		c.add(Finding{State: EntryDamaged, Gravity: Lost, Key: pathKeyring, Says: pathKeyring + " cannot be read: " + reason(m.keyringErr) + "; the data keys stand nowhere else",
			Do: "A backup of the same store has it, of any time since the last rotation; give it"})
	case m.root != nil:
		c.otherRootKey(m)
	case len(m.stored) == 0 || m.storedErr != nil:
		c.noStoredKeys(m)
	case m.config == nil:
		c.missing(pathSealConfig, m.configErr, "The keys that were given open nothing: give the shares, a threshold of them or more, or the seal")
		c.closedShares(m)
	case m.config.shamir() && !m.stored[0].ofShares():
		c.add(Finding{State: ToAuto3, Gravity: Broken, Key: pathSealConfig,
			Says: fmt.Sprintf("a migration from shares to an auto seal stopped before its end: the root key is under a KMS%s, and %s still says shares", keyOf(m.stored[0]), pathSealConfig),
			Do:   "The shares open nothing any more. Give the new seal: with it, a copy opens"})
	case m.config.shamir():
		c.closedShares(m)
	case m.stored[0].ofShares():
		c.add(Finding{State: ToShamir3, Gravity: Broken, Key: pathSealConfig,
			Says: fmt.Sprintf("a migration from %s to shares stopped before its end: the root key is under the shares, and %s still says %s", m.config.Type, pathSealConfig, m.config.Type),
			Do:   "Give the recovery shares, which are the new ones, or the old seal: with either, a copy opens"})
		if len(m.deck.shares) > 0 {
			c.closedShares(m)
		}
	default:
		c.closedSeal(m)
	}
}

// hasData reports whether somebody kept something in the store.
func (m *material) hasData() bool {
	for _, prefix := range []string{"logical/", "sys/", "auth/", "core/mounts"} {
		some := false
		err := m.storage.walk(prefix, func(string, func() ([]byte, error)) error { some = true; return errStop })
		if some || err != nil {
			return true
		}
	}
	return false
}

// keyOf names the key of a blob, which is no secret.
func keyOf(b *Blob) string {
	if b.KeyID == "" {
		return ""
	}
	return fmt.Sprintf(" (key %.200q)", b.KeyID)
}

// otherRootKey: there is a root key, and the keyring is under another.
func (c *examination) otherRootKey(m *material) {
	switch {
	case m.rootBy == byGiven:
		c.add(Finding{State: KeyringOther, Gravity: Broken, Key: pathKeyring, Says: "the keyring is under another root key than the one that was given",
			Do: "Give the shares or the seal instead"})
	case m.config != nil && m.config.shamir() && m.rootBy == byShares && len(m.recoveryBlobs) > 0 && m.recovery == nil:
		c.add(Finding{State: ToAuto2, Gravity: Lost, Key: pathKeyring,
			Says: "a migration from shares to an auto seal stopped between its second and its third step: the keyring is under a new root key, which was never stored",
			Do:   "The new root key is lost. A backup from before the migration has " + pathKeyring + " with the same data keys under the old root key, which the shares open: give it"})
	default:
		c.add(Finding{State: KeyringOther, Gravity: Lost, Key: pathKeyring,
			Says: fmt.Sprintf("the stored keys open by %s, and the keyring is under another root key: a rotation of the root key or a rekey stopped between the two, or one of them comes from another backup", m.rootBy),
			Do:   "A backup has the one that goes with the other: give it"})
	}
}

// noStoredKeys: nothing leads from the keys that were given to the root key.
func (c *examination) noStoredKeys(m *material) {
	if m.storedErr != nil {
		c.add(Finding{State: EntryDamaged, Gravity: Lost, Key: pathStoredKeys, Says: pathStoredKeys + " cannot be read: " + reason(m.storedErr),
			Do: "A backup has it, from since the last rekey or rotation of the root key: give it"})
		return
	}
	if !m.hasData() {
		c.add(Finding{State: InitStopped, Gravity: Lost, Key: pathStoredKeys, Says: "its init stopped before it stored the root key: nothing was ever kept in it",
			Do: "Nothing is lost but the init: begin with an empty storage"})
		return
	}
	if m.config != nil && m.config.shamir() && m.config.Stored < 1 {
		if len(m.deck.shares) > 0 {
			c.closedShares(m)
		} else {
			c.add(Finding{State: SharesMissing, Gravity: Broken, Says: "the shares are of the root key itself, or " + pathStoredKeys + " is missing", Do: "Give a threshold of the shares"})
		}
	}
	c.add(Finding{State: EntryMissing, Gravity: Lost, Key: pathStoredKeys, Says: pathStoredKeys + " is missing: the root key stands nowhere else",
		Do: "A backup has it, from since the last rekey or rotation of the root key: give it"})
}

// closedShares says what the shares show that do not open the store.
func (c *examination) closedShares(m *material) {
	needed := 0
	if m.config != nil && m.config.shamir() {
		needed = m.config.Threshold
	} else if m.recovery != nil {
		needed = m.recovery.Threshold
	}
	d := m.deck
	if len(d.odd) > 0 {
		c.add(Finding{State: ShareUnfit, Gravity: Broken, Shares: d.odd, Says: "share " + numbers(d.odd) + " has a length that no share of a 32-byte key has",
			Do: "A share has 33 bytes: 66 characters of hex, or 44 of base64"})
	}
	if len(d.twice) > 0 {
		c.add(Finding{State: ShareTwice, Gravity: Broken, Shares: d.twice, Says: "share " + numbers(d.twice) + " was given before", Do: "Each person has another one"})
	}
	if n := len(d.shares); n == 0 || n < needed {
		c.add(Finding{State: SharesMissing, Gravity: Broken, Says: fmt.Sprintf("it takes %d different shares, and %d were given", needed, n), Do: "Give that many, or more"})
		return
	}
	of := d.family(needed)
	if of == nil { // a rekey may have changed the threshold
		for t := 2; t < len(d.shares) && of == nil; t++ {
			of = d.family(t)
		}
	}
	switch {
	case of != nil && len(of) < len(d.shares):
		wrong := d.others(of)
		c.add(Finding{State: ShareForeign, Gravity: Broken, Shares: wrong, Says: "share " + numbers(wrong) + " does not belong to the others: it is mistyped, or of another set",
			Do: "Its holder should look for the right one. But the others, which belong together, do not open the store either"})
		fallthrough
	case of != nil:
		c.add(Finding{State: SharesForeign, Gravity: Lost, Key: pathStoredKeys, Says: "the shares belong together, and do not open the stored keys: they are of another store, or of before a rekey; or a rekey stopped behind its first step, and nobody was given the new ones",
			Do: "Look for the shares of the last rekey. If there are none, a backup from before it has " + pathStoredKeys + ", which these shares open: give it"})
	default:
		c.add(Finding{State: SharesWrong, Gravity: Broken, Shares: slices.Clone(d.number), Says: fmt.Sprintf("at least one of the %d shares is mistyped, of another set, or of before a rekey; they are too few to tell which", len(d.shares)),
			Do: fmt.Sprintf("Give more than %d: every set of them is tried, and the wrong ones are named", needed)})
	}
}

// closedSeal: the store is under an auto seal that was not given, or is not the
// right one.
func (c *examination) closedSeal(m *material) {
	if kind := m.stored[0].looksLike(); kind != "" && kind != m.config.Type {
		c.add(Finding{State: AutoToAuto3, Gravity: Broken, Key: pathSealConfig,
			Says: fmt.Sprintf("a migration from %s to %s stopped before its end: the root key is under %s%s, and %s still says %s", m.config.Type, kind, kind, keyOf(m.stored[0]), pathSealConfig, m.config.Type),
			Do:   "No server opens it as it is. Give the new seal: with it, a copy opens"})
		return
	}
	if len(c.o.Keys.Seals) == 0 {
		c.add(Finding{State: SealMissing, Gravity: Broken, Key: pathStoredKeys, Says: fmt.Sprintf("the root key is under %s%s", m.config.Type, keyOf(m.stored[0])),
			Do: "Give that seal. Recovery shares open nothing without it; if its key is gone, so is the data"})
		return
	}
	var said []string
	for _, err := range m.sealErrs {
		said = append(said, reason(err))
	}
	c.add(Finding{State: SealRefused, Gravity: Broken, Key: pathStoredKeys, Says: fmt.Sprintf("the root key is under %s%s, and no seal that was given opens it: %s", m.config.Type, keyOf(m.stored[0]), strings.Join(said, "; ")),
		Do: "Give the seal whose key that is. A migration to another seal may have been made or begun: then it is the new one"})
}

// judgeSource says which entries came from elsewhere, and that a copy has them.
func (c *examination) judgeSource() {
	for i := range c.out.Findings {
		f := &c.out.Findings[i]
		f.Gravity, f.Repairs = min(f.Gravity, Broken), true
	}
	var keys []string
	for key := range c.from {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for i := range c.out.Findings {
		if f := &c.out.Findings[i]; c.from[f.Key] != "" {
			f.Do = "What goes with the rest is in " + c.from[f.Key] + ": a copy gets it"
			return
		}
	}
	for _, key := range keys[:1] {
		c.add(Finding{State: EntryMissing, Gravity: Broken, Key: key, Repairs: true, Says: key + " does not go with the rest", Do: "What does is in " + c.from[key] + ": a copy gets it"})
	}
}

// judgeTerms says which terms the keyring lacks, and takes those that an upgrade
// brings: core/upgrade/N, under the term N, is the data key of N+1.
func (c *examination) judgeTerms(missing map[uint32]int) {
	if len(missing) == 0 {
		return
	}
	ring := c.m.ring
	grown := false
	for n := ring.active; ; n++ {
		key := fmt.Sprint(pathUpgrade, n)
		value, ok, err := c.s.get(key)
		if err != nil || !ok {
			break
		}
		text, err := ring.open(key, value)
		if err != nil {
			break
		}
		next, err := parseKey(text)
		clear(text)
		if err != nil || next.Term != n+1 {
			break
		}
		ring.keys[next.Term], ring.active, grown = next, next.Term, true
		c.out.Unreadable -= missing[next.Term]
		delete(missing, next.Term)
	}
	f := Finding{State: KeyringOld, Gravity: Lost, Key: pathKeyring, Says: fmt.Sprintf("%s ends with the term %d, and entries are under newer ones: it is older than they are", pathKeyring, c.out.Terms[len(c.out.Terms)-1]),
		Do: "A newer copy of it has their data keys: without, they are lost"}
	if grown {
		f.Do = "The upgrades that were on their way to other servers have data keys that it lacks: a copy gets them"
		if value, err := ring.grown(c.m.root); err == nil {
			c.edits[pathKeyring], f.Repairs = value, true
		}
		c.out.Terms = ring.terms()
	}
	if len(missing) == 0 {
		f.Gravity = Broken
	}
	c.add(f)
}

// grown returns core/keyring with the terms that were added: what it said is kept,
// but for the list of the keys.
func (k *keyring) grown(root []byte) ([]byte, error) {
	fields := map[string]json.RawMessage{}
	plain, err := decompress(k.text, maxKeyring)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(plain, &fields); err != nil {
		return nil, err
	}
	var keys []*dataKey
	for _, term := range k.terms() {
		keys = append(keys, k.keys[term])
	}
	if fields["Keys"], err = json.Marshal(keys); err != nil {
		return nil, err
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return sealEntry(root, 1, pathKeyring, text)
}
