package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

type exportCmd struct {
	SQL   exportSQLCmd   `cmd:"" name:"sql" help:"Columns of a SQL table, as lines of JSON."`
	Bolt  exportBoltCmd  `cmd:"" name:"bolt" help:"A bucket of a bbolt file, as lines of JSON."`
	Files exportFilesCmd `cmd:"" name:"files" help:"Files that hold one ciphertext or stream each, into a directory."`
}

// An exported counts what was exported. It is what --json prints.
type exported struct {
	Items  int    `json:"items"`  // decrypted
	Empty  int    `json:"empty"`  // that hold nothing
	Failed int    `json:"failed"` // each stands in the output with its error
	Out    string `json:"out"`
	Error  string `json:"error,omitempty"`
}

var errFailed = errors.New("not every value could be decrypted")

// tell says how an export went. The counts go to standard output only where the
// plaintext does not.
func (a *app) tell(e exported, slot string) error {
	a.say("exported %d values to %s, by slot %s; %d are empty, %d failed", e.Items, e.Out, slot, e.Empty, e.Failed)
	var err error
	if e.Failed > 0 {
		err = fmt.Errorf("%w: %d of %d: their lines say why", errFailed, e.Failed, e.Items+e.Failed)
		e.Error = err.Error()
	}
	if a.cli.JSON && e.Out != standardOutput {
		if err := a.print(e); err != nil {
			return err
		}
		if err != nil {
			a.say("sealwright: %v", err)
			return errTold
		}
	}
	return err
}

const standardOutput = "standard output"

func (s *sink) String() string {
	if s.file == nil {
		return standardOutput
	}
	return s.name
}

// lines writes the items of a source as lines of JSON. Name says what stands in a
// line for an item, in the members before its value.
func lines(ctx context.Context, b *seal.Barrier, src migrate.Source, out *sink, name func(line []byte, item *migrate.Item) []byte) (exported, error) {
	e := exported{Out: out.String()}
	line := make([]byte, 0, 64<<10)
	defer func() { clear(line[:cap(line)]) }()
	for after := ""; ; {
		page, err := page(ctx, src, after)
		if err != nil {
			return e, fmt.Errorf("after %d values: %w", e.Items, err)
		}
		if len(page) == 0 {
			return e, nil
		}
		for i := range page {
			item := &page[i]
			line = append(name(append(line[:0], '{'), item), ',')
			if len(item.Ciphertext) == 0 {
				e.Empty++
				line = append(line, `"empty":true`...)
			} else if plain, err := decrypt(b, item.Ciphertext, item.AAD); err != nil {
				e.Failed++
				line = appendText(append(line, `"error":`...), []byte(explain(err).Error()))
			} else {
				e.Items++
				line = valueLine(line, plain)
				clear(plain)
			}
			if _, err := out.Write(append(line, "}\n"...)); err != nil {
				return e, fmt.Errorf("write the plaintext: %w", err)
			}
		}
		after = page[len(page)-1].ID
	}
}

// page reads a page, and again where the source was busy.
func page(ctx context.Context, src migrate.Source, after string) (items []migrate.Item, err error) {
	for wait := 200 * time.Millisecond; ; wait *= 2 {
		items, err = src.Page(ctx, after, 500)
		if !errors.Is(err, migrate.ErrUnavailable) || wait > 5*time.Second {
			return items, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, errInterrupted
		}
	}
}

// exportLines opens a copy of the record and exports a source.
func (a *app) exportLines(ctx context.Context, b *seal.Barrier, src migrate.Source, out *sink, name func([]byte, *migrate.Item) []byte) error {
	e, err := lines(ctx, b, src, out, name)
	if ctx.Err() != nil {
		err = errInterrupted
	}
	if err != nil {
		return out.keep(err)
	}
	if err := out.finish(); err != nil {
		return err
	}
	return a.tell(e, a.unsealed)
}
