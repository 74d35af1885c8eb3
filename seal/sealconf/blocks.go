package sealconf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Block is another block of a configuration than a seal stanza, such as
// storage "file" { … }. Its values may be secrets: it prints without them.
type Block struct {
	Label string // "" if it has none
	Where string // file and line, for errors

	fields map[string]func() string
	lists  map[string]func() []string
	others map[string]bool // objects, blocks, lists of such
}

// Blocks reads the blocks of one name, in any case, of a configuration that
// [Parse] reads too, so that a host needs no second parser for its own. In JSON
// each label is a block.
func Blocks(src []byte, filename, name string) ([]Block, error) {
	items, err := parse(src, filename)
	if err != nil {
		return nil, err
	}
	var out []Block
	for _, it := range items {
		if !strings.EqualFold(it.names[0], name) {
			continue
		}
		objects, err := it.value.objects()
		if err != nil {
			return nil, fmt.Errorf("%w: %s:%d: %s is a block: %s { fields }", ErrConfig, filename, it.line, name, name)
		}
		for _, object := range objects {
			found, err := blocksOf(it, object, filename)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
	}
	return out, nil
}

// blocksOf returns the block that an object is; or the blocks in it, where all
// its members are objects, as labels are in JSON.
func blocksOf(it item, object []item, filename string) ([]Block, error) {
	b := Block{Where: fmt.Sprintf("%s:%d", filename, it.line), fields: map[string]func() string{}, lists: map[string]func() []string{}, others: map[string]bool{}}
	switch {
	case len(it.names) > 2:
		return nil, fmt.Errorf("%w: %s: a block has one label", ErrConfig, b.Where)
	case len(it.names) == 2:
		b.Label = it.names[1]
	case len(object) > 0 && !slices.ContainsFunc(object, func(m item) bool { return m.value.kind == '"' }):
		var out []Block
		for _, member := range object {
			objects, err := member.value.objects()
			if err != nil {
				return nil, fmt.Errorf("%w: %s: its members are blocks", ErrConfig, b.Where)
			}
			for _, o := range objects {
				found, err := blocksOf(item{names: []string{it.names[0], member.names[0]}, line: member.line}, o, filename)
				if err != nil {
					return nil, err
				}
				out = append(out, found...)
			}
		}
		return out, nil
	}
	for _, f := range object {
		name := f.names[0]
		if b.fields[name] != nil || b.lists[name] != nil {
			return nil, fmt.Errorf("%w: %s: %s stands twice", ErrConfig, b.Where, name)
		}
		texts, err := f.value.texts()
		switch {
		case err != nil || len(f.names) > 1:
			b.others[name] = true
		case f.value.kind == '"':
			b.fields[name] = func() string { return f.value.text }
		default:
			b.lists[name] = func() []string { return slices.Clone(texts) }
		}
	}
	return []Block{b}, nil
}

// Text returns a field as it is written, without its quotes; "" if there is none.
func (b Block) Text(field string) string {
	if f := b.fields[field]; f != nil {
		return f()
	}
	return ""
}

// List returns a field that is a list of texts; nil if there is none.
func (b Block) List(field string) []string {
	if f := b.lists[field]; f != nil {
		return f()
	}
	return nil
}

// Fields returns the names of all fields, in order, also of those that neither
// Text nor List knows: objects, and blocks within the block.
func (b Block) Fields() []string {
	names := slices.Collect(maps.Keys(b.fields))
	names = slices.AppendSeq(names, maps.Keys(b.lists))
	names = slices.AppendSeq(names, maps.Keys(b.others))
	slices.Sort(names)
	return names
}

// String returns label and place.
func (b Block) String() string { return fmt.Sprintf("block %q %s", b.Label, b.Where) }
