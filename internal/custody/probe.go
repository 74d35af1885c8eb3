package custody

import (
	"context"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/internal/record"
)

// A Note is what a KMS says of a key that a slot depends on, worth a warning.
type Note struct {
	Newer bool // the key has a newer version; false: it may soon not open the slot
	Text  string
}

// Probe asks the KMS of each leaf how its key is. Newer names the present
// versions of keys that have wrapped with older ones; "" for none.
func (k *Keys) Probe(ctx context.Context, slot *record.Slot) (notes []Note, newer string) {
	slot.Tree.Walk("", func(_ string, leaf *record.Node) {
		if leaf.KMS == nil {
			return
		}
		health, ok := k.Health(ctx, leaf.KMS.Name)
		if !ok || health.KeyID != leaf.KMS.Blob.KeyID {
			return
		}
		say := func(newer bool, format string, args ...any) {
			notes = append(notes, Note{newer, fmt.Sprintf("KMS %q: ", leaf.KMS.Name) + fmt.Sprintf(format, args...)})
		}
		switch stored := leaf.KMS.Blob.Version; {
		case !health.Deletion.IsZero():
			say(false, "the key is scheduled for deletion on %s: add another slot now, or cancel the deletion", day(health.Deletion))
		case !health.Expires.IsZero() && !time.Now().Before(health.Expires):
			say(false, "the key expired on %s: it wraps no more, and may not unwrap; give it a later expiry or new material, or add another slot now", day(health.Expires))
		case !health.Enabled:
			say(false, "the key is disabled: do not restart; enable it, or add another slot now")
		case stored != "" && health.Version != "" && stored != health.Version:
			say(true, "key version %s is stored, version %s is current: keep the old one enabled until the slot is rewrapped", stored, health.Version)
			newer += leaf.KMS.Name + " " + health.Version + "\n"
		}
		if left := time.Until(health.Expires); left > 0 && left <= expiryNotice {
			say(false, "the key expires on %s: give it a later expiry or new material, or add another slot before", day(health.Expires))
		}
	})
	return notes, newer
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
