package sqlsource

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/sealwright/sealwright/migrate"
)

// What the beginnings of values are grouped by: the term and the key id of what is
// long enough to be a ciphertext, and of everything else no more than what tells
// that it is not.
const (
	binaryHead = 9  // version, term, key id
	textHead   = 16 // "sw1." and their base64
	binarySize = 41 // the header of a ciphertext
	textSize   = 59 // and as text
	otherHead  = "?"
)

// Heads counts on the database's side, column by column: nothing but the beginnings
// of the values is read there, and nothing but their numbers comes here.
func (s *Source) Heads(ctx context.Context) (heads []migrate.Head, err error) {
	var opts *sql.TxOptions
	if s.cfg.Dialect == PostgreSQL {
		// Its statements count on each other.
		opts = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	for i := range s.columns {
		err := s.reading(ctx, opts, func(q queryer) error {
			found, err := s.d.count(ctx, q, s, &s.columns[i])
			heads = append(heads, found...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("sqlsource: count: %w", err)
		}
	}
	return heads, nil
}

// where is the condition of the configuration, and another, as a clause.
func (s *Source) where(more string) string {
	var all []string
	for _, condition := range []string{s.cfg.Where, more} {
		if condition != "" {
			all = append(all, "("+condition+")")
		}
	}
	if all == nil {
		return ""
	}
	return " WHERE " + strings.Join(all, " AND ")
}

// groupHeads counts the rows for which a condition holds, if there is one, by the
// beginnings of their values.
func (s *Source) groupHeads(ctx context.Context, q queryer, c *column, condition string) (heads []migrate.Head, err error) {
	err = read(ctx, q, func(rows *sql.Rows) error {
		var h migrate.Head
		var size sql.NullFloat64 // some sums are decimal
		err := rows.Scan(&h.Begin, &h.Items, &size)
		h.Bytes = int64(size.Float64)
		heads = append(heads, h)
		return err
	}, fmt.Sprintf("SELECT head, count(*), sum(size) FROM (SELECT %s FROM %s%s) AS items GROUP BY head", s.d.heads(c), s.table, s.where(condition)))
	return heads, err
}
