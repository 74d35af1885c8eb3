package seal

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// TestOthers: what repeats itself is told once, what is asked too often is refused.
func TestOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOthers()
		why, other := errors.New("why"), errors.New("another")
		if !o.refused("a", why) || o.refused("a", why) || !o.refused("b", why) || !o.refused("a", other) {
			t.Error("a refusal is news of whom it is of, and of what it says")
		}
		if time.Sleep(refusalPause); !o.refused("a", other) {
			t.Error("a refusal is news again later")
		}
		if !o.passed("a", 1) || o.passed("a", 1) || !o.passed("a", 2) || !o.passed("b", 2) {
			t.Error("shares that were passed are news of whom they are to, and of how many")
		}
		for i := range 2 * maxNamed {
			o.refused(fmt.Sprint(i), why)
			o.passed(fmt.Sprint(i), 1)
		}
		if len(o.refusedTo) > maxNamed || len(o.passedTo) > maxNamed {
			t.Errorf("%d and %d are remembered", len(o.refusedTo), len(o.passedTo))
		}
		if o.cameTo(quiet) || !o.cameTo(denied) || o.cameTo(denied) || !o.cameTo(quiet) {
			t.Error("what a round came to is news when it is another")
		}
		if !o.gather(true) || o.gather(true) || !o.gather(false) {
			t.Error("nobody is asked again at once for a share that was given before")
		}
		if time.Sleep(passPause); !o.gather(true) {
			t.Error("they are asked again later")
		}
		for what, may := range map[string]func() bool{"root keys": o.mayHand, "shares": o.mayPass} {
			n := 0
			for may() {
				n++
			}
			if n != handOffBurst {
				t.Errorf("%d %s at once", n, what)
			}
			if time.Sleep(time.Second); !may() {
				t.Errorf("no more %s a second later", what)
			}
		}
		id := [32]byte{1}
		ended := o.asking(id)
		if !o.isOwn(id) || o.isOwn([32]byte{2}) {
			t.Error("a request of this process is not known, or another's is")
		}
		if ended(); o.isOwn(id) {
			t.Error("a request that has ended is known")
		}
	})
}

// TestDrills: the last word on a slot counts, and a KMS alone has one.
func TestDrills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, ctx := newDrills(), t.Context()
		slot, other := &record.Slot{ID: 1, Fingerprint: []byte("one")}, &record.Slot{ID: 2, Fingerprint: []byte("two")}
		slots := []*record.Slot{slot, other}
		down := &kms.Error{Op: "unwrap", Kind: kms.ErrUnavailable}
		d.attempted(ctx, slot, errors.New("not believed"))
		if d.failed(slots) || d.last(slot).err != nil {
			t.Error("what no KMS said is news of a key")
		}
		d.attempted(ctx, slot, fmt.Errorf("open: %w", down))
		if !d.failed(slots) || d.failed(slots[1:]) || !errors.Is(d.last(slot).err, kms.ErrUnavailable) || d.ofDrill(1).err != nil {
			t.Errorf("failed to unseal: %+v", d.last(slot))
		}
		time.Sleep(time.Second)
		d.drilled(slot, drilled{newer: "v2", wrapped: []string{"v1"}}) // nothing was tried: people are needed
		if !d.failed(slots) {
			t.Error("a drill that tried nothing is the last word")
		}
		d.drilled(slot, drilled{at: time.Now(), newer: "v2", wrapped: []string{"v1"}, notes: []custody.Note{{Newer: true}, {Text: "stays"}}})
		if d.failed(slots) || d.last(slot).err != nil {
			t.Error("a drill is not the last word")
		}
		if newer, wrapped := d.outdated(1); newer != "v2" || len(wrapped) != 1 {
			t.Errorf("outdated: %q, %q", newer, wrapped)
		}
		if d.renewedFor(1, "v2"); true {
			if newer, _ := d.outdated(1); newer != "" {
				t.Error("renewed, and outdated again")
			}
		}
		d.renewedFor(1, "v1")
		d.forgetVersions(1)
		if newer, _ := d.outdated(1); newer != "" || len(d.last(slot).notes) != 1 {
			t.Errorf("forgotten: %q, %+v", newer, d.last(slot).notes)
		}
		d.attempted(ctx, slot, down)
		if d.attempted(ctx, slot, nil); d.failed(slots) {
			t.Error("it unsealed since")
		}
		for i := range 2 * maxAttempts {
			d.attempted(ctx, &record.Slot{Fingerprint: fmt.Append(nil, i)}, down)
		}
		if len(d.attempts) > maxAttempts {
			t.Errorf("%d are kept", len(d.attempts))
		}
	})
}
