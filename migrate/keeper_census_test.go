package migrate_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// readOnly is a source whose items nobody may replace, such as a database that is
// full.
type readOnly struct{ migrate.Source }

func (readOnly) Replace(context.Context, string, []byte, []byte) (bool, error) {
	return false, errors.New("the database is read-only")
}

// A census of hours began under one term, and before it ended another one was the
// active one. What was written under the first meanwhile is in no census, and the
// term was retired with it.
func TestKeeperRetiresNoTermOfItsOwnCensus(t *testing.T) {
	virtual(t, func(t *testing.T) {
		cfg := everyTwoHours
		cfg.RotateAfter = 1000 * time.Hour
		src := &readOnly{}
		cfg.Sources = []migrate.KeeperSource{{Name: "table", Source: src}}
		f := newFleet(t, 1, cfg)
		defer f.close()
		src.Source = f.table
		b, once := f.all[0].b, false
		f.setBeforePage(func(_ *member, after string) {
			if after == "" || once {
				return
			}
			once = true // the first page was counted
			f.table.put("0000-new", encrypt(t, b.Keyring(), "new", "0000-new"))
			if err := b.Rotate(t.Context(), seal.By{}); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Hour)
		})
		if err := b.Rotate(t.Context(), seal.By{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if !once {
			t.Fatal("no census had a second page")
		}
		stored := f.table.stored("0000-new")
		if term, err := keyring.TermOf(stored); term != 2 || err != nil {
			t.Fatalf("the item is under term %d, %v", term, err)
		}
		if value, err := b.Keyring().Decrypt(nil, stored, []byte("0000-new")); err != nil || string(value) != "new" {
			t.Errorf("%q, %v", value, err)
		}
	})
}
