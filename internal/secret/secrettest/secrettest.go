// Package secrettest looks for secrets where they must not be: it writes a
// value through everything that might print it, and searches text for a secret
// in the forms in which a leak would show it. For tests only.
package secrettest

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"text/template"
)

// Verbs are the verbs of fmt that Sinks tries: each that fmt knows, and each
// flag that changes how bytes or structs are printed.
var Verbs = []string{
	"%v", "%+v", "%#v", "%s", "%q", "%+q", "%x", "%X", "%# x", "%d", "%o", "%O", "%b",
	"%c", "%U", "%e", "%g", "%t", "%p", "%w", "%T",
}

// Sinks writes v through fmt, errors, slog, text/template, and the encoders
// for JSON, XML and gob, and returns what came out of each, error texts
// included, by the name of the sink.
func Sinks(v any) map[string]string {
	out := map[string]string{
		"Sprint":      fmt.Sprint(v),
		"Sprintln":    fmt.Sprintln(v),
		"errors.Join": errors.Join(fmt.Errorf("joined: %v", v), errors.New("other")).Error(),
		"fmt.Errorf":  fmt.Errorf("outer: %w", fmt.Errorf("inner %v: %w", v, errors.ErrUnsupported)).Error(),
		"slog.Value":  fmt.Sprint(slog.AnyValue(v)),
	}
	if err, ok := v.(error); ok {
		out["error"] = fmt.Errorf("outer: %w", err).Error()
	}
	for _, verb := range Verbs {
		out[verb] = fmt.Sprintf(verb, v)
	}
	write := func(name string, f func(*bytes.Buffer) error) {
		var b bytes.Buffer
		err := f(&b)
		out[name] = b.String() + fmt.Sprint(err)
	}
	write("json", func(b *bytes.Buffer) error { return json.NewEncoder(b).Encode(v) })
	write("xml", func(b *bytes.Buffer) error { return xml.NewEncoder(b).Encode(v) })
	write("gob", func(b *bytes.Buffer) error { return gob.NewEncoder(b).Encode(v) })
	write("template", func(b *bytes.Buffer) error { return template.Must(template.New("").Parse("{{.}}")).Execute(b, v) })
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		write(name, func(b *bytes.Buffer) error {
			log := slog.New(handler(b)).WithGroup("group").With("with", v)
			log.Info(fmt.Sprint(v), "attr", v, slog.Group("inner", "deep", v))
			return nil
		})
	}
	return out
}
