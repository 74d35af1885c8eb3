package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/seal"
)

// notes are what this server has to keep.
var notes = map[string]string{
	"greeting": "hello, world",
	"token":    "a third party's credential",
	"reminder": "water the plants",
}

// writeNotes stores each note encrypted, bound to its name.
func writeNotes(ctx context.Context, b *seal.Barrier, dir string, notes map[string]string) error {
	box, out := b.Box("notes"), map[string]string{}
	for name, text := range notes {
		ciphertext, err := box.EncryptString(ctx, text, name)
		if err != nil {
			return err
		}
		out[name] = ciphertext
	}
	file, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, notesFile), file, 0o600)
}

// readNotes decrypts every note and compares it with what was written.
func readNotes(ctx context.Context, b *seal.Barrier, dir string) error {
	file, err := os.ReadFile(filepath.Join(dir, notesFile))
	if err != nil {
		return err
	}
	var stored map[string]string
	if err := json.Unmarshal(file, &stored); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(notes)) {
		text, err := b.Box("notes").DecryptString(ctx, stored[name], name)
		if err != nil {
			return fmt.Errorf("note %q: %w", name, err)
		}
		if text != notes[name] {
			return fmt.Errorf("note %q reads otherwise than it was written", name)
		}
	}
	return nil
}

func (s *story) verify(ctx context.Context, what string) error {
	if err := readNotes(ctx, s.b, s.dir); err != nil {
		return err
	}
	say("checked: %s.", what)
	return nil
}

// showDisk tells what is on disk now, and what opens it.
func (s *story) showDisk() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	var files []string
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, fmt.Sprintf("%s %d B", e.Name(), info.Size()))
		}
	}
	say("on disk: %s", strings.Join(files, ", "))
	if status := s.b.Status(); !status.Sealed {
		say("it opens with: %s", slotNames(status))
	}
	return nil
}

func slotNames(status seal.Status) string {
	var out []string
	for _, slot := range status.Slots {
		text := fmt.Sprintf("%s (%s)", slot.Name, slot.Spec)
		if slot.State == seal.SlotPending {
			text += ", not proven yet"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}
