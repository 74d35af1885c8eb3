package transitengine

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// requestBound bounds what a request may take, whatever the store does: less
// than the minute for which the tools wait.
const requestBound = 50 * time.Second

// handler is what New returns.
type handler struct {
	Config
	origin  *http.CrossOriginProtection
	buffers sync.Pool // of *[]byte, cleared
}

// A call is one request, while it is answered.
type call struct {
	h      *handler
	r      *http.Request
	ctx    context.Context
	method string // POST is PUT, and a GET that wants a list is LIST
	name   string // of the key; "" where none is concerned
	rest   string // what stands in the path behind it, or in its place

	fields fields
	known  []string // the fields that were asked for
	out    []byte   // the answer's data, in JSON
	code   int      // of a success: 200 if zero
	notes  []string

	bound                 bound
	body, scratch, result *[]byte

	fewFields [12]field // room, so that most requests need no other
	fewKnown  [16]string
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{h: h, r: r, ctx: r.Context()}
	c.fields, c.known = c.fewFields[:0], c.fewKnown[:0]
	defer c.wipe()
	action, err := c.serve(w)
	if (err != nil || action.changes()) && h.OnEvent != nil {
		h.emit(r, action, c.name, err)
	}
	if err != nil {
		c.refuse(w, err)
		return
	}
	c.answer(w)
}

// serve does what a request wants.
func (c *call) serve(w http.ResponseWriter) (Action, error) {
	rt, err := c.route()
	switch {
	case err != nil:
		return "", err
	case c.h.Sealed() != nil:
		return rt.action, errSealed
	case c.h.origin.Check(c.r) != nil:
		return rt.action, errDenied
	}
	if ns := strings.Trim(c.r.Header.Get("X-Vault-Namespace"), "/"); ns != "" && ns != "root" {
		return rt.action, badRequest("namespaces are not supported here: leave out -namespace (X-Vault-Namespace)")
	}
	if c.r.Header.Get("X-Vault-Wrap-Ttl") != "" { // what was to be wrapped never leaves in clear
		return rt.action, badRequest("response wrapping is not supported here: leave out -wrap-ttl (X-Vault-Wrap-TTL)")
	}
	if err := c.authorize(rt.action); err != nil {
		return rt.action, err
	}
	if c.method == http.MethodPut {
		if err := c.read(w); err != nil {
			return rt.action, err
		}
	}
	if rt.slow {
		c.bound.Context = c.ctx
		c.ctx = &c.bound
		defer c.bound.end()
	}
	return rt.action, rt.act(c)
}

// read reads the body and its fields.
func (c *call) read(w http.ResponseWriter) error {
	c.body = c.h.buffer()
	b := *c.body
	limit := c.h.MaxBody
	if c.r.ContentLength > limit {
		return errTooLarge
	}
	b = slices.Grow(b, int(min(max(c.r.ContentLength, 0), 1<<20))+1)
	for {
		n, err := c.r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		*c.body = b
		switch {
		case int64(len(b)) > limit:
			return errTooLarge
		case err == io.EOF:
			c.fields, err = parse(b, c.fields)
			return err
		case err != nil:
			return badRequest("the body ended early")
		}
		if len(b) == cap(b) {
			larger := append(make([]byte, 0, 4*cap(b)), b...)
			clear(b)
			b = larger
		}
	}
}

// field returns one of the body's fields, and notes that it is known here.
func (c *call) field(name string) value {
	c.known = append(c.known, name)
	return c.fields.get(name)
}

// buffer returns an empty buffer, for what is wiped when the call ends.
func (h *handler) buffer() *[]byte {
	if b, ok := h.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, 4<<10)
	return &b
}

// keepBuffers is the largest buffer that is kept for the next call.
const keepBuffers = 64 << 10

// wipe clears what plaintexts and keys passed through.
func (c *call) wipe() {
	clear(c.out[:cap(c.out)])
	for _, b := range []*[]byte{c.body, c.scratch, c.result} {
		if b == nil {
			continue
		}
		clear((*b)[:cap(*b)])
		*b = (*b)[:0]
		if cap(*b) <= keepBuffers {
			c.h.buffers.Put(b)
		}
	}
}

// A bound is a request's context that ends after requestBound. Its clock starts
// when somebody waits for it, which those do who ask the store: what is answered
// from memory takes none.
type bound struct {
	context.Context

	mu     sync.Mutex
	timed  context.Context
	cancel context.CancelFunc
}

func (b *bound) start() context.Context {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timed == nil {
		b.timed, b.cancel = context.WithTimeout(b.Context, requestBound)
	}
	return b.timed
}

func (b *bound) Deadline() (time.Time, bool) { return b.start().Deadline() }
func (b *bound) Done() <-chan struct{}       { return b.start().Done() }

func (b *bound) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timed == nil {
		return b.Context.Err()
	}
	return b.timed.Err()
}

func (b *bound) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel != nil {
		b.cancel()
	}
}

// emit calls the host's hook. One that panics loses its event, not the answer.
func (h *handler) emit(r *http.Request, a Action, key string, err error) {
	defer func() { _ = recover() }()
	detail := string(a)
	if key != "" {
		detail += " " + key
	}
	if errors.Is(err, errNoRoute) {
		detail = "unsupported path"
	}
	h.OnEvent(seal.Event{Time: time.Now(), Kind: EventRequest, Actor: h.Actor(r), Detail: detail, Err: err})
}
