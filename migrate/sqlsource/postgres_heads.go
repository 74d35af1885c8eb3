package sqlsource

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/migrate"
)

// sliced is from what length on a value may stand outside of its row. Functions
// that take a slice then read no more of it than that; all others read it whole.
// https://www.postgresql.org/docs/current/storage-toast.html
const sliced = 2000

// sampled is of about how many rows a sample is.
const sampled = 2000

// setup is how much the planner is to think of starting processes that count
// together: as much as it takes to read two million rows. By its own measure a table
// of a tenth of that has every processor busy, to start them most of all.
const setup = 50_000

// count has most values counted by what nearly all of them begin with: to compare
// with that costs a third of what it costs to make a group of each. The others
// are grouped, in the same snapshot.
func (d postgres) count(ctx context.Context, q queryer, s *Source, c *column) ([]migrate.Head, error) {
	common, err := d.common(ctx, q, s, c)
	if err != nil {
		return nil, err
	}
	if common == nil {
		return s.groupHeads(ctx, q, c, "")
	}
	if _, err := q.ExecContext(ctx, fmt.Sprintf("SELECT set_config('parallel_setup_cost', greatest(current_setting('parallel_setup_cost')::float8, %d)::text, true)", setup)); err != nil {
		return nil, err
	}
	other := "(" + d.begins(c, common) + ") IS NOT TRUE"
	head, others := migrate.Head{Begin: common}, int64(0)
	err = q.QueryRowContext(ctx, fmt.Sprintf("SELECT count(*), coalesce(sum(%s), 0), count(*) FILTER (WHERE %s) FROM %s%s",
		d.size(c), other, s.table, s.where(""))).Scan(&head.Items, &head.Bytes, &others)
	if err != nil {
		return nil, err
	}
	var heads []migrate.Head
	if others > 0 {
		if heads, err = s.groupHeads(ctx, q, c, other); err != nil {
			return nil, err
		}
	}
	for _, h := range heads {
		head.Items -= h.Items
		head.Bytes -= h.Bytes
	}
	return append(heads, head), nil
}

// common is what most ciphertexts of a sample begin with; nil if that says nothing.
func (d postgres) common(ctx context.Context, q queryer, s *Source, c *column) (head []byte, err error) {
	rows, err := d.estimate(ctx, q, s)
	if err != nil {
		return nil, err
	}
	percent := strconv.FormatFloat(min(100, 100*sampled/float64(max(1, rows))), 'f', -1, 64)
	err = q.QueryRowContext(ctx, fmt.Sprintf("SELECT head FROM (SELECT %s FROM %s TABLESAMPLE SYSTEM (%s)%s) AS items GROUP BY head ORDER BY count(*) DESC LIMIT 1",
		d.heads(c), s.table, percent, s.where(""))).Scan(&head)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if textHeads.Match(head) || c.binary && len(head) == binaryHead && head[0] < 3 {
		return head, nil
	}
	return nil, nil
}

var textHeads = regexp.MustCompile(`^sw1\.[A-Za-z0-9_-]{12}$`)

// size of a value is known without reading it.
func (postgres) size(c *column) string {
	if c.binary {
		return "octet_length(" + c.quoted + ")"
	}
	return "octet_length(" + c.quoted + "::text)"
}

// begins is the condition that a value begins with a head and is as long as a
// ciphertext. LIKE compares byte by byte here, and calls for nothing to be made, as
// left does; only what may stand elsewhere is cut first.
func (d postgres) begins(c *column, head []byte) string {
	// Constants, also where nobody knows yet what parameters will be. Of text
	// only what common has let through stands here, of bytes their hex.
	pattern := strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(string(head)) + "%"
	value, least := c.quoted+"::text", textSize
	like := fmt.Sprintf(` LIKE E'%s' COLLATE "C"`, strings.ReplaceAll(pattern, `\`, `\\`))
	cut := fmt.Sprintf("left(%s, %d)", value, len(head))
	if c.binary {
		value, like = c.quoted, fmt.Sprintf(" LIKE decode('%x', 'hex')", pattern)
		cut = fmt.Sprintf("substring(%s FROM 1 FOR %d)", value, len(head))
		if len(head) == binaryHead {
			least = binarySize
		}
	}
	return fmt.Sprintf("CASE WHEN %[1]s < %[2]d THEN false WHEN %[1]s <= %[3]d THEN %[4]s%[6]s ELSE %[5]s%[6]s END",
		d.size(c), least, sliced, value, cut, like)
}

func (d postgres) heads(c *column) string {
	if c.binary {
		return fmt.Sprintf(`CASE WHEN %[1]s IS NULL OR %[2]s = 0 THEN ''::bytea
	WHEN substring(%[1]s FROM 1 FOR 1) IN (decode('01', 'hex'), decode('02', 'hex')) THEN substring(%[1]s FROM 1 FOR CASE WHEN %[2]s < %[5]d THEN 1 ELSE %[6]d END)
	WHEN substring(%[1]s FROM 1 FOR 4) = 'sw1.'::bytea THEN substring(%[1]s FROM 1 FOR CASE WHEN %[2]s < %[3]d THEN 4 ELSE %[4]d END)
	ELSE '%[7]s'::bytea END AS head, %[2]s AS size`,
			c.quoted, d.size(c), textSize, textHead, binarySize, binaryHead, otherHead)
	}
	// What most values are comes first: it is evaluated for each.
	return fmt.Sprintf(`CASE WHEN %[2]s <= %[6]d AND starts_with(%[1]s::text, 'sw1.') THEN CASE WHEN %[2]s < %[3]d THEN 'sw1.' ELSE left(%[1]s::text, %[4]d) END
	WHEN %[1]s IS NULL OR %[2]s = 0 THEN ''
	WHEN %[2]s > %[6]d AND left(%[1]s::text, 4) = 'sw1.' THEN left(%[1]s::text, %[4]d) ELSE '%[5]s' END COLLATE "C" AS head, %[2]s AS size`,
		c.quoted, d.size(c), textSize, textHead, otherHead, sliced)
}
