package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/kubestore"
	"github.com/sealwright/sealwright/seal/objectstore"
)

const number = "00112233445566778899aabbccddeeff"

// What tools take out of a cluster is read, whatever they do to its last line feed.
func TestARecordThatAToolTookOutIsRead(t *testing.T) {
	w := newWorld(t, seal.NewMemStore(), false, nil)
	rec := string(recordOf(t, w.store))
	bare := strings.TrimSuffix(rec, "\n")
	for name, text := range map[string]string{
		"etcd":                      number + "\n" + rec,
		"etcdctl":                   number + "\n" + rec + "\n",
		"etcd, by a shell's $(…)":   number + "\n" + bare,
		"bare":                      rec,
		"bare, with a line feed":    rec + "\n",
		"bare, without one":         bare,
		"bare, through Windows":     bare + "\r\n",
		"a Secret":                  secretWith(t, rec),
		"a Secret, in one line":     strings.Join(strings.Fields(secretWith(t, rec)), ""),
		"a Secret with a line feed": secretWith(t, rec+"\n"),
	} {
		t.Run(name, func(t *testing.T) {
			at := w.write(t, "taken", text)
			run(t, "", "inspect", "--store", at).want(t, 0, "slot people")
			run(t, w.shares[2], "check-share", "--store", at).want(t, 0, "carol")
			run(t, w.shares[0]+w.shares[1], "open", "--store", at).want(t, 0, "slot people opens")
			run(t, "", "report", "--store", at).want(t, 0, "people")
			if now, err := os.ReadFile(at); err != nil || string(now) != text {
				t.Error("what was read was changed")
			}
		})
	}
	for text, want := range map[string]string{
		"/payments/seal\n" + number + "\n" + rec + "\n":        "--print-value-only",
		"apiVersion: v1\ndata:\n  record: eyJm\n":              "get secret NAME -o json",
		"eyJmb3JtYXQiOjEs":                                     "base64 -d",
		`{"apiVersion": "v1", "kind": "List", "items": []}`:    "no Secret",
		`{"apiVersion": "v1", "kind": "Secret", "data": {}}`:   "no record in the store",
		number + "\n" + rec + "\n\n\n\n":                       "not in canonical form",
		number + "\n" + strings.Replace(rec, `":1`, `" :1`, 1): "",
	} {
		run(t, "", "inspect", "--store", w.write(t, "other", text)).want(t, 1, want)
	}
	for _, url := range []string{"http://127.0.0.1:2379/seal", "etcd://127.0.0.1/seal", "s3://payments/seal"} {
		run(t, "", "inspect", "--store", url).want(t, 1, "sealwright copy --help")
	}
}

// secretWith is a Secret as kubectl get -o json prints it, with a record or without.
func secretWith(t *testing.T, rec string) string {
	t.Helper()
	data := map[string][]byte{"other": []byte("kept")}
	if rec != "" {
		data["record"], data["revision"] = []byte(rec), []byte(number)
	}
	text, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "data": data, "kind": "Secret", "type": "Opaque",
		"metadata": map[string]any{"name": "payments-seal", "namespace": "payments", "resourceVersion": "712"},
	}, "", "    ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

// What was taken out is changed in its file, and what is put back is what the stores
// of etcd, Kubernetes and object storages load.
func TestARecordThatWasTakenOutIsChangedAndPutBack(t *testing.T) {
	for kind, form := range map[string]func(t *testing.T, rec string) string{
		"value":  func(_ *testing.T, rec string) string { return number + "\n" + rec + "\n" },
		"secret": secretWith,
	} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, seal.NewMemStore(), true, nil)
			at := w.write(t, "taken", form(t, string(recordOf(t, w.store))))
			shares := w.shares[0] + w.shares[1]
			change := []string{"drop-slot", "auto", "--store", at, "--config", w.config}
			run(t, shares, change...).want(t, 1, "--server-stopped")
			run(t, shares, append(change, "--beside-server")...).want(t, 1, "no server sees the file")
			run(t, shares, "prove", "people", "--store", at, "--config", w.config, stopped).want(t, 0, "then: put "+at+" back")
			run(t, shares, append(change, stopped)...).want(t, 0, "dropped: auto", "then: put "+at+" back")
			loaded := loadedFrom(t, kind, at)
			if v := inspected(t, w, loaded); len(v.Slots) != 1 || v.Slots[0].Name != "people" {
				t.Errorf("what was put back has the slots %+v", v.Slots)
			}
			if info, err := os.Stat(at); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%v, %v", info.Mode(), err)
			}

			// An older copy of it.
			old := w.write(t, "old.json", string(recordOf(t, w.store)))
			run(t, shares, "restore", old, "--store", at, "--config", w.config, stopped).want(t, 1, "admit its fingerprint")
			dropped := inspected(t, w, recordOf(t, w.store)).Slots
			run(t, shares, "restore", old, "--store", at, "--config", w.config, stopped, "--admit", dropped[0].Fingerprint, "--admit", dropped[1].Fingerprint).want(t, 0, "restored", "then: put")
			loadedFrom(t, kind, at)
			run(t, "", "copy", at, "--store", old).want(t, 1, "holds a record already")

			// It is lost.
			fresh := filepath.Join(w.dir, "fresh")
			if kind == "secret" {
				run(t, "", "copy", "secret", "--store", old).want(t, 1, "is no file to put a record of a cluster in")
				w.write(t, "fresh", secretWith(t, ""))
			} else {
				fresh = "value:" + fresh
			}
			run(t, shares, "restore", old, "--store", fresh, stopped).want(t, 0, "restored to an empty store", "then: put")
			loadedFrom(t, kind, filepath.Join(w.dir, "fresh"))
		})
	}
}

// A record goes from a store of any kind to a file for another, as it is.
func TestCopy(t *testing.T) {
	w, at := fileWorld(t, false)
	want := string(recordOf(t, w.store))
	value, bare, secret := filepath.Join(w.dir, "value"), filepath.Join(w.dir, "bare"), w.write(t, "secret.json", secretWith(t, ""))
	run(t, "", "copy", "value:"+value, "--store", at).want(t, 0, "etcdctl put KEY < "+value)
	run(t, "", "copy", "record:"+bare, "--store", value).want(t, 0, "copied")
	r := run(t, "", "copy", secret, "--store", bare, "--json")
	r.want(t, 0, `"put_back":"put `+secret)
	if got := string(loadedFrom(t, "value", value)); got != want {
		t.Error("the value has another record")
	}
	if got := string(loadedFrom(t, "secret", secret)); got != want {
		t.Error("the Secret has another record")
	}
	if got, err := os.ReadFile(bare); err != nil || string(got) != want {
		t.Error("the bare record is another", err)
	}
	run(t, "", "copy", "record:"+bare, "--store", at).want(t, 1, "is there already")
	run(t, "", "copy", "value:"+value, "--store", at).want(t, 1, "holds a record already")
	run(t, "", "copy", at, "--store", value).want(t, 1, "sealwright restore")
	damaged := w.write(t, "damaged", strings.Replace(want, `"generation":`, `"generation" :`, 1))
	run(t, "", "copy", "record:"+filepath.Join(w.dir, "no"), "--store", damaged).want(t, 1, "damaged")
}

// loadedFrom is what the store that a file was put back to loads.
func loadedFrom(t *testing.T, kind, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s seal.Store
	if kind == "secret" {
		s = secretStore(t, text)
	} else if s, err = objectstore.New(oneObject{text}, objectstore.Config{}); err != nil {
		t.Fatal(err)
	}
	rec, _, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return rec
}

// secretStore is one on an API server that has taken a Secret from kubectl.
func secretStore(t *testing.T, text []byte) seal.Store {
	t.Helper()
	var object struct {
		Metadata struct{ Name, Namespace, ResourceVersion string }
		Data     map[string][]byte
	}
	if err := json.Unmarshal(text, &object); err != nil || object.Metadata.ResourceVersion != "712" || string(object.Data["other"]) != "kept" {
		t.Fatalf("the Secret lost what else it had: %s", text)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(text)
	}))
	t.Cleanup(server.Close)
	s, err := kubestore.New(kubestore.Config{Name: "payments-seal", Namespace: "payments", Server: server.URL, Client: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// oneObject is an object storage that one object was uploaded to.
type oneObject struct{ content []byte }

func (o oneObject) Get(context.Context, string) (io.ReadCloser, string, error) {
	return io.NopCloser(bytes.NewReader(o.content)), "tag", nil
}

func (oneObject) Put(context.Context, string, []byte, string) (string, error) {
	return "", errors.New("not here")
}

func (oneObject) Delete(context.Context, string) error { return errors.New("not here") }

type inspection struct {
	Slots []struct{ Name, Fingerprint string }
}

func inspected(t *testing.T, w *world, rec []byte) (v inspection) {
	t.Helper()
	r := run(t, "", "inspect", "--json", "--store", w.write(t, "loaded", string(rec)))
	r.want(t, 0)
	r.decode(t, &v)
	return v
}
