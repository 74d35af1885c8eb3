package causes_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/sealwright/sealwright/internal/causes"
)

func TestJoin(t *testing.T) {
	a, b := errors.New("seal: slot a"), errors.New("seal: slot b")
	for name, tt := range map[string]struct {
		errs []error
		text string
	}{
		"none":            {nil, ""},
		"nothing but nil": {[]error{nil, nil}, ""},
		"one":             {[]error{nil, a}, "seal: slot a"},
		"two":             {[]error{a, nil, b}, "seal: slot a; slot b"},
		"one twice":       {[]error{a, a, b}, "seal: slot a; slot b"},
		"lists":           {[]error{errors.Join(a, b), causes.Join(b, a)}, "seal: slot a; slot b; slot b; slot a"},
		"a KMS and again": {[]error{errors.New(`KMS "a": kms: gave up: kms: down`), errors.New(`KMS "b": kms: denied`)}, `KMS "a": kms: gave up: down; KMS "b": denied`},
		"several lines":   {[]error{a, errors.New("first\nsecond\r\n\nthird")}, "seal: slot a; first; second; third"},
	} {
		err := causes.Join(tt.errs...)
		if err == nil {
			if tt.text != "" {
				t.Errorf("%s: no error", name)
			}
			continue
		}
		if err.Error() != tt.text {
			t.Errorf("%s: %q, want %q", name, err, tt.text)
		}
		for _, e := range tt.errs {
			if e != nil && !errors.Is(err, e) {
				t.Errorf("%s: it has lost %q", name, e)
			}
		}
	}
	if err := causes.Join(a); err != a {
		t.Error("a lone error is another one")
	}
	given := []error{a, nil, b}
	_ = causes.Join(given...)
	if !slices.Equal(given, []error{a, nil, b}) {
		t.Error("the caller's slice was changed")
	}
}

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		"seal: sealed":                   "seal: sealed",
		"seal: unseal: seal: sealed":     "seal: unseal: sealed",
		"open: seal: sealed: seal: gone": "open: seal: sealed: gone",
		"the seal: broken":               "the seal: broken",
		"a\nb":                           "a; b",
	} {
		if got := causes.Line(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
