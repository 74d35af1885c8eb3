package azurekeyvaulttest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/kms/kmstest"
)

// octets are bytes as base64url without padding.
type octets []byte

// MarshalJSON implements [json.Marshaler].
func (o octets) MarshalJSON() ([]byte, error) {
	return json.Marshal(base64.RawURLEncoding.EncodeToString(o))
}

// UnmarshalJSON implements [json.Unmarshaler].
func (o *octets) UnmarshalJSON(text []byte) error {
	var s string
	err := json.Unmarshal(text, &s)
	if err == nil {
		*o, err = base64.RawURLEncoding.DecodeString(s)
	}
	return err
}

// A refusal is an error that Azure answers.
type refusal struct {
	status      int
	code, inner string
	message     string
	retryAfter  time.Duration
}

func (f refusal) write(w http.ResponseWriter) {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int(f.retryAfter.Seconds())))
	}
	body := map[string]any{"code": f.code, "message": f.message}
	if f.inner != "" {
		body["innererror"] = map[string]any{"code": f.inner}
	}
	answer(w, f.status, map[string]any{"error": body})
}

func notFound(path string) *refusal {
	return &refusal{status: 404, code: "KeyNotFound", message: fmt.Sprintf("A key with (name/id) %s was not found in this key vault. If you recently deleted this key you may be able to recover it.", path)}
}

// Operations of a vault, as they stand in a path.
const (
	opWrap    = "wrapkey"
	opUnwrap  = "unwrapkey"
	opEncrypt = "encrypt"
	opDecrypt = "decrypt"
)

// A query is a request to a vault.
type query struct {
	host    string
	deleted bool
	name    string
	version string
	op      string // "" reads the key
}

// parse returns what a path asks for.
func parse(r *http.Request) (q query, ok bool) {
	part := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	q.host = r.Host
	if len(part) >= 3 && r.Method == http.MethodPost {
		q.op = part[len(part)-1]
		part = part[:len(part)-1]
		ok = slices.Contains([]string{opWrap, opUnwrap, opEncrypt, opDecrypt}, q.op)
	} else {
		ok = r.Method == http.MethodGet
	}
	if len(part) < 2 || len(part) > 3 {
		return q, false
	}
	q.name = part[1]
	if len(part) == 3 {
		q.version = part[2]
	}
	q.deleted = part[0] == "deletedkeys"
	return q, ok && (part[0] == "keys" || q.deleted && q.op == "" && q.version == "")
}

func (q query) kind() string {
	switch q.op {
	case opWrap, opEncrypt:
		return kmstest.OpWrap
	case opUnwrap, opDecrypt:
		return kmstest.OpUnwrap
	}
	return kmstest.OpProbe
}

// serveVault answers for every vault and Managed HSM.
func (s *Server) serveVault(w http.ResponseWriter, r *http.Request, domain, authority string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !s.admits(bearer, "https://"+domain) {
		message := "AKV10000: Request is missing a Bearer or PoP token."
		if bearer != "" {
			message = "AKV10022: Invalid audience, issuer, signature or lifetime of the token."
		}
		challenge(w, domain, authority)
		refusal{status: 401, code: "Unauthorized", message: message}.write(w)
		return
	}
	q, ok := parse(r)
	if !ok || r.URL.Query().Get("api-version") == "" {
		refusal{status: 400, code: "BadParameter", message: "The request URI is invalid, or has no api-version."}.write(w)
		return
	}
	var in operation
	if q.op != "" && json.Unmarshal(body, &in) != nil {
		refusal{status: 400, code: "BadParameter", message: "The request body is not well-formed."}.write(w)
		return
	}
	s.suffer(w, r, q, in, func() { challenge(w, domain, authority) })
}

func challenge(w http.ResponseWriter, domain, authority string) {
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer authorization="https://%s/%s", resource="https://%s"`, authority, TenantID, domain))
}

// find returns the key and version of a query. The caller holds the lock.
func (s *Server) find(q query) (*key, *version, *refusal) {
	path := strings.TrimSuffix(q.name+"/"+q.version, "/")
	for _, k := range s.keys {
		if !strings.EqualFold(k.name, q.name) || k.host != q.host || k.purge.IsZero() == q.deleted {
			continue
		}
		if q.version == "" {
			return k, k.versions[len(k.versions)-1], nil
		}
		for _, v := range k.versions {
			if v.id == q.version {
				return k, v, nil
			}
		}
	}
	return nil, nil, notFound(path)
}

// do computes the answer of an operation.
func (s *Server) do(q query, in operation) (out operation, no *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, v, no := s.find(q)
	if no != nil {
		return out, no
	}
	now := time.Now().Add(s.skew)
	forbidden := func(inner, why string) *refusal {
		return &refusal{status: 403, code: "Forbidden", inner: inner, message: "Operation " + q.op + " is not " + why}
	}
	wraps := q.kind() == kmstest.OpWrap
	switch {
	case !slices.ContainsFunc(k.operations, func(op string) bool { return strings.EqualFold(op, q.op) }):
		return out, forbidden("KeyOperationForbidden", "permitted on this key.")
	case v.disabled && !wraps:
		return out, forbidden("KeyDisabled", "allowed on a disabled key.")
	case wraps && !v.expires.IsZero() && !now.Before(v.expires):
		return out, forbidden("KeyExpired", "allowed on an expired key.")
	}
	compute := k.unwrap
	if wraps {
		compute = k.wrap
		s.wrapped = append([]byte(nil), in.Value...)
	}
	out, err := compute(v, in)
	if err != nil {
		return out, &refusal{status: 400, code: "BadParameter", message: errParameter.Error()}
	}
	out.Algorithm, out.KID = "", k.kid(v)
	return out, nil
}

func (k *key) kid(v *version) string { return "https://" + k.host + "/keys/" + k.name + "/" + v.id }

// bundle is the answer of a query for a key, or a deleted one.
func (s *Server) bundle(q query) (map[string]any, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, v, no := s.find(q)
	if no != nil {
		return nil, no
	}
	jwk := map[string]any{"kid": k.kid(v), "kty": k.kty(), "key_ops": k.operations}
	if k.rsa() {
		public := v.private(k.bits).PublicKey
		jwk["n"], jwk["e"] = octets(public.N.Bytes()), octets(big.NewInt(int64(public.E)).Bytes())
	}
	attributes := map[string]any{"enabled": !v.disabled, "recoveryLevel": "Recoverable", "recoverableDays": 90}
	if !v.expires.IsZero() {
		attributes["exp"] = v.expires.Unix()
	}
	out := map[string]any{"key": jwk, "attributes": attributes}
	if q.deleted {
		out["recoveryId"] = "https://" + k.host + "/deletedkeys/" + k.name
		out["scheduledPurgeDate"] = k.purge.Unix()
	}
	return out, nil
}
