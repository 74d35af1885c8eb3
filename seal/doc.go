// Package seal gives a server the seal that HashiCorp Vault has: its data is
// encrypted by a keyring, the keyring by a root key, and the root key is
// protected by slots, each of which opens it alone: shares held by people, keys
// in a KMS, or trees of both. The server starts sealed, unseals through a KMS
// or with people's shares, rotates its keys, and moves from one protection to
// another while it runs.
//
// Do not use it to encrypt a file that nobody has to unseal, nor for secrets
// that are themselves kept in a Vault. It does not protect against whoever
// controls the unsealed process.
//
//	b, err := seal.Open(seal.Config{Store: store, KMS: wrappers})
//	go b.Run(ctx)                       // unseals by itself, and keeps it so
//	tokens := b.Box("tokens", "secret") // a column of a table
//	stored, err := tokens.EncryptString(ctx, token, id)
//
// # Two pages
//
// Who writes a server reads the host's page: [Barrier], [Config], [Box],
// [Status], [Share], and the errors. [Admin], which [Barrier.Admin] returns, is
// the operator's page: what changes or tries the protection. Packages operator
// and migrate call it, and so does a tool of your own.
//
// # One record
//
// Everything that protects the keys is one small document in a [Store]. Every
// change of it (init, a new slot, a rekey, a rotation, each move of a
// migration) is exactly one compare-and-swap, so there is no half-done state to
// repair: a process that dies at any point leaves the record before or after.
// FORMAT.md describes the record byte by byte, STATES.md every transition.
//
// # Slots
//
// A slot is the recipient of the root key, as in an age file or a LUKS header:
// a key pair whose seed people hold in shares, or a KMS protects, or a tree of
// both yields ([Spec]). Since its public key stands in the record, the root key
// can be replaced with no share given and no KMS asked. Any slot that is not pending opens
// the store; a people slot beside a KMS slot is recovery shares that really
// recover.
//
// # Add, prove, drop
//
// A new slot is pending until it has shown that it opens the stored record
// ([Admin.Prove]); the old one stays valid until then. [Admin.Drop] removes
// a slot only while another one opens the stored record, now, and replaces root
// key and data key with it. A rekey and every migration are these three moves;
// package migrate strings them together.
//
// # People
//
// A [Share] is 89 characters with a checksum, or Vault's 33 bytes. The record
// holds a commitment to every share, so that [Barrier.Submit] names a wrong one
// before anything is combined and keeps the progress made so far.
//
// # Sealed and unsealed
//
// [Open] touches nothing, so that a server comes up and says why it is sealed
// ([Barrier.Status]). Once unsealed, neither a KMS nor the store is needed to
// encrypt and decrypt; an outage never seals. [Barrier.Seal] does, and wipes
// the keys when what [Barrier.While] runs has returned and the last operation in
// flight has ended. Until then they are, on Linux, in memory that is neither
// swapped out nor dumped: [Status.Memory].
//
// # A whole server
//
// It keeps third parties' tokens in a column of a SQL database, and the record in
// another table of it; examples/host has the rest, which is the host's own.
//
//	func serve(ctx context.Context, l net.Listener, db *sql.DB, store seal.Store, cloud kms.Wrapper) error {
//		var metrics sealhttp.Metrics
//		events := seal.JoinEvents(metrics.Event, seal.LogEvents(slog.Default()))
//		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"cloud": cloud}, OnEvent: events})
//		if err != nil {
//			return err
//		}
//		defer b.Close() // waits for what While runs, and wipes the keys
//
//		columns, err := sqlsource.Open(ctx, db, sqlsource.Config{Dialect: sqlsource.SQLite, Table: "tokens", Columns: []string{"secret"}})
//		if err != nil {
//			return err
//		}
//		sources := []migrate.KeeperSource{{Name: "tokens.secret", Source: columns}}
//		keeper, err := migrate.NewKeeper(b, migrate.KeeperConfig{Sources: sources, RotateAfter: 30 * 24 * time.Hour, Metrics: &metrics})
//		if err != nil {
//			return err
//		}
//		slots := map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}} // what init makes beside people's recovery shares
//		sys, err := operator.New(operator.Config{Barrier: b, Authorize: authorize, Slots: slots, OnEvent: events})
//		if err != nil {
//			return err
//		}
//		tokens := &tokens{db: db, box: b.Box("tokens", "secret")}
//		mux := http.NewServeMux() // while sealed tokens answers 503 with the reason, and sys is how bao and vault unseal it
//		sealhttp.Mount(mux, b, sealhttp.Routes{App: tokens, Operator: sys, Metrics: &metrics})
//		server := &http.Server{Handler: mux, ReadTimeout: time.Minute}
//
//		return sealhttp.Serve(ctx, l, server, // and at the end the requests end first, then these, then b
//			b.Run,      // unseals by itself, follows other replicas, drills the keys
//			keeper.Run, // rotates, rewraps, counts and retires
//			func(ctx context.Context) error { return b.While(ctx, tokens.refresh) }, // what needs the keys, while they are there; its error ends the server
//		)
//	}
//
// A value is bound to its row, so a row of which the database makes the id comes
// first, in the same transaction; where there is a sequence, ask that for the id
// before.
//
//	func (t *tokens) add(ctx context.Context, token string) (id int64, err error) {
//		tx, err := t.db.BeginTx(ctx, nil)
//		if err != nil {
//			return 0, err
//		}
//		defer tx.Rollback()
//		if err := tx.QueryRowContext(ctx, "INSERT INTO tokens (secret) VALUES ('') RETURNING id").Scan(&id); err != nil {
//			return 0, err
//		}
//		secret, err := t.box.EncryptString(ctx, token, strconv.FormatInt(id, 10))
//		if err != nil {
//			return 0, err
//		}
//		if _, err := tx.ExecContext(ctx, "UPDATE tokens SET secret = ? WHERE id = ?", secret, id); err != nil {
//			return 0, err
//		}
//		return id, tx.Commit()
//	}
//
//	func (t *tokens) get(ctx context.Context, id int64) (string, error) {
//		var secret string
//		if err := t.db.QueryRowContext(ctx, "SELECT secret FROM tokens WHERE id = ?", id).Scan(&secret); err != nil {
//			return "", err
//		}
//		return t.box.DecryptString(ctx, secret, strconv.FormatInt(id, 10))
//	}
//
// # Several processes
//
// Processes that share a Store see each other's changes through Run, or
// [Admin.Refresh]. Set [Config.Propagation] so that every one of them can
// read a new term before any writes under it, and use a [Box], which
// looks for a term that this process has not seen yet. A process that cannot
// take in a change, since the root key was replaced and no KMS slot opens the new
// record, says so in [Status.Behind] and goes on with the keys it has; shares
// given to it open the new record without a Seal. With a [Config.Roster] each says
// what it has taken in, and what another may not have seen waits for it, by name.
//
// Where people alone open the store each replica wants their shares, at each start.
// With [Config.Peers] they unseal one, and the others ask it for the root key, as
// does one that a new root key has left behind. Package handoff does it over HTTP;
// who may ask is the host's decision, and whoever may ask can read everything.
//
// # A KMS that is away
//
// What one KMS does concerns it alone: no other slot, no other member of a tree
// and no operation that does not need it waits for it. Its wish to be left alone
// is remembered, and Run tries each slot by a clock of its own.
//
// # Forged stores
//
// Anyone who can write to the store knows every public key and could store a
// record of their own. Shares and KMS blobs therefore carry a fingerprint of a
// secret that only the genuine record contains, and a record without it is
// refused ([ErrForged]). Two things carry none that counts and need a pin in the
// configuration ([Config.Pins]): blobs that anybody can make with a KMS key's
// public half, and shares in Vault's bare form. Anyone who may also give the
// server shares, or wrap with one of its KMS keys, can make a whole store of their
// own: pins, [Config.Shapes] and [Config.Anchor] guard against that.
//
// # Errors
//
// Each error is, by [errors.Is], one of this package's, of package kms's, or a
// [*ShareError], and says what to do. "The store cannot be reached" is never
// "not initialized". No error, event or log line holds a key, a share or a
// plaintext.
//
// # Compatibility
//
// A record of a released version opens for ever. New code writes the old format
// until it is told otherwise; old code that meets a newer one says so
// ([ErrNewerFormat]).
package seal
