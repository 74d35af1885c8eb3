package operator_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// hostRoutes are what the tools of Vault have no command for, beside the handler: each
// is one call. The token is the one that they send. Sources are all that is encrypted.
func hostRoutes(mux *http.ServeMux, b *seal.Barrier, authorize func(*http.Request, operator.Action) error, sources ...migrate.Source) {
	handle := func(path string, do func(r *http.Request, by seal.By) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if authorize(r, operator.RotateRoot) != nil {
				http.Error(w, "permission denied", http.StatusForbidden)
				return
			}
			if err := do(r, seal.By{Actor: "operator"}); err != nil { // of a host with names: who it is
				http.Error(w, err.Error(), http.StatusConflict) // it has no secret, and says what to do
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	term := func(r *http.Request) uint32 {
		n, _ := strconv.ParseUint(r.PathValue("term"), 10, 32) // 0 is no term, which the call says
		return uint32(n)
	}
	handle("/seal/rotate-root", func(r *http.Request, by seal.By) error {
		return b.Admin().RotateRoot(r.Context(), by)
	})
	handle("/seal/terms/{term}/activate-unseen", func(r *http.Request, by seal.By) error {
		return b.Admin().ActivateUnseen(r.Context(), term(r), by)
	})
	handle("/seal/terms/{term}/retire", func(r *http.Request, by seal.By) error {
		return migrate.Retire(r.Context(), b, term(r), by, sources...)
	})
	// Claim and Unseal are of the replica that is asked: reach it by itself, and not
	// through the load balancer.
	handle("/seal/claim", func(r *http.Request, by seal.By) error {
		op := b.Status().Operation
		if op == nil {
			return errors.New("no operation is in progress")
		}
		by.Operation = op.ID
		return b.Admin().Claim(r.Context(), by)
	})
	handle("/seal/unseal", func(r *http.Request, by seal.By) error {
		return b.Unseal(r.Context()) // by KMS or the other replicas, also after an operator's seal
	})
}

// The calls that a host gives routes of its own: rotate/root of the operator API is, as
// Vault's, new shares, and no [seal.Admin.RotateRoot].
func Example_hostRoutes() {
	ctx, token := httptest.NewRequest("GET", "/", nil).Context(), "of the operators"
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	d, err := b.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := b.Submit(ctx, d.Sets[0].Shares[0], seal.By{}); err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	hostRoutes(mux, b, operator.Token(token))
	for _, path := range []string{"/seal/rotate-root", "/seal/terms/1/retire", "/seal/terms/x/activate-unseen", "/seal/claim", "/seal/unseal"} {
		r := httptest.NewRequest("POST", path, nil)
		r.Header.Set("X-Vault-Token", token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(path, w.Code)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("POST", "/seal/rotate-root", nil))
	fmt.Println("without a token", w.Code)
	// Output:
	// /seal/rotate-root 204
	// /seal/terms/1/retire 409
	// /seal/terms/x/activate-unseen 409
	// /seal/claim 409
	// /seal/unseal 204
	// without a token 403
}
