package custody

import (
	"context"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/internal/foreign"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// A Note is what a KMS says of a key that a slot depends on, worth a warning.
// Where neither Newer nor Moved is set, the key may soon not open the slot.
type Note struct {
	Newer bool // the key has a newer version
	Moved bool // the configuration would wrap with another key
	Text  string
}

// Probe asks the KMS of each leaf how its key is. Newer names the present
// versions of keys that have wrapped with older ones; "" for none. Where the
// configuration has come to another key, as a static seal that was rotated or an
// alias that was moved, that key alone can be looked at; the one that wrapped is
// one whose end nobody would tell of.
func (k *Keys) Probe(ctx context.Context, slot *record.Slot) (notes []Note, newer string) {
	slot.Tree.Walk("", func(_ string, leaf *record.Node) {
		if leaf.KMS == nil {
			return
		}
		health, ok := k.Health(ctx, leaf.KMS.Name)
		if !ok {
			return
		}
		prefix := fmt.Sprintf("KMS %q: ", leaf.KMS.Name)
		say := func(newer bool, format string, args ...any) {
			notes = append(notes, Note{Newer: newer, Text: prefix + foreign.Clean(fmt.Sprintf(format, args...))})
		}
		if stored := leaf.KMS.Blob.KeyID; !k.sameKey(leaf.KMS.Name, health.KeyID, stored) {
			notes = append(notes, Note{Moved: true, Text: prefix + fmt.Sprintf("the slot is wrapped with key %q, and the configuration has come to key %q: "+
				"a start without the old key will not open it; renew the slot while the configuration still opens the old one, and keep that until then", stored, health.KeyID)})
			return
		}
		switch stored := leaf.KMS.Blob.Version; {
		case !health.Deletion.IsZero():
			say(false, "the key is scheduled for deletion on %s: add another slot now, or cancel the deletion", day(health.Deletion))
		case !health.Expires.IsZero() && !time.Now().Before(health.Expires):
			say(false, "the key expired on %s: it wraps no more, and may not unwrap; give it a later expiry or new material, or add another slot now", day(health.Expires))
		case !health.Enabled:
			say(false, "the key is disabled: do not restart; enable it, or add another slot now")
		case stored != "" && health.Version != "" && stored != health.Version:
			say(true, "key version %s is stored, version %s is current: keep the old one enabled until the slot is renewed", stored, health.Version)
			newer += leaf.KMS.Name + " " + health.Version + "\n"
		}
		if left := time.Until(health.Expires); left > 0 && left <= expiryNotice {
			say(false, "the key expires on %s: give it a later expiry or new material, or add another slot before", day(health.Expires))
		}
	})
	return notes, newer
}

// sameKey reports whether two names are of one key, as far as its KMS says.
func (k *Keys) sameKey(name, a, b string) bool {
	n, ok := k.wrapper(name).(kms.Namer)
	return a == b || ok && says(func() bool { return n.SameKey(a, b) })
}

// SameKeys reports whether the KMS leaves of two trees of one shape are wrapped
// with the same keys, whatever their versions.
func (k *Keys) SameKeys(a, b *record.Node) bool {
	same := true
	a.Walk("", func(path string, leaf *record.Node) {
		other := b.At(path)
		if leaf.KMS == nil {
			return
		}
		same = same && other != nil && other.KMS != nil && k.sameKey(leaf.KMS.Name, leaf.KMS.Blob.KeyID, other.KMS.Blob.KeyID)
	})
	return same
}

// expiryNotice is how long before its end a key's expiry is told.
const expiryNotice = 30 * 24 * time.Hour

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// Forgeable reports whether a slot opens by keys alone, and none of their blobs
// proves who made it: then a process that starts believes it on a pin.
func (k *Keys) Forgeable(slot *record.Slot) bool {
	if slot.Tree.NeedsPeople() {
		return false
	}
	forgeable := true
	slot.Tree.Walk("", func(_ string, leaf *record.Node) {
		if leaf.KMS != nil && k.authenticates(leaf.KMS.Name, &leaf.KMS.Blob) {
			forgeable = false
		}
	})
	return forgeable
}
