package awskms

import (
	"strings"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

func FuzzKeyName(f *testing.F) {
	const id = "1234abcd-12ab-34cd-56ef-1234567890ab"
	for _, name := range []string{
		"arn:aws:kms:eu-west-1:111122223333:key/" + id,
		"arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
		"arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/team/prod",
		"arn:aws:kms:eu-west-1:111122223333:", "arn:", "alias/", "alias/prod", id, "",
	} {
		f.Add(name, "arn:aws:kms:eu-west-1:111122223333:key/"+id)
	}
	f.Fuzz(func(t *testing.T, name, blob string) {
		k, err := parseKey(name)
		if err != nil {
			return
		}
		ask, err := k.in("eu-west-1", blob)
		if err != nil {
			return
		}
		// Whatever is asked is a key of that region, of the blob's own id and
		// account, and asking for it again is the same.
		id := blob[strings.LastIndexByte(blob, '/')+1:]
		if !strings.HasPrefix(ask, "arn:") || !strings.Contains(ask, ":kms:eu-west-1:") || !strings.HasSuffix(ask, "/"+id) {
			t.Errorf("%q configured: %q is asked as %q", name, blob, ask)
		}
		if ask != blob && !strings.HasPrefix(id, "mrk-") {
			t.Errorf("%q configured: %q is asked as %q", name, blob, ask)
		}
		if k.id != "" && id != k.id {
			t.Errorf("%q configured: the key %q is asked", name, ask)
		}
		if again, err := k.in("eu-west-1", ask); err != nil || again != ask {
			t.Errorf("%q, then %q, %v", ask, again, err)
		}
	})
}

// A proxy is only used with leave. Requests to loopback addresses never use one,
// so this looks at the client itself.
func TestProxy(t *testing.T) {
	for _, allow := range []bool{false, true} {
		cfg := Config{AccessKeyID: "AKIA", SecretAccessKey: "secret", AllowEnvironment: allow}
		base, _, err := cfg.base("eu-west-1")
		if err != nil {
			t.Fatal(err)
		}
		if proxy := base.HTTPClient.(*awshttp.BuildableClient).GetTransport().Proxy; (proxy != nil) != allow {
			t.Errorf("AllowEnvironment is %t, and there is a proxy: %t", allow, proxy != nil)
		}
	}
}
