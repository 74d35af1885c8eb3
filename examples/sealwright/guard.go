package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/sealwright/sealwright/seal"
)

var errExposed = errors.New("whoever is on this machine can read it there, and it stays in the shell's history")

// shareShape is what begins as a share's text, also one that was mistyped or cut.
// A ciphertext in text begins with "sw1.".
var shareShape = regexp.MustCompile(`(?i)(^|[^a-z0-9])sw1[a-z0-9]{20,}`)

// guard refuses shares where others can read them. It never shows the text.
func guard(args, env []string) error {
	for i, arg := range args {
		if looksLikeShare(arg) || looksLikeShare(arg[strings.Index(arg, "=")+1:]) {
			return fmt.Errorf("argument %d is a share: %w. Shares are typed at the prompt, or come from a file (--shares FILE) or standard input. Clear the history, and have a new share made for its holder (rekey) if anybody could have seen it", i+1, errExposed)
		}
	}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if shareShape.MatchString(value) || secretName(name) && looksLikeShare(value) {
			return fmt.Errorf("the variable %s holds a share: %w. Unset it, and type the share at the prompt, or pipe it in", name, errExposed)
		}
	}
	return nil
}

func secretName(name string) bool {
	name = strings.ToUpper(name)
	return strings.Contains(name, "SHARE") || strings.Contains(name, "UNSEAL")
}

// looksLikeShare reports whether a text is a share, or was one. A bare share of
// Vault's is any 44 characters of base64, which a path can be.
func looksLikeShare(text string) bool {
	if shareShape.MatchString(text) {
		return true
	}
	s, err := seal.ParseShare(text)
	if err != nil {
		return false
	}
	s.Wipe()
	if strings.ContainsAny(text[:1], "/.~") {
		return false
	}
	_, err = os.Lstat(text)
	return err != nil
}
