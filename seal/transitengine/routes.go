package transitengine

import (
	"net/http"
	"strings"
)

// A route is what one method of one path does. A slow one may ask the store.
type route struct {
	action Action
	act    func(*call) error
	slow   bool
}

// route finds what a request wants, and the key's name in its path.
func (c *call) route() (route, error) {
	path, ok := strings.CutPrefix(c.r.URL.Path, c.h.Prefix)
	if !ok {
		return route{}, errNoRoute
	}
	switch c.method = c.r.Method; {
	case c.method == http.MethodPost:
		c.method = http.MethodPut
	case c.method == http.MethodGet && c.r.URL.RawQuery != "" && c.r.URL.Query().Get("list") == "true":
		c.method = "LIST"
	}
	op, rest, _ := strings.Cut(path, "/")
	rt, methods := c.find(op, rest)
	switch {
	case len(methods) == 0 || c.name != "" && !isName(c.name):
		return route{}, errNoRoute
	case rt.act == nil:
		return route{}, errNoMethod
	}
	return rt, nil
}

// find returns the route of a method, and all methods that the path has.
func (c *call) find(op, rest string) (route, string) {
	name, tail, more := strings.Cut(rest, "/")
	switch op {
	case "encrypt":
		return c.only("PUT", route{Encrypt, encrypt, true}, name, more)
	case "decrypt":
		return c.only("PUT", route{Decrypt, decrypt, true}, name, more)
	case "rewrap":
		return c.only("PUT", route{Rewrap, rewrap, true}, name, more)
	case "sign", "verify", "hmac":
		c.rest = tail
		rt := map[string]route{"sign": {Sign, sign, true}, "verify": {Verify, verify, true}, "hmac": {MAC, mac, true}}[op]
		return c.only("PUT", rt, name, strings.Contains(tail, "/"))
	case "datakey":
		kind := map[string]route{"plaintext": {PlainDataKey, plainDataKey, true}, "wrapped": {DataKey, dataKey, true}}[name]
		return c.only("PUT", kind, tail, kind.act == nil || strings.Contains(tail, "/"))
	case "export":
		c.rest = name
		key, version, _ := strings.Cut(tail, "/")
		c.rest += "/" + version
		action := Export
		if name == "public-key" {
			action = ExportPublic
		}
		return c.only("GET", route{action, export, true}, key, strings.Contains(version, "/"))
	case "backup":
		return c.only("GET", route{Backup, backup, true}, name, more)
	case "restore":
		c.name = name
		return c.choose(more, method{"PUT", route{Restore, restore, true}})
	case "wrapping_key":
		return c.choose(rest != "", method{"GET", route{WrappingKey, wrappingKey, true}})
	case "random":
		c.rest = rest
		return c.choose(false, method{"PUT", route{Random, random, false}})
	case "hash":
		c.rest = rest
		return c.choose(more, method{"PUT", route{Hash, hash, false}})
	case "keys":
		return c.keys(name, tail)
	}
	return route{}, ""
}

// keys are the routes below keys/.
func (c *call) keys(name, tail string) (route, string) {
	c.name = name
	switch {
	case name == "":
		return c.choose(tail != "", method{"LIST", route{List, list, true}})
	case tail == "":
		return c.choose(false,
			method{"GET", route{Read, read, true}}, method{"PUT", route{Create, create, true}}, method{"DELETE", route{Delete, remove, true}})
	case tail == "config":
		return c.choose(false, method{"PUT", route{Configure, configure, true}})
	case tail == "rotate":
		return c.choose(false, method{"PUT", route{Rotate, rotate, true}})
	case tail == "trim":
		return c.choose(false, method{"PUT", route{Trim, trim, true}})
	case tail == "import":
		return c.choose(false, method{"PUT", route{Import, importKey, true}})
	case tail == "import_version":
		return c.choose(false, method{"PUT", route{Import, importVersion, true}})
	}
	return route{}, ""
}

// only is a path with one method and a key's name.
func (c *call) only(name string, rt route, key string, more bool) (route, string) {
	c.name = key
	return c.choose(more || key == "", method{name, rt})
}

type method struct {
	name string
	route
}

// choose returns the route of the request's method.
func (c *call) choose(unknown bool, methods ...method) (rt route, names string) {
	if unknown {
		return route{}, ""
	}
	for _, m := range methods {
		names += m.name
		if m.name == c.method {
			rt = m.route
		}
	}
	return rt, names
}

// isName reports whether a path's part can be a key's name: letters and digits,
// and within it dots and hyphens.
func isName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		case (c == '.' || c == '-') && i > 0 && i < len(name)-1:
		default:
			return false
		}
	}
	return true
}
