package ceremony

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// A rite is a ceremony in progress: places are taken, shares are made and shown, and
// come back. It is in the memory of one process; the handler's lock is held by who
// reads or changes it.
type rite struct {
	action     Action // Init or Rekey
	slot       string
	threshold  int
	shares     int
	leader     secretCode // of who began
	invitation secretCode // of those who take places
	ends       time.Time
	expiry     *time.Timer

	places []*seat
	making bool             // the shares are being made
	made   bool             // they are there
	ask    seal.OperationID // of a rekey: by which the old shares are asked
	verify seal.OperationID // by which the new ones are, once they are made

	// Of the shares made: their set, and the fingerprint of its slot, "" where nobody
	// could say; and whether the set opened the store as the record was last seen.
	set         uint32
	fingerprint string
	counts      bool
}

// A seat is a custodian's place.
type seat struct {
	number int // from 1
	name   string
	check  string     // read to who began
	ticket secretCode // by which the holder comes back
	to     seal.Recipient

	share     seal.Share // until it is given back
	encrypted []byte
	hint      string
	shown     bool
	back      bool // given back
}

// A secretCode is 128 random bits that let one person in. They are kept as their
// digest; the text is in the answer alone.
type secretCode [sha256.Size]byte

func newCode() (text string, code secretCode) {
	text = rand.Text()
	return text, secretCode(sha256.Sum256([]byte(text)))
}

func (c secretCode) is(text string) bool {
	got := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(c[:], got[:]) == 1
}

// sixDigits is what a custodian reads to whoever began.
func sixDigits() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // crypto/rand.Reader does not fail
	}
	return fmt.Sprintf("%03d %03d", n.Int64()/1000, n.Int64()%1000)
}

// current returns the ceremony in progress, nil if there is none or it has ended by
// its time; h.mu is held.
func (h *handler) current() *rite {
	if h.rite != nil && time.Now().After(h.rite.ends) {
		h.end()
	}
	return h.rite
}

// busy reports whether a ceremony is in progress that another one must not end; h.mu
// is held.
func (h *handler) busy() bool {
	r := h.current()
	return r != nil && !(r.counts && r.allBack())
}

func (r *rite) allBack() bool {
	return r.made && !slices.ContainsFunc(r.places, func(s *seat) bool { return !s.back })
}

// end ends the ceremony and wipes what it holds; h.mu is held. A ceremony whose shares
// are being made is wiped by who makes them.
func (h *handler) end() {
	if h.rite == nil {
		return
	}
	if h.rite.expiry != nil {
		h.rite.expiry.Stop()
	}
	for _, s := range h.rite.places {
		s.forget()
	}
	h.rite = nil
}

// forget wipes a share that its holder has, or that nobody is to have.
func (s *seat) forget() {
	s.share.Wipe()
	s.share = seal.Share{}
	s.encrypted = nil
}

// start puts a ceremony in progress, unless one is.
func (h *handler) start(r *rite) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy() {
		return errBusy
	}
	h.end()
	r.ends = time.Now().Add(h.Keep)
	r.expiry = time.AfterFunc(h.Keep, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.rite == r {
			h.end()
		}
	})
	h.rite = r
	return nil
}

// led returns the ceremony if the code is that of who began it; h.mu is held.
func (h *handler) led(code string) (*rite, error) {
	if r := h.current(); r != nil && r.leader.is(code) {
		return r, nil
	}
	return nil, errNoRite
}

// seated returns the place whose ticket that is; h.mu is held.
func (h *handler) seated(ticket string) (*rite, *seat, error) {
	r := h.current()
	if r == nil {
		return nil, nil, errNoRite
	}
	var found *seat
	for _, s := range r.places {
		if s.ticket.is(ticket) {
			found = s
		}
	}
	if found == nil {
		return nil, nil, errNoRite
	}
	return r, found, nil
}

// look notes whether the new set opens the store, by the record as the barrier has it:
// no answer says so, since a share may have been taken for something else. Sealed, it
// has none that anybody vouches for. h.mu is held.
func (r *rite) look(s seal.Status) {
	if !s.Sealed {
		r.counts = r.made && r.in(s, seal.SlotActive)
	}
}

// in reports whether the record has the new set in a slot of that state; h.mu is held, or
// the ceremony has ended.
func (r *rite) in(s seal.Status, state seal.SlotState) bool {
	return slices.ContainsFunc(s.Slots, func(o seal.SlotStatus) bool {
		known := r.fingerprint == o.Fingerprint || r.fingerprint == "" && slices.Contains(o.Sets, r.set)
		return o.Name == r.slot && o.State == state && known
	})
}

// look notes whether the shares of the ceremony in progress count.
func (h *handler) look() {
	s := h.Barrier.Status()
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.current(); r != nil {
		r.look(s)
	}
}

// counts looks whether the shares of a ceremony count, also of one that has ended.
func (h *handler) counts(r *rite) bool {
	s := h.Barrier.Status()
	h.mu.Lock()
	defer h.mu.Unlock()
	r.look(s)
	return r.counts
}

// deliver gives each place its share of what was made for them, of the slot with that
// fingerprint; h.mu is held. Where they are not there it reports false, and whoever had
// them made wipes them.
func (r *rite) deliver(d seal.Delivery, fingerprint string) bool {
	i := slices.IndexFunc(d.Sets, func(s seal.ShareSet) bool { return s.Slot == r.slot && len(s.Shares) == len(r.places) })
	if i < 0 {
		return false
	}
	set := d.Sets[i]
	for i, p := range r.places {
		p.share = set.Shares[i]
		if i < len(set.Encrypted) {
			p.encrypted = set.Encrypted[i]
		}
		if i < len(set.Hints) {
			p.hint = set.Hints[i]
		}
	}
	r.set, r.fingerprint, r.made = set.Set, fingerprint, true
	r.verify = seal.OperationID(verifyPrefix + rand.Text())
	return true
}

// custodians are those of the new set.
func (r *rite) custodians() (out []seal.Custodian) {
	for _, p := range r.places {
		out = append(out, seal.Custodian{Name: p.name, Recipient: p.to})
	}
	return out
}

// spec is the shape of the new set.
func (r *rite) spec() seal.Shamir {
	return seal.Shamir{Shares: r.shares, Threshold: r.threshold, Custodians: r.custodians()}
}
