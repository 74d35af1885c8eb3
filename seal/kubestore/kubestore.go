// Package kubestore keeps the record of a seal in a Secret of Kubernetes. It needs
// the standard library alone.
//
//	store, err := kubestore.New(kubestore.Config{Name: "payments-seal"}) // in a pod
//	b, err := seal.Open(seal.Config{Store: store, KMS: wrappers})
//
// The record is no secret: whoever may read it sees which slots there are, and whoever
// may write it can take the store away. Back it up as one backs up what etcd holds, or
// as a file, which the command sealwright reads and changes and kubectl puts back:
//
//	kubectl get secret payments-seal -o json > seal.json
//	kubectl replace -f seal.json
//
// kubectl refuses that where the Secret was changed meanwhile. See
// docs/OPERATIONS.md, "A record in a cluster".
//
// # Rights
//
// The pod's service account needs get and update on this one Secret; with watch, it
// hears of what others store at once, and of the Secret alone. Make the Secret
// beforehand, empty, by the manifest that also has the Role: then it needs no right to
// create any. Do not give it delete.
//
//	apiVersion: v1
//	kind: Secret
//	metadata: {name: payments-seal, namespace: payments}
//	---
//	apiVersion: rbac.authorization.k8s.io/v1
//	kind: Role
//	metadata: {name: payments-seal, namespace: payments}
//	rules:
//	- {apiGroups: [""], resources: [secrets], resourceNames: [payments-seal], verbs: [get, update, watch]}
//
// Where the Secret is not there, the first Swap makes it, which takes the right to
// create Secrets in the namespace. A Secret without a record is a store that was never
// initialized; so is one in a namespace that does not exist, as the API server does
// not tell them apart.
//
// # Compare-and-swap
//
// Swap reads the Secret, looks whether the random number beside the record is the one
// that was loaded, and replaces the Secret at the resourceVersion that it has just
// read. The number is there because an API server takes a resourceVersion for granted
// where it is "" or "0", keeps it where an update changes nothing, and gives it a
// second time after etcd is restored. Labels, annotations and other keys of the Secret
// stay as they are.
//
// # Durability
//
// Swap returns nil when the API server answers, which is when its etcd has the record
// on the disks of a majority. kine, in k3s, syncs nothing as it comes: give its
// endpoint _synchronous=FULL.
//
// # Errors
//
// [seal.ErrNotFound] is the API server's word that the Secret is not there, or holds no
// record. An API server that is away, busy, or forbids is another error, and so is a
// 404 that comes from something else. After an error of Swap other than
// [seal.ErrConflict], [seal.ErrTooLarge] and [ErrFixed] the record may or may not be
// stored. A request is sent once.
package kubestore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sealwright/sealwright/seal"
)

// MaxRecordSize is the size in bytes of the largest record that a Store keeps. A
// Secret holds 1 MiB, with all of its keys.
const MaxRecordSize = 1_000_000

// The keys of the Secret's data.
const (
	recordKey = "record"
	numberKey = "revision" // 32 hexadecimal digits, random, new with each record
)

var (
	// ErrFixed is returned by Swap where the Secret is immutable, or is being
	// deleted: what would be stored there is lost, or refused. Nothing was sent.
	ErrFixed = errors.New("kubestore: the Secret takes no record")

	// ErrForeign is returned where the Secret's keys hold something that no Store
	// put there. It is a [seal.ErrCorrupt].
	ErrForeign = fmt.Errorf("%w: the Secret holds something else than a record", seal.ErrCorrupt)
)

// Store is a [seal.Store], a [seal.Watcher] and a [seal.Limited] in a Secret. It is
// safe for concurrent use, from several pods at once. Make it with [New].
type Store struct {
	client *client
	cfg    Config
}

// New returns a store in a cluster. It reads the pod's files and talks to nobody. The
// error, which is [seal.ErrConfig], says what is wrong with the configuration.
func New(cfg Config) (*Store, error) {
	c, cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("%w: kubestore: %w", seal.ErrConfig, err)
	}
	return &Store{client: c, cfg: cfg}, nil
}

// Place returns the name of the Secret and of its cluster: it is a [seal.Placed].
func (s *Store) Place() string {
	return fmt.Sprintf("the Secret %s/%s of %s", s.cfg.Namespace, s.cfg.Name, s.client.server)
}

// MaxRecord returns [MaxRecordSize].
func (s *Store) MaxRecord() int { return MaxRecordSize }

// Load returns the record and its revision, or [seal.ErrNotFound] if there is no
// Secret, or none with a record.
func (s *Store) Load(ctx context.Context) (rec []byte, rev string, err error) {
	held, err := s.read(ctx)
	switch {
	case err != nil:
		return nil, "", s.errorf(ctx, "load", err)
	case held == nil || held.number == "":
		return nil, "", s.errorf(ctx, "load", seal.ErrNotFound)
	}
	return held.record, held.number, nil
}

// Swap replaces the record as [seal.Store] says. It fails with [seal.ErrTooLarge] if
// the Secret would hold more than it can, and with [ErrFixed].
func (s *Store) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	rev, err = s.swap(ctx, rec, old)
	if err != nil {
		return "", s.errorf(ctx, "swap", err)
	}
	return rev, nil
}

func (s *Store) swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	if len(rec) > MaxRecordSize {
		return "", fmt.Errorf("%d bytes: %w", len(rec), seal.ErrTooLarge)
	}
	held, err := s.read(ctx)
	if err != nil {
		return "", err
	}
	if present := held.revision(); present != old {
		return "", seal.ErrConflict
	}
	var b [16]byte
	rand.Read(b[:])
	next := hex.EncodeToString(b[:])
	if held == nil {
		err = s.client.create(ctx, s.cfg, map[string][]byte{recordKey: rec, numberKey: []byte(next)})
	} else {
		err = s.replace(ctx, held, rec, next)
	}
	if errors.Is(err, seal.ErrConflict) { // unless something between sent it twice
		if held, err := s.read(ctx); err != nil {
			return "", err
		} else if held.revision() == next {
			return next, nil
		}
	}
	if err != nil {
		return "", err
	}
	return next, nil
}

// replace puts the Secret back with another record, at the resourceVersion at which it
// was read.
func (s *Store) replace(ctx context.Context, held *secret, rec []byte, next string) error {
	switch {
	case held.immutable:
		return fmt.Errorf("%w: it is immutable", ErrFixed)
	case held.deleted:
		return fmt.Errorf("%w: it is being deleted", ErrFixed)
	case held.others+len(rec)+len(next) > 1<<20:
		return fmt.Errorf("%d bytes, beside %d of the Secret's other keys: %w", len(rec), held.others, seal.ErrTooLarge)
	}
	return s.client.replace(ctx, s.cfg, held, map[string][]byte{recordKey: rec, numberKey: []byte(next)})
}

// secret is what a Secret holds.
type secret struct {
	object    map[string]json.RawMessage // all of it, to be put back
	data      map[string][]byte
	record    []byte
	number    string // "" where there is no record
	others    int    // bytes of the other keys
	immutable bool
	deleted   bool
}

// revision returns the number of the record, or "" where there is none.
func (s *secret) revision() string {
	if s == nil {
		return ""
	}
	return s.number
}

// read returns what the Secret holds, or nil where it is not there.
func (s *Store) read(ctx context.Context) (*secret, error) {
	body, err := s.client.get(ctx, s.cfg)
	if errors.Is(err, seal.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parse(body)
}

func parse(body []byte) (*secret, error) {
	held := &secret{}
	var known struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Version string  `json:"resourceVersion"`
			Deleted *string `json:"deletionTimestamp"`
		} `json:"metadata"`
		Data      map[string][]byte `json:"data"`
		Immutable bool              `json:"immutable"`
	}
	if err := errors.Join(json.Unmarshal(body, &held.object), json.Unmarshal(body, &known)); err != nil || known.Kind != "Secret" {
		return nil, errors.New("the answer is no Secret: is the address that of an API server?")
	}
	if v := known.Metadata.Version; strings.Trim(v, "0") == "" || strings.Trim(v, "0123456789") != "" {
		return nil, fmt.Errorf("the Secret's resourceVersion %q is none: an update would replace whatever is there", v)
	}
	held.data, held.immutable, held.deleted = known.Data, known.Immutable, known.Metadata.Deleted != nil
	for key, value := range known.Data {
		if key != recordKey && key != numberKey {
			held.others += len(value)
		}
	}
	number, isRecord := known.Data[numberKey]
	record, isNumber := known.Data[recordKey]
	switch {
	case !isRecord && !isNumber:
		return held, nil
	case isRecord != isNumber || len(number) != 32 || strings.Trim(string(number), "0123456789abcdef") != "":
		return nil, ErrForeign
	case len(record) > seal.MaxRecordSize:
		return nil, fmt.Errorf("%w: larger than any record", seal.ErrCorrupt)
	}
	held.record, held.number = record, string(number)
	return held, nil
}

// errorf says what failed, and that the context was done where that is why.
func (s *Store) errorf(ctx context.Context, op string, err error) error {
	if done := ctx.Err(); done != nil && !errors.Is(err, done) {
		err = fmt.Errorf("%w: %w", done, err)
	}
	return fmt.Errorf("kubestore: %s Secret %s/%s: %w", op, s.cfg.Namespace, s.cfg.Name, err)
}
