package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/seal"
)

type inspectCmd struct{}

func (inspectCmd) Help() string {
	return `Nothing vouches for what it shows before the record was opened: it is for people to read. It holds nothing secret. The numbers of the data keys are in the sealed part: see open.

  sealwright inspect --store /var/lib/server/seal/record
  sealwright inspect --store backup/record.json --json

Next: sealwright open, with the shares of the custodians that it names.`
}

func (c *inspectCmd) Run(ctx context.Context, a *app) error {
	v, _, err := a.view(ctx)
	if err != nil {
		return err
	}
	return a.answer(v, v.write)
}

// view reads the record, which is of a form that is known, and opens nothing.
func (a *app) view(ctx context.Context) (*recordView, []byte, error) {
	p, rec, store, err := a.snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	b, err := a.barrier(ctx, store, nil)
	if err != nil {
		return nil, nil, err
	}
	if _, err := b.Admin().Inspect(ctx); err != nil {
		return nil, nil, err
	}
	v, err := viewOf(p, rec)
	return v, rec, err
}

func (v *recordView) write(w io.Writer) {
	fmt.Fprintf(w, "record      %s (%s), %d bytes\n", v.Where, v.Kind, v.Bytes)
	fmt.Fprintf(w, "digest      %s\n", v.Digest)
	fmt.Fprintf(w, "store       %s\n", v.Store)
	fmt.Fprintf(w, "generation  %d   root key %d   data keys up to term %d\n", v.Generation, v.Root, v.LastTerm)
	for _, s := range v.Slots {
		fmt.Fprintf(w, "\nslot %s: %s, %s%s\n", s.Name, s.Shape, s.State, map[bool]string{true: "", false: ": opens nothing until it is proven"}[s.Opens])
		fmt.Fprintf(w, "  fingerprint %s%s\n", s.Fingerprint, proven(s.Proven))
		for _, set := range s.Sets {
			fmt.Fprintf(w, "  %sset %d: any %d of %d shares%s\n", at(set.Path), set.Set, set.Threshold, set.Shares, custodians(set.Custodians))
		}
		for _, k := range s.Keys {
			fmt.Fprintf(w, "  %skey %q: %s %s%s\n", at(k.Path), k.Name, k.Type, k.KeyID, version(k.Version))
		}
	}
	if o := v.Operation; o != nil {
		fmt.Fprintf(w, "\nin progress: %s %s (%s), since %s, on %s\n", o.Kind, o.Slot, o.ID, o.Began.Format(time.RFC3339), o.Replica)
	}
	if l := v.Lease; l != nil {
		fmt.Fprintf(w, "\n%s works on the data, a sign of life every %d s, last at generation %d\n", l.Replica, l.Every, l.Beat)
	}
	fmt.Fprintf(w, "\nnext: sealwright open --store %s\n", v.Where)
}

func at(path string) string {
	if path == "" {
		return ""
	}
	return "part " + path + ", "
}

func proven(t *time.Time) string {
	if t == nil {
		return ", never proven"
	}
	return ", proven " + t.Format("2006-01-02")
}

func custodians(names []string) string {
	if len(names) == 0 {
		return "; whose is not recorded"
	}
	if !slices.ContainsFunc(names, isFingerprint) {
		return ": " + strings.Join(names, ", ")
	}
	var b strings.Builder
	b.WriteString("; a fingerprint is of the holder's key (gpg -K, ssh-keygen -lf FILE and age-keygen -y FILE show it):")
	for i, name := range names {
		fmt.Fprintf(&b, "\n    share %d: %s", i+1, name)
	}
	return b.String()
}

// isFingerprint reports whether a custodian was named by a key: people know their own.
func isFingerprint(name string) bool {
	return strings.HasPrefix(name, "SHA256:") || strings.HasPrefix(name, "age1") && len(name) > 40 ||
		(len(name) == 40 || len(name) == 64) && strings.Trim(name, "0123456789abcdef") == ""
}

func version(v string) string {
	if v == "" {
		return ""
	}
	return " version " + v
}

type checkShareCmd struct {
	sharesFlags `embed:""`
}

func (checkShareCmd) Help() string {
	return `Compares each share with the record, and says of which slot and set it is. Opens nothing, and keeps nothing.

  sealwright check-share --store …
  age -d share.age | sealwright check-share --store …

Next: sealwright open.`
}

// A shareView is what --json prints of a share.
type shareView struct {
	From      string `json:"from"`
	Number    int    `json:"number,omitempty"`
	Set       uint32 `json:"set,omitempty"`
	Slot      string `json:"slot,omitempty"`
	Custodian string `json:"custodian,omitempty"`
	Right     bool   `json:"right"` // it helps to open the store
	Error     string `json:"error,omitempty"`
}

func (c *checkShareCmd) Run(ctx context.Context, a *app) error {
	_, _, store, err := a.snapshot(ctx)
	if err != nil {
		return err
	}
	b, err := a.barrier(ctx, store, nil)
	if err != nil {
		return err
	}
	if _, err := b.Admin().Inspect(ctx); err != nil {
		return err
	}
	out := struct {
		Shares []shareView `json:"shares"`
		Right  bool        `json:"right"`
	}{Shares: []shareView{}, Right: true}
	see := func(g given) {
		v := shareView{From: g.from, Number: int(g.share.X()), Set: g.share.Set()}
		err := g.err
		if err == nil {
			var checked seal.Checked
			checked, err = b.Admin().CheckShare(ctx, g.share, a.by())
			v.Slot, v.Custodian = checked.Slot, checked.Custodian
			g.share.Wipe()
		}
		if v.Right = err == nil; !v.Right {
			v.Error, out.Right = trim(err), false
		}
		out.Shares = append(out.Shares, v)
	}
	if err := a.everyShare(ctx, &c.sharesFlags, see); err != nil {
		return err
	}
	if len(out.Shares) == 0 {
		return errNoMore
	}
	err = a.answer(out, func(w io.Writer) {
		for _, s := range out.Shares {
			switch {
			case s.Right:
				fmt.Fprintf(w, "right: share %d of set %d, slot %s%s (%s)\n", s.Number, s.Set, s.Slot, whose(s.Custodian), s.From)
			case s.Slot != "":
				fmt.Fprintf(w, "of slot %s (%s): %s\n", s.Slot, s.From, s.Error)
			default:
				fmt.Fprintf(w, "WRONG (%s): %s\n", s.From, s.Error)
			}
		}
	})
	if err == nil && !out.Right {
		return errTold
	}
	return err
}

func whose(custodian string) string {
	if custodian == "" {
		return ""
	}
	return ", held by " + custodian
}

// everyShare calls see with each share that is given, also those that are none.
// On a terminal one share is asked for.
func (a *app) everyShare(ctx context.Context, f *sharesFlags, see func(given)) error {
	sources := f.Shares
	if len(sources) == 0 && a.inputIsPipe() {
		sources = []string{"-"}
	}
	n := 0
	for _, path := range sources {
		found, err := a.readShares(path)
		if err != nil {
			return err
		}
		for _, g := range found {
			n++
			see(g)
		}
	}
	if n > 0 {
		return nil
	}
	t, err := a.terminal()
	if err != nil {
		return fmt.Errorf("%w: %w: pipe the share in, or give --shares FILE", errNoMore, err)
	}
	defer t.loud()
	s, err := t.share(ctx, "Share (not shown): ")
	if err != nil {
		return err
	}
	see(given{share: s, from: "terminal"})
	return nil
}

type openCmd struct {
	sharesFlags `embed:""`
}

func (openCmd) Help() string {
	return `Takes shares until they suffice, or asks the KMS of --config, and opens a copy of the record in memory. The store is not changed, a server beside it not disturbed.

  sealwright open --store …
  age -d alice.age | sealwright open --store …
  sealwright open --store … --config server.hcl
  sealwright open --store … --shares alice.txt --shares bob.txt

Next: sealwright export, or sealwright decrypt.`
}

// An openView is what --json prints of a store that opened.
type openView struct {
	Opened     bool       `json:"opened"`
	Slot       string     `json:"slot"` // which opened it
	Store      string     `json:"store"`
	Generation uint64     `json:"generation"`
	Terms      []termView `json:"terms"`
	Warnings   []string   `json:"warnings,omitempty"`
}

type termView struct {
	Number  uint32    `json:"number"`
	State   string    `json:"state"`
	Created time.Time `json:"created"`
}

func (c *openCmd) Run(ctx context.Context, a *app) error {
	stored, b, err := a.openCopy(ctx, &c.sharesFlags)
	if err != nil {
		return err
	}
	v := a.opened(asStored(b.Status(), stored))
	return a.answer(v, func(w io.Writer) {
		fmt.Fprintf(w, "open: slot %s opens the record of generation %d\n", v.Slot, v.Generation)
		for _, t := range v.Terms {
			fmt.Fprintf(w, "  term %d: %s, made %s\n", t.Number, t.State, t.Created.Format("2006-01-02"))
		}
		for _, text := range v.Warnings {
			fmt.Fprintf(w, "warning: %s\n", text)
		}
		fmt.Fprintf(w, "next: sealwright export --help\n")
	})
}

func (a *app) opened(s seal.Status) openView {
	v := openView{Opened: !s.Sealed, Slot: a.unsealed, Store: s.Store, Generation: s.Generation, Terms: []termView{}, Warnings: s.Warnings}
	for _, t := range s.Terms {
		v.Terms = append(v.Terms, termView{t.Number, string(t.State), t.Created})
	}
	return v
}

// next is what to do about an error.
func (a *app) next(err error) string {
	switch {
	case errors.Is(err, errNoStore):
		return "sealwright inspect --store FILE"
	case errors.Is(err, seal.ErrUnpinned):
		return "compare the slot's fingerprint (inspect) with what the server's operators wrote down, and give --pin FINGERPRINT"
	case errors.Is(err, seal.ErrCorrupt), errors.Is(err, seal.ErrMissing):
		return "sealwright restore --help"
	case errors.Is(err, seal.ErrNotFound), errors.Is(err, seal.ErrUninitialized):
		return "look whether the volume is mounted and the name is right (--store, --record-table, --record); with a backup: sealwright restore --help"
	case errors.Is(err, seal.ErrNewerFormat):
		return "get a newer sealwright"
	case errors.Is(err, errInterrupted):
		return ""
	case errors.Is(err, errStaysSealed):
		return "sealwright inspect says whom to call; sealwright check-share whether a share is right"
	}
	return ""
}
