package gcpckms

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"hash/crc32"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/googleapis/gax-go/v2"
	"github.com/sealwright/sealwright/kms"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Type is the [kms.Blob.Type] of this package's blobs.
const Type = "gcpckms"

// A Config says which key, and who asks for it: by a CredentialsFile, a Token
// or a Client, exactly one of them, or none of them and AllowEnvironment.
type Config struct {
	// KeyID is the key's resource name, as the KMS itself spells it, without a
	// version: "projects/P/locations/L/keyRings/R/cryptoKeys/K". Required.
	KeyID string

	// CredentialsFile is the path of a credentials file. It need not exist
	// when New is called. file:///path is the same, and env://NAME, with
	// AllowEnvironment, a variable that has the path. What such a file holds,
	// in place of its path, is refused without being shown.
	CredentialsFile string

	// Token returns an access token for each request: the method Token of an
	// *auth.Credentials, or anything like it. It is a function so that no
	// printer shows a secret.
	Token func(context.Context) (*auth.Token, error)

	// AllowEnvironment lets the environment say what no field says: the
	// credentials, if there is no CredentialsFile and no Token, and the proxy
	// (HTTPS_PROXY, NO_PROXY). It also admits federated identities that read
	// it: of AWS, of a program, of the default certificate. A field that is set
	// wins over GOOGLE_APPLICATION_CREDENTIALS. Without it nothing is read.
	AllowEnvironment bool

	// Client makes the requests, with credentials, endpoint and options of its
	// own. Only KeyID, Timeout and Stale go with it. Its retries are switched
	// off for these requests, and the host closes it. It must speak gRPC: over
	// REST, the KMS does not tell a disabled key from a bad request.
	Client Client

	// Endpoint is the host, or host:port, of the KMS. Empty:
	// "cloudkms.googleapis.com:443". A regional endpoint is
	// "cloudkms.REGION.rep.googleapis.com"; that of another universe is
	// "cloudkms.UNIVERSE_DOMAIN".
	Endpoint string

	// TLS is used to reach the KMS and whoever issues tokens. nil: the host's
	// roots, TLS 1.2 or later. There is no connection without TLS.
	TLS *tls.Config

	// Timeout is the time a call has, if its context has no deadline. 0: 10
	// seconds.
	Timeout time.Duration

	// Stale is called by Unwrap, before it returns, with each blob that
	// another version than the present primary one unwrapped: wrapping anew is
	// due, and until then the old version must not be destroyed. It needs no
	// permission that Unwrap does not. It must not change the blob. nil:
	// nobody is told, and comparing [kms.Health.Version] with
	// [kms.Blob.Version] shows the same.
	Stale func(*kms.Blob)
}

// A Client is what a Wrapper needs of a client of Cloud KMS. The
// *KeyManagementClient of cloud.google.com/go/kms/apiv1 is one.
type Client interface {
	Encrypt(context.Context, *kmspb.EncryptRequest, ...gax.CallOption) (*kmspb.EncryptResponse, error)
	Decrypt(context.Context, *kmspb.DecryptRequest, ...gax.CallOption) (*kmspb.DecryptResponse, error)
	GetCryptoKey(context.Context, *kmspb.GetCryptoKeyRequest, ...gax.CallOption) (*kmspb.CryptoKey, error)
}

// A Wrapper is one key of Cloud KMS. It is a [kms.Wrapper], [kms.Prober] and
// [kms.Authenticator], and safe for concurrent use.
type Wrapper struct {
	keyID   string
	client  Client
	timeout time.Duration
	stale   func(*kms.Blob)
}

// New returns a Wrapper for the key. It makes no request, opens no file and
// looks for no credentials: the first call does. A Config that can never work
// is a [kms.ErrMisconfigured].
func New(cfg Config) (*Wrapper, error) {
	cfg, err := cfg.paths()
	if err == nil {
		err = cfg.check()
	}
	if err != nil {
		return nil, &kms.Error{Op: "configure", Type: Type, KeyID: cfg.KeyID, Kind: kms.ErrMisconfigured, Err: err}
	}
	w := &Wrapper{keyID: cfg.KeyID, client: cfg.Client, timeout: cfg.Timeout, stale: cfg.Stale}
	if w.timeout == 0 {
		w.timeout = 10 * time.Second
	}
	if w.client == nil {
		w.client = newRemote(cfg)
	}
	return w, nil
}

// Wrap encrypts key under the primary version of the KMS key.
func (w *Wrapper) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	if n := len(key); n < 16 || n > kms.MaxKeySize || n%8 != 0 {
		return nil, w.fail("wrap", kms.ErrMisconfigured, "a key must have from 16 to 128 bytes, in eights")
	}
	aad := b.Bytes()
	answer, err := ask(ctx, w, "wrap", w.client.Encrypt, &kmspb.EncryptRequest{
		Name:                              w.keyID,
		Plaintext:                         key,
		PlaintextCrc32C:                   checksum(key),
		AdditionalAuthenticatedData:       aad,
		AdditionalAuthenticatedDataCrc32C: checksum(aad),
	})
	if err != nil {
		return nil, err
	}
	version, ok := w.version(answer.Name)
	switch {
	case !ok:
		return nil, w.fail("wrap", kms.ErrWrongKey, "another key answered: "+quote(answer.Name)+"; set KeyID to the name that the KMS gives the key")
	case !answer.VerifiedPlaintextCrc32C, !answer.VerifiedAdditionalAuthenticatedDataCrc32C:
		return nil, w.fail("wrap", kms.ErrUnavailable, "the checksums sent did not reach the KMS")
	case !matches(answer.CiphertextCrc32C, answer.Ciphertext):
		return nil, w.fail("wrap", kms.ErrUnavailable, "the ciphertext was damaged on its way from the KMS: its checksum differs")
	case len(answer.Ciphertext) == 0 || len(answer.Ciphertext) > maxCiphertext:
		return nil, w.fail("wrap", kms.ErrCorrupt, "the KMS answered with a ciphertext that is empty or too long")
	}
	return &kms.Blob{Type: Type, KeyID: w.keyID, Version: version, Ciphertext: append([]byte(version+":"), answer.Ciphertext...)}, nil
}

// maxCiphertext is far above what 128 bytes become, in bytes.
const maxCiphertext = 64 << 10

// Unwrap decrypts the blob with the version that wrapped it.
func (w *Wrapper) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	if blob == nil {
		return nil, w.fail("unwrap", kms.ErrCorrupt, "there is no blob")
	}
	if blob.Type != Type || blob.KeyID != w.keyID {
		return nil, w.fail("unwrap", kms.ErrWrongKey, "the blob belongs to "+quote(blob.Type)+" key "+quote(blob.KeyID))
	}
	ciphertext, ok := bytes.CutPrefix(blob.Ciphertext, []byte(blob.Version+":"))
	if blob.Version == "" || !ok || len(ciphertext) == 0 || len(ciphertext) > maxCiphertext {
		return nil, w.fail("unwrap", kms.ErrCorrupt, "the blob's ciphertext is not of the blob's version, or is empty, or too long")
	}
	aad := b.Bytes()
	answer, err := ask(ctx, w, "unwrap", w.client.Decrypt, &kmspb.DecryptRequest{
		Name:                              w.keyID,
		Ciphertext:                        ciphertext,
		CiphertextCrc32C:                  checksum(ciphertext),
		AdditionalAuthenticatedData:       aad,
		AdditionalAuthenticatedDataCrc32C: checksum(aad),
	})
	if err != nil {
		return nil, err
	}
	key, err := w.plaintext(answer)
	if err == nil && !answer.UsedPrimary && w.stale != nil {
		w.stale(blob)
	}
	return key, err
}

// plaintext returns the key in an answer, if it came whole and can be one.
func (w *Wrapper) plaintext(answer *kmspb.DecryptResponse) ([]byte, error) {
	switch {
	case !matches(answer.PlaintextCrc32C, answer.Plaintext):
		clear(answer.Plaintext)
		return nil, w.fail("unwrap", kms.ErrUnavailable, "the key was damaged on its way from the KMS: its checksum differs")
	case len(answer.Plaintext) == 0 || len(answer.Plaintext) > kms.MaxKeySize:
		clear(answer.Plaintext)
		return nil, w.fail("unwrap", kms.ErrCorrupt, "the KMS answered with a key that is empty or too long")
	}
	return answer.Plaintext, nil
}

// Probe asks for the key and its primary version, the one that Wrap would use.
// A blob's own version may be disabled or destroyed while the primary one is
// well: an Unwrap tells that.
func (w *Wrapper) Probe(ctx context.Context) (kms.Health, error) {
	key, err := ask(ctx, w, "probe", w.client.GetCryptoKey, &kmspb.GetCryptoKeyRequest{Name: w.keyID})
	if err != nil {
		return kms.Health{}, err
	}
	if key.Name != w.keyID {
		return kms.Health{}, w.fail("probe", kms.ErrWrongKey, "another key answered: "+quote(key.Name)+"; set KeyID to the name that the KMS gives the key")
	}
	if key.Purpose != kmspb.CryptoKey_ENCRYPT_DECRYPT {
		return kms.Health{}, w.fail("probe", kms.ErrMisconfigured, "the key's purpose is "+key.Purpose.String()+": use one of ENCRYPT_DECRYPT")
	}
	health := kms.Health{KeyID: w.keyID}
	if key.Primary == nil {
		return health, nil // none was ever made, or imported
	}
	version, ok := w.version(key.Primary.Name)
	if !ok {
		return kms.Health{}, w.fail("probe", kms.ErrWrongKey, "the primary version is another key's: "+quote(key.Primary.Name))
	}
	health.Version = version
	health.Enabled = key.Primary.State == kmspb.CryptoKeyVersion_ENABLED
	if t := key.Primary.DestroyTime; t != nil { // only while it waits for its destruction
		health.Deletion = t.AsTime()
	}
	return health, nil
}

// Authenticates returns true of the blobs of the configured key: only who may
// use it makes them. A blob chooses no more than the version.
func (w *Wrapper) Authenticates(blob *kms.Blob) bool {
	return blob != nil && blob.Type == Type && blob.KeyID == w.keyID
}

// ask makes one request, with a deadline, and without the client's retries.
func ask[Q, A any](ctx context.Context, w *Wrapper, op string, method func(context.Context, Q, ...gax.CallOption) (A, error), request Q) (A, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	var header, trailer metadata.MD
	answer, err := method(ctx, request,
		gax.WithRetry(func() gax.Retryer { return nil }),
		gax.WithGRPCOptions(grpc.Header(&header), grpc.Trailer(&trailer)))
	if err == nil {
		return answer, nil
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = classify(err, metadata.Join(header, trailer))
	}
	if ended := ctx.Err(); ended != nil {
		f = &failure{kind: kms.ErrUnavailable, text: ended.Error() + ": " + f.text, causes: []error{ended, err}}
	}
	var none A
	return none, &kms.Error{Op: op, Type: Type, KeyID: w.keyID, Kind: f.kind, RetryAfter: f.after, Err: f}
}

// fail is an error that this package found itself.
func (w *Wrapper) fail(op string, kind error, text string) error {
	return &kms.Error{Op: op, Type: Type, KeyID: w.keyID, Kind: kind, Err: errors.New(text)}
}

// version returns the last part of a version's name, if it is one of the key.
func (w *Wrapper) version(name string) (string, bool) {
	v, ok := strings.CutPrefix(name, w.keyID+"/cryptoKeyVersions/")
	return v, ok && v != "" && strings.Trim(v, "0123456789") == ""
}

func checksum(b []byte) *wrapperspb.Int64Value {
	return wrapperspb.Int64(int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))))
}

// matches reports whether sum was sent, and is b's: a proxy that drops what it
// does not know must not pass for a good answer.
func matches(sum *wrapperspb.Int64Value, b []byte) bool {
	return sum != nil && sum.Value == checksum(b).Value
}
