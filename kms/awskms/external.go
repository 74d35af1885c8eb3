package awskms

import (
	"strings"

	"github.com/sealwright/sealwright/kms"
)

// external is the table of what KMS says of keys in external key stores. All of
// it has the code KMSInvalidStateException, or KMSInternalException, and only the
// words tell what happened; they are those of AWS's "Troubleshooting external key
// stores". The first that fits decides. The codes in capitals are those of
// DescribeCustomKeyStores.
var external = []struct {
	words  string
	kind   error
	advice string
}{
	{"very high request rate", kms.ErrThrottled, ""},
	{"did not respond", kms.ErrUnavailable, ""}, // in time; to the request in the time allotted
	{"cannot communicate with the external key store proxy", kms.ErrUnavailable, ""},
	{"proxy is in an unhealthy state", kms.ErrUnavailable, ""},
	{"cannot interpret the response", kms.ErrUnavailable, ""},
	{"XKS_PROXY_TIMED_OUT", kms.ErrUnavailable, ""},
	{"XKS_PROXY_NOT_REACHABLE", kms.ErrUnavailable, ""},
	{"XKS_PROXY_INVALID_RESPONSE", kms.ErrUnavailable, ""},
	{"NETWORK_ERRORS", kms.ErrUnavailable, ""},
	{"INTERNAL_ERROR", kms.ErrUnavailable, ""},

	{"additional authenticated data is corrupted", kms.ErrCorrupt, ""},
	{"or the encryption context, is corrupted", kms.ErrCorrupt, ""},
	{"could not find the external key", kms.ErrKeyGone, "restore the external key in its key manager, under its id"},
	{"external key is not enabled", kms.ErrKeyDisabled, "enable it in the external key manager"},
	{"denied access to the operation", kms.ErrDenied, "authorize this identity and the external key in the key store's proxy"},
	{"XKS_PROXY_ACCESS_DENIED", kms.ErrDenied, "authorize AWS KMS in the key store's proxy"},
	{"could not authenticate AWS KMS", kms.ErrMisconfigured, "update the key store's credential for its proxy (update-custom-key-store)"},
	{"INVALID_CREDENTIALS", kms.ErrMisconfigured, "update the key store's credential for its proxy (update-custom-key-store)"},
	{"does not support the requested", kms.ErrMisconfigured, "the external key must encrypt and decrypt"},
	{"INVALID_CONFIGURATION", kms.ErrMisconfigured, "repair the key store (describe-custom-key-stores says what is wrong)"},
	{"INVALID_TLS_CONFIGURATION", kms.ErrMisconfigured, "repair the certificate of the key store's proxy"},
	{"XKS_VPC_ENDPOINT_SERVICE_NOT_FOUND", kms.ErrMisconfigured, "repair the key store's VPC endpoint service"},

	{"external key store proxy", kms.ErrUnavailable, ""}, // something new: nothing is known of the key
}

// ofState returns what a KMSInvalidStateException or a DisabledException means,
// and what to do where the kind does not say that.
func ofState(text string) (advice string, kind error) {
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "pending deletion"), strings.Contains(lower, "pending replica deletion"):
		return "", kms.ErrKeyGone
	case strings.Contains(lower, "is creating"):
		return "", kms.ErrUnavailable
	case strings.Contains(lower, "pending import"):
		return "import its key material again: it expired or was deleted", kms.ErrKeyDisabled
	}
	if advice, kind := ofExternal(text); kind != nil {
		return advice, kind
	}
	if strings.Contains(lower, "unavailable") {
		return "connect its custom key store again", kms.ErrKeyDisabled
	}
	return "", kms.ErrKeyDisabled
}

// ofExternal looks text up in the table; kind is nil for what is not in it.
func ofExternal(text string) (advice string, kind error) {
	for _, e := range external {
		if strings.Contains(strings.ToLower(text), strings.ToLower(e.words)) {
			return e.advice, e.kind
		}
	}
	return "", nil
}
