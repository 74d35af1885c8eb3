package keyring

import (
	"sync/atomic"
	"unsafe"
)

// A gate counts who is inside, on many counters so that readers on different
// cores do not touch the same memory.
//
// A reader enters the gate of what it found behind a pointer, and looks again:
// if the pointer has moved on, it leaves and starts anew. Whoever replaces the
// pointer waits until the old gate is idle; whoever enters it later leaves
// without touching what it guards. So what the gate guards can be wiped once
// the pointer has moved and the gate was seen idle.
type gate [lanes]lane

const lanes = 64

// A lane is a counter of a gate, alone on its cache lines. entered and left
// only grow; a reader inside is the difference.
type lane struct {
	entered atomic.Uint64
	left    atomic.Uint64
	granted atomic.Uint64 // in an epoch: what entered may grow to
	_       [128 - 24]byte
}

// lane returns the lane of the calling goroutine, taken from the address of
// its stack: the same goroutine comes back to memory that its core has, and
// two goroutines seldom share one.
func (g *gate) lane() *lane {
	var here byte
	page := uint64(uintptr(unsafe.Pointer(&here))) >> 11 // 2 KiB, the smallest stack
	return &g[page*0x9e3779b97f4a7c15>>58]
}

// idle reports whether nobody is inside. Reading left first makes it exact:
// when entered is not above it afterwards, it was not at that moment either.
func (g *gate) idle() bool {
	for i := range g {
		left := g[i].left.Load()
		if g[i].entered.Load() != left {
			return false
		}
	}
	return true
}
