package seal_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/migrate/sqlsource"
	"github.com/sealwright/sealwright/seal"
)

// TestBoxBinds: what a Box encrypts reads at its own place and id alone, as bytes
// and as text, also where a driver returns text as bytes; and it is bound as
// sqlsource binds it.
func TestBoxBinds(t *testing.T) {
	ctx := t.Context()
	b, _ := hosted(t, nil)
	box := b.Box("tokens", "secret")
	stored, err := box.Encrypt(ctx, []byte("a token"), "eu", "7")
	must(t, err)
	text, err := box.EncryptString(ctx, "a token", "eu", "7")
	must(t, err)
	for name, tt := range map[string]struct {
		place, id []string
		want      error
	}{
		"its own":                 {[]string{"tokens", "secret"}, []string{"eu", "7"}, nil},
		"another row":             {[]string{"tokens", "secret"}, []string{"eu", "8"}, keyring.ErrCorrupt},
		"another column":          {[]string{"tokens", "refresh"}, []string{"eu", "7"}, keyring.ErrCorrupt},
		"another table":           {[]string{"users", "secret"}, []string{"eu", "7"}, keyring.ErrCorrupt},
		"the parts joined":        {[]string{"tokens", "secret"}, []string{"eu7"}, keyring.ErrCorrupt},
		"the parts the other way": {[]string{"tokens", "secret"}, []string{"7", "eu"}, keyring.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			box := b.Box(tt.place...)
			for _, stored := range [][]byte{stored, []byte(text)} {
				if got, err := box.Decrypt(ctx, stored, tt.id...); !errors.Is(err, tt.want) || err == nil && string(got) != "a token" {
					t.Errorf("Decrypt: %q, %v", got, err)
				}
			}
			if got, err := box.DecryptString(ctx, text, tt.id...); !errors.Is(err, tt.want) || err == nil && got != "a token" {
				t.Errorf("DecryptString: %q, %v", got, err)
			}
		})
	}
	if got, err := b.Keyring().Decrypt(nil, stored, sqlsource.AAD("tokens", "secret", "eu", "7")); err != nil || string(got) != "a token" {
		t.Errorf("by the rule of sqlsource: %q, %v", got, err)
	}
	if !bytes.Equal(box.AAD("eu", "7"), sqlsource.AAD("tokens", "secret", "eu", "7")) {
		t.Error("AAD is not sqlsource's")
	}
	if _, err := box.DecryptString(ctx, string(stored), "eu", "7"); !errors.Is(err, keyring.ErrFormat) {
		t.Errorf("bytes as text: %v", err)
	}
	must(t, b.Seal(seal.By{}))
	box.Legacy = func(stored, _ []byte) ([]byte, error) { return stored, nil }
	for _, stored := range [][]byte{stored, []byte(text), []byte("a value in clear")} {
		if _, err := box.Decrypt(ctx, stored, "eu", "7"); !errors.Is(err, seal.ErrSealed) {
			t.Errorf("sealed: %v", err)
		}
	}
	if _, err := box.EncryptString(ctx, "", "eu", "7"); !errors.Is(err, seal.ErrSealed) {
		t.Errorf("sealed: %v", err)
	}
}

// TestBoxRefuses what binds a value to less than its place.
func TestBoxRefuses(t *testing.T) {
	ctx := t.Context()
	b, _ := hosted(t, nil)
	box := b.Box("tokens", "secret")
	for name, tt := range map[string]struct {
		box  *seal.Box
		id   []string
		want string // "" : taken
	}{
		"no place":            {b.Box(), []string{"7"}, "its place has no part, or an empty one"},
		"an empty place":      {b.Box(""), []string{"7"}, "its place has no part, or an empty one"},
		"a place half empty":  {b.Box("tokens", ""), []string{"7"}, "its place has no part, or an empty one"},
		"no id":               {box, nil, "the id is empty"},
		"an empty id":         {box, []string{""}, "the id is empty"},
		"a key of empty ones": {box, []string{"", ""}, "the id is empty"},
		"a key half empty":    {box, []string{"", "7"}, ""},
		"nobody's":            {&seal.Box{}, []string{"7"}, "make it with Barrier.Box"},
		"an id that fits":     {box, []string{strings.Repeat("x", 64<<10-3*8-len("tokenssecret"))}, ""},
		"an id too long":      {box, []string{strings.Repeat("x", 64<<10-3*8-len("tokenssecret")+1)}, "place and id have 65537 bytes: 64 KiB at most"},
		"a place too long":    {b.Box(strings.Repeat("x", 64<<10)), []string{"7"}, "64 KiB at most"},
	} {
		t.Run(name, func(t *testing.T) {
			stored, encrypt := tt.box.Encrypt(ctx, nil, tt.id...)
			text, encryptString := tt.box.EncryptString(ctx, "", tt.id...)
			_, decrypt := tt.box.Decrypt(ctx, stored, tt.id...)
			_, decryptString := tt.box.DecryptString(ctx, text, tt.id...)
			for i, err := range []error{encrypt, encryptString, decrypt, decryptString} {
				switch {
				case tt.want == "" && err != nil:
					t.Errorf("%d: %v", i, err)
				case tt.want != "" && (!errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), tt.want)):
					t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
}

// TestBoxFollowsARotation by another replica, with one look at the store, and says
// of data that is newer than the record what Admin.Decrypt says.
func TestBoxFollowsARotation(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		other := v.boot()
		defer other.Close()
		must(t, v.unseal(ctx, other))
		for _, text := range []bool{false, true} {
			must(t, other.Rotate(ctx, seal.By{}))
			before, _ := v.faulty.Calls()
			if text {
				stored, err := other.Box("tokens").EncryptString(ctx, "fresh", "7")
				must(t, err)
				if got, err := b.Box("tokens").DecryptString(ctx, stored, "7"); err != nil || got != "fresh" {
					t.Errorf("%q, %v", got, err)
				}
			} else {
				stored, err := other.Box("tokens").Encrypt(ctx, []byte("fresh"), "7")
				must(t, err)
				if got, err := b.Box("tokens").Decrypt(ctx, stored, "7"); err != nil || string(got) != "fresh" {
					t.Errorf("%q, %v", got, err)
				}
			}
			if after, _ := v.faulty.Calls(); after-before != 1 {
				t.Errorf("text %v: %d loads", text, after-before)
			}
		}
		ahead, err := b.Box("tokens").Encrypt(ctx, nil, "7")
		must(t, err)
		for ahead[4] += 5; ; binary.BigEndian.PutUint32(ahead[1:], 1<<20) {
			_, direct := b.Admin().Decrypt(ctx, nil, ahead, b.Box("tokens").AAD("7"))
			_, err := b.Box("tokens").Decrypt(ctx, ahead, "7")
			if err == nil || err.Error() != direct.Error() || errors.Is(err, seal.ErrRolledBack) != errors.Is(direct, seal.ErrRolledBack) {
				t.Errorf("%v, and Admin.Decrypt says: %v", err, direct)
			}
			if ahead[2] != 0 {
				break
			}
		}
	})
}

// TestBoxLegacy has every kind of value, and whether Legacy is asked for it. One
// that may be the keyring's is not, whatever is wrong with it.
func TestBoxLegacy(t *testing.T) {
	ctx := t.Context()
	b, _ := hosted(t, nil)
	box := b.Box("tokens", "secret")
	encrypt := func(id string) []byte {
		stored, err := box.Encrypt(ctx, []byte("a token"), id)
		must(t, err)
		return stored
	}
	retired, _ := box.Encrypt(ctx, []byte("a token"), "7")
	must(t, b.Rotate(ctx, seal.By{}))
	must(t, b.Admin().RetireUncounted(ctx, 1, seal.By{}))
	withTerm := func(term uint32) []byte {
		stored := encrypt("7")
		binary.BigEndian.PutUint32(stored[1:], term)
		return stored
	}
	flipped := encrypt("7")
	flipped[60] ^= 1
	var stream bytes.Buffer
	w, err := b.Keyring().NewWriter(&stream, nil)
	must(t, err)
	must(t, w.Close())
	text, err := box.EncryptString(ctx, "a token", "7")
	must(t, err)
	rolled := seal.ErrRolledBack
	for name, tt := range map[string]struct {
		stored []byte
		want   error // of a value that Legacy is not asked for
		legacy bool
	}{
		"ours":                     {stored: encrypt("7")},
		"ours, in text":            {stored: []byte(text)},
		"another row's":            {stored: encrypt("8"), want: keyring.ErrCorrupt},
		"altered":                  {stored: flipped, want: keyring.ErrCorrupt},
		"cut":                      {stored: flipped[:40], want: keyring.ErrCorrupt},
		"cut to its term":          {stored: flipped[:5], want: keyring.ErrCorrupt},
		"under a retired term":     {stored: retired, want: keyring.ErrUnknownTerm},
		"under a term to come":     {stored: withTerm(1000), want: rolled},
		"another store's":          {stored: func() []byte { s := encrypt("7"); s[6] ^= 1; return s }(), want: keyring.ErrWrongKey},
		"text, altered":            {stored: []byte("sw1.!"), want: keyring.ErrCorrupt},
		"text, cut":                {stored: []byte(text[:20]), want: keyring.ErrCorrupt},
		"text, padded":             {stored: []byte(text + "  "), want: keyring.ErrCorrupt},
		"a stream":                 {stored: stream.Bytes(), want: keyring.ErrFormat},
		"in clear":                 {stored: []byte("hunter2"), legacy: true},
		"empty":                    {stored: []byte{}, legacy: true},
		"in clear, with a version": {stored: []byte("\x01\x02\x03 any bytes may come"), legacy: true},
		"a version alone":          {stored: []byte{1}, legacy: true},
		"a term that never was":    {stored: withTerm(1 << 20), legacy: true},
		"no term":                  {stored: withTerm(0), legacy: true},
	} {
		t.Run(name, func(t *testing.T) {
			var asked [][]byte
			box := b.Box("tokens", "secret")
			box.Legacy = func(stored, aad []byte) ([]byte, error) {
				asked = append(asked, slices.Clone(stored))
				if !bytes.Equal(aad, sqlsource.AAD("tokens", "secret", "7")) {
					t.Error("other associated data")
				}
				clear(aad)
				for i := range stored { // which it may
					stored[i] ^= 0xff
				}
				return []byte("as it was"), nil
			}
			kept := slices.Clone(tt.stored)
			got, err := box.Decrypt(ctx, tt.stored, "7")
			gotText, errText := "", error(nil)
			if isText := bytes.HasPrefix(tt.stored, []byte("sw1.")); isText || tt.legacy {
				gotText, errText = box.DecryptString(ctx, string(tt.stored), "7")
			} else {
				gotText, errText = string(got), err
			}
			switch {
			case tt.legacy:
				if len(asked) != 2 || !bytes.Equal(asked[0], kept) || !bytes.Equal(asked[1], kept) || string(got) != "as it was" || gotText != "as it was" || err != nil || errText != nil {
					t.Errorf("asked %d times: %q %v, %q %v", len(asked), got, err, gotText, errText)
				}
			case len(asked) != 0:
				t.Errorf("Legacy was given what may be the keyring's: %q, %v", got, err)
			case tt.want == nil && (err != nil || errText != nil || string(got) != "a token" || gotText != "a token"):
				t.Errorf("%q %v, %q %v", got, err, gotText, errText)
			case tt.want != nil && (!errors.Is(err, tt.want) || !errors.Is(errText, tt.want)):
				t.Errorf("%v, %v", err, errText)
			}
			if !bytes.Equal(tt.stored, kept) {
				t.Error("the argument was changed")
			}
		})
	}
}

// TestBoxLegacyFails: the error of a host's function may speak of the value, and so
// may what it panics with: neither is shown, and the first can be asked for.
func TestBoxLegacyFails(t *testing.T) {
	b, _ := hosted(t, nil)
	box := b.Box("tokens", "secret")
	errOwn := errors.New("parsing \"hunter2\": invalid syntax")
	for want, legacy := range map[string]func([]byte, []byte) ([]byte, error){
		"seal: decrypt: the value is none of the keyring's, and Box.Legacy could not read it: ask for its error with errors.Is, and have it read values of this form, or put back the value from a backup": func([]byte, []byte) ([]byte, error) { return []byte("hunter2"), errOwn },
		"seal: decrypt: the value is none of the keyring's, and Box.Legacy panicked: mend that function":                                                                                                   func([]byte, []byte) ([]byte, error) { panic("hunter2") },
	} {
		box.Legacy = legacy
		got, err := box.Decrypt(t.Context(), []byte("hunter2"), "7")
		text, errText := box.DecryptString(t.Context(), "hunter2", "7")
		for _, err := range []error{err, errText} {
			if err == nil || err.Error() != want || !errors.Is(err, keyring.ErrFormat) || errors.Is(err, errOwn) == strings.Contains(want, "panicked") {
				t.Errorf("%v, want %s", err, want)
			}
		}
		if got != nil || text != "" {
			t.Errorf("%q %q", got, text)
		}
	}
}

// TestBoxReadsWhatMigrateAdopts: a Legacy of package migrate is a Box's, before and
// after a rewrap by a source that binds as the Box does.
func TestBoxReadsWhatMigrateAdopts(t *testing.T) {
	ctx := t.Context()
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("k")}})
	must(t, err)
	defer b.Close()
	_, err = b.Init(ctx, map[string]seal.Spec{"auto": key("cloud")}, seal.By{})
	must(t, err)
	legacy, err := migrate.NewLegacy(b.Keyring(), nil, migrate.LegacyConfig{
		Cipher: migrate.Clear, Encoding: migrate.Text,
		Valid:  func(plaintext []byte) bool { return bytes.HasPrefix(plaintext, []byte("ghp_")) },
		Sample: &migrate.LegacySample{Stored: []byte("ghp_sample"), Plaintext: []byte("ghp_sample")},
	})
	must(t, err)
	box := b.Box("app", "token")
	box.Legacy = legacy.Open
	stored := []byte("ghp_hunter2")
	file := migrate.Blob{
		ID: "token", AAD: box.AAD("token"),
		Load: func(context.Context) ([]byte, error) { return slices.Clone(stored), nil },
		Swap: func(_ context.Context, old, next []byte) (bool, error) {
			if !bytes.Equal(stored, old) {
				return false, nil
			}
			stored = slices.Clone(next)
			return true, nil
		},
	}
	for range 2 {
		if got, err := box.DecryptString(ctx, string(stored), "token"); err != nil || got != "ghp_hunter2" {
			t.Errorf("%.10q: %q, %v", stored, got, err)
		}
		for _, err := range migrate.Rewrap(ctx, b.Keyring(), file, migrate.RewrapOptions{Legacy: legacy}) {
			must(t, err)
		}
		box.Legacy = nil
	}
	if !bytes.HasPrefix(stored, []byte("sw1.")) {
		t.Errorf("stored: %.10q", stored)
	}
	box.Legacy = legacy.Open
	if _, err := box.DecryptString(ctx, "no token", "token"); !errors.Is(err, migrate.ErrLegacy) {
		t.Errorf("what Legacy does not take: %v", err)
	}
}
