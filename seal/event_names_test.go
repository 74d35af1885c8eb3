package seal_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestNoNameRefuses: whatever somebody is called, what they ask for is done, and
// events and the record have a name that is nobody else's.
func TestNoNameRefuses(t *testing.T) {
	for name, want := range map[string]string{
		"Zoë Ångström":           "Zo%C3%AB %C3%85ngstr%C3%B6m",
		"a\nb":                   "a%0Ab",
		"100%":                   "100%25",
		strings.Repeat("ab", 40): strings.Repeat("ab", 19) + "%#",
		strings.Repeat("日本", 40): strings.Repeat("%E6%97%A5%E6%9C%AC", 2) + "%#",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx := t.Context()
				by := seal.By{Actor: name}
				events := &eventList{}
				b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), OnEvent: events.add, KMS: map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("k")}})
				must(t, err)
				defer b.Close()
				people := seal.Shamir{Shares: 1, Threshold: 1, Custodians: []seal.Custodian{{Name: name}}}
				d, err := b.Init(ctx, map[string]seal.Spec{"auto": key("cloud"), "people": people}, by)
				must(t, err)
				must(t, b.Rotate(ctx, by))
				must(t, b.Seal(by))
				_, err = b.Submit(ctx, d.Sets[0].Shares[0], by)
				must(t, err)
				l, err := b.Admin().TakeLease(ctx, time.Minute, nil, by)
				must(t, err)
				must(t, l.Keep(ctx))
				time.Sleep(time.Minute)
				must(t, l.Retire(ctx, 1))
				must(t, l.End(ctx, "one term", nil))
				_, err = b.Admin().BeginMigration(ctx, []seal.Goal{{Name: "auto", Drop: true}}, by)
				must(t, err)
				status := b.Status()
				slots := status.Slots
				i := slices.IndexFunc(slots, func(s seal.SlotStatus) bool { return s.Name == "people" })
				for what, got := range map[string]string{
					"operation": status.Operation.Actor, "custodian": slots[i].Custodians[0], "delivery": d.Sets[0].Custodians[0],
				} {
					if !strings.HasPrefix(got, want) || !strings.HasSuffix(want, "%#") && got != want {
						t.Errorf("%s: %q, want %q", what, got, want)
					}
				}
				for kind, n := range map[seal.EventKind]int{seal.EventInit: 1, seal.EventRotate: 1, seal.EventSeal: 1, seal.EventShare: 1, seal.EventBegin: 1, seal.EventLease: 2, seal.EventRetire: 1} {
					list := events.of(kind)
					if len(list) != n || slices.ContainsFunc(list, func(e seal.Event) bool { return e.Actor != status.Operation.Actor }) {
						t.Errorf("%s: %+v", kind, list)
					}
				}
			})
		})
	}
	b, _ := hosted(t, nil)
	if err := b.Seal(seal.By{Operation: "né"}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("an operation is no name: %v", err)
	}
}

func TestJoinEvents(t *testing.T) {
	var got []string
	say := func(who string) func(seal.Event) {
		return func(e seal.Event) { got = append(got, who+string(e.Kind)) }
	}
	handlers := []func(seal.Event){say("first "), nil, func(seal.Event) { panic("a bug") }, say("last ")}
	join := seal.JoinEvents(handlers...)
	handlers[0] = nil // which is the caller's
	join(seal.Event{Kind: seal.EventSeal})
	if text := strings.Join(got, ", "); text != "first seal, last seal" {
		t.Error(text)
	}
	seal.JoinEvents()(seal.Event{})
}

// TestUnsealNamesTheKMS: the event of an unseal says by which of the wrappers of
// the configuration it was, however it came about, and is one.
func TestUnsealNamesTheKMS(t *testing.T) {
	tree := func(of ...seal.Spec) map[string]seal.Spec {
		return map[string]seal.Spec{"slot": seal.Threshold{K: 2, Of: of}}
	}
	people := seal.Shamir{Shares: 1, Threshold: 1}
	for name, tt := range map[string]struct {
		slots map[string]seal.Spec
		dead  string
		byRun bool // else by the host
		give  bool // the share
		want  string
		how   string
	}{
		"one key":              {slots: map[string]seal.Spec{"slot": key("b")}, want: "b", how: "by KMS"},
		"one key, Run":         {slots: map[string]seal.Spec{"slot": key("b")}, byRun: true, want: "b", how: "by KMS"},
		"two of three":         {slots: tree(key("a"), key("b"), key("c")), dead: "b", want: "a,c", how: "by KMS"},
		"two of three, Run":    {slots: tree(key("a"), key("b"), key("c")), dead: "a", byRun: true, want: "b,c", how: "by KMS"},
		"people":               {slots: map[string]seal.Spec{"slot": people}, give: true, how: "by people"},
		"people and a key":     {slots: tree(people, key("a"), key("b")), dead: "a", give: true, want: "b", how: "by people"},
		"people, a key waited": {slots: tree(people, key("a")), dead: "a", give: true, byRun: true, want: "a", how: "by people"},
		"people, a key, again": {slots: tree(people, key("a")), dead: "a", give: true, want: "a", how: "by people"},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				events, fake := &eventList{}, &kmstest.Fake{}
				cfg := seal.Config{Store: seal.NewMemStore(), Retry: kms.Policy{Attempts: 1}, Drill: -1,
					KMS: map[string]kms.Wrapper{"a": fake.Key("a"), "b": fake.Key("b"), "c": fake.Key("c")}}
				b, err := seal.Open(cfg)
				must(t, err)
				d, err := b.Init(ctx, tt.slots, seal.By{})
				must(t, err)
				b.Close()
				cfg.OnEvent = events.add
				b, err = seal.Open(cfg)
				must(t, err)
				defer b.Close()
				if tt.dead != "" {
					fake.Disable(tt.dead)
				}
				if tt.byRun {
					go b.Run(ctx)
				}
				if tt.give {
					b.Submit(ctx, d.Sets[0].Shares[0], seal.By{Actor: "ada"})
				}
				if b.Sealed() != nil && tt.want == tt.dead { // it waits for the KMS
					time.Sleep(time.Minute)
					fake.Enable(tt.dead)
				}
				if !tt.byRun {
					b.Unseal(ctx)
				}
				must(t, b.Wait(ctx))
				time.Sleep(time.Minute)
				var done []seal.Event
				for _, e := range events.of(seal.EventUnseal) {
					if e.Err == nil {
						done = append(done, e)
					} else if e.KMS != "" {
						t.Errorf("what failed names %q", e.KMS)
					}
				}
				if len(done) != 1 {
					t.Fatalf("%d events of one unseal: %+v", len(done), done)
				}
				names := strings.Split(done[0].KMS, ",")
				slices.Sort(names)
				if got := strings.Join(names, ","); got != tt.want || done[0].Slot != "slot" || done[0].Detail != tt.how {
					t.Errorf("%+v", done[0])
				}
			})
		})
	}
}

// TestNewStoreIsNoWarning: a server that waits for its Init says so once, and has
// not failed at anything. One whose record is gone has.
func TestNewStoreIsNoWarning(t *testing.T) {
	virtual(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			pins  []string
			lines int
			want  string
			not   string
		}{
			"new":         {lines: 1, want: `level=INFO msg="seal unseal" replica=one reason=`, not: "WARN"},
			"one is gone": {pins: []string{strings.Repeat("0", 24)}, want: "level=WARN", not: "level=INFO"},
		} {
			var mu sync.Mutex
			var log bytes.Buffer
			toLog := seal.LogEvents(slog.New(slog.NewTextHandler(&log, nil)))
			b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), Replica: "one", Pins: tt.pins, OnEvent: func(e seal.Event) {
				mu.Lock()
				defer mu.Unlock()
				toLog(e)
			}})
			must(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			b.Run(ctx)
			cancel()
			b.Close()
			mu.Lock()
			text := log.String()
			mu.Unlock()
			if n := strings.Count(text, "\n"); n == 0 || tt.lines > 0 && n != tt.lines || !strings.Contains(text, tt.want) || strings.Contains(text, tt.not) {
				t.Errorf("%s: %d lines:\n%.600s", name, n, text)
			}
		}
	})
}
