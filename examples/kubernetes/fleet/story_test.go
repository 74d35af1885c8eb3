//go:build unix

package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sealwright/sealwright/internal/etcdtest"
	"github.com/sealwright/sealwright/internal/kubefake"
	"github.com/sealwright/sealwright/seal/journal"
)

// TestStory is guarantee 29 as a reader of the README lives it: one ceremony, and from
// then on nobody is called, whatever is killed or rolled, as long as one pod is up.
// The documents are in a real etcd.
func TestStory(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	endpoints := etcdtest.Need(t, 1).Endpoints()
	f.args = append(f.args, "-etcd="+strings.Join(endpoints, ","))
	tell(t, "story", f, func() (back func()) { return deleteRecord(t, endpoints) })
}

var (
	proxy     = flag.String("proxy", "", "the `address` of kubectl proxy: TestStoryInSecrets has the manifests' empty Secrets of that cluster")
	namespace = flag.String("namespace", "default", "the `namespace` of those")
)

// TestStoryInSecrets is the same over Secrets, by way of a kubectl proxy.
func TestStoryInSecrets(t *testing.T) {
	t.Parallel()
	if *proxy == "" {
		ours := httptest.NewServer(kubefake.New())
		t.Cleanup(ours.Close)
		*proxy = ours.URL
	}
	tell(t, "story-in-secrets", newFleet(t, "-secrets", "-kubernetes="+*proxy, "-namespace="+*namespace), nil)
}

// tell has a fleet live through it, and says how it went.
func tell(t *testing.T, name string, f *fleet, take func() (back func())) {
	t.Helper()
	s := &story{fleet: f, notes: map[string]string{}, take: take}
	s.live()
	if lost := s.lost(); !t.Failed() {
		t.Logf("GUARANTEE 29 %s: kills=%d rolls=%d ceremonies=%d calls=%d lost=%d", name, f.kills, s.rolls, s.ceremonies, f.given-2*s.ceremonies, lost)
	}
}

// A story is what happens to a fleet.
type story struct {
	*fleet
	notes             map[string]string // all that was acknowledged
	rolls, ceremonies int
	take              func() (back func()) // deletes the record; nil: nobody does
}

// deleteRecord deletes the record from etcd, as somebody may by mistake.
func deleteRecord(t *testing.T, endpoints []string) (back func()) {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints})
	must(t, err)
	t.Cleanup(func() { client.Close() })
	const key = "notes/seal"
	was, err := client.Get(t.Context(), key)
	must(t, err)
	_, err = client.Delete(t.Context(), key)
	must(t, err)
	return func() {
		_, err := client.Put(t.Context(), key, string(was.Kvs[0].Value))
		must(t, err)
	}
}

func (s *story) live() {
	a, b, c := s.pods[0], s.pods[1], s.pods[2]
	for _, p := range s.pods {
		p.start()
	}
	for _, p := range s.pods {
		p.sealed("not initialized")
	}
	shares := b.operate("init", map[string]any{"secret_shares": 3, "secret_threshold": 2}).Keys
	for _, p := range s.pods {
		p.sealed("waiting for people")
	}
	a.give(shares[0]) // each to another pod, as behind one address
	c.give(shares[2])
	s.ceremonies++
	up(s.pods...)
	s.readEverywhere()
	s.strangers()

	for _, p := range s.pods {
		p.end(syscall.SIGKILL)
		s.write(s.other(p)) // the rest goes on
		p.start()
		up(p)
		s.readEverywhere()
	}
	a.end(syscall.SIGKILL)
	b.end(syscall.SIGKILL)
	a.start()
	b.start()
	up(a, b)
	s.readEverywhere()

	s.certify()                // in a year
	for _, p := range s.pods { // as the set does it: the next when this one is ready
		if err := p.end(syscall.SIGTERM); err != nil {
			s.t.Errorf("%s ended with %v", p.name, err)
		}
		p.start()
		up(p)
		s.rolls++
		s.readEverywhere()
	}

	c.end(syscall.SIGKILL) // and comes back to a record that it has never seen
	a.operate("rotate/root", nil)
	b.follows(a)
	rekeyed := s.rekey(b, shares)
	s.write(b)
	c.start()
	up(s.pods...)
	s.readEverywhere()

	for _, p := range s.pods {
		p.end(syscall.SIGKILL)
	}
	s.startWithoutRecord()
	for _, p := range s.pods {
		p.sealed("waiting for people")
	}
	for _, old := range shares {
		if code, _ := b.do("PUT", b.operators, "/v1/sys/unseal", fmt.Sprintf(`{"key": %q}`, old)); code != http.StatusBadRequest {
			s.t.Errorf("an old share is answered with %d", code)
		}
	}
	for _, p := range s.pods {
		p.sealed("waiting for people")
	}
	b.giveByPage(rekeyed[0]) // both to one pod
	b.giveByPage(rekeyed[1])
	s.ceremonies++
	up(s.pods...)
	s.readEverywhere()
	s.journals()
}

// startWithoutRecord starts the pods while the record is not there, which is no reason
// to make another one.
func (s *story) startWithoutRecord() {
	s.t.Helper()
	if s.take != nil {
		defer s.take()()
	}
	for _, p := range s.pods {
		p.start()
	}
	if s.take == nil {
		return
	}
	for _, p := range s.pods {
		p.sealed("record is gone")
		if code, _ := p.do("PUT", p.operators, "/v1/sys/init", `{"secret_shares": 3, "secret_threshold": 2}`); code/100 == 2 {
			s.t.Errorf("%s makes another record", p.name)
		}
	}
}

// journals has each pod's read: whatever killed its writer, it is whole.
func (s *story) journals() {
	s.t.Helper()
	for _, p := range s.pods {
		found, err := journal.Verify(s.t.Context(), journal.File{Path: filepath.Join(p.volume(), "journal")})
		if err != nil || found.Lines < 10 {
			s.t.Errorf("the journal of %s: %d lines, %v", p.name, found.Lines, err)
		}
	}
}

// strangers have no token, and reach what operators and clients do.
func (s *story) strangers() {
	s.t.Helper()
	p, token := s.pods[0], s.token
	s.token = "another"
	defer func() { s.token = token }()
	for _, path := range []string{"seal", "rotate", "rotate/root", "rekey/init"} {
		if code, _ := p.do("PUT", p.operators, "/v1/sys/"+path, `{"secret_shares": 3, "secret_threshold": 2}`); code != http.StatusForbidden {
			s.t.Errorf("%s with another token: %d", path, code)
		}
	}
	if code, _ := p.do("GET", p.addr, "/notes/note-0", ""); code != http.StatusForbidden {
		s.t.Errorf("a note with another token: %d", code)
	}
}

// rekey makes new shares, and returns them when they count. The old ones agree to it,
// at the pod that gathers them.
func (s *story) rekey(p *pod, shares []string) []string {
	s.t.Helper()
	nonce := p.operate("rekey/init", map[string]any{"secret_shares": 3, "secret_threshold": 2, "require_verification": true}).Nonce
	p.operate("rekey/update", map[string]any{"nonce": nonce, "key": shares[0]})
	made := p.operate("rekey/update", map[string]any{"nonce": nonce, "key": shares[1]})
	for _, share := range made.Keys[:2] {
		p.operate("rekey/verify", map[string]any{"nonce": made.VerificationNonce, "key": share})
	}
	return made.Keys
}

// other is a pod that runs, and is not this one.
func (s *story) other(than *pod) *pod {
	for _, p := range s.pods {
		if p != than && p.cmd != nil {
			return p
		}
	}
	s.t.Fatal("no other pod runs")
	return nil
}

func (s *story) write(p *pod) {
	s.t.Helper()
	name := fmt.Sprintf("note-%d", len(s.notes))
	text := "what " + p.name + " was told as " + name
	if code, said := p.do("PUT", p.addr, "/notes/"+name, text); code != http.StatusOK {
		s.t.Fatalf("%s does not take a note: %d %s", p.name, code, said)
	}
	s.notes[name] = text
}

// readEverywhere writes a note at each pod, and waits until each reads every one.
func (s *story) readEverywhere() {
	s.t.Helper()
	for _, p := range s.pods {
		s.write(p)
	}
	for _, p := range s.pods {
		for name, text := range s.notes {
			p.until("reading "+name, func() (string, bool) {
				code, got := p.do("GET", p.addr, "/notes/"+name, "")
				return fmt.Sprint(code, " ", got), code == http.StatusOK && got == text
			})
		}
	}
}

// lost counts the notes that some pod does not read.
func (s *story) lost() (lost int) {
	s.t.Helper()
	for name, text := range s.notes {
		for _, p := range s.pods {
			if code, got := p.do("GET", p.addr, "/notes/"+name, ""); code != http.StatusOK || got != text {
				s.t.Errorf("%s at %s: %d %q", name, p.name, code, got)
				lost++
				break
			}
		}
	}
	return lost
}

// The page lets nobody begin, nor see what happened, without the token.
func TestPageAsksForTheToken(t *testing.T) {
	f := newFleet(t, "-secrets", "-kubernetes=http://127.0.0.1:1", "-namespace=default") // where nobody answers
	p := f.pods[0]
	p.start()
	for token, want := range map[string]int{"": http.StatusForbidden, f.token + "!": http.StatusForbidden, f.token: http.StatusOK} {
		if code, _ := p.form("events", url.Values{"token": {token}}); code != want {
			t.Errorf("events with token %q: %d, want %d", token, code, want)
		}
	}
	begin := url.Values{"token": {"another"}, "shares": {"3"}, "threshold": {"2"}}
	if code, _ := p.form("begin/init", begin); code != http.StatusForbidden {
		t.Errorf("an init with another token: %d", code)
	}
	f.token = "another"
	if code, _ := p.do("PUT", p.operators, "/v1/sys/init", `{"secret_shares": 3, "secret_threshold": 2}`); code != http.StatusForbidden {
		t.Errorf("init with another token: %d", code)
	}
	if code, _ := p.do("PUT", p.addr, "/v1/sys/init", "{}"); code != http.StatusServiceUnavailable {
		t.Errorf("clients reach the operators' routes: %d", code)
	}
}
