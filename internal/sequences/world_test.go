package sequences_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"pgregory.net/rapid"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// A world is processes over one store and one KMS, with the oracle beside them.
type world struct {
	*oracle
	mem    *seal.MemStore
	store  seal.Store // mem, or what is planted around it
	cloud  *kmstest.Fake
	procs  []*process
	sets   []*set       // every one that was handed out
	other  []seal.Share // of another store
	values []value
	past   []moment // the records of the store, the present one last
	steps  *tally
}

// A process is one replica in one life.
type process struct {
	*mind
	b      *seal.Barrier
	faulty *storetest.Faulty
	door   *door
}

// GoString is how rapid shows it.
func (p *process) GoString() string { return fmt.Sprint("replica ", p.n) }

// A door lets something happen between the load and the swap of a process.
type door struct {
	seal.Store
	between func()
}

func (d *door) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if f := d.between; f != nil {
		d.between = nil
		f()
	}
	return d.Store.Swap(ctx, rec, old)
}

type value struct {
	term   uint32
	text   string
	sealed []byte
}

type moment struct {
	stored []byte
	t      *truth
}

// A tally counts what the sequences did, over all of them.
type tally struct {
	sequences, steps, refused, crashes, races, decrypted, opened int
}

var keyNames = []string{"a", "b"}

func newWorld(t *rapid.T, plant func(seal.Store) seal.Store, steps *tally) *world {
	w := &world{oracle: &oracle{up: map[string]bool{}}, mem: seal.NewMemStore(), cloud: &kmstest.Fake{}, steps: steps}
	w.store = plant(w.mem)
	for _, name := range keyNames {
		w.up[name] = true
	}
	for n := range 3 {
		p := &process{mind: &mind{n: n}}
		w.procs, w.replicas = append(w.procs, p), append(w.replicas, p.mind)
		w.start(t, p)
	}
	t.Cleanup(func() {
		for _, p := range w.procs {
			p.b.Close()
		}
	})
	return w
}

// start gives a process a new life, after a crash too.
func (w *world) start(t *rapid.T, p *process) {
	if p.b != nil {
		p.b.Close()
	}
	p.forget()
	p.mark, p.away, p.plan = nil, false, nil
	p.door = &door{Store: w.store}
	p.faulty = &storetest.Faulty{Inner: p.door, OnSwap: map[int]storetest.Fault{}}
	p.b = w.open(t, p.faulty, fmt.Sprint("replica-", p.n))
}

func (w *world) open(t *rapid.T, store seal.Store, name string) *seal.Barrier {
	wrappers := map[string]kms.Wrapper{}
	for _, name := range keyNames {
		wrappers[name] = w.cloud.Key(name)
	}
	b, err := seal.Open(seal.Config{Store: store, KMS: wrappers, Replica: name, Retry: kms.Policy{Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// do makes a call, has the oracle make it too, and compares the two. Something
// may go wrong at one of the call's swaps.
func (w *world) do(t *rapid.T, p *process, what string, swaps int, call, oracle func() error) {
	t.Helper()
	w.steps.steps++
	p.plan, p.swaps = map[int]storetest.Effect{}, 0
	if one(t, 6, "fault") {
		effect := pick(t, []storetest.Effect{storetest.CrashBefore, storetest.CrashAfter, storetest.FailBefore, storetest.FailAfter}, "effect")
		at := rapid.IntRange(1, swaps).Draw(t, "at swap")
		_, before := p.faulty.Calls()
		p.plan[at] = effect
		p.faulty.OnSwap[before+at] = storetest.Fault{Effect: effect}
	}
	err := call()
	want := oracle()
	clear(p.faulty.OnSwap)
	w.compare(t, p, what, err, want)
}

// compare holds an answer against the oracle's.
func (w *world) compare(t *rapid.T, p *process, what string, err, want error) {
	t.Helper()
	dead := want == errDead
	if dead != p.faulty.Crashed() {
		t.Fatalf("%s on replica %d: died %t, want %t: %v", what, p.n, p.faulty.Crashed(), dead, err)
	}
	switch {
	case dead: // it may not have noticed
	case want == errAny:
		if err == nil {
			t.Fatalf("%s on replica %d: succeeded, want %v", what, p.n, want)
		}
	case want == nil && err != nil, !errors.Is(err, want):
		t.Fatalf("%s on replica %d: %v, want %v", what, p.n, err, want)
	}
	if want != nil {
		w.steps.refused++
	}
	t.Logf("%s on replica %d: %v", what, p.n, err)
	w.remember(t)
	if dead {
		w.steps.crashes++
		w.start(t, p)
	}
}

var idInRecord = regexp.MustCompile(`"operation":\{"id":"([^"]*)"`)

// remember keeps the record that is stored now, and learns from it the id of an
// operation whose beginner died before it could say it.
func (w *world) remember(t *rapid.T) {
	if w.now == nil || len(w.past) > 0 && w.past[len(w.past)-1].t == w.now {
		return
	}
	stored, _, err := w.mem.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if id := idInRecord.FindSubmatch(stored); id != nil && w.now.op != nil && w.now.op.id == "" {
		w.now.op.id = seal.OperationID(id[1])
	}
	w.past = append(w.past, moment{stored, w.now})
}

// handOut keeps the shares of a delivery for their custodians.
func (w *world) handOut() {
	if w.now == nil {
		return
	}
	for _, s := range w.now.slots {
		if s.set != nil && s.set.shares != nil && !slices.Contains(w.sets, s.set) {
			w.sets = append(w.sets, s.set)
		}
	}
}

// check holds every process against the oracle.
func (w *world) check(t *rapid.T) {
	t.Helper()
	w.handOut()
	for _, p := range w.procs {
		s := p.b.Status()
		if s.Sealed != (p.view == nil) {
			t.Fatalf("replica %d: sealed %t, want %t: %v", p.n, s.Sealed, p.view == nil, s.Reason)
		}
		want := uint64(0)
		if p.mark != nil {
			want = p.mark.generation
		}
		if s.Generation != want {
			t.Fatalf("replica %d: generation %d, want %d", p.n, s.Generation, want)
		}
		if p.view == nil {
			if _, err := p.b.Keyring().Encrypt(nil, []byte("x"), nil); !errors.Is(err, seal.ErrSealed) {
				t.Fatalf("replica %d encrypts while sealed: %v", p.n, err)
			}
			continue
		}
		if got, want := describe(s), p.view.String(); got != want {
			t.Fatalf("replica %d has\n%s\nwant\n%s", p.n, got, want)
		}
		w.decrypts(t, fmt.Sprint("replica ", p.n), p.b, p.view)
	}
}

// decrypts checks every value ever encrypted: those under terms that the record
// holds come back, no other does.
func (w *world) decrypts(t *rapid.T, who string, b *seal.Barrier, view *truth) {
	t.Helper()
	for _, v := range w.values {
		got, err := b.Keyring().Decrypt(nil, v.sealed, []byte(v.text))
		switch {
		case view.terms[v.term] && (err != nil || !bytes.Equal(got, []byte(v.text))):
			t.Fatalf("%s: %q under term %d: %q, %v", who, v.text, v.term, got, err)
		case !view.terms[v.term] && !errors.Is(err, keyring.ErrUnknownTerm):
			t.Fatalf("%s: term %d is not in the record: %v", who, v.term, err)
		}
		w.steps.decrypted++
	}
}

func describe(s seal.Status) (out string) {
	for _, o := range s.Slots {
		out += fmt.Sprintf("slot %s %s %s %d\n", o.Name, o.State, o.Spec, len(o.Sets))
	}
	for _, o := range s.Terms {
		out += fmt.Sprintf("term %d active=%t\n", o.Number, o.State == seal.TermActive)
	}
	if o := s.Operation; o != nil {
		out += fmt.Sprintf("operation %s %s %q %s\n", o.ID, o.Kind, o.Slot, o.Replica)
	}
	return out
}

// String is what Status must say of the record.
func (t *truth) String() (out string) {
	for _, s := range t.slots {
		out += fmt.Sprintf("slot %s %s %s %d\n", s.name, s.state, s.shape.spec(), min(1, s.shape.k))
	}
	for n := range t.lastTerm + 1 {
		if t.terms[n] {
			out += fmt.Sprintf("term %d active=%t\n", n, n == t.active)
		}
	}
	if o := t.op; o != nil {
		out += fmt.Sprintf("operation %s %s %q replica-%d\n", o.id, o.kind, o.slot, o.replica)
	}
	return out
}

// custodians has each slot's own people and keys open the stored record, in a
// process of their own: those of active and initial slots must, and all that is
// under its terms decrypts. Pending ones must not.
func (w *world) custodians(t *rapid.T) {
	ctx := context.Background()
	if w.now == nil {
		return
	}
	for _, name := range keyNames {
		w.cloud.Disable(name)
	}
	opened := 0
	for i := range w.now.slots {
		s := &w.now.slots[i]
		if s.set != nil && s.set.shares == nil {
			continue // nobody ever had them
		}
		if s.shape.kms != "" {
			w.cloud.Enable(s.shape.kms)
		}
		store := seal.NewMemStore() // a copy: to open it may prove the slot
		stored := w.past[len(w.past)-1].stored
		if _, err := store.Swap(ctx, stored, ""); err != nil {
			t.Fatal(err)
		}
		b := w.open(t, store, "custodians")
		err := b.Unseal(ctx)
		for x := range s.shape.k {
			_, err = b.Submit(ctx, s.set.shares[x], seal.By{})
		}
		pending := s.state == seal.SlotPending && !w.sharesKey(s) && !(s.shape.k > 0 && w.now.asks(s))
		if open := !b.Status().Sealed; open == pending {
			t.Fatalf("the custodians of slot %q, %s, open the store: %t: %v", s.name, s.state, open, err)
		}
		if !b.Status().Sealed {
			w.decrypts(t, "the custodians of slot "+s.name, b, w.now)
			opened++
		}
		b.Close()
		if s.shape.kms != "" {
			w.cloud.Disable(s.shape.kms)
		}
	}
	if opened == 0 && w.now.proven() {
		t.Fatalf("nobody opens the store:\n%s", w.now)
	}
	w.steps.opened += opened
	for _, name := range keyNames {
		if w.up[name] {
			w.cloud.Enable(name)
		}
	}
}

// sharesKey reports whether another slot opens with the KMS key of this one
// alone.
func (w *world) sharesKey(s *slot) bool {
	return slices.ContainsFunc(w.now.slots, func(o slot) bool {
		return o.state != seal.SlotPending && o.shape.k == 0 && o.shape.kms == s.shape.kms
	})
}
