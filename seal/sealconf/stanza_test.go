package sealconf_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealconf"
)

const staticStanza = `
seal "static" {
  name           = "%s"
  current_key_id = "id"
  current_key    = "0123456789abcdef0123456789abcdef"
  %s
}
`

func TestSetups(t *testing.T) {
	static := func(name string, more ...string) string {
		return fmt.Sprintf(staticStanza, name, strings.Join(more, "\n"))
	}
	for name, c := range map[string]struct {
		text string
		want sealconf.Setup
	}{
		"nothing":       {"", sealconf.Setup{}},
		"other blocks":  {"listener \"tcp\" {}\nui = true", sealconf.Setup{}},
		"shamir":        {`seal "shamir" {}`, sealconf.Setup{}},
		"shamir shaped": {"seal \"shamir\" {\n shares = 5\n threshold = \"3\"\n name = \"people\"\n}", sealconf.Setup{Slots: map[string]seal.Spec{"people": seal.Shamir{Shares: 5, Threshold: 3}}}},
		"named":         {static("a", `priority = "1"`) + static("b", `priority = 2`, `purpose = "x"`), sealconf.Setup{Slots: map[string]seal.Spec{"a": seal.KMS{Wrapper: "a"}, "b": seal.KMS{Wrapper: "b"}}, Notes: []string{`seal "static" named "a": priority is accepted and means nothing here`, `seal "static" named "b": priority is accepted and means nothing here`, `seal "static" named "b": purpose is accepted and means nothing here`}}},
		"disabled":      {static("old", `disabled = "true"`) + static("new", `disabled = false`), sealconf.Setup{Slots: map[string]seal.Spec{"new": seal.KMS{Wrapper: "new"}}, Disabled: []string{"old"}}},
		"unpinned":      {static("a", `unpinned = true`), sealconf.Setup{Slots: map[string]seal.Spec{"a": seal.KMS{Wrapper: "a"}}, Unpinned: true}},
		"pins":          {static("a", `pin = "00112233445566778899aabb"`), sealconf.Setup{Slots: map[string]seal.Spec{"a": seal.KMS{Wrapper: "a"}}, Pins: []string{"00112233445566778899aabb"}}},
		"tree": {"seal \"threshold\" {\n name = \"two\"\n threshold = 2\n of = [\"a\", \"b\", \"people\"]\n}\nseal \"shamir\" {\n name = \"people\"\n shares = 3\n threshold = 2\n}" + static("a") + static("b"),
			sealconf.Setup{Slots: map[string]seal.Spec{"two": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "b"}, seal.Shamir{Shares: 3, Threshold: 2}}}}}},
		"tree in a tree": {"seal \"threshold\" {\n name = \"outer\"\n threshold = 2\n of = [\"inner\", \"c\"]\n}\nseal \"threshold\" {\n name = \"inner\"\n threshold = 2\n of = [\"a\", \"b\"]\n}" + static("a") + static("b") + static("c"),
			sealconf.Setup{Slots: map[string]seal.Spec{"outer": seal.Threshold{K: 2, Of: []seal.Spec{seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "b"}}}, seal.KMS{Wrapper: "c"}}}}}},
		"tree disabled": {"seal \"threshold\" {\n threshold = 2\n of = [\"a\", \"b\"]\n disabled = true\n}" + static("a") + static("b"), sealconf.Setup{Disabled: []string{"threshold"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := build(t, c.text, sealconf.Options{})
			if diff := cmp.Diff(&c.want, got, cmpopts.IgnoreFields(sealconf.Setup{}, "KMS"), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			var cfg seal.Config
			got.Apply(&cfg)
			if cfg.TrustUnpinned != c.want.Unpinned || !slices.Equal(cfg.Pins, c.want.Pins) || len(cfg.KMS) != len(got.KMS) {
				t.Error("applied otherwise", cfg.TrustUnpinned, cfg.Pins)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	for _, text := range []string{
		`{"ui": true, "seal": {"static": {"current_key_id": "id", "current_key": "0123456789abcdef0123456789abcdef"}, "shamir": {"shares": 3, "threshold": "2"}}}`,
		`{"seal": [{"static": {"current_key_id": "id", "current_key": "0123456789abcdef0123456789abcdef"}}, {"shamir": [{"shares": 3, "threshold": 2}]}]}`,
	} {
		stanzas, err := sealconf.Parse([]byte(text), "seal.JSON")
		if err != nil {
			t.Fatal(err)
		}
		setup, err := sealconf.Build(stanzas, sealconf.Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]seal.Spec{"static": seal.KMS{Wrapper: "static"}, "shamir": seal.Shamir{Shares: 3, Threshold: 2}}
		if diff := cmp.Diff(want, setup.Slots); diff != "" {
			t.Error(diff)
		}
	}
}

func TestRefused(t *testing.T) {
	const static = "seal \"static\" {\n current_key_id = \"id\"\n current_key = \"0123456789abcdef0123456789abcdef\"\n %s\n}\n"
	const transit = "seal \"transit\" {\n address = \"%s\"\n token = \"t\"\n key_name = \"k\"\n mount_path = \"m\"\n %s\n}\n"
	for name, c := range map[string]struct {
		text  string
		words []string
	}{
		"unknown type":        {`seal "pkcs11" {}`, []string{`seal.hcl:1: seal "pkcs11": unknown seal type`, "kmip, localkms, shamir, static, threshold, transit"}},
		"unknown field":       {fmt.Sprintf(static, `colour = "red"`), []string{`unknown field "colour"`, "current_key, current_key_id, previous_key, previous_key_id, and name, disabled, pin, unpinned"}},
		"required":            {`seal "static" {}`, []string{"current_key_id is required"}},
		"two of one name":     {fmt.Sprintf(static+static, "", ""), []string{`a second stanza is named "static"`, "name = "}},
		"no syntax":           {"seal \"static\" {\n current_key = \"secret\n}", []string{"seal.hcl:2"}},
		"no label":            {`seal { shares = 5 }`, []string{"seal.hcl:1", "a stanza has a type"}},
		"no block":            {`seal = "shamir"`, []string{"seal.hcl:1", "a stanza is seal"}},
		"two labels":          {`seal "awskms" "second" {}`, []string{"seal.hcl:1", "one label"}},
		"twice":               {"seal \"shamir\" {\n shares = 5\n threshold = 3\n shares = 4\n}", []string{"shares stands twice"}},
		"a block":             {"seal \"shamir\" {\n x {}\n}", []string{"seal.hcl:1", "x is a text"}},
		"not a number":        {"seal \"shamir\" {\n shares = \"${env.X}\"\n threshold = 2\n}", []string{"shares is a number"}},
		"a map":               {"seal \"shamir\" {\n shares = { a = 1 }\n}", []string{"shares", "a text, a number"}},
		"a list of lists":     {"seal \"shamir\" {\n shares = [[1, 2]]\n}", []string{"shares", "list of them"}},
		"no value":            {"seal \"shamir\" {\n shares = null\n}", []string{"seal.hcl:2", "a value is a text"}},
		"a half":              {"seal \"shamir\" {\n shares = 5\n", []string{"seal.hcl:3", "closing brace"}},
		"no field":            {"seal \"shamir\" {\n = 5\n}", []string{"seal.hcl:2", "a field's name"}},
		"no equals":           {"seal \"shamir\" {\n shares 5\n}", []string{"seal.hcl:2", "stands ="}},
		"a long number":       {"a = 12345678901234567890", []string{"no number"}},
		"no number at all":    {"a = 5b", []string{"no number"}},
		"an endless comment":  {"a = 5 /* x", []string{"*/ is missing"}},
		"an endless text":     {"a = <<E\nx\n", []string{"has no end"}},
		"an escape":           {`a = "\q"`, []string{"an escape is none"}},
		"a list without ends": {"a = [1 2]", []string{"stands a comma"}},
		"no character":        {"a = $b", []string{"is a quote missing?"}},
		"pin and unpinned":    {fmt.Sprintf(static, "pin = \"00112233445566778899aabb\"\n unpinned = true"), []string{"exclude each other"}},
		"unpinned maybe":      {fmt.Sprintf(static, "unpinned = maybe"), []string{"a value is a text"}},
		"a pin, and none":     {fmt.Sprintf(static, "pin = \"00112233445566778899aabb\"") + "seal \"localkms\" {\n path = \"/k\"\n unpinned = true\n}", []string{"pin them all, or none"}},
		"several values":      {"seal \"shamir\" {\n shares = [1, 2]\n threshold = 2\n}", []string{"shares is one value"}},
		"name of two":         {"seal \"shamir\" {\n name = [\"a\", \"b\"]\n}", []string{"name is one value"}},
		"disabled maybe":      {fmt.Sprintf(static, `disabled = "maybe"`), []string{"disabled is true or false"}},
		"no number":           {"seal \"shamir\" {\n shares = \"many\"\n threshold = 2\n}", []string{"shares is a number"}},
		"half a shamir":       {"seal \"shamir\" {\n shares = 3\n}", []string{"threshold is a number"}},
		"disabled shamir":     {"seal \"shamir\" {\n disabled = true\n}", []string{"cannot be disabled"}},
		"one of two":          {"seal \"threshold\" {\n threshold = 1\n of = [\"a\", \"b\"]\n}", []string{"2 to 2"}},
		"three of two":        {"seal \"threshold\" {\n threshold = 3\n of = [\"a\", \"b\"]\n}", []string{"2 to 2"}},
		"nobody of that name": {"seal \"threshold\" {\n threshold = 2\n of = [\"static\", \"b\"]\n}\n" + fmt.Sprintf(static, ""), []string{"static, b", "not there"}},
		"a tree of itself":    {"seal \"threshold\" {\n threshold = 2\n of = [\"static\", \"threshold\"]\n}\n" + fmt.Sprintf(static, ""), []string{"the tree itself"}},
		"twice in a tree":     {"seal \"threshold\" {\n threshold = 2\n of = [\"static\", \"static\"]\n}\n" + fmt.Sprintf(static, ""), []string{"twice"}},
		"disabled in a tree":  {"seal \"threshold\" {\n threshold = 2\n of = [\"static\", \"s\"]\n}\nseal \"shamir\" {\n name = \"s\"\n shares = 3\n threshold = 2\n}\n" + fmt.Sprintf(static, "disabled = true"), []string{`"static", which is disabled`}},
		"key of no length":    {"seal \"static\" {\n current_key_id = \"id\"\n current_key = \"short\"\n}", []string{"64 hex digits"}},
		"half a previous":     {fmt.Sprintf(static, `previous_key_id = "p"`), []string{"previous_key_id and previous_key go together"}},
		"one id, two keys":    {fmt.Sprintf(static, "previous_key_id = \"id\"\n previous_key = \"0123456789abcdef0123456789abcdeX\""), []string{"one id two keys"}},
		"one key, two ids":    {fmt.Sprintf(static, "previous_key_id = \"i2\"\n previous_key = \"0123456789abcdef0123456789abcdef\""), []string{"one key has two ids"}},
		"environment":         {"seal \"static\" {\n current_key_id = \"id\"\n current_key = \"env://KEY\"\n}", []string{"current_key refers to the environment"}},
		"http elsewhere":      {fmt.Sprintf(transit, "http://vault.example:8200", ""), []string{"Vault accepts http", "allow_plain_http = true"}},
		"skip maybe":          {fmt.Sprintf(transit, "https://vault.example:8200", `tls_skip_verify = "maybe"`), []string{"tls_skip_verify is true or false"}},
		"renewal maybe":       {fmt.Sprintf(transit, "https://vault.example:8200", `disable_renewal = "maybe"`), []string{"disable_renewal is true or false"}},
		"plain maybe":         {fmt.Sprintf(transit, "https://vault.example:8200", `allow_plain_http = "maybe"`), []string{"allow_plain_http is true or false"}},
		"a provider's no":     {"seal \"kmip\" {\n endpoint = \"h\"\n}", []string{`seal "kmip": set endpoint to a host`}},
		"no closing quote":    {"seal \"shamir\" {\n shares = \"3\n threshold = 2\n}", []string{":2", "is its closing quote missing?"}},
		"too long":            {strings.Repeat("# x\n", 1<<18+1), []string{"at most 1048576"}},
		"too deep":            {"a = " + strings.Repeat("[", 65), []string{"nested too deeply"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := try(c.text, sealconf.Options{Providers: []sealconf.Provider{{Type: "kmip", Fields: []sealconf.Field{{Name: "endpoint", Required: true}}, Renamed: map[string]string{"Endpoint": "endpoint"},
				Build: func(sealconf.Values) (sealconf.Made, error) {
					return sealconf.Made{}, errors.New("set Endpoint to a host")
				}}}})
			failed(t, err, c.words...)
		})
	}
	_, err := sealconf.Parse([]byte(strings.Repeat(`{"a":[`, 33)), "seal.json")
	failed(t, err, "nested too deeply")
	build(t, fmt.Sprintf(transit, "http://vault.example:8200", "allow_plain_http = true"), sealconf.Options{})
	build(t, fmt.Sprintf(transit, "http://127.0.0.1:8200", ""), sealconf.Options{})
}

func TestReferences(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(" \n0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SEALCONF_TEST_KEY", "0123456789abcdef0123456789abcdef")
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	const text = "seal \"static\" {\n current_key_id = \"id\"\n current_key = \"%s\"\n}"
	const people = "seal \"shamir\" {\n shares = \"%s\"\n threshold = 2\n}"
	_, err := try(fmt.Sprintf(people, "file://"+filepath.ToSlash(large)), sealconf.Options{})
	failed(t, err, "shares", "longer than 1048576 bytes")
	_, err = try(fmt.Sprintf(people, "file://"+filepath.ToSlash(t.TempDir())), sealconf.Options{})
	failed(t, err, "shares", "not a regular file")
	_, err = try(fmt.Sprintf(people, "file:///no/such/file"), sealconf.Options{})
	failed(t, err, "shares", `file "/no/such/file"`)
	build(t, fmt.Sprintf(text, "file://"+filepath.ToSlash(file)), sealconf.Options{})
	build(t, fmt.Sprintf(text, "env://SEALCONF_TEST_KEY"), sealconf.Options{AllowEnvironment: true})
	_, err = try(fmt.Sprintf(text, "env://SEALCONF_TEST_KEY"), sealconf.Options{})
	failed(t, err, "does not read")
	_, err = try(fmt.Sprintf(text, "env://SEALCONF_TEST_NONE"), sealconf.Options{AllowEnvironment: true})
	failed(t, err, "SEALCONF_TEST_NONE is not set")
	for _, wrong := range []string{"env://canary7", "file://canary7" + strings.Repeat("c", 60), "file://canary{", "file://\\n-----BEGIN canary"} {
		for _, o := range []sealconf.Options{{}, {AllowEnvironment: true}} {
			_, err := try(fmt.Sprintf(people, wrong), o)
			failed(t, err, "shares")
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Error("shows what stands in a path's place:", err)
			}
		}
	}
}
