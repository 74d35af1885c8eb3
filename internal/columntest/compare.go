package columntest

import (
	"context"
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

// testCompare: each element of a batch is a compare-and-set of its own, byte by
// byte.
func (d Database) testCompare(t *testing.T) {
	text, binary := d.types()
	table := Table("compared")
	d.Execute(t, fmt.Sprintf("CREATE TABLE %s (id bigint NOT NULL PRIMARY KEY, a %s, b %s)", table, text, binary))
	for id := range 6 {
		d.Insert(t, table, int64(id), fmt.Sprintf("sw1.Value-%d", id), fmt.Appendf(nil, "\x01Value\x00\xff-%d", id))
	}
	src := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a", "b"}})
	batch := []migrate.Replacement{
		{ID: "0#a", Old: []byte("sw1.Value-0"), Next: []byte("sw1.next-0"), Replaced: false},
		{ID: "1#a", Old: []byte("sw1.value-1"), Next: []byte("no")},                           // another case
		{ID: "2#a", Old: []byte("sw1.Value-2 "), Next: []byte("no")},                          // longer by a space
		{ID: "3#a", Old: []byte("sw1.Value-0"), Next: []byte("no")},                           // another row's
		{ID: "9#a", Old: []byte("sw1.Value-9"), Next: []byte("no")},                           // not there
		{ID: "4#b", Old: []byte("\x01Value\x00\xff-4"), Next: []byte("\x01n\x00\xfe'\"\\-4")}, // bytes
		{ID: "5#b", Old: []byte("\x01Value\x00\xfe-5"), Next: []byte("no")},
		{ID: "5#a", Old: []byte("sw1.Value-5"), Next: []byte("sw1.next-5")},
		{ID: "0#b", Old: nil, Next: []byte("no")},
	}
	want := "[true false false false false true false true false]"
	if err := src.ReplaceBatch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	var got []bool
	for _, e := range batch {
		got = append(got, e.Replaced)
	}
	if fmt.Sprint(got) != want {
		t.Errorf("replaced %v, want %v", got, want)
	}
	page, err := src.Page(t.Context(), "", 100)
	if err != nil || len(page) != 12 {
		t.Fatalf("%d items, %v", len(page), err)
	}
	for _, item := range page {
		want := "sw1.Value-" + item.ID[:1]
		if item.ID[2] == 'b' {
			want = "\x01Value\x00\xff-" + item.ID[:1]
		}
		for _, e := range batch {
			if e.ID == item.ID && e.Replaced {
				want = string(e.Next)
			}
		}
		if string(item.Ciphertext) != want {
			t.Errorf("item %s holds %q, want %q", item.ID, item.Ciphertext, want)
		}
	}
	for _, id := range []string{"0", "0#c", "x#a", "1,2#a", "%4#a", "%zz#a", ""} {
		if replaced, err := src.Replace(t.Context(), id, nil, []byte("no")); err == nil && replaced {
			t.Errorf("the id %q is taken", id)
		}
	}
	if ok, err := src.Replace(t.Context(), "1#a", []byte("sw1.Value-1"), []byte("sw1.next-1")); !ok || err != nil {
		t.Errorf("one item: %v, %v", ok, err)
	}
}

// testLive: writes that come between a page and its batch win.
func (d Database) testLive(t *testing.T) {
	text, _ := d.types()
	table := Table("live")
	d.Execute(t, fmt.Sprintf("CREATE TABLE %s (id bigint NOT NULL PRIMARY KEY, a %s)", table, text))
	owner, kr := Keyring(t, 1)
	encrypt := func(id int, what string) string {
		out, err := kr.EncryptString(fmt.Sprint(what, " ", id), sqlsource.AAD(table, "a", fmt.Sprint(id)))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for id := range 50 {
		d.Insert(t, table, int64(id), encrypt(id, "first"))
	}
	Install(t, owner, 2)
	src := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a"}})
	wrote := false
	between := &between{Source: src, before: func() {
		if wrote {
			return
		}
		wrote = true
		for _, id := range []int{0, 7, 49} {
			d.Execute(t, fmt.Sprintf("UPDATE %s SET a = '%s' WHERE id = %d", table, encrypt(id, "second"), id))
		}
		d.Execute(t, fmt.Sprintf("DELETE FROM %s WHERE id = 20", table), fmt.Sprintf("UPDATE %s SET a = NULL WHERE id = 30", table))
	}}
	last := d.rewrap(t, kr, between, migrate.RewrapOptions{})
	if last.Items != 48 || last.Changed != 5 || last.Rewrapped != 45 || last.Current != 3 || last.Empty != 1 {
		t.Errorf("%+v", last)
	}
	page, err := src.Page(t.Context(), "", 100)
	if err != nil || len(page) != 49 {
		t.Fatalf("%d items, %v", len(page), err)
	}
	for _, item := range page {
		want := "first " + item.ID
		switch item.ID {
		case "0", "7", "49":
			want = "second " + item.ID
		case "30":
			continue
		}
		if got, err := kr.DecryptString(string(item.Ciphertext), item.AAD); err != nil || got != want {
			t.Errorf("item %s: %q, %v", item.ID, got, err)
		}
	}
}

// between does something before each batch.
type between struct {
	*sqlsource.Source
	before func()
}

func (b *between) ReplaceBatch(ctx context.Context, batch []migrate.Replacement) error {
	b.before()
	return b.Source.ReplaceBatch(ctx, batch)
}
