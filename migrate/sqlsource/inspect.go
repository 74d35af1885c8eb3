package sqlsource

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/keyring"
)

// inspect fills in what the database says of the table, and refuses what would
// fail later.
func (s *Source) inspect(ctx context.Context, tx *sql.Tx) error {
	all, uniques, err := s.d.inspect(ctx, tx, s)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return refuse("there is no such table, or this user may not see it")
	}
	find := func(name string) (column, error) {
		i := slices.IndexFunc(all, func(c column) bool { return c.name == name })
		if i < 0 {
			return column{}, refuse("the table has no column %q", name)
		}
		all[i].quoted = s.d.quote(name)
		return all[i], nil
	}
	key, err := s.chooseKey(uniques)
	if err != nil {
		return err
	}
	for _, name := range key {
		c, err := find(name)
		if err != nil {
			return err
		}
		if err := s.d.checkKey(&c); err != nil {
			return err
		}
		s.keys = append(s.keys, c)
	}
	for _, name := range s.cfg.Columns {
		c, err := find(name)
		if err != nil {
			return err
		}
		if slices.Contains(key, name) {
			return refuse("column %q is of the key", name)
		}
		if err := s.checkColumn(&c); err != nil {
			return err
		}
		s.columns = append(s.columns, c)
	}
	return s.checkWritable(ctx, tx)
}

func (s *Source) checkColumn(c *column) error {
	if c.computed {
		return refuse("column %q is computed by the database", c.name)
	}
	if err := s.d.checkValue(c); err != nil {
		return err
	}
	shortest := int64(keyring.Overhead)
	if !c.binary {
		shortest = int64(len("sw1.") + base64.RawURLEncoding.EncodedLen(keyring.Overhead))
	}
	if c.limit > 0 && c.limit < shortest {
		return refuse("column %q holds %d bytes, and the shortest ciphertext has %d: widen it", c.name, c.limit, shortest)
	}
	return nil
}

// chooseKey returns the columns of the key that was asked for, in the order of its
// index.
func (s *Source) chooseKey(uniques [][]string) ([]string, error) {
	if len(s.cfg.Key) == 0 {
		if len(uniques) == 0 || uniques[0] == nil {
			return nil, refuse("the table has no primary key: name a unique one in Key")
		}
		return uniques[0], nil
	}
	sorted := func(names []string) string { return strings.Join(slices.Sorted(slices.Values(names)), "\x00") }
	for _, u := range uniques {
		if u != nil && sorted(u) == sorted(s.cfg.Key) {
			return u, nil
		}
	}
	return nil, refuse("no unique key is made of the columns %q: a value could not be told from another", s.cfg.Key)
}

// checkWritable is an update of nothing, which a replica, a user without the right
// and a file that is open to be read refuse as they would any other.
func (s *Source) checkWritable(ctx context.Context, tx *sql.Tx) error {
	name := s.columns[0].quoted
	_, err := tx.ExecContext(ctx, fmt.Sprintf("UPDATE %s SET %s = %s WHERE 1 = 0", s.table, name, name))
	if err != nil && !s.d.unavailable(err) {
		return fmt.Errorf("%w: %w", refuse("the table cannot be written: a replica, a user without the right to UPDATE, or a database that is open to be read"), err)
	}
	return err
}

// read goes through the rows of a query.
func read(ctx context.Context, q queryer, each func(*sql.Rows) error, text string, args ...any) error {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// group puts the columns of indexes together: the primary key first, nil if there
// is none.
func group(rows []indexColumn) [][]string {
	out := [][]string{nil}
	last := ""
	for _, r := range rows {
		if r.primary {
			out[0] = append(out[0], r.column)
			continue
		}
		if r.index != last || len(out) == 1 {
			out = append(out, nil)
			last = r.index
		}
		out[len(out)-1] = append(out[len(out)-1], r.column)
	}
	return out
}

// An indexColumn is a column of a unique index, in its order.
type indexColumn struct {
	index   string
	primary bool
	column  string
}
