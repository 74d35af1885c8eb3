package transitengine

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// refuse answers with an error.
func (c *call) refuse(w http.ResponseWriter, err error) {
	r := told(err)
	words := []string{}
	if r.words != "" {
		words = append(words, r.words)
	}
	body, err := json.Marshal(map[string]any{"errors": words})
	if err != nil {
		body = []byte(`{"errors":[]}`)
	}
	if r.code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	write(w, r.code, append(body, '\n'))
}

func write(w http.ResponseWriter, code int, body []byte) {
	values := []string{"no-store", "application/json", ""}
	head := w.Header()
	head["Cache-Control"], head["Content-Type"] = values[0:1:1], values[1:2:2]
	if len(body) > 1<<10 { // of less, package http tells the length by itself
		values[2] = strconv.Itoa(len(body))
		head["Content-Length"] = values[2:3:3]
	}
	w.WriteHeader(code)
	_, _ = w.Write(body) // the client is gone
}

// answer wraps the data as Vault's plugins do; none is 204.
func (c *call) answer(w http.ResponseWriter) {
	c.note()
	if c.out == nil && c.notes == nil {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	c.scratch = c.take()
	b := append((*c.scratch)[:0], `{"request_id":"`...)
	b = appendUUID(b)
	b = append(b, `","lease_id":"","renewable":false,"lease_duration":0,"data":`...)
	if c.out == nil {
		b = append(b, "null"...)
	}
	b = append(b, c.out...)
	b = append(b, `,"wrap_info":null,"warnings":`...)
	b = appendTexts(b, c.notes)
	b = append(b, `,"auth":null,"mount_type":"transit"}`...)
	b = append(b, '\n')
	*c.scratch = b
	code := c.code
	if code == 0 {
		code = http.StatusOK
	}
	write(w, code, b)
}

// appendTexts appends a list of texts, or null.
func appendTexts(b []byte, texts []string) []byte {
	if texts == nil {
		return append(b, "null"...)
	}
	for i, text := range texts {
		b = appendText(append(b, "[,"[min(i, 1)]), text)
	}
	return append(b, ']')
}

// take is a buffer for what is wiped.
func (c *call) take() *[]byte {
	if c.scratch == nil {
		c.scratch = c.h.buffer()
	}
	return c.scratch
}

// note warns of fields that nobody asked for, as Vault does: a misspelt option
// is not silently left out.
func (c *call) note() {
	var ignored []string
	for i := range c.fields {
		name := c.fields[i].name
		if !slices.ContainsFunc(c.known, func(k string) bool { return k == string(name) }) && len(ignored) < 8 {
			ignored = append(ignored, strings.ToValidUTF8(string(name[:min(len(name), 64)]), "?"))
		}
	}
	if ignored != nil {
		slices.Sort(ignored)
		c.notes = append(c.notes, "Endpoint ignored these unrecognized parameters: ["+strings.Join(ignored, " ")+"]")
	}
}

// data sets the answer.
func (c *call) data(fields map[string]any) error {
	out, err := json.Marshal(fields)
	c.out = out
	return err
}

func appendUUID(b []byte) []byte {
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	for i, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return b
}

// appendText appends a text in quotes.
func appendText(b []byte, text string) []byte {
	plain := !strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r > 0x7e || strings.ContainsRune(`"\<>&`, r) })
	if plain {
		return append(append(append(b, '"'), text...), '"')
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return append(b, `""`...)
	}
	return append(b, quoted...)
}

func appendBase64(b, data []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"')
}
