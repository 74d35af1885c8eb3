// Package blobstore keeps the record of a seal in one blob of Azure Blob Storage.
//
//	client, err := container.NewClient("https://ACCOUNT.blob.core.windows.net/payments", credential, nil)
//	…
//	store, err := blobstore.New(client, blobstore.Config{Key: "seal"})
//	b, err := seal.Open(seal.Config{Store: store, KMS: wrappers})
//
// It is a module of its own, and brings Azure's client of blobs: v1.8.0 at least, as
// later ones have its containers bring Apache Arrow. Credential and cloud are the
// host's.
//
// # Compare-and-swap
//
// Swap is one Put Blob with If-None-Match: * to create, and If-Match with the ETag to
// replace. The client sends a write once, whatever its retry policy says: tried again
// by itself, it would meet what it stored and call that refused. Loads are tried again
// as the client likes. The account proves its conditions before the first Swap, as
// [objectstore] says.
//
// # Rights
//
// The identity needs to read and write the blob and the blobs of the proof, whose names
// are the key's with ".proof-" behind, and to delete the latter: Storage Blob Data
// Contributor on the container has that, and a condition on the role can take the
// deletion of the record away. Turn blob versioning or soft delete on. A lifecycle rule
// must not apply to the key; a lease on the blob and a policy of immutability refuse
// every Swap.
//
// # Durability
//
// Azure answers when the blob is stored in as many copies as the account's redundancy
// in the primary region says. A secondary region is behind, and must never be the
// client's endpoint: its loads are older than the last Swap.
package blobstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/objectstore"
)

// Config says where the record is.
type Config struct {
	// Key is the name of the blob. Empty is [objectstore.DefaultKey].
	Key string
	// PollInterval is how often Watch asks. Zero is five seconds.
	PollInterval time.Duration
}

// New returns a store in the container of a client. It does not talk to it.
func New(client *container.Client, cfg Config) (*objectstore.Store, error) {
	if client == nil {
		return nil, fmt.Errorf("%w: blobstore: the client is nil", seal.ErrConfig)
	}
	return objectstore.New(&bucket{client}, objectstore.Config{Name: "blobstore", Key: cfg.Key, PollInterval: cfg.PollInterval})
}

type bucket struct{ client *container.Client }

func (b *bucket) Get(ctx context.Context, key string) (content io.ReadCloser, tag string, err error) {
	answer, err := b.client.NewBlobClient(key).DownloadStream(ctx, nil)
	switch {
	case bloberror.HasCode(err, bloberror.BlobNotFound):
		return nil, "", fmt.Errorf("%w: %w", seal.ErrNotFound, err)
	case err != nil:
		return nil, "", advise(err)
	case answer.ETag == nil:
		return answer.Body, "", nil
	}
	return answer.Body, string(*answer.ETag), nil
}

func (b *bucket) Put(ctx context.Context, key string, content []byte, old string) (tag string, err error) {
	never, kind := "no-store", "application/octet-stream"
	unless := &blob.ModifiedAccessConditions{}
	if old == "" {
		any := azcore.ETagAny
		unless.IfNoneMatch = &any
	} else {
		present := azcore.ETag(old)
		unless.IfMatch = &present
	}
	once := policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: -1})
	answer, err := b.client.NewBlockBlobClient(key).Upload(once, streaming.NopCloser(bytes.NewReader(content)), &blockblob.UploadOptions{
		HTTPHeaders:      &blob.HTTPHeaders{BlobCacheControl: &never, BlobContentType: &kind},
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: unless},
	})
	switch {
	case bloberror.HasCode(err, bloberror.ConditionNotMet, bloberror.BlobAlreadyExists),
		old != "" && bloberror.HasCode(err, bloberror.BlobNotFound):
		return "", fmt.Errorf("%w: %w", seal.ErrConflict, err)
	case err != nil:
		return "", advise(err)
	case answer.ETag == nil:
		return "", nil
	}
	return string(*answer.ETag), nil
}

func (b *bucket) Delete(ctx context.Context, key string) error {
	_, err := b.client.NewBlobClient(key).Delete(ctx, nil)
	return advise(err)
}

// advise says what to do where Azure's words don't.
func advise(err error) error {
	var answer *azcore.ResponseError
	switch {
	case bloberror.HasCode(err, bloberror.ContainerNotFound):
		return fmt.Errorf("%w: make the container, or look at the client's address", err)
	case errors.As(err, &answer) && answer.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: the identity needs to read and write blobs, and to delete those of the proof", err)
	}
	return err
}
