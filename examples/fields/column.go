package main

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strconv"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
)

// A column is a text column of a SQL table as a [migrate.Source]. The table has
// an integer primary key; rows that hold NULL or nothing are no items. Table and
// columns are the program's own names, never input.
//
// The statements are SQLite's. PostgreSQL numbers its parameters. In MySQL give
// the column a binary collation, or Replace compares without regard to case.
type column struct {
	db                *sql.DB
	table, id, secret string
}

func (c *column) Page(ctx context.Context, after string, limit int) ([]migrate.Item, error) {
	from := int64(math.MinInt64)
	if after != "" {
		var err error
		if from, err = strconv.ParseInt(after, 10, 64); err != nil {
			return nil, err
		}
	}
	rows, err := c.db.QueryContext(ctx, fmt.Sprintf(
		"SELECT %[1]s, %[2]s FROM %[3]s WHERE %[1]s > ? AND %[2]s <> '' ORDER BY %[1]s LIMIT ?", c.id, c.secret, c.table), from, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []migrate.Item
	for rows.Next() {
		var id int64
		var stored string
		if err := rows.Scan(&id, &stored); err != nil {
			return nil, err
		}
		page = append(page, migrate.Item{ID: strconv.FormatInt(id, 10), AAD: c.aad(id), Ciphertext: []byte(stored)})
	}
	return page, rows.Err()
}

func (c *column) Replace(ctx context.Context, id string, old, next []byte) (bool, error) {
	// As strings: a database may hold that a blob never equals a text.
	result, err := c.db.ExecContext(ctx, fmt.Sprintf(
		"UPDATE %s SET %s = ? WHERE %s = ? AND %[2]s = ?", c.table, c.secret, c.id), string(next), id, string(old))
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

// aad binds a value to its place: it does not decrypt in another row.
func (c *column) aad(id int64) []byte {
	return keyring.AAD(c.table, c.secret, strconv.FormatInt(id, 10))
}
