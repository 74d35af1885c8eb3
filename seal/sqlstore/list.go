package sqlstore

import "context"

// List returns, in the order of their bytes, at most limit names of records in the
// table that come after the given one and are not empty; "" is before all. A
// table is one server's or more, or a record's for each key of package sqlkeys.
func (s *Store) List(ctx context.Context, after string, limit int) ([]string, error) {
	names, err := s.list(ctx, after, limit)
	if err != nil {
		return nil, s.errorf(ctx, "list", s.explain(ctx, err))
	}
	return names, nil
}

func (s *Store) list(ctx context.Context, after string, limit int) (names []string, err error) {
	err = s.read(ctx, func(q queryer) error {
		rows, err := q.QueryContext(ctx, s.stm.list, after, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names = append(names, name)
		}
		return rows.Err()
	})
	return names, err
}
