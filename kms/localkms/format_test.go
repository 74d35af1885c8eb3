package localkms

import (
	"bytes"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// with returns a file of the given lines, with a right check.
func with(lines ...string) []byte {
	body := []byte(strings.Join(lines, ""))
	return append(body, checkLine(body)...)
}

var (
	key1 = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32))
	key2 = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{2}, 32))
)

func TestParse(t *testing.T) {
	one, two := "1 "+key1+"\n", "2 "+key2+"\n"
	good := with(header, one, two)
	for name, test := range map[string]struct {
		data []byte
		want error
	}{
		"one":                 {with(header, one), nil},
		"two":                 {good, nil},
		"empty":               {nil, errOtherFile},
		"another file":        {[]byte("-----BEGIN"), errOtherFile},
		"magic alone":         {[]byte(magic), errOtherFile},
		"no version":          {[]byte(magic + "x\n"), errOtherFile},
		"newer":               {with(magic+"2\n", one), errNewer},
		"eleven":              {with(magic+"11\n", one), errNewer},
		"header alone":        {[]byte(header), errDamaged},
		"no key":              {with(header), errDamaged},
		"no check":            {[]byte(header + one + strings.Repeat("x", checkSize)), errDamaged},
		"cut":                 {good[:len(good)-1], errDamaged},
		"longer":              {append(bytes.Clone(good), '\n'), errDamaged},
		"no 1":                {with(header, two), errDamaged},
		"a gap":               {with(header, one, "3 "+key2+"\n"), errDamaged},
		"1 twice":             {with(header, one, one), errDamaged},
		"01":                  {with(header, "01 "+key1+"\n"), errDamaged},
		"no space":            {with(header, "1"+key1+"\n"), errDamaged},
		"carriage return":     {with(header, "1 "+key1+"\r\n"), errDamaged},
		"a break in the key":  {with(header, "1 "+key1[:40]+"\r"+key1[41:]+"\n"), errDamaged},
		"a short key":         {with(header, "1 "+key1[:40]+"\n"), errDamaged},
		"a longer key":        {with(header, "1 "+base64.StdEncoding.EncodeToString(make([]byte, 33))+"\n"), errDamaged},
		"31 bytes":            {with(header, "1 "+base64.StdEncoding.EncodeToString(make([]byte, 31))+"\n"), errDamaged},
		"no base64":           {with(header, "1 "+strings.Repeat("!", 44)+"\n"), errDamaged},
		"loose trailing bits": {with(header, "1 "+key1[:42]+"F=\n"), errDamaged},
		"no end of line":      {with(header, "1 "+key1), errDamaged},
		"an empty line":       {with(header, one, "\n"), errDamaged},
		"too long":            {with(header, strings.Repeat(one, 2000)), errDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := parse(test.data)
			if !errors.Is(err, test.want) || (f == nil) != (err != nil) {
				t.Errorf("parse: %v, want %v", err, test.want)
			}
			if err == nil && !bytes.Equal(f.encode(), test.data) {
				t.Error("what was read is written otherwise")
			}
		})
	}
}

func TestParseDamaged(t *testing.T) {
	f := new(keyFile)
	for range 3 {
		f.addVersion()
	}
	good := f.encode()
	wrong := 0
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if _, err := parse(bad); err == nil {
				wrong++
			}
		}
		if _, err := parse(good[:i]); err == nil {
			wrong++
		}
	}
	if wrong != 0 {
		t.Errorf("%d damaged files were read", wrong)
	}
	t.Logf("GUARANTEE 27 localkms-damage: files=%d read=%d", 9*len(good), wrong)
}

func TestVersionsAreBounded(t *testing.T) {
	f := new(keyFile)
	for range maxVersions {
		f.addVersion()
	}
	data := f.encode()
	if got, err := parse(data); err != nil || len(got.keys) != maxVersions || got.id != f.id {
		t.Errorf("%d versions, %d bytes: %v", maxVersions, len(data), err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := New(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	err = w.Rotate(t.Context())
	if err == nil || !strings.Contains(err.Error(), "1000 versions already: create another, and move to it") {
		t.Errorf("Rotate: %v", err)
	}
	f.addVersion()
	if _, err := parse(f.encode()); !errors.Is(err, errDamaged) {
		t.Errorf("%d versions: %v", len(f.keys), err)
	}
}

func FuzzParse(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "v1.key"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add(with(header, "1 "+key1+"\n"))
	f.Add([]byte(magic + "2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, with(header, string(data))} {
			k, err := parse(data)
			if err == nil && !bytes.Equal(k.encode(), data) {
				t.Error("what was read is written otherwise")
			}
		}
	})
}
