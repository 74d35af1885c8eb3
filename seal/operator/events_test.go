package operator_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// An attempt is a request that an auditor wants to know of.
type attempt struct {
	method, path string
	body         any
}

// attempts are all that change something, or would, and the reads that need a
// token: in every form that is refused, too.
func attempts(share, foreign string) (out []attempt) {
	keys := []string{share, foreign, share[:80], "", "00"}
	add := func(method, path string, body any) { out = append(out, attempt{method, path, body}) }
	for _, key := range keys {
		for _, migrate := range []bool{false, true} {
			add("PUT", "unseal", object{"key": key, "migrate": migrate})
		}
		for _, path := range []string{"unseal/check", "decode-token", "rekey/update", "rekey/verify", "rekey-recovery-key/update", "rotate/root/update", "rotate/root/verify", "rotate/recovery/update", "generate-root/update", "generate-root-token/update"} {
			add("POST", path, object{"key": key, "nonce": "x"})
		}
	}
	add("PUT", "unseal", object{"reset": true})
	add("PUT", "unseal", "[")
	add("PUT", "unseal", `{"key":"`+strings.Repeat("A", 5000)+`"}`)
	for _, shape := range []object{{"secret_shares": 3, "secret_threshold": 2}, {"secret_shares": 3, "secret_threshold": 9}, {"pgp_keys": []string{"x"}}} {
		for _, path := range []string{"init", "rekey/init", "rekey-recovery-key/init", "rotate/root/init", "rotate/recovery/init"} {
			add("PUT", path, shape)
		}
	}
	for _, path := range []string{"rekey/init", "rekey/verify", "rotate/root/init", "rotate/root/verify", "generate-root/attempt", "unseal"} {
		add("DELETE", path, nil)
	}
	for _, path := range []string{"rotate", "rotate/keyring", "rotate/root", "rotate/config", "generate-root/attempt", "generate-root-token/attempt", "seal"} {
		add("PUT", path, object{})
	}
	for _, path := range []string{"key-status", "rotate/config", "seal-backend-status", "rekey/init"} {
		add("GET", path, nil)
	}
	return out
}

// TestEveryAttemptIsAnEvent: allowed or refused, sealed or not, initialized or
// not, with a sink that works and one that does not.
func TestEveryAttemptIsAnEvent(t *testing.T) {
	other := newServer(t)
	foreign, _ := other.init(object{"secret_shares": 3, "secret_threshold": 2})
	tried, missing, broken, leaks := 0, 0, 0, 0
	made := newServer(t)
	held, root := made.init(object{"secret_shares": 3, "secret_threshold": 2})
	record, _, err := made.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"empty", "sealed", "unsealed"} {
		for _, withToken := range []bool{false, true} {
			if testing.Short() && withToken != (state == "unsealed") {
				continue
			}
			shares, token, every := held, root, 1
			if state == "empty" {
				shares = foreign
			}
			if state == "empty" || !withToken {
				token = ""
			}
			if !testlevel.Whole() {
				every = 5
			}
			if testing.Short() {
				every = 11
			}
			all := attempts(shares[2], foreign[0])
			for i := 0; i < len(all); i += every {
				a := all[i]
				answers := map[string]string{}
				for _, sink := range []string{"good", "panicking", "none"} {
					s := newServer(t)
					s.tokens[root] = state != "empty"
					if state != "empty" {
						if _, err := s.store.Swap(t.Context(), record, ""); err != nil {
							t.Fatal(err)
						}
					}
					var mu sync.Mutex
					var requests []seal.Event
					var text strings.Builder
					switch sink {
					case "good":
						s.events = func(e seal.Event) {
							mu.Lock()
							defer mu.Unlock()
							fmt.Fprintf(&text, "%+v %v", e, e.Err)
							if e.Kind == operator.EventRequest {
								requests = append(requests, e)
							}
						}
					case "panicking":
						s.events = func(seal.Event) { panic("the sink is broken") }
					}
					s.restart()
					if state == "unsealed" {
						s.unseal(shares[:2]...)
					}
					requests = nil
					code, out := s.do(a.method, "/v1/sys/"+a.path, token, a.body)
					answers[sink] = fmt.Sprint(code, len(out))
					if sink != "good" {
						continue
					}
					tried++
					method := strings.Replace(a.method, "POST", "PUT", 1)
					read := method == "GET" && code < 400
					if !read && (len(requests) != 1 || requests[0].Detail != method+" "+a.path || (requests[0].Err != nil) != (code >= 400) || requests[0].Actor != "operator API" || requests[0].Replica != "replica-1") {
						missing++
						t.Errorf("%s, token %v: %+v: %d: the events are %+v", state, withToken, a, code, requests)
					}
					for _, secret := range append(stringsOf(out["keys"]), shares...) {
						if strings.Contains(text.String(), secret) {
							leaks++
							t.Errorf("%s: %+v: a share is in an event", state, a)
						}
					}
				}
				if answers["panicking"] != answers["good"] || answers["none"] != answers["good"] {
					broken++
					t.Errorf("%s, token %v: %+v: the answers depend on the sink: %v", state, withToken, a, answers)
				}
			}
		}
	}
	if testlevel.Whole() && !testing.Short() {
		t.Logf("GUARANTEE 25 operator: attempts=%d sinks=3 missing=%d broken=%d leaks=%d", tried, missing, broken, leaks)
	}
}
