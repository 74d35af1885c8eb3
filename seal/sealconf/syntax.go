package sealconf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// What a configuration may have at most.
const (
	maxSize  = 1 << 20 // bytes
	maxDepth = 64      // brackets within brackets
)

// A value is a text, a list, or an object.
type value struct {
	kind  byte // '"', '[' or '{'
	text  string
	list  []value
	items []item
}

// An item is a field, or a block with its labels: the first name is the field's,
// or the block's type.
type item struct {
	names []string
	value value
	line  int
}

// parse reads HCL 1, or JSON where the first character is a brace, as Vault
// decides it. Errors hold nothing of the source, which may be a secret.
func parse(src []byte, filename string) ([]item, error) {
	if len(src) > maxSize {
		return nil, fmt.Errorf("%w: %s has %d bytes: at most %d are read", ErrConfig, filename, len(src), maxSize)
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	var items []item
	var err error
	var line int
	if bytes.HasPrefix(bytes.TrimLeft(src, " \t\r\n"), []byte("{")) {
		p := jsonParser{src: src, dec: json.NewDecoder(bytes.NewReader(src))}
		items, err = p.document()
		line = p.line()
	} else {
		p := parser{lex: lexer{src: src, line: 1}}
		items, err = p.document()
		line = p.tok.line
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s:%d: %w", ErrConfig, filename, line, err)
	}
	return items, nil
}

var errDeep = fmt.Errorf("it is nested too deeply for a configuration: at most %d brackets within brackets", maxDepth)

// A parser holds one token that it has not used yet.
type parser struct {
	lex   lexer
	tok   token
	depth int
}

func (p *parser) advance() (err error) {
	p.tok, err = p.lex.next()
	return err
}

func (p *parser) document() ([]item, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	return p.items(endToken)
}

// items reads fields and blocks up to the token that ends them. Commas between
// them may stand or not.
func (p *parser) items(end byte) ([]item, error) {
	var out []item
	for p.tok.kind != end {
		it, err := p.item()
		if err != nil {
			return nil, err
		}
		out = append(out, it)
		if p.tok.kind == ',' {
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// item reads name = value, or names and an object.
func (p *parser) item() (item, error) {
	it := item{line: p.tok.line}
	for p.tok.kind == identToken || p.tok.kind == textToken {
		it.names = append(it.names, p.tok.text)
		if err := p.advance(); err != nil {
			return it, err
		}
	}
	switch {
	case len(it.names) == 0 && p.tok.kind == endToken:
		return it, errors.New("the file ends within a block: is its closing brace missing?")
	case len(it.names) == 0:
		return it, errors.New("a field's name, or a block's type, is expected here")
	case p.tok.kind == '=' && len(it.names) == 1:
		if err := p.advance(); err != nil {
			return it, err
		}
	case p.tok.kind != '{':
		return it, errors.New("behind a field's name stands =, and behind a block's type and labels {")
	}
	var err error
	it.value, err = p.value()
	return it, err
}

func (p *parser) value() (value, error) {
	v := value{kind: '"', text: p.tok.text}
	var err error
	switch p.tok.kind {
	case textToken, numberToken, boolToken:
	case '{', '[':
		if p.depth++; p.depth > maxDepth {
			return v, errDeep
		}
		v.kind = p.tok.kind
		if err := p.advance(); err != nil {
			return v, err
		}
		if v.kind == '{' {
			v.items, err = p.items('}')
		} else {
			v.list, err = p.elements()
		}
		p.depth--
	case endToken:
		err = errors.New("the file ends where a value is expected")
	default:
		err = errors.New(`a value is a text in quotes, a number, true or false, a list in [], or an object in {}`)
	}
	if err != nil {
		return v, err
	}
	return v, p.advance()
}

// elements reads a list, behind whose last element a comma may stand.
func (p *parser) elements() ([]value, error) {
	var out []value
	for p.tok.kind != ']' {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if p.tok.kind == ']' {
			break
		}
		if p.tok.kind != ',' {
			return nil, errors.New("between the elements of a list stands a comma, and behind them ]")
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// A jsonParser makes of JSON what the same configuration in HCL would be.
type jsonParser struct {
	src   []byte
	dec   *json.Decoder
	depth int
}

func (p *jsonParser) line() int {
	return 1 + bytes.Count(p.src[:min(p.dec.InputOffset(), int64(len(p.src)))], []byte("\n"))
}

func (p *jsonParser) document() ([]item, error) {
	p.dec.UseNumber()
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return nil, errors.New("something stands behind the JSON's closing brace")
	}
	return v.items, nil
}

func (p *jsonParser) value() (value, error) {
	broken := errors.New("the file begins with a brace, and is no JSON")
	tok, err := p.dec.Token()
	if err != nil {
		return value{}, broken // the decoder quotes what it read
	}
	switch t := tok.(type) {
	case string:
		return value{kind: '"', text: t}, nil
	case json.Number:
		text, err := number10(t.String())
		return value{kind: '"', text: text}, err
	case bool:
		return value{kind: '"', text: fmt.Sprint(t)}, nil
	case nil:
		return value{kind: '"'}, nil
	}
	v := value{kind: byte(tok.(json.Delim))}
	if p.depth++; p.depth > maxDepth {
		return v, errDeep
	}
	for p.dec.More() {
		it := item{line: p.line()}
		if v.kind == '{' {
			name, err := p.dec.Token()
			if err != nil {
				return v, broken
			}
			it.names = []string{name.(string)}
		}
		if it.value, err = p.value(); err != nil {
			return v, err
		}
		if v.kind == '{' {
			v.items = append(v.items, it)
		} else {
			v.list = append(v.list, it.value)
		}
	}
	if _, err := p.dec.Token(); err != nil {
		return v, broken
	}
	p.depth--
	return v, nil
}
