package operator

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
)

func purposes() []purpose {
	return []purpose{
		{kind: forRekey, shares: 5, threshold: 3}, {kind: forRekey, shares: 255, threshold: 255, keys: "0123abcd"}, {kind: forRekey, shares: 1, threshold: 1},
		{kind: forRekeyKMS}, {kind: forVerify}, {kind: forToken}, {kind: forToken, keys: "ffffffff"},
	}
}

// TestPurposes: an id says what its operation is for, and one that says less, or
// more, is not ours.
func TestPurposes(t *testing.T) {
	for _, p := range purposes() {
		id := p.newID()
		if got, ok := parsePurpose(id); !ok || got != p || len(id) > 64 {
			t.Errorf("%+v: %s reads %+v %v", p, id, got, ok)
		}
		for i := range id {
			if got, ok := parsePurpose(id[:i]); ok {
				t.Errorf("%s reads %+v", id[:i], got)
			}
		}
		if got, ok := parsePurpose(id + "0"); ok {
			t.Errorf("%s0 reads %+v", id, got)
		}
	}
	random := strings.Repeat("0", 32)
	for _, id := range []string{
		"", ".", "rekey", "rekey.", "rekey.5", "rekey.5.3", "rekey.5.3.", "rekey.05.3." + random, "rekey.5.-3." + random, "rekey.256.3." + random, "rekey.0.0." + random,
		"rekey.5.3.pgp-" + random, "rekey.5.3.pgp-0123abcd", "rekey.5.3.pgp-0123abcg." + random, "rekey.5.3.x." + random, "rekey-kms.pgp-0123abcd." + random,
		"verify.pgp-0123abcd." + random, "generate-root.0123abcd." + random, "migrate." + random, "init." + random, "verify." + strings.ToUpper("a") + random[1:], random,
	} {
		if p, ok := parsePurpose(seal.OperationID(id)); ok {
			t.Errorf("%q reads %+v", id, p)
		}
	}
}

func FuzzPurpose(f *testing.F) {
	for _, p := range purposes() {
		f.Add(string(p.newID()))
	}
	f.Add("rekey.5.3.pgp-.")
	f.Fuzz(func(t *testing.T, id string) {
		p, ok := parsePurpose(seal.OperationID(id))
		if !ok {
			if p != (purpose{}) {
				t.Fatalf("%q: %+v", id, p)
			}
			return
		}
		// What is read is what newID writes, but for the random part.
		if again := string(p.newID()); again[:len(again)-32] != id[:len(id)-32] {
			t.Fatalf("%q reads %+v, which is written %q", id, p, again)
		}
	})
}
