// Package s3store keeps the record of a seal in one object of Amazon S3, or of what
// speaks like it.
//
//	client := s3.NewFromConfig(cfg)
//	store, err := s3store.New(client, s3store.Config{Bucket: "payments", Key: "seal"})
//	…
//	b, err := seal.Open(seal.Config{Store: store, KMS: wrappers})
//
// It is a module of its own, and brings the AWS SDK's client of S3. Credentials,
// region and endpoint are the host's.
//
// # Compare-and-swap
//
// Swap is one PutObject with If-None-Match: * to create, and If-Match with the ETag to
// replace. The ETag is opaque: under SSE-KMS it is no digest. The SDK sends a write
// once, whatever its retryer says: tried again by itself, it would meet what it
// stored and call that refused. Loads are tried again as the client likes. It is no
// multipart upload. The server proves its conditions before the first Swap, as
// [objectstore] says.
//
// # Rights
//
// The role needs s3:GetObject and s3:PutObject on the object, the same and
// s3:DeleteObject on the objects of the proof, whose names are the key's with
// ".proof-" behind, and s3:ListBucket on the bucket: without that S3 answers 403 for
// an object that is not there, and no store can be initialized. No right to delete
// the record is needed: do not give it, and turn versioning on. With a KMS key for the
// bucket also kms:GenerateDataKey and kms:Decrypt. A lifecycle rule that expires
// objects must not apply to the key.
//
// # Durability
//
// S3 answers when the object is stored in several zones, and reads what was written
// from then on. Other servers answer earlier: docs/OPERATIONS.md.
package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

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
func New(client *s3.Client, cfg Config) (*objectstore.Store, error) {
	switch {
	case client == nil:
		return nil, fmt.Errorf("%w: s3store: the client is nil", seal.ErrConfig)
	case cfg.Bucket == "":
		return nil, fmt.Errorf("%w: s3store: Bucket is empty", seal.ErrConfig)
	}
	return objectstore.New(&bucket{client, cfg.Bucket}, objectstore.Config{Name: "s3store", Key: cfg.Key, PollInterval: cfg.PollInterval})
}

type bucket struct {
	client *s3.Client
	name   string
}

func (b *bucket) Get(ctx context.Context, key string) (content io.ReadCloser, tag string, err error) {
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	if isCode(err, "NoSuchKey") {
		return nil, "", fmt.Errorf("%w: %w", seal.ErrNotFound, err)
	}
	if err != nil {
		return nil, "", advise(err)
	}
	return out.Body, aws.ToString(out.ETag), nil
}

func (b *bucket) Put(ctx context.Context, key string, content []byte, old string) (tag string, err error) {
	in := &s3.PutObjectInput{
		Bucket: &b.name, Key: &key, Body: bytes.NewReader(content),
		CacheControl: aws.String("no-store"), ContentType: aws.String("application/octet-stream"),
	}
	if old == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = &old
	}
	out, err := b.client.PutObject(ctx, in, once)
	switch {
	case err == nil:
		return aws.ToString(out.ETag), nil
	case isCode(err, "PreconditionFailed"), isCode(err, "ConditionalRequestConflict"),
		old != "" && isCode(err, "NoSuchKey"):
		return "", fmt.Errorf("%w: %w", seal.ErrConflict, err)
	}
	return "", advise(err)
}

func (b *bucket) Delete(ctx context.Context, key string) error {
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key})
	return advise(err)
}

// once has the SDK send a request once.
func once(o *s3.Options) {
	o.Retryer = aws.NopRetryer{}
	o.RetryMaxAttempts = 0
}

func isCode(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}

// advise says what to do where the SDK's words don't.
func advise(err error) error {
	var answer *smithyhttp.ResponseError
	switch {
	case isCode(err, "NoSuchBucket"):
		return fmt.Errorf("%w: make the bucket, or look at Config.Bucket and the client's region", err)
	case errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusForbidden:
		return fmt.Errorf("%w: the role needs s3:GetObject and s3:PutObject, s3:DeleteObject for the proof, and s3:ListBucket, without which a missing object is a 403 too", err)
	}
	return err
}
