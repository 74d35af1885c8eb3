package record_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/testlevel"
)

func TestParse(t *testing.T) {
	s := full(t).State
	stored := storedBytes(t, &s)
	r, clear, sealed, err := record.Parse(stored)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&s.Record, r); d != "" {
		t.Errorf("a record reads back otherwise (-written +read):\n%s", d)
	}
	if !bytes.Equal(sealed, sealedPart) || !bytes.Equal(record.Assemble(clear, sealed), stored) {
		t.Error("the parts are not those of the record")
	}
	if record.DigestOf(stored) == record.DigestOf(clear) {
		t.Error("the digest of a record leaves out its sealed part")
	}
}

// small is a short record, for tests that try everything.
func small(t testing.TB) []byte {
	h := &history{t, initialized(t, named{"p", onePerson})}
	h.prove("p", record.Initial, "")
	return storedBytes(t, &h.State)
}

// TestParseEveryByte changes each byte of a stored record to each other value.
// What Parse still takes has other clear or sealed bytes, so that opening the
// sealed part, which authenticates both, tells.
func TestParseEveryByte(t *testing.T) {
	stored := small(t)
	_, clear, sealed, err := record.Parse(stored)
	if err != nil {
		t.Fatal(err)
	}
	refused, told := 0, 0
	changed := bytes.Clone(stored)
	for i := range stored {
		for v := range 256 {
			if byte(v) == stored[i] || !testlevel.Whole() && v&(v-1) != 0 || testing.Short() && (i+v)%5 != 0 {
				continue
			}
			changed[i] = byte(v)
			_, c, s, err := record.Parse(changed)
			switch {
			case err == nil && bytes.Equal(c, clear) && bytes.Equal(s, sealed):
				t.Fatalf("byte %d as %#x makes no difference", i, v)
			case err == nil:
				told++
			case errors.Is(err, record.ErrMalformed), errors.Is(err, record.ErrNewer):
				refused++
			default:
				t.Fatalf("byte %d as %#x: %v", i, v, err)
			}
		}
		changed[i] = stored[i]
	}
	for i := range stored {
		if testing.Short() && i%5 != 0 {
			continue
		}
		if _, _, _, err := record.Parse(stored[:i]); !errors.Is(err, record.ErrMalformed) {
			t.Fatalf("the first %d bytes: %v", i, err)
		}
	}
	if testing.Short() {
		t.Logf("of a sample: changes=%d", refused+told)
		return
	}
	t.Logf("GUARANTEE 27 record-parse: bytes=%d changes=%d refused=%d told_by_the_sealed_part=%d unnoticed=0 truncations_accepted=0",
		len(stored), refused+told, refused, told)
}

// TestParseOtherForms: what means the same in JSON is not the same record.
func TestParseOtherForms(t *testing.T) {
	full := full(t).State
	stored := string(storedBytes(t, &full))
	replace := func(old, new string) string {
		t.Helper()
		if !strings.Contains(stored, old) {
			t.Fatalf("no %s in the record", old)
		}
		return strings.Replace(stored, old, new, 1)
	}
	sealed := `"sealed":"` + base64.StdEncoding.EncodeToString(sealedPart) + `"`
	const notCanonical = "not in canonical form"
	for _, tt := range []struct{ name, stored, says string }{
		{"space before", " " + stored, notCanonical},
		{"space within", replace(`{"format":1`, `{ "format":1`), notCanonical},
		{"indentation", strings.ReplaceAll(stored, `,"`, ",\n\""), notCanonical},
		{"no line feed", strings.TrimSuffix(stored, "\n"), "the line feed at its end is gone"},
		{"carriage return", strings.TrimSuffix(stored, "\n") + "\r\n", "ends in a carriage return"},
		{"two line feeds", stored + "\n", "one line feed too many"},
		{"three line feeds", stored + "\n\n", notCanonical},
		{"a byte order mark", "\ufeff" + stored, "invalid character"},
		{"a second record behind", stored + stored, "bytes behind the record"},
		{"a word behind", stored + "x", "bytes behind the record"},
		{"fields in another order", replace(`"format":1,"min_reader":1`, `"min_reader":1,"format":1`), notCanonical},
		{"the sealed part in front", strings.Replace(replace(","+sealed, ""), `{"format"`, "{"+sealed+`,"format"`, 1), notCanonical},
		{"a key twice", replace(`"format":1`, `"format":1,"format":1`), notCanonical},
		{"the sealed part twice", replace(sealed, sealed+","+sealed), notCanonical},
		{"a key in upper case", replace(`"format"`, `"Format"`), notCanonical},
		{"a key with an escape", replace(`"format"`, `"f\u006frmat"`), notCanonical},
		{"a text with an escape", replace(`"name":"people"`, `"name":"p\u0065ople"`), notCanonical},
		{"an escaped slash", replace(`key/a`, `key\/a`), notCanonical},
		{"an unknown field", replace(`"format":1`, `"format":1,"colour":"red"`), `unknown field "colour"`},
		{"an unknown field in a slot", replace(`"state"`, `"colour":1,"state"`), `unknown field "colour"`},
		{"a field that is empty", replace(`"last_set":4`, `"last_set":4,"previous":""`), notCanonical},
		{"a field that is null", replace(`"version":"1"`, `"version":null`), notCanonical},
		{"a leading zero", replace(`"root":2`, `"root":02`), "invalid character"},
		{"an exponent", replace(`"root":2`, `"root":2e0`), "cannot unmarshal number"},
		{"a negative number", replace(`"root":2`, `"root":-2`), "cannot unmarshal number"},
		{"a number that is too large", replace(`"root":2`, `"root":4294967296`), "cannot unmarshal number"},
		{"a number as text", replace(`"root":2`, `"root":"2"`), "cannot unmarshal string"},
		{"upper-case hex", replace(`"store":"00112233445566778899aabbccddeeff"`, `"store":"00112233445566778899AABBCCDDEEFF"`), "lower-case hex"},
		{"upper-case hex in a digest", upperDigest(stored), notCanonical},
		{"half a byte of hex", replace(`"fingerprint":"`, `"fingerprint":"0`), "odd length"},
		{"no hex", replace(`"fingerprint":"`, `"fingerprint":"zz`), "invalid byte"},
		{"base64 without padding", replace(strings.TrimSuffix(sealed, `"`), strings.TrimRight(strings.TrimSuffix(sealed, `"`), "=")), ""},
		{"base64 with spare bits", spareBits(stored), notCanonical},
		{"base64 with a line break", replace(`"sealed":"`, `"sealed":"\n`), notCanonical},
		{"base64url", replace(sealed, `"sealed":"-_-_"`), "illegal base64"},
		{"invalid UTF-8", replace(`key/a`, "key/\xff"), notCanonical},
		{"no sealed part", replace(","+sealed, ""), notCanonical},
		{"nothing", "", "EOF"},
		{"null", "null\n", notCanonical},
		{"an array", "[" + stored + "]", "cannot unmarshal array"},
		{"an empty object", "{}\n", notCanonical},
		{"an object cut short", "{", "unexpected EOF"},
		{"not JSON", "record\n", "invalid character"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, clear, sealed, err := record.Parse([]byte(tt.stored))
			if r != nil || clear != nil || sealed != nil {
				t.Error("a record was read")
			}
			if !errors.Is(err, record.ErrMalformed) || errors.Is(err, record.ErrNewer) {
				t.Errorf("no ErrMalformed: %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q does not say %q", err, tt.says)
			}
		})
	}
}

func upperDigest(stored string) string {
	head, rest, _ := strings.Cut(stored, `"previous":"`)
	return head + `"previous":"` + strings.ToUpper(rest[:64]) + rest[64:]
}

// spareBits sets the bits of the last base64 character that carry nothing.
func spareBits(stored string) string {
	i := strings.LastIndex(stored, `="`)
	for stored[i-1] == '=' {
		i--
	}
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return stored[:i-1] + string(digits[strings.IndexByte(digits, stored[i-1])+1]) + stored[i:]
}

// TestParseNewer: a record that needs newer code is told from a damaged one,
// whatever it holds.
func TestParseNewer(t *testing.T) {
	stored := string(small(t))
	newer := strings.Replace(stored, `"format":1,"min_reader":1`, `"format":3,"min_reader":3`, 1)
	for _, tt := range []struct {
		name, stored string
		newer        bool
	}{
		{"the same fields", newer, true},
		{"a new field", strings.Replace(newer, `"root"`, `"colour":"red","root"`, 1), true},
		{"a field of another type", strings.Replace(newer, `"root":1`, `"root":"one"`, 1), true},
		{"nothing else", `{"min_reader":7}`, true},
		{"a newer record that old code may read", strings.Replace(stored, `"format":1`, `"format":2`, 1), false},
		{"a newer record cut short", newer[:len(newer)-3], false},
		{"a reader number that is none", strings.Replace(newer, `"min_reader":3`, `"min_reader":"3"`, 1), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, _, err := record.Parse([]byte(tt.stored))
			if errors.Is(err, record.ErrNewer) != tt.newer {
				t.Errorf("%v", err)
			}
			if tt.newer && !strings.Contains(err.Error(), "this one reads up to 2: upgrade the program") {
				t.Errorf("%q does not say what to do", err)
			}
		})
	}
	if _, _, _, err := record.Parse([]byte(strings.Replace(stored, `"format":1`, `"format":2`, 1))); err != nil {
		t.Errorf("a record of format 2 that says reader 1 is refused: %v", err)
	}
}

// TestParseAllocation: what a hostile record makes a reader allocate is bounded
// by its length, whatever numbers stand in it.
func TestParseAllocation(t *testing.T) {
	const perByte = 32
	size := 256 << 10
	if testing.Short() {
		size = 32 << 10
	}
	fill := func(head, unit, tail string) []byte {
		return []byte(head + strings.Repeat(unit, (size-len(head)-len(tail))/len(unit)) + tail)
	}
	worst, worstName := 0.0, ""
	for name, stored := range map[string][]byte{
		"slots of nothing":    fill(`{"slots":[0`, `,0`, `]}`),
		"slots":               fill(`{"slots":[{}`, `,{}`, `]}`),
		"slots, again":        fill(`{"slots":[]`, `,"slots":[{},{}]`, `}`),
		"commitments":         fill(`{"slots":[{"tree":{"shamir":{"commitments":[""`, `,""`, `]}}}]}`),
		"children":            fill(`{"slots":[{"tree":{"threshold":{"of":[{}`, `,{}`, `]}}}]}`),
		"levels":              fill(`{"slots":[{"tree":`, `{"threshold":{"of":[`, ``),
		"goals":               fill(`{"operation":{"desired":[{}`, `,{}`, `]}}`),
		"specs":               fill(`{"operation":{"desired":[{"spec":`, `{"of":[`, ``),
		"former sets":         fill(`{"former":[{}`, `,{}`, `]}`),
		"brackets":            fill(`{"slots":`, `[`, ``),
		"unknown fields":      fill(`{"x":0`, `,"x":0`, `}`),
		"a long name":         fill(`{"slots":[{"name":"`, `a`, `"}]}`),
		"escapes":             fill(`{"slots":[{"name":"`, `\u0061`, `"}]}`),
		"a long number":       fill(`{"generation":`, `9`, `}`),
		"a long sealed part":  fill(`{"sealed":"`, `AAAA`, `"}`),
		"a long fingerprint":  fill(`{"slots":[{"fingerprint":"`, `00`, `"}]}`),
		"kms leaves":          fill(`{"slots":[{"tree":{"threshold":{"of":[{"kms":{}}`, `,{"kms":{}}`, `]}}}]}`),
		"a newer record":      fill(`{"min_reader":3,"slots":[{}`, `,{}`, `],"x":1}`),
		"min_reader, often":   fill(`{"x":1`, `,"min_reader":1`, `}`),
		"slots of everything": fill(`{"slots":[{"proven":{},"tree":{"kms":{},"shamir":{},"threshold":{}}}`, `,{"proven":{},"tree":{"kms":{},"shamir":{},"threshold":{}}}`, `]}`),
	} {
		var err error
		n := allocated(func() { _, _, _, err = record.Parse(stored) })
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if ratio := float64(n) / float64(len(stored)); ratio > worst {
			worst, worstName = ratio, name
		}
	}
	if worst > perByte {
		t.Errorf("%s: %.0f bytes allocated for each byte read", worstName, worst)
	}
	// A small input that names large numbers.
	for _, stored := range []string{
		`{"generation":18446744073709551615,"last_slot":4294967295,"last_set":4294967295}`,
		`{"slots":[{"tree":{"shamir":{"shares":2147483647,"threshold":2147483647}}}]}`,
	} {
		if n := allocated(func() { record.Parse([]byte(stored)) }); n > 64<<10 {
			t.Errorf("%s: %d bytes allocated", stored, n)
		}
	}
	if testing.Short() {
		t.Logf("of small records: allocated_bytes_per_byte_at_most=%.0f (%s)", worst, worstName)
		return
	}
	t.Logf("GUARANTEE 27 record-allocation: hostile_forms=20 allocated_bytes_per_byte_at_most=%.0f (%s)", worst, worstName)
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestParseRefusesAtOnce: the errors of a record as long as a store may keep
// show neither much of it nor any of the sealed part.
func TestParseErrorsAreShort(t *testing.T) {
	s := full(t).State
	long := strings.Repeat("x", 1<<20)
	if testing.Short() {
		long = long[:1<<14]
	}
	for name, change := range map[string]func(*record.Record){
		"slot name":       func(r *record.Record) { r.Slots[0].Name = long },
		"slot state":      func(r *record.Record) { r.Slots[0].State = long },
		"store":           func(r *record.Record) { r.Store = long },
		"operation kind":  func(r *record.Record) { r.Operation.Kind = long },
		"operation actor": func(r *record.Record) { r.Operation.Actor = long },
		"goal":            func(r *record.Record) { r.Operation.Desired[0].Name = long },
		"key id":          func(r *record.Record) { r.Slots[0].Tree.KMS.Blob.KeyID = long },
	} {
		r := deepCopy(t, &s.Record)
		change(r)
		clear, err := r.Clear()
		if err != nil {
			t.Fatal(err)
		}
		_, _, _, err = record.Parse(record.Assemble(clear, sealedPart))
		if !errors.Is(err, record.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(fmt.Sprint(err)); n > 600 {
			t.Errorf("%s: an error of %d bytes", name, n)
		}
	}
}

func deepCopy(t testing.TB, r *record.Record) *record.Record {
	t.Helper()
	s := record.State{Record: *r}
	out, _, _, err := record.Parse(storedBytes(t, &s))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
