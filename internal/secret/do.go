package secret

// Do calls f, which works on secrets, and clears what it left on the stack.
//
// A build with GOEXPERIMENT=runtimesecret, on Linux on amd64 or arm64, clears
// the registers as well, and what f allocated once nothing refers to it.
// Goroutines that f starts are their own concern.
func Do(f func()) {
	BurnStack()
	defer BurnStack()
	erasing(f)
}

// burnSize is more than any function that works on secrets needs, together with
// those it calls.
const burnSize = 64 << 10

// BurnStack overwrites the stack below its caller. It is called after the work
// on secrets, which have been there, and before: a stack that had to grow
// meanwhile would be left behind as it is.
//
//go:noinline
func BurnStack() {
	var frame [burnSize]byte // which the compiler clears: what it calls may read it
	burn(&frame)
}

//go:noinline
func burn(frame *[burnSize]byte) byte { return frame[0] }
