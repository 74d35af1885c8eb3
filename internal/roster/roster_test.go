package roster_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/roster"
)

const store = "00112233445566778899aabbccddeeff"

// keys are the data keys of a process that has these terms.
func keys(terms ...uint32) roster.Keys {
	return func(term uint32) []byte {
		for _, t := range terms {
			if t == term {
				return bytes.Repeat([]byte{byte(t)}, 32)
			}
		}
		return nil
	}
}

func entry(replica string, beat uint64, term uint32) roster.Entry {
	return roster.Entry{Replica: replica, Run: bytes.Repeat([]byte{replica[0]}, 16), Beat: beat, Generation: 7, Term: term, Newest: term, Alone: true}
}

// with puts entries into a roster.
func with(t *testing.T, k roster.Keys, entries ...roster.Entry) []byte {
	t.Helper()
	r := roster.New(store)
	var text []byte
	for _, e := range entries {
		var err error
		if text, err = r.With(e, k, nil, 0); err != nil {
			t.Fatal(err)
		}
		if r, err = roster.Parse(store, text); err != nil {
			t.Fatal(err)
		}
	}
	return text
}

func parse(t *testing.T, text []byte) *roster.Roster {
	t.Helper()
	r, err := roster.Parse(store, text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func names(list []roster.Entry) (out []string) {
	for _, e := range list {
		out = append(out, e.Replica)
	}
	return out
}

// TestTheDocument is FORMAT.md's example: what is written stays readable.
func TestTheDocument(t *testing.T) {
	e := entry("web-0", 3, 2)
	e.At, e.Newest, e.Behind, e.After = 1000, 3, 900, bytes.Repeat([]byte{0x66}, 16)
	const want = `{"roster":1,"store":"00112233445566778899aabbccddeeff","members":[{"replica":"web-0","run":"77777777777777777777777777777777","after":"66666666666666666666666666666666","beat":3,"generation":7,"term":2,"newest":3,"at":1000,"behind":900,"alone":true,"twice":false,"left":false,"tag":"5f5eaf78cd249c91f24b33c978d3f5d4d15debee3fb404cde0527bfcc7a56af7"}]}` + "\n"
	if d := cmp.Diff(want, string(with(t, keys(3), e))); d != "" {
		t.Error(d)
	}
	good, strangers := parse(t, []byte(want)).Entries(keys(1, 2, 3))
	if d := cmp.Diff([]roster.Entry{e}, good); d != "" || strangers != nil {
		t.Error(d, strangers)
	}
}

// TestAttackForgedEntries: what is not made with the newest data key that it is said
// to read is nobody's, whatever it says.
func TestAttackForgedEntries(t *testing.T) {
	text := string(with(t, keys(1, 2), entry("a", 1, 2), entry("b", 9, 1)))
	for name, forged := range map[string]string{
		"a term that is not its own":   strings.Replace(text, `"term":1`, `"term":2`, 1),
		"a newer term that it reads":   strings.Replace(text, `"term":1,"newest":1`, `"term":1,"newest":2`, 1),
		"another generation":           strings.Replace(text, `"beat":9,"generation":7`, `"beat":9,"generation":8`, 1),
		"a run that came before":       strings.Replace(text, strings.Repeat("62", 16)+`","after":""`, strings.Repeat("62", 16)+`","after":"`+strings.Repeat("61", 16)+`"`, 1),
		"a later beat":                 strings.Replace(text, `"beat":9`, `"beat":10`, 1),
		"another replica's":            strings.Replace(text, `"replica":"b"`, `"replica":"c"`, 1),
		"that it can follow by itself": strings.Replace(text, `"beat":9,"generation":7,"term":1,"newest":1,"at":0,"behind":0,"alone":true`, `"beat":9,"generation":7,"term":1,"newest":1,"at":0,"behind":0,"alone":false`, 1),
		"a term that nobody has":       strings.Replace(text, `"newest":1`, `"newest":77`, 1),
	} {
		if forged == text {
			t.Fatalf("%s: nothing was forged", name)
		}
		good, strangers := parse(t, []byte(forged)).Entries(keys(1, 2))
		if d := cmp.Diff([]string{"a"}, names(good)); d != "" || len(strangers) != 1 {
			t.Errorf("%s: %s, %d strangers", name, d, len(strangers))
		}
	}
	moved := strings.Replace(text, store, strings.Repeat("f", 32), 1)
	if _, err := roster.Parse(store, []byte(moved)); !errors.Is(err, roster.ErrOther) {
		t.Errorf("another store's: %v", err)
	}
	other, err := roster.Parse(strings.Repeat("f", 32), []byte(moved))
	if err != nil {
		t.Fatal(err)
	}
	if good, _ := other.Entries(keys(1, 2)); good != nil {
		t.Errorf("entries of another store: %v", good)
	}
}

// TestNoRoster: nothing that is not a roster in its one form is taken for one, so
// that nothing else is ever written over.
func TestNoRoster(t *testing.T) {
	text := string(with(t, keys(1), entry("a", 1, 1), entry("b", 1, 1)))
	for name, tt := range map[string]struct {
		text string
		want error
	}{
		"nothing":            {"", roster.ErrNotRoster},
		"a record":           {`{"format":1,"min_reader":1,"store":"` + store + `"}` + "\n", roster.ErrRecord},
		"a record, laid out": {"{\n  \"format\": 1,", roster.ErrRecord},
		"a huge one":         {`{"format":1` + strings.Repeat(" ", roster.MaxSize), roster.ErrRecord},
		"an anchor":          {`{"anchor":1,"store":"` + store + `","generation":7}` + "\n", roster.ErrAnchor},
		"newer":              {strings.Replace(text, `"roster":1`, `"roster":2`, 1), roster.ErrNewer},
		"a field more":       {strings.Replace(text, `"at":0`, `"at":0,"x":1`, 1), roster.ErrNotRoster},
		"no line feed":       {strings.TrimSpace(text), roster.ErrNotRoster},
		"cut":                {text[:len(text)/2], roster.ErrNotRoster},
		"twice":              {strings.ReplaceAll(text, `"replica":"b"`, `"replica":"a"`), roster.ErrNotRoster},
		"out of order":       {strings.Replace(strings.Replace(text, `"replica":"a"`, `"replica":"c"`, 1), `"replica":"d"`, ``, 1), roster.ErrNotRoster},
		"a short run before": {strings.Replace(text, `"after":""`, `"after":"61"`, 1), roster.ErrNotRoster},
		"a short run":        {strings.Replace(text, strings.Repeat("61", 16), "61", 1), roster.ErrNotRoster},
		"no name":            {strings.Replace(text, `"replica":"a"`, `"replica":""`, 1), roster.ErrNotRoster},
		"huge":               {strings.Repeat(" ", roster.MaxSize+1), roster.ErrNotRoster},
		"a line of text":     {"hello\n", roster.ErrNotRoster},
	} {
		if _, err := roster.Parse(store, []byte(tt.text)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAFullRoster: what nobody vouches for makes room, and what its store does not
// take is not written.
func TestAFullRoster(t *testing.T) {
	var strangers []roster.Entry
	for i := range 10 {
		strangers = append(strangers, entry(fmt.Sprint("x", i), 1, 2))
	}
	text := with(t, keys(2), strangers...)
	limit := len(text) + 100
	next, err := parse(t, text).With(entry("a", 1, 1), keys(1), nil, limit)
	if err != nil {
		t.Fatal(err)
	}
	if good, others := parse(t, next).Entries(keys(1, 2)); len(good) != 1 || others != nil {
		t.Errorf("%d and %d", len(good), len(others))
	}
	if _, err := parse(t, text).With(entry("a", 1, 1), keys(1, 2), nil, limit); !errors.Is(err, roster.ErrFull) {
		t.Errorf("full of replicas: %v", err)
	}
	if _, err := parse(t, text).With(entry("a", 1, 1), keys(2), nil, 0); err == nil {
		t.Error("an entry without a key")
	}
}

// A watcher is a view, and the time that it looks at.
type watcher struct {
	view roster.View
	now  time.Time
}

const ttl, pause = 10 * time.Minute, time.Minute

// me is the entry of the process that looks.
var me = entry("me", 1, 1)

// look takes in a roster after a while.
func (w *watcher) look(after time.Duration, entries ...roster.Entry) {
	w.now = w.now.Add(after)
	w.view.Take(entries, nil, me, nil, w.now, pause, ttl)
}

func newWatcher() *watcher { return &watcher{now: time.Unix(1e9, 0)} }

func lacking(w *watcher, term uint32) (out []string) {
	for _, m := range w.view.Lacking(term) {
		out = append(out, m.Replica)
	}
	return out
}

// TestAttackReplayedEntry: an entry of before, which its replica has made itself,
// gives no sign of life, and takes nothing back.
func TestAttackReplayedEntry(t *testing.T) {
	w := newWatcher()
	w.look(0, entry("b", 5, 2))
	w.look(pause, entry("b", 4, 1))
	if got := lacking(w, 2); got != nil {
		t.Errorf("an older entry: %v lack the term", got)
	}
	restarted := entry("b", 1, 2)
	restarted.Run, restarted.After = bytes.Repeat([]byte("r"), 16), entry("b", 5, 2).Run
	w.look(pause, restarted)
	w.look(pause, entry("b", 9, 1)) // of the run before, also a later one
	if got := lacking(w, 2); got != nil {
		t.Errorf("a run that has ended: %v lack the term", got)
	}
	for range 11 {
		w.look(pause, entry("b", 5, 1))
	}
	if m := w.view.Members()[0]; !m.Gone {
		t.Errorf("replays keep a dead replica alive: silent for %v", m.Silent)
	}
}

// TestLookingAwayKillsNobody: a replica is gone by what was looked at, not by time
// that passed.
func TestLookingAwayKillsNobody(t *testing.T) {
	w := newWatcher()
	w.look(0, entry("b", 1, 1))
	w.look(24*time.Hour, entry("b", 1, 1))
	if w.view.Members()[0].Gone {
		t.Error("gone after one look")
	}
	for range 8 {
		w.look(pause) // its entry was taken away
	}
	if got := lacking(w, 2); len(got) != 1 {
		t.Errorf("a lost entry: %v lack the term", got)
	}
	w.look(pause)
	if got := lacking(w, 2); got != nil || !w.view.Members()[0].Gone {
		t.Errorf("after ten minutes of looks: %v lack the term", got)
	}
	w.look(pause, entry("b", 2, 1))
	if got := lacking(w, 2); len(got) != 1 {
		t.Error("it is there again, and counts")
	}
	w.look(-time.Hour, entry("b", 2, 1)) // a clock that is set back
	if w.view.Members()[0].Silent != 0 {
		t.Error("silent for less than nothing")
	}
}

// TestClocksOfOthersDecideNothing: what an entry says of the time is for people.
func TestClocksOfOthersDecideNothing(t *testing.T) {
	for _, at := range []int64{-1 << 62, 0, 1e9, 1 << 62} {
		w := newWatcher()
		e := entry("b", 1, 1)
		e.At = at
		for range 9 {
			w.look(pause, e)
		}
		if w.view.Members()[0].Gone {
			t.Errorf("at %d: gone before its time", at)
		}
		w.look(pause, e)
		w.look(pause, e)
		if !w.view.Members()[0].Gone {
			t.Errorf("at %d: not gone", at)
		}
	}
}

// TestUnder tells when somebody last encrypted under a term, also of one who has
// gone on to a later one since.
func TestUnder(t *testing.T) {
	w := newWatcher()
	w.look(0, entry("b", 1, 1), entry("c", 1, 3), entry("me", 1, 1))
	under, last := w.view.Under(2)
	if len(under) != 1 || under[0].Replica != "b" || !last.Equal(w.now) {
		t.Errorf("%v, last %v", under, last)
	}
	w.look(pause, entry("b", 2, 3)) // at some time since then
	was := w.now
	w.look(pause)
	if under, last = w.view.Under(2); len(under) != 0 || !last.Equal(was) {
		t.Errorf("%v, last %v", under, last)
	}
	if under, _ = w.view.Under(3); len(under) != 2 {
		t.Errorf("%v", under)
	}
}

// TestStrangersAreTakenAway when nobody has renewed their entries for long enough.
func TestStrangersAreTakenAway(t *testing.T) {
	w := newWatcher()
	for i := range 12 {
		w.now = w.now.Add(pause)
		w.view.Take(nil, []roster.Entry{entry("x", 1, 9), entry("y", uint64(i), 9)}, me, nil, w.now, pause, ttl)
	}
	if d := cmp.Diff([]string{"x"}, w.view.Gone()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"x", "y"}, w.view.Strangers(w.now.Add(-11*pause))); d != "" {
		t.Error(d)
	}
	if names := w.view.Strangers(w.now.Add(-12 * pause)); names != nil {
		t.Errorf("strangers for longer than they were seen: %q", names)
	}
}

// TestWith puts an entry in the place of the one before, takes away who is gone, and
// refuses what cannot be one.
func TestWith(t *testing.T) {
	r := parse(t, with(t, keys(1), entry("a", 1, 1), entry("b", 1, 1), entry("c", 1, 1)))
	text, err := r.With(entry("a", 2, 1), keys(1), []string{"b"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	next := parse(t, text)
	if good, _ := next.Entries(keys(1)); len(good) != 2 || next.Entry("a") == nil || next.Entry("a").Beat != 2 || next.Entry("b") != nil || next.Entry("c").Replica != "c" {
		t.Errorf("%+v", good)
	}
	older := entry("d", 1, 1)
	older.Term = 2
	short := entry("d", 1, 1)
	short.Run = short.Run[1:]
	for name, e := range map[string]roster.Entry{"it encrypts under what it cannot read": older, "no name": {Run: short.Run, Term: 1, Newest: 1}, "a short run": short} {
		if _, err := next.With(e, keys(1, 2), nil, 0); err == nil || next.Sign(e, keys(1, 2)) != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAsManyAsThereMayBe: one more is no roster, and is not written.
func TestAsManyAsThereMayBe(t *testing.T) {
	var members []string
	for i := range roster.MaxMembers + 1 {
		_, member, _ := strings.Cut(string(made(entry(fmt.Sprintf("r%04d", i), 1, 1), keys(1)(1))), "[")
		members = append(members, strings.TrimSuffix(member, "]}\n"))
	}
	document := func(n int) []byte {
		return []byte(`{"roster":1,"store":"` + store + `","members":[` + strings.Join(members[:n], ",") + "]}\n")
	}
	if _, err := roster.Parse(store, document(roster.MaxMembers+1)); !errors.Is(err, roster.ErrNotRoster) {
		t.Errorf("one more: %v", err)
	}
	if _, err := parse(t, document(roster.MaxMembers)).With(entry("z", 1, 1), keys(1), nil, 0); !errors.Is(err, roster.ErrFull) {
		t.Errorf("with one more: %v", err)
	}
	if _, err := parse(t, document(roster.MaxMembers-1)).With(entry("z", 1, 1), keys(1), nil, 0); err != nil {
		t.Errorf("with the last one: %v", err)
	}
}

// TestWhoIsForgotten: a replica that has been gone for long, and only then; never one
// that lives beside what somebody says in its name.
func TestWhoIsForgotten(t *testing.T) {
	w := newWatcher()
	if !w.view.Read().IsZero() {
		t.Error("read before it was")
	}
	w.look(0, entry("b", 1, 1))
	for i := range 41 {
		if n := len(w.view.Members()); n != 1 && i <= 39 || n != 0 && i > 40 {
			t.Errorf("after %d looks %d members", i, n)
		}
		w.look(pause)
	}
	if len(w.view.Members()) != 0 || !w.view.Read().Equal(w.now) {
		t.Errorf("%v, read at %v", w.view.Members(), w.view.Read())
	}
	w = newWatcher()
	for i := range uint64(12) {
		w.now = w.now.Add(pause)
		w.view.Take([]roster.Entry{entry("b", i, 1)}, []roster.Entry{entry("b", 99, 9), entry("me", 99, 9)}, me, nil, w.now, pause, ttl)
	}
	if gone, strangers := w.view.Gone(), w.view.Strangers(w.now); gone != nil || len(strangers) != 1 || strangers[0] != "b" {
		t.Errorf("taken away %q, strangers %q", gone, strangers)
	}
}

// TestStranded has each reason by itself.
func TestStranded(t *testing.T) {
	for name, tt := range map[string]struct {
		say  func(*roster.Entry)
		want int
	}{
		"it can follow":           {func(*roster.Entry) {}, 0},
		"not with nobody present": {func(e *roster.Entry) { e.Alone = false }, 1},
		"it cannot now":           {func(e *roster.Entry) { e.Behind = 5 }, 1},
		"nobody can say":          {func(e *roster.Entry) { e.Twice = true }, 1},
		"it has left":             {func(e *roster.Entry) { e.Alone, e.Left = false, true }, 0},
	} {
		w := newWatcher()
		e := entry("b", 1, 1)
		tt.say(&e)
		w.look(0, e)
		if got := w.view.Stranded(); len(got) != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
