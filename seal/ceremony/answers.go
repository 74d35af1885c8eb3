package ceremony

import (
	"crypto/rand"
	"net/http"
	"sync"

	"github.com/sealwright/sealwright/seal"
)

// A message is what came of a request: words, by their key, and what they name.
type message struct {
	Good   bool
	Key    string
	Args   []any
	Detail string // an error in full, for who may see details
}

// answers keeps what came of the last requests, without anything secret, so that a
// browser which shows a page again sends no share again: each request is answered
// with where its answer stands.
type answers struct {
	mu   sync.Mutex
	last [256]kept
	next int
}

type kept struct {
	id   string
	view string
	op   seal.OperationID
	message
}

// said answers with where the message stands.
func (h *handler) said(r *http.Request, view string, op seal.OperationID, m *message) *page {
	id := rand.Text()
	h.answers.mu.Lock()
	defer h.answers.mu.Unlock()
	h.answers.last[h.answers.next%len(h.answers.last)] = kept{id, view, op, *m}
	h.answers.next++
	return &page{to: "answer/" + id}
}

// answer shows what came of a request, on the page that it was sent from.
func (h *handler) answer(r *http.Request) (*page, error) {
	h.answers.mu.Lock()
	var found *kept
	for i := range h.answers.last {
		if k := h.answers.last[i]; k.id != "" && k.id == r.PathValue("id") {
			found = &k
		}
	}
	h.answers.mu.Unlock()
	if found == nil {
		return h.home(r) // it was long ago: the page says how it is now
	}
	var p *page
	switch found.view {
	case "operation":
		r.SetPathValue("id", string(found.op))
		p, _ = h.operationPage(r)
	case "migration":
		p, _ = h.migrationPage(r)
	default:
		p = h.page(r, found.view)
	}
	p.Answer = &found.message
	return p, nil
}
