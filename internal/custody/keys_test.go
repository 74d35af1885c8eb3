package custody_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// throttled has every call to these keys told to come back after that time.
func throttled(after map[string]time.Duration) func(kmstest.Call) kmstest.Fault {
	return func(c kmstest.Call) kmstest.Fault {
		if rest, ok := after[c.Key]; ok {
			return kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: rest}
		}
		return kmstest.Fault{}
	}
}

// TestAKMSIsLeftAloneForAsLongAsItAsks: until then its last words are the answer to
// whatever it would be asked, and it is not.
func TestAKMSIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	for name, tt := range map[string]struct {
		rest  time.Duration
		calls int // that have reached it after three
	}{
		"for an hour":         {time.Hour, 1},
		"for a second":        {time.Second, 1},
		"it asks for no rest": {0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				fake := &kmstest.Fake{}
				keys := onFake(fake)
				f := fixtureOf(t, keys, shape{"a", onKMS("a")}, shape{"b", onKMS("b")})
				open := func(slot string) error {
					a, err := keys.Open(t.Context(), f.rec, f.slots[slot], nil)
					if err == nil {
						a.Wipe()
					}
					return err
				}
				fake.Script(throttled(map[string]time.Duration{"a": tt.rest}))
				before := fake.Count("")
				first := open("a")
				for _, err := range []error{first, open("a")} {
					e, ok := errors.AsType[*kms.Error](err)
					if !ok || !errors.Is(err, kms.ErrThrottled) || e.Op != "unwrap" || e.RetryAfter != tt.rest {
						t.Errorf("%v", err)
					}
					if said := strings.Contains(err.Error(), "it asked to be left alone until 2000-01-01T"); said != (err != first && tt.rest > 0) {
						t.Errorf("%v", err)
					}
				}
				// Also for what it would be asked to do otherwise.
				if _, err := keys.WrapChecked(t.Context(), "a", rootKey, kms.Binding{}); !errors.Is(err, kms.ErrThrottled) {
					t.Errorf("a wrap: %v", err)
				}
				if n := fake.Count("") - before; n != tt.calls {
					t.Errorf("%d calls reached it", n)
				}
				if err := open("b"); err != nil {
					t.Errorf("the key beside it: %v", err)
				}
				if at, want := keys.RestUntil(&f.slots["a"].Tree), time.Now().Add(tt.rest); tt.rest > 0 && !at.Equal(want) || tt.rest == 0 && !at.IsZero() {
					t.Errorf("it rests until %v", at)
				}
				fake.Script(nil)
				time.Sleep(tt.rest)
				if err := open("a"); err != nil || !keys.RestUntil(&f.slots["a"].Tree).IsZero() {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

// TestAShorterWishEndsNoLongerOne: of two calls that were under way.
func TestAShorterWishEndsNoLongerOne(t *testing.T) {
	for name, rests := range map[string][2]time.Duration{
		"the longer first":  {time.Hour, time.Minute},
		"the shorter first": {time.Minute, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				fake := &kmstest.Fake{}
				keys := onFake(fake)
				start := time.Now()
				until := start
				fake.Script(func(c kmstest.Call) kmstest.Fault {
					return kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: rests[c.N-1], Delay: time.Duration(c.N) * time.Second}
				})
				for i, rest := range rests {
					go keys.Authenticates(t.Context(), "a", kms.Binding{})
					synctest.Wait()
					if end := start.Add(time.Duration(i+1)*time.Second + rest); end.After(until) {
						until = end
					}
				}
				time.Sleep(3 * time.Second)
				leaf := record.Node{KMS: &record.Key{Name: "a"}}
				if at := keys.RestUntil(&leaf); !at.Equal(until) {
					t.Errorf("it rests until %v, want %v", at, until)
				}
			})
		})
	}
}

// TestRestUntil is when any key of a tree may be asked.
func TestRestUntil(t *testing.T) {
	rests := map[string]time.Duration{"a": time.Hour, "b": time.Minute}
	for name, tt := range map[string]struct {
		tree record.Node
		rest time.Duration // 0: none
	}{
		"one that rests":           {leaf("a"), time.Hour},
		"one that does not":        {leaf("c"), 0},
		"two that rest":            {nodes(2, leaf("a"), leaf("b")), time.Minute},
		"two, the other way round": {nodes(2, leaf("b"), leaf("a")), time.Minute},
		"one of two does not":      {nodes(2, leaf("a"), leaf("c")), 0},
		"one of three, the first":  {nodes(2, leaf("c"), leaf("a"), leaf("b")), 0},
		"in a tree within":         {nodes(1, leaf("a"), nodes(1, leaf("b"))), time.Minute},
		"people beside it":         {nodes(2, crowd, leaf("a")), time.Hour},
		"people alone":             {crowd, 0},
		"one nobody has":           {nodes(1, leaf("a"), leaf("nobody's")), time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				fake := &kmstest.Fake{}
				keys := onFake(fake)
				fake.Script(throttled(rests))
				for _, name := range []string{"a", "b", "c"} {
					keys.Authenticates(t.Context(), name, kms.Binding{})
				}
				if at := keys.RestUntil(&tt.tree); tt.rest == 0 && !at.IsZero() || tt.rest != 0 && !at.Equal(time.Now().Add(tt.rest)) {
					t.Errorf("they rest until %v, and it is %v", at, time.Now())
				}
				time.Sleep(2 * time.Hour)
				if at := keys.RestUntil(&tt.tree); !at.IsZero() {
					t.Errorf("afterwards until %v", at)
				}
			})
		})
	}
}

func leaf(name string) record.Node { return record.Node{KMS: &record.Key{Name: name}} }

func nodes(threshold int, of ...record.Node) record.Node {
	return record.Node{Threshold: &record.Tree{Threshold: threshold, Of: of}}
}

// crowd is a leaf that people hold.
var crowd = record.Node{Shamir: &record.Shares{Shares: 2, Threshold: 2, Set: 1}}

// TestOnce: one attempt a call, and what the KMS asks for is known to both.
func TestOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		fake := &kmstest.Fake{}
		keys := custody.NewKeys(map[string]kms.Wrapper{"a": fake.Key("a")}, kms.Policy{Attempts: 3}, time.Second)
		f := fixtureOf(t, keys, shape{"tree", onKMS("a")})
		once := keys.Once()
		calls := func(k *custody.Keys) int {
			before := fake.Count("")
			if _, err := k.Open(t.Context(), f.rec, f.slots["tree"], nil); !errors.Is(err, kms.ErrUnavailable) && !errors.Is(err, kms.ErrThrottled) {
				t.Errorf("%v", err)
			}
			return fake.Count("") - before
		}
		fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.NoDNS}))
		if one, three := calls(once), calls(keys); one != 1 || three != 3 {
			t.Errorf("%d attempts once, and %d otherwise", one, three)
		}
		fake.Script(throttled(map[string]time.Duration{"a": time.Hour}))
		if one, none := calls(once), calls(keys); one != 1 || none != 0 {
			t.Errorf("%d calls, and then %d of a key that asked for a rest", one, none)
		}
		if at := keys.RestUntil(&f.slots["tree"].Tree); !at.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("it rests until %v", at)
		}
	})
}

// A stub is a KMS that says of its key what a test has it say.
type stub struct {
	mirror
	probe        func(context.Context) (kms.Health, error)
	same         func(a, b string) bool
	authenticate func() bool
}

func (s stub) Probe(ctx context.Context) (kms.Health, error) { return s.probe(ctx) }
func (s stub) SameKey(a, b string) bool                      { return s.same(a, b) }
func (s stub) Authenticates(*kms.Blob) bool                  { return s.authenticate() }

// TestHealth: a key that cannot be looked at says nothing, and so does one whose
// provider is at fault.
func TestHealth(t *testing.T) {
	for name, tt := range map[string]struct {
		key   string
		plant func(*kmstest.Fake)
		ok    bool
	}{
		"it says":            {"a", func(*kmstest.Fake) {}, true},
		"it may not say":     {"a", func(f *kmstest.Fake) { f.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Denied})) }, false},
		"it does not answer": {"a", func(f *kmstest.Fake) { f.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Hang})) }, false},
		"it cannot say":      {"mirror", func(*kmstest.Fake) {}, false},
		"nobody has it":      {"nobody's", func(*kmstest.Fake) {}, false},
		"it panics":          {"panics", func(*kmstest.Fake) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				fake := &kmstest.Fake{}
				keys := keysOf(map[string]kms.Wrapper{"a": fake.Key("a"), "mirror": mirror{}, "panics": stub{probe: func(context.Context) (kms.Health, error) { panic("x") }}})
				fake.Rotate("a")
				tt.plant(fake)
				health, ok := keys.Health(t.Context(), tt.key)
				if ok != tt.ok || ok && (health.KeyID != "a" || health.Version != "2" || !health.Enabled) {
					t.Errorf("%v, %+v", ok, health)
				}
			})
		})
	}
}

// TestAuthenticates: a key that does not answer proves nothing.
func TestAuthenticates(t *testing.T) {
	place := kms.Binding{Store: storeID, Slot: "rehearsal", Path: "1"}
	for name, tt := range map[string]struct {
		key       string
		forgeable bool
		plant     kmstest.Failure
		want      bool
	}{
		"it does":          {key: "a", want: true},
		"it's forgeable":   {key: "a", forgeable: true},
		"it cannot say":    {key: "mirror"},
		"it may not wrap":  {key: "a", plant: kmstest.Denied},
		"nobody has it":    {key: "nobody's"},
		"it panics":        {key: "panics"},
		"a stub says yes":  {key: "yes", want: true},
		"a stub says no":   {key: "no"},
		"it wraps nothing": {key: "blank"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &kmstest.Fake{Forgeable: tt.forgeable}
			says := func(yes bool) stub { return stub{authenticate: func() bool { return yes }} }
			keys := keysOf(map[string]kms.Wrapper{"a": fake.Key("a"), "mirror": mirror{}, "yes": says(true), "no": says(false),
				"panics": stub{authenticate: func() bool { panic("x") }}, "blank": blank{says(true)}})
			fake.Script(kmstest.Always(kmstest.Fault{Failure: tt.plant}))
			if got := keys.Authenticates(t.Context(), tt.key, place); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
	asked := &placed{}
	keysOf(map[string]kms.Wrapper{"a": asked}).Authenticates(t.Context(), "a", place)
	if asked.at != place || asked.size != 64 {
		t.Errorf("it was asked for %d bytes at %+v", asked.size, asked.at)
	}
}

// blank wraps to a blob that names no key.
type blank struct{ stub }

func (blank) Wrap(context.Context, []byte, kms.Binding) (*kms.Blob, error) {
	return &kms.Blob{Type: "blank", Ciphertext: []byte("c")}, nil
}

// placed keeps what it was asked to wrap last.
type placed struct {
	mirror
	at   kms.Binding
	size int
}

func (p *placed) Wrap(ctx context.Context, key []byte, at kms.Binding) (*kms.Blob, error) {
	p.at, p.size = at, len(key)
	return p.mirror.Wrap(ctx, key, at)
}

// TestWrapChecked: what is wrong with a key is found before anything is stored.
func TestWrapChecked(t *testing.T) {
	for name, tt := range map[string]struct {
		key   string
		plant func(kmstest.Call) kmstest.Failure
		is    error
		says  string
	}{
		"it's well": {key: "a"},
		"it may not wrap": {key: "a", is: kms.ErrDenied, plant: func(c kmstest.Call) kmstest.Failure {
			if c.Op == kmstest.OpWrap {
				return kmstest.Denied
			}
			return kmstest.None
		}},
		"it may only wrap": {key: "a", is: kms.ErrDenied, plant: func(c kmstest.Call) kmstest.Failure {
			if c.Op == kmstest.OpUnwrap {
				return kmstest.Denied
			}
			return kmstest.None
		}},
		"it lies":            {key: "a", is: kms.ErrCorrupt, plant: func(kmstest.Call) kmstest.Failure { return kmstest.WrongPlaintext }, says: "another key than it had wrapped"},
		"it names no key":    {key: "blank", is: kms.ErrCorrupt, says: "answered without a blob"},
		"nobody has it":      {key: "nobody's", is: kms.ErrMisconfigured, says: "the configuration has none of that name"},
		"its provider fails": {key: "panics", is: kms.ErrMisconfigured, says: "the provider is at fault"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &kmstest.Fake{}
			keys := keysOf(map[string]kms.Wrapper{"a": fake.Key("a"), "blank": blank{}, "panics": &broken{}})
			if tt.plant != nil {
				fake.Script(func(c kmstest.Call) kmstest.Fault { return kmstest.Fault{Failure: tt.plant(c)} })
			}
			blob, err := keys.WrapChecked(t.Context(), tt.key, rootKey, kms.Binding{Store: storeID})
			if !errors.Is(err, tt.is) || (blob == nil) != (tt.is != nil) || blob != nil && blob.KeyID != "a" {
				t.Fatalf("%v, want %v", err, tt.is)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), `KMS "`+tt.key+`"`)) {
				t.Errorf("%v, without %q", err, tt.says)
			}
		})
	}
}

// broken is a provider that panics, or never comes back before its lock is opened.
type broken struct {
	lock chan struct{}

	mu      sync.Mutex
	answers [][]byte // what its calls answer then
}

func (b *broken) Wrap(context.Context, []byte, kms.Binding) (*kms.Blob, error) { panic("x") }

func (b *broken) Unwrap(context.Context, *kms.Blob, kms.Binding) ([]byte, error) {
	late := bytes.Clone(rootKey)
	b.mu.Lock()
	b.answers = append(b.answers, late)
	b.mu.Unlock()
	<-b.lock
	return late, nil
}

// TestAKMSThatHangs is given up on, and asked no more where too many of its calls hang;
// what it answers then is wiped.
func TestAKMSThatHangs(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFixture(t, shape{"tree", onKMS("a")})
		b := &broken{lock: make(chan struct{})}
		keys := keysOf(map[string]kms.Wrapper{"a": b})
		const most = 16
		for i := range most + 2 {
			_, err := keys.Open(t.Context(), f.rec, f.slots["tree"], nil)
			why := bounded.ErrNoAnswer
			if i >= most {
				why = bounded.ErrBusy
			}
			if !errors.Is(err, kms.ErrUnavailable) || !errors.Is(err, why) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		close(b.lock)
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.answers) != most {
			t.Errorf("it was called %d times", len(b.answers))
		}
		for _, key := range b.answers {
			if !bytes.Equal(key, make([]byte, len(key))) {
				t.Fatal("a key is still in memory")
			}
		}
	})
}

// TestWhyACallWasCutShort: where the context ended for a reason, as by a Seal, the
// error is that too.
func TestWhyACallWasCutShort(t *testing.T) {
	virtual(t, func(t *testing.T) {
		fake := &kmstest.Fake{}
		keys := onFake(fake)
		f := fixtureOf(t, keys, shape{"tree", onKMS("a")})
		fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Hang}))
		sealed := errors.New("sealed")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(sealed) })
		if _, err := keys.Open(ctx, f.rec, f.slots["tree"], nil); !errors.Is(err, sealed) || !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	})
}
