package main

import (
	"crypto/tls"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/etcdstore"
	"github.com/sealwright/sealwright/seal/kubestore"
)

// shared are the documents that all replicas have: the record, which replicas there
// are, and the notes. A real server has its data in a database; these are few.
type shared struct {
	seal, roster, notes seal.Store
	close               func() error
}

func openShared(c config) (*shared, error) {
	s := &shared{close: func() error { return nil }}
	var proxy *http.Client // nil: the pod's own
	if c.kubernetes != "" {
		proxy = http.DefaultClient
	}
	open := func(document string) (seal.Store, error) {
		return kubestore.New(kubestore.Config{Name: c.name + "-" + document, Server: c.kubernetes, Namespace: c.namespace, Client: proxy})
	}
	if !c.secrets {
		client, err := newEtcd(c)
		if err != nil {
			return nil, err
		}
		s.close = client.Close
		open = func(document string) (seal.Store, error) {
			return etcdstore.New(client, etcdstore.Config{Key: c.name + "/" + document})
		}
	}
	for document, store := range map[string]*seal.Store{"seal": &s.seal, "roster": &s.roster, "data": &s.notes} {
		var err error
		if *store, err = open(document); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// newEtcd talks to nobody yet: a cluster that is away is why the server is sealed,
// and not why it ends.
func newEtcd(c config) (*clientv3.Client, error) {
	var config *tls.Config
	if dir := c.etcdTLS; dir != "" {
		var err error
		files := transport.TLSInfo{
			TrustedCAFile: filepath.Join(dir, "ca.crt"), CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"),
		}
		if config, err = files.ClientConfig(); err != nil {
			return nil, err
		}
	}
	return clientv3.New(clientv3.Config{
		Endpoints: strings.Split(c.etcd, ","), TLS: config,
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
	})
}
