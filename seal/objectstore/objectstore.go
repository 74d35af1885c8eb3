// Package objectstore is what the stores in object storage share: the record in one
// object, replaced by a conditional write alone. It brings no SDK; the stores that
// do are modules of their own:
//
//   - [s3store]: Amazon S3, and what speaks like it
//   - [gcsstore]: Google Cloud Storage
//   - [blobstore]: Azure Blob Storage
//
// Each is a [Bucket] and a New. Whoever has another object storage with conditions
// writes a Bucket of three methods.
//
// # The object
//
// The object is 32 hexadecimal digits, a line feed, and the record. The digits are a
// random number of each write: an ETag is a digest of the content, and would come
// again where somebody writes what was there before. It also tells a store its own
// write when something on the way sent it twice and the second was refused. A copy of
// the object is put back as it is, and the command sealwright reads and changes one:
// docs/OPERATIONS.md, "A record in a cluster".
//
// # The server proves itself
//
// Not everything that speaks the words of a conditional write keeps them: a server
// that knows no If-Match ignores it, and every stale writer wins. So before the first
// Swap of a Store it is tried on objects of its own, named as the record's with
// ".proof-" and a random number behind: racing creates, a create over what is there,
// racing swaps, a stale swap, a swap after a delete, and a load after each. Where a
// write wins that must not, or a load is older than a write, every Swap of that Store
// is [ErrNoConditions], and nothing is written to the record. It costs about twenty
// small requests once. Proved is the server that was reached: what an answer says of
// its disk nobody can prove from here; docs/OPERATIONS.md has what was measured.
//
// # Errors
//
// [seal.ErrNotFound] is the server's answer that there is no such object. That there
// is no such bucket, or that one may not look, is another error. After an error of
// Swap other than [seal.ErrConflict], [seal.ErrTooLarge] and [ErrNoConditions] the
// record may or may not be stored, and may even be stored a little later.
//
// [s3store]: https://pkg.go.dev/github.com/sealwright/sealwright/seal/objectstore/s3store
// [gcsstore]: https://pkg.go.dev/github.com/sealwright/sealwright/seal/objectstore/gcsstore
// [blobstore]: https://pkg.go.dev/github.com/sealwright/sealwright/seal/objectstore/blobstore
package objectstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sealwright/sealwright/internal/poll"
	"github.com/sealwright/sealwright/seal"
)

// DefaultKey is the name of the object unless a Config says another.
const DefaultKey = "sealwright/seal"

var (
	// ErrNoConditions is returned where the server was seen to let a write win that
	// must not, or to answer with less than was written. The text says what was seen.
	// Keep the record elsewhere: nothing on this side makes up for it.
	ErrNoConditions = errors.New("the server does not keep the conditions of a write")

	// ErrForeign is returned where the object is none that a Store wrote. It is a
	// [seal.ErrCorrupt]. Look at what else has that name.
	ErrForeign = fmt.Errorf("%w: the object is something else than a record", seal.ErrCorrupt)
)

// A Bucket is object storage with conditional writes, as much as a [Store] needs. It
// is safe for concurrent use, and asks the server at each call, past every cache.
type Bucket interface {
	// Get returns the content of an object and the tag of just that content, or
	// [seal.ErrNotFound] if the server says that the bucket has no such object.
	Get(ctx context.Context, key string) (content io.ReadCloser, tag string, err error)

	// Put stores an object if its present tag is old, or, where old is empty, if there
	// is none. It is sent once: it returns [seal.ErrConflict] where the server refused
	// the condition, and any other error leaves the outcome unknown.
	Put(ctx context.Context, key string, content []byte, old string) (tag string, err error)

	// Delete deletes an object. The Store calls it for objects of its proof alone.
	Delete(ctx context.Context, key string) error
}

// Config says where the record is.
type Config struct {
	// Name stands in front of every error: of the package that has the Bucket.
	Name string
	// Key is the name of the object. Empty is [DefaultKey]. Two seals have two.
	Key string
	// PollInterval is how often Watch asks. Zero is five seconds.
	PollInterval time.Duration
}

// Store is a [seal.Store] and a [seal.Watcher] in object storage. It is safe for
// concurrent use, from several processes at once. Make it with [New], or with that of
// the module with the SDK.
type Store struct {
	bucket Bucket
	cfg    Config
	proof  chan verdict // holds one; whoever has it proves
}

// New returns a store in a bucket. It does not talk to it.
func New(b Bucket, cfg Config) (*Store, error) {
	if cfg.Name == "" {
		cfg.Name = "objectstore"
	}
	if cfg.Key == "" {
		cfg.Key = DefaultKey
	}
	if cfg.PollInterval == 0 {
		cfg.PollInterval = 5 * time.Second
	}
	switch {
	case b == nil:
		return nil, fmt.Errorf("%w: %s: the bucket is nil", seal.ErrConfig, cfg.Name)
	case cfg.PollInterval < 0:
		return nil, fmt.Errorf("%w: %s: PollInterval is %v, want none or a positive one", seal.ErrConfig, cfg.Name, cfg.PollInterval)
	}
	s := &Store{bucket: b, cfg: cfg, proof: make(chan verdict, 1)}
	s.proof <- verdict{}
	return s, nil
}

// Load returns the record and its revision, or [seal.ErrNotFound] if the bucket has
// no such object.
func (s *Store) Load(ctx context.Context) (rec []byte, rev string, err error) {
	content, tag, err := s.get(ctx, s.cfg.Key)
	if err != nil {
		return nil, "", s.errorf(ctx, "load", err)
	}
	nonce, rec, ok := bytes.Cut(content, []byte{'\n'})
	switch {
	case !ok || !isNonce(string(nonce)):
		return nil, "", s.errorf(ctx, "load", ErrForeign)
	case len(rec) > seal.MaxRecordSize:
		return nil, "", s.errorf(ctx, "load", fmt.Errorf("%w: the object is larger than any record", seal.ErrCorrupt))
	}
	return rec, revision(nonce, tag), nil
}

// Swap replaces the record as [seal.Store] says. The first one has the server prove
// itself.
func (s *Store) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	rev, err = s.swap(ctx, rec, old)
	if err != nil {
		return "", s.errorf(ctx, "swap", err)
	}
	return rev, nil
}

func (s *Store) swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	if len(rec) > seal.MaxRecordSize {
		return "", fmt.Errorf("%d bytes: %w", len(rec), seal.ErrTooLarge)
	}
	if err := s.Prove(ctx); err != nil {
		return "", err
	}
	tag := ""
	if old != "" {
		var ours bool
		if _, tag, ours = cutRevision(old); !ours {
			return "", s.conflict(ctx)
		}
	}
	content := encode(rec)
	tag, err = s.put(ctx, s.cfg.Key, content, tag)
	if err != nil {
		return "", err
	}
	return revision(content[:nonceSize], tag), nil
}

// conflict is what a revision that is none of ours meets, which the server has to
// say: one out of reach is no conflict.
func (s *Store) conflict(ctx context.Context) error {
	if _, _, err := s.get(ctx, s.cfg.Key); err != nil && !errors.Is(err, seal.ErrNotFound) {
		return err
	}
	return seal.ErrConflict
}

// Watch asks for the record every [Config.PollInterval] and tells of changes as
// [seal.Watcher] says. It begins by sending once, as the record may have changed
// before. It returns ctx.Err().
func (s *Store) Watch(ctx context.Context, changed chan<- struct{}) error {
	return poll.Watch(ctx, s.cfg.PollInterval, func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, max(s.cfg.PollInterval, time.Second))
		defer cancel()
		_, rev, err := s.Load(ctx)
		if errors.Is(err, seal.ErrNotFound) {
			return "", nil
		}
		return rev, err
	}, changed)
}

// get returns an object as far as it may be a record, and a byte more.
func (s *Store) get(ctx context.Context, key string) (content []byte, tag string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	body, tag, err := s.bucket.Get(ctx, key)
	if err != nil {
		return nil, "", err
	}
	defer body.Close()
	content, err = io.ReadAll(io.LimitReader(body, nonceSize+1+seal.MaxRecordSize+1))
	switch {
	case err != nil:
		return nil, "", err
	case tag == "":
		return nil, "", fmt.Errorf("%w: it gives an object no tag", ErrNoConditions)
	}
	return content, tag, nil
}

// put stores an object. Whoever refused it, and has just it, was sent it twice.
func (s *Store) put(ctx context.Context, key string, content []byte, old string) (tag string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	tag, err = s.bucket.Put(ctx, key, content, old)
	switch {
	case errors.Is(err, seal.ErrConflict):
		present, tag, lookup := s.get(ctx, key)
		switch {
		case lookup == nil && bytes.Equal(present, content):
			return tag, nil
		case lookup == nil, errors.Is(lookup, seal.ErrNotFound):
			return "", seal.ErrConflict
		}
		return "", fmt.Errorf("refused, and what is there can't be looked at: %w", lookup)
	case err != nil:
		return "", err
	case tag == "":
		return "", fmt.Errorf("%w: it gives an object no tag", ErrNoConditions)
	}
	return tag, nil
}

// An object is nonceSize hexadecimal digits, a line feed, and the record.
const nonceSize = 32

func newNonce() []byte {
	var nonce [nonceSize / 2]byte
	rand.Read(nonce[:])
	return hex.AppendEncode(nil, nonce[:])
}

func encode(rec []byte) []byte {
	content := make([]byte, 0, nonceSize+1+len(rec))
	content = append(content, newNonce()...)
	content = append(content, '\n')
	return append(content, rec...)
}

// revision is the random number before the record, and the tag of the object.
func revision(nonce []byte, tag string) string { return string(nonce) + "-" + tag }

func cutRevision(rev string) (nonce, tag string, ok bool) {
	nonce, tag, _ = strings.Cut(rev, "-")
	return nonce, tag, isNonce(nonce) && tag != ""
}

func isNonce(s string) bool {
	return len(s) == nonceSize && strings.Trim(s, "0123456789abcdef") == ""
}

// errorf says what failed; an SDK may have words of its own for a context that is
// done.
func (s *Store) errorf(ctx context.Context, op string, err error) error {
	if done := ctx.Err(); done != nil && !errors.Is(err, done) {
		err = fmt.Errorf("%w: %w", done, err)
	}
	return fmt.Errorf("%s: %s %q: %w", s.cfg.Name, op, s.cfg.Key, err)
}
