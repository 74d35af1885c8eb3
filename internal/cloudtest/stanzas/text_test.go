package stanzas_test

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal/sealconf"
)

// The first stanza of sealconf's package text was refused by sealconf.
func TestPackageText(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../../seal/sealconf/sealconf.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	text := file.Doc.Text()
	_, rest, _ := strings.Cut(text, "\tseal ")
	stanza, _, ok := strings.Cut(rest, "\n\t}\n")
	if !ok {
		t.Fatal("the package text has no stanza")
	}
	setup := build(t, "seal "+stanza+"\n}\n", sealconf.Options{Providers: (&configs{}).providers()})
	if setup.KMS["azurekeyvault"] == nil {
		t.Error("no wrapper")
	}
	for _, p := range (&configs{}).providers() {
		if !strings.Contains(text, "\t"+p.Type) {
			t.Errorf("%s is not in the package text", p.Type)
		}
	}
}
