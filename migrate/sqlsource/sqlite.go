package sqlsource

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/internal/sqlerror"
	"github.com/sealwright/sealwright/migrate"
)

// sqlite has types at its values and not at its columns: a key is handled as
// quote() writes it, and a value as its bytes, put back as what it was.
type sqlite struct{}

func (sqlite) quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func (sqlite) inspect(ctx context.Context, q queryer, s *Source) (columns []column, keys [][]string, err error) {
	schema := s.cfg.Schema
	if schema == "" {
		schema = "main"
	}
	var primary []string
	var positions []int
	err = read(ctx, q, func(rows *sql.Rows) error {
		var c column
		var pk, hidden int
		if err := rows.Scan(&c.name, &pk, &hidden); err != nil {
			return err
		}
		c.computed = hidden > 1
		if pk > 0 {
			primary, positions = append(primary, c.name), append(positions, pk)
		}
		columns = append(columns, c)
		return nil
	}, "SELECT name, pk, hidden FROM pragma_table_xinfo(?, ?)", s.cfg.Table, schema)
	if err != nil || columns == nil {
		return nil, nil, err
	}
	var kind string
	err = q.QueryRowContext(ctx, "SELECT coalesce(max(type), 'table') FROM "+sqlite{}.quote(schema)+".sqlite_master WHERE name = ? COLLATE NOCASE", s.cfg.Table).Scan(&kind)
	if err != nil {
		return nil, nil, err
	}
	if kind != "table" {
		return nil, nil, refuse("it is a %s, and no table", kind)
	}
	var found []indexColumn
	for want := range len(primary) {
		for i, at := range positions {
			if at == want+1 {
				found = append(found, indexColumn{"", true, primary[i]})
			}
		}
	}
	err = read(ctx, q, func(rows *sql.Rows) error {
		var r indexColumn
		var name sql.NullString
		err := rows.Scan(&r.index, &name)
		if r.column = name.String; !name.Valid {
			r.column = "\x00" // of an expression: no column has that name
		}
		found = append(found, r)
		return err
	}, `SELECT l.name, i.name FROM pragma_index_list(?, ?) AS l, pragma_index_xinfo(l.name, ?) AS i
WHERE l."unique" = 1 AND l.partial = 0 AND l.origin <> 'pk' AND i.key = 1 ORDER BY l.name, i.seqno`, s.cfg.Table, schema, schema)
	return columns, group(found), err
}

func (sqlite) checkKey(*column) error   { return nil }
func (sqlite) checkValue(*column) error { return nil }

func (sqlite) keyOut(c *column) string                  { return "nullif(quote(" + c.quoted + "), 'NULL')" }
func (sqlite) keyIn(_ *column, parameter string) string { return parameter }

// keyArg reads what quote() wrote: an integer, 'text', or X'bytes'.
func (sqlite) keyArg(c *column, text string) (any, error) {
	if inside, ok := cutQuotes(text, "'"); ok {
		return strings.ReplaceAll(inside, "''", "'"), nil
	}
	if inside, ok := cutQuotes(text, "X'"); ok {
		return hex.DecodeString(inside)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, refuse("the key, column %q, holds %s: integers, text and blobs are taken", c.name, text)
	}
	return n, nil
}

func cutQuotes(text, prefix string) (string, bool) {
	inside, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(inside, "'")
}

func (d sqlite) keyPart(c *column, text string) string {
	switch v, _ := d.keyArg(c, text); v := v.(type) {
	case string:
		return v
	case []byte:
		return hex.EncodeToString(v)
	}
	return text
}

func (sqlite) rowCompare() bool     { return true }
func (sqlite) parameter(int) string { return "?" }

func (sqlite) valueOut(c *column) string { return "CAST(" + c.quoted + " AS BLOB)" }

func (sqlite) most() (changes, bytes int)      { return 1 << 20, 1 << 30 }
func (sqlite) fits(*migrate.Replacement) error { return nil }

// replace is a statement for each, in the one transaction: there are no round
// trips to save.
func (d sqlite) replace(ctx context.Context, tx *sql.Tx, s *Source, c *column, batch []*change) error {
	var keys []string
	for i := range s.keys {
		keys = append(keys, s.keys[i].quoted+" = ?")
	}
	stmt, err := tx.PrepareContext(ctx, fmt.Sprintf("UPDATE %s SET %[2]s = CASE typeof(%[2]s) WHEN 'blob' THEN ? ELSE CAST(? AS TEXT) END WHERE %s AND CAST(%[2]s AS BLOB) = ?",
		s.table, c.quoted, strings.Join(keys, " AND ")))
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, e := range batch {
		args := []any{e.Next, e.Next}
		for i, part := range e.key {
			arg, err := d.keyArg(&s.keys[i], part)
			if err != nil {
				return err
			}
			args = append(args, arg)
		}
		result, err := stmt.ExecContext(ctx, append(args, e.Old)...)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		e.Replaced = n == 1
	}
	return nil
}

func (sqlite) count(ctx context.Context, q queryer, s *Source, c *column) ([]migrate.Head, error) {
	return s.groupHeads(ctx, q, c, "")
}

func (sqlite) heads(c *column) string {
	return fmt.Sprintf(`CASE WHEN coalesce(length(CAST(%[1]s AS BLOB)), 0) = 0 THEN x''
	WHEN substr(CAST(%[1]s AS BLOB), 1, 4) = CAST('sw1.' AS BLOB) THEN substr(CAST(%[1]s AS BLOB), 1, CASE WHEN length(%[1]s) < %[2]d THEN 4 ELSE %[3]d END)
	WHEN substr(CAST(%[1]s AS BLOB), 1, 1) NOT IN (x'01', x'02') THEN CAST('%[6]s' AS BLOB)
	ELSE substr(CAST(%[1]s AS BLOB), 1, CASE WHEN length(CAST(%[1]s AS BLOB)) < %[4]d THEN 1 ELSE %[5]d END) END AS head, length(CAST(%[1]s AS BLOB)) AS size`,
		c.quoted, textSize, textHead, binarySize, binaryHead, otherHead)
}

// estimate takes the span of the row ids, which costs nothing; a table without
// them is counted.
func (sqlite) estimate(ctx context.Context, q queryer, s *Source) (rows int64, err error) {
	err = q.QueryRowContext(ctx, fmt.Sprintf("SELECT coalesce((SELECT max(rowid) FROM %[1]s) - (SELECT min(rowid) FROM %[1]s) + 1, 0)", s.table)).Scan(&rows)
	if err != nil && ctx.Err() == nil {
		err = q.QueryRowContext(ctx, "SELECT count(*) FROM "+s.table).Scan(&rows)
	}
	return rows, err
}

// unavailable: SQLITE_BUSY and SQLITE_LOCKED.
// https://www.sqlite.org/rescode.html
func (sqlite) unavailable(err error) bool {
	code := sqlerror.Code(err) & 0xff
	return code == 5 || code == 6
}
