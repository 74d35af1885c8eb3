package sealhttp_test

import (
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// TestAttackAnchorIsNotTheRecord: whatever is wrong with an anchor, nobody is
// told that it is the record, and restores that.
func TestAttackAnchorIsNotTheRecord(t *testing.T) {
	for _, why := range []error{seal.ErrCorrupt, seal.ErrNewerFormat, seal.ErrMissing, seal.ErrStoreUnavailable, seal.ErrTooLarge} {
		if got := sealhttp.Kind(fmt.Errorf("%w: %w", seal.ErrAnchor, why)); got != "the anchor cannot be read" {
			t.Errorf("%v: %q", why, got)
		}
	}
}
