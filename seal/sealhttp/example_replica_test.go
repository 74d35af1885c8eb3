package sealhttp_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
	"github.com/sealwright/sealwright/seal/handoff"
	"github.com/sealwright/sealwright/seal/journal"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// A replica is one process of a fleet: what differs between them, and what they share.
type replica struct {
	name          string          // web-0: its Config.Replica, and the name in its certificate
	record        seal.Store      // shared: etcd, a Secret, a row
	roster        seal.Store      // shared: another key, Secret or row than the record's
	dir           string          // its own: the journal, and the anchor where nobody restores the record's backups
	pair          tls.Certificate // by a CA that signs those of replicas alone
	ca            *x509.CertPool  // that CA
	address, peer string          // for everybody, and for replicas alone
	token         string          // of the operators
}

// replicas are all that there may ever be: a list, since a prefix lets in whoever
// gets a certificate for a name nobody thought of.
var replicas = []string{"web-0", "web-1", "web-2"}

// run is the whole of it. What is opened first is closed last: the journal has the
// barrier's last event, and its Run ends by its Close.
func (r *replica) run(ctx context.Context) error {
	j, err := journal.Open(journal.Config{Place: journal.File{Path: filepath.Join(r.dir, "journal")}, Name: r.name})
	if err != nil {
		return err
	}
	var journaling sync.WaitGroup
	journaling.Go(func() { _ = j.Run(context.WithoutCancel(ctx)) })
	defer journaling.Wait()
	defer j.Close()
	anchor, err := filestore.Open(filepath.Join(r.dir, "anchor"))
	if err != nil {
		return err
	}
	peers := &handoff.Client{URLs: lookup, HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		Certificates: []tls.Certificate{r.pair}, RootCAs: r.ca, ServerName: "web-peers",
	}}}}
	b, err := seal.Open(seal.Config{
		Store: r.record, Replica: r.name, OnEvent: j.Event,
		Anchor:      anchor, // a key that was deleted is no new store
		Roster:      r.roster,
		Propagation: time.Minute,
		Peers:       peers.Peers,
		PassShares:  true,
	})
	if err != nil {
		return err
	}
	defer b.Close()

	asked, err := handoff.New(handoff.Config{Barrier: b, Authorize: knownReplica})
	if err != nil {
		return err
	}
	forReplicas := &http.Server{Addr: r.peer, Handler: asked, ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{r.pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: r.ca,
	}}
	admin, err := operator.New(operator.Config{Barrier: b, Authorize: operator.Token(r.token)})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	sealhttp.Mount(mux, b, sealhttp.Routes{App: http.NotFoundHandler(), Operator: admin})
	server := &http.Server{Addr: r.address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}

	// The listener for replicas runs beside the server's: it ends with it, and it with that.
	return sealhttp.Serve(ctx, nil, server, b.Run, func(ctx context.Context) error {
		return sealhttp.Serve(ctx, nil, forReplicas)
	})
}

func knownReplica(r *http.Request) (string, error) {
	cert, err := handoff.Certificate(r)
	if err != nil {
		return "", err
	}
	if name := cert.Subject.CommonName; slices.Contains(replicas, name) {
		return name, nil
	}
	return "", fmt.Errorf("%q is no replica", cert.Subject.CommonName)
}

// lookup finds the others: a headless service has an address for each pod.
func lookup(ctx context.Context) ([]string, error) {
	ips, err := net.DefaultResolver.LookupHost(ctx, "web-peers")
	for i, ip := range ips {
		ips[i] = "https://" + net.JoinHostPort(ip, "8201") + "/"
	}
	return ips, err
}

// A server of a fleet, with everything that belongs to one, in order. docs/OPERATIONS.md,
// "Replicas that bring each other up", has how its certificate is made.
func Example_replica() {
	dir, err := os.MkdirTemp("", "replica")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	some := httptest.NewTLSServer(http.NotFoundHandler()) // in place of the certificate that openssl makes
	defer some.Close()
	r := &replica{
		name: "web-0", record: seal.NewMemStore(), roster: seal.NewMemStore(), dir: dir, pair: some.TLS.Certificates[0], ca: x509.NewCertPool(),
		address: "127.0.0.1:0", peer: "127.0.0.1:0", token: "of the operators",
	}
	ctx, stop := context.WithCancel(context.Background()) // of a host: signal.NotifyContext
	stop()
	fmt.Println(r.run(ctx))

	var kinds []seal.EventKind
	for e, err := range journal.Read(context.Background(), journal.File{Path: filepath.Join(dir, "journal")}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if !errors.Is(e.Err, seal.ErrUninitialized) {
			kinds = append(kinds, e.Kind)
		}
	}
	fmt.Println(kinds[0], kinds[len(kinds)-1])
	// Output:
	// <nil>
	// journal-open journal-close
}
