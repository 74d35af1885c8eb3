package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

// WriteJSON writes the report as JSON, indented, with a line feed at its end.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

//go:embed page.html
var pageText string

// WriteHTML writes the report as one page to print, on A4 or Letter, with room for
// who files it to sign. It has no script and fetches nothing.
func (r *Report) WriteHTML(w io.Writer) error {
	page, err := template.New("page").Funcs(template.FuncMap{"stamp": shown, "day": func(t time.Time) string { return t.Format(time.DateOnly) }, "proof": proofText, "attempt": attemptText, "who": who, "trail": trailText, "key": keyText, "state": stateText}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("report: the page: %w", err)
	}
	return page.Execute(w, r)
}

// WriteText writes the report as text for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("Seal report: %s", r.Title)
	say("%s, store %s, generation %d, replica %s", stamp(r.At), r.Store, r.Generation, r.Replica)
	say("%s", stateText(r))

	say("\nTO DO")
	if len(r.Overdue) == 0 {
		say("  nothing is overdue")
	}
	for _, i := range r.Overdue {
		say("  [%s] %s%s", i.Kind, where(i), i.What)
		say("      %s", i.Do)
	}

	say("\nSLOTS")
	for _, s := range r.Slots {
		opens := "opens the store"
		if !s.Opens {
			opens = "opens nothing yet"
		}
		say("  %s: %s, %s, %s", s.Name, s.Shape, s.State, opens)
		say("      fingerprint %s", s.Fingerprint)
		if s.Proven == nil {
			say("      never shown to open it")
		}
		for i, p := range s.Evidence {
			when := "before"
			if i == 0 {
				when = "last shown to open it"
			}
			say("      %s: %s", when, proofText(p))
		}
		b.WriteString(setsText(s.Sets))
	}
	for _, d := range r.Drills {
		say("\nCUSTODY DRILL of %s, since %s%s: %s", d.Slot, stamp(d.Began), until(d), d.State)
		say("  %d of %d confirmed; %s", d.Confirmed, d.Asked, enough(d.Met))
		b.WriteString(setsText(d.Sets))
		for _, a := range d.Attempts {
			say("  %s", attemptText(a))
		}
		if d.More > 0 {
			say("  and %d more", d.More)
		}
	}

	say("\nKEYS OF A KMS")
	if len(r.Keys) == 0 {
		say("  none")
	}
	for _, k := range r.Keys {
		say("  %s: %s", keyText(k), version(k))
	}
	say("\nTERMS")
	for _, t := range r.Terms {
		say("  %d: %s, since %s%s", t.Number, t.State, stamp(t.Created), unused(t))
	}
	if len(r.Terms) == 0 {
		say("  not known while sealed")
	}
	say("\nMAY BE DESTROYED")
	switch {
	case !r.Vouched:
		say("  nothing is said of that while the store is sealed")
	case len(r.Destroy) == 0:
		say("  nothing")
	}
	for _, i := range r.Destroy {
		say("  %s", i.What)
		say("      %s", i.Do)
	}
	say("\nWRONG SHARES")
	if len(r.Attempts) == 0 {
		say("  none")
	}
	for _, a := range r.Attempts {
		say("  %s", attemptText(a))
	}
	if r.More > 0 {
		say("  and %d more", r.More)
	}
	say("\n%s", trailText(r.Trail))
	_, err := io.WriteString(w, b.String())
	return err
}

func setsText(sets []Set) string {
	var b strings.Builder
	for _, set := range sets {
		at := ""
		if set.Path != "" {
			at = " at " + set.Path
		}
		fmt.Fprintf(&b, "      set %d%s, any %d of %d: %d confirmed\n", set.Set, at, set.Threshold, set.Shares, set.Confirmed)
		for _, c := range set.Custodians {
			fmt.Fprintf(&b, "        %3d %s: %s\n", c.Number, who(c.Name), heard(c))
		}
	}
	return b.String()
}

func heard(c Custodian) string {
	text := "never confirmed"
	if !c.Confirmed.IsZero() {
		text = "confirmed " + stamp(c.Confirmed)
		if c.Missing {
			text = "MISSING, last " + text
		}
	}
	if c.Wrong != nil {
		text += fmt.Sprintf("; since then %s on %s", c.Wrong.Verdict, stamp(c.Wrong.At))
	}
	return text
}

// where is what an item is about, as far as its text does not say it.
func where(i Item) string {
	if i.Slot == "" {
		return ""
	}
	return "slot " + i.Slot + ": "
}

func who(name string) string {
	if name == "" {
		return "(not named)"
	}
	return name
}

func proofText(p Proof) string {
	how := map[Evidence]string{
		ByRecord: "the record has it", ByProof: "proven", ByRekey: "proven, in the place of others", ByUnseal: "unsealed with it", ByDrill: "drilled",
		ByRenew: "renewed", ByShares: "enough custodians confirmed, each alone",
	}[p.By]
	text := stamp(p.At) + ", " + how
	if p.Actor != "" {
		text += ", by " + p.Actor
	}
	if p.Replica != "" {
		text += ", on " + p.Replica
	}
	return text
}

func attemptText(a Attempt) string {
	text := fmt.Sprintf("%s: a share that was %s", stamp(a.At), a.Verdict)
	if a.Number != 0 {
		text += fmt.Sprintf(", and calls itself share %d of set %d", a.Number, a.Set)
		if a.Name != "" {
			text += ", of " + a.Name
		}
	}
	if a.Actor != "" {
		text += "; brought by " + a.Actor
	}
	return text
}

func keyText(k Key) string {
	place := k.Slot
	if k.Path != "" {
		place += " at " + k.Path
	}
	return fmt.Sprintf("%s (%s), KMS %s: %s %s", place, k.State, k.KMS, k.Type, k.KeyID)
}

func version(k Key) string {
	if k.Version == "" {
		return "its KMS keeps the versions to itself"
	}
	return "version " + k.Version
}

func unused(t Term) string {
	if t.Unused {
		return ", no value under it"
	}
	return ""
}

func until(d Drill) string {
	if d.Until.IsZero() {
		return ""
	}
	return ", until " + stamp(d.Until)
}

func enough(met bool) string {
	if met {
		return "enough to open the slot"
	}
	return "not enough to open the slot"
}

func stateText(r *Report) string {
	if !r.Sealed {
		return "Unsealed: the record was opened, and vouches for what is said here."
	}
	text := "SEALED: nobody vouches for what the stored record says."
	if r.Reason != "" {
		text += " Why: " + r.Reason
	}
	return text
}

func trailText(t Trail) string {
	if t.Events == 0 {
		return "No events of the past were there to read."
	}
	text := fmt.Sprintf("From %d events, %s to %s.", t.Events, stamp(t.First), stamp(t.Last))
	if t.Error != "" {
		text += " They could not all be read: " + t.Error
	}
	return text
}

func shown(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return stamp(t)
}
