package kmstest

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Fake is a KMS in memory. The zero Fake works; its exported fields are set
// before its first use. What an administrator would do to a key, its methods
// do; what goes wrong with single calls, a script says.
type Fake struct {
	// Type is the provider's name in blobs and errors. "" means "fake".
	Type string

	// Latency is how long every call takes.
	Latency time.Duration

	// Forgeable makes the Fake like RSA-OAEP: it knows no associated data, so
	// a blob opens under any binding, and its keys say that they do not
	// authenticate.
	Forgeable bool

	// DisabledWraps lets a disabled key wrap, and only refuse to unwrap, as
	// Azure Key Vault does.
	DisabledWraps bool

	mu      sync.Mutex
	keys    map[string]*keyState
	aliases map[string]string
	script  func(Call) Fault
	calls   []Call
	seen    [][]byte // the last two different keys that were wrapped

	limit, used int // calls allowed and made in the window
	per         time.Duration
	windowEnds  time.Time
}

// keyState is a key as the KMS keeps it. The versions count from 1; a destroyed
// one has no material.
type keyState struct {
	id       string
	lives    int // how often a key of this name was created
	versions []material
	disabled bool
	deletion time.Time
	expires  time.Time
}

// Key returns the key of that name, or the one that the alias names at the time
// of each call. A key that is named for the first time is created.
func (f *Fake) Key(name string) *Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.key(name)
	return &Key{fake: f, name: name}
}

// key returns the state of the key behind a name. The caller holds the lock.
func (f *Fake) key(name string) *keyState {
	if to, ok := f.aliases[name]; ok {
		name = to
	}
	k := f.keys[name]
	if k == nil {
		k = &keyState{id: name}
		k.create(f.typeName())
		if f.keys == nil {
			f.keys = make(map[string]*keyState)
		}
		f.keys[name] = k
	}
	return k
}

func (k *keyState) create(typ string) {
	*k = keyState{id: k.id, lives: k.lives + 1}
	k.rotate(typ)
}

func (k *keyState) rotate(typ string) {
	k.versions = append(k.versions, newMaterial(fmt.Sprintf("%s/%s/%d/%d", typ, k.id, k.lives, len(k.versions)+1)))
}

func (f *Fake) typeName() string {
	if f.Type == "" {
		return "fake"
	}
	return f.Type
}

// admin runs do on the key behind a name, under the lock.
func (f *Fake) admin(name string, do func(*keyState)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(f.key(name))
}

// Rotate adds a version to the key. Later wraps use it; the older ones still
// unwrap what they wrapped.
func (f *Fake) Rotate(key string) {
	f.admin(key, func(k *keyState) { k.rotate(f.typeName()) })
}

// Disable switches the key off.
func (f *Fake) Disable(key string) {
	f.admin(key, func(k *keyState) { k.disabled = true })
}

// ScheduleDeletion makes the key wait for its destruction. It cannot be used
// while it waits. The Fake does not destroy it at that time: Destroy does.
func (f *Fake) ScheduleDeletion(key string, at time.Time) {
	f.admin(key, func(k *keyState) { k.deletion = at })
}

// Expire sets when the key expires; zero is never. From then on it refuses to
// wrap, and still unwraps, as keys of Azure do.
func (f *Fake) Expire(key string, at time.Time) {
	f.admin(key, func(k *keyState) { k.expires = at })
}

func (k *keyState) expired() bool { return !k.expires.IsZero() && !time.Now().Before(k.expires) }

// Enable switches the key on again, and cancels its deletion.
func (f *Fake) Enable(key string) {
	f.admin(key, func(k *keyState) { k.disabled, k.deletion = false, time.Time{} })
}

// Destroy destroys a version of the key for good, or with version "" all of
// them. A version that the key does not have is ignored.
func (f *Fake) Destroy(key, version string) {
	f.admin(key, func(k *keyState) {
		for i := range k.versions {
			if version == "" || version == strconv.Itoa(i+1) {
				k.versions[i] = material{}
			}
		}
	})
}

// Recreate replaces the key with a new one of the same name, whose versions
// count from 1 again.
func (f *Fake) Recreate(key string) {
	f.admin(key, func(k *keyState) { k.create(f.typeName()) })
}

// Alias lets a second name stand for a key, or moves it from one key to
// another.
func (f *Fake) Alias(alias, key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.aliases == nil {
		f.aliases = make(map[string]string)
	}
	f.aliases[alias] = f.key(key).id
}

// Script lets a function decide what happens to every call from now on. It runs
// before the KMS does anything, in the goroutine that calls, and may use the
// Fake. Nil ends the script.
func (f *Fake) Script(script func(Call) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = script
}

// Limit lets the Fake throttle, as a cloud's quota does: n calls of any kind in
// each window of the given length, which begins with the first call after the
// end of the last one. A throttled call is told to come back when the window
// ends, and does not count. n = 0 ends the limit.
func (f *Fake) Limit(n int, per time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limit, f.per, f.used, f.windowEnds = n, per, 0, time.Time{}
}

// Calls returns every call that reached the Fake, in the order of arrival. A
// call whose context had ended before never did.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Count returns how many calls of an op reached the Fake, or of any with "".
func (f *Fake) Count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if op == "" || c.Op == op {
			n++
		}
	}
	return n
}

// arrive notes a call and returns what happens to it.
func (f *Fake) arrive(op, key string) (int, Fault) {
	f.mu.Lock()
	c := Call{N: len(f.calls) + 1, Op: op, Key: key, At: time.Now()}
	f.calls = append(f.calls, c)
	script, wait := f.script, f.throttle(c.At)
	f.mu.Unlock()

	if wait > 0 {
		return c.N, Fault{Failure: Throttled, RetryAfter: wait}
	}
	if script == nil {
		return c.N, Fault{}
	}
	return c.N, script(c)
}

// throttle counts a call against the limit and returns how long it must wait,
// or 0. The caller holds the lock.
func (f *Fake) throttle(now time.Time) time.Duration {
	if f.limit == 0 {
		return 0
	}
	if !now.Before(f.windowEnds) {
		f.windowEnds, f.used = now.Add(f.per), 0
	}
	if f.used >= f.limit {
		return f.windowEnds.Sub(now)
	}
	f.used++
	return 0
}

// leave notes how call n ended.
func (f *Fake) leave(n int, done bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[n-1].Done, f.calls[n-1].Err = done, err
}
