package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestInitIDIsACredential: whoever read the record, a backup of it or the log
// knew under which id the init can be repeated, and got new shares.
func TestInitIDIsACredential(t *testing.T) {
	ctx := t.Context()
	const id = "credential-of-the-installer"
	var seen bytes.Buffer
	fake := &kmstest.Fake{}
	store := seal.NewMemStore()
	open := func() *seal.Barrier {
		log := seal.LogEvents(slog.New(slog.NewTextHandler(&seen, nil)))
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"a": fake.Key("a")}, Retry: kms.Policy{Attempts: 1}, OnEvent: log})
		must(t, err)
		return b
	}
	tell := func(b *seal.Barrier, err error) {
		stored, _, _ := store.Load(ctx)
		inspected, _ := b.Admin().Inspect(ctx)
		fmt.Fprintf(&seen, "%s %v %+v %+v", stored, err, b.Status(), inspected)
		if s := b.Status().Operation; s != nil {
			fmt.Fprintf(&seen, "%+v", *s)
		}
	}
	people := map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}
	b := open()
	defer b.Close()
	first, err := b.Init(ctx, people, seal.By{Operation: id, Actor: "installer"})
	must(t, err)
	if first.Operation != id {
		t.Errorf("the delivery names %q", first.Operation)
	}
	tell(b, b.Admin().Cancel(ctx, seal.By{Operation: id}))
	stored, _, err := store.Load(ctx)
	must(t, err)
	rec, _, _, err := record.Parse(stored)
	must(t, err)
	digest := rec.Operation.ID
	for _, other := range []string{digest, "stranger", ""} {
		if _, err := open().Init(ctx, people, seal.By{Operation: seal.OperationID(other)}); !errors.Is(err, seal.ErrUnproven) {
			t.Errorf("with %q: %v", other, err)
		}
	}
	second, err := open().Init(ctx, people, seal.By{Operation: id})
	must(t, err)
	if !strings.Contains(seen.String(), digest) {
		t.Error("no event names the operation by its digest")
	}
	for _, s := range second.Sets[0].Shares[:2] {
		_, err = b.Submit(ctx, s, seal.By{})
		must(t, err)
	}
	tell(b, nil)

	// Where it fails half-way, the delivery has the id, and the error has not.
	halfWay := false
	for call := 1; call <= 6; call++ {
		store, fake = seal.NewMemStore(), &kmstest.Fake{}
		b := open()
		defer b.Close()
		fake.Script(kmstest.Nth(call, kmstest.Fault{Failure: kmstest.Denied}))
		d, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{Operation: id})
		tell(b, err)
		if d.Operation != id {
			t.Errorf("call %d: the delivery names %q", call, d.Operation)
		}
		halfWay = halfWay || err != nil && strings.Contains(err.Error(), "repeat with the operation id that the delivery names")
	}
	if !halfWay {
		t.Error("no init failed half-way")
	}
	if strings.Contains(seen.String(), id) {
		i := strings.Index(seen.String(), id)
		t.Errorf("the id is seen: %s", seen.String()[max(0, i-300):i+len(id)])
	}
}

// TestInitOverAStrangersNumbers: a record that nobody vouches for had numbers near
// their maximum. InitAgain took them over, data was encrypted, and then nothing
// could be stored any more.
func TestInitOverAStrangersNumbers(t *testing.T) {
	ctx := t.Context()
	people := map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}
	for name, far := range map[string]func(*record.Record){
		"generation": func(r *record.Record) { r.Generation, r.Previous = record.MaxGeneration-2, make([]byte, 32) },
		"root key":   func(r *record.Record) { r.Root = record.MaxNumber - 2 },
		"term":       func(r *record.Record) { r.LastTerm = record.MaxNumber - 2 },
		"slot":       func(r *record.Record) { r.LastSlot = record.MaxNumber - 2 },
		"share set":  func(r *record.Record) { r.LastSet = record.MaxNumber - 2 },
	} {
		t.Run(name, func(t *testing.T) {
			l := locksmith{t, nil}
			made := seal.NewMemStore()
			maker := l.barrier(made, nil)
			defer maker.Close()
			_, err := maker.Init(ctx, people, seal.By{Operation: "stranger"})
			must(t, err)
			stored, _, err := made.Load(ctx)
			must(t, err)
			rec, _, sealed, err := record.Parse(stored)
			must(t, err)
			far(rec)
			clear, err := rec.Clear()
			must(t, err)
			store := seal.NewMemStore()
			strange := record.Assemble(clear, sealed) // nobody can open it, and nobody tries
			_, err = store.Swap(ctx, strange, "")
			must(t, err)
			b := l.barrier(store, nil)
			defer b.Close()
			for what, init := range map[string]func() (seal.Delivery, error){
				"again":      func() (seal.Delivery, error) { return b.Admin().InitAgain(ctx, people, seal.By{}) },
				"with an id": func() (seal.Delivery, error) { return b.Init(ctx, people, seal.By{Operation: "stranger"}) },
			} {
				if d, err := init(); !errors.Is(err, seal.ErrExhausted) || !strings.Contains(err.Error(), "remove it from the store") || len(d.Sets) > 0 {
					t.Errorf("%s: %v", what, err)
				}
			}
			if now, _, _ := store.Load(ctx); !bytes.Equal(now, strange) {
				t.Error("the record was changed")
			}
		})
	}
}
