// Fleet is a server of several replicas whose record people alone open: any two of
// three custodians give their shares to any one replica, the others ask it for the
// root key over mutual TLS, and so does each that is restarted, for as long as one of
// them is up. It keeps notes, encrypted; the record, a roster and the notes are in
// etcd, or in Secrets of Kubernetes. README.md has it in a cluster, and it is made to
// be copied: serve.go is the server, shared.go where its documents are, replicas.go
// how replicas know each other, notes.go the host's own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A config is what the flags say.
type config struct {
	name, replica            string // of the server, and of this replica of it
	addr, operators, handoff string // where to listen
	peers                    string // where the replicas are asked: host:port, ...
	cert, key, ca            string // files of the replica's certificate
	token                    string // file of the operators' token
	dir                      string // of this replica alone, on a volume
	etcd, etcdTLS            string // endpoints, and the directory of the client's certificate
	secrets                  bool   // in place of etcd
	kubernetes, namespace    string // where there is no pod: kubectl proxy, and whose Secrets
}

func (c *config) flags() *flag.FlagSet {
	f := flag.NewFlagSet("fleet", flag.ExitOnError)
	f.StringVar(&c.name, "name", "notes", "the server's `name`: its documents are NAME-seal, NAME-roster and NAME-data")
	f.StringVar(&c.replica, "replica", "", "this replica's `name`, NAME-0 and so on, which stays over restarts and is in its certificate")
	f.StringVar(&c.addr, "addr", ":8080", "the `address` for clients and probes")
	f.StringVar(&c.operators, "operators", "127.0.0.1:8081", "the `address` for custodians and operators, of this machine: without TLS")
	f.StringVar(&c.handoff, "handoff", ":8082", "the `address` for other replicas")
	f.StringVar(&c.peers, "peers", "", "where replicas are asked: `HOST:PORT`, and more after commas; each address of a host is one")
	f.StringVar(&c.cert, "cert", "", "the `file` of this replica's certificate, by a CA that signs those of replicas alone")
	f.StringVar(&c.key, "key", "", "the `file` of its key")
	f.StringVar(&c.ca, "ca", "", "the `file` of that CA")
	f.StringVar(&c.token, "token", "", "the `file` of the operators' token")
	f.StringVar(&c.dir, "dir", "", "this replica's own `directory`, on a volume, for its journal and its anchor")
	f.StringVar(&c.etcd, "etcd", "", "keep the documents in etcd, at these `endpoints`")
	f.StringVar(&c.etcdTLS, "etcd-tls", "", "the `directory` of ca.crt, tls.crt and tls.key for etcd; empty: without TLS")
	f.BoolVar(&c.secrets, "secrets", false, "keep the documents in Secrets of Kubernetes")
	f.StringVar(&c.kubernetes, "kubernetes", "", "the `address` of kubectl proxy, where this is no pod")
	f.StringVar(&c.namespace, "namespace", "", "the `namespace` of the Secrets, where this is no pod")
	return f
}

func (c *config) check() error {
	switch {
	case c.name == "" || !isReplica(c.replica, c.name):
		return fmt.Errorf("-replica is %q, and has to be -name, a hyphen and a number, as %s-0", c.replica, c.name)
	case slices.Contains([]string{c.peers, c.cert, c.key, c.ca, c.token, c.dir}, ""):
		return errors.New("-peers, -cert, -key, -ca, -token and -dir are required")
	case c.etcd == "" && !c.secrets:
		return errors.New("one of -etcd and -secrets is required: which of them, is what the directories etcd and secrets say, and base alone does not")
	case c.etcd != "" && c.secrets:
		return errors.New("-etcd and -secrets are both given: the documents are in one of the two")
	}
	for peer := range strings.SplitSeq(c.peers, ",") {
		if host, port, err := net.SplitHostPort(peer); err != nil || host == "" || port == "" {
			return fmt.Errorf("-peers has %q, and has to have HOST:PORT, as %s-pods:8082", peer, c.name)
		}
	}
	return nil
}

// isReplica tells whether a replica's name is of a server, as the set names its pods.
func isReplica(replica, server string) bool {
	number, of := strings.CutPrefix(replica, server+"-")
	n, err := strconv.ParseUint(number, 10, 16)
	return of && err == nil && strconv.FormatUint(n, 10) == number
}

func main() {
	var c config
	f := c.flags()
	f.Parse(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := c.check()
	if f.NArg() > 0 {
		err = fmt.Errorf("%q is no flag: is its dash missing?", f.Arg(0))
	}
	if err == nil {
		err = run(ctx, c, slog.Default())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}
