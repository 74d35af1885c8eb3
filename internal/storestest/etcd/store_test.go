//go:build unix

package etcd_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/sealwright/sealwright/internal/etcdtest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/etcdstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

func TestConformance(t *testing.T) {
	c := cluster(t)
	first, second := connect(t, c.Endpoints()[0]), connect(t, c.Endpoints()[1:]...)
	storetest.Config{MaxRecordSize: etcdstore.MaxRecordSize}.Run(t, func(t *testing.T) seal.Store {
		key := newKey()
		return storetest.Turns(open(t, first, key), open(t, second, key))
	})
}

func TestUnreachable(t *testing.T) {
	storetest.RunUnreachable(t, func(t *testing.T) seal.Store {
		return short{open(t, connect(t, "127.0.0.1:1"), newKey())} // nobody listens there
	})
}

// short gives up soon: etcd's client waits for a server as long as it may.
type short struct{ seal.Store }

func (s short) Load(ctx context.Context) ([]byte, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	return s.Store.Load(ctx)
}

func (s short) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	return s.Store.Swap(ctx, rec, old)
}

func TestLostAnswers(t *testing.T) {
	c := cluster(t)
	wire := storetest.NewWire(t, "tcp", c.Endpoints()[0])
	client := connect(t, wire.Addr())
	storetest.RunLostAnswers(t, func(t *testing.T) (seal.Store, func(int)) {
		return open(t, client, newKey()), wire.Lose
	})
}

// Something between client and server sends what got no answer a second time.
func TestATransactionThatWasSentTwiceIsNoConflict(t *testing.T) {
	client := *connect(t, cluster(t).Endpoints()...)
	client.KV = twice{client.KV}
	s := open(t, &client, newKey())
	first := swap(t, s, "one", "")
	expect(t, s, "one", first)
	second := swap(t, s, "two", first)
	expect(t, s, "two", second)
	if _, err := s.Swap(t.Context(), []byte("three"), first); !errors.Is(err, seal.ErrConflict) {
		t.Errorf("a stale Swap: %v, want seal.ErrConflict", err)
	}
}

type twice struct{ clientv3.KV }

func (kv twice) Txn(ctx context.Context) clientv3.Txn { return twiceTxn{kv.KV.Txn(ctx)} }

type twiceTxn struct{ clientv3.Txn }

func (txn twiceTxn) If(c ...clientv3.Cmp) clientv3.Txn  { return twiceTxn{txn.Txn.If(c...)} }
func (txn twiceTxn) Then(o ...clientv3.Op) clientv3.Txn { return twiceTxn{txn.Txn.Then(o...)} }
func (txn twiceTxn) Else(o ...clientv3.Op) clientv3.Txn { return twiceTxn{txn.Txn.Else(o...)} }
func (txn twiceTxn) Commit() (*clientv3.TxnResponse, error) {
	if _, err := txn.Txn.Commit(); err != nil {
		return nil, err
	}
	return txn.Txn.Commit()
}

// A replica that was away while a snapshot was restored knows a mod revision that is
// given a second time.
func TestAReplicaFromBeforeARestoreDoesNotWin(t *testing.T) {
	etcdctl, err := exec.LookPath("etcdctl")
	if err != nil {
		t.Skip("no etcdctl in the PATH")
	}
	c := etcdtest.Need(t, 1)
	key := newKey()
	s := open(t, connect(t, c.Endpoints()...), key)
	saved := swap(t, s, "saved", "")
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command(etcdctl, args...)
		cmd.Env = append(cmd.Environ(), "ETCDCTL_API=3")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("etcdctl %q: %v\n%s", args, err, out)
		}
	}
	run("--endpoints", c.Endpoints()[0], "snapshot", "save", snapshot)
	away := swap(t, s, "away", saved) // and what replica B last saw

	restored := filepath.Join(t.TempDir(), "restored")
	run("snapshot", "restore", snapshot, "--data-dir", restored, "--skip-hash-check=false")
	again := etcdtest.Need(t, 1, "--force-new-cluster", "--data-dir", restored)
	s = open(t, connect(t, again.Endpoints()...), key)
	expect(t, s, "saved", saved)
	present := swap(t, s, "present", saved)
	mod, nonce, _ := strings.Cut(present, "-")
	if before, other, _ := strings.Cut(away, "-"); before != mod || nonce == other {
		t.Fatalf("revisions %q before the restore and %q after it: want one number twice", away, present)
	}
	if _, err := s.Swap(t.Context(), []byte("stale"), away); !errors.Is(err, seal.ErrConflict) {
		t.Errorf("Swap at the revision from before the restore: %v, want seal.ErrConflict", err)
	}
	expect(t, s, "present", present)
}

func TestTheLeaderDies(t *testing.T) {
	c := cluster(t)
	s := open(t, connect(t, c.Endpoints()...), newKey())
	rev := swap(t, s, "0", "")
	for _, fault := range []struct {
		name        string
		begin, heal func(i int) error
	}{
		{"killed", c.Crash, func(i int) error { return c.Restart(i) }},
		{"cut off", func(i int) error { c.Cut(i, true); return nil }, func(i int) error { c.Cut(i, false); return nil }},
	} {
		leader, err := c.Leader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := fault.begin(leader); err != nil {
			t.Fatal(err)
		}
		rec := "the leader was " + fault.name
		rev = swapUntilTold(t, s, rec, rev)
		if fault.name == "cut off" {
			old := short{open(t, connect(t, c.Endpoints()[leader]), newKey())}
			if rec, _, err := old.Load(t.Context()); err == nil || errors.Is(err, seal.ErrNotFound) {
				t.Errorf("Load from the member that is cut off = %q, %v, want an error", rec, err)
			}
			if _, err := old.Swap(t.Context(), []byte("alone"), ""); err == nil || errors.Is(err, seal.ErrConflict) {
				t.Errorf("Swap on the member that is cut off: %v, want an error that leaves it open", err)
			}
		}
		if err := fault.heal(leader); err != nil {
			t.Fatal(err)
		}
		expect(t, s, rec, rev)
	}
}

// swapUntilTold swaps until there is an answer; one that was lost is looked up, as
// the Barrier does.
func swapUntilTold(t testing.TB, s seal.Store, rec, old string) (rev string) {
	t.Helper()
	end := time.Now().Add(time.Minute)
	for time.Now().Before(end) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		rev, err := s.Swap(ctx, []byte(rec), old)
		cancel()
		if err == nil {
			return rev
		}
		if errors.Is(err, seal.ErrConflict) {
			got, rev, err := s.Load(t.Context())
			if err != nil || string(got) != rec {
				t.Fatalf("a conflict with %q, %v", got, err)
			}
			return rev
		}
	}
	t.Fatal("no Swap was answered within a minute")
	return ""
}

// All members are killed at once, as by a power cut, while writers go on.
func TestEveryMemberIsKilled(t *testing.T) {
	c := cluster(t)
	client := connect(t, c.Endpoints()...)
	key := newKey()
	s := open(t, client, key)
	returned := 0
	for round := range 3 {
		told := make(chan string)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(told)
			_, rev, err := s.Load(ctx)
			if errors.Is(err, seal.ErrNotFound) {
				err = nil
			}
			for n := 0; err == nil; n++ {
				rec := strings.Repeat("x", n+1)
				if rev, err = s.Swap(ctx, []byte(rec), rev); err == nil {
					told <- rec
				}
			}
		}()
		var last string
		for range 10 + 7*round {
			last = <-told
		}
		for i := range c.Endpoints() {
			if err := c.Crash(i); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		for rec := range told {
			last = rec
		}
		if err := c.Restart(0, 1, 2); err != nil {
			t.Fatal(err)
		}
		ctx, done := context.WithTimeout(t.Context(), time.Minute)
		rec, _, err := s.Load(ctx)
		done()
		if err != nil || len(rec) < len(last) || len(rec) > len(last)+1 {
			t.Fatalf("round %d: %d Swaps had returned, and the record is number %d, %v", round, len(last), len(rec), err)
		}
		returned += len(last)
	}
	t.Logf("GUARANTEE 4 durable-etcd: kills=9 swaps=%d lost=0", returned)
}

func TestWatchOutlivesWhatBefallsTheCluster(t *testing.T) {
	c := cluster(t)
	client := connect(t, c.Endpoints()...)
	s := open(t, client, newKey())
	rev := swap(t, s, "one", "")
	changed := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Watch(ctx, changed) }()
	await := func(what string) {
		t.Helper()
		select {
		case <-changed:
		case err := <-ended:
			t.Fatalf("%s: the watch ended: %v", what, err)
		case <-time.After(time.Minute):
			t.Fatalf("%s: Watch tells of nothing", what)
		}
	}
	await("at the start")
	rev = swap(t, s, "two", rev)
	await("a change")

	leader, err := c.Leader(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Crash(leader); err != nil {
		t.Fatal(err)
	}
	rev = swapUntilTold(t, s, "three", rev)
	await("a change under another leader")
	if err := c.Restart(leader); err != nil {
		t.Fatal(err)
	}
	answer, err := client.Get(t.Context(), "none")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(t.Context(), answer.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // of the one before there may have been two words
		rev = swap(t, s, "four", rev)
		await("a change after a compaction")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch returned %v, want context.Canceled", err)
	}
}

// The user has the rights that the package's documentation asks for, and no more.
func TestRights(t *testing.T) {
	c := etcdtest.Need(t, 1)
	root := connect(t, c.Endpoints()...)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	must(root.RoleAdd(ctx, "seal"))
	must(root.RoleGrantPermission(ctx, "seal", "ours", "", clientv3.PermissionType(clientv3.PermReadWrite)))
	must(root.UserAdd(ctx, "server", "not a secret"))
	must(root.UserGrantRole(ctx, "server", "seal"))
	must(root.UserAdd(ctx, "root", "not a secret"))
	must(root.UserGrantRole(ctx, "root", "root"))
	must(root.AuthEnable(ctx))
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), Username: "server", Password: "not a secret", DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := open(t, client, "ours")
	rev := swap(t, s, "one", "")
	rev = swap(t, s, "two", rev)
	expect(t, s, "two", rev)
	if _, err := s.Swap(ctx, []byte("three"), ""); !errors.Is(err, seal.ErrConflict) {
		t.Errorf("a stale Swap: %v, want seal.ErrConflict", err)
	}
	changed := make(chan struct{}, 1)
	watch, stop := context.WithCancel(ctx)
	defer stop()
	go s.Watch(watch, changed)
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Error("Watch tells of nothing")
	}
	other := open(t, client, "theirs")
	if _, _, err := other.Load(ctx); err == nil || errors.Is(err, seal.ErrNotFound) {
		t.Errorf("Load of a key without a right: %v, want an error that is not seal.ErrNotFound", err)
	}
	if _, err := other.Swap(ctx, []byte("one"), ""); err == nil || errors.Is(err, seal.ErrConflict) {
		t.Errorf("Swap of a key without a right: %v, want an error that is not seal.ErrConflict", err)
	}
}

func TestAClusterThatTakesLess(t *testing.T) {
	c := etcdtest.Need(t, 1, "--max-request-bytes", "100000", "--quota-backend-bytes", "1000000")
	client := connect(t, c.Endpoints()...)
	s := open(t, client, newKey())
	rev := swap(t, s, "one", "")
	if _, err := s.Swap(t.Context(), make([]byte, 200_000), rev); !errors.Is(err, seal.ErrTooLarge) {
		t.Errorf("Swap of more than the cluster takes: %v, want seal.ErrTooLarge", err)
	}
	var err error
	for n := 0; err == nil && n < 100; n++ { // old revisions fill it
		var next string
		if next, err = s.Swap(t.Context(), make([]byte, 90_000), rev); err == nil {
			rev = next
		}
	}
	if err == nil || errors.Is(err, seal.ErrConflict) || errors.Is(err, seal.ErrTooLarge) || !strings.Contains(err.Error(), "disarm its alarm") {
		t.Errorf("Swap into a full cluster: %v, want what to do", err)
	}
	if _, at, err := s.Load(t.Context()); err != nil || at != rev {
		t.Errorf("Load from a full cluster: at %q, %v, want %q", at, err, rev)
	}
}
