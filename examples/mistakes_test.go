//go:build unix

package examples_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sealwright/sealwright/examples/internal/cloudstore"
	"github.com/sealwright/sealwright/examples/internal/fakeclouds"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// stranger is a user to whom nothing belongs, where the test runs as root, who
// may do everything.
const stranger = 65532

// canary is a client secret.
const canary = "yesterdays-secret"

// A newcomer has a store and a configuration, and makes one mistake.
type newcomer struct {
	t      *testing.T
	bin    string // the directory of the programs
	dir    string
	clouds *fakeclouds.Clouds
	config string // its text
}

func (n *newcomer) path(name string) string { return filepath.Join(n.dir, name) }

func (n *newcomer) replace(old, new string) {
	n.t.Helper()
	if !strings.Contains(n.config, old) {
		n.t.Fatalf("the configuration has no %s:\n%s", old, n.config)
	}
	n.config = strings.Replace(n.config, old, new, 1)
}

// deny takes a file away from the user.
func (n *newcomer) deny(name string) {
	n.t.Helper()
	if os.Geteuid() == 0 {
		must(n.t, os.Chown(n.path(name), 0, 0))
		must(n.t, os.Chmod(n.path(name), 0o700))
		return
	}
	must(n.t, os.Chmod(n.path(name), 0))
	n.t.Cleanup(func() { _ = os.Chmod(n.path(name), 0o700) }) // to be removed
}

// words are what programs must say: "" is every one that is not named.
type words map[string][]string

func all(w ...string) words { return words{"": w} }

var (
	anotherKey = []string{"wrong key", "configure the key that the blob names", "sealwright.vault.azure.net/keys/unseal"}
	notOurs    = all("permission denied", "have it own the file and its directory")
)

// mistakes are what people do wrong, and what they must be told.
var mistakes = []struct {
	name string
	do   func(*newcomer)
	says words
}{
	{"the client secret is wrong", func(n *newcomer) {
		must(n.t, os.WriteFile(n.path("azure-secret"), []byte(canary), 0o644))
	}, all("renew the credentials", "AADSTS7000215")},
	{"the client secret's file is missing", func(n *newcomer) { must(n.t, os.Remove(n.path("azure-secret"))) }, all("renew the credentials", `azure-secret": no such file`)},
	{"the vault's name is wrong", func(n *newcomer) { n.replace(`"sealwright"`, `"sealwrigth"`) }, words{"": anotherKey, "shamir-to-azure": {"no such host: is that name right"}}},
	{"the vault's name is a URL", func(n *newcomer) { n.replace(`"sealwright"`, `"https://sealwright.vault.azure.net"`) }, all("seal.hcl:", "must be the name alone")},
	{"the key's name is wrong", func(n *newcomer) { n.replace(`"unseal"`, `"unseel"`) }, words{"": anotherKey, "shamir-to-azure": {"key deleted or not found", "unseel was not found"}}},
	{"the tenant is a typo", func(n *newcomer) { n.replace(`"72f988bf-`, `"72f988bf `) }, all("seal.hcl:", "must be a GUID or a domain")},
	{"the application is another", func(n *newcomer) { n.replace(`"11111111-`, `"11111112-`) }, all("AADSTS700016", "was not found in the directory")},
	{"there is no network", func(n *newcomer) { n.clouds.Wire.Unplug() }, all("unavailable: try again later", "connection refused")},
	{"the key is disabled", func(n *newcomer) { n.clouds.Azure.Disable("unseal", "") }, all("key disabled: enable it")},
	{"a field is a typo", func(n *newcomer) { n.replace("vault_name", "vault_nam") }, all("seal.hcl:", `unknown field "vault_nam": known are`)},
	{"a field is missing", func(n *newcomer) { n.replace("key_name              = \"unseal\"", "") }, all("seal.hcl:", "key_name is required")},
	{"the type is a typo", func(n *newcomer) { n.replace(`"azurekeyvault"`, `"azurekeyvalt"`) }, words{"": {`seal "azurekeyvalt": unknown seal type: known are`}, "shamir-to-azure": {`no seal "azurekeyvault" stanza`, `it has: "azurekeyvalt"`}}},
	{"a quote is missing", func(n *newcomer) { n.replace(`"unseal"`, `"unseal`) }, all("seal.hcl:", "is its closing quote missing?")},
	{"the configuration is missing", func(n *newcomer) { n.config = "" }, all("-config: ", "no such file")},
	{"the configuration has no stanza", func(n *newcomer) { n.config = "ui = true\n" }, all("has no seal stanza: write")},
	{"the directory is missing", func(n *newcomer) { must(n.t, os.RemoveAll(n.path("store"))) }, all("volume mounted?")},
	{"the directory is not this user's", func(n *newcomer) { n.deny("store") }, notOurs},
	{"the record is another user's", func(n *newcomer) { n.deny("store/record.json") }, notOurs},
	{"the record is everybody's", func(n *newcomer) { must(n.t, os.Chmod(n.path("store/record.json"), 0o666)) }, all("run chmod o= on it")},
	{"the store is empty", func(n *newcomer) { must(n.t, os.Remove(n.path("store/record.json"))) }, words{"": {"there is no store in", "is -dir right"}, "autounseal": {"not initialized", "if it is a new store"}}},
}

// Whoever makes a mistake is told what to do, by each program in its own words.
// go test -v prints them.
func TestMistakes(t *testing.T) {
	testlevel.NeedsWhole(t, "builds and runs programs")
	bin, err := programs()
	must(t, err)
	those := []string{"autounseal", "shamir-to-azure", "azure-to-shamir"}
	var tried, untold atomic.Int64
	t.Cleanup(func() {
		t.Logf("GUARANTEE 24 mistakes: programs=%d tried=%d untold=%d", len(those), tried.Load(), untold.Load())
	})
	one := func(t *testing.T, program, kind string, do func(*newcomer), want []string) {
		t.Parallel()
		n := arrive(t, bin, kind)
		do(n)
		n.hears(program, want)
		tried.Add(1)
		if t.Failed() {
			untold.Add(1)
		}
	}
	for _, m := range mistakesElsewhere {
		t.Run(m.cloud+"/"+m.name, func(t *testing.T) { one(t, "autounseal", m.cloud, m.do, m.says) })
	}
	for _, m := range mistakes {
		for _, program := range those {
			t.Run(m.name+"/"+program, func(t *testing.T) {
				want := m.says[program]
				if want == nil {
					want = m.says[""]
				}
				one(t, program, program, m.do, want)
			})
		}
	}
}

// The same with the two other clouds, and the server.
var mistakesElsewhere = []struct {
	name, cloud string
	do          func(*newcomer)
	says        []string
}{
	{"the secret key is wrong", "aws", func(n *newcomer) { n.edit("aws-credentials", awskmstest.SecretAccessKey, canary) }, []string{"InvalidSignatureException", "check the secret access key"}},
	{"the access key is wrong", "aws", func(n *newcomer) { n.edit("aws-credentials", awskmstest.AccessKeyID, "AKIAI44QH8DHBEXAMPLE") }, []string{"renew the credentials", "UnrecognizedClientException"}},
	{"the credentials' file is missing", "aws", func(n *newcomer) { must(n.t, os.Remove(n.path("aws-credentials"))) }, []string{"renew the credentials", `aws-credentials": no such file`}},
	{"the key is another", "aws", func(n *newcomer) { n.replace(n.clouds.AWSKey, n.clouds.AWS.CreateKey()) }, []string{"wrong key", "configure the key that the blob names"}},
	{"the key is a typo", "aws", func(n *newcomer) { n.replace("arn:aws:kms", "arn:aws:kmss") }, []string{"seal.hcl:", "kms_key_id is not the ARN of a KMS key"}},
	{"the permission is missing", "aws", func(n *newcomer) {
		n.clouds.AWS.Inject(awskmstest.Fault{Code: "AccessDeniedException", Message: "not authorized"})
	}, []string{"permission denied", "grant kms:Decrypt"}},
	{"there is no network", "aws", func(n *newcomer) { n.replace(n.clouds.AWS.URL, "http://127.0.0.1:1") }, []string{"unavailable: try again later", "connection refused"}},
	{"the key is disabled", "aws", func(n *newcomer) { n.clouds.AWS.Inject(awskmstest.Fault{Code: "DisabledException"}) }, []string{"key disabled: enable it"}},
	{"a field is a typo", "aws", func(n *newcomer) { n.replace("kms_key_id", "kms_keyid") }, []string{"seal.hcl:", `unknown field "kms_keyid": known are`}},

	{"the credentials' file is missing", "gcp", func(n *newcomer) { must(n.t, os.Remove(n.path("gcp.json"))) }, []string{"renew the credentials", `gcp.json": no access token: no such file`}},
	{"the credentials' file is empty", "gcp", func(n *newcomer) { must(n.t, os.WriteFile(n.path("gcp.json"), nil, 0o644)) }, []string{"renew the credentials", "not a JSON credentials file"}},
	{"the key is another", "gcp", func(n *newcomer) { n.replace(`"unseal"`, `"unseel"`) }, []string{"wrong key", "configure the key that the blob names"}},
	{"the permission is missing", "gcp", func(n *newcomer) { n.clouds.GCP.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Denied})) }, []string{"permission denied", "grant roles/cloudkms.cryptoKeyEncrypterDecrypter on the key"}},
	{"there is no network", "gcp", func(n *newcomer) { n.replace(n.clouds.GCP.Endpoint(), "127.0.0.1:1") }, []string{"unavailable: try again later", "connection refused"}},
	{"the key is disabled", "gcp", func(n *newcomer) { n.clouds.GCP.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Disabled})) }, []string{"key disabled: enable it", "gcloud kms keys versions enable"}},
	{"a field is a typo", "gcp", func(n *newcomer) { n.replace("key_ring", "keyring") }, []string{"seal.hcl:", `unknown field "keyring": known are`}},
}

// edit replaces a text in a file.
func (n *newcomer) edit(name, old, new string) {
	n.t.Helper()
	text, err := os.ReadFile(n.path(name))
	must(n.t, err)
	if !strings.Contains(string(text), old) {
		n.t.Fatalf("%s has no %s", name, old)
	}
	must(n.t, os.WriteFile(n.path(name), []byte(strings.ReplaceAll(string(text), old, new)), 0o644))
}

// arrive makes a store, and the configuration that a program, or the server with
// a cloud, is to be run with.
func arrive(t *testing.T, bin, program string) *newcomer {
	t.Helper()
	dir, err := os.MkdirTemp("", "sealwright-newcomer-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "store"), 0o755))
	n := &newcomer{t: t, bin: bin, dir: dir}
	n.clouds, err = fakeclouds.Start(dir)
	must(t, err)
	t.Cleanup(n.clouds.Close)

	const people = "seal \"shamir\" {\n  shares    = 3\n  threshold = 2\n}\n"
	before := n.clouds.AzureStanza()
	n.config = before
	switch program {
	case "aws":
		before = n.clouds.AWSStanza()
		n.config = before
	case "gcp":
		before = n.clouds.GCPStanza()
		n.config = before
	case "shamir-to-azure":
		before = people
	case "azure-to-shamir":
		n.config = people + n.clouds.AzureStanza("disabled              = true")
	}
	must(t, os.WriteFile(n.path("before.hcl"), []byte(before), 0o600))
	place := cloudstore.Place{Config: n.path("before.hcl"), Dir: n.path("store"), Fakes: n.clouds.File}
	b, setup, err := place.Open(seal.Config{})
	must(t, err)
	defer b.Close()
	d, err := b.Init(t.Context(), setup.Slots, seal.By{})
	must(t, err)
	shares := ""
	for _, set := range d.Sets {
		for _, s := range set.Shares {
			shares += s.Reveal() + "\n"
		}
	}
	must(t, os.WriteFile(n.path("shares"), []byte(shares), 0o644))
	// All that is there is the stranger's to read.
	must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil && os.Geteuid() == 0 {
			err = os.Chown(path, stranger, stranger)
		}
		return err
	}))
	return n
}

// hears runs the program, and checks what it says.
func (n *newcomer) hears(program string, want []string) {
	n.t.Helper()
	said := n.try(program)
	for _, w := range want {
		if !strings.Contains(said, w) {
			n.t.Errorf("it does not say %q", w)
		}
	}
	if strings.Contains(said, canary) {
		n.t.Error("it shows the secret")
	}
	n.t.Log(said)
}

// try runs the program, and returns what it says.
func (n *newcomer) try(program string) string {
	n.t.Helper()
	config := n.path("seal.hcl")
	if n.config != "" {
		must(n.t, os.WriteFile(config, []byte(n.config), 0o644))
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), 2*time.Minute)
	defer cancel()
	args := []string{"-config", config, "-dir", n.path("store"), "-fakes", n.clouds.File}
	if program == "autounseal" {
		args = append(args, "-addr", "127.0.0.1:0")
	} else {
		args = append(args, "-shares", n.path("shares"), "-drop", "-out", n.path("new-shares"))
	}
	cmd := exec.CommandContext(ctx, filepath.Join(n.bin, program), args...)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	}
	if program != "autounseal" {
		out, err := cmd.CombinedOutput()
		return fmt.Sprintf("%s(%v)", out, err)
	}
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	must(n.t, err)
	must(n.t, cmd.Start())
	defer cmd.Wait()
	defer cmd.Process.Kill()
	url, err := bufio.NewReader(out).ReadString('\n')
	if errors.Is(err, io.EOF) {
		_ = cmd.Wait()
		return log.String()
	}
	must(n.t, err)
	for ctx.Err() == nil {
		resp, err := http.Get(strings.TrimSpace(url) + "/reason")
		must(n.t, err)
		var answer struct{ Status, Reason string }
		err = json.NewDecoder(resp.Body).Decode(&answer)
		resp.Body.Close()
		must(n.t, err)
		// Before its first attempt has ended it knows no more than that it is sealed.
		if answer.Status == "ready" || !strings.HasPrefix(answer.Reason, "seal: sealed, starting: ") {
			return answer.Status + " " + answer.Reason
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "it says nothing"
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
