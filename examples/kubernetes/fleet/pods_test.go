//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
)

// TestMain is the server itself where a test has started it as a pod.
func TestMain(m *testing.M) {
	if os.Getenv("FLEET_POD") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what it expects, on a machine that does other
// things too.
const patience = 3 * time.Minute

// A fleet is the pods of the manifests, as processes of this machine.
type fleet struct {
	t      *testing.T
	dir    string   // stands for /etc/notes
	token  string   // of the operators
	args   []string // of the container, and of where the documents are
	given  int      // shares, by people
	kills  int
	pods   []*pod
	client *http.Client
}

type pod struct {
	*fleet
	name                     string
	addr, operators, handoff string // its own over restarts, as by a Service
	cmd                      *exec.Cmd
	log                      bytes.Buffer // to be read when the process has ended
	ended                    chan error
}

// newFleet makes the Secrets that the README has people make, and addresses for three
// pods. Documents says where those are.
func newFleet(t *testing.T, documents ...string) *fleet {
	t.Helper()
	testlevel.NeedsWhole(t, "starts processes")
	f := &fleet{t: t, dir: t.TempDir(), token: "token-of-the-operators", client: &http.Client{Timeout: time.Minute}}
	t.Cleanup(f.client.CloseIdleConnections)
	f.certify()
	must(t, os.Symlink("pods", filepath.Join(f.dir, "replicas")))
	must(t, os.Mkdir(filepath.Join(f.dir, "operators"), 0o700))
	must(t, os.WriteFile(filepath.Join(f.dir, "operators", "token"), []byte(f.token+"\n"), 0o600))
	f.args = append(containerArgs(t, "base/statefulset.yaml"), documents...)
	network := fmt.Sprintf("127.%d.%d.", 1+rand.N(254), rand.N(256)) // nobody else's, so that ports stay free
	for i := range 3 {
		p := &pod{fleet: f, name: fmt.Sprintf("notes-%d", i)}
		for _, at := range []*string{&p.addr, &p.operators, &p.handoff} {
			l := listen(t, network+fmt.Sprint(i+1))
			defer l.Close() // when each has another one
			*at = l.Addr().String()
		}
		must(t, os.Mkdir(p.volume(), 0o700))
		f.pods = append(f.pods, p)
	}
	t.Cleanup(func() {
		for _, p := range f.pods {
			if p.cmd != nil {
				p.end(syscall.SIGKILL)
			}
		}
	})
	return f
}

// certify makes certificates, by the same CA where there is one.
func (f *fleet) certify() {
	f.t.Helper()
	certificates(f.t, f.dir, "3")
}

// listen listens at a free port of the host, or where the system has no such host, of
// 127.0.0.1.
func listen(t *testing.T, host string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	must(t, err)
	return l
}

var argument = regexp.MustCompile(`(?m)^ +(?:- |value: )(-[a-z].*)$`)

// containerArgs reads the program's flags in a manifest.
func containerArgs(t *testing.T, file string) (args []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	for _, m := range argument.FindAllStringSubmatch(string(text), -1) {
		args = append(args, m[1])
	}
	return args
}

// command is what the pod runs, with this machine's addresses and files for the
// cluster's.
func (p *pod) command() *exec.Cmd {
	var peers []string
	for _, o := range p.pods {
		peers = append(peers, o.handoff)
	}
	cmd := exec.Command(os.Args[0])
	for _, a := range p.args {
		switch flag, _, _ := strings.Cut(a, "="); flag {
		case "-addr":
			a = flag + "=" + p.addr
		case "-operators":
			a = flag + "=" + p.operators
		case "-handoff":
			a = flag + "=" + p.handoff
		case "-peers":
			a = flag + "=" + strings.Join(peers, ",")
		}
		cmd.Args = append(cmd.Args, strings.NewReplacer("$(POD_NAME)", p.name, "/etc/notes", p.dir, "/var/lib/notes", p.volume()).Replace(a))
	}
	cmd.Env = append(os.Environ(), "FLEET_POD=1")
	return cmd
}

// volume is the pod's own.
func (p *pod) volume() string { return filepath.Join(p.dir, p.name) }

// start starts the pod's process, and waits until it is alive.
func (p *pod) start() {
	p.t.Helper()
	p.cmd = p.command()
	p.log.Reset()
	p.cmd.Stderr = &p.log
	must(p.t, p.cmd.Start())
	p.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan error) { ended <- cmd.Wait() }(p.cmd, p.ended)
	p.until("alive", func() (string, bool) {
		code, text := p.do("GET", p.addr, "/livez", "")
		return text, code == http.StatusOK
	})
}

// end sends the process a signal, and returns how it ended.
func (p *pod) end(signal syscall.Signal) error {
	if signal == syscall.SIGKILL {
		p.kills++
	}
	_ = p.cmd.Process.Signal(signal)
	select {
	case err := <-p.ended:
		p.cmd = nil
		return err
	case <-time.After(patience):
		p.t.Fatalf("%s does not end", p.name)
		return nil
	}
}

// until waits for a state, and fails where the process ends meanwhile.
func (p *pod) until(what string, ok func() (string, bool)) {
	p.t.Helper()
	for begun := time.Now(); ; {
		said, reached := ok()
		if reached {
			return
		}
		select {
		case err := <-p.ended:
			p.cmd = nil
			p.t.Fatalf("%s: not %s, but it ended: %v\n%s", p.name, what, err, &p.log)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Since(begun) > patience {
			_ = p.end(syscall.SIGKILL)
			p.t.Fatalf("%s: not %s, but %s\n%s", p.name, what, said, &p.log)
		}
	}
}

// up waits until pods are ready.
func up(pods ...*pod) {
	for _, p := range pods {
		p.t.Helper()
		p.until("unsealed", func() (string, bool) {
			code, text := p.do("GET", p.operators, "/reason", "")
			ready, _ := p.do("GET", p.addr, "/readyz", "")
			return text, code == http.StatusOK && ready == http.StatusOK
		})
	}
}

// sealed waits until a pod is not ready, for a reason, and sees that it is alive.
func (p *pod) sealed(reason string) {
	p.t.Helper()
	p.until("sealed: "+reason, func() (string, bool) {
		ready, _ := p.do("GET", p.addr, "/readyz", "")
		_, text := p.do("GET", p.operators, "/reason", "")
		return fmt.Sprint(ready, " ", text), ready == http.StatusServiceUnavailable && strings.Contains(text, reason)
	})
	if code, _ := p.do("GET", p.addr, "/livez", ""); code != http.StatusOK {
		p.t.Errorf("%s: sealed, and not alive: %d", p.name, code)
	}
}

// follows waits until a pod has taken in what another one has.
func (p *pod) follows(other *pod) {
	p.t.Helper()
	up(other)
	want := other.generation()
	if want == "" {
		p.t.Fatalf("%s shows no generation", other.name)
	}
	p.until("at generation "+want, func() (string, bool) {
		got := p.generation()
		return "at " + got, got == want
	})
	up(p)
}

// generation is that of the newest record that the pod has seen.
func (p *pod) generation() string {
	p.t.Helper()
	_, text := p.do("GET", p.operators, "/metrics", "")
	_, after, _ := strings.Cut(text, "\nsealwright_generation ")
	number, _, _ := strings.Cut(after, "\n")
	return number
}

// do asks one of the pod's addresses. The code is 0 where nobody answers.
func (p *pod) do(method, addr, path, body string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequest(method, "http://"+addr+path, strings.NewReader(body))
	must(p.t, err)
	r.Header.Set("X-Vault-Token", p.token)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

// An answer is what the test reads of those of the operator API.
type answer struct {
	Keys              []string
	Nonce             string
	VerificationNonce string `json:"verification_nonce"`
	Complete          bool
	Progress          int
}

// operate is a request to the operator API, which is expected to work.
func (p *pod) operate(path string, body map[string]any) (a answer) {
	p.t.Helper()
	sent, err := json.Marshal(body)
	must(p.t, err)
	code, text := p.do("PUT", p.operators, "/v1/sys/"+path, string(sent))
	if code == http.StatusNoContent {
		return a
	}
	if err := json.Unmarshal([]byte(text), &a); code != http.StatusOK || err != nil {
		p.t.Fatalf("%s at %s: %d %v", path, p.name, code, err) // the text may hold shares
	}
	return a
}

// give is what a custodian does.
func (p *pod) give(share string) {
	p.t.Helper()
	p.given++
	p.operate("unseal", map[string]any{"key": share})
}

// giveByPage is what a custodian does with a browser.
func (p *pod) giveByPage(share string) {
	p.t.Helper()
	p.given++
	if code, _ := p.form("unseal", url.Values{"share": {share}}); code != http.StatusOK {
		p.t.Fatalf("a share on the page of %s is answered with %d", p.name, code)
	}
}

// form sends one of the page's.
func (p *pod) form(path string, fields url.Values) (int, string) {
	p.t.Helper()
	return p.do(http.MethodPost, p.operators, "/ceremony/"+path, fields.Encode())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
