package columntest

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// A Proxy stands between a driver and the socket of a server. It delays what the
// server answers, or cuts all connections at a message of the driver's.
type Proxy struct {
	Dir   string        // with a socket of the same name
	Delay time.Duration // of each answer

	server string
	l      net.Listener
	wg     sync.WaitGroup

	messages atomic.Int64
	mu       sync.Mutex
	cut      cut
	conns    map[net.Conn]bool
}

// A cut is at a message of the driver's, which does not arrive, or of which the
// answer does not.
type cut struct {
	at       int64
	answered bool
	do       func()
}

// StartProxy starts a proxy before a socket. It must be closed.
func StartProxy(socket string, delay time.Duration) (*Proxy, error) {
	dir, err := os.MkdirTemp("", "proxy")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Dir: dir, Delay: delay, server: socket, conns: map[net.Conn]bool{}}
	if p.l, err = net.Listen("unix", filepath.Join(dir, filepath.Base(socket))); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p.wg.Go(p.accept)
	return p, nil
}

// Close ends all connections.
func (p *Proxy) Close() {
	p.l.Close()
	p.Cut()
	p.wg.Wait()
	os.RemoveAll(p.Dir)
}

// CutAt has all connections cut at the nth message of the driver's from now on:
// before it gets to the server, or when the server has answered it, and before the
// driver knows. Then do is called.
func (p *Proxy) CutAt(n int64, answered bool, do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut{p.messages.Load() + n, answered, do}
}

// Cut ends all connections there are, and forgets of any other cut.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
	p.cut = cut{}
}

func (p *Proxy) accept() {
	for {
		client, err := p.l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.server)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		severed := &atomic.Bool{}
		p.wg.Go(func() { p.forward(client, server, severed) })
		p.wg.Go(func() { p.back(client, server, severed) })
	}
}

func (p *Proxy) drop(client, server net.Conn) {
	client.Close()
	server.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, client)
	delete(p.conns, server)
}

// forward brings messages to the server. Drivers write one at a time.
func (p *Proxy) forward(client, server net.Conn, severed *atomic.Bool) {
	defer p.drop(client, server)
	buf := make([]byte, 1<<20)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		message := p.messages.Add(1)
		p.mu.Lock()
		c := p.cut
		due := c.at > 0 && message >= c.at
		p.mu.Unlock()
		if due && !c.answered {
			p.sever(c)
			return
		}
		severed.Store(due)
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// back brings answers to the driver, each so much later.
func (p *Proxy) back(client, server net.Conn, severed *atomic.Bool) {
	defer p.drop(client, server)
	type chunk struct {
		data []byte
		due  time.Time
	}
	line := make(chan chunk, 1024)
	p.wg.Go(func() {
		defer client.Close()
		for c := range line {
			time.Sleep(time.Until(c.due))
			if _, err := client.Write(c.data); err != nil {
				server.Close()
			}
		}
	})
	defer close(line)
	buf := make([]byte, 1<<16)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		if severed.Load() {
			p.mu.Lock()
			c := p.cut
			p.mu.Unlock()
			if c.at > 0 {
				p.sever(c)
				return
			}
		}
		if p.Delay == 0 {
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
			continue
		}
		line <- chunk{append([]byte(nil), buf[:n]...), time.Now().Add(p.Delay)}
	}
}

func (p *Proxy) sever(c cut) {
	p.Cut()
	if c.do != nil {
		c.do()
	}
}
