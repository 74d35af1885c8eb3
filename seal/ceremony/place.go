package ceremony

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sealwright/sealwright/seal"
)

// joinPage is where somebody with the link takes a place.
func (h *handler) joinPage(r *http.Request) (*page, error) {
	h.mu.Lock()
	rt := h.current()
	known := rt != nil && rt.invitation.is(r.PathValue("invitation"))
	var v *riteView
	if known {
		v = rt.view()
	}
	h.mu.Unlock()
	if !known {
		return nil, errNoRite
	}
	p := h.page(r, "join")
	p.Rite, p.Invitation, p.Keys = v, r.PathValue("invitation"), h.ParseRecipient != nil
	return p, nil
}

// join takes a place.
func (h *handler) join(r *http.Request) (*page, error) {
	if _, err := h.joinPage(r); err != nil {
		return nil, err
	}
	name, err := nameOf(r.PostFormValue("name"))
	if err != nil {
		return nil, err
	}
	s := &seat{name: name, check: sixDigits()}
	if key := strings.TrimSpace(r.PostFormValue("key")); key != "" && h.ParseRecipient != nil {
		to, fingerprint, err := h.ParseRecipient(key)
		if err != nil || to == nil {
			return nil, &keyError{err}
		}
		s.to = to
		h.emit(r, "a place was taken with the key "+fingerprint, "", nil)
	}
	var ticket string
	ticket, s.ticket = newCode()
	if err := h.sit(r.PathValue("invitation"), s); err != nil {
		return nil, err
	}
	h.emit(r, fmt.Sprintf("place %d was taken", s.number), "", nil)
	return h.placePage(r, ticket, false)
}

// sit gives somebody a place.
func (h *handler) sit(invitation string, s *seat) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	rt := h.current()
	switch {
	case rt == nil || !rt.invitation.is(invitation):
		return errNoRite
	case len(rt.places) >= rt.shares:
		return errTaken
	}
	for _, other := range rt.places {
		if strings.EqualFold(other.name, s.name) {
			return errName
		}
	}
	s.number = len(rt.places) + 1
	rt.places = append(rt.places, s)
	return nil
}

// nameOf is a custodian's name as it is shown to whoever began.
func nameOf(text string) (string, error) {
	text = strings.Join(strings.Fields(text), " ")
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if text == "" || utf8.RuneCountInString(text) > 40 || !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable) {
		return "", errNameForm
	}
	return text, nil
}

// place is what its holder does: look, see the share, give it back.
func (h *handler) place(r *http.Request) (*page, error) {
	ticket := strings.TrimSpace(r.PostFormValue("code"))
	switch r.PostFormValue("do") {
	case "show":
		return h.placePage(r, ticket, true)
	case "back":
		said := h.back(r, ticket)
		if said == nil {
			return nil, errNoRite
		}
		p, err := h.placePage(r, ticket, false)
		if err == nil {
			p.Answer = said
		}
		return p, err
	}
	return h.placePage(r, ticket, false)
}

// placePage shows a place, and with show the share of it.
func (h *handler) placePage(r *http.Request, ticket string, show bool) (*page, error) {
	p := h.page(r, "place")
	h.look()
	h.mu.Lock()
	rt, s, err := h.seated(ticket)
	if err != nil {
		h.mu.Unlock()
		return nil, err
	}
	p.Rite, p.Code = rt.view(), ticket
	p.Seat = s.view()
	show = show && rt.made && !s.back
	number, first := s.number, !s.shown
	if show {
		s.shown = true
		p.Seat.Shown = true
		if s.encrypted != nil {
			p.Seat.Encrypted = armored(s.encrypted)
		} else {
			p.Seat.Groups = groups(s.share.Reveal())
		}
	}
	h.mu.Unlock()
	if show {
		h.emit(r, fmt.Sprintf("the share of place %d was shown, first time: %v", number, first), "", nil)
	}
	return p, nil
}

// back takes a share that its holder gives back, and forgets it: it was written down.
// Nil says that there is no such place.
func (h *handler) back(r *http.Request, ticket string) *message {
	p := h.page(r, "") // for its words
	s, err := parseShare(r.PostFormValue("share"))
	if err != nil {
		h.emit(r, "a share was given back", "", err)
		return p.explain(err)
	}
	defer s.Wipe()
	h.look()
	h.mu.Lock()
	rt, st, err := h.seated(ticket)
	if err != nil {
		h.mu.Unlock()
		return nil
	}
	err = rt.owns(st, s)
	already := st.back && rt.counts
	h.mu.Unlock()
	if err != nil {
		return p.explain(err)
	}
	if already {
		return &message{Good: true, Key: "back.already"}
	}
	ctx, cancel := steady(r)
	defer cancel()
	if err := h.prove(ctx, r, rt, s); err != nil {
		return p.explain(unverified(err))
	}
	status := h.Barrier.Status()
	h.mu.Lock()
	defer h.mu.Unlock()
	st.back = true
	st.forget()
	if rt.look(status); rt.counts {
		h.initID = ""
		return &message{Good: true, Key: "back.done"}
	}
	return &message{Good: true, Key: "back.taken"}
}

// owns reports why a share is not that of a place. Of what was encrypted, and of what is
// forgotten, the server has its name alone: the record tells whether the rest is right.
// The handler's lock is held.
func (r *rite) owns(s *seat, given seal.Share) error {
	switch fingerprint := given.Fingerprint(); {
	case !r.made:
		return errNotYours
	case given.Set() != r.set && !given.Raw():
		return &otherSet{given, s.number, r.set}
	case given.Set() != r.set, int(given.X()) != s.number, r.fingerprint != "" && hex.EncodeToString(fingerprint[:]) != r.fingerprint:
		return errNotYours
	case s.back || s.encrypted != nil:
		return nil
	case subtle.ConstantTimeCompare([]byte(s.share.Reveal()), []byte(given.Reveal())) != 1:
		return errNotYours
	}
	return nil
}

// prove gives a new share to what makes the new set count: sealed, to unseal by it, else
// to its verification, which it begins where that is not in progress. Without an error the
// share is right by the record; whether its set counts, the record says.
func (h *handler) prove(ctx context.Context, r *http.Request, rt *rite, s seal.Share) error {
	var verify seal.OperationID
	if h.Barrier.Sealed() == nil {
		switch _, err := h.Barrier.Admin().CheckShare(ctx, s, h.by(r, "")); {
		case err != nil && !errors.Is(err, seal.ErrNoOperation):
			return err
		case err == nil && h.counts(rt):
			return nil // enough of the others gave theirs
		}
		h.mu.Lock()
		verify = rt.verify
		h.mu.Unlock()
		if err := h.ask(ctx, r, rt.slot, verify); err != nil {
			return err
		}
	}
	_, err := h.Barrier.Submit(ctx, s, h.by(r, verify))
	if errors.Is(err, seal.ErrShareDuplicate) {
		return nil
	}
	return err
}
