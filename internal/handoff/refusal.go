package handoff

// A Refusal says, in an answer's place, why there is none. It is an error.
type Refusal byte

// The refusals. A number keeps its meaning for ever.
const (
	Denied   Refusal = iota + 1 // the host does not let the asker ask
	Sealed                      // the answerer is sealed itself
	Newer                       // the asker's record is newer than what the answerer has seen: wait
	Older                       // the answerer has seen a later record: look at the store again
	Other                       // the record is another store's
	Forked                      // another record of that generation is what the answerer has
	Busy                        // too many ask: wait
	Unknown                     // the request is none that the answerer understands
	Itself                      // the asker and the answerer are one process
	refusals                    // how many there are, and one
)

var words = [refusals]string{
	Denied:  "refuses: it does not know this replica as one that may ask, or by another name",
	Sealed:  "is sealed itself",
	Newer:   "has not seen this record yet",
	Older:   "knows a later record than the store has shown to this replica",
	Other:   "has another store",
	Forked:  "has another record of this generation",
	Busy:    "is asked by too many at once",
	Unknown: "does not understand the request: is it of another version?",
	Itself:  "is this one",
}

func (r Refusal) known() bool { return r > 0 && r < refusals }

// Error says what the answerer does, for a sentence that begins with its name.
func (r Refusal) Error() string {
	if !r.known() {
		return "refuses"
	}
	return words[r]
}

// Bytes returns the refusal as a message; of an answerer without a name that can
// be sent, nothing.
func (r Refusal) Bytes(answerer string) []byte {
	if !named(answerer) || !r.known() {
		return nil
	}
	return append(appendName([]byte{version, refusal}, answerer), byte(r))
}
