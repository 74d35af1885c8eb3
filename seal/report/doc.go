// Package report says for a day what an auditor asks of a sealed store: which slots
// open it, who holds them, when each was last shown to open it and by what; which
// keys of a KMS it depends on, and what may be destroyed; what is overdue, with what
// to do next. It is written as text, as JSON, and as one page to print and to file:
//
//	status, err := b.Admin().Inspect(ctx)
//	r, err := report.New(report.Input{Status: status, Events: events, At: time.Now()})
//	err = r.WriteHTML(w)
//
// A report decides nothing and changes nothing. What it says of a store that is
// sealed nobody vouches for ([Report.Vouched]), and then it names nothing that may be
// destroyed.
//
// # Evidence
//
// When a slot was last shown to open the store is taken from the record (a proof),
// from this process (a drill), and from the events of the past: proofs, rekeys,
// unseals, drills, renewals, and shares. A share that was given or checked, and was
// right, confirms its custodian; where as many were as the slot asks for, its
// people have shown that they could open it. The events come from where the host
// keeps them: a journal, or for the time of the process a [Memory]. They are taken
// at their word: whoever can write them can write that everybody has confirmed.
//
// A share that is wrong says itself which it is. So what a report has of such
// attempts is what somebody brought, not what the custodian named beside it did, and
// takes back no confirmation.
//
// # A custody drill
//
// A [Campaign] asks each custodian of a slot to have the share checked
// ([seal.Admin.CheckShare], the operator's PUT /v1/sys/unseal/check) until a day. It
// has no state of its own: who has confirmed since it began is read from the events,
// so that it goes on after a restart where the host keeps those. A check takes
// nothing, counts for no unseal, works sealed and unsealed, and tells a name to
// nobody who holds no right share.
//
// # Compatibility
//
// The JSON is [Report], with its number [Format]: fields are added, and none changes
// its meaning. The text and the page are for people.
package report
