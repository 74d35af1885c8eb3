package columntest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

// walked hides that a source counts by itself.
type walked struct{ migrate.Source }

// wantCensus counts on both sides.
func (d Database) wantCensus(t *testing.T, kr *keyring.Keyring, src migrate.Source, terms map[uint32]int, unknown, other, empty int) {
	t.Helper()
	there, err := migrate.Count(t.Context(), kr, src)
	if err != nil {
		t.Fatal(err)
	}
	here, err := migrate.Count(t.Context(), kr, walked{src})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(there) != fmt.Sprint(here) {
		t.Errorf("the database counts %+v, and reading every value gives %+v", there, here)
	}
	for term, tally := range there.Terms {
		if int(tally.Items) != terms[term] {
			t.Errorf("%d items are under term %d, want %d", tally.Items, term, terms[term])
		}
	}
	if int(there.Unknown.Items) != unknown || int(there.Other.Items) != other || int(there.Empty) != empty {
		t.Errorf("census %+v; want %d unknown, %d other, %d empty", there, unknown, other, empty)
	}
}

// testCensus counts much of one term, and what looks like it: other terms, what is
// cut, what is long, and heads with bytes that mean something in a pattern.
func (d Database) testCensus(t *testing.T) {
	text, binary := d.types()
	if d.Dialect == sqlsource.MySQL {
		text, binary = "mediumtext", "mediumblob"
	}
	for _, term := range []uint32{'%', '_', '\\', underscored(t), 5} {
		owner, kr := Keyring(t, term-1)
		table := Table("census")
		d.Execute(t, fmt.Sprintf("CREATE TABLE %s (id bigint NOT NULL PRIMARY KEY, a %s, b %s)", table, text, binary))
		id, n := int64(0), map[uint32]int{}
		insert := func(a, b any) {
			d.Insert(t, table, id, a, b)
			id++
		}
		encrypt := func(in uint32, size int) (a string, b []byte) {
			n[in] += 2
			aad := []byte("anywhere")
			a, err := kr.EncryptString(strings.Repeat("x", size), aad)
			if err == nil {
				b, err = kr.Encrypt(nil, []byte(strings.Repeat("x", size)), aad)
			}
			if err != nil {
				t.Fatal(err)
			}
			return a, b
		}
		for _, size := range []int{0, 40, 4000} {
			insert(encrypt(term-1, size))
		}
		Install(t, owner, term)
		for range 40 {
			insert(encrypt(term, 40))
		}
		for _, size := range []int{0, 1350, 1500, 2000, 9000} {
			insert(encrypt(term, size))
		}
		a, b := encrypt(term, 10)
		insert(a, b)
		insert(a[:textHeader], b[:header])
		n[term] += 2
		insert(a[:textHeader-1], b[:header-1])
		insert(a[:16], b[:9])
		insert(a[:4], b[:1])
		insert(strings.Replace(strings.Replace(a, "_", "A", 1), a[14:16], "zz", 1), append([]byte{1, 0, 0, 0, b[4] ^ 1}, b[5:]...))
		insert(strings.ToUpper(a[:4])+a[4:], append([]byte{7}, b[1:]...))
		insert(strings.Repeat("legacy", 1000), []byte(strings.Repeat("legacy", 1000)))
		insert("legacy", []byte("legacy"))
		insert("", []byte{})
		insert(nil, nil)
		src := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a", "b"}})
		d.wantCensus(t, kr, src, n, 8, 6, 4)
		most := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"b"}, Where: "id BETWEEN 3 AND 42"})
		d.wantCensus(t, kr, most, map[uint32]int{term: 40}, 0, 0, 0)
		none := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a"}, Where: "id < 0"})
		d.wantCensus(t, kr, none, nil, 0, 0, 0)
	}
}

// The lengths of a ciphertext's header, from which on it is counted as one.
const (
	header     = 41
	textHeader = 59
)

// underscored is a term whose ciphertexts as text begin with an underscore in what
// names it.
func underscored(t *testing.T) uint32 {
	owner, kr := Keyring(t, 1)
	for term := uint32(2); term < 200; term++ {
		Install(t, owner, term)
		text, err := kr.EncryptString("x", nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text[4:16], "_") {
			return term
		}
	}
	t.Fatal("no term has an underscore in its text")
	return 0
}
