package storetest

import (
	"errors"
	"net"
	"sync"
	"testing"
)

// A Wire is what lies between a store and its backend, and loses answers, or keeps
// them back, where it is told to: a forwarder on loopback, for [RunLostAnswers].
// Make it with [NewWire].
type Wire struct {
	listener         net.Listener
	network, backend string

	mu    sync.Mutex
	on    *sync.Cond // tells of hung and ended
	lose  int
	hung  bool
	conns map[net.Conn]bool
	ended bool
}

// NewWire returns a wire to the backend at an address, as net.Dial takes it, until
// the test ends. The store under test connects to [Wire.Addr] in its place.
func NewWire(t testing.TB, network, address string) *Wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	w := &Wire{listener: l, network: network, backend: address, conns: map[net.Conn]bool{}}
	w.on = sync.NewCond(&w.mu)
	var wg sync.WaitGroup
	wg.Go(func() { w.accept(&wg) })
	t.Cleanup(func() {
		l.Close()
		w.end()
		wg.Wait()
	})
	return w
}

// Addr returns the host and the port that the store connects to.
func (w *Wire) Addr() string { return w.listener.Addr().String() }

// Lose has the n-th answer from now on be lost, on whichever connection it comes:
// what the backend sends at once is an answer, and instead of it the store finds its
// connection closed. Zero has none be lost.
func (w *Wire) Lose(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lose = n
}

// Hang has every answer be kept back from now on, as where a backend does not
// answer, or come again.
func (w *Wire) Hang(hung bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hung = hung
	w.on.Broadcast()
}

func (w *Wire) accept(wg *sync.WaitGroup) {
	for {
		store, err := w.listener.Accept()
		if err != nil {
			return
		}
		backend, err := net.Dial(w.network, w.backend)
		if err != nil {
			store.Close()
			continue
		}
		w.keep(store, backend)
		wg.Go(func() { w.forward(backend, store, func() bool { return false }) })
		wg.Go(func() { w.forward(store, backend, w.lost) })
	}
}

// forward forwards what comes from one side to the other, until either is closed
// or something is lost; then it closes both.
func (w *Wire) forward(to, from net.Conn, lost func() bool) {
	defer w.drop(to, from)
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && lost() {
			return
		}
		if _, failed := to.Write(buf[:n]); errors.Join(err, failed) != nil {
			return
		}
	}
}

// lost counts an answer and reports whether it is the one to lose, once it may
// come at all.
func (w *Wire) lost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.hung && !w.ended {
		w.on.Wait()
	}
	if w.lose == 0 {
		return false
	}
	w.lose--
	return w.lose == 0
}

func (w *Wire) keep(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		w.conns[c] = true
		if w.ended {
			c.Close()
		}
	}
}

func (w *Wire) drop(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(w.conns, c)
	}
}

// end closes whatever is open, and what is opened later.
func (w *Wire) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.on.Broadcast()
	for c := range w.conns {
		c.Close()
	}
}
