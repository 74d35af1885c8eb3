package seal

// Admin is the operator's page of a [Barrier]: what tools ask of it, which
// change or try its protection, and a host's own code never. Package operator
// serves it to people, and package migrate strings its moves together. All
// methods are safe for concurrent use.
type Admin struct{ b *Barrier }

// Admin returns the operator's page of the Barrier.
func (b *Barrier) Admin() *Admin { return &Admin{b} }
