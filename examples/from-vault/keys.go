package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/sealwright/sealwright/examples/internal/fakeclouds"
	"github.com/sealwright/sealwright/migrate/vaultstore"
	"github.com/sealwright/sealwright/seal/sealconf"
)

// keys returns the shares and the seals that the flags name.
func (o *options) keys() (keys vaultstore.Keys, err error) {
	if keys.Shares, err = readShares(o.shares); err != nil {
		return keys, err
	}
	for _, name := range o.configs {
		seals, err := readSeals(name, o.fakes)
		if err != nil {
			return keys, err
		}
		keys.Seals = append(keys.Seals, seals...)
	}
	return keys, nil
}

// readShares reads shares from a file, from standard input, or from people.
func readShares(from string) ([][]byte, error) {
	switch from {
	case "":
		return nil, nil
	case "ask":
		return askShares()
	case "-":
		return scanShares(os.Stdin)
	}
	f, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return scanShares(f)
}

// scanShares reads a share from each line, which may have words before it, as
// "Unseal Key 1: …".
func scanShares(r io.Reader) ([][]byte, error) {
	var shares [][]byte
	lines := bufio.NewScanner(io.LimitReader(r, 1<<20))
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if i := strings.LastIndexAny(text, ": \t"); i >= 0 {
			text = text[i+1:]
		}
		share, err := vaultstore.ParseShare(text)
		if err != nil {
			return nil, fmt.Errorf("line %d of the shares: %w", n, err)
		}
		shares = append(shares, share)
	}
	return shares, lines.Err()
}

// askShares asks on the terminal, without echo, until somebody gives nothing.
func askShares() ([][]byte, error) {
	in := int(os.Stdin.Fd())
	if !term.IsTerminal(in) {
		return nil, errors.New("standard input is no terminal: give -shares FILE, or -shares - to read it")
	}
	var shares [][]byte
	for {
		fmt.Fprintf(os.Stderr, "Share %d, or nothing to go on: ", len(shares)+1)
		text, err := term.ReadPassword(in)
		fmt.Fprintln(os.Stderr)
		if err != nil || len(text) == 0 {
			return shares, err
		}
		share, err := vaultstore.ParseShare(string(text))
		clear(text)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		shares = append(shares, share)
	}
}

// readSeals makes the auto seals of a configuration, of those that are disabled
// too: they are the old side of a migration.
func readSeals(name, fakes string) ([]vaultstore.Seal, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	stanzas, err := sealconf.Parse(src, name)
	if err != nil {
		return nil, err
	}
	for i := range stanzas { // two of one type have no names in Vault's
		stanzas[i].Name = fmt.Sprintf("%s %d", stanzas[i].Type, i)
	}
	providers, err := fakeclouds.Providers(fakes)
	if err != nil {
		return nil, err
	}
	setup, err := sealconf.Build(stanzas, sealconf.Options{Providers: providers, AllowEnvironment: true})
	if err != nil {
		return nil, err
	}
	var seals []vaultstore.Seal
	for _, st := range stanzas {
		if w := setup.KMS[st.Name]; w != nil {
			seals = append(seals, vaultstore.KMS{Kind: st.Type, Wrapper: w})
		}
	}
	return seals, nil
}
