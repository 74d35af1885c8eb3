package vaultstore

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// judgeOpen says what stands in a server's way where the keys that were given
// open the store.
func (c *examination) judgeOpen() {
	m := c.m
	switch {
	case m.rootBy == byLegacy:
		return // the shares are of the root key, and nothing else is there
	case m.config == nil && m.storedBy == nil && m.rootBy != byShares:
		c.missing(pathSealConfig, m.configErr, "Give the shares, or the seal")
	case m.config == nil:
		c.judgeNoConfig()
	case m.config.shamir() && m.storedBy != nil:
		c.toAuto3()
	case m.config.shamir():
		c.judgeShamir()
	case m.rootBy == byShares:
		c.toShamir3()
	default:
		c.judgeAuto()
	}
	c.judgeStored()
	c.judgeCopies()
}

// missing says that an entry is not there, or cannot be read.
func (c *examination) missing(key string, err error, do string) {
	if err == nil {
		c.add(Finding{State: EntryMissing, Gravity: Broken, Key: key, Says: key + " is missing", Do: do})
		return
	}
	c.add(Finding{State: EntryDamaged, Gravity: Broken, Key: key, Says: key + " cannot be read: " + reason(err), Do: do})
}

// reason returns what is wrong with an entry, without the words around it.
func reason(err error) string {
	text := strings.TrimPrefix(err.Error(), ErrDamaged.Error()+": ")
	if path, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(path, "core/") && !strings.Contains(path, " ") {
		return rest
	}
	return text
}

// judgeNoConfig makes core/seal-config anew from what opened the store.
func (c *examination) judgeNoConfig() {
	m := c.m
	if m.storedBy != nil {
		c.edits[pathSealConfig] = autoConfig(m.storedBy.Type(), m.recovery).encode()
	} else {
		config, ok := c.sharesConfig(m.recovery)
		if !ok {
			c.missing(pathSealConfig, m.configErr, "Say how many shares there are, and their threshold, for a copy with a new one")
			return
		}
		c.edits[pathSealConfig] = config.encode()
	}
	c.missing(pathSealConfig, m.configErr, "A copy gets a new one: what it says is known")
	c.out.Findings[len(c.out.Findings)-1].Repairs = true
}

func autoConfig(kind string, like *SealConfig) *SealConfig {
	config := &SealConfig{Type: kind, Shares: 1, Threshold: 1, Stored: 1}
	if like != nil {
		config.fields = like.fields
	}
	return config
}

// sharesConfig returns a config of a Shamir seal of the shares that there are:
// what like says, or else what was given.
func (c *examination) sharesConfig(like *SealConfig) (*SealConfig, bool) {
	config := &SealConfig{Type: typeShamir, Stored: 1}
	if like != nil {
		config.fields = like.fields
		config.Shares, config.Threshold = like.Shares, like.Threshold
	}
	if c.o.Threshold > 0 {
		config.Threshold = c.o.Threshold
	} else if config.Threshold == 0 && c.m.set != nil {
		config.Threshold = c.threshold()
	}
	if c.o.Shares > 0 {
		config.Shares = c.o.Shares
	} else if config.Shares == 0 && c.m.set != nil {
		config.Shares = max(len(c.m.deck.shares)-len(c.m.deck.strangers(c.m.set)), config.Threshold)
	}
	ok := config.Threshold >= 1 && config.Shares >= config.Threshold && config.Shares <= 255 && (config.Threshold > 1 || config.Shares == 1)
	return config, ok
}

// threshold returns that of the set that opened the store, as far as it shows.
func (c *examination) threshold() int {
	m := c.m
	if len(m.set) == 1 {
		return 1
	}
	all := slices.Clone(m.set)
	for i := range m.deck.shares {
		if !slices.Contains(all, i) && m.deck.fits(m.set, i) {
			all = append(all, i)
		}
	}
	return m.deck.degree(all)
}

// toAuto3: the stored keys are under an auto seal, and core/seal-config says
// shares.
func (c *examination) toAuto3() {
	kind := c.m.storedBy.Type()
	c.edits[pathSealConfig] = autoConfig(kind, c.m.config).encode()
	if len(c.m.recoveryBlobs) > 0 {
		recovery := *c.m.config
		recovery.Stored = 0
		c.edits[pathRecoveryConfig] = recovery.encode()
	}
	c.add(Finding{State: ToAuto3, Gravity: Broken, Key: pathSealConfig, Repairs: true,
		Says: fmt.Sprintf("a migration from shares to %s stopped before its end: the root key is under %s, and %s still says %d of %d shares", kind, kind, pathSealConfig, c.m.config.Threshold, c.m.config.Shares),
		Do:   "No server opens it as it is. A copy gets " + pathSealConfig + " and " + pathRecoveryConfig + " of the new seal; the shares are its recovery shares"})
}

// toShamir3: the stored keys are under the shares, and core/seal-config says an
// auto seal.
func (c *examination) toShamir3() {
	m := c.m
	f := Finding{State: ToShamir3, Gravity: Broken, Key: pathSealConfig,
		Says: fmt.Sprintf("a migration from %s to shares stopped before its end: the root key is under the shares, and %s still says %s", m.config.Type, pathSealConfig, m.config.Type),
		Do:   "No server opens it as it is. A copy gets " + pathSealConfig + " of the shares, which are the former recovery shares"}
	if config, ok := c.sharesConfig(m.recovery); ok {
		c.edits[pathSealConfig], c.edits[pathRecoveryConfig] = config.encode(), nil
		f.Repairs = true
	} else {
		f.Do += ": say how many there are, and their threshold"
	}
	c.add(f)
}

// judgeShamir: the shares open the store, as core/seal-config says.
func (c *examination) judgeShamir() {
	m := c.m
	if _, ok, _ := c.s.get(pathRecoveryConfig); ok {
		c.edits[pathRecoveryConfig] = nil
		c.add(Finding{State: ToShamir4, Gravity: Note, Key: pathRecoveryConfig, Repairs: true,
			Says: "a migration from an auto seal to shares stopped before it took away " + pathRecoveryConfig,
			Do:   "A server without the old seal in its configuration opens it; -migrate does not work any more, and is not needed"})
	} else if len(m.recoveryBlobs) > 0 {
		c.judgeLeftRecoveryKey()
	}
	if m.config.Stored == -1 && len(m.stored) > 0 {
		config := *m.config
		config.Stored = 1
		c.edits[pathSealConfig] = config.encode()
		c.add(Finding{State: StoredSharesLeft, Gravity: Note, Key: pathSealConfig, Repairs: true,
			Says: pathSealConfig + " has no stored_shares, as OpenBao writes it since 2.6",
			Do:   "OpenBao opens it. Vault takes the shares for those of the root key, and says that they are invalid: a copy says 1"})
	}
	if m.set != nil && m.rootBy == byShares {
		c.judgeRekey()
	}
}

// judgeLeftRecoveryKey: a recovery key lies beside a Shamir seal.
func (c *examination) judgeLeftRecoveryKey() {
	_, ok, _ := c.s.get(pathShamirKEK)
	if !ok {
		return // of a migration to shares, which leaves it where it is
	}
	c.add(Finding{State: ToAuto1, Gravity: Note, Key: pathRecoveryKey,
		Says: "there is a recovery key: a migration from shares to an auto seal stopped behind its first step, or one was made and undone",
		Do:   "The shares open the store, and the migration can be made again"})
}

// judgeRekey compares the shares that opened the store with what it says of them.
func (c *examination) judgeRekey() {
	m := c.m
	side, err := m.sideKEK()
	switch {
	case err == nil && subtle.ConstantTimeCompare(side, m.kek) != 1:
		c.edit(pathShamirKEK, m.kek)
		c.add(Finding{State: Rekey2, Gravity: Broken, Key: pathShamirKEK, Repairs: true,
			Says: pathShamirKEK + " is of other shares than those that open the store: a rekey stopped before it wrote it, or the store was under an auto seal when its recovery shares were replaced",
			Do:   "One server alone opens it. Where there are several, the one that becomes active uses the former shares from then on: a copy gets the right one"})
	case err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrUnknownTerm):
		c.edit(pathShamirKEK, m.kek)
		c.add(Finding{State: EntryDamaged, Gravity: Broken, Key: pathShamirKEK, Repairs: true, Says: pathShamirKEK + " cannot be read: " + reason(err), Do: "A copy gets it anew"})
	}
	clear(side)
	if t := c.threshold(); t > m.config.Threshold || t < m.config.Threshold && len(m.set) > t {
		config := *m.config
		config.Threshold, config.Stored = t, 1
		config.Shares = max(config.Shares, t, c.o.Shares, len(m.deck.shares)-len(m.deck.strangers(m.set)))
		c.edits[pathSealConfig] = config.encode()
		f := Finding{State: Rekey3, Gravity: Broken, Key: pathSealConfig, Repairs: true,
			Says: fmt.Sprintf("it takes %d shares to open the store, and %s says %d: a rekey stopped before it wrote it", t, pathSealConfig, m.config.Threshold),
			Do:   "A copy says the right number"}
		if t < m.config.Threshold {
			f.Gravity = Note
			f.Do = "A server opens it with the number that it says; a copy says the right one"
		}
		c.add(f)
	}
}

// edit encrypts an entry for the copy.
func (c *examination) edit(key string, plain []byte) {
	if value, err := c.m.ring.seal(key, plain); err == nil {
		c.edits[key] = value
	}
}

// judgeStored: the stored keys are missing or damaged, and the root key is known
// from elsewhere.
func (c *examination) judgeStored() {
	m := c.m
	if len(m.stored) > 0 && m.storedErr == nil {
		return
	}
	f := Finding{State: EntryMissing, Gravity: Broken, Key: pathStoredKeys, Says: pathStoredKeys + " is missing, or cannot be read",
		Do: "The root key that was given opens the store: with all the shares' threshold, or a seal that wraps, a copy gets the stored keys anew"}
	switch sealer, ok := c.sealer(); {
	case m.kek != nil && (m.config == nil || m.config.shamir()):
		f.Repairs = c.editStored(m.kek)
	case ok && m.config != nil && !m.config.shamir():
		f.Repairs = c.sealInto(pathStoredKeys, sealer, storedKeys(m.root))
	}
	c.add(f)
}

// judgeCopies compares the copy of the root key with it. Servers that stand by
// read it when they become active.
func (c *examination) judgeCopies() {
	m := c.m
	found := false
	for _, key := range []string{pathRootKey, pathMasterKey} {
		value, ok, err := c.s.get(key)
		if !ok && err == nil {
			continue
		}
		found = true
		var copied *dataKey
		text, err := m.ring.open(key, value)
		if err == nil {
			copied, err = parseKey(text)
			clear(text)
		}
		if errors.Is(err, ErrUnknownTerm) {
			continue // the keyring is old, which is said
		}
		if err == nil && subtle.ConstantTimeCompare(copied.Value, m.root) == 1 {
			clear(copied.Value)
			continue
		}
		c.edit(key, rootCopy(m.root))
		c.add(Finding{State: RootCopy, Gravity: Broken, Key: key, Repairs: true,
			Says: key + " is not the root key: a rekey, a rotation or a migration stopped before it wrote it, or the entry is damaged",
			Do:   "One server alone opens the store. Where there are several, the one that becomes active does not: a copy gets the right one"})
	}
	if found || m.ring.text == nil { // from before there was one
		return
	}
	c.edit(pathMasterKey, rootCopy(m.root))
	c.add(Finding{State: RootCopy, Gravity: Note, Key: pathMasterKey, Repairs: true,
		Says: "there is no copy of the root key, neither " + pathRootKey + " nor " + pathMasterKey,
		Do:   "A server alone writes one; where there are several, none becomes active without: a copy gets " + pathMasterKey + ", which all read"})
}
