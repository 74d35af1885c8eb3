package kms_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
)

var sentinels = map[error]string{ // the words that say what to do
	kms.ErrUnavailable:     "try again later",
	kms.ErrThrottled:       "try again later",
	kms.ErrUnauthenticated: "renew the credentials",
	kms.ErrClockSkew:       "set this machine's clock",
	kms.ErrDenied:          "grant this identity",
	kms.ErrKeyDisabled:     "enable it",
	kms.ErrKeyGone:         "restore it, or use another slot",
	kms.ErrWrongKey:        "configure the key that the blob names",
	kms.ErrCorrupt:         "altered, or belongs to another place",
	kms.ErrMisconfigured:   "change the configuration",
}

func TestErrorText(t *testing.T) {
	cause := errors.New("Operation unwrapKey is not allowed on a disabled key.")
	for name, test := range map[string]struct {
		err  kms.Error
		want string
	}{
		"all": {
			kms.Error{Op: "unwrap", Type: "azurekeyvault", KeyID: "prod", Kind: kms.ErrKeyDisabled, Err: cause},
			`kms: unwrap azurekeyvault key "prod": key disabled: enable it: Operation unwrapKey is not allowed on a disabled key.`,
		},
		"a pause": {
			kms.Error{Op: "wrap", Type: "awskms", KeyID: "k", Kind: kms.ErrThrottled, RetryAfter: 90 * time.Second},
			`kms: wrap awskms key "k": throttled: try again later, or raise the quota (after 1m30s)`,
		},
		"no key": {
			kms.Error{Op: "configure", Type: "transit", Kind: kms.ErrMisconfigured, Err: errors.New("Address is empty")},
			`kms: configure transit: misconfigured: change the configuration: Address is empty`,
		},
		"a key id that would break the line": {
			kms.Error{Op: "probe", Type: "t", KeyID: "a\nb", Kind: kms.ErrKeyGone},
			`kms: probe t key "a\nb": key deleted or not found: restore it, or use another slot`,
		},
		"a KMS that writes to the terminal": {
			kms.Error{Op: "unwrap", Type: "t\x1b[1m", Kind: kms.ErrDenied, Err: errors.New("\x1b[2J\x1b]0;owned\x07no\r\nline \u202etxet\x00")},
			`kms: unwrap t [1m: permission denied: grant this identity the use of the key: [2J ]0;owned no line txet`,
		},
		"zero": {kms.Error{}, "kms: "},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.err.Error(); got != test.want {
				t.Errorf("Error() =\n%s, want\n%s", got, test.want)
			}
		})
	}
}

func TestErrorKinds(t *testing.T) {
	for kind, words := range sentinels {
		cause := &net.DNSError{Err: "no such host", Name: "kms.invalid"}
		err := fmt.Errorf("seal: slot %q: %w", "cloud", &kms.Error{Op: "unwrap", Type: "t", Kind: kind, Err: cause})
		for other := range sentinels {
			if errors.Is(err, other) != (other == kind) {
				t.Errorf("%v: errors.Is(%v) is %v", kind, other, other != kind)
			}
		}
		if !strings.Contains(err.Error(), words) || strings.Count(err.Error(), "kms:") != 1 {
			t.Errorf("the text of %v is %q, want it to say %q", kind, err, words)
		}
		if got, ok := errors.AsType[*net.DNSError](err); !ok || got != cause {
			t.Errorf("%v: the cause is not found", kind)
		}
		if want := kind == kms.ErrUnavailable || kind == kms.ErrThrottled; kms.Temporary(err) != want {
			t.Errorf("Temporary(%v) is %v", kind, !want)
		}
	}
	if kms.Temporary(nil) || kms.Temporary(context.DeadlineExceeded) {
		t.Error("what is no error of a KMS is Temporary")
	}
	if errs := (&kms.Error{Kind: kms.ErrDenied}).Unwrap(); len(errs) != 1 {
		t.Errorf("an error without a cause wraps %v", errs)
	}
	if errs := (&kms.Error{}).Unwrap(); len(errs) != 0 {
		t.Errorf("the zero error wraps %v", errs)
	}
}
