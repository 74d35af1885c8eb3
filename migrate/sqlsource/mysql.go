package sqlsource

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/internal/sqlerror"
	"github.com/sealwright/sealwright/migrate"
)

// mysql is MySQL and MariaDB. Values come as bytes and go as hex, so that neither
// the connection's character set, nor whether the driver prepares a statement or
// writes the values into it, makes others of them. Keys are as the host sees them.
type mysql struct {
	packet int // what a statement may have in bytes
}

func (*mysql) quote(name string) string {
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

func (d *mysql) inspect(ctx context.Context, q queryer, s *Source) (columns []column, keys [][]string, err error) {
	err = read(ctx, q, func(*sql.Rows) error {
		return refuse("the database is Dolt, which answers CONVERT of a text with nothing: each value would look empty, and its term as if nothing needed it")
	}, "SHOW GLOBAL VARIABLES LIKE 'dolt\\_read\\_replica\\_remote'")
	if err != nil {
		return nil, nil, err
	}
	var readOnly string
	if err := q.QueryRowContext(ctx, "SELECT @@global.read_only, @@max_allowed_packet").Scan(&readOnly, &d.packet); err != nil {
		return nil, nil, err
	}
	if readOnly != "0" && readOnly != "OFF" {
		return nil, nil, refuse("the database is a replica, or open to be read only: give the primary one")
	}
	const where = " WHERE table_schema = coalesce(nullif(?, ''), database()) AND table_name = ?"
	var kind string
	err = q.QueryRowContext(ctx, "SELECT coalesce(max(table_type), '') FROM information_schema.tables"+where, s.cfg.Schema, s.cfg.Table).Scan(&kind)
	if err != nil || kind == "" {
		return nil, nil, err
	}
	if kind != "BASE TABLE" {
		return nil, nil, refuse("it is a %s, and no table", strings.ToLower(kind))
	}
	err = read(ctx, q, func(rows *sql.Rows) error {
		var c column
		var nullable, extra, full string
		if err := rows.Scan(&c.name, &c.kind, &full, &c.limit, &c.charset, &c.collation, &nullable, &extra); err != nil {
			return err
		}
		c.kind = strings.ToLower(c.kind)
		c.nullable, c.binary = nullable == "YES", strings.HasSuffix(c.kind, "blob") || strings.HasSuffix(c.kind, "binary")
		c.computed = strings.Contains(extra, "GENERATED") && !strings.Contains(extra, "DEFAULT_GENERATED")
		c.unsigned = strings.Contains(full, "unsigned")
		columns = append(columns, c)
		return nil
	}, "SELECT column_name, data_type, column_type, coalesce(character_maximum_length, 0), coalesce(character_set_name, ''), coalesce(collation_name, ''), is_nullable, extra FROM information_schema.columns"+where, s.cfg.Schema, s.cfg.Table)
	if err != nil {
		return nil, nil, err
	}
	var found []indexColumn
	partial := map[string]bool{}
	err = read(ctx, q, func(rows *sql.Rows) error {
		var r indexColumn
		var name, prefix sql.NullString
		if err := rows.Scan(&r.index, &name, &prefix); err != nil {
			return err
		}
		r.column, r.primary = name.String, r.index == "PRIMARY"
		partial[r.index] = partial[r.index] || prefix.Valid || !name.Valid
		found = append(found, r)
		return nil
	}, "SELECT index_name, column_name, sub_part FROM information_schema.statistics"+where+" AND non_unique = 0 ORDER BY index_name, seq_in_index", s.cfg.Schema, s.cfg.Table)
	found = slices.DeleteFunc(found, func(r indexColumn) bool { return partial[r.index] })
	return columns, group(found), err
}

var integers = []string{"tinyint", "smallint", "mediumint", "int", "bigint"}

func (*mysql) checkKey(c *column) error {
	switch {
	case c.nullable:
		return refuse("column %q of the key may be NULL: no order finds such a row again", c.name)
	case slices.Contains(integers, c.kind), c.binary && c.kind != "blob", c.kind == "uuid", c.kind == "char", c.kind == "varchar":
		return nil
	}
	return refuse("column %q of the key is of type %s: integers, char, varchar, binary, varbinary and uuid are taken", c.name, c.kind)
}

func (*mysql) checkValue(c *column) error {
	switch c.kind {
	case "varchar", "tinytext", "text", "mediumtext", "longtext", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return nil
	case "char", "binary":
		return refuse("column %q pads its values: make it var%s", c.name, c.kind)
	}
	return refuse("column %q is of type %s: those of text and of blobs are taken", c.name, c.kind)
}

func (*mysql) keyOut(c *column) string {
	switch {
	case c.binary:
		return "lower(hex(" + c.quoted + "))"
	case c.charset != "":
		return c.quoted
	}
	return "CAST(" + c.quoted + " AS CHAR)"
}

// keyIn gives the parameter the type, and the collation, of the column: the index
// is of no use for another.
func (*mysql) keyIn(c *column, parameter string) string {
	switch {
	case c.binary:
		return "unhex(" + parameter + ")"
	case c.kind == "uuid":
		return "CAST(" + parameter + " AS uuid)"
	case c.charset != "":
		return fmt.Sprintf("CONVERT(%s USING %s) COLLATE %s", parameter, c.charset, c.collation)
	case c.unsigned:
		return "CAST(" + parameter + " AS UNSIGNED)"
	}
	return "CAST(" + parameter + " AS SIGNED)"
}

func (*mysql) keyArg(_ *column, text string) (any, error) { return text, nil }

func (*mysql) keyPart(_ *column, text string) string { return text }

// rowCompare: (a, b) > (?, ?) reads the whole table here.
func (*mysql) rowCompare() bool     { return false }
func (*mysql) parameter(int) string { return "?" }

func (*mysql) valueOut(c *column) string { return mysqlBytes(c, c.quoted) }

// mysqlBytes is a value as bytes; those of a text are of utf8mb4, whatever the
// column and the connection have.
func mysqlBytes(c *column, value string) string {
	if c.binary {
		return value
	}
	return "CAST(CONVERT(" + value + " USING utf8mb4) AS BINARY)"
}

// most: hex is twice as long. The number is below what a statement
// has of parameters, 65,535.
func (d *mysql) most() (changes, bytes int) { return 1000, d.packet / 3 }

// fits: a server that gets more than its packet closes the connection, which looks as
// if it were away for now. Of what stands beside the values there is less than 4 KiB.
func (d *mysql) fits(r *migrate.Replacement) error {
	if need := 2*(len(r.Old)+len(r.Next)+len(r.ID)) + 4<<10; need > d.packet {
		return refuse("item %q needs a statement of %d bytes, and the server's max_allowed_packet is %d: raise it", r.ID, need, d.packet)
	}
	return nil
}

// replace is one UPDATE that is joined with the batch. It says how many it
// changed; where that is not all of them, the transaction looks which.
func (d *mysql) replace(ctx context.Context, tx *sql.Tx, s *Source, c *column, batch []*change) error {
	next := "unhex(v.next)"
	if !c.binary {
		next = "CONVERT(" + next + " USING utf8mb4)" // which the column makes its own of
	}
	rows, args, err := d.rows(s, batch)
	if err != nil {
		return err
	}
	on := s.keysIn(d.collated)
	is := func(value string) string { return mysqlBytes(c, "t."+c.quoted) + " = " + value }
	result, err := tx.ExecContext(ctx, fmt.Sprintf("UPDATE (%s) AS v STRAIGHT_JOIN %s AS t ON %s AND %s SET t.%s = %s",
		rows, s.table, on, is("unhex(v.old)"), c.quoted, next), args...)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if n == int64(len(batch)) {
		for _, c := range batch {
			c.Replaced = true
		}
		return nil
	}
	if n == 0 {
		return nil
	}
	// The new values are nobody else's: each has a nonce of its own.
	return read(ctx, tx, func(rows *sql.Rows) error {
		var i int
		if err := rows.Scan(&i); err != nil {
			return err
		}
		batch[i].Replaced = true
		return nil
	}, fmt.Sprintf("SELECT v.n FROM (%s) AS v STRAIGHT_JOIN %s AS t ON %s AND %s", rows, s.table, on, is("unhex(v.next)")), args...)
}

// rows is a table of the batch: n, the key, old and next. The latter are hex yet,
// as a table with blobs would be made on the disk.
func (d *mysql) rows(s *Source, batch []*change) (text string, args []any, err error) {
	var b strings.Builder
	for i, c := range batch {
		if i > 0 {
			b.WriteString(" UNION ALL ")
		}
		b.WriteString("SELECT " + strconv.Itoa(i))
		if i == 0 {
			b.WriteString(" AS n")
		}
		for k := range s.keys {
			b.WriteString(", " + d.keyIn(&s.keys[k], "?"))
			if i == 0 {
				fmt.Fprintf(&b, " AS k%d", k+1)
			}
			arg, err := d.keyArg(&s.keys[k], c.key[k])
			if err != nil {
				return "", nil, err
			}
			args = append(args, arg)
		}
		if i == 0 {
			b.WriteString(", ? AS old, ? AS next")
		} else {
			b.WriteString(", ?, ?")
		}
		args = append(args, hex.EncodeToString(c.Old), hex.EncodeToString(c.Next))
	}
	return b.String(), args, nil
}

// collated has a key compared as its column is: of two collations neither would
// win.
func (*mysql) collated(c *column, value string) string {
	if c.charset == "" || c.binary {
		return value
	}
	return value + " COLLATE " + c.collation
}

func (*mysql) count(ctx context.Context, q queryer, s *Source, c *column) ([]migrate.Head, error) {
	return s.groupHeads(ctx, q, c, "")
}

func (*mysql) heads(c *column) string {
	if c.binary {
		return fmt.Sprintf(`CASE WHEN coalesce(length(%[1]s), 0) = 0 THEN ''
	WHEN left(%[1]s, 4) = 'sw1.' THEN left(%[1]s, CASE WHEN length(%[1]s) < %[2]d THEN 4 ELSE %[3]d END)
	WHEN ascii(%[1]s) NOT IN (1, 2) THEN '%[6]s'
	ELSE left(%[1]s, CASE WHEN length(%[1]s) < %[4]d THEN 1 ELSE %[5]d END) END AS head, length(%[1]s) AS size`,
			c.quoted, textSize, textHead, binarySize, binaryHead, otherHead)
	}
	return fmt.Sprintf(`CASE WHEN coalesce(length(%[1]s), 0) = 0 THEN ''
	WHEN %[5]s <> 'sw1.' THEN '%[4]s'
	ELSE CAST(left(%[1]s, CASE WHEN char_length(%[1]s) < %[2]d THEN 4 ELSE %[3]d END) AS BINARY) END AS head, length(%[1]s) AS size`,
		c.quoted, textSize, textHead, otherHead, mysqlBytes(c, "left("+c.quoted+", 4)"))
}

func (*mysql) estimate(ctx context.Context, q queryer, s *Source) (rows int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT coalesce(max(table_rows), 0) FROM information_schema.tables WHERE table_schema = coalesce(nullif(?, ''), database()) AND table_name = ?",
		s.cfg.Schema, s.cfg.Table).Scan(&rows)
	return rows, err
}

// The errors after which the same may be tried again: too many connections, not
// ready in a cluster, shutting down, the network's, no lock, a deadlock,
// interrupted, out of time; TiDB's conflicts.
// https://mariadb.com/kb/en/mariadb-error-codes/
var againNumbers = []uint64{1040, 1047, 1053, 1158, 1159, 1160, 1161, 1205, 1213, 1317, 1927, 1969, 3024, 8005, 9007}

func (*mysql) unavailable(err error) bool {
	number := sqlerror.Number(err)
	if number == 0 {
		return sqlerror.Lost(err)
	}
	return slices.Contains(againNumbers, number)
}
