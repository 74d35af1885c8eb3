package ceremony

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sealwright/sealwright/seal"
)

//go:embed page.html
var pageText string

// pages is parsed when a page is first shown: most processes never show one.
var pages = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(pageText)) })

// A page is what the template shows.
type page struct {
	Lang   string
	Path   string
	Title  string
	View   string
	Secure bool
	Tokens bool
	Log    bool // whether there are events to show
	Status *statusView
	Answer *message

	Action     Action
	Choices    []string // slots to rekey
	Rite       *riteView
	Seat       *seatView
	Code       string // of who began, or of the place
	Invitation string
	Keys       bool // whether public keys are read
	ID         string
	Gone       bool // what the page is about is not in progress
	Moves      []string
	Plan       string // its id
	PlanWrong  bool
	Events     []eventView
	More       bool

	detail bool // whether errors may be shown in full
	code   int
	to     string // where to go instead
}

// page is a page of that name, with how the server is.
func (h *handler) page(r *http.Request, view string) *page {
	p := &page{
		Lang: language(r.Header.Get("Accept-Language")), Path: h.Path, Title: h.Title, View: view,
		Secure: h.Secure(r), Tokens: !h.NoTokens, Log: h.Events != nil,
	}
	if view == "refused" || view == "" {
		p.Status = &statusView{Sealed: h.Barrier.Sealed() != nil}
		p.detail = view == "" && h.may(r, Detail, "")
		return p
	}
	p.detail = h.may(r, Detail, "")
	h.fill(r, p)
	return p
}

func (h *handler) home(r *http.Request) (*page, error) { return h.page(r, "home"), nil }

// fill fills in how the store and the server are. It never fails: a page says what is
// known.
func (h *handler) fill(r *http.Request, p *page) {
	ctx, cancel := context.WithTimeout(r.Context(), lookBound)
	defer cancel()
	s, err := h.Barrier.Admin().Inspect(ctx)
	p.Status = p.view(s, err)
	plan, moves, err := h.plan(ctx, s)
	p.PlanWrong = err != nil
	for _, m := range moves {
		text := p.T("move."+string(m.Kind), strings.Join(m.Slots, p.T("list")))
		if shape := p.shape(m.Spec); shape != "" {
			text += p.T("colon") + shape
		}
		p.Moves = append(p.Moves, text)
	}
	if p.Plan = planID(plan); len(plan.Slots) == 0 {
		p.Plan = ""
	}
	if op := p.Status.Operation; op != nil && op.Purpose == "rekey" {
		h.mu.Lock()
		if rt := h.current(); rt != nil && rt.ask == op.ID {
			op.For = rt.view()
		}
		h.mu.Unlock()
		op.Takes = op.For != nil
	}
}

// T is the words of a key, with what they name.
func (p *page) T(key string, args ...any) string {
	text, ok := words[p.Lang][key]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// Say is the words of a message.
func (p *page) Say(m *message) string { return p.T(m.Key, m.Args...) }

// shape is a slot's shape in words.
func (p *page) shape(spec seal.Spec) string {
	switch s := spec.(type) {
	case seal.Shamir:
		if s.Shares == 1 {
			return p.T("shape.person")
		}
		return p.T("shape.people", s.Threshold, s.Shares)
	case seal.KMS:
		return p.T("shape.kms", s.Wrapper)
	case seal.Threshold:
		var parts []string
		for _, child := range s.Of {
			parts = append(parts, p.shape(child))
		}
		return p.T("shape.tree", s.K, strings.Join(parts, p.T("list")))
	}
	return ""
}

// A statusView is how the store and the server are.
type statusView struct {
	Sealed    bool
	Known     bool // the record could be read, or is there not
	Fresh     bool // there is no store yet
	Proved    bool // a slot was proven: shares or keys have opened the store
	Why       string
	Reason    string // in full, for who may see it
	Behind    bool
	Moved     bool // it follows by shares, as they would unseal it
	Slots     []slotView
	Operation *operationView

	err error
}

type slotView struct {
	Name, Shape string
	State       seal.SlotState
	Custodians  []string
	Rows        []rowView
	spec        seal.Spec
}

// A rowView counts the shares given of one set.
type rowView struct{ Given, Threshold, Shares int }

type operationView struct {
	ID            seal.OperationID
	Link          string
	Purpose       string
	Slot, Replica string
	Rows          []rowView
	Drops         []string
	Takes         bool // whether shares for it are taken here
	For           *riteView
}

// view is a status in words.
func (p *page) view(s seal.Status, err error) *statusView {
	v := &statusView{Sealed: s.Sealed, Fresh: errors.Is(err, seal.ErrUninitialized), Behind: s.Behind != nil, Moved: errors.Is(s.Behind, seal.ErrRootMoved), err: err}
	v.Known = err == nil || v.Fresh
	reason := s.Reason
	if err != nil {
		reason = err
	}
	if s.Sealed && reason != nil {
		v.Why = why(reason)
		if p.detail {
			v.Reason = reason.Error()
		}
	}
	for _, slot := range s.Slots {
		o := slotView{Name: slot.Name, Shape: p.shape(slot.Spec), State: slot.State, spec: slot.Spec}
		if p.detail {
			for _, c := range slot.Custodians {
				o.Custodians = append(o.Custodians, readable(c))
			}
		}
		if s.Sealed && slot.State != seal.SlotPending {
			o.Rows = rowsOf(s.Progress, slot.Name, slot.Spec)
		}
		v.Proved = v.Proved || slot.State == seal.SlotActive
		v.Slots = append(v.Slots, o)
	}
	if op := s.Operation; op != nil {
		v.Operation = &operationView{ID: op.ID, Link: "operation/" + url.PathEscape(string(op.ID)), Purpose: purposeOf(op), Slot: op.Slot, Replica: op.Replica}
		v.Operation.Takes = !slices.Contains([]string{"tool", "migrate"}, v.Operation.Purpose)
		if v.Operation.Purpose == "migrate" {
			v.Operation.Link = "migration"
		}
		for _, g := range op.Goals {
			if g.Drop {
				v.Operation.Drops = append(v.Operation.Drops, g.Name)
			}
		}
		v.Operation.Rows = rowsOf(op.Progress, "", specAsked(s, op))
	}
	return v
}

// rowsOf counts shares by set: those of a slot, or with "" of any; of a lone set also
// where none was given yet.
func rowsOf(progress []seal.SetProgress, slot string, spec seal.Spec) (out []rowView) {
	for _, p := range progress {
		if slot == "" || p.Slot == slot {
			out = append(out, rowView{p.Given, p.Threshold, p.Shares})
		}
	}
	if s, lone := spec.(seal.Shamir); len(out) == 0 && lone {
		out = append(out, rowView{0, s.Threshold, s.Shares})
	}
	return out
}

// specAsked is the shape whose people an operation asks: the slot's that waits to be
// proven, else the one that opens.
func specAsked(s seal.Status, op *seal.OperationStatus) (spec seal.Spec) {
	for _, slot := range s.Slots {
		if slot.Name == op.Slot && op.Slot != "" && (spec == nil || slot.State == seal.SlotPending) {
			spec = slot.Spec
		}
	}
	return spec
}

// readable is a name as it was before the record took it: what it has beside ASCII
// stands there as in addresses.
func readable(name string) string {
	if text, err := url.PathUnescape(name); err == nil {
		return text
	}
	return name
}

// A riteView is a ceremony as people see it.
type riteView struct {
	Action            Action
	Slot              string
	Shares, Threshold int
	Places            []seatView
	Free              int
	Ready             bool // all places are taken, and nothing is made
	Asking            bool // the old shares are asked
	Ask               string
	Making, Made      bool
	Done              bool // the new shares count
	Again             bool // enough are back, and they do not: what was given is lost
	Back              int
	Ends              string
}

type seatView struct {
	Number      int
	Name, Check string
	Keyed       bool
	HasShown    bool
	Back        bool

	Shown     bool
	Groups    []string
	Encrypted string
	Hint      string
}

// view is the ceremony for people; the handler's lock is held.
func (r *rite) view() *riteView {
	v := &riteView{
		Action: r.action, Slot: r.slot, Shares: r.shares, Threshold: r.threshold, Free: r.shares - len(r.places),
		Asking: r.ask != "", Making: r.making, Made: r.made, Done: r.counts,
		Ends: r.ends.UTC().Format("15:04 UTC"),
	}
	if r.ask != "" {
		v.Ask = "operation/" + url.PathEscape(string(r.ask))
	}
	v.Ready = v.Free == 0 && !r.made && !r.making && r.ask == ""
	for _, s := range r.places {
		v.Places = append(v.Places, *s.view())
		if s.back {
			v.Back++
		}
	}
	v.Again = v.Made && !v.Done && v.Back >= v.Threshold
	return v
}

func (s *seat) view() *seatView {
	return &seatView{Number: s.number, Name: s.name, Check: s.check, Keyed: s.to != nil, HasShown: s.shown, Back: s.back, Hint: s.hint}
}

// write writes the page.
func (p *page) write(w http.ResponseWriter) {
	var out bytes.Buffer
	if err := pages().Execute(&out, p); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError) // its words may quote a share
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", p.Lang)
	w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	if p.code != 0 {
		w.WriteHeader(p.code)
	}
	_, _ = w.Write(out.Bytes()) // the client is gone
	clear(out.Bytes())
}

// language is English or Japanese, whichever an Accept-Language header has first.
func language(accept string) string {
	best, most := "en", 0.0
	parts := strings.SplitN(accept, ",", 33)
	for _, part := range parts[:min(len(parts), 32)] {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if value, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok {
			q, _ = strconv.ParseFloat(value, 64)
		}
		main, _, _ := strings.Cut(strings.ToLower(tag), "-")
		if _, known := words[main]; known && q > most && q <= 1 {
			best, most = main, q
		}
	}
	return best
}
