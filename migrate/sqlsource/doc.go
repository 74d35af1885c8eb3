// Package sqlsource has the columns of a SQL table as a source of ciphertexts for
// package migrate: PostgreSQL, MySQL or MariaDB, SQLite. It uses database/sql and
// brings no driver.
//
//	tokens, err := sqlsource.Open(ctx, db, sqlsource.Config{
//		Dialect: sqlsource.PostgreSQL,
//		Table:   "tokens",
//		Columns: []string{"secret"},
//	})
//	…
//	for p, err := range migrate.Rewrap(ctx, b.Keyring(), tokens, migrate.RewrapOptions{Workers: 2}) {
//
// Do not use it for a table without a unique key, nor for one that another
// database holds and this one only shows: a view, a foreign table. Dolt is refused: it
// reads the texts of a column as nothing.
//
// # Items
//
// An item is a value of one column in one row. Columns of text and of bytes are
// taken; what is NULL or empty holds nothing, and is counted as that. The table is
// read in the order of its primary key, or of another unique key, page after page
// from where the last one ended: no OFFSET, no cursor, and no transaction that
// lasts longer than a page. A key has one column or several, of integers, text,
// bytes, UUIDs, or of what else the database compares and can write as text.
//
// # Associated data
//
// The rule is [AAD]: the table, the column and the key, joined by [keyring.AAD].
// Whoever encrypts a value for the table uses the same, so that no ciphertext can
// be moved to another row, column or table. A [seal.Box] does:
//
//	b.Box("tokens", "secret").EncryptString(ctx, token, strconv.FormatInt(id, 10))
//
// A server that has its own rule gives it as [Config.AAD].
//
// # What is replaced
//
// A page is replaced by one statement (in SQLite, by one transaction), which
// compares each value with what was read, byte by byte whatever the collation of
// the column, and answers for each. Rows are locked for as long as that takes and
// no longer. Everything is in transactions, but for what reads SQLite, so that it
// holds behind a pooler that gives a connection to others in between.
//
// Deadlocks, lock timeouts, busy databases and lost connections are
// [migrate.ErrUnavailable], after which [migrate.Rewrap] reads again what is
// stored.
//
// # Counting
//
// [migrate.Count] has the database count, and nothing but numbers comes from it.
// PostgreSQL looks at a sample first, then reads the table once as count(*) does,
// and once more in the same snapshot if there is anything that does not begin as
// most of the sample. Of long values it reads the beginning.
//
// # What is refused
//
// Open looks at the table, and refuses with [seal.ErrConfig] what would fail later
// or never be noticed: a database that can only be read, such as a replica; no
// unique key; a column that is not there, is computed, pads its values, or is
// shorter than any ciphertext. A value that would be longer than its column ends
// the run before it is written, and is named; MySQL would cut it where it is not
// strict.
//
// # Rights
//
// The database user needs SELECT and UPDATE on the table. [Bookmark] needs SELECT,
// INSERT and UPDATE on its own.
package sqlsource
