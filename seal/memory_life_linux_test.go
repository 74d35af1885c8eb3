//go:build !goexperiment.boringcrypto && !race

package seal_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
)

const (
	lifeEnv = "SEAL_TEST_LIFE"      // the mask, in hexadecimal
	dumpEnv = "SEAL_TEST_LIFE_DUMP" // set to have all memory dumped
)

// TestLife is the process that TestCleanMemory and TestCoreDump look at.
func TestLife(t *testing.T) {
	mask, err := hex.DecodeString(os.Getenv(lifeEnv))
	if err != nil || len(mask) != 32 {
		t.Skip("run by TestCleanMemory")
	}
	allowCore()
	l := life{t: t, mask: mask}
	pause := func(word string) {
		fmt.Println(word)
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			os.Exit(0)
		}
	}
	control := new([32]byte)
	l.control = control // and so on the heap
	rand.Read(control[:])
	l.tell("control", bytes.Clone(control[:]))
	b := l.live()
	overwriteRegisters(t)
	if os.Getenv(dumpEnv) != "" {
		dumpAll(t)
	}
	pause("OPEN")
	if err := b.Seal(seal.By{}); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC()
	pause("SEALED")
	clear(control[:])
	pause("WIPED")
}

// overwriteRegisters has the vector registers hold something of another key, as
// in a server that goes on: a core dump has what they still hold of the last.
func overwriteRegisters(t *testing.T) {
	a, err := aead.New(make([]byte, aead.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Wipe()
	for _, n := range []int{16, 1 << 10} {
		if _, err := a.Open(nil, a.Seal(nil, make([]byte, n), nil), nil); err != nil {
			t.Fatal(err)
		}
	}
}

// allowCore allows core dumps as large as the system lets.
func allowCore() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &limit) == nil {
		limit.Cur = limit.Max
		syscall.Setrlimit(syscall.RLIMIT_CORE, &limit)
	}
}

// dumpAll takes back that some memory is left out of core dumps.
func dumpAll(t *testing.T) {
	const madvDoDump = 17
	for _, r := range regionsOf(t, os.Getpid()) {
		if !r.dumped {
			syscall.Syscall(syscall.SYS_MADVISE, uintptr(r.lo), uintptr(r.hi-r.lo), madvDoDump)
		}
	}
}

// A life is what happens to one Barrier.
type life struct {
	t    *testing.T
	b    *seal.Barrier
	mask []byte

	control *[32]byte
}

// tell tells a secret, masked, and loses it.
func (l *life) tell(kind string, secret []byte) {
	subtle.XORBytes(secret, secret, l.mask)
	fmt.Printf("%s=%x\n", kind, secret)
}

// tellingStore tells every record that it is given.
type tellingStore struct{ *seal.MemStore }

func (s tellingStore) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	fmt.Printf("record=%x\n", rec)
	return s.MemStore.Swap(ctx, rec, old)
}

// live has the Barrier do everything that handles keys, and leaves it unsealed.
func (l *life) live() *seal.Barrier {
	t, ctx, by := l.t, l.t.Context(), seal.By{}
	cfg := seal.Config{Store: tellingStore{seal.NewMemStore()}, KMS: map[string]kms.Wrapper{}, Retry: kms.Policy{Attempts: 1}}
	for _, name := range []string{"a", "b"} {
		cfg.KMS[name] = plainKMS(name)
	}
	cfg.Roster, cfg.Propagation = seal.NewMemStore(), 1
	var err error
	if l.b, err = seal.Open(cfg); err != nil {
		t.Fatal(err)
	}
	b := l.b
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	unseal := func() { // by KMS
		t.Helper()
		err := b.Unseal(ctx)
		check(err)
	}
	people := seal.Shamir{Shares: 3, Threshold: 2}
	d, err := b.Init(ctx, map[string]seal.Spec{
		"people": people,
		"cloud":  seal.KMS{Wrapper: "a"},
		"both":   seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "b"}, people}},
	}, by)
	l.deliver(d)
	check(err)
	l.use()
	op, _, err := b.Admin().Prove(ctx, "both", by)
	check(err)
	l.submit(d, "both", seal.By{Operation: op})
	op, _, err = b.Admin().Prove(ctx, "people", by)
	check(err)
	l.submit(d, "people", seal.By{Operation: op})
	check(b.Rotate(ctx, by))
	check(b.Admin().Activate(ctx, 2, by))
	l.use()
	check(b.Admin().RotateRoot(ctx, by))
	check(b.Admin().Renew(ctx, "cloud", by))
	check(b.Admin().Drill(ctx))

	renewed, err := b.Admin().Rekey(ctx, "people", people, by)
	l.deliver(renewed)
	check(err)
	op, _, err = b.Admin().Prove(ctx, "people", by)
	check(err)
	l.submit(renewed, "people", seal.By{Operation: op})
	l.use()
	check(b.Seal(by))
	unseal()
	check(b.Seal(by))
	l.submit(renewed, "people", by)
	l.use()
	l.passOn(cfg, renewed)
	check(b.Admin().RetireUncounted(ctx, 1, by))
	_, done, err := b.Admin().Drop(ctx, []string{"both"}, by)
	if check(err); !done {
		t.Fatal("the drop waits for people")
	}
	d.Wipe()
	renewed.Wipe()
	check(b.Seal(by))
	unseal()
	l.use()
	l.handOver(cfg)
	return b
}

// passOn has two other processes, as far as memory can tell, unseal with a share each,
// of which one is passed, and end.
func (l *life) passOn(cfg seal.Config, d seal.Delivery) {
	l.t.Helper()
	cfg.KMS, cfg.Roster, cfg.PassShares = nil, nil, true
	var first *seal.Barrier
	cfg.Peers = func(context.Context) ([]seal.Peer, error) {
		return []seal.Peer{{Name: "first", Ask: func(ctx context.Context, request []byte) ([]byte, error) {
			if first == nil {
				return nil, errors.New("nobody")
			}
			answer, _ := first.Admin().HandOff(ctx, request, "second", nil)
			return answer, nil
		}}}, nil
	}
	give := func(replica string, share seal.Share) *seal.Barrier {
		cfg.Replica = replica
		b, err := seal.Open(cfg)
		if err == nil {
			_, err = b.Submit(l.t.Context(), share, seal.By{})
		}
		if err != nil {
			l.t.Fatal(err)
		}
		return b
	}
	i := slices.IndexFunc(d.Sets, func(s seal.ShareSet) bool { return s.Slot == "people" })
	one := give("first", d.Sets[i].Shares[0])
	first = one
	second := give("second", d.Sets[i].Shares[1])
	if one.Sealed() == nil || second.Sealed() != nil {
		l.t.Fatalf("the first: %v; the second: %v", one.Sealed(), second.Sealed())
	}
	if err := errors.Join(one.Close(), second.Close()); err != nil {
		l.t.Fatal(err)
	}
}

// handOver has another process, as far as memory can tell, ask for the root key, and
// end.
func (l *life) handOver(cfg seal.Config) {
	l.t.Helper()
	cfg.Replica, cfg.KMS, cfg.Roster = "other", nil, nil
	asked := 0
	cfg.Peers = func(context.Context) ([]seal.Peer, error) {
		return []seal.Peer{{Name: "one", Ask: func(ctx context.Context, request []byte) ([]byte, error) {
			asked++
			return l.b.Admin().HandOff(ctx, request, "other", nil)
		}}}, nil
	}
	other, err := seal.Open(cfg)
	if err == nil {
		err = errors.Join(other.Unseal(l.t.Context()), other.Close())
	}
	if err != nil || asked != 1 {
		l.t.Fatalf("asked %d times: %v", asked, err)
	}
}

// use encrypts and decrypts, and tells the roster.
func (l *life) use() {
	l.t.Helper()
	ciphertext, err := l.b.Keyring().Encrypt(nil, []byte("plaintext"), []byte("aad"))
	if err != nil {
		l.t.Fatal(err)
	}
	fmt.Printf("epoch=%x\n", ciphertext[:41])
	seal.Report(l.t.Context(), l.b)
	if _, err := l.b.Keyring().Decrypt(nil, ciphertext, []byte("aad")); err != nil {
		l.t.Fatal(err)
	}
}

// submit gives the first two shares of a slot.
func (l *life) submit(d seal.Delivery, slot string, by seal.By) {
	l.t.Helper()
	for _, set := range d.Sets {
		if set.Slot != slot {
			continue
		}
		for _, s := range set.Shares[:2] {
			if _, err := l.b.Submit(l.t.Context(), s, by); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	if st := l.b.Status(); st.Sealed || st.Operation != nil {
		l.t.Fatalf("%s: sealed %v, operation %v", slot, st.Sealed, st.Operation)
	}
}

// deliver tells the shares.
func (l *life) deliver(d seal.Delivery) {
	for _, set := range d.Sets {
		for _, s := range set.Shares {
			raw := s.RevealRaw()
			l.tell(fmt.Sprintf("share %d %d", set.Set, s.X()), raw[:32])
		}
	}
}

// plainKMS wraps keys under one made of its name, and keeps none.
type plainKMS string

func (w plainKMS) key() []byte { return bytes.Repeat([]byte(w), 32)[:32] }

func (w plainKMS) Wrap(_ context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	box, err := aead.SealBox(w.key(), "plain", key, nil)
	return &kms.Blob{Type: "plain", KeyID: string(w), Ciphertext: box}, err
}

func (w plainKMS) Unwrap(_ context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	return aead.OpenBox(w.key(), "plain", blob.Ciphertext, nil)
}

func (w plainKMS) Authenticates(*kms.Blob) bool { return true }
