package paper

import (
	_ "embed"
	"html/template"
)

//go:embed sheet.html
var sheetText string

var sheet = template.Must(template.New("sheet").Parse(sheetText))
