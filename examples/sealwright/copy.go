package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sealwright/sealwright/seal"
)

type copyCmd struct {
	To string `arg:"" help:"value:FILE for etcd and object storages, record:FILE for a bare record, or the file of a Secret without a record."`
}

func (copyCmd) Help() string {
	return `Opens nothing, and changes no record. etcd, Kubernetes and object storages are no --store: their tools take the record into a file, which is one.

  etcdctl get KEY --print-value-only > seal.etcd        and back: etcdctl put KEY < seal.etcd
  kubectl get secret NAME -o json > seal.json           and back: kubectl replace -f seal.json
  aws s3 cp s3://BUCKET/KEY seal.object                 and back, with the names exchanged

Such a file is read, and changed, as any other store, while the servers are stopped. copy brings a record there from another kind of store:

  sealwright copy value:seal.etcd --store backup/record.json
  sealwright copy seal.json --store backup/record.json

Next: put the file where it belongs.`
}

// A copied is what --json prints of a copy.
type copied struct {
	Done       bool   `json:"done"`
	Out        string `json:"out"`
	Digest     string `json:"digest"` // SHA-256 of the record
	Generation uint64 `json:"generation"`
	PutBack    string `json:"put_back,omitempty"`
}

func (c *copyCmd) Run(ctx context.Context, a *app) error {
	view, rec, err := a.view(ctx)
	if err != nil {
		return err
	}
	to, err := c.write(ctx, a, rec)
	if err != nil {
		return err
	}
	v := copied{Done: true, Out: to.name, Digest: view.Digest, Generation: view.Generation, PutBack: to.putBack()}
	return a.answer(v, func(w io.Writer) {
		fmt.Fprintf(w, "copied to %s (%s), generation %d\n", to.name, to.kind, v.Generation)
		if v.PutBack != "" {
			fmt.Fprintf(w, "next: %s\n", v.PutBack)
		}
	})
}

// write puts the record where there is none.
func (c *copyCmd) write(ctx context.Context, a *app, rec []byte) (place, error) {
	if path, ok := strings.CutPrefix(c.To, "record:"); ok {
		out, err := createFile(path)
		if err != nil {
			return place{}, err
		}
		if _, err := out.Write(rec); err != nil {
			return place{}, out.keep(err)
		}
		return place{kind: kindRecord, name: path}, out.finish()
	}
	to, err := a.locate(c.To)
	if err != nil {
		return to, err
	}
	if to.putBack() == "" {
		return to, fmt.Errorf("%s is no file to put a record of a cluster in: say value:FILE, record:FILE, or name the file that kubectl get secret NAME -o json made; a store of another kind takes a record by sealwright restore", c.To)
	}
	s, err := a.storeAt(ctx, to, true)
	if err != nil {
		return to, err
	}
	_, err = s.Swap(ctx, rec, "")
	if errors.Is(err, seal.ErrConflict) {
		return to, fmt.Errorf("%s holds a record already: name a new file; sealwright restore keeps the data keys of both", to.name)
	}
	return to, err
}
