package columntest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

// A keyKind is a kind of primary key, and some keys of it: how they are inserted,
// and how they are named in associated data.
type keyKind struct {
	name, columns, primary string
	keys                   [][]any
	parts                  func(key []any) []string
}

func plain(key []any) (parts []string) {
	for _, k := range key {
		if b, ok := k.([]byte); ok {
			parts = append(parts, fmt.Sprintf("%x", b))
		} else {
			parts = append(parts, fmt.Sprint(k))
		}
	}
	return parts
}

func (d Database) keyKinds() []keyKind {
	_, binary := d.types()
	text := "varchar(60)"
	if d.Dialect == sqlsource.MySQL {
		binary = "varbinary(60)"
	}
	integers := [][]any{{int64(-1 << 63)}, {int64(-7)}, {int64(0)}, {int64(1)}, {int64(2)}, {int64(10)}, {int64(1<<63 - 1)}}
	texts := [][]any{{"a"}, {"b,c"}, {"b#c"}, {"100%"}, {"it's"}, {`"q"`}, {`back\slash`}, {"ünï"}, {"line\nbreak"}, {"sw1.x"}, {"NULL"}, {"{}"}, {"Zz"}, {"zz "}}
	if d.Dialect == sqlsource.MySQL {
		texts = texts[:len(texts)-2] // its keys are the same in any case, and with spaces behind
	}
	kinds := []keyKind{
		{"integer", "id bigint NOT NULL", "id", integers, plain},
		{"text", "id " + text + " NOT NULL", "id", texts, plain},
		{"bytes", "id " + binary + " NOT NULL", "id", [][]any{{[]byte{0}}, {[]byte{0, 1}}, {[]byte("%,#'\"\\")}, {[]byte{0xff, 0xfe}}}, plain},
		{"composite", "region " + text + " NOT NULL, id bigint NOT NULL", "region, id",
			[][]any{{"eu", int64(2)}, {"eu", int64(10)}, {"us", int64(-1)}, {"us", int64(3)}, {"a,b", int64(1)}}, plain},
		{"three", "x bigint NOT NULL, y " + text + " NOT NULL, z bigint NOT NULL", "z, x, y",
			[][]any{{int64(1), "x", int64(1)}, {int64(1), "y", int64(1)}, {int64(2), "x", int64(1)}, {int64(1), "x", int64(2)}, {int64(1), "z", int64(2)}},
			func(key []any) []string { return plain([]any{key[2], key[0], key[1]}) }},
	}
	if d.Dialect == sqlsource.PostgreSQL {
		kinds = append(kinds,
			keyKind{"uuid", "id uuid NOT NULL", "id", [][]any{{"00000000-0000-0000-0000-000000000000"}, {"8d1e6b2a-3c4d-4e5f-8a9b-0c1d2e3f4a5b"}, {"ffffffff-ffff-ffff-ffff-ffffffffffff"}}, plain},
			keyKind{"serial", "id serial", "id", [][]any{{int64(1)}, {int64(2)}, {int64(1<<31 - 1)}}, plain})
	}
	if d.Dialect == sqlsource.MySQL {
		kinds = append(kinds,
			keyKind{"uuid", "id uuid NOT NULL", "id", [][]any{{"00000000-0000-0000-0000-000000000000"}, {"8d1e6b2a-3c4d-4e5f-8a9b-0c1d2e3f4a5b"}}, plain},
			keyKind{"unsigned", "id bigint unsigned NOT NULL", "id", [][]any{{"0"}, {"9223372036854775808"}, {"18446744073709551615"}}, plain},
			keyKind{"latin1, any case", "id varchar(60) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL", "id", [][]any{{"a"}, {"B"}, {"ö"}}, plain})
	}
	return kinds
}

// testKey rewraps a table of text and bytes, among them NULL and nothing, page by
// page of every size.
func (d Database) testKey(t *testing.T, kind keyKind) {
	text, binary := d.types()
	table := Table("keys")
	d.Execute(t, fmt.Sprintf("CREATE TABLE %s (%s, a %s, b %s, PRIMARY KEY (%s))", table, kind.columns, text, binary, kind.primary))
	owner, kr := Keyring(t, 1)
	n := 0
	for i, key := range kind.keys {
		parts := kind.parts(key)
		a, err := kr.EncryptString("a of "+strings.Join(parts, "/"), sqlsource.AAD(table, "a", parts...))
		if err != nil {
			t.Fatal(err)
		}
		b, err := kr.Encrypt(nil, []byte("b of "+strings.Join(parts, "/")), sqlsource.AAD(table, "b", parts...))
		if err != nil {
			t.Fatal(err)
		}
		row := append(append([]any{}, key...), a, b)
		n += 2
		switch i {
		case 1:
			row[len(row)-2] = nil
			n--
		case 2:
			row[len(row)-1] = []byte{}
			n--
		}
		d.Insert(t, table, row...)
	}
	empty := min(2, len(kind.keys)-1)
	src := d.Open(t, sqlsource.Config{Table: table, Columns: []string{"a", "b"}})
	d.wantCensus(t, kr, src, map[uint32]int{1: n}, 0, 0, empty)
	for term, opt := range []migrate.RewrapOptions{{PageSize: 1}, {PageSize: 2}, {PageSize: 3, Workers: 3}, {PageSize: 5, Workers: 2}, {}} {
		Install(t, owner, uint32(term+2))
		last := d.rewrap(t, kr, src, opt)
		if last.Items != int64(n) || last.Rewrapped != int64(n) || last.Empty != int64(empty) || last.Changed != 0 {
			t.Errorf("pages of %d: %+v; want %d items and %d empty", opt.PageSize, last, n, empty)
		}
		d.wantCensus(t, kr, src, map[uint32]int{uint32(term + 2): n}, 0, 0, empty)
	}
	// And each reads where it stands.
	read := 0
	for after := ""; ; {
		page, err := src.Page(t.Context(), after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, item := range page {
			if after = item.ID; len(item.Ciphertext) == 0 {
				continue
			}
			read++
			var got string
			var err error
			if bytes.HasPrefix(item.Ciphertext, []byte("sw1.")) {
				got, err = kr.DecryptString(string(item.Ciphertext), item.AAD)
			} else {
				var plaintext []byte
				plaintext, err = kr.Decrypt(nil, item.Ciphertext, item.AAD)
				got = string(plaintext)
			}
			if err != nil || !strings.HasPrefix(got, "a of ") && !strings.HasPrefix(got, "b of ") {
				t.Errorf("item %q: %q, %v", item.ID, got, err)
			}
		}
	}
	if read != n {
		t.Errorf("%d values were read, want %d", read, n)
	}
	if estimate, err := src.Estimate(t.Context()); err != nil || estimate < 0 {
		t.Errorf("the estimate is %d, %v", estimate, err)
	}
}
