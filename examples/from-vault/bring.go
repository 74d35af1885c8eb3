package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/sealwright/sealwright/migrate/vaultstore"
)

// A bringer takes records of an export into a server.
type bringer struct {
	to      *remote
	o       *options
	out     io.Writer
	brought int // secrets that were not there
	already int // that were, and are the same
	keys    int
	notes   int
	refused []string
}

// importFile imports an export.
func (o *options) importFile(ctx context.Context, out io.Writer) error {
	in := os.Stdin
	if o.from != "-" {
		f, err := os.Open(o.from)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	return o.bring(ctx, out, in)
}

// importStore imports a store, without a file in between.
func (o *options) importStore(ctx context.Context, out io.Writer, store *vaultstore.Store) error {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := store.Export(ctx, w, vaultstore.ExportOptions{Transit: o.transit})
		w.CloseWithError(err)
	}()
	err := o.bring(ctx, out, r)
	r.CloseWithError(err)
	cancel()
	<-done
	return err
}

func (o *options) bring(ctx context.Context, out io.Writer, in io.Reader) error {
	to, err := o.remote()
	if err != nil {
		return err
	}
	b := &bringer{to: to, o: o, out: out}
	for record, err := range vaultstore.Records(in) {
		if err == nil {
			err = b.record(ctx, record)
		}
		if err != nil {
			return fmt.Errorf("%w\n%s\nwhat was brought stays: the same command goes on from there", err, b)
		}
	}
	fmt.Fprintln(out, b)
	if len(b.refused) > 0 {
		return fmt.Errorf("not brought: %s", strings.Join(b.refused, "; "))
	}
	return nil
}

// String says how far it is.
func (b *bringer) String() string {
	return fmt.Sprintf("%d secrets were brought and compared, %d were there already and are the same; %d transit keys; %d notes", b.brought, b.already, b.keys, b.notes)
}

func (b *bringer) note(format string, args ...any) {
	b.notes++
	line(b.out, format, args...)
}

// refuse notes what stays behind, and lets the rest go on.
func (b *bringer) refuse(what string, err error) error {
	what = printable(what)
	var told *refusal
	if errors.As(err, &told) && (told.status == http.StatusBadRequest || told.status == http.StatusConflict || told.status == http.StatusNotFound) {
		b.refused = append(b.refused, fmt.Sprintf("%s (%v)", what, err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (b *bringer) record(ctx context.Context, r *vaultstore.Record) error {
	switch r.Kind {
	case vaultstore.RecordSecret:
		path := folder(r) + r.Secret.Path
		return b.refuse(path, b.secret(ctx, path, r.Secret))
	case vaultstore.RecordKV:
		return b.config(ctx, r)
	case vaultstore.RecordPolicy:
		return b.policy(ctx, r)
	case vaultstore.RecordTransit:
		if !b.o.transit {
			b.note("the key %s%s%s is left: -transit brings it", r.Namespace, r.Mount, r.Transit.Name)
			return nil
		}
		name := keyName(r)
		return b.refuse("key "+name, b.key(ctx, name, r.Transit))
	case vaultstore.RecordUnreadable:
		b.note("%s could not be read in the store: %s", r.Key, r.Error)
	case vaultstore.RecordMount:
		if e := r.Engine; r.Table == "mounts" && e.Type != "kv" && e.Type != "generic" && e.Type != "transit" && e.Type != "system" && e.Type != "identity" && e.Type != "cubbyhole" {
			b.note("the engine %q at %s%s has no counterpart, and is left", e.Type, r.Namespace, r.Mount)
		}
	}
	return nil
}

// folder is where the secrets of a mount go.
func folder(r *vaultstore.Record) string {
	if r.Namespace == "" && r.Mount == "secret/" {
		return ""
	}
	return r.Namespace + r.Mount
}

// secret brings one, and does not believe it before it has read it back.
func (b *bringer) secret(ctx context.Context, path string, s *vaultstore.Secret) error {
	var answer struct{ Already bool }
	if err := b.to.call(ctx, http.MethodPut, "sys/import/secret/"+escaped(path), s, &answer); err != nil {
		return err
	}
	if err := b.compare(ctx, path, s); err != nil {
		return err
	}
	if answer.Already {
		b.already++
	} else {
		b.brought++
	}
	for _, v := range s.Versions {
		if v.Lost {
			b.note("version %d of %s could not be read in the store, and is destroyed here", v.Number, path)
		}
	}
	return nil
}

// config brings what a mount says for all its secrets, which the one of the new
// server can say only of secret/.
func (b *bringer) config(ctx context.Context, r *vaultstore.Record) error {
	c := r.Config
	if c.MaxVersions == 0 && !c.CASRequired && c.DeleteVersionAfter == 0 {
		return nil
	}
	if folder(r) != "" {
		b.note("the mount %s has settings for all its secrets, which a folder cannot have: %+v", folder(r), *c)
		return nil
	}
	body := map[string]any{"max_versions": c.MaxVersions, "cas_required": c.CASRequired, "delete_version_after": c.DeleteVersionAfter.String()}
	return b.refuse("secret/config", b.to.call(ctx, http.MethodPut, "secret/config", body, nil))
}

// policy brings one that people wrote.
func (b *bringer) policy(ctx context.Context, r *vaultstore.Record) error {
	p := r.Policy
	own := p.Name == "default" || p.Name == "root" || p.Name == "response-wrapping" || p.Name == "control-group"
	if !b.o.policies || own {
		return nil
	}
	if p.Kind != "acl" || r.Namespace != "" {
		b.note("the policy %s%s is left: the server has those of the root namespace, of paths", r.Namespace, p.Name)
		return nil
	}
	return b.refuse("policy "+p.Name, b.to.call(ctx, http.MethodPut, "sys/policies/acl/"+escaped(p.Name), map[string]any{"policy": p.Text}, nil))
}
