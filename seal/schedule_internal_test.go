package seal

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// happening is what a schedule is told, so long after the beginning.
type happening struct {
	after time.Duration
	tell  func(s *schedule, now time.Time, f *facts)
}

// TestSchedule has things happen to a schedule, and compares what begins, and when.
// All that is random is half of its bound; an end of tidy or activate needs no saying.
func TestSchedule(t *testing.T) {
	var (
		begin  = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		failed = errors.New("no route")
		is     = func(change func(*facts)) func(*schedule, time.Time, *facts) {
			return func(_ *schedule, _ time.Time, f *facts) { change(f) }
		}
		open       = is(func(f *facts) { f.sealed = false })
		operator   = is(func(f *facts) { f.sealed, f.byOperator = true, true })
		lost       = is(func(f *facts) { f.sealed = true }) // by nobody
		doubted    = is(func(f *facts) { f.sealed, f.doubts = false, true })
		behind     = is(func(f *facts) { f.behind = true })
		follows    = is(func(f *facts) { f.behind = false })
		passive    = is(func(f *facts) { f.activation = begin.Add(20 * time.Second) })
		nothing    = is(func(*facts) {})
		storeMoved = func(s *schedule, now time.Time, _ *facts) { s.want(jobRefresh, now) }
		end        = func(j job, err error) func(*schedule, time.Time, *facts) {
			return func(s *schedule, now time.Time, _ *facts) { s.ended(now, j, err) }
		}
	)
	const sec = time.Second
	for name, tc := range map[string]struct {
		cfg     Config
		happens []happening
		want    []string
	}{
		"unseals until it is unsealed": {
			happens: []happening{{3 * sec, nothing}, {5 * sec, open}},
			want:    []string{"0s unseal", "5s stop unsealing"},
		},
		"does not undo what an operator sealed": {
			happens: []happening{{1 * sec, open}, {2 * sec, operator}, {3 * sec, storeMoved}, {99 * sec, nothing}},
			want:    []string{"0s unseal", "1s stop unsealing"},
		},
		"stops when an operator seals what is sealed": {
			happens: []happening{{2 * sec, operator}, {9 * sec, nothing}},
			want:    []string{"0s unseal", "2s stop unsealing"},
		},
		"unseals again": {
			happens: []happening{{1 * sec, open}, {2 * sec, lost}, {3 * sec, open}},
			want:    []string{"0s unseal", "1s stop unsealing", "2s unseal", "3s stop unsealing"},
		},
		"takes in a change at once": {
			happens: []happening{{0, open}, {7 * sec, storeMoved}, {8 * sec, end(jobRefresh, nil)}, {99 * sec, nothing}},
			want:    []string{"7s refresh"},
		},
		"takes in what changed while it did, once, and after it": {
			happens: []happening{{0, open}, {1 * sec, storeMoved}, {2 * sec, storeMoved}, {3 * sec, storeMoved}, {9 * sec, end(jobRefresh, nil)}, {10 * sec, end(jobRefresh, nil)}, {99 * sec, nothing}},
			want:    []string{"1s refresh", "9s refresh"},
		},
		"at once after one that failed, too": {
			happens: []happening{{0, open}, {1 * sec, storeMoved}, {2 * sec, storeMoved}, {9 * sec, end(jobRefresh, failed)}},
			want:    []string{"1s refresh", "9s refresh"},
		},
		"keeps a change while sealed": {
			happens: []happening{{1 * sec, storeMoved}, {5 * sec, open}},
			want:    []string{"0s unseal", "5s stop unsealing", "5s refresh"},
		},
		"keeps a change that came before an operator sealed": {
			happens: []happening{{0, open}, {1 * sec, storeMoved}, {2 * sec, operator}, {3 * sec, storeMoved}, {4 * sec, end(jobRefresh, failed)}, {9 * sec, open}},
			want:    []string{"1s refresh", "9s refresh"},
		},
		"tries again after growing pauses": {
			happens: []happening{
				{0, open}, {1 * sec, storeMoved}, {1 * sec, end(jobRefresh, failed)}, {2 * sec, end(jobRefresh, failed)},
				{4 * sec, end(jobRefresh, failed)}, {7 * sec, end(jobRefresh, failed)}, {12 * sec, end(jobRefresh, failed)},
			},
			want: []string{"1s refresh", "1.5s refresh", "3s refresh", "6s refresh", "11s refresh"},
		},
		"after short ones again once it has followed": {
			happens: []happening{
				{0, open}, {1 * sec, storeMoved}, {1 * sec, end(jobRefresh, failed)}, {2 * sec, end(jobRefresh, failed)},
				{4 * sec, end(jobRefresh, nil)}, {50 * sec, storeMoved}, {50 * sec, end(jobRefresh, failed)}, {60 * sec, nothing},
			},
			want: []string{"1s refresh", "1.5s refresh", "3s refresh", "50s refresh", "50.5s refresh"},
		},
		"a change ends the pause": {
			happens: []happening{
				{0, open}, {1 * sec, storeMoved}, {1 * sec, end(jobRefresh, failed)}, {1200 * time.Millisecond, storeMoved},
				{8 * sec, end(jobRefresh, nil)}, {99 * sec, nothing},
			},
			want: []string{"1s refresh", "1.2s refresh"},
		},
		"drills, not while it does": {
			cfg:     Config{Drill: 10 * sec},
			happens: []happening{{0, open}, {95 * sec, end(jobDrill, nil)}, {106 * sec, nothing}},
			want:    []string{"10s drill", "1m45s drill"},
		},
		"drills not while sealed": {
			cfg:     Config{Drill: 10 * sec},
			happens: []happening{{5 * sec, open}, {6 * sec, operator}, {25 * sec, open}, {35 * sec, nothing}},
			want:    []string{"0s unseal", "5s stop unsealing", "30s drill"},
		},
		"drills never": {
			cfg:     Config{Drill: -1},
			happens: []happening{{0, open}, {9000 * sec, nothing}},
		},
		"drills soon what failed to unseal": {
			cfg:     Config{Drill: 1000 * sec},
			happens: []happening{{5 * sec, doubted}, {40 * sec, end(jobDrill, nil)}, {1039 * sec, nothing}, {1041 * sec, nothing}},
			want:    []string{"0s unseal", "5s stop unsealing", "35s drill", "17m20s drill"},
		},
		"soon after the drill that goes on": {
			cfg:     Config{Drill: 10 * sec},
			happens: []happening{{0, open}, {11 * sec, operator}, {12 * sec, doubted}, {50 * sec, end(jobDrill, nil)}, {51 * sec, nothing}},
			want:    []string{"10s drill", "50s drill"},
		},
		"activates when it is time": {
			happens: []happening{{0, open}, {1 * sec, passive}, {99 * sec, nothing}},
			want:    []string{"20s activate"},
		},
		"not while sealed": {
			happens: []happening{{1 * sec, passive}, {50 * sec, open}},
			want:    []string{"0s unseal", "50s stop unsealing", "50s activate"},
		},
		"nor while behind": {
			happens: []happening{{0, open}, {1 * sec, passive}, {2 * sec, behind}, {50 * sec, follows}},
			want:    []string{"50s activate"},
		},
		"nor what was activated elsewhere": {
			happens: []happening{{0, open}, {1 * sec, passive}, {2 * sec, is(func(f *facts) { f.activation = time.Time{} })}, {99 * sec, nothing}},
		},
		"looks at the roster every so often": {
			cfg:     Config{Roster: NewMemStore(), Poll: 40 * sec},
			happens: []happening{{0, open}, {6 * sec, end(jobRoster, nil)}, {50 * sec, end(jobRoster, nil)}, {100 * sec, nothing}},
			want:    []string{"5s roster", "40s tidy", "46s roster", "1m20s tidy", "1m30s roster"},
		},
		"soon after each unseal": {
			cfg:     Config{Roster: NewMemStore(), Poll: 400 * sec},
			happens: []happening{{20 * sec, open}, {71 * sec, end(jobRoster, nil)}, {80 * sec, operator}, {90 * sec, open}, {141 * sec, nothing}},
			want:    []string{"0s unseal", "20s stop unsealing", "1m10s roster", "2m20s roster"},
		},
		"soon after a look that goes on": {
			cfg:     Config{Roster: NewMemStore(), Poll: 400 * sec},
			happens: []happening{{20 * sec, open}, {80 * sec, operator}, {90 * sec, open}, {150 * sec, end(jobRoster, nil)}, {151 * sec, nothing}},
			want:    []string{"0s unseal", "20s stop unsealing", "1m10s roster", "2m30s roster"},
		},
		"tidies also while sealed": {
			cfg:     Config{Poll: 40 * sec},
			happens: []happening{{0, operator}, {99 * sec, nothing}},
			want:    []string{"40s tidy", "1m20s tidy"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.cfg.Poll == 0 {
				tc.cfg.Poll = 1000 * time.Hour
			}
			s := newSchedule(begin, &tc.cfg, func(d time.Duration) time.Duration { return d / 2 })
			f := facts{sealed: true}
			var got []string
			now := begin
			asked := 0
			settle := func() time.Time {
				for {
					if asked++; asked > 100 {
						t.Fatalf("it does not come to rest: %q", got[:min(len(got), 10)])
					}
					jobs, again := s.next(now, f)
					if len(jobs) == 0 {
						return again
					}
					for _, j := range jobs {
						got = append(got, fmt.Sprint(now.Sub(begin).Round(10*time.Millisecond), " ", j))
						if j == jobActivate {
							f.activation = time.Time{}
						}
						if j == jobActivate || j == jobTidy {
							s.ended(now, j, nil)
						}
					}
				}
			}
			for _, h := range tc.happens {
				then := begin.Add(h.after)
				for now.Before(then) {
					if now = settle(); now.IsZero() || now.After(then) {
						now = then
					}
				}
				h.tell(s, now, &f)
				settle()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
