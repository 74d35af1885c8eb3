package seal_test

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
	"github.com/sealwright/sealwright/seal/storetest"
)

// anchored is a vault with three slots and an anchor that can fail.
func anchored(ctx context.Context, t *testing.T) (*vault, *seal.Barrier, *storetest.Faulty) {
	anchor := &storetest.Faulty{Inner: seal.NewMemStore()}
	v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
	b.Close()
	v.anchor = anchor
	b = v.boot()
	must(t, v.unseal(ctx, b))
	return v, b, anchor
}

// moored returns the text that the anchor holds.
func moored(ctx context.Context, t *testing.T, anchor seal.Store) string {
	text, _, err := anchor.Load(ctx)
	must(t, err)
	return string(text)
}

func warned(b *seal.Barrier, words string) bool {
	return strings.Contains(strings.Join(b.Status().Warnings, "\n"), words)
}

// TestAnchorFollows: after each change the anchor names the record now stored,
// and a process that starts goes on from there.
func TestAnchorFollows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b, anchor := anchored(ctx, t)
		defer func() { b.Close() }()
		for range 3 {
			last := moored(ctx, t, anchor)
			must(t, b.Rotate(ctx, seal.By{}))
			if now := moored(ctx, t, anchor); now == last {
				t.Errorf("the anchor still holds %s", now)
			}
			b.Close()
			b = v.boot()
			must(t, v.unseal(ctx, b))
		}
		// Replicas share it, and the slower one does not take it back.
		other := v.boot()
		defer other.Close()
		must(t, v.unseal(ctx, other))
		must(t, b.Rotate(ctx, seal.By{}))
		must(t, b.Rotate(ctx, seal.By{}))
		newest := moored(ctx, t, anchor)
		must(t, other.Admin().Refresh(ctx))
		if now := moored(ctx, t, anchor); now != newest {
			t.Errorf("another replica made %s of %s", now, newest)
		}
	})
}

// TestAnchorBehind: whatever becomes of the anchor at a change, the change
// stands, a warning says so, the store opens, and the next change mends it.
func TestAnchorBehind(t *testing.T) {
	for _, effect := range []storetest.Effect{storetest.CrashBefore, storetest.CrashAfter, storetest.FailBefore, storetest.FailAfter, storetest.Conflict} {
		bubble(t, func(t *testing.T) {
			ctx := t.Context()
			v, b, anchor := anchored(ctx, t)
			defer func() { b.Close() }()
			_, swaps := anchor.Calls()
			anchor.OnSwap = map[int]storetest.Fault{swaps + 1: {Effect: effect}}
			must(t, b.Rotate(ctx, seal.By{}))
			must(t, v.write(b))
			if warned(b, "the anchor is behind") == (effect == storetest.Conflict) {
				t.Errorf("effect %v: warnings %q", effect, b.Status().Warnings)
			}
			anchor.Reboot()
			b.Close()
			b = v.boot()
			must(t, v.unseal(ctx, b))
			must(t, v.readable(b))
			must(t, b.Rotate(ctx, seal.By{}))
			if warned(b, "anchor") {
				t.Errorf("effect %v: mended, and warnings %q", effect, b.Status().Warnings)
			}
		})
	}
}

// TestAnchorUnreadable: a process that starts stays sealed and says why; one
// that runs goes on.
func TestAnchorUnreadable(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		v, b, anchor := anchored(ctx, t)
		defer func() { b.Close() }()
		gone := errors.New("the volume is gone")
		anchor.Outage(gone)
		must(t, b.Rotate(ctx, seal.By{}))
		b.Close()
		b = v.boot()
		err := v.unseal(ctx, b)
		if !errors.Is(err, seal.ErrAnchor) || !errors.Is(err, gone) || !errors.Is(b.Status().Reason, seal.ErrAnchor) {
			t.Errorf("unseal: %v; status: %v", err, b.Status().Reason)
		}
		ran := make(chan error)
		go func() { ran <- b.Run(ctx) }()
		time.Sleep(time.Minute)
		anchor.Outage(nil)
		must(t, b.Wait(ctx)) // Run tries again by itself
		cancel()
		<-ran
	})
}

// TestAnchorOfSomethingElse: what is not this store's anchor is neither
// believed nor overwritten.
func TestAnchorOfSomethingElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b, anchor := anchored(ctx, t)
		b.Close()
		stranger, s, foreign := anchored(ctx, t)
		s.Close()
		good := moored(ctx, t, anchor)
		for name, tc := range map[string]struct {
			text string
			want error
		}{
			"another store's":  {moored(ctx, t, foreign), seal.ErrOtherStore},
			"a record":         {string(stranger.stored(ctx)), seal.ErrAnchor},
			"nothing":          {"", seal.ErrAnchor},
			"cut":              {good[:len(good)-1], seal.ErrAnchor},
			"white space":      {good + " ", seal.ErrAnchor},
			"another field":    {strings.Replace(good, "{", `{"more":1,`, 1), seal.ErrAnchor},
			"no digest":        {`{"anchor":1,"store":"","generation":1,"digest":""}` + "\n", seal.ErrAnchor},
			"generation 0":     {generation.ReplaceAllString(good, `"generation":0,`), seal.ErrAnchor},
			"of a later day":   {strings.Replace(good, `"anchor":2`, `"anchor":3`, 1), seal.ErrNewerFormat},
			"negative version": {strings.Replace(good, `"anchor":2`, `"anchor":-1`, 1), seal.ErrAnchor},
			"an earlier day":   {strings.Replace(good, `"anchor":2`, `"anchor":1`, 1), seal.ErrAnchor},
		} {
			held := seal.NewMemStore()
			_, err := held.Swap(ctx, []byte(tc.text), "")
			must(t, err)
			v.anchor = held
			b := v.boot()
			if err := v.unseal(ctx, b); !errors.Is(err, tc.want) {
				t.Errorf("%s: %v", name, err)
			}
			b.Close()
			if now := moored(ctx, t, held); now != tc.text {
				t.Errorf("%s: it was overwritten with %s", name, now)
			}
		}
	})
}

var generation = regexp.MustCompile(`"generation":[0-9]+,`)

// TestAnchorIsNotTakenBack: a process that runs meets an anchor that another
// replica has moved further, or that is another store's by now. It leaves both.
func TestAnchorIsNotTakenBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		_, s, foreign := anchored(ctx, t)
		s.Close()
		_, b, anchor := anchored(ctx, t)
		defer b.Close()
		for _, tc := range []struct {
			text   string
			behind bool
		}{
			{generation.ReplaceAllString(moored(ctx, t, anchor), `"generation":99,`), false},
			{moored(ctx, t, foreign), true},
		} {
			_, rev, err := anchor.Load(ctx)
			must(t, err)
			_, err = anchor.Inner.Swap(ctx, []byte(tc.text), rev)
			must(t, err)
			must(t, b.Rotate(ctx, seal.By{}))
			if now := moored(ctx, t, anchor); now != tc.text {
				t.Errorf("%s became %s", tc.text, now)
			}
			if warned(b, "the anchor is behind") != tc.behind {
				t.Errorf("%s: warnings %q", tc.text, b.Status().Warnings)
			}
		}
	})
}

// TestAnchorMissesTheRecord: with an anchor an empty store was emptied, and
// init does not begin anew.
func TestAnchorMissesTheRecord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b, _ := anchored(ctx, t)
		b.Close()
		v.faulty = &storetest.Faulty{Inner: seal.NewMemStore()}
		b = v.boot()
		defer b.Close()
		if err := b.Unseal(ctx); !errors.Is(err, seal.ErrMissing) || !strings.Contains(err.Error(), "was seen: restore it") {
			t.Errorf("unseal: %v", err)
		}
		if _, err := b.Init(ctx, threeSlots, seal.By{}); !errors.Is(err, seal.ErrMissing) {
			t.Errorf("init: %v", err)
		}
	})
}

// TestRestoreWithAnchor: the door for an older record. A process that runs moves
// the anchor itself; for one that starts, the anchor is taken away.
func TestRestoreWithAnchor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b, anchor := anchored(ctx, t)
		defer func() { b.Close() }()
		old, generation := v.stored(ctx), b.Status().Generation
		must(t, b.Rotate(ctx, seal.By{}))
		must(t, v.write(b))
		v.put(ctx, old)
		if err := b.Admin().Refresh(ctx); !errors.Is(err, seal.ErrRolledBack) {
			t.Errorf("an older record: %v", err)
		}
		must(t, b.Admin().Restore(ctx, generation, seal.By{}))
		b.Close()
		b = v.boot()
		must(t, v.unseal(ctx, b))
		must(t, v.readable(b))
		b.Close()

		v.put(ctx, old)
		b = v.boot()
		if err := v.unseal(ctx, b); !errors.Is(err, seal.ErrRolledBack) {
			t.Errorf("an older record at a cold start: %v", err)
		}
		b.Close()
		anchor.Inner = seal.NewMemStore()
		b = v.boot()
		must(t, v.unseal(ctx, b))
		must(t, b.Admin().Restore(ctx, generation, seal.By{}))
	})
}

// TestAnchorEvents: an anchor that is made, and one that cannot be moved on, are
// events.
func TestAnchorEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		anchor := &storetest.Faulty{Inner: seal.NewMemStore()}
		var events []seal.Event
		l := locksmith{t, v.own()}
		b = l.barrier(v.faulty, func(c *seal.Config) {
			c.Anchor = anchor
			c.OnEvent = func(e seal.Event) {
				if e.Kind == seal.EventAnchor {
					events = append(events, e)
				}
			}
		})
		defer b.Close()
		must(t, v.unseal(ctx, b))
		must(t, b.Rotate(ctx, seal.By{}))
		gone := errors.New("gone")
		anchor.Outage(gone)
		must(t, b.Rotate(ctx, seal.By{}))
		if len(events) != 2 || events[0].Err != nil || !errors.Is(events[1].Err, gone) {
			t.Errorf("events %+v", events)
		}
	})
}

// TestAnchorInAFile: a file beside another disk's record is an anchor.
func TestAnchorInAFile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		file, err := filestore.Open(filepath.Join(t.TempDir(), "anchor.json"))
		must(t, err)
		v.anchor = file
		for range 2 {
			b = v.boot()
			must(t, v.unseal(ctx, b))
			must(t, b.Rotate(ctx, seal.By{}))
			if len(b.Status().Warnings) != 0 {
				t.Error(b.Status().Warnings)
			}
			b.Close()
		}
	})
}
