// From-vault reads what HashiCorp Vault or OpenBao stored, without a server of
// theirs: it says why a store does not open, writes a copy that does, and brings
// what people keep in it into examples/server, under a new seal.
//
//	go run ./examples/from-vault -path DIR -shares FILE -diagnose        what is wrong, and what can be done
//	go run ./examples/from-vault -path DIR -shares FILE -repair NEW      a copy that opens
//	go run ./examples/from-vault -path DIR -shares FILE -list            mounts, policies, and where secrets are
//	go run ./examples/from-vault -path DIR -shares FILE -get secret/a    one secret, in clear
//	go run ./examples/from-vault -path DIR -shares FILE -export NEW      all of it as lines of JSON, in clear
//	go run ./examples/from-vault -path DIR -shares FILE -import URL -token-file FILE
//
// The path is a directory of storage "file", raft's vault.db or the directory that
// has it, or a raft snapshot. It is only read, and must not be in use: stop the
// server, or give a copy.
//
// -shares names a file with a share on each line, in hex or base64; - is standard
// input, and ask asks on the terminal. More than a threshold help to find a wrong
// one. -config names the server's own configuration, whose seal stanzas say which
// KMS opens an auto seal; of a migration give both, also as two -config.
//
// An import can be stopped and made again at any time: what was brought over stays
// as it is, and is compared. Each secret is read back and compared before it counts.
// The mount secret/ becomes secret/ of the new server, and another one a folder of
// its name there, below that of its namespace.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/sealwright/sealwright/examples/internal/flags"
	"github.com/sealwright/sealwright/migrate/vaultstore"
)

// options are what the flags say.
type options struct {
	path, backup, shares string
	configs              texts
	from                 string // an export, in place of path

	diagnose, list                  bool
	get, repair, export, importInto string

	toShares             bool
	recovery, threshold  int
	transit, policies    bool
	salvage              bool
	namespaces           texts
	tokenFile, authority string
	fakes                string // the file of fake clouds; "" for the true ones
}

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string     { return fmt.Sprint([]string(*t)) }
func (t *texts) Set(s string) error { *t = append(*t, s); return nil }

func main() {
	var o options
	flag.StringVar(&o.path, "path", "", "what Vault or OpenBao stored: a `directory` or file, which is only read")
	flag.StringVar(&o.backup, "backup", "", "an older `copy` of the same store, for -diagnose and -repair")
	flag.StringVar(&o.shares, "shares", "", "a `file` with a share on each line; - for standard input, ask for the terminal")
	flag.Var(&o.configs, "config", "the server's configuration `file`, for its seal stanzas; more than once for several")
	flag.BoolVar(&o.diagnose, "diagnose", false, "say what is wrong, and what can be done")
	flag.BoolVar(&o.list, "list", false, "list mounts, policies, and the paths of secrets")
	flag.StringVar(&o.get, "get", "", "print one secret, by its `path` with its mount")
	flag.StringVar(&o.repair, "repair", "", "write a copy that opens to this `path`, which must be new")
	flag.StringVar(&o.export, "export", "", "write everything to this new `file`, in clear; - for standard output")
	flag.StringVar(&o.importInto, "import", "", "bring everything into the server at this `URL`")
	flag.StringVar(&o.from, "in", "", "import from this export, in place of -path: a `file`, or -")
	flag.StringVar(&o.tokenFile, "token-file", "", "a `file` with a root token of that server")
	flag.StringVar(&o.authority, "ca", "", "a `file` with the CA of that server, if the system does not know it")
	flag.BoolVar(&o.transit, "transit", false, "export, or import, the keys of transit engines too")
	flag.BoolVar(&o.policies, "policies", false, "import the policies too, as far as the server takes them")
	flag.BoolVar(&o.toShares, "to-shares", false, "with -repair: the copy leaves the auto seal, and opens by the recovery shares")
	flag.IntVar(&o.recovery, "secret-shares", 0, "with -repair: how many shares there are, where the store does not say")
	flag.IntVar(&o.threshold, "secret-threshold", 0, "with -repair: how many of them it takes")
	flag.Var(&o.namespaces, "namespace", "`PATH=FILE`: the shares of a namespace that has a seal of its own; more than once for several")
	flag.BoolVar(&o.salvage, "salvage", false, "with -list, -get, -export and -import: go on behind what is damaged in vault.db or a snapshot")
	flags.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "from-vault:", err)
		os.Exit(1)
	}
}

// run does the one thing that the flags ask for.
func (o *options) run(ctx context.Context, out io.Writer) error {
	asked := 0
	for _, a := range []bool{o.diagnose, o.list, o.get != "", o.repair != "", o.export != "", o.importInto != ""} {
		if a {
			asked++
		}
	}
	if asked != 1 || (o.path == "") == (o.from == "") || o.from != "" && o.importInto == "" {
		return errors.New("-path, and one of -diagnose, -list, -get, -repair, -export and -import are required; -in goes with -import alone")
	}
	if o.from != "" {
		return o.importFile(ctx, out)
	}
	keys, err := o.keys()
	if err != nil {
		return err
	}
	switch {
	case o.diagnose:
		return o.runDiagnose(ctx, out, keys)
	case o.repair != "":
		return o.runRepair(ctx, out, keys)
	}
	open := vaultstore.Open
	if o.salvage {
		open = vaultstore.Salvage
	}
	store, err := open(ctx, o.path, keys)
	if err != nil {
		return fmt.Errorf("%w\n-diagnose says more", err)
	}
	defer store.Close()
	defer func() {
		for _, err := range store.Damage() {
			fmt.Fprintln(os.Stderr, "could not be read:", err)
		}
	}()
	for _, text := range o.namespaces {
		path, file, _ := strings.Cut(text, "=")
		shares, err := readShares(file)
		if err != nil {
			return err
		}
		if err := store.OpenNamespace(ctx, path, vaultstore.Keys{Shares: shares}); err != nil {
			return err
		}
	}
	if wrong := store.Info().Wrong; len(wrong) > 0 {
		fmt.Fprintln(os.Stderr, "these shares, in the order given, are not of the set that opens the store:", wrong)
	}
	switch {
	case o.list:
		return list(ctx, out, store)
	case o.get != "":
		return get(ctx, out, store, o.get)
	case o.export != "":
		return o.runExport(ctx, out, store)
	}
	return o.importStore(ctx, out, store)
}
