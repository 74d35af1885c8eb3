package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
)

type exportBoltCmd struct {
	sharesFlags `embed:""`
	outFlags    `embed:""`
	placeFlags  `embed:""`
	DB          string   `name:"db" placeholder:"FILE" help:"The bbolt file. Default: that of --store."`
	Bucket      []string `required:"" placeholder:"NAME" sep:"none" help:"The bucket; repeated, one in another."`
}

func (exportBoltCmd) Help() string {
	return `Each value is a line {"id":["path"],"value":"…"}, its id the key in the bucket. The place is that of the server; in examples/server it is "secret", and the bucket "secrets":

  sealwright export bolt --store sealwright.db --bucket secrets --place secret --out secrets.jsonl

The file is locked meanwhile: stop the server first.`
}

func (c *exportBoltCmd) Run(ctx context.Context, a *app) error {
	if len(c.Place) == 0 {
		return fmt.Errorf("%w: give --place for each part of it", errWhere)
	}
	if c.DB == "" {
		c.DB = a.cli.Store
	}
	p, err := a.locate(c.DB)
	if err != nil {
		return err
	}
	if p.kind != kindBolt {
		return fmt.Errorf("%s is no bbolt file: name it with --db", p.name)
	}
	out, err := c.create(a)
	if err != nil {
		return err
	}
	_, b, err := a.openCopy(ctx, &c.sharesFlags)
	if err != nil {
		return out.keep(err)
	}
	db, err := openBoltFile(p.name, false)
	if err != nil {
		return out.keep(err)
	}
	defer db.Close()
	return a.exportLines(ctx, b, &bucket{db, p.name, c}, out, func(line []byte, item *migrate.Item) []byte {
		return appendTexts(append(line, `"id":`...), []string{item.ID})
	})
}

// A bucket is a source to read.
type bucket struct {
	db   *bbolt.DB
	name string
	cmd  *exportBoltCmd
}

func (s *bucket) Page(_ context.Context, after string, limit int) (page []migrate.Item, err error) {
	defer func() { err = damaged(s.name, recover(), err) }()
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(s.cmd.Bucket[0]))
		for _, name := range s.cmd.Bucket[1:] {
			if b != nil {
				b = b.Bucket([]byte(name))
			}
		}
		if b == nil {
			return fmt.Errorf("%s has no bucket %q: it has %s", s.name, s.cmd.Bucket, bucketsOf(tx))
		}
		c := b.Cursor()
		for k, v := c.Seek([]byte(after)); k != nil && len(page) < limit; k, v = c.Next() {
			if string(k) != after && v != nil {
				page = append(page, migrate.Item{ID: string(k), AAD: keyring.AAD(append(append([]string{}, s.cmd.Place...), string(k))...), Ciphertext: bytes.Clone(v)})
			}
		}
		return nil
	})
	return page, err
}

func (s *bucket) Replace(context.Context, string, []byte, []byte) (bool, error) {
	return false, errors.New("the file is only read")
}

func bucketsOf(tx *bbolt.Tx) (names string) {
	_ = tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if names != "" {
			names += ", "
		}
		names += fmt.Sprintf("%q", name)
		return nil
	})
	return names
}
