package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sealwright/sealwright/seal"
)

// What the journal itself has to say stands between the events, as lines of these
// kinds. [Read] tells them as events, in words.
const (
	KindOpen     seal.EventKind = "journal-open"     // a process began to write here; Replica is Config.Name
	KindReopen   seal.EventKind = "journal-reopen"   // it found the place not as it had left it: moved, cut, or written to by another
	KindClose    seal.EventKind = "journal-close"    // and ended in order
	KindContinue seal.EventKind = "journal-continue" // the first line of a file after a rotation
	KindTorn     seal.EventKind = "journal-torn"     // names bytes before it that a crash left of a line
	KindLost     seal.EventKind = "journal-lost"     // so many events could neither be written nor kept in memory
	KindMissing  seal.EventKind = "journal-missing"  // a line that was known to be there was not there any more

	ownKinds = "journal-"
)

// MaxLine is the most bytes that a line has, its end included.
const MaxLine = 64 << 10

// How much of what an event says is kept, in bytes; what is cut ends with "…".
// Even where each is escaped at six for one, a line stays below MaxLine.
const (
	maxName = 256
	maxText = 4 << 10
)

const (
	version    = 1
	maxSeq     = 1 << 62 // the last line that is written: SQL's numbers and ours hold it, and no counter wraps
	timeLayout = "2006-01-02T15:04:05.000000000Z"
	hashDomain = "sealwright journal line 1\x00"
)

// A line, as FORMAT.md has it. The tags are for reading; appendTo writes.
type line struct {
	Version    int     `json:"v"`
	Chain      string  `json:"chain"`
	Seq        uint64  `json:"seq"`
	Prev       string  `json:"prev"`
	Time       string  `json:"time"`
	Kind       string  `json:"kind"`
	Replica    string  `json:"replica"`
	Actor      string  `json:"actor"`
	Operation  string  `json:"operation"`
	Slot       string  `json:"slot"`
	Set        uint64  `json:"set"`
	Number     uint64  `json:"number"`
	Custodian  string  `json:"custodian"`
	Verdict    string  `json:"verdict"`
	KMS        string  `json:"kms"`
	Generation uint64  `json:"generation"`
	Detail     string  `json:"detail"`
	Error      *string `json:"error"`
	Count      uint64  `json:"count"`
	From       string  `json:"from"`
	To         string  `json:"to"`
	SHA256     string  `json:"sha256"`
	Head       string  `json:"head"`
}

// appendTo appends the one encoding that the line has, without its end.
func (l *line) appendTo(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"v":`...), int64(l.Version), 10)
	dst = appendText(dst, "chain", l.Chain)
	dst = appendNumber(dst, "seq", l.Seq)
	dst = appendText(dst, "prev", l.Prev)
	dst = appendText(dst, "time", l.Time)
	dst = appendText(dst, "kind", l.Kind)
	dst = appendSome(dst, "replica", l.Replica)
	dst = appendSome(dst, "actor", l.Actor)
	dst = appendSome(dst, "operation", l.Operation)
	dst = appendSome(dst, "slot", l.Slot)
	dst = appendCount(dst, "set", l.Set)
	dst = appendCount(dst, "number", l.Number)
	dst = appendSome(dst, "custodian", l.Custodian)
	dst = appendSome(dst, "verdict", l.Verdict)
	dst = appendSome(dst, "kms", l.KMS)
	dst = appendCount(dst, "generation", l.Generation)
	dst = appendSome(dst, "detail", l.Detail)
	if l.Error != nil {
		dst = appendText(dst, "error", *l.Error)
	}
	dst = appendCount(dst, "count", l.Count)
	dst = appendSome(dst, "from", l.From)
	dst = appendSome(dst, "to", l.To)
	dst = appendSome(dst, "sha256", l.SHA256)
	dst = appendSome(dst, "head", l.Head)
	return append(dst, '}')
}

func appendNumber(dst []byte, name string, n uint64) []byte {
	return strconv.AppendUint(append(append(append(dst, `,"`...), name...), `":`...), n, 10)
}

// appendCount leaves out a zero.
func appendCount(dst []byte, name string, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return appendNumber(dst, name, n)
}

func appendSome(dst []byte, name, text string) []byte {
	if text == "" {
		return dst
	}
	return appendText(dst, name, text)
}

// appendText escapes all that is not printable ASCII, so that a terminal is safe
// from what others say, and the encoding depends on no table of characters.
func appendText(dst []byte, name, text string) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":"`...)
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case 0x20 <= r && r < 0x7f:
			dst = append(dst, byte(r))
		case r > 0xffff:
			r -= 0x10000
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		}
	}
	return append(dst, '"')
}

var (
	errNoLine = errors.New("it is no line of a journal")
	errNewer  = errors.New("it is of a newer version")
)

// parseLine reads what appendTo writes, and nothing else.
func parseLine(data []byte) (*line, error) {
	if len(data) >= MaxLine || !bytes.HasPrefix(data, []byte(`{"v":`)) {
		return nil, errNoLine
	}
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, errNoLine
	}
	if l.Version > version {
		return nil, errNewer
	}
	if l.Version != version || !bytes.Equal(l.appendTo(make([]byte, 0, len(data))), data) || !l.complete() {
		return nil, errNoLine
	}
	return &l, nil
}

// complete reports whether the line has what a line of its kind has.
func (l *line) complete() bool {
	if !isChain(l.Chain) || l.Seq == 0 || !isHash(l.Prev) || !isTime(l.Time) {
		return false
	}
	kind := seal.EventKind(l.Kind)
	counts, spans, sums, heads := kind == KindTorn || kind == KindLost, kind == KindLost, kind == KindTorn, kind == KindMissing
	if heads {
		if _, err := ParseHead(l.Head); err != nil {
			return false
		}
	}
	return l.Set <= math.MaxUint32 && l.Number <= math.MaxInt32 && (l.Count != 0) == counts && isTime(l.From) == spans && isTime(l.To) == spans &&
		(spans || l.From == "" && l.To == "") && isHash(l.SHA256) == sums && (sums || l.SHA256 == "") && (heads || l.Head == "")
}

func isChain(s string) bool {
	return len(s) == chainSize && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

func isHash(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 2*sha256.Size && s == strings.ToLower(s)
}

func isTime(s string) bool {
	if len(s) != len(timeLayout) {
		return false
	}
	t, err := time.Parse(timeLayout, s)
	return err == nil && formatTime(t) == s
}

// formatTime writes times that a year of four digits can't name as the zero time.
func formatTime(t time.Time) string {
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		t = time.Time{}
	}
	return t.Format(timeLayout)
}

func (l *line) when() time.Time {
	t, _ := time.Parse(timeLayout, l.Time) // parseLine has looked
	return t
}

// hashLine is what the next line, and a head, name a line by.
func hashLine(data []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write([]byte(hashDomain))
	h.Write(data)
	h.Sum(sum[:0])
	return sum
}

// cut returns text as valid UTF-8 of at most limit bytes and an ellipsis.
func cut(text string, limit int) string {
	if len(text) > limit {
		end := limit
		for end > 0 && end > limit-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// lineOf returns the line of an event, as yet without its place in the chain.
func lineOf(e seal.Event) line {
	kind := string(e.Kind)
	if strings.HasPrefix(kind, ownKinds) {
		kind = "host-" + kind // those are the journal's own
	}
	l := line{
		Version: version, Time: formatTime(e.Time), Kind: cut(kind, maxName), Replica: cut(e.Replica, maxName),
		Actor: cut(e.Actor, maxName), Operation: cut(string(e.Operation), maxName), Slot: cut(e.Slot, maxName),
		Set: uint64(e.Set), Number: uint64(max(0, e.Number)), Custodian: cut(e.Custodian, maxName), Verdict: cut(string(e.Verdict), maxName),
		KMS: cut(e.KMS, maxName), Generation: e.Generation, Detail: cut(e.Detail, maxText),
	}
	if e.Err != nil {
		text := cut(e.Err.Error(), maxText)
		l.Error = &text
	}
	return l
}

// event returns what the line says.
func (l *line) event() seal.Event {
	e := seal.Event{
		Time: l.when(), Kind: seal.EventKind(l.Kind), Replica: l.Replica, Actor: l.Actor, Operation: seal.OperationID(l.Operation),
		Slot: l.Slot, Set: uint32(l.Set), Number: int(l.Number), Custodian: l.Custodian, Verdict: seal.Verdict(l.Verdict), KMS: l.KMS, Generation: l.Generation, Detail: l.Detail,
	}
	if l.Error != nil {
		e.Err = errors.New(*l.Error)
	}
	switch e.Kind {
	case KindTorn:
		e.Detail = fmt.Sprintf("%d bytes before this are what a crash left of a line", l.Count)
	case KindLost:
		e.Detail = fmt.Sprintf("%d events were lost from %s to %s", l.Count, l.From, l.To)
	case KindMissing:
		e.Detail = fmt.Sprintf("a line that was written is not here any more: %s", l.Head)
	}
	return e
}
