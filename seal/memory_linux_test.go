//go:build !goexperiment.boringcrypto && !race

package seal_test

import (
	"crypto/fips140"
	"testing"

	"github.com/sealwright/sealwright/internal/aead/aeadtest"
	"github.com/sealwright/sealwright/internal/secret"
	"github.com/sealwright/sealwright/internal/testlevel"
)

// TestCleanMemory looks for every secret of a Barrier's whole life in the memory
// of the process that lives it, from outside. That process tells the records it
// stores and the epochs it encrypts in, which are no secret, and its shares
// masked; with the keys of its KMS, which are known, all else follows from them.
func TestCleanMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts a process, and searches its memory")
	}
	var open finds
	secrets := 0
	sealed, chance, lives := luckily(t, func() finds {
		p := startLife(t)
		p.listen(t, "OPEN")
		n := newNeedles(p.secrets())
		secrets = len(p.kinds) - 1
		open = n.inMemory(t, p.cmd.Process.Pid, false)
		p.proceed(t)
		p.listen(t, "SEALED")
		sealed := n.inMemory(t, p.cmd.Process.Pid, false)
		p.proceed(t)
		p.listen(t, "WIPED")
		wiped := n.inMemory(t, p.cmd.Process.Pid, false)
		p.stop(t)
		if open.take("control") == 0 || sealed.take("control") == 0 || wiped.take("control") != 0 {
			t.Fatal("the scanner does not work: it misses the control, or finds it where it was wiped")
		}
		for _, kind := range []string{"root key", "data key", "epoch key"} {
			if open[kind] == nil {
				t.Fatalf("the scanner does not work: while unsealed it finds no %s, but %v", kind, open)
			}
		}
		return sealed
	})
	if sealed.sum() > 0 {
		t.Errorf("after Seal, copies of %v", sealed)
	}
	t.Logf("GUARANTEE 18 clean-memory: build=%s fips=%v secrets=%d copies_unsealed=%d copies_sealed=%d by_chance=%d control=found lives=%d",
		aeadtest.Build, fips140.Enabled(), secrets, open.sum(), sealed.sum(), chance, lives)
}

// TestCoreDump looks for the same in what is dumped when that process crashes:
// after Seal, and while it is unsealed, where its keys are in memory that is
// left out. That they are in such memory alone, and would be found, is shown by
// a process that has it dumped all the same.
func TestCoreDump(t *testing.T) {
	testlevel.NeedsWhole(t, "starts three processes, and reads all of their memory")
	var p *process
	expanded := 0
	core := func(word string, env ...string) func() finds {
		return func() finds {
			p = startLife(t, env...)
			p.listen(t, "OPEN")
			n := newNeedles(p.secrets())
			if word != "OPEN" {
				p.proceed(t)
				p.listen(t, word)
			}
			f := n.inCore(t, p)
			if f.take("control") == 0 {
				t.Fatalf("the scanner does not work: it misses the control, and finds %v", f)
			}
			if fips140.Enabled() && word == "OPEN" && env == nil {
				expanded = f.take("epoch key") // is in ordinary memory then
			}
			return f
		}
	}
	sealed, chance, _ := luckily(t, core("SEALED"))
	if sealed.sum() > 0 {
		t.Errorf("in a core dump after Seal, copies of %v", sealed)
	}
	memory := "undumpable"
	var open finds
	if m := secret.Memory(); m.Undumpable {
		var more int
		if open, more, _ = luckily(t, core("OPEN")); open.sum() > 0 {
			t.Errorf("in a core dump while unsealed, copies of %v", open)
		}
		chance = max(chance, more)
	} else {
		memory = m.Reason
		open = core("OPEN")()
		t.Logf("keys are in core dumps while unsealed: %s", m.Reason)
	}
	control := core("OPEN", dumpEnv+"=1")()
	if control["root key"] == nil || control["data key"] == nil || control["epoch key"] == nil {
		t.Fatalf("the scanner does not work: where all memory is dumped it finds %v", control)
	}
	t.Logf("GUARANTEE 18 core-dump: build=%s fips=%v core=%s memory=%q copies_unsealed=%d copies_sealed=%d by_chance=%d control=found undone=%d",
		aeadtest.Build, fips140.Enabled(), p.dumped, memory, open.sum()+expanded, sealed.sum(), chance, control.sum())
}

// luckily lives until nothing is found, five times at most. What the code
// leaves is there every time. What the runtime saved of registers when it
// interrupted a goroutine, or of a stack that it moved, is there by chance: the
// second result is the most of it that was found.
func luckily(t *testing.T, live func() finds) (f finds, chance, lives int) {
	t.Helper()
	for {
		lives++
		f = live()
		if f.sum() == 0 || lives == 5 {
			return f, chance, lives
		}
		t.Logf("perhaps by chance, copies of %v", f)
		chance = max(chance, f.sum())
	}
}
