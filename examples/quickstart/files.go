package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/seal"
)

// notes are what this server has to keep.
var notes = map[string]string{
	"greeting": "hello, world",
	"token":    "a third party's credential",
	"reminder": "water the plants",
}

// writeNotes stores each note encrypted, bound to its name.
func writeNotes(kr *keyring.Keyring, dir string, notes map[string]string) error {
	out := map[string]string{}
	for name, text := range notes {
		ciphertext, err := kr.EncryptString(text, []byte(name))
		if err != nil {
			return err
		}
		out[name] = ciphertext
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, notesFile), b, 0o600)
}

// readNotes decrypts every note and compares it with what was written.
func readNotes(kr *keyring.Keyring, dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, notesFile))
	if err != nil {
		return err
	}
	var stored map[string]string
	if err := json.Unmarshal(b, &stored); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(notes)) {
		text, err := kr.DecryptString(stored[name], []byte(name))
		if err != nil {
			return fmt.Errorf("note %q: %w", name, err)
		}
		if text != notes[name] {
			return fmt.Errorf("note %q reads otherwise than it was written", name)
		}
	}
	return nil
}

func (s *story) verify(what string) error {
	if err := readNotes(s.b.Keyring(), s.dir); err != nil {
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
