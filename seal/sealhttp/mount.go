package sealhttp

import (
	"errors"
	"net/http"

	"github.com/sealwright/sealwright/seal"
)

// Routes is what [Mount] puts on a mux. What is nil is left out.
type Routes struct {
	// App is the host's own: it gets every path that nothing else on the mux
	// takes, while the barrier is unsealed ([Require]).
	App http.Handler

	// Operator is the handler of package operator, at /v1/sys/. It is there while
	// the barrier is sealed: people unseal by it.
	Operator http.Handler

	// Metrics are at /metrics. They name KMS keys and slots; where strangers reach
	// the mux, leave them out here and mount [Metrics.Handler] on another.
	Metrics *Metrics

	// Hold, if set, is asked by /readyz while the barrier is unsealed: an error is
	// why the host is not ready all the same, such as that its [seal.Loaded] is not
	// there yet, or could not be. The answer is 503
	// and does not show the error. It is called by several requests at once, and
	// holds back /readyz alone, not App.
	Hold func() error
}

// Mount puts on mux what a server that can be sealed has: /livez ([Live]),
// /readyz ([Ready]), and r. A host that is ready once it has loaded its data has a
// [seal.Loaded]:
//
//	data := seal.NewLoaded(b, load) // Serve runs data.Run
//	sealhttp.Mount(mux, b, sealhttp.Routes{App: app, Hold: data.Ready})
func Mount(mux *http.ServeMux, b *seal.Barrier, r Routes) {
	mux.Handle("/livez", Live())
	mux.Handle("/readyz", held(r.Hold, Ready(b), b))
	if r.Metrics != nil {
		mux.Handle("/metrics", r.Metrics.Handler(b))
	}
	if r.Operator != nil {
		mux.Handle("/v1/sys/", r.Operator)
	}
	if r.App != nil {
		mux.Handle("/", Require(b, r.App))
	}
}

// held is ready, but for a host that is unsealed and not ready yet.
func held(hold func() error, ready http.Handler, b *seal.Barrier) http.Handler {
	if hold == nil {
		return ready
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.Sealed() == nil && hold() != nil {
			refuse(w, "held", "the server is unsealed, and not ready yet")
			return
		}
		ready.ServeHTTP(w, r)
	})
}

// Error answers 503, as [Require] does, if err is that the barrier was sealed or
// closed while a request was served, and reports whether it did. Any other error
// is the handler's to answer.
func Error(w http.ResponseWriter, err error) bool {
	switch {
	case errors.Is(err, seal.ErrClosed):
		refuse(w, "sealed", Kind(seal.ErrClosed))
	case errors.Is(err, seal.ErrSealed):
		refuse(w, "sealed", Kind(seal.ErrSealed))
	default:
		return false
	}
	return true
}
