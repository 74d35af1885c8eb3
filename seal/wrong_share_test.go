package seal_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/bech32m"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// A quorum is people of whom all but one have given their shares.
type quorum struct {
	t         testing.TB
	b         *seal.Barrier
	by        seal.By
	set       uint32
	given     int
	last      seal.Share // the one that is missing
	tried     int
	named     int
	lost      int
	accepted  int
	forbidden []string // what no error may show
}

// progress returns how many shares of the set the Barrier says it has.
func (q *quorum) progress() int {
	status := q.b.Status()
	sets := status.Progress
	if q.by.Operation != "" {
		if status.Operation == nil {
			return -1
		}
		sets = status.Operation.Progress
	}
	for _, p := range sets {
		if p.Set == q.set {
			return p.Given
		}
	}
	return 0
}

// judge sees that a share was refused as that kind, that its error names it, and
// that those given before are still there.
func (q *quorum) judge(what string, err, kind error, says ...string) {
	q.t.Helper()
	q.tried++
	switch {
	case err == nil:
		q.accepted++
		q.t.Errorf("%s: accepted", what)
	case !errors.Is(err, kind):
		q.t.Errorf("%s: not told as %q: %v", what, kind, err)
	default:
		var share *seal.ShareError
		ok := errors.As(err, &share)
		for _, s := range says {
			ok = ok && strings.Contains(err.Error(), s)
		}
		if !ok {
			q.t.Errorf("%s: %v does not say %q", what, err, says)
		} else {
			q.named++
		}
		for _, secret := range q.forbidden {
			if strings.Contains(err.Error(), secret) {
				q.t.Errorf("%s: the error shows a share", what)
			}
		}
	}
	if n := q.progress(); n != q.given {
		q.lost++
		q.t.Errorf("%s: %d shares given, where there were %d", what, n, q.given)
	}
}

func (q *quorum) submit(what string, s seal.Share, kind error, says ...string) {
	q.t.Helper()
	_, err := q.b.Submit(context.Background(), s, q.by)
	q.judge(what, err, kind, says...)
}

// text is submit for a share that comes as text, which may not even parse.
func (q *quorum) text(what, text string, kind error, says ...string) {
	q.t.Helper()
	s, err := seal.ParseShare(text)
	if err == nil {
		_, err = q.b.Submit(context.Background(), s, q.by)
	}
	q.judge(what, err, kind, says...)
}

// every tries all that can be wrong with a share.
func (q *quorum) every(givenAlready []seal.Share, stale, foreign []seal.Share, newest uint32) {
	q.t.Helper()
	good := q.last
	name := fmt.Sprintf("share %d of set %d", good.X(), good.Set())
	text, raw := good.Reveal(), good.RevealRaw()
	q.forbidden = []string{text, hex.EncodeToString(raw[:32]), text[20:60]}

	// Bits of the raw form.
	for bit := 0; bit < len(raw)*8; bit += testlevel.Most(1, 5) { // five: each bit of a byte comes
		changed := slices.Clone(raw)
		changed[bit/8] ^= 1 << (bit % 8)
		what := fmt.Sprintf("raw share, bit %d", bit)
		s, err := seal.RawShare(changed)
		if err != nil {
			q.judge(what, err, seal.ErrShareMalformed, "malformed share")
			continue
		}
		q.submit(what, s, seal.ErrShareOtherStore, fmt.Sprintf("share %d", changed[32]))
	}
	q.rawX0(raw)

	// Bits of the text's payload, the checksum made anew: what no typing
	// mistake does.
	prefix, payload, err := bech32m.Decode(text)
	if err != nil {
		q.t.Fatal(err)
	}
	for bit := 0; bit < len(payload)*8; bit += testlevel.Most(1, 5) {
		changed := slices.Clone(payload)
		changed[bit/8] ^= 1 << (bit % 8)
		encoded, err := bech32m.Encode(prefix, changed)
		if err != nil {
			q.t.Fatal(err)
		}
		what := fmt.Sprintf("text, payload bit %d", bit)
		switch at := bit / 8; {
		case at == 0:
			q.text(what, encoded, seal.ErrShareMalformed, "this program knows format 1")
		case at < 13:
			q.text(what, encoded, seal.ErrShareOtherStore, name)
		case at < 17 && slices.Equal(changed[13:17], make([]byte, 4)):
			q.text(what, encoded, seal.ErrShareMalformed, "both count from 1")
		case at < 17:
			q.text(what, encoded, seal.ErrShareStale, fmt.Sprintf("this store is at set %d", q.set))
		case at == 17 && changed[17] == 0:
			q.text(what, encoded, seal.ErrShareMalformed, "both count from 1")
		case at == 17:
			q.text(what, encoded, seal.ErrShareAltered, fmt.Sprintf("share %d of set %d", changed[17], q.set))
		default:
			q.text(what, encoded, seal.ErrShareAltered, name)
		}
	}

	// Mistyped characters, and texts cut short or too long.
	const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	for i := len(prefix) + 1; i < len(text); i++ {
		for _, c := range alphabet {
			if !testlevel.Whole() && (i+int(c))%8 != 0 || testing.Short() && (i+int(c))%32 != 0 || byte(c) == text[i] {
				continue
			}
			q.text(fmt.Sprintf("text, character %d", i+1), text[:i]+string(c)+text[i+1:], seal.ErrShareChecksum, "mistyped share")
		}
		q.text("text, a strange character", text[:i]+"b"+text[i+1:], seal.ErrShareMalformed, "malformed share")
	}
	for n := range text {
		q.text("text cut short", text[:n], seal.ErrShareMalformed, "malformed share")
	}
	q.text("text with a character more", text+"q", seal.ErrShareMalformed, "malformed share")
	hexed := hex.EncodeToString(raw)
	for n := range hexed {
		if n == 44 && strings.Contains(hexed[:n], "b") { // base64 of 33 bytes, and no part of a share's text
			q.text("hex cut short", hexed[:n], seal.ErrShareOtherStore, "share of another store")
			continue
		}
		q.text("hex cut short", hexed[:n], seal.ErrShareMalformed, "malformed share")
	}
	for n := range raw {
		_, err := seal.RawShare(raw[:n])
		q.judge("raw share cut short", err, seal.ErrShareMalformed, "malformed share")
	}
	q.submit("no share", seal.Share{}, seal.ErrShareMalformed, "an empty share")

	for _, s := range givenAlready {
		q.submit("given already", s, seal.ErrShareDuplicate, fmt.Sprintf("share %d of set %d", s.X(), s.Set()), "give another one")
		r, err := seal.RawShare(s.RevealRaw())
		if err != nil {
			q.t.Fatal(err)
		}
		q.submit("given already, now raw", r, seal.ErrShareDuplicate, "give another one")
	}
	for _, s := range stale {
		q.submit("of the set before", s, seal.ErrShareStale,
			fmt.Sprintf("share %d of set %d", s.X(), s.Set()), fmt.Sprintf("set %d, this store is at set %d, the share was replaced", s.Set(), newest))
		r, err := seal.RawShare(s.RevealRaw())
		if err != nil {
			q.t.Fatal(err)
		}
		q.submit("of the set before, raw", r, seal.ErrShareOtherStore, fmt.Sprintf("share %d", s.X()))
	}
	for _, s := range foreign {
		q.submit("of another store", s, seal.ErrShareOtherStore, fmt.Sprintf("share %d of set %d", s.X(), s.Set()), "look whether this is the right store")
		r, err := seal.RawShare(s.RevealRaw())
		if err != nil {
			q.t.Fatal(err)
		}
		q.submit("of another store, raw", r, seal.ErrShareOtherStore, fmt.Sprintf("share %d", s.X()))
	}
	wiped, err := seal.ParseShare(text)
	if err != nil {
		q.t.Fatal(err)
	}
	wiped.Wipe()
	q.submit("wiped", wiped, seal.ErrShareMalformed, "an empty share")
}

// rawX0 is the key itself, in the form of a share.
func (q *quorum) rawX0(raw []byte) {
	q.t.Helper()
	changed := slices.Clone(raw)
	changed[32] = 0
	_, err := seal.RawShare(changed)
	q.judge("raw share, x = 0", err, seal.ErrShareMalformed, "number 0, shares count from 1")
}

// TestWrongShares gives every wrong share to a Barrier that waits for one more
// right one: to be unsealed, and to have a slot proven.
func TestWrongShares(t *testing.T) {
	ctx := t.Context()
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a")}}
	people := seal.Shamir{Shares: 5, Threshold: 3}

	elsewhere := l.barrier(seal.NewMemStore(), nil)
	defer elsewhere.Close()
	foreign, err := elsewhere.Init(ctx, map[string]seal.Spec{"people": people}, seal.By{})
	must(t, err)

	store := seal.NewMemStore()
	b := l.barrier(store, nil)
	defer b.Close()
	first, err := b.Init(ctx, map[string]seal.Spec{"people": people, "auto": seal.KMS{Wrapper: "a"}}, seal.By{})
	must(t, err)
	l.proveSlot(b, "people", first)
	second, err := b.Admin().Rekey(ctx, "people", people, seal.By{})
	must(t, err)
	l.proveSlot(b, "people", second)
	_, done, err := b.Admin().Drop(ctx, []string{"auto"}, seal.By{})
	must(t, err)
	if !done {
		op := b.Status().Operation.ID
		l.giveShares(b, second, "people", seal.By{Operation: op})
	}
	set := second.Sets[0]

	tried, named, accepted, lost := 0, 0, 0, 0
	run := func(name string, by seal.By, prepare func() *seal.Barrier, finished func(*seal.Barrier) bool) {
		t.Run(name, func(t *testing.T) {
			b := prepare()
			q := &quorum{t: t, b: b, by: by, set: set.Set, given: 2, last: set.Shares[2]}
			for _, s := range set.Shares[:2] {
				_, err := b.Submit(ctx, s, by)
				must(t, err)
			}
			q.every(set.Shares[:2], first.Sets[0].Shares, foreign.Sets[0].Shares, set.Set)
			if finished(b) {
				t.Fatal("done without the last share")
			}
			_, err := b.Submit(ctx, q.last, by)
			must(t, err)
			if !finished(b) {
				t.Errorf("the right share does not complete what the wrong ones met: %v", b.Status().Reason)
			}
			tried, named, accepted, lost = tried+q.tried, named+q.named, accepted+q.accepted, lost+q.lost
		})
	}
	run("unseal", seal.By{}, func() *seal.Barrier {
		b := l.barrier(store, nil)
		t.Cleanup(func() { b.Close() })
		return b
	}, func(b *seal.Barrier) bool { return !b.Status().Sealed })
	op, _, err := b.Admin().Prove(ctx, "people", seal.By{})
	must(t, err)
	run("prove", seal.By{Operation: op}, func() *seal.Barrier { return b }, func(b *seal.Barrier) bool { return b.Status().Operation == nil })
	proved(t, "GUARANTEE 11 wrong-share: tried=%d named=%d accepted=%d progress_lost=%d", tried, named, accepted, lost)
}
