package vaultstore

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// judgeAuto: a seal opens the stored keys, and core/seal-config says an auto
// seal.
func (c *examination) judgeAuto() {
	m := c.m
	if m.storedBy == nil {
		return // opened by the root key alone
	}
	kind := m.storedBy.Type()
	if kind != m.config.Type {
		config := *m.config
		config.Type = kind
		c.edits[pathSealConfig] = config.encode()
		c.add(Finding{State: AutoToAuto3, Gravity: Broken, Key: pathSealConfig, Repairs: true,
			Says: fmt.Sprintf("a migration from %s to %s stopped before its end: the root key is under %s, and %s still says %s", m.config.Type, kind, kind, pathSealConfig, m.config.Type),
			Do:   "No server opens it as it is. A copy says " + kind})
	}
	switch {
	case len(m.recoveryBlobs) == 0:
		c.judgeNoRecoveryKey()
		return
	case m.recoverBy == nil:
		c.recoveryElsewhere()
	case m.recoverAt != m.storedAt:
		c.autoToAuto1()
	}
	if m.recovery == nil {
		c.toAuto4()
	} else if m.recoverKey != nil && m.set != nil && m.recovery.Threshold != c.threshold() && (len(m.set) > c.threshold() || c.threshold() > m.recovery.Threshold) {
		config := *m.recovery
		config.Threshold = c.threshold()
		config.Shares = max(config.Shares, config.Threshold)
		c.edits[pathRecoveryConfig] = config.encode()
		c.add(Finding{State: RecoveryRekey1, Gravity: Broken, Key: pathRecoveryConfig, Repairs: true,
			Says: fmt.Sprintf("it takes %d recovery shares, and %s says %d: a rekey of them stopped before it wrote it", config.Threshold, pathRecoveryConfig, m.recovery.Threshold),
			Do:   "The seal opens the store. A copy says the right number"})
	}
	if m.recoverKey != nil && len(m.deck.shares) > 0 && m.set == nil {
		c.add(Finding{State: SharesWrong, Gravity: Note, Says: "the shares that were given do not combine to the recovery key",
			Do: "The seal opens the store without them. They are of another set, or of before the recovery shares were replaced; or a rekey of those was cut off, and nobody has the new ones"})
	}
}

// judgeNoRecoveryKey: an auto seal, and no recovery key.
func (c *examination) judgeNoRecoveryKey() {
	if r := c.m.recovery; r != nil && r.Shares == 0 {
		return // asked for without
	}
	f := Finding{State: NoRecoveryKey, Gravity: Broken, Key: pathRecoveryKey,
		Says: "there is no recovery key: it was initialized without one, or its init stopped before, and then nobody has a root token either",
		Do:   "The seal opens the store. What is in it can be exported; a copy that leaves the auto seal is not possible without shares"}
	if c.m.recoveryBlobsErr != nil {
		f.State, f.Says = EntryDamaged, pathRecoveryKey+" cannot be read: "+reason(c.m.recoveryBlobsErr)
	}
	if c.recoveryFromBackup() {
		f.Repairs, f.Do = true, "The seal opens the store. A copy gets the recovery key of the backup, with the recovery shares of then"
	}
	c.add(f)
}

// recoveryFromBackup takes the recovery key from the backup, if the seal that
// opens the store opens it.
func (c *examination) recoveryFromBackup() bool {
	if c.backup == nil {
		return false
	}
	value, ok, err := c.backup.get(pathRecoveryKey)
	if err != nil || !ok {
		return false
	}
	blobs, err := parseBlobs(value)
	if err != nil {
		return false
	}
	key, err := c.m.storedBy.OpenBlob(c.ctx, blobs[0])
	clear(key)
	if err != nil {
		return false
	}
	c.edits[pathRecoveryKey] = value
	return true
}

// toAuto4: core/recovery-config is missing.
func (c *examination) toAuto4() {
	f := Finding{State: ToAuto4, Gravity: Broken, Key: pathRecoveryConfig,
		Says: "a migration to " + c.m.config.Type + " stopped before it wrote " + pathRecoveryConfig + ", or that is damaged",
		Do:   "The seal opens the store, and the recovery shares do nothing"}
	if config, ok := c.sharesConfig(nil); ok && (c.o.Threshold > 0 || c.m.set != nil) {
		config.Stored = 0
		c.edits[pathRecoveryConfig] = config.encode()
		f.Repairs = true
		f.Do += fmt.Sprintf(": a copy says %d of %d", config.Threshold, config.Shares)
	} else if value, ok := c.configFromBackup(); ok {
		c.edits[pathRecoveryConfig], f.Repairs = value, true
		f.Do += ": a copy gets " + pathRecoveryConfig + " of the backup"
	} else {
		f.Do += ": give them, or say how many there are and their threshold, for a copy in which they do"
	}
	c.add(f)
}

// configFromBackup returns the recovery shares' config of the backup.
func (c *examination) configFromBackup() ([]byte, bool) {
	if c.backup == nil {
		return nil, false
	}
	value, ok, err := c.backup.get(pathRecoveryConfig)
	if err != nil || !ok {
		return nil, false
	}
	_, err = parseSealConfig(pathRecoveryConfig, value)
	return value, err == nil
}

// recoveryElsewhere: no seal that was given opens the recovery key. Shares that
// belong together show it, too.
func (c *examination) recoveryElsewhere() {
	m := c.m
	f := Finding{State: AutoToAuto1, Gravity: Broken, Key: pathRecoveryKey,
		Says: "the seal that opens the stored keys does not open the recovery key: a migration to another auto seal stopped behind its first step, or the KMS' key was replaced",
		Do:   "The seal opens the store, and the recovery shares do nothing. Give the other seal too, or more recovery shares than their threshold"}
	if m.kek == nil && m.recovery != nil {
		if of := m.deck.family(m.recovery.Threshold); of != nil {
			m.set = of
			m.kek, _ = m.deck.combine(of, 0)
		}
	}
	if sealer, ok := m.storedBy.(Sealer); ok && m.kek != nil {
		f.Repairs = c.sealInto(pathRecoveryKey, sealer, m.kek)
		f.Do = "The seal opens the store, and the recovery shares do nothing. A copy has the recovery key under the seal again"
	}
	c.add(f)
}

// autoToAuto1: the recovery key is under another seal than the stored keys.
func (c *examination) autoToAuto1() {
	m := c.m
	f := Finding{State: AutoToAuto1, Gravity: Broken, Key: pathRecoveryKey,
		Says: fmt.Sprintf("a migration from %s to %s stopped behind its first step: the recovery key is under the new seal, and the root key under the old one", m.storedBy.Type(), m.recoverBy.Type()),
		Do:   "The old seal opens the store, and the recovery shares do nothing"}
	if sealer, ok := m.storedBy.(Sealer); ok {
		f.Repairs = c.sealInto(pathRecoveryKey, sealer, m.recoverKey)
		f.Do += ". A copy has the recovery key under the old seal again, and the migration can be made again"
	} else {
		f.Do += ". A copy can leave the auto seal (ToShamir), and the migration be made from there"
	}
	c.add(f)
}

// sealer returns a seal of the store's type that wraps.
func (c *examination) sealer() (Sealer, bool) {
	for _, seal := range c.o.Keys.Seals {
		if s, ok := seal.(Sealer); ok && c.m.config != nil && s.Type() == c.m.config.Type {
			return s, true
		}
	}
	return nil, false
}

// sealInto has a seal wrap an entry for the copy.
func (c *examination) sealInto(key string, s Sealer, plain []byte) bool {
	b, err := s.SealBlob(c.ctx, plain)
	if err != nil {
		return false
	}
	c.edits[key] = b.marshal()
	return true
}

// editStored has the shares' key wrap the root key for the copy.
func (c *examination) editStored(kek []byte) bool {
	text := storedKeys(c.m.root)
	defer clear(text)
	a, err := gcm(kek)
	if err != nil {
		return false
	}
	c.edits[pathStoredKeys] = (&Blob{Ciphertext: a.Seal(nil, nil, text, nil)}).marshal()
	return true
}

// storedKeys is what stands in the blob of the stored keys.
func storedKeys(root []byte) []byte {
	text := append(make([]byte, 0, 64), `["`...)
	text = base64.StdEncoding.AppendEncode(text, root)
	return append(text, `"]`...)
}

// rootCopy is what stands in core/root-key and core/master.
func rootCopy(root []byte) []byte {
	text, _ := json.Marshal(dataKey{Term: 1, Version: 1, Value: root})
	return text
}

// leaveAuto has the copy open by the recovery shares.
func (c *examination) leaveAuto() error {
	m := c.m
	kek := m.recoverKey
	if kek == nil {
		kek = m.kek
	}
	if kek == nil || m.root == nil {
		return fmt.Errorf("%w: to leave the auto seal takes it, and the recovery key or its shares", ErrNoRepair)
	}
	config, ok := c.sharesConfig(m.recovery)
	if !ok {
		return fmt.Errorf("%w: say how many recovery shares there are, and their threshold", ErrNoRepair)
	}
	if !c.editStored(kek) {
		return fmt.Errorf("%w: the recovery key is none that shares combine to", ErrNoRepair)
	}
	c.edits[pathSealConfig], c.edits[pathRecoveryConfig] = config.encode(), nil
	c.edit(pathShamirKEK, kek)
	return nil
}
