package sqlsource

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/internal/sqlerror"
	"github.com/sealwright/sealwright/migrate"
)

// postgres gives every parameter as text and casts it on the server's side: what a
// driver makes of arrays, UUIDs and bytes does not matter then, nor the protocol.
type postgres struct{}

func (postgres) quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func (postgres) inspect(ctx context.Context, q queryer, s *Source) (columns []column, keys [][]string, err error) {
	var kind, readOnly sql.NullString
	err = q.QueryRowContext(ctx, `SELECT (SELECT relkind::text FROM pg_class WHERE oid = to_regclass($1::text)),
	CASE WHEN pg_is_in_recovery() THEN 'a replica' WHEN current_setting('transaction_read_only') = 'on' THEN 'open to be read only' END`, s.table).Scan(&kind, &readOnly)
	switch {
	case err != nil:
		return nil, nil, err
	case readOnly.Valid:
		return nil, nil, refuse("the database is %s: give the primary one", readOnly.String)
	case !kind.Valid:
		return nil, nil, nil
	case kind.String != "r" && kind.String != "p":
		return nil, nil, refuse("it is a view or a foreign table, and no table")
	}
	err = read(ctx, q, func(rows *sql.Rows) error {
		var c column
		var base string
		var mod int64
		var notNull bool
		if err := rows.Scan(&c.name, &c.kind, &base, &mod, &notNull, &c.computed); err != nil {
			return err
		}
		c.nullable, c.binary = !notNull, base == "bytea"
		if base == "varchar" && mod > 4 {
			c.limit = mod - 4
		}
		c.charset = base
		columns = append(columns, c)
		return nil
	}, `SELECT a.attname::text, format_type(a.atttypid, NULL), coalesce(b.typname, t.typname)::text,
	CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, a.attnotnull OR t.typnotnull, a.attgenerated <> ''
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped`, s.table)
	if err != nil {
		return nil, nil, err
	}
	var found []indexColumn
	err = read(ctx, q, func(rows *sql.Rows) error {
		var r indexColumn
		err := rows.Scan(&r.index, &r.primary, &r.column)
		found = append(found, r)
		return err
	}, `SELECT i.indexrelid::text, i.indisprimary, a.attname::text
FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass($1::text) AND i.indisunique AND i.indisvalid AND i.indimmediate
	AND i.indpred IS NULL AND i.indexprs IS NULL AND k.n <= i.indnkeyatts
ORDER BY i.indexrelid, k.n`, s.table)
	return columns, group(found), err
}

func (postgres) checkKey(c *column) error {
	if c.nullable {
		return refuse("column %q of the key may be NULL: no order finds such a row again", c.name)
	}
	if c.charset == "bpchar" {
		return refuse("column %q of the key pads its values: make it text", c.name)
	}
	return nil
}

func (postgres) checkValue(c *column) error {
	switch c.charset { // the base type
	case "text", "varchar", "citext", "bytea":
		return nil
	case "bpchar":
		return refuse("column %q pads its values: make it text", c.name)
	}
	return refuse("column %q is of type %s: text, varchar and bytea are taken", c.name, c.kind)
}

func (postgres) keyOut(c *column) string { return c.quoted + "::text" }

func (postgres) keyIn(c *column, parameter string) string {
	return fmt.Sprintf("%s::text::%s", parameter, c.kind)
}

func (postgres) keyArg(_ *column, text string) (any, error) { return text, nil }

func (postgres) keyPart(c *column, text string) string {
	if c.binary {
		return strings.TrimPrefix(text, `\x`)
	}
	return text
}

func (postgres) rowCompare() bool       { return true }
func (postgres) parameter(n int) string { return fmt.Sprintf("$%d", n) }

func (postgres) valueOut(c *column) string {
	if c.binary {
		return c.quoted
	}
	return c.quoted + "::text"
}

func (postgres) most() (changes, bytes int)      { return 10_000, 64 << 20 }
func (postgres) fits(*migrate.Replacement) error { return nil }

// replace is one UPDATE from arrays. A text is compared as its bytes are, whatever
// the collation of the column.
func (d postgres) replace(ctx context.Context, tx *sql.Tx, s *Source, c *column, batch []*change) error {
	var params, names []string
	var args []any
	add := func(name, kind string, value func(*change) string) {
		names = append(names, name)
		args = append(args, arrayOf(batch, value))
		params = append(params, fmt.Sprintf("CAST($%d::text AS %s[])", len(args), kind))
	}
	for i := range s.keys {
		add(fmt.Sprintf("k%d", i+1), s.keys[i].kind, func(c *change) string { return c.key[i] })
	}
	kind, same := "text", `t.%s::text COLLATE "C" = v.old COLLATE "C"`
	value := func(b []byte) string { return string(b) }
	if c.binary {
		kind, same = "bytea", "t.%s = v.old"
		value = func(b []byte) string { return `\x` + hex.EncodeToString(b) }
	}
	add("old", kind, func(c *change) string { return value(c.Old) })
	add("next", kind, func(c *change) string { return value(c.Next) })
	text := fmt.Sprintf("UPDATE %s AS t SET %s = v.next FROM unnest(%s) WITH ORDINALITY AS v(%s, n) WHERE %s AND "+same+" RETURNING v.n",
		s.table, c.quoted, strings.Join(params, ", "), strings.Join(names, ", "), s.keysIn(func(_ *column, value string) string { return value }), c.quoted)
	return read(ctx, tx, func(rows *sql.Rows) error {
		var n int
		if err := rows.Scan(&n); err != nil {
			return err
		}
		if n < 1 || n > len(batch) {
			return fmt.Errorf("the database answers for element %d of %d", n, len(batch))
		}
		batch[n-1].Replaced = true
		return nil
	}, text, args...)
}

// arrayOf writes an array as PostgreSQL reads it.
func arrayOf(batch []*change, value func(*change) string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, c := range batch {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		text := value(c)
		for {
			n := strings.IndexAny(text, `"\`)
			if n < 0 {
				break
			}
			b.WriteString(text[:n])
			b.WriteByte('\\')
			b.WriteByte(text[n])
			text = text[n+1:]
		}
		b.WriteString(text)
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

// estimate asks the planner, who knows the condition too.
func (postgres) estimate(ctx context.Context, q queryer, s *Source) (int64, error) {
	text := "EXPLAIN (FORMAT JSON) SELECT 1 FROM " + s.table
	if s.cfg.Where != "" {
		text += " WHERE (" + s.cfg.Where + ")"
	}
	var plan []byte
	if err := q.QueryRowContext(ctx, text).Scan(&plan); err != nil {
		return 0, err
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal(plan, &plans); err != nil || len(plans) == 0 {
		return 0, fmt.Errorf("the plan is not understood: %w", err)
	}
	return int64(plans[0].Plan.Rows), nil
}

// The states after which the same may be tried again: given up for another
// transaction, no lock, canceled by a timeout, shut down, too many connections.
// Those of class 08 are of the connection.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
var againStates = []string{"40001", "40P01", "40003", "55P03", "57014", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300"}

func (postgres) unavailable(err error) bool {
	state := sqlerror.State(err)
	if state == "" {
		return sqlerror.Lost(err)
	}
	return slices.Contains(againStates, state) || strings.HasPrefix(state, "08")
}
