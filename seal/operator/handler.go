package operator

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/seal"
)

// handler is what New returns. No request waits for a lock of it that is held
// while the barrier, a KMS or the host is called; but an init waits while the
// keys of another are read.
type handler struct {
	Config
	routes map[string]map[string]route // by path and method
	origin *http.CrossOriginProtection

	consent consent                    // shares given with -migrate while sealed
	pads    pads                       // one-time passwords
	to      atomic.Pointer[addressees] // to whom the operation in progress encrypts: public keys
	answers claims
	steps   steps
	moving  sync.Mutex    // held by the request that makes a migration's moves; nobody waits for it
	reading chan struct{} // held by the init whose keys are read

	// undelivered is the migration whose new shares the host could not deliver:
	// they are made anew, since nobody has them.
	undelivered atomic.Pointer[seal.OperationID]
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, name, _ := strings.Cut(r.URL.Path, "/v1/sys/")
	methods, ok := h.routes[name]
	if !ok {
		answer(w, http.StatusNotFound, failure{[]string{"unsupported path"}})
		return
	}
	method := r.Method
	if method == http.MethodPost {
		method = http.MethodPut
	}
	rt, ok := methods[method]
	if !ok {
		w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(methods)), ", "))
		answer(w, http.StatusMethodNotAllowed, failure{[]string{}})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestBound)
	defer cancel()
	r = r.WithContext(ctx)
	r.Body = http.MaxBytesReader(w, r.Body, rt.limit)
	out, err := h.act(w, r, rt)
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
	case rt.form != plain:
		answer(w, http.StatusOK, envelop(out, rt.form))
	default:
		answer(w, http.StatusOK, out)
	}
}

// act does what a request wants, if it is one of this server's own tools'.
func (h *handler) act(w http.ResponseWriter, r *http.Request, rt route) (any, error) {
	if err := h.origin.Check(r); err != nil {
		return nil, errOrigin
	}
	switch strings.Trim(r.Header.Get("X-Vault-Namespace"), "/") {
	case "", "root":
	default: // what was meant for one namespace is never done to the whole server
		return nil, errNamespace
	}
	return rt.act(w, r)
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
		Time: time.Now(), Kind: EventRequest, Replica: s.Replica, Actor: record.Person(h.Actor(r)), Generation: s.Generation, Detail: detail, Err: err,
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
func envelop(data any, f form) map[string]any {
	out := map[string]any{
		"request_id": randomID(), "lease_id": "", "renewable": false, "lease_duration": 0,
		"data": data, "wrap_info": nil, "warnings": nil, "auth": nil, "mount_type": "system",
	}
	if fields, ok := data.(map[string]any); ok && f == both {
		maps.Copy(out, fields)
	}
	return out
}

// decode reads a JSON object as Vault does: names in any case, fields that are
// not known ignored, and whatever follows the object. An empty body is an
// object without fields. It reads to the end: a server knows only then when the
// client leaves.
func decode(r *http.Request, into any) error {
	err := json.NewDecoder(r.Body).Decode(into)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
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

// admit decodes a request, and sees that the server is unsealed and its sender
// may do a, if that is not empty.
func (h *handler) admit(r *http.Request, into any, a Action) error {
	if into != nil {
		if err := decode(r, into); err != nil {
			return err
		}
	}
	if a == "" {
		return nil
	}
	return h.unsealed(r, a)
}
