package filestore

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/sealwright/sealwright/internal/durable"
	"github.com/sealwright/sealwright/internal/durable/durabletest"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/seal"
)

// TestPowerLoss cuts the power after every operation of a run of swaps
// and at every state that the disk may be in by then; and kills the process at
// every operation, lets another one read and go on, and cuts the power then.
// What was promised must hold: a record is whole; it is the old or the new one;
// it is the new one if Swap returned, or if Load returned it.
func TestPowerLoss(t *testing.T) {
	if fips140.Version() != "latest" {
		t.Skipf("needs fixed randomness, which the FIPS module %s refuses", fips140.Version())
	}
	honest := func(d *durabletest.Disk) durable.FS { return d }
	result := losePower(t, honest, false)
	if result.torn+result.lost > 0 {
		t.Errorf("torn=%d lost=%d: %s", result.torn, result.lost, result.first)
	}
	planted := []struct {
		name string
		fsys func(d *durabletest.Disk) durable.FS
		torn bool // else lost
	}{
		{"file never synced", func(d *durabletest.Disk) durable.FS { return noFileSync{d} }, true},
		{"directory never synced", func(d *durabletest.Disk) durable.FS { return &noDirSync{Disk: d} }, false},
		{"directory synced by Swap alone", func(d *durabletest.Disk) durable.FS { return &noDirSync{Disk: d, afterRename: true} }, false},
		{"written in place", func(d *durabletest.Disk) durable.FS { return inPlace{d} }, true},
	}
	if testing.Short() {
		planted = planted[:2]
	}
	caught := 0
	for _, fault := range planted {
		r := losePower(t, fault.fsys, true)
		if r.torn > 0 && fault.torn || r.lost > 0 && !fault.torn {
			caught++
		} else {
			t.Errorf("planted fault %q was not found: torn=%d lost=%d", fault.name, r.torn, r.lost)
		}
	}
	t.Logf("%d different states", result.states)
	say := "GUARANTEE 4 durable-or-absent"
	if !testlevel.Whole() || testing.Short() {
		say = "of a part"
	}
	t.Logf("%s: points=%d torn=%d lost=%d planted=%d/%d", say,
		result.points, result.torn, result.lost, caught, len(planted))
}

type powerResult struct {
	points, torn, lost int
	states             int
	first              string // the first fault found
}

// losePower runs the swaps once to the end, and once for every operation at
// which the process may be killed. It stops at the first fault if that is
// enough.
func losePower(t *testing.T, fsys func(*durabletest.Disk) durable.FS, first bool) powerResult {
	t.Helper()
	check := &powerCheck{t: t, stop: first, found: map[string]string{}}
	last, step := 3, 1
	if !testlevel.Whole() {
		last, step = 1, 3
	}
	if testing.Short() && !first { // a planted fault ends at once
		last, step = 1, 12
	}
	whole := newPowerRun(t, fsys, -1)
	whole.swaps(1, last)
	check.run(whole)
	for kill := 0; kill < whole.disk.Ops(); kill += step {
		if check.stop && check.first != "" {
			break
		}
		r := newPowerRun(t, fsys, kill)
		r.swaps(1, last)
		r.disk.KillAt(-1)
		r.restart(fsys)
		r.swaps(11, max(11, 9+last))
		check.run(r)
	}
	check.states = len(check.found)
	return check.powerResult
}

const powerAbsent = "(absent)"

// powerRun is a run of swaps on a disk, and what a power loss may leave of it.
type powerRun struct {
	t     *testing.T
	disk  *durabletest.Disk
	store *Store
	marks []powerMark
}

// powerMark says what may be found if the power fails after so many
// operations, or after more of them and before the next mark.
type powerMark struct {
	ops     int
	allowed []string
}

func newPowerRun(t *testing.T, fsys func(*durabletest.Disk) durable.FS, kill int) *powerRun {
	dir := t.TempDir()
	cryptotest.SetGlobalRandom(t, 4) // the same states in each run, to open each once
	disk := durabletest.NewDisk(dir)
	disk.KillAt(kill)
	store, err := Open(dir + "/record")
	if err != nil {
		t.Fatal(err)
	}
	store.fsys = fsys(disk)
	return &powerRun{t: t, disk: disk, store: store, marks: []powerMark{{0, []string{powerAbsent}}}}
}

func (r *powerRun) mark(allowed ...string) {
	r.marks = append(r.marks, powerMark{r.disk.Ops(), allowed})
}

// swaps stores the records of these numbers, as far as the process lives.
func (r *powerRun) swaps(first, last int) {
	rec, rev, err := r.store.Load(r.t.Context())
	if errors.Is(err, seal.ErrNotFound) {
		rec = []byte(powerAbsent)
	} else if err != nil {
		r.dead(err)
		return
	}
	for n := first; n <= last; n++ {
		next := powerRecord(n)
		r.mark(string(rec), next)
		if rev, err = r.store.Swap(r.t.Context(), []byte(next), rev); err != nil {
			r.dead(err)
			return
		}
		rec = []byte(next)
		r.mark(next)
	}
}

func (r *powerRun) dead(err error) {
	if !errors.Is(err, durabletest.ErrKilled) {
		r.t.Fatalf("an error while the process lives: %v", err)
	}
}

// restart starts another process, which loads the record.
func (r *powerRun) restart(fsys func(*durabletest.Disk) durable.FS) {
	store, err := Open(r.store.path)
	if err != nil {
		r.t.Fatal(err)
	}
	store.fsys = fsys(r.disk)
	r.store = store
	switch rec, _, err := store.Load(r.t.Context()); {
	case err == nil:
		r.mark(string(rec))
	case errors.Is(err, seal.ErrNotFound):
		r.mark(powerAbsent)
	default:
		r.mark(fmt.Sprintf("Load of the process after: %v", err)) // nothing matches this
	}
}

// powerRecord makes records that grow and shrink.
func powerRecord(n int) string {
	return fmt.Sprintf("record %d %s", n, strings.Repeat("x", n*7%5*40))
}

// powerCheck looks at every state after every operation of runs.
type powerCheck struct {
	powerResult
	t     *testing.T
	stop  bool              // at the first fault
	found map[string]string // what a state holds, by its key
}

func (c *powerCheck) run(r *powerRun) {
	at := 0
	for ops := 0; ops <= r.disk.Ops(); ops++ {
		for at+1 < len(r.marks) && r.marks[at+1].ops <= ops {
			at++
		}
		for crash := range r.disk.Crashes(ops) {
			c.points++
			found, fine := c.open(crash)
			switch {
			case fine && slices.Contains(r.marks[at].allowed, found):
				continue
			case fine && (found == powerAbsent || strings.HasPrefix(found, "record ")):
				c.lost++
			default:
				c.torn++
			}
			if c.first == "" {
				c.first = fmt.Sprintf("after operation %d: found %q, want one of %q", ops, found, r.marks[at].allowed)
			}
			if c.stop {
				return
			}
		}
	}
}

// open returns what a store finds after a crash. It is fine if the store is
// usable: it loads or says that there is nothing, takes the next record, and
// leaves nothing of the crash behind.
func (c *powerCheck) open(crash durabletest.Crash) (found string, fine bool) {
	key := crash.Key()
	if found, ok := c.found[key]; ok {
		return found, !strings.HasPrefix(found, "broken: ")
	}
	found, err := c.reopen(crash)
	if err != nil {
		found = "broken: " + err.Error()
	}
	c.found[key] = found
	return found, err == nil
}

func (c *powerCheck) reopen(crash durabletest.Crash) (found string, err error) {
	dir := c.t.TempDir()
	if err := crash.Write(dir); err != nil {
		c.t.Fatal(err)
	}
	store, err := Open(dir + "/record")
	if err != nil {
		return "", err
	}
	store.fsys = &noDirSync{Disk: durabletest.NewDisk(dir)} // no need to wait for a real disk
	rec, rev, err := store.Load(c.t.Context())
	if errors.Is(err, seal.ErrNotFound) {
		rec, err = []byte(powerAbsent), nil
	}
	if err != nil {
		return "", err
	}
	if _, err := store.Swap(c.t.Context(), []byte("next"), rev); err != nil {
		return "", fmt.Errorf("swap after the crash: %w", err)
	}
	if next, _, err := store.Load(c.t.Context()); err != nil || string(next) != "next" {
		return "", fmt.Errorf("load after that: %q, %v", next, err)
	}
	if names := fileNames(c.t, dir); !slices.Equal(names, []string{"record", "record.lock"}) {
		return "", fmt.Errorf("left behind: %q", names)
	}
	return string(rec), nil
}

// The planted faults.

type noFileSync struct{ *durabletest.Disk }

func (n noFileSync) CreateTemp(dir, pattern string) (durable.File, error) {
	f, err := n.Disk.CreateTemp(dir, pattern)
	return unsyncedFile{f}, err
}

type unsyncedFile struct{ durable.File }

func (unsyncedFile) Sync() error { return nil }

type noDirSync struct {
	*durabletest.Disk
	afterRename bool // sync after all, but only there
	renamed     bool
}

func (n *noDirSync) Rename(oldname, newname string) error {
	err := n.Disk.Rename(oldname, newname)
	n.renamed = err == nil
	return err
}

func (n *noDirSync) SyncDir(name string) error {
	if !n.afterRename || !n.renamed {
		return nil
	}
	n.renamed = false
	return n.Disk.SyncDir(name)
}

type inPlace struct{ *durabletest.Disk }

func (i inPlace) CreateTemp(dir, _ string) (durable.File, error) {
	return i.Disk.OpenInPlace(dir + "/record")
}

func (i inPlace) Rename(string, string) error { return nil }
func (i inPlace) Remove(string) error         { return nil }
