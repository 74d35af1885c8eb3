package bech32m

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
)

var kinds = map[string]error{
	"length": ErrLength, "prefix": ErrPrefix, "character": ErrCharacter,
	"case": ErrCase, "checksum": ErrChecksum, "padding": ErrPadding,
}

// vectors returns the fields of each line of a file, the first one unquoted.
func vectors(t testing.TB, name string) [][]string {
	t.Helper()
	file, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for line := range strings.Lines(string(file)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if fields[0], err = strconv.Unquote(fields[0]); err != nil {
			t.Fatalf("%s: %v: %s", name, err, line)
		}
		out = append(out, append(fields, ""))
	}
	return out
}

func TestValid(t *testing.T) {
	for _, v := range vectors(t, "valid.txt") {
		prefix, data, err := Decode(v[0])
		if v[1] == "-" {
			if !errors.Is(err, ErrPadding) {
				t.Errorf("%s: %v, want ErrPadding", v[0], err)
			}
			if _, symbols, err := decodeSymbols(v[0]); err != nil || len(symbols) != 82 {
				t.Errorf("%s: %d symbols, %v", v[0], len(symbols), err)
			}
			continue
		}
		if err != nil || hex.EncodeToString(data) != v[1] {
			t.Errorf("%s: %x, %v; want %s", v[0], data, err, v[1])
			continue
		}
		if back, err := Encode(prefix, data); err != nil || back != strings.ToLower(v[0]) {
			t.Errorf("encoded again: %s, %v; want %s", back, err, v[0])
		}
	}
}

func TestInvalid(t *testing.T) {
	for _, v := range vectors(t, "invalid.txt") {
		prefix, data, err := Decode(v[0])
		if prefix != "" || data != nil || !errors.Is(err, kinds[v[1]]) || kinds[v[1]] == nil {
			t.Errorf("%q: %q, %x, %v; want %s", v[0], prefix, data, err, v[1])
		}
	}
}

func TestSegwit(t *testing.T) {
	for _, v := range vectors(t, "segwit.txt") {
		_, symbols, err := decodeSymbols(v[0])
		var program []byte
		if err == nil {
			if got := strconv.Itoa(int(symbols[0])); got != v[1] {
				t.Errorf("%s: version %s, want %s", v[0], got, v[1])
			}
			program, err = toBytes(symbols[1:])
		}
		if kind, wantErr := kinds[v[2]]; wantErr && !errors.Is(err, kind) {
			t.Errorf("%s: %v, want %v", v[0], err, kind)
		} else if !wantErr && (err != nil || hex.EncodeToString(program) != v[2]) {
			t.Errorf("%s: %x, %v; want %s", v[0], program, err, v[2])
		}
	}
}

func TestCharacterPosition(t *testing.T) {
	text, err := Encode("sw", []byte("some bytes"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(text) {
		for _, bad := range []string{"b", " ", "\xff", "?"} {
			if i < len("sw1") && bad != " " && bad != "\xff" {
				continue // a prefix may have these
			}
			_, _, err := Decode(text[:i] + bad + text[i+1:])
			var at *CharacterError
			if !errors.Is(err, ErrCharacter) || !errors.As(err, &at) || at.Position != i+1 {
				t.Errorf("%q at %d: %v", bad, i+1, err)
			}
			if want := "at position " + strconv.Itoa(i+1); err != nil && !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		prefix string
		bytes  int
		want   error
	}{
		"no prefix":           {"", 1, ErrPrefix},
		"upper case prefix":   {"Sw", 1, ErrPrefix},
		"space in prefix":     {"s w", 1, ErrPrefix},
		"prefix beyond ASCII": {"sé", 1, ErrPrefix},
		"90 characters":       {"swt", 50, nil},
		"91 characters":       {"sw", 51, ErrLength},
		"endless":             {"sw", 1 << 20, ErrLength},
	} {
		if text, err := Encode(tc.prefix, make([]byte, tc.bytes)); !errors.Is(err, tc.want) || (err == nil) != (text != "") {
			t.Errorf("%s: %q, %v; want %v", name, text, err, tc.want)
		}
	}
}

// The scans that replace table lookups must agree with the tables.
func TestScans(t *testing.T) {
	for i := range 256 {
		c := byte(i)
		index := strings.IndexByte(alphabet, c)
		v, ok := value(c)
		if (index >= 0) != (ok == 1) || index >= 0 && int(v) != index {
			t.Errorf("value(%q) = %d, %d; want %d", c, v, ok, index)
		}
		if got, want := between(c, 'A', 'Z') == 1, 'A' <= c && c <= 'Z'; got != want {
			t.Errorf("between(%q) = %v", c, got)
		}
	}
	for i := range len(alphabet) {
		if c := character(byte(i)); c != alphabet[i] {
			t.Errorf("character(%d) = %q, want %q", i, c, alphabet[i])
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"valid.txt", "invalid.txt", "segwit.txt"} {
		for _, v := range vectors(f, name) {
			f.Add(v[0])
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		prefix, data, err := Decode(text)
		if err != nil {
			return
		}
		// What is accepted is the one way to write its data, case apart.
		if back, err := Encode(prefix, data); err != nil || back != strings.ToLower(text) {
			t.Errorf("%q decodes to %q, %x, which encodes to %q, %v", text, prefix, data, back, err)
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add("sw", []byte("fifty"))
	f.Fuzz(func(t *testing.T, prefix string, data []byte) {
		text, err := Encode(prefix, data)
		if err != nil {
			return
		}
		if p, d, err := Decode(text); err != nil || p != prefix || !bytes.Equal(d, data) {
			t.Errorf("%q, %x comes back as %q, %x, %v", prefix, data, p, d, err)
		}
	})
}
