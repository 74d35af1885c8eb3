package etcdstore_test

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// fake is a cluster of etcd as far as a Store talks to it: gets, transactions with
// their comparisons, watches. internal/storestest has the real one.
type fake struct {
	clientv3.KV      // what is not here is not called
	clientv3.Watcher // likewise

	mu      sync.Mutex
	rev     int64
	values  map[string]*mvccpb.KeyValue
	watches map[chan clientv3.WatchResponse]string
}

// newClient returns a client of a fake cluster that is empty.
func newClient(t testing.TB) (*clientv3.Client, *fake) {
	f := &fake{rev: 1, values: map[string]*mvccpb.KeyValue{}, watches: map[chan clientv3.WatchResponse]string{}}
	client := clientv3.NewCtxClient(t.Context())
	client.KV, client.Watcher = f, f
	return client, f
}

func (f *fake) Get(ctx context.Context, key string, _ ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return (*clientv3.GetResponse)(f.get(key)), ctx.Err()
}

func (f *fake) get(key string) *pb.RangeResponse {
	answer := &pb.RangeResponse{}
	if kv := f.values[key]; kv != nil {
		answer.Kvs = []*mvccpb.KeyValue{{Key: kv.Key, ModRevision: kv.ModRevision, Value: append([]byte(nil), kv.Value...)}}
	}
	return answer
}

func (f *fake) put(key, value string) {
	f.rev++
	f.values[key] = &mvccpb.KeyValue{Key: []byte(key), Value: []byte(value), ModRevision: f.rev}
	for watch, of := range f.watches {
		if of == key {
			select {
			case watch <- clientv3.WatchResponse{Events: []*clientv3.Event{{}}}:
			default:
			}
		}
	}
}

func (f *fake) Txn(ctx context.Context) clientv3.Txn { return &fakeTxn{fake: f, ctx: ctx} }

type fakeTxn struct {
	fake      *fake
	ctx       context.Context
	unchanged []clientv3.Cmp
	then      []clientv3.Op
}

func (txn *fakeTxn) If(c ...clientv3.Cmp) clientv3.Txn { txn.unchanged = c; return txn }

func (txn *fakeTxn) Then(o ...clientv3.Op) clientv3.Txn { txn.then = o; return txn }

func (txn *fakeTxn) Else(...clientv3.Op) clientv3.Txn { return txn } // a Get of the key

func (txn *fakeTxn) Commit() (*clientv3.TxnResponse, error) {
	f := txn.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := txn.ctx.Err(); err != nil {
		return nil, err
	}
	for _, c := range txn.unchanged {
		if !f.met(c) {
			present := &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: f.get(string(c.KeyBytes()))}}
			return &clientv3.TxnResponse{Header: &pb.ResponseHeader{Revision: f.rev}, Responses: []*pb.ResponseOp{present}}, nil
		}
	}
	for _, op := range txn.then {
		f.put(string(op.KeyBytes()), string(op.ValueBytes()))
	}
	return &clientv3.TxnResponse{Succeeded: true, Header: &pb.ResponseHeader{Revision: f.rev}}, nil
}

// met compares as etcd does: a key that is not there has the mod revision 0, and no
// value that is like any.
func (f *fake) met(c clientv3.Cmp) bool {
	kv := f.values[string(c.KeyBytes())]
	if kv == nil {
		kv = &mvccpb.KeyValue{}
	}
	var order int
	switch target := c.GetCompare().TargetUnion.(type) {
	case *pb.Compare_ModRevision:
		order = cmp.Compare(kv.ModRevision, target.ModRevision)
	case *pb.Compare_Value:
		if kv.Key == nil {
			return false
		}
		order = strings.Compare(string(kv.Value), string(target.Value))
	}
	switch c.GetCompare().Result {
	case pb.Compare_EQUAL:
		return order == 0
	case pb.Compare_GREATER:
		return order > 0
	case pb.Compare_LESS:
		return order < 0
	}
	return order != 0
}

func (f *fake) Watch(ctx context.Context, key string, _ ...clientv3.OpOption) clientv3.WatchChan {
	watch := make(chan clientv3.WatchResponse, 16)
	watch <- clientv3.WatchResponse{Created: true}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watches[watch] = key
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watches, watch)
		close(watch)
	})
	return watch
}
