package handoff_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/handoff"
)

func sharesTo(t testing.TB, request []byte, answerer string, shares ...handoff.Share) []byte {
	t.Helper()
	r, err := handoff.ParseRequest(request)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := r.AnswerShares(answerer, shares)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func aShare(x byte) handoff.Share {
	return handoff.Share{Age: 1500 * time.Millisecond, Fingerprint: [12]byte{1, 2, 3}, Set: 1 << 30, X: x, Y: bytes.Repeat([]byte{x ^ 0xa5}, 32)}
}

func TestShares(t *testing.T) {
	for _, n := range []int{1, 3, handoff.MaxShares} {
		var shares []handoff.Share
		for i := range n {
			shares = append(shares, aShare(byte(i+1)))
		}
		a := asking(t, "a")
		answer := sharesTo(t, a.Bytes, strings.Repeat("n", handoff.MaxName), shares...)
		if !handoff.HasShares(answer) || len(answer) > handoff.MaxAnswer || bytes.Contains(answer, shares[0].Y) {
			t.Errorf("%d shares: %d bytes", n, len(answer))
		}
		got, from, err := a.OpenShares(answer)
		if err != nil || len(from) != handoff.MaxName {
			t.Fatalf("%d shares from %q: %v", n, from, err)
		}
		if d := cmp.Diff(shares, got); d != "" {
			t.Error(d)
		}
		if _, _, err := a.OpenShares(answer); !errors.Is(err, handoff.ErrNotMine) {
			t.Errorf("a second time: %v", err)
		}
	}
	old := aShare(1)
	old.Age = 1 << 62
	a := asking(t, "a")
	if got, _, err := a.OpenShares(sharesTo(t, a.Bytes, "b", old)); err != nil || got[0].Age < 49*24*time.Hour {
		t.Errorf("very old: %v, %v", got, err)
	}
}

// TestSharesAreNoRootKey, nor the other way round: neither opens as the other.
func TestSharesAreNoRootKey(t *testing.T) {
	kind := func(answer []byte, k byte) []byte {
		answer = bytes.Clone(answer)
		answer[1] = k
		return answer
	}
	a := asking(t, "a")
	s := handoff.Share{Y: bytes.Repeat([]byte{1}, 32)}
	if _, _, err := a.Open(sharesTo(t, a.Bytes, "b", s)); !errors.Is(err, handoff.ErrMalformed) {
		t.Errorf("shares: %v", err)
	}
	a = asking(t, "a")
	if _, _, err := a.OpenShares(answerTo(t, a.Bytes, "b")); !errors.Is(err, handoff.ErrMalformed) {
		t.Errorf("a root key: %v", err)
	}
	a = asking(t, "a")
	if _, _, err := a.OpenShares(kind(answerTo(t, a.Bytes, "b"), 's')); err == nil {
		t.Error("a root key that says it is shares")
	}
	a = asking(t, "a")
	if root, _, err := a.Open(kind(sharesTo(t, a.Bytes, "b", s), 'a')); err == nil {
		t.Errorf("shares that say they are a root key: %d bytes", len(root))
	}
}

// TestNoShares: what cannot be an answer is refused, and what is not for this
// request does not open.
func TestNoShares(t *testing.T) {
	r, err := handoff.ParseRequest(asking(t, "a").Bytes)
	if err != nil {
		t.Fatal(err)
	}
	short := aShare(1)
	short.Y = short.Y[:31]
	for name, shares := range map[string][]handoff.Share{"none": nil, "too many": make([]handoff.Share, handoff.MaxShares+1), "a short key": {short}} {
		if _, err := r.AnswerShares("b", shares); !errors.Is(err, handoff.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.AnswerShares("", []handoff.Share{aShare(1)}); !errors.Is(err, handoff.ErrMalformed) {
		t.Errorf("no name: %v", err)
	}
	right := asking(t, "a")
	answer := sharesTo(t, right.Bytes, "b", aShare(1), aShare(2))
	for i := range answer {
		if testing.Short() && i > 2 && i%25 != 0 {
			continue
		}
		a := asking(t, "a") // of which nothing is for this answer
		if _, _, err := a.OpenShares(answer[:i]); err == nil {
			t.Errorf("%d bytes of an answer", i)
		}
		if i%50 == 0 {
			if _, _, err := a.OpenShares(answer); !errors.Is(err, handoff.ErrNotMine) {
				t.Errorf("another request's: %v", err)
			}
		}
	}
}
