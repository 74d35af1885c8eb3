// Package sealhttp lets an HTTP server be up while it is sealed: it answers 503
// with the reason until the barrier is unsealed, and has the two probes that an
// orchestrator asks, and metrics. [Mount] puts all of it on a mux; [Error] answers
// for what was under way when the barrier was sealed; [Serve] runs it all, and ends
// it in the right order.
//
// Do not use it to unseal over HTTP: package operator does that.
//
// # Probes
//
// [Live] says that the process answers, and nothing else: a KMS that is away
// must never have pods killed that cannot come back without it. [Ready] says
// whether requests can be served: an orchestrator that acts on it must still
// let people reach a sealed pod to unseal it (in Kubernetes a Service with
// publishNotReadyAddresses).
//
// # What is told to whom
//
// The reason may name KMS keys and slots. [Ready] and [Require] give only its
// kind ("waiting for shares", "the KMS denies access"); [Detailed] gives the
// whole text, for a listener that operators alone can reach.
package sealhttp

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
)

// retryAfter is what a client that met a sealed server is told, in seconds.
const retryAfter = "5"

// Live answers 200 for as long as the process can answer at all.
func Live() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, body{Status: "alive"})
	})
}

// Ready answers 200 while b is unsealed, and 503 with the kind of reason while
// it is sealed. It asks neither the store nor any KMS.
func Ready(b *seal.Barrier) http.Handler {
	return ready(b, Kind, false)
}

// Detailed is [Ready] with the whole text of the reason and the warnings of
// [seal.Barrier.Status]: for operators, not for the public.
func Detailed(b *seal.Barrier) http.Handler {
	return ready(b, error.Error, true)
}

func ready(b *seal.Barrier, tell func(error) string, warn bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status := b.Status()
		if status.Sealed {
			refuse(w, "sealed", tell(status.Reason))
			return
		}
		if status.Behind != nil { // what others write now, this one cannot read
			refuse(w, "behind", tell(status.Behind))
			return
		}
		out := body{Status: "ready"}
		if warn {
			out.Warnings = status.Warnings
		}
		answer(w, http.StatusOK, out)
	})
}

// Require passes requests on to next while b is unsealed, and answers 503 while
// it is sealed. A request that is already with next when b is sealed meets
// [seal.ErrSealed] there: see [Error].
func Require(b *seal.Barrier, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := b.Sealed(); why != nil {
			refuse(w, "sealed", Kind(why))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Kind says in a few words why a server is sealed, without names: "sealed" where
// no attempt has come to an end since it started.
func Kind(reason error) string {
	if reason == seal.ErrSealed { // as it is: a server that waits for shares says how many
		return "sealed"
	}
	for _, k := range []struct {
		err  error
		text string
	}{
		{seal.ErrClosed, "shutting down"},
		{seal.ErrAnchor, "the anchor cannot be read"}, // and not the record, whatever is wrong with it
		{seal.ErrUninitialized, "not initialized"},
		{seal.ErrUnproven, "initialized, and not yet unsealed once"},
		{seal.ErrStoreUnavailable, "the store cannot be reached"},
		{seal.ErrMissing, "the record is gone"},
		{seal.ErrCorrupt, "the record is damaged"},
		{seal.ErrNewerFormat, "the record needs a newer release"},
		{seal.ErrRolledBack, "the record was rolled back"},
		{seal.ErrForked, "the record is a fork"},
		{seal.ErrForged, "the record is forged"},
		{seal.ErrOtherStore, "the record is another store's"},
		{seal.ErrUnpinned, "the slot needs a pin"},
		{seal.ErrRootMoved, "the root key was replaced elsewhere, and this process needs shares"},
		{kms.ErrThrottled, "the KMS is throttled"},
		{kms.ErrUnavailable, "the KMS cannot be reached"},
		{kms.ErrUnauthenticated, "the KMS does not know this server"},
		{kms.ErrClockSkew, "the clock is off"},
		{kms.ErrDenied, "the KMS denies access"},
		{kms.ErrKeyDisabled, "the KMS key is disabled"},
		{kms.ErrKeyGone, "the KMS key is gone"},
		{kms.ErrWrongKey, "the KMS key is another one"},
		{kms.ErrCorrupt, "the KMS answered wrongly"},
		{kms.ErrMisconfigured, "the KMS is misconfigured"},
		{seal.ErrStarting, "sealed"},
		{seal.ErrSealedByOperator, "sealed by an operator"},
		{seal.ErrSealed, "waiting for shares"},
	} {
		if errors.Is(reason, k.err) {
			return k.text
		}
	}
	return "sealed"
}

type body struct {
	Status   string   `json:"status"`
	Reason   string   `json:"reason,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

func refuse(w http.ResponseWriter, status, reason string) {
	w.Header().Set("Retry-After", retryAfter)
	answer(w, http.StatusServiceUnavailable, body{Status: status, Reason: reason})
}

func answer(w http.ResponseWriter, code int, b body) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(b) // the client is gone
}
