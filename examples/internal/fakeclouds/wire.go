package fakeclouds

import (
	"io"
	"net"
	"sync"
)

// A Wire leads from an address of its own to another. While it is unplugged
// nobody listens there.
type Wire struct {
	addr, to string

	mu       sync.Mutex
	listener net.Listener // nil: unplugged
	conns    map[net.Conn]bool
}

// NewWire returns a Wire to an address, plugged in.
func NewWire(to string) (*Wire, error) {
	w := &Wire{addr: "127.0.0.1:0", to: to, conns: map[net.Conn]bool{}}
	return w, w.Plug()
}

// Addr is where the Wire begins.
func (w *Wire) Addr() string { return w.addr }

// Plug lets the Wire listen, at the same address as before.
func (w *Wire) Plug() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", w.addr)
	if err != nil {
		return err
	}
	w.listener, w.addr = l, l.Addr().String()
	go w.serve(l)
	return nil
}

// Unplug ends all connections, and lets nobody in.
func (w *Wire) Unplug() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listener == nil {
		return
	}
	w.listener.Close()
	w.listener = nil
	for c := range w.conns {
		c.Close()
	}
	clear(w.conns)
}

func (w *Wire) serve(l net.Listener) {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.to)
		if err != nil {
			near.Close()
			continue
		}
		if !w.keep(l, near, far) {
			near.Close()
			far.Close()
			continue
		}
		go pipe(near, far)
		go pipe(far, near)
	}
}

// keep notes connections for Unplug; it reports false if that came first.
func (w *Wire) keep(l net.Listener, conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listener != l {
		return false
	}
	for _, c := range conns {
		w.conns[c] = true
	}
	return true
}

func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from) // however it ends, both ends do
	to.Close()
	from.Close()
}
