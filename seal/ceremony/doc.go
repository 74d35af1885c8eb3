// Package ceremony serves one small page to the people who hold shares: it says
// why a server is sealed and how many shares are in, takes shares, checks whether
// one is still right, and gives new ones to those who are to hold them. It works
// without scripts, and better with them; in English and in Japanese.
//
//	h, err := ceremony.New(ceremony.Config{Barrier: b, Title: "payments, production", Authorize: authorize})
//	mux.Handle("/ceremony/", h)
//
// Do not use it for tools: package operator serves the API that they speak. The two
// stand beside each other, and neither needs the other.
//
// # What it serves
//
// Below [Config.Path]: the state of the server; check, "is my share still right?",
// which opens nothing; operation/ID, what is in progress, to be joined by that link,
// as a rekey, the verification of new shares, or a proof that the host asked for;
// migration, to agree to the plan of the configuration; begin/init and begin/rekey,
// new shares; and events, to whom the host lets see them. What package operator has
// begun, and answers with something secret to who gives the last share (its rekeys
// and root tokens), is shown here, and joined by that API alone.
//
// # New shares
//
// Who begins says how many shares there are to be, and sends one link to those who
// are to hold them. Each opens it on a device of their own and takes a place: the
// page then shows a number to read to whoever began, who sees names and numbers,
// and has the shares made once they are the right people's. Each page shows its own
// share alone, or the share encrypted to the public key that its holder gave
// ([Config.ParseRecipient]), until the holder has given it back, typed from where it
// was written down: then the server forgets it. Who began sees none. Enough of the
// shares given back unseal the new store, or make the new set count; until then
// the old shares are valid, and to lose a page loses nothing.
//
// Places are kept in the memory of one process, for [Config.Keep]; a restart ends
// them. A share that is not given back stays there for as long: in memory that is
// neither swapped nor dumped, where the system lets it.
//
// # Who may
//
// [Config.Authorize] decides on who begins, sees events, and sees details. Giving and
// checking a share needs nothing but the share, taking a place nothing but its link. A
// request of another site's page is refused, by the word of the browser.
//
// # Over which connection
//
// Shares and codes go over TLS, or between programs of one machine. A proxy in front
// of the server takes the TLS off, and what it says in headers anybody can say: a host
// behind one says by [Config.Secure] which requests came over TLS. Without TLS, a
// request for a host name other than this machine's is refused: a page of a stranger
// could have had its name lead here.
package ceremony
