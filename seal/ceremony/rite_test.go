package ceremony_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/bech32m"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/ceremony"
)

// cancels ends the verification in progress.
func (r *rekeyed) cancels() {
	r.s.t.Helper()
	if err := r.s.b.Admin().Cancel(r.s.t.Context(), seal.By{Operation: r.s.b.Status().Operation.ID}); err != nil {
		r.s.t.Fatal(err)
	}
}

// bare is a share in Vault's form.
func bare(t *testing.T, text string) string {
	t.Helper()
	share, err := seal.ParseShare(text)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(share.RevealRaw())
}

// altered is a share of the same name whose key is another.
func altered(t *testing.T, text string) string {
	t.Helper()
	prefix, data, err := bech32m.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	text, err = bech32m.Encode(prefix, data)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestWhatIsNotOfAPlace: the place's own share is taken back, and what differs from it is
// refused before it is given to anything, whether or not the server still has it.
func TestWhatIsNotOfAPlace(t *testing.T) {
	r := rekey(t)
	r.cancels()
	before := r.s.b.Status().Generation
	for name, share := range map[string]string{
		"of another place": r.fresh[1], "of another place, bare": bare(t, r.fresh[1]),
		"old, bare": bare(t, r.old[0]), "right, bare": bare(t, r.fresh[0]),
	} {
		if p := r.place(0, "back", "share", share); !strings.Contains(p.text(), "not the one of your place") {
			t.Errorf("%s: %.300s", name, p.text())
		}
	}
	r.s.want(r.place(0, "back", "share", altered(t, r.fresh[0])), 200, "not the one that was made") // by the record
	if s := r.s.b.Status(); s.Operation != nil || s.Generation != before {
		t.Errorf("a wrong share began %+v", s.Operation)
	}
	s := newSite(t)
	tb := s.begins("init", "2", "Ada", "Ben")
	tb.lead("make")
	tb.show()
	s.want(tb.place(0, "back", "share", altered(t, tb.shares[0])), 200, "not the one of your place") // by the server's own
}

// TestForgottenWhenGivenBack: what is given back is neither kept nor shown again, nor,
// once they count, asked for by a verification that nobody needs.
func TestForgottenWhenGivenBack(t *testing.T) {
	s := newSite(t)
	tb := s.begins("init", "2", "Ada", "Ben", "Carla")
	tb.lead("make")
	tb.show()
	for i, share := range tb.shares {
		if held := ceremony.Held(s.h); held != 3-i {
			t.Errorf("%d shares are held when %d were given back", held, i)
		}
		s.want(tb.place(i, "back", "share", share), 200, "Thank you. It is right")
		if i == 0 { // once more, as a browser sends it again
			s.want(tb.place(0, "back", "share", share), 200, "Thank you. It is right")
		}
		if p := tb.place(i, "show"); strings.Contains(p.text(), "Your share Write it down") || strings.Contains(p.body, `class="groups"`) {
			t.Errorf("shown again: %s", p.text())
		}
		if op := s.b.Status().Operation; op != nil {
			t.Errorf("after %d shares %s is in progress", i+1, op.ID)
		}
	}
	if held := ceremony.Held(s.h); held != 0 {
		t.Errorf("%d shares are held at the end", held)
	}
}

// replaced has the people's shares replaced by somebody else, with one share.
func replaced(t *testing.T, b *seal.Barrier) {
	t.Helper()
	d, err := b.Admin().Rekey(t.Context(), "shamir", seal.Shamir{Shares: 1, Threshold: 1}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	op, _, err := b.Admin().Prove(t.Context(), "shamir", seal.By{})
	if err == nil {
		_, err = b.Submit(t.Context(), d.Sets[0].Shares[0], seal.By{Operation: op})
	}
	if s := b.Status(); err != nil || len(s.Slots) != 1 || !slices.Equal(s.Slots[0].Sets, []uint32{d.Sets[0].Set}) {
		t.Fatalf("%+v, %v", s.Slots, err)
	}
}

// TestWhatCountsNoMore: that shares count is not remembered, but looked up.
func TestWhatCountsNoMore(t *testing.T) {
	r := rekey(t)
	for i := range 2 {
		r.place(i, "back", "share", r.fresh[i])
	}
	r.s.want(r.lead("look"), 200, "The new shares count.")
	replaced(t, r.s.b)
	if p := r.lead("look"); strings.Contains(p.text(), "The new shares count.") {
		t.Errorf("set %v counts: %s", r.s.counting(), p.text())
	}
}

// TestWhatASealedServerReads: nobody vouches for the record that a sealed server reads. One
// that says that the new shares count, written by whoever can write to the store, is not
// believed; and one that was seen before is.
func TestWhatASealedServerReads(t *testing.T) {
	r := rekey(t)
	r.s.seal()
	record, at, err := r.s.store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Replace(record, []byte(`"state":"pending"`), []byte(`"state":"active"`), 1)
	if bytes.Equal(forged, record) {
		t.Fatal("nothing is pending")
	}
	if _, err := r.s.store.Swap(t.Context(), forged, at); err != nil {
		t.Fatal(err)
	}
	r.s.want(r.s.get("/ceremony/"), 200, "sealed") // it reads the record
	for _, p := range []answer{r.lead("look"), r.place(0, "look")} {
		if strings.Contains(p.text(), "shares count.") {
			t.Errorf("by the record set %v counts: %s", r.s.counting(), p.text())
		}
	}
	r = rekey(t)
	for i := range 2 {
		r.place(i, "back", "share", r.fresh[i])
	}
	r.s.seal()
	r.s.want(r.lead("look"), 200, "The new shares count.")
}

// TestAnotherCeremonyBegins: once the shares of the one before count and are all written
// down, by whatever page they were verified, and not before.
func TestAnotherCeremonyBegins(t *testing.T) {
	begin := func(r *rekeyed) answer {
		return r.s.post("/ceremony/begin/rekey", "shares", "1", "threshold", "1", "token", "let-me")
	}
	r := rekey(t)
	for i := range 3 {
		r.s.want(begin(r), 400, "Another ceremony is in progress")
		r.s.want(r.place(i, "back", "share", r.fresh[i]), 200, "Thank you")
	}
	r.s.want(begin(r), 200, "Send this link")

	r = rekey(t) // all are written down, and one was lost on its way
	r.s.want(r.place(0, "back", "share", r.fresh[0]), 200, "Thank you")
	r.cancels()
	r.s.want(r.place(1, "back", "share", r.fresh[1]), 200, "Thank you")
	r.s.seal()
	r.s.post("/ceremony/unseal", "share", r.old[0])
	r.s.post("/ceremony/unseal", "share", r.old[1])
	r.s.want(r.place(2, "back", "share", r.fresh[2]), 200, "Thank you")
	if got := r.s.counting(); !slices.Equal(got, []uint32{1}) {
		t.Fatalf("set %v counts", got)
	}
	r.s.want(begin(r), 400, "Another ceremony is in progress")
	link := "/ceremony/operation/" + string(r.s.b.Status().Operation.ID)
	r.s.post(link, "share", r.fresh[0])
	r.s.post(link, "share", r.fresh[1])
	if got := r.s.counting(); !slices.Equal(got, []uint32{2}) {
		t.Fatalf("set %v counts", got)
	}
	r.s.want(begin(r), 200, "Send this link")
}

// TestConsentIsForOneCeremony: who agrees to new shares agrees to those of the people who
// have taken places. Where that ceremony ends while the last share is looked at, and
// another one begins, it is none for the other.
func TestConsentIsForOneCeremony(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hold bool
		s := newSite(t, func(sc *seal.Config, c *ceremony.Config) {
			c.Keep = 10 * time.Second
			on := sc.OnEvent
			sc.OnEvent = func(e seal.Event) {
				if on(e); hold && e.Kind == seal.EventProve {
					hold = false
					time.Sleep(20 * time.Second) // and the ceremony ends
				}
			}
		})
		old := s.stored(1, 1)
		tb := s.begins("rekey", "1", "Dora")
		tb.lead("make")
		link := "/ceremony/operation/" + string(s.b.Status().Operation.ID)
		hold = true
		said := make(chan answer)
		go func() { said <- s.post(link, "share", old[0]) }()
		time.Sleep(15 * time.Second)
		synctest.Wait()
		other := s.begins("rekey", "1", "Mallory")
		s.want(<-said, 200, "no new shares could be made")
		s.want(other.place(0, "look"), 200, "Read this number")
		if n := len(s.b.Status().Slots); n != 1 || hold {
			t.Errorf("%d slots, held %v", n, !hold)
		}
	})
}

// TestSharesToFollow: a server that is open, and follows a new root key by shares, takes
// them as one that is sealed, and says what came of them. It said that they were in vain.
func TestSharesToFollow(t *testing.T) {
	s := newSite(t)
	old := s.stored(3, 2)
	two, err := seal.Open(seal.Config{Store: s.store, Replica: "two"})
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	ctx := t.Context()
	give := func(share seal.Share, op seal.OperationID) {
		t.Helper()
		if _, err := two.Submit(ctx, share, seal.By{Operation: op}); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range old[:2] {
		share, err := seal.ParseShare(text)
		if err != nil {
			t.Fatal(err)
		}
		give(share, "")
	}
	d, err := two.Admin().Rekey(ctx, "shamir", seal.Shamir{Shares: 2, Threshold: 2}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	op, _, err := two.Admin().Prove(ctx, "shamir", seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	var fresh []string
	for _, share := range d.Sets[0].Shares {
		give(share, op)
		fresh = append(fresh, share.Reveal())
	}
	if err := s.b.Admin().Refresh(ctx); !errors.Is(err, seal.ErrRootMoved) {
		t.Fatal(err)
	}
	if p := s.get("/ceremony/"); !strings.Contains(p.body, `action="/ceremony/unseal"`) {
		t.Errorf("no field for a share: %s", p.text())
	}
	s.want(s.post("/ceremony/unseal", "share", fresh[0]), 200, "Your share is right, and counts")
	s.want(s.post("/ceremony/unseal", "share", fresh[1]), 200, "the server is unsealed")
	s.want(s.post("/ceremony/unseal", "share", fresh[1]), 200, "no more shares are needed")
}
