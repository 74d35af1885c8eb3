package localkms

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/pathfield"
	"github.com/sealwright/sealwright/kms"
)

// Type is the provider's name in blobs and errors.
const Type = "localkms"

// boxInfo names what the boxes are for; it is part of the format.
const boxInfo = "sealwright localkms 1: wrapped key"

// Config says which file holds the key.
type Config struct {
	// Path is the file's name. It is required; the file need not be there yet.
	Path string

	// Warn is told, on every call, of a file that its group may read or write.
	// If it is nil such a file is refused.
	Warn func(warning string)
}

// A Wrapper wraps with the key in a file. It is a [kms.Wrapper], a [kms.Prober]
// and a [kms.Authenticator].
type Wrapper struct{ cfg Config }

var (
	_ kms.Wrapper       = (*Wrapper)(nil)
	_ kms.Prober        = (*Wrapper)(nil)
	_ kms.Authenticator = (*Wrapper)(nil)
)

// New returns a Wrapper of the key in cfg.Path, which may begin with file://. It
// does not look at the file; the only error is [kms.ErrMisconfigured] for a Path
// that is empty, or holds a file's content.
func New(cfg Config) (*Wrapper, error) {
	if cfg.Path == "" {
		return nil, failure("configure", kms.ErrMisconfigured, errors.New("the field Path is empty"))
	}
	var err error
	if cfg.Path, err = pathfield.Resolve("Path", cfg.Path, false); err != nil {
		return nil, failure("configure", kms.ErrMisconfigured, err)
	}
	return &Wrapper{cfg}, nil
}

// Wrap implements [kms.Wrapper] with the file's last version.
func (w *Wrapper) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	const op = "wrap"
	if n := len(key); n < 16 || n > kms.MaxKeySize || n%8 != 0 {
		return nil, failure(op, kms.ErrMisconfigured, fmt.Errorf("a key of %d bytes, not a multiple of 8 from 16 to %d, cannot be wrapped", n, kms.MaxKeySize))
	}
	f, err := w.load(ctx, op)
	if err != nil {
		return nil, err
	}
	defer f.wipe()
	last := len(f.keys)
	box, err := aead.SealBox(f.keys[last-1], boxInfo, key, b.Bytes())
	if err != nil {
		return nil, f.failure(op, kms.ErrMisconfigured, err)
	}
	return &kms.Blob{Type: Type, KeyID: f.id, Version: strconv.Itoa(last), Ciphertext: box}, nil
}

// Unwrap implements [kms.Wrapper] with the version that the blob names.
func (w *Wrapper) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	const op = "unwrap"
	switch {
	case blob == nil:
		return nil, failure(op, kms.ErrCorrupt, errors.New("there is no blob"))
	case blob.Type != Type:
		return nil, failure(op, kms.ErrWrongKey, fmt.Errorf("the blob is of type %.64q", blob.Type))
	case len(blob.Ciphertext) > aead.BoxOverhead+kms.MaxKeySize:
		return nil, failure(op, kms.ErrCorrupt, fmt.Errorf("its ciphertext of %d bytes is too long", len(blob.Ciphertext)))
	}
	f, err := w.load(ctx, op)
	if err != nil {
		return nil, err
	}
	defer f.wipe()
	if blob.KeyID != f.id {
		return nil, f.failure(op, kms.ErrWrongKey, fmt.Errorf("the blob is of key %.64q", blob.KeyID))
	}
	v, err := strconv.Atoi(blob.Version)
	if err != nil || v < 1 || v > len(f.keys) || strconv.Itoa(v) != blob.Version {
		return nil, f.failure(op, kms.ErrKeyGone, fmt.Errorf("the blob is of version %.64q, and the file ends with version %d: is it an old copy?", blob.Version, len(f.keys)))
	}
	key, err := aead.OpenBox(f.keys[v-1], boxInfo, blob.Ciphertext, b.Bytes())
	switch {
	case errors.Is(err, aead.ErrWrongKey):
		return nil, f.failure(op, kms.ErrWrongKey, errors.New("the blob was altered, or two copies of the file were rotated apart"))
	case err != nil:
		return nil, f.failure(op, kms.ErrCorrupt, err)
	}
	return key, nil
}

// Probe implements [kms.Prober]. It reads the file.
func (w *Wrapper) Probe(ctx context.Context) (kms.Health, error) {
	f, err := w.load(ctx, "probe")
	if err != nil {
		return kms.Health{}, err
	}
	defer f.wipe()
	return kms.Health{KeyID: f.id, Version: strconv.Itoa(len(f.keys)), Enabled: true}, nil
}

// Authenticates implements [kms.Authenticator]: only who has the file can make
// a blob that Unwrap opens, since the file alone says which key that is. That
// stays so while there is no file to be read.
func (w *Wrapper) Authenticates(blob *kms.Blob) bool {
	if blob == nil || blob.Type != Type {
		return false
	}
	f, err := w.load(context.Background(), "probe")
	if err != nil {
		return blob.KeyID != "" // of whichever file comes back, Unwrap asks the same
	}
	defer f.wipe()
	return blob.KeyID == f.id
}

func failure(op string, kind, cause error) *kms.Error {
	return &kms.Error{Op: op, Type: Type, Kind: kind, Err: cause}
}

func (f *keyFile) failure(op string, kind, cause error) *kms.Error {
	err := failure(op, kind, cause)
	err.KeyID = f.id
	return err
}
