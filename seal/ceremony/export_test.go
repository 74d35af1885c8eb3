package ceremony

// What the tests look at from inside.
var (
	Words    = words
	Language = language
)

// FaultOf is the key of the words for what is wrong with a text.
func FaultOf(text string) string { return faultOf(text).Key }

// Why is the key of the words for why a server is sealed.
func Why(err error) string { return why(err) }

// PageText is the template.
const MostBody = maxKeyBody

func PageText() string { return pageText }
