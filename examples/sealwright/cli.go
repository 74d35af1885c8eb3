package main

import "time"

const description = `Opens what a server's seal protects when the server is gone: by people's shares, or a KMS.

Begin with:  sealwright inspect --store FILE

It exits with 0 if the store opened or what was asked is done, with 2 if the store stays sealed by
what was given, and with 1 for any other error.`

// cli is the grammar.
type cli struct {
	Store         string   `placeholder:"STORE" env:"SEALWRIGHT_STORE" help:"Where the record is: a file (filestore, bbolt, SQLite, a bare record, or what etcdctl, kubectl get -o json or an object storage's tool took out), postgres://…, mysql://…, or @FILE that holds such a URL."`
	RecordTable   string   `default:"${table}" help:"The SQL table of the record."`
	RecordName    string   `name:"record" default:"${name}" help:"The name of the record in that table."`
	Bucket        string   `name:"record-bucket" default:"${bucket}" help:"The bbolt bucket of the record."`
	Config        string   `placeholder:"FILE" help:"A configuration with seal stanzas, as the server has it: the KMS."`
	Pin           []string `placeholder:"FINGERPRINT" sep:"none" help:"Believe only these slots; repeat it."`
	TrustUnpinned bool     `help:"Believe a slot that a stranger could have made (RSA-OAEP, bare shares of Vault's)."`
	JSON          bool     `name:"json" help:"One JSON object on standard output, for scripts."`
	JournalTo     string   `placeholder:"FILE" help:"Write each attempt into this journal, as a server does into its own: a file of its own."`
	As            string   `placeholder:"NAME" help:"Who you are, for the record's journal. Default: sealwright."`

	Inspect    inspectCmd    `cmd:"" help:"What this record is and who opens it. Opens nothing."`
	CheckShare checkShareCmd `cmd:"" help:"Is a share right, and of which slot? Opens nothing."`
	Open       openCmd       `cmd:"" help:"Open a copy of the record by shares or a KMS: the proof that it opens."`
	Decrypt    decryptCmd    `cmd:"" help:"Decrypt one value."`
	Export     exportCmd     `cmd:"" help:"Decrypt a SQL column, a bbolt bucket, or files."`

	AddSlot  addSlotCmd  `cmd:"" help:"Make one more way in: people, or a KMS."`
	Rekey    rekeyCmd    `cmd:"" help:"New shares for a slot, or another shape."`
	Prove    proveCmd    `cmd:"" help:"Show that a slot opens the store: what makes a new one count."`
	Card     cardCmd     `cmd:"" help:"A share as a card to print, or a blank form."`
	DropSlot dropSlotCmd `cmd:"" help:"Remove slots."`
	Migrate  migrateCmd  `cmd:"" help:"Move to the slots that a configuration wants."`
	Restore  restoreCmd  `cmd:"" help:"Go on with a record from a backup."`
	Copy     copyCmd     `cmd:"" help:"The record as it is, in a file for etcd, Kubernetes, an object storage, or to keep."`
	Drill    drillCmd    `cmd:"" help:"Does each slot still open the store?"`
	Report   reportCmd   `cmd:"" help:"Who holds what, last shown when, and what is overdue."`
	Journal  journalCmd  `cmd:"" help:"The server's journal."`
	Cancel   cancelCmd   `cmd:"" help:"End the operation in progress."`
}

// sharesFlags say where shares come from.
type sharesFlags struct {
	Shares   []string `placeholder:"FILE" sep:"none" help:"A file with shares, or - for standard input; repeat it. Default: standard input if it is no terminal, then the terminal, without echo."`
	byPeople bool
	Wait     time.Duration `default:"2m" help:"For how long a KMS is asked."`
}
