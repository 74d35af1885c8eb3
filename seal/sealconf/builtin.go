package sealconf

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/seal"
)

func shamirProvider() Provider {
	return Provider{
		Type:   "shamir",
		Fields: []Field{{Name: "shares"}, {Name: "threshold"}},
		Build: func(v Values) (Made, error) {
			if !v.Has("shares") && !v.Has("threshold") {
				return Made{}, nil // as Vault has it: whoever inits says how many
			}
			n, err := number(v, "shares")
			if err != nil {
				return Made{}, err
			}
			t, err := number(v, "threshold")
			if err != nil {
				return Made{}, err
			}
			return Made{Spec: seal.Shamir{Shares: n, Threshold: t}}, nil
		},
	}
}

func thresholdProvider() Provider {
	return Provider{
		Type:   "threshold",
		Fields: []Field{{Name: "threshold", Required: true}, {Name: "of", Required: true}},
		Build: func(v Values) (Made, error) {
			k, err := number(v, "threshold")
			if err != nil {
				return Made{}, err
			}
			of := v.List("of")
			if k < 2 || k > len(of) {
				return Made{}, fmt.Errorf("threshold is 2 to %d, the number of names in of", len(of))
			}
			return Made{of: of, k: k}, nil
		},
	}
}

func number(v Values, name string) (int, error) {
	text, err := v.Text(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s is a number", name)
	}
	return n, nil
}

func localProvider() Provider {
	return Provider{
		Type:    localkms.Type,
		Fields:  []Field{{Name: "path", Required: true}, {Name: "allow_group"}},
		Renamed: map[string]string{"Path": "path"},
		Build: func(v Values) (Made, error) {
			path, err := v.Path("path")
			if err != nil {
				return Made{}, err
			}
			cfg := localkms.Config{Path: path}
			group, err := v.Bool("allow_group")
			if err != nil {
				return Made{}, err
			}
			if group {
				cfg.Warn = func(string) {} // whoever wrote it knows
			}
			w, err := localkms.New(cfg)
			if err != nil {
				return Made{}, err
			}
			return Made{Wrapper: w}, nil
		},
	}
}

func staticProvider() Provider {
	return Provider{
		Type: "static",
		Fields: []Field{
			{Name: "current_key_id", Required: true, Env: []string{"BAO_STATIC_SEAL_CURRENT_KEY_ID"}},
			{Name: "current_key", Required: true, Env: []string{"BAO_STATIC_SEAL_CURRENT_KEY"}},
			{Name: "previous_key_id", Env: []string{"BAO_STATIC_SEAL_PREVIOUS_KEY_ID"}},
			{Name: "previous_key", Env: []string{"BAO_STATIC_SEAL_PREVIOUS_KEY"}},
		},
		Build: func(v Values) (Made, error) {
			if v.Has("previous_key") != v.Has("previous_key_id") {
				return Made{}, errors.New("previous_key_id and previous_key go together")
			}
			w := &staticWrapper{}
			for _, which := range []string{"current", "previous"} {
				id, err := v.Text(which + "_key_id")
				if err != nil {
					return Made{}, err
				}
				field := which + "_key"
				if !v.Has(field) {
					continue
				}
				if id == "" {
					return Made{}, fmt.Errorf("%s_id is empty", field)
				}
				w.keys = append(w.keys, staticKey{id: id, field: field, read: func() ([]byte, error) { return v.content(field) }})
				if _, file := v.File(field); file {
					continue // it is read when it is needed
				}
				if err := w.check(len(w.keys) - 1); err != nil {
					return Made{}, err
				}
			}
			return Made{Wrapper: w}, nil
		},
	}
}
