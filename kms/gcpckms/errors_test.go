package gcpckms_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/googleapis/gax-go/v2/apierror"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// disabled is the detail of a version that is not enabled, in whatever state.
var disabled = &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Type: "KEY_DISABLED"}}}

// ekm is the detail of Cloud EKM: of the key's state, and of the key manager.
func ekm(state, domain string) *errdetails.PreconditionFailure {
	return &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Type: state}, {Type: domain}}}
}

func reason(s string) protoadapt.MessageV1 { return &errdetails.ErrorInfo{Reason: s} }

// answers is what the KMS may say, and what must be made of it. The words are
// in the error, after what the KMS said.
var answers = []struct {
	name   string
	code   codes.Code
	text   string
	detail protoadapt.MessageV1
	want   error
	words  string
}{
	{"unavailable", codes.Unavailable, "The service is currently unavailable.", nil, kms.ErrUnavailable, "unavailable"},
	{"unavailable, retry later", codes.Unavailable, "The service is currently unavailable.", &errdetails.RetryInfo{RetryDelay: durationpb.New(9 * time.Second)}, kms.ErrUnavailable, "(after 9s)"},
	{"deadline", codes.DeadlineExceeded, "Deadline expired before operation could complete.", nil, kms.ErrUnavailable, "Deadline expired"},
	{"canceled", codes.Canceled, "The operation was cancelled.", nil, kms.ErrUnavailable, "cancelled"},
	{"internal", codes.Internal, "Internal error encountered.", nil, kms.ErrUnavailable, "Internal error"},
	{"unknown", codes.Unknown, "Unknown Error.", nil, kms.ErrUnavailable, "Unknown Error"},
	{"aborted", codes.Aborted, "Aborted.", nil, kms.ErrUnavailable, "Aborted"},
	{"data loss", codes.DataLoss, "Lost.", nil, kms.ErrUnavailable, "Lost"},
	{"no such code", codes.Code(77), "New.", nil, kms.ErrUnavailable, "New"},
	{"quota", codes.ResourceExhausted, "Quota exceeded.", nil, kms.ErrThrottled, "Quota exceeded"},
	{"quota, retry later", codes.ResourceExhausted, "Quota exceeded.", &errdetails.RetryInfo{RetryDelay: durationpb.New(30 * time.Second)}, kms.ErrThrottled, "(after 30s)"},
	{"quota, retry next century", codes.ResourceExhausted, "Quota exceeded.", &errdetails.RetryInfo{RetryDelay: durationpb.New(1<<63 - 1)}, kms.ErrThrottled, "(after 24h0m0s)"},
	{"quota, retry in the past", codes.ResourceExhausted, "Quota exceeded.", &errdetails.RetryInfo{RetryDelay: durationpb.New(-time.Second)}, kms.ErrThrottled, "quota: Quota exceeded"},
	{"unauthenticated", codes.Unauthenticated, "Request had invalid authentication credentials.", reason("ACCESS_TOKEN_EXPIRED"), kms.ErrUnauthenticated, "renew the credentials of this service account"},
	{"denied", codes.PermissionDenied, "Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied (or it may not exist).", reason("IAM_PERMISSION_DENIED"), kms.ErrDenied, "grant roles/cloudkms.cryptoKeyEncrypterDecrypter"},
	{"service not enabled", codes.PermissionDenied, "Cloud Key Management Service (KMS) API has not been used in project 1 before or it is disabled.", reason("SERVICE_DISABLED"), kms.ErrMisconfigured, "enable cloudkms.googleapis.com"},
	{"no billing", codes.PermissionDenied, "This API method requires billing to be enabled.", reason("BILLING_DISABLED"), kms.ErrMisconfigured, "enable billing"},
	{"no project", codes.PermissionDenied, "Project 'x' not found or deleted.", reason("CONSUMER_INVALID"), kms.ErrMisconfigured, "does not exist"},
	{"scope", codes.PermissionDenied, "Request had insufficient authentication scopes.", reason("ACCESS_TOKEN_SCOPE_INSUFFICIENT"), kms.ErrDenied, "scope https://www.googleapis.com/auth/cloudkms"},
	{"not found", codes.NotFound, "CryptoKey k not found.", nil, kms.ErrKeyGone, "check project, location, ring and name"},
	{"disabled", codes.FailedPrecondition, "k/cryptoKeyVersions/1 is not enabled, current state is: DISABLED.", disabled, kms.ErrKeyDisabled, "enable the version"},
	{"destroyed", codes.FailedPrecondition, "k/cryptoKeyVersions/1 is not enabled, current state is: DESTROYED.", disabled, kms.ErrKeyGone, "the version is destroyed"},
	{"to be destroyed", codes.FailedPrecondition, "k/cryptoKeyVersions/1 is not enabled, current state is: DESTROY_SCHEDULED.", disabled, kms.ErrKeyGone, "versions restore"},
	{"being made", codes.FailedPrecondition, "k/cryptoKeyVersions/1 is not enabled, current state is: PENDING_GENERATION.", disabled, kms.ErrUnavailable, "not ready"},
	{"being imported", codes.FailedPrecondition, "k/cryptoKeyVersions/1 is not enabled, current state is: PENDING_IMPORT.", disabled, kms.ErrUnavailable, "not ready"},
	{"import failed", codes.FailedPrecondition, "k/cryptoKeyVersions/1 is not enabled, current state is: IMPORT_FAILED.", disabled, kms.ErrMisconfigured, "can never be enabled"},
	{"generation failed", codes.FailedPrecondition, "k/cryptoKeyVersions/1 is not enabled, current state is: GENERATION_FAILED.", disabled, kms.ErrMisconfigured, "can never be enabled"},
	{"destroyed outside", codes.FailedPrecondition, "k/cryptoKeyVersions/1 is not enabled, current state is: PENDING_EXTERNAL_DESTRUCTION.", disabled, kms.ErrKeyGone, "can never be enabled"},
	{"not destroyed outside", codes.FailedPrecondition, "k/cryptoKeyVersions/1 is not enabled, current state is: EXTERNAL_DESTRUCTION_FAILED.", disabled, kms.ErrKeyGone, "can never be enabled"},
	{"EKM, timeout", codes.FailedPrecondition, "Timed out when trying to access the key.", ekm("", "TIMEOUT"), kms.ErrUnavailable, "Timed out"},
	{"EKM, network", codes.FailedPrecondition, "Could not reach the key due to an external networking error.", ekm("", "UNREACHABLE_NETWORK"), kms.ErrUnavailable, "networking"},
	{"EKM, overloaded", codes.FailedPrecondition, "Could not reach the key because the external key manager reports that it is overloaded.", ekm("", "OVERLOADED_EKM"), kms.ErrUnavailable, "overloaded"},
	{"EKM, cancelled", codes.FailedPrecondition, "This error typically happens when the EKM is too slow.", ekm("", "REQUEST_CANCELLED"), kms.ErrUnavailable, "too slow"},
	{"EKM, throttled", codes.FailedPrecondition, "Throttled when trying to access key URI.", ekm("", "EXTERNAL_RESOURCE_EXHAUSTED"), kms.ErrThrottled, "Throttled"},
	{"EKM, throttled, and the state first", codes.FailedPrecondition, "Throttled when trying to access key URI.", ekm("KEY_DISABLED", "EXTERNAL_RESOURCE_EXHAUSTED"), kms.ErrThrottled, "Throttled"},
	{"EKM, disabled", codes.FailedPrecondition, "k/cryptoKeyVersions/1 is not enabled, current state is: DISABLED.", ekm("KEY_DISABLED", "TIMEOUT"), kms.ErrKeyDisabled, "enable the version"},
	{"EKM, server error", codes.FailedPrecondition, "External server error when trying to access the key.", ekm("", "EXTERNAL_SERVER_ERROR"), kms.ErrUnavailable, "whoever runs the external key manager"},
	{"EKM, garbled", codes.FailedPrecondition, "Got garbled or unusable response.", ekm("", "UNEXPECTED_RESPONSE"), kms.ErrUnavailable, "whoever runs"},
	{"EKM, certificate", codes.FailedPrecondition, "Could not validate the TLS server certificate for the key.", ekm("", "TLS_CERT"), kms.ErrUnavailable, "certificate that Cloud KMS trusts"},
	{"EKM, name", codes.FailedPrecondition, "Could not resolve the domain name for key.", ekm("", "DNS"), kms.ErrUnavailable, "its DNS"},
	{"EKM, denied", codes.FailedPrecondition, "Permission was denied when accessing the key.", ekm("", "EXTERNAL_PERMISSION_DENIED"), kms.ErrDenied, "in the external key manager"},
	{"EKM, no such key", codes.FailedPrecondition, "Could not find a key.", ekm("", "EXTERNAL_NOT_FOUND"), kms.ErrKeyGone, "restore the key in the external key manager"},
	{"EKM, bad URI", codes.FailedPrecondition, "Key URI has invalid format.", ekm("", "EXTERNAL_KEY_URI_INVALID"), kms.ErrMisconfigured, "the external key's URI"},
	{"EKM, bad blob", codes.InvalidArgument, "The EKM reports that decryption failed.", ekm("", "DECRYPTION_FAILED"), kms.ErrCorrupt, "decryption failed"},
	{"EKM, something new", codes.FailedPrecondition, "Something new.", ekm("", "SOMETHING_NEW"), kms.ErrMisconfigured, "Something new"},
	{"words that move", codes.FailedPrecondition, "[2Jk", ekm("\x1b[2J", "\u202e"), kms.ErrMisconfigured, "[2Jk"},
	{"not enabled, words changed", codes.FailedPrecondition, "Version 1 cannot be used.", disabled, kms.ErrKeyDisabled, "enable the version"},
	{"other precondition", codes.FailedPrecondition, "k is an asymmetric key.", nil, kms.ErrMisconfigured, "purpose"},
	{"other violation", codes.FailedPrecondition, "Not allowed.", &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Type: "OTHER"}}}, kms.ErrMisconfigured, "Not allowed"},
	{"corrupt", codes.InvalidArgument, "Decryption failed: verify that 'ciphertext' and 'additional_authenticated_data' are correct.", nil, kms.ErrCorrupt, "are correct"},
	{"corrupt, shorter words", codes.InvalidArgument, "Decryption failed: the ciphertext is invalid.", nil, kms.ErrCorrupt, "is invalid"},
	{"another key's", codes.InvalidArgument, "Decryption failed: verify that 'name' refers to the correct CryptoKey.", nil, kms.ErrWrongKey, "made anew"},
	{"checksum", codes.InvalidArgument, "The checksum in field ciphertext_crc32c did not match the data in field ciphertext.", nil, kms.ErrUnavailable, "damaged on its way to the KMS"},
	{"bad request", codes.InvalidArgument, "The plaintext is too long.", nil, kms.ErrMisconfigured, "check name, purpose and algorithm"},
	{"out of range", codes.OutOfRange, "Out of range.", nil, kms.ErrMisconfigured, "Out of range"},
	{"already exists", codes.AlreadyExists, "Already exists.", nil, kms.ErrMisconfigured, "Already exists"},
	{"unimplemented", codes.Unimplemented, "unknown service", nil, kms.ErrMisconfigured, "not Cloud KMS"},
}

func TestErrors(t *testing.T) {
	faults, wrong := 0, 0
	for client, config := range clients {
		server := newServer(t)
		w := newWrapper(t, config(t, server, "a"))
		blob, err := w.Wrap(t.Context(), make([]byte, 32), home)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range answers {
			if client == "own" && i%step(4) != 0 {
				continue // each call connects anew; the host's hears them all
			}
			s := status.New(c.code, c.text)
			if c.detail != nil {
				if s, err = s.WithDetails(c.detail); err != nil {
					t.Fatal(err)
				}
			}
			server.Intercept(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
				return nil, s.Err()
			})
			for op, err := range each(t.Context(), w, blob) {
				faults++
				e, ok := errors.AsType[*kms.Error](err)
				if !ok || e.Kind != c.want || e.Op != op || e.Type != gcpckms.Type || e.RetryAfter < 0 || e.KeyID != server.KeyID("a") {
					wrong++
					t.Errorf("%s: %s: %s: %v, want %v", client, c.name, op, err, c.want)
					continue
				}
				if !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), c.words) {
					wrong++
					t.Errorf("%s: %s: %s: %q says nothing of %q", client, c.name, op, err, c.words)
				}
				if got, ok := status.FromError(err); !ok || got.Code() != c.code {
					t.Errorf("%s: %s: %s: the cause is out of reach: %v", client, c.name, op, got)
				}
			}
		}
	}
	proved(t, "GUARANTEE 24 gcpckms-errors: faults=%d wrong=%d", faults, wrong)
}

// The SDK's own error stays within reach, where the SDK is in use.
func TestCause(t *testing.T) {
	server := newServer(t)
	w := newWrapper(t, clients["host's"](t, server, "a"))
	server.Disable("a", "")
	_, err := w.Wrap(t.Context(), make([]byte, 32), home)
	if e, ok := errors.AsType[*apierror.APIError](err); !ok || e.Details().PreconditionFailure == nil {
		t.Errorf("no *apierror.APIError in %v", err)
	}
}

// TestKMSWritesToTheTerminal: nothing that moves a cursor reaches an error.
func TestKMSWritesToTheTerminal(t *testing.T) {
	server := newServer(t)
	w := newWrapper(t, server.Config("a"))
	server.Intercept(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
		return nil, status.Error(codes.PermissionDenied, "\x1b[2J\x1b]0;owned\x07no\u202e\r\n\u009b1mline")
	})
	_, err := w.Probe(t.Context())
	if text := fmt.Sprint(err); !strings.Contains(text, "[2J ]0;owned no 1mline") || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%q", text)
	}
}

// A token that is refused while the clocks differ is the clock's fault.
func TestClockSkew(t *testing.T) {
	for name, c := range map[string]struct {
		date  string
		want  error
		words string
	}{
		"ahead":    {time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), kms.ErrClockSkew, " s (ahead)"},
		"behind":   {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), kms.ErrClockSkew, " s (behind)"},
		"a little": {time.Now().Add(time.Minute).UTC().Format(http.TimeFormat), kms.ErrUnauthenticated, "renew"},
		"no date":  {"yesterday", kms.ErrUnauthenticated, "renew"},
	} {
		server := newServer(t)
		w := newWrapper(t, gcpckms.Config{KeyID: server.KeyID("a"), Client: stub{func(trailer *metadata.MD) error {
			*trailer = metadata.Pairs("date", c.date)
			return status.Error(codes.Unauthenticated, "no")
		}}})
		_, err := w.Probe(t.Context())
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %v with %q", name, err, c.want, c.words)
		}
	}
}

// What keeps a request from arriving at all is an outage.
func TestUnreachable(t *testing.T) {
	server := newServer(t)
	closed := newServer(t)
	closed.Close()
	plain := listen(t, make(chan string, 16))
	for name, c := range map[string]struct {
		change func(*gcpckms.Config)
		words  string
	}{
		"refused":           {func(c *gcpckms.Config) { c.Endpoint = closed.Endpoint() }, "refused"},
		"no such name":      {func(c *gcpckms.Config) { c.Endpoint = "kms.invalid" }, ""},
		"not TLS":           {func(c *gcpckms.Config) { c.Endpoint = plain }, ""},
		"unknown authority": {func(c *gcpckms.Config) { c.TLS = nil }, "x509"},
		"another's certificate": {func(c *gcpckms.Config) {
			c.TLS = c.TLS.Clone()
			c.TLS.ServerName = "cloudkms.googleapis.com"
		}, "x509"},
		"TLS of long ago": {func(c *gcpckms.Config) {
			c.TLS = c.TLS.Clone()
			c.TLS.MinVersion, c.TLS.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
		}, ""},
	} {
		cfg := server.Config("a")
		cfg.Timeout = 5 * time.Second
		c.change(&cfg)
		_, err := newWrapper(t, cfg).Probe(context.Background())
		if !errors.Is(err, kms.ErrUnavailable) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %v with %q", name, err, kms.ErrUnavailable, c.words)
		}
	}
	if n := len(server.Requests()); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// An outage leaves nothing behind: the first call after it succeeds.
func TestAfterOutage(t *testing.T) {
	server := newServer(t)
	cfg := server.Config("a")
	gate := newGate(t, server.Endpoint())
	cfg.Endpoint = gate.address
	w := newWrapper(t, cfg)
	for range 3 {
		gate.open.Store(false)
		for range 4 {
			if _, err := w.Probe(t.Context()); !errors.Is(err, kms.ErrUnavailable) {
				t.Fatalf("in the outage: %v", err)
			}
		}
		gate.open.Store(true)
		if _, err := w.Probe(t.Context()); err != nil {
			t.Fatalf("after the outage: %v", err)
		}
	}
}

// Names that others chose are quoted and cut.
func TestNamesInErrors(t *testing.T) {
	server := newServer(t)
	w := newWrapper(t, server.Config("a"))
	blob := &kms.Blob{Type: gcpckms.Type, KeyID: "x\n" + strings.Repeat("y", 5000), Version: "1", Ciphertext: []byte("1:x")}
	_, err := w.Unwrap(t.Context(), blob, home)
	if text := fmt.Sprint(err); !errors.Is(err, kms.ErrWrongKey) || len(text) > 800 || strings.Contains(text, "\n") {
		t.Errorf("%d bytes: %v", len(text), err)
	}
}
