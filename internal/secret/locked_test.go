package secret

import (
	"bytes"
	"sync"
	"testing"
)

// unused are the process's pools as they are before any test has taken from them.
var unused = locked.pools

// newLocker returns a locker over ordinary memory, which fails from the given
// call on.
func newLocker(fails int, got Posture) *locker {
	calls := 0
	return &locker{pools: unused, lock: func(n int) ([]byte, Posture) {
		if calls++; calls >= fails {
			return nil, got
		}
		return make([]byte, n), Posture{Locked: true, Undumpable: true}
	}}
}

func TestLockedPlaces(t *testing.T) {
	l := newLocker(1000, Posture{})
	seen, taken := map[*byte]bool{}, [][]byte{}
	for i := 0; ; i++ {
		size := []int{1, 32, 64, 65, 760, 768}[i%6]
		b := l.alloc(size)
		if b == nil && i > 1000 {
			break
		}
		if len(b) != size || !bytes.Equal(b[:cap(b)], make([]byte, cap(b))) || seen[&b[0]] {
			t.Fatalf("place %d of %d bytes: %d bytes, seen %v", i, size, len(b), seen[&b[0]])
		}
		seen[&b[0]] = true
		for j := range b[:cap(b)] {
			b[:cap(b)][j] = byte(i) | 1
		}
		taken = append(taken, b)
	}
	for i, b := range taken {
		if want := bytes.Repeat([]byte{byte(i) | 1}, cap(b)); !bytes.Equal(b[:cap(b)], want) {
			t.Fatalf("place %d overlaps another", i)
		}
	}
	if p := l.state(); p.Locked || p.Undumpable || p.Reason == "" {
		t.Errorf("when all places are taken: %+v", p)
	}
	for _, b := range taken {
		clear(b[len(b):cap(b)])
		l.release(b)
		l.release(b) // twice: it is not handed out twice
		if !bytes.Equal(b, make([]byte, len(b))) {
			t.Fatal("not cleared")
		}
	}
	again := map[*byte]bool{}
	for range taken {
		b := l.alloc(768)
		if b == nil {
			break
		}
		if !seen[&b[0]] || again[&b[0]] {
			t.Fatal("a place was handed out twice")
		}
		again[&b[0]] = true
	}
	if len(again) != 96*(chunkSize/768) {
		t.Errorf("%d places", len(again))
	}
}

func TestLockedBounds(t *testing.T) {
	l := newLocker(1000, Posture{})
	for _, n := range []int{-1, 0, MaxLocked + 1} {
		if b := l.alloc(n); b != nil {
			t.Errorf("%d bytes: %d", n, len(b))
		}
	}
	l.release(nil)
	l.release(make([]byte, 5))
}

// TestNothingLocked goes on without, and asks no more.
func TestNothingLocked(t *testing.T) {
	for fails := 1; fails < 4; fails++ {
		l := newLocker(fails, Posture{Reason: "no such memory"})
		n := 0
		for range 1000 {
			if l.alloc(MaxLocked) != nil {
				n++
			}
		}
		if want := (fails - 1) * (chunkSize / MaxLocked); n != want {
			t.Errorf("%d places, want %d", n, want)
		}
		if p := l.state(); p != (Posture{Reason: "no such memory"}) {
			t.Errorf("%+v", p)
		}
	}
	half := newLocker(1, Posture{Undumpable: true, Reason: "mlock: not permitted"})
	if p := half.state(); p != (Posture{Undumpable: true, Reason: "mlock: not permitted"}) {
		t.Errorf("half: %+v", p)
	}
}

func TestKeep(t *testing.T) {
	for _, n := range []int{0, 32, MaxLocked, MaxLocked + 1} {
		b := bytes.Repeat([]byte{7}, n)
		kept := Keep(b)
		if !bytes.Equal(kept, b) || n > 0 && &kept[0] == &b[0] {
			t.Errorf("%d bytes: kept %d", n, len(kept))
		}
		Free(kept)
		if !bytes.Equal(kept, make([]byte, n)) || n > 0 && b[0] != 7 {
			t.Errorf("%d bytes: freed %x, of %x", n, kept, b)
		}
	}
}

func TestLockedInParallel(t *testing.T) {
	var wg sync.WaitGroup
	for i := range byte(8) {
		wg.Go(func() {
			for range 1000 {
				b := Keep(bytes.Repeat([]byte{i}, 32))
				if !bytes.Equal(b, bytes.Repeat([]byte{i}, 32)) {
					t.Error("shared with another")
				}
				Free(b)
			}
		})
	}
	wg.Wait()
}
