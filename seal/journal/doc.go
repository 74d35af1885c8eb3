// Package journal writes down every attempt on a seal (init, unseal, a wrong
// share, rekey, migration, drill, restore: every [seal.Event]), also while the
// server is sealed, in a file or a SQL table in which each line names the one
// before, so that a line that was edited, taken out, put in, moved or cut off is
// noticed.
//
//	j, err := journal.Open(journal.Config{Place: journal.File{Path: "/var/lib/server/journal"}, Name: replica})
//	…
//	b, err := seal.Open(seal.Config{…, Replica: replica, OnEvent: seal.JoinEvents(seal.LogEvents(log), j.Event)})
//	go j.Run(ctx)
//	…
//	b.Close() // its last words are events
//	j.Close() // ends Run, once that has kept the last head
//
// In a table of the host's database, made by the host's migrations, the place is
//
//	lines, err := sqlstore.OpenLines(db, sqlstore.Config{Dialect: sqlstore.PostgreSQL, Name: replica})
//	…
//	journal.Table{Rows: lines}
//
// An auditor reads it with [Read] and [Verify]. It is for attempts on the seal,
// some a day, and no audit log of requests: each event is a write that waits for
// the disk.
//
// # What it proves
//
// The chain needs no key, as the server has none while it is sealed. So whoever
// can write to the journal can write another one from the beginning, or cut its
// end off: against root on the machine the journal alone proves nothing. A [Head]
// kept elsewhere does, for all lines up to that of the head: by [Config.Heads], in
// the log of another machine ([Status] has it), or on paper at the end of an
// audit. What root makes the server itself write is in no way told from the truth.
//
// A head is of a line that must be there. That the beginning may be gone, because it
// was archived, is said by the host alone, as [File] After or [Table] After: whoever
// can write to the journal could else take away all that a head vouches for.
//
// # A disk that fails or hangs
//
// The journal never holds up the seal. [Journal.Event] waits for its line to be on
// the disk, but never longer than [Config.Wait], and not at all once that was too
// long or failed. What could not be written waits in memory, up to [Config.Keep]
// events, and then is lost; the line "n events were lost from … to …" follows when
// lines can be written again. What waits in memory when the process dies is lost
// without a line, but a process that did not end with [Journal.Close] is seen by
// its missing [KindClose]. A host that would rather have no keys in memory than no
// journal has [Config.OnFailure] seal the server.
//
// What else the journal calls may hang as well: the store of heads, OnFailure, a
// database that is read. Each costs one goroutine, however long it lasts.
//
// # Crashes
//
// A line is there in whole, or what is there of it is named by the next process
// that opens the journal, in a line [KindTorn]. Lines are only ever appended: an
// administrator can have the system hold to that (chattr +a), but then has to
// rename the files by hand.
//
// # What it holds
//
// What events say, bounded, with all that is not printable ASCII escaped: names
// that the host gave, and the words of errors, which may be those of a KMS. Events
// hold no secret. FORMAT.md has the format, which stays.
package journal
