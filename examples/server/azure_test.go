package main

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/examples/internal/boltfile"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal/storetest"
)

var everyPoint = flag.Bool("azure.full", false, "every failure of the KMS at every call, and a kill at every load of the store")

// all reports whether the failures that are enumerated are all made to happen.
func all() bool { return *everyPoint || testlevel.Whole() }

// A direction is a migration of the whole server.
type direction struct {
	name   string
	stanza string
	auto   bool // whether Azure opens the store at the end
}

// opens checks that the shares that people have had all the time open the store
// with Azure gone, and that all that was acknowledged reads: with the stanza and
// without.
func (w *world) opens(stanza string) error {
	w.clouds.Wire.Unplug()
	defer w.clouds.Wire.Plug()
	l, err := w.start(stanza, nil)
	if err != nil {
		return err
	}
	defer l.end()
	if err := l.unsealByKMS(); err == nil {
		return errors.New("it unseals without Azure and without people")
	}
	return errors.Join(l.unseal(), l.reads())
}

// goesOn restarts the server where Azure answers, and carries the migration to
// its end.
func (w *world) goesOn(d direction) error {
	l, err := w.start(d.stanza, nil)
	if err != nil {
		return err
	}
	_ = l.unsealByKMS() // by people, if not by Azure
	err = l.migrate(2)
	l.end()
	if err != nil {
		return err
	}
	return w.arrived(d)
}

// arrived restarts the server, which opens by whom it should.
func (w *world) arrived(d direction) error {
	l, err := w.start(d.stanza, nil)
	if err != nil {
		return err
	}
	defer l.end()
	err = l.unsealByKMS()
	switch {
	case d.auto && err != nil:
		return fmt.Errorf("it does not come up by itself: %w", err)
	case !d.auto && err == nil:
		return errors.New("Azure still opens it")
	case !d.auto:
		if err := l.unseal(); err != nil {
			return err
		}
	}
	return l.reads()
}

// rekey gives the KMS slot a new seed, agreed to by three shares.
func (w *world) rekey(d direction) error {
	l, err := w.start(d.stanza, nil)
	if err != nil {
		return err
	}
	defer l.end()
	if err := l.unseal(); err != nil {
		return err
	}
	code, out, err := l.send("PUT", "sys/rekey/init", w.token, object{"secret_shares": 5, "secret_threshold": 3})
	for _, share := range w.shares[:3] {
		if err != nil || code != 200 {
			return fmt.Errorf("rekey: %d %v %w", code, out, err)
		}
		code, out, err = l.send("PUT", "sys/rekey/update", "", object{"key": share, "nonce": out["nonce"]})
	}
	if err != nil || out["complete"] != true {
		return fmt.Errorf("rekey: %d %v %w", code, out, err)
	}
	return nil
}

// A tally is what came of all points.
type tally struct {
	kills, faults, storeFaults, lost, stranded, rekeyed int
}

// point lets the migration meet what arm prepares, and then mends everything.
//
// A KMS that lies the same way at each wrap and each unwrap looks like one that
// does not, until it stops lying: its slot then needs a new seed. People open the
// store all the time.
func (c *tally) point(t *testing.T, from *world, d direction, what string, liar bool, arm func(*life)) {
	t.Helper()
	w := from.copyOf(t)
	l, err := w.start(d.stanza, arm)
	if err != nil {
		t.Fatal(err)
	}
	err = l.unsealByKMS()
	if !errors.Is(err, errKilled) {
		err = l.migrate(2)
	}
	l.end()
	w.clouds.Azure.Script(nil)
	w.clouds.Azure.Intercept(nil)
	if err != nil && !errors.Is(err, errKilled) && !errors.Is(err, errNotDone) {
		t.Errorf("%s, %s: %v", d.name, what, err)
	}
	for _, stanza := range []string{"", d.stanza} {
		if err := w.opens(stanza); err != nil {
			c.lost++
			t.Errorf("%s, %s: lost: %v", d.name, what, err)
			return
		}
	}
	err = w.goesOn(d)
	if err != nil && liar {
		c.rekeyed++
		if err = w.rekey(d); err == nil {
			err = w.arrived(d)
		}
	}
	if err != nil {
		c.stranded++
		t.Errorf("%s, %s: stranded: %v", d.name, what, err)
	}
}

// TestShamirToAzureAndBack is the scenario that the project began with: a server
// whose people hold 3 of 5 shares is given the stanza of a key in Azure, with
// its client secret in a mounted file, and three shares with -migrate; then it
// comes up by itself, and its people still open it when Azure is gone; and back.
// The process is killed, and Azure fails, at every point.
func TestShamirToAzureAndBack(t *testing.T) {
	shamir, forward, back := azureWorld(t)
	azure := shamir.copyOf(t)
	if err := azure.goesOn(forward); err != nil {
		t.Fatal(err)
	}
	if err := azure.opens(""); err != nil {
		t.Fatal(err)
	}
	var c tally
	for d, from := range map[*direction]*world{&forward: shamir, &back: azure} {
		c.enumerate(t, from, *d)
	}
	made := "GUARANTEE 1"
	if !all() {
		made = "of a part:"
	}
	t.Logf(made+" shamir-to-azure-over-http: kills=%d kms_faults=%d store_faults=%d lost=%d stranded=%d liars_rekeyed=%d", c.kills, c.faults, c.storeFaults, c.lost, c.stranded, c.rekeyed)

	// Planted: a store that is another one's, and a record that is torn.
	other, _, _ := azureWorld(t)
	other.shares = shamir.shares
	if err := other.opens(""); err == nil {
		t.Error("a store that nobody's shares open is not missed")
	}
	damaged := shamir.copyOf(t)
	db := &boltfile.File{Path: filepath.Join(damaged.dir, "sealwright.db")}
	rec, rev, err := boltfile.Record{File: db}.Load(t.Context())
	if err == nil {
		_, err = boltfile.Record{File: db}.Swap(t.Context(), rec[:len(rec)-9], rev)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if err := damaged.opens(""); err == nil {
		t.Error("a torn record is not missed")
	}
}

// enumerate counts the calls of a migration that goes well, and strikes at each; or,
// where a part is enough, at each fifth of the swaps and of the requests, which meets
// each effect, and with each failure of the KMS at one of its calls.
func (c *tally) enumerate(t *testing.T, from *world, d direction) {
	t.Helper()
	var calls atomic.Int64
	var ops []string
	var mu sync.Mutex
	w := from.copyOf(t)
	w.clouds.Azure.Script(func(call kmstest.Call) kmstest.Fault {
		mu.Lock()
		defer mu.Unlock()
		ops = append(ops, call.Op)
		return kmstest.Fault{}
	})
	before := len(w.clouds.Azure.Requests())
	l, err := w.start(d.stanza, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.unsealByKMS()
	err = l.migrate(1)
	loads, swaps := l.store.Calls()
	requests := len(w.clouds.Azure.Requests()) - before // those for a token, too
	l.end()
	w.clouds.Azure.Script(nil)
	if err != nil {
		t.Fatalf("%s: %v", d.name, err)
	}
	if err := w.arrived(d); err != nil {
		t.Fatalf("%s: %v", d.name, err)
	}
	t.Logf("%s: %d swaps, %d loads, %d requests to Azure, of them calls of the key: %v", d.name, swaps, loads, requests, ops)
	if swaps < 3 || len(ops) < 1 {
		t.Fatal("too few to be a migration")
	}

	trials := 0
	left := func() bool {
		trials++
		return !all() && trials%5 != 1
	}
	for k := 1; k <= swaps; k++ {
		for _, effect := range []storetest.Effect{storetest.CrashBefore, storetest.CrashAfter} {
			if left() {
				continue
			}
			c.kills++
			c.point(t, from, d, fmt.Sprintf("killed at swap %d, effect %d", k, effect), false, func(l *life) {
				l.store.OnSwap = map[int]storetest.Fault{k: {Effect: effect}}
			})
		}
		for _, effect := range []storetest.Effect{storetest.FailBefore, storetest.FailAfter} {
			if left() {
				continue
			}
			c.storeFaults++
			c.point(t, from, d, fmt.Sprintf("swap %d fails, effect %d", k, effect), false, func(l *life) {
				l.store.OnSwap = map[int]storetest.Fault{k: {Effect: effect}}
			})
		}
	}
	for k := 1; k <= loads && *everyPoint; k++ {
		c.kills++
		c.point(t, from, d, fmt.Sprintf("killed at load %d", k), false, func(l *life) {
			l.store.OnLoad = map[int]storetest.Fault{k: {Effect: storetest.CrashBefore}}
		})
	}
	for k := 1; k <= requests; k++ {
		for _, lasting := range []bool{false, true} {
			if left() {
				continue
			}
			c.faults++
			c.point(t, from, d, fmt.Sprintf("request %d to Azure is cut, lasting %v", k, lasting), false, func(*life) {
				calls.Store(0)
				w.clouds.Azure.Intercept(func(http.ResponseWriter, *http.Request) bool {
					if n := calls.Add(1); n == int64(k) || lasting && n > int64(k) {
						panic(http.ErrAbortHandler)
					}
					return false
				})
			})
		}
	}
	for k := 1; k <= len(ops); k++ {
		c.kills++
		c.point(t, from, d, fmt.Sprintf("killed at call %d of Azure", k), false, func(l *life) {
			calls.Store(0)
			w.clouds.Azure.Script(func(kmstest.Call) kmstest.Fault {
				if calls.Add(1) == int64(k) {
					l.kill()
				}
				return kmstest.Fault{}
			})
		})
		for i, f := range kmstest.Failures() {
			if !all() && (i%len(ops) != k-1 || !d.auto && i%5 != 0) {
				continue
			}
			for _, lasting := range []bool{false, true} {
				for _, after := range []bool{false, true} {
					common := slices.Contains([]kmstest.Failure{kmstest.ServerError, kmstest.NoDNS}, f)
					if !*everyPoint && !common && (lasting || after) || !all() && lasting != after {
						continue
					}
					c.faults++
					c.point(t, from, d, fmt.Sprintf("%s at call %d of Azure, lasting %v, after %v", f, k, lasting, after), lasting && f == kmstest.WrongPlaintext, func(*life) {
						calls.Store(0)
						w.clouds.Azure.Script(func(kmstest.Call) kmstest.Fault {
							if n := calls.Add(1); n == int64(k) || lasting && n > int64(k) {
								return kmstest.Fault{Failure: f, After: after}
							}
							return kmstest.Fault{}
						})
					})
				}
			}
		}
	}
}
