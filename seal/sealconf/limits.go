package sealconf

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// What a configuration may have at most. The parser recurses once for each
// level and each operator, without a bound of its own, and a stack that
// overflows ends the process; and its time grows with the square of the lines of
// a text.
const (
	maxSize      = 1 << 20 // bytes
	maxDepth     = 64      // brackets within brackets
	maxOperators = 1000    // outside of strings and comments; plain values have none
	maxTexts     = 10000   // texts in quotes, and lines of texts of several lines
)

// bounded returns an error for a configuration that is too large or too deep to
// be given to the parser.
func bounded(src []byte, filename string, json bool) error {
	if len(src) > maxSize {
		return fmt.Errorf("%w: %s has %d bytes: at most %d are read", ErrConfig, filename, len(src), maxSize)
	}
	depth, deepest, operators, texts := 0, 0, 0, 0
	open := func() { depth++; deepest = max(deepest, depth) }
	if json {
		nesting(src, open, func() { depth-- })
	} else {
		tokens, _ := hclsyntax.LexConfig(src, filename, hcl.InitialPos) // the parser tells what is wrong
		for _, t := range tokens {
			switch t.Type {
			case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp,
				hclsyntax.TokenTemplateControl, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
				open()
			case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd,
				hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
				depth--
			case hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenPlus, hclsyntax.TokenStar, hclsyntax.TokenSlash,
				hclsyntax.TokenPercent, hclsyntax.TokenQuestion, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenEqualOp,
				hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq, hclsyntax.TokenGreaterThan,
				hclsyntax.TokenGreaterThanEq:
				operators++
			case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
				texts++
			}
		}
	}
	if deepest > maxDepth || operators > maxOperators || texts > maxTexts {
		return fmt.Errorf("%w: %s is nested too deeply, or has too many operators or lines of text, for a configuration", ErrConfig, filename)
	}
	return nil
}

// nesting calls open and shut for the brackets of a JSON text, outside of its
// strings.
func nesting(src []byte, open, shut func()) {
	quoted := false
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			open()
		case c == '}' || c == ']':
			shut()
		}
	}
}
