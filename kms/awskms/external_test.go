package awskms_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
)

// TestExternalKeyStores: whatever happens to a key in an external key store has
// the code KMSInvalidStateException. The messages are AWS's own.
func TestExternalKeyStores(t *testing.T) {
	s := start(t)
	w := open(t, with(s, s.CreateKey()))
	blob := wrap(t, w)
	for message, c := range map[string]struct {
		kind  error
		words string
	}{
		"AWS KMS rejected the request because the external key store proxy did not respond in time. Retry the request. If you see this error repeatedly, report it to your external key store proxy administrator.": {kms.ErrUnavailable, "did not respond in time"},
		"The external key store proxy did not respond to the request in the time allotted. Retry the request.":                                                                                                      {kms.ErrUnavailable, "in the time allotted"},
		"AWS KMS cannot communicate with the external key store proxy. This might be a transient network issue.":                                                                                                    {kms.ErrUnavailable, "transient"},
		"The external key store proxy is in an unhealthy state. If you see this message repeatedly, notify your external key store proxy administrator.":                                                            {kms.ErrUnavailable, "unhealthy"},
		"AWS KMS cannot interpret the response from the external key store proxy.":                                                                                                                                  {kms.ErrUnavailable, "cannot interpret"},
		"AWS KMS rejected the request because the external key store proxy said something that nobody has heard before.":                                                                                            {kms.ErrUnavailable, "nobody has heard"},
		"Connection error: XKS_PROXY_TIMED_OUT":                         {kms.ErrUnavailable, "XKS_PROXY_TIMED_OUT"},
		"AWS KMS rejected the request due to a very high request rate.": {kms.ErrThrottled, "request rate"},
		"The external key store proxy rejected the request because the specified ciphertext or additional authenticated data is corrupted, missing, or otherwise invalid.":          {kms.ErrCorrupt, "corrupted"},
		"The ciphertext that the external key store proxy submitted for decryption, or the encryption context, is corrupted, missing, or otherwise invalid.":                        {kms.ErrCorrupt, "corrupted"},
		"The external key store proxy rejected the request because it could not find the external key.":                                                                             {kms.ErrKeyGone, "restore the external key"},
		"The external key store proxy rejected the request because the external key is not enabled in the external key manager.":                                                    {kms.ErrKeyDisabled, "enable it in the external key manager"},
		"The external key store proxy denied access to the operation. Verify that the user and the external key are both authorized for this operation, and try the request again.": {kms.ErrDenied, "authorize this identity and the external key"},
		"The external key store proxy rejected the request because it could not authenticate AWS KMS. Verify the credentials for your external key store and update if necessary.":  {kms.ErrMisconfigured, "update the key store's credential"},
		"The external key store proxy rejected the request because the external key does not support the requested operation.":                                                      {kms.ErrMisconfigured, "must encrypt and decrypt"},
		"The external key store proxy rejected the request because it does not support the requested cryptographic operation.":                                                      {kms.ErrMisconfigured, "does not support"},
		"Connection error: XKS_VPC_ENDPOINT_SERVICE_INVALID_CONFIGURATION":                                                                                                          {kms.ErrMisconfigured, "repair the key store"},
		"arn:aws:kms:eu-west-1:111122223333:key/1 is pending deletion.":                                                                                                             {kms.ErrKeyGone, "pending deletion"},
	} {
		s.Inject(awskmstest.Fault{Code: "KMSInvalidStateException", Message: message})
		_, err := w.Unwrap(t.Context(), blob, home)
		refused(t, err, c.kind, c.words)
		if kms.Temporary(err) != (c.kind == kms.ErrUnavailable || c.kind == kms.ErrThrottled) {
			t.Errorf("Temporary(%v)", err)
		}
		if errors.Is(err, kms.ErrDenied) && len(err.Error()) > 0 {
			refused(t, err, kms.ErrDenied, "in the key store's proxy") // and no permission of AWS's
		}
	}
	s.Inject(awskmstest.Fault{Code: "KMSInternalException", Status: 500, Message: "AWS KMS rejected the request due to a very high request rate."})
	_, err := w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrThrottled)
}

// TestImportedMaterialExpires: Probe tells when, before and after.
func TestImportedMaterialExpires(t *testing.T) {
	s := start(t)
	key := s.CreateKey()
	w := open(t, with(s, key))
	blob := wrap(t, w)
	ahead := time.Now().Add(48 * time.Hour).Truncate(time.Second)
	s.Expire(key, ahead)
	h, err := w.Probe(t.Context())
	if err != nil || !h.Enabled || !h.Expires.Equal(ahead) {
		t.Errorf("before: %+v, %v", h, err)
	}
	past := time.Now().Add(-time.Hour).Truncate(time.Second)
	s.Expire(key, past)
	h, err = w.Probe(t.Context())
	if err != nil || h.Enabled || !h.Expires.Equal(past) {
		t.Errorf("after: %+v, %v", h, err)
	}
	_, err = w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrKeyDisabled, "import its key material again")
}
