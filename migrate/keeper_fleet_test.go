package migrate_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A fleet is replicas of one server, over one store and one table, in virtual
// time. Each of their acts, a swap of the record or a call of a source, can be
// the one at which they die.
type fleet struct {
	*testing.T
	store *seal.MemStore
	table *memSource
	fake  *kmstest.Fake
	cfg   migrate.KeeperConfig
	group seal.Config // Roster, MemberTTL and Propagation
	all   []*member
	wait  sync.WaitGroup

	mu         sync.Mutex
	seen       seen
	killAt     int  // the act at which whoever does it dies; 0: none
	again      int  // and then this one
	late       bool // it dies after that act, not before
	offline    bool // no store answers
	beforePage func(m *member, after string)
	refuse     func() error // what a swap ends with, before it is made
}

// seen is what was seen of a fleet, as long as it runs: sleeping in virtual time does
// not say that others have ended what they do at that time.
type seen struct {
	acts   int
	swaps  int
	pages  int
	killed []string
	trace  []string
	astray []string // acts on the data by one that does not have the lease
}

// A member is one process of the fleet.
type member struct {
	f      *fleet
	name   string
	b      *seal.Barrier
	keeper *migrate.Keeper
	cancel context.CancelFunc
	dead   bool      // guarded by fleet.mu
	wakes  time.Time // until then it is stopped; the same
}

const (
	fleetPoll        = time.Minute
	fleetPropagation = time.Minute
)

func newFleet(t *testing.T, names int, cfg migrate.KeeperConfig) *fleet {
	return newFleetOf(t, names, cfg, seal.Config{})
}

func newFleetOf(t *testing.T, names int, cfg migrate.KeeperConfig, group seal.Config) *fleet {
	f := initFleet(t, cfg, group)
	f.begin(names)
	return f
}

// newFleetDue returns a fleet of three, everyTwoHours, whose processes begin ten
// minutes before a rotation is due: that until then nothing happens, TestKeeper sees.
func newFleetDue(t *testing.T) *fleet {
	f := initFleet(t, everyTwoHours, seal.Config{})
	time.Sleep(2*time.Hour - 10*time.Minute)
	f.begin(3)
	return f
}

// initFleet makes the store and the table; nothing runs yet.
func initFleet(t *testing.T, cfg migrate.KeeperConfig, group seal.Config) *fleet {
	f := &fleet{T: t, store: seal.NewMemStore(), table: &memSource{}, fake: &kmstest.Fake{}, cfg: cfg, group: group}
	first := f.open("one")
	if _, err := first.b.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		id := fmt.Sprintf("%04d", i)
		f.table.put(id, encrypt(t, first.b.Keyring(), "value of "+id, id))
	}
	return f
}

// begin runs the process that made the store, and as many others as make it names.
func (f *fleet) begin(names int) {
	f.all[0].run()
	for _, name := range []string{"two", "three"}[:names-1] {
		f.open(name).run()
	}
}

// open starts a process, which is sealed.
func (f *fleet) open(name string) *member {
	f.Helper()
	m := &member{f: f, name: name}
	b, err := seal.Open(seal.Config{
		Store: memberStore{f.store, m}, Replica: name, Propagation: cmp.Or(f.group.Propagation, fleetPropagation), Poll: fleetPoll, Drill: -1,
		KMS:    map[string]kms.Wrapper{"cloud": f.fake.Key("prod")},
		Roster: f.group.Roster, MemberTTL: f.group.MemberTTL,
	})
	if err != nil {
		f.Fatal(err)
	}
	cfg := f.cfg
	cfg.Sources = slices.Clone(cfg.Sources)
	if len(cfg.Sources) == 0 {
		cfg.Sources = []migrate.KeeperSource{{Name: "table", Source: f.table}}
	}
	for i, s := range cfg.Sources {
		if s.Source == nil {
			s.Source = f.table
		}
		cfg.Sources[i].Source = memberSource{s.Source, m}
	}
	if m.keeper, err = migrate.NewKeeper(b, cfg); err != nil {
		f.Fatal(err)
	}
	m.b = b
	f.mu.Lock()
	f.all = append(f.all, m)
	f.mu.Unlock()
	return m
}

func (m *member) run() {
	ctx, cancel := context.WithCancel(m.f.Context())
	m.cancel = cancel
	m.f.wait.Go(func() { _ = m.b.Run(ctx) })
	m.f.wait.Go(func() { _ = m.keeper.Run(ctx) })
}

// close ends all that are left.
func (f *fleet) close() {
	for _, m := range f.all {
		m.cancel()
	}
	f.wait.Wait()
	for _, m := range f.all {
		m.b.Close()
	}
}

// set changes what the processes look at.
func (f *fleet) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// setRefuse sets what a swap ends with.
func (f *fleet) setRefuse(refuse func() error) { f.set(func() { f.refuse = refuse }) }

// setBeforePage sets what comes before a page is read.
func (f *fleet) setBeforePage(first func(m *member, after string)) {
	f.set(func() { f.beforePage = first })
}

// look returns what was seen until now.
func (f *fleet) look() seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.seen
	s.killed, s.trace, s.astray = slices.Clone(s.killed), slices.Clone(s.trace), slices.Clone(s.astray)
	return s
}

var errGone = errors.New("the process is gone")

// act is what every act goes through. It reports whether the process dies before
// it or after it.
func (m *member) act(what string) (before, after bool) {
	f := m.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if m.dead {
		return true, false
	}
	f.seen.acts++
	f.seen.trace = append(f.seen.trace, fmt.Sprintf("%d %s %s", f.seen.acts, m.name, what))
	if f.seen.acts == f.killAt {
		m.dead = true
		f.seen.killed = append(f.seen.killed, m.name)
		f.killAt = f.again
		m.cancel()
		return !f.late, f.late
	}
	return false, false
}

// stop is for a process that stands still for so long, and for who is in it.
func (f *fleet) stop(m *member, d time.Duration) {
	f.mu.Lock()
	m.wakes = time.Now().Add(d)
	f.mu.Unlock()
	time.Sleep(d)
}

// stands reports whether it stands still.
func (m *member) stands() bool {
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	return time.Now().Before(m.wakes)
}

// away has no store answer, or all again.
func (f *fleet) away(is bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offline = is
}

// gone reports whether a process reaches nothing, when it goes on if it stands
// still.
func (m *member) gone() bool {
	m.f.mu.Lock()
	d := time.Until(m.wakes)
	m.f.mu.Unlock()
	time.Sleep(d)
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	return m.dead || m.f.offline
}

// holder is the replica that the stored record says has the lease.
func (f *fleet) holder() string {
	rec, _, err := f.store.Load(context.Background())
	var clear struct {
		Lease struct{ Replica string }
	}
	if err == nil {
		err = json.Unmarshal(rec, &clear)
	}
	if err != nil {
		f.Error(err)
	}
	return clear.Lease.Replica
}

// A memberStore is the store as one process reaches it.
type memberStore struct {
	seal.Store
	m *member
}

func (s memberStore) Load(ctx context.Context) ([]byte, string, error) {
	if s.m.gone() {
		return nil, "", errGone
	}
	return s.Store.Load(ctx)
}

func (s memberStore) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if s.m.gone() {
		return "", errGone
	}
	s.m.f.mu.Lock()
	refuse := s.m.f.refuse
	s.m.f.mu.Unlock()
	if refuse != nil {
		s.m.act("swap refused")
		return "", refuse()
	}
	before, after := s.m.act("swap")
	if before {
		return "", errGone
	}
	rev, err := s.Store.Swap(ctx, rec, old)
	if err == nil {
		s.m.f.mu.Lock()
		s.m.f.seen.swaps++
		s.m.f.mu.Unlock()
	}
	if after {
		return "", errGone
	}
	return rev, err
}

// A memberSource is a source as one process reaches it.
type memberSource struct {
	migrate.Source
	m *member
}

func (s memberSource) act(what string) (before, after bool) {
	if before, after = s.m.act(what); before {
		return before, after
	}
	if h := s.m.f.holder(); h != s.m.name {
		s.m.f.mu.Lock()
		s.m.f.seen.astray = append(s.m.f.seen.astray, fmt.Sprintf("%s by %s, while %q has the lease", what, s.m.name, h))
		s.m.f.mu.Unlock()
	}
	return before, after
}

func (s memberSource) Page(ctx context.Context, after string, limit int) ([]migrate.Item, error) {
	before, dies := s.act("page")
	if before || dies {
		return nil, errGone
	}
	s.m.f.mu.Lock()
	s.m.f.seen.pages++
	first := s.m.f.beforePage
	s.m.f.mu.Unlock()
	if first != nil {
		first(s.m, after)
	}
	return s.Source.Page(ctx, after, limit)
}

func (s memberSource) Replace(ctx context.Context, id string, old, next []byte) (bool, error) {
	before, dies := s.act("replace " + id)
	if before {
		return false, errGone
	}
	ok, err := s.Source.Replace(ctx, id, old, next)
	if dies {
		return false, errGone
	}
	return ok, err
}

// living is a process that is left.
func (f *fleet) living() *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.all {
		if !m.dead && m.b.Sealed() == nil && !time.Now().Before(m.wakes) {
			return m
		}
	}
	f.Fatal("nobody is left")
	return nil
}

// settle lets what is due come to its end, and everybody live for half an hour after
// it; it takes two hours at most.
func (f *fleet) settle(rotations uint32) {
	for end := time.Now().Add(2 * time.Hour); time.Now().Before(end); time.Sleep(10 * time.Minute) {
		kr := f.living().b.Keyring()
		active, err := kr.Active()
		if err == nil && active.Number == 1+rotations && len(kr.Terms()) == 1 && f.holder() == "" {
			end = time.Now().Add(min(time.Until(end), 30*time.Minute))
			time.Sleep(time.Until(end))
		}
	}
}

// check looks for what must be true at the end: everything is readable and under
// the active term, which is the only one, and nobody ever worked without the
// lease.
func (f *fleet) check(rotations uint32) (lost int) {
	f.Helper()
	m := f.living()
	if err := m.b.Admin().Refresh(f.Context()); err != nil {
		f.Error(err)
	}
	active, err := m.b.Keyring().Active()
	if terms := m.b.Keyring().Terms(); err != nil || len(terms) != 1 || active.Number != 1+rotations {
		f.Errorf("terms %v, %v: want the term of %d rotations alone", terms, err, rotations)
	}
	for i := range 6 {
		id := fmt.Sprintf("%04d", i)
		stored := f.table.stored(id)
		value, err := m.b.Keyring().Decrypt(nil, stored, []byte(id))
		if err != nil || string(value) != "value of "+id {
			f.Errorf("item %s: %q, %v", id, value, err)
			lost++
			continue
		}
		if term, err := keyring.TermOf(stored); term != active.Number || err != nil {
			f.Errorf("item %s is under term %d, %v", id, term, err)
		}
	}
	for _, a := range f.look().astray {
		f.Error(a)
	}
	if f.holder() != "" {
		f.Errorf("%q has the lease at the end", f.holder())
	}
	return lost
}
