package seal_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// A guest is a store and a KMS of somebody else's, with faults of theirs: each
// call for which does has an answer gets that one.
type guest struct {
	seal.Store
	kms.Wrapper
	does map[string]func() error
}

func (g *guest) fault(call string) error {
	if f := g.does[call]; f != nil {
		return f()
	}
	return nil
}

func (g *guest) Load(ctx context.Context) ([]byte, string, error) {
	if err := g.fault("load"); err != nil {
		return nil, "", err
	}
	return g.Store.Load(ctx)
}

func (g *guest) Watch(ctx context.Context, _ chan<- struct{}) error {
	if err := g.fault("watch"); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (g *guest) Unwrap(ctx context.Context, blob *kms.Blob, place kms.Binding) ([]byte, error) {
	if err := g.fault("unwrap"); err != nil {
		return nil, err
	}
	return g.Wrapper.Unwrap(ctx, blob, place)
}

func (g *guest) Probe(ctx context.Context) (kms.Health, error) {
	h, err := g.Wrapper.(kms.Prober).Probe(ctx)
	if h.KeyID != "" {
		h.KeyID += "/renamed"
	}
	if text := g.fault("probe"); text != nil {
		h.Version = text.Error()
	}
	return h, err
}

func (g *guest) Warnings() []string {
	if text := g.fault("warnings"); text != nil {
		return []string{text.Error()}
	}
	return nil
}

func (g *guest) Authenticates(blob *kms.Blob) bool {
	_ = g.fault("authenticates")
	return g.Wrapper.(kms.Authenticator).Authenticates(blob)
}

func (g *guest) SameKey(string, string) bool {
	_ = g.fault("same key")
	return true
}

func (g *guest) start(t *testing.T, events *[]seal.Event) *seal.Barrier {
	t.Helper()
	var mu sync.Mutex
	b, err := seal.Open(seal.Config{Store: g, KMS: map[string]kms.Wrapper{"a": g}, Replica: "test", Retry: kms.Policy{Attempts: 1},
		Poll: time.Minute, OnEvent: func(e seal.Event) {
			mu.Lock()
			defer mu.Unlock()
			*events = append(*events, e)
		}})
	must(t, err)
	return b
}

func newGuest(t *testing.T) *guest {
	fake := &kmstest.Fake{}
	g := &guest{Store: seal.NewMemStore(), Wrapper: fake.Key("a"), does: map[string]func() error{}}
	var events []seal.Event
	b := g.start(t, &events)
	defer b.Close()
	_, err := b.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{})
	must(t, err)
	return g
}

// TestPanicsOfOthersEndNothing: what a provider or a store does in a goroutine of
// ours ended the process, where it was not one of the calls that are bounded: a
// watch, or what a KMS is asked about a name or a blob.
func TestPanicsOfOthersEndNothing(t *testing.T) {
	for _, call := range []string{"load", "watch", "unwrap", "authenticates", "same key"} {
		t.Run(call, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				g := newGuest(t)
				var events []seal.Event
				b := g.start(t, &events)
				defer b.Close()
				if err := b.Unseal(t.Context()); err != nil {
					t.Fatal(err)
				}
				g.does[call] = func() error { panic("a fault of theirs") }
				ctx, cancel := context.WithTimeout(t.Context(), testlevel.Most(48*time.Hour, 4*time.Hour))
				defer cancel()
				if err := b.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Run: %v", err)
				}
				if b.Status().Sealed {
					t.Error("sealed")
				}
			})
		})
	}
}

// TestWordsOfOthersAreOneLine: a store's, or a provider's that makes no kms.Error,
// are shown to people on terminals and in logs, and reached them as they were.
func TestWordsOfOthersAreOneLine(t *testing.T) {
	theirs := errors.New("\x1b[2Jall is well\nroot: \u202egnp.key\x00")
	for _, call := range []string{"load", "watch", "unwrap", "probe", "warnings"} {
		t.Run(call, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				g := newGuest(t)
				var events []seal.Event
				b := g.start(t, &events)
				defer b.Close()
				g.does[call] = func() error { return theirs }
				err := b.Unseal(t.Context())
				if fails := call == "load" || call == "unwrap"; fails != errors.Is(err, theirs) {
					t.Errorf("Unseal: %v", err)
				}
				if err == nil {
					must(t, b.Admin().Drill(t.Context()))
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				_ = b.Run(ctx)
				synctest.Wait() // for what Run had begun
				var shown []string
				for _, e := range append(events, seal.Event{Err: err}, seal.Event{Err: b.Status().Reason}) {
					if e.Err != nil {
						shown = append(shown, e.Err.Error())
					}
				}
				shown = append(shown, b.Status().Warnings...)
				told := false
				for _, text := range shown {
					told = told || strings.Contains(text, "all is well")
					if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
						t.Errorf("%q", text)
					}
				}
				if !told {
					t.Errorf("nobody is told: %q", shown)
				}
			})
		})
	}
}
