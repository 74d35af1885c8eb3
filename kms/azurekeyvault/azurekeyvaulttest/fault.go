package azurekeyvaulttest

import (
	"net/http"
	"strings"
	"time"

	"github.com/sealwright/sealwright/kms/kmstest"
)

// suffer answers a query, with the fault that the script gives it.
func (s *Server) suffer(w http.ResponseWriter, r *http.Request, q query, in operation, challenge func()) {
	s.mu.Lock()
	s.calls++
	call := kmstest.Call{N: s.calls, Op: q.kind(), Key: q.name, At: time.Now()}
	script := s.script
	s.mu.Unlock()
	var fault kmstest.Fault
	if script != nil {
		fault = script(call)
	}
	if fault.Delay > 0 && !s.wait(r, time.After(fault.Delay)) {
		return
	}
	refuse := refusalOf(fault, q)
	if refuse == nil || fault.After {
		out, no := s.answerTo(q, in, fault.Failure)
		if refuse == nil {
			s.send(w, fault.Failure, out, no)
			return
		}
	}
	switch fault.Failure {
	case kmstest.Hang:
		s.wait(r, nil)
		panic(http.ErrAbortHandler)
	case kmstest.NoDNS:
		panic(http.ErrAbortHandler)
	case kmstest.ClockSkew:
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	}
	if refuse.status == http.StatusUnauthorized {
		challenge()
	}
	refuse.write(w)
}

// wait waits for c, and reports whether that came before the end of everything.
func (s *Server) wait(r *http.Request, c <-chan time.Time) bool {
	select {
	case <-c:
		return true
	case <-r.Context().Done():
	case <-s.closed:
	}
	return false
}

// refusalOf is the answer of a failure, or nil of one that only damages or lies.
func refusalOf(f kmstest.Fault, q query) *refusal {
	no := refusal{retryAfter: f.RetryAfter}
	switch f.Failure {
	case kmstest.Hang, kmstest.NoDNS:
	case kmstest.ServerError:
		no.status, no.code, no.message = 503, "ServiceUnavailable", "The service is temporarily unavailable."
	case kmstest.Throttled:
		no.status, no.code, no.message = 429, "Throttled", "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached"
	case kmstest.Denied:
		no.status, no.code, no.inner = 403, "Forbidden", "ForbiddenByRbac"
		no.message = "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time."
	case kmstest.Unauthenticated:
		no.status, no.code, no.message = 401, "Unauthorized", "AKV10032: Invalid issuer."
	case kmstest.ExpiredCredentials, kmstest.ClockSkew:
		no.status, no.code, no.message = 401, "Unauthorized", "[TokenExpired] Error validating token."
	case kmstest.Disabled:
		no.status, no.code, no.inner = 403, "Forbidden", "KeyDisabled"
		no.message = "Operation " + q.op + " is not allowed on a disabled key."
	case kmstest.PendingDeletion, kmstest.Destroyed, kmstest.Recreated, kmstest.AliasMoved:
		return notFound(q.name + "/" + q.version)
	default:
		return nil
	}
	return &no
}

// answerTo computes an answer, of a request that may have been damaged.
func (s *Server) answerTo(q query, in operation, f kmstest.Failure) (any, *refusal) {
	if q.op == "" {
		out, no := s.bundle(q)
		if no == nil && f == kmstest.WrongKeyID {
			jwk := out["key"].(map[string]any)
			jwk["kid"] = another(jwk["kid"].(string))
		}
		return out, no
	}
	wraps := q.kind() == kmstest.OpWrap
	s.mu.Lock()
	other := s.wrapped
	s.mu.Unlock()
	if wraps {
		in.Value = lie(f, in.Value, other)
	} else {
		in.Value = damage(f, in.Value)
	}
	out, no := s.do(q, in)
	if no != nil {
		return nil, no
	}
	if wraps {
		out.Value = damage(f, out.Value)
	} else {
		out.Value = lie(f, out.Value, other)
	}
	if f == kmstest.WrongKeyID {
		out.KID = another(out.KID)
	}
	return out, nil
}

func (s *Server) send(w http.ResponseWriter, f kmstest.Failure, out any, no *refusal) {
	switch {
	case no != nil:
		no.write(w)
	case f == kmstest.BadCRC:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write([]byte(`{"kid":"https://sealwr`)) // it fails only when the client has gone
	default:
		answer(w, http.StatusOK, out)
	}
}

// another is the identifier of another key.
func another(kid string) string { return strings.Replace(kid, "/keys/", "/keys/another-", 1) }

func lie(f kmstest.Failure, key, other []byte) []byte {
	switch {
	case f == kmstest.WrongPlaintext && len(key) > 0:
		key = append([]byte(nil), key...)
		key[0] ^= 1
	case f == kmstest.OtherPlaintext && other != nil:
		return other
	}
	return key
}

func damage(f kmstest.Failure, ciphertext []byte) []byte {
	switch {
	case f == kmstest.Truncated && len(ciphertext) > 0:
		return ciphertext[:len(ciphertext)-1]
	case f == kmstest.Extended:
		return append(append([]byte(nil), ciphertext...), 0)
	}
	return ciphertext
}
