package custody_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// TestProbe has what may become of a key once it has wrapped, and what is said of it
// then.
func TestProbe(t *testing.T) {
	const day = 24 * time.Hour
	in := func(d time.Duration) time.Time { return time.Now().Add(d) } // of 2000-01-01
	for name, tt := range map[string]struct {
		spec  record.Spec // a key if it is none
		do    func(*kmstest.Fake)
		want  []custody.Note // with a part of their texts
		newer string
	}{
		"it's well":             {do: func(*kmstest.Fake) {}},
		"it has a newer one":    {do: func(f *kmstest.Fake) { f.Rotate("a") }, want: []custody.Note{{Newer: true, Text: "key version 1 is stored, version 2 is current"}}, newer: "a 2\n"},
		"it's to be deleted":    {do: func(f *kmstest.Fake) { f.ScheduleDeletion("a", in(7*day)) }, want: []custody.Note{{Text: "scheduled for deletion on 2000-01-08 00:00 UTC"}}},
		"it's disabled":         {do: func(f *kmstest.Fake) { f.Disable("a") }, want: []custody.Note{{Text: "the key is disabled: do not restart"}}},
		"it has expired":        {do: func(f *kmstest.Fake) { f.Expire("a", in(-1)) }, want: []custody.Note{{Text: "the key expired on 1999-12-31 23:59 UTC"}}},
		"it expires now":        {do: func(f *kmstest.Fake) { f.Expire("a", in(0)) }, want: []custody.Note{{Text: "the key expired on 2000-01-01 00:00 UTC"}}},
		"it expires in a month": {do: func(f *kmstest.Fake) { f.Expire("a", in(30*day)) }, want: []custody.Note{{Text: "the key expires on 2000-01-31 00:00 UTC"}}},
		"it expires later":      {do: func(f *kmstest.Fake) { f.Expire("a", in(30*day+1)) }},
		"it expires, and has a newer one": {do: func(f *kmstest.Fake) { f.Expire("a", in(day)); f.Rotate("a") },
			want: []custody.Note{{Newer: true, Text: "key version 1"}, {Text: "the key expires on 2000-01-02"}}, newer: "a 2\n"},
		"its name stands for another": {do: func(f *kmstest.Fake) { f.Alias("a", "z"); f.Rotate("z"); f.Disable("z") },
			want: []custody.Note{{Moved: true, Text: `the slot is wrapped with key "a", and the configuration has come to key "z"`}}},
		"it may not say":  {do: func(f *kmstest.Fake) { f.Rotate("a"); f.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Denied})) }},
		"it cannot say":   {spec: onKMS("mirror"), do: func(*kmstest.Fake) {}},
		"people hold it":  {spec: people(2, 2), do: func(f *kmstest.Fake) { f.Disable("a") }},
		"one beside it":   {do: func(f *kmstest.Fake) { f.Rotate("b"); f.Disable("c") }},
		"people and keys": {spec: tree(2, onKMS("a"), people(2, 2)), do: func(f *kmstest.Fake) { f.Disable("a") }, want: []custody.Note{{Text: "the key is disabled"}}},
		"three keys": {spec: tree(2, onKMS("c"), onKMS("mirror"), tree(2, onKMS("a"), onKMS("b"))),
			do:    func(f *kmstest.Fake) { f.Rotate("a"); f.Rotate("b"); f.Rotate("b"); f.Disable("c") },
			want:  []custody.Note{{Text: `KMS "c": the key is disabled`}, {Newer: true, Text: `KMS "a": key version 1 is stored, version 2`}, {Newer: true, Text: `KMS "b": key version 1 is stored, version 3`}},
			newer: "a 2\nb 3\n"},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				fake := &kmstest.Fake{}
				keys := onFake(fake)
				if tt.spec.Equal(record.Spec{}) {
					tt.spec = onKMS("a")
				}
				f := fixtureOf(t, keys, shape{"tree", tt.spec})
				tt.do(fake)
				notes, newer := keys.Probe(t.Context(), f.slots["tree"])
				if newer != tt.newer {
					t.Errorf("newer versions %q, want %q", newer, tt.newer)
				}
				for i, n := range notes {
					if i < len(tt.want) && strings.Contains(n.Text, tt.want[i].Text) && strings.HasPrefix(n.Text, `KMS "`) {
						notes[i].Text = tt.want[i].Text
					}
				}
				if d := cmp.Diff(tt.want, notes); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// TestProbeOfOddAnswers: of a KMS that has no versions, or more than one name for a
// key, or whose provider is at fault.
func TestProbeOfOddAnswers(t *testing.T) {
	never := func(string, string) bool { return false }
	for name, tt := range map[string]struct {
		health  kms.Health
		version string // that has wrapped
		same    func(a, b string) bool
		fails   error
		says    string // "" for nothing
	}{
		"no version now":          {health: kms.Health{KeyID: "k", Enabled: true}, version: "1"},
		"no version then":         {health: kms.Health{KeyID: "k", Enabled: true, Version: "2"}},
		"versions":                {health: kms.Health{KeyID: "k", Enabled: true, Version: "2\x1b[31m"}, version: "1", says: `KMS "a": key version 1 is stored, version 2 [31m is current: keep the old one enabled until the slot is renewed`},
		"another name":            {health: kms.Health{KeyID: "K", Enabled: true}, same: never, says: `has come to key "K"`},
		"another name of the key": {health: kms.Health{KeyID: "K", Enabled: true}, same: func(a, b string) bool { return a == "K" && b == "k" }},
		"a name, and it panics":   {health: kms.Health{KeyID: "K", Enabled: true}, same: func(string, string) bool { panic("x") }, says: `has come to key "K"`},
		"its own name, and never": {health: kms.Health{KeyID: "k", Enabled: true}, same: never},
		"it fails":                {health: kms.Health{KeyID: "K"}, fails: errors.New("no")},
	} {
		t.Run(name, func(t *testing.T) {
			keys := keysOf(map[string]kms.Wrapper{"a": stub{same: tt.same, probe: func(context.Context) (kms.Health, error) { return tt.health, tt.fails }}})
			slot := &record.Slot{Tree: leafOf("a", "k", tt.version)}
			notes, newer := keys.Probe(t.Context(), slot)
			if len(notes) > 1 || (len(notes) > 0) != (tt.says != "") || tt.says != "" && !strings.Contains(notes[0].Text, tt.says) {
				t.Errorf("%+v, want %q", notes, tt.says)
			}
			if wants := tt.says != "" && tt.version != ""; (newer != "") != wants {
				t.Errorf("newer versions %q", newer)
			}
		})
	}
}

func leafOf(name, keyID, version string) record.Node {
	return record.Node{KMS: &record.Key{Name: name, Blob: kms.Blob{Type: "t", KeyID: keyID, Version: version, Ciphertext: []byte("c")}}}
}

// TestSameKeys compares what wraps a slot with what is to.
func TestSameKeys(t *testing.T) {
	old := nodes(2, leafOf("a", "k", "1"), crowd, leafOf("b", "l", "1"))
	for name, tt := range map[string]struct {
		a, b record.Node
		same bool
	}{
		"the same":             {old, old, true},
		"other versions":       {old, nodes(2, leafOf("a", "k", "2"), crowd, leafOf("b", "l", "9")), true},
		"another key":          {old, nodes(2, leafOf("a", "k2", "1"), crowd, leafOf("b", "l", "1")), false},
		"another key, behind":  {old, nodes(2, leafOf("a", "k", "1"), crowd, leafOf("b", "k", "1")), false},
		"a part of it":         {old, nodes(2, leafOf("a", "k", "1"), crowd), false},
		"people in its place":  {old, nodes(2, leafOf("a", "k", "1"), crowd, crowd), false},
		"people alone":         {crowd, crowd, true},
		"two names of a key":   {leafOf("two", "k", "1"), leafOf("two", "K", "1"), true},
		"its provider is mute": {leafOf("panics", "k", "1"), leafOf("panics", "K", "1"), false},
	} {
		t.Run(name, func(t *testing.T) {
			keys := keysOf(map[string]kms.Wrapper{"a": mirror{}, "b": mirror{}, "two": stub{same: strings.EqualFold},
				"panics": stub{same: func(string, string) bool { panic("x") }}})
			if got := keys.SameKeys(&tt.a, &tt.b); got != tt.same {
				t.Errorf("%v", got)
			}
		})
	}
}

// TestForgeable: whoever can write to the store could have made a slot that keys
// alone open, none of which proves who wrapped.
func TestForgeable(t *testing.T) {
	for name, tt := range map[string]struct {
		spec      record.Spec
		knows     bool // what the fake wraps proves who made it
		forgeable bool
	}{
		"a key that proves it":         {spec: onKMS("a"), knows: true},
		"a key that does not":          {spec: onKMS("a"), forgeable: true},
		"a key that cannot say":        {spec: onKMS("mirror"), knows: true, forgeable: true},
		"one of three that proves":     {spec: tree(2, onKMS("mirror"), onKMS("b"), onKMS("a")), knows: true},
		"one of two that proves":       {spec: tree(2, onKMS("a"), onKMS("mirror")), knows: true},
		"two that do not":              {spec: tree(2, onKMS("a"), onKMS("b")), forgeable: true},
		"one within":                   {spec: tree(2, onKMS("mirror"), tree(2, onKMS("mirror"), onKMS("a"))), knows: true},
		"people":                       {spec: people(2, 2)},
		"people are needed beside it":  {spec: tree(2, onKMS("a"), people(2, 2))},
		"people may, and need not":     {spec: tree(2, onKMS("a"), onKMS("b"), people(2, 2)), forgeable: true},
		"so they may, beside one that": {spec: tree(2, onKMS("mirror"), people(2, 2), onKMS("b")), knows: true},
	} {
		t.Run(name, func(t *testing.T) {
			keys := onFake(&kmstest.Fake{Forgeable: !tt.knows})
			f := fixtureOf(t, keys, shape{"tree", tt.spec})
			if got := keys.Forgeable(f.slots["tree"]); got != tt.forgeable {
				t.Errorf("%v", got)
			}
		})
	}
	keys := keysOf(map[string]kms.Wrapper{"a": stub{authenticate: func() bool { panic("x") }}})
	for name, slot := range map[string]*record.Slot{"it panics": {Tree: leafOf("a", "k", "1")}, "nobody has it": {Tree: leafOf("nobody's", "k", "1")}} {
		if !keys.Forgeable(slot) {
			t.Errorf("%s: it proves nothing", name)
		}
	}
}
