package named

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/sealwright/sealwright/internal/secret"
)

// A Secret is text that leaves in clear, such as an exported key. It shows nothing
// of itself in formatted text, logs and encodings, wherever it is nested. The zero
// Secret holds nothing.
type Secret struct {
	reveal func() string
}

func newSecret(text string) Secret { return Secret{func() string { return text }} }

// Reveal returns the text. It is the only way out.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Format writes that it is redacted, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, secret.Redacted) }

// LogValue returns that it is redacted.
func (Secret) LogValue() slog.Value { return slog.StringValue(secret.Redacted) }

// MarshalText returns an error; encoding/json and encoding/xml ask it.
func (Secret) MarshalText() ([]byte, error) { return nil, secret.ErrMarshal }

// GobEncode returns an error.
func (Secret) GobEncode() ([]byte, error) { return nil, secret.ErrMarshal }
