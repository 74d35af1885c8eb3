package etcdstore_test

import (
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/etcdstore"
)

func Example() {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{"https://etcd-0:2379", "https://etcd-1:2379", "https://etcd-2:2379"},
		DialTimeout: 5 * time.Second,
		Logger:      zap.NewNop(), // or the host's: else the client writes its warnings to standard error
		// TLS, and a user who has readwrite on the one key
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	store, err := etcdstore.New(client, etcdstore.Config{Key: "/payments/seal"})
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := seal.Open(seal.Config{Store: store})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	fmt.Println(b.Sealed() != nil) // and go b.Run(ctx)
	// Output: true
}
