package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// Config is what a [Handler] reports on. Barrier and Authorize are required.
type Config struct {
	Barrier *seal.Barrier

	// Authorize reports why a request may not read the report, which names custodians
	// and keys; nil lets it. The answer is 403 and does not show the error. It is
	// also called while the server is sealed. An address is no identity: a stranger's
	// page in a browser comes from it too, as at Authorize of package operator.
	Authorize func(*http.Request) error

	// Events returns those of the past, as the Read of package journal, or
	// [Memory.Events]. Nil: none are kept.
	Events func(context.Context) iter.Seq2[seal.Event, error]

	// Unused returns the terms of [Input]; nil: nothing was counted.
	Unused func(context.Context) ([]uint32, error)

	// Campaigns are the custody drills that every report has.
	Campaigns []Campaign

	Title  string
	Limits Limits
}

// reading bounds how long a request may read.
const reading = 50 * time.Second

// Handler returns one that answers GET with the report of now, also while the server
// is sealed, wherever the host mounts it: the page, or with format=text or format=json in
// the query that form of it. With drill=SLOT&since=2026-11-01, and until=2026-11-15
// if it is to be over by then, it has that custody drill: so one is begun, and so it
// is looked at. It makes one report at a time. The error is [seal.ErrConfig].
func Handler(cfg Config) (http.Handler, error) {
	switch {
	case cfg.Barrier == nil:
		return nil, fmt.Errorf("report: %w: Config.Barrier is nil", seal.ErrConfig)
	case cfg.Authorize == nil:
		return nil, fmt.Errorf("report: %w: Config.Authorize is nil: it decides who may read names of custodians", seal.ErrConfig)
	}
	cfg.Campaigns = slices.Clone(cfg.Campaigns)
	turn := make(chan struct{}, 1)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "a report is read, by GET", http.StatusMethodNotAllowed)
			return
		case cfg.Authorize(r) != nil:
			http.Error(w, "permission denied", http.StatusForbidden)
			return
		}
		a := cfg.inTurn(r.Context(), turn, r.URL.Query())
		if a.code != http.StatusOK {
			http.Error(w, a.text, a.code)
			return
		}
		h.Set("Content-Type", a.mime)
		_, _ = io.WriteString(w, a.text) // whoever left does not read it
	}), nil
}

// An answer is a report as text, or why there is none.
type answer struct {
	code       int
	mime, text string
}

// inTurn makes one report at a time. It is written when the turn is over: a reader
// may be slow.
func (cfg *Config) inTurn(ctx context.Context, turn chan struct{}, query url.Values) answer {
	ctx, cancel := context.WithTimeout(ctx, reading)
	defer cancel()
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
		return cfg.answer(ctx, query)
	case <-ctx.Done():
		return answer{code: http.StatusServiceUnavailable, text: "another report is being made: ask again"}
	}
}

// A form is how a report is written.
type form struct {
	mime  string
	write func(*Report, io.Writer) error
}

func forms(name string) (form, bool) {
	switch name {
	case "", "html":
		return form{"text/html; charset=utf-8", (*Report).WriteHTML}, true
	case "text":
		return form{"text/plain; charset=utf-8", (*Report).WriteText}, true
	case "json":
		return form{"application/json", (*Report).WriteJSON}, true
	}
	return form{}, false
}

func (cfg *Config) answer(ctx context.Context, query url.Values) answer {
	no := func(code int, err error) answer { return answer{code: code, text: line(err.Error())} }
	f, ok := forms(query.Get("format"))
	if !ok {
		return answer{code: http.StatusBadRequest, text: "format is html, text or json"}
	}
	campaigns, err := asked(query)
	if err != nil {
		return no(http.StatusBadRequest, err)
	}
	r, err := cfg.report(ctx, time.Now(), campaigns)
	switch {
	case errors.Is(err, ErrInput) && len(campaigns) > 0:
		return no(http.StatusBadRequest, err)
	case err != nil:
		return no(http.StatusServiceUnavailable, err)
	}
	var text strings.Builder
	if err := f.write(r, &text); err != nil {
		return no(http.StatusInternalServerError, err)
	}
	return answer{http.StatusOK, f.mime, text.String()}
}

// asked returns the custody drill of the query, if there is one.
func asked(query url.Values) ([]Campaign, error) {
	c := Campaign{Slot: query.Get("drill")}
	if c.Slot == "" {
		return nil, nil
	}
	for _, f := range []struct {
		name string
		at   *time.Time
	}{{"since", &c.Began}, {"until", &c.Until}} {
		text := query.Get(f.name)
		if text == "" {
			continue
		}
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			at, err = time.Parse(time.RFC3339, text)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s is a day, as 2026-11-30, or a time, as 2026-11-30T12:00:00Z", ErrInput, f.name)
		}
		*f.at = at
	}
	if c.Began.IsZero() {
		return nil, fmt.Errorf("%w: a drill has a day since which it goes on: &since=2026-11-30", ErrInput)
	}
	return []Campaign{c}, nil
}

func (cfg *Config) report(ctx context.Context, now time.Time, more []Campaign) (*Report, error) {
	status, err := cfg.Barrier.Admin().Inspect(ctx)
	if err != nil && len(status.Slots) == 0 {
		return nil, err
	}
	in := Input{Status: status, At: now, Title: cfg.Title, Limits: cfg.Limits, Campaigns: slices.Concat(cfg.Campaigns, more)}
	if cfg.Events != nil {
		in.Events = cfg.Events(ctx)
	}
	if cfg.Unused != nil && !status.Sealed {
		if in.Unused, err = cfg.Unused(ctx); err != nil {
			return nil, fmt.Errorf("report: counting: %w", err)
		}
	}
	return New(in)
}
