package main

import (
	"encoding/json"
	"errors"
	"net/http"
)

// lookupSelf tells of the token that a request came with: bao login asks for it.
func (s *server) lookupSelf(w http.ResponseWriter, r *http.Request) {
	answerLogin(w, tokenOf(r))
}

// lookup tells of the token in the body.
func (s *server) lookup(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Token string `json:"token"`
	}
	if !decode(w, r, &in) {
		return
	}
	switch err := s.isToken(r.Context(), in.Token); {
	case errors.Is(err, errNoToken):
		fail(w, http.StatusForbidden, "bad token")
	case err != nil:
		failed(w, "the token cannot be checked", err)
	default:
		answerLogin(w, in.Token)
	}
}

// answerLogin describes the root token as Vault describes its own.
func answerLogin(w http.ResponseWriter, token string) {
	answer(w, http.StatusOK, map[string]any{
		"accessor": "", "creation_time": 0, "creation_ttl": 0, "display_name": "root", "entity_id": "", "expire_time": nil,
		"explicit_max_ttl": 0, "id": token, "meta": nil, "num_uses": 0, "orphan": true, "path": "auth/token/root",
		"policies": []string{"root"}, "ttl": 0, "type": "service",
	})
}

// decode reads the body's JSON object, or answers why not. Numbers stay as they
// were written.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	var large *http.MaxBytesError
	switch err := d.Decode(into); {
	case errors.As(err, &large):
		fail(w, http.StatusRequestEntityTooLarge, "http: request body too large: at most 1 MiB")
	case err != nil:
		fail(w, http.StatusBadRequest, "no data provided: the body is not the JSON object that is expected here")
	default:
		return true
	}
	return false
}
