package main

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/examples/internal/boltfile"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/ceremony"
	"github.com/sealwright/sealwright/seal/operator"
)

type bearerKey struct{}

// bearerIn is who sent a request that guarded let pass.
func bearerIn(r *http.Request) *bearer {
	b, _ := r.Context().Value(bearerKey{}).(*bearer)
	return b
}

// guarded answers for a handler while the server is sealed, and to those whose
// token may not do what they want. Without keys no token can be checked, so that
// the one question answers the other.
func (s *server) guarded(next http.HandlerFunc) http.HandlerFunc { return s.guardedTo(1<<20, next) }

// guardedTo is guarded for requests of that many bytes.
func (s *server) guardedTo(limit int64, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if refusedHeader(w, r) {
			return
		}
		who, err := s.bearerOf(r.Context(), tokenOf(r))
		if err == nil && !s.mayCall(who, r) {
			err = errNoToken
		}
		if err != nil {
			s.refuse(w, err)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), bearerKey{}, who))
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		next(w, r)
	}
}

// refuse answers to whom a token does not let in.
func (s *server) refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, seal.ErrSealed), s.barrier.Sealed() != nil:
		fail(w, http.StatusServiceUnavailable, "Vault is sealed")
	case errors.Is(err, errNoToken):
		fail(w, http.StatusForbidden, "permission denied")
	default:
		fail(w, http.StatusInternalServerError, "the token cannot be checked") // to strangers no more
	}
}

// refusedHeader answers to who means a namespace, since what was meant for a
// team's would be done to the whole server, and to who wants an answer wrapped,
// which would leave in clear.
func refusedHeader(w http.ResponseWriter, r *http.Request) bool {
	ns := strings.Trim(r.Header.Get("X-Vault-Namespace"), "/")
	switch {
	case ns != "" && ns != "root":
		fail(w, http.StatusBadRequest, "namespaces are not supported here: leave out -namespace (X-Vault-Namespace)")
	case r.Header.Get("X-Vault-Wrap-Ttl") != "":
		fail(w, http.StatusBadRequest, "response wrapping is not supported here: leave out -wrap-ttl (X-Vault-Wrap-TTL)")
	default:
		return false
	}
	return true
}

// pathOf is the path that policies speak of.
func pathOf(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, "/v1/") }

// mayCall reports whether a request is what its sender's policies allow. To
// write what is not there yet needs create, and update what is.
func (s *server) mayCall(who *bearer, r *http.Request) bool {
	path := pathOf(r)
	switch method := methodOf(r); method {
	case "LIST":
		return may(who.policies, path, mayList)
	case http.MethodGet, http.MethodHead:
		return may(who.policies, path, mayRead)
	case http.MethodDelete:
		return may(who.policies, path, mayDelete)
	case http.MethodPatch:
		return may(who.policies, path, mayPatch)
	case http.MethodPut:
		create, update := may(who.policies, path, mayCreate), may(who.policies, path, mayUpdate)
		if create == update {
			return create
		}
		return create == !s.exists(strings.TrimRight(path, "/"))
	}
	return false
}

// methodOf is a request's method as Vault takes it: POST is PUT, and a GET may
// ask for a list.
func methodOf(r *http.Request) string {
	switch {
	case r.Method == http.MethodPost:
		return http.MethodPut
	case r.Method == http.MethodGet && r.URL.Query().Get("list") == "true":
		return "LIST"
	}
	return r.Method
}

// exists reports whether what a path names is there: a secret, or the key that an
// encrypt would make. Anything else is there always.
func (s *server) exists(path string) bool {
	bucket, name := secretsBucket, ""
	for prefix, in := range map[string][]byte{"secret/data/": secretsBucket, "secret/metadata/": secretsBucket, "transit/encrypt/": boltfile.KeysBucket} {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			bucket, name = in, rest
		}
	}
	if name == "" {
		return true
	}
	found := false
	err := s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		found = b != nil && b.Get([]byte(name)) != nil
		return nil
	})
	return found || err != nil
}

// authorize answers for the operator's routes: what concerns the whole server
// needs sudo beside the rest. Where the configuration says that nobody else can
// connect from this machine, whoever sits at it sees why the server is sealed,
// and can have a sealed server forget the shares given.
func (s *server) authorize(r *http.Request, a operator.Action) error {
	if s.trustLoopback && (a == operator.Detail || a == operator.Seal && s.barrier.Sealed() != nil) && local(r) {
		return nil
	}
	who, err := s.bearerOf(r.Context(), tokenOf(r))
	if err != nil {
		return err
	}
	needs := []string{maySudo, mayUpdate}
	switch {
	case a == operator.KeyStatus:
		needs = []string{mayRead}
	case a == operator.Detail:
		needs = []string{maySudo}
	case r.Method == http.MethodDelete:
		needs = []string{maySudo, mayDelete}
	}
	if !may(who.policies, pathOf(r), needs...) {
		return errNoToken
	}
	return nil
}

// authorizePage answers for the custodians' page, whose forms have a field for a token.
// Before there is a store nobody has one: whoever comes first may make it, as by the
// operator's routes.
func (s *server) authorizePage(r *http.Request, a ceremony.Action, token string) error {
	path, needs := "sys/rekey/init", []string{maySudo, mayUpdate}
	switch {
	case a == ceremony.Init:
		return nil
	case a == ceremony.Detail && s.trustLoopback && local(r):
		return nil
	case a != ceremony.Rekey:
		path, needs = "sys/seal-backend-status", []string{maySudo, mayRead}
	}
	who, err := s.bearerOf(r.Context(), token)
	if err != nil {
		return err
	}
	if !may(who.policies, path, needs...) {
		return errNoToken
	}
	return nil
}
