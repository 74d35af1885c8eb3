package seal

// Admin is the operator's page of a [Barrier]: what tools ask of it, which
// change or try its protection, and a server's own code never. Package operator
// serves it to people, and package migrate strings its moves together. All
// methods are safe for concurrent use.
//
//	slots       Add, Prove, Drop, Rekey, Reissue, Renew
//	operations  BeginMigration, Claim, Cancel
//	trying      Drill, DrillSpec, CheckShare, CheckStart, Inspect
//	terms       Activate, ActivateUnseen, RotateFrom, CheckRetire, RetireUncounted, RetireUnseen, Settling, Usage
//	root key    RotateRoot, RotateRootStranding, HandOff
//	the record  Changed, Refresh, Restore, RestoreUnknown, Join, InitAgain, InitializedBy
//	the data    Decrypt, TakeLease
//
// A word means one thing. Prove shows that a slot opens the store, and records
// it; Drill tries, and changes nothing; Check judges, a share or a plan. Drop lets
// a slot go, Cancel ends an operation. Renew wraps a slot anew by its KMS' present
// key; to rewrap is to encrypt data anew, under the active term.
type Admin struct{ b *Barrier }

// Admin returns the operator's page of the Barrier.
func (b *Barrier) Admin() *Admin { return &Admin{b} }
