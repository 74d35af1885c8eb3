package operator_test

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// resting are what one KMS does while it does not answer.
var resting = map[string]kmstest.Fault{
	"hangs":           {Failure: kmstest.Hang},
	"asks for 1 hour": {Failure: kmstest.Throttled, RetryAfter: time.Hour},
	"asks for 1 day":  {Failure: kmstest.Throttled, RetryAfter: 24 * time.Hour},
}

// A waiting step is a request that asks a KMS, and who ends it.
type waitingStep struct {
	prepare func(s *server) (give func() (int, object), token string)
	cancel  string // the path whose DELETE ends it
}

func waitingSteps() map[string]waitingStep {
	return map[string]waitingStep{
		"unseal -migrate": {func(s *server) (func() (int, object), string) {
			shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
			s.toCloud("cloud")
			s.restart()
			s.unseal(shares[:2]...)
			s.migrate("", shares[0])
			return func() (int, object) {
				return s.do("PUT", "/v1/sys/unseal", "", object{"key": shares[1], "migrate": true})
			}, token
		}, "unseal"},
		"rekey of the KMS": {func(s *server) (func() (int, object), string) {
			s.toCloud("cloud")
			s.restart()
			shares, token := s.init(object{"recovery_shares": 3, "recovery_threshold": 2})
			nonce := s.must("PUT", "/v1/sys/rekey/init", token, object{})["nonce"]
			s.must("PUT", "/v1/sys/rekey/update", "", object{"key": shares[0], "nonce": nonce})
			return func() (int, object) {
				return s.do("PUT", "/v1/sys/rekey/update", "", object{"key": shares[1], "nonce": nonce})
			}, token
		}, "rekey/init"},
		"rekey of a tree": {func(s *server) (func() (int, object), string) {
			s.keys = []string{"a"}
			s.plan = migrate.Plan{Slots: map[string]seal.Spec{"both": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.Shamir{Shares: 3, Threshold: 2}}}}}
			s.restart()
			shares, token := s.init(object{})
			s.unseal(shares[:2]...)
			nonce := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 3, "secret_threshold": 2})["nonce"]
			s.must("PUT", "/v1/sys/rekey/update", "", object{"key": shares[0], "nonce": nonce})
			return func() (int, object) {
				return s.do("PUT", "/v1/sys/rekey/update", "", object{"key": shares[1], "nonce": nonce})
			}, token
		}, "rekey/init"},
		"init": {func(s *server) (func() (int, object), string) {
			s.toCloud("cloud")
			s.restart()
			return func() (int, object) {
				return s.do("PUT", "/v1/sys/init", "", object{"recovery_shares": 3, "recovery_threshold": 2})
			}, ""
		}, ""},
		"recovery shares made anew": {func(s *server) (func() (int, object), string) {
			s.toCloud("cloud")
			s.restart()
			_, token := s.init(object{"recovery_shares": 3, "recovery_threshold": 2})
			return func() (int, object) {
				return s.do("PUT", "/v1/sys/rotate/recovery/init", token, object{"secret_shares": 3, "secret_threshold": 2})
			}, token
		}, "rotate/recovery/init"},
		"a share of a tree, sealed": {func(s *server) (func() (int, object), string) {
			s.keys = []string{"a"}
			s.plan = migrate.Plan{Slots: map[string]seal.Spec{"both": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.Shamir{Shares: 3, Threshold: 2}}}}}
			s.restart()
			shares, token := s.init(object{})
			s.unseal(shares[0])
			return func() (int, object) { return s.do("PUT", "/v1/sys/unseal", "", object{"key": shares[1]}) }, token
		}, ""},
		"a token of a tree": {func(s *server) (func() (int, object), string) {
			s.keys = []string{"a"}
			s.plan = migrate.Plan{Slots: map[string]seal.Spec{"both": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.Shamir{Shares: 3, Threshold: 2}}}}}
			s.restart()
			shares, token := s.init(object{})
			s.unseal(shares[:2]...)
			nonce := s.must("PUT", "/v1/sys/generate-root/attempt", token, object{})["nonce"]
			s.must("PUT", "/v1/sys/generate-root/update", "", object{"key": shares[0], "nonce": nonce})
			return func() (int, object) {
				return s.do("PUT", "/v1/sys/generate-root/update", "", object{"key": shares[1], "nonce": nonce})
			}, token
		}, "generate-root/attempt"},
	}
}

// TestAttackKMSHoldsTheOperator: while a step of an operation waits for a KMS, it
// is cancelled, the server is sealed and its status is read as if the KMS were
// not there; and the step itself has an end.
func TestAttackKMSHoldsTheOperator(t *testing.T) {
	paths, slowest := 0, time.Duration(0)
	steps := waitingSteps()
	for i, name := range slices.Sorted(maps.Keys(steps)) {
		step := steps[name]
		for does, fault := range resting {
			for j, way := range []string{"cancel", "seal", "status", "wait"} {
				if way == "cancel" && step.cancel == "" {
					continue // there is nothing to cancel
				}
				if testing.Short() && ((i+j)%2 != 0 || does != map[string]string{"cancel": "hangs", "wait": "hangs", "seal": "asks for 1 hour", "status": "asks for 1 day"}[way]) {
					continue
				}
				t.Run(name+"/"+does+"/"+way, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := newServer(t)
						s.retry = kms.Policy{}
						s.restart()
						give, token := step.prepare(s)
						s.kms.Script(kmstest.Always(fault))
						began := time.Now()
						given := make(chan time.Duration)
						go func() {
							give()
							given <- time.Since(began)
						}()
						synctest.Wait()
						switch way {
						case "cancel":
							s.must("DELETE", "/v1/sys/"+step.cancel, token, nil)
						case "seal":
							s.must("PUT", "/v1/sys/seal", token, nil)
						case "status":
							s.must("GET", "/v1/sys/seal-status", "", nil)
						}
						took := time.Since(began)
						paths++
						slowest = max(slowest, took)
						if took > 5*time.Second {
							t.Errorf("%s was answered after %v", way, took)
						}
						if took := <-given; took > time.Minute {
							t.Errorf("the step itself was answered after %v", took)
						}
						s.b.Close()
					})
				})
			}
		}
	}
	testlevel.Counted(t, "GUARANTEE 28 operator: paths=%d slowest=%v", paths, slowest)
}

// TestAttackStoreHoldsTheOperator: while the store hangs, and one request waits
// for it, nobody else waits for that request.
func TestAttackStoreHoldsTheOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		v := &volume{s.store}
		s.store = v
		s.restart()
		shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
		s.unseal(shares[:2]...)
		hang := make(chan struct{})
		v.Store = hangingStore{v.Store, hang}
		var all sync.WaitGroup
		began := time.Now()
		for _, r := range [][2]string{{"PUT", "rekey/init"}, {"PUT", "generate-root/attempt"}, {"DELETE", "unseal"}, {"PUT", "rotate"}, {"PUT", "unseal"}} {
			for range 3 {
				all.Go(func() {
					s.do(r[0], "/v1/sys/"+r[1], token, object{"secret_shares": 3, "secret_threshold": 2, "key": shares[0], "migrate": true})
				})
			}
		}
		synctest.Wait()
		s.must("GET", "/v1/sys/seal-status", "", nil)
		s.must("PUT", "/v1/sys/seal", token, nil)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("sealed after %v", took)
		}
		all.Wait()
		if took := time.Since(began); took > time.Minute {
			t.Errorf("the last request was answered after %v", took)
		}
		close(hang)
		s.b.Close()
	})
}

// A hangingStore answers nothing until it is let go, whatever the context says.
type hangingStore struct {
	seal.Store
	hang chan struct{}
}

func (h hangingStore) Load(ctx context.Context) ([]byte, string, error) {
	<-h.hang
	return h.Store.Load(ctx)
}

func (h hangingStore) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	<-h.hang
	return h.Store.Swap(ctx, rec, old)
}

// TestQuorumIsAnsweredOnce: shares that complete a quorum at the same time get
// one token, or one set of new shares, between them.
func TestQuorumIsAnsweredOnce(t *testing.T) {
	for _, test := range []intent{
		{begin: "generate-root/attempt", update: "generate-root/update", body: object{}},
		{begin: "rekey/init", update: "rekey/update", body: object{"secret_shares": 3, "secret_threshold": 2}},
	} {
		rounds := 20
		if testing.Short() {
			rounds = 2
		}
		for range rounds {
			s := newServer(t)
			shares, token := s.init(object{"secret_shares": 6, "secret_threshold": 2})
			s.unseal(shares[:2]...)
			nonce := s.must("PUT", "/v1/sys/"+test.begin, token, test.body)["nonce"]
			mints := s.mints
			var mu sync.Mutex
			complete := 0
			var all sync.WaitGroup
			for _, share := range shares {
				all.Go(func() {
					code, out := s.do("PUT", "/v1/sys/"+test.update, "", object{"key": share, "nonce": nonce})
					mu.Lock()
					defer mu.Unlock()
					if code == 200 && out["complete"] == true {
						complete++
					} else if code != 200 && code != 400 {
						t.Errorf("%d %v", code, out)
					}
				})
			}
			all.Wait()
			if complete != 1 || s.mints > mints+1 {
				t.Errorf("%s: %d answers, %d tokens", test.update, complete, s.mints-mints)
			}
		}
	}
}

// TestAttackHalfATree: in 2 of (team A, team B), team A's shares alone move the
// store to a KMS, and the tree is dropped.
func TestAttackHalfATree(t *testing.T) {
	team := seal.Shamir{Shares: 3, Threshold: 2}
	tree := seal.Threshold{K: 2, Of: []seal.Spec{team, team}}
	for _, sealed := range []bool{false, true} {
		s, shares, _ := withTree(t, tree)
		a, b := shares[:3], shares[3:]
		s.unseal(a[0], a[1], b[0], b[1])
		s.keys = append(s.keys, "thief")
		s.plan = migrate.Plan{Slots: map[string]seal.Spec{"thief": seal.KMS{Wrapper: "thief"}}, Drop: []string{"both"}}
		s.restart()
		if !sealed {
			s.unseal(a[0], a[1], b[0], b[1])
		}
		s.migrate("", a...)
		if sealed {
			s.unseal(b[0], b[1]) // who did not agree to anything
			s.migrate("", a...)
		}
		for _, slot := range s.b.Status().Slots {
			if slot.Name == "thief" {
				t.Fatalf("sealed %v: half of the people moved the store: %v", sealed, s.b.Status().Slots)
			}
		}
		if out := s.migrate("", b[1], b[2]); out["migration"] != false {
			t.Errorf("sealed %v: both teams did not move the store: %v", sealed, out)
		}
	}
}

// TestAttackAgreementOfTheOneBefore: a quorum agreed to a migration that was
// cancelled, and the process was started again. The same plan later has the same
// id, and asks again.
func TestAttackAgreementOfTheOneBefore(t *testing.T) {
	s := newServer(t)
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(shares[:2]...)
	s.toCloud("cloud")
	s.kms.Key("cloud")
	s.kms.Disable("cloud")
	s.restart()
	s.migrate("", shares[0])
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[1], "migrate": true}, 500)
	// It stands still; what was agreed to outlives the process.
	s.restart()
	s.unseal(shares[:2]...)
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[2], "migrate": true}, 500)
	s.must("DELETE", "/v1/sys/unseal", token, nil)
	s.kms.Enable("cloud")
	expect(t, s.migrate("", shares[2]), object{"migration": true, "progress": 1})
	expect(t, s.migrate("", shares[0]), object{"migration": false})
}

// TestCancelledElsewhere: another replica cancels a ceremony while the last share
// is given here. Whoever gave it is told that, and not to find more shares.
func TestCancelledElsewhere(t *testing.T) {
	for i, test := range intents()[:5] {
		for n := 1; n < 8; n++ {
			if testing.Short() && (i+n)%8 != 0 {
				continue
			}
			s := newServer(t)
			s.parse = people
			v := &volume{s.store}
			s.store = v
			s.restart()
			shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
			s.unseal(shares[:2]...)
			other := newServer(t)
			other.store, other.tokens, other.name = v.Store, s.tokens, "replica-2"
			other.restart()
			other.unseal(shares[:2]...)
			begun := s.must("PUT", "/v1/sys/"+test.begin, token, test.body)
			if d, ok := begun["data"].(object); ok {
				begun = d
			}
			s.must("PUT", "/v1/sys/"+test.update, "", object{"key": shares[0], "nonce": begun["nonce"]})
			inner := v.Store
			v.Store = &interruptedStore{Store: inner, at: n, do: func() {
				if err := other.b.Admin().Refresh(t.Context()); err == nil {
					other.b.Admin().Cancel(t.Context(), seal.By{Operation: seal.OperationID(begun["nonce"].(string))})
				}
			}}
			code, out := s.do("PUT", "/v1/sys/"+test.update, "", object{"key": shares[1], "nonce": begun["nonce"]})
			v.Store = inner
			if d, ok := out["data"].(object); ok {
				out = d
			}
			text := fmt.Sprint(out["errors"])
			if code == 200 && out["complete"] != true || code != 200 && (code != 400 || !strings.Contains(text, "cancelled")) {
				t.Errorf("%s, cancelled at load %d: %d %v", test.name, n, code, out)
			}
		}
	}
}

// An interruptedStore lets something happen before one of its loads.
type interruptedStore struct {
	seal.Store
	at int
	do func()
}

func (s *interruptedStore) Load(ctx context.Context) ([]byte, string, error) {
	if s.at--; s.at == 0 {
		s.do()
	}
	return s.Store.Load(ctx)
}

// leaving sends a request whose client leaves when the hook is called.
func (s *server) leaving(method, path, token, body string, hook func(leave func())) (int, string) {
	ctx, leave := context.WithCancel(s.t.Context())
	defer leave()
	hook(leave)
	r := httptest.NewRequest(method, path, strings.NewReader(body)).WithContext(ctx)
	r.Header.Set("X-Vault-Token", token)
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// TestAttackCancelOfAnother: to cancel a rekey, or a token, ends no step of a
// migration that waits for its KMS.
func TestAttackCancelOfAnother(t *testing.T) {
	for i, path := range []string{"rekey/init", "rekey-recovery-key/init", "rotate/recovery/init", "generate-root/attempt"} {
		if testing.Short() && i%3 != 0 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t)
			s.keys = []string{"first", "cloud"}
			s.plan = migrate.Plan{Slots: map[string]seal.Spec{"first": seal.KMS{Wrapper: "first"}}}
			s.restart()
			shares, token := s.init(object{"recovery_shares": 3, "recovery_threshold": 2})
			s.proves("shamir", shares[:2]...)
			s.plan.Slots = map[string]seal.Spec{"first": seal.KMS{Wrapper: "first"}, "cloud": seal.KMS{Wrapper: "cloud"}}
			s.migrate("", shares[0])
			s.kms.Script(kmstest.Always(kmstest.Fault{Delay: 10 * time.Second}))
			done := make(chan object)
			go func() {
				_, out := s.do("PUT", "/v1/sys/unseal", "", object{"key": shares[1], "migrate": true})
				done <- out
			}()
			synctest.Wait()
			s.do("DELETE", "/v1/sys/"+path, token, nil)
			if out := <-done; out["migration"] != false {
				t.Errorf("DELETE %s: the migration ended with %v", path, out)
			}
			s.b.Close()
		})
	}
}
