package operator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// The largest bodies that are read, in bytes: a share and its nonce, and an
// init with a PGP key for each of 255 shares.
const (
	maxShareBody = 4 << 10
	maxBody      = 4 << 20
)

// handler is what New returns.
type handler struct {
	Config
	routes map[string]route

	// turn is held by whoever carries an operation on, so that its steps are
	// not mixed with another's: a lock that a context can leave. It guards
	// what follows.
	turn    chan struct{}
	consent consent
	agreed  seal.OperationID // the migration that a quorum gave its shares to
	otp     otp

	// to is written by whoever has the turn, and read by all: public keys.
	to atomic.Pointer[addressees]
}

// A route answers one path, by method. An action returns what is to be encoded,
// or nil for 204.
type route struct {
	methods map[string]action
	logical bool // answers as Vault's plugins do, in an envelope
	flat    bool // and copies the data beside it
	limit   int64
}

type action func(http.ResponseWriter, *http.Request) (any, error)

// table is the list of everything that is served.
func (h *handler) table() map[string]route {
	read := func(f action) map[string]action { return map[string]action{http.MethodGet: f} }
	write := func(f action) map[string]action { return map[string]action{http.MethodPut: f} }
	t := map[string]route{
		"init":                {methods: map[string]action{http.MethodGet: h.initialized, http.MethodPut: h.initialize}},
		"seal-status":         {methods: read(h.sealStatus)},
		"unseal":              {methods: map[string]action{http.MethodPut: h.unseal, http.MethodDelete: h.abortMigration}, limit: maxShareBody},
		"seal":                {methods: write(h.seal), limit: maxShareBody},
		"leader":              {methods: read(h.leader)},
		"health":              {methods: map[string]action{http.MethodGet: h.health, http.MethodHead: h.health}},
		"seal-backend-status": {methods: read(h.backendStatus)},
		"key-status":          {methods: read(h.keyStatus), logical: true, flat: true},
		"rotate":              {methods: write(h.rotate), logical: true},
		"rotate/keyring":      {methods: write(h.rotate), logical: true},
		"rotate/root":         {methods: write(h.rotateRoot), logical: true},
	}
	config := route{methods: map[string]action{http.MethodGet: h.rotateConfig, http.MethodPut: h.setRotateConfig}, logical: true}
	t["rotate/config"], t["rotate/keyring/config"] = config, config
	for name, k := range map[string]rekey{
		"rekey":              {handler: h},
		"rekey-recovery-key": {handler: h, recovery: true},
		"rotate/root":        {handler: h},
		"rotate/recovery":    {handler: h, recovery: true, atOnce: true},
	} {
		logical := strings.HasPrefix(name, "rotate/")
		t[name+"/init"] = route{methods: map[string]action{http.MethodGet: k.status, http.MethodPut: k.begin, http.MethodDelete: k.cancel}, logical: logical}
		t[name+"/update"] = route{methods: write(k.update), logical: logical, limit: maxShareBody}
		t[name+"/verify"] = route{methods: map[string]action{http.MethodGet: k.verifyStatus, http.MethodPut: k.verify, http.MethodDelete: k.restartVerify}, logical: logical, limit: maxShareBody}
	}
	for _, name := range []string{"generate-root", "generate-root-token"} {
		logical := name != "generate-root"
		t[name+"/attempt"] = route{methods: map[string]action{http.MethodGet: h.tokenStatus, http.MethodPut: h.beginToken, http.MethodDelete: h.cancelToken}, logical: logical}
		t[name+"/update"] = route{methods: write(h.updateToken), logical: logical, limit: maxShareBody}
	}
	return t
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, name, _ := strings.Cut(r.URL.Path, "/v1/sys/")
	rt, ok := h.routes[name]
	if !ok {
		answer(w, http.StatusNotFound, failure{[]string{"unsupported path"}})
		return
	}
	method := r.Method
	if method == http.MethodPost {
		method = http.MethodPut
	}
	act, ok := rt.methods[method]
	if !ok {
		w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(rt.methods)), ", "))
		answer(w, http.StatusMethodNotAllowed, failure{[]string{}})
		return
	}
	if rt.limit == 0 {
		rt.limit = maxBody
	}
	r.Body = http.MaxBytesReader(w, r.Body, rt.limit)
	out, err := act(w, r)
	if err != nil || method != http.MethodGet && method != http.MethodHead {
		h.emit(r, method+" "+name, err)
	}
	switch coded, isCoded := out.(withCode); {
	case err != nil:
		h.refuse(w, r, err)
	case isCoded:
		answer(w, coded.code, coded.body)
	case out == nil:
		answer(w, http.StatusNoContent, nil)
	case rt.logical:
		answer(w, http.StatusOK, envelop(out, rt.flat))
	default:
		answer(w, http.StatusOK, out)
	}
}

// emit calls the host's hook. One that panics loses its event, and not the
// answer, which may be the only one that has the shares.
func (h *handler) emit(r *http.Request, detail string, err error) {
	if h.OnEvent == nil {
		return
	}
	defer func() { _ = recover() }()
	s := h.Barrier.Status()
	h.OnEvent(seal.Event{
		Time: time.Now(), Kind: EventRequest, Replica: s.Replica, Actor: h.Actor(r), Generation: s.Generation, Detail: detail, Err: err,
	})
}

// withCode is an answer with a code of its own.
type withCode struct {
	code int
	body any
}

type failure struct {
	Errors []string `json:"errors"`
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Cache-Control", "no-store")
	if code == http.StatusNoContent || code == http.StatusNotModified {
		w.WriteHeader(code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}

// envelop wraps an answer as Vault's logical routes do.
func envelop(data any, flat bool) map[string]any {
	out := map[string]any{
		"request_id": newID(""), "lease_id": "", "renewable": false, "lease_duration": 0,
		"data": data, "wrap_info": nil, "warnings": nil, "auth": nil, "mount_type": "system",
	}
	if fields, ok := data.(map[string]any); ok && flat {
		maps.Copy(out, fields)
	}
	return out
}

// decode reads a JSON object as Vault does: names in any case, fields that are
// not known ignored, and whatever follows the object. An empty body is an
// object without fields.
func decode(r *http.Request, into any) error {
	err := json.NewDecoder(r.Body).Decode(into)
	var large *http.MaxBytesError
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &large):
		return large
	}
	// The decoder's own words may quote what was sent.
	return badRequest("failed to decode JSON input: the body is not the JSON object that is expected here")
}

// take waits for the turn, and returns the function that gives it back.
func (h *handler) take(ctx context.Context) (func(), error) {
	select {
	case h.turn <- struct{}{}:
		return func() { <-h.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inTurn decodes a request, sees that its sender may do a, if that is not empty,
// and runs f with the turn. The context outlives the request: a client that
// leaves does not stop a move in the middle, and the barrier bounds each call.
func (h *handler) inTurn(r *http.Request, into any, a Action, f func(context.Context) (any, error)) (any, error) {
	if into != nil {
		if err := decode(r, into); err != nil {
			return nil, err
		}
	}
	if a != "" {
		if err := h.unsealed(r, a); err != nil {
			return nil, err
		}
	}
	release, err := h.take(r.Context())
	if err != nil {
		return nil, err
	}
	defer release()
	return f(background(r))
}

// background returns a context that outlives the request.
func background(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }

// newID returns a random id after a prefix, at most 64 characters together.
func newID(prefix string) string {
	var b [16]byte
	rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}
