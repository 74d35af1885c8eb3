package seal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/internal/foreign"
	"github.com/sealwright/sealwright/internal/record"
)

// A Custodian is a person who is to hold a share.
type Custodian struct {
	// Name stands in the record, in Status and in events, so that those who
	// come to unseal know whom to call, in the form of [By] Actor.
	Name string

	// Recipient, if set, encrypts the share on its way: the host never shows
	// it in clear.
	Recipient Recipient
}

// A Recipient encrypts a share to its custodian, as with age or OpenPGP.
type Recipient interface {
	// Encrypt returns the text of a share, as [Share.Reveal] gives it,
	// encrypted so that its custodian alone can read it, with the tool that
	// they have. It keeps no copy. All recipients of a slot have a minute
	// together: one that hangs, as a plugin may that waits for somebody, is
	// given up on, and what was to be made is not.
	Encrypt(ctx context.Context, share string) ([]byte, error)
}

// custodiansOf returns the custodians of each people leaf, by its path.
func custodiansOf(s Spec, path string, out map[string][]Custodian) error {
	switch s := s.(type) {
	case Shamir:
		if len(s.Custodians) == 0 {
			return nil
		}
		if len(s.Custodians) != s.Shares {
			return fmt.Errorf("%w: %d custodians for %d shares", ErrConfig, len(s.Custodians), s.Shares)
		}
		people := slices.Clone(s.Custodians)
		for i := range people {
			people[i].Name = record.Person(people[i].Name)
		}
		out[path] = people
	case Threshold:
		for i, child := range s.Of {
			if err := custodiansOf(child, record.ChildPath(path, i), out); err != nil {
				return err
			}
		}
	}
	return nil
}

// A Hinter is a [Recipient] whose holder has to know something to open the share,
// such as which version of their tool it takes.
type Hinter interface {
	// Hint returns a sentence for the holder; "" if there is nothing to say.
	Hint() string
}

func hintOf(r Recipient) (hint string) {
	h, ok := r.(Hinter)
	if !ok || bounded.Guard(func() error { hint = h.Hint(); return nil }) != nil {
		return ""
	}
	return foreign.Line(hint, 200)
}

// addressTime bounds the encryption of the shares of a slot.
const addressTime = time.Minute

// address names the share's custodian in the set, and encrypts the share to
// them.
func (set *ShareSet) address(ctx context.Context, i int, c Custodian) error {
	set.Custodians = append(set.Custodians, c.Name)
	set.Hints = append(set.Hints, hintOf(c.Recipient))
	if c.Recipient == nil {
		set.Encrypted = append(set.Encrypted, nil)
		return nil
	}
	text := set.Shares[i].Reveal()
	sealed, err := bounded.Call(ctx, func(ctx context.Context) ([]byte, error) { return c.Recipient.Encrypt(ctx, text) }, nil)
	if err != nil {
		return fmt.Errorf("%w: share %d, to %q: %w", ErrRecipient, i+1, c.Name, err)
	}
	set.Encrypted = append(set.Encrypted, sealed)
	set.Shares[i].Wipe()
	set.Shares[i] = Share{}
	return nil
}
