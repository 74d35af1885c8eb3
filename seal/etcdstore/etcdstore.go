// Package etcdstore keeps the record of a seal under one key of etcd.
//
//	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: tls, DialTimeout: 5 * time.Second})
//	…
//	store, err := etcdstore.New(client, etcdstore.Config{Key: "/payments/seal"})
//	b, err := seal.Open(seal.Config{Store: store, KMS: wrappers})
//
// It is a module of its own, and brings etcd's client. TLS, users and the client's
// keep-alive are the host's: the record needs none of them to stay secret, but whoever
// may write the key can take the store away, and whoever may read it can see which
// slots there are.
//
// # Compare-and-swap
//
// Swap is one transaction, which puts the value if the key's mod revision is the one
// that was loaded, and if the value is. The second comparison is by a random number
// in front of the record: after a snapshot is restored, etcd gives the same mod
// revisions a second time, and a replica that was away would win with what it knew
// before. The value is those 32 hexadecimal digits, a line feed, and the record, which
// ends in a line feed.
//
// A transaction whose answer is lost may have taken place. etcd's client does not
// send it again, and where something between does, the store knows its own number
// when it finds it, and does not call that a conflict.
//
// kine, which k3s has in place of etcd, takes transactions of some shapes only, and
// refuses this one: keep the record in a Secret there.
//
// # Backup
//
//	etcdctl get /payments/seal --print-value-only > seal.etcd
//	etcdctl put /payments/seal < seal.etcd
//
// etcdctl adds a line feed to what it prints, which Load leaves out. The command
// sealwright reads and changes such a file; docs/OPERATIONS.md, "A record in a
// cluster", has how it is put back. It is a restore of the record, with all that this
// asks for, unless it is the newest.
//
// # The client
//
// It writes warnings as JSON to standard error, also where all goes well in the end,
// unless clientv3.Config has a Logger: the host's, or zap.NewNop().
//
// # Rights
//
// The user needs readwrite on this one key. That includes to delete it, as etcd has
// no right to put that is less: a key that was deleted looks like a store that was
// never initialized, which an anchor ([seal.Config]) tells apart. No lease is ever
// attached.
//
// # Durability
//
// Swap returns nil when a majority of the members has the record in its log, on
// the disk unless a member runs with --unsafe-no-fsync. Loads are linearizable, so
// that what a cut-off member still holds is never met.
//
// # Errors
//
// [seal.ErrNotFound] is an answer of etcd that there is no such key. A cluster
// without a leader, or one that is full (its NOSPACE alarm), is another error. After
// an error of Swap other than [seal.ErrConflict] and [seal.ErrTooLarge] the record may
// or may not be stored, and may even be stored a little later.
package etcdstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sealwright/sealwright/seal"
)

// MaxRecordSize is the size in bytes of the largest record that a Store keeps. etcd
// takes 1.5 MiB a request as it comes (--max-request-bytes).
const MaxRecordSize = 1 << 20

// DefaultKey is where the record is kept unless [Config.Key] says so.
const DefaultKey = "sealwright/seal"

// ErrForeign is returned where the key holds a value that no Store put there. It is a
// [seal.ErrCorrupt]. Look at what the host's other programs keep under the key.
var ErrForeign = fmt.Errorf("%w: the key holds something else than a record", seal.ErrCorrupt)

// Config says where the record is.
type Config struct {
	// Key is the key of the record. Empty is [DefaultKey]. Two seals have two.
	Key string
}

// Store is a [seal.Store], a [seal.Watcher] and a [seal.Limited] in etcd. It is safe
// for concurrent use, from several processes at once. Make it with [New].
type Store struct {
	client *clientv3.Client
	key    string
}

// New returns a store in the cluster of the client, which stays the caller's to
// close. It does not talk to it.
func New(client *clientv3.Client, cfg Config) (*Store, error) {
	if client == nil {
		return nil, fmt.Errorf("%w: etcdstore: the client is nil", seal.ErrConfig)
	}
	if cfg.Key == "" {
		cfg.Key = DefaultKey
	}
	return &Store{client: client, key: cfg.Key}, nil
}

// Place returns the key and the cluster's endpoints: it is a [seal.Placed].
func (s *Store) Place() string {
	return fmt.Sprintf("the key %q of etcd at %s", s.key, strings.Join(s.client.Endpoints(), ", "))
}

// MaxRecord returns [MaxRecordSize].
func (s *Store) MaxRecord() int { return MaxRecordSize }

// Load returns the record and its revision, or [seal.ErrNotFound] if there is no such
// key.
func (s *Store) Load(ctx context.Context) (rec []byte, rev string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", s.errorf(ctx, "load", err)
	}
	answer, err := s.client.Get(ctx, s.key)
	if err != nil {
		return nil, "", s.errorf(ctx, "load", err)
	}
	if len(answer.Kvs) == 0 {
		return nil, "", s.errorf(ctx, "load", seal.ErrNotFound)
	}
	rec, rev, err = decode(answer.Kvs[0])
	if err != nil {
		return nil, "", s.errorf(ctx, "load", err)
	}
	return rec, rev, nil
}

// Swap replaces the record as [seal.Store] says. It fails with [seal.ErrTooLarge] if
// rec is longer than [MaxRecordSize], or than the cluster takes.
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
	if err := ctx.Err(); err != nil {
		return "", err
	}
	value := encode(rec)
	answer, err := s.client.Txn(ctx).If(s.unchanged(old)...).
		Then(clientv3.OpPut(s.key, string(value))).
		Else(clientv3.OpGet(s.key)).Commit()
	switch {
	case errors.Is(err, rpctypes.ErrRequestTooLarge):
		return "", fmt.Errorf("%d bytes, more than the cluster's --max-request-bytes: %w", len(rec), seal.ErrTooLarge)
	case err != nil:
		return "", err
	case answer.Succeeded:
		return revision(answer.Header.GetRevision(), value[:nonceSize]), nil
	}
	// Whoever put our number there sent our transaction twice.
	for _, kv := range answer.Responses[0].GetResponseRange().GetKvs() {
		if bytes.Equal(kv.Value, value) {
			return revision(kv.ModRevision, value[:nonceSize]), nil
		}
	}
	return "", seal.ErrConflict
}

// A value is nonceSize hexadecimal digits, a line feed, and the record.
const nonceSize = 32

func encode(rec []byte) []byte {
	var nonce [nonceSize / 2]byte
	rand.Read(nonce[:])
	value := make([]byte, 0, nonceSize+1+len(rec))
	value = hex.AppendEncode(value, nonce[:])
	value = append(value, '\n')
	return append(value, rec...)
}

// decode returns what an answer of etcd says; rec is a part of it.
func decode(kv *mvccpb.KeyValue) (rec []byte, rev string, err error) {
	nonce, rec, ok := bytes.Cut(kv.Value, []byte{'\n'})
	switch {
	case !ok || !isNonce(string(nonce)):
		return nil, "", ErrForeign
	case len(rec) > seal.MaxRecordSize:
		return nil, "", fmt.Errorf("%w: the value is larger than any record", seal.ErrCorrupt)
	}
	return withoutAdded(rec), revision(kv.ModRevision, nonce), nil
}

// withoutAdded leaves out the line feed that etcdctl adds to what it prints, and puts
// back with it. A record ends in one.
func withoutAdded(rec []byte) []byte {
	if bytes.HasSuffix(rec, []byte("}\n\n")) {
		return rec[:len(rec)-1]
	}
	return rec
}

// revision is the mod revision of the key and the random number before the record.
func revision(mod int64, nonce []byte) string {
	return strconv.FormatInt(mod, 10) + "-" + string(nonce)
}

// unchanged is what is compared with an old revision. As a value is compared as a
// whole, two comparisons see what it begins with. One that is no revision of ours is
// never met, which etcd has to say: a cluster out of reach is no conflict.
func (s *Store) unchanged(old string) []clientv3.Cmp {
	if old == "" {
		return []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(s.key), "=", 0)}
	}
	digits, nonce, _ := strings.Cut(old, "-")
	mod, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || mod <= 0 || strconv.FormatInt(mod, 10) != digits || !isNonce(nonce) {
		return []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(s.key), "<", 0)}
	}
	return []clientv3.Cmp{
		clientv3.Compare(clientv3.ModRevision(s.key), "=", mod),
		clientv3.Compare(clientv3.Value(s.key), ">", nonce),
		clientv3.Compare(clientv3.Value(s.key), "<", nonce+"\v"), // what comes after a line feed
	}
}

func isNonce(s string) bool {
	return len(s) == nonceSize && strings.Trim(s, "0123456789abcdef") == ""
}

// errorf says what failed. etcd's client says in words of gRPC that the context was
// done.
func (s *Store) errorf(ctx context.Context, op string, err error) error {
	if done := ctx.Err(); done != nil {
		if !errors.Is(err, done) {
			err = fmt.Errorf("%w: %w", done, err)
		}
		err = fmt.Errorf("no answer of %s: %w", hosts(s.client.Endpoints()), err)
	}
	if errors.Is(err, rpctypes.ErrNoSpace) {
		err = fmt.Errorf("%w: compact and defragment the cluster, then disarm its alarm", err)
	}
	return fmt.Errorf("etcdstore: %s %q: %w", op, s.key, err)
}

// hosts names endpoints by their hosts and ports alone: an address may hold more.
func hosts(endpoints []string) string {
	const most = 5
	var names []string
	for _, e := range endpoints[:min(len(endpoints), most)] {
		if u, err := url.Parse(e); err == nil && u.Host != "" {
			e = u.Host
		}
		names = append(names, strconv.Quote(e[strings.LastIndex(e, "@")+1:]))
	}
	if more := len(endpoints) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
