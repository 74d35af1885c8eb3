package sqlsource

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sealwright/sealwright/migrate"
)

// Replace is ReplaceBatch for one item.
func (s *Source) Replace(ctx context.Context, id string, old, next []byte) (bool, error) {
	batch := []migrate.Replacement{{ID: id, Old: old, Next: next}}
	err := s.ReplaceBatch(ctx, batch)
	return err == nil && batch[0].Replaced, err
}

// ReplaceBatch replaces in one transaction, by one statement for each column and
// as much as the database takes at once. An error before anything is written names
// an item that does not fit into its column, or into a statement.
func (s *Source) ReplaceBatch(ctx context.Context, batch []migrate.Replacement) error {
	groups := make([][]*change, len(s.columns))
	for i := range batch {
		p, err := s.place(batch[i].ID)
		if err == nil {
			err = s.fits(&batch[i], p.column)
		}
		if err != nil {
			return fmt.Errorf("sqlsource: replace: %w", err)
		}
		batch[i].Replaced = false
		groups[p.column] = append(groups[p.column], &change{&batch[i], p})
	}
	err := s.inTx(ctx, nil, func(tx *sql.Tx) error {
		for i, group := range groups {
			for len(group) > 0 {
				n := s.atOnce(group)
				if err := s.d.replace(ctx, tx, s, &s.columns[i], group[:n]); err != nil {
					return err
				}
				group = group[n:]
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sqlsource: replace: %w", err)
	}
	return nil
}

// fits refuses a value that the column would not hold whole, or the database not take.
func (s *Source) fits(r *migrate.Replacement, column int) error {
	c := &s.columns[column]
	size := int64(len(r.Next))
	if !c.binary {
		size = int64(utf8.RuneCount(r.Next))
	}
	if c.limit > 0 && size > c.limit {
		return refuse("item %q needs %d bytes, and column %q holds %d: widen it", r.ID, size, c.name, c.limit)
	}
	return s.d.fits(r)
}

// atOnce is how many changes go into one statement.
func (s *Source) atOnce(group []*change) int {
	changes, most := s.d.most()
	size := 0
	for n, c := range group {
		size += len(c.Old) + len(c.Next) + len(c.ID)
		if n == changes || n > 0 && size > most {
			return n
		}
	}
	return len(group)
}

// Estimate is what the database keeps of the table's size, or what its planner
// makes of that.
func (s *Source) Estimate(ctx context.Context) (items int64, err error) {
	err = s.reading(ctx, nil, func(q queryer) error {
		items, err = s.d.estimate(ctx, q, s)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("sqlsource: estimate: %w", err)
	}
	return max(0, items) * int64(len(s.columns)), nil
}

// keysIn is the condition that the key of the table t is that of a row v, whose
// columns are k1, k2 and so on.
func (s *Source) keysIn(in func(c *column, value string) string) string {
	var all []string
	for i := range s.keys {
		all = append(all, fmt.Sprintf("t.%s = %s", s.keys[i].quoted, in(&s.keys[i], fmt.Sprintf("v.k%d", i+1))))
	}
	return strings.Join(all, " AND ")
}
