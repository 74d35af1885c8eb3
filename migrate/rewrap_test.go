package migrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// finish takes a run to its end, and returns the last progress, the errors of
// items, and the error that ended it.
func finish(ctx context.Context, kr *keyring.Keyring, src migrate.Source, opt migrate.RewrapOptions) (last migrate.Progress, items []error, end error) {
	for p, err := range migrate.Rewrap(ctx, kr, src, opt) {
		last = p
		if bad, ok := errors.AsType[*migrate.ItemError](err); ok {
			items = append(items, bad)
		} else if err != nil {
			end = err
		}
	}
	return last, items, end
}

func TestRewrap(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	src := filled(t, kr, 250)
	install(t, owner, 2, 2)
	src.put("0100", encrypt(t, kr, "value of 0100", "0100"))

	var pages []string
	for p, err := range migrate.Rewrap(t.Context(), kr, src, migrate.RewrapOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, fmt.Sprint(p.After, " ", p.Items, " ", p.Done))
	}
	if diff := cmp.Diff([]string{"0099 100 false", "0199 200 false", "0249 250 false", "0249 250 true"}, pages); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	checkAll(t, kr, src, 2)
	if src.puts != 249 {
		t.Errorf("%d items were replaced, want 249: one was under the active term", src.puts)
	}
	p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{})
	want := migrate.Progress{After: "0249", Done: true, Elapsed: p.Elapsed, Items: 250, Current: 250, Bytes: 250 * int64(len("value of 0000")+keyring.Overhead)}
	if diff := cmp.Diff(want, p); diff != "" || err != nil || items != nil {
		t.Errorf("a second run: %v, %v (-want +got):\n%s", err, items, diff)
	}
}

func TestRewrapText(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	src := &memSource{}
	src.put("a", encryptString(t, kr, "value of a", "a"))
	install(t, owner, 2, 2)
	p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{})
	if err != nil || items != nil || p.Rewrapped != 1 {
		t.Fatalf("%+v, %v, %v", p, items, err)
	}
	text := string(src.stored("a"))
	if term, err := keyring.TermOfString(text); term != 2 || err != nil {
		t.Errorf("text is under term %d, %v", term, err)
	}
	if got, err := kr.DecryptString(text, []byte("a")); got != "value of a" || err != nil {
		t.Errorf("text: %q, %v", got, err)
	}
}

// One bad item is told by its id and nothing of its content, and stops nobody.
func TestRewrapBadItems(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	src := filled(t, kr, 10)
	foreign := keyring.New()
	if err := foreign.Install("another store", terms(1, 1)); err != nil {
		t.Fatal(err)
	}
	_, younger := newKeyring(t, 9, 9)
	bad := map[string][]byte{
		"0002": encrypt(t, foreign.Keyring(), "value of 0002", "0002"),
		"0003": encrypt(t, kr, "value of 0003", "elsewhere"),
		"0005": []byte("canary, never encrypted"),
		"0006": encrypt(t, younger, "value of 0006", "0006"),
		"0008": []byte("sw1.!"),
	}
	for id, stored := range bad {
		src.put(id, stored)
	}
	install(t, owner, 2, 2)
	p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{PageSize: 3})
	if err != nil || !p.Done || p.Items != 10 || p.Rewrapped != 5 || p.Failed != 5 {
		t.Fatalf("%+v, %v", p, err)
	}
	want := []struct {
		is   error
		text string
	}{
		{keyring.ErrWrongKey, `migrate: item "0002": keyring: rewrap: term 1: wrong key`},
		{keyring.ErrCorrupt, `migrate: item "0003": keyring: rewrap: term 1: corrupt`},
		{keyring.ErrFormat, `migrate: item "0005": keyring: rewrap: unknown format`},
		{keyring.ErrUnknownTerm, `migrate: item "0006": keyring: rewrap: term 9: unknown term`},
		{keyring.ErrCorrupt, `migrate: item "0008": keyring: rewrap: corrupt`},
	}
	for i, w := range want {
		if i >= len(items) || !errors.Is(items[i], w.is) || !strings.HasPrefix(items[i].Error(), w.text) || strings.Contains(items[i].Error(), "canary") {
			t.Errorf("item error %d of %d: want %q", i, len(items), w.text)
		}
	}
	for id, stored := range bad {
		if !bytes.Equal(src.stored(id), stored) {
			t.Errorf("bad item %s was changed", id)
		}
	}

	// A caller that stops at a bad item begins with it again.
	for p, err := range migrate.Rewrap(t.Context(), kr, src, migrate.RewrapOptions{}) {
		if err == nil {
			t.Fatal("the first yield is no error")
		}
		if p.After != "0001" {
			t.Errorf("stopped at item 0002 after %q", p.After)
		}
		break
	}
}

func TestRewrapLiveWrites(t *testing.T) {
	for name, tt := range map[string]struct {
		write     func(t *testing.T, kr *keyring.Keyring, src *memSource, times int)
		want      migrate.Progress
		wantError error
	}{
		"a write under the active term": {
			func(t *testing.T, kr *keyring.Keyring, src *memSource, times int) {
				if times == 0 {
					src.put("0001", encrypt(t, kr, "value of 0001", "0001"))
				}
			},
			migrate.Progress{Items: 4, Rewrapped: 3, Current: 1, Changed: 1}, nil,
		},
		"a delete": {
			func(_ *testing.T, _ *keyring.Keyring, src *memSource, times int) { src.drop("0001") },
			migrate.Progress{Items: 3, Rewrapped: 3, Changed: 1}, nil,
		},
		"a replica that writes under the old term": {
			func(t *testing.T, _ *keyring.Keyring, src *memSource, times int) {
				_, old := newKeyring(t, 1, 1)
				if times == 0 {
					src.put("0001", encrypt(t, old, "value of 0001", "0001"))
				}
			},
			migrate.Progress{Items: 4, Rewrapped: 4, Changed: 1}, nil,
		},
		"one that never stops": {
			func(t *testing.T, _ *keyring.Keyring, src *memSource, times int) {
				_, old := newKeyring(t, 1, 1)
				src.put("0001", encrypt(t, old, "value of 0001", "0001"))
			},
			migrate.Progress{Items: 4, Rewrapped: 3, Failed: 1, Changed: 3}, migrate.ErrChanged,
		},
	} {
		t.Run(name, func(t *testing.T) {
			owner, kr := newKeyring(t, 1, 1)
			src := filled(t, kr, 4)
			install(t, owner, 2, 2)
			times := 0
			src.onReplace = func(id string) error {
				if id == "0001" {
					tt.write(t, kr, src, times)
					times++
				}
				return nil
			}
			p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{})
			if err != nil {
				t.Fatal(err)
			}
			tt.want.After, tt.want.Done, tt.want.Bytes, tt.want.Elapsed = "0003", true, p.Bytes, p.Elapsed
			if diff := cmp.Diff(tt.want, p); diff != "" {
				t.Errorf("progress (-want +got):\n%s", diff)
			}
			if tt.wantError == nil && items != nil || tt.wantError != nil && (len(items) != 1 || !errors.Is(items[0], tt.wantError) ||
				items[0].Error() != `migrate: item "0001": migrate: changed by others each time: rewrap again`) {
				t.Errorf("errors of items: %v, want %v", items, tt.wantError)
			}
			src.onReplace = nil
			if _, _, err := finish(t.Context(), kr, src, migrate.RewrapOptions{}); err != nil {
				t.Fatal(err)
			}
			checkAll(t, kr, src, 2)
		})
	}
}

var errDown = errors.New("the database is down")

func TestRewrapEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		arrange func(t *testing.T, o *keyring.Owner, src *memSource, opt *migrate.RewrapOptions) context.Context
		is      error
		text    string
		after   string
	}{
		"the first page fails": {
			func(t *testing.T, _ *keyring.Owner, src *memSource, _ *migrate.RewrapOptions) context.Context {
				src.onPage = func(string) error { return errDown }
				return t.Context()
			}, errDown, `migrate: source: read the page after "": the database is down`, "",
		},
		"a replacement fails": {
			func(t *testing.T, _ *keyring.Owner, src *memSource, _ *migrate.RewrapOptions) context.Context {
				src.onReplace = func(id string) error {
					if id == "0003" {
						return errDown
					}
					return nil
				}
				return t.Context()
			}, errDown, `migrate: source: replace item "0003": the database is down`, "0002",
		},
		"the keyring is sealed": {
			func(t *testing.T, o *keyring.Owner, src *memSource, _ *migrate.RewrapOptions) context.Context {
				src.onPage = func(after string) error {
					if after != "" {
						o.Seal()
					}
					return nil
				}
				return t.Context()
			}, keyring.ErrSealed, "migrate: rewrap: keyring: rewrap: sealed: unseal the server first", "0003",
		},
		"canceled": {
			func(t *testing.T, _ *keyring.Owner, src *memSource, _ *migrate.RewrapOptions) context.Context {
				ctx, cancel := context.WithCancel(t.Context())
				src.onReplace = func(id string) error {
					if id == "0002" {
						cancel()
					}
					return nil
				}
				return ctx
			}, context.Canceled, "migrate: rewrap: context canceled", "0002",
		},
		"canceled while it waits": {
			func(t *testing.T, _ *keyring.Owner, src *memSource, opt *migrate.RewrapOptions) context.Context {
				ctx, cancel := context.WithCancel(t.Context())
				opt.ItemsPerSecond = 1e-3
				time.AfterFunc(time.Minute, cancel)
				return ctx
			}, context.Canceled, "migrate: rewrap: context canceled", "0000",
		},
		"a source that stands still": {
			func(t *testing.T, _ *keyring.Owner, src *memSource, _ *migrate.RewrapOptions) context.Context {
				src.onPage = func(after string) error {
					if after == "0003" {
						src.items = append(src.items[:4], src.items[3])
					}
					return nil
				}
				return t.Context()
			}, nil, "does not go forward", "0003",
		},
		"an item without an id": {
			func(t *testing.T, _ *keyring.Owner, src *memSource, _ *migrate.RewrapOptions) context.Context {
				src.items[0].ID = ""
				src.items = append([]migrate.Item{{ID: ""}}, src.items...)
				return t.Context()
			}, nil, "an item without an id", "",
		},
		"a negative rate": {
			func(t *testing.T, _ *keyring.Owner, _ *memSource, opt *migrate.RewrapOptions) context.Context {
				opt.BytesPerSecond = -1
				return t.Context()
			}, seal.ErrConfig, "a rate is -1", "",
		},
		"no rate": {
			func(t *testing.T, _ *keyring.Owner, _ *memSource, opt *migrate.RewrapOptions) context.Context {
				opt.ItemsPerSecond = math.NaN()
				return t.Context()
			}, seal.ErrConfig, "a rate is NaN", "",
		},
		"a negative page": {
			func(t *testing.T, _ *keyring.Owner, _ *memSource, opt *migrate.RewrapOptions) context.Context {
				opt.PageSize = -1
				return t.Context()
			}, seal.ErrConfig, "PageSize is -1", "",
		},
		"a legacy of another keyring": {
			func(t *testing.T, _ *keyring.Owner, _ *memSource, opt *migrate.RewrapOptions) context.Context {
				_, other := newKeyring(t, 1, 1)
				opt.Legacy = newLegacy(t, other, migrate.LegacyConfig{Cipher: migrate.AESGCM})
				return t.Context()
			}, seal.ErrConfig, "Legacy is of another keyring", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				owner, kr := newKeyring(t, 1, 1)
				src := filled(t, kr, 8)
				install(t, owner, 2, 2)
				opt := migrate.RewrapOptions{PageSize: 4}
				ctx := tt.arrange(t, owner, src, &opt)
				p, items, err := finish(ctx, kr, src, opt)
				if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v, want %q", err, tt.text)
				}
				if p.After != tt.after || p.Done || items != nil {
					t.Errorf("ended after %q, done %v, %v; want after %q", p.After, p.Done, items, tt.after)
				}
			})
		})
	}
}

func TestRewrapPace(t *testing.T) {
	const size = 13 + keyring.Overhead
	for name, tt := range map[string]struct {
		items, bytes float64
		want         time.Duration
	}{
		"no limit":             {0, 0, 0},
		"one in ten seconds":   {0.1, 0, 10000 * time.Second},
		"a thousand a second":  {1000, 0, time.Second},
		"bytes":                {0, 10 * size, 100 * time.Second},
		"items are the slower": {10, 100 * size, 100 * time.Second},
		"bytes are the slower": {1000, 10 * size, 100 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				owner, kr := newKeyring(t, 1, 1)
				src := filled(t, kr, 1000)
				install(t, owner, 2, 2)
				begin := time.Now()
				if _, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{ItemsPerSecond: tt.items, BytesPerSecond: tt.bytes}); err != nil || items != nil {
					t.Fatal(err, items)
				}
				// What is owed at the end, less than a timer is worth, is not waited for.
				if took := time.Since(begin); took > tt.want || took < tt.want-20*time.Millisecond {
					t.Errorf("1000 items took %v, want about %v", took, tt.want)
				}
				checkAll(t, kr, src, 2)
			})
		})
	}
}

// Each item has its own tries.
func TestRewrapLiveWritesToMany(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	_, old := newKeyring(t, 1, 1)
	src := filled(t, kr, 4)
	install(t, owner, 2, 2)
	writes := map[string]int{}
	src.onReplace = func(id string) error {
		if writes[id]++; writes[id] <= 2 {
			src.put(id, encrypt(t, old, "value of "+id, id))
		}
		return nil
	}
	p, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{})
	if err != nil || items != nil || p.Changed != 8 || p.Rewrapped != 4 {
		t.Errorf("%+v, %v, %v", p, items, err)
	}
	checkAll(t, kr, src, 2)
}

// The work itself takes of the time that a rate allows.
func TestRewrapPaceWork(t *testing.T) {
	for name, tt := range map[string]struct{ work, want time.Duration }{
		"less than the rate": {800 * time.Microsecond, time.Second},
		"more than the rate": {3 * time.Millisecond, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				owner, kr := newKeyring(t, 1, 1)
				src := filled(t, kr, 1000)
				install(t, owner, 2, 2)
				src.onReplace = func(string) error { time.Sleep(tt.work); return nil }
				begin := time.Now()
				if _, _, err := finish(t.Context(), kr, src, migrate.RewrapOptions{ItemsPerSecond: 1000}); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begin); took < tt.want-25*time.Millisecond || took > tt.want+25*time.Millisecond {
					t.Errorf("1000 items took %v, want %v", took, tt.want)
				}
			})
		})
	}
}

// An hour in which the source stood still buys no burst.
func TestRewrapPaceIdle(t *testing.T) {
	virtual(t, func(t *testing.T) {
		owner, kr := newKeyring(t, 1, 1)
		src := filled(t, kr, 1000)
		install(t, owner, 2, 2)
		src.onPage = func(after string) error {
			if after == "0499" {
				time.Sleep(time.Hour)
			}
			return nil
		}
		begin := time.Now()
		if _, _, err := finish(t.Context(), kr, src, migrate.RewrapOptions{ItemsPerSecond: 100}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin) - time.Hour; took < 9900*time.Millisecond || took > 10*time.Second {
			t.Errorf("1000 items took %v beside the hour, want 10 s", took)
		}
	})
}

// A Wait of the host's own replaces the timer, and need not take the time.
func TestRewrapWait(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	src := filled(t, kr, 1000)
	install(t, owner, 2, 2)
	var waited time.Duration
	errEnough := errors.New("enough")
	opt := migrate.RewrapOptions{ItemsPerSecond: 1, Wait: func(_ context.Context, d time.Duration) error {
		if waited += d; waited > 500*time.Second {
			return errEnough
		}
		return nil
	}}
	p, _, err := finish(t.Context(), kr, src, opt)
	if !errors.Is(err, errEnough) || p.Items < 490 || p.Items > 510 {
		t.Errorf("after 500 s at one item a second: %d items, %v", p.Items, err)
	}

	// It goes on evenly: no wait is long where none has to be.
	var longest time.Duration
	opt = migrate.RewrapOptions{ItemsPerSecond: 1000, Wait: func(_ context.Context, d time.Duration) error {
		longest = max(longest, d)
		return nil
	}}
	if _, _, err := finish(t.Context(), kr, src, opt); err != nil || longest > 125*time.Millisecond {
		t.Errorf("at a thousand items a second one wait is %v, %v", longest, err)
	}
}

// A sink takes every replacement and keeps none, so that nothing but Rewrap is
// measured.
type sink struct{ memSource }

func (s *sink) Replace(context.Context, string, []byte, []byte) (bool, error) { return true, nil }

// One operation is one value of 4 KiB, on one core.
func BenchmarkRewrap(b *testing.B) {
	const size, n = 4 << 10, 1000
	owner, kr := newKeyring(b, 1, 1)
	src := &sink{}
	for i := range n {
		id := fmt.Sprintf("%04d", i)
		src.items = append(src.items, migrate.Item{ID: id, AAD: []byte(id), Ciphertext: encrypt(b, kr, strings.Repeat("v", size), id)})
	}
	install(b, owner, 2, 2)
	b.SetBytes(size)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += n {
		src.items = src.items[:min(n, b.N-done)]
		if p, _, err := finish(b.Context(), kr, src, migrate.RewrapOptions{}); err != nil || p.Rewrapped != p.Items {
			b.Fatal(p, err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "values/s")
}

// Writers and readers go on while two runs rewrap.
func TestRewrapConcurrent(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	src := filled(t, kr, 500)
	install(t, owner, 2, 2)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, items, err := finish(t.Context(), kr, src, migrate.RewrapOptions{PageSize: 10}); err != nil || items != nil {
				t.Error(err, items)
			}
		})
		wg.Go(func() {
			for i := range 500 {
				id := fmt.Sprintf("%04d", i)
				if got, err := kr.Decrypt(nil, src.stored(id), []byte(id)); err != nil || string(got) != "value of "+id {
					t.Errorf("item %s: %q, %v", id, got, err)
				}
				if i%3 == 0 {
					src.put(id, encrypt(t, kr, "value of "+id, id))
				}
			}
		})
	}
	wg.Wait()
	checkAll(t, kr, src, 2)
}
