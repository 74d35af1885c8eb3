package main

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
)

type exportSQLCmd struct {
	sharesFlags `embed:""`
	outFlags    `embed:""`
	placeFlags  `embed:""`
	DB          string   `name:"db" placeholder:"STORE" help:"The database, as --store says one. Default: that of --store."`
	Table       string   `required:"" help:"The table."`
	Columns     []string `required:"" placeholder:"COLUMN" help:"Its encrypted columns."`
	Schema      string   `help:"The schema of the table, where it is not the connection's."`
	Key         []string `placeholder:"COLUMN" help:"The columns of a unique key. Default: the primary key."`
	Where       string   `placeholder:"SQL" help:"A condition on the rows."`
}

func (exportSQLCmd) Help() string {
	return `Each value is a line {"id":["17"],"column":"secret","value":"…"}; bytes that are no text are "base64"; NULL is "empty"; what does not decrypt has an "error". The place is the table and the column, unless --place names another.

  sealwright export sql --store host.db --table tokens --columns secret --out tokens.jsonl
  sealwright export sql --store record --db @url.txt --table tokens --columns secret | age -r … > tokens.age

The database user needs SELECT and UPDATE on the table; nothing is written.`
}

func (c *exportSQLCmd) Run(ctx context.Context, a *app) error {
	if c.DB == "" {
		c.DB = a.cli.Store
	}
	p, err := a.locate(c.DB)
	if err != nil {
		return err
	}
	if sourceDialect(p.kind) == 0 {
		return fmt.Errorf("%s is no SQL database: name it with --db", p.name)
	}
	if len(c.Place) > 0 && len(c.Columns) > 1 {
		return errors.New("--place is the place of one column: export the columns one by one")
	}
	out, err := c.create(a)
	if err != nil {
		return err
	}
	_, b, err := a.openCopy(ctx, &c.sharesFlags)
	if err != nil {
		return out.keep(err)
	}
	db, err := a.openDB(p)
	if err != nil {
		return out.keep(err)
	}
	// What a page's rows and columns are, by the associated data of their values.
	type at struct {
		column string
		key    []string
	}
	rows := map[string]at{}
	src, err := sqlsource.Open(ctx, db, sqlsource.Config{
		Dialect: sourceDialect(p.kind), Schema: c.Schema, Table: c.Table, Columns: c.Columns, Key: c.Key, Where: c.Where,
		AAD: func(column string, key []string) []byte {
			aad := c.aad(column, key)
			rows[string(aad)] = at{column, key}
			return aad
		},
	})
	if err != nil {
		return out.keep(err)
	}
	name := func(line []byte, item *migrate.Item) []byte {
		row := rows[string(item.AAD)]
		delete(rows, string(item.AAD))
		line = appendTexts(append(line, `"id":`...), row.key)
		return appendText(append(line, `,"column":`...), []byte(row.column))
	}
	return a.exportLines(ctx, b, src, out, name)
}

func (c *exportSQLCmd) aad(column string, key []string) []byte {
	if len(c.Place) > 0 {
		return keyring.AAD(append(append([]string{}, c.Place...), key...)...)
	}
	name := c.Table
	if c.Schema != "" {
		name = c.Schema + "." + c.Table
	}
	return sqlsource.AAD(name, column, key...)
}

func appendTexts(line []byte, texts []string) []byte {
	line = append(line, '[')
	for i, t := range texts {
		if i > 0 {
			line = append(line, ',')
		}
		if utf8.ValidString(t) {
			line = appendText(line, []byte(t))
		} else {
			line = append(valueLine(append(line, '{'), []byte(t)), '}')
		}
	}
	return append(line, ']')
}
