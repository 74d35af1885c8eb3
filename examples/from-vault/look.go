package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/migrate/vaultstore"
)

func (o *options) forDiagnosis(keys vaultstore.Keys) vaultstore.Options {
	return vaultstore.Options{Keys: keys, Backup: o.backup, Shares: o.recovery, Threshold: o.threshold, ToShamir: o.toShares,
		Progress: func(n int) { fmt.Fprintf(os.Stderr, "\r%d entries read", n) }}
}

// runDiagnose ends well where a server would open the store.
func (o *options) runDiagnose(ctx context.Context, out io.Writer, keys vaultstore.Keys) error {
	d, err := vaultstore.Diagnose(ctx, o.path, o.forDiagnosis(keys))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "storage: %s\n%s\n", d.Kind, d)
	switch {
	case d.Healthy():
		return nil
	case d.Repairable():
		return errors.New("a server does not open it as it is: -repair writes a copy that opens")
	}
	return errors.New("a server does not open it as it is")
}

func (o *options) runRepair(ctx context.Context, out io.Writer, keys vaultstore.Keys) error {
	d, err := vaultstore.Repair(ctx, o.path, o.repair, o.forDiagnosis(keys))
	if d != nil {
		fmt.Fprintln(out, d)
	}
	if err != nil {
		return err
	}
	how := "start the server with its storage there"
	if d.Kind != vaultstore.KindFile {
		how = "it is a snapshot: operator raft snapshot restore -force brings it into a new cluster"
	}
	fmt.Fprintf(out, "the copy opens, every entry was compared, and the source is as it was: %s\n", how)
	return nil
}

// line prints a line.
func line(out io.Writer, format string, args ...any) {
	fmt.Fprintln(out, printable(fmt.Sprintf(format, args...)))
}

// printable escapes what moves a terminal's cursor, or begins another line: the
// names in a store may hold anything.
func printable(text string) string {
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// list prints what is in a store, and no secret.
func list(ctx context.Context, out io.Writer, store *vaultstore.Store) error {
	info := store.Info()
	fmt.Fprintf(out, "storage %s, opened by %s, %d terms\n", info.Kind, info.OpenedBy, len(info.Terms))
	mounts, err := store.Mounts(ctx)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		version := ""
		if v := m.KV(); v > 0 {
			version = fmt.Sprintf(" version %d", v)
		}
		line(out, "%s %s%s %s%s", m.Table, m.Namespace, m.Path, m.Type, version)
	}
	err = store.Policies(ctx, func(p *vaultstore.Policy, key string, err error) error {
		if err != nil {
			line(out, "policy at %s: %v", key, err)
			return nil
		}
		line(out, "policy %s%s", p.Namespace, p.Name)
		return nil
	})
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if err := listMount(ctx, out, store, &m); err != nil {
			return err
		}
	}
	return nil
}

func listMount(ctx context.Context, out io.Writer, store *vaultstore.Store, m *vaultstore.Mount) error {
	switch {
	case m.KV() > 0:
		return store.Secrets(ctx, m, func(s *vaultstore.Secret, key string, err error) error {
			if err != nil {
				line(out, "secret at %s: %v", key, err)
			}
			if s != nil {
				line(out, "secret %s%s%s %d versions", m.Namespace, m.Path, s.Path, len(s.Versions))
			}
			return nil
		})
	case m.Table == "mounts" && m.Type == "transit":
		return store.TransitKeys(ctx, m, func(k *vaultstore.TransitKey, at string, err error) error {
			if err != nil {
				line(out, "key at %s: %v", at, err)
				return nil
			}
			clear(k.Policy)
			clear(k.Archive)
			line(out, "key %s%s%s", m.Namespace, m.Path, k.Name)
			return nil
		})
	}
	return nil
}

// get prints one secret, by its path with its namespace and mount.
func get(ctx context.Context, out io.Writer, store *vaultstore.Store, path string) error {
	mounts, err := store.Mounts(ctx)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		rest, ok := strings.CutPrefix(path, m.Namespace+m.Path)
		if !ok || m.KV() == 0 {
			continue
		}
		secret, err := store.Secret(ctx, &m, rest)
		if err != nil {
			return err
		}
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(secret)
	}
	return fmt.Errorf("no key-value engine is mounted where %q would be", path)
}

// runExport writes a new file that nobody else reads.
func (o *options) runExport(ctx context.Context, out io.Writer, store *vaultstore.Store) (err error) {
	w := out
	if o.export != "-" {
		f, err := os.OpenFile(o.export, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Sync(), f.Close()) }()
		w = f
	}
	counts, err := store.Export(ctx, w, vaultstore.ExportOptions{Transit: o.transit, Progress: progress})
	fmt.Fprintln(os.Stderr)
	if err == nil {
		fmt.Fprintf(os.Stderr, "%+v, in clear\n", counts)
		if counts.Unreadable > 0 {
			err = fmt.Errorf("%d entries could not be read: they are lines of the kind unreadable", counts.Unreadable)
		}
	}
	return err
}

func progress(c vaultstore.Counts) {
	fmt.Fprintf(os.Stderr, "\r%d secrets, %d versions", c.Secrets, c.Versions)
}
