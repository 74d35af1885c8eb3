package vaultstore

import (
	"fmt"
	"slices"
	"strings"
)

// judgeTables looks for the tables of mounts and of auth methods. A server that
// does not find one begins with a new one, and what was mounted is unreachable.
func (c *examination) judgeTables() {
	for _, table := range []string{"core/mounts", "core/auth"} {
		if _, ok, err := c.s.get(table); ok || err != nil {
			continue // there; or damaged, which is seen when every entry is read
		}
		split := false
		err := c.s.walk(table+"/", func(string, func() ([]byte, error)) error { split = true; return errStop })
		if split || err != nil {
			continue
		}
		f := Finding{State: EntryMissing, Gravity: Lost, Key: table, Says: table + " is missing: a server would begin with an empty table, and reach nothing of what was mounted",
			Do: "Do not start a server on it. A backup has the table: give it"}
		if c.fromBackup(table) {
			f.Gravity, f.Repairs, f.Do = Broken, true, "Do not start a server on it. A copy gets the table of the backup"
		}
		c.add(f)
	}
}

// fromBackup takes an entry from the backup, if the data keys open it.
func (c *examination) fromBackup(key string) bool {
	if c.backup == nil {
		return false
	}
	value, ok, err := c.backup.get(key)
	if err != nil || !ok {
		return false
	}
	text, err := c.m.ring.open(key, value)
	clear(text)
	if err != nil {
		return false
	}
	c.edits[key] = value
	return true
}

// judgeEntries says which entries cannot be read, and takes those that the backup
// has.
func (c *examination) judgeEntries(bad []string) {
	bad = slices.DeleteFunc(bad, func(key string) bool {
		return slices.ContainsFunc(c.out.Findings, func(f Finding) bool { return f.Key == key })
	})
	if len(bad) == 0 {
		return
	}
	var still []string
	for _, key := range bad {
		if !c.fromBackup(key) {
			still = append(still, key)
		}
	}
	if n := len(bad) - len(still); n > 0 {
		c.add(Finding{State: EntriesDamaged, Gravity: Broken, Key: bad[0], Repairs: true, Says: fmt.Sprintf("%d %s cut, altered, or of another store, and the backup has them", n, are(n)),
			Do: "A copy gets them as they were in the backup, which may be older than the rest"})
	}
	if len(still) > 0 {
		few := still[:min(len(still), 10)]
		c.add(Finding{State: EntriesDamaged, Gravity: Lost, Key: few[0], Says: fmt.Sprintf("%d %s cut, altered, or of another store, among them %s", len(still), are(len(still)), strings.Join(few, ", ")),
			Do: "All others can be read. A backup has these, as they were then: give it"})
	}
}

func are(n int) string {
	if n == 1 {
		return "entry is"
	}
	return "entries are"
}
