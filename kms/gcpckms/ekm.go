package gcpckms

import (
	"strings"

	"github.com/sealwright/sealwright/kms"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// external is the table of what Cloud EKM says of the key manager that has the
// key: FAILED_PRECONDITION for all of it, and what happened stands in the type of
// the second violation. See "Cloud EKM error reference". kind is nil for a type
// that is not in it.
func external(violation string) (todo string, kind error) {
	switch violation {
	case "EXTERNAL_RESOURCE_EXHAUSTED":
		return "", kms.ErrThrottled
	case "UNREACHABLE_NETWORK", "OVERLOADED_EKM", "TIMEOUT", "REQUEST_CANCELLED":
		return "", kms.ErrUnavailable
	case "EXTERNAL_SERVER_ERROR", "UNEXPECTED_RESPONSE", "UNEXPECTED_ERROR":
		return "if it lasts, ask whoever runs the external key manager", kms.ErrUnavailable
	case "TLS_CERT":
		return "the external key manager needs a certificate that Cloud KMS trusts", kms.ErrUnavailable
	case "DNS":
		return "check the name of the external key manager, and its DNS", kms.ErrUnavailable
	case "EXTERNAL_PERMISSION_DENIED":
		return "permit Cloud EKM the use of the key in the external key manager; the version may have to be enabled again", kms.ErrDenied
	case "EXTERNAL_NOT_FOUND":
		return "check the external key's URI or path, or restore the key in the external key manager", kms.ErrKeyGone
	case "EXTERNAL_KEY_URI_INVALID", "EXTERNAL_KEY_HOST_NOT_WHITELISTED", "EXTERNAL_NOT_IMPLEMENTED":
		return "check the external key's URI, and what the external key manager supports", kms.ErrMisconfigured
	case "DECRYPTION_FAILED":
		return "", kms.ErrCorrupt
	}
	return "", nil
}

// precondition reads why a precondition failed. The state of the version, which
// the message names, goes before what the external key manager said: the first
// violation is about the state also where the second is the cause.
func precondition(d *errdetails.PreconditionFailure, message string) (todo string, kind error) {
	for _, v := range d.GetViolations() {
		if more, k := external(v.GetType()); k != nil {
			todo, kind = more, k
		}
	}
	for _, v := range d.GetViolations() {
		if v.GetType() == "KEY_DISABLED" && (kind == nil || strings.Contains(message, stateIs)) {
			return notEnabled(message)
		}
	}
	return todo, kind
}
