package main

import (
	"net/http"
	"strings"

	"go.etcd.io/bbolt"
)

// list answers with the names right below a path, folders with a slash: those
// behind the name "after", and at most "limit" of them, where the query has
// these. In detail it adds what is known of each secret.
func (s *server) list(w http.ResponseWriter, r *http.Request, path string, detailed bool) {
	limit, err := numberIn(r, "limit")
	if err != nil {
		respond(w, nil, err)
		return
	}
	if path != "" && !strings.HasSuffix(path, "/") {
		path += "/"
	}
	keys, info := []string{}, map[string]any{}
	all, err := s.config()
	if err == nil {
		err = s.db.View(func(tx *bbolt.Tx) (err error) {
			keys = namesBelow(tx, path, r.URL.Query().Get("after"), limit)
			for _, name := range keys {
				if !detailed || strings.HasSuffix(name, "/") {
					continue
				}
				sec, _, err := s.read(tx, path+name)
				if err != nil {
					return err
				}
				info[name] = sec.describe(all)
			}
			return nil
		})
	}
	if err == nil && len(keys) == 0 {
		err = errNotThere
	}
	out := map[string]any{"keys": keys}
	if detailed {
		out["key_info"] = info
	}
	respond(w, out, err)
}

// namesBelow returns the names right below a folder, in order. It looks at one
// secret of each folder in it.
func namesBelow(tx *bbolt.Tx, folder, after string, limit int) (names []string) {
	b := tx.Bucket(secretsBucket)
	if b == nil {
		return nil
	}
	c := b.Cursor()
	k, _ := c.Seek([]byte(folder))
	for k != nil && strings.HasPrefix(string(k), folder) && (limit == 0 || len(names) < limit) {
		name, _, isFolder := strings.Cut(string(k)[len(folder):], "/")
		if isFolder {
			name += "/"
		}
		if name > after {
			names = append(names, name)
		}
		if isFolder { // '0' is what follows '/': the next name that is not below it
			k, _ = c.Seek([]byte(folder + strings.TrimSuffix(name, "/") + "0"))
			continue
		}
		k, _ = c.Next()
	}
	return names
}
