package operator

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A purpose is what an operation of this package is for. It is all that is kept
// of it, and stands in the operation's id, which custodians are shown: a share
// serves only what its giver saw. Ids are
//
//	rekey.SHARES.THRESHOLD.[pgp-DIGEST.]RANDOM
//	rekey-kms.RANDOM
//	verify.RANDOM
//	generate-root.[pgp-DIGEST.]RANDOM
//
// with 128 random bits; DIGEST is that of the addressees. A migration's is
// migrate.DIGEST of the plan.
type purpose struct {
	kind              string
	shares, threshold int    // of a rekey
	keys              string // digest of the addressees; "" if there are none
}

// The kinds of purposes.
const (
	forRekey    = "rekey"         // the authorization of new shares by the old ones
	forRekeyKMS = "rekey-kms"     // that of new seeds for the KMS slots
	forVerify   = "verify"        // the proof of the new shares
	forToken    = "generate-root" // that of a root token
)

const keyedMark = "pgp-"

// newID returns a new id for the purpose, of at most 64 characters.
func (p purpose) newID() seal.OperationID {
	id := p.kind + "."
	if p.kind == forRekey {
		id += fmt.Sprintf("%d.%d.", p.shares, p.threshold)
	}
	if p.keys != "" {
		id += keyedMark + p.keys + "."
	}
	return seal.OperationID(id + randomID())
}

// randomID returns 128 random bits.
func randomID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// parsePurpose reads what an id says; false for one that newID does not make.
func parsePurpose(id seal.OperationID) (p purpose, ok bool) {
	parts := strings.Split(string(id), ".")
	p.kind, parts = parts[0], parts[1:]
	if p.kind == forRekey {
		if len(parts) < 2 {
			return purpose{}, false
		}
		if p.shares, ok = count(parts[0]); !ok {
			return purpose{}, false
		}
		if p.threshold, ok = count(parts[1]); !ok {
			return purpose{}, false
		}
		parts = parts[2:]
	}
	if len(parts) == 2 && (p.kind == forRekey || p.kind == forToken) {
		if keys, keyed := strings.CutPrefix(parts[0], keyedMark); keyed && isHex(keys, 8) {
			p.keys, parts = keys, parts[1:]
		}
	}
	switch p.kind {
	case forRekey, forRekeyKMS, forVerify, forToken:
		if len(parts) == 1 && isHex(parts[0], 32) {
			return p, true
		}
	}
	return purpose{}, false
}

// count reads a number of shares, as newID writes it.
func count(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n > 0 && n < 256 && strconv.Itoa(n) == s
}

func isHex(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789abcdef") == ""
}

// digestOf returns what an id says of those to whom the operation encrypts.
func digestOf(to []seal.Custodian) string {
	if to == nil {
		return ""
	}
	digest := sha256.New()
	for _, c := range to {
		io.WriteString(digest, c.Name+"\n")
	}
	return hex.EncodeToString(digest.Sum(nil)[:4])
}

// planID is the id of the migration to a plan: a digest of it, so that a share
// given to the operation can serve no other plan.
func planID(p migrate.Plan) seal.OperationID {
	digest := sha256.New()
	for _, g := range p.Goals() {
		fmt.Fprintf(digest, "%q %v %v\n", g.Name, g.Spec, g.Drop)
	}
	return seal.OperationID("migrate." + hex.EncodeToString(digest.Sum(nil)[:16]))
}
