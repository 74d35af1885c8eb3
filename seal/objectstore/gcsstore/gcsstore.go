// Package gcsstore keeps the record of a seal in one object of Google Cloud Storage.
//
//	client, err := storage.NewClient(ctx)
//	…
//	store, err := gcsstore.New(client, gcsstore.Config{Bucket: "payments", Key: "seal"})
//	b, err := seal.Open(seal.Config{Store: store, KMS: wrappers})
//
// It is a module of its own, and brings Google's client of Cloud Storage. Credentials
// are the host's.
//
// # Compare-and-swap
//
// Swap is one upload, not resumable, with ifGenerationMatch: 0 to create, and the
// generation that was loaded to replace. The client sends it once, whatever its
// retryer says: tried again by itself, it would meet what it stored and call that
// refused. Loads are tried again as the client likes. The bucket proves its conditions
// before the first Swap, as [objectstore] says. The object is stored with
// Cache-Control: no-store, as a public one would be served from caches.
//
// # Rights
//
// The account needs storage.objects.get, .create, .delete and .list: Cloud Storage
// replaces an object by deleting the one before, and answers 403 instead of 404 to
// whoever may not list. Listing also tells a missing object from a missing bucket.
// Turn object versioning or soft delete on. A lifecycle rule must not apply to the
// key; a retention policy and a hold refuse every Swap. One object takes about one
// write a second, and more are answered 429, which is an error that leaves it open.
//
// # Durability
//
// Cloud Storage answers when the object is stored redundantly, and reads what was
// written from then on.
package gcsstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/objectstore"
)

// Config says where the record is.
type Config struct {
	// Bucket is the name of the bucket.
	Bucket string
	// Key is the name of the object. Empty is [objectstore.DefaultKey].
	Key string
	// PollInterval is how often Watch asks. Zero is five seconds.
	PollInterval time.Duration
}

// New returns a store in a bucket of the client's. It does not talk to it.
func New(client *storage.Client, cfg Config) (*objectstore.Store, error) {
	switch {
	case client == nil:
		return nil, fmt.Errorf("%w: gcsstore: the client is nil", seal.ErrConfig)
	case cfg.Bucket == "":
		return nil, fmt.Errorf("%w: gcsstore: Bucket is empty", seal.ErrConfig)
	}
	return objectstore.New(&bucket{client.Bucket(cfg.Bucket)}, objectstore.Config{Name: "gcsstore", Key: cfg.Key, PollInterval: cfg.PollInterval})
}

type bucket struct{ handle *storage.BucketHandle }

func (b *bucket) Get(ctx context.Context, key string) (content io.ReadCloser, tag string, err error) {
	r, err := b.handle.Object(key).NewReader(ctx)
	if errors.Is(err, storage.ErrObjectNotExist) {
		return nil, "", b.missing(ctx, key, err)
	}
	if err != nil {
		return nil, "", err
	}
	return r, strconv.FormatInt(r.Attrs.Generation, 10), nil
}

// missing tells a missing object from a missing bucket, which the client does not:
// only what is there can be listed.
func (b *bucket) missing(ctx context.Context, key string, err error) error {
	objects := b.handle.Objects(ctx, &storage.Query{Prefix: key})
	objects.PageInfo().MaxSize = 1
	first, listed := objects.Next()
	switch {
	case listed == nil && first.Name == key:
		return errors.New("the object was not there, and then it was; try again")
	case listed == nil, errors.Is(listed, iterator.Done):
		return fmt.Errorf("%w: %w", seal.ErrNotFound, err)
	}
	return fmt.Errorf("the object is not there, and neither may the bucket be: %w", listed)
}

func (b *bucket) Put(ctx context.Context, key string, content []byte, old string) (tag string, err error) {
	unless := storage.Conditions{DoesNotExist: true}
	if old != "" {
		generation, err := strconv.ParseInt(old, 10, 64)
		if err != nil || generation <= 0 {
			return "", fmt.Errorf("%q is no generation", old)
		}
		unless = storage.Conditions{GenerationMatch: generation}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // gives up a writer that was not closed
	w := b.handle.Object(key).If(unless).Retryer(storage.WithPolicy(storage.RetryNever)).NewWriter(ctx)
	w.ChunkSize = 0 // one request
	w.CacheControl, w.ContentType = "no-store", "application/octet-stream"
	_, err = w.Write(content)
	if err == nil {
		err = w.Close()
	}
	switch {
	case isRefused(err):
		return "", fmt.Errorf("%w: %w", seal.ErrConflict, err)
	case err != nil:
		return "", err
	}
	return strconv.FormatInt(w.Attrs().Generation, 10), nil
}

func (b *bucket) Delete(ctx context.Context, key string) error {
	return b.handle.Object(key).Delete(ctx)
}

// isRefused reports whether a condition was not met, by HTTP or by gRPC.
func isRefused(err error) bool {
	var answer *googleapi.Error
	if errors.As(err, &answer) {
		return answer.Code == http.StatusPreconditionFailed
	}
	return err != nil && status.Code(err) == codes.FailedPrecondition
}
