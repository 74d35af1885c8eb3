package ceremony

import "net/http"

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

// Held is how many places have a share that is not forgotten.
func Held(of http.Handler) (n int) {
	h := of.(*handler)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.rite.places {
		if s.share.X() != 0 || s.encrypted != nil {
			n++
		}
	}
	return n
}
