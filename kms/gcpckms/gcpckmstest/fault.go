package gcpckmstest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/sealwright/sealwright/kms/kmstest"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// suffer lets a request have the fault that the script gives it.
func (s *Server) suffer(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	s.mu.Lock()
	script := s.script
	s.mu.Unlock()
	if script == nil {
		return next(ctx, request)
	}
	name := request.(interface{ GetName() string }).GetName()
	call := kmstest.Call{
		N:   ctx.Value(arrival{}).(*arrival).n,
		Key: name[strings.LastIndex(name, "/")+1:],
		At:  time.Now(),
	}
	switch request.(type) {
	case *kmspb.EncryptRequest:
		call.Op = kmstest.OpWrap
	case *kmspb.DecryptRequest:
		call.Op = kmstest.OpUnwrap
	default:
		call.Op = kmstest.OpProbe
	}
	fault := script(call)
	if fault.Delay > 0 {
		select {
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		case <-time.After(fault.Delay):
		}
	}
	refusal := refusal(ctx, call.Op, name, fault)
	if refusal != nil && !fault.After {
		return nil, refusal
	}
	damageRequest(fault.Failure, request)
	answer, err := next(ctx, request)
	if refusal != nil {
		return nil, refusal
	}
	if err == nil {
		s.damageAnswer(fault.Failure, answer)
	}
	return answer, err
}

// refusal is the error of a failure, or nil of one that only damages or lies.
func refusal(ctx context.Context, op, name string, f kmstest.Fault) error {
	primary := name + "/cryptoKeyVersions/1"
	switch f.Failure {
	case kmstest.Hang:
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	case kmstest.NoDNS, kmstest.ServerError:
		return failed(codes.Unavailable, "The service is currently unavailable.", retry(f.RetryAfter)...)
	case kmstest.Throttled:
		return failed(codes.ResourceExhausted, "Quota exceeded for quota metric 'Cryptographic requests' and limit 'Cryptographic requests per minute'.",
			append(retry(f.RetryAfter), info("RATE_LIMIT_EXCEEDED"))...)
	case kmstest.Denied:
		return failed(codes.PermissionDenied, fmt.Sprintf("Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource '%s' (or it may not exist).", name), info("IAM_PERMISSION_DENIED"))
	case kmstest.Unauthenticated:
		return unauthenticated("CREDENTIALS_MISSING")
	case kmstest.ExpiredCredentials:
		return unauthenticated("ACCESS_TOKEN_EXPIRED")
	case kmstest.ClockSkew:
		*ctx.Value(arrival{}).(*arrival).date = time.Now().Add(-time.Hour)
		return unauthenticated("ACCESS_TOKEN_EXPIRED")
	case kmstest.Disabled:
		return notEnabled(primary, "DISABLED")
	case kmstest.PendingDeletion:
		return notEnabled(primary, "DESTROY_SCHEDULED")
	case kmstest.Destroyed:
		return notEnabled(primary, "DESTROYED")
	case kmstest.Recreated, kmstest.AliasMoved:
		if op == kmstest.OpUnwrap {
			return otherKey()
		}
	}
	return nil
}

// damageRequest changes a ciphertext on its way to the KMS.
func damageRequest(f kmstest.Failure, request any) {
	if q, ok := request.(*kmspb.DecryptRequest); ok {
		q.Ciphertext = damage(f, q.Ciphertext)
	}
}

// damageAnswer changes an answer on its way from the KMS, or lets it lie.
func (s *Server) damageAnswer(f kmstest.Failure, answer any) {
	switch a := answer.(type) {
	case *kmspb.EncryptResponse:
		a.Ciphertext = damage(f, a.Ciphertext)
		switch f {
		case kmstest.BadCRC:
			a.CiphertextCrc32C.Value ^= 1
		case kmstest.WrongKeyID:
			a.Name = strings.Replace(a.Name, "/cryptoKeys/", "/cryptoKeys/another-", 1)
		}
	case *kmspb.DecryptResponse:
		switch f {
		case kmstest.BadCRC:
			a.PlaintextCrc32C.Value ^= 1
		case kmstest.WrongPlaintext:
			a.Plaintext[0] ^= 1
			a.PlaintextCrc32C = checksum(a.Plaintext)
		case kmstest.OtherPlaintext:
			s.mu.Lock()
			a.Plaintext = append([]byte(nil), s.wrapped...)
			s.mu.Unlock()
			a.PlaintextCrc32C = checksum(a.Plaintext)
		}
	case *kmspb.CryptoKey:
		if f == kmstest.WrongKeyID {
			a.Name = strings.Replace(a.Name, "/cryptoKeys/", "/cryptoKeys/another-", 1)
		}
	}
}

func damage(f kmstest.Failure, ciphertext []byte) []byte {
	switch f {
	case kmstest.Truncated:
		return ciphertext[:len(ciphertext)-1]
	case kmstest.Extended:
		return append(ciphertext, 0)
	}
	return ciphertext
}

// notEnabled is the error of a version in any state but ENABLED.
func notEnabled(name, state string) error {
	return failed(codes.FailedPrecondition, fmt.Sprintf("%s is not enabled, current state is: %s.", name, state),
		&errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{{Type: "KEY_DISABLED", Subject: name}}})
}

func otherKey() error {
	return failed(codes.InvalidArgument, "Decryption failed: verify that 'name' refers to the correct CryptoKey.")
}

func unauthenticated(reason string) error {
	return failed(codes.Unauthenticated, "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.", info(reason))
}

func info(reason string) *errdetails.ErrorInfo {
	return &errdetails.ErrorInfo{Reason: reason, Domain: "googleapis.com", Metadata: map[string]string{"service": "cloudkms.googleapis.com"}}
}

func retry(after time.Duration) []protoadapt.MessageV1 {
	if after <= 0 {
		return nil
	}
	return []protoadapt.MessageV1{&errdetails.RetryInfo{RetryDelay: durationpb.New(after)}}
}

func failed(code codes.Code, text string, details ...protoadapt.MessageV1) error {
	s, err := status.New(code, text).WithDetails(details...)
	if err != nil {
		panic(err) // only of the code OK
	}
	return s.Err()
}
