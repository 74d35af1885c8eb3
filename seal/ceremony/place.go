package ceremony

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
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
	h.mu.Lock()
	rt, st, err := h.seated(ticket)
	if err != nil {
		h.mu.Unlock()
		return nil
	}
	err = st.owns(s)
	back, verify := st.back, rt.verify
	h.mu.Unlock()
	if back {
		return &message{Good: true, Key: "back.already"}
	}
	if err != nil {
		return p.explain(err)
	}
	ctx, cancel := steady(r)
	defer cancel()
	done, err := h.prove(ctx, r, rt, s, verify)
	if err != nil {
		return p.explain(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	st.back = true
	st.forget()
	rt.done = rt.done || done
	if done {
		h.initID = ""
		return &message{Good: true, Key: "back.done"}
	}
	return &message{Good: true, Key: "back.taken"}
}

// owns reports why a share is not that of the place.
func (s *seat) owns(given seal.Share) error {
	if s.back {
		return nil
	}
	if s.encrypted != nil { // the server never keeps what it encrypted
		if int(given.X()) != s.number {
			return errNotYours
		}
		return nil
	}
	if subtle.ConstantTimeCompare([]byte(s.share.Reveal()), []byte(given.Reveal())) != 1 {
		return errNotYours
	}
	return nil
}

// prove gives a new share to what makes the new set count, and reports whether it does
// now.
func (h *handler) prove(ctx context.Context, r *http.Request, rt *rite, s seal.Share, verify seal.OperationID) (bool, error) {
	if h.Barrier.Sealed() != nil {
		done, err := h.Barrier.Submit(ctx, s, h.by(r, ""))
		if errors.Is(err, seal.ErrShareDuplicate) {
			err = nil
		}
		return done, err
	}
	if verify == "" || !h.inProgress(verify) {
		if checked, err := h.Barrier.Admin().CheckShare(ctx, s, h.by(r, "")); err == nil && h.active(checked.Slot, s) {
			return true, nil // enough of the others gave theirs
		}
		verify = seal.OperationID(verifyPrefix + rand.Text())
		if err := h.ask(ctx, r, rt.slot, verify); err != nil {
			return false, err
		}
		h.mu.Lock()
		rt.verify = verify
		h.mu.Unlock()
	}
	done, err := h.Barrier.Submit(ctx, s, h.by(r, verify))
	if errors.Is(err, seal.ErrShareDuplicate) {
		err = nil
	}
	return done, err
}

func (h *handler) inProgress(id seal.OperationID) bool {
	op := h.Barrier.Status().Operation
	return op != nil && op.ID == id
}

// active reports whether the slot of a share has been proven.
func (h *handler) active(name string, s seal.Share) bool {
	for _, slot := range h.Barrier.Status().Slots {
		if slot.Name == name && slot.State == seal.SlotActive {
			for _, set := range slot.Sets {
				if set == s.Set() {
					return true
				}
			}
		}
	}
	return false
}
