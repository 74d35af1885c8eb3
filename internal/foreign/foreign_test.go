package foreign_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/sealwright/sealwright/internal/foreign"
)

func TestLine(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"as it is", 8, "as it is"},
		{"", 8, ""},
		{"\x1b[2Jgone\x07", 80, "[2Jgone"},
		{"two\r\n\tlines\x00here", 80, "two lines here"},
		{"a\u202eb\u200bc\u2028d\u0085e", 80, "a b c d e"},
		{"\xffbad\xfe", 80, "\uFFFDbad\uFFFD"},
		{"longer than that", 6, "longer…"},
		{"ééé", 3, "é…"},
		{"é", 1, "…"},
		{"x", -1, "…"},
	} {
		if got := foreign.Line(c.in, c.limit); got != c.want {
			t.Errorf("Line(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                    "",
		"two  spaces, kept ":  "two  spaces, kept ",
		"é ü “quoted” 日本":     "é ü “quoted” 日本",
		"an escape \x1b[31m.": "an escape [31m.",
		"\xff":                "\uFFFD",
		"line\nline":          "line line",
	} {
		if got := foreign.Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestError(t *testing.T) {
	if err := foreign.Error(nil); err != nil {
		t.Error(err)
	}
	plain := errors.New("as it is")
	if err := foreign.Error(plain); err != plain {
		t.Error(err)
	}
	theirs := &fs.PathError{Op: "open", Path: "\x1b[2Ja\nb", Err: fs.ErrNotExist}
	err := foreign.Error(theirs)
	if found, ok := errors.AsType[*fs.PathError](err); !ok || found != theirs || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is another error", err)
	}
	if got, want := err.Error(), "open [2Ja b: file does not exist"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
