package awskms_test

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
)

// In FIPS mode everything works but a secret that cannot be a key; the SDK
// would panic.
func TestFIPS(t *testing.T) {
	if !fips140.Enforced() {
		child := exec.Command(os.Args[0], "-test.run=^TestFIPS$", "-test.v")
		child.Env = append(os.Environ(), "GODEBUG=fips140=only")
		out, err := child.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestFIPS") {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Log("GUARANTEE 21 awskms-fips140: failures=0")
		return
	}
	s := start(t)
	cfg := with(s, s.CreateKey())
	w := open(t, cfg)
	opens(t, w, wrap(t, w))
	for length, kind := range map[int]error{1: kms.ErrUnauthenticated, 9: kms.ErrUnauthenticated, 10: nil} {
		cfg.SecretAccessKey = strings.Repeat("s", length)
		s.SetAccessKey("AKIASHORT"+cfg.SecretAccessKey, cfg.SecretAccessKey)
		cfg.AccessKeyID = "AKIASHORT" + cfg.SecretAccessKey
		_, err := open(t, cfg).Wrap(t.Context(), secretKey, home)
		if kind != nil {
			refused(t, err, kind, "credentials: a secret access key this short")
		} else if err != nil {
			t.Error(err)
		}
	}
}
