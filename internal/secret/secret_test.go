package secret_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/sealwright/sealwright/internal/secret"
	"github.com/sealwright/sealwright/internal/secret/secrettest"
)

const canary = "Canary-0f3kQ<that sings in no log"

// quiet is what does not suffice: a []byte with every redaction method there is.
type quiet []byte

func (quiet) String() string                 { return secret.Redacted }
func (quiet) Format(f fmt.State, _ rune)     { io.WriteString(f, secret.Redacted) }
func (quiet) LogValue() slog.Value           { return slog.StringValue(secret.Redacted) }
func (quiet) MarshalJSON() ([]byte, error)   { return nil, secret.ErrMarshal }
func (quiet) MarshalText() ([]byte, error)   { return nil, secret.ErrMarshal }
func (quiet) MarshalBinary() ([]byte, error) { return nil, secret.ErrMarshal }

type open[T any] struct{ Field T }
type closed[T any] struct{ field T }
type deep[T any] struct {
	*closed[T]
	name string
	more []closed[*T]
	any  any
}
type failure[T any] struct{ value T }

func (f *failure[T]) Error() string { return fmt.Sprintf("failed with %v", f.value) }

// shapes nests v in every way a caller might.
func shapes[T any](v T) map[string]any {
	return map[string]any{
		"itself":           v,
		"pointer":          &v,
		"exported field":   open[T]{v},
		"exported pointer": &open[*T]{&v},
		"unexported field": closed[T]{v},
		"unexported any":   closed[any]{v},
		"deep":             &deep[T]{&closed[T]{v}, "name", []closed[*T]{{&v}}, v},
		"slice":            []T{v},
		"map":              map[string]T{"key": v},
		"array in struct":  closed[[2]T]{[2]T{v, v}},
		"error":            &failure[T]{v},
		"error in field":   closed[error]{&failure[T]{v}},
	}
}

// leaks returns, for each sink, how many shapes of v leaked the canary in it.
func leaks[T any](v T) (bySink map[string]int, total int) {
	bySink = map[string]int{}
	search := secrettest.NewSearch(map[string][]byte{"canary": []byte(canary)})
	for _, shape := range shapes(v) {
		for sink, text := range secrettest.Sinks(shape) {
			bySink[sink] += 0
			if len(search.In(text)) > 0 {
				bySink[sink]++
				total++
			}
		}
	}
	return bySink, total
}

func TestSilentEverywhere(t *testing.T) {
	bySink, total := leaks(secret.New([]byte(canary)))
	for sink, n := range bySink {
		if n > 0 {
			t.Errorf("%s: %d shapes leak", sink, n)
		}
	}

	// The search must find a plain []byte in every sink that prints values,
	// and the redacted one in the verbs that reach unexported fields.
	control := "found"
	plain, _ := leaks([]byte(canary))
	redacted, _ := leaks(quiet(canary))
	for sink, n := range plain {
		if n == 0 && sink != "%T" {
			control = "missed"
			t.Errorf("control: a plain []byte was not found in %s", sink)
		}
	}
	for _, sink := range []string{"%v", "%x", "%p", "slog text"} {
		if redacted[sink] == 0 {
			control = "missed"
			t.Errorf("control: a []byte with redaction methods was not found in %s", sink)
		}
	}
	t.Logf("GUARANTEE 20 secret-types: sinks=%d shapes=%d leaks=%d control=%s",
		len(bySink), len(shapes(0)), total, control)
}

func TestEncodersRefuse(t *testing.T) {
	for _, shape := range []string{"itself", "exported field"} {
		for _, sink := range []string{"json", "xml", "gob"} {
			text := secrettest.Sinks(shapes(secret.New([]byte(canary)))[shape])[sink]
			if !bytes.Contains([]byte(text), []byte(secret.ErrMarshal.Error())) {
				t.Errorf("%s of %s: %q, want the words of ErrMarshal", sink, shape, text)
			}
		}
	}
	s := secret.New([]byte(canary))
	for name, encode := range map[string]func() ([]byte, error){
		"json": s.MarshalJSON, "text": s.MarshalText, "binary": s.MarshalBinary, "gob": s.GobEncode,
	} {
		if b, err := encode(); b != nil || !errors.Is(err, secret.ErrMarshal) {
			t.Errorf("%s: %q, %v; want nil, ErrMarshal", name, b, err)
		}
	}
}

func TestReveal(t *testing.T) {
	s := secret.New([]byte(canary))
	got := s.Reveal()
	if string(got) != canary {
		t.Fatal("Reveal returned other bytes")
	}
	clear(got)
	if string(s.Reveal()) != canary {
		t.Error("clearing what Reveal returned changed the secret")
	}
	if got := (secret.Bytes{}).Reveal(); got != nil {
		t.Errorf("the zero Bytes holds %d bytes", len(got))
	}
}

func TestWipe(t *testing.T) {
	b := []byte(canary)
	s := secret.New(b)
	twin := s
	s.Wipe()
	if !bytes.Equal(b, make([]byte, len(b))) {
		t.Error("Wipe left bytes in memory")
	}
	if s.Reveal() != nil || twin.Reveal() != nil {
		t.Error("a wiped secret still reveals bytes")
	}
	s.Wipe()
	secret.Bytes{}.Wipe()
}

func TestEqual(t *testing.T) {
	s, wiped := secret.New([]byte(canary)), secret.New([]byte(canary))
	wiped.Wipe()
	for name, tc := range map[string]struct {
		a, b secret.Bytes
		want bool
	}{
		"itself":         {s, s, true},
		"same bytes":     {s, secret.New([]byte(canary)), true},
		"other bytes":    {s, secret.New([]byte("B" + canary[1:])), false},
		"prefix":         {s, secret.New([]byte(canary[:9])), false},
		"wiped":          {s, wiped, false},
		"wiped to wiped": {wiped, wiped, false},
		"zero to zero":   {secret.Bytes{}, secret.Bytes{}, false},
	} {
		if got := tc.a.Equal(tc.b); got != tc.want {
			t.Errorf("%s: Equal = %v, want %v", name, got, tc.want)
		}
	}
}
