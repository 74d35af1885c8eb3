package aead_test

import (
	"bytes"
	"crypto/fips140"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
)

var makeGolden = flag.String("make-golden", "", "write new goldens to this file of testdata, which must not exist")

// golden is one message that every later version must open. Files of goldens
// are added, never changed.
type golden struct {
	Name, Key, Info, AAD, Plaintext, Sealed string
	Box                                     bool
}

func (g golden) open(t *testing.T) ([]byte, error) {
	if g.Box {
		return aead.OpenBox(unhex(t, g.Key), g.Info, unhex(t, g.Sealed), unhex(t, g.AAD))
	}
	return newAEAD(t, unhex(t, g.Key)).Open(nil, unhex(t, g.Sealed), unhex(t, g.AAD))
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldens(t *testing.T) {
	if *makeGolden != "" {
		writeGoldens(t, *makeGolden)
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	opened := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var goldens []golden
		if err := json.Unmarshal(text, &goldens); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, g := range goldens {
			if got, err := g.open(t); err != nil || hex.EncodeToString(got) != g.Plaintext {
				t.Errorf("%s: %s: opened %x, %v", file, g.Name, got, err)
			}
			opened++
		}
	}
	t.Logf("GUARANTEE 10 aead-goldens: files=%d opened=%d fips=%v", len(files), opened, fips140.Enabled())
}

// TestBothDoors runs the goldens in a process that allows certified
// cryptography alone, and has each process open what the other one sealed.
func TestBothDoors(t *testing.T) {
	if os.Getenv("AEAD_SEALED") != "" {
		t.Skip("the child process")
	}
	if testing.Short() {
		t.Skip("-short: starts a process")
	}
	if strings.Contains(runtime.Version(), "boringcrypto") {
		t.Skip("boringcrypto has one door only")
	}
	other := "fips140=only"
	if fips140.Enabled() {
		other = "fips140=off"
	}
	a := newAEAD(t, key(9))
	child := exec.Command(os.Args[0], "-test.run=^(TestGoldens|TestChild)$", "-test.v")
	child.Env = append(os.Environ(), "GODEBUG="+other,
		"AEAD_SEALED="+hex.EncodeToString(a.Seal(nil, []byte("from the parent"), []byte("aad"))))
	output, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", other, err, output)
	}
	_, line, found := strings.Cut(string(output), "SEALED ")
	if !found {
		t.Fatalf("%s: nothing sealed:\n%s", other, output)
	}
	line, _, _ = strings.Cut(line, "\n")
	got, err := a.Open(nil, unhex(t, line), []byte("aad"))
	if err != nil || string(got) != "from the child" {
		t.Errorf("opened %q, %v", got, err)
	}
	t.Logf("GUARANTEE 21 aead-doors: child=%s opened-by-child=1 opened-by-parent=1", other)
}

func TestChild(t *testing.T) {
	sealed := os.Getenv("AEAD_SEALED")
	if sealed == "" {
		t.Skip("run by TestBothDoors")
	}
	a := newAEAD(t, key(9))
	got, err := a.Open(nil, unhex(t, sealed), []byte("aad"))
	if err != nil || string(got) != "from the parent" {
		t.Fatalf("opened %q, %v", got, err)
	}
	t.Logf("SEALED %x", a.Seal(nil, []byte("from the child"), []byte("aad")))
}

func writeGoldens(t *testing.T, name string) {
	t.Helper()
	var goldens []golden
	for i, size := range []int{0, 1, 16, 17, 100} {
		k, aad := key(byte(i+1)), bytes.Repeat([]byte("a"), i*5)
		plaintext := bytes.Repeat([]byte{byte(i)}, size)
		g := golden{Name: "message", Key: hex.EncodeToString(k), AAD: hex.EncodeToString(aad),
			Plaintext: hex.EncodeToString(plaintext),
			Sealed:    hex.EncodeToString(newAEAD(t, k).Seal(nil, plaintext, aad))}
		goldens = append(goldens, g)
		g.Name, g.Box, g.Info = "box", true, strings.Repeat("info", i)
		box, err := aead.SealBox(k, g.Info, plaintext, aad)
		if err != nil {
			t.Fatal(err)
		}
		g.Sealed = hex.EncodeToString(box)
		goldens = append(goldens, g)
	}
	text, err := json.MarshalIndent(goldens, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile("testdata/"+name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(append(text, '\n')); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
