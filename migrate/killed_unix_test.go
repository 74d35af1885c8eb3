//go:build unix

package migrate_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
)

var kills = flag.Int("kills", 20, "how often TestKilled kills the server")

const killedEnv = "MIGRATE_TEST_KILLED"

// TestKilled kills a server at any moment, again and again, while it encrypts
// and does everything that changes keys, over one store. After each kill the
// store opens by its KMS keys, and by the shares that people were given; and all
// that the server acknowledged decrypts.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts processes")
	}
	dir := t.TempDir()
	w := &witness{t: t, dir: dir, sets: map[uint32][]string{}}
	kills := *kills
	if !testlevel.Whole() {
		kills = min(kills, 5)
	}
	idle := func() bool { return w.rows == 0 || w.proven == 0 || w.changes == 0 }
	for n := range kills {
		w.run(n, func() bool { return true })
		w.check()
	}
	if idle() { // a busy machine gets little done between two kills: one more, later
		w.run(kills, func() bool { return !idle() })
		w.check()
	}
	if idle() {
		t.Errorf("%d rows, %d changes acknowledged, set %d proven: the server did next to nothing", w.rows, w.changes, w.proven)
	}
	t.Logf("GUARANTEE 1 kill-soak: kills=%d rows=%d changes=%d generations=%d torn=%d lost=%d", kills, w.rows, w.changes, w.generation, w.torn, w.lost)

	// A planted fault: a file that is not the one acknowledged.
	if err := os.WriteFile(filepath.Join(dir, "rows"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if w.readRows(w.byKMS()); w.lost < w.rows {
		t.Errorf("of %d rows that are gone %d are missed", w.rows, w.lost)
	}
}

// A witness is what outlives the server: it heard what was acknowledged.
type witness struct {
	t   *testing.T
	dir string

	rows    int                 // acknowledged, all of those before it too
	sets    map[uint32][]string // the shares delivered, by set
	newest  uint32              // the set delivered last
	proven  uint32              // the set that opens the store
	changes int

	generation uint64
	torn, lost int
}

// run lets the server live for a while from when it is due on, as of what it said
// so far, and kills it.
func (w *witness) run(n int, due func() bool) {
	t := w.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // if it never is
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestKilledServer$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", killedEnv, n, w.dir))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	lines := bufio.NewReader(out)
	var said []string
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // what has no line feed was not said
		}
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, line)
		w.hear(strings.TrimSpace(line))
		if !due() {
			continue
		}
		// From its first word on: how long it takes to start is of no interest.
		once.Do(func() {
			time.AfterFunc(time.Duration(rand.Int64N(int64(120*time.Millisecond))), func() { cmd.Process.Kill() })
		})
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Fatalf("the server ended by itself: %v\n%s", err, strings.Join(said, ""))
	}
}

func (w *witness) hear(line string) {
	var n int
	var set uint32
	var share string
	switch {
	case scan(line, "row %d", &n):
		w.rows = max(w.rows, n)
	case scan(line, "share %d %s", &set, &share):
		w.sets[set] = append(w.sets[set], share)
		w.newest = max(w.newest, set)
	case scan(line, "proven %d", &set):
		w.proven = set
		w.changes++
	case line == "changed":
		w.changes++
	}
}

func scan(line, format string, args ...any) bool {
	n, _ := fmt.Sscanf(line, format, args...)
	return n == len(args)
}

// check opens the store in both ways, and reads everything.
func (w *witness) check() {
	t := w.t
	t.Helper()
	b := w.byKMS()
	if b == nil {
		return
	}
	w.wantRows(b)
	generation := b.Status().Generation
	if generation < w.generation {
		t.Fatalf("the store is at generation %d after %d", generation, w.generation)
	}
	w.generation = generation
	b.Close()
	if w.proven == 0 {
		return
	}
	// The set that opened it before, or the one delivered since, if the server had
	// no time to acknowledge its proof: never neither.
	var errs []error
	for _, set := range []uint32{w.proven, w.newest} {
		b := openKilled(t, w.dir, nil)
		for _, text := range w.sets[set][:min(2, len(w.sets[set]))] {
			share, err := seal.ParseShare(text)
			if err != nil {
				t.Fatal(err)
			}
			_, err = b.Submit(t.Context(), share, seal.By{})
			errs = append(errs, err)
		}
		if !b.Status().Sealed {
			w.wantRows(b)
			b.Close()
			w.proven = set
			return
		}
		b.Close()
	}
	t.Fatalf("neither the custodians of set %d nor those of set %d open the store: %v", w.proven, w.newest, errors.Join(errs...))
}

// byKMS unseals by the KMS slots there are. It returns nil for a store that was
// never made, as long as nothing was acknowledged.
func (w *witness) byKMS() *seal.Barrier {
	w.t.Helper()
	b := openKilled(w.t, w.dir, []string{"a", "b"})
	err := b.Unseal(w.t.Context())
	if errors.Is(err, seal.ErrUninitialized) && w.rows == 0 && w.generation == 0 {
		return nil
	}
	if err != nil {
		w.t.Fatalf("the store does not open: %v", err)
	}
	return b
}

// wantRows wants everything that was acknowledged.
func (w *witness) wantRows(b *seal.Barrier) {
	w.t.Helper()
	if w.readRows(b); w.lost > 0 {
		w.t.Fatalf("%d of %d rows acknowledged are lost", w.lost, w.rows)
	}
}

// readRows decrypts the file, and counts the rows missed among those
// acknowledged.
func (w *witness) readRows(b *seal.Barrier) {
	t := w.t
	t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, "rows"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	w.torn = 0
	found := map[string]bool{}
	lines := strings.Split(string(data), "\n")
	for _, line := range lines[:len(lines)-1] { // the last one has no line feed, and was not acknowledged
		plaintext, err := b.Keyring().DecryptString(line, nil)
		if err != nil {
			w.torn++ // unless the count below misses it
			continue
		}
		found[string(plaintext)] = true
	}
	w.lost = 0
	for n := 1; n <= w.rows; n++ {
		if !found[fmt.Sprintf("row %d", n)] {
			w.lost++
		}
	}
}

func openKilled(t *testing.T, dir string, keys []string) *seal.Barrier {
	t.Helper()
	store, err := filestore.Open(filepath.Join(dir, "record"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := seal.Config{Store: store, KMS: map[string]kms.Wrapper{}, Retry: kms.Policy{Attempts: 1}}
	for _, name := range keys {
		path := filepath.Join(dir, name+".key")
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			if err := localkms.Create(t.Context(), path); err != nil {
				t.Fatal(err)
			}
		}
		if cfg.KMS[name], err = localkms.New(localkms.Config{Path: path}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := seal.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestKilledServer is the server that TestKilled kills.
func TestKilledServer(t *testing.T) {
	var n uint64
	var dir string
	if !scan(os.Getenv(killedEnv), "%d %s", &n, &dir) {
		t.Skip("run by TestKilled")
	}
	ctx := context.Background()
	s := &killedServer{t: t, b: openKilled(t, dir, []string{"a", "b"}), random: rand.New(rand.NewPCG(n, 0))}
	var err error
	if s.file, err = os.OpenFile(filepath.Join(dir, "rows"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(s.file)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("up")
	err = s.b.Unseal(ctx)
	if errors.Is(err, seal.ErrUninitialized) {
		_, err = s.b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{})
	}
	s.must(err)
	for line := range strings.Lines(string(data)) {
		var row int
		if plaintext, err := s.b.Keyring().DecryptString(strings.TrimSpace(line), nil); err == nil && scan(string(plaintext), "row %d", &row) {
			s.row = max(s.row, row)
		}
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		s.write("") // ends the line that the last server could not
	}
	for {
		s.encrypt()
		s.change(ctx)
	}
}

type killedServer struct {
	t      *testing.T
	b      *seal.Barrier
	file   *os.File
	row    int
	random *rand.Rand
}

func (s *killedServer) must(err error) {
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *killedServer) write(line string) {
	_, err := s.file.WriteString(line + "\n")
	s.must(err)
	s.must(s.file.Sync())
}

// encrypt writes a row, and acknowledges it when it is durable.
func (s *killedServer) encrypt() {
	s.row++
	text, err := s.b.Keyring().EncryptString(fmt.Sprint("row ", s.row), nil)
	s.must(err)
	s.write(text)
	fmt.Println("row", s.row)
}

// change makes one change of the keys and acknowledges it.
func (s *killedServer) change(ctx context.Context) {
	by := seal.By{}
	auto := map[string]seal.Spec{"auto": seal.KMS{Wrapper: string("ab"[s.random.IntN(2)])}}
	kind := s.random.IntN(5)
	if len(s.b.Status().Slots) == 1 {
		kind = 4 // no people yet
	}
	switch kind {
	case 0:
		s.must(s.b.Rotate(ctx, by))
	case 1:
		s.must(s.b.Admin().RotateRoot(ctx, by))
	case 2: // the slot moves to the other key, or what was begun goes on
		s.reconcile(ctx, auto, nil)
	case 3: // two machines' slots, then one
		s.reconcile(ctx, map[string]seal.Spec{"more": seal.KMS{Wrapper: "b"}, "auto": seal.KMS{Wrapper: "a"}}, nil)
		s.reconcile(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, []string{"more"})
	case 4:
		s.rekey(ctx)
		return
	}
	fmt.Println("changed")
}

// reconcile settles what another server began, and migrates
// to the slots.
func (s *killedServer) reconcile(ctx context.Context, slots map[string]seal.Spec, drop []string) {
	s.settle(ctx)
	r, err := migrate.Reconcile(ctx, s.b, migrate.Plan{Slots: slots, Drop: drop}, migrate.Options{})
	s.must(err)
	if !r.Done {
		s.t.Fatalf("the migration waits for %v", r.Waiting)
	}
}

// settle ends what a server that was killed left in progress. A migration is
// abandoned half of the time, and gone on with otherwise.
func (s *killedServer) settle(ctx context.Context) {
	op := s.b.Status().Operation
	if op == nil {
		return
	}
	by := seal.By{Operation: op.ID}
	if op.Kind != seal.OperationMigrate {
		s.must(s.b.Admin().Cancel(ctx, by))
		return
	}
	if s.random.IntN(2) == 0 {
		_, err := migrate.Cancel(ctx, s.b, by)
		s.must(err)
		return
	}
	plan, err := migrate.PlanOf(op)
	s.must(err)
	r, err := migrate.Reconcile(ctx, s.b, plan, migrate.Options{By: by})
	s.must(err)
	if !r.Done {
		s.t.Fatalf("the migration waits for %v", r.Waiting)
	}
}

// rekey gives people new shares, whose slot takes over when they have proved
// it. A slot that a killed server left pending is dropped: nobody has its shares
// for certain.
func (s *killedServer) rekey(ctx context.Context) {
	s.settle(ctx)
	by := seal.By{}
	active := false
	for _, slot := range s.b.Status().Slots {
		if slot.Name != "people" {
			continue
		}
		if slot.State == "active" {
			active = true
			continue
		}
		_, _, err := s.b.Admin().Drop(ctx, []string{"people"}, by)
		s.must(err)
	}
	people := seal.Shamir{Shares: 3, Threshold: 2}
	makeShares := s.b.Admin().Add
	if active {
		makeShares = s.b.Admin().Rekey
	}
	d, err := makeShares(ctx, "people", people, by)
	s.must(err)
	set := d.Sets[0]
	for _, share := range set.Shares {
		fmt.Println("share", set.Set, share.Reveal())
	}
	op, _, err := s.b.Admin().Prove(ctx, "people", by)
	s.must(err)
	for _, share := range set.Shares[1:] {
		_, err := s.b.Submit(ctx, share, seal.By{Operation: op})
		s.must(err)
	}
	if s.b.Status().Operation != nil {
		s.t.Fatal("the proof is not made")
	}
	fmt.Println("proven", set.Set)
}
