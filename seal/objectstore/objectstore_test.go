package objectstore_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/objectstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

func open(t testing.TB, b objectstore.Bucket) *objectstore.Store {
	t.Helper()
	s, err := objectstore.New(b, objectstore.Config{Key: "key", PollInterval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) seal.Store {
		m := newMemory()
		return storetest.Turns(open(t, m), open(t, m))
	})
}

func TestUnreachable(t *testing.T) {
	storetest.RunUnreachable(t, func(t *testing.T) seal.Store {
		return open(t, &memory{down: errors.New("out of reach")})
	})
}

// What stands in the object is for ever: one that was put once is read, and what is
// put looks like it.
func TestFormat(t *testing.T) {
	m := newMemory()
	m.objects["key"] = object{content: []byte("00112233445566778899aabbccddeeff\nrecord\n\x00"), tag: `"a-tag"`}
	s := open(t, m)
	rec, rev, err := s.Load(t.Context())
	if want := `00112233445566778899aabbccddeeff-"a-tag"`; string(rec) != "record\n\x00" || rev != want || err != nil {
		t.Fatalf("Load = %q at %q, %v; want it at %q", rec, rev, err, want)
	}
	if _, err := s.Swap(t.Context(), []byte("the next"), rev); err != nil {
		t.Fatal(err)
	}
	if content := m.objects["key"].content; !regexp.MustCompile("^[0-9a-f]{32}\nthe next$").Match(content) {
		t.Errorf("the object is %q", content)
	}
}

// What is not a record is not told as a store that is away, which would come back by
// itself.
func TestAForeignObjectIsNoStoreThatIsAway(t *testing.T) {
	m := newMemory()
	m.objects["key"] = object{content: []byte("a record of another program"), tag: "1"}
	b, err := seal.Open(seal.Config{Store: open(t, m)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.Unseal(t.Context())
	if why := b.Status().Reason; !errors.Is(why, seal.ErrCorrupt) || errors.Is(why, seal.ErrStoreUnavailable) || !strings.Contains(why.Error(), "something else") {
		t.Errorf("the server is sealed because %v, want seal.ErrCorrupt", why)
	}
}

func TestAForeignObject(t *testing.T) {
	for _, content := range []string{"", "\n", "a record of another program", strings.Repeat("g", 32) + "\n", strings.Repeat("a", 32)} {
		m := newMemory()
		m.objects["key"] = object{content: []byte(content), tag: "1"}
		s := open(t, m)
		if rec, rev, err := s.Load(t.Context()); !errors.Is(err, objectstore.ErrForeign) || !errors.Is(err, seal.ErrCorrupt) {
			t.Errorf("Load of %q = %q at %q, %v; want ErrForeign", content, rec, rev, err)
		}
		if _, err := s.Swap(t.Context(), []byte("ours"), ""); !errors.Is(err, seal.ErrConflict) {
			t.Errorf("Swap over %q: %v, want seal.ErrConflict", content, err)
		}
	}
	m := newMemory()
	m.objects["key"] = object{content: []byte(strings.Repeat("a", 32) + "\n" + strings.Repeat("x", seal.MaxRecordSize+1)), tag: "1"}
	if _, _, err := open(t, m).Load(t.Context()); !errors.Is(err, seal.ErrCorrupt) {
		t.Errorf("Load of an object that is too large: %v, want seal.ErrCorrupt", err)
	}
}

// Something on the way sends what got no answer a second time.
func TestAPutThatWasSentTwiceIsNoConflict(t *testing.T) {
	m := newMemory()
	s := open(t, m)
	if err := s.Prove(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.twice = true
	first, err := s.Swap(t.Context(), []byte("one"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), []byte("two"), first); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), []byte("three"), first); !errors.Is(err, seal.ErrConflict) {
		t.Errorf("a stale Swap: %v, want seal.ErrConflict", err)
	}
}

func TestAServerWithoutConditionsIsRefused(t *testing.T) {
	for _, fault := range []struct {
		name  string
		spoil func(m *memory)
		seen  string
	}{
		{"every condition ignored", func(m *memory) { m.blind = func(string) bool { return true } }, "racing creates"},
		{"If-None-Match ignored", func(m *memory) { m.blind = func(old string) bool { return old == "" } }, "racing creates"},
		{"If-Match ignored", func(m *memory) { m.blind = func(old string) bool { return old != "" } }, "racing swaps"},
		{"If-Match ignored where nothing is", func(m *memory) {
			m.blind = func(old string) bool { return old != "" && len(m.objects) == 0 }
		}, "a swap after a delete"},
		{"stale reads", func(m *memory) { m.stale = true }, "something else than the winner wrote"},
		{"one tag for all", func(m *memory) { m.sameTag = true }, "more than one won"},
		{"a delete that does nothing", func(m *memory) { m.undead = true }, "still found the object"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			m := newMemory()
			fault.spoil(m)
			s := open(t, m)
			for range 2 { // it is refused from then on
				_, err := s.Swap(t.Context(), []byte("one"), "")
				if !errors.Is(err, objectstore.ErrNoConditions) || errors.Is(err, seal.ErrConflict) || !strings.Contains(fmt.Sprint(err), fault.seen) {
					t.Errorf("Swap: %v, want ErrNoConditions with %q", err, fault.seen)
				}
				m.blind, m.stale, m.sameTag = nil, false, false
			}
			if m.puts["key"] != 0 {
				t.Error("something was written to the record")
			}
			if len(m.objects) != 0 && !m.undead {
				t.Errorf("the proof left %d objects", len(m.objects))
			}
		})
	}
}

// A server that can't be reached proves nothing, and is asked again.
func TestAProofThatWasInterrupted(t *testing.T) {
	m := newMemory()
	m.failPut = errors.New("out of reach")
	s := open(t, m)
	if _, err := s.Swap(t.Context(), []byte("one"), ""); !errors.Is(err, m.failPut) || errors.Is(err, objectstore.ErrNoConditions) {
		t.Errorf("Swap: %v, want the cause", err)
	}
	m.failPut, m.noDelete = nil, errors.New("no right to delete")
	if _, err := s.Swap(t.Context(), []byte("one"), ""); !errors.Is(err, m.noDelete) || !strings.Contains(fmt.Sprint(err), "not proved its conditions yet") {
		t.Errorf("Swap without a right to delete: %v, want the cause", err)
	}
	m.noDelete, m.objects = nil, map[string]object{}
	if _, err := s.Swap(t.Context(), []byte("one"), ""); err != nil {
		t.Error(err)
	}
	proved := m.writes
	_, rev, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), []byte("two"), rev); err != nil || m.writes != proved+1 || len(m.objects) != 1 {
		t.Errorf("the second Swap: %v, %d writes, %d objects; want one of the record alone", err, m.writes-proved, len(m.objects))
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		s, err := objectstore.New(m, objectstore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		changed, ended := make(chan struct{}, 1), make(chan error, 1)
		go func() { ended <- s.Watch(ctx, changed) }()
		<-changed
		if _, err := s.Swap(t.Context(), []byte("one"), ""); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		<-changed
		if after := time.Since(began); after > 5*time.Second {
			t.Errorf("the change was told after %s", after)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v, want context.Canceled", err)
		}
	})
}

func TestConfig(t *testing.T) {
	if _, err := objectstore.New(nil, objectstore.Config{}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("New without a bucket: %v, want seal.ErrConfig", err)
	}
	if _, err := objectstore.New(newMemory(), objectstore.Config{PollInterval: -1}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("New with a negative interval: %v, want seal.ErrConfig", err)
	}
}
