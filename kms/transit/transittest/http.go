package transittest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/sealwright/sealwright/kms/kmstest"
)

// RoundTrip implements [http.RoundTripper]: it serves the request itself, in the
// caller's goroutine.
func (s *Server) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			resp, err = nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: r.URL.Hostname(), IsNotFound: true}}
		} else if p != nil {
			panic(p)
		}
	}()
	served := r.Clone(r.Context())
	if served.Body == nil {
		served.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, served)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp = recorder.Result()
	resp.Request = r
	return resp, nil
}

// answer is what the server says: a status with errors, or data.
type answer struct {
	status     int
	errors     []string
	data, auth any
	cut        bool // cut the body short
	retryAfter time.Duration
}

func refuse(status int, words ...string) answer { return answer{status: status, errors: words} }

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	body := map[string]any{"errors": a.errors}
	if a.errors == nil {
		body["errors"] = []string{}
	}
	if a.status == http.StatusOK {
		body = map[string]any{"request_id": "", "lease_id": "", "renewable": false, "lease_duration": 0, "data": a.data, "wrap_info": nil, "warnings": nil, "auth": a.auth}
	}
	if a.retryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int(a.retryAfter.Seconds())))
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // of the maps above
	}
	if a.cut {
		text = text[:len(text)/2]
	}
	w.WriteHeader(a.status)
	w.Write(append(text, '\n'))
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	if err != nil {
		refuse(http.StatusBadRequest, "failed to parse JSON input").write(w)
		return
	}
	if strings.HasPrefix(path, "auth/token/") {
		s.serveToken(path, r).write(w)
		return
	}
	mount := s.Mount
	if mount == "" {
		mount = "transit"
	}
	rest, ok := strings.CutPrefix(path, mount+"/")
	operation, name, named := strings.Cut(rest, "/")
	op, known := map[string]string{
		"POST encrypt": kmstest.OpWrap, "PUT encrypt": kmstest.OpWrap,
		"POST decrypt": kmstest.OpUnwrap, "PUT decrypt": kmstest.OpUnwrap,
		"GET keys": kmstest.OpProbe,
	}[r.Method+" "+operation]
	if !ok || !named || !known || strings.Contains(name, "/") || r.Header.Get("X-Vault-Namespace") != s.Namespace {
		refuse(http.StatusNotFound, fmt.Sprintf("no handler for route %q. route entry not found.", path)).write(w)
		return
	}

	n, fault := s.arrive(op, name)
	select {
	case <-time.After(fault.Delay):
	case <-r.Context().Done():
		return
	}
	switch fault.Failure {
	case kmstest.Hang:
		<-r.Context().Done()
		return
	case kmstest.NoDNS:
		panic(http.ErrAbortHandler)
	}
	a, failed := s.fromFault(fault)
	if !failed || fault.After {
		worked := s.serve(op, name, r, body, fault.Failure)
		if worked.status == http.StatusOK {
			s.leave(n)
		}
		if !failed || worked.status != http.StatusOK {
			a = worked
		}
	}
	a.cut = fault.Failure == kmstest.BadCRC
	a.write(w)
}

// fromFault returns the answer of a failure that keeps the server from its work.
func (s *Server) fromFault(f kmstest.Fault) (answer, bool) {
	switch f.Failure {
	case kmstest.ServerError:
		a := refuse(http.StatusServiceUnavailable, "Vault is sealed")
		a.retryAfter = f.RetryAfter
		return a, true
	case kmstest.Throttled:
		a := refuse(http.StatusTooManyRequests, `request path "transit": rate limit quota exceeded`)
		a.retryAfter = f.RetryAfter
		return a, true
	case kmstest.Denied:
		return refuse(http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n"), true
	case kmstest.Unauthenticated, kmstest.ExpiredCredentials, kmstest.ClockSkew:
		return s.invalidToken(), true
	case kmstest.Disabled:
		return refuse(http.StatusBadRequest, "ciphertext or signature version is disallowed by policy (too old)"), true
	case kmstest.PendingDeletion:
		return refuse(http.StatusBadRequest, "refusing to use soft-deleted key"), true
	case kmstest.Destroyed:
		return refuse(http.StatusBadRequest, "encryption key not found"), true
	}
	return answer{}, false
}

// invalidToken is what each server says to a token that it does not know.
func (s *Server) invalidToken() answer {
	if s.OpenBao {
		return refuse(http.StatusForbidden, "permission denied")
	}
	return refuse(http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
}

// serveToken answers the requests of a token about itself.
func (s *Server) serveToken(path string, r *http.Request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return refuse(http.StatusServiceUnavailable, "Vault is sealed")
	}
	t, ok := s.authenticate(r)
	if !ok {
		return s.invalidToken()
	}
	now := time.Now()
	switch {
	case r.Method == http.MethodGet && path == "auth/token/lookup-self":
		data := map[string]any{"ttl": 0, "renewable": false, "expire_time": nil}
		if t != nil {
			data = map[string]any{"ttl": int64(t.ends.Sub(now).Seconds()), "renewable": t.renewable, "expire_time": t.ends.Format(time.RFC3339Nano)}
		}
		return answer{status: http.StatusOK, data: data}
	case (r.Method == http.MethodPost || r.Method == http.MethodPut) && path == "auth/token/renew-self":
		if t == nil || !t.renewable {
			return refuse(http.StatusBadRequest, "lease is not renewable")
		}
		t.ends = now.Add(t.period)
		if t.ends.After(t.most) {
			t.ends = t.most
		}
		return answer{status: http.StatusOK, auth: map[string]any{"renewable": true, "lease_duration": int64(t.ends.Sub(now).Seconds())}}
	}
	return refuse(http.StatusNotFound, fmt.Sprintf("no handler for route %q. route entry not found.", path))
}

// authenticate returns the token of a request, or nil for the root token. The
// caller holds the lock.
func (s *Server) authenticate(r *http.Request) (*token, bool) {
	name := r.Header.Get("X-Vault-Token")
	if name == RootToken {
		return nil, true
	}
	t := s.tokens[name]
	return t, t != nil && time.Now().Before(t.ends)
}
