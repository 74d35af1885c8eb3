package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/sealwright/sealwright/seal"
)

const stopped = "--server-stopped"

// A holder has an age key, and opens what was encrypted to it.
type holder struct {
	identity  *age.X25519Identity
	recipient string // a file
}

func newHolder(t *testing.T, w *world, name string) holder {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return holder{id, w.write(t, name+".pub", id.Recipient().String()+"\n")}
}

// Changes are refused where a server may run, until somebody says that none does.
func TestMaybeLive(t *testing.T) {
	w, at := fileWorld(t, true)
	add := []string{"add-slot", "spare", "--kms", "auto", "--config", w.config, "--store", at}
	run(t, "", add...).want(t, 1, "a server may run on this store", "--server-stopped", "--beside-server")
	run(t, "", append(add, stopped, "--beside-server")...).want(t, 1, "exclude each other")
	bare := w.write(t, "bare.json", string(recordOf(t, w.store)))
	run(t, "", "add-slot", "spare", "--kms", "auto", "--config", w.config, "--store", bare, stopped).want(t, 1, "a bare record is no store", "restore")
}

// A whole change of people: new shares go to keys and paper, the old ones hold until
// the new ones have proved, and are then named stale.
func TestRekey(t *testing.T) {
	w, at := fileWorld(t, false)
	alice, bob := newHolder(t, w, "alice"), newHolder(t, w, "bob")
	out := filepath.Join(w.dir, "out")
	old := w.shares[0] + "\n" + w.shares[1] + "\n"
	rekey := []string{"rekey", "people", "--people", "2/3", "--to", "alice=" + alice.recipient, "--to", bob.recipient, "--to", "carol=paper",
		"--out-dir", out, "--store", at, stopped, "--json"}
	run(t, "", rekey...).want(t, 1, "--about and --contact") // before anything is opened
	rekey = append(rekey, "--about", "the test", "--contact", "nobody")
	var v struct {
		Done      bool
		Delivered []struct{ File, Custodian, Way string }
		Next      string
	}
	r := run(t, old, rekey...)
	r.want(t, 0, "sealwright prove people")
	r.decode(t, &v)
	if len(v.Delivered) != 3 || v.Delivered[2].Way != "paper" || v.Delivered[0].Custodian != "alice" {
		t.Fatalf("%+v", v)
	}
	fresh := []string{opened(t, alice, v.Delivered[0].File), opened(t, bob, v.Delivered[1].File)}
	card := string(fileContent(t, v.Delivered[2].File))
	if !strings.Contains(card, "carol") || !strings.Contains(card, "the test") {
		t.Error("the card does not say whose it is")
	}
	for _, s := range fresh {
		secretOf(t, s)
	}
	run(t, old, append(rekey, "--as", "again")...).want(t, 1, "--reissue")
	run(t, old, "open", "--store", at).want(t, 0)
	both := strings.Join(fresh, "\n")
	run(t, both, "open", "--store", at).want(t, 2, "opens nothing yet")
	run(t, both, "check-share", "--store", at).want(t, 1, "opens nothing yet")
	run(t, old, "prove", "people", "--store", at, stopped).want(t, 1, "not enough shares", "run the same command again")
	run(t, old+both, "prove", "people", "--store", at, stopped).want(t, 0, "is proven")
	run(t, both, "open", "--store", at).want(t, 0, "slot people opens")
	run(t, old, "open", "--store", at).want(t, 2, "set 1, this store is at set 2, the share was replaced")
	run(t, both, "prove", "people", "--store", at, stopped).want(t, 0, "is proven") // a drill that is recorded
}

func opened(t *testing.T, h holder, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return decryptAge(t, f, h.identity)
}

// A KMS slot is added and proven, and another one dropped.
func TestAddAndDrop(t *testing.T) {
	w, at := fileWorld(t, true)
	key := filepath.Join(w.dir, "second.key")
	createKey(t, key)
	w.write(t, "server.hcl", string(fileContent(t, w.config))+"seal \"localkms\" {\n  name = \"second\"\n  path = \""+key+"\"\n}\n")
	by := []string{"--config", w.config, "--store", at, stopped}
	run(t, "", append([]string{"add-slot", "second", "--kms", "second"}, by...)...).want(t, 0, "slot second (KMS second) opens the store")
	run(t, "", append([]string{"add-slot", "second", "--kms", "second"}, by...)...).want(t, 1, "to replace it, rekey it")
	run(t, "", append([]string{"drop-slot", "auto"}, by...)...).want(t, 0, "dropped: auto")
	run(t, "", append([]string{"drop-slot", "nosuch"}, by...)...).want(t, 1, "no such slot")
	os.Remove(filepath.Join(w.dir, "kms.key"))
	run(t, "", "open", "--config", w.config, "--store", at).want(t, 0, "slot second opens")
	// People prove that they open it, where the only key goes.
	shares := w.shares[0] + w.shares[2]
	run(t, w.shares[0], "drop-slot", "second", "--store", at, stopped).want(t, 2, "1 of the 2 shares")
	run(t, shares, "drop-slot", "second", "--store", at, stopped).want(t, 0, "dropped: second")
	run(t, shares, "drop-slot", "people", "--store", at, stopped).want(t, 1, "the last proven slot cannot go")
	run(t, shares, "open", "--store", at).want(t, 0, "a single slot opens the store")
}

// Bad shapes and bad keys change nothing.
func TestRefusedChanges(t *testing.T) {
	w, at := fileWorld(t, false)
	before := fileContent(t, at)
	shares := w.shares[0] + w.shares[1]
	alice := newHolder(t, w, "alice")
	private := w.write(t, "private", alice.identity.String())
	for name, test := range map[string]struct {
		args  []string
		words string
	}{
		"no shape":         {[]string{"--to", alice.recipient}, "give one of --people"},
		"a bad shape":      {[]string{"--people", "3/2"}, "at least 2"},
		"a shape in words": {[]string{"--people", "two"}, "is as 2/3"},
		"nobody":           {[]string{"--people", "2/3"}, "say for each share who gets it"},
		"too many":         {[]string{"--people", "1/1", "--to", "a=terminal", "--to", "b=terminal"}, "are too many"},
		"one twice":        {[]string{"--people", "2/2", "--to", alice.recipient, "--to", alice.recipient}, "has a share already"},
		"a private key":    {[]string{"--people", "1/1", "--to", private}, "--to"},
		"no key":           {[]string{"--people", "1/1", "--to", w.write(t, "text", "hello")}, "--to"},
		"no such file":     {[]string{"--people", "1/1", "--to", filepath.Join(w.dir, "nosuch")}, "no such file"},
		"no directory":     {[]string{"--people", "1/1", "--to", alice.recipient}, "--out-dir"},
		"no terminal":      {[]string{"--people", "1/1", "--to", "a=terminal"}, "no terminal"},
		"no such key":      {[]string{"--kms", "nosuch"}, "nosuch"},
	} {
		t.Run(name, func(t *testing.T) {
			secretOf(t, alice.identity.String())
			run(t, shares, append([]string{"add-slot", "more", "--store", at, stopped}, test.args...)...).want(t, 1, test.words)
			if name != "no such key" && string(before) != string(fileContent(t, at)) {
				t.Error("the store changed")
			}
		})
	}
}

// On a terminal a share is shown to its holder alone, and the screen cleared.
func TestTerminalDelivery(t *testing.T) {
	w, at := fileWorld(t, false)
	file := w.write(t, "old", w.shares[0]+w.shares[1])
	p := onTerminal(t, false, "add-slot", "more", "--people", "1/1", "--to", "dora=terminal", "--shares", file, "--store", at, stopped)
	p.expect("Share 1 of 1 is for dora")
	p.expect("Press Enter to show it: ")
	p.enter("\r")
	p.expect("for dora:")
	p.expect("last 6 characters (not shown): ")
	share := shareOn(p)
	p.enter("wrong!\r")
	p.expect("Those are not")
	p.enter(share[83:] + "\r")
	p.expect("\x1b[?1049l")
	p.wait().want(t, 0, "sealwright prove more")
	run(t, w.shares[0]+w.shares[1]+share, "prove", "more", "--store", at, stopped).want(t, 0, "is proven")
	run(t, share, "open", "--store", at).want(t, 0, "slot more opens")
}

// Whoever leaves before the share was written down has lost nothing.
func TestTerminalDeliveryEnds(t *testing.T) {
	w, at := fileWorld(t, false)
	file := w.write(t, "old", w.shares[0]+w.shares[1])
	args := []string{"add-slot", "more", "--people", "1/1", "--to", "dora=terminal", "--shares", file, "--store", at, stopped}
	p := onTerminal(t, false, args...)
	p.expect("Press Enter to show it: ")
	p.enter("\x03")
	p.wait().want(t, 1, "pending and opens nothing", "--reissue")
	p = onTerminal(t, false, append(args, "--reissue")...)
	p.expect("Press Enter to show it: ")
	p.enter("\r")
	p.expect("(not shown): ")
	share := shareOn(p)
	p.enter(share[83:] + "\r")
	p.wait().want(t, 0)
	run(t, w.shares[0]+w.shares[1]+share, "prove", "more", "--store", at, stopped).want(t, 0)
	run(t, w.shares[0]+w.shares[1], "drop-slot", "more", "--store", at, stopped).want(t, 0)
}

// shareOn reads the share from the screen.
func shareOn(p *terminal) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := p.shown.String()
	text = text[strings.LastIndex(text, "for dora:")+len("for dora:"):]
	return strings.Join(strings.Fields(text[:strings.Index(text, "Write it down")]), "")
}

// A change by anybody else ends a run that was told that no server is there.
func TestOthersChange(t *testing.T) {
	w, at := fileWorld(t, false)
	p := onTerminal(t, false, "prove", "people", "--store", at, stopped)
	p.expect("Enter alone ends): ")
	b, err := seal.Open(seal.Config{Store: w.store})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, text := range w.shares[:2] {
		s, _ := seal.ParseShare(text)
		if _, err := b.Submit(t.Context(), s, seal.By{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Rotate(t.Context(), seal.By{}); err != nil {
		t.Fatal(err)
	}
	p.enter(w.shares[0] + "\r")
	p.wait().want(t, 1, "a server has the store open, and changed it")
}
