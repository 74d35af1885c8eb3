package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const mergePatchType = "application/merge-patch+json"

// TestSubkeys: the names of a secret's fields are shown without their values.
func TestSubkeys(t *testing.T) {
	p := unsealed(t, t.TempDir())
	p.want(200, "PUT", "secret/data/a", object{"data": object{"x": "canary-value", "empty": object{}, "deep": object{"y": 1, "z": object{"w": "canary-value"}}}})
	for query, want := range map[string]string{
		"":         `{"deep":{"y":null,"z":{"w":null}},"empty":null,"x":null}`,
		"?depth=1": `{"deep":null,"empty":null,"x":null}`,
		"?depth=2": `{"deep":{"y":null,"z":null},"empty":null,"x":null}`,
	} {
		out := p.want(200, "GET", "secret/subkeys/a"+query, nil)["data"].(object)
		if got, _ := json.Marshal(out["subkeys"]); string(got) != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
		if out["metadata"].(object)["version"] != 1.0 {
			t.Error(out)
		}
	}
	p.want(400, "GET", "secret/subkeys/a?depth=x", nil)
	p.want(404, "GET", "secret/subkeys/nothing", nil)
	p.want(405, "PUT", "secret/subkeys/a", nil)
	p.want(204, "DELETE", "secret/data/a", nil)
	if gone := p.want(404, "GET", "secret/subkeys/a", nil)["data"].(object); gone["subkeys"] != nil || gone["metadata"] == nil {
		t.Error(gone)
	}
}

// TestPatchOfDeleted: what a patch cannot be applied to is answered with what it
// was, as a read is.
func TestPatchOfDeleted(t *testing.T) {
	p := unsealed(t, t.TempDir())
	patch := func(path, body string) (int, object) {
		t.Helper()
		code, text := p.send("PATCH", "v1/secret/data/"+path, body, "Content-Type", mergePatchType)
		var out object
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatal(err, text)
		}
		return code, out
	}
	if code, out := patch("nothing", `{"data":{"a":1},"options":{"cas":7}}`); code != 404 || len(out["errors"].([]any)) != 0 {
		t.Error(code, out)
	}
	p.want(200, "PUT", "secret/data/a", object{"data": object{"greeting": "a"}})
	p.want(204, "DELETE", "secret/data/a", nil)
	if code, out := patch("a", `{"data":{"a":1}}`); code != 404 || out["data"].(object)["version"] != 1.0 || out["data"].(object)["deletion_time"] == "" {
		t.Error(code, out)
	}
	if code, out := patch("a", `{"data":{"a":1},"options":{"cas":7}}`); code != 400 {
		t.Error(code, out)
	}
}

// TestWeakNumbers: bao write and shells send numbers as texts.
func TestWeakNumbers(t *testing.T) {
	p := unsealed(t, t.TempDir())
	p.want(200, "PUT", "secret/data/a", object{"data": object{"greeting": "one"}, "options": object{"cas": "0"}})
	out := p.want(400, "PUT", "secret/data/a", object{"data": object{"greeting": "two"}, "options": object{"cas": "x"}})
	if text := fmt.Sprint(out["errors"]); !strings.Contains(text, "error parsing check-and-set parameter") {
		t.Error(text)
	}
	p.want(200, "PUT", "secret/data/a", object{"data": object{"greeting": "two"}, "options": object{"cas": "1"}})
	p.want(204, "PUT", "secret/delete/a", object{"versions": "1,2"})
	p.want(404, "GET", "secret/data/a", nil)
	p.want(204, "PUT", "secret/undelete/a", object{"versions": 2})
	p.reads("a", "two")
	p.want(404, "GET", "secret/data/a?version=1", nil)
	p.want(204, "PUT", "secret/destroy/a", object{"versions": "1"})
	p.want(204, "PUT", "secret/undelete/a", object{"versions": []int{1}})
	if out := version1(p.want(200, "GET", "secret/metadata/a", nil), "1"); out["destroyed"] != true || out["deletion_time"] == "" {
		t.Errorf("an undelete changed a destroyed version: %v", out)
	}
}

// TestMetadataAsVault: what the real engine refuses, ignores or warns about.
func TestMetadataAsVault(t *testing.T) {
	p := unsealed(t, t.TempDir())
	p.want(204, "PUT", "secret/metadata/a", object{})
	p.want(404, "GET", "secret/metadata/a", nil) // nothing was said, nothing is made
	for name, custom := range map[string]object{
		"long name":   {strings.Repeat("n", 129): "x"},
		"long value":  {"x": strings.Repeat("v", 513)},
		"empty":       {"x": ""},
		"unprintable": {"x": "a\x00b"},
		"object":      {"x": object{"y": 1}},
	} {
		out := p.want(400, "PUT", "secret/metadata/a", object{"custom_metadata": custom})
		if text := fmt.Sprint(out["errors"]); !strings.Contains(text, "custom_metadata validation failed") {
			t.Errorf("%s: %s", name, text)
		}
	}
	p.want(400, "PUT", "secret/metadata/a", object{"delete_version_after": "-1s"})
	p.want(400, "PUT", "secret/metadata/a", object{"max_versions": 1 << 40})
	p.want(204, "PUT", "secret/metadata/a", object{"custom_metadata": object{"n": 12, "yes": true, "text": "x"}})
	meta := p.want(200, "GET", "secret/metadata/a", nil)["data"].(object)
	if got := fmt.Sprint(meta["custom_metadata"]); got != "map[n:12 text:x yes:1]" {
		t.Error(got)
	}
	if meta["current_metadata_version"] != 1.0 || meta["metadata_cas_required"] != false || meta["oldest_version"] != 0.0 {
		t.Error(meta)
	}

	// Of two numbers of versions the larger one counts, and the next write prunes.
	p.want(204, "PUT", "secret/config", object{"max_versions": 3, "cas_required": true})
	p.want(204, "PUT", "secret/metadata/a", object{"max_versions": 2})
	for cas := range 4 {
		p.want(200, "PUT", "secret/data/a", object{"data": object{"n": cas}, "options": object{"cas": cas}})
	}
	p.want(200, "GET", "secret/data/a?version=2", nil)
	p.want(404, "GET", "secret/data/a?version=1", nil)
	if meta := p.want(200, "GET", "secret/metadata/a", nil)["data"].(object); meta["oldest_version"] != 2.0 {
		t.Error(meta)
	}
	out := p.want(200, "PUT", "secret/metadata/a", object{"cas_required": false})
	if text := fmt.Sprint(out["warnings"]); !strings.Contains(text, "mandated by backend config") || out["data"] != nil {
		t.Error(out)
	}

	// A check-and-set of the metadata.
	p.want(204, "PUT", "secret/config", object{"metadata_cas_required": true, "cas_required": false})
	p.want(400, "PUT", "secret/metadata/a", object{"max_versions": 5})
	p.want(400, "PUT", "secret/metadata/a", object{"max_versions": 5, "metadata_cas": 2})
	p.want(204, "PUT", "secret/metadata/a", object{"max_versions": 5, "metadata_cas": 3})
	if all := p.want(200, "GET", "secret/config", nil)["data"].(object); all["metadata_cas_required"] != true || all["max_versions"] != 3.0 {
		t.Error(all)
	}
	// Never means never, whatever a secret says.
	p.want(204, "PUT", "secret/config", object{"metadata_cas_required": false, "delete_version_after": "-1s"})
	p.want(204, "PUT", "secret/metadata/b", object{"delete_version_after": "1ns"})
	p.want(200, "PUT", "secret/data/b", object{"data": object{"greeting": "stays"}})
	p.reads("b", "stays")
}

// TestListPages: a long list is read in pages, and in detail.
func TestListPages(t *testing.T) {
	p := unsealed(t, t.TempDir())
	for _, path := range []string{"a", "a/1", "a/2", "a-b", "b", "c/d/e"} {
		p.want(200, "PUT", "secret/data/"+path, object{"data": object{"greeting": "canary-value"}})
	}
	for query, want := range map[string]string{
		"":                               "[a a-b a/ b c/]",
		"&limit=2":                       "[a a-b]",
		"&after=a-b":                     "[a/ b c/]",
		"&after=a-b&limit=2":             "[a/ b]",
		"&after=nothing-like-it&limit=0": "",
	} {
		if want == "" {
			p.want(404, "GET", "secret/metadata/?list=true"+query, nil)
			continue
		}
		if got := fmt.Sprint(p.want(200, "GET", "secret/metadata/?list=true"+query, nil)["data"].(object)["keys"]); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	p.want(400, "GET", "secret/metadata/?list=true&limit=x", nil)
	out := p.want(200, "LIST", "secret/detailed-metadata/", nil)["data"].(object)
	info := out["key_info"].(object)
	if len(info) != 3 || info["a-b"].(object)["current_version"] != 1.0 || strings.Contains(fmt.Sprint(out), "canary-value") {
		t.Error(out)
	}
}

// TestSecretOfThousandsOfLevels: a secret of a megabyte in thousands of objects, one
// in the other, took two minutes to list its names, and as long to patch, in which
// nobody else could write.
func TestSecretOfThousandsOfLevels(t *testing.T) {
	p := unsealed(t, t.TempDir())
	nested := func(depth int) object {
		in := any("}{")
		for range depth {
			in = object{"a\"{": in}
		}
		return object{"data": in}
	}
	p.want(400, "PUT", "secret/data/x", nested(maxNested))
	p.want(200, "PUT", "secret/data/x", nested(maxNested-1))
	deep := `{"data":` + strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9001)
	if code, text := p.send("PATCH", "v1/secret/data/x", deep, "Content-Type", mergePatchType); code != 400 {
		t.Error(code, text)
	}
	p.want(200, "GET", "secret/subkeys/x", nil)
	p.want(400, "PUT", "sys/import/secret/y", object{"versions": []object{nested(maxNested)}})
}
