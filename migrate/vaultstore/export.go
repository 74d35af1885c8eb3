package vaultstore

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// A Record is one line of an export: what its Kind says, and no more.
type Record struct {
	Kind      string      `json:"kind"`
	Namespace string      `json:"namespace,omitempty"`
	Mount     string      `json:"mount,omitempty"` // the path, of "mount", "kv", "secret" and "transit"
	Table     string      `json:"table,omitempty"` // of "mount"
	Engine    *MountType  `json:"engine,omitempty"`
	Config    *KVConfig   `json:"config,omitempty"`
	Policy    *PolicyText `json:"policy,omitempty"`
	Secret    *Secret     `json:"secret,omitempty"`
	Transit   *TransitKey `json:"transit,omitempty"`
	Key       string      `json:"key,omitempty"`   // of "unreadable": the storage key
	Error     string      `json:"error,omitempty"` // of "unreadable"
	Counts    *Counts     `json:"counts,omitempty"`
}

// The kinds of records, in the order in which an export has them.
const (
	RecordMount      = "mount"
	RecordPolicy     = "policy"
	RecordKV         = "kv"      // what a mount of version 2 says for all its secrets
	RecordSecret     = "secret"  // with all its versions
	RecordTransit    = "transit" // a named key, with its key material
	RecordUnreadable = "unreadable"
	RecordEnd        = "end" // always the last: without it an export is cut
)

// MountType is what a mount is of.
type MountType struct {
	Type        string            `json:"type"`
	Description string            `json:"description,omitempty"`
	Options     map[string]string `json:"options,omitempty"`
	Local       bool              `json:"local,omitempty"`
}

// PolicyText is a policy of access.
type PolicyText struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Text string `json:"text"`
}

// Counts is how many of each there are.
type Counts struct {
	Mounts     int `json:"mounts"`
	Policies   int `json:"policies"`
	Secrets    int `json:"secrets"`
	Versions   int `json:"versions"` // of secrets, with their data
	Transit    int `json:"transit"`
	Unreadable int `json:"unreadable"`
	Sealed     int `json:"sealed_namespaces,omitempty"` // namespaces that were not opened
}

// ExportOptions are what an export holds beside mounts, policies and secrets.
type ExportOptions struct {
	// Transit exports the keys of transit engines, in clear.
	Transit bool

	// Mount, if it is set, chooses the mounts whose content is exported.
	Mount func(*Mount) bool

	// Progress is called now and then with what was written so far.
	Progress func(Counts)
}

// Export writes what people keep in a store as lines of JSON, one [Record] each:
// every secret in clear, with all its versions. What cannot be read is a line of
// its own, and counted; the error is of w, of the context, or of the storage.
func (s *Store) Export(ctx context.Context, w io.Writer, options ExportOptions) (Counts, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	e := &exporter{store: s, options: options, json: json.NewEncoder(out)}
	e.json.SetEscapeHTML(false) // a secret is written as it was
	err := e.all(ctx)
	return e.counts, errors.Join(err, out.Flush())
}

type exporter struct {
	store   *Store
	options ExportOptions
	json    *json.Encoder
	counts  Counts
	written int
}

func (e *exporter) all(ctx context.Context) error {
	spaces, err := e.store.Namespaces(ctx)
	if err != nil {
		return err
	}
	for _, n := range spaces {
		if n.Sealed {
			e.counts.Sealed++
		}
	}
	mounts, err := e.store.Mounts(ctx)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		e.counts.Mounts++
		err := e.write(&Record{Kind: RecordMount, Namespace: m.Namespace, Mount: m.Path, Table: m.Table,
			Engine: &MountType{m.Type, m.Description, m.Options, m.Local}})
		if err != nil {
			return err
		}
	}
	if err := e.store.Policies(ctx, e.policy); err != nil {
		return err
	}
	for i := range mounts {
		if m := &mounts[i]; e.options.Mount == nil || e.options.Mount(m) {
			if err := e.mount(ctx, m); err != nil {
				return err
			}
		}
	}
	return e.write(&Record{Kind: RecordEnd, Counts: &e.counts})
}

func (e *exporter) policy(p *Policy, key string, err error) error {
	if err != nil {
		return e.unreadable(key, err)
	}
	e.counts.Policies++
	return e.write(&Record{Kind: RecordPolicy, Namespace: p.Namespace, Policy: &PolicyText{p.Kind, p.Name, p.Text}})
}

func (e *exporter) mount(ctx context.Context, m *Mount) error {
	switch {
	case m.KV() > 0:
		if m.KV() == 2 {
			config, err := e.store.KVConfig(m)
			if err != nil {
				return e.unreadable(m.Prefix, err)
			}
			if err := e.write(&Record{Kind: RecordKV, Namespace: m.Namespace, Mount: m.Path, Config: &config}); err != nil {
				return err
			}
		}
		return e.store.Secrets(ctx, m, func(secret *Secret, key string, err error) error {
			if err != nil {
				err = e.unreadable(key, err)
			}
			if secret == nil || err != nil {
				return err
			}
			e.counts.Secrets++
			for i := range secret.Versions {
				if v := &secret.Versions[i]; !v.Destroyed && !v.Lost {
					e.counts.Versions++
				}
			}
			return e.write(&Record{Kind: RecordSecret, Namespace: m.Namespace, Mount: m.Path, Secret: secret})
		})
	case m.Table == "mounts" && m.Type == "transit" && e.options.Transit:
		return e.store.TransitKeys(ctx, m, func(key *TransitKey, at string, err error) error {
			if err != nil {
				return e.unreadable(at, err)
			}
			e.counts.Transit++
			return e.write(&Record{Kind: RecordTransit, Namespace: m.Namespace, Mount: m.Path, Transit: key})
		})
	}
	return nil
}

// unreadable writes that an entry is lost. What is no fault of one entry ends the
// export.
func (e *exporter) unreadable(key string, err error) error {
	for _, ofOne := range []error{ErrDamaged, ErrUnknownTerm, ErrNotFound, ErrTooLarge} {
		if errors.Is(err, ofOne) {
			e.counts.Unreadable++
			return e.write(&Record{Kind: RecordUnreadable, Key: key, Error: err.Error()})
		}
	}
	return err
}

func (e *exporter) write(r *Record) error {
	err := e.json.Encode(r)
	if e.written++; e.options.Progress != nil && (e.written%64 == 0 || r.Kind == RecordEnd) {
		e.options.Progress(e.counts)
	}
	return err
}

// maxLine is the longest line of an export: a secret of many large versions.
const maxLine = 256 << 20

// Records reads an export. What it yields last, where the export is cut, was
// altered, or is none, is an error.
func Records(r io.Reader) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 64<<10), maxLine)
		ended := false
		for n := 1; lines.Scan(); n++ {
			line := bytes.TrimSpace(lines.Bytes())
			if len(line) == 0 {
				continue
			}
			rec := new(Record)
			err := json.Unmarshal(line, rec)
			if err != nil || rec.Kind == "" || ended {
				yield(nil, fmt.Errorf("%w: line %d is no record of an export", ErrDamaged, n))
				return
			}
			ended = rec.Kind == RecordEnd
			if !yield(rec, nil) {
				return
			}
		}
		switch err := lines.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			yield(nil, ErrTooLarge)
		case err != nil:
			yield(nil, err)
		case !ended:
			yield(nil, fmt.Errorf("%w: the export is cut: it has no end", ErrDamaged))
		}
	}
}
