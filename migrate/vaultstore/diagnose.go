package vaultstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Options are what [Diagnose] and [Repair] may use.
type Options struct {
	Keys Keys

	// Backup is the path of an older copy of the same store, of any kind. From it
	// comes what is lost in the store itself: the data keys are the same before and
	// after a migration, a rekey, or a rotation of the root key.
	Backup string

	// Quick leaves out reading every entry.
	Quick bool

	// Progress is called now and then with how many entries were read.
	Progress func(entries int)

	// Shares and Threshold are those of the recovery shares, or of the unseal
	// shares, where the store no longer says them. 0 takes what the shares that
	// were given show.
	Shares, Threshold int

	// ToShamir has [Repair] leave the auto seal: the copy opens by the recovery
	// shares, as after a migration.
	ToShamir bool
}

// Diagnose says what is wrong with a store, and what can still be done. Whatever
// it finds is in the Diagnosis; the error is of the path, of the storage as a
// whole, or of the context. It writes nothing.
//
// What it can say depends on the keys: with none it reads only what is not
// encrypted. To tell shares that are wrong from a store that is, give more than a
// threshold of them, and the KMS of both sides of a migration.
func Diagnose(ctx context.Context, path string, o Options) (*Diagnosis, error) {
	s, err := openStorageAs(path, true)
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrTooLarge) {
		return &Diagnosis{Findings: []Finding{unreadable(err)}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	c, err := examine(ctx, s, o)
	if err != nil {
		return nil, err
	}
	defer c.wipe()
	return &c.out, nil
}

// unreadable is what is said of a file that holds no more than its beginning.
func unreadable(err error) Finding {
	return Finding{State: StorageDamaged, Gravity: Lost, Says: "the storage cannot be read: " + reason(err),
		Do: "Another snapshot, or the vault.db of another server of the cluster, has the same"}
}

// judgeStorage says what of the storage could not be read as such.
func (c *examination) judgeStorage() {
	d, ok := c.source.(damagedStorage)
	if !ok || len(d.damage()) == 0 {
		return
	}
	c.add(Finding{State: StorageDamaged, Gravity: Lost, Says: fmt.Sprintf("the storage itself is damaged, in %d places: %s", len(d.damage()), reason(d.damage()[0])),
		Do: "What it still holds can be exported (Salvage). Another snapshot, or the vault.db of another server of the cluster, has the rest"})
}

// An examination is a store under examination, with the edits that would mend it.
type examination struct {
	ctx    context.Context // of the one call that it lives for
	source storage         // as it was opened
	s      storage         // with entries from elsewhere in place of its own, perhaps
	o      Options
	backup storage // open while the store is examined; nil if there is none
	m      *material
	closed *material // what did not open, where m is with entries from elsewhere
	out    Diagnosis
	edits  map[string][]byte // by key; nil takes the entry away
	from   map[string]string // keys whose entry is taken from elsewhere: "backup", or a file's name
}

func examine(ctx context.Context, s storage, o Options) (_ *examination, err error) {
	c := &examination{ctx: ctx, source: s, s: s, o: o, edits: map[string][]byte{}, from: map[string]string{}}
	c.out.Kind = s.kind()
	if o.Backup != "" {
		if c.backup, err = openStorage(o.Backup); err != nil {
			return nil, err
		}
		defer c.backup.Close()
	}
	if err := c.find(ctx); err != nil {
		return nil, err
	}
	switch {
	case c.m.ring == nil:
		c.judgeClosed(c.m)
	case c.closed != nil:
		c.judgeClosed(c.closed)
		c.judgeSource()
	}
	if c.m.ring != nil {
		c.judgeShares()
		c.judgeOpen()
		c.judgeTables()
		c.out.Opens, c.out.OpenedBy, c.out.Terms = true, string(c.m.rootBy), c.m.ring.terms()
		if err := c.read(ctx); err != nil {
			c.wipe()
			return nil, err
		}
	}
	c.judgeStorage()
	slices.SortStableFunc(c.out.Findings, func(a, b Finding) int { return int(b.Gravity) - int(a.Gravity) })
	return c, nil
}

// find opens the store, if need be with entries of the backup, or of writes that
// were cut off before their files had the right names.
func (c *examination) find(ctx context.Context) (err error) {
	if c.m, err = find(ctx, c.s, c.o.Keys); err != nil || c.m.ring != nil {
		return err
	}
	if c.s.kind() == KindFile {
		other := renamed{c.s}
		if opened, err := c.tryOther(ctx, other, func(key string) string { return key + tempSuffix }); opened || err != nil {
			return err
		}
	}
	if c.backup == nil {
		return nil
	}
	_, err = c.tryOther(ctx, c.backup, func(string) string { return "the backup" })
	return err
}

// protecting are the entries that stand between the keys and the data. A backup
// is asked for as few of them as will do.
var protecting = [][]string{
	{pathKeyring},
	{pathStoredKeys},
	{pathStoredKeys, pathSealConfig, pathRecoveryConfig, pathRecoveryKey},
	{pathSealConfig, pathRecoveryConfig},
	{pathKeyring, pathStoredKeys},
	{pathKeyring, pathStoredKeys, pathSealConfig, pathRecoveryConfig, pathRecoveryKey},
}

// tryOther looks for the entries of another storage that make this one open, and
// reports whether there are.
func (c *examination) tryOther(ctx context.Context, other storage, name func(string) string) (bool, error) {
	for _, keys := range protecting {
		over := &overlay{storage: c.s, entries: map[string][]byte{}}
		for _, key := range keys {
			value, ok, err := other.get(key)
			if err != nil && !errors.Is(err, ErrDamaged) {
				return false, err
			}
			if ok && err == nil {
				over.entries[key] = value
			}
		}
		if len(over.entries) == 0 {
			continue
		}
		m, err := find(ctx, over, c.o.Keys)
		if err != nil {
			return false, err
		}
		if m.ring == nil || !m.opensData() {
			m.wipe()
			continue
		}
		c.closed, c.m, c.s = c.m, m, over
		for key, value := range over.entries {
			c.edits[key], c.from[key] = value, name(key)
		}
		return true, nil
	}
	return false, nil
}

// opensData reports whether the keyring is that of the data, and not of another
// store: one entry is enough, and a store without any has nothing to lose.
func (m *material) opensData() bool {
	some := false
	for _, key := range []string{"core/mounts", "core/auth", pathRootKey, pathMasterKey} {
		value, ok, err := m.storage.get(key)
		if err != nil || !ok {
			continue
		}
		text, err := m.ring.open(key, value)
		clear(text)
		if err == nil {
			return true
		}
		some = true
	}
	return !some
}

// overlay is a storage with some entries in place of its own.
type overlay struct {
	storage
	entries map[string][]byte
}

func (o *overlay) get(key string) ([]byte, bool, error) {
	if value, ok := o.entries[key]; ok {
		return slices.Clone(value), true, nil
	}
	return o.storage.get(key)
}

// renamed is the files that a write left behind, under the names they were for.
type renamed struct{ storage }

func (r renamed) get(key string) ([]byte, bool, error) { return r.storage.get(key + tempSuffix) }

func (c *examination) wipe() {
	c.m.wipe()
	if c.closed != nil {
		c.closed.wipe()
	}
}

// add notes a finding.
func (c *examination) add(f Finding) { c.out.Findings = append(c.out.Findings, f) }

// judgeShares says what is wrong with the shares alone.
func (c *examination) judgeShares() {
	m := c.m
	if len(m.deck.twice) > 0 {
		c.add(Finding{State: ShareTwice, Shares: m.deck.twice, Says: "share " + numbers(m.deck.twice) + " was given before", Do: "Each person has another one"})
	}
	if len(m.deck.odd) > 0 {
		c.add(Finding{State: ShareUnfit, Shares: m.deck.odd, Says: "share " + numbers(m.deck.odd) + " has a length that no share of a 32-byte key has",
			Do: "A share has 33 bytes: 66 characters of hex, or 44 of base64"})
	}
	if m.set == nil {
		return
	}
	if wrong := m.deck.strangers(m.set); len(wrong) > 0 {
		c.add(Finding{State: ShareForeign, Shares: wrong, Says: "share " + numbers(wrong) + " is not of the set that opens the store: it is mistyped, or of another store, or from before a rekey",
			Do: "The others suffice; its holder should look for the right one"})
	}
}

// read reads every entry, and completes the keyring with the terms that an
// upgrade brings.
func (c *examination) read(ctx context.Context) error {
	missing := map[uint32]int{}
	var bad []string
	err := c.entries(ctx, func(key string, value []byte, err error) {
		switch {
		case errors.Is(err, ErrUnknownTerm):
			term, _, _, _ := parseEntry(value)
			missing[term]++
		case err != nil:
			bad = append(bad, key)
		}
	})
	if err != nil {
		return err
	}
	c.judgeTerms(missing)
	c.judgeEntries(bad)
	return nil
}

// entries opens each entry of the store, but for those that it has judged.
func (c *examination) entries(ctx context.Context, f func(key string, value []byte, err error)) error {
	if c.o.Quick {
		return nil
	}
	own, err := children(c.s, "namespaces/")
	if err != nil {
		return err
	}
	own = slices.DeleteFunc(own, func(name string) bool {
		_, sealed, _ := c.s.get("namespaces/" + name + pathKeyring)
		return !sealed
	})
	for _, name := range own {
		c.add(Finding{State: NamespaceSealed, Key: "namespaces/" + name, Says: "the namespace " + strings.TrimSuffix(name, "/") + " has a seal of its own",
			Do: "Its shares open it: its entries were not read"})
	}
	return c.s.walk("", func(key string, read func() ([]byte, error)) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if plain[key] || key == pathKeyring || key == pathInit || strings.HasPrefix(key, "core/leader/") || inSealed(key, own) {
			return nil
		}
		value, err := read()
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrTooLarge) {
			return err
		}
		c.out.Entries++
		if c.o.Progress != nil && c.out.Entries%1024 == 0 {
			c.o.Progress(c.out.Entries)
		}
		if err == nil {
			var text []byte
			text, err = c.m.ring.open(key, value)
			clear(text)
		}
		if err != nil && c.leftover(key, value) {
			return nil
		}
		if err != nil && len(own) > 0 && strings.HasPrefix(key, "namespaces/") {
			c.out.Entries-- // of a namespace below one that is sealed, and with it
			return nil
		}
		if err != nil {
			c.out.Unreadable++
		}
		f(key, value, err)
		return nil
	})
}

func inSealed(key string, own []string) bool {
	rest, ok := strings.CutPrefix(key, "namespaces/")
	return ok && slices.ContainsFunc(own, func(name string) bool { return strings.HasPrefix(rest, name) })
}

// leftover reports whether a file is of a write that was cut off, and says so.
func (c *examination) leftover(key string, value []byte) bool {
	name, ok := strings.CutSuffix(key, tempSuffix)
	if !ok || c.s.kind() != KindFile {
		return false
	}
	is := plain[name] || name == pathKeyring
	if !is && value == nil {
		_, is, _ = c.s.get(name)
	}
	if !is {
		text, err := c.m.ring.open(name, value)
		clear(text)
		is = err == nil
	}
	if is {
		c.out.Entries--
		c.edits[key] = nil
		c.add(Finding{State: FileLeftover, Key: key, Says: "a write of " + name + " was cut off, and left a file behind", Do: "It does no harm: the entry before it is there", Repairs: true})
	}
	return is
}
